#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#if defined(O2O_SANITIZED)
#define KEPT 0
#else
#define KEPT POOL_KEPT
#endif

struct pool_item {
    struct pool_item *next;
};

/* The list for objects of `size` bytes; POOL_SIZES or more: there is none. */
static size_t index_of(size_t size)
{
    return (size - 1) / POOL_STEP_BYTES;
}

void pool_init(struct pool *p)
{
    *p = (struct pool){0};
}

void pool_release(struct pool *p)
{
    for (size_t i = 0; i < POOL_SIZES; i++) {
        for (struct pool_item *item = p->kept[i], *next; item != NULL; item = next) {
            next = item->next;
            free(item);
        }
    }
    pool_init(p);
}

void *pool_take(struct pool *p, size_t size)
{
    size_t i = index_of(size);
    if (i >= POOL_SIZES)
        return xmalloc(size);
    struct pool_item *item = p->kept[i];
    if (item == NULL)
        return xmalloc((i + 1) * POOL_STEP_BYTES);
    p->kept[i] = item->next;
    p->n_kept[i]--;
    return item;
}

void *pool_take_zeroed(struct pool *p, size_t size)
{
    return memset(pool_take(p, size), 0, size);
}

void pool_give(struct pool *p, void *object, size_t size)
{
    size_t i = index_of(size);
    if (object == NULL)
        return;
    if (i >= POOL_SIZES || p->n_kept[i] + 1 > KEPT) {
        free(object);
        return;
    }
    struct pool_item *item = object;
    item->next = p->kept[i];
    p->kept[i] = item;
    p->n_kept[i]++;
}
