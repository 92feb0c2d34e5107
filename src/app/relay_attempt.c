#include "app/relay.h"

#include <stdlib.h>
#include <string.h>

#include "app/catalog.h"
#include "app/relay_private.h"
#include "app/upstream.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "core/trace.h"

static uint64_t now_ms_of(const struct relay *r)
{
    return loop_now_ms(relay_loop(r));
}

/* ---- what upstreams get of the caller's head ---- */

/* Lives in the scratch arena or `passed`. */
static str read_via(struct relay *r)
{
    if (r->passed != NULL)
        return r->passed->via;
    const struct http1_message *m = exchange_message(r->req->x);
    struct arena *a = &r->worker->scratch;
    return trace_via_append(a, http1_join(a, m, STR("via")), m->http10,
                            str_z(r->worker->program->pseudonym));
}

void relay_keep_head(struct relay *r)
{
    if (r->passed != NULL || r->useful)
        return;
    arena_reset(&r->worker->scratch);
    str via = read_via(r);
    size_t size = sizeof(struct passed_on) + via.len;
    struct passed_on *passed = pool_take(loop_pool(relay_loop(r)), size);
    char *text = (char *)(passed + 1);
    passed->size_bytes = size;
    passed->via = str_of(text, via.len);
    if (via.len > 0)
        memcpy(text, via.p, via.len);
    r->passed = passed;
}

/* ---- one attempt ---- */

/* Cuts the native request into what is sent of it; returns the number of slices. */
static size_t cut_native(struct relay *r)
{
    str all = buf_str(&r->native);
    struct ollama_span think = r->answer.think;
    r->native_slices[0] = all;
    if (!r->without_think)
        return 1;
    r->native_slices[0] = str_head(all, think.at);
    r->native_slices[1] = str_skip(all, think.at + think.len);
    return 2;
}

/* Sends the request with the key that is leased. */
static void send_request(struct relay *r)
{
    struct http1_field fields[3];
    size_t n = 0;
    struct arena *a = &r->worker->scratch;
    arena_reset(a);
    str via = read_via(r);
    str parent = r->req->trace;
    if (via.len > 0)
        fields[n++] = (struct http1_field){STR("Via"), via};
    if (parent.len > 0)
        fields[n++] = (struct http1_field){STR("traceparent"), parent};
    if (r->lease.secret.len > 0)
        fields[n++] = (struct http1_field){
            STR("Authorization"), arena_printf(a, "Bearer %.*s", STR_ARG(r->lease.secret))};

    size_t n_slices = cut_native(r);
    struct client_request request = {
        .url = r->lease.url,
        .method = STR("POST"),
        .path = str_z(r->dialect->native_path),
        .content_type = STR("application/json"),
        .fields = fields,
        .n_fields = n,
        .body = r->native_slices,
        .n_body = n_slices,
    };
    r->state = RELAY_WAITING;
    loop_timer_set(relay_loop(r), &r->deadline, relay_config(r)->request_timeout_ms);
    r->call = client_start(r->worker->client, &request, &RELAY_EVENTS, r);
}

static void drop_call(struct relay *r)
{
    client_cancel(r->call);
    r->call = NULL;
    r->paused = false;
    r->status = 0;
    memset(r->retry_after, 0, sizeof(r->retry_after));
    loop_put_back(relay_loop(r), &r->gathered);
    ndjson_release(&r->lines);
    ndjson_init(&r->lines, NDJSON_LINE_MAX);
    relay_charge(r);
}

void relay_drop_lease(struct relay *r)
{
    if (r->lease.slot != KEYPOOL_END)
        keypool_release(relay_keypool(r), &r->lease, loop_now_ms(relay_loop(r)));
    r->lease.slot = KEYPOOL_END;
}

void relay_again_without_think(struct relay *r)
{
    catalog_note_no_thinking(r->worker->program->catalog, r->answer.head.model, now_ms_of(r));
    drop_call(r);
    r->without_think = true;
    send_request(r);
}

/* ---- the search ---- */

/* Says which keys were tried, if callers shall see that. */
static void tell_path(struct relay *r, str last)
{
    if (!request_shows_attempts(r->req))
        return;
    struct arena *a = &r->worker->scratch;
    str path = r->attempts != NULL ? attempts_path(r->attempts, a) : STR("");
    if (path.len > 0 && last.len > 0)
        path = arena_printf(a, "%.*s, %.*s", STR_ARG(path), STR_ARG(last));
    request_set_attempts(r->req, path.len > 0 ? path : last);
}

/* The attempt under way, as the path shows it. */
static str entry_of(const struct relay *r, const char *result, char out[ATTEMPTS_ENTRY_BYTES])
{
    return attempts_entry(r->lease.key_id, r->lease.url->authority, result,
                          now_ms_of(r) - r->began_ms, out);
}

void relay_tell_attempt(struct relay *r, const char *result)
{
    char entry[ATTEMPTS_ENTRY_BYTES];
    if (request_shows_attempts(r->req))
        tell_path(r, entry_of(r, result, entry));
}

/* Ends the search: no attempt has come to an answer, and there will be no other. */
static void give_up(struct relay *r, struct api_error error)
{
    tell_path(r, STR(""));
    if (r->local_missing)
        error = upstream_none_error();
    relay_fail_with(r, &error);
}

static void end_search(struct relay *r)
{
    uint64_t wait_ms = 0;
    enum key_pick pick = PICK_EXHAUSTED;
    struct arena *a = &r->worker->scratch;
    arena_reset(a);
    if (r->attempts->stop == ATTEMPTS_BOUNDS || r->attempts->stop == ATTEMPTS_NO_KEY)
        pick =
            keypool_ask(relay_keypool(r), &r->search, r->answer.head.model, now_ms_of(r), &wait_ms);
    give_up(r, attempts_error(r->attempts, a, pick, wait_ms));
}

/* The pool has no key, and none was tried. */
static void refuse(struct relay *r, enum key_pick pick, uint64_t wait_ms)
{
    struct arena *a = &r->worker->scratch;
    arena_reset(a);
    r->local_missing =
        upstream_is_missing(&r->worker->program->upstream, relay_keypool(r), relay_config(r));
    r->req->why = r->local_missing || pick == PICK_NO_UPSTREAM ? "no_upstream" : "no_key";
    give_up(r, attempts_no_key_error(a, pick, wait_ms));
}

/* Takes a key that was not tried yet, and sends the request with it. */
static void next_attempt(struct relay *r, bool new_host)
{
    uint64_t wait_ms = 0;
    enum key_pick pick = keypool_acquire(relay_keypool(r), &r->search, r->answer.head.model,
                                         new_host, now_ms_of(r), &r->lease, &wait_ms);
    if (pick == PICK_KEY) {
        r->began_ms = now_ms_of(r);
        request_note_attempt(r->req, r->lease.key_id, r->lease.host);
        send_request(r);
        return;
    }
    r->lease.slot = KEYPOOL_END;
    if (r->attempts == NULL) {
        refuse(r, pick, wait_ms);
        return;
    }
    attempts_note_no_key(r->attempts);
    end_search(r);
}

void relay_begin(struct relay *r)
{
    struct upstream *u = &r->worker->program->upstream;
    learn_leave(&r->ask);
    r->state = RELAY_WAITING;
    if (upstream_may_try(u, relay_keypool(r), relay_config(r), now_ms_of(r)))
        next_attempt(r, false);
    else
        refuse(r, PICK_NO_UPSTREAM, 0);
}

/* ---- how an attempt ended ---- */

static bool is_ollama_com(const struct relay *r)
{
    return str_eq(r->lease.url->host, STR("ollama.com"));
}

struct attempt relay_attempt_of(const struct relay *r, enum attempt_end how)
{
    return (struct attempt){
        .how = how,
        .status = r->status,
        .model = r->answer.head.model,
        .formatted = r->answer.formatted,
        .began = r->useful,
        .keyed = r->lease.secret.len > 0,
        .secret = r->lease.secret,
        .ollama_com = is_ollama_com(r),
        .retry_after = str_z(r->retry_after),
        .now_s = clock_wall_ms() / 1000,
    };
}

void relay_attempt_failed(struct relay *r, enum attempt_end how, str detail)
{
    struct attempt attempt = relay_attempt_of(r, how);
    attempt.detail = detail;
    relay_judge(r, &attempt);
}

/* Tells all who keep books what became of the key. */
static void report_failure(struct relay *r, const struct attempt *attempt,
                           const struct verdict *verdict)
{
    log_debug("attempt_failed", LOG_STR("id", r->req->id), LOG_INT("key", r->lease.key_id),
              LOG_STR("host", r->lease.url->authority), LOG_STR("why", str_z(verdict->name)),
              LOG_INT("status", attempt->status), LOG_STR("detail", attempt->detail));
    if (r->lease.fallback)
        r->local_missing = upstream_note(&r->worker->program->upstream, relay_config(r),
                                         attempt->how == ATTEMPT_NO_CONNECT, now_ms_of(r));
    if (verdict->host == HOST_LACKS_MODEL) {
        learn_doubt(r->worker, r->req->snapshot, &r->lease, r->answer.head.model);
        key_search_lacks_model(&r->search, &r->lease);
    } else if (verdict->retry == RETRY_OTHER_HOST) {
        key_search_skip_host(&r->search, &r->lease);
    }
    keypool_report_failure(relay_keypool(r), &r->lease, r->answer.head.model, verdict,
                           now_ms_of(r));
    r->lease.slot = KEYPOOL_END;
}

static struct attempts *attempts_new(uint32_t max_retries)
{
    struct attempts *a = xcalloc(1, sizeof(*a));
    attempts_init(a, max_retries);
    return a;
}

/* Whether the host or the key was to blame, and not the request or a model that is not there. */
static bool is_fault(const struct verdict *v)
{
    bool key =
        v->key != KEY_NO_VERDICT && v->key != KEY_MODEL_REFUSED && v->key != KEY_MODEL_SIGNIN;
    return key || v->host == HOST_NO_CONNECT || v->host == HOST_AT_FAULT || v->error.status >= 500;
}

void relay_judge(struct relay *r, const struct attempt *attempt)
{
    struct verdict verdict;
    char entry[ATTEMPTS_ENTRY_BYTES];
    arena_reset(&r->worker->scratch);
    classify(&r->worker->scratch, attempt, &verdict);
    if (str_eq(verdict.error.param, STR("messages"))) // as chat has it
        verdict.error.param = str_z(r->dialect->input_param);
    r->req->why = verdict.name;
    metrics_attempt(&r->worker->metrics, verdict.name);
    feed_note_attempt(&r->worker->feed, r->lease.host, is_fault(&verdict));
    request_note_failure(r->req, verdict.name, attempt->status, verdict.note);
    uint64_t took_ms = now_ms_of(r) - r->began_ms;
    str path = entry_of(r, verdict.name, entry);
    report_failure(r, attempt, &verdict);
    if (r->useful) {
        relay_fail_with(r, &verdict.error);
        return;
    }
    if (r->attempts == NULL)
        r->attempts = attempts_new(relay_config(r)->max_retries);
    attempts_add_entry(r->attempts, path);
    enum attempts_next next = attempts_note(r->attempts, &verdict, took_ms);
    drop_call(r);
    if (next == ATTEMPTS_STOP)
        end_search(r);
    else
        next_attempt(r, next == ATTEMPTS_NEXT_HOST);
}

/* Ollama's cloud takes a format and does not hold its models to it; it does not say so either. */
static void warn_of_format(const struct relay *r)
{
    str model = r->answer.head.model;
    if (!r->answer.formatted || (!is_ollama_com(r) && !model_name_is_cloud(model)) ||
        !catalog_tell_once(r->worker->program->catalog, model))
        return;
    log_warn("format_not_enforced", LOG_STR("model", model),
             LOG_STR("host", r->lease.url->authority),
             LOG_STR("why", STR("models of Ollama's cloud are not held to response_format: who "
                                "asks for one has to check the answer")));
}

void relay_attempt_succeeded(struct relay *r, const struct native *native)
{
    struct metrics *m = &r->worker->metrics;
    uint64_t tokens = native->prompt_tokens + native->answer_tokens;
    metrics_attempt(m, "ok");
    feed_note_attempt(&r->worker->feed, r->lease.host, false);
    metrics_count_add(&m->prompt_tokens, native->prompt_tokens);
    metrics_count_add(&m->answer_tokens, native->answer_tokens);
    r->req->tokens_in = native->prompt_tokens;
    r->req->tokens_out = native->answer_tokens;
    if (!r->useful)
        relay_settle(r);
    warn_of_format(r);
    r->req->why = NULL; // what earlier attempts came to is over
    if (r->lease.fallback)
        (void)upstream_note(&r->worker->program->upstream, relay_config(r), false, now_ms_of(r));
    keypool_report_success(relay_keypool(r), &r->lease, r->answer.head.model, tokens, now_ms_of(r));
    r->lease.slot = KEYPOOL_END;
}
