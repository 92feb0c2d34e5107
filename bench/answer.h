/*
 * answer - follows the answers on one connection, as far as the load client cares
 *
 * Status, framing and marks, and nothing else: the cheaper the client, the more of its core is
 * left to the stub of the upstream beside it.
 *
 * Memory: an answer owns nothing.
 */
#ifndef BENCH_ANSWER_H
#define BENCH_ANSWER_H

#include "tool.h"

#define ANSWER_HEAD_MAX 2048 // bytes

enum answer_state {
    ANSWER_HEAD,
    ANSWER_BODY, // as many bytes as Content-Length says
    ANSWER_CHUNK_SIZE,
    ANSWER_CHUNK_REST, // of the size's line
    ANSWER_CHUNK_DATA,
    ANSWER_CHUNK_END, // the line end behind the data
    ANSWER_TRAILER,
    ANSWER_DONE,
    ANSWER_BROKEN, // not HTTP as we know it; `why` says what
};

struct answer {
    enum answer_state state;
    int status;
    bool close; // the server says that it closes the connection
    bool chunked;
    uint64_t left; // bytes of the body or the chunk
    uint64_t size; // bytes of the body so far
    uint64_t marks;
    uint64_t mark; // digits so far
    unsigned mark_digits;
    bool in_mark;
    bool blank; // trailer: the line in hand is empty so far
    const char *why;
    size_t head_len;
    char head[ANSWER_HEAD_MAX + 1];
};

/* Is told of each mark and the time in it. */
struct mark_sink {
    void (*on_mark)(void *arg, uint64_t mark);
    void *arg;
};

void answer_reset(struct answer *a);

/* Reads up to the end of the answer; returns how many bytes that took. */
size_t answer_feed(struct answer *a, const char *p, size_t n, const struct mark_sink *sink);

#endif
