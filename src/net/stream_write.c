#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/xalloc.h"
#include "net/budget.h"
#include "net/sendq.h"
#include "net/stream_private.h"

#define PIECE_BYTES    ((size_t)64 * 1024)
#define MAX_PARTS      16
#define STALL_CHECK_MS (STREAM_STALL_MS / 10)

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

static void charge(struct outbox *out)
{
    budget_follow(&out->charged, out->flying.cap + out->waiting.cap);
}

void stream_stop_stall(struct stream *s)
{
    if (s->out != NULL)
        loop_timer_cancel(s->loop, &s->out->stall);
}

void stream_free_outbox(struct stream *s)
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
        stream_end_as(s, STREAM_STALLED);
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
        stream_fail_write(s, status);
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
        stream_free_outbox(s);
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
        stream_fail_write(s, rc);
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
        stream_fail_write(s, UV_ENOBUFS);
        stream_tell_failure_later(s);
        return;
    }
    if (first)
        fly(s);
}

/* Copies the parts, one behind the other, to `to`. */
static void join(char *to, const str *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len > 0)
            str_copy(to, parts[i].p, parts[i].len);
        to += parts[i].len;
    }
}

static ssize_t send_vector(int fd, const str *parts, size_t n)
{
    struct iovec vector[MAX_PARTS];
    assert(n <= MAX_PARTS);
    for (size_t i = 0; i < n; i++)
        vector[i] = (struct iovec){.iov_base = (char *)parts[i].p, .iov_len = parts[i].len};
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = n};
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/*
 * Offers the parts to the socket; returns how many bytes it took. Not by uv_try_write(): nothing
 * is in the library's queue, and send() is what costs the kernel least.
 */
static size_t try_parts(struct stream *s, const str *parts, size_t n)
{
    uv_os_fd_t fd;
    ssize_t sent;
    if (uv_fileno((const uv_handle_t *)&s->tcp, &fd) != 0)
        return 0; // it is being closed
    do {
        if (n == 1)
            sent = send(fd, parts[0].p, parts[0].len, MSG_NOSIGNAL | MSG_DONTWAIT);
        else
            sent = send_vector(fd, parts, n);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
        stream_fail_write(s, uv_translate_sys_error(errno));
    return sent > 0 ? (size_t)sent : 0;
}

/* ---- small writes ---- */

static void flush_slot(struct sendq *q, size_t i)
{
    struct stream *s = q->slots[i].stream;
    if (s == NULL)
        return;
    q->slots[i].stream = NULL;
    s->sendq_slot = 0;
    if (s->write_error != 0)
        return;
    const str *bytes = &q->slots[i].bytes;
    size_t sent = try_parts(s, bytes, 1);
    if (sent < bytes->len && s->write_error == 0)
        keep(s, bytes, 1, sent);
}

static void flush_all(struct sendq *q)
{
    for (size_t i = 0; i < q->n; i++)
        flush_slot(q, i);
    q->n = 0;
    q->used_bytes = 0;
}

static void on_turn_end(void *arg)
{
    struct sendq *q = arg;
    q->flush_is_due = false;
    flush_all(q);
}

void stream_flush(struct stream *s)
{
    if (s->sendq_slot > 0)
        flush_slot(loop_sendq(s->loop), s->sendq_slot - 1u);
}

/* Lets the parts wait, joined, for the end of the turn. */
static void send_later(struct stream *s, const str *parts, size_t n, size_t total)
{
    struct sendq *q = loop_sendq(s->loop);
    if (q->n == SENDQ_SLOTS)
        flush_all(q);
    char *to = q->room + q->used_bytes;
    join(to, parts, n);
    q->slots[q->n].stream = s;
    q->slots[q->n].bytes = str_of(to, total);
    q->used_bytes += total;
    s->sendq_slot = (unsigned char)++q->n;
    if (!q->flush_is_due) {
        q->flush_is_due = true;
        loop_defer(s->loop, on_turn_end, q);
    }
}

void stream_send_parts(struct stream *s, const str *parts, size_t n)
{
    size_t total = 0, sent = 0;
    for (size_t i = 0; i < n; i++)
        total += parts[i].len;
    if (total == 0)
        return;
    stream_flush(s);
    if (s->out == NULL && s->write_error == 0 && total <= SENDQ_WRITE_BYTES) {
        send_later(s, parts, n, total);
        return;
    }
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
    loop_lend(s->loop, &out);
    (void)tls_write(s->tls, plain, &out);
    stream_send_parts(s, &(str){out.p, out.len}, 1);
    loop_put_back(s->loop, &out);
}

/* One record for all parts: they are joined first. */
static void write_tls(struct stream *s, const str *parts, size_t n)
{
    if (n == 1) {
        send_encrypted(s, parts[0]);
        return;
    }
    char small[SENDQ_WRITE_BYTES];
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += parts[i].len;
    char *joined = total <= sizeof(small) ? small : xmalloc(total);
    join(joined, parts, n);
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
        stream_send_parts(s, parts, n);
}

size_t stream_write_some(struct stream *s, str data)
{
    size_t taken = 0;
    if (!can_write(s))
        return 0;
    stream_flush(s);
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
        loop_lend(s->loop, &own);
        struct buf *out = s->tls_out != NULL ? s->tls_out : &own;
        tls_close_notify(s->tls, out);
        stream_send_parts(s, &(str){out->p, out->len}, 1);
        buf_reset(out);
        loop_put_back(s->loop, &own);
    }
    stream_flush(s);
    s->shut_wanted = true;
    if (s->out == NULL)
        shut(s);
}
