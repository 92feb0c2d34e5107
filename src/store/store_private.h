/*
 * store_private - the inside of a store, for the .c files of this layer
 */
#ifndef STORE_STORE_PRIVATE_H
#define STORE_STORE_PRIVATE_H

#include <pthread.h>

#include "store/sqlite.h"
#include "store/store.h"
#include "store/vault.h"

/* Every statement there is; the SQL is in store_sql.c. */
// clang-format off
#define STORE_STATEMENTS(X) \
    X(SET_NEXT_ID) X(SET_IMPORT) X(ADD_KEY) X(READ_KEYS) X(READ_BATCH) X(DELETE_KEY) X(DELETE_KEY_DAY) \
    X(DELETE_KEY_MOVES) X(SET_ENABLED) X(SET_NAME) X(WRITE_LIFE) X(WRITE_DAY) X(LIST_DAYS) \
    X(READ_DAYS) X(READ_KEY_DAYS) X(TRIM_DAYS) X(WRITE_MOVE) X(TRIM_MOVES_OF) X(READ_MOVES) X(READ_LAST_HOST_MOVES) \
    X(TRIM_MOVES) X(READ_SERIES_STEP) X(WRITE_SERIES) X(READ_SERIES) X(TRIM_SERIES) X(WRITE_TOP) \
    X(FOLD_TOPS) X(DROP_FOLDED) X(READ_TOPS) X(TRIM_TOPS) \
    X(DELETE_TRIES) X(WRITE_TRY) X(READ_TRIES) \
    X(FORGET_REFUSALS) X(DELETE_REFUSALS) X(WRITE_REFUSAL) X(READ_REFUSALS) X(TRIM_REFUSALS)
// clang-format on

enum store_statement {
#define X(name) SQL_##name,
    STORE_STATEMENTS(X)
#undef X
        SQL_STATEMENTS,
};

struct store_job {
    struct store_job *next;
    store_job_fn *fn;
    void *arg;
};

struct store {
    // the store thread's, or its owner's while there is none
    struct sqlite *db;
    struct vault *vault;
    struct sqlite_stmt *statements[SQL_STATEMENTS];
    char *path;
    bool is_new;
    uint64_t next_id; // the first id that was never given
    struct store_import import;
    bool import_counted; // its `left` is right

    // read-only once started
    struct store_tick tick;
    pthread_t thread;
    bool started;

    // under the mutex
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct store_job *first;
    struct store_job **last;
    size_t n_jobs;
    bool stopping;
};

/* Prepares all statements, which tells whether the tables are as they should be. */
MUST_CHECK enum err store_prepare(struct store *s, struct err_info *info);

/* What is written beside the row of a life; in a transaction of the caller's. */
MUST_CHECK enum err store_write_life(struct store *s, uint64_t id, const struct key_life *life,
                                     bool *ret_there, struct err_info *info);

/* Adds to the sentence of an ERR_SYNTAX what a person can do about such a file; returns `e`. */
enum err store_advise(enum err e, struct err_info *info);

#endif
