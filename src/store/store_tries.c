#include "store/store.h"

#include <string.h>

#include "store/store_private.h"

_Static_assert(THROTTLE_KNOWN == 0 && THROTTLE_STRANGERS == 3, "stored by value");

static enum err write_row(struct store *s, const struct throttle_row *row, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_WRITE_TRY];
    sqlite_bind_int(st, 1, row->kind);
    sqlite_bind_blob(st, 2, str_of((const char *)row->origin, sizeof(row->origin)));
    sqlite_bind_int(st, 3, row->last_ms);
    sqlite_bind_int(st, 4, row->wrong);
    sqlite_bind_int(st, 5, row->spent_ms);
    return sqlite_run(st, NULL, info);
}

enum err store_write_tries(struct store *s, const struct throttle_row *rows, size_t n,
                           struct err_info *info)
{
    enum err e = sqlite_begin(s->db, info);
    if (e != ERR_OK)
        return e;
    e = sqlite_run(s->statements[SQL_DELETE_TRIES], NULL, info);
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = write_row(s, &rows[i], info);
    return sqlite_end(s->db, e, info);
}

/* False: it is none of ours, as of an edited file. */
static bool row_of(struct sqlite_stmt *st, struct throttle_row *ret)
{
    int64_t kind = sqlite_int(st, 0), wrong = sqlite_int(st, 3);
    str origin = sqlite_blob(st, 1);
    if (kind < 0 || kind >= THROTTLE_KINDS || wrong < 0 || wrong > UINT32_MAX / 2 ||
        origin.len != sizeof(ret->origin))
        return false;
    *ret = (struct throttle_row){.kind = (enum throttle_kind)kind,
                                 .last_ms = sqlite_int(st, 2),
                                 .wrong = (uint32_t)wrong,
                                 .spent_ms = sqlite_int(st, 4)};
    memcpy(ret->origin, origin.p, origin.len);
    return true;
}

enum err store_read_tries(struct store *s, void (*fn)(void *arg, const struct throttle_row *row),
                          void *arg, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_READ_TRIES];
    sqlite_bind_int(st, 1, THROTTLE_ROWS_MAX);
    bool there = true;
    enum err e = ERR_OK;
    while (e == ERR_OK && there) {
        struct throttle_row row;
        e = sqlite_step(st, &there, info);
        if (e == ERR_OK && there && row_of(st, &row))
            fn(arg, &row);
    }
    sqlite_reset(st);
    return e;
}
