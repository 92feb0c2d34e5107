#include "app/upstream.h"

#define HOSTS_PER_STEP 64

/* "http://127.0.0.1:11434", where a newcomer's Ollama listens. */
static const struct url LOCAL_URL = {
    .host = STR_C("127.0.0.1"),
    .port = 11434,
    .authority = STR_C("127.0.0.1:11434"),
};

const struct url *upstream_url(const struct config *config)
{
    return config->upstream_set ? &config->upstream : &LOCAL_URL;
}

bool upstream_same(const struct config *a, const struct config *b)
{
    const struct url *x = upstream_url(a);
    const struct url *y = upstream_url(b);
    return x->tls == y->tls && str_eq(x->authority, y->authority) && str_eq(x->path, y->path);
}

struct api_error upstream_none_error(void)
{
    struct api_error e = api_error_make(
        503, STR("there is no upstream: no key was added, OLLAMA_BASE_URL is not set, and no "
                 "Ollama answers at http://127.0.0.1:11434; start one there, add a key at /admin, "
                 "or set OLLAMA_BASE_URL"));
    e.code = "no_upstream";
    return e;
}

static bool has_keys(struct keypool *pool)
{
    struct key_summary summary;
    keypool_summary(pool, 1, &summary); // keys are counted whatever the time
    return summary.total > 0;
}

bool upstream_may_try(struct upstream *u, struct keypool *pool, const struct config *config,
                      uint64_t now_ms)
{
    if (config->upstream_set)
        return true;
    uint64_t due = atomic_load_explicit(&u->next_look_ms, memory_order_relaxed);
    if (due == 0 || has_keys(pool))
        return true;
    // Of the requests that come when the time is over, one wins and looks.
    return now_ms >= due &&
           atomic_compare_exchange_strong(&u->next_look_ms, &due, now_ms + UPSTREAM_RETRY_MS);
}

/* Whether the local server answered when it was last looked for. */
static bool is_up(const struct upstream *u)
{
    return atomic_load_explicit(&u->next_look_ms, memory_order_relaxed) == 0;
}

bool upstream_is_missing(struct upstream *u, struct keypool *pool, const struct config *config)
{
    return !config->upstream_set && !is_up(u) && !has_keys(pool);
}

static void see_fallback(void *arg, const struct host_view *view)
{
    bool *failed = arg;
    if (view->fallback)
        *failed = view->failed_last || view->cooling || view->by_state[KEY_IS_READY] == 0;
}

bool upstream_failed(struct keypool *pool, uint64_t now_ms)
{
    bool failed = true;
    uint32_t at = 0;
    while (at != KEYPOOL_END)
        at = keypool_walk_hosts(pool, at, HOSTS_PER_STEP, now_ms, see_fallback, &failed);
    return failed;
}

bool upstream_note(struct upstream *u, const struct config *config, bool unreachable,
                   uint64_t now_ms)
{
    if (config->upstream_set)
        return false;
    // The usual case, a server that goes on answering, writes nothing that workers share.
    if (unreachable)
        atomic_store(&u->next_look_ms, now_ms + UPSTREAM_RETRY_MS);
    else if (!is_up(u))
        atomic_store(&u->next_look_ms, 0);
    return unreachable;
}
