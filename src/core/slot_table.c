#include "core/slot_table.h"

#include <assert.h>
#include <stdlib.h>

#include "base/xalloc.h"

#define FIRST_CELLS 16

void slot_table_init(struct slot_table *t)
{
    *t = (struct slot_table){0};
}

void slot_table_release(struct slot_table *t)
{
    free(t->cells);
    slot_table_init(t);
}

static void put(struct slot_table *t, struct slot_cell cell)
{
    uint32_t at = cell.hash & t->mask;
    while (t->cells[at].value != SLOT_TABLE_NONE)
        at = (at + 1) & t->mask;
    t->cells[at] = cell;
}

static void resize(struct slot_table *t, uint32_t n_cells)
{
    struct slot_table old = *t;
    t->cells = xmalloc(n_cells * sizeof(*t->cells));
    t->mask = n_cells - 1;
    for (uint32_t i = 0; i < n_cells; i++)
        t->cells[i] = (struct slot_cell){0, SLOT_TABLE_NONE};
    for (uint32_t i = 0; old.cells != NULL && i <= old.mask; i++) {
        if (old.cells[i].value != SLOT_TABLE_NONE)
            put(t, old.cells[i]);
    }
    free(old.cells);
}

void slot_table_reserve(struct slot_table *t, uint32_t n)
{
    uint32_t have = t->cells != NULL ? t->mask + 1 : 0, cells = have > 0 ? have : FIRST_CELLS;
    while (n > cells / 2) // half full at most: short chains
        cells *= 2;
    if (cells > have)
        resize(t, cells);
}

void slot_table_insert(struct slot_table *t, uint64_t hash, uint32_t value)
{
    assert(value != SLOT_TABLE_NONE);
    slot_table_reserve(t, t->n + 1);
    put(t, (struct slot_cell){(uint32_t)hash, value});
    t->n++;
}

/* Moves later members of the chain up, so that no mark of a deleted one is needed. */
static void close_gap(struct slot_table *t, uint32_t gap)
{
    uint32_t at = gap;
    for (;;) {
        at = (at + 1) & t->mask;
        struct slot_cell cell = t->cells[at];
        if (cell.value == SLOT_TABLE_NONE)
            break;
        uint32_t home = cell.hash & t->mask;
        if (((at - home) & t->mask) < ((at - gap) & t->mask))
            continue; // its home lies behind the gap
        t->cells[gap] = cell;
        gap = at;
    }
    t->cells[gap] = (struct slot_cell){0, SLOT_TABLE_NONE};
}

void slot_table_remove(struct slot_table *t, uint64_t hash, uint32_t value)
{
    assert(t->cells != NULL);
    uint32_t at = (uint32_t)hash & t->mask;
    while (t->cells[at].hash != (uint32_t)hash || t->cells[at].value != value) {
        assert(t->cells[at].value != SLOT_TABLE_NONE);
        at = (at + 1) & t->mask;
    }
    t->n--;
    close_gap(t, at);
}
