/*
 * ask - builds the one request that a run of the load client repeats, and large answers
 *
 * Both APIs get the same conversation: the same text, the same image, the same options, and a
 * body of the same size.
 */
#ifndef BENCH_ASK_H
#define BENCH_ASK_H

#include <stdbool.h>
#include <stddef.h>

struct ask {
    bool openai; // POST /v1/chat/completions; false: POST /api/chat
    const char *model;
    bool stream;
    const char *token;  // a bearer token
    size_t body_bytes;  // of the body without the image; the conversation is made that long
    size_t image_bytes; // of the image's base64; 0: none
    bool tools;         // offers ten tools, behind a history of twenty messages with calls
    size_t inputs;      // asks for that many embeddings instead, as base64 where there is a choice
};

struct bytes {
    char *p; // owned
    size_t len;
};

/* Leaves with an error if `body_bytes` is too small for a conversation. */
struct bytes ask_build(const struct ask *ask);

/* The native answer to a request for embeddings: so many vectors of so many numbers each. */
struct bytes vectors_build(size_t vectors, size_t numbers);

#endif
