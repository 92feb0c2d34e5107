/*
 * slot_table - hash table from hashes to numbers
 *
 * Open addressing; the members themselves are elsewhere, and whoever looks one up compares. Hashes
 * of what others choose are keyed (see crypto_hash64()), so that nobody can make chains.
 *
 *     uint32_t slot;
 *     struct slot_probe probe = slot_table_probe(t, hash);
 *     while (slot_table_next(t, &probe, &slot))
 *         if (…is it the one…)
 *
 * Threads: owned by one.
 */
#ifndef CORE_SLOT_TABLE_H
#define CORE_SLOT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOT_TABLE_NONE UINT32_MAX // no value can be this

/* Half of the hash is enough to tell nearly all others apart, and twice as many fit a cache. */
struct slot_cell {
    uint32_t hash;
    uint32_t value;
};

struct slot_table {
    struct slot_cell *cells; // a power of two of them; NULL: holds nothing yet
    uint32_t mask;
    uint32_t n;
};

struct slot_probe {
    uint32_t hash;
    uint32_t at;
};

void slot_table_init(struct slot_table *t);
void slot_table_release(struct slot_table *t);

/* Makes room for `n` values in all. */
void slot_table_reserve(struct slot_table *t, uint32_t n);

void slot_table_insert(struct slot_table *t, uint64_t hash, uint32_t value);

/* Takes a pair out that is in. */
void slot_table_remove(struct slot_table *t, uint64_t hash, uint32_t value);

static inline struct slot_probe slot_table_probe(const struct slot_table *t, uint64_t hash)
{
    return (struct slot_probe){(uint32_t)hash, (uint32_t)hash & t->mask};
}

/* The next value with the hash; false: there is none. The table must not change meanwhile. */
static inline bool slot_table_next(const struct slot_table *t, struct slot_probe *probe,
                                   uint32_t *ret)
{
    while (t->cells != NULL && t->cells[probe->at].value != SLOT_TABLE_NONE) {
        const struct slot_cell *cell = &t->cells[probe->at];
        probe->at = (probe->at + 1) & t->mask;
        if (cell->hash == probe->hash) {
            *ret = cell->value;
            return true;
        }
    }
    return false;
}

/* A well spread hash of a number that others do not choose. */
static inline uint64_t slot_table_hash_number(uint64_t number)
{
    number = (number ^ number >> 32) * UINT64_C(0x9E3779B97F4A7C15);
    return number ^ number >> 29;
}

#endif
