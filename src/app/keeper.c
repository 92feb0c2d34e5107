#include "app/keeper.h"

#include <signal.h>
#include <stdlib.h>

#include "app/keeper_private.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/url.h"
#include "base/xalloc.h"

/* ---- start and end ---- */

struct loading {
    struct keeper *keeper;
    uint64_t now_ms;
    size_t refused; // stored keys that the pool did not take
};

static void load_key(void *arg, const struct key_spec *key)
{
    struct loading *l = arg;
    uint64_t id;
    if (keypool_add(l->keeper->pool, key, l->now_ms, &id) != ERR_OK)
        l->refused++;
}

static void load_host(void *arg, const struct key_move *move)
{
    const struct loading *l = arg;
    keypool_restore_host(l->keeper->pool, move, l->now_ms);
}

static void load_refusal(void *arg, const struct key_refusal *refusal)
{
    const struct loading *l = arg;
    keypool_restore_refusal(l->keeper->pool, refusal, l->now_ms);
}

/* Under the pool's mutex. */
static void on_host_gone(void *arg, uint32_t host)
{
    const struct keeper *k = arg;
    if (k->on_host_gone != NULL)
        k->on_host_gone(k->on_host_gone_arg, host);
}

static enum err load_keys(struct keeper *k, struct err_info *info)
{
    struct loading l = {.keeper = k, .now_ms = clock_mono_ms()};
    keypool_set_clock(k->pool, l.now_ms, clock_wall_ms());
    uint64_t n = 0;
    enum err e = store_count_keys(k->store, &n, info);
    keypool_load_begin(k->pool, n);
    if (e == ERR_OK)
        e = store_read_keys(k->store, load_key, &l, info);
    keypool_load_end(k->pool);
    if (e == ERR_OK)
        e = store_read_last_host_moves(k->store, load_host, &l, info);
    if (e == ERR_OK)
        e = store_read_refusals(k->store, load_refusal, &l, info);
    if (e == ERR_OK && l.refused > 0)
        e = err_set(info, ERR_SYNTAX,
                    "%zu keys in '%s' are not keys, or are there twice: put a backup in its place",
                    l.refused, store_path(k->store));
    return e;
}

enum err keeper_open(const struct config *config, struct keeper **ret, struct err_info *info)
{
    struct keeper *k = xcalloc(1, sizeof(*k));
    struct keypool_options options = {
        .on_move = keeper_on_move, .on_host_gone = on_host_gone, .arg = k};
    struct store_options store = {.dir = config->data_dir, .key_file = config->key_file};
    crypto_random(&options.seed, sizeof(options.seed));
    pthread_mutex_init(&k->mutex, NULL);
    list_init(&k->moves);
    list_init(&k->taken);
    k->flushes = xmalloc(KEEPER_FLUSH_MAX * sizeof(*k->flushes));
    arena_init(&k->texts, (size_t)KEEPER_FLUSH_MAX * 2 * 1024);
    struct keeper_refusals *r = &k->refusals;
    r->ids = xmalloc(KEEPER_REFUSED_MAX * sizeof(*r->ids));
    r->rows = xmalloc((size_t)KEEPER_REFUSED_MAX * KEYPOOL_REFUSALS_KEPT * sizeof(*r->rows));
    arena_init(&r->texts, (size_t)KEEPER_REFUSED_MAX * KEYPOOL_REFUSALS_KEPT * 1024);
    k->pool = keypool_new(&options);
    // A file that grows beyond RLIMIT_FSIZE is to be an error of the write, not our end.
    signal(SIGXFSZ, SIG_IGN);

    enum err e = store_open(&store, &k->store, info);
    if (e == ERR_OK)
        e = load_keys(k, info);
    if (e == ERR_OK)
        *ret = k;
    else
        keeper_close(k);
    return e;
}

enum err keeper_start(struct keeper *k, struct err_info *info)
{
    struct store_tick tick = {.interval_ms = KEEPER_TICK_MS, .fn = keeper_tick, .arg = k};
    return store_start(k->store, &tick, info);
}

void keeper_stop(struct keeper *k)
{
    struct err_info info = {0};
    if (k == NULL || k->store == NULL)
        return;
    store_stop(k->store);
    enum err e = keeper_flush(k, &info);
    if (e == ERR_OK && k->on_second != NULL)
        e = k->on_second(k->on_second_arg, true, &info);
    k->on_second = NULL; // what it reads is about to go
    if (e != ERR_OK)
        log_error("store_failed", LOG_STR("why", str_z(info.text)));
}

void keeper_close(struct keeper *k)
{
    if (k == NULL)
        return;
    keeper_stop(k);
    store_close(k->store);
    keeper_drop_moves(k);
    keypool_free(k->pool);
    arena_release(&k->texts);
    arena_release(&k->refusals.texts);
    free(k->refusals.ids);
    free(k->refusals.rows);
    free(k->flushes);
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

void keeper_on_second(struct keeper *k, keeper_second_fn *fn, void *arg)
{
    k->on_second = fn;
    k->on_second_arg = arg;
}

void keeper_on_host_gone(struct keeper *k, keeper_host_gone_fn *fn, void *arg)
{
    k->on_host_gone = fn;
    k->on_host_gone_arg = arg;
}

str keeper_trouble(const struct keeper *k)
{
    return k->failed > 0 ? str_z(k->trouble.text) : STR("");
}

struct keypool *keeper_pool(struct keeper *k)
{
    return k->pool;
}

struct store *keeper_store(struct keeper *k)
{
    return k->store;
}

/* ---- adding ---- */

/* The identities of one call's keys: open addressing over the places of `specs`, from
 * 1. */
struct identities {
    const struct key_spec *specs;
    uint32_t *places;
    size_t mask;
    unsigned char hash_key[CRYPTO_HASH_KEY_BYTES];
};

static uint64_t identity_hash(const struct identities *t, const struct key_spec *spec)
{
    return crypto_hash64(t->hash_key, spec->secret) +
           3 * crypto_hash64(t->hash_key, spec->base_url);
}

/* The place of the first spec with this identity; `at` itself, which is put in, if there is none */
static size_t identities_put(struct identities *t, size_t at)
{
    const struct key_spec *spec = &t->specs[at];
    for (uint64_t h = identity_hash(t, spec);; h++) {
        uint32_t *place = &t->places[h & t->mask];
        if (*place == 0) {
            *place = (uint32_t)at + 1;
            return at;
        }
        const struct key_spec *other = &t->specs[*place - 1];
        if (str_eq(other->secret, spec->secret) && str_eq(other->base_url, spec->base_url))
            return *place - 1;
    }
}

static enum err check_texts(const struct key_spec *spec, struct err_info *info)
{
    if (spec->secret.len > KEYPOOL_SECRET_BYTES || spec->name.len > KEYPOOL_NAME_BYTES ||
        spec->life.last_error.len > KEYPOOL_ERROR_BYTES)
        return err_set(info, ERR_RANGE, "a key has at most %d bytes, and its name %d",
                       KEYPOOL_SECRET_BYTES, KEYPOOL_NAME_BYTES);
    return ERR_OK;
}

static enum err check_url(str base_url, struct err_info *info)
{
    struct arena scratch;
    struct url url;
    arena_init(&scratch, 65536);
    enum err e = url_parse(&scratch, base_url, &url, info);
    arena_release(&scratch);
    return e == ERR_OK ? ERR_OK : ERR_RANGE;
}

/*
 * Says of each spec whether it is new; of those that are not, ids become those in the pool, or 0
 * where the first is in `specs` itself, whose place goes to `firsts`.
 */
static enum err sort_specs(struct keeper *k, struct key_spec *specs, size_t n, bool *duplicates,
                           uint32_t *firsts, struct err_info *info)
{
    struct identities t = {.specs = specs, .mask = 1};
    enum err e = ERR_OK;
    while (t.mask < n * 2)
        t.mask = t.mask * 2 + 1;
    crypto_random(t.hash_key, sizeof(t.hash_key));
    t.places = xcalloc(t.mask + 1, sizeof(*t.places));
    str checked = {0}; // nearly all keys of an import have one URL
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        e = check_texts(&specs[i], info);
        if (e == ERR_OK && (checked.p == NULL || !str_eq(checked, specs[i].base_url)))
            e = check_url(specs[i].base_url, info);
        checked = specs[i].base_url;
        firsts[i] = (uint32_t)identities_put(&t, i);
        specs[i].id = keypool_find(k->pool, specs[i].base_url, specs[i].secret);
        duplicates[i] = specs[i].id != 0 || firsts[i] != i;
    }
    free(t.places);
    return e;
}

/* After the store has them. The pool was asked before, so it takes them. */
static enum err add_to_pool(struct keeper *k, const struct key_spec *specs, size_t n,
                            struct err_info *info)
{
    uint64_t now_ms = clock_mono_ms(), id;
    for (size_t i = 0; i < n; i++) {
        enum err e = keypool_add(k->pool, &specs[i], now_ms, &id);
        if (e == ERR_OK)
            continue;
        // Rather not there at all than in one of the two.
        uint64_t *ids = xmalloc(n * sizeof(*ids));
        for (size_t j = 0; j < n; j++)
            ids[j] = specs[j].id;
        for (size_t j = 0; j < i; j++)
            keypool_remove(k->pool, ids[j], now_ms);
        enum err undone = store_delete_keys(k->store, ids, n, NULL);
        free(ids);
        return err_set(info, e, "the pool takes no such key (%s)%s", err_name(e),
                       undone == ERR_OK ? "" : "; stored it is");
    }
    return ERR_OK;
}

static enum err check_room(struct keeper *k, size_t n, struct err_info *info)
{
    struct key_summary summary;
    keypool_summary(k->pool, clock_mono_ms(), &summary);
    if (summary.total + n > KEYPOOL_KEYS_MAX)
        return err_set(info, ERR_TOO_LARGE, "there would be more than %d keys", KEYPOOL_KEYS_MAX);
    return ERR_OK;
}

/* Stores the new ones among `specs` and puts them into the pool. */
static enum err add_new(struct keeper *k, struct key_spec *specs, size_t n, uint64_t batch,
                        const bool *duplicates, struct err_info *info)
{
    struct key_spec *fresh = xmalloc((n > 0 ? n : 1) * sizeof(*fresh));
    size_t n_fresh = 0;
    for (size_t i = 0; i < n; i++) {
        if (!duplicates[i])
            fresh[n_fresh++] = specs[i];
    }
    enum err e = check_room(k, n_fresh, info);
    if (e == ERR_OK)
        e = store_add_keys(k->store, fresh, n_fresh, batch, info);
    if (e == ERR_OK)
        e = add_to_pool(k, fresh, n_fresh, info);
    for (size_t i = 0, at = 0; i < n && e == ERR_OK; i++) {
        if (!duplicates[i])
            specs[i].id = fresh[at++].id;
    }
    free(fresh);
    return e;
}

/* What is to become of keys. */
struct intent {
    bool dry_run;
    uint64_t batch; // as store_add_keys() has it
};

static enum err add(struct keeper *k, struct key_spec *specs, size_t n, struct intent intent,
                    bool *duplicates, struct err_info *info)
{
    if (n > KEYPOOL_KEYS_MAX)
        return err_set(info, ERR_TOO_LARGE, "there would be more than %d keys", KEYPOOL_KEYS_MAX);
    uint32_t *firsts = xmalloc((n > 0 ? n : 1) * sizeof(*firsts));
    enum err e = sort_specs(k, specs, n, duplicates, firsts, info);
    if (e == ERR_OK && !intent.dry_run)
        e = add_new(k, specs, n, intent.batch, duplicates, info);
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        specs[i].id = specs[firsts[i]].id;
    free(firsts);
    return e;
}

enum err keeper_add(struct keeper *k, struct key_spec *specs, size_t n, unsigned flags,
                    bool *duplicates, struct err_info *info)
{
    struct intent intent = {.dry_run = (flags & KEEPER_DRY_RUN) != 0,
                            .batch = (flags & KEEPER_BATCH) != 0 ? STORE_NEW_BATCH : 0};
    return add(k, specs, n, intent, duplicates, info);
}

static void see_any(void *arg, uint64_t id)
{
    (void)id;
    *(bool *)arg = true;
}

enum err keeper_add_to_batch(struct keeper *k, struct key_spec *specs, size_t n, uint64_t batch,
                             bool *duplicates, struct err_info *info)
{
    bool any = false;
    enum err e = store_read_batch(k->store, batch, see_any, &any, info);
    if (e == ERR_OK && !any)
        e = err_set(info, ERR_NOT_FOUND, "there is no such import");
    return e == ERR_OK ? add(k, specs, n, (struct intent){.batch = batch}, duplicates, info) : e;
}

/* ---- changing ---- */

static void nothing(void *arg, const struct key_view *view)
{
    (void)arg;
    (void)view;
}

/* Those of `ids` that are there, in memory of the caller's. */
static uint64_t *known_ids(struct keeper *k, const uint64_t *ids, size_t n, size_t *ret_n)
{
    uint64_t *known = xmalloc((n > 0 ? n : 1) * sizeof(*known)), now_ms = clock_mono_ms();
    size_t n_known = 0;
    for (size_t i = 0; i < n; i++) {
        if (keypool_look(k->pool, ids[i], now_ms, nothing, NULL))
            known[n_known++] = ids[i];
    }
    *ret_n = n_known;
    return known;
}

enum err keeper_remove(struct keeper *k, const uint64_t *ids, size_t n, size_t *ret_removed,
                       struct err_info *info)
{
    size_t n_known;
    uint64_t *known = known_ids(k, ids, n, &n_known), now_ms = clock_mono_ms();
    enum err e = store_delete_keys(k->store, known, n_known, info);
    size_t removed = 0;
    for (size_t i = 0; i < n_known && e == ERR_OK; i++)
        removed += keypool_remove(k->pool, known[i], now_ms); // false: it was named twice
    free(known);
    if (e == ERR_OK)
        *ret_removed = removed;
    return e;
}

enum err keeper_set_enabled(struct keeper *k, const uint64_t *ids, size_t n, bool enabled,
                            size_t *ret_changed, struct err_info *info)
{
    size_t n_known;
    uint64_t *known = known_ids(k, ids, n, &n_known), now_ms = clock_mono_ms();
    enum err e = store_set_enabled(k->store, known, n_known, enabled, info);
    for (size_t i = 0; i < n_known && e == ERR_OK; i++)
        (void)keypool_set_enabled(k->pool, known[i], enabled, now_ms);
    free(known);
    if (e == ERR_OK)
        *ret_changed = n_known;
    return e;
}

enum err keeper_set_name(struct keeper *k, uint64_t id, str name, struct err_info *info)
{
    if (name.len > KEYPOOL_NAME_BYTES)
        return err_set(info, ERR_RANGE, "a name has at most %d bytes", KEYPOOL_NAME_BYTES);
    if (!keypool_look(k->pool, id, clock_mono_ms(), nothing, NULL))
        return err_set(info, ERR_NOT_FOUND, "there is no such key");
    enum err e = store_set_name(k->store, id, name, info);
    if (e == ERR_OK)
        (void)keypool_set_name(k->pool, id, name);
    return e;
}

struct ids {
    uint64_t *items;
    size_t n, cap;
};

static void collect_id(void *arg, uint64_t id)
{
    struct ids *ids = arg;
    if (ids->n == ids->cap) {
        ids->cap = ids->cap > 0 ? ids->cap * 2 : 256;
        ids->items = xrealloc(ids->items, ids->cap * sizeof(*ids->items));
    }
    ids->items[ids->n++] = id;
}

enum err keeper_remove_batch(struct keeper *k, uint64_t batch, size_t *ret_removed,
                             struct err_info *info)
{
    struct ids ids = {0};
    enum err e = store_read_batch(k->store, batch, collect_id, &ids, info);
    if (e == ERR_OK)
        e = keeper_remove(k, ids.items, ids.n, ret_removed, info);
    free(ids.items);
    return e;
}
