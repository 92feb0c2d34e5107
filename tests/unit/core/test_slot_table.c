#include "core/slot_table.h"

#include "unit.h"

static bool has(const struct slot_table *t, uint64_t hash, uint32_t value)
{
    uint32_t got;
    struct slot_probe probe = slot_table_probe(t, hash);
    while (slot_table_next(t, &probe, &got)) {
        if (got == value)
            return true;
    }
    return false;
}

static void test_slot_table__finds_nothing_at_first(void **state)
{
    struct slot_table t;
    (void)state;
    slot_table_init(&t);
    assert_false(has(&t, 0, 0));
    slot_table_release(&t);
}

static void test_slot_table__tells_values_of_one_hash_apart(void **state)
{
    struct slot_table t;
    (void)state;
    slot_table_init(&t);
    for (uint32_t value = 0; value < 50; value++)
        slot_table_insert(&t, 5, value);
    slot_table_insert(&t, 6, 100); // its chain is mixed up with theirs
    for (uint32_t value = 0; value < 50; value += 2)
        slot_table_remove(&t, 5, value);
    for (uint32_t value = 0; value < 50; value++)
        assert_int_equal(has(&t, 5, value), value % 2 == 1);
    assert_true(has(&t, 6, 100));
    assert_false(has(&t, 6, 1));
    assert_int_equal(t.n, 26);
    slot_table_release(&t);
}

/* Few hashes, so that chains are long, grow together and wrap. */
static void test_slot_table__is_as_an_array_of_flags(void **state)
{
    enum { HASHES = 40, VALUES = 12 };
    bool flags[HASHES][VALUES] = {{false}};
    struct slot_table t;
    uint32_t random = 7;
    (void)state;
    slot_table_init(&t);
    for (int step = 0; step < 60000; step++) {
        random = random * 1664525 + 1013904223;
        uint32_t h = (random >> 8) % HASHES;
        uint32_t v = (random >> 16) % VALUES;
        uint64_t hash = (uint64_t)h * 13; // some begin at the end of the table
        if (flags[h][v])
            slot_table_remove(&t, hash, v);
        else
            slot_table_insert(&t, hash, v);
        flags[h][v] = !flags[h][v];
        for (uint32_t i = 0; i < VALUES; i++)
            assert_int_equal(has(&t, hash, i), flags[h][i]);
    }
    slot_table_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slot_table__finds_nothing_at_first),
        cmocka_unit_test(test_slot_table__tells_values_of_one_hash_apart),
        cmocka_unit_test(test_slot_table__is_as_an_array_of_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
