#include "store/store.h"

#include "store/store_private.h"

static enum err write_move(struct store *s, const struct key_move *m, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_WRITE_MOVE];
    str host = m->key_id == 0 ? m->host : (str){0}; // a key's host is known by the key
    sqlite_bind_int(st, 1, (int64_t)m->key_id);
    sqlite_bind_text(st, 2, host);
    sqlite_bind_int(st, 3, m->at_ms);
    sqlite_bind_int(st, 4, m->from);
    sqlite_bind_int(st, 5, m->to);
    sqlite_bind_int(st, 6, m->cause);
    sqlite_bind_int(st, 7, m->source);
    sqlite_bind_int(st, 8, m->until_ms);
    sqlite_bind_text(st, 9, m->reason);
    enum err e = sqlite_run(st, NULL, info);
    if (e != ERR_OK)
        return e;
    st = s->statements[SQL_TRIM_MOVES_OF];
    sqlite_bind_int(st, 1, (int64_t)m->key_id);
    sqlite_bind_text(st, 2, host);
    sqlite_bind_int(st, 3, STORE_MOVES_KEPT);
    return sqlite_run(st, NULL, info);
}

enum err store_write_moves(struct store *s, const struct key_move *moves, size_t n,
                           struct err_info *info)
{
    enum err e = n > 0 ? sqlite_begin(s->db, info) : ERR_OK;
    if (e != ERR_OK || n == 0)
        return e;
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = write_move(s, &moves[i], info);
    return sqlite_end(s->db, e, info);
}

typedef void move_fn(void *arg, const struct key_move *move);

static enum err tell_moves(struct sqlite_stmt *st, uint64_t key_id, move_fn *fn, void *arg,
                           struct err_info *info)
{
    bool row = true;
    enum err e = ERR_OK;
    while (e == ERR_OK && row) {
        e = sqlite_step(st, &row, info);
        if (e == ERR_OK && row)
            fn(arg, &(struct key_move){.key_id = key_id,
                                       .host = sqlite_text(st, 0),
                                       .at_ms = sqlite_int(st, 1),
                                       .from = (enum key_state)sqlite_int(st, 2),
                                       .to = (enum key_state)sqlite_int(st, 3),
                                       .cause = (enum key_cause)sqlite_int(st, 4),
                                       .source = (enum cool_source)sqlite_int(st, 5),
                                       .until_ms = sqlite_int(st, 6),
                                       .reason = sqlite_text(st, 7)});
    }
    sqlite_reset(st);
    return e;
}

enum err store_read_moves(struct store *s, uint64_t key_id, str host, move_fn *fn, void *arg,
                          struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_READ_MOVES];
    sqlite_bind_int(st, 1, (int64_t)key_id);
    sqlite_bind_text(st, 2, key_id == 0 ? host : (str){0});
    return tell_moves(st, key_id, fn, arg, info);
}

enum err store_read_last_host_moves(struct store *s, move_fn *fn, void *arg, struct err_info *info)
{
    return tell_moves(s->statements[SQL_READ_LAST_HOST_MOVES], 0, fn, arg, info);
}
