#include "core/series.h"

#include <stdlib.h>

#include "base/attr.h"
#include "base/xalloc.h"

static void add_first(const struct metrics_times *times, struct series_counts *ret)
{
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        ret->first[i] += times->buckets[i];
}

void series_counts_of(const struct metrics *m, struct series_counts *ret)
{
    *ret = (struct series_counts){.requests = m->served,
                                  .errors = m->failed,
                                  .tokens_in = m->prompt_tokens,
                                  .tokens_out = m->answer_tokens};
    add_first(&m->first[ROUTE_CHAT], ret);
    add_first(&m->first[ROUTE_COMPLETIONS], ret);
}

void series_counts_add(struct series_counts *sum, const struct series_counts *more)
{
    sum->requests += more->requests;
    sum->errors += more->errors;
    sum->tokens_in += more->tokens_in;
    sum->tokens_out += more->tokens_out;
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        sum->first[i] += more->first[i];
}

struct series_counts series_counts_since(const struct series_counts *now,
                                         const struct series_counts *before)
{
    struct series_counts ret = {.requests = now->requests - before->requests,
                                .errors = now->errors - before->errors,
                                .tokens_in = now->tokens_in - before->tokens_in,
                                .tokens_out = now->tokens_out - before->tokens_out};
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        ret.first[i] = now->first[i] - before->first[i];
    return ret;
}

bool series_counts_empty(const struct series_counts *counts)
{
    uint64_t any = counts->requests | counts->errors | counts->tokens_in | counts->tokens_out;
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        any |= counts->first[i];
    return any == 0;
}

bool series_quantile(const struct series_counts *counts, uint32_t permille, uint64_t *ret_ms)
{
    struct metrics_times times = {.sum_ms = 0};
    uint64_t any = 0;
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        metrics_count_add(&times.buckets[i], counts->first[i]);
        any |= counts->first[i];
    }
    if (any == 0)
        return false;
    *ret_ms = metrics_quantile_ms(&times, permille);
    return true;
}

int64_t series_grain_s(enum series_grain grain)
{
    static const int64_t seconds[SERIES_GRAINS] = {60, 3600, 86400};
    return seconds[grain];
}

int64_t series_floor(int64_t at_s, int64_t step_s)
{
    int64_t over = at_s % step_s;
    return at_s - (over < 0 ? over + step_s : over);
}

// Days are kept for a range that is still to come; nothing shown is made of them.
static const struct series_range RANGES[] = {
    {STR_C("1h"),  60,   60,  SERIES_MINUTES, SERIES_MINUTES},
    {STR_C("24h"), 600,  144, SERIES_MINUTES, SERIES_HOURS  },
    {STR_C("30d"), 3600, 720, SERIES_HOURS,   SERIES_HOURS  },
};

const struct series_range *series_range_find(str name)
{
    for (size_t i = 0; i < COUNT_OF(RANGES); i++) {
        if (str_eq(RANGES[i].name, name))
            return &RANGES[i];
    }
    return NULL;
}

void series_init(struct series *s, const struct series_range *range, int64_t now_s)
{
    int64_t last_s = series_floor(now_s, range->step_s);
    *s = (struct series){.range = range,
                         .start_s = last_s - (int64_t)(range->n_steps - 1) * range->step_s,
                         .steps = xcalloc(range->n_steps, sizeof(*s->steps))};
}

void series_release(struct series *s)
{
    free(s->steps);
    s->steps = NULL;
}

void series_add(struct series *s, int64_t at_s, const struct series_counts *counts)
{
    if (at_s < s->start_s)
        return;
    size_t step = (size_t)((at_s - s->start_s) / s->range->step_s);
    if (step < s->range->n_steps)
        series_counts_add(&s->steps[step], counts);
}
