/*
 * ollama_request - writes the native bodies of POST /api/chat, /api/generate and /api/embed
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
#include "codec/completion_request.h"
#include "codec/embedding_request.h"

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
 * Each appends its body; buf_ok(out) says whether it fitted. Two return where the body asks the
 * model to think: the bytes that can be left out, a comma with them, for a model that refuses to
 * be asked.
 */
struct ollama_span ollama_chat_encode(const struct chat_request *req,
                                      const struct ollama_defaults *defaults, struct buf *out);
struct ollama_span ollama_generate_encode(const struct completion_request *req,
                                          const struct ollama_defaults *defaults, struct buf *out);
void ollama_embed_encode(const struct embedding_request *req, struct buf *out);

#endif
