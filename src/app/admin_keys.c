#include "app/admin_call.h"
#include "app/admin_view.h"
#include "app/admin_work.h"
#include "base/clock.h"
#include "base/log.h"

/* ---- the list ---- */

static void put_listed_key(void *arg, const struct key_view *view)
{
    struct key_shown shown;
    key_show(view, &shown);
    admin_list_key(arg, &shown.key);
}

static struct key_order order_of(const struct admin_list_query *query)
{
    static const enum key_field fields[ADMIN_SORTS] = {
        [ADMIN_BY_ADDED] = KEY_BY_ADDED,       [ADMIN_BY_NAME] = KEY_BY_NAME,
        [ADMIN_BY_STATUS] = KEY_BY_STATUS,     [ADMIN_BY_HOST] = KEY_BY_HOST,
        [ADMIN_BY_REQUESTS] = KEY_BY_REQUESTS, [ADMIN_BY_FAILED] = KEY_BY_FAILED,
        [ADMIN_BY_TOKENS] = KEY_BY_TOKENS,     [ADMIN_BY_USED] = KEY_BY_USED,
        [ADMIN_BY_UNTIL] = KEY_BY_UNTIL};
    return (struct key_order){.field = fields[query->sort], .descending = query->down};
}

static void list(struct admin_work *w)
{
    struct keypool *pool = work_pool(w);
    struct admin_list_query query;
    struct err_info info = {0};
    enum err e = admin_read_list_query(&w->arena, w->query, &query, &info);
    if (e != ERR_OK) {
        work_fail(w, e, &info);
        return;
    }
    struct key_ids ids;
    struct key_filter filter = filter_of(&query.filter);
    struct key_order order = order_of(&query);
    uint64_t now_ms = clock_mono_ms();
    key_list_collect(pool, &filter, &order, now_ms, &ids);

    struct admin_list answer = admin_list_begin(&w->out);
    for (uint64_t i = query.offset; i < ids.n && i - query.offset < query.limit; i++)
        (void)keypool_look(pool, ids.items[i], now_ms, put_listed_key, &answer);
    struct admin_summary summary = summary_show(pool, now_ms);
    admin_list_end(&answer, &summary, ids.n);
    key_ids_release(&ids);
}

void admin_keys_list(struct admin_call *c)
{
    admin_work_start(c, list);
}

/* ---- one key ---- */

/* {"success":true,"key":…}, or 404 if the key has gone meanwhile. */
static void answer_key(struct admin_work *w, uint64_t id)
{
    if (!keypool_look(work_pool(w), id, clock_mono_ms(), put_key_answer, &w->out))
        work_refuse(w, 404, "there is no key with this id");
}

static enum err change(struct admin_work *w, uint64_t id, const struct admin_patch *patch,
                       struct err_info *info)
{
    struct keeper *k = w->program->keeper;
    size_t changed;
    enum err e = ERR_OK;
    if (patch->has_name)
        e = keeper_set_name(k, id, patch->name, info);
    if (e == ERR_OK && patch->has_enabled)
        e = keeper_set_enabled(k, &id, 1, patch->enabled, &changed, info);
    return e;
}

static void patch(struct admin_work *w)
{
    struct admin_patch patch;
    struct err_info info = {0};
    uint64_t id = work_key_id(w);
    if (id == 0)
        return;
    enum err e = admin_read_patch(&w->arena, w->body.p, w->body.len, &patch, &info);
    if (e == ERR_OK)
        e = change(w, id, &patch, &info);
    if (e != ERR_OK)
        work_fail(w, e, &info);
    else
        answer_key(w, id);
}

void admin_keys_patch(struct admin_call *c)
{
    admin_work_start(c, patch);
}

static void see_enabled(void *arg, const struct key_view *view)
{
    *(bool *)arg = view->enabled;
}

static void toggle(struct admin_work *w)
{
    struct admin_patch patch = {.has_enabled = true};
    struct err_info info = {0};
    bool enabled = false;
    uint64_t id = work_key_id(w);
    if (id == 0)
        return;
    (void)keypool_look(work_pool(w), id, clock_mono_ms(), see_enabled, &enabled);
    patch.enabled = !enabled;
    enum err e = change(w, id, &patch, &info);
    if (e != ERR_OK)
        work_fail(w, e, &info);
    else
        answer_key(w, id);
}

void admin_keys_toggle(struct admin_call *c)
{
    admin_work_start(c, toggle);
}

static void delete_one(struct admin_work *w)
{
    struct err_info info = {0};
    size_t removed;
    uint64_t id = work_key_id(w);
    if (id == 0)
        return;
    enum err e = keeper_remove(w->program->keeper, &id, 1, &removed, &info);
    if (e != ERR_OK)
        work_fail(w, e, &info);
    else if (removed == 0)
        work_refuse(w, 404, "there is no key with this id");
    else
        admin_put_success(&w->out);
}

void admin_keys_delete(struct admin_call *c)
{
    admin_work_start(c, delete_one);
}

/* ---- all keys ---- */

static void delete_all(struct admin_work *w)
{
    static const struct key_filter any = {.states = 0};
    static const struct key_order order = {.field = KEY_BY_ADDED};
    struct err_info info = {0};
    struct key_ids ids;
    size_t removed = 0;
    key_list_collect(work_pool(w), &any, &order, clock_mono_ms(), &ids);
    enum err e = keeper_remove(w->program->keeper, ids.items, ids.n, &removed, &info);
    key_ids_release(&ids);
    if (e != ERR_OK) {
        work_fail(w, e, &info);
        return;
    }
    log_warn("keys_deleted", LOG_INT("count", removed));
    admin_put_number(&w->out, STR("removed"), removed);
}

void admin_keys_delete_all(struct admin_call *c)
{
    admin_work_start(c, delete_all);
}

static void reset_health(struct admin_work *w)
{
    keypool_reset_all(work_pool(w), clock_mono_ms());
    admin_put_success(&w->out);
}

void admin_keys_reset_health(struct admin_call *c)
{
    admin_work_start(c, reset_health);
}
