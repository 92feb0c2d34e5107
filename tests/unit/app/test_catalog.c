#include "unit.h"

#include "app/catalog.h"

static struct catalog *catalog;

static int setup(void **state)
{
    (void)state;
    catalog = catalog_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    catalog_free(catalog);
    return 0;
}

static void publish_at(uint32_t host, const char *name, struct model_abilities abilities,
                       uint64_t now_ms)
{
    const struct model_entry entry = {.name = str_z(name), .created_s = 7, .abilities = abilities};
    const struct model_list list = {&entry, 1};
    assert_int_equal(catalog_publish(catalog, host, &list, now_ms), ERR_OK);
}

static void publish(const char *name, struct model_abilities abilities, uint64_t now_ms)
{
    publish_at(3, name, abilities, now_ms);
}

static void assert_list(const char *want)
{
    char got[256] = "";
    const struct catalog_view *view = catalog_view(catalog);
    for (size_t i = 0; view != NULL && i < view->list.n; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.*s ",
                 STR_ARG(view->list.items[i].name));
    catalog_view_release(view);
    assert_str(str_z(got), str_z(want));
}

static void test_catalog__lists_of_hosts_are_shown_as_one(void **state)
{
    (void)state;
    publish_at(900, "c", (struct model_abilities){0}, 1000);
    publish_at(0, "a", (struct model_abilities){0}, 1001);
    publish_at(7, "A:latest", (struct model_abilities){0}, 1002);
    assert_list("a c ");
    assert_true(catalog_host_has(catalog, 7, STR("a")));
    assert_false(catalog_host_has(catalog, 900, STR("a")));
    assert_false(catalog_host_has(catalog, 8, STR("a")));
    assert_false(catalog_host_has(catalog, 5000, STR("a")));
    publish_at(0, "b", (struct model_abilities){0}, 1003);
    assert_list("b A:latest c ");
}

static void test_catalog__hosts_that_are_gone_are_forgotten(void **state)
{
    (void)state;
    publish_at(0, "a", (struct model_abilities){0}, 1000);
    publish_at(1, "b", (struct model_abilities){0}, 1000);
    publish_at(2, "c", (struct model_abilities){0}, 1000);
    catalog_mark_host(catalog, 1, 2000);
    publish_at(2, "d", (struct model_abilities){0}, 2000); // it has answered
    catalog_sweep(catalog, 2000);
    assert_list("b d ");
    catalog_sweep(catalog, 2001);
    assert_null(catalog_view(catalog));
    publish_at(1, "e", (struct model_abilities){0}, 2002);
    publish_at(2, "f", (struct model_abilities){0}, 2002);
    catalog_forget_host(catalog, 2); // the pool gives its number to another one
    catalog_forget_host(catalog, 7000);
    assert_list("e ");
    assert_int_equal(catalog_host_count(catalog, 2), -1);
    catalog_note(catalog, STR("e"), (struct model_abilities){true, MODEL_THINKS}, 2002);
    catalog_reset(catalog);
    assert_null(catalog_view(catalog));
    assert_int_equal(catalog_thinks(catalog, STR("e"), 2003).answer, CATALOG_UNKNOWN);
    assert_true(catalog_claim(catalog, CATALOG_OLD_MS, 2003));
}

static void test_catalog__one_host_is_asked_every_five_seconds(void **state)
{
    (void)state;
    assert_true(catalog_claim_host(catalog, 4, 1000));
    assert_false(catalog_claim_host(catalog, 4, 5999));
    assert_true(catalog_claim_host(catalog, 5, 5999));
    assert_true(catalog_claim_host(catalog, 4, 6000));
    assert_null(catalog_view(catalog)); // nothing is known yet
}

static void test_catalog__a_view_outlives_the_next_one(void **state)
{
    (void)state;
    assert_null(catalog_view(catalog));
    publish("a:latest", (struct model_abilities){0}, 1000);
    const struct catalog_view *first = catalog_view(catalog);
    publish("b:latest", (struct model_abilities){0}, 2000);
    const struct catalog_view *second = catalog_view(catalog);
    assert_non_null(model_list_find(&first->list, STR("a")));
    assert_null(model_list_find(&first->list, STR("b")));
    assert_non_null(model_list_find(&second->list, STR("b")));
    assert_str(buf_str(&first->body),
               STR("{\"object\":\"list\",\"data\":[{\"id\":\"a:latest\",\"object\":\"model\","
                   "\"created\":7,\"owned_by\":\"library\"}]}"));
    catalog_view_release(first);
    catalog_view_release(second);
    catalog_view_release(NULL);
}

static void test_catalog__one_refreshes_what_is_old(void **state)
{
    (void)state;
    static const struct {
        uint64_t now_ms;
        uint64_t max_age_ms;
        bool want;
        const char *why;
    } cases[] = {
        {1000,  CATALOG_OLD_MS,     true,  "there is none"                     },
        {1000,  CATALOG_OLD_MS,     false, "somebody asks already"             },
        {5999,  CATALOG_OLD_MS,     false, "one millisecond before another try"},
        {6000,  CATALOG_OLD_MS,     true,  "the next try"                      },
        {6000,  CATALOG_OLD_MS,     false, "by one alone"                      },
 // it comes at 7000
        {11999, CATALOG_CURRENT_MS, false, "current"                           },
        {12000, CATALOG_CURRENT_MS, true,  "not current any more"              },
        {66999, CATALOG_OLD_MS,     false, "not old yet"                       },
        {67000, CATALOG_OLD_MS,     true,  "old"                               },
        {66990, CATALOG_OLD_MS,     false, "a clock that lags"                 },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (i == 5)
            publish("a", (struct model_abilities){0}, 7000);
        assert_why(catalog_claim(catalog, cases[i].max_age_ms, cases[i].now_ms) == cases[i].want,
                   cases[i].why);
    }
}

static void assert_ability(const char *name, uint64_t now_ms, struct catalog_ability want)
{
    struct catalog_ability got = catalog_thinks(catalog, str_z(name), now_ms);
    if (got.answer != want.answer || got.ask != want.ask || got.wait != want.wait)
        fail_msg("%s at %llu: answer %d ask %d wait %d", name, (unsigned long long)now_ms,
                 (int)got.answer, got.ask, got.wait);
}

static const struct model_abilities THINKS = {true, MODEL_CHATS | MODEL_THINKS};
static const struct model_abilities CHATS = {true, MODEL_CHATS};
static const struct model_abilities SILENT = {false, 0};

static void test_catalog__abilities_are_waited_for_once(void **state)
{
    (void)state;
    assert_ability("a", 1000, (struct catalog_ability){CATALOG_UNKNOWN, true, true});
    catalog_note(catalog, STR("a"), THINKS, 1000);
    assert_ability("A:latest", 1001, (struct catalog_ability){CATALOG_YES, false, false});
    assert_ability("a", 1000 + CATALOG_NOTE_MS - 1,
                   (struct catalog_ability){CATALOG_YES, false, false});
    assert_ability("a", 1000 + CATALOG_NOTE_MS, (struct catalog_ability){CATALOG_YES, true, false});
    // No answer to the second question: what was known before counts.
    catalog_note(catalog, STR("a"), SILENT, 700000);
    assert_ability("a", 700001, (struct catalog_ability){CATALOG_YES, false, false});
    catalog_note_no_thinking(catalog, STR("a"), 700002);
    assert_ability("a", 700003, (struct catalog_ability){CATALOG_NO, false, false});

    catalog_note(catalog, STR("b"), SILENT, 1000);
    assert_ability("b", 1000 + CATALOG_SILENCE_MS - 1,
                   (struct catalog_ability){CATALOG_UNKNOWN, false, false});
    assert_ability("b", 1000 + CATALOG_SILENCE_MS,
                   (struct catalog_ability){CATALOG_UNKNOWN, true, false});
}

static void test_catalog__abilities_of_the_list_need_no_question(void **state)
{
    (void)state;
    publish("t:latest", THINKS, 1000);
    assert_ability("t", 1001, (struct catalog_ability){CATALOG_YES, false, false});
    publish("t:latest", CHATS, 2000);
    assert_ability("t", 2001, (struct catalog_ability){CATALOG_NO, false, false});
    publish("t:latest", SILENT, 3000);
    assert_ability("t", 3001, (struct catalog_ability){CATALOG_UNKNOWN, true, true});
}

static void test_catalog__keeps_the_notes_used_last(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i <= CATALOG_NOTES_MAX; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        catalog_note(catalog, str_z(name), THINKS, 1000 + (uint64_t)i);
        if (i == CATALOG_NOTES_MAX - 1) // all are there: the first is used again
            assert_ability("m0", 5000, (struct catalog_ability){CATALOG_YES, false, false});
    }
    snprintf(name, sizeof(name), "m%d", CATALOG_NOTES_MAX);
    assert_ability("m0", 5001, (struct catalog_ability){CATALOG_YES, false, false});
    assert_ability("m2", 5001, (struct catalog_ability){CATALOG_YES, false, false});
    assert_ability(name, 5001, (struct catalog_ability){CATALOG_YES, false, false});
    assert_ability("m1", 5001, (struct catalog_ability){CATALOG_UNKNOWN, true, true});
}

static void test_catalog__names_without_end_are_not_kept(void **state)
{
    (void)state;
    char name[MODEL_NAME_MAX + 2];
    memset(name, 'x', sizeof(name));
    static const struct {
        size_t len;
        enum catalog_answer want;
        bool ask;
    } cases[] = {
        {MODEL_NAME_MAX,     CATALOG_YES,     false},
        {MODEL_NAME_MAX + 1, CATALOG_UNKNOWN, false},
        {0,                  CATALOG_UNKNOWN, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        str s = str_of(name, cases[i].len);
        catalog_note(catalog, s, THINKS, 1000);
        struct catalog_ability got = catalog_thinks(catalog, s, 1001);
        assert_int_equal(got.answer, cases[i].want);
        assert_int_equal(got.ask, cases[i].ask);
    }
}

static void test_catalog__tells_of_each_name_once(void **state)
{
    (void)state;
    char name[16];
    assert_true(catalog_tell_once(catalog, STR("m")));
    assert_false(catalog_tell_once(catalog, STR("M:latest")));
    for (int i = 1; i < CATALOG_TOLD_MAX; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        assert_true(catalog_tell_once(catalog, str_z(name)));
    }
    assert_false(catalog_tell_once(catalog, STR("m")));
    assert_true(catalog_tell_once(catalog, STR("one more")));
    assert_true(catalog_tell_once(catalog, STR("m"))); // its place was taken
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_catalog__a_view_outlives_the_next_one),
        TEST(test_catalog__lists_of_hosts_are_shown_as_one),
        TEST(test_catalog__hosts_that_are_gone_are_forgotten),
        TEST(test_catalog__one_host_is_asked_every_five_seconds),
        TEST(test_catalog__one_refreshes_what_is_old),
        TEST(test_catalog__abilities_are_waited_for_once),
        TEST(test_catalog__abilities_of_the_list_need_no_question),
        TEST(test_catalog__keeps_the_notes_used_last),
        TEST(test_catalog__names_without_end_are_not_kept),
        TEST(test_catalog__tells_of_each_name_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
