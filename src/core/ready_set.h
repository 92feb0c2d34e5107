/*
 * ready_set - a set of places that answers "which is next" in constant time
 *
 * A bitmap of places, a bitmap of its words that are not empty, one of the words of that one, and
 * so on: four levels hold 16 million places. Each operation touches a word per level.
 *
 * Threads: owned by one.
 */
#ifndef CORE_READY_SET_H
#define CORE_READY_SET_H

#include <stdbool.h>
#include <stdint.h>

enum { READY_SET_LEVELS = 4 };

#define READY_SET_NONE UINT32_MAX
#define READY_SET_MAX  (UINT32_C(1) << 24)

struct ready_set {
    uint64_t *words[READY_SET_LEVELS]; // of places, of words[0], …; one block
    uint32_t n_words[READY_SET_LEVELS];
    uint32_t levels; // the last of them has one word; 0: holds nothing yet
    uint32_t n;      // members
};

/* Prepares an empty set without room. */
void ready_set_init(struct ready_set *s);
void ready_set_release(struct ready_set *s);

/* Makes room for the places below `places`, which is at most READY_SET_MAX. */
void ready_set_reserve(struct ready_set *s, uint32_t places);

/* Puts in or takes out a place that there is room for; nothing happens if it is so already. */
void ready_set_insert(struct ready_set *s, uint32_t place);
void ready_set_remove(struct ready_set *s, uint32_t place);

/* Whether `place`, which may be any number, is a member. */
static inline bool ready_set_has(const struct ready_set *s, uint32_t place)
{
    return s->levels > 0 && place >> 6 < s->n_words[0] &&
           (s->words[0][place >> 6] >> (place & 63) & 1) != 0;
}

/* The first member from `from` on, or else from 0 on; READY_SET_NONE: the set is empty. */
uint32_t ready_set_next(const struct ready_set *s, uint32_t from);

#endif
