#include "unit.h"

#include "base/date.h"

static void test_date__reads_rfc3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t want;
        const char *why;
    } cases[] = {
        {"1970-01-01T00:00:00Z",              0,            "the epoch"                     },
        {"2026-11-22T23:17:50.89227089Z",     1795389470,   "eight digits of a second"      },
        {"2026-07-30T09:12:44.5+02:00",       1785395564,   "east"                          },
        {"2026-07-30T02:12:44-05:00",         1785395564,   "west"                          },
        {"2026-07-30T12:57:44+05:45",         1785395564,   "an offset with minutes"        },
        {"2024-02-29T00:00:00z",              1709164800,   "a leap day, small z"           },
        {"2024-02-29t00:00:00Z",              1709164800,   "small t"                       },
        {"2016-12-31T23:59:60Z",              1483228800,   "a leap second"                 },
        {"0001-01-01T00:00:00Z",              -62135596800, "Go's zero time"                },
        {"9999-12-31T23:59:59Z",              253402300799, "the last one"                  },
        {"2026-07-30T09:12:44.123456789012Z", 1785402764,   "more digits than anyone counts"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t got = 1;
        assert_why(date_parse_rfc3339(str_z(cases[i].text), &got), cases[i].why);
        assert_why(got == cases[i].want, cases[i].why);
    }
}

static void test_date__refuses_what_is_none(void **state)
{
    (void)state;
    static const str cases[] = {
        STR_C(""),
        STR_C("2026"),
        STR_C("2026-07-30"),
        STR_C("2026-07-30T09:12:44"),
        STR_C("2026-07-30 09:12:44Z"),
        STR_C("2026-07-30T09:12Z"),
        STR_C("2026-07-30T09:12:44.Z"),
        STR_C("2026-07-30T09:12:44,5Z"),
        STR_C("2026-07-30T09:12:44ZZ"),
        STR_C("2026-07-30T09:12:44+0200"),
        STR_C("2026-07-30T09:12:44+02:0"),
        STR_C("2026-07-30T09:12:44+02:000"),
        STR_C("2026-07-30T09:12:44+24:00"),
        STR_C("2026-07-30T09:12:44+00:60"),
        STR_C("2026-13-30T09:12:44Z"),
        STR_C("2026-00-30T09:12:44Z"),
        STR_C("2026-02-29T09:12:44Z"),
        STR_C("2100-02-29T09:12:44Z"),
        STR_C("2026-07-00T09:12:44Z"),
        STR_C("2026-07-30T24:12:44Z"),
        STR_C("2026-07-30T09:60:44Z"),
        STR_C("2026-07-30T09:12:61Z"),
        STR_C("-026-07-30T09:12:44Z"),
        STR_C("2026-7-30T09:12:44Z"),
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t got = 77;
        if (date_parse_rfc3339(cases[i], &got) || got != 77)
            fail_msg("%.*s", STR_ARG(cases[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_date__reads_rfc3339),
        cmocka_unit_test(test_date__refuses_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
