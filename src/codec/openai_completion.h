/*
 * openai_completion - decodes the body of POST /v1/completions
 *
 * The fields that chat has too are decoded by chat's own tables. A prompt is passed on as the
 * user's words in the model's template, as Ollama's own layer does; `raw` (ours) leaves the
 * template out, for true continuation.
 *
 * Threads: none.
 * Memory:  the request borrows from the body and the arena; both must outlive it.
 */
#ifndef CODEC_OPENAI_COMPLETION_H
#define CODEC_OPENAI_COMPLETION_H

#include "base/arena.h"
#include "base/err.h"
#include "codec/completion_request.h"
#include "codec/json.h"
#include "codec/openai_error.h"

/*
 * Decodes a parsed body.
 *
 * ERR_OK  `*ret` is set
 * other   `*fault` says what to answer; its texts live in the arena
 */
MUST_CHECK enum err openai_completion_decode(struct arena *a, const struct json *body,
                                             struct completion_request *ret,
                                             struct openai_fault *fault);

#endif
