#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/xalloc.h"

#define FIRST_BYTES 256
#define PAGE_BYTES  ((size_t)4 << 10)
#define HUGE_BYTES  ((size_t)2 << 20)

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_release(struct buf *b)
{
    free(b->p);
    buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->overflowed = false;
}

/*
 * Asks for huge pages under what will soon be written to: page by page, the kernel's faults cost
 * several times the copy. The first page may hold a header of malloc's; the advice does it no
 * harm. Where pages are larger or huge ones are off, the kernel says no, and nothing is lost.
 */
static void prefer_huge_pages(char *p, size_t size)
{
    if (size < HUGE_BYTES)
        return;
    size_t before = (uintptr_t)p % PAGE_BYTES;
    (void)madvise(p - before, (before + size) & ~(PAGE_BYTES - 1), MADV_HUGEPAGE);
}

bool buf_grow(struct buf *b, size_t n)
{
    if (b->overflowed || n > b->max || b->len > b->max - n) {
        b->overflowed = true;
        return false;
    }
    size_t need = b->len + n;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap > 0 ? b->cap : FIRST_BYTES;
    while (cap < need)
        cap += cap / 2 + 1;
    if (cap > b->max)
        cap = b->max;
    b->p = xrealloc(b->p, cap);
    b->cap = cap;
    prefer_huge_pages(b->p, cap);
    return true;
}

void buf_append_u64(struct buf *b, uint64_t value)
{
    char digits[DECIMAL_BYTES];
    const char *first = str_decimal(digits + sizeof(digits), value);
    buf_append(b, str_of(first, (size_t)(digits + sizeof(digits) - first)));
}

void buf_append_i64(struct buf *b, int64_t value)
{
    if (value < 0)
        buf_append_char(b, '-');
    buf_append_u64(b, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !buf_reserve(b, (size_t)n + 1)) {
        b->overflowed = true;
        return;
    }
    va_start(args, fmt);
    vsnprintf(b->p + b->len, (size_t)n + 1, fmt, args);
    va_end(args);
    b->len += (size_t)n;
}
