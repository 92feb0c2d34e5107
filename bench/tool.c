#include "tool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define CIPHER_SUITE "TLS_AES_128_GCM_SHA256"
#define SLICE_NS     100000 // the shortest that the kernel grants

struct tls {
    SSL_CTX *ctx;
};

void die(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s: ", program_invocation_short_name);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* sched_setattr(2), which the C library knows only from glibc 2.41 on. */
struct slice_attr {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns; // the slice that is asked for
    uint64_t deadline_ns;
    uint64_t period_ns;
};

/*
 * Load client and stub share a core. With slices of milliseconds, the usual ones, an answer that
 * is there waits while the other runs on, and it is this wait that a median would measure. Linux
 * before 6.12 takes no notice.
 */
static void ask_for_short_slices(void)
{
    struct slice_attr attr = {.size = sizeof(attr),
                              .policy = SCHED_OTHER,
                              .nice = getpriority(PRIO_PROCESS, 0),
                              .runtime_ns = SLICE_NS};
    syscall(SYS_sched_setattr, 0, &attr, 0);
}

void tool_start(unsigned seconds)
{
    ask_for_short_slices();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1UL);
    alarm(seconds);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

uint64_t parse_number(const char *what, const char *text, uint64_t min, uint64_t max)
{
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < min || value > max)
        die("%s '%s' is not a number from %llu to %llu", what, text, (unsigned long long)min,
            (unsigned long long)max);
    return value;
}

/* ---- TLS ------------------------------------------------------------------------------------ */

static _Noreturn void die_tls(const char *what)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    die("cannot %s: %s", what, text);
}

static struct tls *tls_new(const SSL_METHOD *method)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    if (tls == NULL)
        die("out of memory");
    tls->ctx = SSL_CTX_new(method);
    if (tls->ctx == NULL || SSL_CTX_set_min_proto_version(tls->ctx, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(tls->ctx, CIPHER_SUITE) != 1)
        die_tls("prepare TLS");
    SSL_CTX_set_mode(tls->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                   SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return tls;
}

struct tls *tls_server(const char *cert_file, const char *key_file)
{
    struct tls *tls = tls_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(tls->ctx, cert_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls->ctx, key_file, SSL_FILETYPE_PEM) != 1)
        die_tls("read certificate and key");
    return tls;
}

struct tls *tls_client(const char *ca_file)
{
    struct tls *tls = tls_new(TLS_client_method());
    if (SSL_CTX_load_verify_locations(tls->ctx, ca_file, NULL) != 1)
        die_tls("read the roots");
    SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
    return tls;
}

static struct tls_state *tls_attach(struct tls *tls, int fd, bool client)
{
    if (tls == NULL)
        return NULL;
    SSL *ssl = SSL_new(tls->ctx);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
        die_tls("attach TLS to a socket");
    if (client) {
        SSL_set_tlsext_host_name(ssl, "localhost");
        SSL_set1_host(ssl, "localhost");
        SSL_set_connect_state(ssl);
    } else {
        SSL_set_accept_state(ssl);
    }
    return (struct tls_state *)ssl;
}

/* What read(2) or write(2) would have said for the result `rc` of OpenSSL's. */
static ssize_t tls_result(struct sock *s, int rc)
{
    if (rc > 0)
        return rc;
    int saved = errno;
    int why = SSL_get_error((SSL *)s->tls, rc);
    ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN;
    else
        errno = why == SSL_ERROR_SYSCALL && saved != 0 && saved != EAGAIN ? saved : EPROTO;
    return -1;
}

/* ---- sockets -------------------------------------------------------------------------------- */

static struct sockaddr_in loopback(unsigned last_byte, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(0x7f000000U + last_byte),
    };
}

static void set_option(int fd, int level, int name)
{
    int on = 1;
    if (setsockopt(fd, level, name, &on, sizeof(on)) != 0)
        die("cannot set a socket option: %s", strerror(errno));
}

int sock_listen(uint16_t port)
{
    struct sockaddr_in at = loopback(1, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("cannot open a socket: %s", strerror(errno));
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(fd, SOMAXCONN) != 0)
        die("cannot listen on 127.0.0.1:%u: %s", port, strerror(errno));
    return fd;
}

bool sock_accept(int listener, struct tls *tls, struct sock *ret)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return false;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    *ret = (struct sock){.fd = fd, .tls = tls_attach(tls, fd, false)};
    return true;
}

bool sock_connect(unsigned source, uint16_t port, struct tls *tls, struct sock *ret)
{
    struct sockaddr_in from = loopback(source, 0);
    struct sockaddr_in to = loopback(1, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    // The port is chosen when the peer is known, so each source address has all of them.
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
        (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)) {
        int saved = errno;
        close(fd);
        errno = saved;
        return false;
    }
    *ret = (struct sock){.fd = fd, .tls = tls_attach(tls, fd, true)};
    return true;
}

int sock_connect_result(const struct sock *s)
{
    int result = 0;
    socklen_t size = sizeof(result);
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &result, &size) != 0)
        return errno;
    return result;
}

ssize_t sock_read(struct sock *s, void *p, size_t n)
{
    if (s->tls == NULL)
        return read(s->fd, p, n);
    errno = 0;
    return tls_result(s, SSL_read((SSL *)s->tls, p, (int)n));
}

ssize_t sock_write(struct sock *s, const void *p, size_t n)
{
    if (s->tls == NULL)
        return write(s->fd, p, n);
    errno = 0;
    return tls_result(s, SSL_write((SSL *)s->tls, p, (int)n));
}

void sock_close(struct sock *s)
{
    if (s->tls != NULL)
        SSL_free((SSL *)s->tls);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct sock){.fd = -1};
}

int poll_wait(int epoll_fd, struct epoll_event *events, int max, uint64_t wait_ns)
{
    struct timespec wait = {
        .tv_sec = (time_t)(wait_ns / NS_PER_S),
        .tv_nsec = (long)(wait_ns % NS_PER_S),
    };
    int n = epoll_pwait2(epoll_fd, events, max, &wait, NULL);
    if (n < 0 && errno != EINTR)
        die("cannot wait for events: %s", strerror(errno));
    return n < 0 ? 0 : n;
}

/* ---- histogram ------------------------------------------------------------------------------ */

/* Row 0 is linear below HIST_SUB; each row after it covers one power of two in half as many. */
static size_t hist_index(uint64_t ns)
{
    if (ns < HIST_SUB)
        return (size_t)ns;
    unsigned row = 63U - (unsigned)__builtin_clzll(ns) - 6U;
    size_t index = (size_t)row * HIST_SUB + (size_t)(ns >> row);
    return index < HIST_ROWS * HIST_SUB ? index : HIST_ROWS * HIST_SUB - 1;
}

static uint64_t hist_value(size_t index)
{
    size_t row = index / HIST_SUB;
    if (row == 0)
        return index;
    return ((uint64_t)(index % HIST_SUB) + 1) << row;
}

void hist_add(struct hist *h, uint64_t ns)
{
    h->counts[hist_index(ns)]++;
    h->n++;
    if (ns > h->max_ns)
        h->max_ns = ns;
}

uint64_t hist_quantile(const struct hist *h, double share)
{
    if (h->n == 0)
        return 0;
    uint64_t rank = (uint64_t)(share * (double)(h->n - 1)) + 1;
    uint64_t seen = 0;
    for (size_t i = 0; i < HIST_ROWS * HIST_SUB; i++) {
        seen += h->counts[i];
        if (seen >= rank)
            return hist_value(i);
    }
    return h->max_ns;
}
