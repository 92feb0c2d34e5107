#include "app/admin_check.h"

#include <stdlib.h>

#include "app/admin_view.h"
#include "app/admin_work.h"
#include "app/health.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

#define TICK_MS (1000 / ADMIN_CHECKS_PER_S)

struct check_item {
    uint64_t id;
    uint32_t host;
};

/* The keys of one host. */
struct group {
    size_t at; // the next item
    size_t end;
    size_t n_open;
};

/* A place for a check that waits for its answer. */
struct open_check {
    struct check_run *run;
    struct group *group;
    struct health_check *check; // NULL: it is free
};

struct check_run {
    struct list link; // in worker->check_runs
    struct worker *worker;
    struct admin_call *call; // who waits; NULL: it is a job
    check_done_fn *fn;
    struct job *job; // NULL: a call waits
    struct check_keys *keys;
    struct group *groups;
    size_t n_groups;
    size_t n_done;
    size_t n_open;
    struct open_check open[ADMIN_CHECKS_OPEN];
    struct loop_timer timer;
};

/* ---- the keys ---- */

static void see_host(void *arg, const struct key_view *view)
{
    struct check_keys *keys = arg;
    keys->items[keys->n++] = (struct check_item){.id = view->id, .host = view->host};
}

static int compare(const void *left, const void *right)
{
    const struct check_item *a = left;
    const struct check_item *b = right;
    if (a->host != b->host)
        return a->host < b->host ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

struct check_keys *check_keys_find(struct keypool *pool, const struct key_ids *ids)
{
    struct check_keys *keys = xcalloc(1, sizeof(*keys));
    uint64_t now_ms = clock_mono_ms();
    keys->items = xcalloc(ids->n > 0 ? ids->n : 1, sizeof(*keys->items));
    for (size_t i = 0; i < ids->n; i++)
        (void)keypool_look(pool, ids->items[i], now_ms, see_host, keys);
    if (keys->n > 0)
        qsort(keys->items, keys->n, sizeof(*keys->items), compare);
    return keys;
}

void check_keys_free(struct check_keys *keys)
{
    if (keys == NULL)
        return;
    free(keys->items);
    free(keys);
}

/* ---- a run ---- */

static void run_free(struct check_run *run)
{
    for (size_t i = 0; i < ADMIN_CHECKS_OPEN; i++) {
        if (run->open[i].check != NULL)
            health_check_cancel(run->open[i].check);
    }
    if (run->call != NULL)
        run->call->run = NULL;
    loop_timer_cancel(run->worker->loop, &run->timer);
    list_remove(&run->link);
    check_keys_free(run->keys);
    free(run->groups);
    free(run);
}

static void end_job(struct check_run *run, enum job_state state)
{
    struct buf result;
    struct admin_summary summary = summary_show(run->worker->program->keypool, clock_mono_ms());
    buf_init(&result, JOB_RESULT_MAX);
    buf_printf(&result, "{\"success\":true,\"count\":%zu,\"summary\":", run->n_done);
    admin_put_summary(&result, &summary);
    buf_append(&result, STR("}"));
    (void)job_go_on(run->job, run->n_done);
    job_end(run->job, state, buf_str(&result));
    buf_release(&result);
    run_free(run);
}

/* All keys were checked. */
static void finish(struct check_run *run)
{
    struct admin_call *c = run->call;
    check_done_fn *fn = run->fn;
    size_t n = run->n_done;
    log_info("keys_checked", LOG_INT("count", n));
    if (run->job != NULL) {
        end_job(run, JOB_DONE);
        return;
    }
    run_free(run);
    fn(c, n);
}

static void on_checked(void *arg, enum probe_result result, str text)
{
    struct open_check *open = arg;
    struct check_run *run = open->run;
    (void)result; // the pool was told
    (void)text;
    open->check = NULL;
    open->group->n_open--;
    run->n_open--;
    run->n_done++;
    if (run->n_done == run->keys->n)
        finish(run);
}

/* Begins the next check of a group. */
static void begin_next(struct check_run *run, struct group *group)
{
    struct open_check *open = run->open;
    while (open->check != NULL)
        open++;
    *open = (struct open_check){.run = run, .group = group};
    open->check = health_check(run->worker, run->keys->items[group->at++].id, on_checked, open);
    if (open->check == NULL) {
        run->n_done++; // the key was deleted meanwhile
        return;
    }
    group->n_open++;
    run->n_open++;
}

static void on_tick(void *arg)
{
    struct check_run *run = arg;
    if (run->job != NULL && !job_go_on(run->job, run->n_done)) {
        end_job(run, JOB_STOPPED);
        return;
    }
    for (size_t i = 0; i < run->n_groups && run->n_open < ADMIN_CHECKS_OPEN; i++) {
        struct group *group = &run->groups[i];
        if (group->at < group->end && group->n_open < ADMIN_CHECKS_HOST_OPEN)
            begin_next(run, group);
    }
    if (run->n_done == run->keys->n)
        finish(run);
    else
        loop_timer_set(run->worker->loop, &run->timer, TICK_MS);
}

static void make_groups(struct check_run *run)
{
    const struct check_item *items = run->keys->items;
    size_t n = run->keys->n;
    run->groups = xcalloc(n > 0 ? n : 1, sizeof(*run->groups));
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || items[i].host != items[i - 1].host)
            run->groups[run->n_groups++].at = i;
        run->groups[run->n_groups - 1].end = i + 1;
    }
}

/* The run is a job: says so to the call. False: too many are running. */
static bool become_job(struct check_run *run, struct admin_call *c)
{
    struct admin *admin = admin_of(c);
    run->job = job_begin(admin->jobs, run->keys->n);
    if (run->job == NULL)
        return false;
    struct buf body;
    buf_init(&body, 1024);
    admin_put_begun(admin, run->job, &body);
    call_reply(c, 202, buf_str(&body), NULL);
    buf_release(&body);
    return true;
}

static void refuse_for_now(struct admin_call *c, str sentence)
{
    struct admin_extras extras = {.retry_after_s = 1};
    call_refuse_with(c, 503, sentence, &extras);
}

void admin_check_start(struct admin_call *c, struct check_keys *keys, check_done_fn *fn)
{
    struct worker *w = c->r->worker;
    struct check_run *run = xcalloc(1, sizeof(*run));
    run->worker = w;
    run->keys = keys;
    run->fn = fn;
    make_groups(run);
    loop_timer_init(&run->timer, on_tick, run);
    list_init(&run->link);
    list_append(&w->check_runs, &run->link);
    if (keys->n <= ADMIN_CHECK_AT_ONCE) {
        run->call = c;
        c->run = run;
    } else if (w->draining) {
        refuse_for_now(c, STR("this server is shutting down"));
        run_free(run);
        return;
    } else if (!become_job(run, c)) {
        refuse_for_now(c, STR("too many jobs are running; wait for one to end, or stop one"));
        run_free(run);
        return;
    }
    on_tick(run);
}

void admin_check_leave(struct admin_call *c)
{
    if (c->run != NULL)
        run_free(c->run);
    if (c->check != NULL)
        health_check_cancel(c->check);
    c->check = NULL;
}

void admin_check_drain(struct worker *w)
{
    struct list *l = w->check_runs.next;
    while (l != &w->check_runs) {
        struct check_run *run = list_entry(l, struct check_run, link);
        l = l->next;
        if (run->job != NULL)
            end_job(run, JOB_STOPPED);
    }
}

/* ---- all keys ---- */

static void find_all(struct admin_work *w)
{
    static const struct key_filter any = {.states = 0};
    static const struct key_order order = {.field = KEY_BY_ADDED};
    struct key_ids ids;
    key_list_collect(work_pool(w), &any, &order, clock_mono_ms(), &ids);
    w->arg = check_keys_find(work_pool(w), &ids);
    key_ids_release(&ids);
}

static void list_checked(struct admin_call *c, size_t n)
{
    (void)n;
    admin_keys_list(c);
}

static void start_all(struct admin_work *w)
{
    if (w->call != NULL)
        admin_check_start(w->call, w->arg, list_checked);
    else
        check_keys_free(w->arg);
}

void admin_keys_check(struct admin_call *c)
{
    (void)admin_work_start_with(c, find_all, start_all, NULL);
}

/* ---- one key ---- */

static void on_one_checked(void *arg, enum probe_result result, str text)
{
    struct admin_call *c = arg;
    struct buf body;
    (void)result; // the key shows it
    (void)text;
    c->check = NULL;
    buf_init(&body, ADMIN_KEY_BYTES + 1024);
    if (keypool_look(c->r->worker->program->keypool, c->key_id, clock_mono_ms(), put_key_answer,
                     &body))
        call_reply(c, 200, buf_str(&body), NULL);
    else
        call_refuse(c, 404, STR("the key was deleted meanwhile"));
    buf_release(&body);
}

void admin_key_check(struct admin_call *c)
{
    struct worker *w = c->r->worker;
    c->key_id = keypool_find_id(w->program->keypool, call_id(c));
    if (c->key_id != 0)
        c->check = health_check(w, c->key_id, on_one_checked, c);
    if (c->check == NULL)
        call_refuse(c, 404, STR("there is no key with this id"));
}
