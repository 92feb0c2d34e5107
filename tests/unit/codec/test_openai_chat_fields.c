/*
 * Every field of POST /v1/chat/completions with every kind of value: what is accepted becomes a
 * native request, the rest is a 400 that names the field; nothing else happens.
 */
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "unit.h"

enum { LONG_BYTES = 100000, DEEP = 50 };

enum value {
    NUL = 1 << 0,
    BOOL = 1 << 1,
    INT = 1 << 2,
    NEG = 1 << 3,
    FRAC = 1 << 4,
    BIG = 1 << 5,
    EMPTY = 1 << 6,
    TEXT = 1 << 7,
    LONG = 1 << 8,
    LIST = 1 << 9,
    TEXTS = 1 << 10,
    NUMBERS = 1 << 11,
    OBJECT = 1 << 12,
    MEMBER = 1 << 13,
    NESTED = 1 << 14,
    ANY = (1 << 15) - 1,
    ANY_TEXT = EMPTY | TEXT | LONG,
};

/* Long values are made when the tests begin. */
static char long_text[LONG_BYTES + 3];
static char nested[2 * DEEP + 1];

static const struct {
    enum value value;
    const char *text;
} VALUES[] = {
    {NUL,     "null"     },
    {BOOL,    "true"     },
    {INT,     "1"        },
    {NEG,     "-5"       },
    {FRAC,    "1.5"      },
    {BIG,     "1e300"    },
    {EMPTY,   "\"\""     },
    {TEXT,    "\"x\""    },
    {LONG,    long_text  },
    {LIST,    "[]"       },
    {TEXTS,   "[\"x\"]"  },
    {NUMBERS, "[5]"      },
    {OBJECT,  "{}"       },
    {MEMBER,  "{\"x\":1}"},
    {NESTED,  nested     },
};

#define BODY(fields)                                                                               \
    "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]," fields "}"
#define TOP(name)        BODY("\"" name "\":@")
#define FIRST(fields)    "{\"model\":\"m\",\"messages\":[{" fields "}]}"
#define PART(fields)     FIRST("\"role\":\"user\",\"content\":[{" fields "}]")
#define CALL(fields)     FIRST("\"role\":\"assistant\",\"tool_calls\":[{" fields "}]")
#define TOOL(fields)     BODY("\"tools\":[{" fields "}]")
#define FUNCTION(fields) TOOL("\"type\":\"function\",\"function\":{" fields "}")
#define SCHEMA(fields)   FUNCTION("\"name\":\"f\",\"parameters\":{" fields "}")
#define PROPERTY(fields) SCHEMA("\"properties\":{\"p\":{" fields "}}")
#define CHOICE(value)                                                                              \
    BODY("\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_"               \
         "choice\":" value)
#define FORMAT(fields) BODY("\"response_format\":{" fields "}")
#define FORM(fields)   FORMAT("\"type\":\"json_schema\",\"json_schema\":{" fields "}")

// clang-format off
static const struct field {
    const char *body; // with @ where the value goes
    const char *param;
    unsigned accepted;
} FIELDS[] = {
    {"{\"model\":@,\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}", "model", TEXT},
    {"{\"model\":\"m\",\"messages\":@}", "messages", 0},
    {"{\"model\":\"m\",\"messages\":[@]}", "messages[0]", 0},
    {FIRST("\"role\":@,\"content\":\"q\""), "messages[0].role", TEXT},
    {FIRST("\"role\":\"user\",\"content\":@"), "messages[0].content", NUL | ANY_TEXT | LIST},
    {FIRST("\"role\":\"user\",\"content\":[@]"), "messages[0].content[0]", 0},
    {PART("\"type\":@,\"text\":\"q\""), "messages[0].content[0].type", 0},
    {PART("\"type\":\"text\",\"text\":@"), "messages[0].content[0].text", ANY_TEXT},
    {PART("\"type\":\"refusal\",\"refusal\":@"), "messages[0].content[0].refusal", ANY_TEXT},
    {PART("\"type\":\"image_url\",\"image_url\":@"), "messages[0].content[0].image_url", 0},
    {PART("\"type\":\"image_url\",\"image_url\":{\"url\":@}"), "messages[0].content[0].image_url", 0},
    {FIRST("\"role\":\"assistant\",\"reasoning_content\":@"), "messages[0].reasoning_content",
     NUL | ANY_TEXT},
    {FIRST("\"role\":\"assistant\",\"reasoning\":@"), "messages[0].reasoning", NUL | ANY_TEXT},
    {FIRST("\"role\":\"assistant\",\"tool_calls\":@"), "messages[0].tool_calls", NUL | LIST},
    {FIRST("\"role\":\"assistant\",\"tool_calls\":[@]"), "messages[0].tool_calls[0]", 0},
    {FIRST("\"role\":\"assistant\",\"name\":@"), "", ANY},
    {FIRST("\"role\":\"assistant\",\"refusal\":@"), "", ANY},
    {FIRST("\"role\":\"assistant\",\"audio\":@"), "", ANY},
    {FIRST("\"role\":\"assistant\",\"function_call\":@"), "", ANY},
    {CALL("\"id\":@,\"function\":{\"name\":\"f\"}"), "messages[0].tool_calls[0].id", NUL | ANY_TEXT},
    {CALL("\"type\":@,\"function\":{\"name\":\"f\"}"), "", ANY},
    {CALL("\"function\":@"), "messages[0].tool_calls[0].function", 0},
    {CALL("\"function\":{\"name\":@}"), "messages[0].tool_calls[0].function.name", TEXT | LONG},
    {CALL("\"function\":{\"name\":\"f\",\"arguments\":@}"),
     "messages[0].tool_calls[0].function.arguments", NUL | EMPTY | OBJECT | MEMBER},
    {FIRST("\"role\":\"tool\",\"content\":@"), "messages[0].content", NUL | ANY_TEXT | LIST},
    {FIRST("\"role\":\"tool\",\"tool_call_id\":@"), "messages[0].tool_call_id", NUL | ANY_TEXT},
    {FIRST("\"role\":\"tool\",\"name\":@"), "messages[0].name", NUL | ANY_TEXT},

    {TOP("stream"), "stream", NUL | BOOL},
    {TOP("stream_options"), "stream_options", NUL | OBJECT | MEMBER},
    {BODY("\"stream_options\":{\"include_usage\":@}"), "stream_options.include_usage", NUL | BOOL},
    {TOP("temperature"), "temperature", NUL | INT | FRAC},
    {TOP("top_p"), "top_p", NUL | INT},
    {TOP("frequency_penalty"), "frequency_penalty", NUL | INT | FRAC},
    {TOP("presence_penalty"), "presence_penalty", NUL | INT | FRAC},
    {TOP("seed"), "seed", NUL | INT | NEG},
    {TOP("max_completion_tokens"), "max_completion_tokens", NUL | INT},
    {TOP("max_tokens"), "max_tokens", NUL | INT},
    {TOP("num_ctx"), "num_ctx", NUL | INT},
    {TOP("top_k"), "top_k", NUL | INT},
    {TOP("min_p"), "min_p", NUL | INT},
    {TOP("repeat_penalty"), "repeat_penalty", NUL | INT | FRAC},
    {TOP("stop"), "stop", NUL | ANY_TEXT | LIST | TEXTS},
    {TOP("n"), "n", NUL | INT},
    {TOP("logit_bias"), "logit_bias", NUL | OBJECT},
    {TOP("logprobs"), "logprobs", NUL | BOOL},
    {BODY("\"logprobs\":true,\"top_logprobs\":@"), "top_logprobs", NUL | INT},
    {TOP("top_logprobs"), "top_logprobs", NUL},

    {TOP("response_format"), "response_format", NUL},
    {FORMAT("\"type\":@"), "response_format.type", 0},
    {FORMAT("\"type\":\"json_schema\",\"json_schema\":@"), "response_format.json_schema", 0},
    {FORM("\"schema\":@"), "response_format.json_schema.schema", OBJECT | MEMBER},
    {FORM("\"schema\":{},\"name\":@"), "response_format.json_schema.name", NUL | ANY_TEXT},
    {FORM("\"schema\":{},\"strict\":@"), "response_format.json_schema.strict", NUL | BOOL},
    {FORM("\"schema\":{},\"description\":@"), "", ANY},

    {TOP("tools"), "tools", NUL | LIST},
    {BODY("\"tools\":[@]"), "tools[0]", 0},
    {TOOL("\"type\":@,\"function\":{\"name\":\"f\"}"), "tools[0].type", NUL | ANY_TEXT},
    {TOOL("\"type\":\"function\",\"function\":@"), "tools[0].function", 0},
    {FUNCTION("\"name\":@"), "tools[0].function.name", TEXT | LONG},
    {FUNCTION("\"name\":\"f\",\"description\":@"), "tools[0].function.description", NUL | ANY_TEXT},
    {FUNCTION("\"name\":\"f\",\"strict\":@"), "", ANY},
    {FUNCTION("\"name\":\"f\",\"parameters\":@"), "tools[0].function.parameters",
     NUL | BOOL | OBJECT | MEMBER},
    {SCHEMA("\"type\":@"), "", ANY},
    {SCHEMA("\"required\":@"), "", ANY},
    {SCHEMA("\"properties\":@"), "", ANY},
    {SCHEMA("\"$defs\":@"), "", ANY},
    {SCHEMA("\"properties\":{\"p\":@}"), "", ANY},
    {PROPERTY("\"type\":@"), "", ANY},
    {PROPERTY("\"description\":@"), "", ANY},
    {PROPERTY("\"enum\":@"), "", ANY},
    {PROPERTY("\"anyOf\":@"), "", ANY},
    {PROPERTY("\"items\":@"), "", ANY},
    {PROPERTY("\"properties\":@"), "", ANY},
    {PROPERTY("\"required\":@"), "", ANY},
    {CHOICE("@"), "tool_choice", NUL},
    {CHOICE("{\"type\":@}"), "tool_choice.type", 0},
    {CHOICE("{\"type\":\"function\",\"function\":@}"), "tool_choice.function", 0},
    {CHOICE("{\"type\":\"function\",\"function\":{\"name\":@}}"), "tool_choice", 0},
    {CHOICE("{\"type\":\"allowed_tools\",\"allowed_tools\":@}"), "tool_choice.allowed_tools", 0},
    {CHOICE("{\"type\":\"allowed_tools\",\"allowed_tools\":{\"tools\":@}}"), "tool_choice", 0},

    {TOP("reasoning_effort"), "reasoning_effort", NUL | EMPTY},
    {TOP("reasoning"), "reasoning", NUL | OBJECT | MEMBER},
    {BODY("\"reasoning\":{\"effort\":@}"), "reasoning.effort", NUL | EMPTY},
    {TOP("think"), "think", NUL | BOOL},
    {TOP("keep_alive"), "keep_alive", NUL | INT | NEG | FRAC | BIG | ANY_TEXT},
    {TOP("options"), "options", NUL | OBJECT | MEMBER},

    {TOP("user"), "", ANY},
    {TOP("metadata"), "", ANY},
    {TOP("store"), "", ANY},
    {TOP("service_tier"), "", ANY},
    {TOP("parallel_tool_calls"), "", ANY},
    {TOP("functions"), "", ANY},
    {TOP("function_call"), "", ANY},
    {TOP("format"), "", ANY},
    {TOP("modalities"), "", ANY},
    {TOP("audio"), "", ANY},
    {TOP("prediction"), "", ANY},
    {TOP("verbosity"), "", ANY},
    {TOP("web_search_options"), "", ANY},
    {TOP("safety_identifier"), "", ANY},
    {TOP("prompt_cache_key"), "", ANY},
};
// clang-format on

static int setup(void **state)
{
    (void)state;
    memset(long_text, 'x', LONG_BYTES + 2);
    long_text[0] = '"';
    long_text[LONG_BYTES + 1] = '"';
    memset(nested, '[', DEEP);
    memset(nested + DEEP, ']', DEEP);
    return 0;
}

static str fill(struct arena *a, const char *body, const char *value)
{
    str before;
    str after;
    assert_true(str_cut(str_z(body), '@', &before, &after));
    return arena_printf(a, "%.*s%s%.*s%c%c%c%c", STR_ARG(before), value, STR_ARG(after), 0, 0, 0,
                        0);
}

static void check_native(struct arena *a, const struct chat_request *req, const char *body)
{
    struct buf out;
    const struct json *v = NULL;
    buf_init(&out, 1 << 20);
    ollama_chat_encode(req, &(struct ollama_defaults){0}, &out);
    assert_why(buf_ok(&out), body);
    assert_why(json_parse(a, buf_str(&out), JSON_STRICT, &v, NULL) == ERR_OK, body);
    buf_release(&out);
}

static void check_refusal(const struct field *f, size_t i, const struct openai_fault *fault)
{
    bool named = str_starts(fault->param, str_z(f->param)) && fault->param.len > 0;
    bool too_deep = VALUES[i].value == NESTED && fault->param.len == 0;
    if (fault->status != 400 || fault->message.len == 0 || (!named && !too_deep))
        fail_msg("%s with %.20s: %d '%.*s' '%.*s'", f->body, VALUES[i].text, fault->status,
                 STR_ARG(fault->param), STR_ARG(fault->message));
}

static void run(const struct field *f, size_t i)
{
    struct arena a;
    struct chat_request req;
    struct openai_fault fault = {0};
    const struct json *body = NULL;
    arena_init(&a, 16 << 20);
    str text = fill(&a, f->body, VALUES[i].text);
    assert_non_null(text.p);
    char *copy = arena_alloc(&a, text.len);
    memcpy(copy, text.p, text.len);
    enum err err = openai_body_parse(&a, copy, text.len - JSON_PADDING, &body, &fault);
    if (err == ERR_OK)
        err = openai_chat_decode(&a, body, &req, &fault);
    bool accepted = (f->accepted & VALUES[i].value) != 0;
    bool too_deep = VALUES[i].value == NESTED && err != ERR_OK && fault.param.len == 0;
    if ((err == ERR_OK) != accepted && !too_deep)
        fail_msg("%s with %.20s: %s '%.*s'", f->body, VALUES[i].text, err_name(err),
                 STR_ARG(fault.message));
    if (err == ERR_OK)
        check_native(&a, &req, f->body);
    else
        check_refusal(f, i, &fault);
    arena_release(&a);
}

static void test_openai_chat_fields__each_value_is_taken_or_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(FIELDS); i++) {
        for (size_t j = 0; j < COUNT_OF(VALUES); j++)
            run(&FIELDS[i], j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openai_chat_fields__each_value_is_taken_or_refused_by_name),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
