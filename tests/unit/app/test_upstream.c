#include "unit.h"

#include "app/upstream.h"

static struct keypool *pool;

static int setup(void **state)
{
    static const struct keypool_options options;
    (void)state;
    pool = keypool_new(&options);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    keypool_free(pool);
    return 0;
}

static void test_upstream__a_named_one_is_always_tried(void **state)
{
    (void)state;
    struct upstream u = {0};
    struct config config = {.upstream_set = true};
    assert_false(upstream_note(&u, &config, true, 1000));
    assert_false(upstream_is_missing(&u, pool, &config));
    assert_true(upstream_may_try(&u, pool, &config, 1000));
    assert_true(upstream_may_try(&u, pool, &config, 1001));
}

static void test_upstream__the_local_one_is_looked_for_every_five_seconds(void **state)
{
    (void)state;
    static const struct {
        uint64_t now_ms;
        bool may_try;
        const char *why;
    } cases[] = {
        {1000,  false, "just found missing"               },
        {5999,  false, "one millisecond early"            },
        {6000,  true,  "five seconds are over: one looks" },
        {6000,  false, "the others do not"                },
        {10999, false, "the next look is five seconds off"},
        {11000, true,  "and then another one looks"       },
    };
    struct upstream u = {0};
    struct config config = {0};
    assert_true(upstream_may_try(&u, pool, &config, 0));
    assert_false(upstream_is_missing(&u, pool, &config));
    assert_true(upstream_note(&u, &config, true, 1000));
    assert_true(upstream_is_missing(&u, pool, &config));
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_why(upstream_may_try(&u, pool, &config, cases[i].now_ms) == cases[i].may_try,
                   cases[i].why);
    assert_false(upstream_note(&u, &config, false, 11001));
    assert_false(upstream_is_missing(&u, pool, &config));
    assert_true(upstream_may_try(&u, pool, &config, 11001));
    assert_true(upstream_may_try(&u, pool, &config, 11001));
    assert_str(upstream_url(&config)->authority, STR("127.0.0.1:11434"));
}

static void test_upstream__with_a_key_nobody_needs_the_local_one(void **state)
{
    (void)state;
    struct upstream u = {0};
    struct config config = {0};
    uint64_t id;
    const struct key_spec key = {
        .id = 1, .secret = STR_C("sk-1"), .base_url = STR_C("https://ollama.com"), .enabled = true};
    assert_true(upstream_note(&u, &config, true, 1000));
    assert_int_equal(keypool_add(pool, &key, 1000, &id), ERR_OK);
    assert_true(upstream_may_try(&u, pool, &config, 1001));
    assert_false(upstream_is_missing(&u, pool, &config));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_upstream__a_named_one_is_always_tried),
        TEST(test_upstream__the_local_one_is_looked_for_every_five_seconds),
        TEST(test_upstream__with_a_key_nobody_needs_the_local_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
