#include "net/http1_scan.h"

struct limits {
    size_t line_bytes;
    size_t field_bytes;
    size_t head_bytes;
    size_t n_fields;
};

static const struct limits LIMITS[] = {
    [HTTP1_REQUEST] = {HTTP1_LINE_BYTES, HTTP1_FIELD_BYTES,         HTTP1_HEAD_BYTES,          HTTP1_FIELDS},
    [HTTP1_RESPONSE] = {HTTP1_LINE_BYTES, HTTP1_RESPONSE_HEAD_BYTES, HTTP1_RESPONSE_HEAD_BYTES,
                       HTTP1_RESPONSE_FIELDS                                                               },
};

static size_t room_below(size_t limit, size_t used)
{
    return used < limit ? limit - used : 0;
}

/* How many more bytes the line in hand may have, without its end. */
static inline size_t line_room(const struct http1 *h)
{
    const struct limits *l = &LIMITS[h->kind];
    if (h->n_lines == 0)
        return room_below(l->line_bytes, h->line_bytes);
    // Two bytes of the total are for the line's end.
    size_t line = room_below(l->field_bytes, h->line_bytes);
    size_t total = room_below(l->head_bytes, h->head_bytes + h->line_bytes + 2);
    return line < total ? line : total;
}

/* How many bytes of a line's piece stand before a CR that does not end it; all, if none does. */
static size_t before_bare_cr(const struct http1 *h, str piece, bool ends)
{
    if (h->line_bytes > 0 && h->last_byte == '\r' && piece.p[0] != '\n')
        return 0;
    size_t at = str_find_char(piece, '\r');
    bool may_end = ends ? at + 2 == piece.len : at + 1 == piece.len;
    return may_end ? piece.len : at;
}

/*
 * Accounts for `n` bytes of a line, its end (if `ends`) included. Sets `s->fault` at a limit, with
 * only the bytes below it in s->n: so what is found does not depend on how the input is cut.
 */
static void scan_line(struct http1 *h, const char *p, size_t n, bool ends, struct http1_scan *s)
{
    const struct limits *l = &LIMITS[h->kind];
    if (h->n_lines > 0 && h->line_bytes == 0 && (p[0] == ' ' || p[0] == '\t')) {
        s->fault = (struct http1_fault){400, "a header field is folded"};
        return;
    }
    bool cr = n >= 2 ? p[n - 2] == '\r' : h->line_bytes > 0 && h->last_byte == '\r';
    size_t total = h->line_bytes + n;
    size_t ending = ends ? 1 + cr : p[n - 1] == '\r';
    size_t text = total - ending;
    if (text > 0 && h->n_lines > l->n_fields) {
        s->fault = (struct http1_fault){431, "there are too many header fields"};
        return;
    }
    size_t room = line_room(h);
    size_t sound = before_bare_cr(h, str_of(p, n), ends);
    if (sound < n && sound <= room) {
        s->n += sound;
        s->fault = (struct http1_fault){400, "a line holds a CR"};
        return;
    }
    if (text > h->line_bytes && text - h->line_bytes > room) {
        s->n += room;
        s->fault = h->n_lines == 0 ? (struct http1_fault){414, "the request line is too long"}
                                   : (struct http1_fault){431, "the header fields are too long"};
        return;
    }
    if (ends && !cr) {
        s->n += n - 1;
        s->fault = (struct http1_fault){400, "a line does not end with CR LF"};
        return;
    }
    s->n += n;
    h->last_byte = p[n - 1];
    h->line_bytes = (uint32_t)total;
    if (!ends)
        return;
    bool empty = text == 0;
    if (empty && h->n_lines == 0) {
        s->fault = (struct http1_fault){400, "the request line is empty"};
        return;
    }
    s->whole = empty;
    h->head_bytes += h->n_lines > 0 && !empty ? (uint32_t)total : 0;
    h->n_lines += !empty;
    h->line_bytes = 0;
}

/*
 * The usual line: whole in the slice from its first byte to its CR LF, within every limit. False,
 * and nothing done, for any other, which scan_line() looks at closely.
 */
static inline bool scan_usual_line(struct http1 *h, const char *p, size_t n, struct http1_scan *s)
{
    size_t text = n - 2; // wraps below two bytes, and is then more than any room
    if (h->line_bytes > 0 || text > line_room(h) || p[text] != '\r')
        return false;
    if (text == 0) {
        if (h->n_lines == 0)
            return false;
        s->whole = true;
        s->n += n;
        h->last_byte = '\n';
        return true;
    }
    if (h->n_lines > 0) {
        if (h->n_lines > LIMITS[h->kind].n_fields || p[0] == ' ' || p[0] == '\t')
            return false;
        h->head_bytes += (uint32_t)n;
    }
    if (memchr(p, '\r', text) != NULL)
        return false;
    s->n += n;
    h->n_lines++;
    h->last_byte = '\n';
    return true;
}

struct http1_scan http1_scan_head(struct http1 *h, str data)
{
    struct http1_scan s = {0};
    while (s.n < data.len && !s.whole && s.fault.status == 0) {
        const char *p = data.p + s.n;
        const char *lf = memchr(p, '\n', data.len - s.n);
        size_t n = lf != NULL ? (size_t)(lf - p) + 1 : data.len - s.n;
        if (lf == NULL || !scan_usual_line(h, p, n, &s))
            scan_line(h, p, n, lf != NULL, &s);
    }
    return s;
}
