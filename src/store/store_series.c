#include "store/store.h"

#include "base/attr.h"
#include "store/store_private.h"

enum { FIRST_BYTES = METRICS_BUCKETS * 8 };

/* ---- steps ---- */

static void pack(const uint64_t counts[METRICS_BUCKETS], char out[FIRST_BYTES])
{
    for (size_t i = 0; i < FIRST_BYTES; i++)
        out[i] = (char)(unsigned char)(counts[i / 8] >> (8 * (i % 8)));
}

/* Buckets of another number are those of another version: times cannot be told from them. */
static void unpack(str packed, uint64_t ret[METRICS_BUCKETS])
{
    for (size_t i = 0; i < FIRST_BYTES && packed.len == FIRST_BYTES; i++)
        ret[i / 8] |= (uint64_t)(unsigned char)packed.p[i] << (8 * (i % 8));
}

static struct series_counts counts_of_row(struct sqlite_stmt *st)
{
    struct series_counts ret = {.requests = (uint64_t)sqlite_int(st, 1),
                                .errors = (uint64_t)sqlite_int(st, 2),
                                .tokens_in = (uint64_t)sqlite_int(st, 3),
                                .tokens_out = (uint64_t)sqlite_int(st, 4)};
    unpack(sqlite_blob(st, 5), ret.first);
    return ret;
}

typedef void step_fn(void *arg, int64_t at_s, const struct series_counts *counts);

static enum err tell_steps(struct sqlite_stmt *st, step_fn *fn, void *arg, struct err_info *info)
{
    bool row = true;
    enum err e = ERR_OK;
    while (e == ERR_OK && row) {
        e = sqlite_step(st, &row, info);
        if (e == ERR_OK && row) {
            struct series_counts counts = counts_of_row(st);
            fn(arg, sqlite_int(st, 0), &counts);
        }
    }
    sqlite_reset(st);
    return e;
}

enum err store_read_series(struct store *s, enum series_grain grain, int64_t from_s, step_fn *fn,
                           void *arg, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_READ_SERIES];
    sqlite_bind_int(st, 1, grain);
    sqlite_bind_int(st, 2, from_s);
    return tell_steps(st, fn, arg, info);
}

static void add_step(void *arg, int64_t at_s, const struct series_counts *counts)
{
    (void)at_s;
    series_counts_add(arg, counts);
}

/* Buckets are added here and not by SQL, which cannot look into them. */
static enum err add_counts(struct store *s, enum series_grain grain, int64_t at_s,
                           const struct series_counts *counts, struct err_info *info)
{
    struct series_counts sum = *counts;
    char first[FIRST_BYTES];
    struct sqlite_stmt *st = s->statements[SQL_READ_SERIES_STEP];
    sqlite_bind_int(st, 1, grain);
    sqlite_bind_int(st, 2, at_s);
    enum err e = tell_steps(st, add_step, &sum, info);
    if (e != ERR_OK)
        return e;
    pack(sum.first, first);
    st = s->statements[SQL_WRITE_SERIES];
    sqlite_bind_int(st, 1, grain);
    sqlite_bind_int(st, 2, at_s);
    sqlite_bind_int(st, 3, (int64_t)sum.requests);
    sqlite_bind_int(st, 4, (int64_t)sum.errors);
    sqlite_bind_int(st, 5, (int64_t)sum.tokens_in);
    sqlite_bind_int(st, 6, (int64_t)sum.tokens_out);
    sqlite_bind_blob(st, 7, str_of(first, sizeof(first)));
    return sqlite_run(st, NULL, info);
}

/* ---- names ---- */

static enum err add_row(struct store *s, enum series_grain grain, int64_t at_s,
                        const struct tally_row *row, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_WRITE_TOP];
    sqlite_bind_int(st, 1, grain);
    sqlite_bind_int(st, 2, at_s);
    sqlite_bind_int(st, 3, row->kind);
    sqlite_bind_text(st, 4, row->name);
    sqlite_bind_int(st, 5, (int64_t)row->requests);
    sqlite_bind_int(st, 6, (int64_t)row->errors);
    sqlite_bind_int(st, 7, (int64_t)row->tokens);
    return sqlite_run(st, NULL, info);
}

/* A step whose minutes each brought other names would grow without a bound. */
static enum err fold_rows(struct store *s, enum series_grain grain, int64_t at_s,
                          enum tally_kind kind, struct err_info *info)
{
    static const enum store_statement both[] = {SQL_FOLD_TOPS, SQL_DROP_FOLDED};
    enum err e = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(both) && e == ERR_OK; i++) {
        struct sqlite_stmt *st = s->statements[both[i]];
        sqlite_bind_int(st, 1, grain);
        sqlite_bind_int(st, 2, at_s);
        sqlite_bind_int(st, 3, kind);
        sqlite_bind_int(st, 4, STORE_TOPS_MAX);
        e = sqlite_run(st, NULL, info);
    }
    return e;
}

static enum err add_rows(struct store *s, enum series_grain grain, int64_t at_s,
                         const struct tally_row *rows, size_t n, struct err_info *info)
{
    enum err e = ERR_OK;
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = add_row(s, grain, at_s, &rows[i], info);
    for (size_t kind = 0; kind < TALLY_KINDS && n > 0 && e == ERR_OK; kind++)
        e = fold_rows(s, grain, at_s, (enum tally_kind)kind, info);
    return e;
}

enum err store_add_series(struct store *s, int64_t at_s, const struct series_counts *counts,
                          const struct tally_row *rows, size_t n, struct err_info *info)
{
    enum err e = sqlite_begin(s->db, info);
    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < SERIES_GRAINS && e == ERR_OK; i++) {
        enum series_grain grain = (enum series_grain)i;
        int64_t step_s = series_floor(at_s, series_grain_s(grain));
        e = add_counts(s, grain, step_s, counts, info);
        if (e == ERR_OK && grain != SERIES_DAYS) // no range shows the names of days
            e = add_rows(s, grain, step_s, rows, n, info);
    }
    return sqlite_end(s->db, e, info);
}

enum err store_read_tops(struct store *s, const struct store_tops *which,
                         void (*fn)(void *arg, const struct tally_row *row), void *arg,
                         struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_READ_TOPS];
    sqlite_bind_int(st, 1, which->grain);
    sqlite_bind_int(st, 2, which->from_s);
    sqlite_bind_int(st, 3, which->kind);
    sqlite_bind_int(st, 4, (int64_t)which->max);
    bool row = true;
    enum err e = ERR_OK;
    while (e == ERR_OK && row) {
        e = sqlite_step(st, &row, info);
        if (e == ERR_OK && row)
            fn(arg, &(struct tally_row){.kind = which->kind,
                                        .name = sqlite_text(st, 0),
                                        .requests = (uint64_t)sqlite_int(st, 1),
                                        .errors = (uint64_t)sqlite_int(st, 2),
                                        .tokens = (uint64_t)sqlite_int(st, 3)});
    }
    sqlite_reset(st);
    return e;
}

/* ---- forgetting ---- */

static enum err trim(struct store *s, enum store_statement which, enum series_grain grain,
                     int64_t before_s, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[which];
    sqlite_bind_int(st, 1, grain);
    sqlite_bind_int(st, 2, before_s);
    return sqlite_run(st, NULL, info);
}

enum err store_trim_series(struct store *s, int64_t now_s, struct err_info *info)
{
    static const struct {
        enum store_statement which;
        enum series_grain grain;
        int64_t kept_s;
    } rules[] = {
        {SQL_TRIM_SERIES, SERIES_MINUTES, STORE_MINUTES_KEPT_S    },
        {SQL_TRIM_SERIES, SERIES_HOURS,   STORE_HOURS_KEPT_S      },
        {SQL_TRIM_SERIES, SERIES_DAYS,    STORE_SERIES_DAYS_KEPT_S},
        {SQL_TRIM_TOPS,   SERIES_MINUTES, STORE_MINUTE_TOPS_KEPT_S},
        {SQL_TRIM_TOPS,   SERIES_HOURS,   STORE_HOURS_KEPT_S      },
    };
    enum err e = sqlite_begin(s->db, info);
    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < COUNT_OF(rules) && e == ERR_OK; i++)
        e = trim(s, rules[i].which, rules[i].grain, now_s - rules[i].kept_s, info);
    return sqlite_end(s->db, e, info);
}
