#include "unit.h"

#include "core/session.h"

static const unsigned char KEY[CRYPTO_KEY_BYTES] = {7};

static int make(void **state)
{
    if (crypto_init() != ERR_OK)
        return 1;
    *state = sessions_new(KEY);
    return 0;
}

static int drop(void **state)
{
    sessions_free(*state);
    return 0;
}

static void test_session__token_has_its_form_and_is_random(void **state)
{
    char one[SESSION_TOKEN_BYTES];
    char two[SESSION_TOKEN_BYTES];
    str a = sessions_begin(*state, 1, one);
    str b = sessions_begin(*state, 1, two);
    assert_int_equal(a.len, SESSION_TOKEN_BYTES - 1);
    assert_true(session_is_token(a) && !session_is_chat_token(a));
    assert_false(str_eq(a, b));
    assert_true(sessions_has(*state, a, 1) && sessions_has(*state, b, 1));
}

static void test_session__ends_when_idle_or_old(void **state)
{
    static const struct {
        uint64_t used_ms; // the last call before
        uint64_t at_ms;
        bool want;
        const char *why;
    } cases[] = {
        {0,                   SESSION_IDLE_MS - 1, true,  "just short of the idle time"},
        {0,                   SESSION_IDLE_MS,     false, "the idle time"              },
        {0,                   SESSION_IDLE_MS + 1, false, "beyond it"                  },
        {SESSION_IDLE_MS - 1, SESSION_IDLE_MS,     true,  "a call in between"          },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char room[SESSION_TOKEN_BYTES];
        str token = sessions_begin(*state, 1, room);
        assert_why(sessions_has(*state, token, 1 + cases[i].used_ms), cases[i].why);
        assert_why(sessions_has(*state, token, 1 + cases[i].at_ms) == cases[i].want, cases[i].why);
    }
    static const struct {
        uint64_t at_ms;
        bool want;
    } ages[] = {
        {SESSION_AGE_MS - 1, true },
        {SESSION_AGE_MS,     false},
        {SESSION_AGE_MS + 1, false},
    };
    for (size_t i = 0; i < COUNT_OF(ages); i++) {
        char room[SESSION_TOKEN_BYTES];
        str token = sessions_begin(*state, 1, room);
        for (uint64_t t = 0; t + 60000 < SESSION_AGE_MS; t += 60000)
            assert_true(sessions_has(*state, token, 1 + t));
        assert_int_equal(sessions_has(*state, token, 1 + ages[i].at_ms), ages[i].want);
    }
}

static void test_session__what_was_over_stays_over(void **state)
{
    char room[SESSION_TOKEN_BYTES];
    str token = sessions_begin(*state, 1, room);
    assert_false(sessions_has(*state, token, 1 + SESSION_IDLE_MS));
    assert_false(sessions_has(*state, token, 2));
}

static void test_session__too_many_end_the_idlest(void **state)
{
    static char rooms[SESSIONS_MAX + 1][SESSION_TOKEN_BYTES];
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        sessions_begin(*state, 10 + i, rooms[i]);
    assert_int_equal(sessions_count(*state, 1000), SESSIONS_MAX);
    assert_true(sessions_has(*state, str_z(rooms[0]), 1000)); // the second is the idlest now
    sessions_begin(*state, 1001, rooms[SESSIONS_MAX]);
    assert_int_equal(sessions_count(*state, 1001), SESSIONS_MAX);
    assert_true(sessions_has(*state, str_z(rooms[0]), 1002));
    assert_false(sessions_has(*state, str_z(rooms[1]), 1002));
    assert_true(sessions_has(*state, str_z(rooms[2]), 1002));
    assert_true(sessions_has(*state, str_z(rooms[SESSIONS_MAX]), 1002));
}

static void test_session__ends_alone_and_all_together(void **state)
{
    char one[SESSION_TOKEN_BYTES];
    char two[SESSION_TOKEN_BYTES];
    sessions_begin(*state, 1, one);
    sessions_begin(*state, 1, two);
    sessions_end(*state, str_z(one));
    sessions_end(*state, STR("o2s_unknown"));
    assert_false(sessions_has(*state, str_z(one), 2));
    assert_true(sessions_has(*state, str_z(two), 2));
    sessions_end_all(*state);
    assert_false(sessions_has(*state, str_z(two), 2));
}

static void test_session__chat_token_is_of_its_session_and_for_chat_alone(void **state)
{
    char room[SESSION_TOKEN_BYTES];
    char chat_room[SESSION_TEXT_BYTES];
    str token = sessions_begin(*state, 1, room);
    str chat = session_chat_token(*state, token, chat_room);
    assert_true(session_is_chat_token(chat) && !session_is_token(chat));
    assert_true(sessions_has_chat(*state, chat, 2));
    assert_false(sessions_has(*state, chat, 2));
    assert_false(sessions_has_chat(*state, token, 2));
    sessions_end(*state, token);
    assert_false(sessions_has_chat(*state, chat, 3));
}

/* A stream that goes on by itself asks again and again, and the session ends all the same. */
static void test_session__to_be_known_is_no_call(void **state)
{
    char room[SESSION_TOKEN_BYTES];
    str token = sessions_begin(*state, 1, room);
    assert_true(sessions_knows(*state, token, SESSION_IDLE_MS));
    assert_false(sessions_knows(*state, token, SESSION_IDLE_MS + 1));
    assert_true(sessions_has(*state, token, SESSION_IDLE_MS));
    assert_true(sessions_knows(*state, token, SESSION_IDLE_MS + 1));
    assert_false(sessions_knows(*state, STR("o2s_"), 2));
    sessions_end(*state, token);
    assert_false(sessions_knows(*state, token, 2));
}

static void test_session__csrf_token_is_of_its_session(void **state)
{
    char one[SESSION_TOKEN_BYTES];
    char two[SESSION_TOKEN_BYTES];
    char csrf_room[SESSION_TEXT_BYTES];
    str a = sessions_begin(*state, 1, one);
    str b = sessions_begin(*state, 1, two);
    str csrf = session_csrf(*state, a, csrf_room);
    assert_true(session_csrf_ok(*state, a, csrf));
    assert_false(session_csrf_ok(*state, b, csrf));
    assert_false(session_csrf_ok(*state, a, STR("")));
    assert_false(session_csrf_ok(*state, a, a));
    assert_false(session_csrf_ok(*state, a, str_head(csrf, csrf.len - 1)));
    struct sessions *other = sessions_new((const unsigned char[CRYPTO_KEY_BYTES]){8});
    assert_false(session_csrf_ok(other, a, csrf));
    sessions_free(other);
}

static void test_session__password_becomes_a_token_once(void **state)
{
    str password = STR("a long password");
    assert_false(sessions_has(*state, password, 1));
    sessions_adopt(*state, password, 1);
    sessions_adopt(*state, password, 2);
    assert_int_equal(sessions_count(*state, 3), 1);
    assert_true(sessions_has(*state, password, 3));
    assert_false(sessions_has(*state, STR("a long passwore"), 3));
    sessions_end(*state, password);
    assert_false(sessions_has(*state, password, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_session__token_has_its_form_and_is_random, make, drop),
        cmocka_unit_test_setup_teardown(test_session__ends_when_idle_or_old, make, drop),
        cmocka_unit_test_setup_teardown(test_session__what_was_over_stays_over, make, drop),
        cmocka_unit_test_setup_teardown(test_session__too_many_end_the_idlest, make, drop),
        cmocka_unit_test_setup_teardown(test_session__ends_alone_and_all_together, make, drop),
        cmocka_unit_test_setup_teardown(
            test_session__chat_token_is_of_its_session_and_for_chat_alone, make, drop),
        cmocka_unit_test_setup_teardown(test_session__to_be_known_is_no_call, make, drop),
        cmocka_unit_test_setup_teardown(test_session__csrf_token_is_of_its_session, make, drop),
        cmocka_unit_test_setup_teardown(test_session__password_becomes_a_token_once, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
