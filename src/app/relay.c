#include "app/relay.h"

#include <stdlib.h>
#include <string.h>

#include "app/catalog.h"
#include "app/learn.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "codec/ndjson.h"
#include "codec/sse.h"
#include "core/classify.h"
#include "core/trace.h"
#include "net/budget.h"

#define KEEP_ALIVE_MS       15000
#define TAIL_MS             1000               // for the rest of an answer that is complete
#define WHOLE_ANSWER_BYTES  ((size_t)64 << 20) // of an answer that is not streamed
#define ERROR_BODY_BYTES    ((size_t)64 << 10)
#define ARENA_SPARE_BYTES   ((size_t)1 << 20)
#define ARENA_PER_BODY_BYTE 4   // what parsing may take; a body of text takes three
#define NATIVE_SPARE_BYTES  256 // by which a native request is rarely longer than the caller's
#define RETRY_AFTER_BYTES   64

enum relay_state {
    RELAY_ASKING,    // nothing is sent yet: whether the model can think is being learned
    RELAY_WAITING,   // for the head of the upstream's answer
    RELAY_STREAMING, // native lines become events as they come
    RELAY_GATHERING, // a whole answer, or the body of an error
    RELAY_TAIL,      // the caller has everything; the upstream's last bytes are read
};

struct relay {
    struct list link; // in worker->tails, in RELAY_TAIL
    struct worker *worker;
    struct request *req; // NULL in RELAY_TAIL
    const struct dialect *dialect;
    struct client_call *call; // NULL: none, or over
    enum relay_state state;
    bool useful; // a useful event went to the caller: no other attempt any more
    bool paused; // the caller is slow, so the upstream is not read
    int status;  // of the upstream's answer
    char retry_after[RETRY_AFTER_BYTES];
    struct loop_timer deadline; // REQUEST_TIMEOUT, then STREAM_IDLE_TIMEOUT; or the tail's
    struct loop_timer beat;     // STREAM_START_TIMEOUT, then keep-alive comments
    struct buf native;          // the request, until an answer begins
    str native_slices[2];       // the same, for the client
    struct learn_wait ask;      // in RELAY_ASKING
    bool without_think;         // the request is sent without `think`
    struct buf gathered;
    size_t charged; // bytes of both that the budget counts
    struct ndjson lines;
    struct answer answer;
};

static const struct config *config_of(const struct relay *r)
{
    return r->req->snapshot->config;
}

static struct loop *loop_of(const struct relay *r)
{
    return r->worker->loop;
}

static void charge(struct relay *r)
{
    budget_follow(&r->charged, r->native.cap + r->gathered.cap + r->lines.carry.cap);
}

void relay_free(struct relay *r)
{
    if (r == NULL)
        return;
    list_remove(&r->link);
    learn_leave(&r->ask);
    client_cancel(r->call);
    loop_timer_cancel(loop_of(r), &r->deadline);
    loop_timer_cancel(loop_of(r), &r->beat);
    loop_put_back(loop_of(r), &r->native);
    loop_put_back(loop_of(r), &r->gathered);
    charge(r);
    ndjson_release(&r->lines);
    r->dialect->release(&r->answer);
    pool_give(loop_pool(loop_of(r)), r, sizeof(*r));
}

void relay_free_tails(struct worker *w)
{
    for (struct list *i = w->tails.next, *next; i != &w->tails; i = next) {
        next = i->next;
        relay_free(list_entry(i, struct relay, link));
    }
}

/* Lets go of the request, whose exchange is about to end, and the request itself with it. */
static struct request *let_go(struct relay *r)
{
    struct request *req = r->req;
    req->relay = NULL;
    r->req = NULL;
    return req;
}

/* The caller has the whole answer; what the upstream still sends of it is read for a moment. */
static void linger(struct relay *r)
{
    if (r->call == NULL) {
        relay_free(r);
        return;
    }
    r->state = RELAY_TAIL;
    list_append(&r->worker->tails, &r->link);
    loop_timer_cancel(loop_of(r), &r->beat);
    loop_timer_set(loop_of(r), &r->deadline, TAIL_MS);
    if (r->paused)
        client_resume(r->call);
}

/* Sends what the event has put into the worker's buffer. */
static void send_out(struct relay *r)
{
    struct worker *w = r->worker;
    if (w->out.len == 0)
        return;
    struct exchange *x = r->req->x;
    if (!exchange_begun(x))
        request_begin_stream(r->req);
    exchange_write(x, buf_str(&w->out));
    worker_trim_out(w);
    loop_timer_set(loop_of(r), &r->beat, KEEP_ALIVE_MS);
    if (r->call != NULL && !r->paused && exchange_congested(x)) {
        r->paused = true;
        client_pause(r->call);
        loop_timer_cancel(loop_of(r), &r->deadline); // the silence is ours now
    }
}

/* Ends a stream with what the event has put into the worker's buffer. */
static void finish_stream(struct relay *r)
{
    struct worker *w = r->worker;
    if (!exchange_begun(r->req->x))
        request_begin_stream(r->req);
    exchange_finish_with(let_go(r)->x, buf_str(&w->out));
    worker_trim_out(w);
}

/* Ends the request with an error, in the shape that fits what was sent so far. */
static void fail_with(struct relay *r, const struct api_error *error)
{
    if (exchange_begun(r->req->x)) {
        struct openai_fault fault = request_fault_of(error);
        r->dialect->fail(&r->answer, &fault, &r->worker->out);
        finish_stream(r);
    } else {
        request_reply_error(let_go(r), error);
    }
    relay_free(r);
}

static bool is_missing_local(const struct relay *r, enum attempt_end how)
{
    return how == ATTEMPT_NO_CONNECT && !config_of(r)->upstream_set;
}

static void note(struct relay *r, enum upstream_outcome outcome)
{
    upstream_note(&r->worker->program->upstream, config_of(r), outcome, loop_now_ms(loop_of(r)));
}

/* How a failed attempt speaks of the upstream: an error that is the request's fault does not. */
static enum upstream_outcome outcome_of(const struct attempt *attempt, const struct verdict *v)
{
    switch (attempt->how) {
    case ATTEMPT_NO_CONNECT:
    case ATTEMPT_ADDRESS:
    case ATTEMPT_TLS:
        return UPSTREAM_MISSING;
    default:
        return v->error.status < 500 ? UPSTREAM_ANSWERED : UPSTREAM_FAILED;
    }
}

/* What an attempt has in common however it failed. */
static struct attempt attempt_of(const struct relay *r, enum attempt_end how)
{
    const struct url *url = upstream_url(config_of(r));
    return (struct attempt){
        .how = how,
        .status = r->status,
        .model = r->answer.head.model,
        .began = r->useful,
        .ollama_com = str_eq(url->host, STR("ollama.com")),
        .retry_after = str_z(r->retry_after),
        .now_s = clock_wall_ms() / 1000,
    };
}

static void fail_attempt(struct relay *r, const struct attempt *attempt)
{
    struct verdict verdict;
    arena_reset(&r->worker->scratch);
    classify(&r->worker->scratch, attempt, &verdict);
    note(r, outcome_of(attempt, &verdict));
    if (str_eq(verdict.error.param, STR("messages"))) // as chat has it
        verdict.error.param = str_z(r->dialect->input_param);
    if (verdict.host == HOST_LACKS_MODEL)
        learn_doubt(r->worker, r->req->snapshot, r->answer.head.model);
    if (is_missing_local(r, attempt->how))
        verdict.error = upstream_none_error();
    r->req->why = verdict.name;
    log_debug("attempt_failed", LOG_STR("id", r->req->id), LOG_STR("why", str_z(verdict.name)),
              LOG_INT("status", attempt->status), LOG_STR("detail", attempt->detail));
    fail_with(r, &verdict.error);
}

static void fail_how(struct relay *r, enum attempt_end how, str detail)
{
    struct attempt attempt = attempt_of(r, how);
    attempt.detail = detail;
    fail_attempt(r, &attempt);
}

/* Whether the request asks the model to think, and can be sent without that. */
static bool may_drop_think(const struct relay *r)
{
    return r->answer.think.len > 0 && !r->without_think;
}

static void start_call(struct relay *r);

/* The model cannot think, says the upstream: sends the same again without `think`. */
static void call_without_think(struct relay *r)
{
    catalog_note_no_thinking(r->req->snapshot->catalog, r->answer.head.model,
                             loop_now_ms(loop_of(r)));
    client_cancel(r->call);
    loop_put_back(loop_of(r), &r->gathered);
    memset(r->retry_after, 0, sizeof(r->retry_after));
    r->status = 0;
    r->without_think = true;
    r->state = RELAY_WAITING;
    start_call(r);
    charge(r);
}

/* The upstream answered with an error status; what it said about it is in `gathered`. */
static void fail_status(struct relay *r)
{
    struct ollama_error said;
    struct arena texts; // classify() uses the scratch arena itself
    arena_init(&texts, ARENA_SPARE_BYTES + ARENA_PER_BODY_BYTE * r->gathered.len);
    ollama_error_decode(&texts, buf_str(&r->gathered), &said);
    if (r->status == 400 && may_drop_think(r) &&
        str_icontains(said.text, STR("does not support thinking"))) {
        arena_release(&texts);
        call_without_think(r);
        return;
    }
    struct attempt attempt = attempt_of(r, ATTEMPT_STATUS);
    attempt.json = said.is_native;
    attempt.error_text = said.text;
    attempt.signin_url = said.has_signin_url;
    fail_attempt(r, &attempt);
    arena_release(&texts);
}

static void fail_error_line(struct relay *r, str text)
{
    struct attempt attempt = attempt_of(r, ATTEMPT_ERROR_LINE);
    char copy[1024]; // the line lives in the scratch arena, which is about to be used anew
    text = str_head(text, utf8_cut(text, sizeof(copy)));
    memcpy(copy, text.p, text.len);
    attempt.json = true;
    attempt.error_text = str_of(copy, text.len);
    fail_attempt(r, &attempt);
}

/* A native object was no answer. */
static void fail_native(struct relay *r, enum native_step step, const struct native *native)
{
    if (step == NATIVE_ERROR)
        fail_error_line(r, native->error);
    else if (step == NATIVE_NOT_DONE)
        fail_how(r, ATTEMPT_NOT_DONE, STR(""));
    else
        fail_how(r, ATTEMPT_MALFORMED, str_z(native->info.text));
}

/* Takes one native line; false when the relay is over. */
static bool take_line(struct relay *r, str text)
{
    struct worker *w = r->worker;
    struct native native = {.text = text, .scratch = &w->scratch};
    arena_reset(&w->scratch);
    enum native_step step = r->dialect->line(&r->answer, &native, &w->out);
    if (!buf_ok(&w->out)) {
        // What is in there ends anywhere: nothing of it may go out.
        buf_reset(&w->out);
        fail_how(r, ATTEMPT_MALFORMED, STR("a line is too large to be passed on"));
        return false;
    }
    switch (step) {
    case NATIVE_NOTHING:
        return true;
    case NATIVE_USEFUL:
        r->useful = true;
        return true;
    case NATIVE_FINISHED:
        note(r, UPSTREAM_ANSWERED);
        finish_stream(r);
        linger(r);
        return false;
    default:
        send_out(r);
        fail_native(r, step, &native);
        return false;
    }
}

static void stream_body(struct relay *r, str data)
{
    str line;
    enum ndjson_step step;
    ndjson_feed(&r->lines, data);
    while ((step = ndjson_next(&r->lines, &line)) == NDJSON_LINE) {
        if (!take_line(r, line))
            return;
    }
    charge(r);
    send_out(r);
    if (step == NDJSON_TOO_LARGE)
        fail_how(r, ATTEMPT_MALFORMED, STR("a line is too long"));
    else if (!r->paused)
        loop_timer_set(loop_of(r), &r->deadline, config_of(r)->stream_idle_timeout_ms);
}

/* The upstream's stream came to its end in order. */
static void end_stream(struct relay *r)
{
    str line;
    enum ndjson_step step = ndjson_finish(&r->lines, &line);
    if (step == NDJSON_LINE && !take_line(r, line))
        return;
    send_out(r);
    fail_how(r, ATTEMPT_CUT, STR("the stream ended without a last line"));
}

static void end_whole(struct relay *r)
{
    struct worker *w = r->worker;
    struct native native = {.text = buf_str(&r->gathered), .scratch = &w->scratch};
    if (r->gathered.len == 0) {
        fail_how(r, ATTEMPT_CUT, STR("the answer is empty"));
        return;
    }
    arena_reset(&w->scratch);
    enum native_step step = r->dialect->whole(&r->answer, &native, &w->out);
    if (step != NATIVE_FINISHED) {
        fail_native(r, step, &native);
        return;
    }
    if (!buf_ok(&w->out)) {
        buf_reset(&w->out);
        fail_how(r, ATTEMPT_MALFORMED, STR("the answer is too large to be passed on"));
        return;
    }
    note(r, UPSTREAM_ANSWERED);
    request_reply_json(let_go(r), 200, buf_str(&w->out));
    worker_trim_out(w);
    linger(r);
}

static void on_head(void *arg, const struct http1_message *m)
{
    struct relay *r = arg;
    if (r->state != RELAY_WAITING)
        return;
    r->status = m->status;
    r->req->upstream_status = m->status;
    str wait = http1_find(m, STR("retry-after"));
    if (wait.len < sizeof(r->retry_after) && wait.len > 0)
        memcpy(r->retry_after, wait.p, wait.len); // zero-terminated: the relay began as zeroes
    if (m->status != 400 || !may_drop_think(r)) { // else it may have to be sent once more
        loop_put_back(loop_of(r), &r->native);
        exchange_drop_request(r->req->x);
    }
    charge(r);
    if (m->status == 200 && r->answer.stream) {
        r->state = RELAY_STREAMING;
        loop_timer_set(loop_of(r), &r->deadline, config_of(r)->stream_idle_timeout_ms);
        return;
    }
    r->state = RELAY_GATHERING;
    buf_init(&r->gathered, m->status == 200 ? WHOLE_ANSWER_BYTES : ERROR_BODY_BYTES);
    loop_lend(loop_of(r), &r->gathered);
    if (m->has_length && m->length_bytes <= LOOP_READ_BYTES)
        buf_reserve(&r->gathered, (size_t)m->length_bytes);
}

static void gather(struct relay *r, str data)
{
    if (r->status == 200) {
        buf_append(&r->gathered, data);
        charge(r);
        if (!buf_ok(&r->gathered))
            fail_how(r, ATTEMPT_MALFORMED, STR("the answer is too large"));
        return;
    }
    // An error's first words are enough; an endless body is not waited for.
    size_t room = ERROR_BODY_BYTES - r->gathered.len;
    buf_append(&r->gathered, str_head(data, room));
    if (data.len >= room)
        fail_status(r);
}

static void on_body(void *arg, str data)
{
    struct relay *r = arg;
    if (r->state == RELAY_STREAMING)
        stream_body(r, data);
    else if (r->state == RELAY_GATHERING)
        gather(r, data);
}

static void on_done(void *arg)
{
    struct relay *r = arg;
    r->call = NULL;
    switch (r->state) {
    case RELAY_STREAMING:
        end_stream(r);
        break;
    case RELAY_GATHERING:
        if (r->status == 200)
            end_whole(r);
        else
            fail_status(r);
        break;
    case RELAY_ASKING:
    case RELAY_WAITING:
    case RELAY_TAIL:
        relay_free(r);
        break;
    }
}

static void on_fail(void *arg, enum client_fail how, str text)
{
    static const enum attempt_end ends[] = {
        [CLIENT_FAIL_RESOLVE] = ATTEMPT_NO_CONNECT, [CLIENT_FAIL_ADDRESS] = ATTEMPT_ADDRESS,
        [CLIENT_FAIL_CONNECT] = ATTEMPT_NO_CONNECT, [CLIENT_FAIL_TLS] = ATTEMPT_TLS,
        [CLIENT_FAIL_PROXY] = ATTEMPT_NO_CONNECT,   [CLIENT_FAIL_RESET] = ATTEMPT_CUT,
        [CLIENT_FAIL_PROTOCOL] = ATTEMPT_MALFORMED,
    };
    struct relay *r = arg;
    r->call = NULL;
    if (r->state == RELAY_TAIL)
        relay_free(r);
    else if (r->state == RELAY_GATHERING && r->status != 200)
        fail_status(r); // the status is known; its words may be cut short
    else
        fail_how(r, ends[how], text);
}

static void on_deadline(void *arg)
{
    struct relay *r = arg;
    if (r->state == RELAY_TAIL)
        relay_free(r);
    else if (r->state == RELAY_ASKING)
        start_call(r); // as it is: nobody knows
    else if (r->state == RELAY_GATHERING && r->status != 200)
        fail_status(r);
    else
        fail_how(r, r->state == RELAY_STREAMING ? ATTEMPT_IDLE : ATTEMPT_TIMEOUT, STR(""));
}

/* Nothing was sent for a while: clients and proxies in between must see that we live. */
static void on_beat(void *arg)
{
    struct relay *r = arg;
    struct exchange *x = r->req->x;
    if (r->state == RELAY_ASKING)
        start_call(r); // it needs the head of the request, which goes now
    if (!exchange_begun(x))
        request_begin_stream(r->req);
    if (!exchange_congested(x))
        exchange_write(x, SSE_KEEP_ALIVE);
    loop_timer_set(loop_of(r), &r->beat, KEEP_ALIVE_MS);
}

void relay_resume(struct relay *r)
{
    if (!r->paused || r->call == NULL)
        return;
    r->paused = false;
    loop_timer_set(loop_of(r), &r->deadline, config_of(r)->stream_idle_timeout_ms);
    client_resume(r->call);
}

void relay_shut_down(struct relay *r)
{
    struct api_error error = api_error_make(503, STR("this server is shutting down"));
    error.retry_after_s = 1;
    fail_with(r, &error);
}

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

static void start_call(struct relay *r)
{
    static const struct client_events events = {on_head, on_body, on_done, on_fail};
    const struct http1_message *m = exchange_message(r->req->x);
    struct http1_field fields[2];
    size_t n = 0;
    struct arena *a = &r->worker->scratch;
    learn_leave(&r->ask);
    r->state = RELAY_WAITING;
    arena_reset(a);
    str via = trace_via_append(a, http1_join(a, m, STR("via")), m->http10,
                               str_z(r->worker->program->pseudonym));
    if (via.p != NULL)
        fields[n++] = (struct http1_field){STR("Via"), via};
    str parent = http1_find(m, STR("traceparent"));
    if (trace_parent_ok(parent))
        fields[n++] = (struct http1_field){STR("traceparent"), parent};

    size_t n_slices = cut_native(r);
    struct client_request request = {
        .url = upstream_url(config_of(r)),
        .method = STR("POST"),
        .path = str_z(r->dialect->native_path),
        .content_type = STR("application/json"),
        .fields = fields,
        .n_fields = n,
        .body = r->native_slices,
        .n_body = n_slices,
    };
    loop_timer_set(loop_of(r), &r->deadline, config_of(r)->request_timeout_ms);
    r->call = client_start(r->worker->client, &request, &events, r);
    if (!may_drop_think(r))
        exchange_drop_request(
            r->req->x); // its head has served; fields for the upstream were copied
}

static bool knows_think(struct relay *r, struct catalog_ability *ret)
{
    *ret = catalog_thinks(r->req->snapshot->catalog, r->answer.head.model, loop_now_ms(loop_of(r)));
    r->without_think = ret->answer == CATALOG_NO;
    return !ret->ask;
}

static void on_learned(void *arg, const struct learned *learned)
{
    struct relay *r = arg;
    struct catalog_ability ability;
    (void)learned;
    (void)knows_think(r, &ability);
    start_call(r);
}

/* Whether the model can think must be learned first; false: it need not, or cannot be. */
static bool ask_first(struct relay *r)
{
    struct catalog_ability ability;
    uint64_t worth_ms;
    if (!may_drop_think(r) || knows_think(r, &ability))
        return false;
    struct learn_wait *wait = ability.wait ? &r->ask : NULL;
    if (!learn_model(r->worker, r->req->snapshot, r->answer.head.model, wait, &worth_ms) ||
        wait == NULL || worth_ms == 0)
        return false;
    loop_timer_set(loop_of(r), &r->deadline, worth_ms);
    return true;
}

/*
 * Decodes what the caller sent; false when that was answered with an error. What parsing may take
 * of memory counts while it lasts: several workers may be at it.
 */
static bool decode(struct relay *r)
{
    struct request *req = r->req;
    struct buf *body = exchange_body(req->x);
    struct openai_fault fault;
    // The worker's own arena, since its first page is there already, on this body's budget.
    struct arena *a = &r->worker->scratch;
    size_t everyday_bytes = a->budget_bytes;
    size_t charged = 0;
    arena_reset(a);
    a->budget_bytes = ARENA_SPARE_BYTES + ARENA_PER_BODY_BYTE * body->len;
    budget_follow(&charged, a->budget_bytes);
    bool refused = budget_is_out();
    enum err e = ERR_TOO_LARGE;
    if (!refused) {
        loop_lend(loop_of(r), &r->native);
        buf_reserve(&r->native, body->len + NATIVE_SPARE_BYTES);
        e = r->dialect->decode(a, body, config_of(r), &r->answer, &r->native, &fault);
    }
    if (refused) {
        request_refuse_for_now(let_go(r));
        relay_free(r);
    } else if (e != ERR_OK) {
        req->why = "bad_request";
        request_reply_fault(let_go(r), &fault, NULL);
        relay_free(r);
    }
    arena_reset(a);
    a->budget_bytes = everyday_bytes;
    budget_follow(&charged, 0);
    return e == ERR_OK;
}

void relay_start(struct request *req, const struct dialect *dialect)
{
    struct worker *w = req->worker;
    struct relay *r = pool_take_zeroed(loop_pool(w->loop), sizeof(*r));
    list_init(&r->link);
    r->worker = w;
    r->req = req;
    r->dialect = dialect;
    loop_timer_init(&r->deadline, on_deadline, r);
    loop_timer_init(&r->beat, on_beat, r);
    learn_wait_init(&r->ask, on_learned, r);
    buf_init(&r->native, 2 * (size_t)config_of(r)->body_limit_bytes + ARENA_SPARE_BYTES);
    ndjson_init(&r->lines, NDJSON_LINE_MAX);
    req->relay = r;

    if (!decode(r))
        return;
    exchange_drop_body(req->x);
    charge(r);
    request_set_model(req, r->answer.head.model);
    if (!upstream_may_try(&w->program->upstream, config_of(r), loop_now_ms(w->loop))) {
        struct api_error error = upstream_none_error();
        req->why = "no_upstream";
        fail_with(r, &error);
        return;
    }
    if (r->answer.stream && config_of(r)->stream_start_timeout_ms > 0)
        loop_timer_set(loop_of(r), &r->beat, config_of(r)->stream_start_timeout_ms);
    if (!ask_first(r))
        start_call(r);
}
