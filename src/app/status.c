#include "app/status.h"

#include "app/upstream.h"
#include "base/clock.h"
#include "core/keypool.h"

void status_reply_root(struct request *r)
{
    request_reply_json(r, 200,
                       STR("{\"name\":\"ollama2openai\",\"version\":\"" O2O_VERSION "\","
                           "\"description\":\"The OpenAI API in front of Ollama\","
                           "\"openai_base_url\":\"/v1\",\"chat\":\"/v1/chat/completions\","
                           "\"completions\":\"/v1/completions\","
                           "\"embeddings\":\"/v1/embeddings\",\"models\":\"/v1/models\","
                           "\"health\":\"/health\",\"metrics\":\"/metrics\","
                           "\"admin\":\"/admin\"}\n"));
}

void status_reply_v1(struct request *r)
{
    request_reply_json(r, 200,
                       STR("{\"object\":\"list\",\"data\":[],\"message\":\"ollama2openai is "
                           "there: use this address as the base URL of an OpenAI client\"}\n"));
}

static const char *status_of(struct keypool *pool, const struct key_summary *keys, uint64_t now_ms)
{
    if (keys->total == 0)
        return upstream_failed(pool, now_ms) ? "no_backends" : "ok";
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
