#include "net/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "base/xalloc.h"
#include "core/pace.h"
#include "net/stream_private.h"

static const struct stream_events NO_EVENTS = {0};

/* ---- descriptors ---- */

static atomic_size_t streams_open;
static atomic_size_t other_descriptors;
static atomic_size_t descriptor_limit = 1024;

void stream_count_descriptors(void)
{
    uv_fs_t request;
    int entries = uv_fs_scandir(NULL, &request, "/proc/self/fd", 0, NULL);
    uv_fs_req_cleanup(&request);
    // The look itself takes one. No /proc: a guess on the safe side.
    size_t n = entries > 0 ? (size_t)entries - 1 : 64;
    size_t streams = atomic_load(&streams_open);
    atomic_store(&other_descriptors, n > streams ? n - streams : 0);

    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        atomic_store(&descriptor_limit, (size_t)limit.rlim_cur);
}

size_t stream_free_descriptors(void)
{
    size_t used = atomic_load(&other_descriptors) + atomic_load(&streams_open);
    size_t limit = atomic_load(&descriptor_limit);
    return used < limit ? limit - used : 0;
}

/* ---- life and death ---- */

static void free_if_unused(struct stream *s)
{
    if (!s->uv_closed || s->deferred)
        return;
    stream_free_outbox(s);
    tls_session_free(s->tls);
    free(s->connecting);
    free(s);
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *s = handle->data;
    s->uv_closed = true;
    free_if_unused(s);
}

void stream_end_as(struct stream *s, enum stream_end why)
{
    if (s->state >= STATE_ENDED)
        return;
    s->state = STATE_ENDED;
    uv_read_stop((uv_stream_t *)&s->tcp);
    s->reading = false;
    stream_stop_stall(s);
    if (s->events->on_end != NULL)
        s->events->on_end(s->arg, why);
}

static void tell_failure(void *arg)
{
    struct stream *s = arg;
    s->deferred = false;
    if (s->state == STATE_CLOSED)
        free_if_unused(s);
    else
        stream_end_as(s, s->state == STATE_CONNECTING ? STREAM_REFUSED : STREAM_RESET);
}

void stream_tell_failure_later(struct stream *s)
{
    if (s->deferred)
        return;
    s->deferred = true;
    loop_defer(s->loop, tell_failure, s);
}

void stream_fail_write(struct stream *s, int error)
{
    if (s->write_error == 0)
        s->write_error = error;
    if (!s->reading)
        stream_tell_failure_later(s);
}

static void begin_close(struct stream *s)
{
    s->state = STATE_CLOSED;
    s->events = &NO_EVENTS;
    stream_stop_stall(s);
    atomic_fetch_sub(&streams_open, 1);
}

/* Best effort: hands the socket what TLS has for it, and keeps nothing. */
static void flush_tls_before_close(struct stream *s)
{
    if (s->tls == NULL || s->state != STATE_OPEN || s->out != NULL || s->write_error != 0)
        return;
    struct buf own;
    buf_init(&own, OUTBOX_MAX_BYTES);
    loop_lend(s->loop, &own);
    struct buf *out = s->tls_out != NULL ? s->tls_out : &own;
    if (!s->shut_wanted)
        tls_close_notify(s->tls, out);
    uv_buf_t b = uv_buf_init(out->p, (unsigned)out->len);
    if (out->len > 0)
        uv_try_write((uv_stream_t *)&s->tcp, &b, 1);
    buf_reset(out);
    loop_put_back(s->loop, &own);
}

void stream_close(struct stream *s)
{
    if (s == NULL || s->state == STATE_CLOSED)
        return;
    stream_flush(s);
    flush_tls_before_close(s);
    begin_close(s);
    uv_close((uv_handle_t *)&s->tcp, on_closed);
}

void stream_abort(struct stream *s)
{
    if (s == NULL || s->state == STATE_CLOSED)
        return;
    stream_flush(s);
    begin_close(s);
    if (uv_tcp_close_reset(&s->tcp, on_closed) != 0)
        uv_close((uv_handle_t *)&s->tcp, on_closed);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    (void)suggested;
    struct stream *s = handle->data;
    *ret = uv_buf_init(loop_read_buffer(s->loop), LOOP_READ_BYTES);
}

static void tell_open(struct stream *s)
{
    if (s->tls_open)
        return;
    s->tls_open = true;
    if (s->events->on_open != NULL)
        s->events->on_open(s->arg);
}

static void on_plain(void *arg, str plain)
{
    struct stream *s = arg;
    tell_open(s);
    if (s->state == STATE_OPEN && s->events->on_read != NULL)
        s->events->on_read(s->arg, plain);
}

/* Sends what TLS has for the peer, then acts on what became of the session. */
static void after_tls(struct stream *s, enum tls_state state, struct buf *out)
{
    if (s->state == STATE_OPEN && s->write_error == 0)
        stream_send_parts(s, &(str){out->p, out->len}, 1);
    loop_put_back(s->loop, out);
    if (s->state != STATE_OPEN)
        return;
    if (state == TLS_OPEN)
        tell_open(s);
    else if (state == TLS_FAILED)
        stream_end_as(s, STREAM_TLS);
    else if (state == TLS_CLOSED)
        stream_end_as(s, STREAM_EOF);
}

static void feed_tls(struct stream *s, str data)
{
    struct buf out;
    buf_init(&out, OUTBOX_MAX_BYTES);
    loop_lend(s->loop, &out);
    s->tls_out = &out;
    enum tls_state state = tls_feed(s->tls, data, &out, on_plain, s);
    s->tls_out = NULL;
    after_tls(s, state, &out);
}

static void on_socket_end(struct stream *s, int error)
{
    if (s->tls != NULL && !s->tls_open) {
        s->note = "the peer closed the connection during the TLS handshake";
        stream_end_as(s, STREAM_TLS);
    } else if (error == UV_EOF && s->tls != NULL) {
        // Whoever cuts the connection on its way could end a message like this.
        s->note = "the peer closed the connection without ending TLS";
        stream_end_as(s, STREAM_RESET);
    } else if (error == UV_EOF) {
        stream_end_as(s, STREAM_EOF);
    } else {
        s->error = error;
        stream_end_as(s, STREAM_RESET);
    }
}

static void on_socket_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *b)
{
    struct stream *s = handle->data;
    pace_event(loop_pace(s->loop));
    if (n < 0)
        on_socket_end(s, (int)n);
    else if (n > 0 && s->tls != NULL)
        feed_tls(s, str_of(b->base, (size_t)n));
    else if (n > 0 && s->events->on_read != NULL)
        s->events->on_read(s->arg, str_of(b->base, (size_t)n));
}

static void start_reading(struct stream *s)
{
    if (s->state != STATE_OPEN || s->paused || s->reading)
        return;
    s->reading = true;
    int rc = uv_read_start((uv_stream_t *)&s->tcp, on_alloc, on_socket_read);
    if (rc != 0) {
        s->reading = false;
        stream_fail_write(s, rc);
    }
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    if (!s->reading)
        return;
    s->reading = false;
    uv_read_stop((uv_stream_t *)&s->tcp);
    if (s->write_error != 0)
        stream_tell_failure_later(s);
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    start_reading(s);
}

/* ---- beginnings ---- */

static struct stream *new_stream(struct loop *loop)
{
    struct stream *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->events = &NO_EVENTS;
    atomic_fetch_add(&streams_open, 1);
    return s;
}

/* Makes an accepted stream out of a handle; `rc` says whether it became one. */
static enum err finish_accept(struct stream *s, int rc, struct stream **ret)
{
    pace_event(loop_pace(s->loop));
    s->state = STATE_OPEN;
    int n = sizeof(s->peer);
    if (rc != 0 || uv_tcp_getpeername(&s->tcp, &s->peer.any, &n) != 0) {
        stream_close(s); // the peer is gone already
        return ERR_SYSTEM;
    }
    *ret = s;
    return ERR_OK;
}

enum err stream_accept(struct loop *loop, void *listener, struct stream **ret)
{
    struct stream *s = new_stream(loop);
    uv_tcp_init(loop_handle(loop), &s->tcp);
    s->tcp.data = s;
    return finish_accept(s, uv_accept(listener, (uv_stream_t *)&s->tcp), ret);
}

enum err stream_adopt(struct loop *loop, int fd, struct stream **ret)
{
    struct stream *s = new_stream(loop);
    uv_tcp_init(loop_handle(loop), &s->tcp);
    s->tcp.data = s;
    int rc = uv_tcp_open(&s->tcp, fd);
    if (rc != 0)
        close(fd);
    return finish_accept(s, rc, ret);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct stream *s = request->data;
    pace_event(loop_pace(s->loop));
    free(s->connecting);
    s->connecting = NULL;
    if (s->state != STATE_CONNECTING)
        return;
    if (status != 0) {
        s->error = status;
        stream_end_as(s, STREAM_REFUSED);
        return;
    }
    s->state = STATE_OPEN;
    start_reading(s);
    if (s->events->on_open != NULL)
        s->events->on_open(s->arg);
}

enum err stream_connect(struct loop *loop, const struct sockaddr *addr,
                        const struct stream_events *events, void *arg, struct stream **ret)
{
    struct stream *s = new_stream(loop);
    int rc = uv_tcp_init_ex(loop_handle(loop), &s->tcp, addr->sa_family);
    if (rc != 0) {
        atomic_fetch_sub(&streams_open, 1);
        free(s);
        return ERR_SYSTEM;
    }
    s->tcp.data = s;
    s->events = events;
    s->arg = arg;
    memcpy(&s->peer, addr,
           addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
    uv_tcp_nodelay(&s->tcp, 1);
    s->connecting = xcalloc(1, sizeof(*s->connecting));
    s->connecting->data = s;
    rc = uv_tcp_connect(s->connecting, &s->tcp, addr, on_connected);
    if (rc != 0) {
        s->error = rc;
        stream_tell_failure_later(s);
    }
    *ret = s;
    return ERR_OK;
}

void stream_set_events(struct stream *s, const struct stream_events *events, void *arg)
{
    s->events = events;
    s->arg = arg;
}

void stream_start(struct stream *s, struct tls_context *tls)
{
    if (tls != NULL)
        s->tls = tls_session_new(tls, (str){0}, (str){0});
    start_reading(s);
}

void stream_start_tls(struct stream *s, struct tls_context *tls, str name, str resume_key)
{
    struct buf out;
    buf_init(&out, OUTBOX_MAX_BYTES);
    loop_lend(s->loop, &out);
    s->tls = tls_session_new(tls, name, resume_key);
    enum tls_state state = tls_begin(s->tls, &out);
    stream_send_parts(s, &(str){out.p, out.len}, 1);
    loop_put_back(s->loop, &out);
    if (state == TLS_FAILED) {
        s->note = "the TLS handshake cannot be started";
        stream_tell_failure_later(s);
    }
}

void stream_expect_many(struct stream *s)
{
    uv_os_fd_t fd;
    const int off = 0;
    if (uv_fileno((const uv_handle_t *)&s->tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
}

/* ---- what is asked of a stream ---- */

const struct sockaddr *stream_peer(const struct stream *s)
{
    return &s->peer.any;
}

str stream_error(const struct stream *s)
{
    if (s->note != NULL)
        return str_z(s->note);
    if (s->error != 0)
        return str_z(uv_strerror(s->error));
    if (s->tls != NULL && tls_error(s->tls).len > 0)
        return tls_error(s->tls);
    return s->write_error != 0 ? str_z(uv_strerror(s->write_error)) : STR("");
}

bool stream_is_tls(const struct stream *s)
{
    return s->tls != NULL;
}
