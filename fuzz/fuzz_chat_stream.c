/*
 * Property: whatever bytes an upstream sends, the caller gets whole events of valid JSON in short
 * lines, one role at most, exactly one finish reason or error, and [DONE] as the last thing. The
 * first byte of the input chooses the form.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/chat_answer.h"
#include "codec/json.h"
#include "codec/ndjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    int roles;
    int ends; // finish reasons and errors
    int usages;
    bool error;
};

/* One native line; false when the stream has ended. */
static bool stream_line(struct chat_stream *s, str text, struct buf *out)
{
    struct arena scratch;
    struct ollama_line line;
    enum chat_step step = CHAT_STEP_FINISHED;
    arena_init(&scratch, 8 << 20);
    if (ollama_line_decode(&scratch, text, &line, NULL) != ERR_OK) {
        struct openai_fault fault = openai_fault(FAULT_UPSTREAM_BAD, (str){0}, (str){0});
        chat_stream_fail(s, &fault, out);
    } else if (line.has_error) {
        struct openai_fault fault = openai_fault(FAULT_SERVER, (str){0}, line.error);
        chat_stream_fail(s, &fault, out);
    } else {
        size_t before = out->len;
        step = chat_stream_line(s, &line, out);
        assert((step == CHAT_STEP_NOTHING) == (out->len == before));
    }
    arena_release(&scratch);
    return step != CHAT_STEP_FINISHED;
}

static void run(struct chat_stream *s, str in, size_t read, struct buf *out)
{
    struct ndjson nd;
    str line;
    bool more = true;
    ndjson_init(&nd, NDJSON_LINE_MAX);
    while (more && in.len > 0) {
        ndjson_feed(&nd, str_head(in, read));
        in = str_skip(in, read);
        while (more && ndjson_next(&nd, &line) == NDJSON_LINE)
            more = stream_line(s, line, out);
    }
    if (more && ndjson_finish(&nd, &line) == NDJSON_LINE)
        stream_line(s, line, out);
    struct openai_fault cut = openai_fault(FAULT_UPSTREAM_BAD, (str){0}, STR("cut"));
    chat_stream_fail(s, &cut, out);
    ndjson_release(&nd);
}

static void check_event(struct arena *a, str text, struct seen *seen)
{
    const struct json *v = NULL;
    assert(json_parse(a, text, JSON_STRICT, &v, NULL) == ERR_OK);
    assert(!seen->error);
    if (json_get(v, STR("error")) != NULL) {
        assert(json_str(json_get(json_get(v, STR("error")), STR("message"))).len > 0);
        assert(json_size(v) == 1);
        seen->error = true;
        seen->ends++;
        return;
    }
    const struct json *choice = NULL;
    struct json_iter it = json_iter(json_get(v, STR("choices")));
    if (!json_next(&it, NULL, &choice)) {
        assert(seen->ends == 1 && json_size(json_get(v, STR("usage"))) == 3);
        seen->usages++;
        return;
    }
    const struct json *delta = json_get(choice, STR("delta"));
    assert(json_kind(delta) == JSON_OBJECT && seen->ends == 0);
    seen->roles += json_str(json_get(delta, STR("role"))).len > 0;
    seen->ends += json_str(json_get(choice, STR("finish_reason"))).len > 0;
    assert(seen->roles == 1);
}

static void check_output(str out, bool usage)
{
    struct seen seen = {0};
    struct arena a;
    str line;
    arena_init(&a, 1 << 20);
    assert(utf8_valid_prefix(out) == out.len);
    assert(str_ends(out, STR("\n\ndata: [DONE]\n\n")));
    out.len -= STR("data: [DONE]\n\n").len;
    while (str_cut(out, '\n', &line, &out)) {
        assert(line.len < CHAT_LINE_MAX && str_starts(line, STR("data: ")));
        check_event(&a, str_skip(line, 6), &seen);
        arena_reset(&a);
        assert(str_cut(out, '\n', &line, &out) && line.len == 0);
    }
    assert(out.len == 0 && seen.ends == 1 && seen.roles <= 1);
    assert(seen.usages == (usage && !seen.error ? 1 : 0));
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct chat_stream s;
    struct buf out;
    struct answer_head head = {
        .id = STR("chatcmpl-fuzz"),
        .created_s = 1,
        .model = STR("m\"\n"),
        .include_usage = (data[0] & 1) != 0,
        .reasoning = (enum reasoning_field)((data[0] >> 1) % 3),
    };
    buf_init(&out, 64 << 20);
    chat_stream_init(&s, &head);
    run(&s, str_of((const char *)data + 1, size - 1), 1 + (data[0] >> 3) * 37u, &out);
    assert(buf_ok(&out));
    check_output(buf_str(&out), head.include_usage);
    chat_stream_release(&s);
    buf_release(&out);
    return 0;
}
