#include "store/store.h"

#include "base/xalloc.h"
#include "store/store_private.h"

// Enums are stored as their numbers, so these may get new values at their end only.
_Static_assert(KEY_IS_READY == 0 && KEY_IS_DISABLED == 3, "stored by value");
_Static_assert(CAUSE_NONE == 0 && CAUSE_REFUSED == 3 && CAUSE_PROBE == 7 && CAUSE_SUCCESS == 10,
               "stored by value");

#define PLACE_OF(id) (&(struct vault_place){.table = "keys", .column = "secret", .row = (id)})

enum { SEALED_BYTES = KEYPOOL_SECRET_BYTES + VAULT_SEAL_BYTES };

/* ---- reading ---- */

/* A number that this version does not know, as of a damaged or edited file, is the first. */
static int enum_of_row(struct sqlite_stmt *st, int at, int last)
{
    int64_t value = sqlite_int(st, at);
    return value >= 0 && value <= last ? (int)value : 0;
}

static struct key_life life_of_row(struct sqlite_stmt *st, int at)
{
    return (struct key_life){.state = (enum key_state)enum_of_row(st, at, KEY_IS_DEAD),
                             .cause = (enum key_cause)enum_of_row(st, at + 1, CAUSE_SUCCESS),
                             .source = (enum cool_source)enum_of_row(st, at + 2, COOL_GUESSED),
                             .until_ms = sqlite_int(st, at + 3),
                             .doublings = (uint32_t)sqlite_int(st, at + 4),
                             .last_check_ms = sqlite_int(st, at + 5),
                             .last_used_ms = sqlite_int(st, at + 6),
                             .requests = (uint64_t)sqlite_int(st, at + 7),
                             .failures = (uint64_t)sqlite_int(st, at + 8),
                             .tokens = (uint64_t)sqlite_int(st, at + 9),
                             .last_error = sqlite_text(st, at + 10),
                             .account = sqlite_text(st, at + 11),
                             .worked = sqlite_int(st, at + 12) != 0,
                             .reason = sqlite_text(st, at + 13),
                             .since_ms = sqlite_int(st, at + 14)};
}

static enum err read_row(struct store *s, struct sqlite_stmt *st,
                         unsigned char secret[SEALED_BYTES], struct key_spec *ret,
                         struct err_info *info)
{
    size_t len = 0;
    uint64_t id = (uint64_t)sqlite_int(st, 0);
    str sealed = sqlite_blob(st, 1);
    if (sealed.len > SEALED_BYTES)
        return err_set(info, ERR_SYNTAX, "'%s' is damaged", s->path);
    enum err e = vault_unseal(s->vault, PLACE_OF(id), sealed, secret, &len, info);
    if (e != ERR_OK)
        return e;
    *ret = (struct key_spec){.id = id,
                             .secret = str_of((const char *)secret, len),
                             .base_url = sqlite_text(st, 2),
                             .name = sqlite_text(st, 3),
                             .old_id = sqlite_text(st, 4),
                             .added_ms = sqlite_int(st, 5),
                             .enabled = sqlite_int(st, 6) != 0,
                             .life = {0}};
    if (!sqlite_is_null(st, 7)) // most keys of a large import have no life yet
        ret->life = life_of_row(st, 7);
    return ERR_OK;
}

enum err store_count_keys(struct store *s, uint64_t *ret, struct err_info *info)
{
    int64_t n = 0;
    enum err e = sqlite_ask(s->db, "SELECT count(*) FROM keys", &n, info);
    *ret = (uint64_t)n;
    return store_advise(e, info);
}

enum err store_read_keys(struct store *s, void (*fn)(void *arg, const struct key_spec *key),
                         void *arg, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_READ_KEYS];
    unsigned char secret[SEALED_BYTES];
    for (;;) {
        bool row = false;
        struct key_spec key;
        enum err e = sqlite_step(st, &row, info);
        if (e == ERR_OK && row)
            e = read_row(s, st, secret, &key, info);
        if (e != ERR_OK || !row) {
            crypto_wipe(secret, sizeof(secret));
            sqlite_reset(st);
            return store_advise(e, info);
        }
        fn(arg, &key);
    }
}

enum err store_read_batch(struct store *s, uint64_t batch, void (*fn)(void *arg, uint64_t id),
                          void *arg, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_READ_BATCH];
    sqlite_bind_int(st, 1, (int64_t)batch);
    bool row = batch > 0; // 0 marks the keys of no batch
    enum err e = ERR_OK;
    while (e == ERR_OK && row) {
        e = sqlite_step(st, &row, info);
        if (e == ERR_OK && row)
            fn(arg, (uint64_t)sqlite_int(st, 0));
    }
    sqlite_reset(st);
    return e;
}

static void count_left(void *arg, uint64_t id)
{
    (void)id;
    ++*(uint64_t *)arg;
}

enum err store_last_import(struct store *s, struct store_import *ret, struct err_info *info)
{
    uint64_t left = 0;
    enum err e = ERR_OK;
    if (!s->import_counted && s->import.batch != 0)
        e = store_read_batch(s, s->import.batch, count_left, &left, info);
    if (e != ERR_OK)
        return e;
    if (!s->import_counted)
        s->import.left = left;
    s->import_counted = true;
    *ret = s->import;
    return ERR_OK;
}

/* ---- adding ---- */

static bool life_is_new(const struct key_life *l)
{
    return l->state == KEY_IS_READY && l->cause == CAUSE_NONE && l->until_ms == 0 &&
           l->doublings == 0 && l->last_check_ms == 0 && l->last_used_ms == 0 && l->requests == 0 &&
           l->failures == 0 && l->tokens == 0 && l->last_error.len == 0 && l->account.len == 0 &&
           !l->worked;
}

static enum err add_key(struct store *s, const struct key_spec *key, uint64_t id, uint64_t batch,
                        struct err_info *info)
{
    unsigned char sealed[SEALED_BYTES];
    if (key->secret.len > KEYPOOL_SECRET_BYTES)
        return err_set(info, ERR_RANGE, "a key is longer than %d bytes", KEYPOOL_SECRET_BYTES);
    vault_seal(s->vault, PLACE_OF(id), key->secret, sealed);

    struct sqlite_stmt *st = s->statements[SQL_ADD_KEY];
    sqlite_bind_int(st, 1, (int64_t)id);
    sqlite_bind_blob(st, 2, str_of((const char *)sealed, key->secret.len + VAULT_SEAL_BYTES));
    sqlite_bind_text(st, 3, key->base_url);
    sqlite_bind_text(st, 4, key->name);
    sqlite_bind_text(st, 5, key->old_id);
    sqlite_bind_int(st, 6, key->added_ms);
    sqlite_bind_int(st, 7, key->enabled);
    sqlite_bind_int(st, 8, (int64_t)batch);
    enum err e = sqlite_run(st, NULL, info);
    bool there;
    if (e == ERR_OK && !life_is_new(&key->life))
        e = store_write_life(s, id, &key->life, &there, info);
    return e;
}

static enum err set_next_id(struct store *s, uint64_t next_id, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_SET_NEXT_ID];
    sqlite_bind_int(st, 1, (int64_t)next_id);
    return sqlite_run(st, NULL, info);
}

/* What the last import is once `n` keys were added to `batch`. */
static struct store_import import_after(const struct store *s, const struct key_spec *keys,
                                        size_t n, uint64_t batch)
{
    struct store_import import = s->import;
    if (batch == STORE_NEW_BATCH)
        import = (struct store_import){.batch = s->next_id, .at_ms = keys[0].added_ms, .count = n};
    else if (batch != 0 && batch == import.batch)
        import.count += n;
    return import;
}

static enum err set_import(struct store *s, const struct store_import *import,
                           struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_SET_IMPORT];
    sqlite_bind_int(st, 1, (int64_t)import->batch);
    sqlite_bind_int(st, 2, import->at_ms);
    sqlite_bind_int(st, 3, (int64_t)import->count);
    return sqlite_run(st, NULL, info);
}

enum err store_add_keys(struct store *s, struct key_spec *keys, size_t n, uint64_t batch,
                        struct err_info *info)
{
    uint64_t first = s->next_id;
    enum err e = n > 0 ? sqlite_begin(s->db, info) : ERR_OK;
    if (e != ERR_OK || n == 0)
        return e;
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = add_key(s, &keys[i], first + i, batch == STORE_NEW_BATCH ? first : batch, info);
    struct store_import import = import_after(s, keys, n, batch);
    if (e == ERR_OK && batch != 0)
        e = set_import(s, &import, info);
    if (e == ERR_OK)
        e = set_next_id(s, first + n, info);
    e = sqlite_end(s->db, e, info);
    if (e != ERR_OK)
        return e;
    s->next_id = first + n;
    s->import = import;
    s->import_counted = false;
    for (size_t i = 0; i < n; i++)
        keys[i].id = first + i;
    return ERR_OK;
}

/* ---- changing ---- */

static enum err list_days(struct store *s, int64_t days[STORE_DAYS_KEPT * 2], size_t *ret_n,
                          struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_LIST_DAYS];
    size_t n = 0;
    bool row = true;
    enum err e = ERR_OK;
    while (e == ERR_OK && row && n < (size_t)STORE_DAYS_KEPT * 2) {
        e = sqlite_step(st, &row, info);
        if (e == ERR_OK && row)
            days[n++] = sqlite_int(st, 0);
    }
    sqlite_reset(st);
    *ret_n = n;
    return e;
}

/* Runs a statement whose parameters are numbers. */
static enum err run_with(struct store *s, enum store_statement which, int64_t a, int64_t b,
                         int n_parameters, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[which];
    sqlite_bind_int(st, 1, a);
    if (n_parameters > 1)
        sqlite_bind_int(st, 2, b);
    return sqlite_run(st, NULL, info);
}

enum err store_delete_keys(struct store *s, const uint64_t *ids, size_t n, struct err_info *info)
{
    int64_t days[STORE_DAYS_KEPT * 2];
    size_t n_days = 0;
    enum err e = n > 0 ? sqlite_begin(s->db, info) : ERR_OK;
    if (e != ERR_OK || n == 0)
        return e;
    e = list_days(s, days, &n_days, info);
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        int64_t id = (int64_t)ids[i];
        e = run_with(s, SQL_DELETE_KEY, id, 0, 1, info); // and its life
        for (size_t d = 0; d < n_days && e == ERR_OK; d++)
            e = run_with(s, SQL_DELETE_KEY_DAY, days[d], id, 2, info);
        if (e == ERR_OK && id != 0) // 0 would be those of hosts
            e = run_with(s, SQL_DELETE_KEY_MOVES, id, 0, 1, info);
    }
    s->import_counted = false;
    return sqlite_end(s->db, e, info);
}

enum err store_set_enabled(struct store *s, const uint64_t *ids, size_t n, bool enabled,
                           struct err_info *info)
{
    enum err e = n > 0 ? sqlite_begin(s->db, info) : ERR_OK;
    if (e != ERR_OK || n == 0)
        return e;
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = run_with(s, SQL_SET_ENABLED, (int64_t)ids[i], enabled, 2, info);
    return sqlite_end(s->db, e, info);
}

enum err store_set_name(struct store *s, uint64_t id, str name, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_SET_NAME];
    sqlite_bind_int(st, 1, (int64_t)id);
    sqlite_bind_text(st, 2, name);
    return sqlite_run(st, NULL, info);
}

/* ---- lives ---- */

enum err store_write_life(struct store *s, uint64_t id, const struct key_life *life,
                          bool *ret_there, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_WRITE_LIFE];
    int64_t changed = 0;
    sqlite_bind_int(st, 1, (int64_t)id);
    sqlite_bind_int(st, 2, life->state);
    sqlite_bind_int(st, 3, life->cause);
    sqlite_bind_int(st, 4, life->source);
    sqlite_bind_int(st, 5, life->until_ms);
    sqlite_bind_int(st, 6, life->doublings);
    sqlite_bind_int(st, 7, life->last_check_ms);
    sqlite_bind_int(st, 8, life->last_used_ms);
    sqlite_bind_int(st, 9, (int64_t)life->requests);
    sqlite_bind_int(st, 10, (int64_t)life->failures);
    sqlite_bind_int(st, 11, (int64_t)life->tokens);
    sqlite_bind_text(st, 12, life->last_error);
    sqlite_bind_text(st, 13, life->account);
    sqlite_bind_int(st, 14, life->worked);
    sqlite_bind_text(st, 15, life->reason);
    sqlite_bind_int(st, 16, life->since_ms);
    enum err e = sqlite_run(st, &changed, info);
    if (e == ERR_OK)
        *ret_there = changed > 0;
    return e;
}

static enum err write_day(struct store *s, const struct store_flush *f, int64_t day,
                          struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_WRITE_DAY];
    sqlite_bind_int(st, 1, day);
    sqlite_bind_int(st, 2, (int64_t)f->id);
    sqlite_bind_int(st, 3, (int64_t)f->success);
    sqlite_bind_int(st, 4, (int64_t)f->fail);
    sqlite_bind_int(st, 5, (int64_t)f->tokens);
    return sqlite_run(st, NULL, info);
}

enum err store_write_lives(struct store *s, const struct store_flush *flushes, size_t n,
                           int64_t day, struct err_info *info)
{
    enum err e = n > 0 ? sqlite_begin(s->db, info) : ERR_OK;
    if (e != ERR_OK || n == 0)
        return e;
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        const struct store_flush *f = &flushes[i];
        bool there = false;
        e = store_write_life(s, f->id, &f->life, &there, info);
        if (e == ERR_OK && there && (f->success > 0 || f->fail > 0 || f->tokens > 0))
            e = write_day(s, f, day, info);
    }
    return sqlite_end(s->db, e, info);
}
