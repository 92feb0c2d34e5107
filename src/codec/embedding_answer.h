/*
 * embedding_answer - writes OpenAI's list of embeddings
 *
 * As numbers, whose text is copied as it came, or as base64 of little-endian 32-bit floats,
 * which the official SDKs ask for when their user says nothing.
 *
 * Threads: none.
 */
#ifndef CODEC_EMBEDDING_ANSWER_H
#define CODEC_EMBEDDING_ANSWER_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/embedding_request.h"
#include "codec/ollama_embed.h"

/*
 * Appends the answer for a native one that is no error. `model` as the caller wrote it.
 *
 * ERR_SYNTAX  the vectors are not numbers, or not as many as were asked for; nothing is appended
 */
MUST_CHECK enum err embedding_answer_encode(str model, const struct embedding_wish *wish,
                                            const struct ollama_embed *native, struct buf *out,
                                            struct err_info *info);

#endif
