#include "app/admin_work.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"
#include "codec/admin_answer.h"
#include "net/budget.h"

static void work_free(struct admin_work *w)
{
    buf_release(&w->body);
    budget_follow(&w->charged, 0);
    buf_release(&w->out);
    arena_release(&w->arena);
    snapshot_release(w->snapshot);
    free(w);
}

static struct admin_work *work_new(struct admin_call *c)
{
    struct request *r = c->r;
    struct admin_work *w = xcalloc(1, sizeof(*w));
    struct buf *body = exchange_body(r->x);
    w->worker = r->worker;
    w->program = r->worker->program;
    w->call = c;
    w->snapshot = snapshot_acquire(r->snapshot);
    arena_init(&w->arena, ADMIN_WORK_ARENA);
    w->query = arena_copy(&w->arena, call_query(c));
    w->id = arena_copy(&w->arena, call_id(c));
    buf_init(&w->out, ADMIN_ANSWER_MAX);
    w->status = 200;
    w->body = *body;
    buf_init(body, body->max);
    exchange_drop_body(r->x);
    budget_follow(&w->charged, w->body.cap);
    return w;
}

void admin_work_leave(struct admin_work *w)
{
    if (w != NULL)
        w->call = NULL;
}

void admin_work_send(struct admin_work *w)
{
    struct admin_extras extras = {.content_type = w->content_type, .disposition = w->disposition};
    if (buf_ok(&w->out))
        call_reply(w->call, w->status, buf_str(&w->out), &extras);
    else
        call_refuse(w->call, 500, STR("the answer is too large; ask for less"));
}

/* On the worker. */
static void deliver(void *arg)
{
    struct admin_work *w = arg;
    if (w->call != NULL)
        w->call->work = NULL;
    if (w->delivered != NULL)
        w->delivered(w);
    else if (w->call != NULL)
        admin_work_send(w);
    work_free(w);
}

/* On the store's thread. */
static void run(struct store *store, void *arg)
{
    struct admin_work *w = arg;
    (void)store;
    w->fn(w);
    loop_post(w->worker->loop, deliver, w);
}

bool admin_work_start_with(struct admin_call *c, admin_work_fn *fn, admin_work_fn *delivered,
                           void *arg)
{
    struct store *store = keeper_store(c->r->worker->program->keeper);
    struct admin_work *w = work_new(c);
    w->fn = fn;
    w->delivered = delivered;
    w->arg = arg;
    c->work = w;
    if (store_queue_length(store) < ADMIN_WORKS_MAX && store_post(store, run, w))
        return true;
    c->work = NULL;
    work_free(w);
    struct admin_extras extras = {.retry_after_s = 1};
    call_refuse_with(c, 503, STR("this server is busy; try again soon"), &extras);
    return false;
}

void admin_work_start(struct admin_call *c, admin_work_fn *fn)
{
    (void)admin_work_start_with(c, fn, NULL, NULL);
}

/* ---- for the functions of works ---- */

void work_refuse(struct admin_work *w, int status, const char *fmt, ...)
{
    char text[600];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    w->status = status;
    buf_reset(&w->out);
    admin_put_error(&w->out, str_of(text, len));
}

void work_fail(struct admin_work *w, enum err e, const struct err_info *info)
{
    work_refuse(w, err_status(e), "%s", info->text[0] != '\0' ? info->text : err_name(e));
}

uint64_t work_key_id(struct admin_work *w)
{
    uint64_t id = keypool_find_id(work_pool(w), w->id);
    if (id == 0)
        work_refuse(w, 404, "there is no key with this id");
    return id;
}
