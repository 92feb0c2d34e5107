/*
 * openai_messages - decodes the `messages` of a chat request
 *
 * One native message per message of the caller's, whatever its content looks like: a text, null,
 * or parts, whose texts are joined and whose images are gathered. Arguments of earlier tool calls
 * become objects again. Neighbours of one role are one message in the end (see chat_history.h).
 *
 * Threads: none.
 * Memory:  borrows from the body and the arena.
 */
#ifndef CODEC_OPENAI_MESSAGES_H
#define CODEC_OPENAI_MESSAGES_H

#include "base/arena.h"
#include "base/err.h"
#include "codec/chat_request.h"
#include "codec/json.h"
#include "codec/openai_error.h"

/*
 * Sets ret->messages and ret->n_messages.
 *
 * ERR_OK  done
 * other   `*fault` says what to answer
 */
MUST_CHECK enum err openai_messages_decode(struct arena *a, const struct json *messages,
                                           struct chat_request *ret, struct openai_fault *fault);

#endif
