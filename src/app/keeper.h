/*
 * keeper - keeps the key pool and the store the same
 *
 * At the start every stored key comes into the pool. While the program runs, the store's thread
 * looks once a second what changed in the pool (lives, counts, moves) and writes it down; a change
 * by a person goes the other way: into the store first, durably, and then into the pool. While the
 * disk refuses (full, broken) requests go on, counts gather in the pool, and all is written once
 * it takes it again; only moves beyond KEEPER_MOVES_MAX are lost, counted and logged.
 *
 * Threads: open, start and close the main thread's; what says "in a job" is for jobs of
 *          keeper_store(), or for the main thread while the keeper was not started.
 * Memory:  owns the pool and the store.
 */
#ifndef APP_KEEPER_H
#define APP_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/config.h"
#include "core/keypool.h"
#include "store/store.h"

struct keeper;

enum {
    KEEPER_TICK_MS = 1000,
    KEEPER_MOVES_MAX = 16384, // that wait for the store
};

/*
 * Opens the store in DATA_DIR and fills a pool with its keys. Errors as store_open() has them;
 * `info` says in one line what to do.
 */
MUST_CHECK enum err keeper_open(const struct config *config, struct keeper **ret,
                                struct err_info *info);

/* Starts the store's thread. */
MUST_CHECK enum err keeper_start(struct keeper *k, struct err_info *info);

/*
 * Has fn(arg, …) called each second on the store's thread, and a last time (`last`) by the first
 * keeper_stop(). What it cannot write is told as the keeper's own. Before keeper_start().
 */
typedef enum err keeper_second_fn(void *arg, bool last, struct err_info *info);
void keeper_on_second(struct keeper *k, keeper_second_fn *fn, void *arg);

/*
 * Has fn(arg, …) called when a host's number will be another one's; under the pool's mutex. Before
 * keeper_start().
 */
typedef void keeper_host_gone_fn(void *arg, uint32_t host);
void keeper_on_host_gone(struct keeper *k, keeper_host_gone_fn *fn, void *arg);

/* Why nothing can be written now, in a job; empty: it can. */
str keeper_trouble(const struct keeper *k);

/* Runs the jobs that wait, writes what is left, and ends the thread. Accepts NULL, and twice. */
void keeper_stop(struct keeper *k);

/* Stops and closes. Accepts NULL. No lease may be out. */
void keeper_close(struct keeper *k);

struct keypool *keeper_pool(struct keeper *k);
struct store *keeper_store(struct keeper *k);

/* What keeper_add() is to do. */
enum {
    KEEPER_DRY_RUN = 1, // only say which keys are duplicates
    KEEPER_BATCH = 2,   // the keys are one import, which can be taken back by its first id
};

/*
 * Adds those of `n` keys that are not there yet, in a job. Durable. For each, `duplicates` says
 * whether its identity was there, in the pool or earlier in `specs`, and specs[].id becomes the id
 * of the key that is there now (of a dry run: 0, where it would be a new one). All or none.
 *
 * ERR_RANGE      a text is longer than the pool's limits, or a base URL is none
 * ERR_TOO_LARGE  there would be more than KEYPOOL_KEYS_MAX keys
 * ERR_FULL, ERR_SYSTEM  as the store says
 */
MUST_CHECK enum err keeper_add(struct keeper *k, struct key_spec *specs, size_t n, unsigned flags,
                               bool *duplicates, struct err_info *info);

/* As that, into an import of which something is left. ERR_NOT_FOUND: there is none. */
MUST_CHECK enum err keeper_add_to_batch(struct keeper *k, struct key_spec *specs, size_t n,
                                        uint64_t batch, bool *duplicates, struct err_info *info);

/* Takes keys away, in a job. Durable. Ids that are not there are passed over; all or none. */
MUST_CHECK enum err keeper_remove(struct keeper *k, const uint64_t *ids, size_t n,
                                  size_t *ret_removed, struct err_info *info);

/* In a job. Durable. Ids that are not there are passed over; all or none. */
MUST_CHECK enum err keeper_set_enabled(struct keeper *k, const uint64_t *ids, size_t n,
                                       bool enabled, size_t *ret_changed, struct err_info *info);

/* In a job. Durable. ERR_NOT_FOUND, ERR_RANGE (longer than KEYPOOL_NAME_BYTES). */
MUST_CHECK enum err keeper_set_name(struct keeper *k, uint64_t id, str name, struct err_info *info);

/* Takes an import back: removes what is left of the batch, in a job. Durable. */
MUST_CHECK enum err keeper_remove_batch(struct keeper *k, uint64_t batch, size_t *ret_removed,
                                        struct err_info *info);

/* Writes now what changed in the pool, in a job: before statistics or a backup are read. */
MUST_CHECK enum err keeper_flush(struct keeper *k, struct err_info *info);

#endif
