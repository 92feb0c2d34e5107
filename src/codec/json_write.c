#include "codec/json.h"

#include <string.h>

#include "codec/json_scan.h"

#define REPLACEMENT STR("\xEF\xBF\xBD") // U+FFFD

/* The length of the character at `p` if it must be escaped, else 0. `left` > 0. */
static size_t escape_at(const char *p, size_t left)
{
    unsigned char c = (unsigned char)p[0];
    if (c < 0x20 || c == '"' || c == '\\')
        return 1;
    if (c == 0xC2 && left >= 2 && json_is_long_line_end(p, 2))
        return 2;
    return c == 0xE2 && left >= 3 && json_is_long_line_end(p, 3) ? 3 : 0;
}

/* The two-byte escape's letter for a one-byte character, or 0. */
static char short_escape(char c)
{
    static const char LETTERS[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
        ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
    };
    return LETTERS[(unsigned char)c];
}

/* Appends the escape of a character of one byte. */
static void put_short(struct buf *out, char c)
{
    static const char HEX[] = "0123456789abcdef";
    char letter = short_escape(c);
    char text[] = {'\\', 'u', '0', '0', HEX[(c >> 4) & 15], HEX[c & 15]};
    text[1] = letter != 0 ? letter : 'u';
    buf_append(out, str_of(text, letter != 0 ? 2 : sizeof(text)));
}

/* Appends the escape of the line end of more than one byte at `p`. */
static void put_long(struct buf *out, const char *p, size_t len)
{
    if (len == 2)
        buf_append(out, STR("\\u0085"));
    else
        buf_append(out, (unsigned char)p[2] == 0xA8 ? STR("\\u2028") : STR("\\u2029"));
}

/* Appends what a run has stopped at: an escape, or U+FFFD for a byte; returns its length. */
static size_t put_special(struct buf *out, str s)
{
    if ((unsigned char)s.p[0] < 0x80) {
        put_short(out, s.p[0]);
        return 1;
    }
    size_t n = utf8_sequence(s);
    if (n == 0) {
        buf_append(out, REPLACEMENT);
        return 1;
    }
    put_long(out, s.p, n);
    return n;
}

void json_put_escaped(struct buf *out, str s)
{
    while (s.len > 0) {
        size_t run = json_written_run(s);
        buf_append(out, str_head(s, run));
        s = str_skip(s, run);
        if (s.len > 0)
            s = str_skip(s, put_special(out, s));
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
    if (s.len >= n && utf8_sequence(str_head(s, n)) == n) {
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
