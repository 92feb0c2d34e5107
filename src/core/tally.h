/*
 * tally - which models, errors and hosts there was most of
 *
 * A table of counts by name. Names come from callers and have no end, so each kind has room for so
 * many; what comes after those is counted in one row without a name, "all others". Nothing that was
 * counted is lost, only whose it was.
 *
 * Threads: none.
 * Memory:  copies names, cut to TALLY_NAME_BYTES between characters; all of it is allocated at
 * once.
 */
#ifndef CORE_TALLY_H
#define CORE_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum tally_kind {
    TALLY_MODELS,
    TALLY_ERRORS, // "502 cut": the status, and the access log's word for the end
    TALLY_HOSTS,
    TALLY_KINDS,
};

enum { TALLY_NAME_BYTES = 200 };

struct tally;

struct tally_row {
    enum tally_kind kind;
    str name; // empty: all others
    uint64_t requests;
    uint64_t errors;
    uint64_t tokens;
};

/* With room for `max` names of each kind, 1 to 32768. */
struct tally *tally_new(size_t max);

/* Accepts NULL. */
void tally_free(struct tally *t);

/* Adds the counts of `row` to those of its name. */
void tally_add(struct tally *t, const struct tally_row *row);

/* Calls fn for each row, those without a name last. Names live until the tally changes. */
void tally_walk(const struct tally *t, void (*fn)(void *arg, const struct tally_row *row),
                void *arg);

/*
 * Writes the rows of a kind with the most requests, most first, at most `max`, and returns their
 * number. What is left over, with what had no name, goes to `*ret_rest` (may be NULL).
 */
size_t tally_top(const struct tally *t, enum tally_kind kind, size_t max, struct tally_row *ret,
                 struct tally_row *ret_rest);

void tally_clear(struct tally *t);

#endif
