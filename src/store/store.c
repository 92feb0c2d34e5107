#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/xalloc.h"
#include "store/files.h"
#include "store/schema.h"
#include "store/store_private.h"

/* ---- opening ---- */

// Sealed in the first row of `meta`: it opens with the right key file alone.
#define CANARY       "the key file is the right one"
#define CANARY_PLACE (&(struct vault_place){.table = "meta", .column = "value", .row = 0})

enum { CANARY_BYTES = sizeof(CANARY) - 1 + VAULT_SEAL_BYTES };

static enum err write_canary(struct store *s, struct err_info *info)
{
    unsigned char sealed[CANARY_BYTES];
    struct sqlite_stmt *st;
    enum err e = sqlite_prepare(s->db, "INSERT INTO meta VALUES ('canary', ?1)", &st, info);
    if (e != ERR_OK)
        return e;
    vault_seal(s->vault, CANARY_PLACE, STR(CANARY), sealed);
    sqlite_bind_blob(st, 1, str_of((const char *)sealed, sizeof(sealed)));
    e = sqlite_run(st, NULL, info);
    sqlite_finalize(st);
    return e;
}

static enum err check_canary(struct store *s, const char *key_file, struct err_info *info)
{
    unsigned char plain[256];
    size_t len;
    struct sqlite_stmt *st;
    bool row = false;
    enum err e = sqlite_prepare(s->db, "SELECT value FROM meta WHERE name = 'canary'", &st, info);
    if (e != ERR_OK)
        return e;
    e = sqlite_step(st, &row, info);
    str sealed = e == ERR_OK && row ? sqlite_blob(st, 0) : (str){0};
    if (e == ERR_OK && (sealed.len > sizeof(plain) ||
                        vault_unseal(s->vault, CANARY_PLACE, sealed, plain, &len, NULL) != ERR_OK))
        e = err_set(info, ERR_SYNTAX,
                    "'%s' is not the key file of '%s': put the right one there, or set KEY_FILE",
                    key_file, s->path);
    sqlite_finalize(st);
    return e;
}

static enum err update(struct store *s, struct err_info *info)
{
    enum err e = sqlite_begin(s->db, info);
    if (e != ERR_OK)
        return e;
    e = schema_update(s->db, info);
    if (e == ERR_OK && s->is_new)
        e = write_canary(s, info);
    return sqlite_end(s->db, e, info);
}

static enum err read_next_id(struct store *s, struct err_info *info)
{
    int64_t next = 0, last = 0;
    enum err e = sqlite_ask(s->db, "SELECT value FROM meta WHERE name = 'next_id'", &next, info);
    if (e == ERR_OK)
        e = sqlite_ask(s->db, "SELECT max(id) FROM keys", &last, info);
    if (e == ERR_OK)
        s->next_id = (uint64_t)(next > last ? next : last + 1);
    return e;
}

static enum err read_import(struct store *s, struct err_info *info)
{
    int64_t batch = 0, count = 0;
    enum err e = sqlite_ask(s->db, "SELECT value FROM meta WHERE name = 'import_id'", &batch, info);
    if (e == ERR_OK)
        e = sqlite_ask(s->db, "SELECT value FROM meta WHERE name = 'import_at_ms'",
                       &s->import.at_ms, info);
    if (e == ERR_OK)
        e = sqlite_ask(s->db, "SELECT value FROM meta WHERE name = 'import_count'", &count, info);
    s->import.batch = (uint64_t)batch;
    s->import.count = (uint64_t)count;
    return e;
}

enum err store_advise(enum err e, struct err_info *info)
{
    struct err_info why;
    if (e != ERR_SYNTAX || info == NULL)
        return e;
    why = *info;
    return err_set(info, e, "%.250s: put a backup in its place, or move it away", why.text);
}

static char *join(str folder, const char *name)
{
    size_t len = strlen(name);
    char *path = xmalloc(folder.len + len + 2);
    memcpy(path, folder.p, folder.len);
    path[folder.len] = '/';
    memcpy(path + folder.len + 1, name, len + 1);
    return path;
}

/*
 * Keeps the file as it is beside it before its tables are changed: an older program reads that one.
 * Made under a name that a start removes, so that the one that stays is whole.
 */
static enum err keep_copy(struct store *s, str dir, struct err_info *info)
{
    int64_t version = 0;
    char name[sizeof(STORE_FILE) + 32];
    enum err e = sqlite_ask(s->db, "PRAGMA user_version", &version, info);
    if (e != ERR_OK || version == SCHEMA_VERSION)
        return e;
    snprintf(name, sizeof(name), "%s.schema%d", STORE_FILE, (int)version);
    char *temporary = join(dir, STORE_COPY_HEAD "schema" STORE_COPY_TAIL), *path = join(dir, name);
    unlink(temporary);
    e = store_backup(s, temporary, info);
    if (e == ERR_OK)
        e = files_rename(temporary, path, info);
    free(temporary);
    free(path);
    return e;
}

static enum err open_database(struct store *s, str dir, const char *key_file, struct err_info *info)
{
    if (sqlite_log_is_foreign(s->path))
        return err_set(info, ERR_SYNTAX,
                       "'%s-wal' is the log of another database than '%s': move it away", s->path,
                       s->path);
    enum err e = sqlite_open(s->path, &s->db, info);
    if (e != ERR_OK)
        return store_advise(e, info);
    // Nothing is written before we know that the file is ours.
    bool readable = false;
    e = schema_look(s->db, s->path, &s->is_new, &readable, info);
    if (e != ERR_OK)
        return readable ? e : store_advise(e, info);
    e = sqlite_use_wal(s->db, s->is_new, info);
    if (e == ERR_OK && !s->is_new)
        e = sqlite_check(s->db, false, info);
    e = store_advise(e, info);
    if (e == ERR_OK && !s->is_new)
        e = check_canary(s, key_file, info);
    if (e == ERR_OK && !s->is_new)
        e = keep_copy(s, dir, info);
    return e == ERR_OK ? store_advise(update(s, info), info) : e;
}

static char *copy_z(str s)
{
    char *z = xmalloc(s.len + 1);
    memcpy(z, s.p, s.len);
    z[s.len] = '\0';
    return z;
}

/* The file is made before the library opens it, so that it is ours alone from the first byte. */
static enum err prepare_files(struct store *s, const char *dir, const char *key_file,
                              struct err_info *info)
{
    int64_t size = 0;
    enum err e = files_make_folder(dir, info);
    if (e == ERR_OK)
        e = files_look(s->path, &size, info);
    if (e == ERR_OK)
        e = vault_open(key_file, size == 0, &s->vault, info);
    if (e == ERR_SYNTAX && size > 0 && sqlite_is_foreign(s->path, SCHEMA_APPLICATION))
        return err_set(
            info, e, "'%s' is no database of this program: move it away, or set DATA_DIR", s->path);
    if (e == ERR_OK && size == 0)
        e = files_make_empty(s->path, info);
    return e == ERR_EXISTS ? ERR_OK : e;
}

enum err store_open(const struct store_options *options, struct store **ret, struct err_info *info)
{
    struct store *s = xcalloc(1, sizeof(*s));
    char *dir = copy_z(options->dir), *key_file = copy_z(options->key_file);
    s->path = join(options->dir, STORE_FILE);
    s->last = &s->first;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->work, &attr);
    pthread_condattr_destroy(&attr);

    enum err e = prepare_files(s, dir, key_file, info);
    if (e == ERR_OK)
        e = open_database(s, options->dir, key_file, info);
    if (e == ERR_OK)
        e = store_prepare(s, info);
    if (e == ERR_OK)
        e = read_next_id(s, info);
    if (e == ERR_OK)
        e = read_import(s, info);
    if (e == ERR_OK) // the lock is ours: nobody writes them any more
        files_remove_like(dir, STR(STORE_COPY_HEAD), STR(STORE_COPY_TAIL));
    free(dir);
    free(key_file);
    if (e == ERR_OK)
        *ret = s;
    else
        store_close(s);
    return e;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < SQL_STATEMENTS; i++)
        sqlite_finalize(s->statements[i]);
    sqlite_close(s->db);
    vault_free(s->vault);
    pthread_cond_destroy(&s->work);
    pthread_mutex_destroy(&s->mutex);
    free(s->path);
    free(s);
}

bool store_is_new(const struct store *s)
{
    return s->next_id == 1;
}

const char *store_path(const struct store *s)
{
    return s->path;
}

/* ---- the thread ---- */

static struct timespec timespec_of(uint64_t mono_ms)
{
    return (struct timespec){.tv_sec = (time_t)(mono_ms / 1000),
                             .tv_nsec = (long)(mono_ms % 1000) * 1000000};
}

/* The next job; NULL when it is time for a tick, or (`*ret_stop`) all is done. */
static struct store_job *wait_for_job(struct store *s, uint64_t tick_ms, bool *ret_stop)
{
    struct timespec due = timespec_of(tick_ms);
    pthread_mutex_lock(&s->mutex);
    while (s->first == NULL && !s->stopping && clock_mono_ms() < tick_ms)
        pthread_cond_timedwait(&s->work, &s->mutex, &due);
    struct store_job *job = clock_mono_ms() < tick_ms || s->stopping ? s->first : NULL;
    if (job != NULL) {
        s->first = job->next;
        if (s->first == NULL)
            s->last = &s->first;
        s->n_jobs--;
    }
    *ret_stop = job == NULL && s->stopping;
    pthread_mutex_unlock(&s->mutex);
    return job;
}

static void *thread_main(void *arg)
{
    struct store *s = arg;
    bool stop = false;
    if (sqlite_settle(s->db, NULL) != ERR_OK) {
        // The next transaction tries again, and somebody is told.
    }
    uint64_t tick_ms = clock_mono_ms() + s->tick.interval_ms;
    for (;;) {
        struct store_job *job = wait_for_job(s, tick_ms, &stop);
        if (stop)
            return NULL;
        if (job != NULL) {
            job->fn(s, job->arg);
            free(job);
        } else if (s->tick.fn != NULL) {
            s->tick.fn(s, s->tick.arg);
        }
        if (job == NULL)
            tick_ms = clock_mono_ms() + s->tick.interval_ms;
    }
}

enum err store_start(struct store *s, const struct store_tick *tick, struct err_info *info)
{
    s->tick = *tick;
    if (pthread_create(&s->thread, NULL, thread_main, s) != 0)
        return err_set(info, ERR_SYSTEM, "cannot start a thread for '%s'", s->path);
    s->started = true;
    return ERR_OK;
}

bool store_post(struct store *s, store_job_fn *fn, void *arg)
{
    struct store_job *job = xmalloc(sizeof(*job));
    *job = (struct store_job){.fn = fn, .arg = arg};
    pthread_mutex_lock(&s->mutex);
    bool taken = s->n_jobs < STORE_JOBS_MAX && !s->stopping;
    if (taken) {
        *s->last = job;
        s->last = &job->next;
        s->n_jobs++;
        pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->mutex);
    if (!taken)
        free(job);
    return taken;
}

size_t store_queue_length(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
    size_t n = s->n_jobs;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

void store_stop(struct store *s)
{
    if (!s->started)
        return;
    pthread_mutex_lock(&s->mutex);
    s->stopping = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    s->started = false;
}

/* ---- the whole ---- */

enum err store_check(struct store *s, struct err_info *info)
{
    return store_advise(sqlite_check(s->db, true, info), info);
}

enum err store_backup(struct store *s, const char *path, struct err_info *info)
{
    enum err e = files_make_empty(path, info); // ours alone before there is something in it
    if (e != ERR_OK)
        return e;
    e = sqlite_copy_to(s->db, path, info);
    if (e == ERR_OK)
        e = files_sync(path, info);
    if (e != ERR_OK)
        unlink(path);
    return e;
}
