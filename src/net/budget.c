#include "net/budget.h"

#include <stdatomic.h>

#define SHORT_PERCENT 95
#define OUT_PERCENT   98

static atomic_size_t total_bytes = BUDGET_DEFAULT_BYTES;
static atomic_size_t used_bytes;

void budget_set(size_t total)
{
    atomic_store(&total_bytes, total);
}

void budget_follow(size_t *charged, size_t bytes)
{
    if (bytes == *charged)
        return;
    // Unsigned arithmetic wraps: a holder that shrinks adds the complement.
    atomic_fetch_add_explicit(&used_bytes, bytes - *charged, memory_order_relaxed);
    *charged = bytes;
}

size_t budget_used(void)
{
    return atomic_load_explicit(&used_bytes, memory_order_relaxed);
}

static bool is_over(size_t percent)
{
    return budget_used() >=
           atomic_load_explicit(&total_bytes, memory_order_relaxed) / 100 * percent;
}

bool budget_is_short(void)
{
    return is_over(SHORT_PERCENT);
}

bool budget_is_out(void)
{
    return is_over(OUT_PERCENT);
}
