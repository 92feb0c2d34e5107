/*
 * buf - bytes that grow up to a maximum
 *
 * The maximum is given at birth. An append that would pass it does nothing and makes buf_ok()
 * false until the reset, so a run of appends is checked once.
 *
 * Threads: owned by one at a time.
 * Memory:  owns its bytes; an empty buf owns none.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct buf {
    char *p;
    size_t len;
    size_t cap;
    size_t max;
    bool overflowed;
};

/* Prepares an empty buf of at most `max` bytes. */
void buf_init(struct buf *b, size_t max);

/* Frees the bytes; the buf is empty and usable, with the same maximum. */
void buf_release(struct buf *b);

/* Forgets the bytes and keeps the memory. */
void buf_reset(struct buf *b);

static inline bool buf_ok(const struct buf *b)
{
    return !b->overflowed;
}

static inline str buf_str(const struct buf *b)
{
    return (str){b->p, b->len};
}

/* Makes room for `n` more bytes at b->p + b->len; false (and overflowed) past the maximum. */
bool buf_reserve(struct buf *b, size_t n);

void buf_append(struct buf *b, str s);
void buf_append_char(struct buf *b, char c);
void buf_append_u64(struct buf *b, uint64_t value);
void buf_append_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Removes the first `n` bytes (n <= len). */
void buf_consume(struct buf *b, size_t n);

#endif
