#include "app/catalog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/xalloc.h"
#include "codec/openai_models.h"

#define VIEW_BYTES ((size_t)32 << 20) // of names, and of the body each
#define HOST_BYTES ((size_t)8 << 20)  // of one host's list

struct counted_view {
    struct catalog_view view;
    atomic_uint refs;
    struct arena arena; // of view.list
};

/* What one model can do. */
struct note {
    uint64_t hash;
    char *name; // owned; zero-terminated
    struct model_abilities abilities;
    uint64_t ask_again_ms;
    uint64_t used_ms;
};

/* The list of one host. */
struct host_list {
    struct arena arena; // of `list`
    struct model_list list;
    bool known;        // a list came
    uint64_t tried_ms; // when somebody last began to ask for it alone; 0: never
    uint64_t seen_ms;  // the last round that found the host
};

struct catalog {
    _Atomic uint64_t learned_ms; // when the last list came; 0: none
    _Atomic uint64_t tried_ms;   // when somebody last began to ask for all; 0: never
    pthread_mutex_t lock;        // of what follows
    struct counted_view *view;   // a counted reference; NULL: none
    bool stale;                  // a list has come or gone since the view was made
    struct host_list **hosts;    // by the pool's number; NULL: nothing is known
    size_t n_hosts;
    struct note notes[CATALOG_NOTES_MAX];
    size_t n_notes;
    uint64_t told[CATALOG_TOLD_MAX]; // hashes of names; a ring
    size_t n_told;                   // ever
};

struct catalog *catalog_new(void)
{
    struct catalog *c = xcalloc(1, sizeof(*c));
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

static void drop_host_locked(struct catalog *c, size_t host)
{
    struct host_list *h = c->hosts[host];
    if (h == NULL)
        return;
    c->stale = c->stale || h->known;
    arena_release(&h->arena);
    free(h);
    c->hosts[host] = NULL;
}

static void forget_locked(struct catalog *c)
{
    for (size_t i = 0; i < c->n_hosts; i++)
        drop_host_locked(c, i);
    for (size_t i = 0; i < c->n_notes; i++)
        free(c->notes[i].name);
    c->n_notes = 0;
    if (c->view != NULL)
        catalog_view_release(&c->view->view);
    c->view = NULL;
    c->stale = false;
}

void catalog_forget_host(struct catalog *c, uint32_t host)
{
    pthread_mutex_lock(&c->lock);
    if (host < c->n_hosts)
        drop_host_locked(c, host);
    pthread_mutex_unlock(&c->lock);
}

void catalog_reset(struct catalog *c)
{
    pthread_mutex_lock(&c->lock);
    forget_locked(c);
    pthread_mutex_unlock(&c->lock);
    atomic_store(&c->learned_ms, 0);
    atomic_store(&c->tried_ms, 0);
}

void catalog_free(struct catalog *c)
{
    if (c == NULL)
        return;
    forget_locked(c); // nobody else has it any more
    free(c->hosts);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- the lists ---- */

static struct host_list *find_host_locked(const struct catalog *c, uint32_t host)
{
    return host < c->n_hosts ? c->hosts[host] : NULL;
}

static struct host_list *make_host_locked(struct catalog *c, uint32_t host)
{
    if (host >= c->n_hosts) {
        size_t n = (size_t)host + 1 + host / 2;
        c->hosts = xrealloc(c->hosts, n * sizeof(struct host_list *));
        memset(c->hosts + c->n_hosts, 0, (n - c->n_hosts) * sizeof(struct host_list *));
        c->n_hosts = n;
    }
    if (c->hosts[host] == NULL) {
        c->hosts[host] = xcalloc(1, sizeof(struct host_list));
        arena_init(&c->hosts[host]->arena, HOST_BYTES);
    }
    return c->hosts[host];
}

/* The lists as one; NULL if that takes too much memory. */
static struct counted_view *make_view(const struct model_list *lists, size_t n)
{
    struct counted_view *v = xcalloc(1, sizeof(*v));
    atomic_init(&v->refs, 1);
    arena_init(&v->arena, VIEW_BYTES);
    buf_init(&v->view.body, VIEW_BYTES);
    enum err e = model_list_merge(&v->arena, lists, n, &v->view.list);
    if (e == ERR_OK)
        openai_models_encode(&v->view.list, &v->view.body);
    if (e != ERR_OK || !buf_ok(&v->view.body)) {
        catalog_view_release(&v->view);
        return NULL;
    }
    return v;
}

static void refresh_view_locked(struct catalog *c)
{
    if (!c->stale)
        return;
    c->stale = false;
    struct model_list *lists = xcalloc(c->n_hosts + 1, sizeof(*lists));
    size_t n = 0;
    for (size_t i = 0; i < c->n_hosts; i++) {
        if (c->hosts[i] != NULL && c->hosts[i]->known)
            lists[n++] = c->hosts[i]->list;
    }
    struct counted_view *v = n > 0 ? make_view(lists, n) : NULL;
    free(lists);
    if (n > 0 && v == NULL)
        return; // what was there before is better than nothing
    if (c->view != NULL)
        catalog_view_release(&c->view->view);
    c->view = v;
}

const struct catalog_view *catalog_view(struct catalog *c)
{
    pthread_mutex_lock(&c->lock);
    refresh_view_locked(c);
    struct counted_view *v = c->view;
    if (v != NULL)
        atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&c->lock);
    return v != NULL ? &v->view : NULL;
}

void catalog_view_release(const struct catalog_view *view)
{
    if (view == NULL)
        return;
    struct counted_view *v = CONTAINER_OF(view, struct counted_view, view);
    if (atomic_fetch_sub(&v->refs, 1) > 1)
        return;
    buf_release(&v->view.body);
    arena_release(&v->arena);
    free(v);
}

/* Workers' clocks differ by a turn of the loop, so `then_ms` may lie ahead. */
static bool is_past(uint64_t then_ms, uint64_t span_ms, uint64_t now_ms)
{
    return then_ms == 0 || now_ms >= then_ms + span_ms;
}

bool catalog_claim(struct catalog *c, uint64_t max_age_ms, uint64_t now_ms)
{
    if (!is_past(atomic_load_explicit(&c->learned_ms, memory_order_relaxed), max_age_ms, now_ms))
        return false;
    uint64_t tried = atomic_load_explicit(&c->tried_ms, memory_order_relaxed);
    return is_past(tried, CATALOG_CURRENT_MS, now_ms) &&
           atomic_compare_exchange_strong(&c->tried_ms, &tried, now_ms);
}

void catalog_note_try(struct catalog *c, uint64_t now_ms)
{
    atomic_store_explicit(&c->tried_ms, now_ms, memory_order_relaxed);
}

bool catalog_claim_host(struct catalog *c, uint32_t host, uint64_t now_ms)
{
    pthread_mutex_lock(&c->lock);
    struct host_list *h = make_host_locked(c, host);
    bool claimed = is_past(h->tried_ms, CATALOG_CURRENT_MS, now_ms);
    if (claimed)
        h->tried_ms = now_ms;
    pthread_mutex_unlock(&c->lock);
    return claimed;
}

enum err catalog_publish(struct catalog *c, uint32_t host, const struct model_list *list,
                         uint64_t now_ms)
{
    struct arena arena;
    struct model_list copy;
    arena_init(&arena, HOST_BYTES);
    if (model_list_merge(&arena, list, 1, &copy) != ERR_OK) {
        arena_release(&arena);
        return ERR_TOO_LARGE;
    }
    pthread_mutex_lock(&c->lock);
    struct host_list *h = make_host_locked(c, host);
    arena_release(&h->arena);
    h->arena = arena;
    h->list = copy;
    h->known = true;
    h->seen_ms = now_ms > h->seen_ms ? now_ms : h->seen_ms;
    c->stale = true;
    pthread_mutex_unlock(&c->lock);
    atomic_store_explicit(&c->learned_ms, now_ms, memory_order_relaxed);
    return ERR_OK;
}

bool catalog_host_has(struct catalog *c, uint32_t host, str name)
{
    pthread_mutex_lock(&c->lock);
    const struct host_list *h = find_host_locked(c, host);
    bool has = h != NULL && model_list_find(&h->list, name) != NULL;
    pthread_mutex_unlock(&c->lock);
    return has;
}

int64_t catalog_host_count(struct catalog *c, uint32_t host)
{
    pthread_mutex_lock(&c->lock);
    const struct host_list *h = find_host_locked(c, host);
    int64_t n = h != NULL && h->known ? (int64_t)h->list.n : -1;
    pthread_mutex_unlock(&c->lock);
    return n;
}

void catalog_mark_host(struct catalog *c, uint32_t host, uint64_t round_ms)
{
    pthread_mutex_lock(&c->lock);
    struct host_list *h = find_host_locked(c, host);
    if (h != NULL && h->seen_ms < round_ms)
        h->seen_ms = round_ms;
    pthread_mutex_unlock(&c->lock);
}

void catalog_sweep(struct catalog *c, uint64_t round_ms)
{
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n_hosts; i++) {
        if (c->hosts[i] != NULL && c->hosts[i]->seen_ms < round_ms)
            drop_host_locked(c, i);
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- what models can do; with the lock held ---- */

static struct note *find_note(struct catalog *c, str name)
{
    uint64_t hash = model_name_hash(name);
    for (size_t i = 0; i < c->n_notes; i++) {
        struct note *n = &c->notes[i];
        if (n->hash == hash && model_name_same(str_z(n->name), name))
            return n;
    }
    return NULL;
}

/* The note for `name`; a new one takes the place of the one that was used least lately. */
static struct note *make_note(struct catalog *c, str name)
{
    struct note *n = find_note(c, name);
    if (n != NULL)
        return n;
    if (c->n_notes < CATALOG_NOTES_MAX) {
        n = &c->notes[c->n_notes++];
    } else {
        n = &c->notes[0];
        for (size_t i = 1; i < c->n_notes; i++)
            n = c->notes[i].used_ms < n->used_ms ? &c->notes[i] : n;
        free(n->name);
    }
    *n = (struct note){.hash = model_name_hash(name), .name = xmalloc(name.len + 1)};
    memcpy(n->name, name.p, name.len);
    n->name[name.len] = '\0';
    return n;
}

/* Newer servers say it in the list. */
static struct model_abilities listed_abilities(struct catalog *c, str name)
{
    const struct model_entry *entry = NULL;
    refresh_view_locked(c);
    if (c->view != NULL)
        entry = model_list_find(&c->view->view.list, name);
    return entry != NULL ? entry->abilities : (struct model_abilities){0};
}

struct catalog_ability catalog_thinks(struct catalog *c, str name, uint64_t now_ms)
{
    struct model_abilities abilities = {0};
    struct catalog_ability ret = {.ask = true, .wait = true};
    if (name.len == 0 || name.len > MODEL_NAME_MAX)
        return (struct catalog_ability){.answer = CATALOG_UNKNOWN};
    pthread_mutex_lock(&c->lock);
    struct note *n = find_note(c, name);
    if (n != NULL) {
        n->used_ms = now_ms;
        abilities = n->abilities;
        ret.ask = now_ms >= n->ask_again_ms;
        ret.wait = false;
    }
    if (!abilities.known) {
        abilities = listed_abilities(c, name);
        if (abilities.known)
            ret.ask = ret.wait = false;
    }
    pthread_mutex_unlock(&c->lock);
    if (abilities.known)
        ret.answer = (abilities.set & MODEL_THINKS) != 0 ? CATALOG_YES : CATALOG_NO;
    return ret;
}

void catalog_note(struct catalog *c, str name, struct model_abilities abilities, uint64_t now_ms)
{
    if (name.len == 0 || name.len > MODEL_NAME_MAX)
        return;
    pthread_mutex_lock(&c->lock);
    struct note *n = make_note(c, name);
    if (abilities.known)
        n->abilities = abilities; // else what was known before stays
    n->used_ms = now_ms;
    n->ask_again_ms = now_ms + (abilities.known ? CATALOG_NOTE_MS : CATALOG_SILENCE_MS);
    pthread_mutex_unlock(&c->lock);
}

void catalog_note_no_thinking(struct catalog *c, str name, uint64_t now_ms)
{
    catalog_note(c, name, (struct model_abilities){.known = true, .set = MODEL_CHATS}, now_ms);
}

bool catalog_tell_once(struct catalog *c, str name)
{
    uint64_t hash = model_name_hash(name);
    bool told = false;
    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < c->n_told && i < CATALOG_TOLD_MAX; i++)
        told |= c->told[i] == hash;
    if (!told)
        c->told[c->n_told++ % CATALOG_TOLD_MAX] = hash;
    pthread_mutex_unlock(&c->lock);
    return !told;
}
