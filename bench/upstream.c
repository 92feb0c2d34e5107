/*
 * upstream - answers POST /api/chat as Ollama does, without a model
 *
 * The model's name says how: `whole` is one object of 400 bytes; `lines-N-U` is a stream of N
 * lines, one every U microseconds, or as fast as the socket takes them when U is 0. N = 0 never
 * ends. Each line is its own write and its own chunk, as Ollama flushes each token. POST /api/embed
 * gets 64 vectors of 1,024 numbers, whatever was asked. Any GET gets a version object. What it does
 * not understand is answered with 400.
 *
 *     upstream --port N [--cert FILE --key FILE] [--seconds N]
 */
#include "ask.h"
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#define HEAD_MAX    16384 // a request's head and the begin of its body
#define BODY_BEGIN  512   // bytes of a body in which the model's name must stand
#define PIECE_MAX   1024  // bytes of one write: an answer's head and a line
#define BATCH       256
#define IDLE_WAIT   (60 * NS_PER_S)
#define WHOLE_BYTES 400
#define VECTORS     64
#define NUMBERS     1024 // of a vector
#define NOT_QUEUED  SIZE_MAX

struct conn {
    struct sock sock;
    char *head; // owned; of the request in hand, NULL between requests
    size_t head_len;
    size_t head_end; // 0: not yet seen
    size_t body_left;
    uint64_t lines_left;
    uint64_t interval_ns; // 0: back to back
    uint64_t due_ns;
    size_t queue_at;       // in the queue of paced streams, or NOT_QUEUED
    char piece[PIECE_MAX]; // what the socket did not take
    size_t piece_len;
    size_t piece_at;
    const char *rest; // behind the piece, borrowed
    size_t rest_len;
    bool streaming;
    bool endless;
    bool ended; // the last line was written, the last chunk was not
    bool wants_out;
};

static struct {
    int epoll_fd;
    int listener;
    struct tls *tls;
    struct conn **queue; // a heap by due_ns
    size_t n_queue;
    size_t queue_cap;
    uint64_t n_streams; // begun so far
    char whole[1024];   // the answer to `whole`
    size_t whole_len;
    struct bytes vectors; // the answer to a request for embeddings
} up;

/* ---- the queue of paced streams ------------------------------------------------------------- */

static void queue_put(size_t at, struct conn *c)
{
    up.queue[at] = c;
    c->queue_at = at;
}

static void queue_settle(size_t at)
{
    struct conn *c = up.queue[at];
    while (at > 0 && up.queue[(at - 1) / 2]->due_ns > c->due_ns) {
        queue_put(at, up.queue[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= up.n_queue)
            break;
        if (child + 1 < up.n_queue && up.queue[child + 1]->due_ns < up.queue[child]->due_ns)
            child++;
        if (up.queue[child]->due_ns >= c->due_ns)
            break;
        queue_put(at, up.queue[child]);
        at = child;
    }
    queue_put(at, c);
}

static void queue_add(struct conn *c)
{
    if (up.n_queue == up.queue_cap) {
        up.queue_cap = up.queue_cap == 0 ? 1024 : 2 * up.queue_cap;
        up.queue = realloc(up.queue, up.queue_cap * sizeof(*up.queue));
        if (up.queue == NULL)
            die("out of memory");
    }
    queue_put(up.n_queue, c);
    up.n_queue++;
    queue_settle(c->queue_at);
}

static void queue_remove(struct conn *c)
{
    if (c->queue_at == NOT_QUEUED)
        return;
    size_t at = c->queue_at;
    c->queue_at = NOT_QUEUED;
    up.n_queue--;
    if (at == up.n_queue)
        return;
    queue_put(at, up.queue[up.n_queue]);
    queue_settle(at);
}

/* ---- answers -------------------------------------------------------------------------------- */

static void conn_close(struct conn *c)
{
    queue_remove(c);
    sock_close(&c->sock);
    free(c->head);
    free(c);
}

static void want_out(struct conn *c, bool wanted)
{
    if (c->wants_out == wanted)
        return;
    c->wants_out = wanted;
    struct epoll_event ev = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0U), .data.ptr = c};
    if (epoll_ctl(up.epoll_fd, EPOLL_CTL_MOD, c->sock.fd, &ev) != 0)
        die("cannot change an epoll entry: %s", strerror(errno));
}

/* Writes up to `*len` bytes from `*p` and moves both on; false: the connection is gone. */
static bool write_some(struct conn *c, const char **p, size_t *len)
{
    while (*len > 0) {
        ssize_t n = sock_write(&c->sock, *p, *len);
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        *p += n;
        *len -= (size_t)n;
    }
    return true;
}

static bool is_blocked(const struct conn *c)
{
    return c->piece_len > 0 || c->rest_len > 0;
}

/* Writes what the socket has not taken yet. False: the connection is gone. */
static bool flush(struct conn *c)
{
    const char *at = c->piece + c->piece_at;
    size_t left = c->piece_len - c->piece_at;
    if (!write_some(c, &at, &left))
        return false;
    c->piece_at = c->piece_len - left;
    if (left == 0) {
        c->piece_at = c->piece_len = 0;
        if (!write_some(c, &c->rest, &c->rest_len))
            return false;
    }
    // A stream that goes back to back is written whenever there is room.
    want_out(c, is_blocked(c) || (c->streaming && c->interval_ns == 0));
    return true;
}

static bool put(struct conn *c, const char *text, size_t len)
{
    if (len > sizeof(c->piece) - c->piece_len)
        die("an answer is larger than its buffer");
    memcpy(c->piece + c->piece_len, text, len);
    c->piece_len += len;
    return flush(c);
}

static size_t line_text(char *to, size_t size, bool last)
{
    uint64_t mark = now_ns() & MARK_MASK;
    int n;
    if (last)
        n = snprintf(to, size,
                     "{\"model\":\"bench\",\"created_at\":\"2026-01-02T03:04:05.678901234Z\","
                     "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,"
                     "\"done_reason\":\"stop\",\"total_duration\":2043224747,"
                     "\"load_duration\":323970054,\"prompt_eval_count\":17,"
                     "\"prompt_eval_duration\":777419630,\"eval_count\":11,"
                     "\"eval_duration\":908316768}\n");
    else
        n = snprintf(to, size,
                     "{\"model\":\"bench\",\"created_at\":\"2026-01-02T03:04:05.678901234Z\","
                     "\"message\":{\"role\":\"assistant\",\"content\":\" @%0*llx\"},"
                     "\"done\":false}\n",
                     MARK_DIGITS, (unsigned long long)mark);
    return (size_t)n;
}

/* Writes the next line as a chunk, behind the answer's head if `head` is given. */
static bool put_line(struct conn *c, const char *head)
{
    char line[PIECE_MAX / 2];
    char out[PIECE_MAX];
    if (c->ended) { // the end of the body is a write of its own, as Ollama's is
        c->ended = c->streaming = false;
        queue_remove(c);
        return put(c, "0\r\n\r\n", 5);
    }
    bool last = !c->endless && c->lines_left == 0;
    size_t len = line_text(line, sizeof(line), last);
    int n = snprintf(out, sizeof(out), "%s%zx\r\n%.*s\r\n", head, len, (int)len, line);
    if (last)
        c->ended = true;
    else if (!c->endless)
        c->lines_left--;
    return put(c, out, (size_t)n);
}

static bool begin_stream(struct conn *c, uint64_t lines, uint64_t interval_us)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n"
                               "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    c->streaming = true;
    c->endless = lines == 0;
    c->lines_left = lines;
    c->interval_ns = interval_us * 1000;
    if (c->interval_ns > 0) {
        // Streams begun together are spread over the interval: steps of the golden ratio.
        double phase = (double)up.n_streams * 0.6180339887498949;
        phase -= (double)(uint64_t)phase;
        c->due_ns = now_ns() + (uint64_t)(phase * (double)c->interval_ns) + 1;
        queue_add(c);
    }
    up.n_streams++;
    return put_line(c, head);
}

static void prepare_whole(void)
{
    char body[WHOLE_BYTES + 1];
    const char *tail = "\"},\"done\":true,\"done_reason\":\"stop\",\"total_duration\":1187656021,"
                       "\"load_duration\":238374962,\"prompt_eval_count\":12,"
                       "\"prompt_eval_duration\":459474305,\"eval_count\":6,"
                       "\"eval_duration\":457074945}";
    int n = snprintf(body, sizeof(body),
                     "{\"model\":\"bench\",\"created_at\":\"2026-01-02T03:04:05.678901234Z\","
                     "\"message\":{\"role\":\"assistant\",\"content\":\"@%0*d",
                     MARK_DIGITS, 0);
    size_t tail_len = strlen(tail);
    for (size_t i = (size_t)n; i < WHOLE_BYTES - tail_len; i++)
        body[i] = i % 6 == 0 ? ' ' : 'o';
    memcpy(body + WHOLE_BYTES - tail_len, tail, tail_len + 1);
    n = snprintf(up.whole, sizeof(up.whole),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
                 "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\nContent-Length: %d\r\n\r\n%s",
                 WHOLE_BYTES, body);
    up.whole_len = (size_t)n;
}

static bool put_fixed(struct conn *c, const char *status, const char *body)
{
    char out[PIECE_MAX];
    int n = snprintf(out, sizeof(out),
                     "HTTP/1.1 %s\r\nContent-Type: application/json; charset=utf-8\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     status, strlen(body), body);
    return put(c, out, (size_t)n);
}

static bool put_vectors(struct conn *c)
{
    char out[PIECE_MAX];
    int n = snprintf(out, sizeof(out),
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     up.vectors.len);
    c->rest = up.vectors.p;
    c->rest_len = up.vectors.len;
    return put(c, out, (size_t)n);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* The value of the field `name`, NULL if there is none. */
static const char *find_field(const char *head, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = strstr(head, "\r\n"); p != NULL; p = strstr(p, "\r\n")) {
        p += 2;
        if (strncasecmp(p, name, len) == 0 && p[len] == ':')
            return p + len + 1;
    }
    return NULL;
}

static bool answer(struct conn *c)
{
    unsigned long long lines;
    unsigned long long interval_us;
    const char *body = c->head + c->head_end;
    const char *model = strstr(body, "\"model\"");
    bool is_get = strncmp(c->head, "GET ", 4) == 0;
    bool is_chat = strncmp(c->head, "POST /api/chat ", 15) == 0;
    model = model != NULL ? strchr(model + 7, '"') : NULL;

    bool alive;
    if (is_get)
        alive = put_fixed(c, "200 OK", "{\"version\":\"0.24.0\"}");
    else if (strncmp(c->head, "POST /api/embed ", 16) == 0)
        alive = put_vectors(c);
    else if (!is_chat || model == NULL)
        alive = put_fixed(c, "400 Bad Request", "{\"error\":\"bench: not a chat\"}");
    else if (strncmp(model, "\"whole\"", 7) == 0)
        alive = put(c, up.whole, up.whole_len);
    else if (sscanf(model, "\"lines-%llu-%llu\"", &lines, &interval_us) == 2)
        alive = begin_stream(c, lines, interval_us);
    else
        alive = put_fixed(c, "400 Bad Request", "{\"error\":\"bench: unknown model\"}");
    free(c->head);
    c->head = NULL;
    c->head_len = c->head_end = 0;
    return alive;
}

/* Looks whether the head is whole; if so, counts what is missing of the body. */
static bool take_head(struct conn *c)
{
    c->head[c->head_len] = '\0';
    char *end = strstr(c->head, "\r\n\r\n");
    if (end == NULL)
        return c->head_len < HEAD_MAX;
    c->head_end = (size_t)(end - c->head) + 4;
    end[3] = '\0'; // head and body are texts of their own
    if (find_field(c->head, "transfer-encoding") != NULL)
        return false;
    const char *length = find_field(c->head, "content-length");
    uint64_t body = length != NULL ? strtoull(length, NULL, 10) : 0;
    uint64_t have = c->head_len - c->head_end;
    if (have > body)
        return false; // pipelining, which no proxy does
    c->body_left = (size_t)(body - have);
    return true;
}

/* False: the connection is gone, or said what this program does not understand. */
static bool take(struct conn *c, const char *p, size_t n)
{
    if (c->streaming)
        return false;
    if (c->head == NULL) {
        c->head = malloc(HEAD_MAX + 1);
        if (c->head == NULL)
            die("out of memory");
    }
    if (c->head_end == 0) {
        size_t room = HEAD_MAX - c->head_len;
        size_t part = n < room ? n : room;
        memcpy(c->head + c->head_len, p, part);
        c->head_len += part;
        p += part;
        n -= part;
        if (!take_head(c) || (c->head_end == 0 && n > 0))
            return false;
        if (c->head_end == 0)
            return true;
    }
    // Of a body only the begin is kept.
    size_t keep = c->head_end + BODY_BEGIN;
    if (c->head_len < keep && n > 0 && keep < HEAD_MAX) {
        size_t part = n < keep - c->head_len ? n : keep - c->head_len;
        memcpy(c->head + c->head_len, p, part);
        c->head_len += part;
        c->head[c->head_len] = '\0';
    }
    if (n > c->body_left)
        return false;
    c->body_left -= n;
    return c->body_left > 0 || answer(c);
}

static bool read_some(struct conn *c)
{
    static char in[256 << 10];
    for (;;) {
        ssize_t n = sock_read(&c->sock, in, sizeof(in));
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0 || !take(c, in, (size_t)n))
            return false;
        if (c->sock.tls == NULL)
            return true; // level-triggered: what is left is told again
    }
}

static void on_event(struct conn *c, uint32_t events)
{
    bool alive = true;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        alive = read_some(c);
    if (alive && (events & EPOLLOUT) != 0) {
        if (is_blocked(c))
            alive = flush(c);
        else if (c->streaming && c->interval_ns == 0)
            alive = put_line(c, "");
        else
            want_out(c, false);
    }
    if (!alive)
        conn_close(c);
}

static void accept_all(void)
{
    struct sock s;
    // The epoll set holds what is made here.
    while (sock_accept(up.listener, up.tls, &s)) { // NOLINT(clang-analyzer-unix.Malloc)
        struct conn *c = calloc(1, sizeof(*c));
        if (c == NULL)
            die("out of memory");
        c->sock = s;
        c->queue_at = NOT_QUEUED;
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(up.epoll_fd, EPOLL_CTL_ADD, s.fd, &ev) != 0)
            die("cannot add to epoll: %s", strerror(errno));
    }
}

/* Writes the lines that are due; returns how long the next one may wait. */
static uint64_t run_due(void)
{
    uint64_t now = now_ns();
    for (int n = 0; n < BATCH && up.n_queue > 0 && up.queue[0]->due_ns <= now; n++) {
        struct conn *c = up.queue[0];
        c->due_ns += c->interval_ns;
        queue_settle(0);
        // A caller that does not read misses lines.
        if (c->piece_len == 0 && !put_line(c, ""))
            conn_close(c);
    }
    if (up.n_queue == 0)
        return IDLE_WAIT;
    now = now_ns();
    return up.queue[0]->due_ns > now ? up.queue[0]->due_ns - now : 0;
}

static _Noreturn void run(void)
{
    struct epoll_event events[BATCH];
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(up.epoll_fd, EPOLL_CTL_ADD, up.listener, &ev) != 0)
        die("cannot add to epoll: %s", strerror(errno));
    for (;;) {
        int n = poll_wait(up.epoll_fd, events, BATCH, run_due());
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL)
                accept_all();
            else
                on_event(events[i].data.ptr, events[i].events);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port",    required_argument, NULL, 'p'},
        {"cert",    required_argument, NULL, 'c'},
        {"key",     required_argument, NULL, 'k'},
        {"seconds", required_argument, NULL, 's'},
        {NULL,      0,                 NULL, 0  },
    };
    uint16_t port = 0;
    unsigned seconds = 7200;
    const char *cert = NULL;
    const char *key = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p')
            port = (uint16_t)parse_number("port", optarg, 1, 65535);
        else if (option == 'c')
            cert = optarg;
        else if (option == 'k')
            key = optarg;
        else if (option == 's')
            seconds = (unsigned)parse_number("seconds", optarg, 1, 1000000);
        else
            die("usage: upstream --port N [--cert FILE --key FILE] [--seconds N]");
    }
    if (port == 0)
        die("--port is missing");
    tool_start(seconds);
    if (cert != NULL && key != NULL)
        up.tls = tls_server(cert, key);
    prepare_whole();
    up.vectors = vectors_build(VECTORS, NUMBERS);
    up.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    up.listener = sock_listen(port);
    run();
}
