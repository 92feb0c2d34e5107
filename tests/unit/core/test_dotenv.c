#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/dotenv.h"

static void assert_str(str got, const char *want, const char *why)
{
    if (!str_eq(got, str_z(want)))
        fail_msg("%s: got '%.*s', want '%s'", why, STR_ARG(got), want);
}

static void test_dotenv__reads_one_line(void **state)
{
    static const struct {
        const char *text;
        const char *name;
        const char *value;
        const char *why;
    } cases[] = {
        {"A=b",                "A",      "b",     "the plain form"               },
        {"A=b\r\n",            "A",      "b",     "line ends of Windows"         },
        {"\xEF\xBB\xBF"
         "A=b",       "A",      "b",     "byte order mark"              },
        {"  export  A=b",      "A",      "b",     "export"                       },
        {"export=b",           "export", "b",     "a variable of that name"      },
        {"A = b c ",           "A",      "b c",   "blanks around, and inside"    },
        {"A=",                 "A",      "",      "nothing"                      },
        {"A=b # c",            "A",      "b",     "comment"                      },
        {"A= # c",             "A",      "",      "comment behind nothing"       },
        {"A=#c",               "A",      "#c",    "no blank before the '#'"      },
        {"A=b#c",              "A",      "b#c",   "a '#' inside"                 },
        {"A=\"b # c\"",        "A",      "b # c", "double quotes keep a '#'"     },
        {"A='b # c' # d",      "A",      "b # c", "single quotes, then a comment"},
        {"A=\" b \"",          "A",      " b ",   "quotes keep blanks"           },
        {"A=\"it's\"",         "A",      "it's",  "the other quote inside"       },
        {"A='a\\nb'",          "A",      "a\\nb", "nothing is escaped"           },
        {"A=b=c",              "A",      "b=c",   "'=' in the value"             },
        {"A=b'c'",             "A",      "b'c'",  "a quote inside is a character"},
        {"\n\n# x\n\t\nA=b\n", "A",      "b",     "blank lines and comments"     },
        {"A=a\nA=b",           "A",      "b",     "the last one counts"          },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct dotenv env;
        struct err_info info = {0};
        arena_init(&a, 1 << 16);
        enum err e = dotenv_parse(&a, str_z(cases[i].text), &env, &info);
        if (e != ERR_OK)
            fail_msg("%s: %s", cases[i].why, info.text);
        const struct dotenv_entry *entry = dotenv_find(&env, str_z(cases[i].name));
        assert_str(entry != NULL ? entry->value : STR("(none)"), cases[i].value, cases[i].why);
        arena_release(&a);
    }
}

static void test_dotenv__names_the_bad_line(void **state)
{
    static const struct {
        str text;
        const char *want;
        const char *why;
    } cases[] = {
        {STR_C("A=b\n\nsecret"), ".env line 3: it has no '='",                         "lines are counted from 1"  },
        {STR_C("=b"),            ".env line 1: it does not begin with a name and '='", "no name"                   },
        {STR_C("1A=b"),          ".env line 1: it does not begin with a name and '='", "digit first"               },
        {STR_C("A B=c"),         ".env line 1: it does not begin with a name and '='", "blank in it"               },
        {STR_C("A=\"b"),         ".env line 1: its quote is not closed",               "double quote"              },
        {STR_C("A='b\n'"),       ".env line 1: its quote is not closed",               "a quote ends with its line"},
        {STR_C("A='b'c"),        ".env line 1: something follows its closing quote",   "text behind"               },
        {STR_C("A='b'#c"),       ".env line 1: something follows its closing quote",   "no blank before"           },
        {STR_C("A=b\0c"),        ".env line 1: it holds a zero byte",                  "zero byte"                 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct dotenv env;
        struct err_info info = {0};
        arena_init(&a, 1 << 16);
        if (dotenv_parse(&a, cases[i].text, &env, &info) != ERR_SYNTAX)
            fail_msg("%s: accepted", cases[i].why);
        assert_str(str_z(info.text), cases[i].want, cases[i].why);
        arena_release(&a);
    }
}

static void test_dotenv__absent_name_is_null(void **state)
{
    struct arena a;
    struct dotenv env;
    (void)state;
    arena_init(&a, 1 << 16);
    assert_int_equal(dotenv_parse(&a, STR("AB=c"), &env, NULL), ERR_OK);
    assert_null(dotenv_find(&env, STR("A")));
    assert_non_null(dotenv_find(&env, STR("AB")));
    arena_release(&a);
}

static void test_dotenv__too_many_lines_are_refused(void **state)
{
    static char text[4096];
    struct arena a;
    struct dotenv env;
    (void)state;
    memset(text, '\n', sizeof(text));
    arena_init(&a, 4096);
    assert_int_equal(dotenv_parse(&a, str_of(text, sizeof(text)), &env, NULL), ERR_TOO_LARGE);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dotenv__reads_one_line),
        cmocka_unit_test(test_dotenv__names_the_bad_line),
        cmocka_unit_test(test_dotenv__absent_name_is_null),
        cmocka_unit_test(test_dotenv__too_many_lines_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
