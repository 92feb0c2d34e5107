/*
 * err - every way a call can fail, in one list
 *
 * A code exists only if some caller treats it differently. Zero is success. A sentence about the
 * cause travels beside the code in a struct err_info, written where the cause is known.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stddef.h>

#include "base/attr.h"

// clang-format off
//    name               log name          status for an HTTP caller
#define ERR_LIST(X) \
    X(ERR_OK,            "ok",             200) \
    X(ERR_SYNTAX,        "syntax",         400) /* text that its grammar does not allow */ \
    X(ERR_RANGE,         "range",          400) /* well formed, and out of bounds */ \
    X(ERR_TOO_LARGE,     "too_large",      413) /* a budget or a limit is used up */ \
    X(ERR_NOT_FOUND,     "not_found",      404) \
    X(ERR_EXISTS,        "exists",         409) /* there is one already */ \
    X(ERR_IN_USE,        "in_use",         500) /* another process holds it */ \
    X(ERR_FULL,          "full",           507) /* the disk has no room */ \
    X(ERR_SYSTEM,        "system",         500) /* the operating system said no */
// clang-format on

enum err {
#define X(name, text, status) name,
    ERR_LIST(X)
#undef X
};

/* Where a failure's sentence goes. `text` is lower case, without a full stop. */
struct err_info {
    size_t offset;  // parsers: byte offset of the fault in the input
    char text[400]; // room for two long paths and what to do
};

/* The log name of `code`; a static string. */
const char *err_name(enum err code);

/* The status of an answer to an HTTP caller whose request failed so. */
int err_status(enum err code);

/* Formats the sentence into `info`, which may be NULL, and returns `code` for `return err_set(…)`.
 */
enum err err_set(struct err_info *info, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
