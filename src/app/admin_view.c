#include "app/admin_view.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/admin_work.h"
#include "app/catalog.h"
#include "base/clock.h"
#include "base/xalloc.h"

str key_shown_id(const struct key_view *view, char out[24])
{
    if (view->old_id.len > 0)
        return view->old_id;
    int n = snprintf(out, 24, "%llu", (unsigned long long)view->id);
    return str_of(out, (size_t)n);
}

str source_show(enum cool_source source)
{
    if (source == COOL_NONE)
        return STR("");
    return source == COOL_STATED ? STR("stated") : STR("guessed");
}

static str shown_source(const struct key_view *view)
{
    return view->state == KEY_IS_COOLING ? source_show(view->source) : STR("");
}

void key_show(const struct key_view *view, struct key_shown *ret)
{
    bool cools = view->state == KEY_IS_COOLING;
    ret->key = (struct admin_key){
        .id = key_shown_id(view, ret->id),
        .key = key_mask(view->secret, ret->mask),
        .base_url = view->base_url,
        .name = view->name,
        .status = str_z(key_state_name(view->state)),
        .enabled = view->enabled,
        .last_check_ms = view->life.last_check_ms,
        .last_used_ms = view->life.last_used_ms,
        .last_error = view->life.last_error,
        .added_ms = view->added_ms,
        .requests = view->life.requests,
        .failures = view->life.failures,
        .tokens = view->life.tokens,
        .until_ms = cools ? view->until_ms : 0,
        .account = view->life.account,
        .cause = str_z(key_cause_name(view->cause)),
        .source = shown_source(view),
        .reason = view->reason,
        .since_ms = view->since_ms,
    };
}

struct admin_summary summary_show(struct keypool *p, uint64_t now_ms)
{
    struct key_summary s;
    keypool_summary(p, now_ms, &s);
    return (struct admin_summary){.ready = s.by_state[KEY_IS_READY],
                                  .cooling = s.by_state[KEY_IS_COOLING],
                                  .dead = s.by_state[KEY_IS_DEAD],
                                  .disabled = s.by_state[KEY_IS_DISABLED],
                                  .requests = s.requests,
                                  .tokens = s.tokens};
}

struct admin_key_counts states_show(const uint64_t by_state[KEY_STATES])
{
    return (struct admin_key_counts){.ready = by_state[KEY_IS_READY],
                                     .cooling = by_state[KEY_IS_COOLING],
                                     .dead = by_state[KEY_IS_DEAD],
                                     .disabled = by_state[KEY_IS_DISABLED]};
}

/* Keys that are ready show as cooling while their host cools. */
/* But for its models; borrows from the view. */
static struct admin_host host_show(const struct host_view *view)
{
    struct admin_host host = {.host = view->base_url,
                              .keyed = view->keyed,
                              .states = states_show(view->by_state),
                              .cooling = view->cooling,
                              .cause = str_z(key_cause_name(view->cause)),
                              .reason = view->reason,
                              .until_ms = view->until_ms,
                              .since_ms = view->since_ms,
                              .models = -1};
    if (view->cooling) {
        host.states.cooling += host.states.ready;
        host.states.ready = 0;
    }
    return host;
}

struct key_filter filter_of(const struct admin_filter *filter)
{
    static const struct {
        unsigned from;
        enum key_state to;
    } states[] = {
        {ADMIN_READY,    KEY_IS_READY   },
        {ADMIN_COOLING,  KEY_IS_COOLING },
        {ADMIN_DEAD,     KEY_IS_DEAD    },
        {ADMIN_DISABLED, KEY_IS_DISABLED},
    };
    struct key_filter ret = {.host = filter->host, .text = filter->q};
    for (size_t i = 0; i < COUNT_OF(states); i++) {
        if ((filter->states & states[i].from) != 0)
            ret.states |= 1U << states[i].to;
    }
    return ret;
}

/* ---- which keys ---- */

static int compare_ids(const void *left, const void *right)
{
    const uint64_t *a = left;
    const uint64_t *b = right;
    return (*a > *b) - (*a < *b);
}

/* The keys that the texts name, each once; those that are not there are passed over. */
static void find_ids(struct keypool *pool, const struct admin_which *which, struct key_ids *ret)
{
    uint64_t *ids = xcalloc(which->n > 0 ? which->n : 1, sizeof(*ids));
    size_t n = 0;
    for (size_t i = 0; i < which->n; i++) {
        ids[n] = keypool_find_id(pool, which->ids[i]);
        n += ids[n] != 0;
    }
    if (n > 0)
        qsort(ids, n, sizeof(*ids), compare_ids);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || ids[i] != ids[i - 1])
            ids[kept++] = ids[i];
    }
    *ret = (struct key_ids){.items = ids, .n = kept};
}

void find_which(struct keypool *pool, const struct admin_which *which, struct key_ids *ret)
{
    static const struct key_order order = {.field = KEY_BY_ADDED};
    struct key_filter filter = filter_of(&which->filter);
    if (which->by_ids)
        find_ids(pool, which, ret);
    else
        key_list_collect(pool, &filter, &order, clock_mono_ms(), ret);
}

/* ---- one key ---- */

void put_key_answer(void *arg, const struct key_view *view)
{
    struct key_shown shown;
    key_show(view, &shown);
    admin_put_key_answer(arg, &shown.key);
}

/* ---- one host by its number ---- */

struct found_host {
    struct arena *arena;
    struct catalog *catalog;
    uint32_t host;
    bool found;
    struct admin_host shown;
};

static void show_host(void *arg, const struct host_view *view)
{
    struct found_host *f = arg;
    if (view->host != f->host)
        return; // its last key was deleted meanwhile, and this is the next one
    f->found = true;
    f->shown = host_show(view);
    f->shown.host = arena_copy(f->arena, view->base_url);
    f->shown.reason = arena_copy(f->arena, f->shown.reason);
    f->shown.models = catalog_host_count(f->catalog, view->host);
}

bool work_find_host(struct admin_work *w, uint32_t host, struct admin_host *ret)
{
    struct found_host f = {.arena = &w->arena, .catalog = w->program->catalog, .host = host};
    (void)keypool_walk_hosts(work_pool(w), host, 1, clock_mono_ms(), show_host, &f);
    *ret = f.shown;
    return f.found;
}
