/*
 * float32 - decimal text to the nearest 32-bit float
 *
 * The bits are those of strtof(). Texts of the usual form, a digit, a point and up to sixteen
 * digits, take a short way: an integer of at most 53 bits over a power of ten gives the nearest
 * double in one division, and the nearest float of that double is the nearest float of the text
 * unless the double lies just between two floats. Then, and for all other forms, strtof() judges.
 *
 * Threads: none.
 */
#ifndef CODEC_FLOAT32_H
#define CODEC_FLOAT32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/*
 * Reads up to `max` numbers of JSON's grammar, separated by commas, from `*p` on, and moves `*p`
 * to the next one, or to `end` when there is no more. `*ret_n` says how many there were: none if
 * nothing but blanks is left. Bytes behind `end` are looked at, but not at or behind `limit`; the
 * farther that is, the shorter the way.
 *
 * False if something else stands there, or a number that no float can hold.
 */
MUST_CHECK bool float32_read(const char **p, const char *end, const char *limit, size_t max,
                             uint32_t *bits, size_t *ret_n);

#endif
