#include "app/fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/upstream.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/xalloc.h"
#include "codec/ollama_line.h"
#include "net/budget.h"

struct fetch {
    struct worker *worker;
    struct snapshot *snapshot; // a counted reference: its settings are in use
    struct client_call *call;  // NULL: over
    struct loop_timer deadline;
    struct buf sent;
    str sent_slice; // the same, for the client
    struct buf body;
    size_t charged; // bytes of `body` that the budget counts
    int status;
    fetch_fn *fn;
    void *arg;
};

void fetch_cancel(struct fetch *f)
{
    if (f == NULL)
        return;
    client_cancel(f->call);
    loop_timer_cancel(f->worker->loop, &f->deadline);
    buf_release(&f->sent);
    buf_release(&f->body);
    budget_follow(&f->charged, 0);
    snapshot_release(f->snapshot);
    free(f);
}

static void end(struct fetch *f, enum attempt_end how, str detail)
{
    struct fetch_result result = {
        .how = how, .status = f->status, .body = buf_str(&f->body), .detail = detail};
    f->fn(f->arg, &result);
    fetch_cancel(f);
}

enum attempt_end fetch_attempt_end(enum client_fail how)
{
    static const enum attempt_end ends[] = {
        [CLIENT_FAIL_RESOLVE] = ATTEMPT_NO_CONNECT, [CLIENT_FAIL_ADDRESS] = ATTEMPT_ADDRESS,
        [CLIENT_FAIL_CONNECT] = ATTEMPT_NO_CONNECT, [CLIENT_FAIL_TLS] = ATTEMPT_TLS,
        [CLIENT_FAIL_PROXY] = ATTEMPT_NO_CONNECT,   [CLIENT_FAIL_RESET] = ATTEMPT_CUT,
        [CLIENT_FAIL_PROTOCOL] = ATTEMPT_MALFORMED,
    };
    return ends[how];
}

void fetch_give_back(struct worker *w, const struct config *config, struct lease *lease,
                     const struct fetch_result *result)
{
    struct keypool *pool = w->program->keypool;
    uint64_t now_ms = loop_now_ms(w->loop);
    bool unreachable = result->how == ATTEMPT_NO_CONNECT || result->how == ATTEMPT_ADDRESS ||
                       result->how == ATTEMPT_TLS;
    if (lease->fallback)
        (void)upstream_note(&w->program->upstream, config, unreachable, now_ms);
    if (unreachable) {
        // A question of ours is no use of the key: it is told as a probe, which counts no request.
        str why = result->detail.len > 0 ? result->detail : STR("it cannot be reached");
        keypool_report_probe(pool, lease, PROBE_FAILED, why, now_ms);
    } else {
        keypool_release(pool, lease, now_ms);
    }
    lease->slot = KEYPOOL_END;
}

static void on_head(void *arg, const struct http1_message *m)
{
    struct fetch *f = arg;
    f->status = m->status;
}

static void on_body(void *arg, str data)
{
    struct fetch *f = arg;
    buf_append(&f->body, data);
    budget_follow(&f->charged, f->body.cap);
    if (!buf_ok(&f->body))
        end(f, ATTEMPT_MALFORMED, STR("the answer is too large"));
}

static void on_done(void *arg)
{
    struct fetch *f = arg;
    f->call = NULL;
    end(f, ATTEMPT_STATUS, STR(""));
}

static void on_fail(void *arg, enum client_fail how, str text)
{
    struct fetch *f = arg;
    f->call = NULL;
    end(f, fetch_attempt_end(how), text);
}

static void on_deadline(void *arg)
{
    end(arg, ATTEMPT_TIMEOUT, STR(""));
}

struct fetch *fetch_start(struct worker *w, struct fetch_request *request, fetch_fn *fn, void *arg)
{
    static const struct client_events events = {on_head, on_body, on_done, on_fail};
    struct fetch *f = xcalloc(1, sizeof(*f));
    f->worker = w;
    f->snapshot = snapshot_acquire(request->snapshot);
    f->sent = request->body;
    f->sent_slice = buf_str(&f->sent);
    f->fn = fn;
    f->arg = arg;
    buf_init(&f->body, FETCH_BODY_BYTES);
    loop_timer_init(&f->deadline, on_deadline, f);
    loop_timer_set(w->loop, &f->deadline, request->timeout_ms);
    bool has_body = f->sent.len > 0;
    struct http1_field field = {STR("Authorization"), STR("")};
    char bearer[sizeof("Bearer ") + KEYPOOL_SECRET_BYTES];
    if (request->lease->secret.len > 0) {
        int n = snprintf(bearer, sizeof(bearer), "Bearer %.*s", STR_ARG(request->lease->secret));
        field.value = str_of(bearer, (size_t)n);
    }
    struct client_request call = {
        .url = request->lease->url,
        .fields = &field,
        .n_fields = field.value.len > 0 ? 1 : 0,
        .method = request->method,
        .path = request->path,
        .content_type = has_body ? STR("application/json") : STR(""),
        .body = &f->sent_slice,
        .n_body = has_body ? 1 : 0,
    };
    f->call = client_start(w->client, &call, &events, f);
    crypto_wipe(bearer, sizeof(bearer));
    return f;
}

struct api_error fetch_error(struct arena *a, struct worker *w, const struct fetch_result *result,
                             const struct config *config, str model)
{
    struct ollama_error said = {0};
    struct verdict verdict;
    struct attempt attempt = {
        .how = result->how,
        .status = result->status,
        .detail = result->detail,
        .model = model,
        .keyed = true, // whatever is refused, it is our credentials that are
        .now_s = clock_wall_ms() / 1000,
    };
    if (result->how == ATTEMPT_NO_CONNECT &&
        upstream_is_missing(&w->program->upstream, w->program->keypool, config))
        return upstream_none_error();
    if (result->how == ATTEMPT_STATUS && result->status == 200)
        attempt.how = ATTEMPT_MALFORMED; // it is asked for an error: the body was not understood
    else if (result->how == ATTEMPT_STATUS)
        ollama_error_decode(a, result->body, &said);
    attempt.json = said.is_native;
    attempt.error_text = said.text;
    attempt.signin_url = said.has_signin_url;
    classify(a, &attempt, &verdict);
    return verdict.error;
}
