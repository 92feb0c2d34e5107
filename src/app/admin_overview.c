#include "app/admin_call.h"

#include <stdlib.h>
#include <string.h>

#include "app/admin_view.h"
#include "app/admin_work.h"
#include "app/feed.h"
#include "app/upstream.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "codec/admin_feed.h"
#include "core/problems.h"

enum {
    HOSTS_MAX = 100, // shown
    STEP = 256,      // keys or hosts that are looked at under one hold of the pool's mutex
};

/* What the walks over keys and hosts find; hosts are numbers until it is known which are shown. */
struct survey {
    struct keypool *pool;
    uint64_t now_ms;
    struct problem_host *keys; // by host; owned
    uint32_t n_keys;           // hosts that there is room for
    struct problems problems;
    struct {
        uint32_t host;
        bool cooling;
        uint64_t keys;
    } top[HOSTS_MAX]; // those that cool first, then by keys
    size_t n_top;
    uint64_t hosts;
};

/* ---- walks ---- */

static void see_key(void *arg, const struct key_view *view)
{
    struct survey *s = arg;
    if (view->state != KEY_IS_COOLING && view->state != KEY_IS_DEAD)
        return;
    if (view->host >= s->n_keys) {
        uint32_t n = view->host + 1 + view->host / 2;
        s->keys = xrealloc(s->keys, n * sizeof(*s->keys));
        memset(s->keys + s->n_keys, 0, (n - s->n_keys) * sizeof(*s->keys));
        s->n_keys = n;
    }
    problem_host_add(&s->keys[view->host], view);
}

static uint64_t keys_of(const struct host_view *view)
{
    uint64_t n = 0;
    for (size_t i = 0; i < KEY_STATES; i++)
        n += view->by_state[i];
    return n;
}

static void note_top(struct survey *s, const struct host_view *view)
{
    uint64_t keys = keys_of(view);
    size_t at = s->n_top;
    while (at > 0 &&
           (view->cooling != s->top[at - 1].cooling ? view->cooling : keys > s->top[at - 1].keys))
        at--;
    if (at == HOSTS_MAX)
        return;
    if (s->n_top < HOSTS_MAX)
        s->n_top++;
    memmove(&s->top[at + 1], &s->top[at], (s->n_top - at - 1) * sizeof(s->top[0]));
    s->top[at].host = view->host;
    s->top[at].cooling = view->cooling;
    s->top[at].keys = keys;
}

static void see_host(void *arg, const struct host_view *view)
{
    static const struct problem_host nothing = {.dead = 0};
    struct survey *s = arg;
    s->hosts++;
    note_top(s, view);
    if (!view->fallback) // of which no_upstream speaks
        problems_add_host(&s->problems, view,
                          view->host < s->n_keys ? &s->keys[view->host] : &nothing);
}

static void survey(struct survey *s, const struct problem_facts *facts)
{
    uint32_t at = 0;
    bool all_fine = facts->by_state[KEY_IS_COOLING] + facts->by_state[KEY_IS_DEAD] == 0;
    problems_begin(&s->problems, facts);
    while (at != KEYPOOL_END && !all_fine)
        at = keypool_walk(s->pool, at, STEP, s->now_ms, see_key, s);
    for (at = 0; at != KEYPOOL_END;)
        at = keypool_walk_hosts(s->pool, at, STEP, s->now_ms, see_host, s);
}

/* ---- what is shown ---- */

static size_t show_hosts(struct admin_work *w, const struct survey *s, struct admin_host *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_top; i++)
        n += work_find_host(w, s->top[i].host, &ret[n]);
    return n;
}

/* ---- problems ---- */

static bool show_problem(struct admin_work *w, const struct problem *p, str trouble,
                         struct admin_problem *ret)
{
    struct admin_host host = {.reason = trouble};
    if (p->host != PROBLEM_NO_HOST && !work_find_host(w, p->host, &host))
        return false;
    *ret = (struct admin_problem){
        .kind = str_z(problem_name(p->kind)),
        .host = host.host,
        .count = p->count,
        .cause = p->kind == PROBLEM_HOST ? str_z(key_cause_name(p->cause)) : STR(""),
        .source = p->kind == PROBLEM_LIMIT ? source_show(p->source) : STR(""),
        .limit = remark_window_name(p->window),
        .since_ms = p->since_ms,
        .until_ms = p->until_ms,
        .text = problem_text(&w->arena, p, host.host, host.reason),
    };
    return true;
}

static size_t show_problems(struct admin_work *w, const struct survey *s, str trouble,
                            struct admin_problem *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < s->problems.n; i++)
        n += show_problem(w, &s->problems.items[i], trouble, &ret[n]);
    return n;
}

/* ---- the whole ---- */

/* What only the call's worker can say. */
struct of_call {
    bool encrypted;
};

static str text_of_url(struct arena *a, const struct url *url)
{
    return arena_printf(a, "%s://%.*s%.*s", url->tls ? "https" : "http", STR_ARG(url->authority),
                        STR_ARG(url->path));
}

static void put_upstream(struct admin_work *w, const struct problem_facts *facts, uint64_t keys,
                         struct admin_overview *o)
{
    const struct config *config = w->snapshot->config;
    if (keys > 0) {
        o->upstream_kind = STR("keys");
        o->upstream_up = facts->by_state[KEY_IS_READY] > 0;
        return;
    }
    o->upstream_up = !facts->fallback_failed;
    o->upstream_kind = config->upstream_set ? STR("setting")
                       : o->upstream_up     ? STR("local")
                                            : STR("none");
    if (config->upstream_set || o->upstream_up)
        o->upstream_url = text_of_url(&w->arena, upstream_url(config));
}

static void put_security(struct admin_work *w, struct admin_overview *o)
{
    const struct of_call *call = w->arg;
    const struct config *config = w->snapshot->config;
    o->encrypted = call->encrypted;
    o->default_password = config_admin_password_is_default(config);
    o->callers_need_token = config->api_tokens.n > 0;
    o->loopback = address_is_loopback((const struct sockaddr *)&w->snapshot->addresses.own_listen);
}

/* The last import, if something of it is left to take back. */
static enum err put_import(struct admin_work *w, struct admin_overview *o, struct err_info *info)
{
    struct store_import import;
    enum err e = store_last_import(keeper_store(w->program->keeper), &import, info);
    if (e != ERR_OK || import.batch == 0 || import.left == 0)
        return e;
    o->last_import = (struct admin_last_import){
        .id = arena_printf(&w->arena, "%llu", (unsigned long long)import.batch),
        .at_ms = import.at_ms,
        .count = import.count,
        .left = import.left};
    return ERR_OK;
}

static void overview(struct admin_work *w)
{
    struct err_info info = {0};
    struct problem_facts facts;
    struct admin_host hosts[HOSTS_MAX];
    struct admin_problem problems[PROBLEMS_MAX];
    struct survey s = {.pool = work_pool(w), .now_ms = clock_mono_ms()};
    feed_facts(w->program->feed, &facts);
    survey(&s, &facts);

    int64_t now_ms = clock_wall_ms();
    struct admin_overview o = {
        .now_ms = now_ms,
        .version = STR(O2O_VERSION),
        .started_ms = now_ms - (int64_t)(s.now_ms - w->program->started_ms),
        .states = states_show(facts.by_state),
        .hosts = hosts,
        .n_hosts = show_hosts(w, &s, hosts),
        .hosts_total = s.hosts,
        .problems = problems,
        .n_problems = show_problems(w, &s, facts.store_trouble, problems),
        .well_since_ms = feed_well_since(w->program->feed),
    };
    uint64_t keys = o.states.ready + o.states.cooling + o.states.dead + o.states.disabled;
    put_upstream(w, &facts, keys, &o);
    put_security(w, &o);
    enum err e = put_import(w, &o, &info);
    if (e == ERR_OK)
        admin_put_overview(&w->out, &o);
    else
        work_fail(w, e, &info);
    free(s.keys);
    free(w->arg);
}

void admin_overview(struct admin_call *c)
{
    struct of_call *call = xmalloc(sizeof(*call));
    call->encrypted = call_is_encrypted(c);
    if (!admin_work_start_with(c, overview, NULL, call))
        free(call);
}
