/*
 * openai_think - decodes how much a model shall think
 *
 * OpenAI's `reasoning_effort`, the `reasoning.effort` of its other API, which wins where the
 * object is there, and Ollama's own `think`, which wins over both.
 *
 * Threads: none.
 * Memory:  the result is static.
 */
#ifndef CODEC_OPENAI_THINK_H
#define CODEC_OPENAI_THINK_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "codec/json.h"
#include "codec/openai_error.h"

/* The fields of a body that speak of it; NULL: absent. */
struct openai_think {
    const struct json *reasoning_effort;
    const struct json *reasoning;
    const struct json *think;
};

/*
 * Sets `*ret` to the JSON text of the native `think`, empty if the fields say nothing.
 *
 * ERR_OK  done
 * other   `*fault` says what to answer
 */
MUST_CHECK enum err openai_think_decode(struct arena *a, const struct openai_think *fields,
                                        str *ret, struct openai_fault *fault);

#endif
