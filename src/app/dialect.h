/*
 * dialect - an OpenAI route as a decoder and an encoder over native requests and answers
 *
 * The relay knows no route: it calls through one of these tables. A dialect turns the caller's
 * body into one native request, and native answer objects into the caller's bytes.
 *
 * Threads: owned by the worker's.
 */
#ifndef APP_DIALECT_H
#define APP_DIALECT_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "codec/chat_answer.h"
#include "codec/ollama_line.h"
#include "codec/ollama_request.h"
#include "codec/openai_error.h"
#include "core/config.h"

#define ANSWER_ID_BYTES 40

/* The answer to one request, as far as its dialect keeps it. */
struct answer {
    bool stream;              // the caller asked for a stream
    char id[ANSWER_ID_BYTES]; // "chatcmpl-…", zero-terminated
    char *model;              // owned, zero-terminated
    struct answer_head head;  // borrows id and model
    struct chat_stream chat;  // in use if `stream`
    struct ollama_span think; // of the native request: where it asks the model to think
};

struct dialect {
    const char *native_path; // "/api/chat"

    /*
     * Decodes the caller's body (in place) and appends the native request to `native`. On failure
     * `*fault`, whose texts live in `a`, says what to answer.
     */
    enum err (*decode)(struct arena *a, struct buf *body, const struct config *config,
                       struct answer *ret, struct buf *native, struct openai_fault *fault);

    /* Appends what the caller gets for one native line of a stream. */
    enum chat_step (*line)(struct answer *answer, const struct ollama_line *line, struct buf *out);

    /* Appends the end of a stream that failed. */
    void (*fail)(struct answer *answer, const struct openai_fault *fault, struct buf *out);

    /* Appends the whole answer. */
    void (*whole)(struct answer *answer, const struct ollama_line *object, struct buf *out);
};

extern const struct dialect DIALECT_CHAT; // POST /v1/chat/completions

/* Frees what the answer owns; a zeroed one is fine. */
void answer_release(struct answer *answer);

#endif
