#include "app/admin_live.h"

#include <stdlib.h>

#include "app/admin_log.h"
#include "app/admin_view.h"
#include "app/feed.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "codec/admin_feed.h"
#include "codec/admin_request.h"
#include "core/reqlog.h"

enum {
    FIELDS_BYTES = 1024,
    LOG_ENTRIES = 50,      // of one event
    EVENT_BYTES = 1 << 20, // with so many entries
};

struct admin_listener {
    struct list link; // in worker->listeners
    struct admin_call *call;
    struct loop_timer timer;
    struct buf last; // fields of the last tick that was sent
    uint64_t sent_ms;
    bool log;
    bool over;       // its answer was ended; it goes once that is sent
    uint64_t log_id; // the newest entry that it has
};

static struct worker *worker_of(const struct admin_listener *l)
{
    return l->call->r->worker;
}

/* ---- events ---- */

static void put_fields(const struct admin_listener *l, struct buf *out)
{
    struct feed_now now;
    feed_now(worker_of(l)->program->feed, &now);
    struct admin_tick tick = {.requests = now.requests,
                              .errors = now.errors,
                              .per_second = now.per_second,
                              .streams = now.streams,
                              .connections = now.connections,
                              .states = states_show(now.by_state),
                              .version = now.version};
    admin_put_tick_fields(out, &tick);
}

/* Appends a tick, if there is news or it was quiet for long. */
static void add_tick(struct admin_listener *l, struct buf *out)
{
    uint64_t now_ms = loop_now_ms(worker_of(l)->loop);
    struct buf fields;
    buf_init(&fields, FIELDS_BYTES);
    put_fields(l, &fields);
    if (str_eq(buf_str(&fields), buf_str(&l->last)) && now_ms - l->sent_ms < ADMIN_LIVE_IDLE_MS) {
        buf_release(&fields);
        return;
    }
    char at[CLOCK_ISO_BYTES];
    clock_iso(clock_wall_ms(), at);
    buf_printf(out, "event: tick\ndata: {\"at\":\"%s\",", at);
    buf_append(out, buf_str(&fields));
    buf_append(out, STR("}\n\n"));
    buf_release(&l->last);
    l->last = fields;
    l->sent_ms = now_ms;
}

static void put_log(struct keypool *pool, const struct reqlog_entry *entries, size_t n,
                    uint64_t skipped, struct buf *out)
{
    buf_append(out, STR("event: log\ndata: {\"entries\":["));
    for (size_t i = 0; i < n; i++) {
        buf_append(out, i > 0 ? STR(",") : STR(""));
        log_put_entry(pool, &entries[i], out);
    }
    buf_append(out, STR("],\"skipped\":"));
    buf_append_u64(out, skipped);
    buf_append(out, STR("}\n\n"));
}

/* Appends the requests that have ended since the last time, if there are any. */
static void add_log(struct admin_listener *l, struct buf *out)
{
    const struct program *program = worker_of(l)->program;
    if (!l->log || reqlog_newest(program->reqlog) == l->log_id)
        return;
    struct reqlog_entry *entries = xcalloc(LOG_ENTRIES, sizeof(*entries));
    uint64_t skipped = 0;
    size_t n = reqlog_since(program->reqlog, l->log_id, LOG_ENTRIES, entries, &l->log_id, &skipped);
    if (n > 0)
        put_log(program->keypool, entries, n, skipped, out);
    free(entries);
}

/* Its memory goes, now or soon. */
static void end(struct admin_listener *l)
{
    if (l->over)
        return;
    l->over = true;
    loop_timer_cancel(worker_of(l)->loop, &l->timer);
    exchange_finish(l->call->r->x);
}

static void on_timer(void *arg)
{
    struct admin_listener *l = arg;
    struct exchange *x = l->call->r->x;
    if (!admin_auth_knows(admin_of(l->call)->auth, call_credential(l->call))) {
        end(l);
        return;
    }
    loop_timer_set(worker_of(l)->loop, &l->timer, ADMIN_LIVE_MS);
    if (exchange_congested(x))
        return;
    struct buf out;
    buf_init(&out, EVENT_BYTES);
    add_tick(l, &out);
    add_log(l, &out);
    if (buf_ok(&out) && out.len > 0)
        exchange_write(x, buf_str(&out));
    buf_release(&out);
}

/* ---- begin and end ---- */

static void begin(struct admin_call *c)
{
    static const struct admin_extras extras = {
        .content_type = STR_C("text/event-stream; charset=utf-8"), .unbuffered = true};
    call_begin(c, 200, &extras);
}

static void start(struct admin_call *c, bool log)
{
    struct admin_listener *l = xcalloc(1, sizeof(*l));
    l->call = c;
    l->log = log;
    l->log_id = reqlog_newest(c->r->worker->program->reqlog);
    buf_init(&l->last, FIELDS_BYTES);
    loop_timer_init(&l->timer, on_timer, l);
    list_init(&l->link);
    list_append(&worker_of(l)->listeners, &l->link);
    c->listener = l;
    begin(c);
    on_timer(l);
}

/* Takes a place among the listeners of the process. */
static bool take_place(struct admin *admin)
{
    if (atomic_fetch_add(&admin->listeners, 1) < ADMIN_LIVE_MAX)
        return true;
    atomic_fetch_sub(&admin->listeners, 1);
    return false;
}

static void refuse(struct admin_call *c, str sentence)
{
    struct admin_extras extras = {.retry_after_s = 5};
    call_refuse_with(c, 503, sentence, &extras);
}

void admin_live(struct admin_call *c)
{
    struct err_info info = {0};
    bool log = false;
    enum err e = admin_read_live_query(&c->r->worker->scratch, call_query(c), &log, &info);
    if (e != ERR_OK) {
        call_refuse(c, err_status(e), str_z(info.text));
    } else if (c->r->method == HTTP1_HEAD) {
        begin(c);
        exchange_finish(c->r->x);
    } else if (c->r->worker->draining) {
        refuse(c, STR("this server is shutting down"));
    } else if (!take_place(admin_of(c))) {
        refuse(c, STR("too many pages listen already; close one"));
    } else {
        start(c, log);
    }
}

void admin_live_leave(struct admin_listener *l)
{
    if (l == NULL)
        return;
    atomic_fetch_sub(&admin_of(l->call)->listeners, 1);
    loop_timer_cancel(worker_of(l)->loop, &l->timer);
    list_remove(&l->link);
    buf_release(&l->last);
    free(l);
}

void admin_live_drain(struct worker *w)
{
    struct list *at = w->listeners.next;
    while (at != &w->listeners) {
        struct admin_listener *l = list_entry(at, struct admin_listener, link);
        at = at->next;
        end(l);
    }
}
