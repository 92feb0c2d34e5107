/*
 * A real request through one certain key, told step by step as server-sent events. What comes of it
 * counts for the key as any caller's request would.
 */
#include "app/admin_call.h"

#include <stdlib.h>
#include <string.h>

#include "app/fetch.h"
#include "base/clock.h"
#include "base/xalloc.h"
#include "codec/admin_detail.h"
#include "codec/admin_request.h"
#include "codec/ndjson.h"
#include "codec/ollama_line.h"
#include "codec/ollama_models.h"
#include "core/classify.h"

enum {
    TAGS_MS = 15000,  // for the list of models
    TEXT_CHARS = 200, // shown of what the model said
    TEXT_BYTES = 4 * TEXT_CHARS,
    EVENT_BYTES = 16384,
    ERROR_BYTES = 65536,    // read of an answer with an error status
    ANSWER_BYTES = 1 << 20, // of an answer: far more than is asked for
    VERDICT_BYTES = 1 << 20,
};

struct key_test {
    struct admin_call *call;
    struct worker *worker;
    struct snapshot *snapshot; // a counted reference
    struct lease lease;
    struct fetch *fetch;      // the list of models; NULL: none under way
    struct client_call *chat; // NULL: none under way
    struct loop_timer deadline;
    uint64_t begun_ms;
    struct buf sent;
    str sent_slice; // the same, for the client
    struct ndjson lines;
    struct buf error; // the body of an answer with an error status
    struct buf text;
    size_t received;
    int status;
    bool useful;
    char retry_after[64];
    size_t model_len;
    char model[ADMIN_MODEL_MAX];
};

static str model_of(const struct key_test *t)
{
    return str_of(t->model, t->model_len);
}

static struct keypool *pool_of(const struct key_test *t)
{
    return t->worker->program->keypool;
}

static uint64_t now_of(const struct key_test *t)
{
    return loop_now_ms(t->worker->loop);
}

/* Ends what is under way with the upstream. */
static void stop(struct key_test *t)
{
    fetch_cancel(t->fetch);
    client_cancel(t->chat);
    loop_timer_cancel(t->worker->loop, &t->deadline);
    t->fetch = NULL;
    t->chat = NULL;
    if (t->lease.slot != KEYPOOL_END)
        keypool_release(pool_of(t), &t->lease, now_of(t));
    t->lease.slot = KEYPOOL_END;
}

/* The call goes: it was answered, or its caller has left. */
static void test_free(void *arg)
{
    struct key_test *t = arg;
    stop(t);
    buf_release(&t->sent);
    buf_release(&t->error);
    buf_release(&t->text);
    ndjson_release(&t->lines);
    snapshot_release(t->snapshot);
    free(t);
}

/* ---- events ---- */

static void tell_step(struct key_test *t, const char *step, bool ok, str detail)
{
    struct buf out;
    buf_init(&out, EVENT_BYTES);
    admin_put_test_step(&out, str_z(step), now_of(t) - t->begun_ms, ok, detail);
    exchange_write(t->call->r->x, buf_str(&out));
    buf_release(&out);
}

/* The last event; nothing of the test may be touched afterwards. */
static void finish(struct key_test *t, uint64_t tokens, str error)
{
    struct buf out;
    struct exchange *x = t->call->r->x;
    struct admin_test_end end = {.ok = error.len == 0,
                                 .status = t->status,
                                 .model = model_of(t),
                                 .text = buf_str(&t->text),
                                 .tokens = tokens,
                                 .ms = now_of(t) - t->begun_ms,
                                 .error = error};
    buf_init(&out, EVENT_BYTES);
    admin_put_test_end(&out, &end);
    stop(t);
    exchange_finish_with(x, buf_str(&out));
    buf_release(&out);
}

/* ---- how it ended ---- */

static struct attempt attempt_of(const struct key_test *t, enum attempt_end how)
{
    return (struct attempt){.how = how,
                            .status = t->status,
                            .model = model_of(t),
                            .began = t->useful,
                            .keyed = t->lease.secret.len > 0,
                            .secret = t->lease.secret,
                            .ollama_com = str_eq(t->lease.url->host, STR("ollama.com")),
                            .retry_after = str_z(t->retry_after),
                            .now_s = clock_wall_ms() / 1000};
}

/* The step at which an attempt failed. */
static const char *step_of(const struct key_test *t, enum attempt_end how)
{
    if (how == ATTEMPT_NO_CONNECT || how == ATTEMPT_ADDRESS)
        return "connect";
    if (how == ATTEMPT_TLS)
        return "tls";
    if (t->status == 0 || how == ATTEMPT_STATUS)
        return "first_byte";
    return t->useful ? "end" : "first_token";
}

static void fail(struct key_test *t, const struct attempt *attempt)
{
    struct verdict verdict;
    struct arena arena;
    arena_init(&arena, VERDICT_BYTES);
    classify(&arena, attempt, &verdict);
    keypool_report_failure(pool_of(t), &t->lease, model_of(t), &verdict, now_of(t));
    t->lease.slot = KEYPOOL_END;
    tell_step(t, step_of(t, attempt->how), false, verdict.error.message);
    finish(t, 0, verdict.error.message);
    arena_release(&arena);
}

static void fail_by(struct key_test *t, enum attempt_end how, str detail)
{
    struct attempt attempt = attempt_of(t, how);
    attempt.detail = detail;
    fail(t, &attempt);
}

static void fail_status(struct key_test *t)
{
    struct ollama_error said;
    struct arena texts;
    arena_init(&texts, VERDICT_BYTES);
    ollama_error_decode(&texts, buf_str(&t->error), &said);
    struct attempt attempt = attempt_of(t, ATTEMPT_STATUS);
    attempt.json = said.is_native;
    attempt.error_text = said.text;
    attempt.signin_url = said.has_signin_url;
    fail(t, &attempt);
    arena_release(&texts);
}

static void fail_line(struct key_test *t, str error)
{
    struct attempt attempt = attempt_of(t, ATTEMPT_ERROR_LINE);
    attempt.json = true;
    attempt.error_text = error;
    fail(t, &attempt);
}

static void succeed(struct key_test *t, uint64_t tokens)
{
    struct lease again;
    uint64_t key_id = t->lease.key_id;
    keypool_report_success(pool_of(t), &t->lease, model_of(t), tokens, now_of(t));
    t->lease.slot = KEYPOOL_END;
    // It proves more than a probe does, which brings back a key that was refused.
    if (keypool_acquire_id(pool_of(t), key_id, &again))
        keypool_report_probe(pool_of(t), &again, PROBE_GOOD, STR("a test request was answered"),
                             now_of(t));
    tell_step(t, "end", true, STR(""));
    finish(t, tokens, STR(""));
}

/* ---- the answer ---- */

/* Keeps the first TEXT_CHARS characters. */
static void keep_text(struct key_test *t, str content)
{
    str all = buf_str(&t->text);
    size_t chars = 0;
    for (size_t i = 0; i < all.len; i++)
        chars += ((unsigned char)all.p[i] & 0xC0) != 0x80;
    while (content.len > 0 && chars++ < TEXT_CHARS) {
        size_t n = utf8_sequence(content);
        if (n == 0)
            return;
        buf_append(&t->text, str_head(content, n));
        content = str_skip(content, n);
    }
}

/* False: the test is over. */
static bool take_line(struct key_test *t, str text)
{
    struct ollama_line line;
    struct err_info info = {0};
    struct arena *a = &t->worker->scratch;
    arena_reset(a);
    if (ollama_line_decode(a, text, &line, &info) != ERR_OK) {
        fail_by(t, ATTEMPT_MALFORMED, str_z(info.text));
        return false;
    }
    if (line.has_error) {
        fail_line(t, line.error);
        return false;
    }
    if (!t->useful && ollama_line_useful(&line)) {
        t->useful = true;
        tell_step(t, "first_token", true, STR(""));
    }
    keep_text(t, line.content);
    if (line.done)
        succeed(t, line.prompt_tokens + line.completion_tokens);
    return !line.done;
}

static void on_step(void *arg, enum client_step step)
{
    static const char *const names[] = {
        [CLIENT_CONNECTED] = "connect", [CLIENT_SECURED] = "tls", [CLIENT_SENT] = "sent"};
    tell_step(arg, names[step], true, STR(""));
}

static void on_head(void *arg, const struct http1_message *m)
{
    struct key_test *t = arg;
    char text[32];
    t->status = m->status;
    str wait = http1_find(m, STR("retry-after"));
    if (wait.len < sizeof(t->retry_after) && wait.len > 0)
        memcpy(t->retry_after, wait.p, wait.len); // zero-terminated: it was zeroes
    if (m->status != 200)
        return; // what it says comes with the body
    int n = snprintf(text, sizeof(text), "status %d", m->status);
    tell_step(t, "first_byte", true, str_of(text, (size_t)n));
}

static void on_body(void *arg, str data)
{
    struct key_test *t = arg;
    str line;
    enum ndjson_step step;
    if (t->status != 200) {
        size_t room = ERROR_BYTES - t->error.len;
        buf_append(&t->error, str_head(data, room));
        if (data.len >= room)
            fail_status(t);
        return;
    }
    t->received += data.len;
    ndjson_feed(&t->lines, data);
    while ((step = ndjson_next(&t->lines, &line)) == NDJSON_LINE) {
        if (!take_line(t, line))
            return;
    }
    if (step == NDJSON_TOO_LARGE || t->received > ANSWER_BYTES)
        fail_by(t, ATTEMPT_MALFORMED, STR("the answer is too long"));
}

static void on_done(void *arg)
{
    struct key_test *t = arg;
    str line;
    t->chat = NULL;
    if (t->status != 200)
        fail_status(t);
    else if (ndjson_finish(&t->lines, &line) != NDJSON_LINE || take_line(t, line))
        fail_by(t, ATTEMPT_CUT, STR("the stream ended without a last line"));
}

static void on_fail(void *arg, enum client_fail how, str text)
{
    struct key_test *t = arg;
    t->chat = NULL;
    fail_by(t, fetch_attempt_end(how), text);
}

static void on_deadline(void *arg)
{
    fail_by(arg, ATTEMPT_TIMEOUT, STR(""));
}

/* ---- the request ---- */

static void ask(struct key_test *t)
{
    static const struct client_events events = {on_head, on_body, on_done, on_fail};
    struct arena *a = &t->worker->scratch;
    struct http1_field field = {STR("Authorization"), STR("")};
    arena_reset(a);
    tell_step(t, "choose", true, model_of(t));
    if (t->lease.secret.len > 0)
        field.value = arena_printf(a, "Bearer %.*s", STR_ARG(t->lease.secret));
    ollama_test_encode(model_of(t), &t->sent);
    t->sent_slice = buf_str(&t->sent);
    struct client_request request = {.url = t->lease.url,
                                     .method = STR("POST"),
                                     .path = STR("/api/chat"),
                                     .content_type = STR("application/json"),
                                     .fields = &field,
                                     .n_fields = field.value.len > 0 ? 1 : 0,
                                     .body = &t->sent_slice,
                                     .n_body = 1,
                                     .fresh = true,
                                     .on_step = on_step};
    loop_timer_set(t->worker->loop, &t->deadline, t->snapshot->config->request_timeout_ms);
    t->chat = client_start(t->worker->client, &request, &events, t);
}

static void set_model(struct key_test *t, str model)
{
    t->model_len = model.len;
    memcpy(t->model, model.p, model.len);
}

/* The smallest model that can chat, as far as the host says; NULL: there is none. */
static const struct model_entry *smallest(const struct model_list *list)
{
    const struct model_entry *best = NULL;
    for (size_t i = 0; i < list->n; i++) {
        const struct model_entry *m = &list->items[i];
        if (m->name.len > ADMIN_MODEL_MAX ||
            (m->abilities.known && (m->abilities.set & MODEL_CHATS) == 0))
            continue;
        bool smaller =
            best == NULL ||
            (m->size_bytes > 0 && (best->size_bytes == 0 || m->size_bytes < best->size_bytes));
        if (smaller)
            best = m;
    }
    return best;
}

/* The host did not tell its models. */
static void fail_choice(struct key_test *t, str error)
{
    tell_step(t, "choose", false, error);
    finish(t, 0, error);
}

static void on_tags(void *arg, const struct fetch_result *result)
{
    struct key_test *t = arg;
    struct model_list list = {.n = 0};
    struct err_info info = {0};
    struct arena arena;
    t->fetch = NULL; // gone when this returns
    arena_init(&arena, 4 * FETCH_BODY_BYTES);
    bool ok = result->how == ATTEMPT_STATUS && result->status == 200 &&
              ollama_tags_decode(&arena, result->body, &list, &info) == ERR_OK;
    const struct model_entry *model = ok ? smallest(&list) : NULL;
    if (model != NULL) {
        set_model(t, model->name);
        ask(t);
    } else if (ok) {
        fail_choice(t, STR("the host has no model that chats; name one"));
    } else {
        struct api_error error =
            fetch_error(&arena, t->worker, result, t->snapshot->config, STR(""));
        t->status = result->status;
        fetch_give_back(t->worker, t->snapshot->config, &t->lease, result);
        fail_choice(t, error.message);
    }
    arena_release(&arena);
}

static void choose(struct key_test *t)
{
    struct fetch_request request = {.snapshot = t->snapshot,
                                    .lease = &t->lease,
                                    .method = STR("GET"),
                                    .path = STR("/api/tags"),
                                    .timeout_ms = TAGS_MS};
    t->fetch = fetch_start(t->worker, &request, on_tags, t);
}

static struct key_test *test_new(struct admin_call *c, const struct lease *lease)
{
    struct key_test *t = xcalloc(1, sizeof(*t));
    t->call = c;
    t->worker = c->r->worker;
    t->snapshot = snapshot_acquire(c->r->snapshot);
    t->lease = *lease;
    t->begun_ms = now_of(t);
    loop_timer_init(&t->deadline, on_deadline, t);
    buf_init(&t->sent, EVENT_BYTES);
    buf_init(&t->error, ERROR_BYTES);
    buf_init(&t->text, TEXT_BYTES);
    ndjson_init(&t->lines, NDJSON_LINE_MAX);
    c->arg = t;
    c->release_arg = test_free;
    return t;
}

void admin_key_test(struct admin_call *c)
{
    static const struct admin_extras extras = {
        .content_type = STR_C("text/event-stream; charset=utf-8"), .unbuffered = true};
    struct keypool *pool = c->r->worker->program->keypool;
    struct buf *body = exchange_body(c->r->x);
    struct err_info info = {0};
    struct lease lease;
    str model;
    uint64_t id = keypool_find_id(pool, call_id(c));
    enum err e = admin_read_test(&c->r->worker->scratch, body->p, body->len, &model, &info);
    if (e == ERR_OK && (id == 0 || !keypool_acquire_id(pool, id, &lease)))
        e = err_set(&info, ERR_NOT_FOUND, "there is no key with this id");
    if (e != ERR_OK) {
        call_refuse(c, err_status(e), str_z(info.text));
        return;
    }
    struct key_test *t = test_new(c, &lease);
    if (model.len > 0)
        set_model(t, model);
    call_begin(c, 200, &extras);
    if (model.len > 0)
        ask(t);
    else
        choose(t);
}
