#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/cors.h"

static enum cors_verdict decide(const char *origins, struct cors_query query)
{
    struct arena a;
    struct cors_policy policy = {0};
    struct err_info info = {0};
    arena_init(&a, 1 << 16);
    if (cors_policy_parse(&a, str_z(origins), &policy, &info) != ERR_OK)
        fail_msg("%s: %s", origins, info.text);
    enum cors_verdict verdict = cors_decide(&policy, &query);
    arena_release(&a);
    return verdict;
}

static void test_cors__decides_by_origin(void **state)
{
    static const struct {
        const char *origins;
        bool tokens;
        const char *origin;
        enum cors_verdict want;
        const char *why;
    } cases[] = {
        {"auto",                        false, "",                             CORS_NONE,   "no Origin: not a page"                },
        {"auto",                        true,  "https://chat.example.com",     CORS_ALLOW,  "a token protects"                     },
        {"auto",                        true,  "null",                         CORS_ALLOW,  "a token protects, sandboxed pages too"},
        {"auto",                        false, "https://chat.example.com",     CORS_REFUSE, "the web must not use our keys"        },
        {"auto",                        false, "http://192.168.1.5:3000",      CORS_REFUSE, "private is not loopback"              },
        {"auto",                        false, "null",                         CORS_REFUSE, "null is a web origin"                 },
        {"auto",                        false, "http://localhost",             CORS_ALLOW,  "loopback"                             },
        {"auto",                        false, "http://LOCALHOST:5173",        CORS_ALLOW,  "letter case"                          },
        {"auto",                        false, "https://127.0.0.1:8443",       CORS_ALLOW,  "loopback by address"                  },
        {"auto",                        false, "http://[::1]:8080",            CORS_ALLOW,  "loopback, IPv6"                       },
        {"auto",                        false, "http://localhost.example.com", CORS_REFUSE, "only begins like it"                  },
        {"auto",                        false, "http://127.0.0.1.example.com", CORS_REFUSE, "only begins like it"                  },
        {"auto",                        false, "http://[::1].example.com",     CORS_REFUSE, "only begins like it"                  },
        {"auto",                        false, "app://obsidian.md",            CORS_ALLOW,  "a program on this machine"            },
        {"auto",                        false, "chrome-extension://abc",       CORS_ALLOW,  "an extension"                         },
        {"auto",                        false, "tauri://localhost",            CORS_ALLOW,  "a program on this machine"            },
        {"auto",                        false, "file://",                      CORS_ALLOW,  "a file"                               },
        {"auto",                        false, "HTTP://example.com",           CORS_REFUSE, "scheme in capitals"                   },
        {"auto",                        true,  "junk",                         CORS_REFUSE, "no origin at all is never echoed"     },
        {"auto",                        true,  "https://a.b/path",             CORS_REFUSE, "an origin has no path"                },
        {"auto",                        true,  "https://a b",                  CORS_REFUSE, "a blank"                              },
        {"auto",                        true,  "https://a, https://b",         CORS_REFUSE, "two"                                  },
        {"https://a.example",           false, "https://a.example",            CORS_ALLOW,  "listed"                               },
        {"https://a.example/",          false, "https://a.example",            CORS_ALLOW,  "slash of an address bar"              },
        {"https://A.example",           false, "https://a.EXAMPLE",            CORS_ALLOW,  "letter case"                          },
        {"https://a.example",           true,  "https://b.example",            CORS_REFUSE, "a token does not help"                },
        {"https://a.example",           true,  "http://a.example",             CORS_REFUSE, "other scheme"                         },
        {"https://a.example",           true,  "https://a.example:8443",       CORS_REFUSE, "other port"                           },
        {"https://a.example, http://b", false, "http://b",                     CORS_ALLOW,  "second of two"                        },
        {"https://a.example",           false, "http://localhost:3000",        CORS_REFUSE, "loopback not listed"                  },
        {"https://*.example.com",       false, "https://x.example.com",        CORS_ALLOW,  "wildcard"                             },
        {"https://*.example.com",       false, "https://x.y.example.com",      CORS_ALLOW,  "two labels"                           },
        {"https://*.example.com",       false, "https://example.com",          CORS_REFUSE, "not the domain"                       },
        {"https://*.example.com",       false, "https://evil.com",             CORS_REFUSE, "another domain"                       },
        {"https://*.example.com",       false, "https://x.example.com.evil",   CORS_REFUSE, "suffix"                               },
        {"http://localhost:*",          false, "http://localhost:1234",        CORS_ALLOW,  "any port"                             },
        {"http://localhost:*",          false, "http://localhost",             CORS_REFUSE, "no port"                              },
        {"chrome-extension://*",        false, "chrome-extension://x",         CORS_ALLOW,  "any extension"                        },
        {"*",                           false, "https://a.example",            CORS_ALLOW,  "any"                                  },
        {"*",                           false, "null",                         CORS_ALLOW,  "any, null too"                        },
        {"null",                        false, "null",                         CORS_ALLOW,  "null by name"                         },
        {"https://*",                   false, "null",                         CORS_REFUSE, "null is no https origin"              },
        {"*://localhost",               false, "http://localhost",             CORS_ALLOW,  "any scheme"                           },
        {"*://localhost",               false, "http://x/y://localhost",       CORS_REFUSE,
         "'*' does not reach over '://'"                                                                                           },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cors_query q = {.origin = str_z(cases[i].origin), .tokens_set = cases[i].tokens};
        enum cors_verdict got = decide(cases[i].origins, q);
        if (got != cases[i].want)
            fail_msg("%s, %s (%s): got %d", cases[i].origins, cases[i].origin, cases[i].why, got);
    }
}

static void test_cors__own_origin_passes_with_a_bearer(void **state)
{
    static const struct {
        const char *origin;
        const char *host;
        bool tls;
        bool bearer;
        enum cors_verdict want;
        const char *why;
    } cases[] = {
        {"http://proxy.lan:3000",  "proxy.lan:3000", false, true,  CORS_ALLOW,  "the same"              },
        {"http://proxy.lan:3000",  "PROXY.lan:3000", false, true,  CORS_ALLOW,  "letter case"           },
        {"http://proxy.lan:3000",  "proxy.lan:3000", false, false, CORS_REFUSE, "no bearer"             },
        {"https://proxy.lan:3000", "proxy.lan:3000", false, true,  CORS_REFUSE, "other scheme"          },
        {"http://proxy.lan:3001",  "proxy.lan:3000", false, true,  CORS_REFUSE, "other port"            },
        {"http://evil.com",        "proxy.lan:3000", false, true,  CORS_REFUSE, "other host"            },
        {"https://proxy.lan",      "proxy.lan",      true,  true,  CORS_ALLOW,  "https"                 },
        {"https://proxy.lan",      "proxy.lan:443",  true,  true,  CORS_ALLOW,  "default port in Host"  },
        {"http://proxy.lan",       "proxy.lan:80",   false, true,  CORS_ALLOW,  "default port in Host"  },
        {"http://proxy.lan",       "proxy.lan:443",  false, true,  CORS_REFUSE, "the other default port"},
        {"null",                   "",               false, true,  CORS_REFUSE, "nothing equals null"   },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cors_query q = {
            .origin = str_z(cases[i].origin),
            .host = str_z(cases[i].host),
            .tls = cases[i].tls,
            .bearer_valid = cases[i].bearer,
        };
        if (decide("https://elsewhere.example", q) != cases[i].want)
            fail_msg("%s, %s (%s)", cases[i].origin, cases[i].host, cases[i].why);
    }
}

static void test_cors__refuses_bad_policies(void **state)
{
    static const char *const cases[] = {
        "",     " , ", "auto, https://a", "example.com", "https://a/b", "ht tp://a", "https://a b",
        "://a",
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct cors_policy policy;
        struct err_info info = {0};
        arena_init(&a, 1 << 16);
        if (cors_policy_parse(&a, str_z(cases[i]), &policy, &info) != ERR_SYNTAX)
            fail_msg("accepted '%s'", cases[i]);
        assert_true(info.text[0] != '\0');
        arena_release(&a);
    }
}

static str find(const struct cors_headers *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++) {
        if (str_ieq(h->items[i].name, str_z(name)))
            return h->items[i].value;
    }
    return (str){NULL, 0};
}

static void test_cors__answer_names_origin_and_readable_headers(void **state)
{
    struct cors_headers h;
    (void)state;
    cors_answer(CORS_ALLOW, STR("http://localhost:5173"), &h);
    assert_true(str_eq(find(&h, "access-control-allow-origin"), STR("http://localhost:5173")));
    assert_true(str_eq(find(&h, "vary"), STR("Origin")));
    str exposed = find(&h, "access-control-expose-headers");
    assert_true(str_contains(exposed, STR("x-request-id")));
    assert_true(str_contains(exposed, STR("retry-after")));
    assert_true(str_contains(exposed, STR("x-should-retry")));
    assert_int_equal(find(&h, "access-control-allow-credentials").len, 0);

    cors_answer(CORS_NONE, STR(""), &h);
    assert_int_equal(h.n, 0);
    cors_answer(CORS_REFUSE, STR("http://evil.com"), &h);
    assert_int_equal(h.n, 0);
}

static void test_cors__preflight_echoes_sound_lists(void **state)
{
    static const struct {
        const char *asked;
        bool echo;
        const char *why;
    } cases[] = {
        {"authorization,content-type",      true,  "as browsers send it"},
        {"x-stainless-timeout, x-whatever", true,  "with blanks"        },
        {"",                                false, "none"               },
        {",, ,",                            false, "no name in it"      },
        {"x-a: b",                          false, "a colon"            },
        {"x-a\"b",                          false, "a quote"            },
        {"x-\xC3\xA4",                      false, "not ASCII"          },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct cors_preflight p = {.origin = STR("app://x"),
                                         .request_headers = str_z(cases[i].asked)};
        struct cors_headers h;
        cors_preflight_answer(CORS_ALLOW, &p, &h);
        str got = find(&h, "access-control-allow-headers");
        if (str_eq(got, str_z(cases[i].asked)) != cases[i].echo)
            fail_msg("%s: %.*s", cases[i].why, STR_ARG(got));
        if (!cases[i].echo)
            assert_true(str_contains(got, STR("x-stainless-helper-method")));
    }
}

static void test_cors__preflight_echo_has_a_limit(void **state)
{
    static char list[2049];
    static const size_t lengths[] = {2047, 2048, 2049};
    (void)state;
    memset(list, 'x', sizeof(list));
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        const struct cors_preflight p = {.origin = STR("app://x"),
                                         .request_headers = str_of(list, lengths[i])};
        struct cors_headers h;
        cors_preflight_answer(CORS_ALLOW, &p, &h);
        bool echoed = find(&h, "access-control-allow-headers").p == list;
        assert_int_equal(echoed, lengths[i] <= 2048);
    }
}

static void test_cors__preflight_headers(void **state)
{
    struct cors_preflight p = {.origin = STR("https://a"), .private_network = true};
    struct cors_headers h;
    (void)state;
    cors_preflight_answer(CORS_ALLOW, &p, &h);
    assert_true(
        str_eq(find(&h, "access-control-allow-methods"), STR("GET, POST, OPTIONS, HEAD, DELETE")));
    assert_true(str_eq(find(&h, "access-control-max-age"), STR("7200")));
    assert_true(str_eq(find(&h, "vary"), STR("Origin, Access-Control-Request-Headers")));
    assert_true(str_eq(find(&h, "access-control-allow-private-network"), STR("true")));
    assert_true(h.n <= CORS_FIELDS);

    p.private_network = false;
    cors_preflight_answer(CORS_ALLOW, &p, &h);
    assert_int_equal(find(&h, "access-control-allow-private-network").len, 0);

    cors_preflight_answer(CORS_NONE, &p, &h);
    assert_int_equal(find(&h, "access-control-allow-origin").len, 0);
    cors_preflight_answer(CORS_REFUSE, &p, &h);
    assert_int_equal(h.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cors__decides_by_origin),
        cmocka_unit_test(test_cors__own_origin_passes_with_a_bearer),
        cmocka_unit_test(test_cors__refuses_bad_policies),
        cmocka_unit_test(test_cors__answer_names_origin_and_readable_headers),
        cmocka_unit_test(test_cors__preflight_echoes_sound_lists),
        cmocka_unit_test(test_cors__preflight_echo_has_a_limit),
        cmocka_unit_test(test_cors__preflight_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
