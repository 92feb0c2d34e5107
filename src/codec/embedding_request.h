/*
 * embedding_request - one request for embeddings, in no dialect
 *
 * Threads: none.
 * Memory:  all of it is borrowed from the parsed body.
 */
#ifndef CODEC_EMBEDDING_REQUEST_H
#define CODEC_EMBEDDING_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "codec/json.h"

/* What the answer depends on. */
struct embedding_wish {
    size_t n_inputs; // vectors that must come back
    bool base64;
};

struct embedding_request {
    str model;
    const struct json *input; // a string, or an array of strings with items
    int64_t dimensions;       // 0: not said
    const struct json *truncate;
    const struct json *keep_alive;
    const struct json *options; // an object; NULL: none
    struct embedding_wish wish;
};

#endif
