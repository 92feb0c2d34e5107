/* Where a native chat request asks its model to think. */
#include "unit.h"

#include "codec/ollama_request.h"
#include "codec/openai_chat.h"

static void test_think_span__is_what_can_be_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *think;
        const char *want;
        const char *why;
    } cases[] = {
        {"",                                      "",                    "nothing is said"    },
        {",\"think\":true",                       ",\"think\":true",     "it shall think"     },
        {",\"think\":\"high\"",                   ",\"think\":\"high\"", "with a level"       },
        {",\"think\":false",                      "",                    "no model minds this"},
        {",\"think\":null",                       "",                    "null is nothing"    },
        {",\"think\":true,\"keep_alive\":\"5m\"", ",\"think\":true",     "something behind it"},
    };
    struct arena arena;
    struct ollama_defaults defaults = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct chat_request req;
        struct openai_fault fault;
        const struct json *root = NULL;
        struct buf with;
        struct buf without;
        arena_init(&arena, 1 << 20);
        buf_init(&with, 1 << 20);
        buf_init(&without, 1 << 20);
        str body = arena_printf(
            &arena, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]%s}",
            cases[i].think);
        assert_int_equal(json_parse(&arena, body, JSON_STRICT, &root, NULL), ERR_OK);
        assert_int_equal(openai_chat_decode(&arena, root, &req, &fault), ERR_OK);
        buf_append(&with, STR("not empty before"));
        struct ollama_span span = ollama_chat_encode(&req, &defaults, &with);
        str cut = str_head(str_skip(buf_str(&with), span.at), span.len);
        assert_str_why(cut, str_z(cases[i].want), cases[i].why);
        if (span.len > 0) {
            buf_append(&without, str_skip(str_head(buf_str(&with), span.at), 16));
            buf_append(&without, str_skip(buf_str(&with), span.at + span.len));
            assert_int_equal(json_parse(&arena, buf_str(&without), JSON_STRICT, &root, NULL),
                             ERR_OK);
            assert_true(json_is_null(json_get(root, STR("think"))));
            assert_str(json_str(json_get(root, STR("model"))), STR("m"));
        }
        buf_release(&with);
        buf_release(&without);
        arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_think_span__is_what_can_be_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
