#include "app/admin_log.h"

#include <stdlib.h>

#include "app/admin_call.h"
#include "app/admin_view.h"
#include "app/admin_work.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "codec/admin_log.h"
#include "codec/keytext.h"

enum { NAMES_BYTES = 4096 };

/* What stands for the numbers of an entry or an attempt; texts live in `room`. */
struct names {
    struct admin_log_key key;
    str host; // as it is shown
    str base_url;
    struct buf room;
    size_t id_at, name_at, mask_at, url_at, host_at, end_at;
};

static void see_key(void *arg, const struct key_view *view)
{
    struct names *n = arg;
    char id[24], mask[KEYPOOL_MASK_BYTES];
    buf_append(&n->room, key_shown_id(view, id));
    n->name_at = n->room.len;
    buf_append(&n->room, view->name);
    n->mask_at = n->room.len;
    buf_append(&n->room, key_mask(view->secret, mask));
}

static str part(const struct names *n, size_t from, size_t to)
{
    return str_of(n->room.p + from, to - from);
}

/* Finds the names; to be released by buf_release(&n->room). */
static void names_init(struct names *n, struct keypool *pool, uint64_t key_id, uint32_t host,
                       int64_t at_ms)
{
    *n = (struct names){.id_at = 0};
    buf_init(&n->room, NAMES_BYTES);
    if (key_id != 0 && !keypool_look(pool, key_id, clock_mono_ms(), see_key, n)) {
        buf_append_u64(&n->room, key_id);
        n->name_at = n->mask_at = n->room.len;
    }
    n->url_at = n->room.len;
    if (host != REQLOG_NO_HOST)
        keypool_put_host(pool, host, at_ms, &n->room);
    n->host_at = n->room.len;
    str base_url = part(n, n->url_at, n->host_at);
    if (base_url.len > 0) {
        struct buf shown;
        buf_init(&shown, NAMES_BYTES);
        keytext_put_shown_url(&shown, base_url);
        buf_append(&n->room, buf_str(&shown));
        buf_release(&shown);
    }
    n->end_at = n->room.len;
    n->base_url = part(n, n->url_at, n->host_at);
    n->host = part(n, n->host_at, n->end_at);
    n->key = (struct admin_log_key){.id = part(n, 0, n->name_at),
                                    .name = part(n, n->name_at, n->mask_at),
                                    .mask = part(n, n->mask_at, n->url_at)};
}

static void put_entry(const struct reqlog_entry *e, const struct names *n, struct buf *out)
{
    struct admin_log_entry shown = {
        .id = e->id,
        .at_ms = e->at_ms,
        .route = route_info(e->route)->name,
        .model = reqlog_model(e),
        .key = n->key,
        .host = n->host,
        .status = e->status,
        .stream = e->stream,
        .first_ms = e->first_ms == UINT64_MAX ? -1 : (int64_t)e->first_ms,
        .ms = e->ms,
        .tokens_in = e->tokens_in,
        .tokens_out = e->tokens_out,
        .end = str_z(e->end),
        .attempts = e->attempts,
        .caller = reqlog_caller(e),
    };
    admin_put_log_entry(out, &shown);
}

void log_put_entry(struct keypool *pool, const struct reqlog_entry *e, struct buf *out)
{
    struct names n;
    names_init(&n, pool, e->key_id, e->host, e->at_ms);
    put_entry(e, &n, out);
    buf_release(&n.room);
}

/* ---- the list ---- */

static bool is_error(const struct reqlog_entry *e)
{
    str end = str_z(e->end);
    return e->status >= 400 || (!str_eq(end, STR("done")) && !str_eq(end, STR("gone")));
}

/* What needs no names, first: most entries go by here. */
static bool matches(const struct admin_log_query *q, uint64_t key_id, const struct reqlog_entry *e)
{
    if (q->before != 0 && e->id >= q->before)
        return false;
    if ((q->status == ADMIN_LOG_OK && is_error(e)) ||
        (q->status == ADMIN_LOG_ERROR && !is_error(e)))
        return false;
    if (q->status >= ADMIN_LOG_STATUS_MIN && q->status != e->status)
        return false;
    if (q->key.len > 0 && (key_id == 0 || e->key_id != key_id))
        return false;
    return (q->route.len == 0 || str_eq(q->route, route_info(e->route)->name)) &&
           (q->model.len == 0 || str_eq(q->model, reqlog_model(e)));
}

static bool matches_names(const struct admin_log_query *q, const struct reqlog_entry *e,
                          const struct names *n)
{
    if (q->host.len > 0 && !str_eq(q->host, n->host) && !str_eq(q->host, n->base_url))
        return false;
    return q->q.len == 0 || str_icontains(reqlog_model(e), q->q) ||
           str_icontains(n->key.name, q->q) || str_icontains(n->host, q->q) ||
           str_icontains(str_z(e->end), q->q);
}

/* The number of a key; one that was deleted is known by that alone. 0: none. */
static uint64_t id_of(struct keypool *pool, str text)
{
    uint64_t id = keypool_find_id(pool, text);
    return id != 0 || str_to_u64(text, &id) ? id : 0;
}

static void put_matching(struct admin_work *w, const struct admin_log_query *q,
                         const struct reqlog_entry *entries, size_t n_entries)
{
    bool any = false, more = false;
    uint64_t n = 0, key_id = id_of(work_pool(w), q->key);
    for (size_t i = 0; i < n_entries && !more; i++) {
        struct names names;
        if (!matches(q, key_id, &entries[i]))
            continue;
        names_init(&names, work_pool(w), entries[i].key_id, entries[i].host, entries[i].at_ms);
        if (matches_names(q, &entries[i], &names)) {
            more = n == q->limit;
            if (!more) {
                admin_log_next(&w->out, &any);
                put_entry(&entries[i], &names, &w->out);
                n++;
            }
        }
        buf_release(&names.room);
    }
    admin_log_end(&w->out, any, more, n_entries, reqlog_capacity(w->program->reqlog));
}

static void list(struct admin_work *w)
{
    struct reqlog *log = w->program->reqlog;
    struct admin_log_query query;
    struct err_info info = {0};
    enum err e = admin_read_log_query(&w->arena, w->query, &query, &info);
    if (e != ERR_OK) {
        work_fail(w, e, &info);
        return;
    }
    struct reqlog_entry *entries = xcalloc(reqlog_capacity(log), sizeof(*entries));
    put_matching(w, &query, entries, reqlog_copy(log, entries));
    free(entries);
}

void admin_log_list(struct admin_call *c)
{
    admin_work_start(c, list);
}

/* ---- one request ---- */

static void put_try(struct admin_work *w, const struct reqlog_try *try, int64_t at_ms)
{
    struct names n;
    names_init(&n, work_pool(w), try->key_id, try->host, at_ms);
    struct admin_log_try shown = {.key = n.key,
                                  .host = n.host,
                                  .status = try->status,
                                  .verdict = str_z(try->verdict),
                                  .text = str_z(try->text),
                                  .ms = try->ms};
    admin_put_log_try(&w->out, &shown);
    buf_release(&n.room);
}

static void put_tries(struct admin_work *w, const struct reqlog_entry *e,
                      const struct reqlog_tries *failed)
{
    for (size_t i = 0; i < failed->n; i++) {
        if (i > 0)
            buf_append_char(&w->out, ',');
        put_try(w, &failed->items[i], e->at_ms);
    }
    if (e->last_verdict == NULL)
        return;
    struct reqlog_try last = {.key_id = e->key_id,
                              .host = e->host,
                              .status = e->last_status,
                              .ms = e->last_ms,
                              .verdict = e->last_verdict};
    if (failed->n > 0)
        buf_append_char(&w->out, ',');
    put_try(w, &last, e->at_ms);
}

static void one(struct admin_work *w)
{
    struct reqlog_entry e;
    uint64_t id = 0;
    struct reqlog_tries *failed = xcalloc(1, sizeof(*failed));
    if (str_to_u64(w->id, &id) && reqlog_find(w->program->reqlog, id, &e, failed)) {
        buf_append(&w->out, STR("{\"entry\":"));
        log_put_entry(work_pool(w), &e, &w->out);
        buf_append(&w->out, STR(",\"attempts\":["));
        put_tries(w, &e, failed);
        buf_append(&w->out, STR("]}\n"));
    } else {
        work_refuse(w, 404, "there is no request with this id in the log any more");
    }
    free(failed);
}

void admin_log_one(struct admin_call *c)
{
    admin_work_start(c, one);
}
