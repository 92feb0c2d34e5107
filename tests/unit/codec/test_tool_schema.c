#include "codec/tool_schema.h"

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

static void expect_tool(const char *text, const char *want, const char *why)
{
    struct buf out;
    const struct json *tool = NULL;
    buf_init(&out, 1 << 16);
    assert_int_equal(json_parse(&arena, str_z(text), JSON_STRICT, &tool, NULL), ERR_OK);
    tool_schema_put_tool(&out, tool);
    assert_str_why(buf_str(&out), str_z(want), why);
    buf_release(&out);
}

#define TOOL(members) "{\"type\":\"function\",\"function\":{\"name\":\"f\"" members "}}"

// clang-format off
static const struct {
    const char *tool;
    const char *want;
    const char *why;
} TOOLS[] = {
    {TOOL(""), TOOL(""), "a name is enough"},
    {"{\"strict\":true,\"function\":{\"description\":\"\\u00e9\\n\",\"name\":\"f\",\"strict\":1.50}}",
     "{\"strict\":true,\"function\":{\"description\":\"\xC3\xA9\\n\",\"name\":\"f\",\"strict\":1.50}}",
     "unknown members, their order and numbers stay"},
    {TOOL(",\"description\":null,\"parameters\":null"), TOOL(""), "null is absent"},
    {TOOL(",\"parameters\":true"), TOOL(",\"parameters\":{\"type\":\"object\",\"properties\":{}}"),
     "any arguments"},
    {TOOL(",\"parameters\":false"), TOOL(",\"parameters\":{\"type\":\"object\",\"properties\":{}}"),
     "no arguments"},
    {TOOL(",\"PARAMETERS\":true"), TOOL(",\"PARAMETERS\":{\"type\":\"object\",\"properties\":{}}"),
     "letter case does not matter there, so not here"},
};

static const struct {
    const char *schema;
    const char *want;
    const char *why;
} PARAMETERS[] = {
    {"{\"type\":\"object\",\"a\":[1.0,1e2,null,{\"type\":5}],\"$defs\":{\"x\":true},\"items\":false}",
     "{\"type\":\"object\",\"a\":[1.0,1e2,null,{\"type\":5}],\"$defs\":{\"x\":true},\"items\":false}",
     "what is not read is not touched"},
    {"{}", "{\"type\":\"object\"}", "no type"},
    {"{\"properties\":{},\"type\":null}", "{\"type\":\"object\",\"properties\":{}}", "null"},
    {"{\"type\":5}", "{\"type\":\"object\"}", "no type at all"},
    {"{\"type\":[]}", "{\"type\":\"object\"}", "none of none"},
    {"{\"type\":[\"null\",\"object\"]}", "{\"type\":\"object\"}", "one of several: the object"},
    {"{\"type\":[5,\"string\",\"null\"]}", "{\"type\":\"string\"}", "else the first"},
    {"{\"type\":\"x\"}", "{\"type\":\"x\"}", "any text"},
    {"{\"type\":\"object\",\"required\":true}", "{\"type\":\"object\"}", "no list"},
    {"{\"type\":\"object\",\"required\":[\"a\",1,null,\"b\"]}",
     "{\"type\":\"object\",\"required\":[\"a\",\"b\"]}", "texts only"},
    {"{\"type\":\"object\",\"properties\":[]}", "{\"type\":\"object\"}", "not by name"},
    {"{\"type\":\"object\",\"properties\":{\"z\":true,\"n\":false,\"a\":null,\"m\":\"string\"}}",
     "{\"type\":\"object\",\"properties\":{\"z\":{},\"a\":{},\"m\":{}}}",
     "true allows anything, false nothing"},
};

static const struct {
    const char *schema;
    const char *want;
    const char *why;
} PROPERTIES[] = {
    {"{\"type\":[\"string\",\"null\"],\"minimum\":0.10}",
     "{\"type\":[\"string\",\"null\"],\"minimum\":0.10}", "a list of types is read here"},
    {"{\"type\":[\"string\",5]}", "{\"type\":[\"string\"]}", "of texts"},
    {"{\"type\":{}}", "{}", "no type"},
    {"{\"type\":[5]}", "{}", "none of them is one"},
    {"{\"description\":5,\"title\":5}", "{\"title\":5}", "a description is a text"},
    {"{\"enum\":\"x\"}", "{}", "an enum is a list"},
    {"{\"enum\":[1,null,{\"type\":1}]}", "{\"enum\":[1,null,{\"type\":1}]}", "of anything"},
    {"{\"anyOf\":{\"type\":\"string\"}}", "{}", "anyOf is a list"},
    {"{\"anyOf\":[true,{\"type\":5,\"x\":1},false]}", "{\"anyOf\":[{},{\"x\":1}]}", "of schemas"},
    {"{\"required\":true,\"properties\":{\"b\":{\"properties\":{\"c\":true}},\"a\":false}}",
     "{\"properties\":{\"b\":{\"properties\":{\"c\":{}}}}}", "further down"},
    {"{\"items\":true,\"properties\":null}", "{\"items\":true}", "items are not looked at"},
    {"{\"properties\":{\"type\":{\"type\":\"string\"},\"required\":{\"enum\":[1]}}}",
     "{\"properties\":{\"type\":{\"type\":\"string\"},\"required\":{\"enum\":[1]}}}",
     "names of properties are no keywords"},
};
// clang-format on

static void test_tool_schema__tools_are_softened(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(TOOLS); i++)
        expect_tool(TOOLS[i].tool, TOOLS[i].want, TOOLS[i].why);
}

static void test_tool_schema__parameters_are_softened(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(PARAMETERS); i++) {
        char text[1024];
        char want[1024];
        snprintf(text, sizeof(text), TOOL(",\"parameters\":%s"), PARAMETERS[i].schema);
        snprintf(want, sizeof(want), TOOL(",\"parameters\":%s"), PARAMETERS[i].want);
        expect_tool(text, want, PARAMETERS[i].why);
    }
}

static void test_tool_schema__properties_are_softened(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(PROPERTIES); i++) {
        char text[1024];
        char want[1024];
        snprintf(text, sizeof(text),
                 TOOL(",\"parameters\":{\"type\":\"object\",\"properties\":{\"p\":%s}}"),
                 PROPERTIES[i].schema);
        snprintf(want, sizeof(want),
                 TOOL(",\"parameters\":{\"type\":\"object\",\"properties\":{\"p\":%s}}"),
                 PROPERTIES[i].want);
        expect_tool(text, want, PROPERTIES[i].why);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_tool_schema__tools_are_softened),
        TEST(test_tool_schema__parameters_are_softened),
        TEST(test_tool_schema__properties_are_softened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
