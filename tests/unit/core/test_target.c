#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/target.h"

static void test_target__finds_the_route(void **state)
{
    static const struct {
        const char *raw;
        enum route want;
        const char *path;
        const char *id;
        const char *why;
    } cases[] = {
        {"/",                                     ROUTE_ROOT,        "/",                        "",            "the root"                     },
        {"",                                      ROUTE_ROOT,        "/",                        "",            "absolute form without a path" },
        {"//",                                    ROUTE_ROOT,        "/",                        "",            "doubled slash"                },
        {"/?x=/v1",                               ROUTE_ROOT,        "/",                        "",            "a query is not looked at"     },
        {"/health",                               ROUTE_HEALTH,      "/health",                  "",            "health"                       },
        {"/health/",                              ROUTE_HEALTH,      "/health",                  "",            "trailing slash"               },
        {"/v1/health",                            ROUTE_UNKNOWN,     "/health",                  "",            "health has no /v1"            },
        {"/metrics",                              ROUTE_METRICS,     "/metrics",                 "",            "metrics"                      },
        {"/v1/metrics",                           ROUTE_UNKNOWN,     "/metrics",                 "",            "metrics has no /v1"           },
        {"/v1",                                   ROUTE_V1,          "/",                        "",            "connection test"              },
        {"/v1/",                                  ROUTE_V1,          "/",                        "",            "trailing slash"               },
        {"/v1/v1",                                ROUTE_V1,          "/",                        "",            "twice"                        },
        {"/V1",                                   ROUTE_UNKNOWN,     "/V1",                      "",            "paths have a case"            },
        {"/v1/chat/completions",                  ROUTE_CHAT,        "/chat/completions",        "",            "the plain form"               },
        {"/chat/completions",                     ROUTE_CHAT,        "/chat/completions",        "",            "without /v1"                  },
        {"/v1/v1/chat/completions",               ROUTE_CHAT,        "/chat/completions",        "",            "/v1 twice"                    },
        {"/v1/v1/v1/chat/completions",            ROUTE_CHAT,        "/chat/completions",        "",            "three times"                  },
        {"//v1///chat//completions//",            ROUTE_CHAT,        "/chat/completions",        "",            "slashes"                      },
        {"/v1/chat/completions?api-version=2024", ROUTE_CHAT,        "/chat/completions",        "",            "query"                        },
        {"/v1/chat/completions?",                 ROUTE_CHAT,        "/chat/completions",        "",            "empty query"                  },
        {"/v1/ch%61t/completions",                ROUTE_CHAT,        "/chat/completions",        "",            "escaped letter"               },
        {"http://h:1/v1/chat/completions",        ROUTE_CHAT,        "/chat/completions",        "",            "absolute form"                },
        {"http://h",                              ROUTE_ROOT,        "/",                        "",            "absolute form, nothing behind"},
        {"/v1/chat",                              ROUTE_UNKNOWN,     "/chat",                    "",            "half of it"                   },
        {"/v1/chat/completions/x",                ROUTE_UNKNOWN,     "/chat/completions/x",      "",            "more than it"                 },
        {"/chat/v1/completions",                  ROUTE_UNKNOWN,     "/chat/v1/completions",     "",            "/v1 inside"                   },
        {"/v1/completions",                       ROUTE_COMPLETIONS, "/completions",             "",            "completions"                  },
        {"/embeddings",                           ROUTE_EMBEDDINGS,  "/embeddings",              "",            "embeddings"                   },
        {"/v1/models",                            ROUTE_MODELS,      "/models",                  "",            "list"                         },
        {"/v1/models/",                           ROUTE_MODELS,      "/models",                  "",            "no id"                        },
        {"/v1/models/gemma3:4b",                  ROUTE_MODEL,       "/models/gemma3:4b",        "gemma3:4b",   "an id"                        },
        {"/models/a%3Ab",                         ROUTE_MODEL,       "/models/a:b",              "a:b",         "escaped colon"                },
        {"/v1/models/hf.co/u/m:q",                ROUTE_MODEL,       "/models/hf.co/u/m:q",      "hf.co/u/m:q", "raw '/'"                      },
        {"/v1/models/hf.co%2Fu%2fm",              ROUTE_MODEL,       "/models/hf.co/u/m",        "hf.co/u/m",   "%2F"                          },
        {"/v1/models//a/",                        ROUTE_MODEL,       "/models/a",                "a",           "slashes around an id"         },
        {"/v1/models/v1",                         ROUTE_MODEL,       "/models/v1",               "v1",          "an id of that name"           },
        {"/v1/modelsx",                           ROUTE_UNKNOWN,     "/modelsx",                 "",            "only begins like it"          },
        {"/admin",                                ROUTE_ADMIN,       "/admin",                   "",            "admin"                        },
        {"/admin/api/keys",                       ROUTE_ADMIN,       "/admin/api/keys",          "",            "below it"                     },
        {"//admin",                               ROUTE_ADMIN,       "/admin",                   "",            "doubled slash"                },
        {"/v1/admin",                             ROUTE_UNKNOWN,     "/admin",                   "",            "admin has no /v1"             },
        {"/administrator",                        ROUTE_UNKNOWN,     "/administrator",           "",            "only begins like it"          },
        {"/dashboard/billing/usage",              ROUTE_UNKNOWN,     "/dashboard/billing/usage", "",            "unknown"                      },
        {"*",                                     ROUTE_UNKNOWN,     "/*",                       "",            "asterisk form"                },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct target t = {0};
        struct err_info info = {0};
        arena_init(&a, 1 << 16);
        if (target_parse(&a, str_z(cases[i].raw), &t, &info) != ERR_OK)
            fail_msg("%s (%s): %s", cases[i].raw, cases[i].why, info.text);
        if (t.route != cases[i].want || !str_eq(t.path, str_z(cases[i].path)) ||
            !str_eq(t.id, str_z(cases[i].id)))
            fail_msg("%s (%s): route %d, path %.*s, id %.*s", cases[i].raw, cases[i].why, t.route,
                     STR_ARG(t.path), STR_ARG(t.id));
        arena_release(&a);
    }
}

static void test_target__refuses(void **state)
{
    static const struct {
        const char *raw;
        const char *why;
    } cases[] = {
        {"/v1/../admin",           "dots"                       },
        {"/v1/%2e%2E/admin",       "escaped dots"               },
        {"/v1/./chat/completions", "one dot"                    },
        {"/v1/models/a%2F..%2Fb",  "dots inside an id"          },
        {"/v1/models/a/../b",      "dots inside an id"          },
        {"/v1%2Fchat/completions", "%2F outside an id"          },
        {"/chat%2Fcompletions",    "%2F that would make a route"},
        {"/models%2Fx",            "%2F that would make an id"  },
        {"/admin%2Fapi",           "%2F in admin"               },
        {"/a%2Fb",                 "%2F in an unknown path"     },
        {"/v1/%zz",                "a broken escape"            },
        {"/v1/%4",                 "an escape cut short"        },
        {"/v1/models/a%00b",       "a zero byte"                },
        {"/v1/models/a%0Ab",       "a line end"                 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct target t;
        struct err_info info = {0};
        arena_init(&a, 1 << 16);
        if (target_parse(&a, str_z(cases[i].raw), &t, &info) != ERR_SYNTAX)
            fail_msg("accepted %s (%s)", cases[i].raw, cases[i].why);
        assert_true(info.text[0] != '\0');
        arena_release(&a);
    }
}

static void test_target__longest_line_fits_a_small_arena(void **state)
{
    static char raw[8192];
    struct arena a;
    struct target t;
    (void)state;
    for (size_t i = 0; i + 1 < sizeof(raw); i += 2)
        memcpy(raw + i, "/a", 2);
    arena_init(&a, 16384);
    assert_int_equal(target_parse(&a, str_of(raw, sizeof(raw)), &t, NULL), ERR_OK);
    assert_int_equal(t.route, ROUTE_UNKNOWN);
    arena_release(&a);
    arena_init(&a, 4096);
    assert_int_equal(target_parse(&a, str_of(raw, sizeof(raw)), &t, NULL), ERR_TOO_LARGE);
    arena_release(&a);
}

static void test_target__every_route_says_who_may(void **state)
{
    (void)state;
    for (int r = 0; r < ROUTE_COUNT; r++) {
        const struct route_info *info = route_info((enum route)r);
        assert_true(info->name.len > 0);
        assert_true(info->allow.len > 0);
        assert_true(info->methods != 0);
        assert_int_not_equal(info->role, ROLE_NOBODY);
        // HEAD wherever there is GET, and Allow says what the bits say.
        assert_int_equal((info->methods & METHOD_GET) != 0, (info->methods & METHOD_HEAD) != 0);
        assert_int_equal((info->methods & METHOD_GET) != 0, str_contains(info->allow, STR("GET")));
        assert_int_equal((info->methods & METHOD_POST) != 0,
                         str_contains(info->allow, STR("POST")));
    }
    static const enum route open[] = {ROUTE_UNKNOWN, ROUTE_ROOT, ROUTE_HEALTH};
    for (size_t i = 0; i < COUNT_OF(open); i++)
        assert_int_equal(route_info(open[i])->role, ROLE_ANYBODY);
    for (int r = ROUTE_V1; r <= ROUTE_MODEL; r++)
        assert_int_equal(route_info((enum route)r)->role, ROLE_CALLER);
    assert_int_equal(route_info(ROUTE_ADMIN)->role, ROLE_ADMIN);
    assert_false(route_info(ROUTE_ADMIN)->cors);
    assert_ptr_equal(route_info(ROUTE_COUNT), route_info(ROUTE_UNKNOWN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_target__finds_the_route),
        cmocka_unit_test(test_target__refuses),
        cmocka_unit_test(test_target__longest_line_fits_a_small_arena),
        cmocka_unit_test(test_target__every_route_says_who_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
