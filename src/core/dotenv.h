/*
 * dotenv - the text of an .env file as names and values
 *
 * A line is blank, a comment that begins with '#', or NAME=value with an optional "export " before
 * it. A value stands bare (a comment begins at a '#' after a blank), in single or in double
 * quotes; nothing is escaped or expanded inside either.
 *
 * Memory: names and values borrow from the text, the list lives in the arena.
 */
#ifndef CORE_DOTENV_H
#define CORE_DOTENV_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct dotenv_entry {
    str name;
    str value;
    size_t line; // from 1
};

struct dotenv {
    const struct dotenv_entry *items; // in the order of the file
    size_t n;
};

/*
 * Parses `text` into `*ret`.
 *
 * ERR_SYNTAX     a line is none of the above; `info` names it by its number, never by its text,
 *                which may hold a secret.
 * ERR_TOO_LARGE  the arena's budget is used up.
 */
MUST_CHECK enum err dotenv_parse(struct arena *a, str text, struct dotenv *ret,
                                 struct err_info *info);

/* The entry that counts for `name`, which is the last one; NULL when there is none. */
const struct dotenv_entry *dotenv_find(const struct dotenv *env, str name);

#endif
