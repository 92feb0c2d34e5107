#include "unit.h"

#include "base/pool.h"

static void test_pool__gives_the_same_memory_again(void **state)
{
    (void)state;
#ifdef O2O_SANITIZED
    skip(); // nothing is kept there
#else
    static const struct {
        size_t first;
        size_t second;
        bool same;
        const char *why;
    } cases[] = {
        {64,  64,   true,  "the same size"              },
        {1,   64,   true,  "as much room"               },
        {64,  65,   false, "more than there is room for"},
        {65,  64,   false, "another list"               },
        {961, 1024, true,  "the largest that are kept"  },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pool p;
        pool_init(&p);
        void *first = pool_take(&p, cases[i].first);
        pool_give(&p, first, cases[i].first);
        void *second = pool_take(&p, cases[i].second);
        assert_why((first == second) == cases[i].same, cases[i].why);
        pool_give(&p, second, cases[i].second);
        pool_release(&p);
    }
#endif
}

static void test_pool__keeps_no_more_than_its_bound(void **state)
{
    (void)state;
    enum { N = POOL_KEPT + 10 };
    static char *objects[N];
    struct pool p;
    pool_init(&p);
    for (size_t i = 0; i < N; i++) {
        objects[i] = pool_take_zeroed(&p, 100);
        assert_int_equal(objects[i][99], 0);
        memset(objects[i], 'x', 100);
    }
    for (size_t i = 0; i < N; i++)
        pool_give(&p, objects[i], 100);
    assert_true(p.n_kept[1] <= POOL_KEPT);
    char *again = pool_take_zeroed(&p, 128);
    for (size_t i = 0; i < 128; i++)
        assert_int_equal(again[i], 0);
    pool_give(&p, again, 128);
    pool_give(&p, NULL, 128);
    pool_release(&p);
}

static void test_pool__leaves_large_ones_to_the_heap(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p);
    char *large = pool_take_zeroed(&p, POOL_MAX_BYTES + 1);
    large[POOL_MAX_BYTES] = 'x';
    pool_give(&p, large, POOL_MAX_BYTES + 1);
    for (size_t i = 0; i < POOL_SIZES; i++)
        assert_null(p.kept[i]);
    pool_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool__gives_the_same_memory_again),
        cmocka_unit_test(test_pool__keeps_no_more_than_its_bound),
        cmocka_unit_test(test_pool__leaves_large_ones_to_the_heap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
