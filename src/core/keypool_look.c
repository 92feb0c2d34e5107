#include "core/keypool.h"

#include "core/keypool_private.h"

/* ---- sums ---- */

uint64_t keypool_version(const struct keypool *p)
{
    return atomic_load_explicit(&p->version, memory_order_relaxed);
}

void keypool_summary(struct keypool *p, uint64_t now_ms, struct key_summary *ret)
{
    (void)now_ms;
    struct key_summary sum = {0};
    pthread_mutex_lock(&p->mutex);
    for (uint32_t i = 0; i < p->n_hosts; i++) {
        const struct host *h = p->hosts[i];
        uint64_t ready = h->by_state[KEY_IS_READY];
        sum.by_state[h->cooling ? KEY_IS_COOLING : KEY_IS_READY] += ready;
        sum.by_state[KEY_IS_COOLING] += h->by_state[KEY_IS_COOLING];
        sum.by_state[KEY_IS_DEAD] += h->by_state[KEY_IS_DEAD];
        sum.by_state[KEY_IS_DISABLED] += h->by_state[KEY_IS_DISABLED];
    }
    sum.total = p->n_keys;
    sum.requests = p->requests;
    sum.tokens = p->tokens;
    pthread_mutex_unlock(&p->mutex);
    *ret = sum;
}

/* ---- keys ---- */

static void life_of(const struct keypool *p, const struct key *k, struct key_life *ret)
{
    const struct account *account = account_of_key(p, k);
    uint64_t until_ms = k->state == KEY_IS_DEAD ? k->probe_ms : k->until_ms;
    *ret = (struct key_life){
        .state = (enum key_state)k->state,
        .cause = (enum key_cause)k->cause,
        .source = (enum cool_source)k->source,
        .until_ms = until_ms > 0 ? wall_of(p, until_ms) : 0,
        .doublings = k->doublings,
        .last_check_ms = k->last_check_ms,
        .last_used_ms = k->last_used_ms,
        .requests = k->requests,
        .failures = k->failures,
        .tokens = k->tokens,
        .last_error = k->last_error,
        .account = account != NULL ? account->name : (str){NULL, 0},
        .since_ms = k->since_ms,
        .reason = k->state == KEY_IS_READY ? (str){NULL, 0}
                : k->reason,
        .worked = k->worked,
    };
}

/* The state that people see, with its reason. */
static void show_state(const struct keypool *p, const struct key *k, struct key_view *view)
{
    const struct host *h = host_of(p, k);
    view->state = (enum key_state)k->state;
    view->cause = (enum key_cause)k->cause;
    view->source = (enum cool_source)k->source;
    view->since_ms = k->since_ms;
    view->reason = k->state == KEY_IS_READY ? (str){NULL, 0} : k->reason;
    if (k->state == KEY_IS_COOLING)
        view->until_ms = wall_of(p, k->until_ms);
    if (h->cooling && k->state != KEY_IS_DEAD) {
        view->state = KEY_IS_COOLING;
        view->cause = (enum key_cause)h->cause;
        view->source = COOL_NONE;
        view->reason = h->reason;
        view->since_ms = h->since_ms;
        view->until_ms = wall_of(p, h->until_ms);
    }
    if (!k->enabled) {
        view->state = KEY_IS_DISABLED;
        view->cause = CAUSE_PERSON;
        view->since_ms = k->since_ms;
        view->source = COOL_NONE;
        view->reason = (str){NULL, 0};
        view->until_ms = 0;
    }
}

static void view_key(const struct keypool *p, const struct key *k, struct key_view *ret)
{
    const struct host *h = host_of(p, k);
    *ret = (struct key_view){
        .id = k->id,
        .old_id = k->old_id,
        .secret = k->secret,
        .base_url = h->base_url,
        .name = k->name,
        .host = h->index,
        .enabled = k->enabled,
        .added_ms = k->added_ms,
    };
    show_state(p, k, ret);
    life_of(p, k, &ret->life);
}

static bool is_key(const struct key *k)
{
    return k->used && !k->gone && !k->fallback;
}

uint32_t keypool_walk(struct keypool *p, uint32_t from, size_t max, uint64_t now_ms,
                      key_view_fn *fn, void *arg)
{
    (void)now_ms;
    struct key_view view;
    uint32_t slot = from;
    pthread_mutex_lock(&p->mutex);
    for (size_t n = 0; n < max && slot < p->n_slots; n++, slot++) {
        if (!is_key(key_at(p, slot)))
            continue;
        view_key(p, key_at(p, slot), &view);
        fn(arg, &view);
    }
    uint32_t next = slot < p->n_slots ? slot : KEYPOOL_END;
    pthread_mutex_unlock(&p->mutex);
    return next;
}

bool keypool_look(struct keypool *p, uint64_t id, uint64_t now_ms, key_view_fn *fn, void *arg)
{
    (void)now_ms;
    struct key_view view;
    pthread_mutex_lock(&p->mutex);
    uint32_t slot = key_slot_of_id(p, id);
    if (slot != NO_SLOT) {
        view_key(p, key_at(p, slot), &view);
        fn(arg, &view);
    }
    pthread_mutex_unlock(&p->mutex);
    return slot != NO_SLOT;
}

size_t keypool_flush(struct keypool *p, size_t max, uint64_t now_ms, key_view_fn *fn, void *arg)
{
    (void)now_ms;
    size_t n = 0;
    struct key_view view;
    pthread_mutex_lock(&p->mutex);
    for (; n < max && p->changed.n > 0; n++) {
        uint32_t slot = ready_set_next(&p->changed, 0);
        struct key *k = key_at(p, slot);
        ready_set_remove(&p->changed, slot);
        view_key(p, k, &view);
        view.success = k->new_success;
        view.fail = k->new_failures;
        view.new_tokens = k->new_tokens;
        k->new_success = 0;
        k->new_failures = 0;
        k->new_tokens = 0;
        fn(arg, &view);
    }
    pthread_mutex_unlock(&p->mutex);
    return n;
}

/* ---- hosts ---- */

static void view_host(const struct keypool *p, const struct host *h, const struct key *fallback,
                      struct host_view *ret)
{
    *ret = (struct host_view){
        .host = h->index,
        .base_url = h->base_url,
        .fallback = fallback != NULL,
        .keyed = h->n_keyed > 0,
        .cooling = h->cooling,
        .cause = h->cooling ? (enum key_cause)h->cause : CAUSE_NONE,
        .until_ms = h->cooling ? wall_of(p, h->until_ms) : 0,
        .since_ms = h->since_ms,
        .reason = h->reason,
        .models_known = h->models_known,
        .failed_last = h->failed_last,
    };
    memcpy(ret->by_state, h->by_state, sizeof(ret->by_state));
    if (fallback != NULL)
        ret->by_state[fallback->state]++;
}

uint32_t keypool_walk_hosts(struct keypool *p, uint32_t from, size_t max, uint64_t now_ms,
                            void (*fn)(void *arg, const struct host_view *view), void *arg)
{
    (void)now_ms;
    uint32_t i = from;
    pthread_mutex_lock(&p->mutex);
    const struct key *fallback = p->fallback != NO_SLOT ? key_at(p, p->fallback) : NULL;
    for (size_t n = 0; n < max && i < p->n_hosts; n++, i++) {
        const struct host *h = p->hosts[i];
        bool has_fallback = fallback != NULL && fallback->host == i;
        bool active = has_fallback && fallback->enabled;
        struct host_view view;
        if (h->n_places == has_fallback && !active) // no key, or one that is not in use
            continue;
        view_host(p, h, active ? fallback : NULL, &view);
        fn(arg, &view);
    }
    uint32_t next = i < p->n_hosts ? i : KEYPOOL_END;
    pthread_mutex_unlock(&p->mutex);
    return next;
}

void keypool_put_host(struct keypool *p, uint32_t host, int64_t at_ms, struct buf *out)
{
    pthread_mutex_lock(&p->mutex);
    if (host < p->n_hosts && p->hosts[host]->born_ms <= at_ms)
        buf_append(out, p->hosts[host]->base_url);
    pthread_mutex_unlock(&p->mutex);
}

/* ---- secrets ---- */

str key_mask(str secret, char out[KEYPOOL_MASK_BYTES])
{
    static const str dots = STR_C("\xE2\x80\xA6");
    static const str hidden = STR_C("********");
    static const size_t shown = 4;
    static const size_t least = 20;
    size_t n = 0;
    if (secret.len >= least) {
        memcpy(out, secret.p, shown);
        memcpy(out + shown, dots.p, dots.len);
        memcpy(out + shown + dots.len, secret.p + secret.len - shown, shown);
        n = 2 * shown + dots.len;
    } else if (secret.len > 0) {
        memcpy(out, hidden.p, hidden.len);
        n = hidden.len;
    }
    out[n] = '\0';
    return str_of(out, n);
}
