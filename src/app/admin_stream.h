/*
 * admin_stream - an answer that is made piece by piece, at the pace of its reader
 *
 * Each piece is made on the store's thread, one at a time, and the next is begun when the caller
 * has taken enough of the last: a copy of the whole store costs memory for a piece or two. Nothing
 * is sent before the first piece is there, so that what fails at once is an ordinary error; later
 * the connection is cut, and the caller sees that the answer is not whole.
 *
 * Threads: the worker's; `next` and `release` are called on the store's.
 */
#ifndef APP_ADMIN_STREAM_H
#define APP_ADMIN_STREAM_H

#include <stdbool.h>

#include "app/admin_call.h"
#include "base/buf.h"

#define ADMIN_PIECE_BYTES ((size_t)256 << 10)

enum stream_got {
    STREAM_MORE,
    STREAM_END,
    STREAM_FAIL, // of the first piece: `out` is a sentence and `*status` the answer's
};

struct stream_source {
    /* Appends the next piece to `out`, which is empty and holds 2 * ADMIN_PIECE_BYTES. */
    enum stream_got (*next)(void *arg, struct buf *out, int *status);
    /* Called once, at the end. */
    void (*release)(void *arg);
    void *arg;
    const char *content_type;
    const char *disposition; // Content-Disposition
    bool secret;             // pieces are wiped once they were sent
};

/* Begins the answer; `source` is copied. */
void admin_stream_start(struct admin_call *c, const struct stream_source *source);

/* The caller took what was sent. */
void admin_stream_resume(struct admin_stream *s);

/* The call has gone. Accepts NULL. */
void admin_stream_leave(struct admin_stream *s);

#endif
