#include "core/ready_set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

#define WORD_BITS 64

void ready_set_init(struct ready_set *s)
{
    *s = (struct ready_set){0};
}

void ready_set_release(struct ready_set *s)
{
    free(s->words[0]);
    ready_set_init(s);
}

static uint32_t words_for(uint32_t places)
{
    return (places + WORD_BITS - 1) / WORD_BITS;
}

/* Lays out the levels of an empty set for `n_words` words of places. */
static void lay_out(struct ready_set *s, uint32_t n_words)
{
    size_t total = 0;
    uint32_t n = n_words;
    ready_set_init(s);
    do {
        s->n_words[s->levels++] = n;
        total += n;
        n = words_for(n);
    } while (s->n_words[s->levels - 1] > 1);
    s->words[0] = xcalloc(total, sizeof(uint64_t));
    for (uint32_t l = 1; l < s->levels; l++)
        s->words[l] = s->words[l - 1] + s->n_words[l - 1];
}

void ready_set_reserve(struct ready_set *s, uint32_t places)
{
    assert(places <= READY_SET_MAX);
    uint32_t need = words_for(places > 0 ? places : 1);
    if (s->levels > 0 && need <= s->n_words[0])
        return;
    uint32_t n_words = s->levels > 0 ? s->n_words[0] : 1;
    while (n_words < need)
        n_words *= 2;
    struct ready_set old = *s;
    lay_out(s, n_words);
    for (uint32_t w = 0; w < old.n_words[0]; w++) {
        if (old.words[0][w] == 0)
            continue;
        s->words[0][w] = old.words[0][w];
        for (uint32_t l = 1, at = w; l < s->levels; l++, at /= WORD_BITS)
            s->words[l][at / WORD_BITS] |= UINT64_C(1) << at % WORD_BITS;
    }
    s->n = old.n;
    ready_set_release(&old);
}

void ready_set_insert(struct ready_set *s, uint32_t place)
{
    if (ready_set_has(s, place))
        return;
    assert(s->levels > 0 && place / WORD_BITS < s->n_words[0]);
    s->n++;
    for (uint32_t l = 0, at = place; l < s->levels; l++, at /= WORD_BITS) {
        uint64_t *word = &s->words[l][at / WORD_BITS];
        bool was_empty = *word == 0;
        *word |= UINT64_C(1) << at % WORD_BITS;
        if (!was_empty)
            break;
    }
}

void ready_set_remove(struct ready_set *s, uint32_t place)
{
    if (!ready_set_has(s, place))
        return;
    s->n--;
    for (uint32_t l = 0, at = place; l < s->levels; l++, at /= WORD_BITS) {
        uint64_t *word = &s->words[l][at / WORD_BITS];
        *word &= ~(UINT64_C(1) << at % WORD_BITS);
        if (*word != 0)
            break;
    }
}

/* Goes from member `at` of level `l` down to the first place beneath it. */
static uint32_t descend(const struct ready_set *s, uint32_t l, uint32_t at)
{
    while (l > 0) {
        l--;
        at = at * WORD_BITS + (uint32_t)__builtin_ctzll(s->words[l][at]);
    }
    return at;
}

static uint32_t find_from(const struct ready_set *s, uint32_t from)
{
    uint32_t at = from;
    for (uint32_t l = 0; l < s->levels; l++) {
        uint32_t w = at / WORD_BITS;
        if (w >= s->n_words[l])
            break;
        uint64_t bits = s->words[l][w] & ~UINT64_C(0) << at % WORD_BITS;
        if (bits != 0)
            return descend(s, l, w * WORD_BITS + (uint32_t)__builtin_ctzll(bits));
        at = w + 1;
    }
    return READY_SET_NONE;
}

uint32_t ready_set_next(const struct ready_set *s, uint32_t from)
{
    if (s->n == 0)
        return READY_SET_NONE;
    uint32_t place = find_from(s, from);
    return place != READY_SET_NONE ? place : find_from(s, 0);
}
