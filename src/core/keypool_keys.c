#include "core/keypool.h"

#include <assert.h>
#include <stdlib.h>

#include "base/xalloc.h"
#include "core/keypool_private.h"

/* ---- hashes ---- */

static uint64_t hash_text(const struct keypool *p, str text)
{
    return crypto_hash64(p->hash_key, text);
}

/* Of a pair, of which the first is a number. */
static uint64_t hash_pair(const struct keypool *p, uint32_t host, str text)
{
    return slot_table_hash_number(hash_text(p, text) + host);
}

/* ---- hosts ---- */

static struct host *find_host(const struct keypool *p, str base_url, uint64_t hash)
{
    uint32_t index;
    struct slot_probe probe = slot_table_probe(&p->by_url, hash);
    while (slot_table_next(&p->by_url, &probe, &index)) {
        if (str_eq(p->hosts[index]->base_url, base_url))
            return p->hosts[index];
    }
    return NULL;
}

static struct host *host_new(str base_url)
{
    struct host *h = xcalloc(1, sizeof(*h));
    arena_init(&h->arena, 4 * (size_t)BASE_URL_BYTES + 4096);
    enum err e = url_parse(&h->arena, base_url, &h->url, NULL);
    h->base_url = arena_copy(&h->arena, base_url);
    if (e != ERR_OK || h->arena.overflowed) {
        arena_release(&h->arena);
        free(h);
        return NULL;
    }
    h->active_at = NO_SLOT;
    list_init(&h->empty_link);
    ready_set_init(&h->ready);
    heap_init(&h->failed);
    heap_init(&h->limited);
    heap_init(&h->doubted);
    heap_init(&h->fresh);
    return h;
}

struct host *host_find(const struct keypool *p, str base_url)
{
    return find_host(p, base_url, hash_text(p, base_url));
}

static void host_free(struct host *h)
{
    ready_set_release(&h->ready);
    heap_release(&h->failed);
    heap_release(&h->limited);
    heap_release(&h->doubted);
    heap_release(&h->fresh);
    text_free(&h->reason);
    free(h->slots);
    free(h->models);
    arena_release(&h->arena);
    free(h);
}

/* Takes a host without keys out of the pool; what is known under its number ends with it. */
static void retire(struct keypool *p, struct host *h)
{
    models_forget_host(p, h);
    list_remove(&h->empty_link);
    slot_table_remove(&p->by_url, hash_text(p, h->base_url), h->index);
    if (p->options.on_host_gone != NULL)
        p->options.on_host_gone(p->options.arg, h->index);
    host_free(h);
}

/* The number of a host that nobody needs any more, which is gone then, or else the next one. */
static uint32_t take_host_number(struct keypool *p, uint64_t now_ms)
{
    for (struct list *l = p->empty_hosts.next; l != &p->empty_hosts; l = l->next) {
        struct host *h = list_entry(l, struct host, empty_link);
        if (now_ms < h->empty_ms + EMPTY_HOST_MS)
            break;         // and those behind it even more so
        if (h->n_gone > 0) // a request still has its address
            continue;
        uint32_t index = h->index;
        retire(p, h);
        return index;
    }
    if (p->n_hosts == p->cap_hosts) {
        p->cap_hosts = p->cap_hosts > 0 ? 2 * p->cap_hosts : 16;
        p->hosts = xrealloc(p->hosts, p->cap_hosts * sizeof(struct host *));
    }
    return p->n_hosts++;
}

struct host *host_get(struct keypool *p, str base_url, uint64_t now_ms)
{
    uint64_t hash = hash_text(p, base_url);
    struct host *h = find_host(p, base_url, hash);
    if (h != NULL)
        return h;
    h = base_url.len <= BASE_URL_BYTES ? host_new(base_url) : NULL;
    if (h == NULL)
        return NULL;
    uint32_t n_before = p->n_hosts;
    h->index = take_host_number(p, now_ms);
    h->born_ms = p->n_hosts == n_before ? wall_of(p, now_ms) : 0;
    h->empty_ms = now_ms;
    list_append(&p->empty_hosts, &h->empty_link); // until its first key takes a place
    p->hosts[h->index] = h;
    slot_table_insert(&p->by_url, hash, h->index);
    return h;
}

/* ---- places ---- */

/* Moves the key at place `from` to place `to`, which is free. */
static void move_place(struct keypool *p, struct host *h, uint32_t from, uint32_t to)
{
    struct key *k = key_at(p, h->slots[from]);
    h->slots[to] = h->slots[from];
    k->place = to;
    if (ready_set_has(&h->ready, from)) {
        ready_set_remove(&h->ready, from);
        ready_set_insert(&h->ready, to);
    }
    models_key_place(p, h, from, to);
}

/* Gives the key a random place: it takes another one's, which goes to the end. */
static void take_place(struct keypool *p, struct host *h, struct key *k)
{
    if (h->n_places == h->cap_places) {
        h->cap_places = h->cap_places > 0 ? 2 * h->cap_places : 8;
        h->slots = xrealloc(h->slots, h->cap_places * sizeof(*h->slots));
    }
    list_remove(&h->empty_link);
    uint32_t end = h->n_places++;
    uint32_t place = p->loading ? end : (uint32_t)keypool_random(p, h->n_places);
    ready_set_reserve(&h->ready, h->n_places);
    if (place != end)
        move_place(p, h, place, end);
    h->slots[place] = k->slot;
    k->place = place;
}

void key_leave_host(struct keypool *p, struct key *k, uint64_t now_ms)
{
    struct host *h = host_of(p, k);
    models_forget_key(p, k, true);
    uint32_t end = --h->n_places;
    if (k->place != end)
        move_place(p, h, end, k->place);
    h->n_keyed -= k->secret.len > 0;
    h->n_gone++; // until key_free_slot()
    if (h->n_places > 0)
        return;
    h->empty_ms = now_ms;
    list_append(&p->empty_hosts, &h->empty_link);
}

/* ---- slots ---- */

static void free_slot_number(struct keypool *p, uint32_t slot)
{
    if (p->n_free == p->cap_free) {
        p->cap_free = p->cap_free > 0 ? 2 * p->cap_free : 64;
        p->free_slots = xrealloc(p->free_slots, p->cap_free * sizeof(*p->free_slots));
    }
    p->free_slots[p->n_free++] = slot;
}

static uint32_t take_slot(struct keypool *p)
{
    if (p->n_free > 0)
        return p->free_slots[--p->n_free];
    if (p->n_slots == p->n_chunks * CHUNK_KEYS) {
        p->chunks = xrealloc(p->chunks, (p->n_chunks + 1) * sizeof(struct key *));
        p->chunks[p->n_chunks++] = xcalloc_aligned(KEY_LINE_BYTES, CHUNK_KEYS * sizeof(struct key));
        ready_set_reserve(&p->changed, p->n_chunks * CHUNK_KEYS);
        ready_set_reserve(&p->refused, p->n_chunks * CHUNK_KEYS);
    }
    return p->n_slots++;
}

static str copy_secret(str secret)
{
    if (secret.len == 0)
        return (str){NULL, 0};
    char *copy = xmalloc(secret.len);
    memcpy(copy, secret.p, secret.len);
    return str_of(copy, secret.len);
}

struct key *key_new(struct keypool *p, struct host *h, str secret)
{
    uint32_t slot = take_slot(p);
    struct key *k = key_at(p, slot);
    uint32_t generation = k->generation + 1; // leases of the slot's last key are not this one's
    *k = (struct key){.slot = slot, .generation = generation, .host = h->index, .used = true};
    k->account = NO_SLOT;
    k->secret = copy_secret(secret);
    heap_node_init(&k->cool);
    heap_node_init(&k->probe);
    list_init(&k->account_link);
    take_place(p, h, k);
    h->n_keyed += secret.len > 0;
    return k;
}

static void free_texts(struct key *k)
{
    if (k->secret.len > 0)
        crypto_wipe((char *)k->secret.p, k->secret.len);
    text_free(&k->secret);
    text_free(&k->last_error);
    text_free(&k->reason);
    text_free(&k->name);
    text_free(&k->old_id);
}

void key_free_slot(struct keypool *p, struct key *k)
{
    free_texts(k);
    host_of(p, k)->n_gone--;
    k->used = false;
    free_slot_number(p, k->slot);
}

/* ---- accounts ---- */

struct account *account_of_key(const struct keypool *p, const struct key *k)
{
    return k->account != NO_SLOT ? p->accounts[k->account] : NULL;
}

void key_leave_account(struct keypool *p, struct key *k)
{
    struct account *a = account_of_key(p, k);
    if (a == NULL)
        return;
    list_remove(&k->account_link);
    if (list_empty(&a->keys)) {
        slot_table_remove(&p->by_account, hash_pair(p, a->host, a->name), k->account);
        p->accounts[k->account] = NULL;
        text_free(&a->name);
        free(a);
    }
    k->account = NO_SLOT;
}

static uint32_t find_account(const struct keypool *p, uint32_t host, str name, uint64_t hash)
{
    uint32_t index;
    struct slot_probe probe = slot_table_probe(&p->by_account, hash);
    while (slot_table_next(&p->by_account, &probe, &index)) {
        if (p->accounts[index]->host == host && str_eq(p->accounts[index]->name, name))
            return index;
    }
    return NO_SLOT;
}

/* Numbers accounts as their first keys' slots, or the next that is free. */
static uint32_t account_new(struct keypool *p, const struct key *k, str name, uint64_t hash)
{
    uint32_t index = k->slot;
    while (index < p->n_accounts && p->accounts[index] != NULL)
        index++;
    if (index >= p->n_accounts) {
        uint32_t n = 2 * index + 16;
        p->accounts = xrealloc(p->accounts, n * sizeof(struct account *));
        memset(p->accounts + p->n_accounts, 0, (n - p->n_accounts) * sizeof(struct account *));
        p->n_accounts = n;
    }
    struct account *a = xcalloc(1, sizeof(*a));
    a->host = k->host;
    text_set(&a->name, name, name.len);
    list_init(&a->keys);
    p->accounts[index] = a;
    slot_table_insert(&p->by_account, hash, index);
    return index;
}

void key_set_account(struct keypool *p, struct key *k, str name)
{
    const struct account *old = account_of_key(p, k);
    if (name.len == 0 || (old != NULL && str_eq(old->name, name)))
        return;
    key_leave_account(p, k);
    uint64_t hash = hash_pair(p, k->host, name);
    uint32_t index = find_account(p, k->host, name, hash);
    if (index == NO_SLOT)
        index = account_new(p, k, name, hash);
    k->account = index;
    list_append(&p->accounts[index]->keys, &k->account_link);
}

/* ---- finding keys ---- */

uint32_t key_slot_of_id(const struct keypool *p, uint64_t id)
{
    uint32_t slot;
    struct slot_probe probe = slot_table_probe(&p->by_id, slot_table_hash_number(id));
    while (slot_table_next(&p->by_id, &probe, &slot)) {
        if (key_at(p, slot)->id == id)
            return slot;
    }
    return NO_SLOT;
}

static uint64_t find_identity(const struct keypool *p, const struct host *h, str secret)
{
    uint32_t slot;
    struct slot_probe probe = slot_table_probe(&p->by_identity, hash_pair(p, h->index, secret));
    while (slot_table_next(&p->by_identity, &probe, &slot)) {
        const struct key *k = key_at(p, slot);
        if (k->host == h->index && str_eq(k->secret, secret))
            return k->id;
    }
    return 0;
}

uint64_t keypool_find(struct keypool *p, str base_url, str secret)
{
    pthread_mutex_lock(&p->mutex);
    const struct host *h = host_find(p, base_url);
    uint64_t id = h != NULL ? find_identity(p, h, secret) : 0;
    pthread_mutex_unlock(&p->mutex);
    return id;
}

static uint64_t find_old_id(const struct keypool *p, str text)
{
    uint32_t slot;
    struct slot_probe probe = slot_table_probe(&p->by_old_id, hash_text(p, text));
    while (text.len > 0 && slot_table_next(&p->by_old_id, &probe, &slot)) {
        if (str_eq(key_at(p, slot)->old_id, text))
            return key_at(p, slot)->id;
    }
    return 0;
}

uint64_t keypool_find_id(struct keypool *p, str text)
{
    uint64_t id;
    pthread_mutex_lock(&p->mutex);
    if (!str_to_u64(text, &id) || key_slot_of_id(p, id) == NO_SLOT)
        id = find_old_id(p, text);
    pthread_mutex_unlock(&p->mutex);
    return id;
}

/* ---- adding ---- */

static uint64_t longest_cooling_ms(const struct key_life *life)
{
    if (life->cause != CAUSE_LIMIT)
        return FAILURE_COOL_MAX_MS;
    return life->source == COOL_COMPUTED ? COMPUTED_COOL_MAX_MS : STATED_COOL_MAX_MS;
}

static enum doubling doubling_of(const struct key_life *life)
{
    if (life->state == KEY_IS_DEAD)
        return DOUBLING_DEAD;
    if (life->cause != CAUSE_LIMIT)
        return DOUBLING_FAILURES;
    return life->source == COOL_COMPUTED ? DOUBLING_COMPUTED : DOUBLING_GUESSED;
}

static void restore_state(struct keypool *p, struct key *k, const struct key_life *life,
                          uint64_t now_ms)
{
    k->doublings = life->doublings < 32 ? life->doublings : 32;
    k->doubling = (uint8_t)doubling_of(life);
    text_set(&k->reason, life->reason.len > 0 ? life->reason : life->last_error,
             KEYPOOL_ERROR_BYTES);
    if (life->state == KEY_IS_DEAD) {
        k->state = KEY_IS_DEAD;
        k->cause = CAUSE_REFUSED;
        k->probe_ms = keypool_deadline(p, life->until_ms, DEAD_PROBE_MAX_MS, now_ms);
    } else if (life->state == KEY_IS_COOLING) {
        k->state = KEY_IS_COOLING;
        k->cause = life->cause == CAUSE_LIMIT ? CAUSE_LIMIT : CAUSE_FAILURES;
        k->source = (uint8_t)life->source;
        k->until_ms = keypool_deadline(p, life->until_ms, longest_cooling_ms(life), now_ms);
        k->row = k->cause == CAUSE_FAILURES ? FAILURES_IN_A_ROW : 0;
        k->probe_ms = now_ms + (k->until_ms - now_ms) / 2;
    }
}

static void restore_life(struct keypool *p, struct key *k, const struct key_life *life,
                         uint64_t now_ms)
{
    k->requests = life->requests;
    k->failures = life->failures;
    k->tokens = life->tokens;
    k->worked = life->worked;
    k->last_check_ms = life->last_check_ms;
    k->last_used_ms = life->last_used_ms;
    k->since_ms = life->since_ms;
    text_set(&k->last_error, life->last_error, KEYPOOL_ERROR_BYTES);
    key_set_account(p, k, str_head(life->account, KEYPOOL_NAME_BYTES));
    if (life->state != KEY_IS_READY)
        restore_state(p, k, life, now_ms);
    p->requests += k->requests;
    p->tokens += k->tokens;
}

/* The key of an empty pool comes into use, or goes out of it. */
static void switch_fallback(struct keypool *p)
{
    if (p->fallback == NO_SLOT)
        return;
    struct key *k = key_at(p, p->fallback);
    key_leave(p, k);
    k->enabled = p->n_keys == 0;
    key_enter(p, k);
}

static void put_in_tables(struct keypool *p, const struct key *k)
{
    slot_table_insert(&p->by_id, slot_table_hash_number(k->id), k->slot);
    slot_table_insert(&p->by_identity, hash_pair(p, k->host, k->secret), k->slot);
    if (k->old_id.len > 0)
        slot_table_insert(&p->by_old_id, hash_text(p, k->old_id), k->slot);
}

static void take_from_tables(struct keypool *p, const struct key *k)
{
    slot_table_remove(&p->by_id, slot_table_hash_number(k->id), k->slot);
    slot_table_remove(&p->by_identity, hash_pair(p, k->host, k->secret), k->slot);
    if (k->old_id.len > 0)
        slot_table_remove(&p->by_old_id, hash_text(p, k->old_id), k->slot);
}

static void add_locked(struct keypool *p, struct host *h, const struct key_spec *spec,
                       uint64_t now_ms)
{
    struct key *k = key_new(p, h, spec->secret);
    k->id = spec->id;
    k->enabled = spec->enabled;
    k->added_ms = spec->added_ms;
    text_set(&k->name, spec->name, KEYPOOL_NAME_BYTES);
    text_set(&k->old_id, spec->old_id, KEYPOOL_NAME_BYTES);
    restore_life(p, k, &spec->life, now_ms);
    put_in_tables(p, k);
    p->n_keys++;
    if (p->n_keys == 1)
        switch_fallback(p);
    k->probe_ms = k->state == KEY_IS_READY ? now_ms : k->probe_ms;
    if (!p->loading) // all of them enter with keypool_load_end()
        key_enter(p, k);
}

enum err keypool_add(struct keypool *p, const struct key_spec *spec, uint64_t now_ms,
                     uint64_t *ret_id)
{
    enum err e = ERR_OK;
    if (spec->secret.len > KEYPOOL_SECRET_BYTES || spec->name.len > KEYPOOL_NAME_BYTES ||
        spec->old_id.len > KEYPOOL_NAME_BYTES || spec->base_url.len > BASE_URL_BYTES)
        return ERR_RANGE;
    assert(spec->id > 0);
    pthread_mutex_lock(&p->mutex);
    struct host *h = p->n_keys < KEYPOOL_KEYS_MAX ? host_get(p, spec->base_url, now_ms) : NULL;
    uint64_t id = h != NULL ? find_identity(p, h, spec->secret) : 0;
    if (h == NULL) {
        e = p->n_keys < KEYPOOL_KEYS_MAX ? ERR_SYNTAX : ERR_TOO_LARGE;
    } else if (id != 0) {
        *ret_id = id;
        e = ERR_EXISTS;
    } else {
        add_locked(p, h, spec, now_ms);
        *ret_id = spec->id;
    }
    pthread_mutex_unlock(&p->mutex);
    return e;
}

/* ---- removing ---- */

static void remove_locked(struct keypool *p, struct key *k, uint64_t now_ms)
{
    key_leave(p, k);
    take_from_tables(p, k);
    key_leave_host(p, k, now_ms);
    key_leave_account(p, k);
    ready_set_remove(&p->changed, k->slot);
    ready_set_remove(&p->refused, k->slot);
    p->requests -= k->requests;
    p->tokens -= k->tokens;
    p->n_keys--;
    k->gone = true;
    if (k->leases == 0)
        key_free_slot(p, k);
    if (p->n_keys == 0)
        switch_fallback(p);
}

bool keypool_remove(struct keypool *p, uint64_t id, uint64_t now_ms)
{
    pthread_mutex_lock(&p->mutex);
    uint32_t slot = key_slot_of_id(p, id);
    if (slot != NO_SLOT)
        remove_locked(p, key_at(p, slot), now_ms);
    pthread_mutex_unlock(&p->mutex);
    return slot != NO_SLOT;
}

void keypool_free_tables(struct keypool *p)
{
    models_forget_all(p);
    for (uint32_t slot = 0; slot < p->n_slots; slot++) {
        struct key *k = key_at(p, slot);
        if (k->used) {
            key_leave_account(p, k);
            free_texts(k);
        }
    }
    for (uint32_t i = 0; i < p->n_chunks; i++)
        free(p->chunks[i]);
    for (uint32_t i = 0; i < p->n_hosts; i++)
        host_free(p->hosts[i]);
    free(p->chunks);
    free(p->free_slots);
    free(p->hosts);
    free(p->active);
    free(p->accounts);
    slot_table_release(&p->by_id);
    slot_table_release(&p->by_identity);
    slot_table_release(&p->by_old_id);
    slot_table_release(&p->by_url);
    slot_table_release(&p->by_account);
    slot_table_release(&p->by_model);
    ready_set_release(&p->changed);
    ready_set_release(&p->refused);
}
