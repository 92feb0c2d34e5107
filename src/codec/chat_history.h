/*
 * chat_history - makes a conversation one that every native model reads as it was meant
 *
 * Models with a template of their own see neighbouring messages of one role as one, and lose
 * what the later ones call and think; so they are made one before. And Ollama goes by the names
 * of functions where OpenAI goes by ids.
 *
 * Threads: none.
 * Memory:  in the arena.
 */
#ifndef CODEC_CHAT_HISTORY_H
#define CODEC_CHAT_HISTORY_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "codec/chat_request.h"

/*
 * Gives results of tools that have an id and no name the name of the function that was called.
 * Of several calls with one id it is the last before the result, as some servers count ids anew
 * in each answer; of those in one message the first; if all come later, the last of all.
 *
 * ERR_TOO_LARGE  the arena's budget is used up
 */
MUST_CHECK enum err chat_history_name_results(struct arena *a, struct chat_message *messages,
                                              size_t n);

/*
 * Makes neighbours of one role one message, results of tools apart: texts and thinking joined by
 * a blank line, images and calls in order. `*n` becomes their new number.
 *
 * ERR_TOO_LARGE  the arena's budget is used up
 */
MUST_CHECK enum err chat_history_merge(struct arena *a, struct chat_message *messages, size_t *n);

#endif
