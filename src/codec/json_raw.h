/*
 * json_raw - parts of a JSON text as they stand in it
 *
 * A parsed string has lost how it was escaped. These find a value in its text again, for those who
 * pass it on as it was written. The text must be one that the parser has taken.
 *
 * Threads: none.
 * Memory:  what is found is borrowed from the text.
 */
#ifndef CODEC_JSON_RAW_H
#define CODEC_JSON_RAW_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * The value of the last member `key` of an object; empty: there is none, or a key of the object is
 * written with escapes, so that it might be this one.
 */
str json_raw_get(str object, str key);

/* The items of an array, for json_raw_next(); empty: it is none. */
str json_raw_items(str array);

/* Takes the next item off `*rest`; false at the end. */
bool json_raw_next(str *rest, str *ret);

/* Whether each escaped surrogate has its partner: others are no text, and readers choke on them. */
bool json_raw_is_sound(str value);

/* Appends the value without white space between its parts, else byte for byte. */
void json_raw_put(struct buf *out, str value);

#endif
