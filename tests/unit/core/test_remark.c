#include "core/remark.h"

#include "unit.h"

#define LONGEST                                                                                    \
    "this model requires a subscription, upgrade for access: https://ollama.com/upgrade (ref: 12)"

static void test_remark__keeps_what_is_known(void **state)
{
    static const struct {
        const char *text, *want;
        const char *why;
    } cases[] = {
        {"unauthorized",                                               "unauthorized",                        "whole"                    },
        {" Unauthorized\n",                                            "Unauthorized",                        "as it stands there"       },
        {"",                                                           "",                                    "nothing"                  },
        {"tell me about \"too many requests\"",                        "",                                    "quoted, not said"         },
        {"unauthorized: tell me a story",                              "unauthorized",                        "what follows is not known"},
        {"too many",                                                   "",                                    "the half of it"           },
        {"you (bob) have reached your weekly usage limit, pay!",
         "you (bob) have reached your weekly usage limit",                                                    "an account"               },
        {"you (b.o+b@x-y_1) have reached your hourly usage limit",
         "you (b.o+b@x-y_1) have reached your hourly usage limit",                                            "with signs"               },
        {"you (tell me a story) have reached your weekly usage limit", "",                                    "no account"               },
        {"you () have reached your weekly usage limit",                "",                                    "none at all"              },
        {"Internal Server Error (ref: 0A1b-2)",                        "Internal Server Error (ref: 0A1b-2)",
         "a reference"                                                                                                                   },
        {"internal server error (ref: story)",                         "internal server error",               "no reference"             },
        {LONGEST,                                                      LONGEST,                               "the longest counts"       },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_why(str_eq(remark_known(str_z(cases[i].text)), str_z(cases[i].want)), cases[i].why);
}

static void test_remark__finds_the_account(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"you (bob) have reached your session usage limit, please wait", "bob"},
        {"You (bob) have reached your quota",                            "bob"},
        {"you (bob smith) have reached your session usage limit",        ""   },
        {"hello, you (bob) have reached your session usage limit",       ""   },
        {"you (bob) have asked: …",                                    ""   },
        {"you (bob",                                                     ""   },
        {"you ()",                                                       ""   },
        {"",                                                             ""   },
    };
    char long_name[128] = "you (";
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_why(str_eq(remark_account(str_z(cases[i].text)), str_z(cases[i].want)),
                   cases[i].text);
    for (size_t n = REMARK_NAME_BYTES; n <= REMARK_NAME_BYTES + 1; n++) {
        memset(long_name + 5, 'a', n);
        (void)snprintf(long_name + 5 + n, sizeof(long_name) - 5 - n, ") have reached your limit");
        assert_int_equal(remark_account(str_z(long_name)).len, n == REMARK_NAME_BYTES ? n : 0);
    }
}

static void test_remark__finds_the_window(void **state)
{
    static const struct {
        const char *text;
        enum remark_window want;
        const char *name;
    } cases[] = {
        {"you (bob) have reached your session usage limit, wait", WINDOW_SESSION,   "session"},
        {"limited: you (b) have reached your Hourly usage limit", WINDOW_HOUR,      "hourly" },
        {"you (bob) have reached your daily usage limit",         WINDOW_DAY,       "daily"  },
        {"you (bob) have reached your weekly usage limit",        WINDOW_WEEK,      "weekly" },
        {"you (bob) have reached your monthly usage limit",       WINDOW_MONTH,     "monthly"},
        {"you (bob) have reached your yearly usage limit",        WINDOW_NOT_NAMED, ""       },
        {"you (bob) have reached your weekly",                    WINDOW_NOT_NAMED, ""       },
        {"the weekly usage limit",                                WINDOW_NOT_NAMED, ""       },
        {"",                                                      WINDOW_NOT_NAMED, ""       },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum remark_window got = remark_window(str_z(cases[i].text));
        assert_why(got == cases[i].want, cases[i].text);
        assert_why(str_eq(remark_window_name(got), str_z(cases[i].name)), cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remark__keeps_what_is_known),
        cmocka_unit_test(test_remark__finds_the_account),
        cmocka_unit_test(test_remark__finds_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
