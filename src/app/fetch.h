/*
 * fetch - one small question to an upstream, its answer gathered whole
 *
 * For what the program asks on its own account; requests of callers go through the relay.
 *
 * Threads: the worker's.
 */
#ifndef APP_FETCH_H
#define APP_FETCH_H

#include <stdint.h>

#include "app/snapshot.h"
#include "app/worker.h"
#include "base/arena.h"
#include "core/classify.h"
#include "core/keypool.h"

#define FETCH_BODY_BYTES ((size_t)8 << 20) // of an answer

struct fetch;

struct fetch_request {
    struct snapshot *snapshot; // acquired
    const struct lease *lease; // whose host is asked with its key; read by fetch_start() alone
    str method;
    str path;
    struct buf body; // taken; empty: none. What is in it is JSON
    uint64_t timeout_ms;
};

struct fetch_result {
    enum attempt_end how; // ATTEMPT_STATUS: an answer came, with any status, 200 too
    int status;
    str body;
    str detail; // of a failure of the transport; may be empty
};

typedef void fetch_fn(void *arg, const struct fetch_result *result);

/* Asks; `fn` is called once, never before this returns. The fetch is gone then. */
struct fetch *fetch_start(struct worker *w, struct fetch_request *request, fetch_fn *fn, void *arg);

/* Ends it without a call of `fn`. Accepts NULL. */
void fetch_cancel(struct fetch *f);

/* What a call that did not come to its end means as an attempt. */
enum attempt_end fetch_attempt_end(enum client_fail how);

/*
 * Gives back the lease that was asked with. A host that could not be reached is told to the pool;
 * no other answer to a question of our own says how the key is.
 */
void fetch_give_back(struct worker *w, const struct config *config, struct lease *lease,
                     const struct fetch_result *result);

/* What a caller is told when it needed that result, which is no success; texts live in `a`. */
struct api_error fetch_error(struct arena *a, struct worker *w, const struct fetch_result *result,
                             const struct config *config, str model);

#endif
