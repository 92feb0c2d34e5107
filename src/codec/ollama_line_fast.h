/*
 * ollama_line_fast - the native lines that Ollama writes all day, without a JSON parser
 *
 * Nearly every line of a stream has the same keys in the same order: Ollama writes them from one
 * struct. Reading that one shape from front to back costs a small part of a parse. Whatever
 * differs in a single byte is not taken, and the parser decides: there is no second opinion on
 * what is valid here, only a quicker way to the same one. A fuzz target holds both to that.
 *
 * Threads: none.
 * Memory:  texts are borrowed from the line, or live in the arena if they had escapes.
 */
#ifndef CODEC_OLLAMA_LINE_FAST_H
#define CODEC_OLLAMA_LINE_FAST_H

#include "codec/ollama_line.h"

/* Decodes a line of the common shape; false, `*ret` untouched, for any other. */
MUST_CHECK bool ollama_line_fast(struct arena *a, str text, struct ollama_line *ret);

#endif
