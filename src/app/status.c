#include "app/status.h"

#include "base/clock.h"
#include "core/keypool.h"

#define HOSTS_PER_STEP 64

void status_reply_root(struct request *r)
{
    request_reply_json(r, 200,
                       STR("{\"name\":\"ollama2openai\",\"version\":\"" O2O_VERSION "\","
                           "\"description\":\"The OpenAI API in front of Ollama\","
                           "\"openai_base_url\":\"/v1\",\"chat\":\"/v1/chat/completions\","
                           "\"completions\":\"/v1/completions\","
                           "\"embeddings\":\"/v1/embeddings\","
                           "\"health\":\"/health\"}\n"));
}

void status_reply_v1(struct request *r)
{
    request_reply_json(r, 200,
                       STR("{\"object\":\"list\",\"data\":[],\"message\":\"ollama2openai is "
                           "there: use this address as the base URL of an OpenAI client\"}\n"));
}

static void on_host(void *arg, const struct host_view *view)
{
    bool *failed = arg;
    if (view->fallback)
        *failed = view->failed_last || view->cooling || view->by_state[KEY_IS_READY] == 0;
}

/* Whether the upstream that is used without keys did not do its work when it was last asked. */
static bool fallback_failed(struct keypool *pool, uint64_t now_ms)
{
    bool failed = true;
    uint32_t at = 0;
    while (at != KEYPOOL_END)
        at = keypool_walk_hosts(pool, at, HOSTS_PER_STEP, now_ms, on_host, &failed);
    return failed;
}

static const char *status_of(struct keypool *pool, const struct key_summary *keys, uint64_t now_ms)
{
    if (keys->total == 0)
        return fallback_failed(pool, now_ms) ? "no_backends" : "ok";
    return keys->by_state[KEY_IS_READY] > 0 ? "ok" : "degraded";
}

void status_reply_health(struct request *r)
{
    const struct program *p = r->worker->program;
    uint64_t now_ms = loop_now_ms(r->worker->loop);
    struct key_summary keys;
    struct buf body;
    keypool_summary(p->keypool, now_ms, &keys);
    buf_init(&body, 1024);
    buf_printf(&body,
               "{\"status\":\"%s\",\"version\":\"%s\",\"uptime\":%llu,\"keys\":{\"total\":%llu,"
               "\"enabled\":%llu,\"healthy\":%llu,\"disabled\":%llu,\"unhealthy\":%llu,"
               "\"totalRequests\":%llu,\"totalTokens\":%llu}}\n",
               status_of(p->keypool, &keys, now_ms), O2O_VERSION,
               (unsigned long long)((clock_mono_ms() - p->started_ms) / 1000),
               (unsigned long long)keys.total,
               (unsigned long long)(keys.total - keys.by_state[KEY_IS_DISABLED]),
               (unsigned long long)keys.by_state[KEY_IS_READY],
               (unsigned long long)keys.by_state[KEY_IS_DISABLED],
               (unsigned long long)(keys.by_state[KEY_IS_COOLING] + keys.by_state[KEY_IS_DEAD]),
               (unsigned long long)keys.requests, (unsigned long long)keys.tokens);
    request_reply_json(r, 200, buf_str(&body));
    buf_release(&body);
}
