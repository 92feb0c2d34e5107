/*
 * str - text as pointer and length
 *
 * A small value, passed by copy. It borrows its bytes, may hold any byte, and is not
 * zero-terminated. `char *` appears only at the borders of libraries.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

typedef struct str {
    const char *p;
    size_t len;
} str;

/* A str of a string literal: STR in expressions, STR_C in static initialisers. */
#define STR(literal) ((str){.p = (literal), .len = sizeof(literal) - 1})
#define STR_C(literal)                                                                             \
    {                                                                                              \
        .p = (literal), .len = sizeof(literal) - 1                                                 \
    }

/* For printf: "%.*s" with STR_ARG(s). */
#define STR_ARG(s) (int)(s).len, (s).p

static inline str str_of(const char *p, size_t len)
{
    return (str){p, len};
}

/* Borrows a zero-terminated string; NULL gives the empty str. */
static inline str str_z(const char *z)
{
    return (str){z, z != NULL ? strlen(z) : 0};
}

static inline bool str_eq(str a, str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool str_starts(str s, str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.p, prefix.p, prefix.len) == 0);
}

static inline bool str_ends(str s, str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.p + s.len - suffix.len, suffix.p, suffix.len) == 0);
}

/* `s` without its first `n` bytes; n may exceed the length. */
static inline str str_skip(str s, size_t n)
{
    n = n < s.len ? n : s.len;
    return (str){s.len > 0 ? s.p + n : s.p, s.len - n};
}

/* The first `n` bytes of `s`, or all of it. */
static inline str str_head(str s, size_t n)
{
    return (str){s.p, n < s.len ? n : s.len};
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool str_istarts(str s, str prefix);

/* Equality of ASCII text without regard to letter case. */
static inline bool str_ieq(str a, str b)
{
    return a.len == b.len && str_istarts(a, b);
}

/* Whether a header's value (or name) can hold `s`: no control character but a tab is in it. */
bool str_is_one_line(str s);

/* The offset of the first `c`, or s.len. */
size_t str_find_char(str s, char c);

/* Whether `needle` occurs in `s`; the i form folds ASCII case. */
bool str_contains(str s, str needle);
bool str_icontains(str s, str needle);

/* The offset of `needle` in `s`, or s.len. */
size_t str_find(str s, str needle);

/* `s` without leading and trailing spaces and tabs (and, for trim_ws, CR and LF). */
str str_trim(str s);
str str_trim_ws(str s);

/*
 * Splits at the first `sep`: the part before it goes to `*head`, what follows to `*rest`.
 * False, with all of `s` in `*head` and nothing in `*rest`, when there is no `sep`.
 */
bool str_cut(str s, char sep, str *head, str *rest);

/* memcpy() for texts of which most are short; n > 0. */
static ALWAYS_INLINE void str_copy(char *to, const char *from, size_t n)
{
    uint64_t first, last;
    uint32_t head, tail;
    if (n > 16) {
        memcpy(to, from, n);
    } else if (n >= sizeof(first)) { // two words that overlap
        memcpy(&first, from, sizeof(first));
        memcpy(&last, from + n - sizeof(last), sizeof(last));
        memcpy(to, &first, sizeof(first));
        memcpy(to + n - sizeof(last), &last, sizeof(last));
    } else if (n >= sizeof(head)) {
        memcpy(&head, from, sizeof(head));
        memcpy(&tail, from + n - sizeof(tail), sizeof(tail));
        memcpy(to, &head, sizeof(head));
        memcpy(to + n - sizeof(tail), &tail, sizeof(tail));
    } else {
        char middle = from[n / 2], end = from[n - 1];
        to[0] = from[0];
        to[n / 2] = middle;
        to[n - 1] = end;
    }
}

#define DECIMAL_BYTES 20 // of the largest uint64_t

/* Writes `value` in decimal so that it ends before `end`; returns where it begins. */
char *str_decimal(char *end, uint64_t value);

/* Decimal digits only, no sign, no blank; false on anything else and on overflow. */
MUST_CHECK bool str_to_u64(str s, uint64_t *ret);

/* As str_to_u64 with an optional leading '-'. */

/* The value of a hexadecimal digit, or -1. */
int hex_value(char c);

/*
 * The length of the UTF-8 sequence at the start of `s` (RFC 3629), or 0 when there is none; of
 * ASCII it is 1. `s` is not empty.
 */
size_t utf8_sequence(str s);

/*
 * The length of the longest prefix of `s` that is valid UTF-8 (no surrogates, no overlong forms,
 * nothing above U+10FFFF). A sequence cut off by the end of `s` is not part of it.
 */
size_t utf8_valid_prefix(str s);

/*
 * The largest n <= max such that the first n bytes of `s` do not end inside a UTF-8 sequence.
 * For text that is valid; on other bytes it only promises n <= max and, for max >= 4, n > 0.
 */
size_t utf8_cut(str s, size_t max);

/* Hash of the bytes (FNV-1a), for tables inside the process whose size is bounded. */
uint64_t str_hash(str s);

#endif
