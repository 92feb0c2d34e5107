#include "codec/chat_answer.h"

#include <assert.h>

#include "codec/json.h"
#include "codec/json_raw.h"
#include "codec/ndjson.h"
#include "codec/openai_logprobs.h"
#include "codec/sse.h"

enum {
    HEAD_MAX = 64 << 10,
    TAIL_ROOM = 128,                     // what closes a chunk
    ID_MAX = 256,                        // bytes; a longer id of a tool call is replaced
    IDS_MAX = 1024,                      // ids of calls that are known; further ones are replaced
    ARGUMENTS_MAX = 4 * NDJSON_LINE_MAX, // written anew, arguments may grow a little
};

/* How Ollama's ends are called at OpenAI; all others (load, unload, none) are `stop`. */
static const struct {
    str native;
    str openai;
} FINISH_REASONS[] = {
    {STR_C("stop"),   STR_C("stop")  },
    {STR_C("length"), STR_C("length")},
};

str answer_finish_reason(str done_reason, bool has_calls)
{
    str reason = STR("stop");
    for (size_t i = 0; i < COUNT_OF(FINISH_REASONS); i++) {
        if (str_eq(FINISH_REASONS[i].native, done_reason))
            reason = FINISH_REASONS[i].openai;
    }
    return has_calls && !str_eq(reason, STR("length")) ? STR("tool_calls") : reason;
}

void answer_put_usage(struct buf *out, const struct ollama_line *line)
{
    buf_append(out, STR("\"usage\":{\"prompt_tokens\":"));
    buf_append_u64(out, line->prompt_tokens);
    buf_append(out, STR(",\"completion_tokens\":"));
    buf_append_u64(out, line->completion_tokens);
    buf_append(out, STR(",\"total_tokens\":"));
    buf_append_u64(out, line->prompt_tokens + line->completion_tokens);
    buf_append_char(out, '}');
}

void answer_put_head(struct buf *out, const struct answer_head *head, str object)
{
    buf_append(out, STR("{\"id\":"));
    json_put_string(out, head->id);
    buf_append(out, STR(",\"object\":\""));
    buf_append(out, object);
    buf_append(out, STR("\",\"created\":"));
    buf_append_i64(out, head->created_s);
    buf_append(out, STR(",\"model\":"));
    json_put_string(out, head->model);
    buf_append(out, STR(",\"system_fingerprint\":\"fp_ollama\",\"choices\":["));
}

/* ---- tool calls ---- */

/* The part of an answer's id that is random. */
static str id_seed(str answer_id)
{
    return str_starts(answer_id, STR("chatcmpl-")) ? str_skip(answer_id, 9) : answer_id;
}

/*
 * Whether `id` can be sent as it is: some upstreams leave it out, others give two calls the same.
 * `taken` holds the hashes of those that went before; a chance match costs an id, nothing more.
 */
static bool take_id(struct buf *taken, str id)
{
    uint64_t hash = str_hash(id);
    if (id.len == 0 || id.len > ID_MAX)
        return false;
    for (size_t at = 0; at < taken->len; at += sizeof(hash)) {
        if (memcmp(taken->p + at, &hash, sizeof(hash)) == 0)
            return false;
    }
    buf_append(taken, str_of((const char *)&hash, sizeof(hash)));
    return buf_ok(taken);
}

/* Ids of our own are made of the answer's, which is unique, and the index. */
static void put_call_id(struct buf *out, struct buf *taken, str id, str answer_id, size_t index)
{
    if (take_id(taken, id)) {
        json_put_string(out, id);
        return;
    }
    buf_append(out, STR("\"call_"));
    json_put_escaped(out, id_seed(answer_id));
    buf_append_char(out, '_');
    buf_append_u64(out, index);
    buf_append_char(out, '"');
}

/* Calls, parsed and as they stood. */
struct calls {
    struct json_iter it;
    str rest; // of their text
};

struct call {
    const struct json *parsed;
    str text; // empty: not known
};

static struct calls calls_of(const struct ollama_line *line)
{
    return (struct calls){json_iter(line->tool_calls), json_raw_items(line->calls_text)};
}

static bool next_call(struct calls *calls, struct call *ret)
{
    *ret = (struct call){0};
    if (!json_next(&calls->it, NULL, &ret->parsed))
        return false;
    (void)json_raw_next(&calls->rest, &ret->text);
    return true;
}

/*
 * Appends the text of a call's arguments, escapes as the upstream has them; callers always get one,
 * `{}` at least.
 */
static void put_arguments_text(struct buf *out, const struct call *call)
{
    const str function = STR("function");
    const str name = STR("arguments");
    const struct json *arguments = json_get(json_get(call->parsed, function), name);
    str text = json_raw_get(json_raw_get(call->text, function), name);
    if (json_kind(arguments) == JSON_STRING && json_str(arguments).len > 0)
        buf_append(out, json_str(arguments));
    else if (json_is_null(arguments) || json_kind(arguments) == JSON_STRING)
        buf_append(out, STR("{}"));
    else if (text.len > 0 && json_raw_is_sound(text))
        json_raw_put(out, text);
    else
        json_put_value(out, arguments);
}

/* `"id":…,"type":"function","function":{"name":…,"arguments":"`; the text and `"}` follow. */
static void open_call(struct buf *out, struct buf *taken, const struct json *call, str answer_id,
                      size_t index)
{
    buf_append(out, STR("\"id\":"));
    put_call_id(out, taken, json_str(json_get(call, STR("id"))), answer_id, index);
    buf_append(out, STR(",\"type\":\"function\",\"function\":{\"name\":"));
    json_put_string(out, json_str(json_get(json_get(call, STR("function")), STR("name"))));
    buf_append(out, STR(",\"arguments\":\""));
}

/* ---- streams ---- */

void chat_stream_init(struct chat_stream *s, const struct answer_head *head)
{
    *s = (struct chat_stream){.reasoning = head->reasoning, .include_usage = head->include_usage};
    buf_init(&s->head, HEAD_MAX);
    buf_init(&s->call_ids, IDS_MAX * sizeof(uint64_t));
    sse_open(&s->head);
    s->id_at = (uint32_t)s->head.len + sizeof("{\"id\":\"") - 1;
    s->id_len = (uint32_t)head->id.len;
    answer_put_head(&s->head, head, STR("chat.completion.chunk"));
    s->choices_at = (uint32_t)s->head.len;
    buf_append(&s->head, STR("{\"index\":0,\"delta\":{"));
    s->delta_at = (uint32_t)s->head.len;
    buf_append(&s->head, STR("\"content\":\""));
    assert(buf_ok(&s->head));
}

void chat_stream_release(struct chat_stream *s)
{
    buf_release(&s->head);
    buf_release(&s->call_ids);
}

/* Ends of a chunk; which one depends on whether the caller wants usage. */
#define DELTA_END "},\"logprobs\":null,\"finish_reason\":null}"
#define CHUNK_END "]}\n\n"
#define USAGE_END "],\"usage\":null}\n\n"

static void open_delta(const struct chat_stream *s, struct buf *out)
{
    buf_append(out, str_head(buf_str(&s->head), s->delta_at));
}

static void close_chunk(const struct chat_stream *s, struct buf *out)
{
    buf_append(out, s->include_usage ? STR(USAGE_END) : STR(CHUNK_END));
}

static void close_delta(const struct chat_stream *s, struct buf *out)
{
    buf_append(out, s->include_usage ? STR(DELTA_END USAGE_END) : STR(DELTA_END CHUNK_END));
}

/* What a line has room for behind its first `used` bytes. */
static size_t room_behind(size_t used)
{
    used += TAIL_ROOM;
    return used < CHAT_LINE_MAX ? CHAT_LINE_MAX - used : 0;
}

/* As close_delta, with as much of the line's log probabilities as there is room for. */
static void close_token(const struct chat_stream *s, struct logprobs *lp, size_t start,
                        struct buf *out)
{
    if (lp->next == NULL) {
        close_delta(s, out);
        return;
    }
    buf_append(out, STR("},\"logprobs\":"));
    logprobs_put(out, lp, room_behind(out->len - start));
    buf_append(out, STR(",\"finish_reason\":null}"));
    close_chunk(s, out);
}

static void put_role(struct chat_stream *s, struct buf *out)
{
    if (s->started)
        return;
    s->started = true;
    open_delta(s, out);
    buf_append(out, STR("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"));
    close_delta(s, out);
}

#define REASONING_CONTENT_KEY STR("\"reasoning_content\":")
#define REASONING_KEY         STR("\"reasoning\":")

static void put_field(struct buf *out, str key, str text)
{
    buf_append(out, key);
    json_put_string(out, text);
}

/* The hot path of every stream: three appends, of which two are ready made. */
static void stream_content(const struct chat_stream *s, str text, struct logprobs *lp,
                           struct buf *out)
{
    while (text.len > 0 && buf_ok(out)) {
        size_t start = out->len;
        size_t n = json_escaped_head(text, room_behind(s->delta_at));
        buf_append(out, buf_str(&s->head));
        json_put_escaped(out, str_head(text, n));
        if (lp->next == NULL) {
            buf_append(out, s->include_usage ? STR("\"" DELTA_END USAGE_END)
                                             : STR("\"" DELTA_END CHUNK_END));
        } else {
            buf_append_char(out, '"');
            close_token(s, lp, start, out);
        }
        text = str_skip(text, n);
    }
}

/* Thinking has a chunk of its own: some clients drop the text of a chunk that has both. */
static void stream_thinking(const struct chat_stream *s, str text, struct logprobs *lp,
                            struct buf *out)
{
    bool both = s->reasoning == REASONING_BOTH;
    while (text.len > 0 && buf_ok(out)) {
        size_t start = out->len;
        open_delta(s, out);
        size_t n = json_escaped_head(text, room_behind(out->len - start) / (both ? 2 : 1));
        if (s->reasoning != REASONING_PLAIN)
            put_field(out, REASONING_CONTENT_KEY, str_head(text, n));
        if (both)
            buf_append_char(out, ',');
        if (s->reasoning != REASONING_CONTENT)
            put_field(out, REASONING_KEY, str_head(text, n));
        close_token(s, lp, start, out);
        text = str_skip(text, n);
    }
}

/*
 * Id, type and name go out once: clients append what they see again. The index counts over the
 * whole answer, as upstreams may say 0 for every call.
 */
static void stream_call(struct chat_stream *s, const struct call *call, struct logprobs *lp,
                        struct buf *out)
{
    struct buf text;
    buf_init(&text, ARGUMENTS_MAX);
    put_arguments_text(&text, call);
    if (!buf_ok(&text))
        out->overflowed = true;
    str rest = buf_str(&text);
    uint32_t index = s->n_calls++;
    bool first = true;
    while (buf_ok(out) && (first || rest.len > 0)) {
        size_t start = out->len;
        open_delta(s, out);
        buf_append(out, STR("\"tool_calls\":[{\"index\":"));
        buf_append_u64(out, index);
        buf_append_char(out, ',');
        if (first)
            open_call(out, &s->call_ids, call->parsed, str_of(s->head.p + s->id_at, s->id_len),
                      index);
        else
            buf_append(out, STR("\"function\":{\"arguments\":\""));
        size_t n = json_escaped_head(rest, room_behind(out->len - start));
        json_put_escaped(out, str_head(rest, n));
        buf_append(out, STR("\"}}]"));
        close_token(s, lp, start, out);
        rest = str_skip(rest, n);
        first = false;
    }
    buf_release(&text);
}

static void stream_calls(struct chat_stream *s, const struct ollama_line *line, struct logprobs *lp,
                         struct buf *out)
{
    struct calls calls = calls_of(line);
    struct call call;
    while (next_call(&calls, &call))
        stream_call(s, &call, lp, out);
}

/*
 * What no chunk of its line had room for, and the tokens of a call that is still being put
 * together, which come on lines with nothing else.
 */
static void stream_logprobs(const struct chat_stream *s, struct logprobs *lp, struct buf *out)
{
    while (lp->next != NULL && buf_ok(out)) {
        size_t start = out->len;
        open_delta(s, out);
        buf_append(out, STR("},\"logprobs\":"));
        logprobs_put_some(out, lp, room_behind(out->len - start));
        buf_append(out, STR(",\"finish_reason\":null}"));
        close_chunk(s, out);
    }
}

static void stream_finish(struct chat_stream *s, const struct ollama_line *line, struct buf *out)
{
    open_delta(s, out);
    buf_append(out, STR("},\"logprobs\":null,\"finish_reason\":"));
    json_put_string(out, answer_finish_reason(line->done_reason, s->n_calls > 0));
    buf_append_char(out, '}');
    close_chunk(s, out);
    if (s->include_usage) {
        buf_append(out, str_head(buf_str(&s->head), s->choices_at));
        buf_append(out, STR("],"));
        answer_put_usage(out, line);
        buf_append_char(out, '}');
        sse_close(out);
    }
    buf_append(out, SSE_DONE);
    s->finished = true;
}

enum chat_step chat_stream_line(struct chat_stream *s, const struct ollama_line *line,
                                struct buf *out)
{
    assert(!line->has_error);
    bool useful = ollama_line_useful(line) || line->logprobs != NULL;
    struct logprobs lp = {0};
    if (s->finished || (!useful && !line->done))
        return CHAT_STEP_NOTHING;
    if (line->logprobs != NULL)
        lp = logprobs_of(line->logprobs);
    put_role(s, out);
    stream_thinking(s, line->thinking, &lp, out);
    stream_content(s, line->content, &lp, out);
    if (line->tool_calls != NULL)
        stream_calls(s, line, &lp, out);
    if (lp.next != NULL)
        stream_logprobs(s, &lp, out);
    if (!line->done)
        return CHAT_STEP_USEFUL;
    stream_finish(s, line, out);
    return CHAT_STEP_FINISHED;
}

void chat_stream_fail(struct chat_stream *s, const struct openai_fault *fault, struct buf *out)
{
    if (s->finished)
        return;
    s->finished = true;
    sse_open(out);
    openai_error_body(out, fault);
    sse_close(out);
    buf_append(out, SSE_DONE);
}

/* ---- whole answers ---- */

static void put_calls(struct buf *out, const struct answer_head *head,
                      const struct ollama_line *line)
{
    struct calls calls = calls_of(line);
    struct call call;
    size_t index = 0;
    struct buf text;
    struct buf taken;
    buf_init(&text, ARGUMENTS_MAX);
    buf_init(&taken, IDS_MAX * sizeof(uint64_t));
    buf_append(out, STR(",\"tool_calls\":["));
    while (next_call(&calls, &call)) {
        buf_append(out, index > 0 ? STR(",{") : STR("{"));
        open_call(out, &taken, call.parsed, head->id, index++);
        buf_reset(&text);
        put_arguments_text(&text, &call);
        if (!buf_ok(&text))
            out->overflowed = true;
        json_put_escaped(out, buf_str(&text));
        buf_append(out, STR("\"}}"));
    }
    buf_append_char(out, ']');
    buf_release(&text);
    buf_release(&taken);
}

static void put_message(struct buf *out, const struct answer_head *head,
                        const struct ollama_line *line)
{
    buf_append(out, STR("{\"role\":\"assistant\",\"content\":"));
    // Null beside tool calls, as OpenAI has it; without them clients need a text.
    if (line->content.len == 0 && line->tool_calls != NULL)
        buf_append(out, STR("null"));
    else
        json_put_string(out, line->content);
    buf_append(out, STR(",\"refusal\":null"));
    if (line->thinking.len > 0 && head->reasoning != REASONING_PLAIN) {
        buf_append_char(out, ',');
        put_field(out, REASONING_CONTENT_KEY, line->thinking);
    }
    if (line->thinking.len > 0 && head->reasoning != REASONING_CONTENT) {
        buf_append_char(out, ',');
        put_field(out, REASONING_KEY, line->thinking);
    }
    if (line->tool_calls != NULL)
        put_calls(out, head, line);
    buf_append_char(out, '}');
}

void chat_answer_encode(const struct answer_head *head, const struct ollama_line *line,
                        struct buf *out)
{
    assert(!line->has_error);
    answer_put_head(out, head, STR("chat.completion"));
    buf_append(out, STR("{\"index\":0,\"message\":"));
    put_message(out, head, line);
    buf_append(out, STR(",\"logprobs\":"));
    struct logprobs lp = logprobs_of(line->logprobs);
    logprobs_put(out, &lp, SIZE_MAX);
    buf_append(out, STR(",\"finish_reason\":"));
    json_put_string(out, answer_finish_reason(line->done_reason, line->tool_calls != NULL));
    buf_append(out, STR("}],"));
    answer_put_usage(out, line);
    buf_append_char(out, '}');
}
