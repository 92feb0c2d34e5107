/*
 * keeper_private - the inside of a keeper
 */
#ifndef APP_KEEPER_PRIVATE_H
#define APP_KEEPER_PRIVATE_H

#include <pthread.h>

#include "app/keeper.h"
#include "base/list.h"

/* A move that waits for the store, with its texts behind it. */
struct keeper_move {
    struct list link;
    struct key_move move;
    char text[];
};

/* Refusals of some keys that wait for the store. */
struct keeper_refusals {
    struct arena texts;
    bool forget;
    uint64_t *ids; // KEEPER_REFUSED_MAX of them
    size_t n_ids;
    struct key_refusal *rows; // KEYPOOL_REFUSALS_KEPT for each id
    size_t n;
};

struct keeper {
    struct keypool *pool;
    struct store *store;

    // the store thread's
    struct store_flush *flushes; // FLUSH_MAX of them
    struct arena texts;          // of `flushes`
    size_t n_flushes;            // not yet written
    int64_t flush_day;           // of the counts in `flushes`
    struct keeper_refusals refusals;
    struct list taken;       // moves out of the queue: logged, not yet written
    int64_t trimmed_day;     // on which old rows were removed last
    uint64_t failed;         // ticks that could not write, in a row
    struct err_info trouble; // why, the last time
    keeper_second_fn *on_second;
    void *on_second_arg;

    // read-only once started
    keeper_host_gone_fn *on_host_gone;
    void *on_host_gone_arg;

    // under the mutex
    pthread_mutex_t mutex;
    struct list moves;
    size_t n_moves;  // in `moves` and `taken`
    uint64_t n_lost; // moves for which there was no room
};

/* What the pool calls; the keeper is `arg`. */
void keeper_on_move(void *arg, const struct key_move *move);

/* What the store's thread runs each second. */
void keeper_tick(struct store *s, void *arg);

void keeper_drop_moves(struct keeper *k);

enum {
    KEEPER_FLUSH_MAX = 8192,  // lives of one transaction
    KEEPER_REFUSED_MAX = 256, // keys whose refusals are of one transaction
};

#endif
