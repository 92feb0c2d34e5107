#include "codec/ollama_line_fast.h"

#include "codec/json_cursor.h"

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
static bool take_escaped(struct json_cursor *c, struct arena *a, str *ret)
{
    str in = str_of(c->at, json_left(c));
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
static bool take_string(struct json_cursor *c, struct arena *a, str *ret)
{
    return json_take_plain(c, ret) || take_escaped(c, a, ret);
}

/* ---- the end of an answer ---- */

/* What follows `"done":true`. Ollama leaves out what is zero, and never changes the order. */
static bool take_end(struct json_cursor *c, struct ollama_line *line)
{
    uint64_t ignored;
    if (JSON_TAKE(c, ",\"done_reason\":\"") && !json_take_plain(c, &line->done_reason))
        return false;
    if (JSON_TAKE(c, ",\"total_duration\":") && !json_take_count(c, &ignored))
        return false;
    if (JSON_TAKE(c, ",\"load_duration\":") && !json_take_count(c, &ignored))
        return false;
    if (JSON_TAKE(c, ",\"prompt_eval_count\":") && !json_take_count(c, &line->prompt_tokens))
        return false;
    if (JSON_TAKE(c, ",\"prompt_eval_duration\":") && !json_take_count(c, &ignored))
        return false;
    if (JSON_TAKE(c, ",\"eval_count\":") && !json_take_count(c, &line->completion_tokens))
        return false;
    if (JSON_TAKE(c, ",\"eval_duration\":") && !json_take_count(c, &ignored))
        return false;
    line->done = true;
    return JSON_TAKE(c, "}");
}

bool ollama_line_fast(struct arena *a, str text, struct ollama_line *ret)
{
    if (text.len == 0) // it may be NULL then
        return false;
    struct json_cursor c = {text.p, text.p + text.len};
    struct ollama_line line = {0};
    str ignored;
    if (!JSON_TAKE(&c, "{\"model\":\"") || !json_take_plain(&c, &ignored))
        return false;
    if (!JSON_TAKE(&c, ",\"created_at\":\"") || !json_take_plain(&c, &ignored))
        return false;
    if (!JSON_TAKE(&c, ",\"message\":{\"role\":\"assistant\",\"content\":\"") ||
        !take_string(&c, a, &line.content))
        return false;
    if (JSON_TAKE(&c, ",\"thinking\":\"") && !take_string(&c, a, &line.thinking))
        return false;
    if (!JSON_TAKE(&c, "},\"done\":"))
        return false;
    if (!JSON_TAKE(&c, "false}") && !(JSON_TAKE(&c, "true") && take_end(&c, &line)))
        return false;
    if (c.at != c.end)
        return false;
    *ret = line;
    return true;
}
