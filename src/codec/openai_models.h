/*
 * openai_models - writes the answers of GET /v1/models and GET /v1/models/{id}
 *
 * Threads: none.
 */
#ifndef CODEC_OPENAI_MODELS_H
#define CODEC_OPENAI_MODELS_H

#include "base/buf.h"
#include "codec/model_list.h"

/* Appends the list, in its order. */
void openai_models_encode(const struct model_list *list, struct buf *out);

/* Appends one model under the name `id`. */
void openai_model_encode(str id, int64_t created_s, struct buf *out);

#endif
