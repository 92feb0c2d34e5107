#include "app/admin_call.h"

#include <stdlib.h>

#include "app/admin_view.h"
#include "app/admin_work.h"
#include "app/health.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/admin_detail.h"
#include "core/config.h"

enum { SETTINGS_BYTES = 1 << 20 };

/* ---- settings ---- */

struct settings {
    struct buf out;
    bool any;
};

static void put_setting(void *arg, const struct config_setting *s)
{
    struct settings *settings = arg;
    struct admin_setting shown = {.name = s->name,
                                  .value = s->value,
                                  .origin = s->origin,
                                  .secret = s->secret,
                                  .set = s->set,
                                  .fallback = s->fallback,
                                  .help = str_z(s->help),
                                  .restart = s->restart};
    if (settings->any)
        buf_append_char(&settings->out, ',');
    settings->any = true;
    admin_put_setting(&settings->out, &shown);
}

void admin_settings(struct admin_call *c)
{
    struct settings settings = {.any = false};
    buf_init(&settings.out, SETTINGS_BYTES);
    buf_append(&settings.out, STR("{\"settings\":["));
    config_walk(c->r->snapshot->config, put_setting, &settings);
    buf_append(&settings.out, STR("]}\n"));
    if (buf_ok(&settings.out))
        call_reply(c, 200, buf_str(&settings.out), NULL);
    else
        call_refuse(c, 500, STR("the settings are too long to be shown"));
    buf_release(&settings.out);
}

/* ---- one key ---- */

struct detail {
    struct buf *out;
    uint32_t host;
    bool any_move;
};

static void put_key(void *arg, const struct key_view *view)
{
    struct detail *d = arg;
    struct key_shown shown;
    key_show(view, &shown);
    d->host = view->host;
    buf_append(d->out, STR("{\"key\":"));
    admin_put_key(d->out, &shown.key);
}

static void put_move(void *arg, const struct key_move *move)
{
    struct detail *d = arg;
    struct admin_move shown = {.at_ms = move->at_ms,
                               .from = str_z(key_state_name(move->from)),
                               .to = str_z(key_state_name(move->to)),
                               .cause = str_z(key_cause_name(move->cause)),
                               .source = source_show(move->source),
                               .until_ms = move->until_ms,
                               .reason = move->reason};
    if (d->any_move)
        buf_append_char(d->out, ',');
    d->any_move = true;
    admin_put_move(d->out, &shown);
}

static void put_host(struct admin_work *w, uint32_t number, const char *name)
{
    struct admin_host host;
    buf_append(&w->out, str_z(name));
    if (work_find_host(w, number, &host))
        admin_put_host(&w->out, &host);
    else
        buf_append(&w->out, STR("null"));
}

static void detail(struct admin_work *w)
{
    struct err_info info = {0};
    struct detail d = {.out = &w->out};
    uint64_t id = work_key_id(w);
    if (id == 0)
        return;
    // What has just happened to the key is part of its history.
    enum err e = keeper_flush(w->program->keeper, &info);
    if (e == ERR_OK && !keypool_look(work_pool(w), id, clock_mono_ms(), put_key, &d))
        e = err_set(&info, ERR_NOT_FOUND, "there is no key with this id");
    if (e == ERR_OK) {
        put_host(w, d.host, ",\"host\":");
        buf_append(&w->out, STR(",\"moves\":["));
        e = store_read_moves(keeper_store(w->program->keeper), id, STR(""), put_move, &d, &info);
        buf_append(&w->out, STR("]}\n"));
    }
    if (e != ERR_OK)
        work_fail(w, e, &info);
}

void admin_key_get(struct admin_call *c)
{
    admin_work_start(c, detail);
}

/* ---- imports ---- */

static void undo_import(struct admin_work *w)
{
    struct err_info info = {0};
    uint64_t batch = 0;
    size_t removed = 0;
    enum err e = ERR_OK;
    if (str_to_u64(w->id, &batch) && batch > 0 && batch < INT64_MAX)
        e = keeper_remove_batch(w->program->keeper, batch, &removed, &info);
    if (e == ERR_OK && removed == 0)
        e = err_set(&info, ERR_NOT_FOUND, "nothing is left of such an import");
    if (e != ERR_OK) {
        work_fail(w, e, &info);
        return;
    }
    log_warn("import_undone", LOG_INT("removed", removed));
    admin_put_number(&w->out, STR("removed"), removed);
}

void admin_import_delete(struct admin_call *c)
{
    admin_work_start(c, undo_import);
}

/* ---- a host is asked now ---- */

/* A number of a host through a work's pointer. */
static void *of_host(uint32_t host)
{
    return (void *)((uintptr_t)host + 1); // NOLINT(performance-no-int-to-ptr)
}

static void answer_host(struct admin_work *w)
{
    struct admin_host host;
    if (!work_find_host(w, (uint32_t)((uintptr_t)w->arg - 1), &host)) {
        work_refuse(w, 404, "the host has no key any more");
        return;
    }
    buf_append(&w->out, STR("{\"success\":true,\"host\":"));
    admin_put_host(&w->out, &host);
    buf_append(&w->out, STR("}\n"));
}

/* On the worker: the key was asked, and the pool was told. */
static void on_host_checked(void *arg, enum probe_result result, str text)
{
    struct admin_call *c = arg;
    (void)result; // the host shows it
    (void)text;
    c->check = NULL;
    (void)admin_work_start_with(c, answer_host, NULL, c->arg);
}

struct host_key {
    uint64_t id;
    uint32_t host;
};

static void see_host_key(void *arg, const struct key_view *view)
{
    struct host_key *k = arg;
    *k = (struct host_key){.id = view->id, .host = view->host};
}

static uint64_t find_key(struct admin_work *w, str host, unsigned states, struct host_key *ret)
{
    static const struct key_order order = {.field = KEY_BY_ADDED};
    struct key_filter filter = {.states = states, .host = host};
    struct key_ids ids;
    key_list_collect(work_pool(w), &filter, &order, clock_mono_ms(), &ids);
    if (ids.n > 0)
        (void)keypool_look(work_pool(w), ids.items[0], clock_mono_ms(), see_host_key, ret);
    key_ids_release(&ids);
    return ret->id;
}

/* Any key will do to ask whether somebody is there; one that is in use rather than another. */
static void find_host_key(struct admin_work *w)
{
    struct err_info info = {0};
    struct host_key *found = arena_alloc(&w->arena, sizeof(*found));
    str host;
    enum err e = admin_read_host(&w->arena, w->body.p, w->body.len, &host, &info);
    if (e == ERR_OK && found == NULL)
        e = err_set(&info, ERR_TOO_LARGE, "the body is too large");
    if (e != ERR_OK) {
        work_fail(w, e, &info);
        return;
    }
    *found = (struct host_key){.id = 0};
    unsigned dead = 1U << KEY_IS_DEAD | 1U << KEY_IS_DISABLED;
    if (find_key(w, host, 1U << KEY_IS_READY | 1U << KEY_IS_COOLING, found) == 0 &&
        find_key(w, host, dead, found) == 0)
        work_refuse(w, 404, "there is no key of this host");
    w->arg = found;
}

static void check_host_key(struct admin_work *w)
{
    const struct host_key *found = w->arg;
    struct admin_call *c = w->call;
    if (c == NULL)
        return;
    if (w->status != 200) {
        admin_work_send(w);
        return;
    }
    c->arg = of_host(found->host);
    c->check = health_check(w->worker, found->id, on_host_checked, c);
    if (c->check == NULL)
        call_refuse(c, 404, STR("the key was deleted meanwhile"));
}

void admin_host_check(struct admin_call *c)
{
    (void)admin_work_start_with(c, find_host_key, check_host_key, NULL);
}
