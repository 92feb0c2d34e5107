#include "codec/chat_history.h"

#include "unit.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static const struct chat_call CALLS[] = {
    {.id = STR_C("1"), .name = STR_C("a")},
    {.id = STR_C("2"), .name = STR_C("b")},
    {.id = STR_C("1"), .name = STR_C("c")},
    {.id = STR_C(""),  .name = STR_C("d")},
};

#define CALLING(at, n)                                                                             \
    {                                                                                              \
        .role = STR_C("assistant"), .calls = &CALLS[at], .n_calls = (n)                            \
    }
#define RESULT(id)                                                                                 \
    {                                                                                              \
        .role = STR_C("tool"), .tool_call_id = STR_C(id)                                           \
    }
#define SAYING(who, text)                                                                          \
    {                                                                                              \
        .role = STR_C(who), .content = STR_C(text)                                                 \
    }

static void test_chat_history__names_are_those_of_the_nearest_call(void **state)
{
    (void)state;
    // clang-format off
    struct chat_message messages[] = {
        RESULT("2"),   // only calls that follow
        CALLING(0, 2), // 1 is a, 2 is b
        RESULT("1"),
        RESULT("2"),
        CALLING(2, 2), // 1 is c
        RESULT("1"),
        RESULT("2"),
        RESULT("9"),
        RESULT(""),
        {.role = STR_C("tool"), .tool_call_id = STR_C("1"), .tool_name = STR_C("own")},
        SAYING("user", "q"),
    };
    // clang-format on
    static const char *const names[] = {"b", "", "a", "b", "", "c", "b", "", "", "own", ""};
    assert_int_equal(chat_history_name_results(&arena, messages, COUNT_OF(messages)), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(messages); i++)
        assert_str_why(messages[i].tool_name, str_z(names[i]), names[i]);
}

static void test_chat_history__of_one_message_the_first_call_counts(void **state)
{
    (void)state;
    struct chat_message messages[] = {CALLING(0, 4), RESULT("1")};
    assert_int_equal(chat_history_name_results(&arena, messages, 2), ERR_OK);
    assert_str(messages[1].tool_name, STR("a"));
}

static void test_chat_history__many_results_are_named_quickly(void **state)
{
    (void)state;
    const size_t n = 40000;
    struct chat_message *messages = arena_new(&arena, struct chat_message, 2 * n);
    struct chat_call *calls = arena_new(&arena, struct chat_call, n);
    assert_non_null(messages);
    assert_non_null(calls);
    for (size_t i = 0; i < n; i++) {
        calls[i].id = arena_printf(&arena, "call_%zu", i * 7919 % n);
        calls[i].name = arena_printf(&arena, "f%zu", i * 7919 % n);
        messages[i] =
            (struct chat_message){.role = STR("assistant"), .calls = &calls[i], .n_calls = 1};
        messages[n + i] = (struct chat_message){
            .role = STR("tool"), .tool_call_id = arena_printf(&arena, "call_%zu", i)};
    }
    assert_int_equal(chat_history_name_results(&arena, messages, 2 * n), ERR_OK);
    for (size_t i = 0; i < n; i++)
        assert_str(messages[n + i].tool_name, arena_printf(&arena, "f%zu", i));
}

static void test_chat_history__neighbours_of_one_role_become_one(void **state)
{
    (void)state;
    static const str images[] = {STR_C("I1"), STR_C("I2"), STR_C("I3")};
    // clang-format off
    struct chat_message messages[] = {
        SAYING("system", "a"),
        SAYING("system", "b"),
        {.role = STR_C("user"), .content = STR_C("q"), .images = images,      .n_images = 1},
        {.role = STR_C("user"), .content = STR_C(""),  .images = &images[1],  .n_images = 2},
        {.role = STR_C("user"), .content = STR_C("r")},
        {.role = STR_C("assistant"), .thinking = STR_C("x"), .calls = CALLS, .n_calls = 1},
        {.role = STR_C("assistant"),
         .content = STR_C("t"),
         .thinking = STR_C("y"),
         .calls = &CALLS[1],
         .n_calls = 2},
        RESULT("1"),
        RESULT("2"),
        SAYING("assistant", "u"),
    };
    // clang-format on
    size_t n = COUNT_OF(messages);
    assert_int_equal(chat_history_merge(&arena, messages, &n), ERR_OK);
    assert_int_equal(n, 6);
    assert_str(messages[0].content, STR("a\n\nb"));
    assert_str(messages[1].content, STR("q\n\nr"));
    assert_int_equal(messages[1].n_images, 3);
    for (size_t i = 0; i < 3; i++)
        assert_str(messages[1].images[i], images[i]);
    assert_str(messages[2].content, STR("t"));
    assert_str(messages[2].thinking, STR("x\n\ny"));
    assert_int_equal(messages[2].n_calls, 3);
    for (size_t i = 0; i < 3; i++)
        assert_str(messages[2].calls[i].name, CALLS[i].name);
    assert_str(messages[3].tool_call_id, STR("1"));
    assert_str(messages[4].tool_call_id, STR("2"));
    assert_str(messages[5].content, STR("u"));
}

static void test_chat_history__an_empty_budget_is_told(void **state)
{
    (void)state;
    struct arena none;
    struct chat_message messages[] = {SAYING("user", "a"), SAYING("user", "b"), CALLING(0, 1),
                                      RESULT("1")};
    size_t n = COUNT_OF(messages);
    arena_init(&none, 0);
    assert_int_equal(chat_history_name_results(&none, messages, n), ERR_TOO_LARGE);
    assert_int_equal(chat_history_merge(&none, messages, &n), ERR_TOO_LARGE);
    arena_release(&none);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_chat_history__names_are_those_of_the_nearest_call),
        TEST(test_chat_history__of_one_message_the_first_call_counts),
        TEST(test_chat_history__many_results_are_named_quickly),
        TEST(test_chat_history__neighbours_of_one_role_become_one),
        TEST(test_chat_history__an_empty_budget_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
