#include "unit.h"

#include "core/pace.h"

/* One turn at `now_ms` that brought `lines` single lines and `others` that are none. */
static uint32_t turn(struct pace *p, uint64_t now_ms, int lines, int others)
{
    for (int i = 0; i < lines + others; i++)
        pace_event(p);
    for (int i = 0; i < lines; i++)
        pace_line(p);
    return pace_end_turn(p, now_ms);
}

/* Lets `per_ms` lines come in each of many milliseconds; returns the last of these. */
static uint64_t run_at(struct pace *p, int per_ms)
{
    uint64_t now_ms = 1000;
    for (int i = 0; i < 200; i++, now_ms++) {
        for (int j = 0; j < per_ms; j++)
            turn(p, now_ms, 1, 0);
    }
    return now_ms;
}

static void test_pace__pauses_from_a_rate_of_lines_on(void **state)
{
    (void)state;
    static const struct {
        int per_ms;
        uint32_t want_us;
        const char *why;
    } cases[] = {
        {1,                     0,                "too rare"                      },
        {PACE_LINES_PER_MS - 1, 0,                "one below"                     },
        {PACE_LINES_PER_MS,     PACE_LONGEST_US,  "at the rate"                   },
        {PACE_LINES_PER_MS + 1, PACE_LONGEST_US,  "one above"                     },
        {8,                     PACE_LONGEST_US,  "so many are wanted"            },
        {9,                     888,              "a shorter pause brings as many"},
        {16,                    500,              "half of it"                    },
        {26,                    307,              "nearly the shortest"           },
        {27,                    PACE_SHORTEST_US, "the shortest"                  },
        {100,                   PACE_SHORTEST_US, "many"                          },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pace p = {0};
        uint64_t now_ms = run_at(&p, cases[i].per_ms);
        if (turn(&p, now_ms, 1, 0) != cases[i].want_us)
            fail_msg("%s", cases[i].why);
    }
}

static void test_pace__pauses_after_few_lines_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        int lines;
        int others;
        uint32_t want_us;
        const char *why;
    } cases[] = {
        {1,                   0, 800, "a line"                              },
        {PACE_MANY_LINES - 1, 0, 800, "few lines"                           },
        {PACE_MANY_LINES,     0, 0,   "company enough"                      },
        {PACE_MANY_LINES + 1, 0, 0,   "more than enough"                    },
        {0,                   0, 0,   "a timer, or a message"               },
        {0,                   1, 0,   "a request, a first token, an end"    },
        {1,                   1, 0,   "whoever made the other one may hurry"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pace p = {0};
        uint64_t now_ms = run_at(&p, 2 * PACE_LINES_PER_MS);
        if (turn(&p, now_ms, cases[i].lines, cases[i].others) != cases[i].want_us)
            fail_msg("%s", cases[i].why);
    }
}

static void test_pace__forgets_the_rate_when_lines_cease(void **state)
{
    (void)state;
    static const struct {
        uint64_t after_ms;
        uint32_t want_us;
        const char *why;
    } cases[] = {
        {1,              914, "one empty millisecond in a fast run"},
        {20,             0,   "averaged away"                      },
        {63,             0,   "one below what is forgotten at once"},
        {64,             0,   "forgotten at once"                  },
        {UINT64_MAX / 2, 0,   "a clock far ahead costs nothing"    },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pace p = {0};
        uint64_t now_ms = run_at(&p, 2 * PACE_LINES_PER_MS);
        if (turn(&p, now_ms + cases[i].after_ms, 1, 0) != cases[i].want_us)
            fail_msg("%s", cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pace__pauses_from_a_rate_of_lines_on),
        cmocka_unit_test(test_pace__pauses_after_few_lines_and_nothing_else),
        cmocka_unit_test(test_pace__forgets_the_rate_when_lines_cease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
