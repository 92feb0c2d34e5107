/*
 * load - asks a server on 127.0.0.1 for chats and measures what that costs it
 *
 * Three ways, by the options: closed loop (each connection asks again when it has its answer);
 * open loop with --rate (questions come at random times whether or not answers do, and their
 * latency counts from that time, so a slow server cannot hide its queue); held streams (--stream
 * with --lines 0: all are opened, then measured while they stay open).
 *
 * One JSON object goes to stdout. Anything but complete, right answers is counted as an error,
 * the first with its sentence. CPU and memory of the processes in --pids are read at both ends of
 * the window in which is measured.
 *
 * Threads: one. Time: bounded by --window-ms, --warm-ms and OPEN_NS.
 */
#include "answer.h"
#include "ask.h"
#include "proc.h"
#include "tool.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define BATCH       256
#define OPEN_NS     (60 * NS_PER_S) // for all held streams to open, and for a count to complete
#define OPENING_MAX 128             // held streams that wait for their first line
#define ERRORS_MAX  100             // then the run ends
#define BACKLOG_MAX 65536           // questions that wait for a connection
#define SOURCES     8               // 127.0.0.2 and up: each has all ports

enum phase { PHASE_OPEN, PHASE_WARM, PHASE_MEASURE, PHASE_OVER };

enum conn_state { CONN_CLOSED, CONN_OPENING, CONN_IDLE, CONN_BUSY };

struct conn {
    struct sock sock;
    enum conn_state state;
    bool first_seen;
    size_t sent;
    uint64_t asked_ns;
    struct conn *next_idle;
    unsigned source;
    struct answer answer;
};

static struct {
    // What was asked for.
    uint16_t port;
    struct ask ask;
    uint64_t lines; // that each stream must have; 0: they do not end
    size_t n_conns;
    double rate;       // questions a second; 0: closed loop
    uint64_t requests; // to complete; 0: as many as the window takes
    uint64_t warm_ns;
    uint64_t window_ns;
    struct proc_set pids;
    struct tls *tls;

    // The run.
    struct bytes question;
    struct conn *conns;
    struct conn *idle;
    int epoll_fd;
    enum phase phase;
    uint64_t phase_end_ns;
    uint64_t read_ns; // when the bytes in hand were read
    size_t n_begun;   // held streams asked for
    size_t n_open;    // and with their first line
    uint64_t n_asked;
    uint64_t next_ns; // open loop: when the next question comes
    uint64_t noise;
    uint64_t *backlog; // a ring of the times of questions
    size_t backlog_at;
    size_t backlog_n;

    // What was seen.
    uint64_t began_ns;
    uint64_t ended_ns;
    struct proc_cost before;
    struct proc_cost begin;
    struct proc_cost end;
    uint64_t n_done;
    uint64_t n_lines;
    uint64_t n_bytes;
    uint64_t n_connects;
    struct hist whole; // question to the end of its answer
    struct hist first; // question to the first line
    struct hist line;  // written by the upstream to read here
    uint64_t n_errors;
    char error[512];
} run;

static bool is_held(void)
{
    return run.ask.stream && run.lines == 0;
}

static void ask_next(struct conn *c);

/* ---- counting ------------------------------------------------------------------------------- */

static void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void fail(const char *fmt, ...)
{
    if (run.phase == PHASE_OVER)
        return;
    if (run.n_errors++ == 0) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(run.error, sizeof(run.error), fmt, args);
        va_end(args);
    }
    if (run.n_errors >= ERRORS_MAX || run.requests > 0) // a count would never be complete
        run.phase = PHASE_OVER;
}

static void enter(enum phase phase)
{
    uint64_t now = now_ns();
    run.phase = phase;
    if (phase == PHASE_OPEN) {
        run.phase_end_ns = now + OPEN_NS;
    } else if (phase == PHASE_WARM) {
        run.phase_end_ns = now + run.warm_ns;
    } else if (phase == PHASE_MEASURE) {
        run.n_done = run.n_lines = run.n_bytes = 0;
        memset(&run.whole, 0, sizeof(run.whole));
        memset(&run.first, 0, sizeof(run.first));
        memset(&run.line, 0, sizeof(run.line));
        run.begin = proc_cost_read(&run.pids);
        run.began_ns = now_ns();
        run.phase_end_ns = run.began_ns + (run.requests > 0 ? OPEN_NS : run.window_ns);
    } else {
        run.end = proc_cost_read(&run.pids);
        run.ended_ns = now;
    }
}

static void on_mark(void *arg, uint64_t mark)
{
    struct conn *c = arg;
    run.n_lines++;
    if (!run.ask.stream)
        return;
    hist_add(&run.line, (run.read_ns - mark) & MARK_MASK);
    if (c->first_seen)
        return;
    c->first_seen = true;
    run.n_open++;
    hist_add(&run.first, run.read_ns - c->asked_ns);
}

/* ---- connections ---------------------------------------------------------------------------- */

/* The stream in hand, if it had begun, is open no more. */
static void stream_over(struct conn *c)
{
    if (c->first_seen)
        run.n_open--;
    c->first_seen = false;
}

static void conn_close(struct conn *c)
{
    sock_close(&c->sock); // leaves the epoll set with it
    stream_over(c);
    c->state = CONN_CLOSED;
}

static void conn_failed(struct conn *c, const char *what)
{
    int saved = errno;
    struct answer *a = &c->answer;
    if (a->head_len > 0)
        a->head[strcspn(a->head, "\r\n")] = '\0';
    fail("%s (errno: %s; answer: '%.60s', %" PRIu64 " bytes of body, %" PRIu64 " lines)", what,
         strerror(saved), a->head_len > 0 ? a->head : "", a->size, a->marks);
    conn_close(c);
    if (!is_held() && run.phase != PHASE_OVER)
        ask_next(c);
}

static void push(struct conn *c)
{
    while (c->sent < run.question.len) {
        ssize_t n = sock_write(&c->sock, run.question.p + c->sent, run.question.len - c->sent);
        if (n <= 0) {
            if (n == 0 || errno != EAGAIN)
                conn_failed(c, "cannot send the question");
            return;
        }
        c->sent += (size_t)n;
    }
}

static void conn_open(struct conn *c)
{
    run.n_connects++;
    if (!sock_connect(c->source, run.port, run.tls, &c->sock)) {
        fail("cannot connect: %s", strerror(errno));
        return;
    }
    c->state = CONN_OPENING;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    if (epoll_ctl(run.epoll_fd, EPOLL_CTL_ADD, c->sock.fd, &ev) != 0)
        die("cannot add to epoll: %s", strerror(errno));
}

/* Asks on a connection that waits for nothing; `at_ns` is when the question came up. */
static void ask_on(struct conn *c, uint64_t at_ns)
{
    answer_reset(&c->answer);
    c->answer.head[0] = '\0';
    c->asked_ns = at_ns;
    c->sent = 0;
    run.n_asked++;
    if (c->state == CONN_CLOSED) {
        conn_open(c);
        return;
    }
    c->state = CONN_BUSY;
    push(c);
}

/* What a connection does that has its answer. */
static void ask_next(struct conn *c)
{
    if (run.phase == PHASE_OVER || (run.requests > 0 && run.n_asked >= run.requests))
        return;
    if (run.rate == 0) {
        ask_on(c, now_ns());
    } else if (run.backlog_n > 0) {
        uint64_t at_ns = run.backlog[run.backlog_at];
        run.backlog_at = (run.backlog_at + 1) % BACKLOG_MAX;
        run.backlog_n--;
        ask_on(c, at_ns);
    } else {
        c->next_idle = run.idle;
        run.idle = c;
    }
}

/* What is wrong with a whole answer; NULL: nothing. */
static const char *fault_of(const struct answer *a)
{
    uint64_t marks = run.ask.stream ? run.lines : run.ask.inputs > 0 ? 0 : 1;
    if (a->status != 200)
        return "the status is not 200";
    if (is_held())
        return "a stream that should stay open ended";
    return a->marks == marks ? NULL : "an answer is not complete";
}

static void on_answer(struct conn *c)
{
    const char *fault = fault_of(&c->answer);
    if (fault != NULL) {
        errno = 0;
        conn_failed(c, fault);
        return;
    }
    run.n_done++;
    hist_add(&run.whole, run.read_ns - c->asked_ns);
    stream_over(c);
    if (c->answer.close)
        conn_close(c);
    else
        c->state = CONN_IDLE;
    if (run.requests > 0 && run.n_done == run.requests)
        enter(PHASE_OVER);
    else
        ask_next(c);
}

/* The server closed a connection: its right between two answers, an error within one. */
static void on_closed(struct conn *c, ssize_t n)
{
    if (n == 0)
        errno = 0;
    if (c->state == CONN_BUSY)
        conn_failed(c, "a connection was closed within an answer");
    else
        conn_close(c); // if it is in the list of idle ones it stays there: it will be opened
}

static void pull(struct conn *c)
{
    static char in[256 << 10];
    const struct mark_sink sink = {.on_mark = on_mark, .arg = c};
    while (c->state == CONN_BUSY || c->state == CONN_IDLE) {
        ssize_t n = sock_read(&c->sock, in, sizeof(in));
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            on_closed(c, n);
            return;
        }
        run.read_ns = now_ns();
        run.n_bytes += (uint64_t)n;
        if (c->state == CONN_IDLE) {
            conn_failed(c, "there are bytes behind an answer");
            return;
        }
        size_t used = answer_feed(&c->answer, in, (size_t)n, &sink);
        if (c->answer.state == ANSWER_BROKEN)
            conn_failed(c, c->answer.why);
        else if (c->answer.state == ANSWER_DONE && used < (size_t)n)
            conn_failed(c, "there are bytes behind an answer");
        else if (c->answer.state == ANSWER_DONE)
            on_answer(c);
        if (run.tls == NULL && (size_t)n < sizeof(in))
            return; // the socket was emptied: the next bytes make an event of their own
    }
}

static void on_event(struct conn *c, uint32_t events)
{
    if (c->state == CONN_OPENING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
        errno = sock_connect_result(&c->sock);
        if (errno != 0) {
            conn_failed(c, "cannot connect");
            return;
        }
        c->state = CONN_BUSY;
    }
    if (c->state == CONN_BUSY && c->sent < run.question.len)
        push(c);
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        pull(c);
}

/* ---- the loop ------------------------------------------------------------------------------- */

/* The time to the next question: exponential, from a fixed seed. */
static uint64_t next_gap_ns(void)
{
    run.noise ^= run.noise << 13;
    run.noise ^= run.noise >> 7;
    run.noise ^= run.noise << 17;
    double share = ((double)(run.noise >> 11) + 1) / 9007199254740993.0; // 0 < share < 1
    return (uint64_t)(-log(share) / run.rate * (double)NS_PER_S);
}

static void ask_due(uint64_t now)
{
    while (run.next_ns <= now) {
        struct conn *c = run.idle;
        if (c != NULL) {
            run.idle = c->next_idle;
            ask_on(c, run.next_ns);
        } else if (run.backlog_n < BACKLOG_MAX) {
            run.backlog[(run.backlog_at + run.backlog_n++) % BACKLOG_MAX] = run.next_ns;
        } else {
            fail("the server is too slow for the rate");
        }
        run.next_ns += next_gap_ns();
    }
}

static void open_held(void)
{
    while (run.n_begun < run.n_conns && run.n_begun < run.n_open + OPENING_MAX) {
        ask_on(&run.conns[run.n_begun], now_ns());
        run.n_begun++;
    }
    if (run.n_open == run.n_conns)
        enter(PHASE_WARM);
}

static void advance(uint64_t now)
{
    if (run.phase == PHASE_OPEN)
        open_held();
    if (run.phase == PHASE_OVER || now < run.phase_end_ns)
        return;
    if (run.phase == PHASE_OPEN)
        fail("only %zu of %zu streams opened in time", run.n_open, run.n_conns);
    else if (run.phase == PHASE_MEASURE && run.requests > 0)
        fail("only %" PRIu64 " of %" PRIu64 " questions were answered in time", run.n_done,
             run.requests);
    if (run.phase == PHASE_WARM)
        enter(PHASE_MEASURE);
    else
        enter(PHASE_OVER);
}

static void loop(void)
{
    struct epoll_event events[BATCH];
    while (run.phase != PHASE_OVER) {
        uint64_t now = now_ns();
        if (run.rate > 0)
            ask_due(now);
        advance(now);
        uint64_t wake = run.phase_end_ns;
        if (run.rate > 0 && run.next_ns < wake)
            wake = run.next_ns;
        now = now_ns();
        int n = poll_wait(run.epoll_fd, events, BATCH, wake > now ? wake - now : 0);
        for (int i = 0; i < n && run.phase != PHASE_OVER; i++)
            on_event(events[i].data.ptr, events[i].events);
    }
}

static void start(void)
{
    run.question = ask_build(&run.ask);
    run.conns = calloc(run.n_conns, sizeof(*run.conns));
    run.backlog = calloc(BACKLOG_MAX, sizeof(*run.backlog));
    run.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (run.conns == NULL || run.backlog == NULL || run.epoll_fd < 0)
        die("cannot begin: %s", strerror(errno));
    run.noise = 88172645463325252ULL;
    run.next_ns = now_ns();
    for (size_t i = 0; i < run.n_conns; i++) {
        run.conns[i].sock.fd = -1;
        run.conns[i].source = 2 + (unsigned)(i % SOURCES);
    }
    run.before = proc_cost_read(&run.pids);
    if (is_held())
        enter(PHASE_OPEN);
    else
        enter(run.requests > 0 ? PHASE_MEASURE : PHASE_WARM);
    for (size_t i = 0; i < run.n_conns && !is_held(); i++)
        ask_next(&run.conns[i]);
}

/* ---- options and report --------------------------------------------------------------------- */

static void print_hist(const char *name, const struct hist *h)
{
    printf("\"%s_us\":{\"n\":%" PRIu64 ",\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f},", name, h->n,
           (double)hist_quantile(h, 0.5) / 1e3, (double)hist_quantile(h, 0.99) / 1e3,
           (double)h->max_ns / 1e3);
}

static void print_error(void)
{
    putchar('"');
    for (const char *p = run.error; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            putchar('\\');
        putchar((unsigned char)*p < ' ' ? ' ' : *p);
    }
    putchar('"');
}

static void report(void)
{
    double seconds = (double)(run.ended_ns - run.began_ns) / (double)NS_PER_S;
    printf("{\"seconds\":%.3f,\"requests\":%" PRIu64 ",\"lines\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"connects\":%" PRIu64 ",\"open\":%zu,",
           seconds, run.n_done, run.n_lines, run.n_bytes, run.n_connects, run.n_open);
    print_hist("whole", &run.whole);
    print_hist("first", &run.first);
    print_hist("line", &run.line);
    printf("\"cpu_ns\":%" PRIu64 ",\"rss_before_kib\":%" PRIu64 ",\"rss_kib\":%" PRIu64
           ",\"errors\":%" PRIu64 ",\"error\":",
           run.end.cpu_ns - run.begin.cpu_ns, run.before.rss_kib, run.end.rss_kib, run.n_errors);
    print_error();
    printf("}\n");
}

enum option_id {
    OPT_PORT = 1,
    OPT_API,
    OPT_MODEL,
    OPT_STREAM,
    OPT_LINES,
    OPT_CONNECTIONS,
    OPT_RATE,
    OPT_REQUESTS,
    OPT_WARM,
    OPT_WINDOW,
    OPT_BODY,
    OPT_IMAGE,
    OPT_TOOLS,
    OPT_INPUTS,
    OPT_TOKEN,
    OPT_CA,
    OPT_PIDS,
};

static const struct option OPTIONS[] = {
    {"port",        required_argument, NULL, OPT_PORT       },
    {"api",         required_argument, NULL, OPT_API        },
    {"model",       required_argument, NULL, OPT_MODEL      },
    {"stream",      no_argument,       NULL, OPT_STREAM     },
    {"lines",       required_argument, NULL, OPT_LINES      },
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"rate",        required_argument, NULL, OPT_RATE       },
    {"requests",    required_argument, NULL, OPT_REQUESTS   },
    {"warm-ms",     required_argument, NULL, OPT_WARM       },
    {"window-ms",   required_argument, NULL, OPT_WINDOW     },
    {"body",        required_argument, NULL, OPT_BODY       },
    {"image",       required_argument, NULL, OPT_IMAGE      },
    {"tools",       no_argument,       NULL, OPT_TOOLS      },
    {"inputs",      required_argument, NULL, OPT_INPUTS     },
    {"token",       required_argument, NULL, OPT_TOKEN      },
    {"ca",          required_argument, NULL, OPT_CA         },
    {"pids",        required_argument, NULL, OPT_PIDS       },
    {NULL,          0,                 NULL, 0              },
};

static void take_number(int option, const char *text)
{
    if (option == OPT_PORT)
        run.port = (uint16_t)parse_number("port", text, 1, 65535);
    else if (option == OPT_LINES)
        run.lines = parse_number("lines", text, 0, 1000000000);
    else if (option == OPT_CONNECTIONS)
        run.n_conns = (size_t)parse_number("connections", text, 1, 100000);
    else if (option == OPT_RATE)
        run.rate = (double)parse_number("rate", text, 0, 1000000);
    else if (option == OPT_REQUESTS)
        run.requests = parse_number("requests", text, 0, 1000000000);
    else if (option == OPT_WARM)
        run.warm_ns = parse_number("warm-ms", text, 0, 600000) * 1000000;
    else if (option == OPT_WINDOW)
        run.window_ns = parse_number("window-ms", text, 1, 600000) * 1000000;
    else if (option == OPT_BODY)
        run.ask.body_bytes = (size_t)parse_number("body", text, 1, 1 << 30);
    else if (option == OPT_IMAGE)
        run.ask.image_bytes = (size_t)parse_number("image", text, 0, 1 << 30);
    else if (option == OPT_INPUTS)
        run.ask.inputs = (size_t)parse_number("inputs", text, 1, 1000);
    else
        die("see the options in load.c");
}

static void take_option(int option, const char *text)
{
    if (option == OPT_API)
        run.ask.openai = strcmp(text, "openai") == 0;
    else if (option == OPT_MODEL)
        run.ask.model = text;
    else if (option == OPT_STREAM)
        run.ask.stream = true;
    else if (option == OPT_TOOLS)
        run.ask.tools = true;
    else if (option == OPT_TOKEN)
        run.ask.token = text;
    else if (option == OPT_CA)
        run.tls = tls_client(text);
    else if (option == OPT_PIDS)
        proc_set_parse(&run.pids, text);
    else
        take_number(option, text);
}

int main(int argc, char **argv)
{
    int option;
    run.ask = (struct ask){.model = "whole", .token = "none", .body_bytes = 1024};
    run.n_conns = 1;
    run.window_ns = NS_PER_S;
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1)
        take_option(option, optarg);
    if (run.port == 0 || optind != argc)
        die("--port is missing, or an argument is no option");
    tool_start((unsigned)((run.warm_ns + run.window_ns + 2 * OPEN_NS) / NS_PER_S));
    start();
    loop();
    if (run.ended_ns == 0)
        enter(PHASE_OVER);
    report();
    return run.n_errors > 0 ? 2 : 0;
}
