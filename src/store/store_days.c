#include "store/store.h"

#include "store/store_private.h"

#define MS_PER_DAY ((int64_t)86400000)

typedef void day_fn(void *arg, const struct store_day_row *row);

static enum err tell_rows(struct sqlite_stmt *st, day_fn *fn, void *arg, struct err_info *info)
{
    bool row = true;
    enum err e = ERR_OK;
    while (e == ERR_OK && row) {
        e = sqlite_step(st, &row, info);
        if (e == ERR_OK && row)
            fn(arg, &(struct store_day_row){.day = sqlite_int(st, 0),
                                            .key_id = (uint64_t)sqlite_int(st, 1),
                                            .success = (uint64_t)sqlite_int(st, 2),
                                            .fail = (uint64_t)sqlite_int(st, 3),
                                            .tokens = (uint64_t)sqlite_int(st, 4)});
    }
    sqlite_reset(st);
    return e;
}

static enum err last_day(struct store *s, int64_t *ret, struct err_info *info)
{
    return sqlite_ask(s->db, "SELECT max(day) FROM days", ret, info);
}

enum err store_read_days(struct store *s, int64_t first_day, uint64_t key_id, day_fn *fn, void *arg,
                         struct err_info *info)
{
    int64_t end = 0;
    enum err e = ERR_OK;
    if (key_id == 0) {
        struct sqlite_stmt *st = s->statements[SQL_READ_DAYS];
        sqlite_bind_int(st, 1, first_day);
        sqlite_bind_int(st, 2, STORE_DAY_KEYS_MAX);
        return tell_rows(st, fn, arg, info);
    }
    // One row for each day: the table is by day, and a day may have 100,000 rows.
    e = last_day(s, &end, info);
    int64_t first = first_day > end - STORE_DAYS_KEPT ? first_day : end - STORE_DAYS_KEPT;
    for (int64_t day = first; day <= end && e == ERR_OK; day++) {
        struct sqlite_stmt *st = s->statements[SQL_READ_KEY_DAYS];
        sqlite_bind_int(st, 1, day);
        sqlite_bind_int(st, 2, (int64_t)key_id);
        e = tell_rows(st, fn, arg, info);
    }
    return e;
}

enum err store_trim(struct store *s, int64_t now_wall_ms, struct err_info *info)
{
    enum err e = sqlite_begin(s->db, info);
    if (e != ERR_OK)
        return e;
    struct sqlite_stmt *st = s->statements[SQL_TRIM_DAYS];
    sqlite_bind_int(st, 1, now_wall_ms / MS_PER_DAY - STORE_DAYS_KEPT + 1);
    e = sqlite_run(st, NULL, info);
    if (e == ERR_OK) {
        st = s->statements[SQL_TRIM_MOVES];
        sqlite_bind_int(st, 1, now_wall_ms - STORE_DAYS_KEPT * MS_PER_DAY);
        e = sqlite_run(st, NULL, info);
    }
    if (e == ERR_OK) {
        st = s->statements[SQL_TRIM_REFUSALS];
        sqlite_bind_int(st, 1, now_wall_ms - MS_PER_DAY);
        e = sqlite_run(st, NULL, info);
    }
    return sqlite_end(s->db, e, info);
}
