/*
 * feed - what the admin page shows of traffic: series, most frequent names, what moves by itself
 *
 * Workers count into their shards (metrics.h) and note names in a tally of their own; nothing else
 * is paid on the hot path. Once a second the store's thread adds it all up, and once a minute it
 * writes the difference down. A minute that the disk does not take waits, with those after it; when
 * FEED_MINUTES_MAX wait, further ones are added to the last of them: nothing of the counts is lost,
 * only in which minute they were.
 *
 * Threads: feed_note_…() a worker's own; new and free the main thread's; what says "in a job" is
 *          for jobs of the store; the rest any.
 */
#ifndef APP_FEED_H
#define APP_FEED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/keypool.h"
#include "core/problems.h"
#include "core/series.h"
#include "core/tally.h"

struct feed;
struct keeper;
struct program;

enum {
    FEED_MINUTES_MAX = 120, // that wait for the store
    FEED_WINDOW_S = 300,    // what errors are judged by
    FEED_RATE_S = 5,        // what "a second" is averaged over
};

/* ---- what a worker notes ---- */

/* A worker's tally; the lock is wanted by nobody else but once a second. */
struct feed_shard {
    pthread_mutex_t mutex;
    struct tally *tally;
};

void feed_shard_init(struct feed_shard *shard);
void feed_shard_release(struct feed_shard *shard);

/* A request of OpenAI's routes has ended: `model` may be empty; `end` is the access log's word. */
struct feed_request {
    str model;
    int status;
    const char *end;
    bool failed;
    uint64_t tokens;
};

void feed_note_request(struct feed_shard *shard, const struct feed_request *request);

/* An attempt at a host has ended. */
void feed_note_attempt(struct feed_shard *shard, uint32_t host, bool failed);

/* ---- the whole ---- */

/* `program` has its workers by the time the keeper starts. Tells the keeper to call it. */
struct feed *feed_new(struct program *program, struct keeper *keeper);

/* Accepts NULL. After the keeper has stopped. */
void feed_free(struct feed *f);

/* ---- in a job ---- */

/*
 * Adds up a range of time: `s` is initialised, and to be released. The tallies' rows go to `names`
 * (of the caller's making).
 */
MUST_CHECK enum err feed_read(struct feed *f, const struct series_range *range, struct series *s,
                              struct tally *names, struct err_info *info);

/* Since when there is no problem, wall clock; 0: there is one. As of the last feed_facts(), which
 * is at most a second ago. */
int64_t feed_well_since(const struct feed *f);

/* What problems are told from, and notes whether there are any. The text in it lives until the job
 * ends. */
void feed_facts(struct feed *f, struct problem_facts *ret);

/* ---- now ---- */

struct feed_now {
    uint64_t requests; // since the start
    uint64_t errors;
    uint64_t streams;
    uint64_t connections;
    double per_second;
    uint64_t window_requests; // of the last FEED_WINDOW_S
    uint64_t window_errors;
    uint64_t by_state[KEY_STATES];
    uint64_t version; // of the pool
};

/* Adds up the shards; the states of the keys are counted anew only when one of them has changed. */
void feed_now(struct feed *f, struct feed_now *ret);

#endif
