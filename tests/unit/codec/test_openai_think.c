#include "codec/openai_think.h"

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

static enum err decode(const char *text, str *ret, struct openai_fault *fault)
{
    const struct json *body = NULL;
    assert_int_equal(json_parse(&arena, str_z(text), JSON_STRICT, &body, NULL), ERR_OK);
    const struct openai_think fields = {
        .reasoning_effort = json_get(body, STR("reasoning_effort")),
        .reasoning = json_get(body, STR("reasoning")),
        .think = json_get(body, STR("think")),
    };
    return openai_think_decode(&arena, &fields, ret, fault);
}

// clang-format off
static void test_openai_think__efforts_become_levels(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *want;
        const char *why;
    } cases[] = {
        {"{}", "", "the model's default"},
        {"{\"reasoning_effort\":null,\"reasoning\":null,\"think\":null}", "", "null is absent"},
        {"{\"reasoning_effort\":\"\"}", "", "as Ollama has it"},
        {"{\"reasoning_effort\":\"none\"}", "false", "off"},
        {"{\"reasoning_effort\":\"minimal\"}", "\"low\"", "minimal"},
        {"{\"reasoning_effort\":\"low\"}", "\"low\"", "low"},
        {"{\"reasoning_effort\":\"medium\"}", "\"medium\"", "medium"},
        {"{\"reasoning_effort\":\"high\"}", "\"high\"", "high"},
        {"{\"reasoning_effort\":\"xhigh\"}", "\"max\"", "xhigh"},
        {"{\"reasoning_effort\":\"max\"}", "\"max\"", "max"},
        {"{\"reasoning_effort\":\"ultra\"}", "\"max\"", "ultra"},
        {"{\"reasoning\":{\"effort\":\"high\"}}", "\"high\"", "the other API's"},
        {"{\"reasoning\":{\"effort\":\"low\"},\"reasoning_effort\":\"high\"}", "\"low\"",
         "the object wins"},
        {"{\"reasoning\":{\"summary\":\"auto\"},\"reasoning_effort\":\"high\"}", "",
         "the object wins though it says nothing"},
        {"{\"think\":true}", "true", "on"},
        {"{\"think\":false,\"reasoning_effort\":\"high\"}", "false", "Ollama's own wins"},
        {"{\"think\":\"max\",\"reasoning\":{\"effort\":\"low\"}}", "\"max\"", "over both"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct openai_fault fault;
        str think = STR("untouched");
        assert_why(decode(cases[i].body, &think, &fault) == ERR_OK, cases[i].why);
        assert_str_why(think, str_z(cases[i].want), cases[i].why);
    }
}

static void test_openai_think__what_is_unknown_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *param;
    } cases[] = {
        {"{\"reasoning_effort\":\"High\"}", "reasoning_effort"},
        {"{\"reasoning_effort\":\"extreme\"}", "reasoning_effort"},
        {"{\"reasoning_effort\":1,\"think\":true}", "reasoning_effort"},
        {"{\"reasoning_effort\":\"x\",\"reasoning\":{\"effort\":\"low\"}}", "reasoning_effort"},
        {"{\"reasoning\":\"high\"}", "reasoning"},
        {"{\"reasoning\":{\"effort\":\"x\"}}", "reasoning.effort"},
        {"{\"reasoning\":{\"effort\":true}}", "reasoning.effort"},
        {"{\"think\":\"minimal\"}", "think"},
        {"{\"think\":\"\"}", "think"},
        {"{\"think\":1}", "think"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct openai_fault fault = {0};
        str think = STR("untouched");
        assert_why(decode(cases[i].body, &think, &fault) == ERR_SYNTAX, cases[i].body);
        assert_int_equal(fault.status, 400);
        assert_str_why(fault.param, str_z(cases[i].param), cases[i].body);
        assert_str(think, STR("untouched"));
    }
}
// clang-format on

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_openai_think__efforts_become_levels),
        TEST(test_openai_think__what_is_unknown_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
