/*
 * health - asks upstreams how their keys are, at no cost in tokens
 *
 * A keyed host gets an authenticated call with an empty body, which no model sees: 400 or 422 says
 * that the key is good, 401 that it is not, anything else says nothing about it. A host without
 * keys is asked for its version.
 *
 * The background round runs on one worker: it takes what the pool says is due (which paces it) and
 * ends coolings whose time is over. A check of one certain key runs on the worker that asks for it.
 *
 * Threads: the worker's.
 */
#ifndef APP_HEALTH_H
#define APP_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "app/worker.h"
#include "core/keypool.h"

#define HEALTH_TIMEOUT_MS 15000 // of one probe

/* Begins the background rounds on this worker. */
void health_start(struct worker *w);

/* Ends them, and every check that is under way, without a call of its fn. */
void health_stop(struct worker *w);

/* What a check found; `text` says it for people, and lives until the call returns. */
typedef void health_fn(void *arg, enum probe_result result, str text);

struct health_check;

/*
 * Checks one key now, whatever its state, and tells the pool. `fn` is called once, never before
 * this returns, on this worker; the check is gone then. NULL: there is no such key.
 */
struct health_check *health_check(struct worker *w, uint64_t key_id, health_fn *fn, void *arg);

/* Ends a check without a call of its fn. */
void health_check_cancel(struct health_check *check);

#endif
