#include "net/stream.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/xalloc.h"
#include "net/budget.h"
#include "net/tls.h"

#define PIECE_BYTES      ((size_t)64 * 1024)
#define MAX_PARTS        16
#define STALL_CHECK_MS   (STREAM_STALL_MS / 10)
#define OUTBOX_MAX_BYTES ((size_t)256 * 1024 * 1024)
#define SMALL_BYTES      4096

enum state {
    STATE_CONNECTING,
    STATE_OPEN,
    STATE_ENDED,  // the owner was told
    STATE_CLOSED, // by the owner
};

/* What the socket did not take. Exists only while there is something. */
struct outbox {
    uv_write_t request; // carries `piece_bytes` of `flying`, from `flown_bytes` on
    struct buf flying;
    size_t flown_bytes;
    size_t piece_bytes;
    struct buf waiting; // grows while `flying` must not move
    size_t charged;     // bytes of both that the budget counts

    struct loop_timer stall;
    uint64_t queued_bytes; // all that was ever put in
    uint64_t taken_bytes;  // of it, by the peer, when last looked at
    uint64_t last_taken_ms;
};

struct stream {
    uv_tcp_t tcp;
    struct loop *loop;
    const struct stream_events *events;
    void *arg;
    struct outbox *out; // NULL: nothing waits
    struct tls_session *tls;
    struct buf *tls_out;      // while the session is fed: where records go, to keep their order
    uv_connect_t *connecting; // owned
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } peer;
    int error;        // libuv's, of the read side or of connect; 0: none
    int write_error;  // likewise, of a write: what was written since is dropped
    const char *note; // a failure that neither library knows
    unsigned char state;
    bool reading;
    bool paused;
    bool tls_open;
    bool wants_drain;
    bool shut_wanted;
    bool deferred;  // tell_failure() is on its way
    bool uv_closed; // the loop let go
};

static const struct stream_events NO_EVENTS = {0};

/* ---- descriptors ---- */

static atomic_size_t streams_open;
static atomic_size_t other_descriptors;
static atomic_size_t descriptor_limit = 1024;

void stream_count_descriptors(void)
{
    size_t n = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (dir != NULL) {
        while (readdir(dir) != NULL)
            n++;
        closedir(dir);
        n = n > 3 ? n - 3 : 0; // ".", ".." and the directory itself
    } else {
        n = 64; // no /proc: a guess on the safe side
    }
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

static void charge(struct outbox *out)
{
    budget_follow(&out->charged, out->flying.cap + out->waiting.cap);
}

static void free_outbox(struct stream *s)
{
    if (s->out == NULL)
        return;
    loop_timer_cancel(s->loop, &s->out->stall);
    buf_release(&s->out->flying);
    buf_release(&s->out->waiting);
    charge(s->out);
    free(s->out);
    s->out = NULL;
}

static void free_if_unused(struct stream *s)
{
    if (!s->uv_closed || s->deferred)
        return;
    free_outbox(s);
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

/* Tells the owner, once, that the connection is over. */
static void end(struct stream *s, enum stream_end why)
{
    if (s->state >= STATE_ENDED)
        return;
    s->state = STATE_ENDED;
    uv_read_stop((uv_stream_t *)&s->tcp);
    s->reading = false;
    if (s->out != NULL)
        loop_timer_cancel(s->loop, &s->out->stall);
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
        end(s, s->state == STATE_CONNECTING ? STREAM_REFUSED : STREAM_RESET);
}

static void tell_failure_later(struct stream *s)
{
    if (s->deferred)
        return;
    s->deferred = true;
    loop_defer(s->loop, tell_failure, s);
}

/*
 * A write failed. While the stream reads, the read side is left to find the end: the peer may
 * have answered before it closed. Otherwise the owner hears of it at the end of the turn.
 */
static void fail_write(struct stream *s, int error)
{
    if (s->write_error == 0)
        s->write_error = error;
    if (!s->reading)
        tell_failure_later(s);
}

static void begin_close(struct stream *s)
{
    s->state = STATE_CLOSED;
    s->events = &NO_EVENTS;
    if (s->out != NULL)
        loop_timer_cancel(s->loop, &s->out->stall);
    atomic_fetch_sub(&streams_open, 1);
}

/* Best effort: hands the socket what TLS has for it, and keeps nothing. */
static void flush_tls_before_close(struct stream *s)
{
    if (s->tls == NULL || s->state != STATE_OPEN || s->out != NULL || s->write_error != 0)
        return;
    struct buf own;
    buf_init(&own, OUTBOX_MAX_BYTES);
    struct buf *out = s->tls_out != NULL ? s->tls_out : &own;
    if (!s->shut_wanted)
        tls_close_notify(s->tls, out);
    uv_buf_t b = uv_buf_init(out->p, (unsigned)out->len);
    if (out->len > 0)
        uv_try_write((uv_stream_t *)&s->tcp, &b, 1);
    buf_reset(out);
    buf_release(&own);
}

void stream_close(struct stream *s)
{
    if (s == NULL || s->state == STATE_CLOSED)
        return;
    flush_tls_before_close(s);
    begin_close(s);
    uv_close((uv_handle_t *)&s->tcp, on_closed);
}

void stream_abort(struct stream *s)
{
    if (s == NULL || s->state == STATE_CLOSED)
        return;
    begin_close(s);
    if (uv_tcp_close_reset(&s->tcp, on_closed) != 0)
        uv_close((uv_handle_t *)&s->tcp, on_closed);
}

/* ---- writing ---- */

size_t stream_unsent(const struct stream *s)
{
    const struct outbox *out = s->out;
    if (out == NULL)
        return 0;
    size_t flying = out->flying.len - out->flown_bytes;
    size_t taken = out->piece_bytes - s->tcp.write_queue_size;
    return flying - taken + out->waiting.len;
}

/* Bytes of the outbox that the peer's side has acknowledged. */
static uint64_t count_taken(const struct stream *s)
{
    int in_kernel = 0;
    uv_os_fd_t fd;
    if (uv_fileno((const uv_handle_t *)&s->tcp, &fd) == 0)
        ioctl(fd, TIOCOUTQ, &in_kernel);
    uint64_t unsent = stream_unsent(s) + (in_kernel > 0 ? (uint64_t)in_kernel : 0);
    return s->out->queued_bytes > unsent ? s->out->queued_bytes - unsent : 0;
}

static void on_stall_check(void *arg)
{
    struct stream *s = arg;
    uint64_t taken = count_taken(s), now = loop_now_ms(s->loop);
    if (taken != s->out->taken_bytes) {
        s->out->taken_bytes = taken;
        s->out->last_taken_ms = now;
    } else if (now - s->out->last_taken_ms >= STREAM_STALL_MS) {
        end(s, STREAM_STALLED);
        return;
    }
    loop_timer_set(s->loop, &s->out->stall, STALL_CHECK_MS);
}

static void fly(struct stream *s);

/* Closes our side at once: uv_shutdown() would add a request, and rule out a reset later. */
static void shut(struct stream *s)
{
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&s->tcp, &fd) == 0)
        shutdown(fd, SHUT_WR);
}

static void after_outbox(struct stream *s)
{
    if (s->out == NULL && s->shut_wanted)
        shut(s);
    if (s->wants_drain && stream_unsent(s) <= STREAM_LOW_BYTES) {
        s->wants_drain = false;
        if (s->events->on_drain != NULL)
            s->events->on_drain(s->arg);
    }
    if (s->out == NULL && s->state == STATE_OPEN && s->events->on_flushed != NULL)
        s->events->on_flushed(s->arg);
}

static void on_written(uv_write_t *request, int status)
{
    struct stream *s = request->data;
    struct outbox *out = s->out;
    if (s->state >= STATE_ENDED)
        return;
    if (status < 0) {
        loop_timer_cancel(s->loop, &out->stall);
        fail_write(s, status);
        return;
    }
    out->flown_bytes += out->piece_bytes;
    out->piece_bytes = 0;
    if (out->flown_bytes == out->flying.len) {
        buf_release(&out->flying);
        out->flown_bytes = 0;
        out->flying = out->waiting;
        buf_init(&out->waiting, OUTBOX_MAX_BYTES);
        charge(out);
    }
    if (out->flying.len > 0)
        fly(s);
    else
        free_outbox(s);
    after_outbox(s);
}

/* Gives the loop the next piece. Small ones, so that the unsent count falls step by step. */
static void fly(struct stream *s)
{
    struct outbox *out = s->out;
    size_t left = out->flying.len - out->flown_bytes;
    out->piece_bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
    uv_buf_t b = uv_buf_init(out->flying.p + out->flown_bytes, (unsigned)out->piece_bytes);
    out->request.data = s;
    int rc = uv_write(&out->request, (uv_stream_t *)&s->tcp, &b, 1, on_written);
    if (rc != 0) {
        out->piece_bytes = 0;
        fail_write(s, rc);
    }
}

static struct outbox *new_outbox(struct stream *s)
{
    struct outbox *out = xcalloc(1, sizeof(*out));
    buf_init(&out->flying, OUTBOX_MAX_BYTES);
    buf_init(&out->waiting, OUTBOX_MAX_BYTES);
    loop_timer_init(&out->stall, on_stall_check, s);
    out->last_taken_ms = loop_now_ms(s->loop);
    loop_timer_set(s->loop, &out->stall, STALL_CHECK_MS);
    return out;
}

/* Keeps what is left of the parts behind their first `sent` bytes. */
static void keep(struct stream *s, const str *parts, size_t n, size_t sent)
{
    bool first = s->out == NULL;
    if (first)
        s->out = new_outbox(s);
    struct buf *to = first ? &s->out->flying : &s->out->waiting;
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += parts[i].len;
    buf_reserve(to, total - sent);
    for (size_t i = 0; i < n; i++) {
        str rest = str_skip(parts[i], sent);
        sent -= parts[i].len - rest.len;
        buf_append(to, rest);
        s->out->queued_bytes += rest.len;
    }
    charge(s->out);
    if (!buf_ok(to)) {
        fail_write(s, UV_ENOBUFS);
        tell_failure_later(s);
        return;
    }
    if (first)
        fly(s);
}

/* Offers the parts to the socket; returns how many bytes it took. */
static size_t try_parts(struct stream *s, const str *parts, size_t n)
{
    uv_buf_t bufs[MAX_PARTS];
    assert(n <= MAX_PARTS);
    for (size_t i = 0; i < n; i++)
        bufs[i] = uv_buf_init((char *)parts[i].p, (unsigned)parts[i].len);
    int rc = uv_try_write((uv_stream_t *)&s->tcp, bufs, (unsigned)n);
    if (rc < 0 && rc != UV_EAGAIN)
        fail_write(s, rc);
    return rc > 0 ? (size_t)rc : 0;
}

/* Sends bytes as they are, or keeps them. */
static void send_parts(struct stream *s, const str *parts, size_t n)
{
    size_t total = 0, sent = 0;
    for (size_t i = 0; i < n; i++)
        total += parts[i].len;
    if (total == 0)
        return;
    if (s->out == NULL)
        sent = try_parts(s, parts, n);
    if (sent < total && s->write_error == 0)
        keep(s, parts, n, sent);
    if (stream_unsent(s) > STREAM_HIGH_BYTES)
        s->wants_drain = true;
}

/* Encrypts `plain` and sends it; inside of feed_tls(), that one sends. */
static void send_encrypted(struct stream *s, str plain)
{
    if (s->tls_out != NULL) {
        (void)tls_write(s->tls, plain, s->tls_out);
        return;
    }
    struct buf out;
    buf_init(&out, OUTBOX_MAX_BYTES);
    (void)tls_write(s->tls, plain, &out);
    send_parts(s, &(str){out.p, out.len}, 1);
    buf_release(&out);
}

/* One record for all parts: they are joined first. */
static void write_tls(struct stream *s, const str *parts, size_t n)
{
    if (n == 1) {
        send_encrypted(s, parts[0]);
        return;
    }
    char small[SMALL_BYTES];
    size_t total = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        total += parts[i].len;
    char *joined = total <= sizeof(small) ? small : xmalloc(total);
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len > 0)
            memcpy(joined + at, parts[i].p, parts[i].len);
        at += parts[i].len;
    }
    send_encrypted(s, str_of(joined, total));
    if (joined != small)
        free(joined);
}

static bool can_write(const struct stream *s)
{
    return s->state == STATE_OPEN && s->write_error == 0 && !s->shut_wanted;
}

void stream_write(struct stream *s, const str *parts, size_t n)
{
    if (!can_write(s) || n == 0)
        return;
    if (s->tls != NULL)
        write_tls(s, parts, n);
    else
        send_parts(s, parts, n);
}

size_t stream_write_some(struct stream *s, str data)
{
    size_t taken = 0;
    if (!can_write(s))
        return 0;
    while (taken < data.len && s->out == NULL && s->write_error == 0) {
        str rest = str_skip(data, taken);
        str piece = str_head(rest, PIECE_BYTES);
        if (s->tls != NULL) {
            send_encrypted(s, piece);
            taken += piece.len;
            continue;
        }
        size_t n = try_parts(s, &rest, 1);
        taken += n;
        piece = str_head(str_skip(rest, n), PIECE_BYTES);
        if (piece.len > 0 && s->write_error == 0) {
            keep(s, &piece, 1, 0);
            taken += piece.len;
        }
    }
    if (taken < data.len)
        s->wants_drain = true;
    return taken;
}

void stream_shutdown(struct stream *s)
{
    if (!can_write(s))
        return;
    if (s->tls != NULL) {
        struct buf own;
        buf_init(&own, OUTBOX_MAX_BYTES);
        struct buf *out = s->tls_out != NULL ? s->tls_out : &own;
        tls_close_notify(s->tls, out);
        send_parts(s, &(str){out->p, out->len}, 1);
        buf_reset(out);
        buf_release(&own);
    }
    s->shut_wanted = true;
    if (s->out == NULL)
        shut(s);
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
        send_parts(s, &(str){out->p, out->len}, 1);
    buf_release(out);
    if (s->state != STATE_OPEN)
        return;
    if (state == TLS_OPEN)
        tell_open(s);
    else if (state == TLS_FAILED)
        end(s, STREAM_TLS);
    else if (state == TLS_CLOSED)
        end(s, STREAM_EOF);
}

static void feed_tls(struct stream *s, str data)
{
    struct buf out;
    buf_init(&out, OUTBOX_MAX_BYTES);
    s->tls_out = &out;
    enum tls_state state = tls_feed(s->tls, data, &out, on_plain, s);
    s->tls_out = NULL;
    after_tls(s, state, &out);
}

static void on_socket_end(struct stream *s, int error)
{
    if (s->tls != NULL && !s->tls_open) {
        s->note = "the peer closed the connection during the TLS handshake";
        end(s, STREAM_TLS);
    } else if (error == UV_EOF && s->tls != NULL) {
        // Whoever cuts the connection on its way could end a message like this.
        s->note = "the peer closed the connection without ending TLS";
        end(s, STREAM_RESET);
    } else if (error == UV_EOF) {
        end(s, STREAM_EOF);
    } else {
        s->error = error;
        end(s, STREAM_RESET);
    }
}

static void on_socket_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *b)
{
    struct stream *s = handle->data;
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
        fail_write(s, rc);
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
        tell_failure_later(s);
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
    free(s->connecting);
    s->connecting = NULL;
    if (s->state != STATE_CONNECTING)
        return;
    if (status != 0) {
        s->error = status;
        end(s, STREAM_REFUSED);
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
        tell_failure_later(s);
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
    s->tls = tls_session_new(tls, name, resume_key);
    enum tls_state state = tls_begin(s->tls, &out);
    send_parts(s, &(str){out.p, out.len}, 1);
    buf_release(&out);
    if (state == TLS_FAILED) {
        s->note = "the TLS handshake cannot be started";
        tell_failure_later(s);
    }
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
