#include "net/http1_quick.h"

#include "base/lanes.h"
#include "net/http1_check.h"

enum { LENGTH_DIGITS = 15 }; // so many fit whatever they are

/* What is left of the head. */
struct cursor {
    const char *at;
    const char *end;
};

static inline size_t left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* Inline, so that a literal of known length is compared in registers. */
static ALWAYS_INLINE bool take(struct cursor *c, const char *literal, size_t len)
{
    if (left(c) < len || memcmp(c->at, literal, len) != 0)
        return false;
    c->at += len;
    return true;
}

#define TAKE(c, literal) take((c), (literal), sizeof(literal) - 1)

// clang-format off
enum {
    IN_NAME = 1, // RFC 9110 section 5.6.2, token
    IN_PATH = 2, // bytes of a path that mean nothing but themselves
};

static const unsigned char KINDS[256] = {
    ['a' ... 'z'] = IN_NAME | IN_PATH, ['A' ... 'Z'] = IN_NAME | IN_PATH,
    ['0' ... '9'] = IN_NAME | IN_PATH, ['-'] = IN_NAME | IN_PATH, ['_'] = IN_NAME | IN_PATH,
    ['/'] = IN_PATH,
    ['!'] = IN_NAME, ['#'] = IN_NAME, ['$'] = IN_NAME, ['%'] = IN_NAME, ['&'] = IN_NAME,
    ['\''] = IN_NAME, ['*'] = IN_NAME, ['+'] = IN_NAME, ['.'] = IN_NAME, ['^'] = IN_NAME,
    ['`'] = IN_NAME, ['|'] = IN_NAME, ['~'] = IN_NAME,
};
// clang-format on

static inline str take_kind(struct cursor *c, unsigned char kind)
{
    const char *from = c->at;
    while (c->at < c->end && (KINDS[(unsigned char)*c->at] & kind) != 0)
        c->at++;
    return str_of(from, (size_t)(c->at - from));
}

/* A field's name. Most consist of letters, digits and '-' alone. */
static inline str take_name(struct cursor *c)
{
    const char *from = c->at;
    while (left(c) >= LANES) {
        lanes v = lanes_load(c->at), low = v | 0x20;
        lanes usual = ((low >= 'a') & (low <= 'z')) | ((v >= '0') & (v <= '9')) | (v == '-');
        size_t n = lanes_first(~usual);
        c->at += n;
        if (n < LANES)
            break;
    }
    take_kind(c, IN_NAME);
    return str_of(from, (size_t)(c->at - from));
}

/* Up to the first byte that is a control or no ASCII. */
static inline void skip_plain(struct cursor *c)
{
    while (left(c) >= LANES) {
        lanes v = lanes_load(c->at);
        size_t n = lanes_first((v < ' ') | (v == 0x7F));
        c->at += n;
        if (n < LANES)
            return;
    }
    while (c->at < c->end && *c->at >= ' ' && *c->at < 0x7F)
        c->at++;
}

/* The rest of a line of plain text that neither is empty nor ends with a blank. */
static inline bool take_rest(struct cursor *c, str *ret)
{
    const char *from = c->at;
    skip_plain(c);
    *ret = str_of(from, (size_t)(c->at - from));
    return ret->len > 0 && c->at[-1] != ' ' && TAKE(c, "\r\n");
}

/* ---- first lines ---- */

static bool take_request_line(struct cursor *c, struct http1_message *m)
{
    if (TAKE(c, "POST "))
        m->method = HTTP1_POST;
    else if (TAKE(c, "GET "))
        m->method = HTTP1_GET;
    else
        return false;
    m->target = take_kind(c, IN_PATH);
    return m->target.len > 0 && m->target.p[0] == '/' && TAKE(c, " HTTP/1.1\r\n");
}

/* Answers that may have a body: neither interim ones nor 204 and 304. */
static bool take_status_line(struct cursor *c, struct http1_message *m)
{
    str reason;
    if (!TAKE(c, "HTTP/1.1 ") || left(c) < 4)
        return false;
    const char *p = c->at;
    if (p[0] < '2' || p[0] > '5' || !ascii_is_digit(p[1]) || !ascii_is_digit(p[2]) || p[3] != ' ')
        return false;
    m->status = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
    c->at += 4;
    return m->status != 204 && m->status != 304 && take_rest(c, &reason);
}

/* ---- fields that say something about the message ---- */

/*
 * Whether a text of `len` bytes, known where this is used, 4 to 24, is `wanted`, in lower case. Of
 * plain ASCII no byte but a letter in capitals becomes another's by the bit that is set.
 */
static ALWAYS_INLINE bool is_named(str name, const char *wanted, size_t len)
{
    const uint64_t lower = 0x2020202020202020U;
    const size_t n = len >= 8 ? 8 : 4;
    uint64_t first = 0, last = 0, want_first = 0, want_last = 0;
    memcpy(&first, name.p, n);
    memcpy(&last, name.p + len - n, n);
    memcpy(&want_first, wanted, n);
    memcpy(&want_last, wanted + len - n, n);
    if (len > 16) {
        uint64_t middle, want_middle;
        memcpy(&middle, name.p + 8, 8);
        memcpy(&want_middle, wanted + 8, 8);
        if ((middle | lower) != (want_middle | lower))
            return false;
    }
    return (((first | lower) ^ (want_first | lower)) | ((last | lower) ^ (want_last | lower))) == 0;
}

#define IS_NAMED(name, wanted) is_named((name), (wanted), sizeof(wanted) - 1)

static bool note_length(struct http1_message *m, str value)
{
    uint64_t length = 0;
    if (m->has_length || value.len > LENGTH_DIGITS || (value.len > 1 && value.p[0] == '0'))
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if (!ascii_is_digit(value.p[i]))
            return false;
        length = length * 10 + (uint64_t)(value.p[i] - '0');
    }
    m->has_length = true;
    m->length_bytes = length;
    return true;
}

/* Takes note of what a field says; false, if it is not for us to judge. Few names get that far. */
static bool note_field(struct http1_message *m, enum http1_kind kind, str name, str value,
                       unsigned *n_hosts)
{
    switch (name.len) {
    case 4:
        if (kind == HTTP1_REQUEST && IS_NAMED(name, "host"))
            return ++*n_hosts == 1 && http1_is_authority(value);
        return true;
    case 6:
        return !IS_NAMED(name, "expect");
    case 7:
        return !IS_NAMED(name, "upgrade");
    case 10:
        return !IS_NAMED(name, "connection") || (value.len == 10 && IS_NAMED(value, "keep-alive"));
    case 14:
        return !IS_NAMED(name, "content-length") || note_length(m, value);
    case 16:
        return !IS_NAMED(name, "proxy-connection");
    case 17:
        if (!IS_NAMED(name, "transfer-encoding"))
            return true;
        if (kind == HTTP1_REQUEST || m->chunked || !str_eq(value, STR("chunked")))
            return false;
        m->chunked = true;
        return true;
    default:
        return true;
    }
}

/* ---- the whole ---- */

static bool take_fields(struct cursor *c, enum http1_kind kind, struct http1_quick_head *ret)
{
    struct http1_message *m = &ret->message;
    unsigned n_hosts = 0;
    while (!TAKE(c, "\r\n")) {
        str value;
        str name = take_name(c);
        if (name.len == 0 || m->n_fields == HTTP1_QUICK_FIELDS || !TAKE(c, ":"))
            return false;
        while (c->at < c->end && *c->at == ' ')
            c->at++;
        if (!take_rest(c, &value) || !note_field(m, kind, name, value, &n_hosts))
            return false;
        m->name_lengths |= http1_length_bit(name.len);
        ret->fields[m->n_fields++] = (struct http1_field){name, value};
    }
    return kind == HTTP1_REQUEST ? n_hosts == 1 : m->has_length != m->chunked;
}

bool http1_quick_head(enum http1_kind kind, str data, struct http1_quick_head *ret)
{
    struct cursor c = {data.p, data.p + str_head(data, HTTP1_QUICK_BYTES).len};
    ret->message = (struct http1_message){.keep_alive = true};
    if (!(kind == HTTP1_REQUEST ? take_request_line(&c, &ret->message)
                                : take_status_line(&c, &ret->message)))
        return false;
    if (!take_fields(&c, kind, ret))
        return false;
    ret->message.fields = ret->fields;
    ret->len = (size_t)(c.at - data.p);
    return true;
}

size_t http1_quick_chunk(str data, str *ret)
{
    struct cursor c = {data.p, data.p + data.len};
    size_t size = 0;
    for (; c.at < c.end && c.at - data.p < HTTP1_QUICK_CHUNK_DIGITS; c.at++) {
        int digit = hex_value(*c.at);
        if (digit < 0)
            break;
        size = size * 16 + (size_t)digit;
    }
    if (c.at == data.p || !TAKE(&c, "\r\n") || left(&c) < size)
        return 0;
    *ret = str_of(c.at, size);
    c.at += size;
    return TAKE(&c, "\r\n") ? (size_t)(c.at - data.p) : 0;
}
