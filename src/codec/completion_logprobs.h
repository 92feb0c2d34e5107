/*
 * completion_logprobs - writes native log probabilities in the form of OpenAI's old completions
 *
 * Parallel lists: tokens, their log probabilities, maps of the alternatives (the chosen token
 * among them, as at OpenAI), and where each token begins, in characters of the answer's text.
 * Tokens that are no text by themselves, a part of a character, are written `bytes:\xE6\xB5`.
 *
 * Threads: none.
 */
#ifndef CODEC_COMPLETION_LOGPROBS_H
#define CODEC_COMPLETION_LOGPROBS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/json.h"
#include "codec/ollama_line.h"

/* The entries of one native object that are still to be written. */
struct token_list {
    struct json_iter it; // it.left says how many
};

/*
 * The entries that speak of the object's text. Those of its thinking, which stand before them in
 * the same list, are left out.
 */
struct token_list completion_tokens_of(const struct ollama_line *line);

/*
 * Appends the value of a `logprobs` member: an object with as many entries as fit into `room`
 * bytes, or null if that is none. `*offset` is where the next token begins.
 */
void completion_logprobs_put(struct buf *out, struct token_list *tokens, uint64_t *offset,
                             size_t room);

/*
 * As completion_logprobs_put, for a place where nothing else is: one entry at least is used up.
 * If it does not fit it goes without its alternatives, and if that does not help it is dropped.
 */
void completion_logprobs_put_some(struct buf *out, struct token_list *tokens, uint64_t *offset,
                                  size_t room);

#endif
