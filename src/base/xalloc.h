/*
 * xalloc - heap memory that is there, or the process is not
 *
 * Running out of heap aborts in one place; running out of a budget (arena, buf) is an ordinary
 * error. Any thread.
 */
#ifndef BASE_XALLOC_H
#define BASE_XALLOC_H

#include <stddef.h>

/* Returns zeroed memory of n * size bytes; never NULL. */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));

/* As xcalloc, `size` bytes at a multiple of `alignment`, a power of two that divides `size`. */
void *xcalloc_aligned(size_t alignment, size_t size) __attribute__((malloc, returns_nonnull));

/* Returns `size` bytes, not initialised; never NULL. */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));

/* As realloc, never NULL. */
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));

/* Returns a zero-terminated copy of `text`, which the caller frees. */
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));

#endif
