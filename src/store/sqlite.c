#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/xalloc.h"

#define BUSY_TIMEOUT_MS 2000

struct sqlite {
    sqlite3 *handle;
    char *path;
    bool making;    // nothing is synced yet
    bool unsettled; // made, and not synced yet
};

struct sqlite_stmt {
    sqlite3_stmt *handle;
    struct sqlite *db;
};

static bool is_full(int cause)
{
    return cause == ENOSPC || cause == EFBIG || cause == EDQUOT;
}

/*
 * ENOSPC has a code of the library's; a limit or a quota is an input/output error among others,
 * whose cause the library keeps but for a commit, where only errno knows it.
 */
static bool is_no_room(const struct sqlite *db, int rc, int last_errno)
{
    return (rc & 0xff) == SQLITE_FULL ||
           ((rc & 0xff) == SQLITE_IOERR &&
            (is_full(last_errno) || is_full(sqlite3_system_errno(db->handle))));
}

static enum err code_of(const struct sqlite *db, int rc, int last_errno)
{
    if (is_no_room(db, rc, last_errno))
        return ERR_FULL;
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_IN_USE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_SYNTAX;
    default:
        return ERR_SYSTEM;
    }
}

/* Says what the library's code means; `what` is what we wanted: "read", "write to". */
static enum err fail(const struct sqlite *db, int rc, const char *what, struct err_info *info)
{
    enum err e = code_of(db, rc, errno);
    const char *words = db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
    const char *path = db->path;
    if (e == ERR_FULL)
        err_set(info, e, "no room on the disk for '%s' (SQLite: %s)", path, words);
    else if (e == ERR_IN_USE)
        err_set(info, e, "'%s' is in use by another process (SQLite: %s)", path, words);
    else if (e == ERR_SYNTAX)
        err_set(info, e, "'%s' is damaged or no database (SQLite: %s)", path, words);
    else
        err_set(info, e, "cannot %s '%s' (SQLite: %s)", what, path, words);
    return e;
}

enum err sqlite_exec(struct sqlite *db, const char *sql, struct err_info *info)
{
    errno = 0;
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? ERR_OK : fail(db, rc, "use", info);
}

/* Settings of the connection; none of them reads the file. */
static enum err configure(struct sqlite *db, struct err_info *info)
{
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_timeout(db->handle, BUSY_TIMEOUT_MS);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return sqlite_exec(db,
                       "PRAGMA locking_mode = EXCLUSIVE;"
                       "PRAGMA synchronous = FULL;"
                       "PRAGMA foreign_keys = ON;"
                       "PRAGMA trusted_schema = OFF;"
                       "PRAGMA cell_size_check = ON;"
                       "PRAGMA mmap_size = 0;"
                       "PRAGMA secure_delete = ON;"
                       "PRAGMA temp_store = MEMORY;"
                       "PRAGMA cache_size = -16384;"           // KiB
                       "PRAGMA journal_size_limit = 8388608;", // of the log after a checkpoint
                       info);
}

enum { HEAD_BYTES = 72, VERSIONS_AT = 18, APPLICATION_AT = 68, ROLLBACK = 1 };

/* How many bytes of the header there are; 0 where it is no database. */
static size_t read_head(const char *path, unsigned char head[HEAD_BYTES])
{
    static const char magic[] = "SQLite format 3"; // with its final zero
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, head, HEAD_BYTES) : 0;
    if (fd >= 0)
        close(fd);
    return n == HEAD_BYTES && memcmp(head, magic, sizeof(magic)) == 0 ? HEAD_BYTES : 0;
}

static bool has_log(const char *path)
{
    struct stat log;
    char *log_path = NULL;
    if (asprintf(&log_path, "%s-wal", path) < 0)
        return false;
    bool there = stat(log_path, &log) == 0 && log.st_size > 0;
    free(log_path);
    return there;
}

/*
 * The header tells how the file is written. Turning the log on says so there first, and copies are
 * made without one; so a log beside a file that says it has none was never its own.
 */
bool sqlite_log_is_foreign(const char *path)
{
    unsigned char head[HEAD_BYTES];
    return read_head(path, head) > 0 && head[VERSIONS_AT] == ROLLBACK && has_log(path);
}

bool sqlite_is_foreign(const char *path, uint32_t application)
{
    unsigned char head[HEAD_BYTES];
    if (read_head(path, head) == 0)
        return true;
    const unsigned char *at = head + APPLICATION_AT;
    uint32_t found = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return found != application && !has_log(path); // which may say otherwise
}

enum err sqlite_open(const char *path, struct sqlite **ret, struct err_info *info)
{
    struct sqlite *db = xcalloc(1, sizeof(*db));
    db->path = xstrdup(path);
    int rc =
        sqlite3_open_v2(path, &db->handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    enum err e = rc == SQLITE_OK ? configure(db, info) : fail(db, rc, "open", info);
    if (e == ERR_OK && sqlite3_db_readonly(db->handle, "main") == 1)
        e = err_set(info, ERR_SYSTEM, "cannot write to '%s': it may only be read", path);
    if (e == ERR_OK)
        *ret = db;
    else
        sqlite_close(db);
    return e;
}

void sqlite_close(struct sqlite *db)
{
    if (db == NULL)
        return;
    sqlite3_close(db->handle); // accepts NULL
    free(db->path);
    free(db);
}

enum err sqlite_use_wal(struct sqlite *db, bool is_new, struct err_info *info)
{
    enum err e = ERR_OK;
    if (is_new)
        e = sqlite_exec(db, "PRAGMA synchronous = OFF", info);
    db->making = is_new;
    if (e == ERR_OK)
        e = sqlite_exec(db, "PRAGMA journal_mode = WAL", info);
    // A lock that is exclusive from here on, whatever the journal was before.
    if (e == ERR_OK)
        e = sqlite_exec(db, "BEGIN EXCLUSIVE; COMMIT", info);
    return e;
}

/* Syncs the file that the library knows as `which`. */
static enum err sync_file(struct sqlite *db, int which, struct err_info *info)
{
    sqlite3_file *file = NULL;
    errno = 0;
    int rc = sqlite3_file_control(db->handle, "main", which, &file);
    if (rc == SQLITE_OK && file != NULL && file->pMethods != NULL)
        rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    return rc == SQLITE_OK ? ERR_OK : fail(db, rc, "write to", info);
}

enum err sqlite_settle(struct sqlite *db, struct err_info *info)
{
    if (!db->unsettled)
        return ERR_OK;
    // A log beside an empty file would be thrown away, so the file is first. With the log goes the
    // folder, as always when the library has made a file there.
    enum err e = sync_file(db, SQLITE_FCNTL_FILE_POINTER, info);
    if (e == ERR_OK)
        e = sync_file(db, SQLITE_FCNTL_JOURNAL_POINTER, info);
    if (e == ERR_OK)
        e = sqlite_exec(db, "PRAGMA synchronous = FULL", info);
    db->unsettled = e != ERR_OK;
    return e;
}

enum err sqlite_ask(struct sqlite *db, const char *sql, int64_t *ret, struct err_info *info)
{
    struct sqlite_stmt *st;
    bool row = false;
    enum err e = sqlite_prepare(db, sql, &st, info);
    if (e != ERR_OK)
        return e;
    e = sqlite_step(st, &row, info);
    if (e == ERR_OK)
        *ret = row ? sqlite_int(st, 0) : 0;
    sqlite_finalize(st);
    return e;
}

/* The check says in one line in which database it is, and what is wrong in the next. */
static str fault_of(str words)
{
    str first, rest;
    str_cut(words, '\n', &first, &rest);
    return rest.len > 0 ? str_head(rest, str_find_char(rest, '\n')) : first;
}

enum err sqlite_check(struct sqlite *db, bool whole, struct err_info *info)
{
    const char *sql = whole ? "PRAGMA integrity_check(1)" : "PRAGMA quick_check(1)";
    struct sqlite_stmt *st;
    bool row = false;
    enum err e = sqlite_prepare(db, sql, &st, info);
    if (e != ERR_OK)
        return e;
    e = sqlite_step(st, &row, info);
    str words = e == ERR_OK && row ? sqlite_text(st, 0) : (str){0};
    if (e == ERR_OK && !str_eq(words, STR("ok")))
        e = err_set(info, ERR_SYNTAX, "'%s' is damaged (SQLite: %.*s)", db->path,
                    STR_ARG(fault_of(words)));
    sqlite_finalize(st);
    return e;
}

enum err sqlite_copy_to(struct sqlite *db, const char *path, struct err_info *info)
{
    struct sqlite_stmt *st;
    enum err e = sqlite_prepare(db, "VACUUM INTO ?1", &st, info);
    if (e != ERR_OK)
        return e;
    sqlite_bind_text(st, 1, str_z(path));
    e = sqlite_run(st, NULL, info);
    sqlite_finalize(st);
    return e;
}

enum err sqlite_begin(struct sqlite *db, struct err_info *info)
{
    enum err e = sqlite_settle(db, info);
    return e == ERR_OK ? sqlite_exec(db, "BEGIN IMMEDIATE", info) : e;
}

enum err sqlite_commit(struct sqlite *db, struct err_info *info)
{
    enum err e = sqlite_exec(db, "COMMIT", info);
    if (e == ERR_OK && db->making) {
        db->making = false;
        db->unsettled = true;
    }
    return e;
}

void sqlite_rollback(struct sqlite *db)
{
    // After some faults of the disk the library has rolled back already.
    if (sqlite3_get_autocommit(db->handle) == 0)
        (void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

enum err sqlite_end(struct sqlite *db, enum err e, struct err_info *info)
{
    if (e == ERR_OK)
        e = sqlite_commit(db, info);
    if (e != ERR_OK)
        sqlite_rollback(db);
    return e;
}

enum err sqlite_prepare(struct sqlite *db, const char *sql, struct sqlite_stmt **ret,
                        struct err_info *info)
{
    sqlite3_stmt *handle;
    int rc = sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);
    if (rc != SQLITE_OK)
        return fail(db, rc, "read", info);
    struct sqlite_stmt *st = xcalloc(1, sizeof(*st));
    *st = (struct sqlite_stmt){handle, db};
    *ret = st;
    return ERR_OK;
}

void sqlite_finalize(struct sqlite_stmt *st)
{
    if (st == NULL)
        return;
    sqlite3_finalize(st->handle);
    free(st);
}

void sqlite_bind_int(struct sqlite_stmt *st, int at, int64_t value)
{
    sqlite3_bind_int64(st->handle, at, value);
}

void sqlite_bind_text(struct sqlite_stmt *st, int at, str text)
{
    sqlite3_bind_text64(st->handle, at, text.len > 0 ? text.p : "", text.len, SQLITE_STATIC,
                        SQLITE_UTF8);
}

void sqlite_bind_blob(struct sqlite_stmt *st, int at, str bytes)
{
    sqlite3_bind_blob64(st->handle, at, bytes.len > 0 ? bytes.p : "", bytes.len, SQLITE_STATIC);
}

enum err sqlite_step(struct sqlite_stmt *st, bool *ret_row, struct err_info *info)
{
    errno = 0;
    int rc = sqlite3_step(st->handle);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        *ret_row = rc == SQLITE_ROW;
        return ERR_OK;
    }
    enum err e = fail(st->db, rc, sqlite3_stmt_readonly(st->handle) ? "read" : "write to", info);
    sqlite_reset(st);
    return e;
}

enum err sqlite_run(struct sqlite_stmt *st, int64_t *ret_changed, struct err_info *info)
{
    bool row;
    enum err e = sqlite_step(st, &row, info);
    if (e != ERR_OK)
        return e;
    if (ret_changed != NULL)
        *ret_changed = sqlite3_changes64(st->db->handle);
    sqlite_reset(st);
    return ERR_OK;
}

void sqlite_reset(struct sqlite_stmt *st)
{
    sqlite3_reset(st->handle);
    sqlite3_clear_bindings(st->handle);
}

bool sqlite_is_null(struct sqlite_stmt *st, int at)
{
    return sqlite3_column_type(st->handle, at) == SQLITE_NULL;
}

int64_t sqlite_int(struct sqlite_stmt *st, int at)
{
    return sqlite3_column_int64(st->handle, at);
}

str sqlite_text(struct sqlite_stmt *st, int at)
{
    const char *p = (const char *)sqlite3_column_text(st->handle, at);
    return str_of(p, p != NULL ? (size_t)sqlite3_column_bytes(st->handle, at) : 0);
}

str sqlite_blob(struct sqlite_stmt *st, int at)
{
    const char *p = sqlite3_column_blob(st->handle, at);
    return str_of(p, p != NULL ? (size_t)sqlite3_column_bytes(st->handle, at) : 0);
}
