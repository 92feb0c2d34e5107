#include "net/client_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PROXY "http://proxy.corp:3128"

/* What the rules say for `url`: "direct", or the authority of the proxy. */
static str route_of(const struct proxy_rules *rules, struct arena *a, const char *text)
{
    struct url url;
    struct err_info info = {0};
    if (url_parse(a, str_z(text), &url, &info) != ERR_OK)
        fail_msg("test URL '%s': %s", text, info.text);
    const struct proxy *proxy = proxy_for(rules, &url);
    if (proxy == NULL)
        return STR("direct");
    return proxy->usable ? proxy->url.authority : STR("unusable");
}

static void test_client_proxy__chooses_by_scheme(void **state)
{
    (void)state;
    static const struct {
        const char *http;
        const char *https;
        const char *url;
        const char *want;
        const char *why;
    } cases[] = {
        {"",                           "",           "https://ollama.com/api", "direct",             "no proxy is set"           },
        {"http://a:1",                 "",           "https://ollama.com/api", "direct",             "HTTP_PROXY is for http"    },
        {"http://a:1",                 "",           "http://example.com",     "a:1",                "http by HTTP_PROXY"        },
        {"",                           "http://b:2", "http://example.com",     "direct",             "HTTPS_PROXY is for https"  },
        {"http://a:1",                 "http://b:2", "https://example.com",    "b:2",                "https by HTTPS_PROXY"      },
        {"a:1",                        "",           "http://example.com",     "a:1",                "a proxy without a scheme"  },
        {"http://a",                   "",           "http://example.com",     "a",                  "the default port"          },
        {"http://[2001:db8::1]:8080/", "",           "http://example.com",     "[2001:db8::1]:8080",
         "an IPv6 proxy"                                                                                                         },
        {"https://a:1",                "",           "http://example.com",     "unusable",           "TLS to the proxy"          },
        {"ftp://a:1",                  "",           "http://example.com",     "unusable",           "another protocol"          },
        {"http://a:1/path",            "",           "http://example.com",     "unusable",           "a path"                    },
        {"http://a:99999",             "",           "http://example.com",     "unusable",           "no such port"              },
        {"http://u%zz@a:1",            "",           "http://example.com",     "unusable",           "broken user info"          },
        {"https://a:1",                "",           "https://example.com",    "direct",             "the other one is not meant"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct proxy_rules rules;
        struct err_info info = {0};
        enum err e =
            proxy_rules_init(&rules, str_z(cases[i].http), str_z(cases[i].https), STR(""), &info);
        struct arena a;
        arena_init(&a, 65536);
        str got = route_of(&rules, &a, cases[i].url);
        if (!str_eq(got, str_z(cases[i].want)))
            fail_msg("%s: got '%.*s'", cases[i].why, STR_ARG(got));
        if (str_eq(got, STR("unusable")) && (e == ERR_OK || info.text[0] == '\0'))
            fail_msg("%s: no error", cases[i].why);
        arena_release(&a);
        proxy_rules_release(&rules);
    }
}

static void test_client_proxy__goes_direct_to_near_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool direct;
        const char *why;
    } cases[] = {
        {"http://127.0.0.1:11434",   true,  "loopback"                         },
        {"http://127.1:11434",       true,  "loopback in its short form"       },
        {"http://2130706433",        true,  "loopback as one number"           },
        {"http://[::1]:11434",       true,  "IPv6 loopback"                    },
        {"http://[::ffff:10.0.0.1]", true,  "private, mapped"                  },
        {"http://10.0.0.5",          true,  "private"                          },
        {"http://192.168.1.5",       true,  "private"                          },
        {"http://[fd00::5]",         true,  "unique local"                     },
        {"http://localhost:11434",   true,  "localhost"                        },
        {"http://localhost.:11434",  true,  "with the dot that ends a name"    },
        {"http://gpu.localhost",     true,  "below localhost"                  },
        {"http://gpu:11434",         true,  "a single label"                   },
        {"http://gpu.lan",           false, "two labels"                       },
        {"http://8.8.8.8",           false, "public"                           },
        {"http://0x08.8.8.8",        false, "public in hexadecimal"            },
        {"http://134744072",         false, "public as one number: not a label"},
        {"http://169.254.1.1",       false, "link-local is not private"        },
        {"http://[2001:db8::1]",     false, "public IPv6"                      },
        {"http://notlocalhost.com",  false, "a public name"                    },
    };
    struct proxy_rules rules;
    assert_int_equal(proxy_rules_init(&rules, STR(PROXY), STR(""), STR(""), NULL), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        arena_init(&a, 65536);
        if (str_eq(route_of(&rules, &a, cases[i].url), STR("direct")) != cases[i].direct)
            fail_msg("%s: %s", cases[i].url, cases[i].why);
        arena_release(&a);
    }
    proxy_rules_release(&rules);
}

static void test_client_proxy__no_proxy_names_who_goes_direct(void **state)
{
    (void)state;
    static const struct {
        const char *no_proxy;
        const char *url;
        bool direct;
        const char *why;
    } cases[] = {
        {"example.com",             "http://example.com",         true,  "the name"                     },
        {"EXAMPLE.com",             "http://example.COM",         true,  "letter case"                  },
        {"example.com",             "http://api.example.com",     true,  "below the name"               },
        {"example.com",             "http://badexample.com",      false, "ends alike"                   },
        {"example.com",             "http://example.com.evil.io", false, "begins alike"                 },
        {"example.com",             "http://example.com.",        true,  "with the dot that ends a name"},
        {".example.com",            "http://api.example.com",     true,  "suffix"                       },
        {".example.com",            "http://example.com",         false, "a suffix is not its own name" },
        {"*.example.com",           "http://api.example.com",     true,  "suffix with a star"           },
        {"*",                       "http://example.com",         true,  "all"                          },
        {"a.io, example.com ,b.io", "http://example.com",         true,  "blanks"                       },
        {",,example.com,",          "http://example.com",         true,  "empty items"                  },
        {"example.com:8080",        "http://example.com:8080",    true,  "with that port"               },
        {"example.com:8080",        "http://example.com",         false, "with another port"            },
        {"8.8.8.8",                 "http://8.8.8.8",             true,  "an address"                   },
        {"8.8.8.8:80",              "http://8.8.8.8",             true,  "an address with its port"     },
        {"8.8.8.8",                 "http://8.8.8.9",             false, "another address"              },
        {"8.8.0.0/16",              "http://8.8.255.1",           true,  "a range"                      },
        {"8.8.0.0/16",              "http://8.9.0.1",             false, "outside of it"                },
        {"8.8.0.0/16",              "http://dns.google.com",      false, "names are not resolved for it"},
        {"2001:db8::/32",           "http://[2001:db8:1::1]",     true,  "an IPv6 range"                },
        {"[2001:db8::1]",           "http://[2001:db8::1]",       true,  "an IPv6 address in brackets"  },
        {"com",                     "http://example.com",         true,  "a whole top level"            },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct proxy_rules rules;
        struct err_info info = {0};
        if (proxy_rules_init(&rules, STR(PROXY), STR(""), str_z(cases[i].no_proxy), &info) !=
            ERR_OK)
            fail_msg("'%s': %s", cases[i].no_proxy, info.text);
        struct arena a;
        arena_init(&a, 65536);
        if (str_eq(route_of(&rules, &a, cases[i].url), STR("direct")) != cases[i].direct)
            fail_msg("'%s' and %s: %s", cases[i].no_proxy, cases[i].url, cases[i].why);
        arena_release(&a);
        proxy_rules_release(&rules);
    }
}

static void test_client_proxy__refuses_what_no_proxy_cannot_mean(void **state)
{
    (void)state;
    static const struct {
        const char *no_proxy;
        const char *why;
    } cases[] = {
        {"8.8.8.8/33",         "no such prefix length"},
        {"8.8.8/16",           "half an address"      },
        {"exa mple.com",       "a blank inside"       },
        {"http://example.com", "a URL"                },
        {"example.com:0",      "port 0"               },
        {"example.com:65536",  "no such port"         },
        {".",                  "an empty suffix"      },
        {"*.",                 "an empty suffix"      },
        {"a*b.com",            "a star inside"        },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct proxy_rules rules;
        struct err_info info = {0};
        enum err e = proxy_rules_init(&rules, STR(PROXY), STR(""), str_z(cases[i].no_proxy), &info);
        if (e == ERR_OK || !str_starts(str_z(info.text), STR("NO_PROXY: ")))
            fail_msg("'%s' (%s): '%s'", cases[i].no_proxy, cases[i].why, info.text);
        proxy_rules_release(&rules);
    }
}

static void test_client_proxy__a_broken_item_leaves_the_others(void **state)
{
    (void)state;
    struct proxy_rules rules;
    struct arena a;
    arena_init(&a, 65536);
    enum err e = proxy_rules_init(&rules, STR(PROXY), STR("https://b:2"),
                                  STR("a.io,/,1.1.1.1/99,8.8.8.8,c.io"), NULL);
    assert_int_equal(e, ERR_SYNTAX);
    assert_true(str_eq(route_of(&rules, &a, "http://a.io"), STR("direct")));
    assert_true(str_eq(route_of(&rules, &a, "http://8.8.8.8"), STR("direct")));
    assert_true(str_eq(route_of(&rules, &a, "http://c.io"), STR("direct")));
    assert_true(str_eq(route_of(&rules, &a, "http://d.io"), STR("proxy.corp:3128")));
    assert_true(str_eq(route_of(&rules, &a, "https://d.io"), STR("unusable")));
    arena_release(&a);
    proxy_rules_release(&rules);
}

static void test_client_proxy__splits_credentials_off(void **state)
{
    (void)state;
    static const struct {
        const char *proxy;
        const char *credentials;
        const char *why;
    } cases[] = {
        {"http://a:1",                       "",               "none"            },
        {"http://Aladdin:open%20sesame@a:1",
         "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",                 "two fill bytes"  },
        {"http://u:pw@a:1",                  "Basic dTpwdw==", "two fill bytes"  },
        {"http://us:pw@a:1",                 "Basic dXM6cHc=", "one fill byte"   },
        {"http://use:pw@a:1",                "Basic dXNlOnB3", "no fill byte"    },
        {"u:pw@a:1",                         "Basic dTpwdw==", "without a scheme"},
        {"http://u@a:1",                     "Basic dTo=",     "a user alone"    },
        {"http://u:p%40w@a:1",               "Basic dTpwQHc=", "an escaped @"    },
        {"http://u:p@w@a:1",                 "Basic dTpwQHc=", "a raw @"         },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct proxy_rules rules;
        struct err_info info = {0};
        if (proxy_rules_init(&rules, str_z(cases[i].proxy), STR(""), STR(""), &info) != ERR_OK)
            fail_msg("%s: %s", cases[i].why, info.text);
        if (!str_eq(rules.http.credentials, str_z(cases[i].credentials)))
            fail_msg("%s: '%.*s'", cases[i].why, STR_ARG(rules.http.credentials));
        assert_true(str_eq(rules.http.url.authority, STR("a:1")));
        proxy_rules_release(&rules);
    }
}

static void test_client_proxy__errors_do_not_tell_the_password(void **state)
{
    (void)state;
    static const char *const proxies[] = {"https://user:geheim@a:1", "http://user:geheim%00@a:1",
                                          "http://user:geheim@a:x", "http://user:geheim@b c"};
    for (size_t i = 0; i < COUNT_OF(proxies); i++) {
        struct proxy_rules rules;
        struct err_info info = {0};
        enum err e = proxy_rules_init(&rules, str_z(proxies[i]), STR(""), STR(""), &info);
        assert_int_not_equal(e, ERR_OK);
        assert_false(str_contains(str_z(info.text), STR("geheim")));
        proxy_rules_release(&rules);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_proxy__chooses_by_scheme),
        cmocka_unit_test(test_client_proxy__goes_direct_to_near_hosts),
        cmocka_unit_test(test_client_proxy__no_proxy_names_who_goes_direct),
        cmocka_unit_test(test_client_proxy__refuses_what_no_proxy_cannot_mean),
        cmocka_unit_test(test_client_proxy__a_broken_item_leaves_the_others),
        cmocka_unit_test(test_client_proxy__splits_credentials_off),
        cmocka_unit_test(test_client_proxy__errors_do_not_tell_the_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
