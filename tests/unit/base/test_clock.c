#include "unit.h"

#include "base/clock.h"

static void test_clock__writes_any_moment(void **state)
{
    (void)state;
    static const struct {
        int64_t wall_ms;
        const char *want;
        const char *why;
    } cases[] = {
        {1700000000123, "2023-11-14T22:13:20.123Z", "some moment"      },
        {1700000000999, "2023-11-14T22:13:20.999Z", "the same second"  },
        {1700000001000, "2023-11-14T22:13:21.000Z", "the next one"     },
        {1700000000007, "2023-11-14T22:13:20.007Z", "the clock was set"},
        {1709164800000, "2024-02-29T00:00:00.000Z", "a leap day"       },
        {1735689599999, "2024-12-31T23:59:59.999Z", "the end of a year"},
        {0,             "1970-01-01T00:00:00.000Z", "the epoch"        },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[CLOCK_ISO_BYTES];
        clock_iso(cases[i].wall_ms, out);
        assert_int_equal(out[CLOCK_ISO_BYTES - 1], 0);
        assert_str_why(str_z(out), str_z(cases[i].want), cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock__writes_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
