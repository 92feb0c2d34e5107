#include "unit.h"

#include "codec/completion_answer.h"
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "codec/openai_completion.h"

static struct arena arena;
static struct buf out;

static const struct answer_head HEAD = {.id = STR_C("cmpl-1"), .created_s = 9, .model = STR_C("m")};

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 256 << 20);
    buf_init(&out, 64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    buf_release(&out);
    return 0;
}

/* ---- requests ---- */

static enum err decode(const char *text, struct completion_request *req, struct openai_fault *fault)
{
    size_t len = strlen(text);
    char *copy = arena_calloc(&arena, len + JSON_PADDING, 1);
    const struct json *body = NULL;
    memcpy(copy, text, len + 1);
    enum err err = openai_body_parse(&arena, copy, len, &body, fault);
    return err != ERR_OK ? err : openai_completion_decode(&arena, body, req, fault);
}

static void test_completion__requests_become_native_ones(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        const char *native;
        const char *why;
    } cases[] = {
        {"\"prompt\":\"a\"",                                                                           "\"prompt\":\"a\",\"stream\":false",                   "nothing that was not said" },
        {"\"prompt\":[\"a\"]",                                                                         "\"prompt\":\"a\",\"stream\":false",                   "a list of one"             },
        {"\"prompt\":\"\"",                                                                            "\"prompt\":\"\",\"stream\":false",                    "empty: the model is loaded"},
        {"\"prompt\":[\"\"]",                                                                          "\"prompt\":\"\",\"stream\":false",                    "the same in a list"        },
        {"\"prompt\":\"a\",\"stream\":true",                                                           "\"prompt\":\"a\",\"stream\":true",                    "stream"                    },
        {"\"prompt\":\"a\",\"suffix\":\"b\"",                                                          "\"prompt\":\"a\",\"suffix\":\"b\",\"stream\":false",
         "suffix"                                                                                                                                                                         },
        {"\"prompt\":\"a\",\"suffix\":\"\"",                                                           "\"prompt\":\"a\",\"stream\":false",
         "an empty one is none"                                                                                                                                                           },
        {"\"prompt\":\"a\",\"raw\":true",                                                              "\"prompt\":\"a\",\"stream\":false,\"raw\":true",      "raw"                       },
        {"\"prompt\":\"a\",\"raw\":false",                                                             "\"prompt\":\"a\",\"stream\":false",                   "not raw"                   },
        {"\"prompt\":\"a\",\"max_tokens\":5,\"temperature\":0.5,\"top_p\":1,\"seed\":3,"
         "\"frequency_penalty\":0,\"presence_penalty\":0.1,\"stop\":[\"x\",\"\"]",            "\"prompt\":\"a\",\"stream\":false,\"options\":{\"temperature\":0.5,\"top_p\":1,"
         "\"frequency_penalty\":0,\"presence_penalty\":0.1,\"seed\":3,\"num_predict\":5,"
         "\"stop\":[\"x\"]}",                                      "options as in chat"        },
        {"\"prompt\":\"a\",\"logprobs\":0",                                                            "\"prompt\":\"a\",\"stream\":false,\"logprobs\":true",
         "0: of the chosen tokens only"                                                                                                                                                   },
        {"\"prompt\":\"a\",\"logprobs\":20",
         "\"prompt\":\"a\",\"stream\":false,\"logprobs\":true,\"top_logprobs\":20",                                                                           "the most"                  },
        {"\"prompt\":\"a\",\"think\":false,\"keep_alive\":0,\"num_ctx\":7,\"options\":{\"a\":1}",
         "\"prompt\":\"a\",\"stream\":false,\"options\":{\"num_ctx\":7,\"a\":1},\"think\":false,"
         "\"keep_alive\":0",                                                                                                                                  "what Ollama's users know"  },
        {"\"prompt\":\"a\",\"suffix\":null,\"raw\":null,\"logprobs\":null,\"echo\":null,"
         "\"best_of\":null,\"n\":null,\"max_tokens\":null,\"stop\":null,\"logit_bias\":null", "\"prompt\":\"a\",\"stream\":false",                   "null is absent"            },
        {"\"prompt\":\"a\",\"echo\":false,\"best_of\":1,\"n\":1,\"logit_bias\":{},\"max_tokens\":0",
         "\"prompt\":\"a\",\"stream\":false",                                                                                                                 "neutral values"            },
        {"\"prompt\":\"a\",\"user\":\"u\",\"messages\":5,\"tools\":7,\"x\":{}",
         "\"prompt\":\"a\",\"stream\":false",                                                                                                                 "unknown fields are ignored"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct completion_request req;
        struct openai_fault fault = {0};
        char text[1024];
        char want[1024];
        snprintf(text, sizeof(text), "{\"model\":\"m\",%s}", cases[i].fields);
        snprintf(want, sizeof(want), "{\"model\":\"m\",%s}", cases[i].native);
        buf_reset(&out);
        if (decode(text, &req, &fault) != ERR_OK)
            fail_msg("%s: %.*s", cases[i].why, STR_ARG(fault.message));
        ollama_generate_encode(&req, &(struct ollama_defaults){0}, &out);
        assert_str_why(buf_str(&out), str_z(want), cases[i].why);
    }
}

static void test_completion__refuses_and_names_the_field(void **state)
{
    (void)state;
#define P "{\"model\":\"m\",\"prompt\":\"a\","
    static const struct {
        const char *body;
        const char *param;
        const char *code;
    } cases[] = {
        {"{\"prompt\":\"a\"}",                          "model",                        "missing_required_parameter"},
        {"{\"model\":\"m\"}",                           "prompt",                       "missing_required_parameter"},
        {"{\"model\":\"m\",\"prompt\":null}",           "prompt",                       "missing_required_parameter"},
        {"{\"model\":\"m\",\"prompt\":5}",              "prompt",                       ""                          },
        {"{\"model\":\"m\",\"prompt\":true}",           "prompt",                       ""                          },
        {"{\"model\":\"m\",\"prompt\":{}}",             "prompt",                       ""                          },
        {"{\"model\":\"m\",\"prompt\":[]}",             "prompt",                       ""                          },
        {"{\"model\":\"m\",\"prompt\":[null]}",         "prompt[0]",                    ""                          },
        {"{\"model\":\"m\",\"prompt\":[1,2]}",          "prompt",                       "unsupported_parameter"     },
        {"{\"model\":\"m\",\"prompt\":[[1,2]]}",        "prompt",                       "unsupported_parameter"     },
        {"{\"model\":\"m\",\"prompt\":[\"a\",\"b\"]}",  "prompt",                       "unsupported_parameter"     },
        {P "\"suffix\":5}",                             "suffix",                       ""                          },
        {P "\"raw\":1}",                                "raw",                          ""                          },
        {P "\"logprobs\":true}",                        "logprobs",                     ""                          },
        {P "\"logprobs\":\"2\"}",                       "logprobs",                     ""                          },
        {P "\"logprobs\":-1}",                          "logprobs",                     ""                          },
        {P "\"logprobs\":21}",                          "logprobs",                     ""                          },
        {P "\"logprobs\":1.5}",                         "logprobs",                     ""                          },
        {P "\"logprobs\":1e300}",                       "logprobs",                     ""                          },
        {P "\"echo\":true}",                            "echo",                         "unsupported_parameter"     },
        {P "\"echo\":1}",                               "echo",                         ""                          },
        {P "\"best_of\":2}",                            "best_of",                      "unsupported_parameter"     },
        {P "\"best_of\":0}",                            "best_of",                      ""                          },
        {P "\"best_of\":\"2\"}",                        "best_of",                      ""                          },
        {P "\"n\":2}",                                  "n",                            "unsupported_parameter"     },
        {P "\"n\":0}",                                  "n",                            ""                          },
        {P "\"logit_bias\":{\"1\":2}}",                 "logit_bias",                   "unsupported_parameter"     },
        {P "\"stream\":\"true\"}",                      "stream",                       ""                          },
        {P "\"stream_options\":[]}",                    "stream_options",               ""                          },
        {P "\"stream_options\":{\"include_usage\":1}}", "stream_options.include_usage", ""                          },
        {P "\"max_tokens\":\"5\"}",                     "max_tokens",                   ""                          },
        {P "\"max_tokens\":1e30}",                      "max_tokens",                   ""                          },
        {P "\"temperature\":\"hot\"}",                  "temperature",                  ""                          },
        {P "\"temperature\":3}",                        "temperature",                  ""                          },
        {P "\"stop\":5}",                               "stop",                         ""                          },
        {P "\"stop\":[5]}",                             "stop",                         ""                          },
        {P "\"seed\":1.5}",                             "seed",                         ""                          },
        {P "\"options\":[]}",                           "options",                      ""                          },
        {P "\"keep_alive\":{}}",                        "keep_alive",                   ""                          },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct completion_request req;
        struct openai_fault fault = {0};
        assert_why(decode(cases[i].body, &req, &fault) == ERR_SYNTAX, cases[i].body);
        assert_str_why(fault.param, str_z(cases[i].param), cases[i].body);
        assert_str_why(fault.code, str_z(cases[i].code), cases[i].body);
        assert_int_equal(fault.status, 400);
    }
}

/* ---- answers ---- */

static struct ollama_line line_of(const char *text)
{
    struct ollama_line line;
    struct err_info info = {0};
    if (ollama_generate_decode(&arena, str_z(text), &line, &info) != ERR_OK)
        fail_msg("%s: %s", text, info.text);
    return line;
}

#define WHOLE                                                                                      \
    "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":9,\"model\":\"m\","             \
    "\"system_fingerprint\":\"fp_ollama\",\"choices\":[{"
#define USAGE(p, c, t)                                                                             \
    "\"usage\":{\"prompt_tokens\":" p ",\"completion_tokens\":" c ",\"total_tokens\":" t "}}"
#define PLAIN          ",\"index\":0,\"logprobs\":null,\"finish_reason\":"
#define TOKEN(t, p, b) "{\"token\":\"" t "\",\"logprob\":" p ",\"bytes\":[" b "]}"

static void test_completion__whole_answers(void **state)
{
    (void)state;
    static const struct {
        const char *native;
        const char *answer;
        const char *why;
    } cases[] = {
        {"{\"response\":\"Hi\",\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":3,"
         "\"eval_count\":2,\"context\":[1,2]}",                                    "\"text\":\"Hi\"" PLAIN "\"stop\"}]," USAGE("3",    "2",                         "5"),                                                                    "plain"                                                                                                                                                              },
        {"{\"response\":\"\",\"done\":true,\"done_reason\":\"load\"}",
         "\"text\":\"\"" PLAIN "\"stop\"}]," USAGE("0",                                                                                         "0",                         "0"),                                                                    "a load"                                                                                                                                                             },
        {"{\"response\":\"\",\"done\":true,\"done_reason\":\"unload\"}",
         "\"text\":\"\"" PLAIN "\"stop\"}]," USAGE("0",                                                                                         "0",                         "0"),                                                                    "an unload"                                                                                                                                                          },
        {"{\"response\":\"a\",\"done\":true,\"done_reason\":\"length\",\"eval_count\":-1}",
         "\"text\":\"a\"" PLAIN "\"length\"}]," USAGE("0",                                                                                      "0",                         "0"),                                                                    "length"                                                                                                                                                             },
        {"{\"response\":\"a\",\"done\":true}",
         "\"text\":\"a\"" PLAIN "\"stop\"}]," USAGE("0",                                                                                        "0",                         "0"),                                                                    "no reason at all"                                                                                                                                                   },
        {"{\"response\":\"a\",\"thinking\":\"hm\",\"done\":true}",
         "\"text\":\"a\",\"index\":0,\"reasoning_content\":\"hm\",\"logprobs\":null,"
         "\"finish_reason\":\"stop\"}]," USAGE("0",                                                                                             "0",                         "0"),
         "thinking is not in the text"                                                                                                                                                                                                                                                                                                                                                                                     },
        {"{\"response\":\"h\xC3\xA9!\",\"done\":true,\"logprobs\":[" TOKEN(
             "h",                                                                  "-1",                                               "104") "," TOKEN("\xC3\xA9", "-2.50",                                                                 "195,169") "," TOKEN("!",                                                                                                                                              "-3",
         "33") "]}",
         "\"text\":\"h\xC3\xA9!\",\"index\":0,\"logprobs\":{\"tokens\":[\"h\",\"\xC3\xA9\",\"!\"],"
         "\"token_logprobs\":[-1,-2.50,-3],\"top_logprobs\":[{\"h\":-1},{\"\xC3\xA9\":-2.50},"
         "{\"!\":-3}],\"text_offset\":[0,1,2]},\"finish_reason\":\"stop\"}]," USAGE("0", "0", "0"),
         "offsets count characters; numbers stay text"},
        {"{\"response\":\"a\",\"done\":true,\"logprobs\":[{\"token\":\"a\",\"logprob\":-1,"
         "\"bytes\":[97],\"top_logprobs\":[" TOKEN("b",                                                                        "-0.5",                                                        "98") "," TOKEN(
             "a",                                                                                "-1",                                                                                                                                                   "97") "," TOKEN("b",                                                                                                                                                                                                                                                                                                                                                                      "-7", "98") "]}]}",
         "\"text\":\"a\",\"index\":0,\"logprobs\":{\"tokens\":[\"a\"],\"token_logprobs\":[-1],"
         "\"top_logprobs\":[{\"a\":-1,\"b\":-0.5}],\"text_offset\":[0]},"
         "\"finish_reason\":\"stop\"}]," USAGE("0", "0", "0"),
         "alternatives, each name once"},
        {"{\"response\":\"\xE6\xB5\xB7\",\"done\":true,\"logprobs\":[" TOKEN(
             "\xEF\xBF\xBD",                            "-1", "230,181") "," TOKEN("\xEF\xBF\xBD",             "-2", "183") "]}",
         "\"text\":\"\xE6\xB5\xB7\",\"index\":0,\"logprobs\":{\"tokens\":[\"bytes:\\\\xe6\\\\xb5\","
         "\"bytes:\\\\xb7\"],\"token_logprobs\":[-1,-2],\"top_logprobs\":["
         "{\"bytes:\\\\xe6\\\\xb5\":-1},{\"bytes:\\\\xb7\":-2}],\"text_offset\":[0,1]},"
         "\"finish_reason\":\"stop\"}]," USAGE("0", "0", "0"),
         "parts of a character"},
        {"{\"response\":\"ab\",\"thinking\":\"hm\",\"done\":true,\"logprobs\":[" TOKEN(
             "hm",                                                                     "-1",                                                                                             "104,109") "," TOKEN("\\n",                                                                                                                     "-1",                                                                                                                                                                                        "10") "," TOKEN("ab",                                                                                                                                                                                                                                                                                                                                                                                     "-2",
         "97,98") "]}",
         "\"text\":\"ab\",\"index\":0,\"reasoning_content\":\"hm\",\"logprobs\":{\"tokens\":"
         "[\"ab\"],\"token_logprobs\":[-2],\"top_logprobs\":[{\"ab\":-2}],\"text_offset\":[0]},"
         "\"finish_reason\":\"stop\"}]," USAGE("0", "0", "0"),
         "tokens of the thinking are left out"},
        {"{\"response\":\"a\",\"done\":true,\"logprobs\":[{}]}",
         "\"text\":\"a\",\"index\":0,\"logprobs\":{\"tokens\":[\"\"],\"token_logprobs\":[null],"
         "\"top_logprobs\":[{\"\":null}],\"text_offset\":[0]},\"finish_reason\":\"stop\"}]," USAGE(
             "0",                                                                          "0",                                                                  "0"),
         "an entry that says nothing"                                                                                                                                                                                                                                                                                  },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char want[2048];
        struct ollama_line line = line_of(cases[i].native);
        snprintf(want, sizeof(want), WHOLE "%s", cases[i].answer);
        buf_reset(&out);
        completion_answer_encode(&HEAD, &line, &out);
        assert_str_why(buf_str(&out), str_z(want), cases[i].why);
    }
}

static void feed(struct completion_stream *s, const char *native, enum chat_step want)
{
    struct ollama_line line = line_of(native);
    assert_int_equal(completion_stream_line(s, &line, &out), want);
}

static void expect_stream(const char *want)
{
    assert_str(buf_str(&out), str_z(want));
}

#define CHUNK(fields) "data: " WHOLE fields "}]}\n\n"

static void test_completion__a_stream(void **state)
{
    (void)state;
    struct completion_stream s;
    completion_stream_init(&s, &HEAD);
    feed(&s, "{\"response\":\"\",\"thinking\":\"hm\",\"done\":false}", CHAT_STEP_USEFUL);
    feed(&s, "{\"response\":\"\",\"done\":false}", CHAT_STEP_NOTHING);
    feed(&s, "{\"response\":\"Hi\",\"done\":false}", CHAT_STEP_USEFUL);
    feed(&s, "{\"response\":\"!\",\"done\":true,\"done_reason\":\"length\"}", CHAT_STEP_FINISHED);
    feed(&s, "{\"response\":\"more\",\"done\":true}", CHAT_STEP_NOTHING);
    completion_stream_fail(&s, &(struct openai_fault){.status = 500}, &out);
    expect_stream(CHUNK("\"text\":\"\",\"index\":0,\"reasoning_content\":\"hm\",\"logprobs\":null,"
                        "\"finish_reason\":null") CHUNK("\"text\":\"Hi\"" PLAIN "null")
                      CHUNK("\"text\":\"!\"" PLAIN "null")
                          CHUNK("\"text\":\"\"" PLAIN "\"length\"") "data: [DONE]\n\n");
    completion_stream_release(&s);
}

static void test_completion__usage_comes_last_and_once(void **state)
{
    (void)state;
    struct completion_stream s;
    struct answer_head head = HEAD;
    head.include_usage = true;
    completion_stream_init(&s, &head);
    feed(&s, "{\"response\":\"Hi\",\"done\":false}", CHAT_STEP_USEFUL);
    feed(&s, "{\"response\":\"\",\"done\":true,\"prompt_eval_count\":3,\"eval_count\":2}",
         CHAT_STEP_FINISHED);
    expect_stream(
        "data: " WHOLE "\"text\":\"Hi\"" PLAIN "null}],\"usage\":null}\n\n"
        "data: " WHOLE "\"text\":\"\"" PLAIN "\"stop\"}],\"usage\":null}\n\n"
        "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":9,\"model\":\"m\","
        "\"system_fingerprint\":\"fp_ollama\",\"choices\":[]," USAGE("3", "2",
                                                                     "5") "\n\n"
                                                                          "data: [DONE]\n\n");
    completion_stream_release(&s);
}

static void test_completion__a_stream_that_fails(void **state)
{
    (void)state;
    struct completion_stream s;
    struct openai_fault fault = openai_fault(FAULT_SERVER, STR(""), STR("boom"));
    completion_stream_init(&s, &HEAD);
    feed(&s, "{\"response\":\"Hi\",\"done\":false}", CHAT_STEP_USEFUL);
    completion_stream_fail(&s, &fault, &out);
    completion_stream_fail(&s, &fault, &out);
    expect_stream(CHUNK(
        "\"text\":\"Hi\"" PLAIN
        "null") "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\",\"param\":null,"
                "\"code\":null}}\n\ndata: [DONE]\n\n");
    completion_stream_release(&s);
}

static void test_completion__offsets_go_on_over_a_stream(void **state)
{
    (void)state;
    struct completion_stream s;
    completion_stream_init(&s, &HEAD);
    feed(&s,
         "{\"response\":\"\xC3\xA9\xC3\xA9\",\"logprobs\":[" TOKEN("\xC3\xA9\xC3\xA9", "-1",
                                                                   "195,169,195,169") "]}",
         CHAT_STEP_USEFUL);
    feed(&s, "{\"response\":\"\",\"done\":false,\"logprobs\":[" TOKEN("?", "-2", "63") "]}",
         CHAT_STEP_USEFUL);
    feed(&s,
         "{\"response\":\"\",\"thinking\":\"hm\",\"done\":false,\"logprobs\":[" TOKEN(
             "hm", "-1", "104,109") "]}",
         CHAT_STEP_USEFUL);
    feed(&s, "{\"response\":\"x\",\"done\":true,\"logprobs\":[" TOKEN("x", "-3", "120") "]}",
         CHAT_STEP_FINISHED);
    assert_true(str_contains(buf_str(&out), STR("\"text_offset\":[0]")));
    assert_true(
        str_contains(buf_str(&out), STR("\"text\":\"\",\"index\":0,\"logprobs\":{\"tokens\":"
                                        "[\"?\"]")));
    assert_true(str_contains(buf_str(&out), STR("\"text_offset\":[2]")));
    assert_true(str_contains(buf_str(&out), STR("\"text_offset\":[3]")));
    assert_false(str_contains(buf_str(&out), STR("[\"hm\"]")));
    completion_stream_release(&s);
}

/* Checks the lines of a stream and gathers its text and the number of its tokens. */
static void gather(struct buf *text, size_t *tokens)
{
    str rest = buf_str(&out);
    str one;
    while (str_cut(rest, '\n', &one, &rest)) {
        const struct json *v = NULL;
        const struct json *choice = NULL;
        assert_true(one.len < CHAT_LINE_MAX);
        if (one.len == 0 || str_eq(one, STR("data: [DONE]")))
            continue;
        assert_true(str_starts(one, STR("data: ")));
        assert_int_equal(json_parse(&arena, str_skip(one, 6), JSON_STRICT, &v, NULL), ERR_OK);
        struct json_iter it = json_iter(json_get(v, STR("choices")));
        assert_true(json_next(&it, NULL, &choice));
        buf_append(text, json_str(json_get(choice, STR("text"))));
        *tokens += json_size(json_get(json_get(choice, STR("logprobs")), STR("tokens")));
    }
}

static void test_completion__no_line_is_too_long(void **state)
{
    (void)state;
    struct completion_stream s;
    struct buf native;
    struct buf text;
    size_t tokens = 0;
    buf_init(&native, 8 << 20);
    buf_init(&text, 8 << 20);
    buf_append(&native, STR("{\"done\":true,\"logprobs\":["));
    for (size_t i = 0; i < 2000; i++) {
        buf_append(&native, i > 0 ? STR(",") : STR(""));
        buf_append(&native, STR("{\"token\":\"\\u2028bcd\",\"logprob\":-1,\"top_logprobs\":["));
        for (size_t k = 0; k < 20; k++)
            buf_printf(&native, "%s{\"token\":\"%zu\",\"logprob\":-2.345}", k > 0 ? "," : "", k);
        buf_append(&native, STR("]}"));
    }
    buf_append(&native, STR("],\"response\":\""));
    for (size_t i = 0; i < 2000; i++)
        buf_append(&native, STR("\\u2028bcd"));
    buf_append(&native, STR("\"}"));
    struct ollama_line line;
    assert_int_equal(ollama_generate_decode(&arena, buf_str(&native), &line, NULL), ERR_OK);
    completion_stream_init(&s, &HEAD);
    assert_int_equal(completion_stream_line(&s, &line, &out), CHAT_STEP_FINISHED);
    gather(&text, &tokens);
    assert_int_equal(text.len, 2000 * 6);
    assert_int_equal(tokens, 2000);
    completion_stream_release(&s);
    buf_release(&native);
    buf_release(&text);
}

/* One token with alternatives that fit no line, and one that fits none itself. */
static void test_completion__monstrous_tokens(void **state)
{
    (void)state;
    struct completion_stream s;
    struct buf native;
    struct buf text;
    size_t tokens = 0;
    buf_init(&native, 8 << 20);
    buf_init(&text, 8 << 20);
    buf_append(&native, STR("{\"done\":true,\"response\":\"a\",\"logprobs\":[{\"token\":\"a\","
                            "\"logprob\":-1,\"top_logprobs\":[{\"logprob\":-1,\"token\":\""));
    for (size_t i = 0; i < 20000; i++)
        buf_append_char(&native, 'x');
    buf_append(&native, STR("\"}]},{\"logprob\":-1,\"token\":\""));
    for (size_t i = 0; i < 20000; i++)
        buf_append_char(&native, 'y');
    buf_append(&native, STR("\"}]}"));
    struct ollama_line line;
    assert_int_equal(ollama_generate_decode(&arena, buf_str(&native), &line, NULL), ERR_OK);
    completion_stream_init(&s, &HEAD);
    assert_int_equal(completion_stream_line(&s, &line, &out), CHAT_STEP_FINISHED);
    gather(&text, &tokens);
    assert_str(buf_str(&text), STR("a"));
    assert_int_equal(tokens, 1);
    completion_stream_release(&s);
    buf_release(&native);
    buf_release(&text);
}

static void test_completion__native_objects(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err err;
        const char *why;
    } cases[] = {
        {"{\"response\":\"a\"}",                                ERR_OK,     "no done is not done"},
        {"{\"done\":true}",                                     ERR_OK,     "no text"            },
        {"{\"response\":null,\"thinking\":null,\"done\":true}", ERR_OK,     "null"               },
        {"{\"message\":{\"content\":\"a\"}}",                   ERR_SYNTAX, "chat's object"      },
        {"{\"response\":5}",                                    ERR_SYNTAX, "type"               },
        {"{\"response\":\"a\",\"thinking\":5}",                 ERR_SYNTAX, "type"               },
        {"{\"response\":\"a\",\"done\":1}",                     ERR_SYNTAX, "type"               },
        {"{}",                                                  ERR_SYNTAX, "nothing"            },
        {"[]",                                                  ERR_SYNTAX, "a list"             },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ollama_line line;
        assert_why(ollama_generate_decode(&arena, str_z(cases[i].text), &line, NULL) ==
                       cases[i].err,
                   cases[i].why);
    }
    struct ollama_line line;
    assert_int_equal(
        ollama_generate_decode(&arena, STR("{\"error\":\"x\",\"done\":true}"), &line, NULL),
        ERR_OK);
    assert_true(line.has_error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_completion__requests_become_native_ones),
        TEST(test_completion__refuses_and_names_the_field),
        TEST(test_completion__whole_answers),
        TEST(test_completion__a_stream),
        TEST(test_completion__usage_comes_last_and_once),
        TEST(test_completion__a_stream_that_fails),
        TEST(test_completion__offsets_go_on_over_a_stream),
        TEST(test_completion__no_line_is_too_long),
        TEST(test_completion__monstrous_tokens),
        TEST(test_completion__native_objects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
