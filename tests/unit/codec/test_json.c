#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/json.h"
#include "codec/json_shape.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static const struct json *parse_ok(const char *text)
{
    const struct json *v = NULL;
    struct err_info info = {0};
    if (json_parse(&arena, str_z(text), JSON_STRICT, &v, &info) != ERR_OK)
        fail_msg("%s: %s", text, info.text);
    return v;
}

static void assert_str(str got, str want)
{
    if (!str_eq(got, want))
        fail_msg("got '%.*s', want '%.*s'", STR_ARG(got), STR_ARG(want));
}

static void test_json__modes_differ_in_what_they_let_through(void **state)
{
    (void)state;
    static const struct {
        str text;
        enum err strict;
        enum err tolerant;
        const char *why;
    } cases[] = {
        {STR_C("{}"),                                ERR_OK,     ERR_OK,     "an object"              },
        {STR_C(" [1 , 2]\r\n\t "),                   ERR_OK,     ERR_OK,     "white space around"     },
        {STR_C("\"x\""),                             ERR_OK,     ERR_OK,     "any value is JSON"      },
        {STR_C("-0.5e-3"),                           ERR_OK,     ERR_OK,     "a number alone"         },
        {STR_C(""),                                  ERR_SYNTAX, ERR_SYNTAX, "nothing"                },
        {STR_C("  "),                                ERR_SYNTAX, ERR_SYNTAX, "blanks only"            },
        {STR_C("{\"a\":1"),                          ERR_SYNTAX, ERR_SYNTAX, "cut off"                },
        {STR_C("{} {}"),                             ERR_SYNTAX, ERR_SYNTAX, "two values"             },
        {STR_C("{}x"),                               ERR_SYNTAX, ERR_SYNTAX, "a tail"                 },
        {STR_C("[1,]"),                              ERR_SYNTAX, ERR_SYNTAX, "trailing comma"         },
        {STR_C("]"),                                 ERR_SYNTAX, ERR_SYNTAX, "nothing to close"       },
        {STR_C("[}"),                                ERR_SYNTAX, ERR_SYNTAX, "closed by the wrong one"},
        {STR_C("\"\\"),                              ERR_SYNTAX, ERR_SYNTAX, "open string, backslash" },
        {STR_C("// x\n1"),                           ERR_SYNTAX, ERR_SYNTAX, "comment"                },
        {STR_C("\xEF\xBB\xBF{}"),                    ERR_SYNTAX, ERR_SYNTAX, "byte order mark"        },
        {STR_C("NaN"),                               ERR_SYNTAX, ERR_SYNTAX, "no number of JSON"      },
        {STR_C("01"),                                ERR_SYNTAX, ERR_SYNTAX, "leading zero"           },
        {STR_C("\"\x01\""),                          ERR_SYNTAX, ERR_OK,     "raw control"            },
        {STR_C("{\"a\":1,\"a\":2}"),                 ERR_SYNTAX, ERR_OK,     "equal keys"             },
        {STR_C("{\"a\":1,\"\\u0061\":2}"),           ERR_SYNTAX, ERR_OK,     "equal once unescaped"   },
        {STR_C("[{\"b\":{\"a\":1,\"a\":2}}]"),       ERR_SYNTAX, ERR_OK,     "equal keys further in"  },
        {STR_C("{\"a\":{\"a\":1},\"b\":{\"a\":1}}"), ERR_OK,     ERR_OK,     "equal in other objects" },
        {STR_C("{\"\":1,\"\":2}"),                   ERR_SYNTAX, ERR_OK,     "empty keys are keys"    },
        {STR_C("\"\xFF\""),                          ERR_SYNTAX, ERR_OK,     "not UTF-8"              },
        {STR_C("\"\xC0\xAF\""),                      ERR_SYNTAX, ERR_OK,     "overlong"               },
        {STR_C("\"\xED\xA0\x80\""),                  ERR_SYNTAX, ERR_OK,     "a surrogate as UTF-8"   },
        {STR_C("\"\\ud800\""),                       ERR_SYNTAX, ERR_OK,     "lone high surrogate"    },
        {STR_C("\"\\udc00x\""),                      ERR_SYNTAX, ERR_OK,     "lone low surrogate"     },
        {STR_C("\"\\ud83d\\ude00\""),                ERR_OK,     ERR_OK,     "a pair"                 },
        {STR_C("\"\\ud8\""),                         ERR_SYNTAX, ERR_SYNTAX, "half an escape"         },
        {STR_C("1e308"),                             ERR_OK,     ERR_OK,     "the largest decade"     },
        {STR_C("1e309"),                             ERR_RANGE,  ERR_OK,     "no double holds it"     },
        {STR_C("[-1E999]"),                          ERR_RANGE,  ERR_OK,     "neither this"           },
        {STR_C("1e-999"),                            ERR_OK,     ERR_OK,     "tiny is zero"           },
        {STR_C("123456789012345678901234567890"),    ERR_OK,     ERR_OK,     "finite, if not an int64"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct json *v = NULL;
        struct err_info info = {0};
        enum err strict = json_parse(&arena, cases[i].text, JSON_STRICT, &v, &info);
        enum err tolerant = json_parse(&arena, cases[i].text, JSON_TOLERANT, &v, NULL);
        if (strict != cases[i].strict || tolerant != cases[i].tolerant)
            fail_msg("%s: strict %s, tolerant %s", cases[i].why, err_name(strict),
                     err_name(tolerant));
        assert_true(strict == ERR_OK || info.text[0] != '\0');
    }
}

static void test_json__depth_is_limited_in_both_modes(void **state)
{
    (void)state;
    static const struct {
        int depth;
        enum err want;
    } cases[] = {
        {63,      ERR_OK   },
        {64,      ERR_OK   },
        {65,      ERR_RANGE},
        {1000000, ERR_RANGE}
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text;
        const struct json *v = NULL;
        buf_init(&text, 8 << 20);
        for (int d = 0; d < cases[i].depth; d++)
            buf_append(&text, d % 2 == 0 ? STR("[") : STR("{\"k\":"));
        if (cases[i].depth % 2 == 0)
            buf_append_char(&text, '0');
        for (int d = cases[i].depth; d > 0; d--)
            buf_append_char(&text, d % 2 == 1 ? ']' : '}');
        assert_int_equal(json_parse(&arena, buf_str(&text), JSON_STRICT, &v, NULL), cases[i].want);
        assert_int_equal(json_parse(&arena, buf_str(&text), JSON_TOLERANT, &v, NULL),
                         cases[i].want);
        buf_release(&text);
        arena_reset(&arena);
    }
}

static void test_json__brackets_in_strings_are_no_depth(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    buf_append(&text, STR("[\"\\\\\",\"a\\\"[[[\",\""));
    for (int i = 0; i < 1000; i++)
        buf_append(&text, STR("[{,"));
    buf_append(&text, STR("\"]"));
    const struct json *v = NULL;
    assert_int_equal(json_parse(&arena, buf_str(&text), JSON_STRICT, &v, NULL), ERR_OK);
    assert_int_equal(json_size(v), 3);
    buf_release(&text);
}

static void put_items(struct buf *text, size_t n)
{
    buf_append_char(text, '[');
    for (size_t i = 0; i < n; i++)
        buf_append(text, i > 0 ? STR(",1") : STR("1"));
    buf_append_char(text, ']');
}

static void test_json__items_are_limited_for_callers(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        enum err strict;
    } cases[] = {
        {99999,  ERR_OK   },
        {100000, ERR_OK   },
        {100001, ERR_RANGE}
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text;
        const struct json *v = NULL;
        buf_init(&text, 4 << 20);
        put_items(&text, cases[i].n);
        assert_int_equal(json_parse(&arena, buf_str(&text), JSON_STRICT, &v, NULL),
                         cases[i].strict);
        assert_int_equal(json_parse(&arena, buf_str(&text), JSON_TOLERANT, &v, NULL), ERR_OK);
        assert_int_equal(json_size(v), cases[i].n);
        buf_release(&text);
        arena_reset(&arena);
    }
}

static void test_json__number_text_is_limited_for_callers(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        enum err strict;
    } cases[] = {
        {1023, ERR_OK   },
        {1024, ERR_OK   },
        {1025, ERR_RANGE}
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text;
        const struct json *v = NULL;
        buf_init(&text, 4096);
        buf_append(&text, STR("0."));
        while (text.len < cases[i].len)
            buf_append_char(&text, '1');
        assert_int_equal(json_parse(&arena, buf_str(&text), JSON_STRICT, &v, NULL),
                         cases[i].strict);
        buf_release(&text);
    }
}

/* Objects above a handful of members take another way to find equal keys. */
static void test_json__finds_equal_keys_in_large_objects(void **state)
{
    (void)state;
    for (size_t n = 2; n < 2000; n = n * 3 / 2 + 1) {
        for (int twice = 0; twice < 2; twice++) {
            struct buf text;
            const struct json *v = NULL;
            buf_init(&text, 1 << 20);
            buf_append_char(&text, '{');
            for (size_t i = 0; i < n; i++)
                buf_printf(&text, "\"key%zu\":%zu,", i, i);
            buf_printf(&text, "\"key%zu\":0}", twice ? n / 2 : n);
            assert_int_equal(json_parse(&arena, buf_str(&text), JSON_STRICT, &v, NULL),
                             twice ? ERR_SYNTAX : ERR_OK);
            buf_release(&text);
        }
    }
}

static void test_json__says_where_the_fault_is(void **state)
{
    (void)state;
    const struct json *v = NULL;
    struct err_info info = {0};
    assert_int_equal(json_parse(&arena, STR("{\"a\":1,}"), JSON_STRICT, &v, &info), ERR_SYNTAX);
    assert_int_equal(info.offset, 6);
    assert_int_equal(json_parse(&arena, STR("{\"a\":1,\"a\":1}"), JSON_STRICT, &v, &info),
                     ERR_SYNTAX);
    assert_non_null(strstr(info.text, "'a'"));
}

static uint64_t bits_of(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof(bits));
    return bits;
}

static void assert_same_double(const char *text)
{
    double got = 1;
    assert_true(json_text_to_double(str_z(text), &got));
    if (bits_of(got) != bits_of(strtod(text, NULL)))
        fail_msg("%s is %.20g", text, got);
}

/* Short numbers are not left to the C library: the double must be the same to the last bit. */
static void test_json__numbers_are_the_doubles_of_the_c_library(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "-0.0",
        "1",
        "0.7",
        "0.1",
        "-1.15",
        "2.675",
        "1.005",
        "8.41",
        "123456789012345",
        "1234567890123.45",
        "0.00000000000001",
        "0.30000000000000",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "9999999999999999",
        "-9007199254740993",
        "99999999999999.95",
        "0.123456789012345",
        "0.1234567890123456",
        "0.12345678901234567890",
        "1e1",
        "1.5e-7",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_same_double(texts[i]);
    for (int i = 0; i <= 2000; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d.%03d", i / 1000, i % 1000);
        assert_same_double(text);
    }
}

/* Long strings are left out of the parse: values and errors must not show it. */
static void test_json__long_strings_come_back_whole(void **state)
{
    (void)state;
    for (size_t len = JSON_LONG_MIN - 1; len <= JSON_LONG_MIN + 1; len++) {
        char plain[JSON_LONG_MIN + 2];
        struct buf text;
        const struct json *v = NULL;
        memset(plain, 'x', len);
        plain[len] = '\0';
        buf_init(&text, 4096);
        buf_printf(&text, "{\"%s\":[\"%s\",\"\"],\"e\":\"%s\\n\",\"z\":\"%s\"}", plain, plain,
                   plain, plain);
        assert_int_equal(json_parse(&arena, buf_str(&text), JSON_STRICT, &v, NULL), ERR_OK);
        const struct json *list = json_get(v, str_of(plain, len));
        const struct json *item = NULL;
        struct json_iter it = json_iter(list);
        assert_true(json_next(&it, NULL, &item));
        assert_str(json_str(item), str_of(plain, len));
        assert_true(json_next(&it, NULL, &item));
        assert_str(json_str(item), STR(""));
        assert_str(json_str(json_get(v, STR("z"))), str_of(plain, len));
        assert_int_equal(json_str(json_get(v, STR("e"))).len, len + 1);
        buf_release(&text);
    }
}

#define LONG "0123456789012345678901234567890123456789012345678901234567890123"

static void test_json__errors_behind_long_strings_are_where_they_are(void **state)
{
    (void)state;
    static const struct {
        str text;
        size_t offset;
        const char *sentence;
        const char *why;
    } cases[] = {
        {STR_C("[x,\"" LONG "\"]"),                1,   "",                         "before it"                                   },
        {STR_C("[1.\"" LONG "\"]"),                4,   "",                         "at its quote; the parser names the next byte"},
        {STR_C("[\"" LONG "\"x]"),                 67,  "",                         "right behind it"                             },
        {STR_C("[\"" LONG "\",\"" LONG "\",]"),    134, "",                         "behind two"                                  },
        {STR_C("{\"" LONG "\":1,\"" LONG "\":2}"), 0,   "duplicate key '" LONG "'",
         "equal long keys"                                                                                                        },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct json *v = NULL;
        struct err_info info = {0};
        if (json_parse(&arena, cases[i].text, JSON_STRICT, &v, &info) != ERR_SYNTAX ||
            info.offset != cases[i].offset || strstr(info.text, cases[i].sentence) == NULL)
            fail_msg("%s: '%s' at %zu", cases[i].why, info.text, info.offset);
    }
}

static void test_json__budget_is_an_ordinary_error(void **state)
{
    (void)state;
    struct arena small;
    struct buf text;
    const struct json *v = NULL;
    arena_init(&small, 8192);
    buf_init(&text, 1 << 20);
    put_items(&text, 3000);
    assert_int_equal(json_parse(&small, buf_str(&text), JSON_STRICT, &v, NULL), ERR_TOO_LARGE);
    assert_null(v);
    buf_release(&text);
    arena_release(&small);
}

static void test_json__reads_values(void **state)
{
    (void)state;
    const struct json *v = parse_ok("{\"s\":\"a\\nb\",\"n\":1.50,\"t\":true,\"f\":false,\"z\":null,"
                                    "\"a\":[1,[2],{\"x\":3}],\"o\":{\"k\":\"v\"},\"e\":[]}");
    bool truth = false;
    assert_int_equal(json_kind(v), JSON_OBJECT);
    assert_int_equal(json_size(v), 8);
    assert_str(json_str(json_get(v, STR("s"))), STR("a\nb"));
    assert_str(json_number_text(json_get(v, STR("n"))), STR("1.50"));
    assert_true(json_to_bool(json_get(v, STR("t")), &truth) && truth);
    assert_true(json_to_bool(json_get(v, STR("f")), &truth) && !truth);
    assert_false(json_to_bool(json_get(v, STR("z")), &truth));
    assert_true(json_is_null(json_get(v, STR("z"))));
    assert_null(json_get(v, STR("absent")));
    assert_null(json_get(json_get(v, STR("s")), STR("x")));
    assert_str(json_str(json_get(json_get(v, STR("o")), STR("k"))), STR("v"));
    assert_int_equal(json_size(json_get(v, STR("e"))), 0);

    static const enum json_kind kinds[] = {JSON_NUMBER, JSON_ARRAY, JSON_OBJECT};
    struct json_iter it = json_iter(json_get(v, STR("a")));
    const struct json *item = NULL;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        assert_true(json_next(&it, NULL, &item));
        assert_int_equal(json_kind(item), kinds[i]);
    }
    assert_false(json_next(&it, NULL, &item));
}

static void test_json__null_pointer_is_null(void **state)
{
    (void)state;
    const struct json *item = NULL;
    double d = 1;
    int64_t i = 1;
    struct json_iter it = json_iter(NULL);
    assert_true(json_is_null(NULL));
    assert_int_equal(json_size(NULL), 0);
    assert_int_equal(json_str(NULL).len, 0);
    assert_false(json_to_i64(NULL, &i) || json_to_double(NULL, &d));
    assert_false(json_next(&it, NULL, &item));
}

static void test_json__the_last_of_equal_keys_counts(void **state)
{
    (void)state;
    const struct json *v = NULL;
    assert_int_equal(json_parse(&arena, STR("{\"a\":1,\"b\":0,\"a\":2}"), JSON_TOLERANT, &v, NULL),
                     ERR_OK);
    assert_str(json_number_text(json_get(v, STR("a"))), STR("2"));
}

static void test_json__lone_surrogates_become_replacement_characters(void **state)
{
    (void)state;
    const struct json *v = NULL;
    str text = STR("\"a\\\\ud800 \\ud800\\u0041\\ud83d\\ude00\\udc00\\ud800\"");
    assert_int_equal(json_parse(&arena, text, JSON_TOLERANT, &v, NULL), ERR_OK);
    assert_str(json_str(v), STR("a\\ud800 \xEF\xBF\xBD"
                                "A\xF0\x9F\x98\x80\xEF\xBF\xBD\xEF\xBF\xBD"));
}

static void test_json__integers_are_exact_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
        const char *why;
    } cases[] = {
        {"0",                    true,  0,                   "zero"                       },
        {"-0",                   true,  0,                   "negative zero"              },
        {"0.000",                true,  0,                   "zero with a fraction"       },
        {"0e999",                true,  0,                   "zero with an exponent"      },
        {"42",                   true,  42,                  "plain"                      },
        {"-17",                  true,  -17,                 "negative"                   },
        {"100.0",                true,  100,                 "an integer with a point"    },
        {"1e2",                  true,  100,                 "an integer with an exponent"},
        {"1E+2",                 true,  100,                 "another"                    },
        {"1200e-2",              true,  12,                  "zeros taken away"           },
        {"12.5e1",               true,  125,                 "point moved away"           },
        {"1.50",                 false, 0,                   "a fraction"                 },
        {"1e-1",                 false, 0,                   "a tenth"                    },
        {"0.5",                  false, 0,                   "a half"                     },
        {"9223372036854775807",  true,  INT64_MAX,           "the largest"                },
        {"9223372036854775808",  false, 0,                   "one above"                  },
        {"-9223372036854775808", true,  INT64_MIN,           "the smallest"               },
        {"-9223372036854775809", false, 0,                   "one below"                  },
        {"9223372036854775806",  true,  INT64_MAX - 1,       "one below the largest"      },
        {"18446744073709551616", false, 0,                   "2^64"                       },
        {"1e19",                 false, 0,                   "too large by its exponent"  },
        {"1e18",                 true,  1000000000000000000, "just fits"                  },
        {"9007199254740993",     true,  9007199254740993,    "no double is this"          },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t got = 0;
        bool ok = json_to_i64(parse_ok(cases[i].text), &got);
        if (ok != cases[i].ok || (ok && got != cases[i].want))
            fail_msg("%s (%s): %d %lld", cases[i].text, cases[i].why, ok, (long long)got);
    }
    int64_t untouched = 7;
    assert_false(json_to_i64(parse_ok("\"1\""), &untouched));
    assert_int_equal(untouched, 7);
}

static void test_json__strings_are_escaped(void **state)
{
    (void)state;
    static const struct {
        str in;
        str want;
        const char *why;
    } cases[] = {
        {STR_C(""),                                     STR_C("\"\""),                                     "empty"      },
        {STR_C("plain"),                                STR_C("\"plain\""),                                "plain"      },
        {STR_C("a\"b\\c/"),                             STR_C("\"a\\\"b\\\\c/\""),                         "quotes"     },
        {STR_C("\b\f\n\r\t"),                           STR_C("\"\\b\\f\\n\\r\\t\""),                      "short forms"},
        {STR_C("\x01\x1f\x7f"),                         STR_C("\"\\u0001\\u001f\x7f\""),                   "controls"   },
        {STR_C("\0"),                                   STR_C("\"\\u0000\""),                              "zero"       },
        {STR_C("\xC2\x85\xC2\x86"),                     STR_C("\"\\u0085\xC2\x86\""),                      "NEL"        },
        {STR_C("\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xAA"), STR_C("\"\\u2028\\u2029\xE2\x80\xAA\""),
         "line separators"                                                                                              },
        {STR_C("12345678\xE2\x80\xA8"
               "12345678\n"),
         STR_C("\"12345678\\u2028"
               "12345678\\n\""),
         "over words"                                                                                                   },
        {STR_C("1234567\xE2\x80\xA8"),                  STR_C("\"1234567\\u2028\""),                       "word border"},
        {STR_C("a\xFFz"),                               STR_C("\"a\xEF\xBF\xBDz\""),                       "bad byte"   },
        {STR_C("\xE2\x80"),                             STR_C("\"\xEF\xBF\xBD\xEF\xBF\xBD\""),             "cut off"    },
        {STR_C("\xED\xA0\x80"),                         STR_C("\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""), "surrogate"  },
        {STR_C("\xF0\x9F\x8E\x89"),                     STR_C("\"\xF0\x9F\x8E\x89\""),                     "four bytes" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out;
        buf_init(&out, 4096);
        json_put_string(&out, cases[i].in);
        if (!str_eq(buf_str(&out), cases[i].want))
            fail_msg("%s: %.*s", cases[i].why, STR_ARG(buf_str(&out)));
        buf_release(&out);
    }
}

static void test_json__escaped_head_ends_between_characters(void **state)
{
    (void)state;
    static const struct {
        str in;
        size_t max;
        size_t want;
        const char *why;
    } cases[] = {
        {STR_C("abc"),                      100, 3, "all of it"                     },
        {STR_C("abcdef"),                   3,   3, "at the limit"                  },
        {STR_C("abcdef"),                   2,   2, "below"                         },
        {STR_C("abcdef"),                   0,   1, "always one"                    },
        {STR_C("\n\n\n"),                   4,   2, "two bytes each"                },
        {STR_C("\n\n\n"),                   5,   2, "no half escape"                },
        {STR_C("\x01\x01"),                 11,  1, "six bytes each"                },
        {STR_C("\x01\x01"),                 12,  2, "exactly"                       },
        {STR_C("\xE4\xB8\xAD\xE4\xB8\xAD"), 5,   3, "whole characters"              },
        {STR_C("\xE4\xB8\xAD\xE4\xB8\xAD"), 6,   6, "two of them"                   },
        {STR_C("\xC2\x85"
               "a"),
         6,                                      2, "NEL becomes six"               },
        {STR_C("\xFF\xFF"),                 3,   1, "a bad byte becomes three"      },
        {STR_C("\xF0\x9F\x8E\x89"),         1,   4, "one character even if too long"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        size_t got = json_escaped_head(cases[i].in, cases[i].max);
        if (got != cases[i].want)
            fail_msg("%s: %zu", cases[i].why, got);
    }
}

static void test_json__values_are_written_as_they_were(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"z\":1.0,\"a\":[1e2,-0,12345678901234567890,0.10],\"m\":{\"t\":true,\"n\":null}}",
        "[]",
        "{}",
        "[[],{},\"\",false]",
        "\"\\u2028\\n\xE4\xB8\xAD\"",
        "1E+5",
        "null",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct buf out;
        buf_init(&out, 4096);
        json_put_value(&out, parse_ok(texts[i]));
        assert_str(buf_str(&out), str_z(texts[i]));
        buf_release(&out);
    }
}

static void test_json__parses_in_place(void **state)
{
    (void)state;
    char text[] = "{\"a\":\"b\\u0041\",\"n\":12}\0\0\0";
    const struct json *v = NULL;
    assert_int_equal(json_parse_in_place(&arena, text, strlen(text), JSON_STRICT, &v, NULL),
                     ERR_OK);
    str got = json_str(json_get(v, STR("a")));
    assert_str(got, STR("bA"));
    assert_true(got.p > text && got.p < text + sizeof(text));
    assert_int_equal(json_parse_in_place(&arena, NULL, 0, JSON_STRICT, &v, NULL), ERR_SYNTAX);
    char number[] = "12\0\0\0";
    assert_int_equal(json_parse_in_place(&arena, number, 2, JSON_STRICT, &v, NULL), ERR_OK);
    assert_str(json_number_text(v), STR("12"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_json__modes_differ_in_what_they_let_through),
        TEST(test_json__depth_is_limited_in_both_modes),
        TEST(test_json__brackets_in_strings_are_no_depth),
        TEST(test_json__items_are_limited_for_callers),
        TEST(test_json__number_text_is_limited_for_callers),
        TEST(test_json__finds_equal_keys_in_large_objects),
        TEST(test_json__says_where_the_fault_is),
        TEST(test_json__numbers_are_the_doubles_of_the_c_library),
        TEST(test_json__long_strings_come_back_whole),
        TEST(test_json__errors_behind_long_strings_are_where_they_are),
        TEST(test_json__budget_is_an_ordinary_error),
        TEST(test_json__reads_values),
        TEST(test_json__null_pointer_is_null),
        TEST(test_json__the_last_of_equal_keys_counts),
        TEST(test_json__lone_surrogates_become_replacement_characters),
        TEST(test_json__integers_are_exact_or_refused),
        TEST(test_json__strings_are_escaped),
        TEST(test_json__escaped_head_ends_between_characters),
        TEST(test_json__values_are_written_as_they_were),
        TEST(test_json__parses_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
