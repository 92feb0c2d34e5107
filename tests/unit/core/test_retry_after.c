#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/retry_after.h"

#define RFC_EXAMPLE_S 784111777 // 1994-11-06 08:49:37 UTC
#define NOW_S         1774000000

static void test_retry_after__reads_the_three_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t want;
        const char *why;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT",  RFC_EXAMPLE_S,              "IMF-fixdate"                  },
        {"Sunday, 06-Nov-94 08:49:37 GMT", RFC_EXAMPLE_S,              "the form of RFC 850"          },
        {"Sun Nov  6 08:49:37 1994",       RFC_EXAMPLE_S,              "asctime, day of one digit"    },
        {"Wed Nov 16 08:49:37 1994",       RFC_EXAMPLE_S + 10 * 86400, "asctime, two digits"          },
        {"Thu, 01 Jan 1970 00:00:00 GMT",  0,                          "the first second"             },
        {"Tue, 29 Feb 2000 23:59:59 GMT",  951868799,                  "leap day of a century"        },
        {"Thu, 29 Feb 2024 00:00:00 GMT",  1709164800,                 "leap day"                     },
        {"Fri, 01 Mar 2024 00:00:00 GMT",  1709251200,                 "the day after"                },
        {"Sat, 31 Dec 2016 23:59:60 GMT",  1483228800,                 "leap second"                  },
        {"Monday, 01-Jan-29 00:00:00 GMT", 1861920000,                 "two digits, a few years ahead"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t at = -1;
        if (!http_date_parse(str_z(cases[i].text), NOW_S, &at))
            fail_msg("%s: refused", cases[i].why);
        if (at != cases[i].want)
            fail_msg("%s: got %lld", cases[i].why, (long long)at);
    }
}

static void test_retry_after__refuses_what_is_no_date(void **state)
{
    static const char *const cases[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Thu, 29 Feb 1900 08:49:37 GMT",
        "Wed, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Foo, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "06 Nov 1994 08:49:37 GMT",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t at;
        if (http_date_parse(str_z(cases[i]), NOW_S, &at))
            fail_msg("accepted '%s'", cases[i]);
    }
}

static void test_retry_after__is_sane_or_nothing(void **state)
{
    static const struct {
        const char *text;
        int64_t now_s;
        uint32_t want;
        const char *why;
    } cases[] = {
        {"",                               NOW_S,                0,    "missing"          },
        {"0",                              NOW_S,                0,    "below the least"  },
        {"1",                              NOW_S,                1,    "the least"        },
        {"2",                              NOW_S,                2,    "above the least"  },
        {" 30 ",                           NOW_S,                30,   "blanks around"    },
        {"3599",                           NOW_S,                3599, "below the most"   },
        {"3600",                           NOW_S,                3600, "the most"         },
        {"3601",                           NOW_S,                0,    "above the most"   },
        {"-1",                             NOW_S,                0,    "negative"         },
        {"+1",                             NOW_S,                0,    "a sign"           },
        {"1.5",                            NOW_S,                0,    "a fraction"       },
        {"999999999",                      NOW_S,                0,    "absurd"           },
        {"18446744073709551617",           NOW_S,                0,    "more than 64 bits"},
        {"4294967297",                     NOW_S,                0,    "1 and 32 bits"    },
        {"soon",                           NOW_S,                0,    "a word"           },
        {"Sun, 06 Nov 1994 08:49:37 GMT",  RFC_EXAMPLE_S - 1,    1,    "in a second"      },
        {"Sun, 06 Nov 1994 08:49:37 GMT",  RFC_EXAMPLE_S,        0,    "now"              },
        {"Sun, 06 Nov 1994 08:49:37 GMT",  RFC_EXAMPLE_S + 1,    0,    "in the past"      },
        {"Sun, 06 Nov 1994 08:49:37 GMT",  RFC_EXAMPLE_S - 3600, 3600, "in an hour"       },
        {"Sun, 06 Nov 1994 08:49:37 GMT",  RFC_EXAMPLE_S - 3601, 0,    "beyond an hour"   },
        {"Sunday, 06-Nov-94 08:49:37 GMT", RFC_EXAMPLE_S - 60,   60,   "RFC 850"          },
        {"Sun Nov  6 08:49:37 1994",       RFC_EXAMPLE_S - 60,   60,   "asctime"          },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint32_t got = retry_after_parse(str_z(cases[i].text), cases[i].now_s);
        if (got != cases[i].want)
            fail_msg("%s: got %u", cases[i].why, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_after__reads_the_three_forms),
        cmocka_unit_test(test_retry_after__refuses_what_is_no_date),
        cmocka_unit_test(test_retry_after__is_sane_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
