/*
 * series - what was counted, by time: minutes, hours and days, and the ranges that people look at
 *
 * Workers only ever count up (see metrics.h). Once a minute the difference to the last minute is
 * written down, with the buckets of the times and not with quantiles: those of ten minutes or of an
 * hour cannot be had from those of its minutes, but from the sums of buckets they can.
 *
 * Threads: none.
 * Time:    Unix seconds, the wall clock's, by the caller.
 */
#ifndef CORE_SERIES_H
#define CORE_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "core/metrics.h"

/* What was counted in some time, of the routes of OpenAI. */
struct series_counts {
    uint64_t requests;
    uint64_t errors;
    uint64_t tokens_in;
    uint64_t tokens_out;
    uint64_t first[METRICS_BUCKETS]; // chats and completions, by time to the first token
};

/* What a shard, or a sum of shards, says since the start. Any thread. */
void series_counts_of(const struct metrics *m, struct series_counts *ret);

void series_counts_add(struct series_counts *sum, const struct series_counts *more);

/* What came between two sums of the same counters. */
struct series_counts series_counts_since(const struct series_counts *now,
                                         const struct series_counts *before);

bool series_counts_empty(const struct series_counts *counts);

/* The time in ms below which `permille` of them had their first token; false: there is none. */
bool series_quantile(const struct series_counts *counts, uint32_t permille, uint64_t *ret_ms);

/* What is kept, in steps of a minute, an hour, a day. */
enum series_grain {
    SERIES_MINUTES,
    SERIES_HOURS,
    SERIES_DAYS,
    SERIES_GRAINS,
};

int64_t series_grain_s(enum series_grain grain);

/* The beginning of the step that `at_s` is in. */
int64_t series_floor(int64_t at_s, int64_t step_s);

struct series_range {
    str name; // "1h"
    int64_t step_s;
    size_t n_steps;
    enum series_grain grain; // what it is made of
    enum series_grain tops;  // and what its most frequent names are made of
};

/* NULL: there is none of this name. */
const struct series_range *series_range_find(str name);

enum { SERIES_STEPS_MAX = 720 };

struct series {
    const struct series_range *range;
    int64_t start_s;             // of the first step; the last one is under way
    struct series_counts *steps; // range->n_steps; owned
};

void series_init(struct series *s, const struct series_range *range, int64_t now_s);
void series_release(struct series *s);

/* Adds to the step that `at_s` is in, if it is in the range. */
void series_add(struct series *s, int64_t at_s, const struct series_counts *counts);

#endif
