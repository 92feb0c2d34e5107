#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/ollama_line.h"

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

static struct ollama_line decode_ok(const char *text)
{
    struct ollama_line line;
    struct err_info info = {0};
    if (ollama_line_decode(&arena, str_z(text), &line, &info) != ERR_OK)
        fail_msg("%s: %s", text, info.text);
    return line;
}

static void assert_str(str got, const char *want)
{
    if (!str_eq(got, str_z(want)))
        fail_msg("got '%.*s', want '%s'", STR_ARG(got), want);
}

static void test_ollama_line__reads_text_and_end(void **state)
{
    (void)state;
    struct ollama_line line =
        decode_ok("{\"model\":\"m\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{\"role\":"
                  "\"assistant\",\"content\":\"Hi\",\"thinking\":\"hm\"},\"done\":false}");
    assert_str(line.content, "Hi");
    assert_str(line.thinking, "hm");
    assert_false(line.done || line.has_error);
    assert_true(ollama_line_useful(&line));

    line = decode_ok("{\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,"
                     "\"done_reason\":\"length\",\"prompt_eval_count\":17,\"eval_count\":11,"
                     "\"eval_duration\":-9223372036854775808}");
    assert_true(line.done);
    assert_false(ollama_line_useful(&line));
    assert_str(line.done_reason, "length");
    assert_int_equal(line.prompt_tokens, 17);
    assert_int_equal(line.completion_tokens, 11);
}

static void test_ollama_line__nulls_and_odd_counts_are_nothing(void **state)
{
    (void)state;
    struct ollama_line line =
        decode_ok("{\"error\":null,\"message\":{\"role\":null,\"content\":null,\"thinking\":null,"
                  "\"images\":null,\"tool_calls\":null},\"done\":true,\"done_reason\":null,"
                  "\"logprobs\":null,\"prompt_eval_count\":-5,\"eval_count\":\"x\"}");
    assert_true(line.done);
    assert_false(line.has_error);
    assert_null(line.tool_calls);
    assert_null(line.logprobs);
    assert_int_equal(line.prompt_tokens, 0);
    assert_int_equal(line.completion_tokens, 0);
    line = decode_ok("{\"message\":{},\"done\":true}");
    assert_int_equal(line.prompt_tokens + line.completion_tokens, 0);
    line = decode_ok("{\"message\":{\"tool_calls\":[]},\"done\":false,\"logprobs\":[]}");
    assert_null(line.tool_calls);
    assert_null(line.logprobs);
}

static void test_ollama_line__finds_the_sentence_of_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want;
        const char *why;
    } cases[] = {
        {"{\"error\":\"boom\"}",                                                               "boom",                                                             "Ollama's own"       },
        {"{\"error\":\"boom\",\"done\":true,\"message\":{\"content\":\"x\"}}",                 "boom",
         "before done"                                                                                                                                                                  },
        {"{\"message\":{\"content\":\"x\"},\"error\":\"boom\"}",                               "boom",                                                             "before text"        },
        {"{\"error\":{\"message\":\"boom\",\"code\":400}}",                                    "boom",                                                             "an object"          },
        {"{\"error\":\"{\\\"error\\\":{\\\"code\\\":400,\\\"message\\\":\\\"boom\\\"}}\"}",    "boom",
         "an object as text"                                                                                                                                                            },
        {"{\"error\":\"{\\\"message\\\":\\\"boom\\\"}\"}",                                     "boom",                                                             "another"            },
        {"{\"error\":\"{\\\"error\\\":\\\"boom\\\"}\"}",                                       "boom",                                                             "text in text"       },
        {"{\"error\":\"{\\\"error\\\":{\\\"type\\\":\\\"exceed_context_size_error\\\",\\\"n_"
         "ctx\\\":4}}\"}",                                                            "{\"error\":{\"type\":\"exceed_context_size_error\",\"n_ctx\":4}}",
         "about the context, as text"                                                                                                                                                   },
        {"{\"error\":{\"type\":\"exceed_context_size_error\",\"message\":\"m\",\"n_ctx\":4}}",
         "{\"type\":\"exceed_context_size_error\",\"message\":\"m\",\"n_ctx\":4}",                                                                                 "the same, an object"},
        {"{\"error\":\"{not json\"}",                                                          "{not json",                                                        "no object after all"},
        {"{\"StatusCode\":429,\"Status\":\"429 Too Many\",\"error\":\"boom\"}",                "boom",                                                             "stub"               },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ollama_line line = decode_ok(cases[i].text);
        if (!line.has_error || !str_eq(line.error, str_z(cases[i].want)) || line.done ||
            ollama_line_useful(&line))
            fail_msg("%s: '%.*s'", cases[i].why, STR_ARG(line.error));
    }
    static const char *const mute[] = {"{\"error\":{}}", "{\"error\":true}", "{\"error\":\"  \"}",
                                       "{\"error\":[1]}", "{\"error\":{\"message\":5}}"};
    for (size_t i = 0; i < COUNT_OF(mute); i++) {
        struct ollama_line line = decode_ok(mute[i]);
        assert_true(line.has_error);
        assert_true(line.error.len > 0);
    }
}

static void test_ollama_line__refuses_what_is_no_answer(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
    } cases[] = {
        {"",                                                                        "nothing"               },
        {"{\"message\":{\"content\":\"x\"}",                                        "cut off"               },
        {"<html>",                                                                  "a page"                },
        {"[]",                                                                      "an array"              },
        {"\"x\"",                                                                   "a string"              },
        {"null",                                                                    "null"                  },
        {"{}",                                                                      "none of the three"     },
        {"{\"model\":\"m\"}",                                                       "none of the three"     },
        {"{\"error\":\"\"}",                                                        "an empty error is none"},
        {"{\"message\":\"x\",\"done\":false}",                                      "a text for a message"  },
        {"{\"message\":{\"content\":5}}",                                           "a number for a text"   },
        {"{\"message\":{\"thinking\":{}}}",                                         "an object for thinking"},
        {"{\"message\":{},\"done\":\"true\"}",                                      "a text for done"       },
        {"{\"message\":{\"tool_calls\":{}}}",                                       "calls are an array"    },
        {"{\"message\":{\"tool_calls\":[5]}}",                                      "a call is an object"   },
        {"{\"message\":{\"tool_calls\":[{}]}}",                                     "a call has a function" },
        {"{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"\"}}]}}",         "with a name"           },
        {"{\"done\":true} {}",                                                      "two objects"           },
        {"{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "too deep"              },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ollama_line line = {.prompt_tokens = 7};
        enum err err = ollama_line_decode(&arena, str_z(cases[i].text), &line, NULL);
        if (err != ERR_SYNTAX)
            fail_msg("%s: %s", cases[i].why, err_name(err));
        assert_int_equal(line.prompt_tokens, 7);
    }
}

static void test_ollama_line__tool_calls_are_kept_as_they_are(void **state)
{
    (void)state;
    struct ollama_line line = decode_ok(
        "{\"message\":{\"tool_calls\":[{\"id\":\"c\",\"function\":{\"index\":0,\"name\":\"f\","
        "\"arguments\":{\"a\":1}}},{\"function\":{\"name\":\"g\"}}]},\"done\":false}");
    assert_int_equal(json_size(line.tool_calls), 2);
    assert_true(ollama_line_useful(&line));
}

static void test_ollama_line__tool_names_are_limited(void **state)
{
    (void)state;
    for (size_t len = 1023; len <= 1025; len++) {
        struct buf text;
        struct ollama_line line;
        buf_init(&text, 4096);
        buf_append(&text, STR("{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\""));
        for (size_t i = 0; i < len; i++)
            buf_append_char(&text, 'n');
        buf_append(&text, STR("\"}}]}}"));
        assert_int_equal(ollama_line_decode(&arena, buf_str(&text), &line, NULL),
                         len <= 1024 ? ERR_OK : ERR_SYNTAX);
        buf_release(&text);
    }
}

static void test_ollama_line__keeps_to_the_arena(void **state)
{
    (void)state;
    struct arena small;
    struct ollama_line line;
    arena_init(&small, 64);
    assert_int_equal(ollama_line_decode(&small, STR("{\"done\":true}"), &line, NULL),
                     ERR_TOO_LARGE);
    arena_release(&small);
}

static void test_ollama_line__error_bodies_are_read_in_all_forms(void **state)
{
    (void)state;
    static const struct {
        str body;
        const char *want;
        bool is_native;
        bool signin;
        const char *why;
    } cases[] = {
        {STR_C("{\"error\":\"model 'x' not found\"}"),                       "model 'x' not found",            true,  false,
         "Ollama's own"                                                                                                                       },
        {STR_C("{\"error\":{\"message\":\"boom\"}}\n"),                      "boom",                           true,  false, "an object"      },
        {STR_C("{\"error\":\"unauthorized\",\"signin_url\":\"https://x\"}"), "unauthorized",                   true,
         true,                                                                                                               "sign in"        },
        {STR_C("{\"error\":\"\"}"),                                          "",                               false, false, "an empty error" },
        {STR_C("{\"message\":\"boom\"}"),                                    "boom",                           false, false, "another program"},
        {STR_C("\"unauthorized\""),                                          "unauthorized",                   false, false, "a JSON text"    },
        {STR_C("unauthorized\n"),                                            "unauthorized",                   false, false, "plain text"     },
        {STR_C("Internal Server Error (ref: 1)"),                            "Internal Server Error (ref: 1)", false, false,
         "plain text"                                                                                                                         },
        {STR_C(""),                                                          "",                               false, false, "nothing"        },
        {STR_C(" \r\n"),                                                     "",                               false, false, "blanks"         },
        {STR_C("<!DOCTYPE html><p>no"),                                      "",                               false, false, "a page"         },
        {STR_C("x <HTML><p>no"),                                             "",                               false, false, "a page, later"  },
        {STR_C("a\xFF"),                                                     "",                               false, false, "not UTF-8"      },
        {STR_C("a\x01"),                                                     "",                               false, false, "binary"         },
        {STR_C("[1]"),                                                       "",                               false, false, "other JSON"     },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ollama_error e;
        ollama_error_decode(&arena, cases[i].body, &e);
        if (!str_eq(e.text, str_z(cases[i].want)) || e.is_native != cases[i].is_native ||
            e.has_signin_url != cases[i].signin)
            fail_msg("%s: '%.*s'", cases[i].why, STR_ARG(e.text));
    }
    struct ollama_error e;
    ollama_error_decode(&arena, STR("{\"error\":\"boom\"}"), &e);
    assert_str(e.text, "boom");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_ollama_line__reads_text_and_end),
        TEST(test_ollama_line__nulls_and_odd_counts_are_nothing),
        TEST(test_ollama_line__finds_the_sentence_of_an_error),
        TEST(test_ollama_line__refuses_what_is_no_answer),
        TEST(test_ollama_line__tool_calls_are_kept_as_they_are),
        TEST(test_ollama_line__tool_names_are_limited),
        TEST(test_ollama_line__keeps_to_the_arena),
        TEST(test_ollama_line__error_bodies_are_read_in_all_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
