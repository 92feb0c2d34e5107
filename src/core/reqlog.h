/*
 * reqlog - the last requests: which key and host, how long, why they ended, and their attempts
 *
 * Each worker writes a ring of its own, so that the one lock a request takes is wanted by nobody
 * else but a person who looks. Numbers are given under that lock, from one counter for all: they
 * rise with time, and a reader who holds all locks has seen every number up to the newest. What is
 * kept of a request has a fixed size, its failed attempts apart, which most requests have not.
 * There is no text of a caller's in it but the model's name; keys and hosts are numbers of the
 * pool's.
 *
 * Threads: reqlog_add() a shard's worker; new and free the main thread's; the rest any.
 * Memory:  copies, all of a size that is fixed at the start, but for the attempts: at most
 *          REQLOG_TRIES_MAX of a request, in a block that the log takes.
 */
#ifndef CORE_REQLOG_H
#define CORE_REQLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "core/target.h"

enum {
    REQLOG_CAPACITY = 2000, // requests in all
    REQLOG_TRIES_MAX = 16,  // failed attempts kept of one; later ones are only counted
    REQLOG_MODEL_BYTES = 64,
    REQLOG_CALLER_BYTES = 64,
    REQLOG_TEXT_BYTES = 200,
};

#define REQLOG_NO_HOST UINT32_MAX

/* One attempt. */
struct reqlog_try {
    uint64_t key_id; // 0: the key of an empty pool
    uint32_t host;   // the pool's number of it; REQLOG_NO_HOST: none
    int status;      // of the upstream's answer; 0: there was none
    uint64_t ms;
    const char *verdict;          // static: "ok", "limited"
    char text[REQLOG_TEXT_BYTES]; // what is told of it, without a prompt; zero-terminated
};

/* Failed attempts, in order. */
struct reqlog_tries {
    size_t n;
    struct reqlog_try items[REQLOG_TRIES_MAX];
};

/* A request that has ended. */
struct reqlog_entry {
    uint64_t id;   // given by reqlog_add(), from 1 on
    int64_t at_ms; // wall clock: when it ended
    enum route route;
    int status;
    bool stream;
    uint32_t attempts; // all of them
    uint32_t host;     // of the last attempt; REQLOG_NO_HOST: there was none
    uint64_t key_id;   // of the last attempt; 0: none, or the key of an empty pool
    uint64_t first_ms; // to the first useful thing; UINT64_MAX: there was none
    uint64_t ms;
    uint64_t tokens_in; // 0: not known
    uint64_t tokens_out;
    const char *end;          // static: "done", "gone", …
    const char *last_verdict; // static: of an attempt that was not one that failed; NULL: none
    int last_status;
    uint64_t last_ms;
    uint8_t model_len;
    uint8_t caller_len;
    char model[REQLOG_MODEL_BYTES];
    char caller[REQLOG_CALLER_BYTES]; // its address
};

static inline str reqlog_model(const struct reqlog_entry *e)
{
    return str_of(e->model, e->model_len);
}

static inline str reqlog_caller(const struct reqlog_entry *e)
{
    return str_of(e->caller, e->caller_len);
}

/* Copies texts into an entry, cut to whole characters. */
void reqlog_set_model(struct reqlog_entry *e, str model);
void reqlog_set_caller(struct reqlog_entry *e, str caller);

struct reqlog;

/* With `shards` rings, at least 1, which share REQLOG_CAPACITY. */
struct reqlog *reqlog_new(size_t shards);

/* Accepts NULL. */
void reqlog_free(struct reqlog *l);

/* Requests that can be kept. */
size_t reqlog_capacity(const struct reqlog *l);

/* Adds a request to a shard and gives it its id; takes `tries` (heap; NULL: none has failed). */
void reqlog_add(struct reqlog *l, size_t shard, struct reqlog_entry *e, struct reqlog_tries *tries);

/* The id of the newest request; 0: there was none yet. */
uint64_t reqlog_newest(const struct reqlog *l);

/*
 * For who follows the log: writes the newest requests with ids above `after`, newest first, at most
 * `max`, and returns their number. `*ret_newest` is what to ask with next time; `*ret_skipped` how
 * many there were besides. Cheap when there is none. REQLOG_CAPACITY entries are no stack's matter.
 */
size_t reqlog_since(struct reqlog *l, uint64_t after, size_t max, struct reqlog_entry *ret,
                    uint64_t *ret_newest, uint64_t *ret_skipped);

/* All that are kept, newest first; `ret` has room for reqlog_capacity(). Returns their number. */
size_t reqlog_copy(struct reqlog *l, struct reqlog_entry *ret);

/* One request with its failed attempts. False: there is none with this id any more. */
bool reqlog_find(struct reqlog *l, uint64_t id, struct reqlog_entry *ret,
                 struct reqlog_tries *ret_tries);

#endif
