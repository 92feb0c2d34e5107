/*
 * upstream - a client under test and the upstream it talks to, in one thread
 *
 * The test is the upstream: it accepts, reads and sends on plain sockets of 127.0.0.1, and lets
 * the client's loop run in between. Nothing sleeps; what does not come within WATCHDOG_MS fails
 * the test.
 */
#ifndef TESTS_UPSTREAM_H
#define TESTS_UPSTREAM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "net/client.h"

#define WATCHDOG_MS 20000

struct fixture {
    struct loop *loop;
    struct client *client;
    struct client_options options;
    struct address_policy policy;
    struct loop_timer watchdog;
    struct arena arena;
    int listener;
    uint16_t port;
    char url_text[64];
    struct url url;
};

/* What a call told its owner. */
struct outcome {
    struct fixture *f;
    struct client_call *call;
    int heads;
    int dones;
    int fails;
    int status;
    char field[64]; // value of X-Test
    struct buf body;
    enum client_fail how;
    char text[512];
    bool cancel_in_head;
    bool cancel_in_body;
    bool pause_in_head;
};

static inline bool is_over(const struct outcome *o)
{
    return o->dones + o->fails > 0;
}

/* ---- the loop ---- */

static inline void stop_loop(void *arg)
{
    loop_stop(arg);
}

/* One pass over what is ready. */
static inline void spin(struct fixture *f)
{
    loop_post(f->loop, stop_loop, f->loop);
    loop_run(f->loop);
}

static inline void on_watchdog(void *arg)
{
    (void)arg;
    fail_msg("nothing happened for %d ms", WATCHDOG_MS);
}

/* Runs until the call has ended. */
static inline void run_to_end(struct outcome *o)
{
    loop_timer_set(o->f->loop, &o->f->watchdog, WATCHDOG_MS);
    while (!is_over(o))
        loop_run(o->f->loop);
    loop_timer_cancel(o->f->loop, &o->f->watchdog);
}

/* ---- the call's owner ---- */

static inline void outcome_on_head(void *arg, const struct http1_message *m)
{
    struct outcome *o = arg;
    o->heads++;
    o->status = m->status;
    snprintf(o->field, sizeof(o->field), "%.*s", STR_ARG(http1_find(m, STR("X-Test"))));
    if (o->pause_in_head)
        client_pause(o->call);
    if (o->cancel_in_head)
        client_cancel(o->call);
}

static inline void outcome_on_body(void *arg, str data)
{
    struct outcome *o = arg;
    buf_append(&o->body, data);
    if (o->cancel_in_body)
        client_cancel(o->call);
}

static inline void outcome_on_done(void *arg)
{
    struct outcome *o = arg;
    o->dones++;
    loop_stop(o->f->loop);
}

static inline void outcome_on_fail(void *arg, enum client_fail how, str text)
{
    struct outcome *o = arg;
    o->fails++;
    o->how = how;
    snprintf(o->text, sizeof(o->text), "%.*s", STR_ARG(text));
    loop_stop(o->f->loop);
}

static const struct client_events OUTCOME_EVENTS = {
    .on_head = outcome_on_head,
    .on_body = outcome_on_body,
    .on_done = outcome_on_done,
    .on_fail = outcome_on_fail,
};

static inline void start(struct fixture *f, struct outcome *o, const struct client_request *r)
{
    *o = (struct outcome){.f = f};
    buf_init(&o->body, (size_t)64 << 20);
    o->call = client_start(f->client, r, &OUTCOME_EVENTS, o);
    assert_false(is_over(o)); // no event before it returns
}

/* Starts a small POST to /api/chat. */
static inline void start_chat(struct fixture *f, struct outcome *o)
{
    static const str body = STR_C("{\"model\":\"m\"}");
    const struct client_request r = {.url = &f->url,
                                     .method = STR("POST"),
                                     .path = STR("/api/chat"),
                                     .content_type = STR("application/json"),
                                     .body = &body,
                                     .n_body = 1};
    start(f, o, &r);
}

static inline void release(struct outcome *o)
{
    buf_release(&o->body);
}

/* ---- the upstream ---- */

static inline int listen_at(const char *addr, uint16_t *port, int backlog)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t len = sizeof(in);
    assert_int_equal(inet_pton(AF_INET, addr, &in.sin_addr), 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    if (bind(fd, (struct sockaddr *)&in, len) != 0 || listen(fd, backlog) != 0)
        fail_msg("cannot listen at %s:%u", addr, *port);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *port = ntohs(in.sin_port);
    return fd;
}

/* Waits until `fd` can be read, and lets the loop run meanwhile. */
static inline void await_readable(struct fixture *f, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t start_ms = loop_now_ms(f->loop);
    while (poll(&p, 1, 0) == 0) {
        spin(f);
        if (loop_now_ms(f->loop) - start_ms > WATCHDOG_MS)
            fail_msg("the client sends nothing");
    }
}

static inline int accept_at(struct fixture *f, int listener)
{
    await_readable(f, listener);
    int fd = accept(listener, NULL, NULL);
    int on = 1;
    assert_true(fd >= 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static inline int accept_one(struct fixture *f)
{
    return accept_at(f, f->listener);
}

/* Whether a connection waits to be accepted. */
static inline bool someone_connects(struct fixture *f)
{
    struct pollfd p = {.fd = f->listener, .events = POLLIN};
    spin(f);
    spin(f);
    return poll(&p, 1, 0) == 1;
}

/* Reads one request whole; returns it zero-terminated, in the fixture's arena. */
static inline char *read_request(struct fixture *f, int fd)
{
    struct buf b;
    buf_init(&b, (size_t)64 << 20);
    size_t need = SIZE_MAX;
    while (b.len < need) {
        await_readable(f, fd);
        assert_true(buf_reserve(&b, 65536));
        ssize_t n = recv(fd, b.p + b.len, 65536, 0);
        if (n <= 0)
            fail_msg("the connection ended inside a request");
        b.len += (size_t)n;
        str all = buf_str(&b);
        size_t head = str_find(all, STR("\r\n\r\n"));
        if (head == all.len || need != SIZE_MAX)
            continue;
        need = head + 4;
        size_t at = str_find(str_head(all, head), STR("Content-Length: "));
        if (at < head) {
            str digits;
            str rest;
            uint64_t length;
            str_cut(str_skip(all, at + 16), '\r', &digits, &rest);
            assert_true(str_to_u64(digits, &length));
            need += length;
        }
    }
    assert_int_equal(b.len, need);
    str copy = arena_printf(&f->arena, "%.*s", STR_ARG(buf_str(&b)));
    buf_release(&b);
    return (char *)copy.p;
}

static inline void send_bytes(int fd, str s)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.p, s.len, MSG_NOSIGNAL);
        if (n <= 0)
            return; // the client closed
        s = str_skip(s, (size_t)n);
    }
}

static inline void send_text(int fd, const char *text)
{
    send_bytes(fd, str_z(text));
}

/* Whether the client closed its side; what it sent before is dropped. */
static inline bool is_closed(struct fixture *f, int fd)
{
    char dropped[4096];
    for (int turns = 0; turns < 4; turns++) {
        spin(f);
        ssize_t n = recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return true;
    }
    return false;
}

#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* Serves one call on `fd` with a good answer. */
static inline void serve(struct outcome *o, int fd, const char *answer)
{
    read_request(o->f, fd);
    send_text(fd, answer);
    run_to_end(o);
}

/* ---- set up ---- */

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->loop = loop_new();
    arena_init(&f->arena, (size_t)64 << 20);
    f->listener = listen_at("127.0.0.1", &f->port, 512);
    snprintf(f->url_text, sizeof(f->url_text), "http://127.0.0.1:%u", f->port);
    if (url_parse(&f->arena, str_z(f->url_text), &f->url, NULL) != ERR_OK)
        return -1;
    loop_timer_init(&f->watchdog, on_watchdog, f);
    f->options = (struct client_options){
        .addresses = &f->policy, .connect_timeout_ms = 10000, .user_agent = STR("test/1")};
    f->client = client_new(f->loop, &f->options);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    close(f->listener);
    client_free(f->client);
    loop_free(f->loop);
    arena_release(&f->arena);
    free(f);
    return 0;
}

#endif
