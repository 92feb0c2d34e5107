/*
 * dialect - an OpenAI route as a decoder and an encoder over native requests and answers
 *
 * The relay knows no route: it calls through one of these tables. A dialect turns the caller's
 * body into one native request, and native answer objects, which it reads itself, into the
 * caller's bytes.
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
#include "codec/completion_answer.h"
#include "codec/embedding_answer.h"
#include "codec/ollama_line.h"
#include "codec/ollama_request.h"
#include "codec/openai_error.h"
#include "core/config.h"

#define ANSWER_ID_BYTES 40

/* The answer to one request, as far as its dialect keeps it. */
struct answer {
    bool stream;              // the caller asked for a stream
    bool formatted;           // the model is to be held to JSON, or to a schema
    char id[ANSWER_ID_BYTES]; // "chatcmpl-…", zero-terminated; empty: the route has none
    char *model;              // owned, zero-terminated
    struct answer_head head;  // borrows id and model
    struct ollama_span think; // of the native request: where it asks the model to think
    union {
        struct chat_stream chat;             // DIALECT_CHAT, in use if `stream`
        struct completion_stream completion; // DIALECT_COMPLETIONS, in use if `stream`
        struct embedding_wish embedding;     // DIALECT_EMBEDDINGS
    };
};

/* One native object on its way through a dialect. */
struct native {
    str text;               // of the line, or of the whole answer
    struct arena *scratch;  // empty; what is decoded may live here
    str error;              // NATIVE_ERROR: its sentence, in the scratch arena
    struct err_info info;   // NATIVE_MALFORMED: why
    uint64_t prompt_tokens; // NATIVE_FINISHED
    uint64_t answer_tokens; // the same
};

enum native_step {
    NATIVE_NOTHING,   // sound, and nothing for the caller
    NATIVE_USEFUL,    // something a caller would see was appended
    NATIVE_FINISHED,  // the answer is complete, and so is what was appended
    NATIVE_ERROR,     // it is an error; nothing was appended
    NATIVE_NOT_DONE,  // a whole answer that says so; nothing was appended
    NATIVE_MALFORMED, // not what the route sends; nothing was appended
};

struct dialect {
    const char *native_path; // "/api/chat"
    const char *input_param; // the caller's field that holds what a model reads: "messages"

    /*
     * Decodes the caller's body (in place) and appends the native request to `native`. On failure
     * `*fault`, whose texts live in `a`, says what to answer.
     */
    enum err (*decode)(struct arena *a, struct buf *body, const struct config *config,
                       struct answer *ret, struct buf *native, struct openai_fault *fault);

    /* Appends what the caller gets for one native line of a stream; NULL: it never streams. */
    enum native_step (*line)(struct answer *answer, struct native *native, struct buf *out);

    /* Appends the end of a stream that failed; NULL: it never streams. */
    void (*fail)(struct answer *answer, const struct openai_fault *fault, struct buf *out);

    /* Appends the whole answer: NATIVE_FINISHED, or one of the failures. */
    enum native_step (*whole)(struct answer *answer, struct native *native, struct buf *out);

    /* Frees what the answer owns; a zeroed one is fine. */
    void (*release)(struct answer *answer);
};

extern const struct dialect DIALECT_CHAT;        // POST /v1/chat/completions
extern const struct dialect DIALECT_COMPLETIONS; // POST /v1/completions
extern const struct dialect DIALECT_EMBEDDINGS;  // POST /v1/embeddings

/* ---- for dialects ---- */

/* What a request says about its answer, whatever the route. */
struct answer_wish {
    str id_prefix; // "chatcmpl-"; empty: no id
    str model;     // copied
    bool stream;
    bool include_usage;
};

/* Fills in a zeroed answer. */
void answer_open(struct answer *answer, const struct answer_wish *wish,
                 const struct config *config);

/* Frees what all dialects' answers own; a zeroed one is fine. */
void answer_release(struct answer *answer);

/* Fails a decode whose native request did not fit. */
enum err answer_too_large(struct openai_fault *fault);

/*
 * Notes what the relay wants to know of a native object that was decoded with the result `e`;
 * NATIVE_USEFUL if it is one to go on with.
 */
enum native_step answer_object(struct native *native, enum err e, const struct ollama_line *object);

/* What a decoded native object that is not `done` or an error comes to. */
enum native_step answer_step(enum chat_step step);

#endif
