#include "codec/ollama_line_fast.h"

#include "codec/json_scan.h"

enum { DIGITS_MAX = 18 }; // so many fit an int64, whatever they are

/* What is left of the line. */
struct cursor {
    const char *at;
    const char *end;
};

static size_t left(const struct cursor *c)
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

/* ---- strings; the cursor stands behind the opening quote, then behind the closing one ---- */

/* A string without escapes. */
static bool take_plain(struct cursor *c, str *ret)
{
    size_t n = json_string_run(str_of(c->at, left(c)));
    if (n == left(c) || c->at[n] != '"')
        return false;
    *ret = str_of(c->at, n);
    c->at += n + 1;
    return true;
}

/* A character of the Basic Multilingual Plane, which is no surrogate, as UTF-8. */
static size_t put_utf8(char *out, unsigned unit)
{
    if (unit < 0x80) {
        out[0] = (char)unit;
        return 1;
    }
    if (unit < 0x800) {
        out[0] = (char)(0xC0 | unit >> 6);
        out[1] = (char)(0x80 | (unit & 0x3F));
        return 2;
    }
    out[0] = (char)(0xE0 | unit >> 12);
    out[1] = (char)(0x80 | (unit >> 6 & 0x3F));
    out[2] = (char)(0x80 | (unit & 0x3F));
    return 3;
}

/* The code unit of four hexadecimal digits, or -1; also for surrogates, which need a partner. */
static int code_unit(str digits)
{
    int unit = 0;
    if (digits.len < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_value(digits.p[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit >= 0xD800 && unit < 0xE000 ? -1 : unit;
}

/* What a backslash and `letter` stand for, or 0. */
static char meaning_of(char letter)
{
    static const char MEANINGS[256] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    return MEANINGS[(unsigned char)letter];
}

/* Takes the escape at the start of `*in`; the bytes it stands for, or 0 if it is not simple. */
static size_t unescape_one(str *in, char *out)
{
    if (in->len < 2 || in->p[0] != '\\')
        return 0;
    if (in->p[1] == 'u') {
        int unit = code_unit(str_skip(*in, 2));
        *in = str_skip(*in, 6);
        return unit < 0 ? 0 : put_utf8(out, (unsigned)unit);
    }
    out[0] = meaning_of(in->p[1]);
    *in = str_skip(*in, 2);
    return out[0] != 0;
}

/* A string with escapes, none of which makes it longer. */
static bool take_escaped(struct cursor *c, struct arena *a, str *ret)
{
    str in = str_of(c->at, left(c));
    char *out = arena_alloc(a, in.len);
    if (out == NULL)
        return false;
    for (size_t n = 0;;) {
        size_t plain = json_string_run(in);
        memcpy(out + n, in.p, plain);
        n += plain;
        in = str_skip(in, plain);
        if (in.len > 0 && in.p[0] == '"') {
            *ret = str_of(out, n);
            c->at = in.p + 1;
            return true;
        }
        size_t more = unescape_one(&in, out + n);
        if (more == 0)
            return false;
        n += more;
    }
}

/* A string with or without. */
static bool take_string(struct cursor *c, struct arena *a, str *ret)
{
    return take_plain(c, ret) || take_escaped(c, a, ret);
}

/* ---- the end of an answer ---- */

/* A whole number that is not negative. */
static bool take_count(struct cursor *c, uint64_t *ret)
{
    uint64_t value = 0;
    size_t n = 0;
    for (; n < left(c) && n <= DIGITS_MAX && ascii_is_digit(c->at[n]); n++)
        value = value * 10 + (uint64_t)(c->at[n] - '0');
    if (n == 0 || n > DIGITS_MAX || (n > 1 && c->at[0] == '0'))
        return false;
    *ret = value;
    c->at += n;
    return true;
}

/* What follows `"done":true`. Ollama leaves out what is zero, and never changes the order. */
static bool take_end(struct cursor *c, struct ollama_line *line)
{
    uint64_t ignored;
    if (TAKE(c, ",\"done_reason\":\"") && !take_plain(c, &line->done_reason))
        return false;
    if (TAKE(c, ",\"total_duration\":") && !take_count(c, &ignored))
        return false;
    if (TAKE(c, ",\"load_duration\":") && !take_count(c, &ignored))
        return false;
    if (TAKE(c, ",\"prompt_eval_count\":") && !take_count(c, &line->prompt_tokens))
        return false;
    if (TAKE(c, ",\"prompt_eval_duration\":") && !take_count(c, &ignored))
        return false;
    if (TAKE(c, ",\"eval_count\":") && !take_count(c, &line->completion_tokens))
        return false;
    if (TAKE(c, ",\"eval_duration\":") && !take_count(c, &ignored))
        return false;
    line->done = true;
    return TAKE(c, "}");
}

bool ollama_line_fast(struct arena *a, str text, struct ollama_line *ret)
{
    if (text.len == 0) // it may be NULL then
        return false;
    struct cursor c = {text.p, text.p + text.len};
    struct ollama_line line = {0};
    str ignored;
    if (!TAKE(&c, "{\"model\":\"") || !take_plain(&c, &ignored))
        return false;
    if (!TAKE(&c, ",\"created_at\":\"") || !take_plain(&c, &ignored))
        return false;
    if (!TAKE(&c, ",\"message\":{\"role\":\"assistant\",\"content\":\"") ||
        !take_string(&c, a, &line.content))
        return false;
    if (TAKE(&c, ",\"thinking\":\"") && !take_string(&c, a, &line.thinking))
        return false;
    if (!TAKE(&c, "},\"done\":"))
        return false;
    if (!TAKE(&c, "false}") && !(TAKE(&c, "true") && take_end(&c, &line)))
        return false;
    if (c.at != c.end)
        return false;
    *ret = line;
    return true;
}
