#include "app/admin_call.h"
#include "app/admin_work.h"
#include "app/feed.h"
#include "base/arena.h"
#include "codec/admin_feed.h"
#include "codec/admin_request.h"

enum { NAMES_MAX = 2048 }; // of each kind, of the store's and of the minutes that it has not yet

static int64_t quantile(const struct series_counts *counts, uint32_t permille)
{
    uint64_t ms;
    return series_quantile(counts, permille, &ms) ? (int64_t)ms : -1;
}

static struct admin_step step_of(const struct series_counts *counts)
{
    return (struct admin_step){.requests = counts->requests,
                               .errors = counts->errors,
                               .p50_ms = quantile(counts, 500),
                               .p95_ms = quantile(counts, 950),
                               .tokens_in = counts->tokens_in,
                               .tokens_out = counts->tokens_out};
}

/* The names with most requests; what is left over has the last place, if there is one. */
static struct admin_tops tops_of(const struct tally *names, enum tally_kind kind)
{
    struct admin_tops tops = {.n = 0};
    struct tally_row rows[ADMIN_TOPS_MAX], rest;
    size_t n = tally_top(names, kind, ADMIN_TOPS_MAX, rows, &rest);
    if (rest.requests > 0 && n == ADMIN_TOPS_MAX)
        n = tally_top(names, kind, ADMIN_TOPS_MAX - 1, rows, &rest);
    if (rest.requests > 0)
        rows[n++] = rest;
    for (; tops.n < n; tops.n++)
        tops.items[tops.n] = (struct admin_top){.name = rows[tops.n].name,
                                                .requests = rows[tops.n].requests,
                                                .errors = rows[tops.n].errors,
                                                .tokens = rows[tops.n].tokens};
    return tops;
}

static void answer(struct admin_work *w, const struct series *s, const struct tally *names)
{
    struct admin_step *steps = arena_alloc(&w->arena, SERIES_STEPS_MAX * sizeof(*steps));
    if (steps == NULL) {
        work_refuse(w, 500, "there is no memory for the answer");
        return;
    }
    for (size_t i = 0; i < s->range->n_steps; i++)
        steps[i] = step_of(&s->steps[i]);
    struct admin_series shown = {.range = s->range->name,
                                 .step_s = s->range->step_s,
                                 .start_s = s->start_s,
                                 .steps = steps,
                                 .n_steps = s->range->n_steps,
                                 .models = tops_of(names, TALLY_MODELS),
                                 .errors = tops_of(names, TALLY_ERRORS),
                                 .hosts = tops_of(names, TALLY_HOSTS)};
    admin_put_series(&w->out, &shown);
}

static void series(struct admin_work *w)
{
    struct err_info info = {0};
    struct series s = {0};
    str name;
    enum err e = admin_read_series_query(&w->arena, w->query, &name, &info);
    const struct series_range *range = e == ERR_OK ? series_range_find(name) : NULL;
    if (e == ERR_OK && range == NULL)
        e = err_set(&info, ERR_SYNTAX, "'range' is 1h, 24h or 30d");
    if (e != ERR_OK) {
        work_fail(w, e, &info);
        return;
    }
    struct tally *names = tally_new(NAMES_MAX);
    e = feed_read(w->program->feed, range, &s, names, &info);
    if (e == ERR_OK)
        answer(w, &s, names);
    else
        work_fail(w, e, &info);
    series_release(&s);
    tally_free(names);
}

void admin_series(struct admin_call *c)
{
    admin_work_start(c, series);
}
