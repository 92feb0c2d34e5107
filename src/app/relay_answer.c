#include "app/relay.h"

#include <string.h>

#include "app/fetch.h"
#include "app/relay_private.h"
#include "codec/ollama_line.h"
#include "core/pace.h"

/* A native object was no answer. */
static void fail_native(struct relay *r, enum native_step step, const struct native *native)
{
    if (step == NATIVE_NOT_DONE) {
        relay_attempt_failed(r, ATTEMPT_NOT_DONE, STR(""));
    } else if (step == NATIVE_MALFORMED) {
        relay_attempt_failed(r, ATTEMPT_MALFORMED, str_z(native->info.text));
    } else {
        char copy[1024]; // the line lives in the scratch arena, which is about to be used anew
        str text = str_head(native->error, utf8_cut(native->error, sizeof(copy)));
        memcpy(copy, text.p, text.len);
        struct attempt attempt = relay_attempt_of(r, ATTEMPT_ERROR_LINE);
        attempt.json = true;
        attempt.error_text = str_of(copy, text.len);
        relay_judge(r, &attempt);
    }
}

/* The upstream answered with an error status; what it said about it is in `gathered`. */
static void fail_status(struct relay *r)
{
    struct ollama_error said;
    struct arena texts; // classify() uses the scratch arena itself
    arena_init(&texts, RELAY_SPARE_BYTES + RELAY_PER_BODY_BYTE * r->gathered.len);
    ollama_error_decode(&texts, buf_str(&r->gathered), &said);
    if (r->status == 400 && relay_may_drop_think(r) &&
        str_icontains(said.text, STR("does not support thinking"))) {
        relay_again_without_think(r);
    } else {
        struct attempt attempt = relay_attempt_of(r, ATTEMPT_STATUS);
        attempt.json = said.is_native;
        attempt.error_text = said.text;
        attempt.signin_url = said.has_signin_url;
        relay_judge(r, &attempt);
    }
    arena_release(&texts);
}

/* Takes one native line; false when the attempt is over. */
static bool take_line(struct relay *r, str text)
{
    struct worker *w = r->worker;
    struct native native = {.text = text, .scratch = &w->scratch};
    arena_reset(&w->scratch);
    enum native_step step = r->dialect->line(&r->answer, &native, &w->out);
    if (!buf_ok(&w->out)) {
        // What is in there ends anywhere: nothing of it may go out.
        buf_reset(&w->out);
        relay_attempt_failed(r, ATTEMPT_MALFORMED, STR("a line is too large to be passed on"));
        return false;
    }
    switch (step) {
    case NATIVE_NOTHING:
        return true;
    case NATIVE_USEFUL:
        if (!r->useful)
            relay_settle(r);
        return true;
    case NATIVE_FINISHED:
        relay_attempt_succeeded(r, &native);
        relay_finish_stream(r);
        return false;
    default:
        relay_send_out(r);
        fail_native(r, step, &native);
        return false;
    }
}

static void stream_body(struct relay *r, str data)
{
    str line;
    enum ndjson_step step;
    size_t n_lines = 0;
    bool goes_on = r->useful;
    ndjson_feed(&r->lines, data);
    while ((step = ndjson_next(&r->lines, &line)) == NDJSON_LINE) {
        if (!take_line(r, line))
            return;
        n_lines++;
    }
    if (goes_on && n_lines == 1)
        pace_line(loop_pace(relay_loop(r)));
    relay_charge(r);
    relay_send_out(r);
    if (step == NDJSON_TOO_LARGE)
        relay_attempt_failed(r, ATTEMPT_MALFORMED, STR("a line is too long"));
    else if (!r->paused)
        loop_timer_set(relay_loop(r), &r->deadline, relay_config(r)->stream_idle_timeout_ms);
}

/* The upstream's stream came to its end in order. */
static void end_stream(struct relay *r)
{
    str line;
    enum ndjson_step step = ndjson_finish(&r->lines, &line);
    if (step == NDJSON_LINE && !take_line(r, line))
        return;
    relay_send_out(r);
    relay_attempt_failed(r, ATTEMPT_CUT, STR("the stream ended without a last line"));
}

static void end_whole(struct relay *r)
{
    struct worker *w = r->worker;
    struct native native = {.text = buf_str(&r->gathered), .scratch = &w->scratch};
    if (r->gathered.len == 0) {
        relay_attempt_failed(r, ATTEMPT_CUT, STR("the answer is empty"));
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
        relay_attempt_failed(r, ATTEMPT_MALFORMED, STR("the answer is too large to be passed on"));
        return;
    }
    relay_attempt_succeeded(r, &native);
    relay_finish_whole(r);
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
        memcpy(r->retry_after, wait.p, wait.len); // zero-terminated: an attempt begins with zeroes
    if (m->status == 200 && r->answer.stream) {
        r->state = RELAY_STREAMING;
        loop_timer_set(relay_loop(r), &r->deadline, relay_config(r)->stream_idle_timeout_ms);
        return;
    }
    r->state = RELAY_GATHERING;
    buf_init(&r->gathered, m->status == 200 ? RELAY_WHOLE_ANSWER_BYTES : RELAY_ERROR_BODY_BYTES);
    loop_lend(relay_loop(r), &r->gathered);
    if (m->has_length && m->length_bytes <= LOOP_READ_BYTES)
        buf_reserve(&r->gathered, (size_t)m->length_bytes);
    relay_charge(r);
}

static void gather(struct relay *r, str data)
{
    if (r->status == 200) {
        buf_append(&r->gathered, data);
        relay_charge(r);
        if (!buf_ok(&r->gathered))
            relay_attempt_failed(r, ATTEMPT_MALFORMED, STR("the answer is too large"));
        return;
    }
    // An error's first words are enough; an endless body is not waited for.
    size_t room = RELAY_ERROR_BODY_BYTES - r->gathered.len;
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
    struct relay *r = arg;
    r->call = NULL;
    if (r->state == RELAY_TAIL)
        relay_free(r);
    else if (r->state == RELAY_GATHERING && r->status != 200)
        fail_status(r); // the status is known; its words may be cut short
    else
        relay_attempt_failed(r, fetch_attempt_end(how), text);
}

void relay_answer_is_late(struct relay *r)
{
    if (r->state == RELAY_GATHERING && r->status != 200)
        fail_status(r);
    else
        relay_attempt_failed(r, r->state == RELAY_STREAMING ? ATTEMPT_IDLE : ATTEMPT_TIMEOUT,
                             STR(""));
}

const struct client_events RELAY_EVENTS = {on_head, on_body, on_done, on_fail};
