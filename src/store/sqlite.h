/*
 * sqlite - the library in few words: one connection, prepared statements, our errors
 *
 * Opened with what keeps data through crashes: a write-ahead log that is synced at each commit,
 * and an exclusive lock, which keeps a second process out and the log's index in our memory.
 *
 * A failure is one of ours, with a sentence that names the file and ends with the library's words:
 *
 *   ERR_IN_USE  another process has it open
 *   ERR_FULL    no room on the disk, a quota or a limit of file sizes
 *   ERR_SYNTAX  the file is damaged, or no database
 *   ERR_SYSTEM  anything else
 *
 * Threads: owned by one at a time.
 */
#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct sqlite;
struct sqlite_stmt;

/* Opens a file that is there (it may be empty), without reading it yet. */
MUST_CHECK enum err sqlite_open(const char *path, struct sqlite **ret, struct err_info *info);

/*
 * Whether the write-ahead log beside the file is another one's, which happens when a copy was put
 * in the place of a database that was not closed. The library would play it into the copy. Before
 * sqlite_open().
 */
bool sqlite_log_is_foreign(const char *path);

/*
 * Whether the file is no database, or one of another application than this. False where only the
 * log beside it could tell. Before sqlite_open().
 */
bool sqlite_is_foreign(const char *path, uint32_t application);

/* Accepts NULL. All statements must be gone. */
void sqlite_close(struct sqlite *db);

/*
 * Takes the lock for good and turns the write-ahead log on: the first call that writes. In a file
 * that `is_new` nothing can be lost yet, so the first transaction, which makes the tables, syncs
 * nothing; see sqlite_settle().
 */
MUST_CHECK enum err sqlite_use_wal(struct sqlite *db, bool is_new, struct err_info *info);

/*
 * Syncs a database that was made: two files and the folder, which may take a while. Without it the
 * next transaction does so first.
 */
MUST_CHECK enum err sqlite_settle(struct sqlite *db, struct err_info *info);

/* Runs constant statements that answer nothing. */
MUST_CHECK enum err sqlite_exec(struct sqlite *db, const char *sql, struct err_info *info);

/* Runs a constant statement that answers one number. */
MUST_CHECK enum err sqlite_ask(struct sqlite *db, const char *sql, int64_t *ret,
                               struct err_info *info);

/*
 * Looks through all pages; ERR_SYNTAX when they do not fit together. A `whole` check also holds
 * each index against its table, and takes several times as long.
 */
MUST_CHECK enum err sqlite_check(struct sqlite *db, bool whole, struct err_info *info);

/* Copies the whole into the empty file `path`. */
MUST_CHECK enum err sqlite_copy_to(struct sqlite *db, const char *path, struct err_info *info);

/* ---- transactions; a rollback without one does nothing ---- */

MUST_CHECK enum err sqlite_begin(struct sqlite *db, struct err_info *info);
MUST_CHECK enum err sqlite_commit(struct sqlite *db, struct err_info *info);
void sqlite_rollback(struct sqlite *db);

/* Commits if `e` is ERR_OK, else rolls back; what went wrong first is returned. */
MUST_CHECK enum err sqlite_end(struct sqlite *db, enum err e, struct err_info *info);

/* ---- statements: prepare once; bind, step or run, again ---- */

MUST_CHECK enum err sqlite_prepare(struct sqlite *db, const char *sql, struct sqlite_stmt **ret,
                                   struct err_info *info);
void sqlite_finalize(struct sqlite_stmt *st); // accepts NULL

/* Parameters count from 1. Text and blobs are borrowed until the statement is reset. */
void sqlite_bind_int(struct sqlite_stmt *st, int at, int64_t value);
void sqlite_bind_text(struct sqlite_stmt *st, int at, str text);
void sqlite_bind_blob(struct sqlite_stmt *st, int at, str bytes);

/* The next row, or none; a failure resets. */
MUST_CHECK enum err sqlite_step(struct sqlite_stmt *st, bool *ret_row, struct err_info *info);

/* Runs a statement without rows and resets it; `*ret_changed` (or NULL) rows were changed. */
MUST_CHECK enum err sqlite_run(struct sqlite_stmt *st, int64_t *ret_changed, struct err_info *info);

/* Makes it ready for the next run and forgets what was bound. */
void sqlite_reset(struct sqlite_stmt *st);

/* Columns count from 0; strings live until the next step. */
bool sqlite_is_null(struct sqlite_stmt *st, int at);
int64_t sqlite_int(struct sqlite_stmt *st, int at);
str sqlite_text(struct sqlite_stmt *st, int at);
str sqlite_blob(struct sqlite_stmt *st, int at);

#endif
