#include "core/keypool.h"

#include <stdio.h>

#include "core/keypool_private.h"

#define AGAIN_MS 10000 // a probe that came to nothing, and whose time is not told by a rule

void keypool_set_probe_interval(struct keypool *p, uint64_t interval_ms, uint64_t now_ms)
{
    pthread_mutex_lock(&p->mutex);
    if (interval_ms != p->probe_interval_ms) {
        p->probe_interval_ms = interval_ms;
        p->next_round_ms = now_ms;
    }
    pthread_mutex_unlock(&p->mutex);
}

/* ---- what is due ---- */

static struct key *due_key(const struct heap *heap, uint64_t due_ms)
{
    struct heap_node *node = heap_first(heap);
    return node != NULL && node->key <= due_ms ? CONTAINER_OF(node, struct key, probe) : NULL;
}

static struct key *first_cool(const struct heap *heap)
{
    struct heap_node *node = heap_first(heap);
    return node != NULL ? CONTAINER_OF(node, struct key, cool) : NULL;
}

/* The key that a cooling host is tried with. */
static struct key *key_for_trial(const struct keypool *p, const struct host *h)
{
    uint32_t place = ready_set_next(&h->ready, h->cursor);
    if (place != READY_SET_NONE)
        return key_at(p, h->slots[place]);
    if (h->failed.n > 0)
        return first_cool(&h->failed);
    return due_key(&h->doubted, p->round_ms); // limits are never probed
}

/* The key of the host that is due in this round; NULL: none. */
static struct key *due_of_host(const struct keypool *p, const struct host *h, bool *ret_trial,
                               uint64_t now_ms)
{
    *ret_trial = h->cooling;
    if (h->cooling)
        return !host_on_trial(h, now_ms) && h->until_ms <= p->round_ms ? key_for_trial(p, h) : NULL;
    struct key *doubted = due_key(&h->doubted, p->round_ms);
    struct key *fresh = due_key(&h->fresh, now_ms); // new ones do not wait for a round
    if (fresh == NULL || (doubted != NULL && !h->fresh_turn))
        return doubted;
    return fresh;
}

/* Starts a round if it is time for one. */
static void start_round(struct keypool *p, uint64_t now_ms)
{
    if (now_ms < p->next_round_ms)
        return;
    p->round_ms = now_ms;
    p->next_round_ms =
        now_ms + p->probe_interval_ms + keypool_random(p, p->probe_interval_ms / 10 + 1);
}

static void take_probe(struct keypool *p, struct host *h, struct key *k, bool trial,
                       uint64_t now_ms, struct lease *ret)
{
    h->next_probe_ms = now_ms + PROBE_GAP_MS + keypool_random(p, PROBE_JITTER_MS);
    h->fresh_turn = !h->fresh_turn;
    if (!trial)
        heap_remove(k->state == KEY_IS_READY ? &h->fresh : &h->doubted, &k->probe);
    lease_key(p, k, trial, now_ms, ret);
}

bool keypool_take_probe(struct keypool *p, uint64_t now_ms, struct lease *ret,
                        uint64_t *ret_next_ms)
{
    bool found = false;
    uint64_t next_ms = NEVER;
    pthread_mutex_lock(&p->mutex);
    if (p->probe_interval_ms > 0) {
        start_round(p, now_ms);
        next_ms = p->next_round_ms;
    }
    for (uint32_t i = 0; p->probe_interval_ms > 0 && i < p->n_active && !found; i++) {
        struct host *h = p->active[(p->probe_host + i) % p->n_active];
        bool trial;
        struct key *k = due_of_host(p, h, &trial, now_ms);
        if (k == NULL)
            continue;
        if (h->next_probe_ms > now_ms) {
            next_ms = h->next_probe_ms < next_ms ? h->next_probe_ms : next_ms;
            continue;
        }
        take_probe(p, h, k, trial, now_ms, ret);
        p->probe_host = (p->probe_host + i + 1) % p->n_active; // the next one goes on from here
        found = true;
    }
    *ret_next_ms = found ? now_ms : next_ms;
    pthread_mutex_unlock(&p->mutex);
    return found;
}

/* ---- what came of it ---- */

static void plan_dead(struct keypool *p, struct key *k, uint64_t now_ms)
{
    k->probe_ms = now_ms + keypool_jittered(p, DEAD_PROBE_MS, k->doublings, DEAD_PROBE_MAX_MS);
    if (k->enabled)
        heap_set(&host_of(p, k)->doubted, &k->probe, k->probe_ms);
}

void key_plan_probe_again(struct keypool *p, struct key *k, uint64_t now_ms)
{
    struct host *h = host_of(p, k);
    if (heap_has(&k->probe) || !k->enabled)
        return;
    bool fresh = k->state == KEY_IS_READY && key_is_new(k);
    if (!fresh && k->state != KEY_IS_DEAD)
        return;
    k->probe_ms = now_ms + AGAIN_MS;
    heap_set(fresh ? &h->fresh : &h->doubted, &k->probe, k->probe_ms);
}

static void probe_good(struct keypool *p, struct key *k, uint64_t now_ms)
{
    judge_good(p, k, CAUSE_PROBE, now_ms);
    if (k->state == KEY_IS_DEAD) {
        k->doublings = 0;
        key_move(p, k,
                 &(struct key_change){.to = KEY_IS_READY,
                                      .cause = CAUSE_PROBE,
                                      .reason = "a probe found that it works again"},
                 now_ms);
    }
}

static void probe_refused(struct keypool *p, struct key *k, bool trial, str text, uint64_t now_ms)
{
    struct host *h = host_of(p, k);
    bool counted = k->worked && k->state != KEY_IS_DEAD;
    uint32_t moves = k->moves;
    bool marks = brake_note(p, k, counted, now_ms);
    judge_contact(p, h, trial || h->cause == CAUSE_CONNECT, counted, now_ms);
    if (!marks)
        return;
    if (k->state == KEY_IS_DEAD) {
        k->doublings += k->doublings < 32;
        plan_dead(p, k, now_ms);
    } else {
        judge_dead(p, k, text, now_ms);
    }
    brake_note_mark(p, k, moves);
}

/* The answer says nothing about the key; but somebody answers. */
static void probe_nothing(struct keypool *p, struct host *h, bool trial, str text, uint64_t now_ms)
{
    h->connect_failures = 0;
    if (!h->cooling)
        return;
    if (h->cause == CAUSE_CONNECT)
        host_back(p, h, CAUSE_PROBE, "it answers again", now_ms);
    else if (trial)
        host_cool(p, h, (enum key_cause)h->cause, text, now_ms);
}

static void judge_probe(struct keypool *p, struct key *k, enum probe_result result, bool trial,
                        str text, uint64_t now_ms)
{
    k->last_check_ms = wall_of(p, now_ms);
    if (result != PROBE_GOOD)
        text_set(&k->last_error, text, KEYPOOL_ERROR_BYTES);
    if (result == PROBE_GOOD)
        probe_good(p, k, now_ms);
    else if (result == PROBE_REFUSED)
        probe_refused(p, k, trial, text, now_ms);
    else if (k->state == KEY_IS_DEAD)
        plan_dead(p, k, now_ms);
    else if (k->state == KEY_IS_READY) // it was new, and was asked once
        heap_remove(&host_of(p, k)->fresh, &k->probe);
    key_changed(p, k);
}

void keypool_report_probe(struct keypool *p, struct lease *lease, enum probe_result result,
                          str text, uint64_t now_ms)
{
    pthread_mutex_lock(&p->mutex);
    struct host *h = p->hosts[lease->host];
    bool trial = lease->trial;
    struct key *k = lease_return(p, lease);
    h->failed_last = result == PROBE_FAILED;
    if (result == PROBE_FAILED) {
        if (k == NULL || brake_note(p, k, true, now_ms))
            judge_no_connect(p, h, trial, text, now_ms);
    } else if (result == PROBE_NOTHING) {
        probe_nothing(p, h, trial, text, now_ms);
    }
    if (k != NULL)
        judge_probe(p, k, result, trial, text, now_ms);
    pthread_mutex_unlock(&p->mutex);
}
