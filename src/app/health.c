#include "app/health.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/fetch.h"
#include "app/learn.h"
#include "base/log.h"
#include "base/xalloc.h"

#define TICK_MS          1000 // verdicts of other workers make dues that this timer does not know
#define PROBES_AT_ONCE   32
#define PROBE_TEXT_BYTES 128

struct health_check {
    struct list link; // in worker->checks
    struct worker *worker;
    struct snapshot *snapshot; // a counted reference
    struct lease lease;
    struct fetch *fetch;
    health_fn *fn; // NULL: a background probe
    void *arg;
};

/* The background rounds. */
struct health {
    struct worker *worker;
    struct loop_timer timer;
    size_t n_probes; // under way
    uint64_t interval_ms;
};

/* ---- one check ---- */

static void check_free(struct health_check *c)
{
    struct worker *w = c->worker;
    if (c->fn == NULL && w->health != NULL)
        w->health->n_probes--;
    list_remove(&c->link);
    snapshot_release(c->snapshot);
    free(c);
}

void health_check_cancel(struct health_check *c)
{
    fetch_cancel(c->fetch);
    keypool_release(c->worker->program->keypool, &c->lease, loop_now_ms(c->worker->loop));
    check_free(c);
}

/* What an answer says about the key, and in words for people. */
static enum probe_result judge(const struct health_check *c, const struct fetch_result *result,
                               char text[PROBE_TEXT_BYTES])
{
    if (result->how == ATTEMPT_TIMEOUT) {
        snprintf(text, PROBE_TEXT_BYTES, "no answer within %d s", HEALTH_TIMEOUT_MS / 1000);
        return PROBE_FAILED;
    }
    if (result->how != ATTEMPT_STATUS) {
        snprintf(text, PROBE_TEXT_BYTES, "no answer: %.*s", STR_ARG(str_head(result->detail, 96)));
        return PROBE_FAILED;
    }
    bool keyed = c->lease.secret.len > 0;
    if (keyed ? result->status == 400 || result->status == 422 : result->status == 200) {
        snprintf(text, PROBE_TEXT_BYTES, keyed ? "the key is known there" : "the server answers");
        return PROBE_GOOD;
    }
    snprintf(text, PROBE_TEXT_BYTES, "status %d", result->status);
    return keyed && result->status == 401 ? PROBE_REFUSED : PROBE_NOTHING;
}

static bool host_lacks_models(struct worker *w, uint32_t host);

static void on_result(void *arg, const struct fetch_result *result)
{
    struct health_check *c = arg;
    struct worker *w = c->worker;
    char text[PROBE_TEXT_BYTES];
    enum probe_result found = judge(c, result, text);
    uint32_t host = c->lease.host;
    log_debug("probe", LOG_INT("key", c->lease.key_id), LOG_STR("host", c->lease.url->authority),
              LOG_STR("found", str_z(text)));
    keypool_report_probe(w->program->keypool, &c->lease, found, str_z(text), loop_now_ms(w->loop));
    if (found != PROBE_FAILED && host_lacks_models(w, host))
        learn_host(w, c->snapshot, host);
    if (c->fn != NULL)
        c->fn(c->arg, found, str_z(text));
    check_free(c);
}

/* Sends what costs no tokens to the leased key's host; takes the lease over. */
static struct health_check *start(struct worker *w, const struct lease *lease, health_fn *fn,
                                  void *arg)
{
    struct health_check *c = xcalloc(1, sizeof(*c));
    c->worker = w;
    c->snapshot = snapshot_acquire(w->snapshot);
    c->lease = *lease;
    c->fn = fn;
    c->arg = arg;
    list_init(&c->link);
    list_append(&w->checks, &c->link);
    struct fetch_request request = {.snapshot = w->snapshot,
                                    .lease = &c->lease,
                                    .method = STR("POST"),
                                    .path = STR("/api/chat"),
                                    .timeout_ms = HEALTH_TIMEOUT_MS};
    if (lease->secret.len == 0) {
        request.method = STR("GET");
        request.path = STR("/api/version");
    } else if (str_eq(lease->url->host, STR("ollama.com"))) {
        request.path = STR("/v1/chat/completions");
    }
    c->fetch = fetch_start(w, &request, on_result, c);
    return c;
}

struct health_check *health_check(struct worker *w, uint64_t key_id, health_fn *fn, void *arg)
{
    struct lease lease;
    if (!keypool_acquire_id(w->program->keypool, key_id, &lease))
        return NULL;
    return start(w, &lease, fn, arg);
}

/* ---- the models of hosts that are new ---- */

struct host_question {
    uint32_t host;
    bool lacks;
};

static void on_host(void *arg, const struct host_view *view)
{
    struct host_question *q = arg;
    q->lacks = view->host == q->host && !view->models_known;
}

static bool host_lacks_models(struct worker *w, uint32_t host)
{
    struct host_question q = {.host = host};
    keypool_walk_hosts(w->program->keypool, host, 1, loop_now_ms(w->loop), on_host, &q);
    return q.lacks;
}

/* ---- the rounds ---- */

/* HEALTH_CHECK_INTERVAL may have changed with a reload. */
static void follow_settings(struct health *h)
{
    struct worker *w = h->worker;
    uint64_t interval_ms = (uint64_t)w->snapshot->config->health_check_interval_s * 1000;
    if (interval_ms == h->interval_ms)
        return;
    h->interval_ms = interval_ms;
    keypool_set_probe_interval(w->program->keypool, interval_ms, loop_now_ms(w->loop));
}

static void on_timer(void *arg)
{
    struct health *h = arg;
    struct worker *w = h->worker;
    struct keypool *pool = w->program->keypool;
    uint64_t now_ms = loop_now_ms(w->loop);
    uint64_t next_probe_ms = UINT64_MAX;
    struct lease lease;
    follow_settings(h);
    uint64_t next_ms = keypool_expire(pool, now_ms);
    while (h->n_probes < PROBES_AT_ONCE &&
           keypool_take_probe(pool, now_ms, &lease, &next_probe_ms)) {
        h->n_probes++;
        (void)start(w, &lease, NULL, NULL);
    }
    next_ms = next_probe_ms < next_ms ? next_probe_ms : next_ms;
    uint64_t delay_ms = next_ms > now_ms ? next_ms - now_ms : 1;
    loop_timer_set(w->loop, &h->timer, delay_ms < TICK_MS ? delay_ms : TICK_MS);
}

void health_start(struct worker *w)
{
    struct health *h = xcalloc(1, sizeof(*h));
    h->worker = w;
    loop_timer_init(&h->timer, on_timer, h);
    w->health = h;
    loop_timer_set(w->loop, &h->timer, 0);
}

void health_stop(struct worker *w)
{
    struct list *next;
    for (struct list *l = w->checks.next; l != &w->checks; l = next) {
        next = l->next;
        health_check_cancel(list_entry(l, struct health_check, link));
    }
    if (w->health == NULL)
        return;
    loop_timer_cancel(w->loop, &w->health->timer);
    free(w->health);
    w->health = NULL;
}
