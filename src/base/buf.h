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

/* What buf_reserve() does when the memory at hand is not enough. */
bool buf_grow(struct buf *b, size_t n);

/* Makes room for `n` more bytes at b->p + b->len; false (and overflowed) past the maximum. */
static inline bool buf_reserve(struct buf *b, size_t n)
{
    return LIKELY(n <= b->cap - b->len && !b->overflowed) || buf_grow(b, n);
}

static inline void buf_append(struct buf *b, str s)
{
    if (s.len == 0 || !buf_reserve(b, s.len))
        return;
    memcpy(b->p + b->len, s.p, s.len);
    b->len += s.len;
}

static inline void buf_append_char(struct buf *b, char c)
{
    if (buf_reserve(b, 1))
        b->p[b->len++] = c;
}

void buf_append_u64(struct buf *b, uint64_t value);
void buf_append_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
