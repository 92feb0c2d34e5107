#include "app/catalog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/xalloc.h"
#include "codec/openai_models.h"

#define VIEW_BYTES ((size_t)32 << 20) // of names, and of the body each

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

struct catalog {
    atomic_uint refs;
    _Atomic uint64_t learned_ms; // when the list came; 0: none
    _Atomic uint64_t tried_ms;   // when somebody last began to ask for it; 0: never
    pthread_mutex_t lock;        // of what follows
    struct counted_view *view;   // a counted reference; NULL: none
    struct note notes[CATALOG_NOTES_MAX];
    size_t n_notes;
};

struct catalog *catalog_new(void)
{
    struct catalog *c = xcalloc(1, sizeof(*c));
    atomic_init(&c->refs, 1);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

struct catalog *catalog_acquire(struct catalog *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void catalog_release(struct catalog *c)
{
    if (c == NULL || atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    if (c->view != NULL)
        catalog_view_release(&c->view->view);
    for (size_t i = 0; i < c->n_notes; i++)
        free(c->notes[i].name);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- the list ---- */

const struct catalog_view *catalog_view(struct catalog *c)
{
    pthread_mutex_lock(&c->lock);
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

enum err catalog_publish(struct catalog *c, const struct model_list *list, uint64_t now_ms)
{
    struct counted_view *v = xcalloc(1, sizeof(*v));
    atomic_init(&v->refs, 1);
    arena_init(&v->arena, VIEW_BYTES);
    buf_init(&v->view.body, VIEW_BYTES);
    enum err e = model_list_merge(&v->arena, list, 1, &v->view.list);
    if (e == ERR_OK)
        openai_models_encode(&v->view.list, &v->view.body);
    if (e != ERR_OK || !buf_ok(&v->view.body)) {
        catalog_view_release(&v->view);
        return ERR_TOO_LARGE;
    }
    pthread_mutex_lock(&c->lock);
    struct counted_view *old = c->view;
    c->view = v;
    pthread_mutex_unlock(&c->lock);
    atomic_store_explicit(&c->learned_ms, now_ms, memory_order_relaxed);
    if (old != NULL)
        catalog_view_release(&old->view);
    return ERR_OK;
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
static struct model_abilities listed_abilities(const struct catalog *c, str name)
{
    const struct model_entry *entry = NULL;
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
