#include "codec/completion_answer.h"

#include <assert.h>

#include "codec/completion_logprobs.h"
#include "codec/json.h"
#include "codec/sse.h"

enum {
    HEAD_MAX = 64 << 10,
    TAIL_ROOM = 128, // what closes a chunk
};

#define OBJECT STR("text_completion")

/* ---- streams ---- */

void completion_stream_init(struct completion_stream *s, const struct answer_head *head)
{
    *s = (struct completion_stream){.reasoning = head->reasoning,
                                    .include_usage = head->include_usage};
    buf_init(&s->head, HEAD_MAX);
    answer_put_head(&s->head, head, OBJECT);
    assert(buf_ok(&s->head));
}

void completion_stream_release(struct completion_stream *s)
{
    buf_release(&s->head);
}

/* What the line that began at `start` has room for. */
static size_t room_left(const struct buf *out, size_t start)
{
    size_t used = out->len - start + TAIL_ROOM;
    return used < CHAT_LINE_MAX ? CHAT_LINE_MAX - used : 0;
}

/* A chunk up to the value of its text. */
static void open_chunk(const struct completion_stream *s, struct buf *out)
{
    sse_open(out);
    buf_append(out, buf_str(&s->head));
    buf_append(out, STR("{\"text\":"));
}

static void close_chunk(const struct completion_stream *s, str finish_reason, struct buf *out)
{
    buf_append(out, STR(",\"finish_reason\":"));
    if (finish_reason.len > 0)
        json_put_string(out, finish_reason);
    else
        buf_append(out, STR("null"));
    buf_append(out, s->include_usage ? STR("}],\"usage\":null}") : STR("}]}"));
    sse_close(out);
}

static void put_reasoning(struct buf *out, enum reasoning_field field, str text)
{
    if (field != REASONING_PLAIN) {
        buf_append(out, STR(",\"reasoning_content\":"));
        json_put_string(out, text);
    }
    if (field != REASONING_CONTENT) {
        buf_append(out, STR(",\"reasoning\":"));
        json_put_string(out, text);
    }
}

/* Thinking keeps the stream alive, and those who show it may: text it is not. */
static void stream_thinking(const struct completion_stream *s, str text, struct buf *out)
{
    while (text.len > 0 && buf_ok(out)) {
        size_t start = out->len;
        open_chunk(s, out);
        buf_append(out, STR("\"\",\"index\":0"));
        size_t room = room_left(out, start) / (s->reasoning == REASONING_BOTH ? 2 : 1);
        size_t n = json_escaped_head(text, room);
        put_reasoning(out, s->reasoning, str_head(text, n));
        buf_append(out, STR(",\"logprobs\":null"));
        close_chunk(s, (str){0}, out);
        text = str_skip(text, n);
    }
}

static void stream_text(struct completion_stream *s, str text, struct token_list *tokens,
                        struct buf *out)
{
    while (text.len > 0 && buf_ok(out)) {
        size_t start = out->len;
        open_chunk(s, out);
        size_t n = json_escaped_head(text, room_left(out, start));
        json_put_string(out, str_head(text, n));
        buf_append(out, STR(",\"index\":0,\"logprobs\":"));
        completion_logprobs_put(out, tokens, &s->text_offset, room_left(out, start));
        close_chunk(s, (str){0}, out);
        text = str_skip(text, n);
    }
}

/* Tokens that did not fit beside their text, or have none yet: a part of a character. */
static void stream_tokens(struct completion_stream *s, struct token_list *tokens, struct buf *out)
{
    while (tokens->it.left > 0 && buf_ok(out)) {
        size_t start = out->len;
        open_chunk(s, out);
        buf_append(out, STR("\"\",\"index\":0,\"logprobs\":"));
        completion_logprobs_put_some(out, tokens, &s->text_offset, room_left(out, start));
        close_chunk(s, (str){0}, out);
    }
}

static void stream_finish(struct completion_stream *s, const struct ollama_line *line,
                          struct buf *out)
{
    open_chunk(s, out);
    buf_append(out, STR("\"\",\"index\":0,\"logprobs\":null"));
    close_chunk(s, answer_finish_reason(line->done_reason, false), out);
    if (s->include_usage) {
        sse_open(out);
        buf_append(out, buf_str(&s->head));
        buf_append(out, STR("],"));
        answer_put_usage(out, line);
        buf_append_char(out, '}');
        sse_close(out);
    }
    buf_append(out, SSE_DONE);
    s->finished = true;
}

enum chat_step completion_stream_line(struct completion_stream *s, const struct ollama_line *line,
                                      struct buf *out)
{
    assert(!line->has_error);
    size_t start = out->len;
    if (s->finished)
        return CHAT_STEP_NOTHING;
    struct token_list tokens = completion_tokens_of(line);
    stream_thinking(s, line->thinking, out);
    stream_text(s, line->content, &tokens, out);
    stream_tokens(s, &tokens, out);
    if (!line->done)
        return out->len > start ? CHAT_STEP_USEFUL : CHAT_STEP_NOTHING;
    stream_finish(s, line, out);
    return CHAT_STEP_FINISHED;
}

void completion_stream_fail(struct completion_stream *s, const struct openai_fault *fault,
                            struct buf *out)
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

void completion_answer_encode(const struct answer_head *head, const struct ollama_line *line,
                              struct buf *out)
{
    assert(!line->has_error);
    struct token_list tokens = completion_tokens_of(line);
    uint64_t offset = 0;
    answer_put_head(out, head, OBJECT);
    buf_append(out, STR("{\"text\":"));
    json_put_string(out, line->content);
    buf_append(out, STR(",\"index\":0"));
    if (line->thinking.len > 0)
        put_reasoning(out, head->reasoning, line->thinking);
    buf_append(out, STR(",\"logprobs\":"));
    completion_logprobs_put(out, &tokens, &offset, SIZE_MAX);
    buf_append(out, STR(",\"finish_reason\":"));
    json_put_string(out, answer_finish_reason(line->done_reason, false));
    buf_append(out, STR("}],"));
    answer_put_usage(out, line);
    buf_append_char(out, '}');
}
