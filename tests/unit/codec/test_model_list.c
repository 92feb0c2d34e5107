#include "unit.h"

#include "codec/model_list.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 8 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static void test_model_list__same_model_under_two_names(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        bool same;
        const char *why;
    } cases[] = {
        {"plain",          "plain:latest",   true,  "no tag is the tag latest"         },
        {"plain",          "PLAIN",          true,  "letter case"                      },
        {"Plain:LATEST",   "plain",          true,  "both"                             },
        {"plain",          "plain:4b",       false, "another tag"                      },
        {"plain",          "plainer",        false, "only begins like it"              },
        {"u/plain",        "plain",          false, "another namespace"                },
        {"u/plain:latest", "u/plain",        true,  "a namespace"                      },
        {":latest",        "",               false, "a tag alone is no name without it"},
        {"plain:latest",   "plain:latest:x", false, "not at the end"                   },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        str a = str_z(cases[i].a);
        str b = str_z(cases[i].b);
        assert_why(model_name_same(a, b) == cases[i].same, cases[i].why);
        assert_why(model_name_same(b, a) == cases[i].same, cases[i].why);
        assert_why(!cases[i].same || model_name_hash(a) == model_name_hash(b), cases[i].why);
    }
}

static void test_model_list__owner_is_the_namespace(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *want;
        const char *why;
    } cases[] = {
        {"qwen3:8b",               "library",   "none is the library"      },
        {"ns/x:latest",            "ns",        "one"                      },
        {"hf.co/bartowski/m:Q4_K", "bartowski", "behind a host"            },
        {"host:5000/ns/m",         "ns",        "behind a host with a port"},
        {"/m",                     "library",   "an empty one"             },
        {"a//m",                   "library",   "an empty one in between"  },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_str_why(model_name_owner(str_z(cases[i].name)), str_z(cases[i].want), cases[i].why);
}

static void test_model_list__cloud_models_have_a_tag_that_says_so(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool cloud;
    } cases[] = {
        {"m:cloud",           true },
        {"m:8b:cloud",        true },
        {"m:8b-cloud",        true },
        {"ns/m:120b-CLOUD",   true },
        {"host:5000/m:cloud", true },
        {"m-cloud",           false},
        {"m",                 false},
        {"",                  false},
        {"m:",                false},
        {"m:-cloud",          false},
        {"m:8bcloud",         false},
        {"m:cloud:local",     false},
        {"host:cloud/m",      false},
        {"cloud",             false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *why = cases[i].name[0] != '\0' ? cases[i].name : "no name";
        assert_why(model_name_is_cloud(str_z(cases[i].name)) == cases[i].cloud, why);
    }
}

static void test_model_list__merges_without_duplicates(void **state)
{
    (void)state;
    const struct model_entry first[] = {
        {.name = STR("b:latest"), .created_s = 2},
        {.name = STR("a"),        .created_s = 1},
        {.name = STR("b"),        .created_s = 9},
    };
    const struct model_entry second[] = {
        {.name = STR("c:7b"),     .created_s = 3},
        {.name = STR("A:latest"), .created_s = 8},
    };
    const struct model_list lists[] = {
        {first,  COUNT_OF(first) },
        {NULL,   0               },
        {second, COUNT_OF(second)},
    };
    struct model_list got;
    assert_int_equal(model_list_merge(&arena, lists, COUNT_OF(lists), &got), ERR_OK);
    assert_int_equal(got.n, 3);
    assert_str(got.items[0].name, STR("b:latest"));
    assert_int_equal(got.items[0].created_s, 2);
    assert_str(got.items[1].name, STR("a"));
    assert_str(got.items[2].name, STR("c:7b"));
    assert_ptr_not_equal(got.items[0].name.p, first[0].name.p);

    assert_ptr_equal(model_list_find(&got, STR("B")), &got.items[0]);
    assert_ptr_equal(model_list_find(&got, STR("a:latest")), &got.items[1]);
    assert_null(model_list_find(&got, STR("c")));
    assert_null(model_list_find(&got, STR("")));
}

static void test_model_list__merge_stops_at_its_limits(void **state)
{
    (void)state;
    struct model_entry *many = arena_new(&arena, struct model_entry, MODEL_LIST_MAX + 1);
    for (size_t i = 0; i <= MODEL_LIST_MAX; i++)
        many[i].name = arena_printf(&arena, "m%zu", i);
    static const struct {
        size_t n;
        size_t want;
        const char *why;
    } cases[] = {
        {0,                  0,                  "none"     },
        {MODEL_LIST_MAX - 1, MODEL_LIST_MAX - 1, "one below"},
        {MODEL_LIST_MAX,     MODEL_LIST_MAX,     "as many"  },
        {MODEL_LIST_MAX + 1, MODEL_LIST_MAX,     "one above"},
    };
    struct model_list got;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct model_list list = {many, cases[i].n};
        assert_int_equal(model_list_merge(&arena, &list, 1, &got), ERR_OK);
        assert_why(got.n == cases[i].want, cases[i].why);
    }
    struct arena small;
    arena_init(&small, 4096);
    struct model_list list = {many, 1000};
    assert_int_equal(model_list_merge(&small, &list, 1, &got), ERR_TOO_LARGE);
    arena_release(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_list__same_model_under_two_names),
        cmocka_unit_test(test_model_list__owner_is_the_namespace),
        cmocka_unit_test(test_model_list__cloud_models_have_a_tag_that_says_so),
        cmocka_unit_test_setup_teardown(test_model_list__merges_without_duplicates, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_model_list__merge_stops_at_its_limits, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
