/*
 * chat_answer - writes OpenAI chat completions, streamed and whole
 *
 * A stream is a small state machine fed with native lines: the role once, then text, thinking
 * and tool calls as they come, then one finish reason, usage if it was asked for, and [DONE]; or
 * an error event and [DONE]. The head of every chunk is rendered once, at the start. No line of
 * output is longer than CHAT_LINE_MAX: long pieces are cut between characters.
 *
 * Threads: owned by one at a time.
 * Memory:  a stream owns its head (a few hundred bytes); it allocates nothing per line but for
 *          tool calls.
 */
#ifndef CODEC_CHAT_ANSWER_H
#define CODEC_CHAT_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "codec/ollama_line.h"
#include "codec/openai_error.h"

enum { CHAT_LINE_MAX = 16 << 10 }; // bytes of one SSE line

/* Which field carries thinking. */
enum reasoning_field {
    REASONING_CONTENT, // reasoning_content
    REASONING_PLAIN,   // reasoning
    REASONING_BOTH,
};

/* What all parts of one answer have in common; borrowed during calls only. */
struct answer_head {
    str id; // unique; invented ids of tool calls are made from it
    int64_t created_s;
    str model; // as the caller wrote it
    bool include_usage;
    enum reasoning_field reasoning;
};

/* `{"id":…` up to `"choices":[`, of a chunk or of a whole answer. */
void answer_put_head(struct buf *out, const struct answer_head *head, str object);

/* `"usage":{…}` */
void answer_put_usage(struct buf *out, const struct ollama_line *line);

/* OpenAI's name for a native end. */
str answer_finish_reason(str done_reason, bool has_calls);

struct chat_stream {
    struct buf head; // owns `data: {"id":…,"choices":[{"index":0,"delta":{"content":"`
    uint32_t id_at;  // the id inside of it
    uint32_t id_len;
    uint32_t choices_at; // where the choices begin
    uint32_t delta_at;   // where the members of the delta do
    uint32_t n_calls;    // tool calls so far
    struct buf call_ids; // owns what is known of their ids
    enum reasoning_field reasoning;
    bool include_usage;
    bool started;  // the role went out
    bool finished; // [DONE] went out
};

enum chat_step {
    CHAT_STEP_NOTHING,  // nothing was appended
    CHAT_STEP_USEFUL,   // text, thinking, a tool call or log probabilities were
    CHAT_STEP_FINISHED, // all was, [DONE] too
};

void chat_stream_init(struct chat_stream *s, const struct answer_head *head);
void chat_stream_release(struct chat_stream *s);

/*
 * Appends the events for one native line that is no error. After CHAT_STEP_FINISHED lines are
 * ignored. If `out` overflows it ends inside an event: the answer can only be cut off.
 */
enum chat_step chat_stream_line(struct chat_stream *s, const struct ollama_line *line,
                                struct buf *out);

/* Ends the stream with an error event and [DONE]; nothing happens if it has ended. */
void chat_stream_fail(struct chat_stream *s, const struct openai_fault *fault, struct buf *out);

/* Appends the whole answer for a native object that is no error and has `done`. */
void chat_answer_encode(const struct answer_head *head, const struct ollama_line *line,
                        struct buf *out);

#endif
