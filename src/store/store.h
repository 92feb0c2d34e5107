/*
 * store - the only writer of disk: keys, their states, counters by day
 *
 * One file in DATA_DIR, one connection, one thread of its own. Whoever wants something of it posts
 * a job, which runs on that thread, in order, and calls the functions below; a job that answers
 * somebody posts the answer back to that one's loop. What a function with "durable" in its
 * comment has returned ERR_OK for survives kill -9 and a loss of power.
 *
 * Secrets are encrypted with the key in KEY_FILE (see vault.h); nothing else of the file is.
 *
 * Threads: store_post() any; all else on the store thread (in jobs), or before store_start() and
 *          after store_stop() by the one who opened it.
 * Errors:  ERR_FULL the disk is full, and nothing of the call was done; ERR_SYSTEM any other fault
 *          of the disk; `info` says in a sentence what.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "core/keypool.h"
#include "core/series.h"
#include "core/tally.h"
#include "core/throttle.h"

struct store;

#define STORE_FILE "ollama2openai.db" // in DATA_DIR

struct store_options {
    str dir;      // DATA_DIR; made (0700) if it is not there
    str key_file; // KEY_FILE; made (0600) if neither it nor the database is there
};

/*
 * Opens or makes the database: locks it, checks it, brings its schema up to date.
 *
 * ERR_IN_USE  another process has it open
 * ERR_SYNTAX  it is damaged, not ours, of a newer version, or the key file is not its own: `info`
 *             says what to do. Nothing was changed.
 * ERR_SYSTEM  it cannot be read or made
 */
MUST_CHECK enum err store_open(const struct store_options *options, struct store **ret,
                               struct err_info *info);

/* Accepts NULL. After store_stop(), if it was started. */
void store_close(struct store *s);

/* Whether no key was ever added: a first start, or one that did not come far. */
bool store_is_new(const struct store *s);

/* The path of the database; lives as long as the store. */
const char *store_path(const struct store *s);

typedef void store_job_fn(struct store *s, void *arg);

/* What the thread runs between jobs, again and again. */
struct store_tick {
    uint32_t interval_ms;
    store_job_fn *fn; // NULL: nothing
    void *arg;
};

MUST_CHECK enum err store_start(struct store *s, const struct store_tick *tick,
                                struct err_info *info);

enum { STORE_JOBS_MAX = 1024 };

/*
 * Runs `fn` on the store thread after all that was posted before. Never blocks. False: there are
 * STORE_JOBS_MAX waiting, and the job was not taken.
 */
MUST_CHECK bool store_post(struct store *s, store_job_fn *fn, void *arg);

/* Jobs that wait. Any thread. */
size_t store_queue_length(struct store *s);

/* Runs what was posted, then ends the thread; what is posted from here on is not taken. */
void store_stop(struct store *s);

/* ---- keys ---- */

/* How many there are. */
MUST_CHECK enum err store_count_keys(struct store *s, uint64_t *ret, struct err_info *info);

/* Reads all keys, oldest first; strings live until `fn` returns. */
MUST_CHECK enum err store_read_keys(struct store *s,
                                    void (*fn)(void *arg, const struct key_spec *key), void *arg,
                                    struct err_info *info);

#define STORE_NEW_BATCH UINT64_MAX

/*
 * Adds keys, with the lives they bring, and sets their ids, all or none. Durable. Ids ascend and
 * are never given twice. As a batch (a new one, or one that is there; 0: none) the keys can be
 * found again by the first one's id, which is how an import is taken back.
 */
MUST_CHECK enum err store_add_keys(struct store *s, struct key_spec *keys, size_t n, uint64_t batch,
                                   struct err_info *info);

/* Tells the ids of what is left of a batch, in order. */
MUST_CHECK enum err store_read_batch(struct store *s, uint64_t batch,
                                     void (*fn)(void *arg, uint64_t id), void *arg,
                                     struct err_info *info);

/* The import (a batch) that was begun last. */
struct store_import {
    uint64_t batch; // 0: there was none
    int64_t at_ms;  // wall clock
    uint64_t count; // keys that it has added, in all its pieces
    uint64_t left;  // those of them that are still there
};

/* Tells it; counts what is left only when keys came or went since the last time. */
MUST_CHECK enum err store_last_import(struct store *s, struct store_import *ret,
                                      struct err_info *info);

/* Takes keys away with all that is stored of them. Durable. */
MUST_CHECK enum err store_delete_keys(struct store *s, const uint64_t *ids, size_t n,
                                      struct err_info *info);

/* Durable. */
MUST_CHECK enum err store_set_enabled(struct store *s, const uint64_t *ids, size_t n, bool enabled,
                                      struct err_info *info);
MUST_CHECK enum err store_set_name(struct store *s, uint64_t id, str name, struct err_info *info);

/* One key's life as it is now, and what was counted since the last time. */
struct store_flush {
    uint64_t id;
    struct key_life life; // strings borrowed
    uint64_t success;
    uint64_t fail;
    uint64_t tokens;
};

/*
 * Writes lives, and adds the counts to the day `day` (days since 1970-01-01 UTC), all or none. Keys
 * that are gone are passed over.
 */
MUST_CHECK enum err store_write_lives(struct store *s, const struct store_flush *flushes, size_t n,
                                      int64_t day, struct err_info *info);

/* ---- what models refuse ---- */

/* What is to be stored of the refusals of some keys. */
struct store_refusals {
    bool forget;         // those of all keys, before anything else
    const uint64_t *ids; // keys whose rows are replaced
    size_t n_ids;
    const struct key_refusal *refusals; // theirs
    size_t n;
};

/* Writes them, all or none. Keys that are gone are passed over. */
MUST_CHECK enum err store_write_refusals(struct store *s, const struct store_refusals *all,
                                         struct err_info *info);

/* Reads all. */
MUST_CHECK enum err store_read_refusals(struct store *s,
                                        void (*fn)(void *arg, const struct key_refusal *r),
                                        void *arg, struct err_info *info);

/* ---- counters by day ---- */

enum {
    STORE_DAYS_KEPT = 30,
    STORE_DAY_KEYS_MAX = 1000, // read of one day: the busiest
    STORE_MOVES_KEPT = 50,     // of one key, or of one host
};

struct store_day_row {
    int64_t day;
    uint64_t key_id;
    uint64_t success;
    uint64_t fail;
    uint64_t tokens;
};

/* Reads the days from `first_day` on, of one key or (0) of all, by day and traffic. */
MUST_CHECK enum err store_read_days(struct store *s, int64_t first_day, uint64_t key_id,
                                    void (*fn)(void *arg, const struct store_day_row *row),
                                    void *arg, struct err_info *info);

/* ---- history of states ---- */

/* Adds moves, oldest first, all or none. */
MUST_CHECK enum err store_write_moves(struct store *s, const struct key_move *moves, size_t n,
                                      struct err_info *info);

/*
 * Reads the moves of a key, newest first, or (key_id 0) those of the host `host`. Strings live
 * until `fn` returns; `host` is empty in those of a key.
 */
MUST_CHECK enum err store_read_moves(struct store *s, uint64_t key_id, str host,
                                     void (*fn)(void *arg, const struct key_move *move), void *arg,
                                     struct err_info *info);

/* Reads the last move of each host, as that does. */
MUST_CHECK enum err store_read_last_host_moves(struct store *s,
                                               void (*fn)(void *arg, const struct key_move *move),
                                               void *arg, struct err_info *info);

/* ---- what was counted, by time ---- */

enum {
    STORE_MINUTES_KEPT_S = 2 * 86400,
    STORE_HOURS_KEPT_S = 31 * 86400,
    STORE_SERIES_DAYS_KEPT_S = 400 * 86400,
    STORE_MINUTE_TOPS_KEPT_S = 2 * 3600, // names; those of hours as long as the hours
    STORE_TOPS_MAX = 50,                 // names of one kind in one step; the rest is one row
};

/*
 * Adds what was counted in the minute that begins at `at_s`, and the names there was most of, to
 * that minute, its hour and its day: all or none.
 */
MUST_CHECK enum err store_add_series(struct store *s, int64_t at_s,
                                     const struct series_counts *counts,
                                     const struct tally_row *rows, size_t n, struct err_info *info);

/* Reads the steps from `from_s` on, in order; there is none where nothing was counted. */
MUST_CHECK enum err store_read_series(struct store *s, enum series_grain grain, int64_t from_s,
                                      void (*fn)(void *arg, int64_t at_s,
                                                 const struct series_counts *counts),
                                      void *arg, struct err_info *info);

/* Which names to read. */
struct store_tops {
    enum series_grain grain; // SERIES_MINUTES or SERIES_HOURS
    int64_t from_s;
    enum tally_kind kind;
    size_t max;
};

typedef void store_tally_fn(void *arg, const struct tally_row *row);

/*
 * Reads the names of a kind with the most requests since `from_s`, at most `max`, most first; the
 * row of all others has its place among them.
 */
MUST_CHECK enum err store_read_tops(struct store *s, const struct store_tops *which,
                                    store_tally_fn *fn, void *arg, struct err_info *info);

/* Forgets what is older than is kept; once an hour is enough. */
MUST_CHECK enum err store_trim_series(struct store *s, int64_t now_s, struct err_info *info);

/* ---- tries of passwords ---- */

/* Puts these in the place of those that are there, all or none. Durable. */
MUST_CHECK enum err store_write_tries(struct store *s, const struct throttle_row *rows, size_t n,
                                      struct err_info *info);

/* Reads at most THROTTLE_ROWS_MAX. */
MUST_CHECK enum err store_read_tries(struct store *s,
                                     void (*fn)(void *arg, const struct throttle_row *row),
                                     void *arg, struct err_info *info);

/* ---- the whole ---- */

/*
 * Forgets days and moves that are older than STORE_DAYS_KEPT days, and refusals that ended a day
 * ago; once a day is enough.
 */
MUST_CHECK enum err store_trim(struct store *s, int64_t now_wall_ms, struct err_info *info);

/* Looks whether the file is sound; once a day is enough. ERR_SYNTAX: it is damaged. */
MUST_CHECK enum err store_check(struct store *s, struct err_info *info);

/* What the names of copies in DATA_DIR begin and end with; the next start removes such files. */
#define STORE_COPY_HEAD "backup-"
#define STORE_COPY_TAIL ".tmp"

/* Writes a consistent copy into the new file `path`, mode 0600; nothing is left of a failed one. */
MUST_CHECK enum err store_backup(struct store *s, const char *path, struct err_info *info);

#endif
