/*
 * learn - asks the hosts what the catalog does not know: GET /api/tags, POST /api/show
 *
 * For the list every host is asked that has a ready key, or needs none: in a round, a few at a
 * time, so that a host which hangs holds nobody up for long. What a model can do is asked of one
 * host after the other until one can show it. Each worker asks over its own connections, once at a
 * time for each thing; who needs the answer joins. An answer goes into the catalog first (and into
 * the pool, which chooses hosts by it) and to those who wait then. Nobody has to wait: what is
 * asked in the background ends there.
 *
 * Threads: the worker's.
 */
#ifndef APP_LEARN_H
#define APP_LEARN_H

#include <stdbool.h>
#include <stdint.h>

#include "app/fetch.h"
#include "base/list.h"
#include "codec/ollama_models.h"
#include "core/keypool.h"

#define LEARN_WAIT_MS       2000 // how long anybody waits for an answer
#define LEARN_GRACE_MS      250  // how long those who wait for a list do so after the first answer
#define LEARN_HOSTS_AT_ONCE 8    // of one round
#define LEARN_SHOWS_MAX     16   // hosts that are asked for one model, within LEARN_WAIT_MS

struct learned {
    const struct fetch_result *result;
    bool ok;                 // the catalog has it now: of a list, what at least one host says
    struct ollama_show show; // if `ok`, and it was one model that was asked for
    enum key_pick left;      // if that is missing: what hosts that could not be asked are good for
    uint64_t wait_ms;        // PICK_LIMITED
};

typedef void learn_fn(void *arg, const struct learned *learned);

/* Somebody who waits. One that waits for nothing may be left as often as one likes. */
struct learn_wait {
    struct list link;
    learn_fn *fn; // called once, with the wait at its end
    void *arg;
};

void learn_wait_init(struct learn_wait *wait, learn_fn *fn, void *arg);

/* Ends a wait without a call of its fn. */
void learn_leave(struct learn_wait *wait);

/*
 * Asks for the list, or joins those who wait for it. `wait` may be NULL; its fn is never called
 * before this returns. `*ret_ms` is for how long the answer is worth waiting for: less than
 * LEARN_WAIT_MS if it was asked for before, 0 if that was long ago.
 *
 * False, and nothing happens, if there is no upstream to ask, as is known.
 */
bool learn_list(struct worker *w, struct snapshot *s, struct learn_wait *wait, uint64_t *ret_ms);

/* The same for the details of one model, of as many hosts as it takes. */
bool learn_model(struct worker *w, struct snapshot *s, str name, struct learn_wait *wait,
                 uint64_t *ret_ms);

/* Whether a host has said that there is no such model, or that it knows of no details. */
bool learn_says_missing(const struct fetch_result *result);

/* Asks for the list in the background if it is old and nobody else does. Cheap if not. */
void learn_keep_fresh(struct worker *w, struct snapshot *s);

/* The leased host did not know `name`: asks it for its list again if that says otherwise. */
void learn_doubt(struct worker *w, struct snapshot *s, const struct lease *lease, str name);

/* Asks one host for its list, unless somebody has just done that. */
void learn_host(struct worker *w, struct snapshot *s, uint32_t host);

/* Asks no more; nobody may wait any more. */
void learn_stop(struct worker *w);

#endif
