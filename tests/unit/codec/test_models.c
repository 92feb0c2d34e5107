/* Lists and details of models: native in, OpenAI's out. */
#include "unit.h"

#include "codec/ollama_models.h"
#include "codec/openai_models.h"
#include "recording.h"

static struct arena arena;
static struct buf out;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 16 << 20);
    buf_init(&out, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    buf_release(&out);
    return 0;
}

static struct model_list tags_ok(str text)
{
    struct model_list list;
    struct err_info info = {0};
    if (ollama_tags_decode(&arena, text, &list, &info) != ERR_OK)
        fail_msg("%.*s: %s", STR_ARG(text), info.text);
    return list;
}

static void test_models__recorded_list(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, 1 << 20);
    read_recording("tags", &body);
    struct model_list list = tags_ok(buf_str(&body));
    openai_models_encode(&list, &out);
    assert_str(buf_str(&out),
               STR("{\"object\":\"list\",\"data\":["
                   "{\"id\":\"minilm:latest\",\"object\":\"model\",\"created\":1795389470,"
                   "\"owned_by\":\"library\"},"
                   "{\"id\":\"plain:latest\",\"object\":\"model\",\"created\":1795388934,"
                   "\"owned_by\":\"library\"},"
                   "{\"id\":\"think:latest\",\"object\":\"model\",\"created\":1795388934,"
                   "\"owned_by\":\"library\"},"
                   "{\"id\":\"tools:latest\",\"object\":\"model\",\"created\":1795388934,"
                   "\"owned_by\":\"library\"}]}"));
    assert_false(list.items[0].abilities.known);
    buf_release(&body);
}

static void test_models__odd_lists(void **state)
{
    (void)state;
    static const struct {
        const char *tags;
        const char *data;
        const char *why;
    } cases[] = {
        {"{\"models\":[]}",                                                                          "",                                                                           "none"                     },
        {"{\"models\":null}",                                                                        "",                                                                           "null"                     },
        {"{\"models\":[null,1,\"x\",[],{}]}",                                                        "",                                                                           "entries that are none"    },
        {"{\"models\":[{\"name\":null,\"model\":null}]}",                                            "",                                                                           "no name"                  },
        {"{\"models\":[{\"name\":7,\"model\":{}}]}",                                                 "",                                                                           "names of wrong types"     },
        {"{\"models\":[{\"name\":\"a\\nb\"},{\"name\":\"a b\"},{\"name\":\"\"}]}",                   "",
         "names that are none"                                                                                                                                                                                },
        {"{\"models\":[{\"name\":\"n\",\"model\":\"m\"}]}",
         "{\"id\":\"m\",\"object\":\"model\",\"created\":0,\"owned_by\":\"library\"}",                                                                                             "`model` before `name`"    },
        {"{\"models\":[{\"name\":\"n\",\"model\":\"\",\"modified_at\":null,\"details\":null,"
         "\"capabilities\":null}]}",                                                        "{\"id\":\"n\",\"object\":\"model\",\"created\":0,\"owned_by\":\"library\"}",
         "only a name"                                                                                                                                                                                        },
        {"{\"models\":[{\"name\":\"u/n:latest\",\"modified_at\":\"2026-07-30T09:12:44.5+02:00\"}]}",
         "{\"id\":\"u/n:latest\",\"object\":\"model\",\"created\":1785395564,\"owned_by\":\"u\"}",                                                                                 "a namespace and an offset"},
        {"{\"models\":[{\"name\":\"n\",\"modified_at\":\"0001-01-01T00:00:00Z\"}]}",
         "{\"id\":\"n\",\"object\":\"model\",\"created\":0,\"owned_by\":\"library\"}",                                                                                             "a time that nobody knows" },
        {"{\"models\":[{\"name\":\"n\",\"modified_at\":1785395564}]}",
         "{\"id\":\"n\",\"object\":\"model\",\"created\":0,\"owned_by\":\"library\"}",                                                                                             "a time of a wrong type"   },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct model_list list = tags_ok(str_z(cases[i].tags));
        buf_reset(&out);
        openai_models_encode(&list, &out);
        str want = arena_printf(&arena, "{\"object\":\"list\",\"data\":[%s]}", cases[i].data);
        assert_str_why(buf_str(&out), want, cases[i].why);
    }
}

static void test_models__refuses_what_is_no_list(void **state)
{
    (void)state;
    static const str cases[] = {
        STR_C(""),
        STR_C("[]"),
        STR_C("null"),
        STR_C("{}"),
        STR_C("{\"error\":\"x\"}"),
        STR_C("{\"models\":{}}"),
        STR_C("{\"models\":\"x\"}"),
        STR_C("{\"models\":["),
        STR_C("<html>"),
    };
    struct model_list list;
    struct err_info info;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (ollama_tags_decode(&arena, cases[i], &list, &info) != ERR_SYNTAX)
            fail_msg("%.*s", STR_ARG(cases[i]));
}

static void test_models__names_have_a_longest(void **state)
{
    (void)state;
    char name[MODEL_NAME_MAX + 2];
    memset(name, 'x', sizeof(name));
    static const struct {
        size_t len;
        size_t want;
    } cases[] = {
        {MODEL_NAME_MAX - 1, 1},
        {MODEL_NAME_MAX,     1},
        {MODEL_NAME_MAX + 1, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        str text =
            arena_printf(&arena, "{\"models\":[{\"name\":\"%.*s\"}]}", (int)cases[i].len, name);
        assert_int_equal(tags_ok(text).n, cases[i].want);
    }
}

static void test_models__reads_abilities(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool known;
        unsigned set;
        const char *why;
    } cases[] = {
        {"null",                                  false, 0,                                              "null"       },
        {"[]",                                    false, 0,                                              "none"       },
        {"\"thinking\"",                          false, 0,                                              "no list"    },
        {"[null,1]",                              false, 0,                                              "no texts"   },
        {"[\"completion\"]",                      true,  MODEL_CHATS,                                    "one"        },
        {"[\"completion\",\"thinking\",\"new\"]", true,  MODEL_CHATS | MODEL_THINKS,                     "a new one"  },
        {"[\"embedding\",null]",                  true,  MODEL_EMBEDS,                                   "an embedder"},
        {"[\"tools\",\"insert\",\"vision\"]",     true,  MODEL_CALLS_TOOLS | MODEL_INSERTS | MODEL_SEES,
         "the others"                                                                                                 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ollama_show show;
        str text = arena_printf(&arena, "{\"models\":[{\"name\":\"n\",\"capabilities\":%s}]}",
                                cases[i].json);
        struct model_list list = tags_ok(text);
        assert_why(list.items[0].abilities.known == cases[i].known, cases[i].why);
        assert_why(list.items[0].abilities.set == cases[i].set, cases[i].why);
        text = arena_printf(&arena, "{\"details\":{},\"capabilities\":%s}", cases[i].json);
        assert_int_equal(ollama_show_decode(&arena, text, &show, NULL), ERR_OK);
        assert_why(show.abilities.known == cases[i].known, cases[i].why);
        assert_why(show.abilities.set == cases[i].set, cases[i].why);
    }
}

static void test_models__recorded_show(void **state)
{
    (void)state;
    struct buf body;
    struct ollama_show show;
    buf_init(&body, 1 << 20);
    read_recording("show", &body);
    assert_int_equal(ollama_show_decode(&arena, buf_str(&body), &show, NULL), ERR_OK);
    assert_int_equal(show.created_s, 1795388934);
    assert_true(show.abilities.known);
    assert_int_equal(show.abilities.set, MODEL_CHATS | MODEL_CALLS_TOOLS);
    buf_release(&body);
}

static void test_models__refuses_what_is_no_show(void **state)
{
    (void)state;
    static const str cases[] = {
        STR_C(""),
        STR_C("[]"),
        STR_C("{}"),
        STR_C("{\"error\":\"x\"}"),
        STR_C("{\"capabilities\":null,\"details\":null}"),
        STR_C("x"),
    };
    struct ollama_show show;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (ollama_show_decode(&arena, cases[i], &show, NULL) != ERR_SYNTAX)
            fail_msg("%.*s", STR_ARG(cases[i]));
}

static void test_models__asks_with_an_escaped_name(void **state)
{
    (void)state;
    ollama_show_encode(STR("a\"b/c:4b"), &out);
    assert_str(buf_str(&out), STR("{\"model\":\"a\\\"b/c:4b\"}"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_models__recorded_list),           TEST(test_models__odd_lists),
        TEST(test_models__refuses_what_is_no_list), TEST(test_models__names_have_a_longest),
        TEST(test_models__reads_abilities),         TEST(test_models__recorded_show),
        TEST(test_models__refuses_what_is_no_show), TEST(test_models__asks_with_an_escaped_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
