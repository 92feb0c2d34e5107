#include "codec/openai_logprobs.h"

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

static struct logprobs parse(const char *text)
{
    const struct json *v = NULL;
    assert_int_equal(json_parse(&arena, str_z(text), JSON_TOLERANT, &v, NULL), ERR_OK);
    return logprobs_of(v);
}

#define ENTRY(token, top)                                                                          \
    "{\"token\":\"" token "\",\"logprob\":-0.50,\"bytes\":null,\"top_logprobs\":[" top "]}"
#define OBJECT(entries) "{\"content\":[" entries "],\"refusal\":null}"

static void test_openai_logprobs__what_the_schema_wants_is_there(void **state)
{
    (void)state;
    // clang-format off
    static const struct {
        const char *native;
        const char *want;
        const char *why;
    } cases[] = {
        {"[{\"token\":\"a\",\"logprob\":-0.50,\"bytes\":[97]}]",
         OBJECT("{\"token\":\"a\",\"logprob\":-0.50,\"bytes\":[97],\"top_logprobs\":[]}"),
         "numbers as they were, no alternatives"},
        {"[{\"logprob\":-1E-7,\"x\":1,\"token\":\"a\",\"top_logprobs\":"
         "[{\"token\":\"b\",\"logprob\":-2,\"bytes\":[]},{\"token\":\"\"}]}]",
         OBJECT("{\"token\":\"a\",\"logprob\":-1E-7,\"bytes\":null,\"top_logprobs\":["
                "{\"token\":\"b\",\"logprob\":-2,\"bytes\":[]},"
                "{\"token\":\"\",\"logprob\":-9999.0,\"bytes\":null}]}"),
         "in OpenAI's order, nothing else, what is missing added"},
        {"[{\"token\":5,\"logprob\":\"x\",\"bytes\":{},\"top_logprobs\":{}},null]",
         OBJECT("{\"token\":\"\",\"logprob\":-9999.0,\"bytes\":null,\"top_logprobs\":[]},"
                "{\"token\":\"\",\"logprob\":-9999.0,\"bytes\":null,\"top_logprobs\":[]}"),
         "wrong types"},
        {"[]", "null", "none"},
        {"null", "null", "nothing"},
    };
    // clang-format on
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out;
        struct logprobs lp = parse(cases[i].native);
        buf_init(&out, 1 << 16);
        logprobs_put(&out, &lp, SIZE_MAX);
        assert_str_why(buf_str(&out), str_z(cases[i].want), cases[i].why);
        assert_null(lp.next);
        buf_release(&out);
    }
}

static void test_openai_logprobs__room_is_kept_to_and_nothing_is_lost(void **state)
{
    (void)state;
    static const char two[] = OBJECT(ENTRY("a", "") "," ENTRY("b", ""));
    static const char one[] = OBJECT(ENTRY("a", ""));
    static const struct {
        size_t room;
        size_t taken;
        const char *want;
    } cases[] = {
        {sizeof(two) - 1, 2, two   },
        {sizeof(two) - 2, 1, one   },
        {sizeof(one) - 1, 1, one   },
        {sizeof(one) - 2, 0, "null"},
        {10,              0, "null"},
        {0,               0, "null"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out;
        size_t left = 0;
        struct logprobs lp =
            parse("[{\"token\":\"a\",\"logprob\":-0.50},{\"token\":\"b\",\"logprob\":-0.50}]");
        buf_init(&out, 1 << 16);
        buf_append(&out, STR("before"));
        logprobs_put(&out, &lp, cases[i].room);
        assert_str_why(str_skip(buf_str(&out), 6), str_z(cases[i].want), cases[i].want);
        for (; lp.next != NULL; left++)
            logprobs_put_some(&out, &lp, sizeof(one) - 1);
        assert_int_equal(left + cases[i].taken, 2);
        buf_release(&out);
    }
}

static void test_openai_logprobs__what_never_fits_is_cut_down(void **state)
{
    (void)state;
    static const char native[] = "[{\"token\":\"a\",\"logprob\":-0.50,\"top_logprobs\":"
                                 "[{\"token\":\"bbbbbbbbbb\",\"logprob\":-1}]}]";
    static const char bare[] = OBJECT(ENTRY("a", ""));
    static const struct {
        size_t room;
        const char *want;
        const char *why;
    } cases[] = {
        {sizeof(bare) - 1, bare,   "its alternatives go"},
        {sizeof(bare) - 2, "null", "it goes as a whole" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out;
        struct logprobs lp = parse(native);
        buf_init(&out, 1 << 16);
        logprobs_put_some(&out, &lp, cases[i].room);
        assert_str_why(buf_str(&out), str_z(cases[i].want), cases[i].why);
        assert_null(lp.next);
        buf_release(&out);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_openai_logprobs__what_the_schema_wants_is_there),
        TEST(test_openai_logprobs__room_is_kept_to_and_nothing_is_lost),
        TEST(test_openai_logprobs__what_never_fits_is_cut_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
