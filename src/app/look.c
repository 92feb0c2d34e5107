#include "app/look.h"

#include <stdlib.h>

#include "app/fetch.h"
#include "app/upstream.h"
#include "base/log.h"
#include "base/xalloc.h"

#define LOOK_TIMEOUT_MS 5000

struct look {
    struct worker *worker;
    struct snapshot *snapshot; // a counted reference
    struct lease lease;
    struct fetch *fetch;
};

static void look_free(struct look *l)
{
    l->worker->look = NULL;
    snapshot_release(l->snapshot);
    free(l);
}

static void on_result(void *arg, const struct fetch_result *result)
{
    struct look *l = arg;
    struct fetch_result judged = *result;
    if (result->how != ATTEMPT_STATUS || result->status >= 500)
        judged.how = ATTEMPT_NO_CONNECT; // whatever is there is no Ollama that works
    if (judged.how == ATTEMPT_NO_CONNECT)
        log_warn("no_local_ollama", LOG_STR("at", l->lease.url->authority),
                 LOG_STR("hint", STR("start Ollama, or set OLLAMA_BASE_URL")));
    fetch_give_back(l->worker, l->snapshot->config, &l->lease, &judged);
    look_free(l);
}

void look_start(struct worker *w)
{
    uint64_t wait_ms;
    uint64_t now_ms = loop_now_ms(w->loop);
    struct key_search search = {0};
    struct key_summary keys;
    struct lease lease;
    struct keypool *pool = w->program->keypool;
    keypool_summary(pool, now_ms, &keys);
    if (w->look != NULL || w->snapshot->config->upstream_set || keys.total > 0)
        return;
    enum key_pick pick = keypool_acquire(pool, &search, STR(""), false, now_ms, &lease, &wait_ms);
    key_search_release(&search);
    if (pick != PICK_KEY)
        return;
    struct look *l = xcalloc(1, sizeof(*l));
    l->worker = w;
    l->snapshot = snapshot_acquire(w->snapshot);
    l->lease = lease;
    w->look = l;
    struct fetch_request request = {.snapshot = w->snapshot,
                                    .lease = &l->lease,
                                    .method = STR("GET"),
                                    .path = STR("/api/version"),
                                    .timeout_ms = LOOK_TIMEOUT_MS};
    l->fetch = fetch_start(w, &request, on_result, l);
}

void look_cancel(struct worker *w)
{
    struct look *l = w->look;
    if (l == NULL)
        return;
    fetch_cancel(l->fetch);
    keypool_release(w->program->keypool, &l->lease, loop_now_ms(w->loop));
    look_free(l);
}
