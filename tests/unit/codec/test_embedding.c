#include "unit.h"

#include "codec/embedding_answer.h"
#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "codec/openai_embedding.h"

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

/* ---- requests ---- */

static enum err decode(const char *text, struct embedding_request *req, struct openai_fault *fault)
{
    size_t len = strlen(text);
    char *copy = arena_calloc(&arena, len + JSON_PADDING, 1);
    const struct json *body = NULL;
    memcpy(copy, text, len + 1);
    enum err err = openai_body_parse(&arena, copy, len, &body, fault);
    return err != ERR_OK ? err : openai_embedding_decode(&arena, body, req, fault);
}

static void test_embedding__requests_become_native_ones(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        const char *native;
        size_t n_inputs;
        bool base64;
        const char *why;
    } cases[] = {
        {"\"input\":\"a\"",                                                                       "\"input\":\"a\"",                           1, false, "one text"                      },
        {"\"input\":[\"a\"]",                                                                     "\"input\":[\"a\"]",                         1, false, "a list of one"                 },
        {"\"input\":[\"a\",\"b\",\"\"]",                                                          "\"input\":[\"a\",\"b\",\"\"]",              3, false, "in order"                      },
        {"\"input\":\"\"",                                                                        "\"input\":[\"\"]",                          1, false, "an empty text has a vector too"},
        {"\"input\":\"\\u00e9\\n\"",                                                              "\"input\":\"\xC3\xA9\\n\"",                 1, false, "escapes"                       },
        {"\"input\":\"a\",\"encoding_format\":\"float\"",                                         "\"input\":\"a\"",                           1, false, "float"                         },
        {"\"input\":\"a\",\"encoding_format\":\"base64\"",                                        "\"input\":\"a\"",                           1, true,  "base64"                        },
        {"\"input\":\"a\",\"encoding_format\":\"BASE64\"",                                        "\"input\":\"a\"",                           1, true,  "any case"                      },
        {"\"input\":\"a\",\"encoding_format\":null",                                              "\"input\":\"a\"",                           1, false, "null: float"                   },
        {"\"input\":\"a\",\"encoding_format\":\"\"",                                              "\"input\":\"a\"",                           1, false, "empty: float"                  },
        {"\"input\":\"a\",\"dimensions\":8",                                                      "\"input\":\"a\",\"dimensions\":8",          1, false,
         "passed on"                                                                                                                                                                     },
        {"\"input\":\"a\",\"dimensions\":1e2",                                                    "\"input\":\"a\",\"dimensions\":100",        1, false,
         "an integer in any form"                                                                                                                                                        },
        {"\"input\":\"a\",\"dimensions\":2147483647",                                             "\"input\":\"a\",\"dimensions\":2147483647",
         1,                                                                                                                                       false, "the largest"                   },
        {"\"input\":\"a\",\"dimensions\":null,\"truncate\":null,\"keep_alive\":null,"
         "\"options\":null",                                                             "\"input\":\"a\"",                           1, false, "null is absent"                },
        {"\"input\":\"a\",\"truncate\":false,\"keep_alive\":\"5m\",\"options\":{\"num_ctx\":99}",
         "\"input\":\"a\",\"truncate\":false,\"options\":{\"num_ctx\":99},\"keep_alive\":\"5m\"",                                              1,
         false,                                                                                                                                          "what Ollama's users know"      },
        {"\"input\":\"a\",\"user\":\"u\",\"x\":[1]",                                              "\"input\":\"a\"",                           1, false,
         "unknown fields are ignored"                                                                                                                                                    },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct embedding_request req = {0};
        struct openai_fault fault = {0};
        struct buf out;
        char text[1024];
        char want[1024];
        snprintf(text, sizeof(text), "{\"model\":\"m\",%s}", cases[i].fields);
        snprintf(want, sizeof(want), "{\"model\":\"m\",%s}", cases[i].native);
        buf_init(&out, 1 << 16);
        if (decode(text, &req, &fault) != ERR_OK)
            fail_msg("%s: %.*s", cases[i].why, STR_ARG(fault.message));
        ollama_embed_encode(&req, &out);
        assert_str_why(buf_str(&out), str_z(want), cases[i].why);
        assert_why(req.wish.n_inputs == cases[i].n_inputs, cases[i].why);
        assert_why(req.wish.base64 == cases[i].base64, cases[i].why);
        buf_release(&out);
    }
}

static void test_embedding__refuses_and_names_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *param;
        const char *code;
        const char *why;
    } cases[] = {
        {"{\"input\":\"a\"}",                                             "model",           "missing_required_parameter", "no model"             },
        {"{\"model\":null,\"input\":\"a\"}",                              "model",           "missing_required_parameter", "null"                 },
        {"{\"model\":\"\",\"input\":\"a\"}",                              "model",           "missing_required_parameter", "empty"                },
        {"{\"model\":5,\"input\":\"a\"}",                                 "model",           "",                           "a number"             },
        {"{\"model\":\"m\"}",                                             "input",           "missing_required_parameter", "no input"             },
        {"{\"model\":\"m\",\"input\":null}",                              "input",           "missing_required_parameter", "null"                 },
        {"{\"model\":\"m\",\"input\":[]}",                                "input",           "",                           "empty"                },
        {"{\"model\":\"m\",\"input\":5}",                                 "input",           "",                           "a number"             },
        {"{\"model\":\"m\",\"input\":true}",                              "input",           "",                           "a boolean"            },
        {"{\"model\":\"m\",\"input\":{}}",                                "input",           "",                           "an object"            },
        {"{\"model\":\"m\",\"input\":[1,2]}",                             "input",           "unsupported_parameter",      "tokens"               },
        {"{\"model\":\"m\",\"input\":[[1,2],[3]]}",                       "input",           "unsupported_parameter",      "tokens"               },
        {"{\"model\":\"m\",\"input\":[\"a\",1]}",                         "input",           "unsupported_parameter",      "a mix"                },
        {"{\"model\":\"m\",\"input\":[\"a\",null]}",                      "input[1]",        "",                           "null in the list"     },
        {"{\"model\":\"m\",\"input\":[{}]}",                              "input[0]",        "",                           "an object in the list"},
        {"{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":\"hex\"}", "encoding_format", "",
         "unknown"                                                                                                                                },
        {"{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":5}",       "encoding_format", "",                           "type"                 },
        {"{\"model\":\"m\",\"input\":\"a\",\"dimensions\":0}",            "dimensions",      "",                           "none"                 },
        {"{\"model\":\"m\",\"input\":\"a\",\"dimensions\":-1}",           "dimensions",      "",                           "less"                 },
        {"{\"model\":\"m\",\"input\":\"a\",\"dimensions\":1.5}",          "dimensions",      "",                           "a fraction"           },
        {"{\"model\":\"m\",\"input\":\"a\",\"dimensions\":2147483648}",   "dimensions",      "",                           "huge"                 },
        {"{\"model\":\"m\",\"input\":\"a\",\"dimensions\":1e300}",        "dimensions",      "",                           "huge"                 },
        {"{\"model\":\"m\",\"input\":\"a\",\"dimensions\":\"8\"}",        "dimensions",      "",                           "type"                 },
        {"{\"model\":\"m\",\"input\":\"a\",\"truncate\":1}",              "truncate",        "",                           "type"                 },
        {"{\"model\":\"m\",\"input\":\"a\",\"keep_alive\":[]}",           "keep_alive",      "",                           "type"                 },
        {"{\"model\":\"m\",\"input\":\"a\",\"options\":\"x\"}",           "options",         "",                           "type"                 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct embedding_request req = {0};
        struct openai_fault fault = {0};
        assert_why(decode(cases[i].body, &req, &fault) == ERR_SYNTAX, cases[i].why);
        assert_str_why(fault.param, str_z(cases[i].param), cases[i].body);
        assert_str_why(fault.code, str_z(cases[i].code), cases[i].body);
        assert_int_equal(fault.status, 400);
    }
}

static void test_embedding__token_ids_name_the_setting(void **state)
{
    (void)state;
    struct embedding_request req = {0};
    struct openai_fault fault = {0};
    assert_int_equal(decode("{\"model\":\"m\",\"input\":[[1,2]]}", &req, &fault), ERR_SYNTAX);
    assert_true(str_contains(fault.message, STR("check_embedding_ctx_length=False")));
}

/* ---- answers ---- */

#define USAGE(n)   "],\"model\":\"m\",\"usage\":{\"prompt_tokens\":" n ",\"total_tokens\":" n "}}"
#define ITEM(i, v) "{\"object\":\"embedding\",\"index\":" i ",\"embedding\":" v "}"

static const struct {
    const char *native;
    struct embedding_wish wish;
    const char *answer; // NULL: none
    const char *why;
} ANSWERS[] = {
    {"{\"embeddings\":[[0.1,-0.2,0.3]],\"prompt_eval_count\":7}",
     {1, true},
     ITEM("0",                                                                                               "\"zczMPc3MTL6amZk+\"") USAGE("7"),
     "three floats have no padding"},
    {"{\"embeddings\":[[1.0,-0.5]]}",
     {1, true},
     ITEM("0",                                                                                              "\"AACAPwAAAL8=\"") USAGE("0"),
     "two have one sign of it; counts may be absent"},
    {"{\"embeddings\":[[1]]}",             {1, true},                                          ITEM("0",                             "\"AACAPw==\"") USAGE("0"),                                                                                                                                              "one has two"},
    {"{\"embeddings\":[[]]}",                                 {1, true},                                                 ITEM("0",                               "\"\"") USAGE("0"),  "an empty vector"},
    {"{\"embeddings\":[[]]}",                                                   {1, false},              ITEM("0","[]") USAGE("0"),                                                                                                              "an empty vector"},
    {"{\"embeddings\":[[0.10,-1e-2]]}",
     {1, false},
     ITEM("0",                         "[0.10,-1e-2]") USAGE("0"),
     "numbers stay the text they were"},
    {"{\"embeddings\":[[1],[2],[3]],\"prompt_eval_count\":-3}",
     {3, false},
     ITEM("0",                                                                                               "[1]") "," ITEM("1",                                                                                                                                                                                   "[2]") "," ITEM("2", "[3]") USAGE("0"),
     "order and indexes; a count below zero is none"},
    {" { \"model\" : \"x\" , \"embeddings\" : [ [ 1 , 2 ] , [ 3 ] ] , \"x\":[{}] } ",
     {2, true},
     ITEM("0",                                                                                             "\"AACAPwAAAEA=\"") "," ITEM("1",                                                                                                                                                                                                                                       "\"AABAQA==\"") USAGE("0"),
     "blanks"},
    {"{\"a\":\"\\\"embeddings\\\":[[9]]\",\"b\":{\"embeddings\":[[8]]},\"embeddings\":[[1]]}",
     {1, false},
     ITEM("0",                                                        "[1]") USAGE("0"),
     "only the object's own member"},
    {"{\"embeddings\":[]}",                                                   {1, false},                                                                                   NULL,"none came"},
    {"{\"embeddings\":[[1]]}",                                                           {2, false}, NULL,                                                                                             "too few"                                                                                                                                                                                                                                      },
    {"{\"embeddings\":[[1],[2]]}",                              {1, false},                                                           NULL,                                                 "too many"                                                                                                                          },
    {"{\"embeddings\":[[1],[null]]}",                                                {2, false},                                                                             NULL,                                                                                                "null is no number"                                                                                                                                                                                                                                                                                                                           },
    {"{\"embeddings\":[[1],[NaN]]}",                                                  {2, true},                                                                               NULL,"neither is NaN"},
    {"{\"embeddings\":[[1e39]]}",                                                 {1, false},                                                                              NULL,          "no float is that large"},
    {"{\"embeddings\":[[1,]]}",                                        {1, true},                                                                     NULL,"a comma too many"},
    {"{\"embeddings\":[[\"1\"]]}",                                           {1, true},                                                                        NULL,                                                                                       "a text"                                                                                                                                                                                                                                                                                                                                        },
    {"{\"embeddings\":[[[1]]]}",                                   {1, true},                                                                NULL,                                         "nested"                                                                                                                                                                  },
    {"{\"embeddings\":[1]}",                                         {1, true},                                                                      NULL,                                                                                                   "no list of lists"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  },
    {"{\"embeddings\":[[1],]}",                                                   {1, true},                                                                                NULL,"a comma too many"},
    {"{\"embeddings\":[,[1]]}",                                                   {1, true},                                                                                NULL,                             "a comma too many"},
    {"{\"embeddings\":[[1] [2]]}",                                         {2, true},                                                                      NULL,"no comma"},
    {"{\"embeddings\":[[1]",                                         {1, true},                                                                      NULL,                                                                              "cut"                                                                                                                                                                                                                                                                                                                                                                                                                           },
    {"{\"embeddings\":[[1]]",                                         {1, true},                                                                      NULL,                         "cut"                                                                                                                                                              },
    {"{\"embeddings\":[[1]]} x",                                                 {1, true},                                                                              NULL,                                                                                                              "garbage behind"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    },
    {"{\"embeddings\":[[1]],\"embeddings\":[[2]]}",                                                      {1, true},                                                                                   NULL,"twice"},
    {"{\"embeddings\":null}",                                                      {1, true},                                                                                   NULL,                                            "null"},
    {"{\"embeddings\":{}}",                                           {1, true},                                                                        NULL,"an object"},
    {"{\"embedding\":[1]}",                                                    {1, true},                                                                                 NULL,                                                                            "the answer of another route"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                },
    {"[[1]]",                                                     {1, true},                                                                                  NULL,                             "a list"                                                                                                                                                     },
    {"{}",                                                {1, true},                                                                             NULL,                                                                                                                                           "nothing"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        },
    {"",                              {1, true},                                                           NULL,"empty"},
};

/* The answer for a native one, or ERR_SYNTAX with nothing written and a sentence. */
static enum err translate(const char *text, const struct embedding_wish *wish, struct buf *out)
{
    struct ollama_embed native;
    struct err_info info = {0};
    enum err err = ollama_embed_decode(&arena, str_z(text), &native, &info);
    if (err == ERR_OK) {
        assert_false(native.has_error);
        err = embedding_answer_encode(STR("m"), wish, &native, out, &info);
    }
    assert_why(err == ERR_OK || (out->len == 0 && info.text[0] != '\0'), text);
    return err;
}

static void test_embedding__answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ANSWERS); i++) {
        struct buf out;
        struct buf want;
        buf_init(&out, 1 << 16);
        buf_init(&want, 1 << 16);
        enum err err = translate(ANSWERS[i].native, &ANSWERS[i].wish, &out);
        assert_why(err == (ANSWERS[i].answer != NULL ? ERR_OK : ERR_SYNTAX), ANSWERS[i].native);
        if (ANSWERS[i].answer != NULL)
            buf_printf(&want, "{\"object\":\"list\",\"data\":[%s", ANSWERS[i].answer);
        assert_str_why(buf_str(&out), buf_str(&want), ANSWERS[i].why);
        buf_release(&out);
        buf_release(&want);
    }
}

static void test_embedding__errors_in_the_answer(void **state)
{
    (void)state;
    static const struct {
        const char *native;
        const char *error;
    } cases[] = {
        {"{\"error\":\"boom\"}",                                     "boom"                    },
        {"{\"embeddings\":[[1]],\"error\":{\"message\":\"inner\"}}", "inner"                   },
        {"{\"error\":\"a \\\"embeddings\\\":[[1]] b\"}",             "a \"embeddings\":[[1]] b"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ollama_embed native;
        assert_int_equal(ollama_embed_decode(&arena, str_z(cases[i].native), &native, NULL),
                         ERR_OK);
        assert_true(native.has_error);
        assert_str(native.error, str_z(cases[i].error));
    }
}

/* Vectors of every length about the blocks of the encoder, against a plain one. */
static void test_embedding__base64_of_every_length(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t n = 0; n <= 400; n++) {
        struct buf text;
        struct buf bytes;
        struct buf want;
        struct buf out;
        struct ollama_embed native;
        const struct embedding_wish wish = {1, true};
        buf_init(&text, 1 << 20);
        buf_init(&bytes, 1 << 20);
        buf_init(&want, 1 << 20);
        buf_init(&out, 1 << 20);
        buf_append(&text, STR("{\"embeddings\":[["));
        for (size_t i = 0; i < n; i++) {
            float f = (float)i / 997 - 0.2F;
            buf_printf(&text, "%s%.9g", i > 0 ? "," : "", (double)f);
            buf_append(&bytes, str_of((const char *)&f, sizeof(f)));
        }
        buf_append(&text, STR("]],\"total_duration\":123456789,\"prompt_eval_count\":1}"));
        for (size_t i = 0; i < bytes.len; i += 3) {
            uint32_t v = 0;
            for (size_t k = 0; k < 3; k++)
                v = v << 8 | (i + k < bytes.len ? (unsigned char)bytes.p[i + k] : 0);
            for (size_t k = 0; k < 4; k++)
                buf_append_char(&want, i + k > bytes.len ? '=' : digits[v >> (18 - 6 * k) & 63]);
        }
        assert_int_equal(ollama_embed_decode(&arena, buf_str(&text), &native, NULL), ERR_OK);
        assert_int_equal(embedding_answer_encode(STR("m"), &wish, &native, &out, NULL), ERR_OK);
        const struct json *v = NULL;
        const struct json *item = NULL;
        assert_int_equal(json_parse(&arena, buf_str(&out), JSON_STRICT, &v, NULL), ERR_OK);
        struct json_iter it = json_iter(json_get(v, STR("data")));
        assert_true(json_next(&it, NULL, &item));
        assert_str(json_str(json_get(item, STR("embedding"))), buf_str(&want));
        buf_release(&text);
        buf_release(&bytes);
        buf_release(&want);
        buf_release(&out);
        arena_reset(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_embedding__requests_become_native_ones, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_embedding__refuses_and_names_the_field, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_embedding__token_ids_name_the_setting, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_embedding__answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_embedding__errors_in_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_embedding__base64_of_every_length, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
