#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/trace.h"

#define ID128                                                                                      \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"   \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_trace__request_ids(void **state)
{
    static const struct {
        const char *id;
        bool want;
        const char *why;
    } cases[] = {
        {"",               false, "none"              },
        {"a",              true,  "the shortest"      },
        {"req_01HX-2.b:c", true,  "what gateways send"},
        {ID128,            true,  "128 bytes"         },
        {ID128 "a",        false, "129 bytes"         },
        {"a b",            false, "a blank"           },
        {"a\"b",           false, "a quote"           },
        {"a/b",            false, "a slash"           },
        {"\xC3\xA4",       false, "not ASCII"         },
    };
    (void)state;
    assert_int_equal(sizeof(ID128) - 1, 128);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (trace_request_id_ok(str_z(cases[i].id)) != cases[i].want)
            fail_msg("%s", cases[i].why);
    }
    assert_false(trace_request_id_ok(STR("a\0b")));
}

static void test_trace__traceparent(void **state)
{
#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"
    static const struct {
        const char *value;
        bool want;
        const char *why;
    } cases[] = {
        {"00-" TRACE "-" SPAN "-01",                        true,  "the example of the standard"  },
        {"00-" TRACE "-" SPAN "-00",                        true,  "not sampled"                  },
        {"00-" TRACE "-" SPAN "-0",                         false, "short"                        },
        {"00-" TRACE "-" SPAN "-01-x",                      false, "version 00 has no more fields"},
        {"01-" TRACE "-" SPAN "-01-x",                      true,  "later versions may"           },
        {"01-" TRACE "-" SPAN "-01",                        true,  "or may not"                   },
        {"01-" TRACE "-" SPAN "-01x",                       false, "not separated"                },
        {"01-" TRACE "-" SPAN "-01-\x01",                   false, "control character"            },
        {"ff-" TRACE "-" SPAN "-01",                        false, "version ff is invalid"        },
        {"00-00000000000000000000000000000000-" SPAN "-01", false, "trace id all zero"            },
        {"00-" TRACE "-0000000000000000-01",                false, "parent id all zero"           },
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", false, "capitals"                     },
        {"00_" TRACE "-" SPAN "-01",                        false, "another separator"            },
        {"0g-" TRACE "-" SPAN "-01",                        false, "not hexadecimal"              },
        {"",                                                false, "none"                         },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (trace_parent_ok(str_z(cases[i].value)) != cases[i].want)
            fail_msg("%s", cases[i].why);
    }
}

static void test_trace__via(void **state)
{
    static const struct {
        const char *value;
        bool ok;
        bool ours;
        const char *why;
    } cases[] = {
        {"1.1 o2o-x",                   true,  true,  "ours alone"                       },
        {"1.0 fred, 1.1 p.example.net", true,  false, "two others"                       },
        {"1.0 fred, 1.1 O2O-X",         true,  true,  "ours, in capitals"                },
        {"HTTP/1.1 o2o-x",              true,  true,  "with the protocol's name"         },
        {"1.1 o2o-x (a, b)",            true,  true,  "comment with a comma"             },
        {"1.1 a (1.1 o2o-x)",           true,  false, "only in a comment"                },
        {"1.1 a (x, 1.1 o2o-x)",        true,  false, "only in a comment, behind a comma"},
        {"1.1 a (x (y) \\) z), 1.1 b",  true,  false, "nested, and an escape"            },
        {"1.1 o2o-x-2",                 true,  false, "only begins like ours"            },
        {"1.1 a,, 1.1 o2o-x",           true,  true,  "an empty element"                 },
        {",",                           false, false, "nothing but a comma"              },
        {"o2o-x",                       false, false, "no version"                       },
        {"1.1 a b",                     false, false, "three words"                      },
        {"1.1 a (b",                    false, false, "comment without an end"           },
        {"1.1 a\x01",                   false, false, "control character"                },
        {"",                            false, false, "none"                             },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (trace_via_ok(str_z(cases[i].value)) != cases[i].ok)
            fail_msg("ok: %s", cases[i].why);
        if (trace_via_has(str_z(cases[i].value), STR("o2o-x")) != cases[i].ours)
            fail_msg("ours: %s", cases[i].why);
    }
}

static void test_trace__via_length_has_a_limit(void **state)
{
    static char value[1025];
    (void)state;
    memset(value, 'a', sizeof(value));
    memcpy(value, "1.1 ", 4);
    assert_true(trace_via_ok(str_of(value, 1023)));
    assert_true(trace_via_ok(str_of(value, 1024)));
    assert_false(trace_via_ok(str_of(value, 1025)));
}

static void test_trace__via_append_adds_our_entry(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a, 1 << 16);
    str none = trace_via_append(&a, STR(""), false, STR("o2o-x"));
    assert_true(str_eq(none, STR("1.1 o2o-x")));
    str old = trace_via_append(&a, STR("1.1 a"), true, STR("o2o-x"));
    assert_true(str_eq(old, STR("1.1 a, 1.0 o2o-x")));
    str bad = trace_via_append(&a, STR("junk"), false, STR("o2o-x"));
    assert_true(str_eq(bad, STR("1.1 o2o-x")));
    assert_true(trace_via_has(old, STR("o2o-x")));
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace__request_ids),
        cmocka_unit_test(test_trace__traceparent),
        cmocka_unit_test(test_trace__via),
        cmocka_unit_test(test_trace__via_length_has_a_limit),
        cmocka_unit_test(test_trace__via_append_adds_our_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
