/*
 * metrics - what a worker counts: requests, times, tokens, attempts
 *
 * Each worker has a shard that it alone writes, with plain stores: nothing is locked, and no line
 * of memory is shared on the hot path. Whoever reads sums the shards; a sum is at most as old as
 * the reading takes.
 *
 * Threads: the writing functions, the shard's worker; metrics_add(), any.
 * Time:    ms.
 */
#ifndef CORE_METRICS_H
#define CORE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/target.h"

/* How a request ended. */
enum metrics_end {
    METRICS_SENT,
    METRICS_CALLER_GONE,
    METRICS_CALLER_STALLED,
    METRICS_CUT,
    METRICS_ENDS,
};

enum {
    METRICS_STATUSES = 32, // METRICS_STATUS_LIST and one for all others
    METRICS_BUCKETS = 24,  // with the one that has no bound
    METRICS_VERDICTS_MAX = 32,
};

/* What durations are sorted into: at most so many ms, the last without a bound. */
extern const uint32_t METRICS_BOUNDS_MS[METRICS_BUCKETS - 1];

typedef _Atomic uint64_t metrics_count;

struct metrics_times {
    metrics_count buckets[METRICS_BUCKETS]; // each counts its own, not those below it too
    metrics_count sum_ms;
};

struct metrics_verdict {
    _Atomic(const char *) name; // static; NULL: the end
    metrics_count attempts;
};

/* A shard; begins as zeroes. */
struct metrics {
    metrics_count requests[ROUTE_COUNT][METRICS_STATUSES][METRICS_ENDS];
    struct metrics_times first[ROUTE_COUNT]; // to the first token, or byte of the answer
    struct metrics_times whole[ROUTE_COUNT];
    metrics_count prompt_tokens;
    metrics_count answer_tokens;
    metrics_count open_requests;
    metrics_count open_streams;
    metrics_count served; // requests of OpenAI's routes that have ended
    metrics_count failed; // those of them that are shown as errors
    struct metrics_verdict verdicts[METRICS_VERDICTS_MAX];
};

/* Adds to a count that only the calling thread writes. */
static inline void metrics_count_add(metrics_count *count, uint64_t n)
{
    uint64_t old = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, old + n, memory_order_relaxed);
}

/* Counts a request that has ended; first_ms UINT64_MAX: nothing was sent. */
void metrics_request(struct metrics *m, enum route route, int status, enum metrics_end end,
                     uint64_t first_ms, uint64_t whole_ms);

/* Counts an attempt at an upstream by how it went: "ok", or a verdict's name (static). */
void metrics_attempt(struct metrics *m, const char *verdict);

/* Adds what `from` has to `sum`, which no other thread uses. */
void metrics_add(struct metrics *sum, const struct metrics *from);

/* The status that place `i` of METRICS_STATUSES counts; 0: any other. */
int metrics_status(size_t i);

/* "sent", "caller_gone", …: static. */
const char *metrics_end_name(enum metrics_end end);

/*
 * The time in ms below which `permille` of what was counted is, from the buckets; 0 when nothing
 * was counted.
 */
uint64_t metrics_quantile_ms(const struct metrics_times *times, uint32_t permille);

#endif
