#include "unit.h"

#include "base/url.h"

static void test_url__brings_to_one_form(void **state)
{
    (void)state;
    static const struct {
        str text;
        str host;
        uint16_t port;
        str authority;
        str path;
        bool tls;
        const char *why;
    } cases[] = {
        {STR_C("http://127.0.0.1:11434"),    STR_C("127.0.0.1"),   11434, STR_C("127.0.0.1:11434"),
         STR_C(""),                                                                                                false, "a local server"         },
        {STR_C("HTTPS://Ollama.COM/api/"),   STR_C("ollama.com"),  443,   STR_C("ollama.com"),
         STR_C("/api"),                                                                                            true,  "case and trailing slash"},
        {STR_C("https://h:443"),             STR_C("h"),           443,   STR_C("h"),               STR_C(""),     true,
         "a default port is left out"                                                                                                              },
        {STR_C("http://h:443/A/b"),          STR_C("h"),           443,   STR_C("h:443"),           STR_C("/A/b"), false,
         "another scheme's default port is not; paths keep their case"                                                                             },
        {STR_C("http://[::1]:80/"),          STR_C("::1"),         80,    STR_C("[::1]"),           STR_C(""),     false, "IPv6"                   },
        {STR_C("http://[2001:DB8::1]:8080"), STR_C("2001:db8::1"), 8080,
         STR_C("[2001:db8::1]:8080"),                                                               STR_C(""),     false, "IPv6 with a port"       },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct url u;
        struct err_info info = {0};
        arena_init(&a, 65536);
        assert_why(url_parse(&a, cases[i].text, &u, &info) == ERR_OK, cases[i].why);
        assert_str_why(u.host, cases[i].host, cases[i].why);
        assert_str_why(u.authority, cases[i].authority, cases[i].why);
        assert_str_why(u.path, cases[i].path, cases[i].why);
        assert_why(u.port == cases[i].port && u.tls == cases[i].tls, cases[i].why);
        arena_release(&a);
    }
}

static void test_url__refuses(void **state)
{
    (void)state;
    static const struct {
        str text;
        const char *why;
    } cases[] = {
        {STR_C(""),                  "nothing"                        },
        {STR_C("ollama.com"),        "no scheme"                      },
        {STR_C("ftp://h"),           "a foreign scheme"               },
        {STR_C("http://"),           "no host"                        },
        {STR_C("http:///path"),      "no host before a path"          },
        {STR_C("http://u:p@h"),      "user info"                      },
        {STR_C("http://h:0"),        "port 0"                         },
        {STR_C("http://h:65536"),    "port above 65535"               },
        {STR_C("http://h:"),         "no port behind the colon"       },
        {STR_C("http://h:8x"),       "a port with a letter"           },
        {STR_C("http://h/?q"),       "a query"                        },
        {STR_C("http://h/#f"),       "a fragment"                     },
        {STR_C("http://h#f"),        "a fragment behind the host"     },
        {STR_C("http://[::1"),       "no closing bracket"             },
        {STR_C("http://[::x]"),      "no IPv6 address in the brackets"},
        {STR_C("http://[::1]x"),     "rubbish behind the bracket"     },
        {STR_C("http://a b"),        "a blank"                        },
        {STR_C("http://h\r\nX: y"),  "a header in the URL"            },
        {STR_C("http://h/\xC3\xA4"), "a byte that is not ASCII"       },
        {STR_C("http://h/<x>"),      "a character no path has"        },
        {STR_C("http://a/b\\c"),     "a backslash"                    },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct url u;
        struct err_info info = {0};
        arena_init(&a, 65536);
        assert_why(url_parse(&a, cases[i].text, &u, &info) == ERR_SYNTAX, cases[i].why);
        assert_why(info.text[0] != '\0', cases[i].why);
        arena_release(&a);
    }
}

static void test_url__decodes_escapes(void **state)
{
    (void)state;
    static const struct {
        str text;
        bool keep_slash;
        enum err want;
        str decoded;
        const char *why;
    } cases[] = {
        {STR_C("a%3Ab"),  false, ERR_OK,     STR_C("a:b"),   "a colon"                },
        {STR_C("a%2fb"),  false, ERR_OK,     STR_C("a/b"),   "a slash"                },
        {STR_C("a%2Fb"),  true,  ERR_OK,     STR_C("a%2Fb"), "a slash that stays"     },
        {STR_C("%41%42"), false, ERR_OK,     STR_C("AB"),    "ends in an escape"      },
        {STR_C("a%00"),   false, ERR_SYNTAX, STR_C(""),      "a zero byte"            },
        {STR_C("a%0a"),   false, ERR_SYNTAX, STR_C(""),      "a line feed"            },
        {STR_C("a%7f"),   false, ERR_SYNTAX, STR_C(""),      "DEL"                    },
        {STR_C("a%"),     false, ERR_SYNTAX, STR_C(""),      "cut off"                },
        {STR_C("a%4"),    false, ERR_SYNTAX, STR_C(""),      "cut off after one digit"},
        {STR_C("a%zz"),   false, ERR_SYNTAX, STR_C(""),      "no digits"              },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        str decoded = {NULL, 0};
        arena_init(&a, 65536);
        enum err e = url_decode(&a, cases[i].text, cases[i].keep_slash, &decoded);
        assert_why(e == cases[i].want, cases[i].why);
        assert_str_why(decoded, cases[i].decoded, cases[i].why);
        arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url__brings_to_one_form),
        cmocka_unit_test(test_url__refuses),
        cmocka_unit_test(test_url__decodes_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
