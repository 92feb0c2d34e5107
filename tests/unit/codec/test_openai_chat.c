#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/ollama_request.h"
#include "codec/openai_chat.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 16 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static enum err decode(const char *text, struct chat_request *req, struct openai_fault *fault)
{
    size_t len = strlen(text);
    char *copy = arena_calloc(&arena, len + JSON_PADDING, 1);
    const struct json *body = NULL;
    memcpy(copy, text, len + 1);
    enum err err = openai_body_parse(&arena, copy, len, &body, fault);
    return err != ERR_OK ? err : openai_chat_decode(&arena, body, req, fault);
}

/* The native request for a body of these fields beside model and one message. */
static void expect_fields(const char *fields, const char *native, const char *why)
{
    struct chat_request req;
    struct openai_fault fault = {0};
    struct buf out;
    char text[4096];
    char want[4096];
    buf_init(&out, 1 << 16);
    snprintf(text, sizeof(text),
             "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]%s}", fields);
    snprintf(want, sizeof(want),
             "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],%s}", native);
    if (decode(text, &req, &fault) != ERR_OK)
        fail_msg("%s: %.*s", why, STR_ARG(fault.message));
    ollama_chat_encode(&req, &(struct ollama_defaults){0}, &out);
    if (!str_eq(buf_str(&out), str_z(want)))
        fail_msg("%s:\nwant %s\ngot  %.*s", why, want, STR_ARG(buf_str(&out)));
    buf_release(&out);
}

static void test_openai_chat__plain_fields_become_native_ones(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        const char *native;
        const char *why;
    } cases[] = {
        {"",                                                                                      "\"stream\":false",                                            "nothing is sent that was not said"                },
        {",\"stream\":true",                                                                      "\"stream\":true",                                             "stream"                                           },
        {",\"stream\":null,\"temperature\":null,\"stop\":null,\"tools\":null,\"think\":null,"
         "\"n\":null,\"response_format\":null,\"options\":null,\"stream_options\":null", "\"stream\":false",                                            "null is absent"                                   },
        {",\"temperature\":0.70,\"top_p\":1e0",
         "\"stream\":false,\"options\":"
         "{\"temperature\":0.70,\"top_p\":1e0}",                                                                                                                 "numbers stay the text they were"                  },
        {",\"presence_penalty\":-2,\"frequency_penalty\":2",
         "\"stream\":false,\"options\":{\"frequency_penalty\":2,\"presence_penalty\":-2}",                                                                       "the ends of a range, in our order"                },
        {",\"seed\":-9223372036854775808",
         "\"stream\":false,\"options\":"
         "{\"seed\":-9223372036854775808}",                                                                                                                      "seeds are 64 bits"                                },
        {",\"max_tokens\":1e2",                                                                   "\"stream\":false,\"options\":{\"num_predict\":100}",
         "integers in any form"                                                                                                                                                                                     },
        {",\"max_tokens\":5,\"max_completion_tokens\":7",
         "\"stream\":false,\"options\":{\"num_predict\":7}",                                                                                                     "the newer name wins"                              },
        {",\"max_completion_tokens\":9",                                                          "\"stream\":false,\"options\":{\"num_predict\":9}",
         "the newer name alone"                                                                                                                                                                                     },
        {",\"max_tokens\":0",                                                                     "\"stream\":false",                                            "0 is no limit, as if absent"                      },
        {",\"stop\":\"END\"",                                                                     "\"stream\":false,\"options\":{\"stop\":[\"END\"]}",           "one text"                                         },
        {",\"stop\":[\"a\",\"\",\"b\"]",                                                          "\"stream\":false,\"options\":{\"stop\":[\"a\",\"b\"]}",
         "empty texts are dropped"                                                                                                                                                                                  },
        {",\"stop\":[]",                                                                          "\"stream\":false",                                            "an empty list would remove the model's own"       },
        {",\"stop\":[\"\"]",                                                                      "\"stream\":false",                                            "an empty text would end each answer"              },
        {",\"stop\":\"\"",                                                                        "\"stream\":false",                                            "the same"                                         },
        {",\"num_ctx\":8192,\"top_k\":20,\"min_p\":0.05,\"repeat_penalty\":1.1",
         "\"stream\":false,\"options\":{\"num_ctx\":8192,\"top_k\":20,\"min_p\":0.05,"
         "\"repeat_penalty\":1.1}",                                                                                                                              "what Ollama's users know"                         },
        {",\"think\":\"high\",\"keep_alive\":-1",
         "\"stream\":false,\"think\":\"high\",\"keep_alive\":-1",                                                                                                "passed on as they are"                            },
        {",\"temperature\":1,\"options\":{\"temperature\":0.1,\"mirostat\":2,\"num_gpu\":null}",
         "\"stream\":false,\"options\":{\"temperature\":0.1,\"mirostat\":2}",                                                                                    "options are merged last; null is absent there too"},
        {",\"stop\":\"a\",\"options\":{\"stop\":[]}",
         "\"stream\":false,\"options\":{\"stop\":[\"a\"]}",                                                                                                      "no empty stop by this way either"                 },
        {",\"stop\":\"a\",\"options\":{\"stop\":\"b\"}",
         "\"stream\":false,\"options\":{\"stop\":[\"b\"]}",                                                                                                      "natively stop is a list"                          },
        {",\"options\":{\"stop\":[\"\",\"b\"]}",                                                  "\"stream\":false,\"options\":{\"stop\":[\"b\"]}",
         "empty texts here"                                                                                                                                                                                         },
        {",\"response_format\":{\"type\":\"text\"}",                                              "\"stream\":false",                                            "text is no format"                                },
        {",\"response_format\":{\"type\":\"json_object\"}",                                       "\"stream\":false,\"format\":\"json\"",
         "JSON"                                                                                                                                                                                                     },
        {",\"response_format\":{\"type\":\" JSON_Schema \",\"json_schema\":{\"name\":\"x\","
         "\"schema\":{\"type\":\"object\",\"a\":1.0}}}",                                 "\"stream\":false,\"format\":{\"type\":\"object\",\"a\":1.0}", "the schema as it is"                              },
        {",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":"
         "{\"type\":\"object\"}}},{\"type\":\"web_search\"}]",                           "\"stream\":false,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
         "\"parameters\":{\"type\":\"object\"}}}]",                                       "unknown kinds of tools are left out"              },
        {",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],"
         "\"tool_choice\":\"none\"",                                                     "\"stream\":false",                                            "none: no tools are sent"                          },
        {",\"tools\":[]",                                                                         "\"stream\":false",                                            "an empty list of tools"                           },
        {",\"logprobs\":true,\"top_logprobs\":20",
         "\"stream\":false,\"logprobs\":true,\"top_logprobs\":20",                                                                                               "the most there is"                                },
        {",\"logprobs\":true,\"top_logprobs\":0",                                                 "\"stream\":false,\"logprobs\":true",
         "none is not sent"                                                                                                                                                                                         },
        {",\"logprobs\":false,\"top_logprobs\":0",                                                "\"stream\":false",                                            "neutral values"                                   },
        {",\"n\":1,\"logit_bias\":{}",                                                            "\"stream\":false",                                            "neutral values"                                   },
        {",\"user\":\"u\",\"metadata\":{\"a\":1},\"store\":true,\"prompt_cache_key\":5,"
         "\"parallel_tool_calls\":false,\"verbosity\":[],\"service_tier\":{},\"x\":1e5", "\"stream\":false",                                            "unknown fields are ignored"                       },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect_fields(cases[i].fields, cases[i].native, cases[i].why);
}

static void expect_messages(const char *messages, const char *native, const char *why)
{
    struct chat_request req;
    struct openai_fault fault = {0};
    struct buf out;
    char text[4096];
    char want[4096];
    buf_init(&out, 1 << 16);
    snprintf(text, sizeof(text), "{\"model\":\"m\",\"messages\":[%s]}", messages);
    snprintf(want, sizeof(want), "{\"model\":\"m\",\"messages\":[%s],\"stream\":false}", native);
    if (decode(text, &req, &fault) != ERR_OK)
        fail_msg("%s: %.*s", why, STR_ARG(fault.message));
    ollama_chat_encode(&req, &(struct ollama_defaults){0}, &out);
    if (!str_eq(buf_str(&out), str_z(want)))
        fail_msg("%s:\nwant %s\ngot  %.*s", why, want, STR_ARG(buf_str(&out)));
    buf_release(&out);
}

static void test_openai_chat__content_comes_in_every_shape(void **state)
{
    (void)state;
#define USER(content) "{\"role\":\"user\",\"content\":" content "}"
    static const struct {
        const char *messages;
        const char *native;
        const char *why;
    } cases[] = {
        {USER("\"q\""),                                                                                USER("\"q\""),                                                            "a text"                      },
        {USER("null"),                                                                                 USER("\"\""),                                                             "null"                        },
        {"{\"role\":\"user\"}",                                                                        USER("\"\""),                                                             "absent"                      },
        {USER("[]"),                                                                                   USER("\"\""),                                                             "no parts"                    },
        {USER("[{\"type\":\"text\",\"text\":\"q\"}]"),                                                 USER("\"q\""),                                                            "one part"                    },
        {USER("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"\"},"
              "{\"type\":\"text\",\"text\":\"b\"}]"),
         USER("\"ab\""),                                                                                                                                                         "one message for all parts"   },
        {USER("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":"
              "{\"url\":\"data:image/png;base64,QUJD\",\"detail\":\"low\"}},"
              "{\"type\":\"image_url\",\"image_url\":\"DATA:image/JPEG;x=1;BASE64,QUI=\"}]"),
         "{\"role\":\"user\",\"content\":\"a\",\"images\":[\"QUJD\",\"QUI=\"]}",                                                                                                 "images"                      },
        {"{\"role\":\"developer\",\"content\":\"a\"},{\"role\":\"SYSTEM\",\"content\":\"b\","
         "\"name\":\"n\"}",                                                                   "{\"role\":\"system\",\"content\":\"a\\n\\nb\"}",                         "roles"                       },
        {"{\"role\":\"assistant\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}",
         "{\"role\":\"assistant\",\"content\":\"no\"}",                                                                                                                          "a refusal is text"           },
        {"{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"hm\"},"
         "{\"role\":\"assistant\",\"content\":\"a\",\"reasoning\":\"ah\"}",                   "{\"role\":\"assistant\",\"content\":\"a\",\"thinking\":\"hm\\n\\nah\"}",
         "thinking, both names"                                                                                                                                                                                },
        {"{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
         "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"z\\\":1.0,\\\"a\\\":2}\"}}"
         ","
         "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}},"
         "{\"function\":{\"name\":\"h\",\"arguments\":{\"x\":1}}}]},"
         "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":[{\"type\":\"text\",\"text\":"
         "\"r\"}]},"
         "{\"role\":\"function\",\"name\":\"f\",\"content\":\"s\"}",                          "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"c1\",\"function\":"
         "{\"name\":\"f\",\"arguments\":{\"z\":1.0,\"a\":2}}},{\"id\":\"c2\",\"function\":"
         "{\"name\":\"g\",\"arguments\":{}}},{\"function\":{\"name\":\"h\",\"arguments\":"
         "{\"x\":1}}}]},{\"role\":\"tool\",\"content\":\"r\",\"tool_name\":\"g\","
         "\"tool_call_id\":\"c2\"},{\"role\":\"tool\",\"content\":\"s\",\"tool_name\":\"f\"}",      "tool calls and their results"},
        {"{\"role\":\"tool\",\"tool_call_id\":\"c9\",\"content\":\"r\"}",
         "{\"role\":\"tool\",\"content\":\"r\",\"tool_call_id\":\"c9\"}",                                                                                                        "an unknown id is kept"       },
        {"{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":null},"
         "{\"role\":\"assistant\",\"content\":\"b\",\"tool_calls\":[]}",                      "{\"role\":\"assistant\",\"content\":\"a\\n\\nb\"}",                      "no calls"                    },
        {USER("\"\\u4e2d \\ud83c\\udf89 \\u2028\""),
         USER("\"\xE4\xB8\xAD \xF0\x9F\x8E\x89 \\u2028\""),                                                                                                                      "unicode"                     },
    };
#undef USER
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect_messages(cases[i].messages, cases[i].native, cases[i].why);
}

#define OK_MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]"
#define FIELD(text) "{\"model\":\"m\"," OK_MESSAGES "," text "}"
#define MESSAGE(text)                                                                              \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}," text "]}"

static const struct {
    const char *body;
    const char *param;
    const char *code;
} REFUSED[] = {
    {"",                                                                                        "",                             ""                          },
    {"{\"model\"",                                                                              "",                             ""                          },
    {"[]",                                                                                      "",                             ""                          },
    {"null",                                                                                    "",                             ""                          },
    {"{\"model\":\"a\",\"model\":\"b\"}",                                                       "",                             ""                          },
    {"{}",                                                                                      "model",                        "missing_required_parameter"},
    {"{\"model\":null," OK_MESSAGES "}",                                                        "model",                        "missing_required_parameter"},
    {"{\"model\":\"\"," OK_MESSAGES "}",                                                        "model",                        "missing_required_parameter"},
    {"{\"model\":5," OK_MESSAGES "}",                                                           "model",                        ""                          },
    {"{\"model\":\"a\\nb\"," OK_MESSAGES "}",                                                   "model",                        ""                          },
    {"{\"model\":\"m\"}",                                                                       "messages",                     "missing_required_parameter"},
    {"{\"model\":\"m\",\"messages\":null}",                                                     "messages",                     "missing_required_parameter"},
    {"{\"model\":\"m\",\"messages\":[]}",                                                       "messages",                     "missing_required_parameter"},
    {"{\"model\":\"m\",\"messages\":\"hi\"}",                                                   "messages",                     ""                          },
    {MESSAGE("5"),                                                                              "messages[1]",                  ""                          },
    {MESSAGE("{\"content\":\"x\"}"),                                                            "messages[1].role",             "missing_required_parameter"},
    {MESSAGE("{\"role\":5}"),                                                                   "messages[1].role",             ""                          },
    {MESSAGE("{\"role\":\"\"}"),                                                                "messages[1].role",             ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":5}"),                                              "messages[1].content",          ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":{}}"),                                             "messages[1].content",          ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[\"x\"]}"),                                        "messages[1].content[0]",       ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{}]}"),                                           "messages[1].content[0].type",  ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
             "{\"type\":\"text\"}]}"),
     "messages[1].content[1].text",                                                                                             ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{}}]}"),
     "messages[1].content[0].type",                                                                                             ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}"),
     "messages[1].content[0].input_audio.data",                                                                                 ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}"),
     "messages[1].content[0].image_url",                                                                                        ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
             "{\"url\":\"https://x/y.png\"}}]}"),
     "messages[1].content[0].image_url",                                                                                        ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
             "\"data:image/png;base64,@@@@\"}]}"),
     "messages[1].content[0].image_url",                                                                                        ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
             "\"data:image/png;base64,QUI\"}]}"),
     "messages[1].content[0].image_url",                                                                                        ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
             "\"data:image/png;base64,QUI\\n=QUI\\n=\"}]}"),
     "messages[1].content[0].image_url",                                                                                        ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":"
             "{\"data\":\"\\n\"}}]}"),
     "messages[1].content[0].input_audio.data",                                                                                 ""                          },
    {MESSAGE("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
             "\"data:image/png,QUJD\"}]}"),
     "messages[1].content[0].image_url",                                                                                        ""                          },
    {MESSAGE("{\"role\":\"assistant\",\"tool_calls\":{}}"),                                     "messages[1].tool_calls",       ""                          },
    {MESSAGE("{\"role\":\"assistant\",\"tool_calls\":[{}]}"),
     "messages[1].tool_calls[0].function.name",                                                                                 ""                          },
    {MESSAGE("{\"role\":\"assistant\",\"tool_calls\":[{\"id\":5,\"function\":{\"name\":"
             "\"f\"}}]}"),
     "messages[1].tool_calls[0].id",                                                                                            ""                          },
    {MESSAGE("{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
             "\"arguments\":\"{bad\"}}]}"),
     "messages[1].tool_calls[0].function.arguments",                                                                            ""                          },
    {MESSAGE("{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
             "\"arguments\":\"[]\"}}]}"),
     "messages[1].tool_calls[0].function.arguments",                                                                            ""                          },
    {MESSAGE("{\"role\":\"tool\",\"tool_call_id\":5}"),                                         "messages[1].tool_call_id",     ""                          },
    {MESSAGE("{\"role\":\"tool\",\"name\":5}"),                                                 "messages[1].name",             ""                          },
    {FIELD("\"stream\":1"),                                                                     "stream",                       ""                          },
    {FIELD("\"stream_options\":true"),                                                          "stream_options",               ""                          },
    {FIELD("\"stream_options\":{\"include_usage\":1}"),                                         "stream_options.include_usage", ""                          },
    {FIELD("\"temperature\":\"hot\""),                                                          "temperature",                  ""                          },
    {FIELD("\"temperature\":2.01"),                                                             "temperature",                  ""                          },
    {FIELD("\"temperature\":-0.01"),                                                            "temperature",                  ""                          },
    {FIELD("\"temperature\":1e999"),                                                            "",                             ""                          },
    {FIELD("\"top_p\":1.01"),                                                                   "top_p",                        ""                          },
    {FIELD("\"presence_penalty\":-2.1"),                                                        "presence_penalty",             ""                          },
    {FIELD("\"frequency_penalty\":2.1"),                                                        "frequency_penalty",            ""                          },
    {FIELD("\"max_tokens\":1.5"),                                                               "max_tokens",                   ""                          },
    {FIELD("\"max_tokens\":-3"),                                                                "max_tokens",                   ""                          },
    {FIELD("\"max_tokens\":2147483648"),                                                        "max_tokens",                   ""                          },
    {FIELD("\"max_completion_tokens\":\"5\""),                                                  "max_completion_tokens",        ""                          },
    {FIELD("\"seed\":1.5"),                                                                     "seed",                         ""                          },
    {FIELD("\"seed\":9223372036854775808"),                                                     "seed",                         ""                          },
    {FIELD("\"num_ctx\":0"),                                                                    "num_ctx",                      ""                          },
    {FIELD("\"min_p\":1.1"),                                                                    "min_p",                        ""                          },
    {FIELD("\"top_k\":-2"),                                                                     "top_k",                        ""                          },
    {FIELD("\"repeat_penalty\":-0.1"),                                                          "repeat_penalty",               ""                          },
    {FIELD("\"stop\":5"),                                                                       "stop",                         ""                          },
    {FIELD("\"stop\":[\"a\",5]"),                                                               "stop",                         ""                          },
    {FIELD("\"n\":2"),                                                                          "n",                            "unsupported_parameter"     },
    {FIELD("\"n\":0"),                                                                          "n",                            ""                          },
    {FIELD("\"n\":\"1\""),                                                                      "n",                            ""                          },
    {FIELD("\"logit_bias\":{\"50256\":-100}"),                                                  "logit_bias",                   "unsupported_parameter"     },
    {FIELD("\"logit_bias\":[]"),                                                                "logit_bias",                   ""                          },
    {FIELD("\"response_format\":\"json\""),                                                     "response_format",              ""                          },
    {FIELD("\"response_format\":{}"),                                                           "response_format.type",         ""                          },
    {FIELD("\"response_format\":{\"type\":\"xml\"}"),                                           "response_format.type",         ""                          },
    {FIELD("\"response_format\":{\"type\":\"json_schema\"}"),                                   "response_format.json_schema",
     "missing_required_parameter"                                                                                                                           },
    {FIELD("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":true}}"),
     "response_format.json_schema.schema",                                                                                      ""                          },
    {FIELD("\"tools\":{}"),                                                                     "tools",                        ""                          },
    {FIELD("\"tools\":[5]"),                                                                    "tools[0]",                     ""                          },
    {FIELD("\"tools\":[{\"type\":\"function\"}]"),                                              "tools[0].function.name",       ""                          },
    {FIELD("\"logprobs\":1"),                                                                   "logprobs",                     ""                          },
    {FIELD("\"logprobs\":true,\"top_logprobs\":21"),                                            "top_logprobs",                 ""                          },
    {FIELD("\"logprobs\":true,\"top_logprobs\":-1"),                                            "top_logprobs",                 ""                          },
    {FIELD("\"logprobs\":true,\"top_logprobs\":1.5"),                                           "top_logprobs",                 ""                          },
    {FIELD("\"top_logprobs\":1"),                                                               "top_logprobs",                 ""                          },
    {FIELD("\"think\":1"),                                                                      "think",                        ""                          },
    {FIELD("\"keep_alive\":true"),                                                              "keep_alive",                   ""                          },
    {FIELD("\"options\":[]"),                                                                   "options",                      ""                          },
};

static void test_openai_chat__refuses_with_the_name_of_the_field(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(REFUSED); i++) {
        struct chat_request req;
        struct openai_fault fault = {0};
        enum err err = decode(REFUSED[i].body, &req, &fault);
        if (err != ERR_SYNTAX || fault.status != 400 || fault.message.len == 0 ||
            !str_eq(fault.param, str_z(REFUSED[i].param)) ||
            !str_eq(fault.code, str_z(REFUSED[i].code)))
            fail_msg("%s: %s %d '%.*s' '%.*s' '%.*s'", REFUSED[i].body, err_name(err), fault.status,
                     STR_ARG(fault.param), STR_ARG(fault.code), STR_ARG(fault.message));
    }
}

static void test_openai_chat__usage_is_asked_for(void **state)
{
    (void)state;
    struct chat_request req = {0};
    struct openai_fault fault;
    assert_int_equal(
        decode(FIELD("\"stream\":true,\"stream_options\":{\"include_usage\":true}"), &req, &fault),
        ERR_OK);
    assert_true(req.stream && req.include_usage);
    assert_int_equal(decode(FIELD("\"stream\":true,\"stream_options\":{}"), &req, &fault), ERR_OK);
    assert_false(req.include_usage);
}

static void test_openai_chat__model_names_are_limited(void **state)
{
    (void)state;
    for (size_t len = 511; len <= 513; len++) {
        char name[600] = {0};
        char text[1024];
        struct chat_request req;
        struct openai_fault fault;
        memset(name, 'm', len);
        snprintf(text, sizeof(text), "{\"model\":\"%s\"," OK_MESSAGES "}", name);
        assert_int_equal(decode(text, &req, &fault), len <= 512 ? ERR_OK : ERR_SYNTAX);
    }
}

static void test_openai_chat__a_small_budget_is_413(void **state)
{
    (void)state;
    char text[] = "{\"model\":\"m\"," OK_MESSAGES "}\0\0\0";
    const size_t enough = 12288;
    for (size_t budget = 0; budget <= enough; budget += 4096) {
        struct arena small;
        struct chat_request req;
        struct openai_fault fault = {.status = 200};
        const struct json *body = NULL;
        char copy[sizeof(text)];
        memcpy(copy, text, sizeof(text));
        arena_init(&small, budget);
        enum err err = openai_body_parse(&small, copy, strlen(copy), &body, &fault);
        if (err == ERR_OK)
            err = openai_chat_decode(&small, body, &req, &fault);
        assert_int_equal(fault.status, err == ERR_OK ? 200 : 413);
        assert_true(budget > 0 || err == ERR_TOO_LARGE);
        assert_true(budget < enough || err == ERR_OK);
        arena_release(&small);
    }
}

static void test_openai_chat__default_context_is_sent_when_none_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *want;
        const char *why;
    } cases[] = {
        {FIELD("\"user\":\"u\""),                 "\"options\":{\"num_ctx\":4096}",            "our default"  },
        {FIELD("\"num_ctx\":8192"),               "\"options\":{\"num_ctx\":8192}",            "the field"    },
        {FIELD("\"options\":{\"num_ctx\":7}"),    "\"options\":{\"num_ctx\":7}",               "the option"   },
        {FIELD("\"options\":{\"num_ctx\":null}"), "\"options\":{\"num_ctx\":4096}",            "null"         },
        {FIELD("\"seed\":1"),                     "\"options\":{\"seed\":1,\"num_ctx\":4096}", "beside others"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct chat_request req;
        struct openai_fault fault;
        struct buf out;
        buf_init(&out, 1 << 16);
        assert_int_equal(decode(cases[i].body, &req, &fault), ERR_OK);
        ollama_chat_encode(&req, &(struct ollama_defaults){.num_ctx = 4096}, &out);
        if (!str_contains(buf_str(&out), str_z(cases[i].want)))
            fail_msg("%s: %.*s", cases[i].why, STR_ARG(buf_str(&out)));
        buf_release(&out);
    }
}

static void test_openai_chat__a_native_body_too_large_is_noticed(void **state)
{
    (void)state;
    struct chat_request req;
    struct openai_fault fault;
    struct buf out;
    buf_init(&out, 40);
    assert_int_equal(decode(FIELD("\"seed\":1"), &req, &fault), ERR_OK);
    ollama_chat_encode(&req, &(struct ollama_defaults){0}, &out);
    assert_false(buf_ok(&out));
    buf_release(&out);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_openai_chat__plain_fields_become_native_ones),
        TEST(test_openai_chat__content_comes_in_every_shape),
        TEST(test_openai_chat__refuses_with_the_name_of_the_field),
        TEST(test_openai_chat__usage_is_asked_for),
        TEST(test_openai_chat__model_names_are_limited),
        TEST(test_openai_chat__a_small_budget_is_413),
        TEST(test_openai_chat__default_context_is_sent_when_none_is_said),
        TEST(test_openai_chat__a_native_body_too_large_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
