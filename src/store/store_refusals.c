#include "store/store.h"

#include "store/store_private.h"

static enum err write_refusal(struct store *s, const struct key_refusal *r, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_WRITE_REFUSAL];
    sqlite_bind_int(st, 1, (int64_t)r->key_id);
    sqlite_bind_text(st, 2, r->model);
    sqlite_bind_int(st, 3, r->until_ms);
    sqlite_bind_int(st, 4, r->doublings);
    sqlite_bind_int(st, 5, r->signin);
    return sqlite_run(st, NULL, info);
}

static enum err forget_refusals_of(struct store *s, uint64_t id, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_DELETE_REFUSALS];
    sqlite_bind_int(st, 1, (int64_t)id);
    return sqlite_run(st, NULL, info);
}

enum err store_write_refusals(struct store *s, const struct store_refusals *all,
                              struct err_info *info)
{
    enum err e = sqlite_begin(s->db, info);
    if (e != ERR_OK)
        return e;
    if (all->forget)
        e = sqlite_run(s->statements[SQL_FORGET_REFUSALS], NULL, info);
    for (size_t i = 0; i < all->n_ids && e == ERR_OK; i++)
        e = forget_refusals_of(s, all->ids[i], info);
    for (size_t i = 0; i < all->n && e == ERR_OK; i++)
        e = write_refusal(s, &all->refusals[i], info);
    return sqlite_end(s->db, e, info);
}

enum err store_read_refusals(struct store *s, void (*fn)(void *arg, const struct key_refusal *r),
                             void *arg, struct err_info *info)
{
    struct sqlite_stmt *st = s->statements[SQL_READ_REFUSALS];
    bool row = true;
    enum err e = ERR_OK;
    while (e == ERR_OK && row) {
        e = sqlite_step(st, &row, info);
        if (e == ERR_OK && row)
            fn(arg, &(struct key_refusal){.key_id = (uint64_t)sqlite_int(st, 0),
                                          .model = sqlite_text(st, 1),
                                          .until_ms = sqlite_int(st, 2),
                                          .doublings = (uint32_t)sqlite_int(st, 3),
                                          .signin = sqlite_int(st, 4) != 0});
    }
    sqlite_reset(st);
    return store_advise(e, info);
}
