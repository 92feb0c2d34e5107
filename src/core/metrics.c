#include "core/metrics.h"

#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

// Three a decade, and those that timeouts end at: REQUEST_TIMEOUT's default is 300 s.
const uint32_t METRICS_BOUNDS_MS[METRICS_BUCKETS - 1] = {
    1,    2,    5,    10,   20,   50,    100,   200,   300,   500,    750,    1000,
    1500, 2000, 3000, 5000, 7500, 10000, 20000, 30000, 60000, 120000, 300000,
};

// Every status that this program sends; see openai_error.c and the admin side.
static const int STATUSES[METRICS_STATUSES - 1] = {
    200, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 413,
    414, 417, 429, 431, 499, 500, 501, 502, 503, 504, 507, 508,
};

static const char *const ENDS[METRICS_ENDS] = {"sent", "caller_gone", "caller_stalled", "cut"};

static size_t place_of_status(int status)
{
    for (size_t i = 0; i < COUNT_OF(STATUSES) && STATUSES[i] != 0; i++) {
        if (STATUSES[i] == status)
            return i;
    }
    return METRICS_STATUSES - 1;
}

int metrics_status(size_t i)
{
    return i < COUNT_OF(STATUSES) ? STATUSES[i] : 0;
}

const char *metrics_end_name(enum metrics_end end)
{
    return ENDS[end];
}

static void note_time(struct metrics_times *times, uint64_t ms)
{
    size_t i = 0;
    while (i < METRICS_BUCKETS - 1 && ms > METRICS_BOUNDS_MS[i])
        i++;
    metrics_count_add(&times->buckets[i], 1);
    metrics_count_add(&times->sum_ms, ms);
}

void metrics_request(struct metrics *m, enum route route, int status, enum metrics_end end,
                     uint64_t first_ms, uint64_t whole_ms)
{
    metrics_count_add(&m->requests[route][place_of_status(status)][end], 1);
    if (first_ms != UINT64_MAX)
        note_time(&m->first[route], first_ms);
    note_time(&m->whole[route], whole_ms);
}

/* The place of a verdict, which is taken if it is new; NULL if there is none left. */
static struct metrics_verdict *find_verdict(struct metrics *m, const char *name)
{
    for (size_t i = 0; i < METRICS_VERDICTS_MAX; i++) {
        struct metrics_verdict *v = &m->verdicts[i];
        const char *there = atomic_load_explicit(&v->name, memory_order_relaxed);
        if (there == NULL)
            atomic_store_explicit(&v->name, name, memory_order_release);
        if (there == NULL || there == name || str_eq(str_z(there), str_z(name)))
            return v;
    }
    return NULL;
}

void metrics_attempt(struct metrics *m, const char *verdict)
{
    struct metrics_verdict *v = find_verdict(m, verdict);
    if (v != NULL)
        metrics_count_add(&v->attempts, 1);
}

static void add_count(metrics_count *sum, const metrics_count *from)
{
    metrics_count_add(sum, atomic_load_explicit(from, memory_order_relaxed));
}

static void add_times(struct metrics_times *sum, const struct metrics_times *from)
{
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        add_count(&sum->buckets[i], &from->buckets[i]);
    add_count(&sum->sum_ms, &from->sum_ms);
}

void metrics_add(struct metrics *sum, const struct metrics *from)
{
    for (size_t route = 0; route < ROUTE_COUNT; route++) {
        for (size_t i = 0; i < METRICS_STATUSES; i++) {
            for (size_t end = 0; end < METRICS_ENDS; end++)
                add_count(&sum->requests[route][i][end], &from->requests[route][i][end]);
        }
        add_times(&sum->first[route], &from->first[route]);
        add_times(&sum->whole[route], &from->whole[route]);
    }
    add_count(&sum->prompt_tokens, &from->prompt_tokens);
    add_count(&sum->answer_tokens, &from->answer_tokens);
    add_count(&sum->open_requests, &from->open_requests);
    add_count(&sum->open_streams, &from->open_streams);
    add_count(&sum->served, &from->served);
    add_count(&sum->failed, &from->failed);
    for (size_t i = 0; i < METRICS_VERDICTS_MAX; i++) {
        const char *name = atomic_load_explicit(&from->verdicts[i].name, memory_order_acquire);
        if (name == NULL)
            break;
        struct metrics_verdict *v = find_verdict(sum, name);
        if (v != NULL)
            add_count(&v->attempts, &from->verdicts[i].attempts);
    }
}

uint64_t metrics_quantile_ms(const struct metrics_times *times, uint32_t permille)
{
    uint64_t total = 0;
    for (size_t i = 0; i < METRICS_BUCKETS; i++)
        total += times->buckets[i];
    uint64_t rank = (total * permille + 999) / 1000; // of the one that is looked for, from 1
    uint64_t below = 0;
    for (size_t i = 0; i < METRICS_BUCKETS - 1; i++) {
        uint64_t here = times->buckets[i];
        if (here > 0 && below + here >= rank) {
            // As if those of a bucket were spread evenly over it.
            uint64_t low = i > 0 ? METRICS_BOUNDS_MS[i - 1] : 0;
            return low + (METRICS_BOUNDS_MS[i] - low) * (rank - below) / here;
        }
        below += here;
    }
    return total > 0 ? METRICS_BOUNDS_MS[METRICS_BUCKETS - 2] : 0;
}
