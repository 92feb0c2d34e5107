#include "net/client_private.h"

#include "base/xalloc.h"

#define FIRST_WRITE_BYTES ((size_t)64 * 1024)
#define FIRST_WRITE_PARTS 16

enum conn_state { CONN_IDLE, CONN_BUSY, CONN_CLOSED };

struct conn {
    struct list link; // origin.idle while idle
    struct client *client;
    struct origin *origin;
    struct stream *stream;
    struct client_call *call; // while busy
    struct loop_timer idle_limit;
    struct http1 parser;
    enum conn_state state;
    bool used;              // carried an exchange before
    bool answered;          // a byte of the answer came
    bool has_head;          // the answer's head was reported
    bool keep;              // the answer allows another exchange
    uint8_t n_skipped;      // 1xx answers
    uint32_t skipped_bytes; // read before the head
    const char *why;        // what we refused of the answer
};

static void conn_free(void *arg)
{
    struct conn *c = arg;
    http1_release(&c->parser);
    free(c);
}

/* Reached when: an exchange did not leave the connection fit for another; its call was cancelled;
 * it ended; it was idle for too long, or one of too many; or the settings changed. */
void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    if (c->state == CONN_IDLE) {
        list_remove(&c->link);
        c->origin->n_idle--;
    }
    c->state = CONN_CLOSED;
    c->call = NULL;
    stream_close(c->stream);
    loop_timer_cancel(c->client->loop, &c->idle_limit);
    origin_release(c->origin);
    loop_defer(c->client->loop, conn_free, c);
}

/* ---- between two calls ---- */

static void on_idle_limit(void *arg)
{
    struct conn *c = arg;
    if (c->state == CONN_IDLE)
        conn_close(c);
}

static void make_idle(struct conn *c)
{
    struct origin *o = c->origin;
    http1_next(&c->parser);
    c->state = CONN_IDLE;
    c->used = true;
    c->call = NULL;
    list_prepend(&o->idle, &c->link);
    o->n_idle++;
    if (o->n_idle > CLIENT_IDLE_MAX)
        conn_close(list_entry(o->idle.prev, struct conn, link));
    loop_timer_set(c->client->loop, &c->idle_limit, CLIENT_IDLE_MS);
}

struct conn *conn_take_idle(struct origin *o)
{
    if (list_empty(&o->idle))
        return NULL;
    // The last used one: the others come to their time limit.
    return list_entry(o->idle.next, struct conn, link);
}

/* ---- sending ---- */

/* What is left of the body's slice in hand; empty slices are passed over. */
static str next_piece(struct client_call *call)
{
    while (call->slice < call->n_body) {
        str rest = str_skip(call->body[call->slice], call->offset);
        if (rest.len > 0)
            return rest;
        call->slice++;
        call->offset = 0;
    }
    if (!call->sent) {
        call->sent = true;
        call_step(call, CLIENT_SENT);
    }
    return (str){NULL, 0};
}

/* The head and the first of the body leave in one write; the stream copies what is not taken. */
static void send_first(struct conn *c, struct client_call *call)
{
    str parts[FIRST_WRITE_PARTS] = {call->head};
    size_t n = 1;
    size_t room = FIRST_WRITE_BYTES;
    str piece = next_piece(call);
    while (piece.len > 0 && n < COUNT_OF(parts) && room > 0) {
        parts[n] = str_head(piece, room);
        room -= parts[n].len;
        call->offset += parts[n].len;
        n++;
        piece = next_piece(call);
    }
    stream_write(c->stream, parts, n);
}

/* The rest goes to the socket straight from the caller's memory. */
static void send_rest(struct conn *c, struct client_call *call)
{
    while (c->call == call && !c->has_head) {
        str piece = next_piece(call);
        if (piece.len == 0)
            return;
        size_t n = stream_write_some(c->stream, piece);
        call->offset += n;
        if (n < piece.len)
            return; // on_drain goes on
    }
}

static void on_drain(void *arg)
{
    struct conn *c = arg;
    if (c->state == CONN_BUSY && !c->call->sent)
        send_rest(c, c->call);
}

void conn_run(struct conn *c, struct client_call *call)
{
    if (c->state == CONN_IDLE) {
        list_remove(&c->link);
        c->origin->n_idle--;
    }
    c->state = CONN_BUSY;
    c->call = call;
    c->answered = c->has_head = c->keep = false;
    c->n_skipped = 0;
    c->skipped_bytes = 0;
    c->why = NULL;
    c->parser.answer_to_head = call->head_only;
    call->conn = c;
    call->slice = call->offset = 0;
    call->sent = false;
    if (call->paused)
        stream_pause(c->stream);
    send_first(c, call);
    if (c->call == call && !call->sent)
        send_rest(c, call);
}

void conn_pause(struct conn *c)
{
    stream_pause(c->stream);
}

void conn_resume(struct conn *c)
{
    stream_resume(c->stream);
}

/* ---- the answer ---- */

/* Takes the call off the connection, which is closed unless it can be used again. */
static struct client_call *part(struct conn *c, bool reuse)
{
    struct client_call *call = c->call;
    call->conn = NULL;
    if (!reuse) {
        conn_close(c);
        return call;
    }
    make_idle(c);
    if (call->paused)
        stream_resume(c->stream);
    return call;
}

static void finish(struct conn *c, bool bytes_follow)
{
    bool reuse = c->keep && c->call->sent && stream_unsent(c->stream) == 0 && !bytes_follow &&
                 !c->origin->retired;
    call_done(part(c, reuse));
}

static void fail_protocol(struct conn *c)
{
    char text[CLIENT_REASON_BYTES];
    str reason = client_reason(text, "the answer of '%.*s' is not usable: %s",
                               STR_ARG(c->origin->target), c->why != NULL ? c->why : c->parser.why);
    call_fail(part(c, false), CLIENT_FAIL_PROTOCOL, reason);
}

static bool is_encoded(const struct http1_message *m)
{
    for (size_t i = 0; i < m->n_fields; i++) {
        str rest = m->fields[i].value;
        if (!str_ieq(m->fields[i].name, STR("Content-Encoding")))
            continue;
        while (rest.len > 0) {
            str coding;
            str_cut(rest, ',', &coding, &rest);
            coding = str_trim(coding);
            if (coding.len > 0 && !str_ieq(coding, STR("identity")))
                return true;
        }
    }
    return false;
}

/* Any status but 0 stops the parser; which one does not matter here. */
#define STOP 502

static int on_message_head(void *arg, const struct http1_message *m)
{
    struct conn *c = arg;
    if (m->status < 200) {
        if (++c->n_skipped <= CLIENT_SKIPPED_MAX)
            return 0;
        c->why = "too many interim answers";
        return STOP;
    }
    if (is_encoded(m)) {
        c->why = "it is encoded, although it was asked not to be";
        return STOP;
    }
    struct client_call *call = c->call;
    c->has_head = true;
    c->keep = m->keep_alive;
    call_drop_request(call);
    if (m->chunked)
        stream_expect_many(c->stream);
    call->events->on_head(call->arg, m);
    return c->call == call ? 0 : STOP;
}

static int on_message_body(void *arg, str data)
{
    struct conn *c = arg;
    struct client_call *call = c->call;
    call->events->on_body(call->arg, data);
    return c->call == call ? 0 : STOP;
}

static void on_message_complete(void *arg)
{
    (void)arg; // seen by whoever feeds the parser
}

static const struct http1_events MESSAGE_EVENTS = {
    .on_head = on_message_head,
    .on_body = on_message_body,
    .on_complete = on_message_complete,
};

static void on_read(void *arg, str data)
{
    struct conn *c = arg;
    if (c->state != CONN_BUSY) {
        conn_close(c); // nobody asked for these bytes
        return;
    }
    c->answered = true;
    while (data.len > 0) {
        size_t n = http1_feed(&c->parser, data);
        if (c->state != CONN_BUSY)
            return; // an event cancelled the call
        data = str_skip(data, n);
        if (c->has_head)
            http1_drop_head(&c->parser);
        else
            c->skipped_bytes += (uint32_t)n;
        if (c->skipped_bytes > HTTP1_RESPONSE_HEAD_BYTES)
            c->why = "its head is too large";
        if (c->parser.fault != 0 || c->why != NULL) {
            fail_protocol(c);
            return;
        }
        if (c->parser.complete && c->has_head) {
            finish(c, data.len > 0);
            return;
        }
        if (c->parser.complete)
            http1_next(&c->parser);
    }
}

static void on_end(void *arg, enum stream_end why)
{
    struct conn *c = arg;
    if (c->state != CONN_BUSY) {
        conn_close(c);
        return;
    }
    if (c->has_head && why == STREAM_EOF && http1_feed_eof(&c->parser)) {
        c->keep = false;
        finish(c, false);
        return;
    }
    // A replay runs over a fresh connection: so there is one at most.
    bool stale = c->used && !c->answered && why != STREAM_STALLED;
    if (stale) {
        call_replay(part(c, false));
        return;
    }
    char text[CLIENT_REASON_BYTES];
    str reason =
        client_reason(text, "the connection to '%.*s' ended %s: %.*s", STR_ARG(c->origin->target),
                      c->answered ? "inside the answer" : "before an answer",
                      STR_ARG(why == STREAM_EOF ? STR("it was closed") : stream_error(c->stream)));
    call_fail(part(c, false), CLIENT_FAIL_RESET, reason);
}

static const struct stream_events STREAM_EVENTS = {
    .on_read = on_read,
    .on_end = on_end,
    .on_drain = on_drain,
};

struct conn *conn_new(struct client *client, struct origin *origin, struct stream *stream)
{
    struct conn *c = xcalloc(1, sizeof(*c));
    c->client = client;
    c->origin = origin;
    origin->refs++;
    c->stream = stream;
    c->state = CONN_BUSY;
    list_init(&c->link);
    loop_timer_init(&c->idle_limit, on_idle_limit, c);
    http1_init(&c->parser, HTTP1_RESPONSE, &MESSAGE_EVENTS, c);
    c->parser.pool = loop_pool(client->loop);
    stream_set_events(stream, &STREAM_EVENTS, c);
    return c;
}
