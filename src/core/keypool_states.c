#include "core/keypool.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "core/keypool_private.h"

/* ---- hosts with enabled keys ---- */

static void activate(struct keypool *p, struct host *h)
{
    if (p->n_active == p->cap_active) {
        p->cap_active = p->cap_active > 0 ? 2 * p->cap_active : 16;
        p->active = xrealloc(p->active, p->cap_active * sizeof(struct host *));
    }
    h->active_at = p->n_active;
    p->active[p->n_active++] = h;
}

static void deactivate(struct keypool *p, struct host *h)
{
    struct host *last = p->active[--p->n_active];
    p->active[h->active_at] = last;
    last->active_at = h->active_at;
    h->active_at = NO_SLOT;
}

static void count_enabled(struct keypool *p, struct host *h, bool enabled)
{
    h->n_enabled += enabled ? 1 : (uint32_t)-1;
    p->n_enabled += enabled ? 1 : (uint32_t)-1;
    if (enabled && h->n_enabled == 1)
        activate(p, h);
    else if (!enabled && h->n_enabled == 0)
        deactivate(p, h);
}

/* ---- sets of keys ---- */

bool key_is_new(const struct key *k)
{
    return !k->fallback && !k->worked && k->last_check_ms == 0 && k->requests == 0;
}

static enum key_state shown_state(const struct key *k)
{
    return k->enabled ? (enum key_state)k->state : KEY_IS_DISABLED;
}

static void enter_ready(struct keypool *p, struct host *h, struct key *k)
{
    ready_set_insert(&h->ready, k->place);
    models_key_ready(p, k, true);
    if (key_is_new(k))
        heap_set(&h->fresh, &k->probe, k->probe_ms);
}

void key_enter(struct keypool *p, struct key *k)
{
    struct host *h = host_of(p, k);
    pool_changed(p);
    if (!k->fallback)
        h->by_state[shown_state(k)]++;
    if (!k->enabled)
        return;
    count_enabled(p, h, true);
    if (k->state == KEY_IS_READY) {
        enter_ready(p, h, k);
    } else if (k->state == KEY_IS_DEAD) {
        heap_set(&h->doubted, &k->probe, k->probe_ms);
    } else if (k->cause == CAUSE_LIMIT) {
        heap_set(&h->limited, &k->cool, k->until_ms);
    } else {
        heap_set(&h->failed, &k->cool, k->until_ms);
        if (k->probe_ms < k->until_ms)
            heap_set(&h->doubted, &k->probe, k->probe_ms);
    }
}

void key_leave(struct keypool *p, struct key *k)
{
    struct host *h = host_of(p, k);
    pool_changed(p);
    if (!k->fallback)
        h->by_state[shown_state(k)]--;
    if (!k->enabled)
        return;
    count_enabled(p, h, false);
    heap_remove(k->state == KEY_IS_READY ? &h->fresh : &h->doubted, &k->probe);
    heap_remove(k->cause == CAUSE_LIMIT ? &h->limited : &h->failed, &k->cool);
    if (k->state == KEY_IS_READY) {
        ready_set_remove(&h->ready, k->place);
        models_key_ready(p, k, false);
    }
}

/* ---- moves ---- */

static void tell(const struct keypool *p, const struct key_move *move)
{
    if (p->options.on_move != NULL)
        p->options.on_move(p->options.arg, move);
}

static void tell_key(struct keypool *p, struct key *k, enum key_state from, enum key_state to,
                     const struct key_change *change, uint64_t now_ms)
{
    if (from != to)
        k->since_ms = wall_of(p, now_ms);
    tell(p, &(struct key_move){
                .key_id = k->id,
                .host = host_of(p, k)->base_url,
                .from = from,
                .to = to,
                .cause = change->cause,
                .source = change->source,
                .at_ms = wall_of(p, now_ms),
                .until_ms = change->until_ms > 0 ? wall_of(p, change->until_ms) : 0,
                .reason = str_z(change->reason),
            });
}

void key_move(struct keypool *p, struct key *k, const struct key_change *change, uint64_t now_ms)
{
    enum key_state from = (enum key_state)k->state;
    key_leave(p, k);
    k->state = (uint8_t)change->to;
    k->cause = (uint8_t)(change->to == KEY_IS_READY ? CAUSE_NONE : change->cause);
    k->source = (uint8_t)change->source;
    k->until_ms = change->to == KEY_IS_COOLING ? change->until_ms : 0;
    k->probe_ms = change->until_ms;
    if (change->to == KEY_IS_COOLING && change->cause == CAUSE_FAILURES) // when half of it is over
        k->probe_ms = now_ms + (change->until_ms - now_ms) / 2;
    k->moves++;
    text_set(&k->reason, str_z(change->reason), KEYPOOL_ERROR_BYTES);
    key_enter(p, k);
    key_changed(p, k);
    tell_key(p, k, from, change->to, change, now_ms);
}

void key_enable(struct keypool *p, struct key *k, bool enabled, uint64_t now_ms)
{
    struct key_change change = {
        .to = (enum key_state)k->state,
        .cause = CAUSE_PERSON,
        .reason = enabled ? "enabled by a person" : "disabled by a person",
    };
    key_leave(p, k);
    k->enabled = enabled;
    key_enter(p, k);
    key_changed(p, k);
    if (enabled)
        tell_key(p, k, KEY_IS_DISABLED, change.to, &change, now_ms);
    else
        tell_key(p, k, change.to, KEY_IS_DISABLED, &change, now_ms);
}

/* ---- hosts ---- */

bool host_is_local_fallback(const struct keypool *p, const struct host *h)
{
    return p->fallback != NO_SLOT && key_at(p, p->fallback)->enabled &&
           host_of(p, key_at(p, p->fallback)) == h &&
           (str_eq(h->url.host, STR("127.0.0.1")) || str_eq(h->url.host, STR("::1")) ||
            str_eq(h->url.host, STR("localhost")));
}

static void tell_host(struct keypool *p, const struct host *h, enum key_state from,
                      enum key_cause cause, str reason, uint64_t now_ms)
{
    pool_changed(p);
    tell(p, &(struct key_move){
                .host = h->base_url,
                .from = from,
                .to = h->cooling ? KEY_IS_COOLING : KEY_IS_READY,
                .cause = cause,
                .at_ms = wall_of(p, now_ms),
                .until_ms = h->cooling ? wall_of(p, h->until_ms) : 0,
                .reason = reason,
            });
}

void host_cool(struct keypool *p, struct host *h, enum key_cause cause, str reason, uint64_t now_ms)
{
    enum key_state from = h->cooling ? KEY_IS_COOLING : KEY_IS_READY;
    uint64_t ms = keypool_jittered(p, FAILURE_COOL_MS, h->doublings, FAILURE_COOL_MAX_MS);
    if (host_is_local_fallback(p, h))
        ms = LOCAL_LOOK_MS;
    if (h->doublings < 32)
        h->doublings++;
    if (!h->cooling)
        h->since_ms = wall_of(p, now_ms);
    h->cooling = true;
    h->cause = (uint8_t)cause;
    h->until_ms = now_ms + ms;
    text_set(&h->reason, reason, KEYPOOL_ERROR_BYTES);
    tell_host(p, h, from, cause, h->reason, now_ms);
}

void host_back(struct keypool *p, struct host *h, enum key_cause cause, const char *reason,
               uint64_t now_ms)
{
    h->cooling = false;
    h->since_ms = wall_of(p, now_ms);
    h->doublings = 0;
    h->connect_failures = 0;
    h->n_notes = 0;
    text_free(&h->reason);
    tell_host(p, h, KEY_IS_COOLING, cause, str_z(reason), now_ms);
}

/* ---- time ---- */

static size_t expire_heap(struct keypool *p, struct heap *heap, size_t max, uint64_t now_ms)
{
    static const struct key_change over = {
        .to = KEY_IS_READY, .cause = CAUSE_TIME, .reason = "its cooling is over"};
    size_t n = 0;
    for (; n < max; n++) {
        struct heap_node *node = heap_first(heap);
        if (node == NULL || node->key > now_ms)
            break;
        key_move(p, CONTAINER_OF(node, struct key, cool), &over, now_ms);
    }
    return n;
}

size_t host_expire(struct keypool *p, struct host *h, size_t max, uint64_t now_ms)
{
    size_t n = expire_heap(p, &h->failed, max, now_ms);
    return n + expire_heap(p, &h->limited, max - n, now_ms);
}

static uint64_t earlier(uint64_t due_ms, const struct heap *heap)
{
    const struct heap_node *node = heap_first(heap);
    return node != NULL && node->key < due_ms ? node->key : due_ms;
}

uint64_t keypool_expire(struct keypool *p, uint64_t now_ms)
{
    uint64_t due_ms = NEVER;
    size_t left = EXPIRE_STEP;
    pthread_mutex_lock(&p->mutex);
    for (uint32_t i = 0; i < p->n_active; i++) {
        struct host *h = p->active[i];
        left -= host_expire(p, h, left, now_ms);
        due_ms = earlier(earlier(due_ms, &h->failed), &h->limited);
    }
    for (uint32_t i = 0; i < KEYPOOL_MODEL_SETS_MAX; i++) {
        if (p->sets[i] == NULL)
            continue;
        left -= model_set_expire(p, p->sets[i], left, now_ms);
        due_ms = earlier(due_ms, &p->sets[i]->due);
    }
    pthread_mutex_unlock(&p->mutex);
    return due_ms;
}
