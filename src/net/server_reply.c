#include "net/server_private.h"

#include <assert.h>

#include "base/clock.h"

#define OK_LINE "HTTP/1.1 200 OK\r\n"

/* How most answers begin: the line and "Date: Sun, 06 Nov 1994 08:49:37 GMT"; once a second. */
static str head_begin(struct server *s)
{
    static const char DAYS[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char MONTHS[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t now_s = clock_wall_ms() / 1000;
    if (now_s != s->date_s) {
        time_t t = (time_t)now_s;
        struct tm tm;
        gmtime_r(&t, &tm);
        s->date_s = now_s;
        snprintf(s->head_begin, sizeof(s->head_begin),
                 OK_LINE "Date: %s, %02u %s %04u %02u:%02u:%02u GMT\r\n", DAYS[tm.tm_wday % 7],
                 (unsigned)tm.tm_mday % 100, MONTHS[tm.tm_mon % 12],
                 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    }
    return str_z(s->head_begin);
}

/* A field that would end its line early is left out: nothing of ours is ever split. */
static void append_fields(struct buf *out, const struct http1_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        str name = fields[i].name, value = fields[i].value;
        if (name.len == 0 || !str_is_one_line(name) || !str_is_one_line(value) ||
            !buf_reserve(out, name.len + value.len + 4))
            continue;
        char *at = out->p + out->len;
        str_copy(at, name.p, name.len);
        memcpy(at + name.len, ": ", 2);
        if (value.len > 0)
            str_copy(at + name.len + 2, value.p, value.len);
        memcpy(at + name.len + 2 + value.len, "\r\n", 2);
        out->len += name.len + value.len + 4;
    }
}

static bool has_no_body(const struct exchange *x, int status)
{
    return x->is_head || status == 204 || status == 304;
}

struct answer {
    int status;
    const struct http1_field *fields;
    size_t n_fields;
    bool has_length;
    uint64_t length_bytes;
};

/* Decides how the answer is framed and whether the connection stays, and writes the head. */
static void build_head(struct exchange *x, const struct answer *a, struct buf *out)
{
    struct server *s = x->server;
    if (has_no_body(x, a->status))
        x->framing = FRAMING_NONE;
    else if (a->has_length)
        x->framing = FRAMING_LENGTH;
    else
        x->framing = x->http10 ? FRAMING_CLOSE : FRAMING_CHUNKED;
    // A body that is not read to its end would be taken for the next request.
    bool unread = x->phase <= PHASE_BODY && x->has_body;
    x->keep_alive = x->keep_alive && !unread && !s->draining && x->framing != FRAMING_CLOSE;
    x->status = a->status;

    str begin = head_begin(s);
    if (a->status != 200) {
        buf_append(out, STR("HTTP/1.1 "));
        buf_append_u64(out, (uint64_t)a->status);
        buf_append_char(out, ' ');
        buf_append(out, http1_reason(a->status));
        buf_append(out, STR("\r\n"));
        begin = str_skip(begin, sizeof(OK_LINE) - 1);
    }
    buf_append(out, begin);
    append_fields(out, a->fields, a->n_fields);
    if (a->has_length && a->status != 204 && a->status != 304) {
        buf_append(out, STR("Content-Length: "));
        buf_append_u64(out, a->length_bytes);
        buf_append(out, STR("\r\n"));
    } else if (x->framing == FRAMING_CHUNKED || (!a->has_length && x->is_head && !x->http10)) {
        buf_append(out, STR("Transfer-Encoding: chunked\r\n"));
    }
    if (!x->keep_alive)
        buf_append(out, STR("Connection: close\r\n"));
    else if (x->http10)
        buf_append(out, STR("Connection: keep-alive\r\n"));
    buf_append(out, STR("\r\n"));
}

static void note_first_byte(struct exchange *x)
{
    x->first_byte_ms = (uint32_t)(loop_now_ms(x->server->loop) - x->begun_ms);
}

/* The answer is written: what follows is done at the end of the turn. */
static void finish(struct exchange *x)
{
    conn_set_phase(x, PHASE_SENT);
    conn_settle_later(x);
}

/* Sends a whole answer, head and body in one write. */
static void send_whole(struct exchange *x, const struct answer *a, str body)
{
    struct buf *head = &x->server->scratch;
    buf_reset(head);
    build_head(x, a, head);
    if (x->framing == FRAMING_NONE)
        body = (str){0};
    const str parts[] = {buf_str(head), body};
    stream_write(x->stream, parts, COUNT_OF(parts));
    x->sent_bytes += body.len;
    note_first_byte(x);
    finish(x);
}

void reply_refuse(struct exchange *x, int status, const char *why)
{
    struct server *s = x->server;
    if (x->app_has && x->status != 0) {
        conn_drop(x, EXCHANGE_CUT); // an answer was begun: there is no place for another
        return;
    }
    if (!x->app_has) {
        x->is_head = http1_is_head(&x->http);
        x->http10 = false;
        x->sent_bytes = 0;
    }
    x->keep_alive = false;
    struct server_refusal refusal = {.status = status, .why = why, .peer = exchange_peer(x)};
    buf_init(&refusal.body, SIZE_MAX / 2);
    s->events->on_refuse(s->app, x->app_has ? x : NULL, &refusal);
    struct answer a = {.status = status,
                       .fields = refusal.fields,
                       .n_fields = refusal.n_fields,
                       .has_length = true,
                       .length_bytes = refusal.body.len};
    send_whole(x, &a, buf_str(&refusal.body));
    buf_release(&refusal.body);
}

void exchange_close_after(struct exchange *x)
{
    x->keep_alive = false;
}

void reply_continue(struct exchange *x)
{
    stream_write(x->stream, &STR("HTTP/1.1 100 Continue\r\n\r\n"), 1);
}

/* ---- what the app sends ---- */

void exchange_reply(struct exchange *x, int status, const struct http1_field *fields,
                    size_t n_fields, str body)
{
    assert(x->app_has && x->status == 0);
    struct answer a = {.status = status,
                       .fields = fields,
                       .n_fields = n_fields,
                       .has_length = true,
                       .length_bytes = body.len};
    send_whole(x, &a, body);
}

void exchange_begin(struct exchange *x, int status, const struct http1_field *fields,
                    size_t n_fields)
{
    assert(x->app_has && x->status == 0);
    struct answer a = {.status = status, .fields = fields, .n_fields = n_fields};
    build_head(x, &a, &x->head_out);
    conn_settle_later(x);
}

static bool is_open(const struct exchange *x)
{
    return x->app_has && x->status != 0 && x->phase < PHASE_SENT && !x->aborting;
}

/* Adds the head that still waits, if one does, to what is about to be sent. */
static size_t take_head(struct exchange *x, str *parts)
{
    if (x->head_out.len == 0)
        return 0;
    note_first_byte(x);
    parts[0] = buf_str(&x->head_out);
    return 1;
}

void reply_flush_head(struct exchange *x)
{
    str head;
    if (!x->app_has || take_head(x, &head) == 0)
        return;
    stream_write(x->stream, &head, 1);
    buf_release(&x->head_out);
}

#define SIZE_LINE_BYTES 18 // 16 digits, CR, LF

/* The size of a chunk in hexadecimal, with its line end: the end of `room`. */
static str size_line(char room[SIZE_LINE_BYTES], size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *at = room + SIZE_LINE_BYTES;
    *--at = '\n';
    *--at = '\r';
    do {
        *--at = digits[size & 15];
        size >>= 4;
    } while (size > 0);
    return str_of(at, (size_t)(room + SIZE_LINE_BYTES - at));
}

/* Sends head, chunk and last chunk, as far as they are there, in one write. */
static void send_piece(struct exchange *x, str data, bool last)
{
    char room[SIZE_LINE_BYTES];
    str parts[5];
    size_t n = take_head(x, parts);
    if (x->framing == FRAMING_NONE)
        data.len = 0;
    if (data.len > 0 && x->framing == FRAMING_CHUNKED) {
        parts[n++] = size_line(room, data.len);
        parts[n++] = data;
        parts[n++] = STR("\r\n");
    } else if (data.len > 0) {
        parts[n++] = data;
    }
    if (last && x->framing == FRAMING_CHUNKED)
        parts[n++] = STR("0\r\n\r\n");
    stream_write(x->stream, parts, n);
    x->sent_bytes += data.len;
    buf_release(&x->head_out);
}

void exchange_write(struct exchange *x, str data)
{
    if (is_open(x) && data.len > 0 && x->framing != FRAMING_NONE)
        send_piece(x, data, false);
}

void exchange_finish_with(struct exchange *x, str data)
{
    if (!is_open(x))
        return;
    send_piece(x, data, true);
    finish(x);
}

void exchange_finish(struct exchange *x)
{
    exchange_finish_with(x, (str){0});
}

void exchange_abort(struct exchange *x)
{
    if (!x->app_has || x->phase >= PHASE_SENT)
        return;
    x->aborting = true;
    conn_settle_later(x);
}

bool exchange_congested(const struct exchange *x)
{
    return stream_unsent(x->stream) > STREAM_HIGH_BYTES;
}

bool exchange_begun(const struct exchange *x)
{
    return x->status != 0;
}

uint64_t exchange_sent_bytes(const struct exchange *x)
{
    return x->sent_bytes;
}

uint64_t exchange_first_byte_ms(const struct exchange *x)
{
    return x->first_byte_ms;
}

int exchange_status(const struct exchange *x)
{
    return x->status;
}
