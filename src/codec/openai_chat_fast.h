/*
 * openai_chat_fast - the chat bodies that most clients send, without a JSON parser
 *
 * One pass over the body: model, messages of one text each, stream, plain numbers, without white
 * space, as the clients' libraries write them. The messages are checked byte for byte and then go
 * out as they came, since this shape is the native one too. Whatever differs is not taken, and the
 * parser decides: nothing is refused here. A fuzz target holds both to the same native request.
 *
 * Threads: none.
 * Memory:  the request borrows from the body.
 */
#ifndef CODEC_OPENAI_CHAT_FAST_H
#define CODEC_OPENAI_CHAT_FAST_H

#include "codec/chat_request.h"

/* Decodes a body of the common shape; false, `*ret` untouched, for any other. */
MUST_CHECK bool openai_chat_fast(str body, struct chat_request *ret);

#endif
