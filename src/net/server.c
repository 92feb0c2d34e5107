#include "net/server.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "base/xalloc.h"
#include "net/budget.h"
#include "net/server_private.h"

#define BACKLOG             1024
#define RETRY_MS            100
#define SPARE_FDS           16   // kept free for what is not a caller's connection
#define EVICT_AFTER_MS      1000 // so that a connection whose request is on its way is left alone
#define KERNEL_UNSENT_BYTES (128 * 1024)
#define SCRATCH_MAX         ((size_t)64 * 1024)
#define NO_LIMIT_OF_CONN    SIZE_MAX

/* ---- connections on the books ---- */

static bool limits_peer(const struct server *s, const struct sockaddr *peer)
{
    if (s->options.max_conn_per_addr == 0 || address_is_loopback(peer))
        return false;
    return s->options.peer_is_trusted == NULL || !s->options.peer_is_trusted(s->app, peer);
}

static void add_connection(struct server *s, struct stream *stream)
{
    const struct sockaddr *peer = stream_peer(stream);
    bool limited = limits_peer(s, peer);
    bool refused = limited && !peers_acquire(peer, s->options.max_conn_per_addr);
    if (refused && s->tls != NULL) {
        stream_close(stream); // an answer would need a handshake first
        return;
    }
    struct exchange *x = xcalloc(1, sizeof(*x));
    x->server = s;
    x->stream = stream;
    x->counted = limited && !refused;
    atomic_fetch_add_explicit(&s->n_connections, 1, memory_order_relaxed);
    conn_start(x);
    if (refused)
        reply_refuse(x, 503, "too many connections from this address");
}

void server_forget(struct exchange *x)
{
    struct server *s = x->server;
    list_remove(&x->link);
    atomic_fetch_sub_explicit(&s->n_connections, 1, memory_order_relaxed);
    if (x->counted)
        peers_release(stream_peer(x->stream));
    if (s->waiting || (s->draining && s->n_connections == 0))
        loop_timer_set(s->loop, &s->retry, 0);
}

/* ---- accepting ---- */

/* Closes the connection that has been idle longest, if that is long enough. */
static bool evict_idle(struct server *s)
{
    if (list_empty(&s->idle))
        return false;
    struct exchange *x = list_entry(s->idle.next, struct exchange, link);
    if (loop_now_ms(s->loop) - x->begun_ms < EVICT_AFTER_MS || x->pipelined.len > 0)
        return false;
    conn_drop(x, EXCHANGE_GONE);
    return true;
}

static bool has_room(const struct server *s)
{
    return s->n_connections < s->options.max_connections && stream_free_descriptors() >= SPARE_FDS;
}

/*
 * Whether there is room for one more. A connection that finds none stays unaccepted: the library
 * then polls no further, and at the descriptor limit would accept and close without an error.
 */
static bool can_accept(struct server *s)
{
    if (budget_is_out())
        return false; // an idle connection holds nothing that closing it would give back
    return has_room(s) || (evict_idle(s) && has_room(s));
}

static void accept_one(struct server *s)
{
    struct stream *stream;
    if (stream_accept(s->loop, s->listener, &stream) == ERR_OK)
        add_connection(s, stream);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *s = listener->data;
    if (status != 0)
        return;
    if (can_accept(s)) {
        accept_one(s);
    } else {
        s->waiting = true;
        loop_timer_set(s->loop, &s->retry, RETRY_MS);
    }
}

static void on_retry(void *arg)
{
    struct server *s = arg;
    if (s->waiting && can_accept(s)) {
        s->waiting = false;
        accept_one(s); // and the loop polls again, which sets `waiting` if it must
    }
    if (s->waiting)
        loop_timer_set(s->loop, &s->retry, RETRY_MS);
    if (s->draining && s->n_connections == 0 && s->on_idle != NULL) {
        loop_fn *on_idle = s->on_idle;
        s->on_idle = NULL;
        on_idle(s->on_idle_arg); // may free the server
    }
}

/* ---- beginning and end ---- */

static void set_options(struct server *s, struct tls_context *tls,
                        const struct server_options *options)
{
    tls_context_release(s->tls);
    s->tls = tls != NULL ? tls_context_acquire(tls) : NULL;
    s->options = *options;
    if (s->options.max_connections == 0)
        s->options.max_connections = NO_LIMIT_OF_CONN;
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(handle);
}

/* Takes over the descriptor and listens on it; an error of the library's, or 0. */
static int open_listener(struct server *s, int fd)
{
    uv_tcp_t *listener = xcalloc(1, sizeof(*listener));
    uv_tcp_init(loop_handle(s->loop), listener);
    listener->data = s;
    s->listener = listener;
    // Connections inherit it: bytes for a caller who does not read wait here, where they are
    // counted, and not by the megabyte in the kernel. Without it things work too.
    const int lowat = KERNEL_UNSENT_BYTES;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
    int rc = uv_tcp_open(listener, fd);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    return uv_listen((uv_stream_t *)listener, BACKLOG, on_connection);
}

enum err server_new(struct loop *loop, const struct server_setup *setup, struct server **ret,
                    struct err_info *info)
{
    struct server *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->events = setup->events;
    s->app = setup->app;
    list_init(&s->idle);
    list_init(&s->busy);
    buf_init(&s->scratch, SCRATCH_MAX);
    loop_timer_init(&s->retry, on_retry, s);
    s->date_s = -1;
    set_options(s, setup->tls, setup->options);
    stream_count_descriptors();
    tzset(); // gmtime_r() would read the time zone's file when the first answer is dated
    int rc = open_listener(s, setup->listen_fd);
    if (rc != 0) {
        server_free(s);
        return err_set(info, rc == UV_EADDRINUSE ? ERR_IN_USE : ERR_SYSTEM, "cannot listen: %s",
                       uv_strerror(rc));
    }
    *ret = s;
    return ERR_OK;
}

void server_configure(struct server *s, struct tls_context *tls,
                      const struct server_options *options)
{
    set_options(s, tls, options);
}

static void close_listener(struct server *s)
{
    if (s->listener != NULL)
        uv_close((uv_handle_t *)s->listener, on_listener_closed);
    s->listener = NULL;
    s->waiting = false;
}

/* Takes what the kernel has accepted for us: closing the listener would reset it. */
static void accept_rest(struct server *s)
{
    uv_os_fd_t fd;
    if (s->waiting && stream_free_descriptors() > 0)
        accept_one(s);
    s->waiting = false;
    if (s->listener == NULL || uv_fileno((uv_handle_t *)s->listener, &fd) != 0)
        return;
    while (stream_free_descriptors() >= SPARE_FDS) {
        struct stream *stream;
        int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (conn < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (conn < 0)
            break;
        if (stream_adopt(s->loop, conn, &stream) == ERR_OK)
            add_connection(s, stream);
    }
}

void server_drain(struct server *s, loop_fn *on_idle, void *arg)
{
    s->on_idle = on_idle;
    s->on_idle_arg = arg;
    if (!s->draining) {
        accept_rest(s);
        close_listener(s);
        s->draining = true;
        for (struct list *l = s->idle.next, *next; l != &s->idle; l = next) {
            struct exchange *x = list_entry(l, struct exchange, link);
            next = l->next;
            if (x->n_requests > 0 && x->pipelined.len == 0)
                conn_drop(x, EXCHANGE_GONE);
            else
                loop_timer_set(s->loop, &x->timer, DRAIN_SILENCE_MS); // its request may be coming
        }
    }
    loop_timer_set(s->loop, &s->retry, 0);
}

/* At the end of a drain, when its time is over, and when the start fails. */
void server_free(struct server *s)
{
    if (s == NULL)
        return;
    close_listener(s);
    while (!list_empty(&s->idle))
        conn_drop(list_entry(s->idle.next, struct exchange, link), EXCHANGE_CUT);
    while (!list_empty(&s->busy))
        conn_drop(list_entry(s->busy.next, struct exchange, link), EXCHANGE_CUT);
    loop_timer_cancel(s->loop, &s->retry);
    tls_context_release(s->tls);
    buf_release(&s->scratch);
    free(s);
}

size_t server_connections(const struct server *s)
{
    return atomic_load_explicit(&s->n_connections, memory_order_relaxed);
}
