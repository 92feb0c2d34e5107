/*
 * json_shape - one quick pass over a text before it is parsed
 *
 * It counts depth and items, so that a bomb of brackets costs neither time nor memory. And it
 * finds long strings of plain text, such as images in base64: the pass knows that there is
 * nothing to check and nothing to unescape in them, so the parser, which looks at every byte, is
 * given a copy of the text in which they are empty. Afterwards they are put back as values.
 *
 * Threads: none.
 * Memory:  the list of long strings and the copy live in the arena.
 */
#ifndef CODEC_JSON_SHAPE_H
#define CODEC_JSON_SHAPE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum { JSON_LONG_MIN = 48 }; // bytes of a string that is worth leaving out

/* A string that is left out of the copy. */
struct json_cut {
    size_t from; // its first byte, in the text
    size_t len;
    size_t at; // where it would be, in the copy
};

struct json_shape {
    struct json_cut *cuts; // in order
    size_t n_cuts;
    size_t cut_bytes; // of all of them
};

/*
 * Checks depth and, in strict mode, items per container. Text that is no JSON gets through as
 * far as the parser will look at it.
 *
 * ERR_RANGE      too deep, too many items
 * ERR_TOO_LARGE  the arena's budget is used up
 */
MUST_CHECK enum err json_shape_check(struct arena *a, str text, bool strict, struct json_shape *ret,
                                     struct err_info *info);

/*
 * A copy of `text` without its long strings, `padding` zero bytes behind it that do not count;
 * an empty str over budget.
 */
str json_shape_copy(struct arena *a, const struct json_shape *shape, str text, size_t padding);

/* The offset in the text of what is at `at` in the copy. */
size_t json_shape_offset(const struct json_shape *shape, size_t at);

#endif
