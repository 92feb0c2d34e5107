#include "app/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/keeper.h"
#include "app/worker.h"
#include "base/clock.h"
#include "base/xalloc.h"

enum {
    SHARD_NAMES = 64, // of each kind, of one worker in one second
    MINUTE_NAMES = 512,
    MINUTE_ROWS = TALLY_KINDS * (STORE_TOPS_MAX + 1),
};

/* What was counted in a minute, and is not written down yet. */
struct minute {
    int64_t at_s;
    struct series_counts counts;
    struct tally *names;
};

struct sample {
    uint64_t at_ms;
    uint64_t requests;
    uint64_t errors;
};

struct feed {
    struct program *program;

    // the store thread's
    struct tally *spare;       // changes places with a worker's
    struct series_counts last; // the counters as they were when they were read last
    struct minute *minutes[FEED_MINUTES_MAX + 1]; // oldest first; the last one is under way
    size_t n_minutes;
    int64_t trimmed_s;
    int64_t well_since_ms;

    // under the mutex
    pthread_mutex_t mutex;
    struct sample samples[FEED_WINDOW_S + 1]; // one a second, in a ring
    size_t n_samples;                         // ever taken
    uint64_t by_state[KEY_STATES];
    uint64_t version; // of the pool, when its states were counted
    bool counted;
};

/* ---- what a worker notes ---- */

void feed_shard_init(struct feed_shard *shard)
{
    pthread_mutex_init(&shard->mutex, NULL);
    shard->tally = tally_new(SHARD_NAMES);
}

void feed_shard_release(struct feed_shard *shard)
{
    if (shard->tally == NULL)
        return;
    tally_free(shard->tally);
    pthread_mutex_destroy(&shard->mutex);
}

static void note(struct feed_shard *shard, const struct tally_row *row)
{
    pthread_mutex_lock(&shard->mutex);
    tally_add(shard->tally, row);
    pthread_mutex_unlock(&shard->mutex);
}

void feed_note_request(struct feed_shard *shard, const struct feed_request *request)
{
    struct tally_row row = {.kind = TALLY_MODELS,
                            .name = request->model,
                            .requests = 1,
                            .errors = request->failed,
                            .tokens = request->tokens};
    if (request->model.len > 0)
        note(shard, &row);
    if (request->failed) {
        char text[64];
        int n = snprintf(text, sizeof(text), "%d %.50s", request->status, request->end);
        row = (struct tally_row){
            .kind = TALLY_ERRORS, .name = str_of(text, (size_t)n), .requests = 1, .errors = 1};
        note(shard, &row);
    }
}

/* The host is noted by its number; the store's thread looks its name up. */
void feed_note_attempt(struct feed_shard *shard, uint32_t host, bool failed)
{
    struct tally_row row = {.kind = TALLY_HOSTS,
                            .name = str_of((const char *)&host, sizeof(host)),
                            .requests = 1,
                            .errors = failed};
    note(shard, &row);
}

/* ---- adding up, on the store's thread ---- */

static struct minute *minute_new(int64_t at_s)
{
    struct minute *m = xcalloc(1, sizeof(*m));
    m->at_s = at_s;
    m->names = tally_new(MINUTE_NAMES);
    return m;
}

static void minute_free(struct minute *m)
{
    tally_free(m->names);
    free(m);
}

static struct minute *under_way(struct feed *f)
{
    return f->minutes[f->n_minutes - 1];
}

struct host_name {
    uint32_t host;
    str name;
    struct minute *minute;
    const struct tally_row *row;
};

static void add_host(void *arg, const struct host_view *view)
{
    struct host_name *h = arg;
    if (view->host == h->host)
        h->name = view->base_url;
    else
        return;
    struct tally_row row = *h->row;
    row.name = view->base_url;
    tally_add(h->minute->names, &row);
}

struct taking {
    struct feed *feed;
    struct minute *minute;
};

static void take_row(void *arg, const struct tally_row *row)
{
    const struct taking *t = arg;
    if (row->kind != TALLY_HOSTS || row->name.len == 0) {
        tally_add(t->minute->names, row);
        return;
    }
    struct host_name h = {.minute = t->minute, .row = row};
    memcpy(&h.host, row->name.p, sizeof(h.host));
    (void)keypool_walk_hosts(t->feed->program->keypool, h.host, 1, clock_mono_ms(), add_host, &h);
    if (h.name.p == NULL) { // its keys were deleted meanwhile
        struct tally_row rest = *row;
        rest.name = (str){0};
        tally_add(t->minute->names, &rest);
    }
}

static void take_names(struct feed *f, struct minute *m)
{
    struct taking taking = {.feed = f, .minute = m};
    for (size_t i = 0; i < f->program->n_workers; i++) {
        struct feed_shard *shard = &f->program->workers[i]->feed;
        pthread_mutex_lock(&shard->mutex);
        struct tally *taken = shard->tally;
        shard->tally = f->spare;
        pthread_mutex_unlock(&shard->mutex);
        tally_walk(taken, take_row, &taking);
        tally_clear(taken);
        f->spare = taken;
    }
}

static void sum_shards(const struct program *program, struct series_counts *ret)
{
    *ret = (struct series_counts){.requests = 0};
    for (size_t i = 0; i < program->n_workers; i++) {
        struct series_counts shard;
        series_counts_of(&program->workers[i]->metrics, &shard);
        series_counts_add(ret, &shard);
    }
}

static void add_sample(struct feed *f)
{
    pthread_mutex_lock(&f->mutex);
    f->samples[f->n_samples++ % COUNT_OF(f->samples)] = (struct sample){
        .at_ms = clock_mono_ms(), .requests = f->last.requests, .errors = f->last.errors};
    pthread_mutex_unlock(&f->mutex);
}

/* Adds what was counted since the last time to the minute under way. */
static void take_counts(struct feed *f)
{
    struct minute *m = under_way(f);
    struct series_counts now;
    sum_shards(f->program, &now);
    struct series_counts since = series_counts_since(&now, &f->last);
    series_counts_add(&m->counts, &since);
    f->last = now;
    take_names(f, m);
}

/* Begins the minute that it is now, if there is room; a clock that is set back begins one too. */
static void turn(struct feed *f)
{
    int64_t at_s = series_floor(clock_wall_ms() / 1000, 60);
    if (under_way(f)->at_s == at_s || f->n_minutes > FEED_MINUTES_MAX)
        return;
    f->minutes[f->n_minutes++] = minute_new(at_s);
}

/* ---- writing down ---- */

/* The rows that are kept of a minute; their number. */
static size_t rows_of(const struct minute *m, struct tally_row rows[MINUTE_ROWS])
{
    size_t n = 0;
    for (size_t kind = 0; kind < TALLY_KINDS; kind++) {
        struct tally_row rest;
        n += tally_top(m->names, (enum tally_kind)kind, STORE_TOPS_MAX, rows + n, &rest);
        if (rest.requests > 0)
            rows[n++] = (struct tally_row){.kind = (enum tally_kind)kind,
                                           .requests = rest.requests,
                                           .errors = rest.errors,
                                           .tokens = rest.tokens};
    }
    return n;
}

static enum err write_minute(struct feed *f, const struct minute *m, struct err_info *info)
{
    struct tally_row rows[MINUTE_ROWS];
    size_t n = rows_of(m, rows);
    if (n == 0 && series_counts_empty(&m->counts))
        return ERR_OK;
    return store_add_series(keeper_store(f->program->keeper), m->at_s, &m->counts, rows, n, info);
}

/* Writes the minutes that are over, with `all` the one under way too. */
static enum err write_minutes(struct feed *f, bool all, struct err_info *info)
{
    size_t over = all ? f->n_minutes : f->n_minutes - 1;
    size_t written = 0;
    enum err e = ERR_OK;
    while (e == ERR_OK && written < over) {
        e = write_minute(f, f->minutes[written], info);
        if (e == ERR_OK)
            minute_free(f->minutes[written++]);
    }
    f->n_minutes -= written;
    memmove(f->minutes, f->minutes + written, f->n_minutes * sizeof(f->minutes[0]));
    return e;
}

static enum err trim(struct feed *f, struct err_info *info)
{
    int64_t hour_s = series_floor(clock_wall_ms() / 1000, 3600);
    if (f->trimmed_s == hour_s)
        return ERR_OK;
    enum err e = store_trim_series(keeper_store(f->program->keeper), clock_wall_ms() / 1000, info);
    if (e == ERR_OK)
        f->trimmed_s = hour_s;
    return e;
}

/* What the keeper calls each second, and once more when all workers have ended. */
static enum err on_second(void *arg, bool last, struct err_info *info)
{
    struct feed *f = arg;
    struct problem_facts facts;
    take_counts(f);
    add_sample(f);
    turn(f);
    feed_facts(f, &facts);
    enum err e = write_minutes(f, last, info);
    if (e == ERR_OK && !last)
        e = trim(f, info);
    return e;
}

struct feed *feed_new(struct program *program, struct keeper *keeper)
{
    struct feed *f = xcalloc(1, sizeof(*f));
    f->program = program;
    f->spare = tally_new(SHARD_NAMES);
    f->well_since_ms = clock_wall_ms();
    pthread_mutex_init(&f->mutex, NULL);
    f->minutes[f->n_minutes++] = minute_new(series_floor(clock_wall_ms() / 1000, 60));
    add_sample(f);
    keeper_on_second(keeper, on_second, f);
    return f;
}

void feed_free(struct feed *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->n_minutes; i++)
        minute_free(f->minutes[i]);
    tally_free(f->spare);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

/* ---- reading, on the store's thread ---- */

static void add_step(void *arg, int64_t at_s, const struct series_counts *counts)
{
    series_add(arg, at_s, counts);
}

static void add_name(void *arg, const struct tally_row *row)
{
    tally_add(arg, row);
}

enum err feed_read(struct feed *f, const struct series_range *range, struct series *s,
                   struct tally *names, struct err_info *info)
{
    struct store *store = keeper_store(f->program->keeper);
    series_init(s, range, clock_wall_ms() / 1000);
    struct store_tops which = {.grain = range->tops, .max = MINUTE_NAMES};
    which.from_s = series_floor(s->start_s, series_grain_s(range->tops));
    enum err e = store_read_series(store, range->grain, s->start_s, add_step, s, info);
    for (size_t kind = 0; kind < TALLY_KINDS && e == ERR_OK; kind++) {
        which.kind = (enum tally_kind)kind;
        e = store_read_tops(store, &which, add_name, names, info);
    }
    take_counts(f);
    for (size_t i = 0; i < f->n_minutes; i++) {
        series_add(s, f->minutes[i]->at_s, &f->minutes[i]->counts);
        tally_walk(f->minutes[i]->names, add_name, names);
    }
    return e;
}

int64_t feed_well_since(const struct feed *f)
{
    return f->well_since_ms;
}

/* ---- now ---- */

/* The youngest sample that is at least so old, else the oldest there is; under the mutex. */
static const struct sample *sample_of(const struct feed *f, uint64_t now_ms, uint64_t age_ms)
{
    size_t cap = COUNT_OF(f->samples);
    size_t n = f->n_samples < cap ? f->n_samples : cap;
    const struct sample *found = &f->samples[(f->n_samples - 1) % cap]; // feed_new() took one
    for (size_t i = 2; i <= n; i++) {
        if (now_ms - found->at_ms >= age_ms)
            break;
        found = &f->samples[(f->n_samples - i) % cap];
    }
    return found;
}

static void count_states(struct feed *f)
{
    uint64_t version = keypool_version(f->program->keypool);
    struct key_summary keys;
    if (f->counted && f->version == version)
        return;
    keypool_summary(f->program->keypool, clock_mono_ms(), &keys);
    memcpy(f->by_state, keys.by_state, sizeof(f->by_state));
    f->version = version;
    f->counted = true;
}

void feed_now(struct feed *f, struct feed_now *ret)
{
    struct feed_now now = {0};
    const struct program *p = f->program;
    for (size_t i = 0; i < p->n_workers; i++) {
        now.requests += p->workers[i]->metrics.served;
        now.errors += p->workers[i]->metrics.failed;
        now.streams += p->workers[i]->metrics.open_streams;
        now.connections += server_connections(p->workers[i]->server);
    }
    uint64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&f->mutex);
    const struct sample *recent = sample_of(f, now_ms, FEED_RATE_S * UINT64_C(1000));
    uint64_t age_ms = now_ms - recent->at_ms;
    now.per_second = (double)(now.requests - recent->requests) * 1000.0 /
                     (double)(age_ms > 1000 ? age_ms : 1000);
    const struct sample *window = sample_of(f, now_ms, FEED_WINDOW_S * UINT64_C(1000));
    now.window_requests = now.requests - window->requests;
    now.window_errors = now.errors - window->errors;
    count_states(f);
    memcpy(now.by_state, f->by_state, sizeof(now.by_state));
    now.version = f->version;
    pthread_mutex_unlock(&f->mutex);
    *ret = now;
}

void feed_facts(struct feed *f, struct problem_facts *ret)
{
    struct feed_now now;
    feed_now(f, &now);
    *ret = (struct problem_facts){.store_trouble = keeper_trouble(f->program->keeper),
                                  .window_requests = now.window_requests,
                                  .window_errors = now.window_errors};
    uint64_t keys = 0;
    for (size_t i = 0; i < KEY_STATES; i++)
        keys += ret->by_state[i] = now.by_state[i];
    if (keys == 0)
        ret->fallback_failed = upstream_failed(f->program->keypool, clock_mono_ms());
    if (!problems_well(ret))
        f->well_since_ms = 0;
    else if (f->well_since_ms == 0)
        f->well_since_ms = clock_wall_ms();
}
