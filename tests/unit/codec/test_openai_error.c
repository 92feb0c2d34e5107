#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/json.h"
#include "codec/openai_error.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

/* The body of `fault`, parsed. */
static const struct json *error_of(const struct openai_fault *fault)
{
    struct buf out;
    const struct json *v = NULL;
    buf_init(&out, 8192);
    openai_error_body(&out, fault);
    assert_int_equal(json_parse(&arena, buf_str(&out), JSON_STRICT, &v, NULL), ERR_OK);
    buf_release(&out);
    assert_int_equal(json_size(v), 1);
    assert_int_equal(json_size(json_get(v, STR("error"))), 4);
    return json_get(v, STR("error"));
}

static str message_of(str message, int status)
{
    struct openai_fault fault = openai_fault(FAULT_SERVER, (str){0}, message);
    fault.status = status;
    return json_str(json_get(error_of(&fault), STR("message")));
}

static void test_openai_error__body_has_all_four_members(void **state)
{
    (void)state;
    struct buf out;
    struct openai_fault fault = openai_fault(FAULT_MODEL_NOT_FOUND, STR("model"), STR("no \"x\""));
    buf_init(&out, 8192);
    openai_error_body(&out, &fault);
    assert_true(str_eq(buf_str(&out), STR("{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":"
                                          "\"invalid_request_error\",\"param\":\"model\",\"code\":"
                                          "\"model_not_found\"}}")));
    buf_reset(&out);
    fault = openai_fault(FAULT_METHOD, (str){0}, STR("no"));
    openai_error_body(&out, &fault);
    assert_true(
        str_eq(buf_str(&out), STR("{\"error\":{\"message\":\"no\",\"type\":"
                                  "\"invalid_request_error\",\"param\":null,\"code\":null}}")));
    buf_release(&out);
}

static void test_openai_error__every_fault_has_a_type_and_a_sentence(void **state)
{
    (void)state;
    static const enum openai_fault_kind kinds[] = {
#define X(name, status, type, code) name,
        OPENAI_FAULT_LIST(X)
#undef X
    };
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct openai_fault fault = openai_fault(kinds[i], (str){0}, (str){0});
        const struct json *e = error_of(&fault);
        assert_true(fault.status >= 400 && fault.status < 600);
        assert_true(json_str(json_get(e, STR("type"))).len > 0);
        assert_true(json_str(json_get(e, STR("message"))).len > 0);
    }
}

static void test_openai_error__messages_are_one_clean_line(void **state)
{
    (void)state;
    static const struct {
        str in;
        const char *want;
        const char *why;
    } cases[] = {
        {STR_C("plain"),        "plain",                    "as it is"            },
        {STR_C(" a\r\nb\tc\n"), "a  b c",                   "line ends are blanks"},
        {STR_C("a\x1b[31m\x7f"
               "b"),
         "a[31mb",                                          "controls go"         },
        {STR_C("a\xC2\x9B"
               "b"),
         "ab",                                              "C1 controls go"      },
        {STR_C("a\0b"),         "ab",                       "zeros go"            },
        {STR_C("a\xFF"),        "a\xEF\xBF\xBD",            "bad UTF-8"           },
        {STR_C("\xE4\xB8\xAD"), "\xE4\xB8\xAD",             "good UTF-8"          },
        {STR_C("\xE4\xB8"),     "\xEF\xBF\xBD\xEF\xBF\xBD", "cut off UTF-8"       },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (!str_eq(message_of(cases[i].in, 500), str_z(cases[i].want)))
            fail_msg("%s", cases[i].why);
    }
}

static void test_openai_error__messages_are_cut_between_characters(void **state)
{
    (void)state;
    static const struct {
        size_t ascii;
        const char *end;
        size_t want;
    } cases[] = {
        {511, "",             511},
        {512, "",             512},
        {513, "",             512},
        {510, "\xC3\xA9",     512},
        {511, "\xC3\xA9",     511},
        {510, "\xE4\xB8\xAD", 510},
        {511, "\xFF",         511},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[600];
        memset(text, 'x', cases[i].ascii);
        memcpy(text + cases[i].ascii, cases[i].end, strlen(cases[i].end));
        str got = message_of(str_of(text, cases[i].ascii + strlen(cases[i].end)), 500);
        assert_int_equal(got.len, cases[i].want);
    }
}

static void test_openai_error__words_that_switch_channels_off_never_go_out(void **state)
{
    (void)state;
    static const struct {
        str in;
        int status;
        const char *why;
    } cases[] = {
        {STR_C("out of Credits"),                     429, "credit, in any case"},
        {STR_C("load balancer: no healthy upstream"), 502, "balance"            },
        {STR_C("Permission\nDenied"),                 403, "over a line end"    },
        {STR_C("your API key expired"),               502, "expired"            },
        {STR_C("cre\x01"
               "dit"),
         500,                                              "hidden by a control"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        str got = message_of(cases[i].in, cases[i].status);
        static const char *const words[] = {"credit", "balance", "permission denied", "expired"};
        assert_true(got.len > 0);
        for (size_t j = 0; j < COUNT_OF(words); j++) {
            if (str_icontains(got, str_z(words[j])))
                fail_msg("%s: %.*s", cases[i].why, STR_ARG(got));
        }
    }
    assert_true(str_eq(message_of(STR("no such key"), 500), STR("no such key")));
}

static void test_openai_error__refusals_say_what_and_where(void **state)
{
    (void)state;
    struct openai_fault fault;
    assert_int_equal(openai_refuse(&arena, &fault, FAULT_UNSUPPORTED, STR("n"), "'n' is %d", 2),
                     ERR_SYNTAX);
    assert_int_equal(fault.status, 400);
    assert_true(str_eq(fault.code, STR("unsupported_parameter")));
    assert_true(str_eq(fault.message, STR("'n' is 2")));

    struct arena small;
    arena_init(&small, 0);
    assert_int_equal(openai_refuse(&small, &fault, FAULT_BAD_REQUEST, (str){0}, "x"),
                     ERR_TOO_LARGE);
    assert_int_equal(fault.status, 413);
    arena_release(&small);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_openai_error__body_has_all_four_members),
        TEST(test_openai_error__every_fault_has_a_type_and_a_sentence),
        TEST(test_openai_error__messages_are_one_clean_line),
        TEST(test_openai_error__messages_are_cut_between_characters),
        TEST(test_openai_error__words_that_switch_channels_off_never_go_out),
        TEST(test_openai_error__refusals_say_what_and_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
