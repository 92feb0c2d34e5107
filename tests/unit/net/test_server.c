#include "net/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "net/tls_pem.h"

/*
 * A server on loopback in a thread of its own, and blocking sockets that talk to it. What its app
 * does is chosen by the request's path. Nothing sleeps: each step waits for bytes, for the end of
 * a connection, or for an entry in the log of events.
 */

#define ALLOWED_BYTES 100
#define FLOOD_BYTES   ((size_t)8 * 1024 * 1024)
#define PIECE_BYTES   1000
#define TINY_BUFFER   4096 // of a socket; the kernel takes somewhat more

struct fixture {
    struct loop *loop;
    struct server *server;
    pthread_t thread;
    struct sockaddr_in addr;
    struct exchange *held; // loop's thread: the exchange of /hang

    pthread_mutex_t lock;
    pthread_cond_t changed;
    char log[4096]; // under lock: one word per event, a blank behind each
};

static void note(struct fixture *f, const char *word)
{
    pthread_mutex_lock(&f->lock);
    size_t n = strlen(f->log);
    snprintf(f->log + n, sizeof(f->log) - n, "%s ", word);
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void clear_log(struct fixture *f)
{
    pthread_mutex_lock(&f->lock);
    f->log[0] = '\0';
    pthread_mutex_unlock(&f->lock);
}

/* Waits until `words` are in the log. */
static void wait_for(struct fixture *f, const char *words)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&f->lock);
    int rc = 0;
    while (rc == 0 && strstr(f->log, words) == NULL)
        rc = pthread_cond_timedwait(&f->changed, &f->lock, &until);
    bool found = strstr(f->log, words) != NULL;
    if (!found)
        print_error("waited for '%s', got '%s'\n", words, f->log);
    pthread_mutex_unlock(&f->lock);
    assert_true(found);
}

/* ---- the app ---- */

static const struct http1_field TEXT = {STR_C("Content-Type"), STR_C("text/plain")};

static bool path_is(const struct exchange *x, const char *path)
{
    return str_eq(exchange_message(x)->target, str_z(path));
}

static void app_on_head(void *app, struct exchange *x)
{
    note(app, "head");
    if (path_is(x, "/early"))
        exchange_reply(x, 401, &TEXT, 1, STR("no"));
    else if (path_is(x, "/cut-early"))
        exchange_abort(x);
    else
        exchange_allow_body(x, ALLOWED_BYTES);
}

static void flood(struct exchange *x)
{
    static const char ZEROS[65536];
    while (!exchange_congested(x) && exchange_sent_bytes(x) < FLOOD_BYTES)
        exchange_write(x, str_of(ZEROS, sizeof(ZEROS)));
    if (exchange_sent_bytes(x) >= FLOOD_BYTES)
        exchange_finish(x);
}

static void note_written(void *arg)
{
    note(arg, "written");
}

/* As many small writes as the body says, in one turn; the connection's end is the answer's. */
static void write_pieces(struct fixture *f, struct exchange *x)
{
    static const char PIECE[PIECE_BYTES];
    uint64_t n = 0;
    assert_true(str_to_u64(buf_str(exchange_body(x)), &n));
    exchange_begin(x, 200, NULL, 0);
    for (uint64_t i = 0; i < n; i++)
        exchange_write(x, str_of(PIECE, sizeof(PIECE)));
    exchange_finish(x);
    loop_defer(f->loop, note_written, f);
}

static void app_on_request(void *app, struct exchange *x)
{
    struct fixture *f = app;
    note(f, "request");
    if (path_is(x, "/stream")) {
        exchange_begin(x, 200, &TEXT, 1);
        exchange_drop_request(x);
        exchange_write(x, STR("one"));
        exchange_write(x, STR(""));
        exchange_write(x, STR("0123456789abcdef"));
        exchange_finish(x);
    } else if (path_is(x, "/stream-with")) {
        exchange_begin(x, 200, &TEXT, 1);
        exchange_finish_with(x, STR("all"));
    } else if (path_is(x, "/pieces")) {
        write_pieces(f, x);
    } else if (path_is(x, "/cut")) {
        exchange_begin(x, 200, &TEXT, 1);
        exchange_write(x, STR("one"));
        exchange_abort(x);
    } else if (path_is(x, "/none")) {
        exchange_reply(x, 204, NULL, 0, STR(""));
    } else if (path_is(x, "/split")) {
        const struct http1_field evil = {STR("X-Evil"), STR("a\r\nSet-Cookie: b")};
        exchange_reply(x, 200, &evil, 1, STR("x"));
    } else if (path_is(x, "/hang")) {
        f->held = x;
        note(f, "held");
    } else if (path_is(x, "/flood")) {
        exchange_begin(x, 200, NULL, 0);
        flood(x);
    } else {
        exchange_reply(x, 200, &TEXT, 1, buf_str(exchange_body(x)));
    }
}

static void app_on_drain(void *app, struct exchange *x)
{
    (void)app;
    flood(x);
}

static void app_on_end(void *app, struct exchange *x, enum exchange_end how)
{
    static const char *const WORDS[] = {"sent", "gone", "stalled", "cut"};
    char word[64];
    snprintf(word, sizeof(word), "%s:%d", WORDS[how], exchange_status(x));
    note(app, word);
}

static void app_on_refuse(void *app, struct exchange *x, struct server_refusal *refusal)
{
    char word[64];
    buf_printf(&refusal->body, "{\"error\":%d}", refusal->status);
    refusal->fields[refusal->n_fields++] =
        (struct http1_field){STR("Content-Type"), STR("application/json")};
    assert_true(str_eq(refusal->peer, STR("127.0.0.1")));
    if (x != NULL)
        return;
    snprintf(word, sizeof(word), "refused:%d", refusal->status);
    note(app, word);
}

static const struct server_events EVENTS = {
    .on_head = app_on_head,
    .on_request = app_on_request,
    .on_drain = app_on_drain,
    .on_end = app_on_end,
    .on_refuse = app_on_refuse,
};

/* ---- the fixture ---- */

static void *run_loop(void *arg)
{
    struct fixture *f = arg;
    loop_run(f->loop);
    return NULL;
}

static struct fixture *start_with(size_t max_connections, struct tls_context *tls, int send_buffer)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    f->loop = loop_new();

    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    f->addr =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(f->addr);
    if (send_buffer > 0) // connections inherit it
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
    assert_int_equal(bind(fd, (struct sockaddr *)&f->addr, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&f->addr, &len), 0);
    const struct server_options options = {.max_connections = max_connections};
    struct err_info info;
    const struct server_setup setup = {
        .listen_fd = fd, .tls = tls, .options = &options, .events = &EVENTS, .app = f};
    assert_int_equal(server_new(f->loop, &setup, &f->server, &info), ERR_OK);
    assert_int_equal(pthread_create(&f->thread, NULL, run_loop, f), 0);
    return f;
}

static void free_server(void *arg)
{
    struct fixture *f = arg;
    server_free(f->server);
    loop_stop(f->loop);
}

static void stop(struct fixture *f)
{
    loop_post(f->loop, free_server, f);
    pthread_join(f->thread, NULL);
    loop_free(f->loop);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->changed);
    test_free(f);
}

static int setup(void **state)
{
    *state = start_with(1000, NULL, 0);
    return 0;
}

static int teardown(void **state)
{
    stop(*state);
    return 0;
}

/* ---- the caller's side ---- */

static int dial_with(const struct fixture *f, int receive_buffer)
{
    const struct timeval limit = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (receive_buffer > 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(fd, (const struct sockaddr *)&f->addr, sizeof(f->addr)), 0);
    return fd;
}

static int dial(const struct fixture *f)
{
    return dial_with(f, 0);
}

static void say(int fd, str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.p, bytes.len, MSG_NOSIGNAL);
        assert_true(n > 0);
        bytes = str_skip(bytes, (size_t)n);
    }
}

/* A receive timeout makes recv() end with EINTR where libuv's io_uring interrupts the thread. */
static ssize_t take(int fd, char *to, size_t cap)
{
    ssize_t n;
    do
        n = recv(fd, to, cap, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

/* Reads until the end of the connection, or until `enough` is there (NULL: never). */
static str hear(int fd, char *to, size_t cap, const char *enough)
{
    size_t n = 0;
    while (n + 1 < cap) {
        ssize_t got = take(fd, to + n, cap - 1 - n);
        if (got <= 0) {
            assert_true(got == 0 || errno == ECONNRESET);
            break;
        }
        n += (size_t)got;
        to[n] = '\0';
        if (enough != NULL && strstr(to, enough) != NULL)
            break;
    }
    to[n] = '\0';
    return str_of(to, n);
}

/* `text` without its Date lines, which differ from run to run. */
static str without_dates(str text, char *to, size_t cap)
{
    size_t n = 0;
    str line, rest = text;
    while (rest.len > 0) {
        bool ended = str_cut(rest, '\n', &line, &rest);
        if (str_starts(line, STR("Date: ")))
            continue;
        assert_true(n + line.len + 1 < cap);
        memcpy(to + n, line.p, line.len);
        n += line.len;
        if (ended)
            to[n++] = '\n';
    }
    to[n] = '\0';
    return str_of(to, n);
}

/* Sends `request` on a connection of its own and expects exactly `want` until the server closes. */
static void check_talk(struct fixture *f, str request, const char *want, const char *why)
{
    char raw[8192], clean[8192];
    int fd = dial(f);
    say(fd, request);
    str got = without_dates(hear(fd, raw, sizeof(raw), NULL), clean, sizeof(clean));
    if (!str_eq(got, str_z(want)))
        print_error("case: %s\ngot:\n%s\nwant:\n%s\n", why, clean, want);
    assert_true(str_eq(got, str_z(want)));
    close(fd);
}

#define CLOSE   "Connection: close\r\n"
#define PLAIN   "Content-Type: text/plain\r\n"
#define REFUSED "Content-Type: application/json\r\nContent-Length: 13\r\n" CLOSE "\r\n"

static void test_server__answers_are_framed_as_the_caller_needs_them(void **state)
{
    struct fixture *f = *state;
    static const struct {
        str request;
        const char *want;
        const char *why;
    } cases[] = {
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"),
         "HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 2\r\n" CLOSE "\r\nhi",         "sized body"                                },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
               "\r\n2\r\nhi\r\n0\r\n\r\n"),
         "HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 2\r\n" CLOSE "\r\nhi",         "chunked body"                              },
        {STR_C("HEAD /early HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
         "HTTP/1.1 401 Unauthorized\r\n" PLAIN "Content-Length: 2\r\n" CLOSE "\r\n", "HEAD"                                      },
        {STR_C("GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
         "HTTP/1.1 204 No Content\r\n" CLOSE "\r\n",                                 "204 has no length"                         },
        {STR_C("GET /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
         "HTTP/1.1 200 OK\r\n" PLAIN "Transfer-Encoding: chunked\r\n" CLOSE
         "\r\n3\r\none\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",                      "one chunk per write, none for an empty one"},
        {STR_C("GET /stream-with HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
         "HTTP/1.1 200 OK\r\n" PLAIN "Transfer-Encoding: chunked\r\n" CLOSE
         "\r\n3\r\nall\r\n0\r\n\r\n",                                                "the last piece and the end together"       },
        {STR_C("HEAD /stream HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
         "HTTP/1.1 200 OK\r\n" PLAIN "Transfer-Encoding: chunked\r\n" CLOSE "\r\n",
         "HEAD of a stream"                                                                                                      },
        {STR_C("GET /stream HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"),
         "HTTP/1.1 200 OK\r\n" PLAIN CLOSE "\r\none0123456789abcdef",
         "a 1.0 caller reads until the end"                                                                                      },
        {STR_C("GET / HTTP/1.0\r\nHost: h\r\n\r\n"),
         "HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 0\r\n" CLOSE "\r\n",           "1.0 closes"                                },
        {STR_C("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\nHost: "
               "h\r\n\r\n"),
         "HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 0\r\nConnection: keep-alive\r\n\r\n"
         "HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 0\r\n" CLOSE "\r\n",
         "1.0 may stay"                                                                                                          },
        {STR_C("GET /split HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n" CLOSE "\r\nx",
         "a field that would split the head is left out"                                                                         },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\n"
               "Content-Length: 2\r\n\r\nhi"),
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 2\r\n" CLOSE
         "\r\nhi",                                                                   "100 once the head was accepted"            },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_talk(f, cases[i].request, cases[i].want, cases[i].why);
}

static void test_server__pipelined_requests_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    check_talk(f,
               STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n1"
                   "GET /stream-with HTTP/1.1\r\nHost: h\r\n\r\n"
                   "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n3"
                   "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\n4"
                   "GET /never HTTP/1.1\r\nHost: h\r\n\r\n"),
               "HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 1\r\n\r\n1"
               "HTTP/1.1 200 OK\r\n" PLAIN "Transfer-Encoding: chunked\r\n\r\n3\r\nall\r\n"
               "0\r\n\r\n"
               "HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 1\r\n\r\n3"
               "HTTP/1.1 200 OK\r\n" PLAIN "Content-Length: 1\r\n" CLOSE "\r\n4",
               "four, and one behind the last");
}

static void test_server__a_backlog_of_a_whole_connection_is_worked_off(void **state)
{
    struct fixture *f = *state;
    static char raw[1 << 20];
    int fd = dial(f);
    for (int i = 0; i < 999; i++)
        say(fd, STR("GET /none HTTP/1.1\r\nHost: h\r\n\r\n"));
    say(fd, STR("GET /none HTTP/1.1\r\nHost: h\r\n\r\nGET /none HTTP/1.1\r\nHost: h\r\n\r\n"));
    str got = hear(fd, raw, sizeof(raw), NULL);
    size_t answers = 0;
    for (const char *at = got.p; (at = strstr(at, "HTTP/1.1 204")) != NULL; at++)
        answers++;
    assert_int_equal(answers, 1000); // the limit of one connection
    assert_true(str_ends(got, STR(CLOSE "\r\n")));
    close(fd);
}

static void test_server__what_is_refused_gets_an_answer_and_a_closed_connection(void **state)
{
    struct fixture *f = *state;
    static const struct {
        str request;
        const char *want;
        const char *log;
        const char *why;
    } cases[] = {
        {STR_C("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
         "HTTP/1.1 400 Bad Request\r\n" REFUSED "{\"error\":400}",                                       "refused:400 ",   "no Host"                            },
        {STR_C("BREW / HTTP/1.1\r\n\r\n"),
         "HTTP/1.1 501 Not Implemented\r\n" REFUSED "{\"error\":501}",                                   "refused:501 ",   "method"                             },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"),
         "HTTP/1.1 400 Bad Request\r\n" REFUSED "{\"error\":400}",                                       "head sent:400 ",
         "unsound body: the app had its head and hears of the end"                                                                                              },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n"),
         "HTTP/1.1 413 Content Too Large\r\n" REFUSED "{\"error\":413}",                                 "head sent:413 ",
         "too large by its length, before the body"                                                                                                             },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n"),
         "HTTP/1.1 413 Content Too Large\r\n" REFUSED "{\"error\":413}",                                 "head sent:413 ",
         "too large: no 100"                                                                                                                                    },
        {STR_C("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhi"),
         "HTTP/1.1 401 Unauthorized\r\n" PLAIN "Content-Length: 2\r\n" CLOSE "\r\nno",
         "head sent:401 ",                                                                                                 "answered at the head, body not read"},
        {STR_C("POST /cut-early HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"),                "",
         "head cut:0 ",                                                                                                    "given up at the head"               },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        clear_log(f);
        check_talk(f, cases[i].request, cases[i].want, cases[i].why);
        wait_for(f, cases[i].log);
    }
}

static void test_server__an_early_answer_without_a_body_keeps_the_connection(void **state)
{
    struct fixture *f = *state;
    check_talk(f,
               STR("GET /early HTTP/1.1\r\nHost: h\r\n\r\n"
                   "GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
               "HTTP/1.1 401 Unauthorized\r\n" PLAIN "Content-Length: 2\r\n\r\nno"
               "HTTP/1.1 204 No Content\r\n" CLOSE "\r\n",
               "401 to a GET");
}

static void test_server__bodies_are_taken_up_to_the_limit(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t n;
        bool chunked;
        const char *status;
    } cases[] = {
        {ALLOWED_BYTES - 1, false, "200"},
        {ALLOWED_BYTES,     false, "200"},
        {ALLOWED_BYTES + 1, false, "413"},
        {ALLOWED_BYTES - 1, true,  "200"},
        {ALLOWED_BYTES,     true,  "200"},
        {ALLOWED_BYTES + 1, true,  "413"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char request[1024], raw[2048];
        char body[ALLOWED_BYTES + 2] = {0};
        memset(body, 'x', cases[i].n);
        int n = cases[i].chunked
                    ? snprintf(request, sizeof(request),
                               "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n",
                               cases[i].n, body)
                    : snprintf(request, sizeof(request),
                               "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
                               "Content-Length: %zu\r\n\r\n%s",
                               cases[i].n, body);
        int fd = dial(f);
        say(fd, str_of(request, (size_t)n));
        hear(fd, raw, sizeof(raw), NULL);
        if (strncmp(raw + 9, cases[i].status, 3) != 0)
            print_error("%zu bytes, chunked %d: %s\n", cases[i].n, cases[i].chunked, raw);
        assert_memory_equal(raw + 9, cases[i].status, 3);
        close(fd);
    }
}

static void test_server__a_large_refused_body_does_not_lose_the_answer(void **state)
{
    struct fixture *f = *state;
    static const char ZEROS[1 << 20];
    char raw[2048];
    int fd = dial(f);
    say(fd, STR("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4194304\r\n\r\n"));
    for (int i = 0; i < 4; i++) // all of it is read and dropped
        say(fd, str_of(ZEROS, sizeof(ZEROS)));
    hear(fd, raw, sizeof(raw), NULL);
    assert_memory_equal(raw, "HTTP/1.1 413", 12);
    close(fd);
}

static void test_server__a_caller_who_leaves_is_noticed_at_once(void **state)
{
    struct fixture *f = *state;
    const struct linger reset = {.l_onoff = 1};
    for (int how = 0; how < 3; how++) {
        clear_log(f);
        int fd = dial(f);
        say(fd, STR("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"));
        wait_for(f, "held ");
        if (how == 1)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        if (how == 2)
            shutdown(fd, SHUT_WR); // half-closed cannot be told from gone
        else
            close(fd);
        wait_for(f, "gone:0 ");
        if (how == 2)
            close(fd);
    }
}

static void test_server__too_much_pipelined_behind_a_request_ends_it(void **state)
{
    struct fixture *f = *state;
    static const char JUNK[65536];
    int fd = dial(f);
    say(fd, STR("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"));
    wait_for(f, "held ");
    say(fd, str_of(JUNK, sizeof(JUNK)));
    say(fd, STR("x"));
    wait_for(f, "gone:0 ");
    close(fd);
}

static void answer_held(void *arg)
{
    struct fixture *f = arg;
    exchange_reply(f->held, 200, NULL, 0, STR("late"));
}

static void test_server__requests_behind_a_slow_one_wait(void **state)
{
    struct fixture *f = *state;
    char raw[2048];
    int fd = dial(f);
    say(fd, STR("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"));
    wait_for(f, "held ");
    say(fd, STR("GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    loop_post(f->loop, answer_held, f);
    hear(fd, raw, sizeof(raw), NULL);
    assert_non_null(strstr(raw, "late"));
    assert_non_null(strstr(strstr(raw, "late"), "HTTP/1.1 204"));
    close(fd);
}

static void test_server__an_answer_given_up_has_no_last_chunk(void **state)
{
    struct fixture *f = *state;
    char raw[2048];
    int fd = dial(f);
    say(fd, STR("GET /cut HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear(fd, raw, sizeof(raw), NULL);
    assert_non_null(strstr(raw, "3\r\none\r\n"));
    assert_null(strstr(raw, "0\r\n\r\n"));
    wait_for(f, "cut:200 ");
    close(fd);
}

static void test_server__a_flood_stops_at_the_high_mark_and_goes_on(void **state)
{
    struct fixture *f = *state;
    static char raw[65536];
    int fd = dial(f);
    say(fd, STR("GET /flood HTTP/1.0\r\nHost: h\r\n\r\n"));
    size_t total = 0;
    ssize_t n = take(fd, raw, sizeof(raw));
    while (n > 0) {
        total += (size_t)n;
        n = take(fd, raw, sizeof(raw));
    }
    assert_int_equal(n, 0);
    assert_true(total > FLOOD_BYTES);
    wait_for(f, "sent:200 ");
    close(fd);
}

/* Whichever number of writes fills the sockets: the last one is not lost when the server closes. */
static void test_server__a_last_small_write_to_a_full_socket_arrives(void **state)
{
    (void)state;
    static char raw[256 * PIECE_BYTES];
    struct fixture *f = start_with(1000, NULL, TINY_BUFFER);
    for (int n = 1; n <= 64; n++) {
        char request[128];
        clear_log(f);
        int fd = dial_with(f, TINY_BUFFER);
        snprintf(request, sizeof(request),
                 "POST /pieces HTTP/1.0\r\nHost: h\r\nContent-Length: %d\r\n\r\n%d", n < 10 ? 1 : 2,
                 n);
        say(fd, str_z(request));
        wait_for(f, "written "); // from here on the sockets are as full as they will be
        str got = hear(fd, raw, sizeof(raw), NULL);
        size_t head = str_find(got, STR("\r\n\r\n")) + 4;
        if (got.len - head != (size_t)n * PIECE_BYTES)
            fail_msg("%d pieces: %zu bytes", n, got.len - head);
        wait_for(f, "sent:200 ");
        close(fd);
    }
    stop(f);
}

static void note_idle(void *arg)
{
    note(arg, "drained");
}

static void drain(void *arg)
{
    struct fixture *f = arg;
    server_drain(f->server, note_idle, f);
}

static void test_server__a_drain_lets_the_running_exchange_end(void **state)
{
    struct fixture *f = *state;
    char raw[2048];
    int idle = dial(f), busy = dial(f);
    say(idle, STR("GET /none HTTP/1.1\r\nHost: h\r\n\r\n"));
    hear(idle, raw, sizeof(raw), "\r\n\r\n");
    say(busy, STR("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"));
    wait_for(f, "held ");
    loop_post(f->loop, drain, f);
    assert_int_equal(hear(idle, raw, sizeof(raw), NULL).len, 0);
    loop_post(f->loop, answer_held, f);
    hear(busy, raw, sizeof(raw), NULL);
    assert_non_null(strstr(raw, CLOSE));
    assert_non_null(strstr(raw, "late"));
    wait_for(f, "drained ");
    close(idle);
    close(busy);
}

static void test_server__at_the_cap_connections_wait_unaccepted(void **state)
{
    (void)state;
    struct fixture *f = start_with(1, NULL, 0);
    char raw[2048];
    int first = dial(f), second = dial(f);
    say(first, STR("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"));
    wait_for(f, "held ");
    say(second, STR("GET /none HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
    close(first);
    hear(second, raw, sizeof(raw), NULL);
    assert_memory_equal(raw, "HTTP/1.1 204", 12);
    close(second);
    stop(f);
}

/* ---- under TLS ---- */

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int setup_tls(void **state)
{
    struct tls_context *tls;
    struct err_info info;
    char cert[] = "/tmp/test_server_XXXXXX", key[] = "/tmp/test_server_XXXXXX";
    write_file(cert, CERT_PEM);
    write_file(key, KEY_PEM);
    assert_int_equal(tls_server_context(cert, key, &tls, &info), ERR_OK);
    unlink(cert);
    unlink(key);
    *state = start_with(1000, tls, 0);
    tls_context_release(tls); // the server holds its own
    return 0;
}

struct secure_caller {
    int fd;
    struct tls_session *session;
    enum tls_state state;
    struct buf out;
    struct buf plain;
};

static void take_plain(void *arg, str plain)
{
    struct secure_caller *c = arg;
    buf_append(&c->plain, plain);
}

static void flush_secure(struct secure_caller *c)
{
    say(c->fd, buf_str(&c->out));
    buf_reset(&c->out);
}

/* Reads once; false at the end. */
static bool hear_secure(struct secure_caller *c)
{
    char raw[4096];
    ssize_t n = take(c->fd, raw, sizeof(raw));
    if (n <= 0)
        return false;
    c->state = tls_feed(c->session, str_of(raw, (size_t)n), &c->out, take_plain, c);
    flush_secure(c);
    return true;
}

static void dial_secure(const struct fixture *f, struct secure_caller *c, struct tls_context *tls)
{
    *c = (struct secure_caller){.fd = dial(f),
                                .session = tls_session_new(tls, STR("localhost"), STR(""))};
    buf_init(&c->out, 1 << 20);
    buf_init(&c->plain, 2 * FLOOD_BYTES);
    c->state = tls_begin(c->session, &c->out);
    flush_secure(c);
    while (c->state == TLS_HANDSHAKE)
        assert_true(hear_secure(c));
    assert_int_equal(c->state, TLS_OPEN);
}

static void hang_up_secure(struct secure_caller *c)
{
    tls_session_free(c->session);
    buf_release(&c->out);
    buf_release(&c->plain);
    close(c->fd);
}

static struct tls_context *trusting_context(void)
{
    struct tls_context *tls;
    struct err_info info;
    char root[] = "/tmp/test_server_XXXXXX";
    write_file(root, ROOT_PEM);
    assert_int_equal(tls_client_context(root, &tls, &info), ERR_OK);
    unlink(root);
    return tls;
}

static void test_server__tls_carries_answers_small_and_large(void **state)
{
    static const struct {
        str request;
        size_t min_bytes;
        const char *log;
    } cases[] = {
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),      100,         "sent:200 "                      },
        {STR_C("GET /none HTTP/1.1\r\nHost: h\r\n\r\nGET /stream HTTP/1.1\r\nHost: h\r\n"
               "Connection: close\r\n\r\n"),
         200,                                                                               "sent:204 head request sent:200 "},
        {STR_C("GET /flood HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), FLOOD_BYTES,
         "sent:200 "                                                                                                         },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n"),   100,         "sent:413 "                      },
    };
    struct fixture *f = *state;
    struct tls_context *tls = trusting_context();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        clear_log(f);
        struct secure_caller c;
        dial_secure(f, &c, tls);
        assert_int_equal(tls_write(c.session, cases[i].request, &c.out), TLS_OPEN);
        flush_secure(&c);
        while (c.state == TLS_OPEN && hear_secure(&c))
            ;
        assert_int_equal(c.state, TLS_CLOSED); // with a close_notify: nothing was cut off
        if (c.plain.len < cases[i].min_bytes)
            print_error("%zu bytes to: %.*s\n", c.plain.len, STR_ARG(cases[i].request));
        assert_true(c.plain.len >= cases[i].min_bytes);
        wait_for(f, cases[i].log);
        hang_up_secure(&c);
    }
    tls_context_release(tls);
}

static void test_server__a_caller_who_leaves_is_noticed_under_tls(void **state)
{
    struct fixture *f = *state;
    struct tls_context *tls = trusting_context();
    struct secure_caller c;
    dial_secure(f, &c, tls);
    assert_int_equal(tls_write(c.session, STR("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n"), &c.out),
                     TLS_OPEN);
    flush_secure(&c);
    wait_for(f, "held ");
    hang_up_secure(&c);
    wait_for(f, "gone:0 ");
    tls_context_release(tls);
}

static void test_server__plain_text_on_the_tls_port_is_closed(void **state)
{
    char raw[256];
    int fd = dial(*state);
    say(fd, STR("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_true(hear(fd, raw, sizeof(raw), NULL).len < 20); // an alert at most
    close(fd);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_server__answers_are_framed_as_the_caller_needs_them),
        WITH_SERVER(test_server__pipelined_requests_are_answered_in_order),
        WITH_SERVER(test_server__a_backlog_of_a_whole_connection_is_worked_off),
        WITH_SERVER(test_server__what_is_refused_gets_an_answer_and_a_closed_connection),
        WITH_SERVER(test_server__an_early_answer_without_a_body_keeps_the_connection),
        WITH_SERVER(test_server__bodies_are_taken_up_to_the_limit),
        WITH_SERVER(test_server__a_large_refused_body_does_not_lose_the_answer),
        WITH_SERVER(test_server__a_caller_who_leaves_is_noticed_at_once),
        WITH_SERVER(test_server__too_much_pipelined_behind_a_request_ends_it),
        WITH_SERVER(test_server__requests_behind_a_slow_one_wait),
        WITH_SERVER(test_server__an_answer_given_up_has_no_last_chunk),
        WITH_SERVER(test_server__a_flood_stops_at_the_high_mark_and_goes_on),
        WITH_SERVER(test_server__a_drain_lets_the_running_exchange_end),
        cmocka_unit_test_setup_teardown(test_server__tls_carries_answers_small_and_large, setup_tls,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_server__a_caller_who_leaves_is_noticed_under_tls,
                                        setup_tls, teardown),
        cmocka_unit_test_setup_teardown(test_server__plain_text_on_the_tls_port_is_closed,
                                        setup_tls, teardown),
        cmocka_unit_test(test_server__at_the_cap_connections_wait_unaccepted),
        cmocka_unit_test(test_server__a_last_small_write_to_a_full_socket_arrives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
