#include "core/trace.h"

#include <stddef.h>
#include <string.h>

#define MAX_REQUEST_ID_BYTES 128
#define MAX_VIA_BYTES        1024

static bool is_alnum(char c)
{
    char low = ascii_lower(c);
    return (low >= 'a' && low <= 'z') || ascii_is_digit(c);
}

bool trace_request_id_ok(str id)
{
    if (id.len < 1 || id.len > MAX_REQUEST_ID_BYTES)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        if (!is_alnum(id.p[i]) && (id.p[i] == '\0' || strchr("._:-", id.p[i]) == NULL))
            return false;
    }
    return true;
}

/* Lower-case hexadecimal digits only; `*zero` says whether all of them are 0. */
static bool is_hex(str s, bool *zero)
{
    *zero = true;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (!ascii_is_digit(c) && !(c >= 'a' && c <= 'f'))
            return false;
        *zero &= c == '0';
    }
    return true;
}

/* version(2) "-" trace-id(32) "-" parent-id(16) "-" flags(2) */
bool trace_parent_ok(str value)
{
    static const struct {
        size_t at;
        size_t len;
        bool may_be_zero;
    } parts[] = {
        {0,  2,  true },
        {3,  32, false},
        {36, 16, false},
        {53, 2,  true }
    };
    enum { LEN = 55, MAX_LEN = 512 };

    if (value.len < LEN || value.len > MAX_LEN)
        return false;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        bool zero;
        if (!is_hex(str_of(value.p + parts[i].at, parts[i].len), &zero))
            return false;
        if (zero && !parts[i].may_be_zero)
            return false;
        if (i > 0 && value.p[parts[i].at - 1] != '-')
            return false;
    }
    if (str_starts(value, STR("ff")))
        return false;
    if (value.len == LEN)
        return true;
    // Versions to come may append fields; 00 has none.
    if (str_starts(value, STR("00")) || value.p[LEN] != '-')
        return false;
    for (size_t i = LEN; i < value.len; i++) {
        if (value.p[i] <= ' ' || value.p[i] > '~')
            return false;
    }
    return true;
}

/* The end of the comment that begins at `i`, or s.len + 1 when it has none. */
static size_t skip_comment(str s, size_t i)
{
    size_t depth = 0;
    for (; i < s.len; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '(')
            depth++;
        else if (s.p[i] == ')' && --depth == 0)
            return i + 1;
    }
    return s.len + 1;
}

/* Cuts the next entry off a Via list, without its comment; false on one that is not sound. */
static bool next_entry(str *list, str *ret)
{
    size_t i = 0;
    size_t end = list->len; // of what stands before a comment
    while (i < list->len && list->p[i] != ',') {
        if (list->p[i] == '(') {
            end = i < end ? i : end;
            i = skip_comment(*list, i);
            if (i > list->len)
                return false;
        } else {
            i++;
        }
    }
    *ret = str_trim(str_head(*list, i < end ? i : end));
    *list = str_skip(*list, i + 1);
    return true;
}

/* Splits "[protocol/]version received-by". */
static bool split_entry(str entry, str *received_by)
{
    size_t i = 0;
    while (i < entry.len && entry.p[i] != ' ' && entry.p[i] != '\t')
        i++;
    *received_by = str_trim(str_skip(entry, i));
    if (i == 0 || received_by->len == 0)
        return false;
    for (size_t k = 0; k < received_by->len; k++) {
        if (received_by->p[k] == ' ' || received_by->p[k] == '\t')
            return false;
    }
    return true;
}

bool trace_via_ok(str value)
{
    if (value.len == 0 || value.len > MAX_VIA_BYTES)
        return false;
    for (size_t i = 0; i < value.len; i++) {
        if ((value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] > '~')
            return false;
    }
    bool any = false;
    while (value.len > 0) {
        str entry;
        str received_by;
        if (!next_entry(&value, &entry))
            return false;
        if (entry.len == 0)
            continue; // RFC 9110 section 5.6.1.2: empty elements are to be ignored
        if (!split_entry(entry, &received_by))
            return false;
        any = true;
    }
    return any;
}

bool trace_via_has(str value, str pseudonym)
{
    while (value.len > 0) {
        str entry;
        str received_by;
        if (!next_entry(&value, &entry))
            return false;
        if (split_entry(entry, &received_by) && str_ieq(received_by, pseudonym))
            return true;
    }
    return false;
}

str trace_via_append(struct arena *a, str value, bool http10, str pseudonym)
{
    str before = trace_via_ok(value) ? value : STR("");
    str version = http10 ? STR("1.0 ") : STR("1.1 ");
    const str parts[] = {before, before.len > 0 ? STR(", ") : STR(""), version, pseudonym};
    size_t len = 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        len += parts[i].len;
    char *text = arena_alloc(a, len), *at = text;
    if (text == NULL)
        return (str){NULL, 0};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        memcpy(at, parts[i].p, parts[i].len);
        at += parts[i].len;
    }
    return str_of(text, len);
}
