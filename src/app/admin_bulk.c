#include "app/admin_call.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "app/admin_check.h"
#include "app/admin_view.h"
#include "app/admin_work.h"
#include "app/jobs.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

/*
 * One action on many keys. Up to AT_ONCE keys are changed within the request, all or none. More are
 * a job, in steps that are each all or none; one that is stopped has done those before.
 */
#define AT_ONCE   200
#define STEP_KEYS 1000 // changed in one go on the store's thread: others get their turn between

/* What is to be done with many keys; as a job it goes step by step. */
struct bulk {
    struct program *program;
    enum admin_action action;
    struct key_ids ids; // owned
    size_t at;          // those before it are done
    size_t changed;
    struct job *job; // NULL: it is done within the request
};

static void bulk_free(struct bulk *b)
{
    key_ids_release(&b->ids);
    free(b);
}

static struct keypool *pool_of(const struct bulk *b)
{
    return keeper_pool(b->program->keeper);
}

static size_t reset(struct bulk *b, const uint64_t *ids, size_t n)
{
    size_t changed = 0;
    uint64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < n; i++)
        changed += keypool_reset(pool_of(b), ids[i], now_ms);
    return changed;
}

/* Does the next `n` keys. */
static enum err step(struct bulk *b, size_t n, struct err_info *info)
{
    struct keeper *k = b->program->keeper;
    const uint64_t *ids = b->ids.items + b->at;
    size_t changed = 0;
    enum err e = ERR_OK;
    switch (b->action) {
    case ADMIN_ENABLE:
    case ADMIN_DISABLE:
        e = keeper_set_enabled(k, ids, n, b->action == ADMIN_ENABLE, &changed, info);
        break;
    case ADMIN_DELETE:
        e = keeper_remove(k, ids, n, &changed, info);
        break;
    case ADMIN_RESET:
        changed = reset(b, ids, n);
        break;
    case ADMIN_CHECK: // admin_check.c
    case ADMIN_ACTIONS:
        break;
    }
    if (e != ERR_OK)
        return e;
    b->at += n;
    b->changed += changed;
    return ERR_OK;
}

static const char *action_name(enum admin_action action)
{
    static const char *const names[ADMIN_ACTIONS] = {[ADMIN_ENABLE] = "enable",
                                                     [ADMIN_DISABLE] = "disable",
                                                     [ADMIN_CHECK] = "check",
                                                     [ADMIN_RESET] = "reset",
                                                     [ADMIN_DELETE] = "delete"};
    assert(action < ADMIN_ACTIONS);
    return names[action];
}

static void log_bulk(const struct bulk *b)
{
    log_info("keys_changed", LOG_STR("action", str_z(action_name(b->action))),
             LOG_INT("count", b->changed));
}

/* ---- as a job ---- */

static void end_job(struct bulk *b, enum job_state state, const struct err_info *info)
{
    struct buf result;
    buf_init(&result, JOB_RESULT_MAX);
    if (state == JOB_FAILED)
        admin_put_error(&result, str_z(info->text));
    else
        admin_put_number(&result, STR("count"), b->changed);
    log_bulk(b);
    job_end(b->job, state, str_trim_ws(buf_str(&result)));
    buf_release(&result);
    bulk_free(b);
}

/* On the store's thread: one step, and the next is posted behind what others posted meanwhile. */
static void job_step(struct store *store, void *arg)
{
    struct bulk *b = arg;
    struct err_info info = {0};
    size_t left = b->ids.n - b->at;
    if (left == 0) {
        end_job(b, JOB_DONE, &info);
        return;
    }
    if (!job_go_on(b->job, b->at)) {
        end_job(b, JOB_STOPPED, &info);
        return;
    }
    if (step(b, left < STEP_KEYS ? left : STEP_KEYS, &info) != ERR_OK) {
        end_job(b, JOB_FAILED, &info);
        return;
    }
    (void)job_go_on(b->job, b->at);
    if (!store_post(store, job_step, b))
        end_job(b, JOB_STOPPED, &info); // the program ends
}

static void begin_job(struct admin_work *w, struct bulk *b)
{
    struct admin *admin = w->program->admin;
    b->job = job_begin(admin->jobs, b->ids.n);
    if (b->job == NULL) {
        work_refuse(w, 503, "too many jobs are running; wait for one to end, or stop one");
        bulk_free(b);
        return;
    }
    w->status = 202;
    admin_put_begun(admin, b->job, &w->out);
    job_step(keeper_store(w->program->keeper), b);
}

/* ---- the request ---- */

static void run(struct admin_work *w, const struct admin_bulk *asked)
{
    struct bulk *b = xcalloc(1, sizeof(*b));
    struct err_info info = {0};
    b->program = w->program;
    b->action = asked->action;
    find_which(work_pool(w), &asked->which, &b->ids);
    if (b->ids.n > AT_ONCE) {
        begin_job(w, b);
        return;
    }
    enum err e = b->ids.n > 0 ? step(b, b->ids.n, &info) : ERR_OK;
    if (e != ERR_OK) {
        work_fail(w, e, &info);
    } else {
        log_bulk(b);
        admin_put_number(&w->out, STR("count"), b->changed);
    }
    bulk_free(b);
}

/* The keys go back to the worker, which asks their hosts. */
static void find_for_check(struct admin_work *w, const struct admin_bulk *asked)
{
    struct key_ids ids;
    find_which(work_pool(w), &asked->which, &ids);
    w->arg = check_keys_find(work_pool(w), &ids);
    key_ids_release(&ids);
}

static void answer_checked(struct admin_call *c, size_t n)
{
    struct buf body;
    buf_init(&body, 256);
    admin_put_number(&body, STR("count"), n);
    call_reply(c, 200, buf_str(&body), NULL);
    buf_release(&body);
}

static void deliver(struct admin_work *w)
{
    if (w->call == NULL)
        check_keys_free(w->arg);
    else if (w->arg != NULL)
        admin_check_start(w->call, w->arg, answer_checked);
    else
        admin_work_send(w);
}

static void bulk(struct admin_work *w)
{
    struct admin_bulk asked;
    struct err_info info = {0};
    enum err e = admin_read_bulk(&w->arena, w->body.p, w->body.len, &asked, &info);
    if (e != ERR_OK)
        work_fail(w, e, &info);
    else if (asked.action == ADMIN_CHECK)
        find_for_check(w, &asked);
    else
        run(w, &asked);
}

void admin_keys_bulk(struct admin_call *c)
{
    (void)admin_work_start_with(c, bulk, deliver, NULL);
}
