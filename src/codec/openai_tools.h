/*
 * openai_tools - decodes `tools` and `tool_choice` of a chat request
 *
 * Natively there is no choice: a model that gets tools may call any of them, or none. So `none`
 * leaves all tools out, a named function leaves only that one in, and `required` is the same as
 * `auto`.
 *
 * Threads: none.
 * Memory:  borrows from the body and the arena.
 */
#ifndef CODEC_OPENAI_TOOLS_H
#define CODEC_OPENAI_TOOLS_H

#include "base/arena.h"
#include "base/err.h"
#include "codec/chat_request.h"
#include "codec/json.h"
#include "codec/openai_error.h"

/*
 * Sets ret->tools and ret->n_tools. Kinds of tools that are no functions are skipped.
 *
 * ERR_OK  done
 * other   `*fault` says what to answer
 */
MUST_CHECK enum err openai_tools_decode(struct arena *a, const struct json *tools,
                                        const struct json *tool_choice, struct chat_request *ret,
                                        struct openai_fault *fault);

#endif
