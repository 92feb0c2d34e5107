/*
 * openai_chat - decodes the body of POST /v1/chat/completions
 *
 * Plain fields are rows of tables; null counts as absent everywhere, and fields we do not know
 * are ignored, as clients send many. What is refused is refused with the caller's own name for
 * it, `messages[2].content`, before an upstream sees it.
 *
 * Threads: none.
 * Memory:  the request borrows from the body and the arena; both must outlive it.
 */
#ifndef CODEC_OPENAI_CHAT_H
#define CODEC_OPENAI_CHAT_H

#include "base/arena.h"
#include "base/err.h"
#include "codec/chat_request.h"
#include "codec/json.h"
#include "codec/openai_error.h"

enum { OPENAI_MODEL_MAX = 512 }; // bytes of a model's name

/*
 * Parses a caller's body in place (see json_parse_in_place for what must follow the text) and
 * requires an object.
 *
 * ERR_OK  `*ret` is set
 * other   `*fault` says what to answer
 */
MUST_CHECK enum err openai_body_parse(struct arena *a, char *text, size_t len,
                                      const struct json **ret, struct openai_fault *fault);

/*
 * Decodes a parsed body.
 *
 * ERR_OK  `*ret` is set
 * other   `*fault` says what to answer; its texts live in the arena
 */
MUST_CHECK enum err openai_chat_decode(struct arena *a, const struct json *body,
                                       struct chat_request *ret, struct openai_fault *fault);

/* Both in one, by the quick way if the body has the shape for it (openai_chat_fast.h). */
MUST_CHECK enum err openai_chat_read(struct arena *a, char *text, size_t len,
                                     struct chat_request *ret, struct openai_fault *fault);

/* As openai_chat_decode, for what other routes share with chat: all but messages, tools, format,
 * logprobs. */
MUST_CHECK enum err openai_common_decode(struct arena *a, const struct json *body,
                                         struct chat_request *ret, struct openai_fault *fault);

/* The model's name alone. */
MUST_CHECK enum err openai_model_decode(struct arena *a, const struct json *body, str *ret,
                                        struct openai_fault *fault);

#endif
