/*
 * openai_logprobs - writes native log probabilities in OpenAI's form
 *
 * Numbers stay the text they were. What OpenAI's schema requires and Ollama leaves out is added:
 * `bytes`, null where unknown, and `top_logprobs`, an empty list if none were asked for.
 *
 * Threads: none.
 */
#ifndef CODEC_OPENAI_LOGPROBS_H
#define CODEC_OPENAI_LOGPROBS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "codec/json.h"

/* The entries of one native line that are still to be written. */
struct logprobs {
    struct json_iter it;
    const struct json *next; // NULL: none is left
};

/* The entries of `array`, which may be NULL. */
struct logprobs logprobs_of(const struct json *array);

/*
 * Appends the value of a `logprobs` member: an object with as many entries as fit into `room`
 * bytes, or null if that is none.
 */
void logprobs_put(struct buf *out, struct logprobs *lp, size_t room);

/*
 * As logprobs_put, for a place where nothing else is: one entry at least is used up. If it does
 * not fit it goes without its alternatives, and if that does not help it is dropped.
 */
void logprobs_put_some(struct buf *out, struct logprobs *lp, size_t room);

#endif
