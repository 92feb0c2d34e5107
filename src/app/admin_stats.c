#include "app/admin_call.h"
#include "app/admin_view.h"
#include "app/admin_work.h"
#include "base/clock.h"

#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

struct stats {
    struct admin_work *w;
    struct admin_stats answer;
    const struct store_day_row *row;
};

static void put_row(void *arg, const struct key_view *view)
{
    struct stats *s = arg;
    char id[24];
    admin_stats_row(&s->answer, s->row->day, key_shown_id(view, id), s->row->success, s->row->fail,
                    s->row->tokens);
}

static void on_row(void *arg, const struct store_day_row *row)
{
    struct stats *s = arg;
    s->row = row;
    (void)keypool_look(work_pool(s->w), row->key_id, clock_mono_ms(), put_row, s);
}

static void stats(struct admin_work *w)
{
    struct admin_stats_query query;
    struct err_info info = {0};
    uint64_t key = 0;
    enum err e = admin_read_stats_query(&w->arena, w->query, &query, &info);
    if (e == ERR_OK && query.key.len > 0) {
        key = keypool_find_id(work_pool(w), query.key);
        if (key == 0)
            e = err_set(&info, ERR_NOT_FOUND, "there is no key with this id");
    }
    if (e == ERR_OK)
        e = keeper_flush(w->program->keeper, &info);
    if (e == ERR_OK) {
        struct admin_summary summary = summary_show(work_pool(w), clock_mono_ms());
        struct stats s = {.w = w, .answer = admin_stats_begin(&w->out, &summary)};
        int64_t today = clock_wall_ms() / DAY_MS;
        e = store_read_days(keeper_store(w->program->keeper), today - (int64_t)query.days + 1, key,
                            on_row, &s, &info);
        admin_stats_end(&s.answer);
    }
    if (e != ERR_OK)
        work_fail(w, e, &info);
}

void admin_stats(struct admin_call *c)
{
    admin_work_start(c, stats);
}
