#include "core/keypool.h"

#include <assert.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "core/keypool_private.h"

uint64_t keypool_deadline(const struct keypool *p, int64_t wall_ms, uint64_t max_ms,
                          uint64_t now_ms)
{
    int64_t left_ms = wall_ms - wall_of(p, now_ms);
    if (left_ms <= 0)
        return now_ms;
    return now_ms + ((uint64_t)left_ms < max_ms ? (uint64_t)left_ms : max_ms);
}

/* ---- many keys at once ---- */

void keypool_load_begin(struct keypool *p, size_t n)
{
    uint32_t expected = n < KEYPOOL_KEYS_MAX ? (uint32_t)n : KEYPOOL_KEYS_MAX;
    pthread_mutex_lock(&p->mutex);
    assert(p->n_keys == 0 && !p->loading);
    slot_table_reserve(&p->by_id, expected);
    slot_table_reserve(&p->by_identity, expected);
    p->loading = true;
    pthread_mutex_unlock(&p->mutex);
}

/* The numbers below `n` in a random order. */
static uint32_t *shuffled(struct keypool *p, uint32_t n)
{
    uint32_t *numbers = xmalloc((n > 0 ? n : 1) * sizeof(*numbers));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t other = (uint32_t)keypool_random(p, i + 1);
        if (other != i)
            numbers[i] = numbers[other];
        numbers[other] = i;
    }
    return numbers;
}

/* Gives the keys, which stand in the order they came in, random places; one walk over them all. */
static void settle_host(struct keypool *p, struct host *h)
{
    uint32_t *places = shuffled(p, h->n_places);
    uint32_t *slots = xmalloc((h->cap_places > 0 ? h->cap_places : 1) * sizeof(*slots));
    for (uint32_t i = 0; i < h->n_places; i++) {
        struct key *k = key_at(p, h->slots[i]);
        k->place = places[i];
        slots[places[i]] = k->slot;
        if (!k->fallback)
            key_enter(p, k);
    }
    free(places);
    free(h->slots);
    h->slots = slots;
}

void keypool_load_end(struct keypool *p)
{
    pthread_mutex_lock(&p->mutex);
    p->loading = false;
    for (uint32_t i = 0; i < p->n_hosts; i++)
        settle_host(p, p->hosts[i]);
    pthread_mutex_unlock(&p->mutex);
}

/* ---- hosts after a restart ---- */

/* How often a cooling that lasts `ms` was doubled, with the next time counted. */
static uint32_t doublings_of(uint64_t ms)
{
    uint32_t n = 1;
    while (keypool_doubled(FAILURE_COOL_MS, n, FAILURE_COOL_MAX_MS) <= ms &&
           keypool_doubled(FAILURE_COOL_MS, n, FAILURE_COOL_MAX_MS) < FAILURE_COOL_MAX_MS)
        n++;
    return n;
}

static void restore_host(struct keypool *p, struct host *h, const struct key_move *move,
                         uint64_t now_ms)
{
    bool sane = move->cause == CAUSE_CONNECT || move->cause == CAUSE_HOST;
    h->cooling = true;
    h->cause = (uint8_t)(sane ? move->cause : CAUSE_BRAKE);
    h->until_ms = keypool_deadline(p, move->until_ms, FAILURE_COOL_MAX_MS, now_ms);
    h->since_ms = move->at_ms;
    h->failed_last = true;
    if (move->until_ms > move->at_ms)
        h->doublings = doublings_of((uint64_t)(move->until_ms - move->at_ms));
    text_set(&h->reason, move->reason, KEYPOOL_ERROR_BYTES);
    pool_changed(p);
}

void keypool_restore_host(struct keypool *p, const struct key_move *move, uint64_t now_ms)
{
    pthread_mutex_lock(&p->mutex);
    struct host *h = host_find(p, move->host);
    bool fresh = move->until_ms + (int64_t)FAILURE_COOL_MAX_MS > wall_of(p, now_ms);
    if (h != NULL && move->to == KEY_IS_COOLING && fresh)
        restore_host(p, h, move, now_ms);
    pthread_mutex_unlock(&p->mutex);
}
