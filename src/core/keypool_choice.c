/*
 * Which key a request gets.
 *
 * Each host carries a virtual time: how many rounds its ready keys were given. The host that is
 * behind is next, and its time goes on by one key's part of a round. Since the host that is chosen
 * was never ahead of another one, no key gets ahead of any other by more than a request.
 */
#include "core/keypool.h"

#include <assert.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "core/keypool_private.h"

#define SHARES_MAX    (UINT64_C(1) << 56)
#define HEAP_LOOK_MAX 192 // nodes that a search for a cooling key looks at

/* ---- what a search has tried ---- */

void key_search_release(struct key_search *s)
{
    free(s->more);
    *s = (struct key_search){0};
}

static const struct key_try *try_at(const struct key_search *s, uint32_t i)
{
    return i == 0 ? &s->first : &s->more[i - 1];
}

static void note_try(struct key_search *s, const struct key *k)
{
    struct key_try t = {.slot = k->slot, .generation = k->generation, .host = k->host};
    if (s->n == 0) {
        s->first = t;
    } else {
        uint32_t n_more = s->n - 1;
        if (n_more == 0 || (n_more >= 4 && (n_more & (n_more - 1)) == 0)) // 4, 8, 16, …
            s->more = xrealloc(s->more, (n_more == 0 ? 4 : 2 * n_more) * sizeof(*s->more));
        s->more[n_more] = t;
    }
    s->n++;
}

static bool was_tried(const struct key_search *s, const struct key *k)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const struct key_try *t = try_at(s, i);
        if (t->slot == k->slot && t->generation == k->generation)
            return true;
    }
    return false;
}

static bool host_is_out(const struct key_search *s, const struct host *h, bool new_host)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const struct key_try *t = try_at(s, i);
        if (t->host == h->index && (t->skip_host || new_host))
            return true;
    }
    return false;
}

static void skip_host(struct key_search *s, const struct lease *lease, bool lacks_model)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct key_try *t = i == 0 ? &s->first : &s->more[i - 1];
        if (t->host != lease->host)
            continue;
        t->skip_host = true;
        t->lacks_model |= lacks_model;
    }
}

void key_search_skip_host(struct key_search *s, const struct lease *lease)
{
    skip_host(s, lease, false);
}

void key_search_lacks_model(struct key_search *s, const struct lease *lease)
{
    skip_host(s, lease, true);
}

static bool host_said_no(const struct key_search *s, const struct host *h)
{
    for (uint32_t i = 0; i < s->n; i++) {
        const struct key_try *t = try_at(s, i);
        if (t->host == h->index && t->lacks_model)
            return true;
    }
    return false;
}

/* ---- what a host has to offer to a search ---- */

struct question {
    struct keypool *p;
    const struct key_search *s;
    const struct key_search *told; // NULL: no other search knows more
    uint64_t hash;                 // of the model
    bool new_host;
    bool proven_first;
    uint64_t now_ms;
};

struct offer {
    struct host *h;
    struct ready_set *ready; // NULL: no key that was not tried
    uint32_t *cursor;
    bool proven;
};

static const struct key *tried_key(const struct question *q, const struct host *h, uint32_t i)
{
    const struct key_try *t = try_at(q->s, i);
    const struct key *k = t->host == h->index ? key_at(q->p, t->slot) : NULL;
    return k != NULL && k->generation == t->generation && !k->gone ? k : NULL;
}

static uint32_t count_untried(const struct question *q, const struct host *h,
                              const struct ready_set *ready)
{
    uint32_t n = ready->n;
    for (uint32_t i = 0; i < q->s->n; i++) {
        const struct key *k = tried_key(q, h, i);
        n -= k != NULL && ready_set_has(ready, k->place);
    }
    return n;
}

static bool offer_from(const struct question *q, struct offer *o, struct ready_set *ready,
                       uint32_t *cursor)
{
    if (count_untried(q, o->h, ready) == 0)
        return false;
    o->ready = ready;
    o->cursor = cursor;
    return true;
}

static struct offer offer_of(const struct question *q, struct host *h, struct model_set *m)
{
    struct offer o = {.h = h};
    bool own = m != NULL && m->n_active > 0;
    if (own)
        m->used = ++q->p->tick;
    o.proven = own && q->proven_first && offer_from(q, &o, &m->proven, &m->proven_cursor);
    if (!o.proven)
        (void)offer_from(q, &o, own ? &m->ready : &h->ready, own ? &m->cursor : &h->cursor);
    return o;
}

/* Has the next key's lines brought near while this one's request is made. */
static void fetch_ahead(const struct keypool *p, const struct offer *o)
{
    const char *next = (const char *)key_at(p, o->h->slots[ready_set_next(o->ready, *o->cursor)]);
    __builtin_prefetch(next, 1);
    __builtin_prefetch(next + KEY_LINE_BYTES, 1);
}

static struct key *take_from(const struct question *q, const struct offer *o)
{
    for (;;) { // count_untried() has seen that there is one
        uint32_t place = ready_set_next(o->ready, *o->cursor);
        assert(place != READY_SET_NONE);
        struct key *k = key_at(q->p, o->h->slots[place]);
        *o->cursor = place + 1;
        if (q->s->n == 0 || !was_tried(q->s, k)) {
            fetch_ahead(q->p, o);
            return k;
        }
    }
}

/*
 * The key of `heap` that is due first of those that were not tried and that the model does not
 * refuse. Only nodes beneath such as are out have to be looked at.
 */
static struct key *first_cooling(const struct question *q, const struct heap *heap,
                                 const struct model_set *m)
{
    size_t open[HEAP_LOOK_MAX] = {0};
    size_t n_open = heap->n > 0 ? 1 : 0;
    struct key *first = NULL;
    for (size_t at = 0; at < n_open; at++) {
        size_t place = open[at];
        struct key *k = CONTAINER_OF(heap->nodes[place], struct key, cool);
        if (first != NULL && first->until_ms <= k->until_ms)
            continue;
        if (!was_tried(q->s, k) && (m == NULL || model_refusal(m, k) == NULL)) {
            first = k;
            continue;
        }
        for (size_t child = 2 * place + 1; child <= 2 * place + 2; child++) {
            if (child < heap->n && n_open < HEAP_LOOK_MAX)
                open[n_open++] = child;
        }
    }
    return first;
}

/* ---- the best of some hosts ---- */

struct tally {
    bool any;               // a host with enabled keys is among them
    struct offer best;      // the one that is behind
    struct offer proven;    // of those with keys that have answered the model
    struct offer open;      // its cooling is over, nobody tries it
    uint64_t share_max;     // of the ready ones
    struct host *trial;     // cools, and is due first
    struct offer trial_key; // ready keys of it; else:
    struct key *cooling_key;
    uint64_t trial_due_ms;
    uint64_t limited_due_ms;
    bool busy;
    bool dead;
    bool refused;
};

static void tally_init(struct tally *t)
{
    *t = (struct tally){.trial_due_ms = NEVER, .limited_due_ms = NEVER};
}

static void take_behind(struct offer *best, const struct offer *o)
{
    if (o->h != NULL && (best->h == NULL || o->h->share < best->h->share))
        *best = *o;
}

static void take_trial(struct tally *t, const struct offer *o, struct key *k, uint64_t due_ms)
{
    if (due_ms >= t->trial_due_ms)
        return;
    t->trial = o->h;
    t->trial_key = *o;
    t->cooling_key = k;
    t->trial_due_ms = due_ms;
}

static void tally_merge(struct tally *t, const struct tally *o)
{
    t->any |= o->any;
    take_behind(&t->best, &o->best);
    take_behind(&t->proven, &o->proven);
    take_behind(&t->open, &o->open);
    if (o->share_max > t->share_max)
        t->share_max = o->share_max;
    if (o->trial != NULL)
        take_trial(t, &o->trial_key, o->cooling_key, o->trial_due_ms);
    if (o->limited_due_ms < t->limited_due_ms)
        t->limited_due_ms = o->limited_due_ms;
    t->busy |= o->busy;
    t->dead |= o->dead;
    t->refused |= o->refused;
}

static void tally_ready(struct tally *t, const struct offer *o)
{
    take_behind(o->proven ? &t->proven : &t->best, o);
    if (o->h->share > t->share_max)
        t->share_max = o->h->share;
}

static void tally_cooling(const struct question *q, struct tally *t, const struct offer *o,
                          const struct model_set *m)
{
    struct host *h = o->h;
    uint64_t host_due_ms = h->cooling ? h->until_ms : 0;
    struct key *k = o->ready == NULL ? first_cooling(q, &h->failed, m) : NULL;
    if (o->ready == NULL && k == NULL)
        return;
    if (host_on_trial(h, q->now_ms))
        t->busy = true;
    else
        take_trial(t, o, k, k != NULL && k->until_ms > host_due_ms ? k->until_ms : host_due_ms);
}

static bool has_dead(const struct keypool *p, const struct host *h)
{
    const struct key *fallback = p->fallback != NO_SLOT ? key_at(p, p->fallback) : NULL;
    return h->by_state[KEY_IS_DEAD] > 0 ||
           (fallback != NULL && fallback->host == h->index && fallback->state == KEY_IS_DEAD);
}

/* What is to be said of a host if nothing can be had. */
static void tally_rest(const struct question *q, struct tally *t, const struct host *h,
                       const struct model_set *m)
{
    const struct heap_node *limited = heap_first(&h->limited);
    uint64_t host_due_ms = h->cooling ? h->until_ms : 0;
    if (limited != NULL) {
        uint64_t due_ms = limited->key > host_due_ms ? limited->key : host_due_ms;
        if (due_ms < t->limited_due_ms)
            t->limited_due_ms = due_ms;
    }
    t->dead |= has_dead(q->p, h) || (m != NULL && m->n_signin > 0);
    t->refused |= m != NULL && m->n_active > m->n_signin;
}

static void tally_host(const struct question *q, struct tally *t, struct host *h)
{
    struct model_set *m = h->n_sets > 0 ? model_set_find(q->p, h, q->hash) : NULL;
    host_expire(q->p, h, EXPIRE_AT_ONCE, q->now_ms);
    if (m != NULL)
        model_set_expire(q->p, m, EXPIRE_AT_ONCE, q->now_ms);
    struct offer o = offer_of(q, h, m);
    t->any = true;
    if (!h->cooling && o.ready != NULL) {
        tally_ready(t, &o);
        return;
    }
    if (h->cooling && o.ready != NULL && !host_on_trial(h, q->now_ms) && h->until_ms <= q->now_ms)
        take_behind(&t->open, &o);
    tally_cooling(q, t, &o, m);
    tally_rest(q, t, h, m);
}

/* ---- the choice ---- */

/* Moves all virtual times back before they get too large. */
static void lower_shares(struct keypool *p, uint64_t by)
{
    for (uint32_t i = 0; i < p->n_hosts; i++)
        p->hosts[i]->share = p->hosts[i]->share > by ? p->hosts[i]->share - by : 0;
}

static struct key *take_ready(const struct question *q, const struct tally *t,
                              const struct offer *o)
{
    struct host *h = o->h;
    // One that was away, or had fewer requests of its models, makes up for a round at most.
    if (t->share_max > SHARE_ROUND && h->share < t->share_max - SHARE_ROUND)
        h->share = t->share_max - SHARE_ROUND;
    h->share += SHARE_ROUND / o->ready->n;
    struct key *k = take_from(q, o);
    if (h->share > SHARES_MAX)
        lower_shares(q->p, h->share - SHARE_ROUND);
    return k;
}

static uint64_t wait_until(uint64_t due_ms, uint64_t now_ms)
{
    return due_ms > now_ms ? due_ms - now_ms : 1;
}

static enum key_pick pick_nothing(const struct question *q, const struct tally *t,
                                  uint64_t *wait_ms)
{
    if (t->busy)
        return PICK_BUSY;
    if (t->limited_due_ms != NEVER) {
        *wait_ms = wait_until(t->limited_due_ms, q->now_ms);
        return PICK_LIMITED;
    }
    if (q->s->n > 0)
        return PICK_EXHAUSTED;
    if (t->dead)
        return PICK_DEAD;
    return t->refused ? PICK_REFUSED : PICK_NO_UPSTREAM;
}

/* Whether a request gets a key out of it. */
static bool has_key(const struct tally *t)
{
    return t->open.h != NULL || t->proven.h != NULL || t->best.h != NULL ||
           (t->trial != NULL && !t->busy);
}

static struct key *take_trial_key(const struct question *q, const struct tally *t)
{
    return t->cooling_key != NULL ? t->cooling_key : take_from(q, &t->trial_key);
}

static enum key_pick pick(const struct question *q, const struct tally *t, struct key **ret,
                          bool *ret_trial, uint64_t *wait_ms)
{
    *ret_trial = false;
    if (!has_key(t))
        return pick_nothing(q, t, wait_ms);
    if (t->open.h != NULL) { // a request has to see whether it is back
        *ret_trial = true;
        *ret = take_from(q, &t->open);
    } else if (t->proven.h != NULL || t->best.h != NULL) {
        *ret = take_ready(q, t, t->proven.h != NULL ? &t->proven : &t->best);
    } else {
        *ret_trial = true;
        *ret = take_trial_key(q, t);
    }
    return PICK_KEY;
}

/* Hosts that list the model; if none does, all. */
static void tally_all(const struct question *q, struct tally *ret)
{
    enum { LISTS, UNKNOWN, LACKS, KINDS };
    struct tally kinds[KINDS];
    bool listed = false; // by a host that is out for this search
    bool told = false;
    for (int i = 0; i < KINDS; i++)
        tally_init(&kinds[i]);
    for (uint32_t i = 0; i < q->p->n_active; i++) {
        struct host *h = q->p->active[i];
        bool has = h->n_models > 0 && host_has_model(h, q->hash);
        if (q->s->n > 0 && host_is_out(q->s, h, q->new_host))
            listed |= has;
        else if (q->told != NULL && host_said_no(q->told, h))
            told = true;
        else
            tally_host(q, &kinds[has ? LISTS : h->models_known ? LACKS : UNKNOWN], h);
    }
    // A host whose list lacks the model would only say so, which another one's fault is not.
    *ret = kinds[kinds[LISTS].any ? LISTS : UNKNOWN];
    if (told)
        ret->refused |=
            kinds[LACKS].refused; // whose plan lacks it: it is there, whatever is listed
    else if (!kinds[LISTS].any && !listed)
        tally_merge(ret, &kinds[LACKS]);
}

static bool refused_often(const struct question *q)
{
    uint32_t n = 0;
    if (q->s->n < REFUSALS_BEFORE_PROVEN || q->p->n_sets == 0)
        return false;
    for (uint32_t i = 0; i < q->s->n; i++) {
        struct host *h = q->p->hosts[try_at(q->s, i)->host];
        const struct model_set *m = model_set_find(q->p, h, q->hash);
        const struct key *k = tried_key(q, h, i);
        const struct refusal *r = m != NULL && k != NULL ? model_refusal(m, k) : NULL;
        n += r != NULL && !r->signin;
    }
    return n >= REFUSALS_BEFORE_PROVEN;
}

void lease_key(struct keypool *p, struct key *k, bool trial, uint64_t now_ms, struct lease *ret)
{
    struct host *h = host_of(p, k);
    k->leases++;
    *ret = (struct lease){
        .slot = k->slot,
        .generation = k->generation,
        .host = k->host,
        .alone = k->enabled && p->n_enabled == 1,
        .trial = trial,
        .fallback = k->fallback,
        .key_id = k->id,
        .url = &h->url,
        .secret = k->secret,
    };
    if (trial)
        h->trial_ms = now_ms;
}

// NOLINTNEXTLINE(readability-function-size): seven parameters, of which two are answers
enum key_pick keypool_acquire(struct keypool *p, struct key_search *s, str model, bool new_host,
                              uint64_t now_ms, struct lease *ret, uint64_t *wait_ms)
{
    struct tally t;
    struct key *k = NULL;
    bool trial;
    if (s->n >= KEYPOOL_TRIES_MAX)
        return PICK_EXHAUSTED;
    pthread_mutex_lock(&p->mutex);
    struct question q = {.p = p, .s = s, .new_host = new_host, .now_ms = now_ms};
    q.hash = models_matter(p) ? model_hash(p, model) : 0;
    q.proven_first = refused_often(&q);
    tally_all(&q, &t);
    enum key_pick picked = pick(&q, &t, &k, &trial, wait_ms);
    if (picked == PICK_KEY) {
        assert(k != NULL);
        lease_key(p, k, trial, now_ms, ret);
        ret->model_hash = q.hash;
        note_try(s, k);
    }
    pthread_mutex_unlock(&p->mutex);
    return picked;
}

enum key_pick keypool_ask(struct keypool *p, const struct key_search *told, str model,
                          uint64_t now_ms, uint64_t *wait_ms)
{
    static const struct key_search none = {0};
    struct tally t;
    pthread_mutex_lock(&p->mutex);
    struct question q = {.p = p, .s = &none, .told = told, .now_ms = now_ms};
    q.hash = models_matter(p) ? model_hash(p, model) : 0;
    tally_all(&q, &t);
    enum key_pick picked = has_key(&t) ? PICK_KEY : pick_nothing(&q, &t, wait_ms);
    pthread_mutex_unlock(&p->mutex);
    return picked;
}

bool keypool_acquire_id(struct keypool *p, uint64_t id, struct lease *ret)
{
    pthread_mutex_lock(&p->mutex);
    uint32_t slot = key_slot_of_id(p, id);
    if (slot != NO_SLOT)
        lease_key(p, key_at(p, slot), false, 0, ret);
    pthread_mutex_unlock(&p->mutex);
    return slot != NO_SLOT;
}

bool keypool_acquire_host(struct keypool *p, uint32_t host, uint64_t now_ms, struct lease *ret)
{
    struct key *k = NULL;
    pthread_mutex_lock(&p->mutex);
    struct host *h = host < p->n_hosts ? p->hosts[host] : NULL;
    if (h != NULL && (!h->cooling || (h->until_ms <= now_ms && !host_on_trial(h, now_ms)))) {
        host_expire(p, h, EXPIRE_AT_ONCE, now_ms);
        // Requests take their turns by the cursor: a question of our own must not move it.
        uint32_t from = h->n_places > 0 ? (uint32_t)keypool_random(p, h->n_places) : 0;
        uint32_t place = ready_set_next(&h->ready, from);
        if (place != READY_SET_NONE)
            k = key_at(p, h->slots[place]);
    }
    if (k != NULL)
        lease_key(p, k, h->cooling, now_ms, ret);
    pthread_mutex_unlock(&p->mutex);
    return k != NULL;
}
