/*
 * openai_embedding - decodes the body of POST /v1/embeddings
 *
 * Texts only: token ids cannot be turned back into text without the model's tokenizer, so they
 * are refused with the name of the setting that stops LangChain from sending them.
 *
 * Threads: none.
 * Memory:  the request borrows from the body; a fault's texts live in the arena.
 */
#ifndef CODEC_OPENAI_EMBEDDING_H
#define CODEC_OPENAI_EMBEDDING_H

#include "base/arena.h"
#include "base/err.h"
#include "codec/embedding_request.h"
#include "codec/json.h"
#include "codec/openai_error.h"

/*
 * Decodes a parsed body.
 *
 * ERR_OK  `*ret` is set
 * other   `*fault` says what to answer
 */
MUST_CHECK enum err openai_embedding_decode(struct arena *a, const struct json *body,
                                            struct embedding_request *ret,
                                            struct openai_fault *fault);

#endif
