#include "app/learn.h"

#include <stdlib.h>
#include <string.h>

#include "app/catalog.h"
#include "base/log.h"
#include "base/xalloc.h"

#define ASK_TIMEOUT_MS      10000 // later than anybody waits: a slow answer is used by the next
#define PARSE_PER_BODY_BYTE 10    // what parsing may take; see codec/json.h
#define PARSE_SPARE_BYTES   ((size_t)1 << 20)

/* One question under way. */
struct ask {
    struct list link; // in worker->asks
    struct worker *worker;
    struct snapshot *snapshot; // a counted reference
    char *name;                // of a model; NULL: the list
    struct fetch *fetch;
    uint64_t started_ms;
    struct list waits;
};

void learn_wait_init(struct learn_wait *wait, learn_fn *fn, void *arg)
{
    list_init(&wait->link);
    wait->fn = fn;
    wait->arg = arg;
}

void learn_leave(struct learn_wait *wait)
{
    list_remove(&wait->link);
}

static void ask_free(struct ask *ask)
{
    list_remove(&ask->link);
    snapshot_release(ask->snapshot);
    free(ask->name);
    free(ask);
}

static bool take_list(const struct ask *ask, struct arena *a, const struct learned *learned)
{
    struct catalog *catalog = ask->snapshot->catalog;
    const struct fetch_result *result = learned->result;
    struct model_list list;
    struct err_info info = {0};
    if (result->how != ATTEMPT_STATUS || result->status != 200) {
        log_debug("models_failed", LOG_INT("status", result->status),
                  LOG_STR("detail", result->detail));
        return false;
    }
    enum err e = ollama_tags_decode(a, result->body, &list, &info);
    if (e == ERR_OK)
        e = catalog_publish(catalog, &list, loop_now_ms(ask->worker->loop));
    if (e != ERR_OK) {
        log_warn("models_not_understood", LOG_STR("why", str_z(info.text)),
                 LOG_INT("bytes", result->body.len));
        return false;
    }
    log_debug("models", LOG_INT("n", list.n));
    return true;
}

static bool take_model(const struct ask *ask, struct arena *a, struct learned *learned)
{
    const struct fetch_result *result = learned->result;
    bool ok = result->how == ATTEMPT_STATUS && result->status == 200 &&
              ollama_show_decode(a, result->body, &learned->show, NULL) == ERR_OK;
    if (!ok)
        learned->show = (struct ollama_show){0};
    catalog_note(ask->snapshot->catalog, str_z(ask->name), learned->show.abilities,
                 loop_now_ms(ask->worker->loop));
    return ok;
}

static void on_result(void *arg, const struct fetch_result *result)
{
    struct ask *ask = arg;
    struct arena arena;
    struct learned learned = {.result = result};
    arena_init(&arena, PARSE_SPARE_BYTES + PARSE_PER_BODY_BYTE * result->body.len);
    list_remove(&ask->link); // whoever asks again from here on asks anew
    if (ask->name == NULL)
        learned.ok = take_list(ask, &arena, &learned);
    else
        learned.ok = take_model(ask, &arena, &learned);
    arena_release(&arena);
    while (!list_empty(&ask->waits)) {
        struct learn_wait *wait = list_entry(ask->waits.next, struct learn_wait, link);
        list_remove(&wait->link);
        wait->fn(wait->arg, &learned);
    }
    ask_free(ask);
}

/* The question that is under way already; NULL: none. An empty name: the list. */
static struct ask *find_ask(struct worker *w, const struct snapshot *s, str name)
{
    for (struct list *l = w->asks.next; l != &w->asks; l = l->next) {
        struct ask *ask = list_entry(l, struct ask, link);
        if (ask->snapshot->catalog == s->catalog && str_eq(str_z(ask->name), name))
            return ask;
    }
    return NULL;
}

static struct ask *start_ask(struct worker *w, struct snapshot *s, str name)
{
    uint64_t now_ms = loop_now_ms(w->loop);
    if (!upstream_may_try(&w->program->upstream, s->config, now_ms))
        return NULL;
    struct ask *ask = xcalloc(1, sizeof(*ask));
    ask->worker = w;
    ask->snapshot = snapshot_acquire(s);
    ask->started_ms = now_ms;
    list_init(&ask->waits);
    list_append(&w->asks, &ask->link);
    struct fetch_request request = {.snapshot = s, .timeout_ms = ASK_TIMEOUT_MS};
    if (name.len == 0) {
        catalog_note_try(s->catalog, now_ms);
        request.method = STR("GET");
        request.path = STR("/api/tags");
    } else {
        ask->name = xcalloc(1, name.len + 1);
        memcpy(ask->name, name.p, name.len);
        request.method = STR("POST");
        request.path = STR("/api/show");
        buf_init(&request.body, 64 + 6 * name.len); // a byte is six of an escape at most
        ollama_show_encode(name, &request.body);
    }
    ask->fetch = fetch_start(w, &request, on_result, ask);
    return ask;
}

static bool learn(struct worker *w, struct snapshot *s, str name, struct learn_wait *wait,
                  uint64_t *ret_ms)
{
    struct ask *ask = find_ask(w, s, name);
    if (ask == NULL)
        ask = start_ask(w, s, name);
    if (ask == NULL)
        return false;
    if (wait != NULL)
        list_append(&ask->waits, &wait->link);
    uint64_t age_ms = loop_now_ms(w->loop) - ask->started_ms;
    *ret_ms = age_ms < LEARN_WAIT_MS ? LEARN_WAIT_MS - age_ms : 0;
    return true;
}

bool learn_list(struct worker *w, struct snapshot *s, struct learn_wait *wait, uint64_t *ret_ms)
{
    return learn(w, s, STR(""), wait, ret_ms);
}

bool learn_model(struct worker *w, struct snapshot *s, str name, struct learn_wait *wait,
                 uint64_t *ret_ms)
{
    return learn(w, s, name, wait, ret_ms);
}

void learn_keep_fresh(struct worker *w, struct snapshot *s)
{
    uint64_t ignored;
    if (catalog_claim(s->catalog, CATALOG_OLD_MS, loop_now_ms(w->loop)))
        (void)learn_list(w, s, NULL, &ignored);
}

void learn_doubt(struct worker *w, struct snapshot *s, str name)
{
    uint64_t ignored;
    const struct catalog_view *view = catalog_view(s->catalog);
    bool listed = view != NULL && model_list_find(&view->list, name) != NULL;
    catalog_view_release(view);
    if (listed && catalog_claim(s->catalog, CATALOG_CURRENT_MS, loop_now_ms(w->loop)))
        (void)learn_list(w, s, NULL, &ignored);
}

void learn_stop(struct worker *w)
{
    struct list *next;
    for (struct list *l = w->asks.next; l != &w->asks; l = next) {
        struct ask *ask = list_entry(l, struct ask, link);
        next = l->next;
        fetch_cancel(ask->fetch);
        ask_free(ask);
    }
}
