#include "unit.h"

#include "codec/keytext.h"

#define K19  "abcdefghijklmnopqrs"
#define K20  K19 "t"
#define K21  K20 "u"
#define K64  "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF"
#define K512 K64 K64 K64 K64 K64 K64 K64 K64

static const char *refuse_metadata(void *arg, const struct url *url)
{
    size_t *calls = arg;
    ++*calls;
    return str_eq(url->host, STR("169.254.169.254")) ? "a link-local address" : NULL;
}

static size_t checks;
static const struct keytext_options options = {
    .default_url = STR_C("https://ollama.com/api"), .check = refuse_metadata, .check_arg = &checks};

static enum keytext_got read_one(struct arena *a, str text, struct keytext_item *item,
                                 struct keytext *t)
{
    keytext_init(t, a, text, &options);
    return keytext_next(t, item);
}

static void test_keytext__takes_each_form(void **state)
{
    (void)state;
    static const struct {
        str text;
        str key;
        str base_url;
        const char *why;
    } cases[] = {
        {STR_C("sk-x"),                      STR_C("sk-x"),            STR_C("https://ollama.com"),       "a key"                },
        {STR_C("k"),                         STR_C("k"),               STR_C("https://ollama.com"),       "a key of one byte"    },
        {STR_C(K512),                        STR_C(K512),              STR_C("https://ollama.com"),       "a key of 512 bytes"   },
        {STR_C("a#b"),                       STR_C("a#b"),             STR_C("https://ollama.com"),       "no URL before '#'"    },
        {STR_C("localhost:11434"),           STR_C("localhost:11434"), STR_C("https://ollama.com"),
         "a host without a scheme cannot be told from a key"                                                                     },
        {STR_C("https://h|sk-x"),            STR_C("sk-x"),            STR_C("https://h"),                "URL|key"              },
        {STR_C(" https://h | sk-x "),        STR_C("sk-x"),            STR_C("https://h"),                "blanks around parts"  },
        {STR_C("sk-x|https://h"),            STR_C("sk-x"),            STR_C("https://h"),                "key|URL"              },
        {STR_C("https://h#sk-x"),            STR_C("sk-x"),            STR_C("https://h"),                "URL#key"              },
        {STR_C("https://h#a#b"),             STR_C("a#b"),             STR_C("https://h"),                "a key with '#'"       },
        {STR_C("https://h|#k"),              STR_C("#k"),              STR_C("https://h"),                "a key of '#'"         },
        {STR_C("https://h/" K19),            STR_C(""),                STR_C("https://h/" K19),           "19 are a path"        },
        {STR_C("https://h/" K20),            STR_C(K20),               STR_C("https://h"),                "20 are a key"         },
        {STR_C("https://h/" K21),            STR_C(K21),               STR_C("https://h"),                "21 are a key"         },
        {STR_C("https://h/a_.-" K20),        STR_C("a_.-" K20),        STR_C("https://h"),                "all its characters"   },
        {STR_C("https://h/~" K20),           STR_C(""),                STR_C("https://h/~" K20),          "not that one"         },
        {STR_C("https://h/" K20 "/"),        STR_C(""),                STR_C("https://h/" K20),           "the last one is empty"},
        {STR_C("https://h/p/" K20),          STR_C(K20),               STR_C("https://h/p"),              "below a path"         },
        {STR_C("https://h/v1/" K20),         STR_C(K20),               STR_C("https://h"),                "below /v1"            },
        {STR_C("https://" K64 ".de"),        STR_C(""),
         STR_C("https://0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.de"),
         "a long host is no key"                                                                                                 },
        {STR_C("http://192.168.1.5:11434"),  STR_C(""),                STR_C("http://192.168.1.5:11434"),
         "a server"                                                                                                              },
        {STR_C("HTTPS://H.Example:443/API"), STR_C(""),                STR_C("https://h.example/API"),
         "case of scheme and host, default port"                                                                                 },
        {STR_C("http://h:80/"),              STR_C(""),                STR_C("http://h"),                 "port 80"              },
        {STR_C("http://h:443"),              STR_C(""),                STR_C("http://h:443"),             "another's default"    },
        {STR_C("http://h:1"),                STR_C(""),                STR_C("http://h:1"),               "the first port"       },
        {STR_C("http://h:65535"),            STR_C(""),                STR_C("http://h:65535"),           "the last port"        },
        {STR_C("http://[::1]:11434/api"),    STR_C(""),                STR_C("http://[::1]:11434"),       "IPv6"                 },
        {STR_C("https://h/api"),             STR_C(""),                STR_C("https://h"),                "/api is cut"          },
        {STR_C("https://h/api/"),            STR_C(""),                STR_C("https://h"),                "/api/ too"            },
        {STR_C("https://h/v1"),              STR_C(""),                STR_C("https://h"),                "/v1 is cut"           },
        {STR_C("https://h/xapi"),            STR_C(""),                STR_C("https://h/xapi"),           "no segment"           },
        {STR_C("https://h/p/api"),           STR_C(""),                STR_C("https://h/p"),              "below a path"         },
        {STR_C("https://h/P/q"),             STR_C(""),                STR_C("https://h/P/q"),            "another path stays"   },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct keytext t;
        struct keytext_item item;
        arena_init(&a, 65536);
        assert_why(read_one(&a, cases[i].text, &item, &t) == KEYTEXT_KEY, cases[i].why);
        assert_str_why(item.key, cases[i].key, cases[i].why);
        assert_str_why(item.base_url, cases[i].base_url, cases[i].why);
        assert_why(keytext_next(&t, &item) == KEYTEXT_END, cases[i].why);
        arena_release(&a);
    }
}

static void test_keytext__says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        str text;
        const char *says;
    } cases[] = {
        {STR_C(K512 "x"),                          "the key is longer than 512 bytes"            },
        {STR_C("a b"),                             "the key holds a blank"                       },
        {STR_C("a\x01"
               "b"),
         "the key holds a control character"                                                     },
        {STR_C("a\x7F"
               "b"),
         "the key holds a control character"                                                     },
        {STR_C("a\tb"),                            "the key holds a control character"           },
        {STR_C("a\rb"),                            "the key holds a control character"           },
        {STR_C("k\xC3\xA4"),                       "the key holds a byte that is not ASCII"      },
        {STR_C("a|b"),                             "no URL on either side of '|'"                },
        {STR_C("|"),                               "no URL on either side of '|'"                },
        {STR_C("http://a|http://b"),               "a URL on both sides of '|'"                  },
        {STR_C("http://a|b|c"),                    "more than one '|'"                           },
        {STR_C("http://h|"),                       "the key is empty"                            },
        {STR_C("|http://h"),                       "the key is empty"                            },
        {STR_C("http://h#"),                       "the key is empty"                            },
        {STR_C("http://h#http://i"),               "the key is a URL"                            },
        {STR_C("ftp://h|k"),                       "URL does not begin with http:// or https://" },
        {STR_C("x://"),                            "URL does not begin with http:// or https://" },
        {STR_C("file:///etc/passwd"),              "URL does not begin with http:// or https://" },
        {STR_C("http://u:p@h|k"),                  "URL holds user info ('@')"                   },
        {STR_C("http://h:0|k"),                    "port is not a number from 1 to 65535"        },
        {STR_C("http://h:65536|k"),                "port is not a number from 1 to 65535"        },
        {STR_C("http://h:99999999999999999999|k"), "port is not a number from 1 to 65535"        },
        {STR_C("http://h/?q|k"),                   "URL has a query or a fragment"               },
        {STR_C("http://|k"),                       "URL has no host"                             },
        {STR_C("http:///" K20),                    "URL has no host"                             },
        {STR_C("http://a b|k"),                    "URL holds a blank, control or non-ASCII byte"},
        {STR_C("http://h\x01|k"),                  "URL holds a blank, control or non-ASCII byte"},
        {STR_C("http://169.254.169.254/api|k"),
         "upstreams may not be at '169.254.169.254': a link-local address"                       },
        {STR_C("http://169.254.169.254"),
         "upstreams may not be at '169.254.169.254': a link-local address"                       },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct keytext t;
        struct keytext_item item;
        arena_init(&a, 65536);
        assert_why(read_one(&a, cases[i].text, &item, &t) == KEYTEXT_FAULT, cases[i].says);
        assert_str_why(str_z(t.fault), str_z(cases[i].says), cases[i].says);
        assert_str_why(item.input, cases[i].text, cases[i].says);
        assert_int_equal(item.line, 1);
        arena_release(&a);
    }
}

static void test_keytext__walks_lines(void **state)
{
    (void)state;
    static const str text = STR_C("\xEF\xBB\xBF# keys\r\n"
                                  "\r\n"
                                  "a1,a2;a3\r\n"
                                  "  # off ; a4 ,,\n"
                                  "x y\n"
                                  "\n\n"
                                  "http://h|a5");
    static const struct {
        size_t line;
        str input;
        enum keytext_got got;
    } want[] = {
        {3, STR_C("a1"),          KEYTEXT_KEY  },
        {3, STR_C("a2"),          KEYTEXT_KEY  },
        {3, STR_C("a3"),          KEYTEXT_KEY  },
        {4, STR_C("a4"),          KEYTEXT_KEY  }, // ';' ends a comment as it ends a key
        {5, STR_C("x y"),         KEYTEXT_FAULT},
        {8, STR_C("http://h|a5"), KEYTEXT_KEY  },
    };
    struct arena a;
    struct keytext t;
    struct keytext_item item;
    arena_init(&a, 65536);
    keytext_init(&t, &a, text, &options);
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        assert_int_equal(keytext_next(&t, &item), want[i].got);
        assert_int_equal(item.line, want[i].line);
        assert_str(item.input, want[i].input);
    }
    assert_int_equal(keytext_next(&t, &item), KEYTEXT_END);
    assert_int_equal(keytext_next(&t, &item), KEYTEXT_END);
    arena_release(&a);
}

static void test_keytext__nothing_is_nothing(void **state)
{
    (void)state;
    static const str texts[] = {STR_C(""), STR_C("\n"), STR_C(",;\n"), STR_C("  \r\n\t"),
                                STR_C("#x")};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct arena a;
        struct keytext t;
        struct keytext_item item;
        arena_init(&a, 4096);
        assert_int_equal(read_one(&a, texts[i], &item, &t), KEYTEXT_END);
        arena_release(&a);
    }
}

static void test_keytext__checks_each_server_once(void **state)
{
    (void)state;
    struct arena a;
    struct keytext t;
    struct keytext_item item;
    arena_init(&a, 65536);
    checks = 0;
    keytext_init(&t, &a, STR("k1\nk2\nhttp://h|k3\nhttp://h|k4\nk5"), &options);
    while (keytext_next(&t, &item) == KEYTEXT_KEY)
        continue;
    assert_int_equal(checks, 2);
    arena_release(&a);
}

static void test_keytext__a_full_arena_ends_the_walk(void **state)
{
    (void)state;
    struct arena a;
    struct keytext t;
    struct keytext_item item;
    arena_init(&a, 0);
    assert_int_equal(read_one(&a, STR("http://h|k\nk2"), &item, &t), KEYTEXT_NO_MEMORY);
    assert_int_equal(keytext_next(&t, &item), KEYTEXT_END);
    arena_release(&a);
}

static void test_keytext__without_a_default_bare_keys_are_faults(void **state)
{
    (void)state;
    static const struct keytext_options none = {.default_url = {0}};
    struct arena a;
    struct keytext t;
    struct keytext_item item;
    arena_init(&a, 65536);
    keytext_init(&t, &a, STR("k\nhttp://h|k"), &none);
    assert_int_equal(keytext_next(&t, &item), KEYTEXT_FAULT);
    assert_str(str_z(t.fault), STR("no URL, and there is no default for it"));
    assert_int_equal(keytext_next(&t, &item), KEYTEXT_KEY);
    arena_release(&a);
}

static void test_keytext__one_is_one(void **state)
{
    (void)state;
    static const struct {
        str text;
        enum err want;
        const char *says;
    } cases[] = {
        {STR_C(" k \n"),  ERR_OK,     ""                          },
        {STR_C("\nk,"),   ERR_OK,     ""                          },
        {STR_C(""),       ERR_SYNTAX, "there is no key"           },
        {STR_C("#k"),     ERR_SYNTAX, "there is no key"           },
        {STR_C("k,l"),    ERR_SYNTAX, "there is more than one key"},
        {STR_C("k\nl m"), ERR_SYNTAX, "there is more than one key"},
        {STR_C("l m"),    ERR_SYNTAX, "the key holds a blank"     },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct keytext_item item;
        struct err_info info = {0};
        arena_init(&a, 65536);
        assert_int_equal(keytext_one(&a, cases[i].text, &options, &item, &info), cases[i].want);
        assert_str(str_z(info.text), str_z(cases[i].says));
        if (cases[i].want == ERR_OK)
            assert_str(item.key, STR("k"));
        arena_release(&a);
    }
}

static void test_keytext__base_urls_that_no_line_could_say(void **state)
{
    (void)state;
    struct arena a;
    str url;
    struct err_info info = {0};
    arena_init(&a, 65536);
    assert_int_equal(keytext_base_url(&a, STR("http://h/a,b"), &options, &url, &info), ERR_SYNTAX);
    assert_str(str_z(info.text), STR("path holds ',' or ';'"));
    assert_int_equal(keytext_base_url(&a, STR("http://h/a;b"), &options, &url, &info), ERR_SYNTAX);
    assert_int_equal(keytext_base_url(&a, STR("http://h/a:b"), &options, &url, &info), ERR_OK);
    assert_str(url, STR("http://h/a:b"));
    assert_non_null(keytext_key_fault(STR("a,b")));
    assert_non_null(keytext_key_fault(STR("a;b")));
    assert_non_null(keytext_key_fault(STR("a|b")));
    assert_null(keytext_key_fault(STR("!\"#$%&'()*+-./:<=>?@[\\]^_`{}~")));
    arena_release(&a);
}

static void test_keytext__shows_ollama_com_with_api(void **state)
{
    (void)state;
    static const struct {
        str url;
        str shown;
    } cases[] = {
        {STR_C("https://ollama.com"),      STR_C("https://ollama.com/api")    },
        {STR_C("http://ollama.com:8080"),  STR_C("http://ollama.com:8080/api")},
        {STR_C("https://ollama.com/p"),    STR_C("https://ollama.com/p/api")  },
        {STR_C("https://www.ollama.com"),  STR_C("https://www.ollama.com")    },
        {STR_C("https://ollama.com.evil"), STR_C("https://ollama.com.evil")   },
        {STR_C("https://h/ollama.com"),    STR_C("https://h/ollama.com")      },
        {STR_C("http://[::1]:11434"),      STR_C("http://[::1]:11434")        },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out;
        buf_init(&out, 256);
        keytext_put_shown_url(&out, cases[i].url);
        assert_str(buf_str(&out), cases[i].shown);
        buf_release(&out);
    }
}

static void test_keytext__lines_come_back_as_they_went(void **state)
{
    (void)state;
    static const struct {
        str url;
        str key;
        str line;
    } cases[] = {
        {STR_C("https://ollama.com"), STR_C("k"),  STR_C("https://ollama.com|k\n") },
        {STR_C("https://h"),          STR_C(""),   STR_C("https://h\n")            },
        {STR_C("https://h/" K20),     STR_C(""),   STR_C("https://h/" K20 "/\n")   },
        {STR_C("https://h/" K20),     STR_C("k"),  STR_C("https://h/" K20 "|k\n")  },
        {STR_C("https://h/x/api"),    STR_C("k"),  STR_C("https://h/x/api/api|k\n")},
        {STR_C("https://h/v1"),       STR_C(""),   STR_C("https://h/v1/api\n")     },
        {STR_C("https://h"),          STR_C("#k"), STR_C("https://h|#k\n")         },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena a;
        struct keytext t;
        struct keytext_item item;
        struct buf out;
        arena_init(&a, 65536);
        buf_init(&out, 256);
        keytext_put_line(&out, cases[i].url, cases[i].key);
        assert_str(buf_str(&out), cases[i].line);
        assert_int_equal(read_one(&a, buf_str(&out), &item, &t), KEYTEXT_KEY);
        assert_str(item.key, cases[i].key);
        assert_str(item.base_url, cases[i].url);
        buf_release(&out);
        arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keytext__takes_each_form),
        cmocka_unit_test(test_keytext__says_what_is_wrong),
        cmocka_unit_test(test_keytext__walks_lines),
        cmocka_unit_test(test_keytext__nothing_is_nothing),
        cmocka_unit_test(test_keytext__checks_each_server_once),
        cmocka_unit_test(test_keytext__a_full_arena_ends_the_walk),
        cmocka_unit_test(test_keytext__without_a_default_bare_keys_are_faults),
        cmocka_unit_test(test_keytext__one_is_one),
        cmocka_unit_test(test_keytext__base_urls_that_no_line_could_say),
        cmocka_unit_test(test_keytext__shows_ollama_com_with_api),
        cmocka_unit_test(test_keytext__lines_come_back_as_they_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
