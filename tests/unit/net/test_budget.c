#include "unit.h"

#include "net/budget.h"

static void test_budget__is_short_at_95_and_out_at_98_percent(void **state)
{
    (void)state;
    static const struct {
        size_t bytes;
        bool is_short;
        bool is_out;
        const char *why;
    } cases[] = {
        {0,     false, false, "nothing held"      },
        {9499,  false, false, "one below 95 %"    },
        {9500,  true,  false, "95 %"              },
        {9501,  true,  false, "one above 95 %"    },
        {9799,  true,  false, "one below 98 %"    },
        {9800,  true,  true,  "98 %"              },
        {9801,  true,  true,  "one above 98 %"    },
        {12000, true,  true,  "more than there is"},
        {100,   false, false, "given back"        },
    };
    size_t one = 0;
    size_t other = 0;
    budget_set(10000);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        budget_follow(&one, cases[i].bytes / 2);
        budget_follow(&other, cases[i].bytes - cases[i].bytes / 2);
        assert_why(budget_used() == cases[i].bytes, cases[i].why);
        assert_why(budget_is_short() == cases[i].is_short, cases[i].why);
        assert_why(budget_is_out() == cases[i].is_out, cases[i].why);
    }
    budget_follow(&one, 0);
    budget_follow(&other, 0);
    assert_int_equal(budget_used(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget__is_short_at_95_and_out_at_98_percent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
