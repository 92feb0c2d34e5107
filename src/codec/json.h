/*
 * json - JSON text to values and back
 *
 * Wraps the parser so that what it leaves open is closed here: depth, items per array, equal
 * keys, numbers no double can hold. Depth and items are counted in one quick pass before the
 * parse, so a bomb of brackets costs neither time nor memory. Numbers stay the text they were,
 * which is why a value can be written again byte for byte.
 *
 * Threads: none; values are read-only once parsed.
 * Memory:  values live in the arena and, parsed in place, in the text. Parsing takes about three
 *          bytes of the arena's budget per byte of text, sixteen per value at most.
 */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    JSON_DEPTH_MAX = 64,
    JSON_ITEMS_MAX = 100000, // per array, and members per object
    JSON_NUMBER_MAX = 1024,  // bytes of one number's text
    JSON_PADDING = 4,        // zero bytes that must follow a text parsed in place
};

enum json_mode {
    JSON_STRICT,   // a caller's: no equal keys, valid UTF-8, numbers that fit a double
    JSON_TOLERANT, // an upstream's: equal keys (the last one counts) and bad UTF-8 are let through
};

enum json_kind {
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json; // a parsed value

/*
 * Parses one value and nothing behind it but white space. `text` is overwritten, must outlive
 * the values, and has JSON_PADDING zero bytes behind its `len`. It may be NULL if `len` is 0.
 *
 * ERR_SYNTAX     not JSON, or against the rules of `mode`; info->offset says where, if known
 * ERR_RANGE      too deep, too many items, a number that does not fit
 * ERR_TOO_LARGE  the arena's budget is used up
 */
MUST_CHECK enum err json_parse_in_place(struct arena *a, char *text, size_t len,
                                        enum json_mode mode, const struct json **ret,
                                        struct err_info *info);

/* As json_parse_in_place, without the quick way for long strings: what that is checked against. */
MUST_CHECK enum err json_parse_uncut(struct arena *a, char *text, size_t len, enum json_mode mode,
                                     const struct json **ret, struct err_info *info);

/* As json_parse_in_place, with a copy of `text` in the arena. */
MUST_CHECK enum err json_parse(struct arena *a, str text, enum json_mode mode,
                               const struct json **ret, struct err_info *info);

/* Every reader below takes NULL, which counts as null. */
enum json_kind json_kind(const struct json *v);

static inline bool json_is_null(const struct json *v)
{
    return json_kind(v) == JSON_NULL;
}

/* "a string", "an object" … for error messages. */
const char *json_kind_name(enum json_kind kind);

/* The member `key` of an object, else NULL. Linear in the number of members. */
const struct json *json_get(const struct json *object, str key);

/* json_get for `n` different keys in one walk over the members. */
void json_pick(const struct json *object, const str *keys, size_t n, const struct json **ret);

/* The text of a string, else the empty str. Borrowed from the value. */
str json_str(const struct json *v);

/* The text of a number as it stood, else the empty str. */
str json_number_text(const struct json *v);

/* False, `*ret` untouched, unless `v` is a number whose value is exactly an int64 (`1e2` is). */
MUST_CHECK bool json_to_i64(const struct json *v, int64_t *ret);

/* False unless `text`, which follows the grammar, is a finite double of up to JSON_NUMBER_MAX
 * bytes.
 */
MUST_CHECK bool json_text_to_double(str text, double *ret);

/* False unless `v` is a number with a finite value. */
MUST_CHECK bool json_to_double(const struct json *v, double *ret);

/* False unless `v` is true or false. */
MUST_CHECK bool json_to_bool(const struct json *v, bool *ret);

/* The number of items or members; 0 for anything else. */
size_t json_size(const struct json *v);

/* Walks an array or an object in order. */
struct json_iter {
    const struct json *at;
    size_t left;
    bool is_object;
};

/* Anything that is neither gives an iterator without items. */
struct json_iter json_iter(const struct json *container);

/* False at the end. `key` may be NULL; it stays untouched for arrays. */
bool json_next(struct json_iter *it, str *key, const struct json **value);

/*
 * Appends `s` as a JSON string, quotes and all. What is not UTF-8 becomes U+FFFD; U+0085,
 * U+2028 and U+2029, which some clients take for line ends, are escaped.
 */
void json_put_string(struct buf *out, str s);

/* As json_put_string, without the quotes. */
void json_put_escaped(struct buf *out, str s);

/*
 * The length of the longest head of `s` that ends between characters and is at most `max` bytes
 * when escaped; at least one character while `s` has any.
 */
size_t json_escaped_head(str s, size_t max);

/* Appends `v` without white space; numbers and the order of keys as they were. NULL: null. */
void json_put_value(struct buf *out, const struct json *v);

#endif
