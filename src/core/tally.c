#include "core/tally.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

struct entry {
    uint64_t requests;
    uint64_t errors;
    uint64_t tokens;
    uint32_t hash;
    uint32_t len;
    char name[TALLY_NAME_BYTES];
};

struct table {
    struct entry *entries; // `max`, and one for all others
    uint16_t *places;      // by hash: index of the entry, from 1; 0: free
    size_t n;
};

struct tally {
    size_t max;
    size_t mask; // of places, twice as many as names or more: a search finds a free one soon
    struct table tables[TALLY_KINDS];
};

struct tally *tally_new(size_t max)
{
    assert(max > 0 && max <= 32768);
    struct tally *t = xcalloc(1, sizeof(*t));
    size_t places = 4;
    while (places < 2 * max)
        places *= 2;
    t->max = max;
    t->mask = places - 1;
    for (size_t i = 0; i < TALLY_KINDS; i++) {
        t->tables[i].entries = xcalloc(max + 1, sizeof(struct entry));
        t->tables[i].places = xcalloc(places, sizeof(uint16_t));
    }
    return t;
}

void tally_free(struct tally *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < TALLY_KINDS; i++) {
        free(t->tables[i].entries);
        free(t->tables[i].places);
    }
    free(t);
}

static struct entry *entry_new(struct table *table, str name, uint32_t hash)
{
    struct entry *e = &table->entries[table->n++];
    e->hash = hash;
    e->len = (uint32_t)name.len;
    memcpy(e->name, name.p, name.len);
    return e;
}

static struct entry *find(struct tally *t, struct table *table, str name)
{
    if (name.len == 0)
        return &table->entries[t->max];
    // Whoever chooses names to collide gets a walk over `max` entries, and no more.
    uint32_t hash = (uint32_t)str_hash(name);
    size_t at = hash & t->mask;
    for (; table->places[at] != 0; at = (at + 1) & t->mask) {
        struct entry *e = &table->entries[table->places[at] - 1];
        if (e->hash == hash && str_eq(str_of(e->name, e->len), name))
            return e;
    }
    if (table->n == t->max)
        return &table->entries[t->max];
    table->places[at] = (uint16_t)(table->n + 1);
    return entry_new(table, name, hash);
}

void tally_add(struct tally *t, const struct tally_row *row)
{
    str name = row->name;
    if (name.len > TALLY_NAME_BYTES)
        name = str_head(name, utf8_cut(name, TALLY_NAME_BYTES));
    struct entry *e = find(t, &t->tables[row->kind], name);
    e->requests += row->requests;
    e->errors += row->errors;
    e->tokens += row->tokens;
}

static struct tally_row row_of(enum tally_kind kind, const struct entry *e)
{
    return (struct tally_row){.kind = kind,
                              .name = str_of(e->name, e->len),
                              .requests = e->requests,
                              .errors = e->errors,
                              .tokens = e->tokens};
}

static bool is_empty(const struct entry *e)
{
    return e->requests == 0 && e->errors == 0 && e->tokens == 0;
}

void tally_walk(const struct tally *t, void (*fn)(void *arg, const struct tally_row *row),
                void *arg)
{
    for (size_t kind = 0; kind < TALLY_KINDS; kind++) {
        const struct table *table = &t->tables[kind];
        for (size_t i = 0; i <= t->max; i++) {
            if (i == table->n)
                i = t->max;
            struct tally_row row = row_of((enum tally_kind)kind, &table->entries[i]);
            if (!is_empty(&table->entries[i]))
                fn(arg, &row);
        }
    }
}

/* More requests first; equal ones by name, so that the order is always the same. */
static int by_requests(const void *a, const void *b)
{
    const struct entry *x = *(const struct entry *const *)a;
    const struct entry *y = *(const struct entry *const *)b;
    if (x->requests != y->requests)
        return x->requests > y->requests ? -1 : 1;
    size_t len = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->name, y->name, len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

size_t tally_top(const struct tally *t, enum tally_kind kind, size_t max, struct tally_row *ret,
                 struct tally_row *ret_rest)
{
    const struct table *table = &t->tables[kind];
    const struct entry **sorted = xmalloc((table->n + 1) * sizeof(const struct entry *));
    struct tally_row rest = row_of(kind, &table->entries[t->max]);
    size_t n = 0;
    for (size_t i = 0; i < table->n; i++)
        sorted[i] = &table->entries[i];
    qsort(sorted, table->n, sizeof(*sorted), by_requests);
    for (; n < table->n && n < max; n++)
        ret[n] = row_of(kind, sorted[n]);
    for (size_t i = n; i < table->n; i++) {
        rest.requests += sorted[i]->requests;
        rest.errors += sorted[i]->errors;
        rest.tokens += sorted[i]->tokens;
    }
    free(sorted);
    if (ret_rest != NULL)
        *ret_rest = rest;
    return n;
}

void tally_clear(struct tally *t)
{
    for (size_t i = 0; i < TALLY_KINDS; i++) {
        struct table *table = &t->tables[i];
        memset(table->entries, 0, table->n * sizeof(struct entry));
        memset(&table->entries[t->max], 0, sizeof(struct entry));
        memset(table->places, 0, (t->mask + 1) * sizeof(uint16_t));
        table->n = 0;
    }
}
