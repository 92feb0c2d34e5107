/*
 * float32 - decimal text to the nearest 32-bit float
 *
 * The bits are those of strtof(). Texts of the usual form, a digit, a point and up to sixteen
 * digits, take a short way: all digits as an integer times a power of ten, in double precision.
 * Integer, power and product are rounded once each, so the product is at most four units in its
 * last place off, and the nearest float of it is that of the text unless the middle between two
 * floats is as near. Then, and for all other forms, strtof() judges.
 *
 * Threads: none.
 */
#ifndef CODEC_FLOAT32_H
#define CODEC_FLOAT32_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

/*
 * Reads up to `max` numbers of JSON's grammar, separated by commas, from `*p` on, and moves `*p`
 * to the next one, or to `end` when there is no more. `*ret_n` says how many there were: none if
 * nothing but blanks is left. `around` is what can be looked at, from before `*p` to behind `end`;
 * the more of that, the shorter the way.
 *
 * False if something else stands there, or a number that no float can hold.
 */
MUST_CHECK bool float32_read(const char **p, const char *end, str around, size_t max,
                             uint32_t *bits, size_t *ret_n);

#endif
