/*
 * tool - what the load client and the stub of an upstream have in common
 *
 * Sockets that may carry TLS, the clock, a histogram, and the mark: twelve hexadecimal digits
 * behind an '@', the time at which the upstream wrote a line. It stands in the text of the line,
 * so it comes through any proxy, translating or not, and '@' stands nowhere else in an answer.
 *
 * Threads: none; one per process.
 * Time:    CLOCK_MONOTONIC in ns, which both processes share.
 */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MARK_DIGITS 12
#define MARK_MASK   ((1ULL << (4 * MARK_DIGITS)) - 1)
#define NS_PER_S    1000000000ULL

/* Prints the sentence to stderr, as printf does, and leaves with status 1. */
_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

uint64_t now_ns(void);

/* Ends the process with its parent, and after `seconds` at the latest; lifts the limit on open
 * descriptors to the hard one; asks for exact timers and
 * short slices.
 */
void tool_start(unsigned seconds);

/* The number in `text` from `min` to `max`; `what` names it in the error that ends the process. */
uint64_t parse_number(const char *what, const char *text, uint64_t min, uint64_t max);

struct tls;       // a context; NULL in the calls below: plain TCP
struct tls_state; // of one connection

/* Both ends speak TLS 1.3 with one cipher suite only, so that every contender uses the same. */
struct tls *tls_server(const char *cert_file, const char *key_file);
struct tls *tls_client(const char *ca_file);

struct sock {
    int fd;
    struct tls_state *tls;
};

/* A listening socket on 127.0.0.1. */
int sock_listen(uint16_t port);

/* Takes a waiting connection; false if none waits. */
bool sock_accept(int listener, struct tls *tls, struct sock *ret);

/* Begins to connect from 127.0.0.`source` to a port of 127.0.0.1; false: errno says why. */
bool sock_connect(unsigned source, uint16_t port, struct tls *tls, struct sock *ret);

/* 0 when a connect begun has succeeded, else its errno. */
int sock_connect_result(const struct sock *s);

/*
 * As read(2) and write(2) on a socket that does not block: -1 with EAGAIN for "later", whichever
 * direction TLS waits for. A TLS write that said "later" must be tried again with the same bytes.
 */
ssize_t sock_read(struct sock *s, void *p, size_t n);
ssize_t sock_write(struct sock *s, const void *p, size_t n);
void sock_close(struct sock *s);

/* Waits on an epoll set for up to `wait_ns`. */
struct epoll_event;
int poll_wait(int epoll_fd, struct epoll_event *events, int max, uint64_t wait_ns);

/* Counts by duration, in steps of less than 2 %, up to half an hour. */
#define HIST_SUB  128UL
#define HIST_ROWS 35UL
struct hist {
    uint64_t counts[HIST_ROWS * HIST_SUB];
    uint64_t n;
    uint64_t max_ns;
};

void hist_add(struct hist *h, uint64_t ns);

/* The duration that `share` (0 to 1) of the counted do not exceed; 0 if nothing was counted. */
uint64_t hist_quantile(const struct hist *h, double share);

#endif
