#include "unit.h"

#include "base/crypto.h"
#include "core/key_list.h"

#define NOW_MS 1000

static uint64_t add(struct keypool *p, uint64_t id, const char *url, const char *secret,
                    const char *name)
{
    struct key_spec spec = {.id = id,
                            .secret = str_z(secret),
                            .base_url = str_z(url),
                            .name = str_z(name),
                            .added_ms = (int64_t)(id == 4 ? 1 : 5), // the last is the oldest
                            .enabled = id != 2};
    uint64_t ret;
    if (keypool_add(p, &spec, NOW_MS, &ret) != ERR_OK)
        fail_msg("cannot add %s", secret);
    return ret;
}

static int make(void **state)
{
    static const struct keypool_options options = {.seed = 1};
    if (crypto_init() != ERR_OK)
        return 1;
    struct keypool *p = keypool_new(&options);
    keypool_set_clock(p, NOW_MS, 1700000000000);
    add(p, 1, "http://10.0.0.1", "sk-aaaaaaaaaaaaaaaaaaaa", "bee");
    add(p, 2, "http://10.0.0.2", "sk-bbbbbbbbbbbbbbbbbbbb", "Ant");
    add(p, 3, "http://10.0.0.2", "sk-cccccccccccccccccccc", "bee");
    add(p, 4, "https://ollama.com", "sk-secret-part-here-dddd", "");
    *state = p;
    return 0;
}

static int drop(void **state)
{
    keypool_free(*state);
    return 0;
}

/* The ids, as digits. */
static str listed(struct keypool *p, const struct key_filter *filter, const struct key_order *order,
                  char out[16])
{
    struct key_ids ids;
    size_t n = 0;
    key_list_collect(p, filter, order, NOW_MS, &ids);
    for (size_t i = 0; i < ids.n && n < 15; i++)
        out[n++] = (char)('0' + ids.items[i]);
    key_ids_release(&ids);
    return str_of(out, n);
}

static void test_key_list__filters(void **state)
{
    static const struct {
        struct key_filter filter;
        const char *want;
        const char *why;
    } cases[] = {
        {{.states = 0},                                            "1234", "all"                      },
        {{.states = 1U << KEY_IS_DISABLED},                        "2",    "one state"                },
        {{.states = 1U << KEY_IS_DISABLED | 1U << KEY_IS_READY},   "1234", "two states"               },
        {{.states = 1U << KEY_IS_DEAD},                            "",     "none is so"               },
        {{.host = STR_C("http://10.0.0.2")},                       "23",   "a host"                   },
        {{.host = STR_C("http://10.0.0.2/api")},                   "23",   "a host as it is shown"    },
        {{.host = STR_C("https://ollama.com/api")},                "4",    "ollama.com as it is shown"},
        {{.host = STR_C("http://10.0.0")},                         "",     "only its beginning"       },
        {{.text = STR_C("BEE")},                                   "13",   "a name, in any case"      },
        {{.text = STR_C("10.0.0.2")},                              "23",   "in a host"                },
        {{.text = STR_C("dddd")},                                  "4",    "what the mask shows"      },
        {{.text = STR_C("secret-part")},                           "",     "never in the secret"      },
        {{.text = STR_C("bee"), .host = STR_C("http://10.0.0.1")}, "1",    "both have to match"       },
    };
    static const struct key_order order = {.field = KEY_BY_HOST};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char room[16];
        assert_str_why(listed(*state, &cases[i].filter, &order, room), str_z(cases[i].want),
                       cases[i].why);
    }
}

static void test_key_list__orders(void **state)
{
    static const struct {
        struct key_order order;
        const char *want;
        const char *why;
    } cases[] = {
        {{KEY_BY_ADDED, false},    "4123", "the oldest first, then by id"  },
        {{KEY_BY_ADDED, true},     "3214", "turned round as a whole"       },
        {{KEY_BY_NAME, false},     "4213", "by bytes, equal ones by id"    },
        {{KEY_BY_NAME, true},      "1324", "equal ones by id downwards too"},
        {{KEY_BY_HOST, false},     "1234", "by base URL"                   },
        {{KEY_BY_HOST, true},      "4231", "downwards"                     },
        {{KEY_BY_STATUS, false},   "1342", "ready before disabled"         },
        {{KEY_BY_REQUESTS, false}, "1234", "nothing was sent"              },
        {{KEY_BY_FAILED, true},    "1234", "nor failed"                    },
        {{KEY_BY_TOKENS, true},    "1234", "nor counted"                   },
        {{KEY_BY_USED, true},      "1234", "nor used"                      },
        {{KEY_BY_UNTIL, false},    "1234", "nor cools any"                 },
    };
    static const struct key_filter any = {.states = 0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char room[16];
        assert_str_why(listed(*state, &any, &cases[i].order, room), str_z(cases[i].want),
                       cases[i].why);
    }
}

static void test_key_list__of_an_empty_pool(void **state)
{
    static const struct keypool_options options = {.seed = 1};
    static const struct key_filter any = {.states = 0};
    static const struct key_order order = {.field = KEY_BY_ADDED};
    struct keypool *p = keypool_new(&options);
    struct key_ids ids;
    key_list_collect(p, &any, &order, NOW_MS, &ids);
    assert_int_equal(ids.n, 0);
    key_ids_release(&ids);
    keypool_free(p);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_key_list__filters, make, drop),
        cmocka_unit_test_setup_teardown(test_key_list__orders, make, drop),
        cmocka_unit_test_setup_teardown(test_key_list__of_an_empty_pool, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
