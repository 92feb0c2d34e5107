#include "app/status.h"

#include "base/clock.h"

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

void status_reply_health(struct request *r)
{
    const struct program *p = r->worker->program;
    const char *status = upstream_is_up(&p->upstream) ? "ok" : "no_backends";
    struct buf body;
    buf_init(&body, 1024);
    buf_printf(&body,
               "{\"status\":\"%s\",\"version\":\"%s\",\"uptime\":%llu,\"keys\":{\"total\":0,"
               "\"enabled\":0,\"healthy\":0,\"disabled\":0,\"unhealthy\":0,\"totalRequests\":0,"
               "\"totalTokens\":0}}\n",
               status, O2O_VERSION, (unsigned long long)((clock_mono_ms() - p->started_ms) / 1000));
    request_reply_json(r, 200, buf_str(&body));
    buf_release(&body);
}
