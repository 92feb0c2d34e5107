#include "app/worker.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "app/admin_check.h"
#include "app/admin_live.h"
#include "app/health.h"
#include "app/learn.h"
#include "app/look.h"
#include "app/relay.h"
#include "app/site.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"

#define SCRATCH_KEPT_BYTES   ((size_t)64 * 1024)
#define SCRATCH_BUDGET_BYTES ((size_t)256 * 1024 * 1024)
#define OUT_BYTES            ((size_t)256 * 1024 * 1024)
#define OUT_KEPT_BYTES       ((size_t)256 * 1024)

/* Half of the descriptors, since each connection of a caller's needs one upstream. */
static size_t max_connections(const struct program *program)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = 1024;
    size_t all = limit.rlim_cur > 128 ? ((size_t)limit.rlim_cur - 64) / 2 : 32;
    size_t each = all / program->n_workers;
    return each > 0 ? each : 1;
}

static bool peer_is_trusted(void *app, const struct sockaddr *peer)
{
    struct worker *w = app;
    return cidr_list_has(&w->snapshot->config->trust_proxy, peer);
}

static struct server_options server_options(const struct worker *w)
{
    return (struct server_options){
        .max_connections = max_connections(w->program),
        .max_conn_per_addr = w->snapshot->config->max_conn_per_ip,
        .peer_is_trusted = peer_is_trusted,
    };
}

/* Drained: nothing is open any more, so the loop may end. */
static void on_idle(void *arg)
{
    struct worker *w = arg;
    loop_timer_cancel(w->loop, &w->drain_timer);
    relay_free_tails(w);
    learn_stop(w);
    health_stop(w);
    loop_stop(w->loop);
}

static void on_drain_deadline(void *arg)
{
    struct worker *w = arg;
    log_warn("drain_deadline", LOG_INT("connections", server_connections(w->server)));
    site_cut_all(w);
}

static void start_drain(void *arg)
{
    struct worker *w = arg;
    if (w->draining)
        return;
    look_cancel(w);
    w->draining = true;
    admin_check_drain(w);
    admin_live_drain(w);
    loop_timer_set(w->loop, &w->drain_timer, w->snapshot->config->shutdown_timeout_ms);
    server_drain(w->server, on_idle, w);
}

struct reload_job {
    struct worker *worker;
    struct snapshot *snapshot;
};

static void apply_reload(void *arg)
{
    struct reload_job *job = arg;
    struct worker *w = job->worker;
    struct snapshot *old = w->snapshot;
    w->snapshot = job->snapshot;
    struct server_options options = server_options(w);
    server_configure(w->server, w->snapshot->server_tls, &options);
    client_configure(w->client, &w->snapshot->client);
    snapshot_release(old);
    free(job);
}

enum err worker_new(struct program *program, struct snapshot *snapshot, int listen_fd,
                    struct worker **ret, struct err_info *info)
{
    struct worker *w = xcalloc(1, sizeof(*w));
    w->program = program;
    w->snapshot = snapshot_acquire(snapshot);
    feed_shard_init(&w->feed);
    w->loop = loop_new();
    w->client = client_new(w->loop, &snapshot->client);
    arena_init_kept(&w->scratch, SCRATCH_BUDGET_BYTES, SCRATCH_KEPT_BYTES);
    buf_init(&w->out, OUT_BYTES);
    list_init(&w->requests);
    list_init(&w->tails);
    list_init(&w->asks);
    list_init(&w->checks);
    list_init(&w->listeners);
    list_init(&w->check_runs);
    loop_timer_init(&w->drain_timer, on_drain_deadline, w);

    struct server_options options = server_options(w);
    const struct server_setup setup = {.listen_fd = listen_fd,
                                       .tls = snapshot->server_tls,
                                       .options = &options,
                                       .events = &SITE_EVENTS,
                                       .app = w};
    enum err e = server_new(w->loop, &setup, &w->server, info);
    if (e != ERR_OK) {
        worker_free(w);
        return e;
    }
    *ret = w;
    return ERR_OK;
}

void worker_run(struct worker *w)
{
    loop_run(w->loop);
    if (w->on_ended != NULL)
        w->on_ended(w);
}

void worker_free(struct worker *w)
{
    if (w == NULL)
        return;
    server_free(w->server);
    client_free(w->client);
    loop_free(w->loop);
    arena_release(&w->scratch);
    buf_release(&w->out);
    feed_shard_release(&w->feed);
    snapshot_release(w->snapshot);
    free(w);
}

void worker_post_reload(struct worker *w, struct snapshot *snapshot)
{
    struct reload_job *job = xmalloc(sizeof(*job));
    *job = (struct reload_job){.worker = w, .snapshot = snapshot_acquire(snapshot)};
    loop_post(w->loop, apply_reload, job);
}

void worker_post_drain(struct worker *w)
{
    loop_post(w->loop, start_drain, w);
}

static void start_watch(void *arg)
{
    struct worker *w = arg;
    look_start(w);
    learn_keep_fresh(w, w->snapshot);
    health_start(w);
}

void worker_post_watch(struct worker *w)
{
    loop_post(w->loop, start_watch, w);
}

void worker_trim_out(struct worker *w)
{
    if (w->out.cap > OUT_KEPT_BYTES)
        buf_release(&w->out);
    else
        buf_reset(&w->out);
}
