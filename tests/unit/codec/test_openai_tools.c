#include "codec/openai_tools.h"

#include "unit.h"

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
    const struct json *body = NULL;
    assert_int_equal(json_parse(&arena, str_z(text), JSON_STRICT, &body, NULL), ERR_OK);
    return openai_tools_decode(&arena, json_get(body, STR("tools")),
                               json_get(body, STR("tool_choice")), req, fault);
}

#define F(name)        "{\"type\":\"function\",\"function\":{\"name\":\"" name "\"}}"
#define ALL            "\"tools\":[" F("a") "," F("b") ",{\"type\":\"web_search\"}," F("c") "]"
#define CHOOSE(choice) "{" ALL ",\"tool_choice\":" choice "}"
#define ALLOW(tools)                                                                               \
    "{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[" tools "]}}"

// clang-format off
static void test_openai_tools__the_choice_says_which_are_sent(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *names;
        const char *why;
    } cases[] = {
        {"{}", "", "none are there"},
        {"{\"tools\":null,\"tool_choice\":\"required\"}", "", "nothing to require"},
        {"{\"tools\":[]}", "", "an empty list"},
        {"{" ALL "}", "abc", "all but those of unknown kinds"},
        {CHOOSE("null"), "abc", "null is absent"},
        {CHOOSE("\"auto\""), "abc", "auto"},
        {CHOOSE("\"required\""), "abc", "cannot be forced"},
        {CHOOSE("\"none\""), "", "none"},
        {CHOOSE(F("b")), "b", "the named one"},
        {CHOOSE(ALLOW(F("c") "," F("a") "," F("x"))), "ac", "those allowed, in their order"},
        {"{\"tools\":[{\"function\":{\"name\":\"a\"}}]}", "a", "a type that was forgotten"},
        {"{\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"x\"}},{\"type\":\"Function\"}]}", "",
         "other kinds"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct openai_fault fault;
        struct chat_request req = {0};
        char names[16] = "";
        assert_why(decode(cases[i].body, &req, &fault) == ERR_OK, cases[i].why);
        for (size_t j = 0; j < req.n_tools; j++)
            names[j] = json_str(json_get(json_get(req.tools[j], STR("function")), STR("name"))).p[0];
        assert_str_why(str_z(names), str_z(cases[i].names), cases[i].why);
    }
}

static void test_openai_tools__what_is_wrong_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *param;
    } cases[] = {
        {"{\"tools\":{}}", "tools"},
        {"{\"tools\":[" F("a") ",5]}", "tools[1]"},
        {"{\"tools\":[{\"type\":5}]}", "tools[0].type"},
        {"{\"tools\":[{}]}", "tools[0].function.name"},
        {"{\"tools\":[{\"type\":\"function\",\"name\":\"a\"}]}", "tools[0].function.name"},
        {"{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"\"}}]}", "tools[0].function.name"},
        {"{\"tools\":[{\"function\":{\"name\":\"a\",\"description\":5}}]}",
         "tools[0].function.description"},
        {"{\"tools\":[{\"function\":{\"name\":\"a\",\"parameters\":[]}}]}",
         "tools[0].function.parameters"},
        {"{\"tool_choice\":5}", "tool_choice"},
        {"{\"tool_choice\":\"any\"}", "tool_choice"},
        {"{\"tool_choice\":\"\"}", "tool_choice"},
        {CHOOSE("{}"), "tool_choice.type"},
        {CHOOSE("{\"type\":\"custom\",\"custom\":{\"name\":\"x\"}}"), "tool_choice.type"},
        {CHOOSE("{\"type\":\"function\"}"), "tool_choice.function.name"},
        {CHOOSE(F("x")), "tool_choice"},
        {CHOOSE(ALLOW("")), "tool_choice"},
        {CHOOSE("{\"type\":\"allowed_tools\"}"), "tool_choice.allowed_tools.tools"},
        {"{\"tool_choice\":" F("a") "}", "tool_choice"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct openai_fault fault = {0};
        struct chat_request req = {0};
        assert_why(decode(cases[i].body, &req, &fault) == ERR_SYNTAX, cases[i].body);
        assert_int_equal(fault.status, 400);
        assert_str_why(fault.param, str_z(cases[i].param), cases[i].body);
    }
}
// clang-format on

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_openai_tools__the_choice_says_which_are_sent),
        TEST(test_openai_tools__what_is_wrong_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
