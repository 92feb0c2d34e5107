/*
 * json_cursor - reads JSON text of one known shape from front to back
 *
 * What the quick ways before the parser are made of: each call takes one thing that must come
 * next, and says no otherwise. After a no the cursor stands anywhere, and the parser is asked.
 *
 * Threads: none.
 * Memory:  what is taken is borrowed from the text.
 */
#ifndef CODEC_JSON_CURSOR_H
#define CODEC_JSON_CURSOR_H

#include "codec/json_scan.h"

/* What is left of the text. */
struct json_cursor {
    const char *at;
    const char *end;
};

static inline size_t json_left(const struct json_cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* Inline, so that a literal of known length is compared in registers. */
static ALWAYS_INLINE bool json_take(struct json_cursor *c, const char *literal, size_t len)
{
    if (json_left(c) < len || memcmp(c->at, literal, len) != 0)
        return false;
    c->at += len;
    return true;
}

#define JSON_TAKE(c, literal) json_take((c), (literal), sizeof(literal) - 1)

/*
 * A string without escapes; the cursor stands behind its opening quote, then behind its closing
 * one. What is no UTF-8 is let through.
 */
static inline bool json_take_plain(struct json_cursor *c, str *ret)
{
    size_t n = json_string_run(str_of(c->at, json_left(c)));
    if (n == json_left(c) || c->at[n] != '"')
        return false;
    *ret = str_of(c->at, n);
    c->at += n + 1;
    return true;
}

enum { JSON_DIGITS_MAX = 18 }; // so many fit an int64, whatever they are

/* The number that eight digits are; false if one is none. */
static inline bool json_eight_digits(const char *p, uint64_t *ret)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t zeros = 0x3030303030303030U, sixes = 0x0606060606060606U;
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    v ^= zeros;
    if (((v | (v + sixes)) & 0xF0F0F0F0F0F0F0F0U) != 0)
        return false;
    v = v * 10 + (v >> 8); // pairs, then fours, then all
    v = ((v & 0x000000FF000000FFU) * 0x000F424000000064U +
         (v >> 16 & 0x000000FF000000FFU) * 0x0000271000000001U) >>
        32;
    *ret = v & 0xFFFFFFFFU;
    return true;
#else
    (void)p;
    (void)ret;
    return false;
#endif
}

/* A whole number that is not negative, without an exponent. */
static inline bool json_take_count(struct json_cursor *c, uint64_t *ret)
{
    const char *from = c->at, *at = from;
    const char *end = json_left(c) > JSON_DIGITS_MAX ? from + JSON_DIGITS_MAX + 1 : c->end;
    uint64_t value = 0;
    if (end - at > 8 && json_eight_digits(at, &value))
        at += 8;
    for (; at < end; at++) {
        unsigned digit = (unsigned)(unsigned char)*at - '0';
        if (digit > 9)
            break;
        value = value * 10 + digit;
    }
    size_t n = (size_t)(at - from);
    if (n == 0 || n > JSON_DIGITS_MAX || (n > 1 && *from == '0'))
        return false;
    *ret = value;
    c->at = at;
    return true;
}

#endif
