/*
 * completion_request - one request to continue a text, in no dialect
 *
 * Threads: none.
 * Memory:  all of it lives in the arena of the exchange, or is borrowed from the parsed body.
 */
#ifndef CODEC_COMPLETION_REQUEST_H
#define CODEC_COMPLETION_REQUEST_H

#include <stdbool.h>

#include "base/str.h"
#include "codec/chat_request.h"

struct completion_request {
    struct chat_request common; // all but messages, tools, format
    str prompt;                 // may be empty: natively that loads the model
    str suffix;                 // empty: none
    bool raw;                   // without the model's template
};

#endif
