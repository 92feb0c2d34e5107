#include "unit.h"

#include "app/upstream.h"

static void test_upstream__named_one_is_always_tried(void **state)
{
    (void)state;
    struct upstream u = {0};
    struct config config = {.upstream_set = true};
    upstream_note(&u, &config, UPSTREAM_FAILED, 1000);
    assert_false(upstream_is_up(&u));
    assert_true(upstream_may_try(&u, &config, 1000));
    assert_true(upstream_may_try(&u, &config, 1001));
    upstream_note(&u, &config, UPSTREAM_ANSWERED, 1002);
    assert_true(upstream_is_up(&u));
}

static void test_upstream__local_one_is_looked_for_every_five_seconds(void **state)
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
    assert_true(upstream_may_try(&u, &config, 0));
    upstream_note(&u, &config, UPSTREAM_MISSING, 1000);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_why(upstream_may_try(&u, &config, cases[i].now_ms) == cases[i].may_try,
                   cases[i].why);
    upstream_note(&u, &config, UPSTREAM_FAILED, 11001);
    assert_true(upstream_may_try(&u, &config, 11001));
    assert_true(upstream_may_try(&u, &config, 11001));
    assert_str(upstream_url(&config)->authority, STR("127.0.0.1:11434"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upstream__named_one_is_always_tried),
        cmocka_unit_test(test_upstream__local_one_is_looked_for_every_five_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
