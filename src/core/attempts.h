/*
 * attempts - one request's attempts: whether there is another one, and what the caller gets
 *
 * Two kinds of failure are counted apart. An attempt that reached a model and failed there costs
 * the upstream work: MAX_RETRIES further ones follow at most. A refusal (the key, the limit, the
 * host) costs nothing: up to 64 keys may refuse, for 10 s in all. When the search ends the caller
 * hears what fits all of it: of refusals that differ a limit, which passes, comes before a fault of
 * the upstream's, and that before a plan that lacks the model or a host without it. A model is
 * missing only if nothing is left that may have it and waits for the end of a limit, or that has it
 * and no plan for it.
 *
 * Threads: none; pure. Times are arguments.
 * Memory:  keeps copies; 4 KiB, so it is made when a first attempt has failed.
 */
#ifndef CORE_ATTEMPTS_H
#define CORE_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "core/api_error.h"
#include "core/classify.h"
#include "core/keypool.h"

enum {
    ATTEMPTS_REFUSED_MS = 10000,  // of refused attempts, after which no further one begins
    ATTEMPTS_MESSAGE_BYTES = 704, // kept of an error's message, which classify() has cut
    ATTEMPTS_PATH_BYTES = 2048,
};

/* Why there is no further attempt. */
enum attempts_stop {
    ATTEMPTS_GO_ON,
    ATTEMPTS_FINAL,   // it would end the same way with every key
    ATTEMPTS_USED_UP, // MAX_RETRIES, or a second timeout
    ATTEMPTS_BOUNDS,  // of refusals
    ATTEMPTS_NO_KEY,  // the pool has none left for this request
};

/* An error with copies of its texts. */
struct attempts_said {
    struct api_error error; // status 0: none; its texts are in the arrays below
    char message[ATTEMPTS_MESSAGE_BYTES];
    char param[64];
};

struct attempts {
    uint32_t max_retries;
    uint32_t counted; // attempts that reached a model and failed there
    uint32_t refusals;
    uint64_t refused_ms;
    bool timed_out;
    bool detoured; // the one key of another host beyond the bound was granted
    enum attempts_stop stop;
    uint32_t wait_s; // the least that a limit asked for; 0: none did
    struct attempts_said failure;
    struct attempts_said refusal;
    uint32_t unlisted; // attempts that the path has no room for
    size_t path_len;
    char path[ATTEMPTS_PATH_BYTES];
};

/* On zeroed memory. */
void attempts_init(struct attempts *a, uint32_t max_retries);

/* What comes after an attempt. */
enum attempts_next {
    ATTEMPTS_STOP,
    ATTEMPTS_NEXT_KEY,
    ATTEMPTS_NEXT_HOST, // of a host that was not tried: the last grant
};

/* Takes in a failed attempt that began `took_ms` ago. */
enum attempts_next attempts_note(struct attempts *a, const struct verdict *verdict,
                                 uint64_t took_ms);

/* The pool has no further key for this request. */
void attempts_note_no_key(struct attempts *a);

/*
 * What the caller gets. `pick` is what the pool would give to a request that began now and knew
 * which hosts lack the model, `wait_ms` belongs to PICK_LIMITED. Texts are the attempts' own, or
 * live in `arena`.
 */
struct api_error attempts_error(const struct attempts *a, struct arena *arena, enum key_pick pick,
                                uint64_t wait_ms);

/* What a request gets for which the pool has no key at all: `pick` is not PICK_KEY. */
struct api_error attempts_no_key_error(struct arena *arena, enum key_pick pick, uint64_t wait_ms);

/* ---- the path of attempts, as X-Attempts has it ---- */

enum { ATTEMPTS_ENTRY_BYTES = 320 };

/* One attempt as text: "17@ollama.com limited 35ms". The fallback's key is "-". */
str attempts_entry(uint64_t key_id, str host, const char *result, uint64_t took_ms,
                   char out[ATTEMPTS_ENTRY_BYTES]);

/* Adds an entry to the path, or counts it when there is no room. */
void attempts_add_entry(struct attempts *a, str entry);

/* The path so far; lives in `arena`. */
str attempts_path(const struct attempts *a, struct arena *arena);

#endif
