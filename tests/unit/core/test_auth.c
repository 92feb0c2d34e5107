#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/auth.h"

static struct config *with_tokens(const char *setting)
{
    const char *const environ[] = {setting, NULL};
    const struct config_sources sources = {.environ = environ};
    struct config *cfg = NULL;
    struct err_info info = {0};
    if (config_load(&sources, &cfg, &info) != ERR_OK)
        fail_msg("%s", info.text);
    return cfg;
}

static void test_auth__any_of_three_headers(void **state)
{
    static const struct {
        const char *authorization;
        const char *x_api_key;
        const char *api_key;
        enum auth_verdict want;
        const char *why;
    } cases[] = {
        {"Bearer one",     "",           "",    AUTH_OK,      "bearer"                     },
        {"bearer one",     "",           "",    AUTH_OK,      "scheme in small letters"    },
        {"BEARER  two ",   "",           "",    AUTH_OK,      "second token, blanks"       },
        {"",               "one",        "",    AUTH_OK,      "x-api-key"                  },
        {"",               "",           "two", AUTH_OK,      "api-key"                    },
        {"Bearer wrong",   "one",        "",    AUTH_OK,      "one of them is right"       },
        {"",               "",           "",    AUTH_MISSING, "none"                       },
        {"Bearer wrong",   "",           "",    AUTH_WRONG,   "wrong"                      },
        {"Bearer on",      "",           "",    AUTH_WRONG,   "a prefix"                   },
        {"Bearer one1",    "",           "",    AUTH_WRONG,   "longer"                     },
        {"Bearer ONE",     "",           "",    AUTH_WRONG,   "tokens have a case"         },
        {"Bearer one,two", "",           "",    AUTH_WRONG,   "the list as it was set"     },
        {"Bearer",         "",           "",    AUTH_WRONG,   "no token"                   },
        {"Bearer ",        "",           "",    AUTH_WRONG,   "an empty token"             },
        {"Bearerone",      "",           "",    AUTH_WRONG,   "no blank"                   },
        {"Basic one",      "",           "",    AUTH_WRONG,   "another scheme"             },
        {"one",            "",           "",    AUTH_WRONG,   "no scheme"                  },
        {"",               "wrong",      "",    AUTH_WRONG,   "wrong x-api-key"            },
        {"",               "Bearer one", "",    AUTH_WRONG,   "a scheme where none belongs"},
    };
    (void)state;
    struct config *cfg = with_tokens("API_TOKEN=one,two");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct auth_headers h = {str_z(cases[i].authorization), str_z(cases[i].x_api_key),
                                       str_z(cases[i].api_key)};
        enum auth_verdict got = auth_check(cfg, &h);
        if (got != cases[i].want)
            fail_msg("%s: %d", cases[i].why, got);
        assert_int_equal(auth_bearer_valid(cfg, got), got == AUTH_OK);
    }
    config_free(cfg);
}

static void test_auth__without_tokens_all_may(void **state)
{
    (void)state;
    struct config *cfg = with_tokens("API_TOKEN=");
    const struct auth_headers none = {0};
    const struct auth_headers any = {.authorization = STR("Bearer dummy")};
    assert_int_equal(auth_check(cfg, &none), AUTH_OK);
    assert_int_equal(auth_check(cfg, &any), AUTH_OK);
    assert_false(auth_bearer_valid(cfg, AUTH_OK)); // which proves nothing about them
    config_free(cfg);
}

static void test_auth__bearer(void **state)
{
    (void)state;
    assert_true(str_eq(auth_bearer(STR("Bearer a b")), STR("a b")));
    assert_int_equal(auth_bearer(STR("")).len, 0);
    assert_int_equal(auth_bearer(STR("Bear")).len, 0);
}

static void test_auth__loopback_caller(void **state)
{
    static const struct {
        const char *peer;
        bool forwarded;
        bool http11;
        const char *host;
        const char *origin;
        bool want;
        const char *why;
    } cases[] = {
        {"127.0.0.1",        false, true,  "localhost:3000",     "",                      true,  "curl on this machine"          },
        {"127.0.0.1",        false, true,  "LocalHost",          "",                      true,  "letter case, no port"          },
        {"127.0.0.1",        false, true,  "127.0.0.1:3000",     "",                      true,  "by address"                    },
        {"::1",              false, true,  "[::1]:3000",         "",                      true,  "IPv6"                          },
        {"::1",              false, true,  "[::1]",              "",                      true,  "IPv6 without a port"           },
        {"::ffff:127.0.0.1", false, true,  "localhost",          "",                      true,  "mapped IPv4"                   },
        {"127.0.0.1",        false, true,  "localhost",          "http://localhost:3000", true,  "our own page"                  },
        {"127.0.0.1",        false, true,  "localhost",          "http://evil.com",       false, "another page"                  },
        {"127.0.0.1",        false, true,  "localhost",          "null",                  false, "a sandboxed page"              },
        {"127.0.0.1",        false, true,  "localhost",          "app://x",               false, "no loopback origin"            },
        {"192.168.1.2",      false, true,  "localhost",          "",                      false, "another machine"               },
        {"127.0.0.1",        true,  true,  "localhost",          "",                      false, "behind a proxy"                },
        {"127.0.0.1",        false, false, "localhost",          "",                      false, "HTTP/1.0, as old proxies speak"},
        {"127.0.0.1",        false, true,  "evil.com:3000",      "",                      false, "a name that leads here"        },
        {"127.0.0.1",        false, true,  "localhost.evil.com", "",                      false, "only begins like it"           },
        {"127.0.0.1",        false, true,  "localhost:x",        "",                      false, "no port"                       },
        {"127.0.0.1",        false, true,  "localhost:65536",    "",                      false, "no port"                       },
        {"127.0.0.1",        false, true,  "127.0.0.2",          "",                      false, "not one of the three"          },
        {"127.0.0.1",        false, true,  "",                   "",                      false, "no Host"                       },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_storage peer;
        assert_true(address_parse(str_z(cases[i].peer), &peer));
        const struct auth_loopback request = {
            .peer = (const struct sockaddr *)&peer,
            .forwarded = cases[i].forwarded,
            .http11 = cases[i].http11,
            .host = str_z(cases[i].host),
            .origin = str_z(cases[i].origin),
        };
        if (auth_is_loopback_caller(&request) != cases[i].want)
            fail_msg("%s", cases[i].why);
    }
    const struct auth_loopback nobody = {.http11 = true, .host = STR("localhost")};
    assert_false(auth_is_loopback_caller(&nobody));
}

static void test_auth__forwarding_fields(void **state)
{
    static const struct {
        const char *name;
        bool want;
    } cases[] = {
        {"Forwarded",         true },
        {"X-Forwarded-For",   true },
        {"x-forwarded-proto", true },
        {"X-FORWARDED-",      true },
        {"X-Real-IP",         true },
        {"Via",               true },
        {"X-Forwarded",       false},
        {"Host",              false},
        {"Viaduct",           false},
        {"",                  false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (auth_is_forwarding_field(str_z(cases[i].name)) != cases[i].want)
            fail_msg("%s", cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_auth__any_of_three_headers),
        cmocka_unit_test(test_auth__without_tokens_all_may),
        cmocka_unit_test(test_auth__bearer),
        cmocka_unit_test(test_auth__loopback_caller),
        cmocka_unit_test(test_auth__forwarding_fields),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
