/*
 * Property: whatever lines an upstream sends, the stream is made of events with valid JSON and no
 * long line, and ends once, with a finish reason or an error and [DONE]; of the text nothing is
 * lost and nothing added.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/completion_answer.h"
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct buf text;
    size_t reasons;
    size_t errors;
    size_t dones;
};

static void look_at_event(struct arena *a, str payload, struct seen *seen)
{
    const struct json *v = NULL;
    const struct json *choice = NULL;
    assert(seen->dones == 0);
    if (str_eq(payload, STR("[DONE]"))) {
        seen->dones++;
        return;
    }
    assert(json_parse(a, payload, JSON_STRICT, &v, NULL) == ERR_OK);
    seen->errors += json_kind(json_get(v, STR("error"))) == JSON_OBJECT;
    struct json_iter it = json_iter(json_get(v, STR("choices")));
    while (json_next(&it, NULL, &choice)) {
        const struct json *lp = json_get(choice, STR("logprobs"));
        buf_append(&seen->text, json_str(json_get(choice, STR("text"))));
        seen->reasons += !json_is_null(json_get(choice, STR("finish_reason")));
        size_t n = json_size(json_get(lp, STR("tokens")));
        assert(json_size(json_get(lp, STR("text_offset"))) == n);
        assert(json_size(json_get(lp, STR("top_logprobs"))) == n);
        assert(json_size(json_get(lp, STR("token_logprobs"))) == n);
    }
}

static void look_at(struct arena *a, str out, struct seen *seen)
{
    str line;
    while (str_cut(out, '\n', &line, &out)) {
        assert(line.len < CHAT_LINE_MAX);
        if (line.len == 0)
            continue;
        assert(str_starts(line, STR("data: ")));
        arena_reset(a);
        look_at_event(a, str_skip(line, 6), seen);
    }
    assert(out.len == 0);
}

/* Feeds the lines; true when the stream has ended by itself. */
static bool feed(struct completion_stream *s, str text, struct buf *wanted, struct buf *out)
{
    struct arena a;
    str line;
    bool more = true;
    arena_init(&a, 16 << 20);
    while (more && !s->finished) {
        struct ollama_line object;
        more = str_cut(text, '\n', &line, &text);
        arena_reset(&a);
        if (ollama_generate_decode(&a, line, &object, NULL) != ERR_OK || object.has_error)
            break;
        if (utf8_valid_prefix(object.content) < object.content.len)
            buf_append_char(wanted, '\xFF'); // bad bytes are replaced: no promise then
        buf_append(wanted, object.content);
        size_t before = out->len;
        enum chat_step step = completion_stream_line(s, &object, out);
        assert((step == CHAT_STEP_NOTHING) == (out->len == before));
        assert((step == CHAT_STEP_FINISHED) == s->finished);
    }
    arena_release(&a);
    return s->finished;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct completion_stream s;
    struct buf out;
    struct buf wanted;
    struct arena a;
    struct seen seen = {0};
    str text = str_of((const char *)data, size);
    const struct answer_head head = {.id = STR("cmpl-1"),
                                     .model = STR("m"),
                                     .include_usage = size % 2 == 0,
                                     .reasoning = (enum reasoning_field)(size % 3)};
    buf_init(&out, 512 << 20);
    buf_init(&wanted, 64 << 20);
    buf_init(&seen.text, 64 << 20);
    arena_init(&a, 64 << 20);
    completion_stream_init(&s, &head);
    bool ended = feed(&s, text, &wanted, &out);
    struct openai_fault fault = openai_fault(FAULT_UPSTREAM_BAD, STR(""), STR(""));
    completion_stream_fail(&s, &fault, &out);
    completion_stream_fail(&s, &fault, &out);
    look_at(&a, buf_str(&out), &seen);
    assert(seen.dones == 1 && seen.reasons == (ended ? 1 : 0) && seen.errors == (ended ? 0 : 1));
    if (str_find_char(buf_str(&wanted), '\xFF') == wanted.len)
        assert(str_eq(buf_str(&seen.text), buf_str(&wanted)));
    completion_stream_release(&s);
    buf_release(&out);
    buf_release(&wanted);
    buf_release(&seen.text);
    arena_release(&a);
    return 0;
}
