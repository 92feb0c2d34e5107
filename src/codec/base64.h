/*
 * base64 - whether a text is base64, without decoding it
 *
 * Images are megabytes of it, so sixteen digits are looked at together.
 *
 * Threads: none.
 */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include <stdbool.h>

#include "base/str.h"

/*
 * Whether `s` is base64 in the standard alphabet, whole groups of four, padded (RFC 4648
 * section 4), and not empty: what Ollama takes.
 */
bool base64_is_valid(str s);

#endif
