/* Which problems there are, in which order, and how many of them are told. */
#include "core/problems.h"

#include <string.h>

#include "base/attr.h"
#include "unit.h"

static bool well(const struct problem_facts *facts)
{
    struct problems p;
    problems_begin(&p, facts);
    // Keys that cool or are dead come in by host; the sums alone say the same of all else.
    if (facts->by_state[KEY_IS_COOLING] + facts->by_state[KEY_IS_DEAD] == 0)
        assert_int_equal(problems_well(facts), p.n == 0);
    return problems_well(facts);
}

static void test_problems__what_the_sums_say(void **state)
{
    static const struct {
        const char *why;
        struct problem_facts facts;
        const char *first; // NULL: all is well
    } cases[] = {
        {"no key, and the server answers", {.by_state = {0}},                                      NULL         },
        {"no key, and it does not",        {.fallback_failed = true},                              "no_upstream"},
        {"a ready key does not need it",   {.by_state = {1}, .fallback_failed = true},             NULL         },
        {"a disabled key hides it",
         {.by_state = {0, 0, 0, 1}, .fallback_failed = true},
         "all_disabled"                                                                                         },
        {"one disabled of two",            {.by_state = {1, 0, 0, 1}},                             NULL         },
        {"the only one is dead",           {.by_state = {0, 0, 1, 0}},                             "none_ready" },
        {"all cool",                       {.by_state = {0, 3, 0, 1}},                             "none_ready" },
        {"the disk is full",               {.by_state = {1}, .store_trouble = STR_C("disk full")}, "store"      },
        {"19 of 19 requests failed",       {.window_requests = 19, .window_errors = 19},           NULL         },
        {"1 of 20",                        {.window_requests = 20, .window_errors = 1},            NULL         },
        {"2 of 20",                        {.window_requests = 20, .window_errors = 2},            "errors"     },
        {"99 of 1000",                     {.window_requests = 1000, .window_errors = 99},         NULL         },
        {"100 of 1000",                    {.window_requests = 1000, .window_errors = 100},        "errors"     },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct problems p;
        print_message("case: %s\n", cases[i].why);
        assert_int_equal(well(&cases[i].facts), cases[i].first == NULL);
        problems_begin(&p, &cases[i].facts);
        if (cases[i].first != NULL)
            assert_string_equal(problem_name(p.items[0].kind), cases[i].first);
    }
}

static struct problem_host host_of_keys(const struct key_view *views, size_t n)
{
    struct problem_host h = {0};
    for (size_t i = 0; i < n; i++)
        problem_host_add(&h, &views[i]);
    return h;
}

static void test_problems__of_a_host_by_its_keys(void **state)
{
    static const struct key_view views[] = {
        {.state = KEY_IS_READY  },
        {                       .state = KEY_IS_DISABLED,                      .cause = CAUSE_PERSON},
        {                          .state = KEY_IS_DEAD, .cause = CAUSE_REFUSED, .until_ms = 1},
        {                       .state = KEY_IS_COOLING,                  .cause = CAUSE_LIMIT, .source = COOL_GUESSED, .until_ms = 900},
        {                              .state = KEY_IS_COOLING,                       .cause = CAUSE_LIMIT, .source = COOL_STATED, .until_ms = 5000},
        {        .state = KEY_IS_COOLING,                                                     .cause = CAUSE_LIMIT, .source = COOL_GUESSED, .until_ms = 1000},
        { .state = KEY_IS_COOLING,.cause = CAUSE_FAILURES, .until_ms = 700},
    };
    const struct problem_facts facts = {
        .by_state = {0, 4, 1, 1}
    };
    const struct host_view view = {
        .host = 3, .by_state = {0, 4, 1, 1}
    };
    struct problem_host keys = host_of_keys(views, COUNT_OF(views));
    struct problems p;
    (void)state;
    problems_begin(&p, &facts);
    problems_add_host(&p, &view, &keys);
    assert_int_equal(p.n, 4);
    assert_int_equal(p.items[0].kind, PROBLEM_NONE_READY);
    assert_int_equal(p.items[0].until_ms, 700);
    assert_true(p.items[1].kind == PROBLEM_DEAD && p.items[1].count == 1 && p.items[1].host == 3);
    assert_true(p.items[2].kind == PROBLEM_LIMIT && p.items[2].count == 3);
    assert_true(p.items[2].until_ms == 5000 && p.items[2].source == COOL_STATED);
    assert_true(p.items[3].kind == PROBLEM_FAILING && p.items[3].count == 1);
}

static void test_problems__limits_are_told_apart(void **state)
{
    static const struct key_view views[] = {
        {.state = KEY_IS_COOLING,
         .cause = CAUSE_LIMIT,
         .until_ms = 100,
         .reason = STR_C("limited: you (ann) have reached your hourly usage limit")},
        {.state = KEY_IS_COOLING,
         .cause = CAUSE_LIMIT,
         .until_ms = 700,
         .reason = STR_C("limited: you (ann) have reached your weekly usage limit")},
        {.state = KEY_IS_COOLING,
         .cause = CAUSE_LIMIT,
         .until_ms = 900,
         .reason = STR_C("limited: you (bob) have reached your weekly usage limit")},
        {.state = KEY_IS_COOLING,                                                            .cause = CAUSE_LIMIT,   .until_ms = 50                        },
    };
    const struct host_view view = {.by_state = {[KEY_IS_COOLING] = COUNT_OF(views)}};
    const struct problem_facts facts = {.by_state = {[KEY_IS_READY] = 1}};
    struct problem_host keys = host_of_keys(views, COUNT_OF(views));
    struct problems p;
    (void)state;
    problems_begin(&p, &facts);
    problems_add_host(&p, &view, &keys);
    assert_int_equal(p.n, 3);
    assert_true(p.items[0].window == WINDOW_WEEK && p.items[0].count == 2);
    assert_int_equal(p.items[0].until_ms, 900);
    assert_true(p.items[1].window == WINDOW_NOT_NAMED && p.items[1].count == 1);
    assert_true(p.items[2].window == WINDOW_HOUR && p.items[2].until_ms == 100);
}

static void test_problems__a_cooling_host_speaks_for_its_keys(void **state)
{
    const struct problem_host keys = {.dead = 1, .failing = 5};
    struct host_view view = {
        .cooling = true,
        .cause = CAUSE_CONNECT,
        .until_ms = 50,
        .since_ms = 40,
        .by_state = {3, 2, 1, 7}
    };
    const struct problem_facts facts = {
        .by_state = {1, 5, 1, 7}
    };
    struct problems p;
    (void)state;
    problems_begin(&p, &facts);
    problems_add_host(&p, &view, &keys);
    assert_int_equal(p.n, 2);
    assert_true(p.items[0].kind == PROBLEM_HOST && p.items[0].count == 5);
    assert_true(p.items[0].cause == CAUSE_CONNECT && p.items[0].since_ms == 40);
    assert_int_equal(p.items[1].kind, PROBLEM_DEAD);

    view.by_state[KEY_IS_READY] = view.by_state[KEY_IS_COOLING] = 0; // nobody waits for it
    problems_begin(&p, &facts);
    problems_add_host(&p, &view, &keys);
    assert_int_equal(p.items[0].kind, PROBLEM_DEAD);
}

static void test_problems__the_worst_are_told(void **state)
{
    static const size_t hosts[] = {PROBLEMS_MAX - 1, PROBLEMS_MAX, PROBLEMS_MAX + 1};
    const struct problem_facts facts = {
        .by_state = {1, 0, 1, 0}
    };
    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(hosts); i++) {
        size_t n = hosts[i / 2];
        bool worst_first = i % 2 == 0;
        struct problems p;
        problems_begin(&p, &facts);
        for (uint32_t host = 0; host < n; host++)
            problems_add_host(&p, &(struct host_view){.host = host},
                              &(struct problem_host){.dead = worst_first ? n - host : 1 + host});
        assert_int_equal(p.n, n < PROBLEMS_MAX ? n : PROBLEMS_MAX);
        for (size_t k = 0; k < p.n; k++)
            assert_int_equal(p.items[k].count, n - k);
    }
}

static void expect_text(struct problem problem, const char *want)
{
    struct arena a;
    arena_init(&a, 65536);
    str text = problem_text(&a, &problem, STR("https://h"), STR("nobody answers"));
    if (!str_eq(text, str_z(want)))
        fail_msg("'%.*s' instead of '%s'", STR_ARG(text), want);
    arena_release(&a);
}

static void test_problems__sentences(void **state)
{
    (void)state;
    expect_text((struct problem){.kind = PROBLEM_DEAD, .count = 1},
                "1 key of https://h is refused");
    expect_text((struct problem){.kind = PROBLEM_DEAD, .count = 2},
                "2 keys of https://h are refused");
    expect_text((struct problem){.kind = PROBLEM_LIMIT, .count = 2, .until_ms = 86400000},
                "2 keys of https://h are over a limit until 1970-01-02T00:00:00.000Z");
    expect_text((struct problem){.kind = PROBLEM_LIMIT, .count = 1, .window = WINDOW_WEEK},
                "1 key of https://h is over the weekly limit");
    expect_text((struct problem){.kind = PROBLEM_FAILING, .count = 1},
                "1 key of https://h cools after failures");
    expect_text((struct problem){.kind = PROBLEM_HOST, .count = 1}, "nobody answers");
    expect_text((struct problem){.kind = PROBLEM_ERRORS, .count = 12},
                "12 in a hundred of the last requests failed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_problems__what_the_sums_say),
        cmocka_unit_test(test_problems__of_a_host_by_its_keys),
        cmocka_unit_test(test_problems__limits_are_told_apart),
        cmocka_unit_test(test_problems__a_cooling_host_speaks_for_its_keys),
        cmocka_unit_test(test_problems__the_worst_are_told),
        cmocka_unit_test(test_problems__sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
