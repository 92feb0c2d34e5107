/*
 * arena - memory with one lifetime and a budget
 *
 * Everything parsed or built for one exchange lives in its arena and dies in one reset; nothing
 * is freed one by one. Small pieces are cut from pages, large ones get a block of their own.
 * Past the budget every allocation is NULL and `overflowed` stays set, so straight-line builders
 * check once, at the end.
 *
 * Threads: owned by one at a time.
 * Memory:  an arena that holds nothing owns no page, unless arena_keep() gave it one to keep.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; // newest first; pages and large blocks
    char *at;                   // free part of the current page
    char *end;
    size_t used_bytes; // of the budget, by whole blocks
    size_t budget_bytes;
    size_t kept_bytes; // size of the page that survives a reset; 0: none
    bool overflowed;   // sticky until the reset
};

/* Prepares an empty arena that may take up to `budget_bytes` of heap. */
void arena_init(struct arena *a, size_t budget_bytes);

/* As arena_init, with a first page of `kept_bytes` that is never given back before release. */
void arena_init_kept(struct arena *a, size_t budget_bytes, size_t kept_bytes);

/* Frees everything in the arena, which is then empty and usable. */
void arena_reset(struct arena *a);

/* As arena_reset, the kept page included. */
void arena_release(struct arena *a);

/* Memory for `size` bytes, 16-aligned, not initialised; NULL when the budget is used up. */
void *arena_alloc(struct arena *a, size_t size);

/*
 * Makes the piece `p` of `old_size` bytes `size` bytes long, in place if it was the last one or
 * has a block of its own. NULL leaves `p` as it was.
 */
void *arena_realloc(struct arena *a, void *p, size_t old_size, size_t size);

/* Zeroed memory for `n` objects of `type`; NULL over budget. */
#define arena_new(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type)))
void *arena_calloc(struct arena *a, size_t n, size_t size);

/* Copies `s` into the arena; an empty str (p NULL) over budget. */
str arena_copy(struct arena *a, str s);

/* As arena_copy, with ASCII letters in lower case. */
str arena_copy_lower(struct arena *a, str s);

/* Formats into the arena; an empty str (p NULL) over budget. */
str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
