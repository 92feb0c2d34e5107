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
#include <stdint.h>

#include "base/attr.h"

/*
 * Reads a number that follows JSON's grammar at `*p` and moves `*p` behind it. Never looks at or
 * behind `limit`; the farther that is, the shorter the way.
 *
 * False, `*p` untouched, if there is none, or one that no float can hold.
 */
MUST_CHECK bool float32_read(const char **p, const char *limit, uint32_t *ret_bits);

#endif
