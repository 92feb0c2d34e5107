#include "net/server_private.h"

#include <assert.h>
#include <stdlib.h>

#include "net/budget.h"

#define REQUESTS_PER_TURN 64 // of one connection's backlog
#define STOP_READING      1  // a fault for the parser alone: the request was answered already

static uint64_t now_of(const struct exchange *x)
{
    return loop_now_ms(x->server->loop);
}

static void set_timer(struct exchange *x, uint64_t delay_ms)
{
    loop_timer_set(x->server->loop, &x->timer, delay_ms);
}

void conn_set_phase(struct exchange *x, enum phase phase)
{
    if (phase == PHASE_IDLE) {
        x->begun_ms = now_of(x);
        list_remove(&x->link);
        list_append(&x->server->idle, &x->link);
    } else if (x->phase == PHASE_IDLE) {
        list_remove(&x->link);
        list_append(&x->server->busy, &x->link);
    }
    x->phase = phase;
}

/* ---- the end of an exchange, and of a connection ---- */

void exchange_drop_body(struct exchange *x)
{
    loop_put_back(x->server->loop, &x->body);
    budget_follow(&x->charged, 0);
}

static void release_request(struct exchange *x)
{
    http1_drop_head(&x->http);
    exchange_drop_body(x);
}

static void end_exchange(struct exchange *x, enum exchange_end how)
{
    if (x->app_has) {
        x->app_has = false;
        x->server->events->on_end(x->server->app, x, how);
    }
    x->data = NULL;
    release_request(x);
    buf_release(&x->head_out);
}

/*
 * Reached when the caller closed, reset or stalled; when a deadline passed; when too much was
 * pipelined; after an answer that closes; after exchange_abort(); on eviction, drain and free.
 */
void conn_drop(struct exchange *x, enum exchange_end how)
{
    assert(!x->in_reader);
    if (x->phase == PHASE_DEAD)
        return;
    if (x->aborting)
        how = EXCHANGE_CUT;
    else if (x->phase == PHASE_SENT && stream_unsent(x->stream) == 0)
        how = EXCHANGE_SENT;
    end_exchange(x, how);
    loop_timer_cancel(x->server->loop, &x->timer);
    server_forget(x);
    // Where only the connection's end tells that the answer is whole, a reset says that it is not.
    if (how == EXCHANGE_CUT && x->framing == FRAMING_CLOSE)
        stream_abort(x->stream);
    else
        stream_close(x->stream);
    x->phase = PHASE_DEAD;
    conn_settle_later(x);
}

static void free_conn(struct exchange *x)
{
    http1_release(&x->http);
    buf_release(&x->pipelined);
    buf_release(&x->body);
    buf_release(&x->head_out);
    free(x);
}

static void linger(struct exchange *x)
{
    buf_release(&x->pipelined);
    conn_set_phase(x, PHASE_LINGER);
    stream_shutdown(x->stream);
    stream_resume(x->stream);
    set_timer(x, LINGER_MS);
}

/* This may run before the turn's small writes leave, and a close would drop what is refused then.
 */
static bool is_with_kernel(struct exchange *x)
{
    stream_flush(x->stream);
    return stream_unsent(x->stream) == 0;
}

/* The answer is with the kernel: the connection goes on, or comes to its end. */
static void after_answer(struct exchange *x)
{
    bool unread = !x->http.complete || x->pipelined.len > 0;
    end_exchange(x, EXCHANGE_SENT);
    if (x->keep_alive && !x->server->draining) {
        assert(x->http.complete);
        http1_next(&x->http);
        x->status = 0;
        conn_set_phase(x, PHASE_IDLE);
        set_timer(x, IDLE_MS);
    } else if (unread) {
        linger(x);
    } else {
        conn_drop(x, EXCHANGE_SENT);
    }
}

/* ---- requests ---- */

static void begin_exchange(struct exchange *x, const struct http1_message *m)
{
    x->app_has = true;
    x->status = 0;
    x->allowed_bytes = x->received_bytes = x->sent_bytes = x->body_begun_ms = 0;
    x->first_byte_ms = 0;
    x->http10 = m->http10;
    x->is_head = m->method == HTTP1_HEAD;
    x->has_body = m->chunked || m->length_bytes > 0;
    x->n_requests++;
    x->keep_alive = m->keep_alive && x->n_requests < REQUESTS_PER_CONN;
    conn_set_phase(x, PHASE_BODY);
}

static int on_head(void *arg, const struct http1_message *m)
{
    struct exchange *x = arg;
    bool expects_continue = m->expects_continue;
    uint64_t length_bytes = m->length_bytes;
    begin_exchange(x, m);
    x->server->events->on_head(x->server->app, x);
    // The app may have dropped the head: `m` is not used any more.
    if (x->phase != PHASE_BODY || x->aborting)
        return x->has_body || x->aborting ? STOP_READING : 0;
    if (length_bytes > x->allowed_bytes)
        return 413;
    x->http.body_limit_bytes = x->allowed_bytes;
    size_t room = x->allowed_bytes < SIZE_MAX / 2 ? (size_t)x->allowed_bytes : SIZE_MAX / 2;
    buf_init(&x->body, room + BODY_SPARE_BYTES);
    if (length_bytes > 0 && length_bytes <= LOOP_READ_BYTES) {
        loop_lend(x->server->loop, &x->body);
        buf_reserve(&x->body, (size_t)length_bytes + BODY_SPARE_BYTES);
    }
    if (expects_continue && x->has_body)
        reply_continue(x);
    return 0;
}

static int on_body(void *arg, str data)
{
    struct exchange *x = arg;
    x->received_bytes += data.len; // the parser holds it to the limit
    buf_append(&x->body, data);
    budget_follow(&x->charged, x->body.cap);
    return 0;
}

static void on_complete(void *arg)
{
    (void)arg; // read_request() looks at the parser
}

static const struct http1_events REQUEST_EVENTS = {on_head, on_body, on_complete};

/* The request is whole: the app answers it, unless it did so at the head. */
static void hand_over(struct exchange *x)
{
    if (x->phase != PHASE_BODY)
        return;
    buf_reserve(&x->body, BODY_SPARE_BYTES);
    memset(x->body.p + x->body.len, 0, BODY_SPARE_BYTES);
    conn_set_phase(x, PHASE_APP);
    x->server->events->on_request(x->server->app, x);
}

static void set_deadline(struct exchange *x)
{
    if (x->phase == PHASE_IDLE && x->http.in_message) {
        conn_set_phase(x, PHASE_HEAD);
        x->begun_ms = now_of(x);
        if (x->n_requests > 0) // the first request's time runs since the connection was made
            set_timer(x, HEAD_DEADLINE_MS);
    } else if (x->phase == PHASE_BODY && x->body_begun_ms == 0) {
        x->body_begun_ms = now_of(x);
        set_timer(x, BODY_GRACE_MS);
    }
}

static bool is_reading(const struct exchange *x)
{
    return x->phase <= PHASE_BODY && !x->aborting;
}

/* Reads up to the end of one request; returns what is behind it. */
static str read_request(struct exchange *x, str data)
{
    if (x->phase == PHASE_IDLE)
        x->begun_ms = now_of(x);
    x->in_reader = true;
    size_t n = http1_feed(&x->http, data);
    x->in_reader = false;
    if (x->http.fault != 0) {
        if (is_reading(x))
            reply_refuse(x, x->http.fault, x->http.why);
        return (str){0};
    }
    if (x->http.complete)
        hand_over(x);
    else
        set_deadline(x);
    return str_skip(data, n);
}

/* Works on what was pipelined, a bounded number of requests of it. */
static void work_off(struct exchange *x)
{
    struct buf backlog = x->pipelined;
    str rest = buf_str(&backlog);
    buf_init(&x->pipelined, backlog.max);
    for (int i = 0; i < REQUESTS_PER_TURN && rest.len > 0 && is_reading(x); i++) {
        rest = read_request(x, rest);
        if (x->phase == PHASE_SENT && !x->aborting && rest.len > 0 && x->keep_alive &&
            stream_unsent(x->stream) == 0)
            after_answer(x);
    }
    if (x->phase != PHASE_DEAD && x->phase != PHASE_LINGER)
        buf_append(&x->pipelined, rest);
    buf_release(&backlog);
}

/* ---- what is done at the end of a turn ---- */

static void conn_settle(void *arg)
{
    struct exchange *x = arg;
    x->settling = false;
    if (x->phase == PHASE_DEAD) {
        free_conn(x);
        return;
    }
    if (x->aborting) {
        conn_drop(x, EXCHANGE_CUT);
        return;
    }
    reply_flush_head(x);
    if (x->phase == PHASE_SENT && is_with_kernel(x))
        after_answer(x);
    if (is_reading(x) && x->pipelined.len > 0)
        work_off(x);
    if (is_reading(x) && x->pipelined.len > 0) {
        // More than one turn's worth: nothing further is read until it is worked off.
        x->paused = true;
        stream_pause(x->stream);
        conn_settle_later(x);
    } else if (x->paused && x->phase != PHASE_DEAD) {
        x->paused = false;
        stream_resume(x->stream);
    }
}

void conn_settle_later(struct exchange *x)
{
    if (x->settling)
        return;
    x->settling = true;
    loop_defer(x->server->loop, conn_settle, x);
}

/* ---- what the stream and the clock say ---- */

static void on_open(void *arg)
{
    set_timer(arg, HEAD_DEADLINE_MS); // TLS stands; now the request has its own time
}

/* The caller's part of a request that was answered early: read, counted and dropped. */
static void drop_input(struct exchange *x, size_t n)
{
    x->lingered_bytes += n;
    if (x->lingered_bytes > LINGER_BYTES)
        conn_drop(x, EXCHANGE_SENT);
}

static void on_read(void *arg, str data)
{
    struct exchange *x = arg;
    if (x->phase == PHASE_LINGER || (x->phase == PHASE_SENT && !x->http.complete)) {
        drop_input(x, data.len);
        return;
    }
    if (is_reading(x) && x->pipelined.len == 0)
        data = read_request(x, data);
    else if (!is_reading(x) && x->pipelined.len + data.len > PIPELINED_BYTES)
        x->pipelined.overflowed = true;
    if (x->phase <= PHASE_SENT)
        buf_append(&x->pipelined, data);
    if (!buf_ok(&x->pipelined))
        conn_drop(x, EXCHANGE_GONE);
}

static void on_stream_end(void *arg, enum stream_end why)
{
    conn_drop(arg, why == STREAM_STALLED ? EXCHANGE_STALLED : EXCHANGE_GONE);
}

static void on_drain(void *arg)
{
    struct exchange *x = arg;
    if (x->app_has && x->phase < PHASE_SENT)
        x->server->events->on_drain(x->server->app, x);
}

static void on_flushed(void *arg)
{
    struct exchange *x = arg;
    if (x->phase == PHASE_SENT)
        conn_settle_later(x);
}

static const struct stream_events STREAM_EVENTS = {
    .on_open = on_open,
    .on_read = on_read,
    .on_end = on_stream_end,
    .on_drain = on_drain,
    .on_flushed = on_flushed,
};

/* Whether the body comes at BODY_BYTES_PER_S on the whole, a first time apart. */
static bool body_is_fast_enough(const struct exchange *x)
{
    uint64_t elapsed = now_of(x) - x->body_begun_ms;
    uint64_t counted = elapsed > BODY_GRACE_MS ? elapsed - BODY_GRACE_MS : 0;
    return x->received_bytes >= counted * BODY_BYTES_PER_S / 1000;
}

static void on_timer(void *arg)
{
    struct exchange *x = arg;
    switch (x->phase) {
    case PHASE_IDLE:
    case PHASE_LINGER:
        conn_drop(x, EXCHANGE_SENT);
        break;
    case PHASE_HEAD:
        reply_refuse(x, 408, "the head of the request did not come in time");
        break;
    case PHASE_BODY:
        if (x->body_begun_ms == 0 || body_is_fast_enough(x))
            set_timer(x, BODY_CHECK_MS);
        else
            reply_refuse(x, 408, "the body of the request comes too slowly");
        break;
    case PHASE_APP:  // an answer takes its time
    case PHASE_SENT: // the stream watches over a caller that takes nothing
    case PHASE_DEAD:
        break;
    }
}

void conn_start(struct exchange *x)
{
    struct server *s = x->server;
    list_init(&x->link);
    loop_timer_init(&x->timer, on_timer, x);
    buf_init(&x->pipelined, 4 * PIPELINED_BYTES);
    buf_init(&x->body, 0);
    buf_init(&x->head_out, PIPELINED_BYTES);
    http1_init(&x->http, HTTP1_REQUEST, &REQUEST_EVENTS, x);
    x->http.pool = loop_pool(s->loop);
    conn_set_phase(x, PHASE_IDLE);
    set_timer(x, s->draining ? DRAIN_SILENCE_MS : HEAD_DEADLINE_MS);
    stream_set_events(x->stream, &STREAM_EVENTS, x);
    stream_start(x->stream, s->tls);
}

/* ---- what the app asks of a request ---- */

void exchange_set_data(struct exchange *x, void *data)
{
    x->data = data;
}

void *exchange_data(const struct exchange *x)
{
    return x->data;
}

const struct http1_message *exchange_message(const struct exchange *x)
{
    static const struct http1_message NONE = {0};
    const struct http1_message *m = http1_message(&x->http);
    return m != NULL ? m : &NONE;
}

struct buf *exchange_body(struct exchange *x)
{
    return &x->body;
}

void exchange_allow_body(struct exchange *x, uint64_t max_bytes)
{
    x->allowed_bytes = max_bytes;
}

void exchange_drop_request(struct exchange *x)
{
    release_request(x);
}

str exchange_peer(const struct exchange *x)
{
    struct exchange *self = (struct exchange *)x; // the text is only a cache
    if (self->peer[0] == '\0')
        address_text(stream_peer(x->stream), self->peer);
    return str_z(self->peer);
}

const struct sockaddr *exchange_peer_addr(const struct exchange *x)
{
    return stream_peer(x->stream);
}

bool exchange_is_tls(const struct exchange *x)
{
    return stream_is_tls(x->stream);
}

uint64_t exchange_received_bytes(const struct exchange *x)
{
    return x->received_bytes;
}

uint64_t exchange_age_ms(const struct exchange *x)
{
    return now_of(x) - x->begun_ms;
}
