#include "codec/json.h"

#include <string.h>

#define REPLACEMENT STR("\xEF\xBF\xBD") // U+FFFD

static uint64_t has_byte(uint64_t word, uint8_t byte)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t x = word ^ (ones * byte);
    return (x - ones) & ~x & (ones << 7);
}

/*
 * Whether one of eight bytes may need an escape: a control, a quote, a backslash, or the lead
 * of U+0085, U+2028 and U+2029. It may say yes for nothing, never no.
 */
static bool word_may_escape(const char *p)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    uint64_t control = (word - ones * 0x20) & ~word & (ones << 7);
    return (control | has_byte(word, '"') | has_byte(word, '\\') | has_byte(word, 0xC2) |
            has_byte(word, 0xE2)) != 0;
}

/* The length of the character at `p` if it must be escaped, else 0. `left` > 0. */
static size_t escape_at(const char *p, size_t left)
{
    unsigned char c = (unsigned char)p[0];
    if (c < 0x20 || c == '"' || c == '\\')
        return 1;
    if (c == 0xC2 && left >= 2 && (unsigned char)p[1] == 0x85)
        return 2;
    if (c == 0xE2 && left >= 3 && (unsigned char)p[1] == 0x80 &&
        ((unsigned char)p[2] == 0xA8 || (unsigned char)p[2] == 0xA9))
        return 3;
    return 0;
}

/* The two-byte escape's letter for a one-byte character, or 0. */
static char short_escape(char c)
{
    switch (c) {
    case '"':
        return '"';
    case '\\':
        return '\\';
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static void put_escape(struct buf *out, const char *p, size_t len)
{
    static const char HEX[] = "0123456789abcdef";
    char letter = len == 1 ? short_escape(p[0]) : 0;
    if (letter != 0) {
        buf_append(out, str_of((char[]){'\\', letter}, 2));
    } else if (len == 1) {
        char text[] = {'\\', 'u', '0', '0', HEX[(p[0] >> 4) & 15], HEX[p[0] & 15]};
        buf_append(out, str_of(text, sizeof(text)));
    } else if (len == 2) {
        buf_append(out, STR("\\u0085"));
    } else {
        buf_append(out, (unsigned char)p[2] == 0xA8 ? STR("\\u2028") : STR("\\u2029"));
    }
}

/* The number of bytes at the start of `s`, which is valid UTF-8, that go out as they are. */
static size_t plain_run(str s)
{
    size_t i = 0;
    while (i < s.len) {
        if (s.len - i >= 8 && !word_may_escape(s.p + i)) {
            i += 8;
            continue;
        }
        size_t end = s.len - i >= 8 ? i + 8 : s.len;
        for (; i < end; i++) {
            if (escape_at(s.p + i, s.len - i) > 0)
                return i;
        }
    }
    return s.len;
}

static void put_valid(struct buf *out, str s)
{
    while (s.len > 0) {
        size_t run = plain_run(s);
        buf_append(out, str_head(s, run));
        s = str_skip(s, run);
        if (s.len > 0) {
            size_t n = escape_at(s.p, s.len);
            put_escape(out, s.p, n);
            s = str_skip(s, n);
        }
    }
}

void json_put_escaped(struct buf *out, str s)
{
    while (s.len > 0) {
        size_t valid = utf8_valid_prefix(s);
        put_valid(out, str_head(s, valid));
        s = str_skip(s, valid);
        if (s.len > 0) {
            buf_append(out, REPLACEMENT);
            s = str_skip(s, 1);
        }
    }
}

void json_put_string(struct buf *out, str s)
{
    buf_append_char(out, '"');
    json_put_escaped(out, s);
    buf_append_char(out, '"');
}

/* The character at the start of `s`: its length, and in `*escaped` its length when escaped. */
static size_t measure(str s, size_t *escaped)
{
    unsigned char c = (unsigned char)s.p[0];
    size_t n = escape_at(s.p, s.len);
    if (n > 0) {
        *escaped = n == 1 && short_escape(s.p[0]) != 0 ? 2 : 6;
        return n;
    }
    if (c < 0x80) {
        *escaped = 1;
        return 1;
    }
    n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    if (s.len >= n && utf8_valid_prefix(str_head(s, n)) == n) {
        *escaped = n;
        return n;
    }
    *escaped = REPLACEMENT.len;
    return 1;
}

size_t json_escaped_head(str s, size_t max)
{
    enum { WORST = 6 }; // bytes that one byte can become
    if (s.len <= max / WORST)
        return s.len;
    size_t at = 0;
    size_t used = 0;
    while (at < s.len) {
        size_t escaped;
        size_t n = measure(str_skip(s, at), &escaped);
        if (at > 0 && (escaped > max || used > max - escaped))
            break;
        at += n;
        used += escaped;
    }
    return at;
}

static void put_container(struct buf *out, const struct json *v, bool is_object);

void json_put_value(struct buf *out, const struct json *v)
{
    bool truth = false;
    switch (json_kind(v)) {
    case JSON_NULL:
        buf_append(out, STR("null"));
        break;
    case JSON_BOOL:
        buf_append(out, json_to_bool(v, &truth) && truth ? STR("true") : STR("false"));
        break;
    case JSON_NUMBER:
        buf_append(out, json_number_text(v));
        break;
    case JSON_STRING:
        json_put_string(out, json_str(v));
        break;
    case JSON_ARRAY:
        put_container(out, v, false);
        break;
    case JSON_OBJECT:
        put_container(out, v, true);
        break;
    }
}

/* Recursion ends: parsed values are at most JSON_DEPTH_MAX deep. */
static void put_container(struct buf *out, const struct json *v, bool is_object)
{
    struct json_iter it = json_iter(v);
    const struct json *item = NULL;
    str key = {0};
    bool first = true;
    buf_append_char(out, is_object ? '{' : '[');
    while (json_next(&it, &key, &item)) {
        if (!first)
            buf_append_char(out, ',');
        first = false;
        if (is_object) {
            json_put_string(out, key);
            buf_append_char(out, ':');
        }
        json_put_value(out, item);
    }
    buf_append_char(out, is_object ? '}' : ']');
}
