/*
 * pool - small objects that come and go, kept for the next of their size
 *
 * The C library keeps a handful of freed pieces of a size at hand and merges the rest with their
 * neighbours, only to cut them apart again: with some tens of requests under way that is most of
 * what an allocation costs. A pool keeps what is given back in one list per size, up to a bound.
 *
 * Threads: owned by one.
 * Memory:  takes and returns; the owner of an object remembers its size. Under AddressSanitizer
 *          nothing is kept, so that a use after the end is found.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

#define POOL_STEP_BYTES 64
#define POOL_MAX_BYTES  1024 // larger ones go to the heap
#define POOL_KEPT       256  // of each size
#define POOL_SIZES      (POOL_MAX_BYTES / POOL_STEP_BYTES)

struct pool_item;

struct pool {
    struct pool_item *kept[POOL_SIZES];
    size_t n_kept[POOL_SIZES];
};

/* Prepares an empty pool. */
void pool_init(struct pool *p);

/* Frees what is kept. Objects that were not given back live on, and may be given to free(). */
void pool_release(struct pool *p);

/* Returns `size` bytes (> 0), not initialised; never NULL. */
void *pool_take(struct pool *p, size_t size) __attribute__((returns_nonnull));

/* As pool_take(), zeroed. */
void *pool_take_zeroed(struct pool *p, size_t size) __attribute__((returns_nonnull));

/* Takes back an object of `size` bytes. Accepts NULL. */
void pool_give(struct pool *p, void *object, size_t size);

#endif
