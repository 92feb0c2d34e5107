#include "codec/json_raw.h"

#include "codec/json_scan.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static str skip_space(str s)
{
    size_t n = 0;
    while (n < s.len && is_space(s.p[n]))
        n++;
    return str_skip(s, n);
}

/* The length of the string at the start of `s`, quotes and all. */
static size_t string_len(str s)
{
    size_t at = 1;
    while (at < s.len) {
        at += json_string_run(str_skip(s, at));
        if (at >= s.len || s.p[at] == '"')
            break;
        at += s.p[at] == '\\' ? 2 : 1;
    }
    return at < s.len ? at + 1 : s.len;
}

/* The length of the object or array at the start of `s`. No recursion, whatever its depth. */
static size_t container_len(str s)
{
    size_t depth = 0;
    for (size_t at = 0; at < s.len;) {
        char c = s.p[at];
        at += c == '"' ? string_len(str_skip(s, at)) : 1;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return at;
    }
    return s.len;
}

static size_t word_len(str s)
{
    size_t n = 0;
    while (n < s.len && s.p[n] != ',' && s.p[n] != '}' && s.p[n] != ']' && !is_space(s.p[n]))
        n++;
    return n;
}

static size_t value_len(str s)
{
    if (s.len == 0)
        return 0;
    if (s.p[0] == '"')
        return string_len(s);
    return s.p[0] == '{' || s.p[0] == '[' ? container_len(s) : word_len(s);
}

/* Takes the value at the start of `*rest`, and a comma behind it. */
static str take_value(str *rest)
{
    *rest = skip_space(*rest);
    str value = str_head(*rest, value_len(*rest));
    *rest = skip_space(str_skip(*rest, value.len));
    if (rest->len > 0 && rest->p[0] == ',')
        *rest = str_skip(*rest, 1);
    return value;
}

str json_raw_get(str object, str key)
{
    str found = {0};
    str rest = skip_space(object);
    if (rest.len == 0 || rest.p[0] != '{')
        return found;
    rest = skip_space(str_skip(rest, 1));
    while (rest.len > 0 && rest.p[0] == '"') {
        str name = str_head(rest, string_len(rest));
        rest = skip_space(str_skip(rest, name.len));
        rest = str_skip(rest, rest.len > 0 ? 1 : 0); // the colon
        str value = take_value(&rest);
        if (str_find_char(name, '\\') < name.len)
            return (str){0};
        if (name.len == key.len + 2 && str_eq(str_of(name.p + 1, key.len), key))
            found = value;
        rest = skip_space(rest);
    }
    return found;
}

str json_raw_items(str array)
{
    array = skip_space(array);
    return array.len > 0 && array.p[0] == '[' ? str_skip(array, 1) : (str){0};
}

bool json_raw_next(str *rest, str *ret)
{
    str s = skip_space(*rest);
    if (s.len == 0 || s.p[0] == ']')
        return false;
    *ret = take_value(&s);
    *rest = s;
    return ret->len > 0;
}

/* The code unit of the escape at the start of `s`; 0: it is none, or no surrogate. */
static unsigned surrogate_at(str s)
{
    unsigned unit = 0;
    if (s.len < 6 || s.p[0] != '\\' || s.p[1] != 'u')
        return 0;
    for (size_t i = 2; i < 6; i++)
        unit = unit * 16 + (unsigned)hex_value(s.p[i]);
    return unit >= 0xD800 && unit < 0xE000 ? unit : 0;
}

bool json_raw_is_sound(str value)
{
    for (;;) {
        value = str_skip(value, str_find_char(value, '\\'));
        if (value.len == 0)
            return true;
        unsigned high = surrogate_at(value);
        if (high >= 0xDC00 || (high != 0 && surrogate_at(str_skip(value, 6)) < 0xDC00))
            return false;
        size_t n = high != 0 ? 12 : 2;
        value = str_skip(value, n < value.len ? n : value.len);
    }
}

void json_raw_put(struct buf *out, str value)
{
    while (value.len > 0) {
        size_t n = 0;
        while (n < value.len && !is_space(value.p[n]))
            n += value.p[n] == '"' ? string_len(str_skip(value, n)) : 1;
        buf_append(out, str_head(value, n));
        value = skip_space(str_skip(value, n));
    }
}
