/*
 * ollama_request - writes the native POST /api/chat body
 *
 * The order of keys is fixed, so that equal requests are equal bytes. What the caller did not
 * say is not sent: the model's own defaults hold. The exception is `stream`, whose native
 * default is true.
 *
 * Threads: none.
 */
#ifndef CODEC_OLLAMA_REQUEST_H
#define CODEC_OLLAMA_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/chat_request.h"

/* Values for what a request leaves open. */
struct ollama_defaults {
    int64_t num_ctx; // 0: not sent
};

/* A part of what was written. */
struct ollama_span {
    size_t at;
    size_t len; // 0: there is none
};

/*
 * Appends the body; buf_ok(out) says whether it fitted. Returns where it asks the model to think:
 * the bytes that can be left out, a comma with them, for a model that refuses to be asked.
 */
struct ollama_span ollama_chat_encode(const struct chat_request *req,
                                      const struct ollama_defaults *defaults, struct buf *out);

#endif
