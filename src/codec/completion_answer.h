/*
 * completion_answer - writes OpenAI's legacy completions, streamed and whole
 *
 * A stream is fed with native lines and gives text as it comes, then one finish reason, usage if
 * it was asked for, and [DONE]; or an error event and [DONE]. `text` never holds thinking: that
 * goes beside it, in the field that chat uses too. Log probabilities have the legacy form of
 * parallel lists. No line of output is longer than CHAT_LINE_MAX.
 *
 * Threads: owned by one at a time.
 * Memory:  a stream owns its head (a few hundred bytes).
 */
#ifndef CODEC_COMPLETION_ANSWER_H
#define CODEC_COMPLETION_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/chat_answer.h"
#include "codec/ollama_line.h"
#include "codec/openai_error.h"

struct completion_stream {
    struct buf head;      // owns `{"id":…,"choices":[`
    uint64_t text_offset; // characters of the answer's text so far, as log probabilities count
    enum reasoning_field reasoning;
    bool include_usage;
    bool finished; // [DONE] went out
};

void completion_stream_init(struct completion_stream *s, const struct answer_head *head);
void completion_stream_release(struct completion_stream *s);

/*
 * Appends the events for one native line that is no error. After CHAT_STEP_FINISHED lines are
 * ignored. If `out` overflows it ends inside an event: the answer can only be cut off.
 */
enum chat_step completion_stream_line(struct completion_stream *s, const struct ollama_line *line,
                                      struct buf *out);

/* Ends the stream with an error event and [DONE]; nothing happens if it has ended. */
void completion_stream_fail(struct completion_stream *s, const struct openai_fault *fault,
                            struct buf *out);

/* Appends the whole answer for a native object that is no error and has `done`. */
void completion_answer_encode(const struct answer_head *head, const struct ollama_line *line,
                              struct buf *out);

#endif
