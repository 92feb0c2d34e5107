#include "app/look.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/xalloc.h"

#define LOOK_TIMEOUT_MS 5000

struct look {
    struct worker *worker;
    struct client_call *call;
    struct loop_timer deadline;
    bool answered;
};

static void end(struct look *l)
{
    struct worker *w = l->worker;
    const struct config *config = w->snapshot->config;
    upstream_note(&w->program->upstream, config, l->answered ? UPSTREAM_ANSWERED : UPSTREAM_MISSING,
                  loop_now_ms(w->loop));
    if (!l->answered)
        log_warn("no_local_ollama", LOG_STR("at", upstream_url(config)->authority),
                 LOG_STR("hint", STR("start Ollama, or set OLLAMA_BASE_URL")));
    look_cancel(w);
}

static void on_head(void *arg, const struct http1_message *m)
{
    struct look *l = arg;
    l->answered = m->status < 500;
    end(l);
}

static void on_body(void *arg, str data)
{
    (void)arg;
    (void)data;
}

static void on_done(void *arg)
{
    (void)arg;
}

static void on_fail(void *arg, enum client_fail how, str text)
{
    (void)how;
    (void)text;
    struct look *l = arg;
    l->call = NULL;
    end(l);
}

static void on_deadline(void *arg)
{
    end(arg);
}

void look_start(struct worker *w)
{
    static const struct client_events events = {on_head, on_body, on_done, on_fail};
    if (w->look != NULL || w->snapshot->config->upstream_set)
        return;
    struct look *l = xcalloc(1, sizeof(*l));
    l->worker = w;
    loop_timer_init(&l->deadline, on_deadline, l);
    loop_timer_set(w->loop, &l->deadline, LOOK_TIMEOUT_MS);
    struct client_request request = {.url = upstream_url(w->snapshot->config),
                                     .method = STR("GET"),
                                     .path = STR("/api/version")};
    l->call = client_start(w->client, &request, &events, l);
    w->look = l;
}

void look_cancel(struct worker *w)
{
    struct look *l = w->look;
    if (l == NULL)
        return;
    w->look = NULL;
    client_cancel(l->call);
    loop_timer_cancel(w->loop, &l->deadline);
    free(l);
}
