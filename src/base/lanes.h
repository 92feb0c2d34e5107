/*
 * lanes - sixteen bytes of text at a time
 *
 * Comparisons of two `lanes` give one whose lanes are -1 where it holds, 0 where not, and are
 * signed: `v < ' '` finds controls and everything above ASCII at once. Written with the
 * compilers' vector types, so that it is a few instructions on every machine we know.
 */
#ifndef BASE_LANES_H
#define BASE_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES ((size_t)16)

typedef int8_t lanes __attribute__((vector_size(16)));

/* The LANES bytes at `p`, which needs no alignment. */
static inline lanes lanes_load(const char *p)
{
    lanes v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/*
 * The `n` bytes at `p`, 0 < n <= LANES, in any order and some of them twice: for questions about
 * any of them.
 */
static inline lanes lanes_gather(const char *p, size_t n)
{
    const uint64_t ones = 0x0101010101010101U;
    uint64_t half[2];
    lanes v;
    if (n >= 8) {
        memcpy(&half[0], p, 8);
        memcpy(&half[1], p + n - 8, 8);
    } else if (n >= 4) {
        uint32_t first, last;
        memcpy(&first, p, 4);
        memcpy(&last, p + n - 4, 4);
        half[0] = half[1] = first | (uint64_t)last << 32;
    } else {
        uint64_t middle = ones * (unsigned char)p[n / 2], last = ones * (unsigned char)p[n - 1];
        half[0] = ones * (unsigned char)p[0];
        half[1] = middle >> 32 | last << 32;
    }
    memcpy(&v, half, sizeof(v));
    return v;
}

/* The number of the first lane of a comparison that holds, or LANES; on any machine. */
static inline size_t lanes_first_portable(lanes v)
{
    uint64_t half[2];
    memcpy(half, &v, sizeof(half));
    for (size_t i = 0; i < 2; i++) {
        if (half[i] == 0)
            continue;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return 8 * i + (size_t)__builtin_ctzll(half[i]) / 8;
#else
        return 8 * i + (size_t)__builtin_clzll(half[i]) / 8;
#endif
    }
    return LANES;
}

/* As lanes_first_portable, the quickest way. */
static inline size_t lanes_first(lanes v)
{
#ifdef __SSE2__
    typedef char bytes __attribute__((vector_size(16)));
    unsigned bits = (unsigned)__builtin_ia32_pmovmskb128((bytes)v);
    return (size_t)__builtin_ctz(bits | 1u << LANES);
#else
    return lanes_first_portable(v);
#endif
}

/* Whether a comparison holds in any lane. */
static inline int lanes_any(lanes v)
{
#ifdef __SSE2__
    typedef char bytes __attribute__((vector_size(16)));
    return __builtin_ia32_pmovmskb128((bytes)v);
#else
    uint64_t half[2];
    memcpy(half, &v, sizeof(half));
    return (half[0] | half[1]) != 0;
#endif
}

#endif
