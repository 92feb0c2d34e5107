/*
 * heap - intrusive binary heap by due time
 *
 * The member with the smallest `key` is first. A node knows its place, so that it can be removed
 * or moved in O(log n).
 *
 * Threads: owned by one.
 * Memory:  owns the array of pointers, borrows the nodes.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_NOWHERE SIZE_MAX

struct heap_node {
    uint64_t key;
    size_t place; // index in the array; HEAP_NOWHERE: in no heap
};

struct heap {
    struct heap_node **nodes;
    size_t n;
    size_t cap;
};

void heap_init(struct heap *h);
void heap_release(struct heap *h);

/* Prepares a node that is in no heap. */
void heap_node_init(struct heap_node *node);

static inline bool heap_has(const struct heap_node *node)
{
    return node->place != HEAP_NOWHERE;
}

/* The first node, or NULL. */
static inline struct heap_node *heap_first(const struct heap *h)
{
    return h->n > 0 ? h->nodes[0] : NULL;
}

/* Puts `node` in with `key`, or moves it there if it is in `h` already. */
void heap_set(struct heap *h, struct heap_node *node, uint64_t key);

/* Takes `node` out; nothing happens if it is in no heap. */
void heap_remove(struct heap *h, struct heap_node *node);

#endif
