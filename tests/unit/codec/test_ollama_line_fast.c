#include "unit.h"

#include "codec/ollama_line_fast.h"
#include "codec/recording.h"

#define LINE(message, rest)                                                                        \
    STR_C("{\"model\":\"m\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":{\"role\":"        \
          "\"assistant\"," message "},\"done\":" rest "}")
#define TEXT(content) LINE("\"content\":\"" content "\"", "false")
#define END(members)  LINE("\"content\":\"\"", "true" members)

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

static void assert_same(const struct ollama_line *a, const struct ollama_line *b, const char *why)
{
    assert_why(a->has_error == b->has_error && a->done == b->done, why);
    assert_str_why(a->error, b->error, why);
    assert_str_why(a->done_reason, b->done_reason, why);
    assert_str_why(a->thinking, b->thinking, why);
    assert_str_why(a->content, b->content, why);
    assert_why(a->tool_calls == NULL && b->tool_calls == NULL, why);
    assert_why(a->logprobs == NULL && b->logprobs == NULL, why);
    assert_why(a->prompt_tokens == b->prompt_tokens, why);
    assert_why(a->completion_tokens == b->completion_tokens, why);
}

static void test_ollama_line_fast__takes_the_common_shape_as_the_parser_does(void **state)
{
    (void)state;
    static const struct {
        str text;
        bool taken;
        const char *why;
    } cases[] = {
        {TEXT("Hi"),                                          true,     "a text"                                                                                },
        {TEXT(""),                                            true,     "an empty one"                                                                          },
        {TEXT("a text of more than sixteen bytes"),           true,     "a long one"                                                                            },
        {TEXT("\xE4\xB8\xAD\xE6\x96\x87"),                    true,     "foreign letters"                                                                       },
        {TEXT("a\xFFz\xE4"),                                  true,     "what is no UTF-8 stays"                                                                },
        {TEXT("\\n\\t\\r\\b\\f\\/\\\\\\\" x"),                true,     "short escapes"                                                                         },
        {TEXT("\\u003c\\u00E9\\u4e2d\\u0000\\uFFFF"),         true,     "escapes of one unit"                                                                   },
        {TEXT("a text of sixteen\\n and as many more bytes"), true,     "text before and behind it"                                                             },
        {LINE("\"content\":\"\",\"thinking\":\"hm\"",         "false"), true,                                                                                     "thinking"},
        {LINE("\"content\":\"a\",\"thinking\":\"b\"",                                                   "true"),                 true,
         "both, and an end of no words"},
        {END(",\"done_reason\":\"stop\""),                      true,                              "an end with a reason"                                                                                      },
        {END(",\"total_duration\":5,\"load_duration\":0,\"prompt_eval_count\":17,"
             "\"prompt_eval_duration\":3,\"eval_count\":999999999999999999,\"eval_duration\":2"),
         true,        "all counts"},
        {END(",\"eval_count\":11"),                                       true,                                        "some counts"                                                                                                                                                                                             },
        {TEXT("\\ud83d\\ude00"),                                      false,       "a pair of surrogates"},
        {TEXT("\\ud83d"),                             false,                               "half a pair"                                                                                                                                                                                                                            },
        {TEXT("\\x"),                                      false,                "no escape of JSON"},
        {TEXT("\\u12"),                                false,                         "half an escape"                                                                                                                                                                                                                                   },
        {TEXT("\n"),                                   false,                   "a raw control"},
        {TEXT("a\\nb\n"),                                    false,                          "one behind an escape"                                                                                                                                                                                                                                     },
        {END(",\"eval_count\":1000000000000000000"),                             false,            "nineteen digits"},
        {END(",\"eval_count\":-1"),                                  false,                               "a negative count"                                                                                                                                                                                                                                                                         },
        {END(",\"eval_count\":01"),                                 false,           "a leading zero"},
        {END(",\"eval_count\":1.0"),                                   false,                                 "a fraction"                                                                                                                                                                                                                                                                                              },
        {END(",\"eval_count\":1e2"),                                       false,               "an exponent"},
        {END(",\"eval_count\":"),                                      false,                                "no number"                                                                                                                                                                                                                                                                                                                  },
        {END(",\"eval_count\":1,\"eval_count\":2"),                                        false,                 "twice"},
        {END(",\"eval_count\":1,\"total_duration\":2"),                                            false,                                    "another order"                                                                                                                                                                                                                                                                                                                                 },
        {END(",\"done_reason\":\"a\\nb\""),                                    false,         "an escape in the reason"},
        {END(",\"context\":[1]"),                          false,                          "a member more"                                                                                                                                                                                                                                                                                                                                                            },
        {LINE("\"content\":\"\",\"tool_calls\":[]",                                    "false"),                   false,"tool calls"},
        {LINE("\"content\":null",                                              "false"),                        false,                                                                                                                                                                                                                                                                                                                                                                                                          "null"},
        {LINE("\"content\":\"a\"","false,\"error\":\"no\""),false,"an error behind it"},
        {LINE("\"content\":\"a\"",                            "null"),              false,                                                                                                                        "done is null"},
        {STR_C("{\"model\":\"m\"}"),                                                   false,                                    "cut off"                                                                                         },
        {STR_C("{\"model\":\"m"),                                     false,                                             "in a string"},
        {STR_C(""),                                          false,               "nothing"},
        {{NULL, 0},                                      false,  "not even that"                                                                                             },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ollama_line fast;
        struct ollama_line full;
        bool taken = ollama_line_fast(&arena, cases[i].text, &fast);
        assert_why(taken == cases[i].taken, cases[i].why);
        if (!taken)
            continue;
        assert_int_equal(ollama_line_parse(&arena, cases[i].text, &full, NULL), ERR_OK);
        assert_same(&fast, &full, cases[i].why);
    }
}

static void test_ollama_line_fast__every_cut_of_a_line_is_left_to_the_parser(void **state)
{
    (void)state;
    static const str whole =
        LINE("\"content\":\"a\\nb\",\"thinking\":\"c\"", "true,\"done_reason\":\"stop\","
                                                         "\"eval_count\":12");
    for (size_t n = 0; n <= whole.len; n++) {
        struct ollama_line line;
        char *exact = xmalloc(n); // ASan sees a read behind it
        memcpy(exact, whole.p, n);
        assert_int_equal(ollama_line_fast(&arena, str_of(exact, n), &line), n == whole.len);
        free(exact);
    }
}

/* Returns how many lines the body has. */
static size_t take_lines(str body, const char *why)
{
    str text;
    size_t n = 0;
    for (; body.len > 0; n++) {
        struct ollama_line fast;
        struct ollama_line full;
        str_cut(body, '\n', &text, &body);
        assert_why(ollama_line_fast(&arena, text, &fast), why);
        assert_int_equal(ollama_line_parse(&arena, text, &full, NULL), ERR_OK);
        assert_same(&fast, &full, why);
    }
    return n;
}

/* What Ollama really sends. If this fails with a newer recording, the shape has changed. */
static void test_ollama_line_fast__takes_the_recorded_streams(void **state)
{
    (void)state;
    static const char *const names[] = {
        "chat-stream", "chat-stream-length", "chat-think-stream", "chat-format-schema-stream",
        "chat",        "chat-think"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct buf body;
        buf_init(&body, 1 << 20);
        read_recording(names[i], &body);
        assert_why(take_lines(buf_str(&body), names[i]) > 0, names[i]);
        buf_release(&body);
    }
}

static void test_ollama_line_fast__over_budget_it_takes_nothing(void **state)
{
    (void)state;
    static const str text = TEXT("\\n");
    struct arena none;
    struct ollama_line line;
    arena_init(&none, 0);
    assert_false(ollama_line_fast(&none, text, &line));
    assert_int_equal(ollama_line_decode(&none, text, &line, NULL), ERR_TOO_LARGE);
    arena_release(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ollama_line_fast__takes_the_common_shape_as_the_parser_does),
        cmocka_unit_test(test_ollama_line_fast__every_cut_of_a_line_is_left_to_the_parser),
        cmocka_unit_test(test_ollama_line_fast__takes_the_recorded_streams),
        cmocka_unit_test(test_ollama_line_fast__over_budget_it_takes_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
