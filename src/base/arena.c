#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/xalloc.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN       16
#define PAGE_BYTES  4096
#define LARGE_BYTES (PAGE_BYTES / 2)

struct arena_block {
    struct arena_block *next;
    size_t size; // of data
    char data[] __attribute__((aligned(ALIGN)));
};

static size_t align_up(size_t n)
{
    return (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

void arena_init(struct arena *a, size_t budget_bytes)
{
    *a = (struct arena){.budget_bytes = budget_bytes};
}

void arena_init_kept(struct arena *a, size_t budget_bytes, size_t kept_bytes)
{
    arena_init(a, budget_bytes);
    a->kept_bytes = align_up(kept_bytes);
}

static struct arena_block *block_new(struct arena *a, size_t size)
{
    if (size > a->budget_bytes || a->used_bytes > a->budget_bytes - size) {
        a->overflowed = true;
        return NULL;
    }
    struct arena_block *b = xmalloc(sizeof(*b) + size);
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    a->used_bytes += size;
    return b;
}

/* Makes `b` the page that small pieces are cut from. */
static void open_page(struct arena *a, struct arena_block *b)
{
    a->at = b->data;
    a->end = b->data + b->size;
    POISON(a->at, b->size);
}

static void block_free(struct arena_block *b)
{
    UNPOISON(b->data, b->size);
    free(b);
}

static void free_blocks(struct arena *a, bool keep)
{
    struct arena_block *kept = NULL;
    for (struct arena_block *b = a->blocks, *next; b != NULL; b = next) {
        next = b->next;
        // The kept page is the oldest block: the first that was taken.
        if (keep && next == NULL && a->kept_bytes > 0 && b->size == a->kept_bytes)
            kept = b;
        else
            block_free(b);
    }
    a->blocks = kept;
    a->at = a->end = NULL;
    a->used_bytes = 0;
    a->overflowed = false;
    if (kept != NULL) {
        kept->next = NULL;
        a->used_bytes = kept->size;
        open_page(a, kept);
    }
}

void arena_reset(struct arena *a)
{
    const struct arena_block *only = a->blocks;
    if (only == NULL ? !a->overflowed && a->used_bytes == 0
                     : only->next == NULL && a->at == only->data && !a->overflowed &&
                           only->size == a->kept_bytes)
        return; // nothing was taken since the last time
    free_blocks(a, true);
}

void arena_release(struct arena *a)
{
    free_blocks(a, false);
}

static void *alloc_large(struct arena *a, size_t size)
{
    struct arena_block *b = block_new(a, size);
    if (b == NULL)
        return NULL;
    return b->data;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2) {
        a->overflowed = true;
        return NULL;
    }
    size = align_up(size > 0 ? size : 1);
    if (a->blocks == NULL && a->kept_bytes > 0) {
        struct arena_block *b = block_new(a, a->kept_bytes);
        if (b != NULL)
            open_page(a, b);
    }
    if ((size_t)(a->end - a->at) < size) {
        if (size > LARGE_BYTES)
            return alloc_large(a, size);
        struct arena_block *b = block_new(a, PAGE_BYTES);
        if (b == NULL)
            return NULL;
        open_page(a, b);
    }
    void *p = a->at;
    a->at += size;
    UNPOISON(p, size);
    return p;
}

/* Grows or shrinks a large block that is the newest one; NULL when `p` is not such a block. */
static void *realloc_large(struct arena *a, void *p, size_t size)
{
    struct arena_block *b = a->blocks;
    if (b == NULL || p != b->data || (a->at >= b->data && a->at <= b->data + b->size))
        return NULL;
    size_t rest = a->used_bytes - b->size;
    if (size > a->budget_bytes || rest > a->budget_bytes - size)
        return NULL;
    b = xrealloc(b, sizeof(*b) + size);
    b->size = size;
    a->blocks = b;
    a->used_bytes = rest + size;
    return b->data;
}

void *arena_realloc(struct arena *a, void *p, size_t old_size, size_t size)
{
    if (p == NULL)
        return arena_alloc(a, size);
    if (size > SIZE_MAX / 2) {
        a->overflowed = true;
        return NULL;
    }
    size_t old_room = align_up(old_size > 0 ? old_size : 1);
    size_t room = align_up(size > 0 ? size : 1);
    if ((char *)p + old_room == a->at && room <= (size_t)(a->end - (char *)p)) {
        a->at = (char *)p + room;
        POISON(a->at, (size_t)(a->end - a->at));
        UNPOISON(p, room);
        return p;
    }
    if (room <= old_room)
        return p;
    void *q = realloc_large(a, p, room);
    if (q != NULL)
        return q;
    q = arena_alloc(a, size);
    if (q != NULL)
        memcpy(q, p, old_size);
    return q;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        a->overflowed = true;
        return NULL;
    }
    void *p = arena_alloc(a, bytes);
    if (p != NULL)
        memset(p, 0, bytes);
    return p;
}

str arena_copy(struct arena *a, str s)
{
    char *p = arena_alloc(a, s.len);
    if (p == NULL)
        return (str){NULL, 0};
    if (s.len > 0)
        memcpy(p, s.p, s.len);
    return (str){p, s.len};
}

str arena_copy_lower(struct arena *a, str s)
{
    char *p = arena_alloc(a, s.len);
    if (p == NULL)
        return (str){NULL, 0};
    for (size_t i = 0; i < s.len; i++)
        p[i] = ascii_lower(s.p[i]);
    return str_of(p, s.len);
}

str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *p = n >= 0 ? arena_alloc(a, (size_t)n + 1) : NULL;
    if (p == NULL)
        return (str){NULL, 0};
    va_start(args, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, args);
    va_end(args);
    return (str){p, (size_t)n};
}
