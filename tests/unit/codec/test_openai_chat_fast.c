#include "unit.h"

#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "codec/openai_chat_fast.h"

#define USER(text)    "{\"role\":\"user\",\"content\":\"" text "\"}"
#define CHAT(message) "{\"model\":\"m\",\"messages\":[" message "]"
#define WITH(members) CHAT(USER("a")) "," members "}"

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

static str encoded(const struct chat_request *req)
{
    static const struct ollama_defaults defaults = {0};
    struct buf out;
    buf_init(&out, 1 << 16);
    ollama_chat_encode(req, &defaults, &out);
    str copy = arena_copy(&arena, buf_str(&out));
    buf_release(&out);
    return copy;
}

/* What the parser makes of the same body. */
static void parse(const char *text, struct chat_request *ret)
{
    struct openai_fault fault;
    const struct json *body;
    size_t len = strlen(text);
    char *copy = arena_calloc(&arena, len + JSON_PADDING, 1);
    memcpy(copy, text, len);
    assert_int_equal(openai_body_parse(&arena, copy, len, &body, &fault), ERR_OK);
    assert_int_equal(openai_chat_decode(&arena, body, ret, &fault), ERR_OK);
}

static const struct {
    const char *text;
    bool taken;
    const char *why;
} CASES[] = {
    {CHAT(USER("a")) "}",                                                                                 true,  "the least"                                },
    {CHAT(USER("")) "}",                                                                                  true,  "an empty text"                            },
    {CHAT(USER("a text of more than sixteen bytes")) "}",                                                 true,  "a long one"                               },
    {CHAT(USER("\\n\\t\\r\\b\\f\\\\\\\" x")) "}",                                                         true,  "escapes as we write them"                 },
    {CHAT(USER("\xE4\xB8\xAD \xF0\x9F\x98\x80 \xC3\xA9")) "}",                                            true,  "foreign letters"                          },
    {CHAT("{\"role\":\"system\",\"content\":\"b\"}," USER("a") ",{\"role\":\"assistant\","
                                                               "\"content\":\"c\"}," USER("d")) "}",
     true,                                                                                                       "a conversation"                           },
    {WITH("\"stream\":true,\"stream_options\":{\"include_usage\":true}"),                                 true,  "a stream"                                 },
    {WITH("\"stream\":false,\"temperature\":0.70,\"max_tokens\":256"),                                    true,  "options"                                  },
    {WITH("\"top_k\":40,\"seed\":9007199254740991,\"top_p\":1"),                                          true,  "others, out of order"                     },
    {WITH("\"temperature\":2"),                                                                           true,  "the upper end"                            },
    {WITH("\"num_ctx\":1"),                                                                               true,  "the lower end"                            },
    {"{\"messages\":[" USER("a") "],\"model\":\"a/b:1.5\"}",                                              true,  "another order"                            },

    {"",                                                                                                  false, "nothing"                                  },
    {"{}",                                                                                                false, "no members"                               },
    {"{\"model\":\"m\"}",                                                                                 false, "no messages"                              },
    {"{\"messages\":[" USER("a") "]}",                                                                    false, "no model"                                 },
    {CHAT("") "}",                                                                                        false, "no message"                               },
    {CHAT(USER("a")) "} ",                                                                                false, "a blank behind it"                        },
    {CHAT(USER("a")),                                                                                     false, "no end"                                   },
    {CHAT(USER("a") ",") "}",                                                                             false, "a comma too many"                         },
    {CHAT(USER("a") "," USER("b")) "}",                                                                   false, "neighbours of one role"                   },
    {CHAT("{\"role\":\"tool\",\"content\":\"a\"}") "}",                                                   false, "a result of a tool"                       },
    {CHAT("{\"role\":\"User\",\"content\":\"a\"}") "}",                                                   false, "a role in capitals"                       },
    {CHAT("{\"role\":\"user\",\"content\":[]}") "}",                                                      false, "parts"                                    },
    {CHAT("{\"content\":\"a\",\"role\":\"user\"}") "}",                                                   false, "content first"                            },
    {CHAT("{\"role\":\"user\",\"content\":\"a\",\"name\":\"b\"}") "}",                                    false, "a name"                                   },
    {CHAT(USER("a\\/")) "}",                                                                              false, "an escape that we do not write"           },
    {CHAT(USER("\\u0041")) "}",                                                                           false, "an escape of a code unit"                 },
    {CHAT(USER("\\")) "}",                                                                                false, "an escape of the closing quote"           },
    {CHAT(USER("\t")) "}",                                                                                false, "a control"                                },
    {CHAT(USER("\xE2\x80\xA8")) "}",                                                                      false, "a line end that we escape"                },
    {CHAT(USER("\xC2\x85")) "}",                                                                          false, "the other one"                            },
    {CHAT(USER("a\xFF")) "}",                                                                             false, "no UTF-8"                                 },
    {CHAT(USER("\xED\xA0\x80")) "}",                                                                      false, "a surrogate"                              },
    {CHAT(USER("\xC0\x80")) "}",                                                                          false, "an overlong zero"                         },
    {WITH("\"model\":\"n\""),                                                                             false, "a key twice"                              },
    {WITH("\"seed\":1,\"seed\":1"),                                                                       false, "an option twice"                          },
    {WITH("\"max_tokens\":1,\"max_completion_tokens\":1"),                                                false, "two for one native option"                },
    {WITH("\"max_tokens\":0"),                                                                            false, "no limit"                                 },
    {WITH("\"max_tokens\":1.0"),                                                                          false, "an integer with a fraction"               },
    {WITH("\"max_tokens\":2147483648"),                                                                   false, "above the upper end"                      },
    {WITH("\"temperature\":2.00"),                                                                        true,  "the upper end with a fraction of zero"    },
    {WITH("\"temperature\":2.01"),                                                                        false, "a little above"                           },
    {WITH("\"temperature\":3"),                                                                           false, "above the upper end of numbers"           },
    {WITH("\"temperature\":-1"),                                                                          false, "a sign"                                   },
    {WITH("\"temperature\":1e0"),                                                                         false, "an exponent"                              },
    {WITH("\"temperature\":0.5E0"),                                                                       false, "one in capitals"                          },
    {WITH("\"temperature\":01"),                                                                          false, "a leading zero"                           },
    {WITH("\"temperature\":1."),                                                                          false, "no fraction"                              },
    {WITH("\"temperature\":.5"),                                                                          false, "no whole number"                          },
    {WITH("\"temperature\":null"),                                                                        false, "null"                                     },
    {WITH("\"num_ctx\":0"),                                                                               false, "below the lower end"                      },
    {WITH("\"seed\":9007199254740992"),                                                                   false, "beyond what a double counts"              },
    {WITH("\"stream\":1"),                                                                                false, "no boolean"                               },
    {WITH("\"stream_options\":{}"),                                                                       false, "no usage"                                 },
    {WITH("\"user\":\"me\""),                                                                             false, "a member that we do not know"             },
    {WITH("\"x\":"),                                                                                      false, "an unknown one that ends as the body does"},
    {WITH("\"tools\":[]"),                                                                                false, "tools"                                    },
    {"{\"model\":\"\",\"messages\":[" USER("a") "]}",                                                     false, "an empty name"                            },
    {"{\"model\":\"\x7F\",\"messages\":[" USER("a") "]}",                                                 false, "a control in it"                          },
    {"{\"model\":\"\xFF\",\"messages\":[" USER("a") "]}",                                                 false, "no UTF-8 in it"                           },
    {"{\"model\":\"a\\nb\",\"messages\":[" USER("a") "]}",                                                false, "an escape in it"                          },
};

static void test_openai_chat_fast__takes_the_common_shape_as_the_parser_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        struct chat_request fast, full;
        assert_why(openai_chat_fast(str_z(CASES[i].text), &fast) == CASES[i].taken, CASES[i].why);
        if (!CASES[i].taken)
            continue;
        parse(CASES[i].text, &full);
        assert_str_why(fast.model, full.model, CASES[i].why);
        assert_why(fast.stream == full.stream, CASES[i].why);
        assert_why(fast.include_usage == full.include_usage, CASES[i].why);
        assert_str_why(encoded(&fast), encoded(&full), CASES[i].why);
    }
}

/* Names of 512 bytes are taken, longer ones are the parser's to refuse. */
static void test_openai_chat_fast__leaves_long_names(void **state)
{
    (void)state;
    for (int n = OPENAI_MODEL_MAX - 1; n <= OPENAI_MODEL_MAX + 1; n++) {
        struct chat_request req;
        char *name = arena_alloc(&arena, (size_t)n);
        memset(name, 'm', (size_t)n);
        str body =
            arena_printf(&arena, "{\"model\":\"%.*s\",\"messages\":[" USER("a") "]}", n, name);
        assert_int_equal(openai_chat_fast(body, &req), n <= OPENAI_MODEL_MAX);
    }
}

/* Cut anywhere, a body is not taken. */
static void test_openai_chat_fast__needs_the_whole(void **state)
{
    (void)state;
    static const char text[] = WITH("\"stream\":true,\"temperature\":0.5");
    struct chat_request req;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_false(openai_chat_fast(str_of(text, n), &req));
    assert_true(openai_chat_fast(str_of(text, sizeof(text) - 1), &req));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai_chat_fast__takes_the_common_shape_as_the_parser_does),
        cmocka_unit_test(test_openai_chat_fast__leaves_long_names),
        cmocka_unit_test(test_openai_chat_fast__needs_the_whole),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
