#include "net/http1.h"

#include <assert.h>
#include <llhttp.h>

#include "net/http1_check.h"
#include "net/http1_head.h"
#include "net/http1_quick.h"
#include "net/http1_scan.h"

enum phase {
    PHASE_START,    // nothing yet
    PHASE_START_CR, // the CR of an empty line that is allowed before a request
    PHASE_LINE,     // that line was seen: now the request must come
    PHASE_HEAD,
    PHASE_BODY,   // read by llhttp
    PHASE_LENGTH, // of a head that llhttp has not seen: the body is left_bytes more
    PHASE_CHUNKS, // of such a head: chunks, between two of which llhttp may be asked to go on
};

/* What llhttp is told of a message whose head it has not seen. */
static const str CHUNKED_HEAD = STR_C("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");

_Static_assert(sizeof(llhttp_t) <= HTTP1_MACHINE_BYTES, "struct http1 must hold llhttp's state");
_Static_assert(_Alignof(llhttp_t) <= 8, "struct http1 must align llhttp's state");

static llhttp_t *machine_of(struct http1 *h)
{
    return (llhttp_t *)(void *)h->machine;
}

static void set_fault(struct http1 *h, int status, const char *why)
{
    if (h->fault != 0)
        return;
    h->fault = h->kind == HTTP1_RESPONSE ? 502 : status;
    h->why = why;
}

/* ---- llhttp's callbacks ---- */

static bool method_is_known(struct http1 *h, enum http1_method *ret)
{
    switch (llhttp_get_method(machine_of(h))) {
    case HTTP_GET:
        *ret = HTTP1_GET;
        return true;
    case HTTP_HEAD:
        *ret = HTTP1_HEAD;
        return true;
    case HTTP_POST:
        *ret = HTTP1_POST;
        return true;
    case HTTP_PUT:
        *ret = HTTP1_PUT;
        return true;
    case HTTP_PATCH:
        *ret = HTTP1_PATCH;
        return true;
    case HTTP_DELETE:
        *ret = HTTP1_DELETE;
        return true;
    case HTTP_OPTIONS:
        *ret = HTTP1_OPTIONS;
        return true;
    default:
        return false;
    }
}

/* What the first line says. llhttp also takes HTTP/0.9, 2.0, and methods of other protocols. */
static void check_first_line(struct http1 *h)
{
    const llhttp_t *m = machine_of(h);
    enum http1_method method;
    if (m->http_major != 1 || m->http_minor > 1)
        set_fault(h, 400, "the version is neither HTTP/1.0 nor HTTP/1.1");
    else if (h->kind == HTTP1_REQUEST && !method_is_known(h, &method))
        set_fault(h, 501, "the method is not implemented");
}

static int on_version_complete(llhttp_t *m)
{
    struct http1 *h = m->data;
    check_first_line(h);
    return h->fault != 0 ? HPE_USER : 0;
}

static int on_headers_complete(llhttp_t *m)
{
    struct http1 *h = m->data;
    // Nothing is ever upgraded: an Upgrade field is like any other.
    m->upgrade = 0;
    if (h->kind == HTTP1_RESPONSE && (h->answer_to_head || m->status_code < 200 ||
                                      m->status_code == 204 || m->status_code == 304))
        m->flags |= F_SKIPBODY;
    return HPE_PAUSED;
}

static bool too_much_without_body(struct http1 *h)
{
    if (h->unbodied_bytes > HTTP1_HEAD_BYTES)
        set_fault(h, 431, "a chunk extension or the trailers are too long");
    return h->fault != 0;
}

/* Reports a piece of the body; false at a fault. */
static bool take_body(struct http1 *h, str data)
{
    if (data.len > h->body_limit_bytes - h->body_bytes) {
        set_fault(h, 413, "the body is too large");
        return false;
    }
    h->body_bytes += data.len;
    h->unbodied_bytes = 0;
    h->body_end = data.p + data.len;
    int status = h->events->on_body(h->arg, data);
    if (status != 0)
        set_fault(h, status, "the body was refused");
    return h->fault == 0;
}

static int on_body(llhttp_t *m, const char *at, size_t n)
{
    struct http1 *h = m->data;
    h->unbodied_bytes += (uint32_t)(at - h->body_end);
    h->between_chunks = false;
    return !too_much_without_body(h) && take_body(h, str_of(at, n)) ? 0 : HPE_USER;
}

static int on_chunk_complete(llhttp_t *m)
{
    struct http1 *h = m->data;
    h->between_chunks = true; // until it has read more, which feed_body() sees
    return 0;
}

/* Refused at its announcement: nobody waits for bytes that are not going to be taken. */
static int on_chunk_header(llhttp_t *m)
{
    struct http1 *h = m->data;
    if (m->content_length > h->body_limit_bytes - h->body_bytes)
        set_fault(h, 413, "a chunk is larger than the body may be");
    return h->fault != 0 ? HPE_USER : 0;
}

static int on_header_field_complete(llhttp_t *m)
{
    struct http1 *h = m->data;
    if (h->phase < PHASE_BODY)
        return 0;
    m->header_state = 0; // a trailer has no meaning, whatever its name
    if (++h->n_trailers > HTTP1_FIELDS)
        set_fault(h, 431, "there are too many trailers");
    return h->fault != 0 ? HPE_USER : 0;
}

static int on_message_complete(llhttp_t *m)
{
    struct http1 *h = m->data;
    h->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t SETTINGS = {
    .on_version_complete = on_version_complete,
    .on_header_field_complete = on_header_field_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_chunk_complete = on_chunk_complete,
    .on_message_complete = on_message_complete,
};

/* ---- faults ---- */

static bool is_token_char(char c)
{
    char low = ascii_lower(c);
    return (low >= 'a' && low <= 'z') || ascii_is_digit(c) ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* A method that we do not know is 501; bytes that cannot be one are 400. */
static void set_method_fault(struct http1 *h)
{
    const char *at = h->head->text, *last = llhttp_get_error_pos(machine_of(h));
    while (at < last && is_token_char(*at))
        at++;
    if (is_token_char(*at))
        set_fault(h, 501, "the method is not implemented");
    else
        set_fault(h, 400, "the request line is malformed");
}

static void set_machine_fault(struct http1 *h, llhttp_errno_t code)
{
    switch (code) {
    case HPE_INVALID_METHOD:
        set_method_fault(h);
        break;
    case HPE_INVALID_URL:
        set_fault(h, 400, "the request target is malformed");
        break;
    case HPE_INVALID_VERSION:
    case HPE_INVALID_CONSTANT:
    case HPE_INVALID_STATUS:
        set_fault(h, 400, "the first line is malformed");
        break;
    case HPE_CR_EXPECTED:
    case HPE_LF_EXPECTED:
        set_fault(h, 400, "a line does not end with CR LF");
        break;
    case HPE_INVALID_HEADER_TOKEN:
    case HPE_UNEXPECTED_SPACE:
        set_fault(h, 400, "a header field is malformed");
        break;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        set_fault(h, 400, "Content-Length is malformed, doubled or contradicted");
        break;
    case HPE_INVALID_TRANSFER_ENCODING:
        set_fault(h, 400, "Transfer-Encoding is malformed or contradicted");
        break;
    case HPE_INVALID_CHUNK_SIZE:
        set_fault(h, 400, "a chunk size is malformed");
        break;
    default:
        set_fault(h, 400, "the message is malformed");
        break;
    }
}

/* ---- the head ---- */

/* Two parsers have read the framing, llhttp and ours: they must agree. */
static bool framing_agrees(struct http1 *h, const struct http1_message *m)
{
    const llhttp_t *machine = machine_of(h);
    if (m->chunked != ((machine->flags & F_CHUNKED) != 0))
        return false;
    if (m->has_length != ((machine->flags & F_CONTENT_LENGTH) != 0))
        return false;
    return !m->has_length || m->length_bytes == machine->content_length;
}

static void check_head(struct http1 *h)
{
    assert(h->head != NULL);
    struct http1_message *m = &h->head->message;
    const llhttp_t *machine = machine_of(h);
    check_first_line(h);
    if (h->fault != 0)
        return;
    http1_head_cut(h);
    if (h->kind == HTTP1_REQUEST)
        method_is_known(h, &m->method);
    m->status = machine->status_code;
    m->http10 = machine->http_minor == 0;
    m->keep_alive =
        llhttp_should_keep_alive(machine) != 0 && (machine->flags & F_CONNECTION_CLOSE) == 0;

    struct http1_fault f = http1_check_fields(m, h->kind);
    if (f.status == 0 && h->kind == HTTP1_REQUEST)
        f = http1_check_target(m);
    if (f.status == 0 && !framing_agrees(h, m))
        f = (struct http1_fault){400, "the framing of the message is in doubt"};
    if (f.status == 0 && h->kind == HTTP1_RESPONSE && m->status == 101)
        f = (struct http1_fault){400, "the protocol was switched without being asked to"};
    if (f.status != 0)
        set_fault(h, f.status, f.why);
    h->head->whole = f.status == 0;
}

/* Gives llhttp the part of the head's text that begins at `from`. */
static void run_head(struct http1 *h, size_t from, bool whole)
{
    http1_head_blank_tabs(h->head, from);
    llhttp_errno_t code = llhttp_execute(machine_of(h), h->head->text + from, h->head->len - from);
    bool paused = code == HPE_PAUSED;
    const char *end = h->head->text + h->head->len;
    if (code != HPE_OK && !paused)
        set_machine_fault(h, code);
    else if (paused != whole || (paused && llhttp_get_error_pos(machine_of(h)) != end))
        set_fault(h, 400, "the end of the head is in doubt");
    else if (h->n_lines > 0)
        check_first_line(h); // HTTP/0.9 has no version that llhttp would report
}

/* The usual head without llhttp; 0 if it is another. */
static size_t feed_quick_head(struct http1 *h, str data)
{
    struct http1_quick_head q;
    if (h->head != NULL || h->answer_to_head || !http1_quick_head(h->kind, data, &q))
        return 0;
    http1_head_take(h, data, &q);
    h->left_bytes = q.message.length_bytes;
    h->between_chunks = true;
    h->phase = q.message.chunked ? PHASE_CHUNKS : PHASE_LENGTH;
    int status = h->events->on_head(h->arg, &h->head->message);
    if (status != 0)
        set_fault(h, status, "the request was refused");
    return q.len;
}

static size_t feed_head(struct http1 *h, str data)
{
    size_t quick = feed_quick_head(h, data);
    if (quick > 0)
        return quick;
    h->machine_used = true;
    struct http1_scan s = http1_scan_head(h, data);
    size_t from = h->head != NULL ? h->head->len : 0;
    if (s.n > 0) {
        http1_head_add(h, str_head(data, s.n), s.whole);
        run_head(h, from, s.whole);
    }
    if (s.fault.status != 0)
        set_fault(h, s.fault.status, s.fault.why);
    if (h->fault != 0 || !s.whole)
        return s.n;

    check_head(h);
    if (h->fault != 0)
        return s.n;
    h->phase = PHASE_BODY;
    int status = h->events->on_head(h->arg, &h->head->message);
    if (status != 0)
        set_fault(h, status, "the request was refused");
    llhttp_resume(machine_of(h));
    return s.n;
}

/* One empty line before a request is ignored (RFC 9112 section 2.2). */
static size_t feed_start(struct http1 *h, str data)
{
    char c = data.p[0];
    if (h->phase == PHASE_START_CR) {
        if (c != '\n')
            set_fault(h, 400, "a line does not end with CR LF");
        h->phase = PHASE_LINE;
        return 1;
    }
    if (h->phase == PHASE_START && h->kind == HTTP1_REQUEST && c == '\r') {
        h->phase = PHASE_START_CR;
        return 1;
    }
    h->phase = PHASE_HEAD;
    h->in_message = true;
    return 0;
}

/* ---- the body ---- */

static size_t feed_body(struct http1 *h, str data)
{
    h->body_end = data.p;
    llhttp_errno_t code = llhttp_execute(machine_of(h), data.p, data.len);
    if (h->fault != 0)
        return 0;
    if (code != HPE_OK && code != HPE_PAUSED) {
        set_machine_fault(h, code);
        return 0;
    }
    const char *end = code == HPE_PAUSED ? llhttp_get_error_pos(machine_of(h)) : NULL;
    size_t taken = end != NULL ? (size_t)(end - data.p) : data.len;
    size_t behind = (size_t)(data.p + taken - h->body_end);
    // A chunk has ended, and since its data came in this slice, the two bytes are its line end.
    h->between_chunks = h->between_chunks && h->body_end > data.p && behind == 2;
    h->unbodied_bytes += (uint32_t)behind;
    if (too_much_without_body(h))
        h->complete = false;
    return taken;
}

static size_t feed_length(struct http1 *h, str data)
{
    if (data.len > h->left_bytes)
        data.len = (size_t)h->left_bytes;
    if (data.len > 0 && !take_body(h, data))
        return 0;
    h->left_bytes -= data.len;
    h->complete = h->left_bytes == 0;
    return data.len;
}

/* Makes llhttp stand between two chunks, where it would be had it read what we did. */
static void prime_machine(struct http1 *h)
{
    h->machine_used = true;
    h->phase = PHASE_HEAD; // its callbacks take a field for a trailer otherwise
    llhttp_errno_t code = llhttp_execute(machine_of(h), CHUNKED_HEAD.p, CHUNKED_HEAD.len);
    assert(code == HPE_PAUSED);
    (void)code;
    llhttp_resume(machine_of(h));
    h->phase = PHASE_CHUNKS;
}

/* Takes whole chunks by itself, and has llhttp read all else. */
static size_t feed_chunks(struct http1 *h, str data)
{
    size_t taken = 0;
    str piece;
    while (h->between_chunks && taken < data.len && !h->complete) {
        size_t n = http1_quick_chunk(str_skip(data, taken), &piece);
        if (n == 0 || piece.len > h->body_limit_bytes - h->body_bytes)
            break;
        if (piece.len > 0 && !take_body(h, piece))
            return 0;
        h->complete = piece.len == 0;
        h->unbodied_bytes = 2;
        taken += n;
    }
    if (taken == data.len || h->complete)
        return taken;
    if (!h->machine_used)
        prime_machine(h);
    return taken + feed_body(h, str_skip(data, taken));
}

static size_t feed_content(struct http1 *h, str data)
{
    switch (h->phase) {
    case PHASE_LENGTH:
        return feed_length(h, data);
    case PHASE_CHUNKS:
        return feed_chunks(h, data);
    default:
        return feed_body(h, data);
    }
}

/* ---- outside ---- */

static void restart(struct http1 *h)
{
    h->phase = PHASE_START;
    h->last_byte = '\0';
    h->n_trailers = 0;
    h->body_limit_bytes = UINT64_MAX;
    h->body_bytes = 0;
    h->n_lines = h->line_bytes = h->head_bytes = h->unbodied_bytes = 0;
    h->complete = h->in_message = h->machine_used = h->between_chunks = false;
}

void http1_init(struct http1 *h, enum http1_kind kind, const struct http1_events *events, void *arg)
{
    *h = (struct http1){.events = events, .arg = arg, .kind = kind};
    llhttp_init(machine_of(h), kind == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &SETTINGS);
    machine_of(h)->data = h;
    restart(h);
}

void http1_release(struct http1 *h)
{
    http1_drop_head(h);
}

size_t http1_feed(struct http1 *h, str data)
{
    size_t taken = 0;
    if (h->complete)
        return 0;
    while (taken < data.len && h->phase < PHASE_HEAD && h->fault == 0)
        taken += feed_start(h, str_skip(data, taken));
    if (taken < data.len && h->phase == PHASE_HEAD && h->fault == 0)
        taken += feed_head(h, str_skip(data, taken));
    // Without a body, the message ends on no bytes at all.
    if (h->phase >= PHASE_BODY && h->fault == 0 && !h->complete)
        taken += feed_content(h, str_skip(data, taken));
    if (h->complete && h->fault == 0)
        h->events->on_complete(h->arg);
    return taken;
}

bool http1_feed_eof(struct http1 *h)
{
    if (h->fault != 0)
        return false;
    if (h->complete || !h->in_message)
        return true;
    if (h->phase < PHASE_BODY || !h->machine_used)
        return false;
    h->complete = false;
    llhttp_finish(machine_of(h));
    if (!h->complete)
        return false;
    h->events->on_complete(h->arg);
    return true;
}

void http1_next(struct http1 *h)
{
    assert(h->fault == 0);
    http1_drop_head(h);
    if (h->machine_used)
        llhttp_reset(machine_of(h));
    restart(h);
}

const struct http1_message *http1_message(const struct http1 *h)
{
    return h->head != NULL && h->head->whole ? &h->head->message : NULL;
}

bool http1_is_head(const struct http1 *h)
{
    return h->head != NULL && str_starts(str_of(h->head->text, h->head->len), STR("HEAD "));
}
