/*
 * ollama_models - what GET /api/tags and POST /api/show answer, and the request of the latter
 *
 * Only what is used is read: a show's answer is megabytes of licence and tensors at times. Nulls
 * are absent fields; entries without a name that can be used are left out.
 *
 * Threads: none.
 * Memory:  what comes back lives in the arena.
 */
#ifndef CODEC_OLLAMA_MODELS_H
#define CODEC_OLLAMA_MODELS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/model_list.h"

/*
 * Decodes a list of models; entries for one model may stand in it twice.
 *
 * ERR_SYNTAX     not an object with `models`, or that is neither an array nor null
 * ERR_RANGE      deeper, or with more items, than JSON may be here
 * ERR_TOO_LARGE  the arena's budget is used up
 */
MUST_CHECK enum err ollama_tags_decode(struct arena *a, str text, struct model_list *ret,
                                       struct err_info *info);

/* What is known of one model. */
struct ollama_show {
    int64_t created_s; // 0: not said
    struct model_abilities abilities;
};

/* As ollama_tags_decode, for the details of one model. */
MUST_CHECK enum err ollama_show_decode(struct arena *a, str text, struct ollama_show *ret,
                                       struct err_info *info);

/* Appends the request for them. */
void ollama_show_encode(str name, struct buf *out);

/* Appends a short chat, streamed, by which a person tries whether a key works. */
void ollama_test_encode(str model, struct buf *out);

#endif
