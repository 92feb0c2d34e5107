#include "base/xalloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"

static NORETURN void out_of_memory(void)
{
    static const char text[] = "ollama2openai: out of memory\n";
    // write, not log: nothing that might allocate.
    ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)n;
    abort();
}

void *xmalloc(size_t size)
{
    void *p = malloc(size > 0 ? size : 1);
    if (UNLIKELY(p == NULL))
        out_of_memory();
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size > 0 ? size : 1);
    if (UNLIKELY(p == NULL))
        out_of_memory();
    return p;
}

void *xcalloc_aligned(size_t alignment, size_t size)
{
    void *p = aligned_alloc(alignment, size);
    if (UNLIKELY(p == NULL))
        out_of_memory();
    return memset(p, 0, size);
}

void *xrealloc(void *p, size_t size)
{
    void *q = realloc(p, size > 0 ? size : 1);
    if (UNLIKELY(q == NULL))
        out_of_memory();
    return q;
}

char *xstrdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(xmalloc(size), text, size);
}
