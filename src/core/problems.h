/*
 * problems - what a person who looks after this server should know of, worst first
 *
 * From sums that cost little it is told whether there is anything at all; which hosts it is about
 * takes a walk over the keys, whose findings come in by host. Kept are the PROBLEMS_MAX worst,
 * whatever the number of hosts; hosts are numbers until the end, when few names are needed.
 *
 * Threads: none.
 */
#ifndef CORE_PROBLEMS_H
#define CORE_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/keypool.h"
#include "core/remark.h"

enum {
    PROBLEMS_MAX = 20,
    PROBLEM_REQUESTS_MIN = 20,   // of the window: with fewer, errors are no sign
    PROBLEM_ERRORS_PERCENT = 10, // of them, or more
};

/* Worst first. */
enum problem_kind {
    PROBLEM_NO_UPSTREAM,
    PROBLEM_NONE_READY,
    PROBLEM_STORE,
    PROBLEM_HOST,
    PROBLEM_ERRORS,
    PROBLEM_DEAD,
    PROBLEM_LIMIT,
    PROBLEM_FAILING,
    PROBLEM_ALL_DISABLED,
    PROBLEM_KINDS,
};

/* "no_upstream": static. */
const char *problem_name(enum problem_kind kind);

/* How things are, in sums. */
struct problem_facts {
    uint64_t by_state[KEY_STATES]; // as they show
    bool fallback_failed;          // the server that is used without keys does not answer
    str store_trouble;             // why nothing can be written; empty: it can. Borrowed
    uint64_t window_requests;      // of the last minutes
    uint64_t window_errors;
};

/* Whether there is no problem; says the same as a list that is empty. */
bool problems_well(const struct problem_facts *facts);

/* Keys over limits of one kind. */
struct problem_limit {
    uint64_t count;
    int64_t until_ms;        // of the last one
    enum cool_source source; // of that
};

/* What was found of the keys of one host, but for those disabled. Times are wall clock, in ms. */
struct problem_host {
    uint64_t dead;
    uint64_t failing;
    struct problem_limit limits[REMARK_WINDOWS];
    int64_t failing_until_ms;
    int64_t first_until_ms; // of the first one that cools; 0: none does
};

/* Counts a key in. */
void problem_host_add(struct problem_host *h, const struct key_view *key);

#define PROBLEM_NO_HOST UINT32_MAX

struct problem {
    enum problem_kind kind;
    uint32_t host; // PROBLEM_NO_HOST: of none
    uint64_t count;
    enum key_cause cause;      // PROBLEM_HOST
    enum cool_source source;   // PROBLEM_LIMIT
    enum remark_window window; // the same: which limit
    int64_t since_ms;
    int64_t until_ms;
};

struct problems {
    struct problem items[PROBLEMS_MAX];
    size_t n;
    int64_t first_ready_ms; // when the first key that cools will be ready; 0: none is known
};

/* Begins a list with what the sums say. */
void problems_begin(struct problems *p, const struct problem_facts *facts);

/* Adds what is to be said of a host. */
void problems_add_host(struct problems *p, const struct host_view *view,
                       const struct problem_host *keys);

/*
 * The sentence of a problem, in the arena. `host` is its name, `reason` that of a host that cools,
 * or of the store's trouble.
 */
str problem_text(struct arena *a, const struct problem *problem, str host, str reason);

#endif
