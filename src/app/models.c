#include "app/models.h"

#include <stdlib.h>
#include <string.h>

#include "app/catalog.h"
#include "app/learn.h"
#include "app/upstream.h"
#include "base/xalloc.h"
#include "codec/openai_models.h"
#include "core/attempts.h"
#include "core/keypool.h"

#define ERROR_ARENA_BYTES ((size_t)128 << 10)
#define MODEL_BODY_BYTES  8192 // of one model: a name twice, escaped

/* A request that waits for what the catalog does not know yet. */
struct models_wait {
    struct request *req;
    char *id; // the model, as it was asked for; NULL: the list
    struct learn_wait wait;
    bool asked_model; // it waits for the model's details; else for a newer list
    struct loop_timer deadline;
};

static struct loop *loop_of(const struct models_wait *m)
{
    return m->req->worker->loop;
}

static void stop_waiting(struct models_wait *m)
{
    learn_leave(&m->wait);
    loop_timer_cancel(loop_of(m), &m->deadline);
}

void models_wait_free(struct models_wait *m)
{
    if (m == NULL)
        return;
    stop_waiting(m);
    free(m->id);
    free(m);
}

void models_shut_down(struct models_wait *m)
{
    struct api_error error = api_error_make(503, STR("this server is shutting down"));
    error.retry_after_s = 1;
    stop_waiting(m);
    request_reply_error(m->req, &error);
}

/* ---- answers ---- */

/* Sends the list; false if there is none. */
static bool send_list(struct request *r)
{
    const struct catalog_view *view = catalog_view(r->worker->program->catalog);
    if (view == NULL)
        return false;
    request_reply_json(r, 200, buf_str(&view->body));
    catalog_view_release(view);
    return true;
}

static void send_model(struct request *r, str id, int64_t created_s)
{
    struct buf body;
    buf_init(&body, MODEL_BODY_BYTES);
    openai_model_encode(id, created_s, &body);
    request_reply_json(r, 200, buf_str(&body));
    buf_release(&body);
}

/* Sends the model if it is listed. */
static bool send_listed(struct request *r, str id)
{
    const struct catalog_view *view = catalog_view(r->worker->program->catalog);
    const struct model_entry *entry = view != NULL ? model_list_find(&view->list, id) : NULL;
    if (entry != NULL)
        send_model(r, id, entry->created_s);
    catalog_view_release(view);
    return entry != NULL;
}

static void send_not_found(struct request *r, str id)
{
    char text[128];
    struct reply_extras extras = {.no_retry = true};
    str shown = str_head(id, utf8_cut(id, 80));
    int n = snprintf(text, sizeof(text), "model '%.*s%s' not found", STR_ARG(shown),
                     shown.len < id.len ? "..." : "");
    struct openai_fault fault =
        openai_fault(FAULT_MODEL_NOT_FOUND, STR("model"), str_of(text, (size_t)n));
    r->why = "model_missing";
    request_reply_fault(r, &fault, &extras);
}

static void send_failure(struct models_wait *m, const struct fetch_result *result)
{
    struct arena arena;
    struct request *r = m->req;
    arena_init(&arena, ERROR_ARENA_BYTES);
    struct api_error error =
        fetch_error(&arena, r->worker, result, r->snapshot->config, str_z(m->id));
    r->why = "upstream";
    r->upstream_status = result->status;
    request_reply_error(r, &error);
    arena_release(&arena);
}

/* No host can be asked: what a request for a model would hear now. */
static void send_no_upstream(struct request *r)
{
    struct program *p = r->worker->program;
    uint64_t now_ms = loop_now_ms(r->worker->loop);
    uint64_t wait_ms = 0;
    struct arena arena;
    struct api_error error = upstream_none_error();
    arena_init(&arena, ERROR_ARENA_BYTES);
    if (!upstream_is_missing(&p->upstream, p->keypool, r->snapshot->config)) {
        enum key_pick pick = keypool_ask(p->keypool, NULL, STR(""), now_ms, &wait_ms);
        if (pick == PICK_KEY)
            pick = PICK_BUSY; // the host became ready this moment
        error = attempts_no_key_error(&arena, pick, wait_ms);
    }
    r->why = "no_upstream";
    request_reply_error(r, &error);
    arena_release(&arena);
}

/* ---- waiting ---- */

static const struct fetch_result TOO_LATE = {.how = ATTEMPT_TIMEOUT};

static void end_list(struct models_wait *m, const struct fetch_result *result)
{
    stop_waiting(m);
    if (send_list(m->req))
        return;
    // A server that has no such route, or refuses the question, does not speak Ollama's API.
    struct fetch_result failure = *result;
    if (result->how == ATTEMPT_STATUS && (result->status == 400 || result->status == 404))
        failure.how = ATTEMPT_MALFORMED;
    send_failure(m, &failure);
}

/* Those who could be asked lack the model, and one that may have it is not to be asked now. */
static void send_wait(struct models_wait *m, const struct learned *learned)
{
    struct arena arena;
    arena_init(&arena, ERROR_ARENA_BYTES);
    struct api_error error = attempts_no_key_error(&arena, learned->left, learned->wait_ms);
    stop_waiting(m);
    m->req->why = "no_key";
    request_reply_error(m->req, &error);
    arena_release(&arena);
}

static void end_model(struct models_wait *m, const struct fetch_result *result)
{
    stop_waiting(m);
    if (learn_says_missing(result))
        send_not_found(m->req, str_z(m->id));
    else
        send_failure(m, result);
}

static void ask_model(struct models_wait *m);

static void on_learned(void *arg, const struct learned *learned)
{
    struct models_wait *m = arg;
    const struct fetch_result *result = learned->result;
    if (m->id == NULL) {
        end_list(m, result);
    } else if (m->asked_model && learned->ok) {
        stop_waiting(m);
        send_model(m->req, str_z(m->id), learned->show.created_s);
    } else if (!m->asked_model && send_listed(m->req, str_z(m->id))) {
        stop_waiting(m);
    } else if (learned->left == PICK_LIMITED || learned->left == PICK_BUSY) {
        send_wait(m, learned);
    } else if (m->asked_model || (!learned->ok && result->how != ATTEMPT_STATUS)) {
        end_model(m, result); // who cannot be asked for the list cannot be for details either
    } else {
        ask_model(m);
    }
}

static void on_deadline(void *arg)
{
    struct models_wait *m = arg;
    if (m->id == NULL)
        end_list(m, &TOO_LATE);
    else
        end_model(m, &TOO_LATE);
}

static struct models_wait *wait_new(struct request *r, str id)
{
    struct models_wait *m = xcalloc(1, sizeof(*m));
    m->req = r;
    if (id.len > 0) {
        m->id = xcalloc(1, id.len + 1);
        memcpy(m->id, id.p, id.len);
    }
    learn_wait_init(&m->wait, on_learned, m);
    loop_timer_init(&m->deadline, on_deadline, m);
    r->wait = m;
    return m;
}

/* The model is not in the list: asks whether there is one all the same. */
static void ask_model(struct models_wait *m)
{
    struct request *r = m->req;
    uint64_t worth_ms;
    m->asked_model = true;
    if (!learn_model(r->worker, r->snapshot, str_z(m->id), &m->wait, &worth_ms)) {
        stop_waiting(m);
        send_no_upstream(r);
    } else if (worth_ms == 0) {
        on_deadline(m);
    }
}

static bool has_list(struct catalog *catalog)
{
    const struct catalog_view *view = catalog_view(catalog);
    bool has = view != NULL;
    catalog_view_release(view);
    return has;
}

void models_reply_list(struct request *r)
{
    struct worker *w = r->worker;
    bool listed = has_list(r->worker->program->catalog);
    if (listed &&
        !catalog_claim(r->worker->program->catalog, CATALOG_CURRENT_MS, loop_now_ms(w->loop))) {
        send_list(r);
        return;
    }
    struct models_wait *m = wait_new(r, STR(""));
    uint64_t worth_ms;
    if (!learn_list(w, r->snapshot, &m->wait, &worth_ms)) {
        if (!send_list(r))
            send_no_upstream(r);
        return;
    }
    if (listed && worth_ms > MODELS_GRACE_MS)
        worth_ms = MODELS_GRACE_MS;
    if (worth_ms == 0)
        end_list(m, &TOO_LATE);
    else
        loop_timer_set(w->loop, &m->deadline, worth_ms);
}

void models_reply_one(struct request *r)
{
    struct worker *w = r->worker;
    struct catalog *catalog = w->program->catalog;
    struct target target;
    uint64_t worth_ms = 0;
    // It was parsed before, so it can be; the text lives in the scratch arena until we return.
    if (target_parse(&w->scratch, exchange_message(r->x)->target, &target, NULL) != ERR_OK ||
        target.id.len > MODEL_NAME_MAX) {
        send_not_found(r, STR("(a name that is too long)"));
        return;
    }
    if (send_listed(r, target.id))
        return;
    struct models_wait *m = wait_new(r, target.id);
    loop_timer_set(w->loop, &m->deadline, LEARN_WAIT_MS);
    // The list may have it by now; or the first one is on its way still.
    bool ask =
        !has_list(catalog) || catalog_claim(catalog, CATALOG_CURRENT_MS, loop_now_ms(w->loop));
    if (ask && learn_list(w, r->snapshot, &m->wait, &worth_ms) && worth_ms > 0)
        return;
    learn_leave(&m->wait);
    ask_model(m);
}
