#include "app/relay.h"

#include <stdlib.h>
#include <string.h>

#include "app/catalog.h"
#include "app/relay_private.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "codec/sse.h"
#include "net/budget.h"

#define KEEP_ALIVE_MS      15000
#define TAIL_MS            1000 // for the rest of an answer that is complete
#define NATIVE_SPARE_BYTES 256  // by which a native request is rarely longer than the caller's

void relay_charge(struct relay *r)
{
    budget_follow(&r->charged, r->native.cap + r->gathered.cap + r->lines.carry.cap);
}

/* Frees what the search for a key needed. */
static void drop_search(struct relay *r)
{
    loop_put_back(relay_loop(r), &r->native);
    key_search_release(&r->search);
    free(r->attempts);
    r->attempts = NULL;
    if (r->passed != NULL)
        pool_give(loop_pool(relay_loop(r)), r->passed, r->passed->size_bytes);
    r->passed = NULL;
}

void relay_settle(struct relay *r)
{
    relay_tell_attempt(r, "ok");
    r->useful = true;
    keypool_note_answer(relay_keypool(r), &r->lease, loop_now_ms(relay_loop(r)));
    request_note_first(r->req);
    drop_search(r);
}

void relay_free(struct relay *r)
{
    if (r == NULL)
        return;
    list_remove(&r->link);
    learn_leave(&r->ask);
    client_cancel(r->call);
    relay_drop_lease(r);
    loop_timer_cancel(relay_loop(r), &r->deadline);
    loop_timer_cancel(relay_loop(r), &r->beat);
    drop_search(r);
    loop_put_back(relay_loop(r), &r->gathered);
    relay_charge(r);
    ndjson_release(&r->lines);
    r->dialect->release(&r->answer);
    pool_give(loop_pool(relay_loop(r)), r, sizeof(*r));
}

void relay_free_tails(struct worker *w)
{
    for (struct list *i = w->tails.next, *next; i != &w->tails; i = next) {
        next = i->next;
        relay_free(list_entry(i, struct relay, link));
    }
}

/* ---- the caller's side ---- */

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
    loop_timer_cancel(relay_loop(r), &r->beat);
    loop_timer_set(relay_loop(r), &r->deadline, TAIL_MS);
    if (r->paused)
        client_resume(r->call);
}

void relay_send_out(struct relay *r)
{
    struct worker *w = r->worker;
    if (w->out.len == 0)
        return;
    struct exchange *x = r->req->x;
    if (!exchange_begun(x))
        request_begin_stream(r->req);
    exchange_write(x, buf_str(&w->out));
    worker_trim_out(w);
    loop_timer_set(relay_loop(r), &r->beat, KEEP_ALIVE_MS);
    if (r->call != NULL && !r->paused && exchange_congested(x)) {
        r->paused = true;
        client_pause(r->call);
        loop_timer_cancel(relay_loop(r), &r->deadline); // the silence is ours now
    }
}

/* Sends the end of a stream, which is in the worker's buffer. */
static void send_end(struct relay *r)
{
    struct worker *w = r->worker;
    if (!exchange_begun(r->req->x))
        request_begin_stream(r->req);
    exchange_finish_with(let_go(r)->x, buf_str(&w->out));
    worker_trim_out(w);
}

void relay_finish_stream(struct relay *r)
{
    send_end(r);
    linger(r);
}

void relay_finish_whole(struct relay *r)
{
    request_reply_json(let_go(r), 200, buf_str(&r->worker->out));
    worker_trim_out(r->worker);
    linger(r);
}

void relay_fail_with(struct relay *r, const struct api_error *error)
{
    if (exchange_begun(r->req->x)) {
        struct openai_fault fault = request_fault_of(error);
        r->dialect->fail(&r->answer, &fault, &r->worker->out);
        send_end(r);
    } else {
        request_reply_error(let_go(r), error);
    }
    relay_free(r);
}

static void on_deadline(void *arg)
{
    struct relay *r = arg;
    if (r->state == RELAY_TAIL)
        relay_free(r);
    else if (r->state == RELAY_ASKING)
        relay_begin(r); // as it is: nobody knows
    else
        relay_answer_is_late(r);
}

/* Nothing was sent for a while: clients and proxies in between must see that we live. */
static void on_beat(void *arg)
{
    struct relay *r = arg;
    struct exchange *x = r->req->x;
    if (!exchange_begun(x)) {
        relay_keep_head(r); // attempts go on, and the head goes now
        request_begin_stream(r->req);
    }
    if (!exchange_congested(x))
        exchange_write(x, SSE_KEEP_ALIVE);
    loop_timer_set(relay_loop(r), &r->beat, KEEP_ALIVE_MS);
}

void relay_resume(struct relay *r)
{
    if (!r->paused || r->call == NULL)
        return;
    r->paused = false;
    loop_timer_set(relay_loop(r), &r->deadline, relay_config(r)->stream_idle_timeout_ms);
    client_resume(r->call);
}

void relay_shut_down(struct relay *r)
{
    struct api_error error = api_error_make(503, STR("this server is shutting down"));
    error.retry_after_s = 1;
    relay_fail_with(r, &error);
}

/* ---- the beginning ---- */

static bool knows_think(struct relay *r, struct catalog_ability *ret)
{
    *ret = catalog_thinks(r->worker->program->catalog, r->answer.head.model,
                          loop_now_ms(relay_loop(r)));
    r->without_think = ret->answer == CATALOG_NO;
    return !ret->ask;
}

static void on_learned(void *arg, const struct learned *learned)
{
    struct relay *r = arg;
    struct catalog_ability ability;
    (void)learned;
    (void)knows_think(r, &ability);
    relay_begin(r);
}

/* Whether the model can think must be learned first; false: it need not, or cannot be. */
static bool ask_first(struct relay *r)
{
    struct catalog_ability ability;
    uint64_t worth_ms;
    if (!relay_may_drop_think(r) || knows_think(r, &ability))
        return false;
    struct learn_wait *wait = ability.wait ? &r->ask : NULL;
    if (!learn_model(r->worker, r->req->snapshot, r->answer.head.model, wait, &worth_ms) ||
        wait == NULL || worth_ms == 0)
        return false;
    loop_timer_set(relay_loop(r), &r->deadline, worth_ms);
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
    a->budget_bytes = RELAY_SPARE_BYTES + RELAY_PER_BODY_BYTE * body->len;
    budget_follow(&charged, a->budget_bytes);
    bool refused = budget_is_out();
    enum err e = ERR_TOO_LARGE;
    if (!refused) {
        loop_lend(relay_loop(r), &r->native);
        buf_reserve(&r->native, body->len + NATIVE_SPARE_BYTES);
        e = r->dialect->decode(a, body, relay_config(r), &r->answer, &r->native, &fault);
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
    r->lease.slot = KEYPOOL_END;
    loop_timer_init(&r->deadline, on_deadline, r);
    loop_timer_init(&r->beat, on_beat, r);
    learn_wait_init(&r->ask, on_learned, r);
    buf_init(&r->native, 2 * (size_t)relay_config(r)->body_limit_bytes + RELAY_SPARE_BYTES);
    ndjson_init(&r->lines, NDJSON_LINE_MAX);
    req->relay = r;

    if (!decode(r))
        return;
    exchange_drop_body(req->x);
    relay_charge(r);
    request_set_model(req, r->answer.head.model);
    if (r->answer.stream && relay_config(r)->stream_start_timeout_ms > 0)
        loop_timer_set(relay_loop(r), &r->beat, relay_config(r)->stream_start_timeout_ms);
    if (!ask_first(r))
        relay_begin(r);
}
