/*
 * ollama_embed - the native answer of POST /api/embed
 *
 * Nearly all of it is numbers, so the vectors are not made into JSON values: their place in the
 * text is found, and the rest is parsed as if they were not there. What stands between the
 * brackets is read number by number by those who need it (codec/float32.h), who find out then
 * whether it is numbers at all.
 *
 * Threads: none.
 * Memory:  vectors are borrowed from the text, the rest lives in the arena.
 */
#ifndef CODEC_OLLAMA_EMBED_H
#define CODEC_OLLAMA_EMBED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct ollama_embed {
    bool has_error; // look here first
    str error;      // a sentence, never empty when has_error
    str vectors;    // the text between the outer brackets
    size_t n_vectors;
    uint64_t prompt_tokens;
};

/*
 * Decodes the object.
 *
 * ERR_SYNTAX     not an object, none of ours, or a field of a wrong type
 * ERR_TOO_LARGE  the arena's budget is used up
 */
MUST_CHECK enum err ollama_embed_decode(struct arena *a, str text, struct ollama_embed *ret,
                                        struct err_info *info);

/*
 * Takes the next vector, the text between its brackets, from `*vectors`, which begins as that of
 * a decoded answer; false at the end. Behind the vector's bytes stands its closing bracket.
 */
bool ollama_embed_next(str *vectors, str *vector);

#endif
