#include "app/request.h"

#include <stdlib.h>
#include <string.h>

#include "app/admin.h"
#include "app/models.h"
#include "app/relay.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "core/trace.h"

#define RANDOM_ID_CHARS 24
#define FIELDS_MAX      24

str request_random_id(char out[REQUEST_RANDOM_ID_BYTES])
{
    memcpy(out, "req_", 4);
    crypto_random_text(out + 4, RANDOM_ID_CHARS);
    out[4 + RANDOM_ID_CHARS] = '\0';
    return str_of(out, 4 + RANDOM_ID_CHARS);
}

static struct pool *pool_of(const struct request *r)
{
    return loop_pool(r->worker->loop);
}

/* A copy that drop() gives back. */
static str keep(struct request *r, str s)
{
    if (s.len == 0)
        return STR("");
    return str_of(memcpy(pool_take(pool_of(r), s.len), s.p, s.len), s.len);
}

static void drop(struct request *r, str *s)
{
    if (s->len > 0)
        pool_give(pool_of(r), (char *)s->p, s->len);
    *s = (str){0};
}

static void set_id(struct request *r, const struct http1_message *m)
{
    str wanted = http1_find(m, STR("x-request-id"));
    r->id = trace_request_id_ok(wanted) ? keep(r, wanted) : request_random_id(r->id_room);
}

/* Kept whole: upstreams get it too, in attempts that begin when the caller's head is gone. */
static void set_trace(struct request *r, const struct http1_message *m)
{
    str parent = http1_find(m, STR("traceparent"));
    if (trace_parent_ok(parent))
        r->trace = keep(r, parent);
}

/* Behind a proxy that we trust, the caller is who it says: the log then names that address. */
static void set_caller(struct request *r, const struct http1_message *m)
{
    const struct cidr_list *trusted = &r->snapshot->config->trust_proxy;
    const struct sockaddr *peer = exchange_peer_addr(r->x);
    if (trusted->n == 0 || !cidr_list_has(trusted, peer))
        return;
    struct sockaddr_storage caller;
    char text[ADDRESS_TEXT_BYTES];
    arena_reset(&r->worker->scratch);
    str forwarded = http1_join(&r->worker->scratch, m, STR("x-forwarded-for"));
    address_of_caller(peer, forwarded, trusted, &caller);
    address_text((const struct sockaddr *)&caller, text);
    r->caller = keep(r, str_z(text));
}

struct request *request_new(struct worker *w, struct exchange *x)
{
    struct request *r = pool_take_zeroed(loop_pool(w->loop), sizeof(*r));
    const struct http1_message *m = exchange_message(x);
    r->x = x;
    r->worker = w;
    r->snapshot = snapshot_acquire(w->snapshot);
    r->method = m->method;
    r->first_ms = UINT64_MAX;
    metrics_count_add(&w->metrics.open_requests, 1);
    set_id(r, m);
    set_trace(r, m);
    set_caller(r, m);
    list_init(&r->link);
    list_append(&w->requests, &r->link);
    return r;
}

void request_free(struct request *r)
{
    metrics_count_add(&r->worker->metrics.open_requests, UINT64_MAX); // one less
    if (r->streaming)
        metrics_count_add(&r->worker->metrics.open_streams, UINT64_MAX);
    relay_free(r->relay);
    models_wait_free(r->wait);
    admin_call_free(r->admin);
    list_remove(&r->link);
    snapshot_release(r->snapshot);
    if (r->id.p != r->id_room)
        drop(r, &r->id);
    drop(r, &r->trace);
    drop(r, &r->model);
    drop(r, &r->origin);
    drop(r, &r->caller);
    drop(r, &r->attempts);
    free(r->trail.failed);
    pool_give(pool_of(r), r, sizeof(*r));
}

void request_set_model(struct request *r, str model)
{
    r->model = keep(r, str_head(model, utf8_cut(model, REQUEST_MODEL_BYTES)));
}

void request_set_origin(struct request *r, str origin)
{
    r->origin = keep(r, origin);
}

bool request_shows_attempts(const struct request *r)
{
    return r->snapshot->config->debug_headers || r->by_admin;
}

void request_set_attempts(struct request *r, str path)
{
    drop(r, &r->attempts);
    r->attempts = keep(r, path);
}

/* Fields of one answer, gathered on the stack. */
struct fields {
    struct http1_field items[FIELDS_MAX];
    size_t n;
};

static void add(struct fields *f, str name, str value)
{
    if (f->n < FIELDS_MAX)
        f->items[f->n++] = (struct http1_field){name, value};
}

static void add_common(struct fields *f, const struct request *r)
{
    add(f, STR("X-Request-Id"), r->id);
    if (r->attempts.len > 0)
        add(f, STR("X-Attempts"), r->attempts);
    if (r->origin.p == NULL)
        return;
    struct cors_headers cors;
    cors_answer(CORS_ALLOW, r->origin, &cors);
    for (size_t i = 0; i < cors.n; i++)
        add(f, cors.items[i].name, cors.items[i].value);
}

size_t request_error_fields(const struct request *r, struct http1_field *fields, size_t max)
{
    struct fields f;
    f.n = 0;
    add(&f, STR("Content-Type"), STR("application/json"));
    if (r->admin != NULL)
        f.n += admin_fields(r, STR("no-store"), f.items + f.n);
    add_common(&f, r);
    size_t n = f.n < max ? f.n : max;
    memcpy(fields, f.items, n * sizeof(*fields));
    return n;
}

static void reply(struct request *r, int status, struct fields *f, str body)
{
    add_common(f, r);
    exchange_reply(r->x, status, f->items, f->n, body);
}

static void add_all(struct fields *f, const struct http1_field *fields, size_t n)
{
    f->n = 0;
    for (size_t i = 0; i < n; i++)
        add(f, fields[i].name, fields[i].value);
}

void request_reply(struct request *r, int status, const struct http1_field *fields, size_t n,
                   str body)
{
    struct fields f;
    add_all(&f, fields, n);
    reply(r, status, &f, body);
}

void request_begin(struct request *r, int status, const struct http1_field *fields, size_t n)
{
    struct fields f;
    add_all(&f, fields, n);
    add_common(&f, r);
    exchange_begin(r->x, status, f.items, f.n);
}

void request_reply_text(struct request *r, int status, str content_type, str body)
{
    struct fields f;
    f.n = 0;
    add(&f, STR("Content-Type"), content_type);
    reply(r, status, &f, body);
}

void request_reply_json(struct request *r, int status, str body)
{
    request_reply_text(r, status, STR("application/json"), body);
}

void request_reply_fault(struct request *r, const struct openai_fault *fault,
                         const struct reply_extras *extras)
{
    struct fields f;
    f.n = 0;
    char seconds[12];
    char millis[16];
    struct buf body;
    add(&f, STR("Content-Type"), STR("application/json"));
    if (extras != NULL && extras->allow.len > 0)
        add(&f, STR("Allow"), extras->allow);
    if (extras != NULL && extras->retry_after_s > 0) {
        int n = snprintf(seconds, sizeof(seconds), "%u", extras->retry_after_s);
        int m = snprintf(millis, sizeof(millis), "%u000", extras->retry_after_s);
        add(&f, STR("Retry-After"), str_of(seconds, (size_t)n));
        add(&f, STR("Retry-After-Ms"), str_of(millis, (size_t)m));
    } else if (extras != NULL && extras->no_retry) {
        add(&f, STR("X-Should-Retry"), STR("false"));
    }
    buf_init(&body, 16384);
    openai_error_body(&body, fault);
    reply(r, fault->status, &f, buf_str(&body));
    buf_release(&body);
}

void request_refuse_for_now(struct request *r)
{
    struct api_error error = api_error_make(503, STR("this server is busy; try again soon"));
    error.retry_after_s = 1;
    r->why = "budget";
    request_reply_error(r, &error);
}

struct openai_fault request_fault_of(const struct api_error *error)
{
    return (struct openai_fault){.status = error->status,
                                 .type = str_z(error->type),
                                 .code = str_z(error->code),
                                 .param = error->param,
                                 .message = error->message};
}

void request_reply_error(struct request *r, const struct api_error *error)
{
    struct openai_fault fault = request_fault_of(error);
    struct reply_extras extras = {.retry_after_s = error->retry_after_s,
                                  .no_retry = error->no_retry};
    request_reply_fault(r, &fault, &extras);
}

void request_reply_preflight(struct request *r, const struct cors_headers *headers, str allow)
{
    struct fields f;
    f.n = 0;
    add(&f, STR("Allow"), allow);
    add(&f, STR("X-Request-Id"), r->id);
    for (size_t i = 0; i < headers->n; i++)
        add(&f, headers->items[i].name, headers->items[i].value);
    exchange_reply(r->x, 204, f.items, f.n, STR(""));
}

void request_begin_stream(struct request *r)
{
    r->streaming = true;
    metrics_count_add(&r->worker->metrics.open_streams, 1);
    struct fields f;
    f.n = 0;
    add(&f, STR("Content-Type"), STR("text/event-stream; charset=utf-8"));
    add(&f, STR("Cache-Control"), STR("no-cache"));
    add(&f, STR("X-Accel-Buffering"), STR("no"));
    add_common(&f, r);
    exchange_begin(r->x, 200, f.items, f.n);
    exchange_drop_request(r->x);
    drop(r, &r->origin);
    drop(r, &r->attempts);
}

static const char *end_word(const struct request *r, enum exchange_end how)
{
    switch (how) {
    case EXCHANGE_GONE:
        return "caller_gone";
    case EXCHANGE_STALLED:
        return "caller_stalled";
    case EXCHANGE_CUT:
        return r->why != NULL ? r->why : "cut";
    case EXCHANGE_SENT:
        break;
    }
    return r->why != NULL ? r->why : "done";
}

void request_note_first(struct request *r)
{
    if (r->first_ms == UINT64_MAX)
        r->first_ms = exchange_age_ms(r->x);
}

static void count(const struct request *r, int status, enum exchange_end how)
{
    static const enum metrics_end ends[] = {
        [EXCHANGE_SENT] = METRICS_SENT,
        [EXCHANGE_GONE] = METRICS_CALLER_GONE,
        [EXCHANGE_STALLED] = METRICS_CALLER_STALLED,
        [EXCHANGE_CUT] = METRICS_CUT,
    };
    metrics_request(&r->worker->metrics, r->route, status, ends[how], r->first_ms,
                    exchange_age_ms(r->x));
}

/* Errors of ours and of upstreams, and 429; also those that came when the head was sent already. */
static bool has_failed(const struct request *r, int status, enum exchange_end how)
{
    if (status >= 500 || status == 429)
        return true;
    return status == 200 && (how == EXCHANGE_CUT || (how == EXCHANGE_SENT && r->why != NULL));
}

static bool is_served(enum route route)
{
    return route >= ROUTE_CHAT && route <= ROUTE_MODEL;
}

void request_note_attempt(struct request *r, uint64_t key_id, uint32_t host)
{
    struct request_trail *t = &r->trail;
    t->n++;
    t->open = true;
    t->key_id = key_id;
    t->host = host;
    t->from_ms = exchange_age_ms(r->x);
    r->upstream_status = 0;
}

void request_note_failure(struct request *r, const char *verdict, int status, str text)
{
    struct request_trail *t = &r->trail;
    t->open = false;
    if (t->failed == NULL)
        t->failed = xcalloc(1, sizeof(*t->failed));
    if (t->failed->n == REQLOG_TRIES_MAX)
        return;
    struct reqlog_try *try = &t->failed->items[t->failed->n++];
    *try = (struct reqlog_try){.key_id = t->key_id,
                               .host = t->host,
                               .status = status,
                               .ms = exchange_age_ms(r->x) - t->from_ms,
                               .verdict = verdict};
    size_t len = utf8_cut(text, sizeof(try->text) - 1);
    if (len > 0)
        memcpy(try->text, text.p, len);
}

/* Why it ended, in a word that people read: the access log's, but for the most usual ones. */
static const char *shown_end(const struct request *r, int status, enum exchange_end how)
{
    if (how == EXCHANGE_GONE)
        return "gone";
    const char *word = end_word(r, how);
    return status >= 400 && r->why == NULL ? "error" : word;
}

static void keep_in_log(struct request *r, int status, enum exchange_end how)
{
    struct request_trail *t = &r->trail;
    struct reqlog_entry e = {
        .at_ms = clock_wall_ms(),
        .route = r->route,
        .status = status,
        .stream = r->streaming,
        .attempts = t->n,
        .host = t->n > 0 ? t->host : REQLOG_NO_HOST,
        .key_id = t->key_id,
        .first_ms = r->first_ms,
        .ms = exchange_age_ms(r->x),
        .tokens_in = r->tokens_in,
        .tokens_out = r->tokens_out,
        .end = shown_end(r, status, how),
    };
    if (t->open) {
        e.last_verdict = how == EXCHANGE_SENT && r->why == NULL ? "ok" : e.end;
        e.last_status = r->upstream_status;
        e.last_ms = e.ms - t->from_ms;
    }
    reqlog_set_model(&e, r->model);
    reqlog_set_caller(&e, r->caller.p != NULL ? r->caller : exchange_peer(r->x));
    reqlog_add(r->worker->program->reqlog, r->worker->index, &e, t->failed);
    t->failed = NULL;
}

static void count_served(const struct request *r, int status, enum exchange_end how)
{
    struct metrics *m = &r->worker->metrics;
    struct feed_request request = {.model = r->model,
                                   .status = status,
                                   .end = end_word(r, how),
                                   .failed = has_failed(r, status, how),
                                   .tokens = r->tokens_in + r->tokens_out};
    metrics_count_add(&m->served, 1);
    metrics_count_add(&m->failed, request.failed);
    feed_note_request(&r->worker->feed, &request);
}

void request_log(struct request *r, enum exchange_end how)
{
    // A caller who left before an answer began is logged as nginx's users know it.
    int status = exchange_begun(r->x) ? exchange_status(r->x) : 499;
    count(r, status, how);
    if (is_served(r->route)) {
        count_served(r, status, how);
        keep_in_log(r, status, how);
    }
    log_info("request", LOG_STR("id", r->id), LOG_STR("traceparent", r->trace),
             LOG_STR("peer", r->caller.p != NULL ? r->caller : exchange_peer(r->x)),
             LOG_STR("method", http1_method_name(r->method)),
             LOG_STR("route", route_info(r->route)->name), LOG_STR("model", r->model),
             LOG_INT("status", status), LOG_INT("in", exchange_received_bytes(r->x)),
             LOG_INT("bytes", exchange_sent_bytes(r->x)),
             LOG_INT("first_byte_ms", exchange_first_byte_ms(r->x)),
             LOG_INT("ms", exchange_age_ms(r->x)), LOG_STR("end", str_z(end_word(r, how))));
}
