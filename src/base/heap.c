#include "base/heap.h"

#include <stdlib.h>

#include "base/xalloc.h"

void heap_init(struct heap *h)
{
    *h = (struct heap){0};
}

void heap_release(struct heap *h)
{
    free(h->nodes);
    heap_init(h);
}

void heap_node_init(struct heap_node *node)
{
    *node = (struct heap_node){.place = HEAP_NOWHERE};
}

static void put(struct heap *h, size_t place, struct heap_node *node)
{
    h->nodes[place] = node;
    node->place = place;
}

static void sift_up(struct heap *h, struct heap_node *node)
{
    size_t at = node->place;
    while (at > 0) {
        size_t parent = (at - 1) / 2;
        if (h->nodes[parent]->key <= node->key)
            break;
        put(h, at, h->nodes[parent]);
        at = parent;
    }
    put(h, at, node);
}

static void sift_down(struct heap *h, struct heap_node *node)
{
    size_t at = node->place;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->nodes[child + 1]->key < h->nodes[child]->key)
            child++;
        if (node->key <= h->nodes[child]->key)
            break;
        put(h, at, h->nodes[child]);
        at = child;
    }
    put(h, at, node);
}

void heap_set(struct heap *h, struct heap_node *node, uint64_t key)
{
    if (!heap_has(node)) {
        if (h->n == h->cap) {
            h->cap = h->cap > 0 ? 2 * h->cap : 64;
            h->nodes = xrealloc(h->nodes, h->cap * sizeof(*h->nodes));
        }
        node->place = h->n++;
    }
    node->key = key;
    sift_up(h, node);
    sift_down(h, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (!heap_has(node))
        return;
    size_t place = node->place;
    struct heap_node *last = h->nodes[--h->n];
    node->place = HEAP_NOWHERE;
    if (last == node)
        return;
    put(h, place, last);
    sift_up(h, last);
    sift_down(h, last);
}
