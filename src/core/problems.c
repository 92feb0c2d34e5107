#include "core/problems.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"

static const char *const NAMES[PROBLEM_KINDS] = {
    [PROBLEM_NO_UPSTREAM] = "no_upstream",
    [PROBLEM_NONE_READY] = "none_ready",
    [PROBLEM_STORE] = "store",
    [PROBLEM_HOST] = "host",
    [PROBLEM_ERRORS] = "errors",
    [PROBLEM_DEAD] = "dead",
    [PROBLEM_LIMIT] = "limit",
    [PROBLEM_FAILING] = "failing",
    [PROBLEM_ALL_DISABLED] = "all_disabled",
};

const char *problem_name(enum problem_kind kind)
{
    return NAMES[kind];
}

/* ---- what the sums say ---- */

static uint64_t enabled(const struct problem_facts *f)
{
    return f->by_state[KEY_IS_READY] + f->by_state[KEY_IS_COOLING] + f->by_state[KEY_IS_DEAD];
}

static bool has_many_errors(const struct problem_facts *f)
{
    return f->window_requests >= PROBLEM_REQUESTS_MIN &&
           f->window_errors * 100 >= f->window_requests * PROBLEM_ERRORS_PERCENT;
}

static bool all_disabled(const struct problem_facts *f)
{
    return enabled(f) == 0 && f->by_state[KEY_IS_DISABLED] > 0;
}

static bool no_upstream(const struct problem_facts *f)
{
    return enabled(f) == 0 && f->by_state[KEY_IS_DISABLED] == 0 && f->fallback_failed;
}

bool problems_well(const struct problem_facts *f)
{
    return f->by_state[KEY_IS_COOLING] == 0 && f->by_state[KEY_IS_DEAD] == 0 && !no_upstream(f) &&
           !all_disabled(f) && f->store_trouble.len == 0 && !has_many_errors(f);
}

/* ---- the list ---- */

static bool is_worse(const struct problem *a, const struct problem *b)
{
    return a->kind != b->kind ? a->kind < b->kind : a->count > b->count;
}

/* Puts it in its place; the least of too many falls off the end. */
static void add(struct problems *p, const struct problem *problem)
{
    size_t at = p->n;
    while (at > 0 && is_worse(problem, &p->items[at - 1]))
        at--;
    if (at == PROBLEMS_MAX)
        return;
    if (p->n < PROBLEMS_MAX)
        p->n++;
    memmove(&p->items[at + 1], &p->items[at], (p->n - at - 1) * sizeof(p->items[0]));
    p->items[at] = *problem;
}

static void add_sum(struct problems *p, enum problem_kind kind, uint64_t count)
{
    add(p, &(struct problem){.kind = kind, .host = PROBLEM_NO_HOST, .count = count});
}

void problems_begin(struct problems *p, const struct problem_facts *f)
{
    *p = (struct problems){.n = 0};
    if (no_upstream(f))
        add_sum(p, PROBLEM_NO_UPSTREAM, 0);
    if (enabled(f) > 0 && f->by_state[KEY_IS_READY] == 0)
        add_sum(p, PROBLEM_NONE_READY, enabled(f));
    if (f->store_trouble.len > 0)
        add_sum(p, PROBLEM_STORE, 0);
    if (has_many_errors(f))
        add_sum(p, PROBLEM_ERRORS, f->window_errors * 100 / f->window_requests);
    if (all_disabled(f))
        add_sum(p, PROBLEM_ALL_DISABLED, f->by_state[KEY_IS_DISABLED]);
}

void problem_host_add(struct problem_host *h, const struct key_view *key)
{
    if (key->state == KEY_IS_COOLING &&
        (h->first_until_ms == 0 || key->until_ms < h->first_until_ms))
        h->first_until_ms = key->until_ms;
    if (key->state == KEY_IS_DEAD) {
        h->dead++;
    } else if (key->state == KEY_IS_COOLING && key->cause == CAUSE_LIMIT) {
        struct problem_limit *limit = &h->limits[remark_window(key->reason)];
        limit->count++;
        if (key->until_ms > limit->until_ms) {
            limit->until_ms = key->until_ms;
            limit->source = key->source;
        }
    } else if (key->state == KEY_IS_COOLING) {
        h->failing++;
        if (key->until_ms > h->failing_until_ms)
            h->failing_until_ms = key->until_ms;
    }
}

/* Of none_ready: it ends when the first host or key comes back. */
static void note_ready(struct problems *p, int64_t until_ms)
{
    if (until_ms > 0 && (p->first_ready_ms == 0 || until_ms < p->first_ready_ms))
        p->first_ready_ms = until_ms;
    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i].kind == PROBLEM_NONE_READY)
            p->items[i].until_ms = p->first_ready_ms;
    }
}

void problems_add_host(struct problems *p, const struct host_view *view,
                       const struct problem_host *keys)
{
    uint64_t behind = view->by_state[KEY_IS_READY] + view->by_state[KEY_IS_COOLING];
    if (keys->dead > 0)
        add(p, &(struct problem){.kind = PROBLEM_DEAD, .host = view->host, .count = keys->dead});
    if (view->cooling && behind > 0) { // its keys show as cooling with it, whatever they are
        add(p, &(struct problem){.kind = PROBLEM_HOST,
                                 .host = view->host,
                                 .count = behind,
                                 .cause = view->cause,
                                 .since_ms = view->since_ms,
                                 .until_ms = view->until_ms});
        note_ready(p, view->until_ms);
        return;
    }
    for (int i = 0; i < REMARK_WINDOWS; i++) {
        const struct problem_limit *limit = &keys->limits[i];
        if (limit->count > 0)
            add(p, &(struct problem){.kind = PROBLEM_LIMIT,
                                     .host = view->host,
                                     .count = limit->count,
                                     .source = limit->source,
                                     .window = (enum remark_window)i,
                                     .until_ms = limit->until_ms});
    }
    if (keys->failing > 0)
        add(p, &(struct problem){.kind = PROBLEM_FAILING,
                                 .host = view->host,
                                 .count = keys->failing,
                                 .until_ms = keys->failing_until_ms});
    note_ready(p, keys->first_until_ms);
}

/* ---- sentences ---- */

/* "1 key", "2 keys" and so on. */
static str keys_of(struct arena *a, uint64_t n)
{
    return arena_printf(a, "%llu %s", (unsigned long long)n, n == 1 ? "key" : "keys");
}

/* " until …Z", or nothing. */
static str until(struct arena *a, int64_t wall_ms)
{
    char text[CLOCK_ISO_BYTES];
    if (wall_ms == 0)
        return STR("");
    clock_iso(wall_ms, text);
    return arena_printf(a, " until %s", text);
}

/* "a limit", "the weekly limit". */
static str limit_of(struct arena *a, const struct problem *p)
{
    str name = remark_window_name(p->window);
    return name.len > 0 ? arena_printf(a, "the %.*s limit", STR_ARG(name)) : STR("a limit");
}

str problem_text(struct arena *a, const struct problem *p, str host, str reason)
{
    str keys = keys_of(a, p->count);
    str end = until(a, p->until_ms);
    const char *are = p->count == 1 ? "is" : "are";
    switch (p->kind) {
    case PROBLEM_NO_UPSTREAM:
        return STR("there is no key, and the server that is used without one does not answer");
    case PROBLEM_NONE_READY:
        return arena_printf(a, "no key is ready%.*s", STR_ARG(end));
    case PROBLEM_STORE:
    case PROBLEM_HOST:
        return arena_copy(a, reason);
    case PROBLEM_ERRORS:
        return arena_printf(a, "%llu in a hundred of the last requests failed",
                            (unsigned long long)p->count);
    case PROBLEM_DEAD:
        return arena_printf(a, "%.*s of %.*s %s refused", STR_ARG(keys), STR_ARG(host), are);
    case PROBLEM_LIMIT:
        return arena_printf(a, "%.*s of %.*s %s over %.*s%.*s", STR_ARG(keys), STR_ARG(host), are,
                            STR_ARG(limit_of(a, p)), STR_ARG(end));
    case PROBLEM_FAILING:
        return arena_printf(a, "%.*s of %.*s cool%s after failures%.*s", STR_ARG(keys),
                            STR_ARG(host), p->count == 1 ? "s" : "", STR_ARG(end));
    case PROBLEM_ALL_DISABLED:
        return STR("all keys are disabled");
    case PROBLEM_KINDS:
        break;
    }
    assert(!"a kind of problem");
    return STR("");
}
