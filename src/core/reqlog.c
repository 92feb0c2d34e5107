#include "core/reqlog.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define CACHE_LINE 64

/* A worker's ring, on cache lines of its own. */
struct shard {
    _Alignas(CACHE_LINE) pthread_mutex_t mutex;
    uint64_t n_added;
    struct reqlog_entry *entries;
    struct reqlog_tries **tries; // of each entry; owned
};

struct reqlog {
    // read-only
    size_t n_shards;
    size_t per_shard;
    struct shard *shards;

    _Alignas(CACHE_LINE) _Atomic uint64_t newest; // changed under the mutex of a shard
};

static size_t cut_into(char *to, size_t max, str text)
{
    size_t n = utf8_cut(text, max);
    if (n > 0)
        memcpy(to, text.p, n);
    return n;
}

void reqlog_set_model(struct reqlog_entry *e, str model)
{
    e->model_len = (uint8_t)cut_into(e->model, sizeof(e->model), model);
}

void reqlog_set_caller(struct reqlog_entry *e, str caller)
{
    e->caller_len = (uint8_t)cut_into(e->caller, sizeof(e->caller), caller);
}

struct reqlog *reqlog_new(size_t shards)
{
    assert(shards > 0);
    struct reqlog *l = xcalloc_aligned(CACHE_LINE, sizeof(*l));
    l->n_shards = shards;
    l->per_shard = shards < REQLOG_CAPACITY ? REQLOG_CAPACITY / shards : 1;
    l->shards = xcalloc_aligned(CACHE_LINE, shards * sizeof(*l->shards));
    for (size_t i = 0; i < shards; i++) {
        pthread_mutex_init(&l->shards[i].mutex, NULL);
        l->shards[i].entries = xcalloc(l->per_shard, sizeof(struct reqlog_entry));
        l->shards[i].tries = xcalloc(l->per_shard, sizeof(struct reqlog_tries *));
    }
    return l;
}

void reqlog_free(struct reqlog *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->n_shards; i++) {
        struct shard *s = &l->shards[i];
        for (size_t k = 0; k < l->per_shard; k++)
            free(s->tries[k]);
        free(s->tries);
        free(s->entries);
        pthread_mutex_destroy(&s->mutex);
    }
    free(l->shards);
    free(l);
}

size_t reqlog_capacity(const struct reqlog *l)
{
    return l->per_shard * l->n_shards;
}

void reqlog_add(struct reqlog *l, size_t shard, struct reqlog_entry *e, struct reqlog_tries *tries)
{
    assert(shard < l->n_shards);
    struct shard *s = &l->shards[shard];
    pthread_mutex_lock(&s->mutex);
    size_t at = s->n_added++ % l->per_shard;
    struct reqlog_tries *old = s->tries[at];
    e->id = atomic_fetch_add_explicit(&l->newest, 1, memory_order_relaxed) + 1;
    s->entries[at] = *e;
    s->tries[at] = tries;
    pthread_mutex_unlock(&s->mutex);
    free(old);
}

uint64_t reqlog_newest(const struct reqlog *l)
{
    return atomic_load_explicit(&l->newest, memory_order_relaxed);
}

static size_t kept_of(const struct reqlog *l, const struct shard *s)
{
    return s->n_added < l->per_shard ? (size_t)s->n_added : l->per_shard;
}

/* The entry that was added `age` entries before the last one. */
static const struct reqlog_entry *entry_at(const struct reqlog *l, const struct shard *s,
                                           size_t age)
{
    return &s->entries[(s->n_added - 1 - age) % l->per_shard];
}

static void lock_all(struct reqlog *l)
{
    for (size_t i = 0; i < l->n_shards; i++)
        pthread_mutex_lock(&l->shards[i].mutex);
}

static void unlock_all(struct reqlog *l)
{
    for (size_t i = 0; i < l->n_shards; i++)
        pthread_mutex_unlock(&l->shards[i].mutex);
}

static int compare_newest_first(const void *left, const void *right)
{
    const struct reqlog_entry *a = left;
    const struct reqlog_entry *b = right;
    return (a->id < b->id) - (a->id > b->id);
}

/*
 * Merges the heads of all shards, each of which is in order: every round takes the newest head.
 * `taken` counts what was taken of each.
 */
static size_t merge(const struct reqlog *l, uint64_t after, size_t max, size_t *taken,
                    struct reqlog_entry *ret)
{
    size_t n = 0;
    for (; n < max; n++) {
        const struct reqlog_entry *best = NULL;
        size_t of = 0;
        for (size_t i = 0; i < l->n_shards; i++) {
            const struct shard *s = &l->shards[i];
            if (taken[i] == kept_of(l, s))
                continue;
            const struct reqlog_entry *e = entry_at(l, s, taken[i]);
            if (e->id > after && (best == NULL || e->id > best->id)) {
                best = e;
                of = i;
            }
        }
        if (best == NULL)
            break;
        ret[n] = *best;
        taken[of]++;
    }
    return n;
}

size_t reqlog_since(struct reqlog *l, uint64_t after, size_t max, struct reqlog_entry *ret,
                    uint64_t *ret_newest, uint64_t *ret_skipped)
{
    size_t n = 0;
    *ret_newest = after;
    *ret_skipped = 0;
    if (reqlog_newest(l) <= after)
        return 0;
    size_t *taken = xcalloc(l->n_shards, sizeof(*taken));
    lock_all(l);
    uint64_t newest = reqlog_newest(l);
    n = merge(l, after, max, taken, ret);
    unlock_all(l);
    free(taken);
    *ret_newest = newest;
    *ret_skipped = newest - after - n;
    return n;
}

size_t reqlog_copy(struct reqlog *l, struct reqlog_entry *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n_shards; i++) {
        struct shard *s = &l->shards[i];
        pthread_mutex_lock(&s->mutex);
        size_t kept = kept_of(l, s);
        memcpy(ret + n, s->entries, kept * sizeof(*ret));
        pthread_mutex_unlock(&s->mutex);
        n += kept;
    }
    qsort(ret, n, sizeof(*ret), compare_newest_first);
    return n;
}

bool reqlog_find(struct reqlog *l, uint64_t id, struct reqlog_entry *ret,
                 struct reqlog_tries *ret_tries)
{
    bool found = false;
    for (size_t i = 0; i < l->n_shards && !found; i++) {
        struct shard *s = &l->shards[i];
        pthread_mutex_lock(&s->mutex);
        size_t kept = kept_of(l, s);
        for (size_t k = 0; k < kept && !found; k++) {
            if (s->entries[k].id != id)
                continue;
            found = true;
            *ret = s->entries[k];
            if (s->tries[k] != NULL)
                *ret_tries = *s->tries[k];
            else
                ret_tries->n = 0;
        }
        pthread_mutex_unlock(&s->mutex);
    }
    return found;
}
