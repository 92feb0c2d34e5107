#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/config.h"
#include "core/config_table.h"

/* One file that can be read; everything else is missing. */
struct disk {
    const char *path;
    str content;
};

static enum err read_disk(void *arg, struct arena *a, str path, str *ret, struct err_info *info)
{
    struct disk *disk = arg;
    assert_int_equal(path.p[path.len], '\0');
    if (disk == NULL || !str_eq(path, str_z(disk->path)))
        return err_set(info, ERR_SYSTEM, "cannot open '%.*s': no such file", STR_ARG(path));
    *ret = arena_copy(a, disk->content);
    return ERR_OK;
}

/* Loads what must load. */
static struct config *load(const char *const *environ, const char *dotenv, struct disk *disk)
{
    const struct config_sources sources = {environ, str_z(dotenv), read_disk, disk};
    struct config *cfg = NULL;
    struct err_info info = {0};
    if (config_load(&sources, &cfg, &info) != ERR_OK)
        fail_msg("%s", info.text);
    return cfg;
}

static void assert_refused(const char *const *environ, const char *dotenv, const char *want,
                           const char *why)
{
    const struct config_sources sources = {environ, str_z(dotenv), read_disk, NULL};
    struct config *cfg = NULL;
    struct err_info info = {0};
    if (config_load(&sources, &cfg, &info) == ERR_OK)
        fail_msg("%s: accepted", why);
    assert_null(cfg);
    if (!str_eq(str_z(info.text), str_z(want)))
        fail_msg("%s: '%s'", why, info.text);
}

static void test_config__defaults(void **state)
{
    (void)state;
    struct config *cfg = load(NULL, "", NULL);
    assert_int_equal(cfg->port, 3000);
    assert_string_equal(cfg->host.p, "0.0.0.0");
    assert_true(config_admin_password_is_default(cfg));
    assert_int_equal(cfg->api_tokens.n, 0);
    assert_false(cfg->upstream_set);
    assert_true(cfg->upstream.tls);
    assert_true(str_eq(cfg->upstream.authority, STR("ollama.com")));
    assert_int_equal(cfg->upstream.path.len, 0);
    assert_int_equal(cfg->health_check_interval_s, 60);
    assert_int_equal(cfg->connect_timeout_ms, 30000);
    assert_int_equal(cfg->request_timeout_ms, 300000);
    assert_int_equal(cfg->stream_idle_timeout_ms, 300000);
    assert_int_equal(cfg->stream_start_timeout_ms, 15000);
    assert_int_equal(cfg->max_retries, 2);
    assert_int_equal(cfg->reasoning_field, REASONING_FIELD_CONTENT);
    assert_int_equal(cfg->default_num_ctx, 0);
    assert_int_equal(cfg->log_level, LOG_INFO);
    assert_int_equal(cfg->log_format, LOG_TEXT);
    assert_false(cfg->debug_headers);
    assert_string_equal(cfg->data_dir.p, "./data");
    assert_string_equal(cfg->key_file.p, "./data/secret.key");
    assert_int_equal(cfg->workers, 0);
    assert_int_equal(cfg->tls_cert.len + cfg->tls_key.len + cfg->ca_file.len, 0);
    assert_int_equal(cfg->http_proxy.len + cfg->https_proxy.len + cfg->no_proxy.len, 0);
    assert_int_equal(cfg->upstream_allow.n + cfg->trust_proxy.n, 0);
    assert_true(cfg->cors.automatic);
    assert_int_equal(cfg->max_conn_per_ip, 0);
    assert_int_equal(cfg->body_limit_bytes, 52428800);
    assert_int_equal(cfg->metrics_token.n, 0);
    assert_int_equal(cfg->shutdown_timeout_ms, 30000);
    assert_int_equal(cfg->ignored.len + cfg->unknown.len, 0);
    config_free(cfg);
}

static void test_config__environment_wins_over_dotenv(void **state)
{
    const char *const environ[] = {"PORT=4000", "HOST=", "LOG_LEVEL= debug ", "PORTX=1", NULL};
    (void)state;
    struct config *cfg = load(environ, "PORT=5000\nHOST=::1\nMAX_RETRIES=\n", NULL);
    assert_int_equal(cfg->port, 4000);
    assert_string_equal(cfg->host.p, "::1"); // set to nothing is not set
    assert_int_equal(cfg->log_level, LOG_DEBUG);
    assert_int_equal(cfg->max_retries, 2);
    config_free(cfg);
}

static void test_config__numbers_have_ranges(void **state)
{
    static const struct {
        const char *name;
        uint32_t min;
        uint32_t max;
    } rows[] = {
        {"PORT",                  1,    65535     },
        {"HEALTH_CHECK_INTERVAL", 0,    86400     },
        {"CONNECT_TIMEOUT",       1,    86400000  },
        {"REQUEST_TIMEOUT",       1,    86400000  },
        {"STREAM_IDLE_TIMEOUT",   1,    86400000  },
        {"STREAM_START_TIMEOUT",  0,    86400000  },
        {"MAX_RETRIES",           0,    64        },
        {"DEFAULT_NUM_CTX",       1,    16777216  },
        {"WORKERS",               1,    256       },
        {"MAX_CONN_PER_IP",       0,    1000000   },
        {"BODY_LIMIT",            1024, 1073741824},
        {"SHUTDOWN_TIMEOUT",      0,    86400000  },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const int64_t values[] = {(int64_t)rows[i].min - 1, rows[i].min, rows[i].min + 1LL,
                                  rows[i].max - 1LL,        rows[i].max, rows[i].max + 1LL};
        for (size_t k = 0; k < COUNT_OF(values); k++) {
            char text[64];
            char want[160];
            const char *const environ[] = {text, NULL};
            snprintf(text, sizeof(text), "%s=%lld", rows[i].name, (long long)values[k]);
            if (k > 0 && k < COUNT_OF(values) - 1) {
                config_free(load(environ, "", NULL));
                continue;
            }
            snprintf(want, sizeof(want), "bad setting %s='%lld': must be a number from %u to %u",
                     rows[i].name, (long long)values[k], rows[i].min, rows[i].max);
            assert_refused(environ, "", want, rows[i].name);
        }
    }
}

static void test_config__says_what_is_bad(void **state)
{
    static const struct {
        const char *dotenv;
        const char *want;
        const char *why;
    } cases[] = {
        {"PORT=80x",                                                                                 "bad setting PORT='80x': must be a number from 1 to 65535",      "no number"              },
        {"PORT=+80",                                                                                 "bad setting PORT='+80': must be a number from 1 to 65535",      "a sign"                 },
        {"PORT=18446744073709551617",
         "bad setting PORT='18446744073709551617': must be a number from 1 to 65535",                                                                                 "more than 64 bits"      },
        {"HOST=localhost:3000",
         "bad setting HOST='localhost:3000': must be an IPv4 or IPv6 address",                                                                                        "a port in it"           },
        {"LOG_LEVEL=verbose",
         "bad setting LOG_LEVEL='verbose': must be one of debug, info, warn, error",                                                                                  "a word"                 },
        {"DEBUG_HEADERS=yes",                                                                        "bad setting DEBUG_HEADERS='yes': must be 0 or 1",               "a bool"                 },
        {"OLLAMA_BASE_URL=localhost:11434",
         "bad setting OLLAMA_BASE_URL='localhost:11434': URL does not begin with http:// or "
         "https://",                                                                                                                                                  "no scheme"              },
        {"OLLAMA_BASE_URL=http://u:p@h",
         "bad setting OLLAMA_BASE_URL='***@h': URL holds user info ('@')",                                                                                            "a password is not shown"},
        {"HTTP_PROXY=https://u:p@h",                                                                 "bad setting HTTP_PROXY='***@h': must be http://host:port",
         "a proxy by https, its password not shown"                                                                                                                                            },
        {"HTTP_PROXY=http://h/x",                                                                    "bad setting HTTP_PROXY='http://h/x': must be http://host:port",
         "a proxy with a path"                                                                                                                                                                 },
        {"CORS_ORIGINS=example.com",
         "bad setting CORS_ORIGINS='example.com': 'example.com' is no "
         "origin such as https://app.example",                                                                                                                        "no scheme in an origin" },
        {"API_TOKEN=a b",
         "bad setting API_TOKEN: a token must not hold blanks, line ends or control characters",                                                                      "a secret is not shown"  },
        {"API_TOKEN=','",                                                                            "bad setting API_TOKEN: holds no token",
         "a list of nothing must not switch authentication off"                                                                                                                                },
        {"METRICS_TOKEN='\x01'",
         "bad setting METRICS_TOKEN: a token must not hold blanks, line ends or control characters",                                                                  "a control character"    },
        {"TLS_CERT=/c",                                                                              "TLS_CERT and TLS_KEY must be set together: TLS_KEY is not",     "no key"                 },
        {"TLS_KEY=/k",                                                                               "TLS_CERT and TLS_KEY must be set together: TLS_CERT is not",    "no cert"                },
        {"DATA_DIR='a\tb'",                                                                          "bad setting DATA_DIR='a?b': must not hold control characters",
         "a message stays one line"                                                                                                                                                            },
        {"A\n",                                                                                      ".env line 1: it has no '='",                                    "a bad line of .env"     },
        {"DATA_DIR=/"
         "x\nLOG_LEVEL=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bad setting LOG_LEVEL='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...': "
         "must be one of debug, info, warn, error",               "a long value is cut"    },
        {"API_TOKEN=a\nAPI_TOKEN_FILE=/t",                                                           "API_TOKEN and API_TOKEN_FILE are both set",                     "both"                   },
        {"ADMIN_PASSWORD_FILE=/none",
         "bad setting ADMIN_PASSWORD_FILE: cannot open '/none': no such file",                                                                                        "a file that is missing" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_refused(NULL, cases[i].dotenv, cases[i].want, cases[i].why);
}

static void test_config__bad_ranges_name_the_setting(void **state)
{
    static const char *const names[] = {"UPSTREAM_ALLOW_CIDRS", "TRUST_PROXY"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char text[64];
        const char *const environ[] = {text, NULL};
        const struct config_sources sources = {environ, STR(""), NULL, NULL};
        struct config *cfg;
        struct err_info info = {0};
        snprintf(text, sizeof(text), "%s=10.0.0.0/33", names[i]);
        assert_int_not_equal(config_load(&sources, &cfg, &info), ERR_OK);
        assert_true(str_contains(str_z(info.text), str_z(names[i])));
        assert_true(str_contains(str_z(info.text), STR("10.0.0.0/33")));
    }
}

static void test_config__upstream_is_canonical(void **state)
{
    static const struct {
        const char *text;
        const char *authority;
        const char *path;
        const char *why;
    } cases[] = {
        {"http://LOCALHOST:11434", "localhost:11434", "",        "host in lower case" },
        {"http://h:80/",           "h",               "",        "default port, slash"},
        {"https://h:443/api",      "h",               "",        "/api"               },
        {"https://h/api/",         "h",               "",        "/api and a slash"   },
        {"https://h/v1",           "h",               "",        "/v1"                },
        {"https://h/ollama/v1/",   "h",               "/ollama", "other path kept"    },
        {"https://h/apis",         "h",               "/apis",   "only ends like it"  },
        {"https://h/my-api",       "h",               "/my-api", "part of a segment"  },
        {"http://[::1]:11434/api", "[::1]:11434",     "",        "IPv6"               },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[128];
        const char *const environ[] = {text, NULL};
        snprintf(text, sizeof(text), "OLLAMA_BASE_URL=%s", cases[i].text);
        struct config *cfg = load(environ, "", NULL);
        if (!str_eq(cfg->upstream.authority, str_z(cases[i].authority)) ||
            !str_eq(cfg->upstream.path, str_z(cases[i].path)))
            fail_msg("%s: %.*s %.*s", cases[i].why, STR_ARG(cfg->upstream.authority),
                     STR_ARG(cfg->upstream.path));
        assert_true(cfg->upstream_set);
        config_free(cfg);
    }
}

static void test_config__reads_every_kind(void **state)
{
    const char *const environ[] = {
        "HOST=[::]",
        "REASONING_FIELD=both",
        "LOG_FORMAT=JSON",
        "DEBUG_HEADERS=true",
        "DATA_DIR=/var/lib/o2o",
        "TLS_CERT=/c",
        "TLS_KEY=/k",
        "HTTP_PROXY=Proxy:3128",
        "HTTPS_PROXY=http://user:pass@proxy:3128/",
        "NO_PROXY=a, .b",
        "UPSTREAM_ALLOW_CIDRS=169.254.1.0/24",
        "TRUST_PROXY=10.0.0.0/8, ::1",
        "CORS_ORIGINS=https://a, https://*.b",
        "METRICS_TOKEN=a,b",
        "WORKERS=3",
        NULL,
    };
    (void)state;
    struct config *cfg = load(environ, "", NULL);
    assert_string_equal(cfg->host.p, "::");
    assert_int_equal(cfg->reasoning_field, REASONING_FIELD_BOTH);
    assert_int_equal(cfg->log_format, LOG_JSON);
    assert_true(cfg->debug_headers);
    assert_string_equal(cfg->key_file.p, "/var/lib/o2o/secret.key");
    assert_string_equal(cfg->tls_cert.p, "/c");
    assert_string_equal(cfg->http_proxy.p, "http://proxy:3128");
    assert_string_equal(cfg->https_proxy.p, "http://user:pass@proxy:3128");
    assert_string_equal(cfg->no_proxy.p, "a, .b");
    assert_int_equal(cfg->upstream_allow.n, 1);
    assert_int_equal(cfg->trust_proxy.n, 2);
    assert_int_equal(cfg->cors.n, 2);
    assert_int_equal(cfg->metrics_token.n, 1); // not a list
    assert_int_equal(cfg->workers, 3);
    config_free(cfg);
}

static void test_config__trust_proxy_true_means_local_peers(void **state)
{
    static const struct {
        const char *addr;
        bool want;
    } cases[] = {
        {"127.0.0.1",   true },
        {"::1",         true },
        {"10.1.2.3",    true },
        {"172.31.0.1",  true },
        {"172.32.0.1",  false},
        {"192.168.0.9", true },
        {"fd00::1",     true },
        {"192.0.2.1",   false},
        {"2001:db8::1", false},
        {"169.254.1.1", false}
    };
    const char *const on[] = {"TRUST_PROXY=true", NULL};
    const char *const off[] = {"TRUST_PROXY=false", NULL};
    (void)state;
    struct config *cfg = load(on, "", NULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_storage addr;
        assert_true(address_parse(str_z(cases[i].addr), &addr));
        if (cidr_list_has(&cfg->trust_proxy, (const struct sockaddr *)&addr) != cases[i].want)
            fail_msg("%s", cases[i].addr);
    }
    config_free(cfg);
    cfg = load(off, "", NULL);
    assert_int_equal(cfg->trust_proxy.n, 0);
    config_free(cfg);
}

static bool holds(const struct config_tokens *tokens, const char *token)
{
    unsigned char tag[CRYPTO_TAG_BYTES];
    crypto_tag(str_z(token), tag);
    for (size_t i = 0; i < tokens->n; i++) {
        if (crypto_tag_equal(tag, tokens->items[i].bytes))
            return true;
    }
    return false;
}

static void test_config__tokens_are_a_list(void **state)
{
    const char *const environ[] = {"API_TOKEN= a,,b , c", NULL};
    (void)state;
    struct config *cfg = load(environ, "", NULL);
    assert_int_equal(cfg->api_tokens.n, 3);
    assert_true(holds(&cfg->api_tokens, "a"));
    assert_true(holds(&cfg->api_tokens, "b"));
    assert_true(holds(&cfg->api_tokens, "c"));
    assert_false(holds(&cfg->api_tokens, ""));
    config_free(cfg);
}

static void test_config__password_facts(void **state)
{
    static const struct {
        const char *text;
        bool is_default;
        bool is_short;
        const char *why;
    } cases[] = {
        {"ADMIN_PASSWORD=admin123",                         true,  false, "the default, said aloud"},
        {"ADMIN_PASSWORD=admin124",                         false, false, "another"                },
        {"ADMIN_PASSWORD=1234567",                          false, true,  "7 characters"           },
        {"ADMIN_PASSWORD=12345678",                         false, false, "8 characters"           },
        {"ADMIN_PASSWORD=\xC3\xA4\xC3\xA4\xC3\xA4\xC3\xA4", false, true,  "4 of 2 bytes each"      },
        {"ADMIN_PASSWORD= admin123",                        false, false, "a blank of its own"     },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *const environ[] = {cases[i].text, NULL};
        struct config *cfg = load(environ, "", NULL);
        if (cfg->admin_password.is_default != cases[i].is_default ||
            cfg->admin_password.is_short != cases[i].is_short)
            fail_msg("%s", cases[i].why);
        config_free(cfg);
    }
}

static void test_config__file_variants(void **state)
{
    static const struct {
        str content;
        const char *token;
        const char *why;
    } cases[] = {
        {STR_C("abc"),     "abc", "no newline"               },
        {STR_C("abc\n"),   "abc", "final newline"            },
        {STR_C("abc\r\n"), "abc", "final line end of Windows"},
    };
    const char *const environ[] = {"API_TOKEN_FILE=/t", "API_TOKEN=", NULL};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct disk disk = {.path = "/t", .content = cases[i].content};
        struct config *cfg = load(environ, "", &disk);
        if (!holds(&cfg->api_tokens, cases[i].token))
            fail_msg("%s", cases[i].why);
        config_free(cfg);
    }
    const str bad[] = {STR(""), STR("\n"), STR("a\nb")};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct disk disk = {.path = "/t", .content = bad[i]};
        const struct config_sources sources = {environ, STR(""), read_disk, &disk};
        struct config *cfg;
        assert_int_equal(config_load(&sources, &cfg, NULL), ERR_SYNTAX);
    }
}

static void test_config__names_that_mean_nothing(void **state)
{
    const char *const environ[] = {"RATE_LIMIT_MAX=1", "IP_WHITELIST=x", "PATH=/bin",
                                   "LOG_LEVEL=warn", NULL};
    (void)state;
    struct config *cfg =
        load(environ, "CACHE_TTL=1\nLOG_DIR=x\nIP_WHITELIST=y\nAPI_TOKENS=z\nFOO=1\nFOO=2\n", NULL);
    assert_string_equal(cfg->ignored.p, "RATE_LIMIT_MAX, IP_WHITELIST, CACHE_TTL, LOG_DIR");
    assert_string_equal(cfg->unknown.p, "API_TOKENS, FOO");
    config_free(cfg);
}

static void test_config__messages_of_others_stay_one_line(void **state)
{
    static const char *const environ[] = {"TRUST_PROXY=10.0.0.0/8, a\rb\x1B c", NULL};
    const struct config_sources sources = {environ, STR(""), NULL, NULL};
    struct config *cfg;
    struct err_info info = {0};
    (void)state;
    assert_int_not_equal(config_load(&sources, &cfg, &info), ERR_OK);
    assert_non_null(strstr(info.text, "a?b? c"));
    for (const char *p = info.text; *p != '\0'; p++)
        assert_true((unsigned char)*p >= ' ');
}

/* ---- describe and help ---- */

struct listing {
    struct buf text;
};

static void list_line(void *arg, str name, str value, str origin)
{
    struct listing *l = arg;
    buf_printf(&l->text, "%.*s=%.*s (%.*s)\n", STR_ARG(name), STR_ARG(value), STR_ARG(origin));
}

static void test_config__describe_shows_origins_and_no_secret(void **state)
{
    const char *const environ[] = {"API_TOKEN=hush-1", "HTTP_PROXY=http://u:hush-2@p:1", NULL};
    struct disk disk = {.path = "/p", .content = STR("hush-3\n")};
    struct listing l;
    (void)state;
    struct config *cfg = load(environ, "PORT=4000\nADMIN_PASSWORD_FILE=/p\n", &disk);
    buf_init(&l.text, 1 << 16);
    config_describe(cfg, list_line, &l);
    str text = buf_str(&l.text);
    assert_true(str_contains(text, STR("PORT=4000 (.env)\n")));
    assert_true(str_contains(text, STR("API_TOKEN=(set) (environment)\n")));
    assert_true(str_contains(text, STR("ADMIN_PASSWORD=(set) (file)\n")));
    assert_true(str_contains(text, STR("METRICS_TOKEN=(empty) (default)\n")));
    assert_true(str_contains(text, STR("HTTP_PROXY=***@p:1 (environment)\n")));
    assert_true(str_contains(text, STR("KEY_FILE=./data/secret.key (default)\n")));
    assert_true(str_contains(text, STR("WORKERS=(empty) (default)\n")));
    assert_false(str_contains(text, STR("hush")));
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.p[i] == '\n';
    assert_int_equal(lines, CONFIG_ROWS);
    buf_release(&l.text);
    config_free(cfg);
}

static void test_config__help_has_every_setting(void **state)
{
    struct buf help;
    (void)state;
    buf_init(&help, 1 << 16);
    config_help(&help);
    assert_true(buf_ok(&help));
    for (size_t i = 0; i < CONFIG_ROWS; i++) {
        assert_non_null(CONFIG_TABLE[i].help);
        assert_true(str_contains(buf_str(&help), CONFIG_TABLE[i].name));
    }
    assert_true(str_contains(buf_str(&help), STR("ADMIN_PASSWORD_FILE")));
    assert_true(str_contains(buf_str(&help), STR("a number from 1 to 65535; default 3000")));
    buf_release(&help);
}

/* ---- reload ---- */

struct kept {
    struct buf text;
};

static void note_kept(void *arg, str name, const char *why)
{
    struct kept *k = arg;
    buf_printf(&k->text, "%.*s: %s\n", STR_ARG(name), why);
}

/* Reloads, and checks what was said about settings that stay. */
static struct config *reload(const struct config *old, const char *const *environ,
                             const char *dotenv, struct disk *disk, const char *want_kept)
{
    const struct config_sources sources = {environ, str_z(dotenv), read_disk, disk};
    struct kept kept;
    buf_init(&kept.text, 4096);
    const struct config_reload how = {old, &sources, note_kept, &kept};
    struct config *cfg = NULL;
    struct err_info info = {0};
    if (config_reload(&how, &cfg, &info) != ERR_OK)
        fail_msg("%s", info.text);
    if (!str_eq(buf_str(&kept.text), str_z(want_kept)))
        fail_msg("kept: '%.*s'", STR_ARG(buf_str(&kept.text)));
    buf_release(&kept.text);
    return cfg;
}

static void test_config__reload_takes_what_may_change(void **state)
{
    (void)state;
    struct config *old = load(NULL, "LOG_LEVEL=warn\nAPI_TOKEN=a\nMAX_RETRIES=5\n", NULL);
    struct config *cfg = reload(old, NULL, "LOG_LEVEL=debug\nAPI_TOKEN=b\n", NULL, "");
    assert_int_equal(cfg->log_level, LOG_DEBUG);
    assert_int_equal(cfg->max_retries, 2);
    assert_true(holds(&cfg->api_tokens, "b"));
    assert_false(holds(&cfg->api_tokens, "a"));
    assert_int_equal(old->log_level, LOG_WARN); // the old snapshot never changes
    config_free(old);
    config_free(cfg);
}

static void test_config__reload_keeps_what_needs_a_restart(void **state)
{
    (void)state;
    struct config *old = load(NULL, "PORT=4000\nDATA_DIR=/a\n", NULL);
    struct config *cfg = reload(old, NULL, "PORT=5000\nHOST=::1\nWORKERS=7\nKEY_FILE=/k\n", NULL,
                                "PORT: needs a restart\n"
                                "HOST: needs a restart\n"
                                "DATA_DIR: needs a restart\n"
                                "KEY_FILE: needs a restart\n"
                                "WORKERS: needs a restart\n");
    assert_int_equal(cfg->port, 4000);
    assert_string_equal(cfg->host.p, "0.0.0.0");
    assert_string_equal(cfg->data_dir.p, "/a");
    assert_string_equal(cfg->key_file.p, "/a/secret.key");
    assert_int_equal(cfg->workers, 0);
    config_free(old);
    old = cfg; // a second reload says the same of what differs still
    cfg = reload(old, NULL, "PORT=4000\nDATA_DIR=/b\n", NULL, "DATA_DIR: needs a restart\n");
    assert_string_equal(cfg->data_dir.p, "/a");
    config_free(old);
    config_free(cfg);
}

static void test_config__reload_keeps_what_the_environment_set(void **state)
{
    const char *const before[] = {"API_TOKEN=a,b",          "ADMIN_PASSWORD=hunter2hunter2",
                                  "LOG_LEVEL=warn",         "MAX_RETRIES=9",
                                  "TRUST_PROXY=10.0.0.0/8", NULL};
    const char *const after[] = {"LOG_LEVEL=warn", "TRUST_PROXY=10.0.0.0/8", NULL};
    (void)state;
    struct config *old = load(before, "", NULL);
    // Secrets were wiped from the environment meanwhile.
    struct config *cfg = reload(old, after, "API_TOKEN=c\nLOG_LEVEL=debug\nMAX_RETRIES=9\n", NULL,
                                "API_TOKEN: set by the environment\n"
                                "LOG_LEVEL: set by the environment\n");
    config_free(old);
    assert_int_equal(cfg->api_tokens.n, 2);
    assert_true(holds(&cfg->api_tokens, "a"));
    assert_false(config_admin_password_is_default(cfg));
    assert_int_equal(cfg->log_level, LOG_WARN);
    assert_int_equal(cfg->max_retries, 9);
    assert_int_equal(cfg->trust_proxy.n, 1);
    // And they stay through another one.
    struct config *again = reload(cfg, after, "", NULL, "");
    config_free(cfg);
    assert_int_equal(again->api_tokens.n, 2);
    assert_true(holds(&again->api_tokens, "b"));
    config_free(again);
}

static void test_config__reload_reads_files_again(void **state)
{
    const char *const environ[] = {"API_TOKEN_FILE=/t", NULL};
    struct disk disk = {.path = "/t", .content = STR("a")};
    (void)state;
    struct config *old = load(environ, "", &disk);
    disk.content = STR("b");
    struct config *cfg = reload(old, environ, "", &disk, "");
    assert_true(holds(&cfg->api_tokens, "b"));
    config_free(old);
    config_free(cfg);
}

static void test_config__bad_reload_fails(void **state)
{
    static const struct {
        const char *dotenv;
        const char *want;
        const char *why;
    } cases[] = {
        {"LOG_LEVEL=x",       "bad setting LOG_LEVEL='x': must be one of debug, info, warn, error",
         "a value"                                                                                          },
        {"PORT=x",            "bad setting PORT='x': must be a number from 1 to 65535",
         "a value that would not be taken over"                                                             },
        {"junk",              ".env line 1: it has no '='",                                         "a line"},
        {"API_TOKEN_FILE=/t", "API_TOKEN and API_TOKEN_FILE are both set",
         "a file beside what the environment had set"                                                       },
    };
    const char *const environ[] = {"API_TOKEN=a", NULL};
    (void)state;
    struct config *old = load(environ, "", NULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct config_sources sources = {NULL, str_z(cases[i].dotenv), read_disk, NULL};
        const struct config_reload how = {old, &sources, NULL, NULL};
        struct config *cfg = NULL;
        struct err_info info = {0};
        assert_int_not_equal(config_reload(&how, &cfg, &info), ERR_OK);
        assert_null(cfg);
        if (!str_eq(str_z(info.text), str_z(cases[i].want)))
            fail_msg("%s: %s", cases[i].why, info.text);
    }
    config_free(old);
}

static void test_config__workers_follow_the_quota(void **state)
{
    static const struct {
        uint32_t cpus;
        const char *cpu_max;
        uint32_t want;
        const char *why;
    } cases[] = {
        {4,   "",                4,   "no cgroup"                 },
        {4,   "max 100000\n",    4,   "no quota"                  },
        {4,   "200000 100000\n", 2,   "two CPUs"                  },
        {4,   "150000 100000\n", 2,   "one and a half: rounded up"},
        {4,   "100001 100000",   2,   "a little over one"         },
        {4,   "100000 100000",   1,   "one"                       },
        {4,   "10000 100000",    1,   "a tenth"                   },
        {4,   "0 100000",        1,   "nothing"                   },
        {4,   "900000 100000",   4,   "more than there are"       },
        {4,   "100000 0",        4,   "no period"                 },
        {4,   "junk",            4,   "something else"            },
        {0,   "",                1,   "at least one"              },
        {255, "",                255, "below the most"            },
        {256, "",                256, "the most"                  },
        {257, "",                256, "above the most"            },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint32_t got = config_workers_from(cases[i].cpus, str_z(cases[i].cpu_max));
        if (got != cases[i].want)
            fail_msg("%s: %u", cases[i].why, got);
    }
}

static void test_config__huge_settings_are_refused(void **state)
{
    static char text[5 << 20];
    const char *const environ[] = {text, NULL};
    const struct config_sources sources = {environ, STR(""), NULL, NULL};
    struct config *cfg;
    struct err_info info = {0};
    (void)state;
    memset(text, ',', sizeof(text) - 1);
    memcpy(text, "API_TOKEN=", 10);
    assert_int_equal(config_load(&sources, &cfg, &info), ERR_TOO_LARGE);
    memset(text, 'a', sizeof(text) - 1);
    memcpy(text, "DATA_DIR=", 9);
    assert_int_equal(config_load(&sources, &cfg, &info), ERR_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__defaults),
        cmocka_unit_test(test_config__environment_wins_over_dotenv),
        cmocka_unit_test(test_config__numbers_have_ranges),
        cmocka_unit_test(test_config__says_what_is_bad),
        cmocka_unit_test(test_config__bad_ranges_name_the_setting),
        cmocka_unit_test(test_config__upstream_is_canonical),
        cmocka_unit_test(test_config__reads_every_kind),
        cmocka_unit_test(test_config__trust_proxy_true_means_local_peers),
        cmocka_unit_test(test_config__tokens_are_a_list),
        cmocka_unit_test(test_config__password_facts),
        cmocka_unit_test(test_config__file_variants),
        cmocka_unit_test(test_config__names_that_mean_nothing),
        cmocka_unit_test(test_config__messages_of_others_stay_one_line),
        cmocka_unit_test(test_config__describe_shows_origins_and_no_secret),
        cmocka_unit_test(test_config__help_has_every_setting),
        cmocka_unit_test(test_config__reload_takes_what_may_change),
        cmocka_unit_test(test_config__reload_keeps_what_needs_a_restart),
        cmocka_unit_test(test_config__reload_keeps_what_the_environment_set),
        cmocka_unit_test(test_config__reload_reads_files_again),
        cmocka_unit_test(test_config__bad_reload_fails),
        cmocka_unit_test(test_config__workers_follow_the_quota),
        cmocka_unit_test(test_config__huge_settings_are_refused),
    };
    if (crypto_init() != ERR_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
