#include "unit.h"

#include "base/arena.h"

static void test_arena__keeps_pieces_apart(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    unsigned char *pieces[200];
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        pieces[i] = arena_alloc(&a, i * 40 + 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)i, i * 40 + 1);
    }
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        assert_int_equal(pieces[i][0], i);
        assert_int_equal(pieces[i][i * 40], i);
    }
    arena_release(&a);
    assert_int_equal(a.used_bytes, 0);
}

static void test_arena__says_when_the_budget_is_used_up(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        bool ok;
        const char *why;
    } cases[] = {
        {65535,    true,  "one byte less than the budget"},
        {65536,    true,  "the budget"                   },
        {65537,    false, "one byte more"                },
        {SIZE_MAX, false, "no overflow of the sum"       },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        arena_init(&a, 65536);
        assert_why((arena_alloc(&a, cases[i].size) != NULL) == cases[i].ok, cases[i].why);
        assert_why(a.overflowed != cases[i].ok, cases[i].why);
        arena_reset(&a);
        assert_why(!a.overflowed && arena_alloc(&a, 16) != NULL, "usable after the reset");
        arena_release(&a);
    }
    struct arena a;
    arena_init(&a, 65536);
    assert_null(arena_calloc(&a, SIZE_MAX / 2, 3)); // the product overflows
    assert_true(a.overflowed);
    arena_release(&a);
}

static void test_arena__grows_pieces(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    char *p = arena_alloc(&a, 10);
    memcpy(p, "0123456789", 10);
    assert_ptr_equal(arena_realloc(&a, p, 10, 100), p); // the last one: in place
    char *other = arena_alloc(&a, 10);
    char *moved = arena_realloc(&a, p, 100, 200);
    assert_ptr_not_equal(moved, p);
    assert_memory_equal(moved, "0123456789", 10);
    assert_ptr_not_equal(other, NULL);

    char *large = arena_alloc(&a, 10000);
    memset(large, 'x', 10000);
    large = arena_realloc(&a, large, 10000, 500000);
    assert_non_null(large);
    assert_int_equal(large[9999], 'x');
    assert_null(arena_realloc(&a, large, 500000, 2 << 20)); // over the budget
    assert_int_equal(large[0], 'x');                        // and still there
    arena_release(&a);
}

static void test_arena__keeps_its_page_over_resets(void **state)
{
    (void)state;
    struct arena a;
    arena_init_kept(&a, 1 << 20, 8192);
    void *first = arena_alloc(&a, 100);
    assert_non_null(arena_alloc(&a, 100000)); // a block of its own
    arena_reset(&a);
    assert_ptr_equal(arena_alloc(&a, 100), first);
    assert_int_equal(a.used_bytes, 8192);
    arena_release(&a);
}

static void test_arena__copies_and_formats(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 4096);
    assert_str(arena_copy(&a, STR("text")), STR("text"));
    assert_str(arena_printf(&a, "%s-%d", "x", 7), STR("x-7"));
    assert_null(arena_printf(&a, "%8000d", 1).p);
    assert_true(a.overflowed);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena__keeps_pieces_apart),
        cmocka_unit_test(test_arena__says_when_the_budget_is_used_up),
        cmocka_unit_test(test_arena__grows_pieces),
        cmocka_unit_test(test_arena__keeps_its_page_over_resets),
        cmocka_unit_test(test_arena__copies_and_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
