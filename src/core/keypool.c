#include "core/keypool.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "core/keypool_private.h"

const char *key_state_name(enum key_state state)
{
    static const char *const names[KEY_STATES] = {
        [KEY_IS_READY] = "ready",
        [KEY_IS_COOLING] = "cooling",
        [KEY_IS_DEAD] = "dead",
        [KEY_IS_DISABLED] = "disabled",
    };
    return names[state];
}

const char *key_cause_name(enum key_cause cause)
{
    static const char *const names[] = {
        [CAUSE_NONE] = "none",       [CAUSE_FAILURES] = "failures", [CAUSE_LIMIT] = "limit",
        [CAUSE_REFUSED] = "refused", [CAUSE_CONNECT] = "connect",   [CAUSE_HOST] = "host",
        [CAUSE_BRAKE] = "brake",     [CAUSE_PROBE] = "probe",       [CAUSE_PERSON] = "person",
        [CAUSE_TIME] = "time",       [CAUSE_SUCCESS] = "success",
    };
    return names[cause];
}

/* ---- small things ---- */

uint64_t keypool_random(struct keypool *p, uint64_t n)
{
    // splitmix64: for jitter and places, not for secrets.
    uint64_t z = p->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % n;
}

uint64_t keypool_doubled(uint64_t base_ms, uint32_t doublings, uint64_t max_ms)
{
    for (; doublings > 0 && base_ms < max_ms; doublings--)
        base_ms *= 2;
    return base_ms < max_ms ? base_ms : max_ms;
}

uint64_t keypool_jittered(struct keypool *p, uint64_t base_ms, uint32_t doublings, uint64_t max_ms)
{
    uint64_t ms = keypool_doubled(base_ms, doublings, max_ms);
    uint64_t jitter = keypool_random(p, ms / 10 + 1);
    return ms + jitter <= max_ms ? ms + jitter : max_ms - jitter;
}

void text_free(str *owned)
{
    free((char *)owned->p);
    *owned = (str){NULL, 0};
}

void text_set(str *owned, str text, size_t max)
{
    if (text.len > max)
        text = str_head(text, utf8_cut(text, max));
    if (str_eq(*owned, text)) // an upstream that fails says the same again and again
        return;
    char *p = NULL;
    if (text.len > 0) {
        p = xmalloc(text.len);
        memcpy(p, text.p, text.len);
    }
    text_free(owned);
    *owned = str_of(p, text.len);
}

/* ---- the pool ---- */

struct keypool *keypool_new(const struct keypool_options *options)
{
    struct keypool *p = xcalloc(1, sizeof(*p));
    pthread_mutexattr_t attr;
    p->options = *options;
    p->random = options->seed;
    p->fallback = NO_SLOT;
    crypto_random(p->hash_key, sizeof(p->hash_key));
    ready_set_init(&p->changed);
    ready_set_init(&p->refused);
    list_init(&p->empty_hosts);
    // It is held for some hundred nanoseconds: to spin a little is cheaper than to sleep.
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&p->mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    return p;
}

void keypool_free(struct keypool *p)
{
    if (p == NULL)
        return;
    keypool_free_tables(p);
    pthread_mutex_destroy(&p->mutex);
    crypto_wipe(p->hash_key, sizeof(p->hash_key));
    free(p);
}

void keypool_set_clock(struct keypool *p, uint64_t now_ms, int64_t wall_ms)
{
    pthread_mutex_lock(&p->mutex);
    p->wall_offset_ms = wall_ms - (int64_t)now_ms;
    pthread_mutex_unlock(&p->mutex);
}

/* ---- the key of an empty pool ---- */

static void drop_fallback(struct keypool *p, uint64_t now_ms)
{
    if (p->fallback == NO_SLOT)
        return;
    struct key *k = key_at(p, p->fallback);
    p->fallback = NO_SLOT;
    key_leave(p, k);
    key_leave_host(p, k, now_ms);
    k->gone = true;
    if (k->leases == 0)
        key_free_slot(p, k);
}

static str url_text(const struct url *url, struct arena *a)
{
    return arena_printf(a, "%s://%.*s%.*s", url->tls ? "https" : "http", STR_ARG(url->authority),
                        STR_ARG(url->path));
}

void keypool_set_fallback(struct keypool *p, const struct url *url, uint64_t now_ms)
{
    struct arena a;
    arena_init(&a, (size_t)64 << 10);
    pthread_mutex_lock(&p->mutex);
    str text = url != NULL ? url_text(url, &a) : (str){NULL, 0};
    bool same =
        p->fallback != NO_SLOT && str_eq(host_of(p, key_at(p, p->fallback))->base_url, text);
    if (!same)
        drop_fallback(p, now_ms);
    struct host *h = !same && text.len > 0 ? host_get(p, text, now_ms) : NULL;
    if (h != NULL) {
        struct key *k = key_new(p, h, (str){NULL, 0});
        k->fallback = true;
        k->enabled = p->n_keys == 0;
        p->fallback = k->slot;
        key_enter(p, k);
    }
    pthread_mutex_unlock(&p->mutex);
    arena_release(&a);
}

/* ---- what people do ---- */

/* The key with this id, which is locked for; NULL: none, and nothing is locked. */
static struct key *lock_key(struct keypool *p, uint64_t id)
{
    pthread_mutex_lock(&p->mutex);
    uint32_t slot = key_slot_of_id(p, id);
    if (slot != NO_SLOT)
        return key_at(p, slot);
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

bool keypool_set_enabled(struct keypool *p, uint64_t id, bool enabled, uint64_t now_ms)
{
    struct key *k = lock_key(p, id);
    if (k == NULL)
        return false;
    if (k->enabled != enabled)
        key_enable(p, k, enabled, now_ms);
    pthread_mutex_unlock(&p->mutex);
    return true;
}

bool keypool_set_name(struct keypool *p, uint64_t id, str name)
{
    struct key *k = lock_key(p, id);
    if (k == NULL)
        return false;
    text_set(&k->name, name, KEYPOOL_NAME_BYTES);
    pthread_mutex_unlock(&p->mutex);
    return true;
}

static void reset_locked(struct keypool *p, struct key *k, uint64_t now_ms)
{
    models_forget_key(p, k, false);
    k->row = 0;
    k->doublings = 0;
    k->doubling = DOUBLING_NONE;
    if (k->account != NO_SLOT)
        account_of_key(p, k)->until_ms = 0;
    if (k->state != KEY_IS_READY)
        key_move(p, k,
                 &(struct key_change){
                     .to = KEY_IS_READY, .cause = CAUSE_PERSON, .reason = "reset by a person"},
                 now_ms);
}

bool keypool_reset(struct keypool *p, uint64_t id, uint64_t now_ms)
{
    struct key *k = lock_key(p, id);
    if (k == NULL)
        return false;
    reset_locked(p, k, now_ms);
    pthread_mutex_unlock(&p->mutex);
    return true;
}

static void reset_hosts(struct keypool *p, uint64_t now_ms)
{
    models_forget_all(p);
    for (uint32_t i = 0; i < p->n_hosts; i++) {
        struct host *h = p->hosts[i];
        h->connect_failures = 0;
        h->doublings = 0;
        h->n_notes = 0;
        if (h->cooling)
            host_back(p, h, CAUSE_PERSON, "reset by a person", now_ms);
    }
}

void keypool_reset_all(struct keypool *p, uint64_t now_ms)
{
    uint32_t slot = 0;
    bool more = true;
    pthread_mutex_lock(&p->mutex);
    reset_hosts(p, now_ms);
    pthread_mutex_unlock(&p->mutex);
    while (more) { // in steps, so that no worker waits long
        pthread_mutex_lock(&p->mutex);
        for (uint32_t n = 0; n < RESET_STEP && slot < p->n_slots; n++, slot++) {
            struct key *k = key_at(p, slot);
            if (k->used && !k->gone)
                reset_locked(p, k, now_ms);
        }
        more = slot < p->n_slots;
        pthread_mutex_unlock(&p->mutex);
    }
}
