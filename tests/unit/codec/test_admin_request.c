#include "unit.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "codec/admin_request.h"
#include "codec/json.h"

/* One body or query on its way through a reader. */
struct reading {
    struct arena arena;
    struct err_info info;
    char *text;
    size_t len;
};

static void setup(struct reading *r, const char *text)
{
    r->len = strlen(text);
    r->text = xcalloc(1, r->len + JSON_PADDING);
    memcpy(r->text, text, r->len);
    memset(&r->info, 0, sizeof(r->info));
    arena_init(&r->arena, (size_t)64 << 20);
}

static void teardown(struct reading *r)
{
    arena_release(&r->arena);
    free(r->text);
}

/* A JSON string of `n` bytes in a body made by `format`. */
static char *body_of(const char *format, size_t n)
{
    char *text = xcalloc(1, n + 1);
    char *body = xcalloc(1, n + strlen(format) + 1);
    memset(text, 'x', n);
    (void)snprintf(body, n + strlen(format) + 1, "%.*s%s%s", (int)(strchr(format, '@') - format),
                   format, text, strchr(format, '@') + 1);
    free(text);
    return body;
}

typedef enum err reader(struct reading *r);

static enum err read_login(struct reading *r)
{
    str password;
    return admin_read_login(&r->arena, r->text, r->len, &password, &r->info);
}

static enum err read_new_key(struct reading *r)
{
    struct admin_new_key key;
    return admin_read_new_key(&r->arena, r->text, r->len, &key, &r->info);
}

static enum err read_patch(struct reading *r)
{
    struct admin_patch patch;
    return admin_read_patch(&r->arena, r->text, r->len, &patch, &r->info);
}

static enum err read_batch(struct reading *r)
{
    struct admin_batch batch;
    return admin_read_batch(&r->arena, r->text, r->len, &batch, &r->info);
}

static enum err read_bulk(struct reading *r)
{
    struct admin_bulk bulk;
    return admin_read_bulk(&r->arena, r->text, r->len, &bulk, &r->info);
}

static enum err read_export(struct reading *r)
{
    struct admin_export wish;
    return admin_read_export(&r->arena, r->text, r->len, &wish, &r->info);
}

static enum err read_nothing(struct reading *r)
{
    return admin_read_nothing(&r->arena, r->text, r->len, &r->info);
}

static enum err read_list(struct reading *r)
{
    struct admin_list_query list;
    return admin_read_list_query(&r->arena, str_of(r->text, r->len), &list, &r->info);
}

static enum err read_stats(struct reading *r)
{
    struct admin_stats_query stats;
    return admin_read_stats_query(&r->arena, str_of(r->text, r->len), &stats, &r->info);
}

static enum err read_batch_query(struct reading *r)
{
    struct admin_batch_query batch;
    return admin_read_batch_query(&r->arena, str_of(r->text, r->len), &batch, &r->info);
}

static enum err read_no_query(struct reading *r)
{
    return admin_read_no_query(str_of(r->text, r->len), &r->info);
}

static void test_admin_request__says_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        reader *read;
        const char *text;
        const char *says;
    } cases[] = {
        {read_login,       "",                                                       "there is no body: it has to be a JSON object"        },
        {read_login,       " \r\n",                                                  "there is no body: it has to be a JSON object"        },
        {read_login,       "[]",                                                     "the body has to be a JSON object, not an array"      },
        {read_login,       "{}",                                                     "'password' is missing"                               },
        {read_login,       "{\"password\":null}",                                    "'password' is missing"                               },
        {read_login,       "{\"password\":7}",                                       "'password' has to be a string, not a number"         },
        {read_login,       "{\"password\":\"a\",\"user\":\"b\"}",
         "unknown field 'user': known are password"                                                                                        },
        {read_new_key,     "{\"key\":[\"a\"]}",                                      "'key' has to be a string, not an array"              },
        {read_new_key,     "{\"baseUrl\":\"http://h\"}",                             "'key' is missing"                                    },
        {read_new_key,     "{\"key\":\"a\",\"weight\":1}",
         "unknown field 'weight': known are key, baseUrl, name"                                                                            },
        {read_new_key,     "{\"key\":\"a\",\"name\":\"a\\nb\"}",                     "'name' holds a control character"                    },
        {read_patch,       "{}",                                                     "there is nothing to change: name 'name' or 'enabled'"},
        {read_patch,       "{\"name\":null}",                                        "there is nothing to change: name 'name' or 'enabled'"},
        {read_patch,       "{\"enabled\":\"yes\"}",                                  "'enabled' has to be a boolean, not a string"         },
        {read_patch,       "{\"key\":\"a\"}",                                        "unknown field 'key': known are name, enabled"        },
        {read_batch,       "{\"keys\":[]}",                                          "'keys' has to be a string, not an array"             },
        {read_batch,       "{\"keys\":\"a\",\"dryRun\":1}",
         "unknown field 'dryRun': known are keys, baseUrl"                                                                                 },
        {read_bulk,        "{\"ids\":[\"1\"]}",                                      "'action' is missing"                                 },
        {read_bulk,        "{\"ids\":[\"1\"],\"action\":\"drop\"}",
         "'action' has to be enable, disable, check, reset or delete"                                                                      },
        {read_bulk,        "{\"action\":\"check\"}",                                 "one of 'ids' and 'filter' says which keys"           },
        {read_bulk,        "{\"ids\":[],\"filter\":{},\"action\":\"check\"}",
         "one of 'ids' and 'filter' says which keys"                                                                                       },
        {read_bulk,        "{\"ids\":[1],\"action\":\"check\"}",
         "'ids[0]' has to be a string, not a number"                                                                                       },
        {read_bulk,        "{\"ids\":[\"1\",\"\"],\"action\":\"check\"}",            "'ids[1]' is no id"                                   },
        {read_bulk,        "{\"filter\":{\"state\":\"dead\"},\"action\":\"check\"}",
         "unknown field 'state': known are q, status, host"                                                                                },
        {read_bulk,        "{\"filter\":{\"status\":\"ill\"},\"action\":\"check\"}",
         "'status' has to be ready, cooling, dead or disabled, or some of them by commas"                                                  },
        {read_export,      "{\"filter\":{}}",                                        "'password' is missing"                               },
        {read_export,      "{\"password\":\"a\",\"filter\":[]}",
         "'filter' has to be an object, not an array"                                                                                      },
        {read_export,      "{\"password\":\"a\",\"ids\":[],\"filter\":{}}",
         "only one of 'ids' and 'filter' may say which keys"                                                                               },
        {read_export,      "{\"password\":\"a\",\"ids\":[7]}",
         "'ids[0]' has to be a string, not a number"                                                                                       },
        {read_nothing,     "{\"a\":1}",                                              "unknown field 'a': none is taken here"               },
        {read_nothing,     "[]",                                                     "the body has to be a JSON object, not an array"      },
        {read_list,        "page=2",
         "unknown parameter 'page': known are q, status, host, sort, offset, limit"                                                        },
        {read_list,        "sort=age",
         "'sort' has to be added, name, status, host, requests, failed, tokens, used or until, "
         "with "
         "'-' before it for downwards"                                                                                                     },
        {read_list,        "sort=--name",
         "'sort' has to be added, name, status, host, requests, failed, tokens, used or until, "
         "with "
         "'-' before it for downwards"                                                                                                     },
        {read_list,        "limit=1001",                                             "'limit' has to be a number from 0 to 1000"           },
        {read_list,        "limit=-1",                                               "'limit' has to be a number from 0 to 1000"           },
        {read_list,        "limit=x",                                                "'limit' has to be a number from 0 to 1000"           },
        {read_list,        "offset=4294967296",                                      "'offset' has to be a number from 0 to 4294967295"    },
        {read_list,        "status=ready,ill",
         "'status' has to be ready, cooling, dead or disabled, or some of them by commas"                                                  },
        {read_list,        "q=%zz",                                                  "'q' in the query is not well escaped"                },
        {read_list,        "q=%0a",                                                  "'q' in the query is not well escaped"                },
        {read_list,        "q=%ff",                                                  "'q' is longer than 256 bytes or no UTF-8"            },
        {read_stats,       "days=0",                                                 "'days' has to be a number from 1 to 30"              },
        {read_stats,       "days=31",                                                "'days' has to be a number from 1 to 30"              },
        {read_batch_query, "dryRun=true",                                            "'dryRun' has to be a number from 0 to 1"             },
        {read_batch_query, "dryRun=2",                                               "'dryRun' has to be a number from 0 to 1"             },
        {read_no_query,    "a=1",                                                    "unknown parameter 'a': none is taken here"           },
        {read_no_query,    "token=secret",                                           "unknown parameter 'token': none is taken here"       },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct reading r;
        setup(&r, cases[i].text);
        assert_why(cases[i].read(&r) == ERR_SYNTAX, cases[i].text);
        assert_str_why(str_z(r.info.text), str_z(cases[i].says), cases[i].text);
        teardown(&r);
    }
}

static void test_admin_request__broken_json(void **state)
{
    (void)state;
    static const char *const texts[] = {"{", "{\"password\":\"a\"}x",
                                        "{\"password\":\"a\",\"password\":\"b\"}",
                                        "{\"password\":\"\xff\"}"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct reading r;
        setup(&r, texts[i]);
        assert_why(read_login(&r) != ERR_OK, texts[i]);
        assert_why(r.info.text[0] != '\0', texts[i]);
        teardown(&r);
    }
}

// NOLINTNEXTLINE(readability-function-size): the macros of the checks nest, the test does not
static void test_admin_request__lengths(void **state)
{
    (void)state;
    static const struct {
        reader *read;
        const char *format;
        size_t max;
    } cases[] = {
        {read_login,       "{\"password\":\"@\"}",                               ADMIN_PASSWORD_MAX},
        {read_new_key,     "{\"key\":\"@\"}",                                    ADMIN_KEY_TEXT_MAX},
        {read_new_key,     "{\"key\":\"k\",\"baseUrl\":\"@\"}",                  ADMIN_URL_MAX     },
        {read_new_key,     "{\"key\":\"k\",\"name\":\"@\"}",                     ADMIN_NAME_MAX    },
        {read_patch,       "{\"name\":\"@\"}",                                   ADMIN_NAME_MAX    },
        {read_bulk,        "{\"ids\":[\"@\"],\"action\":\"check\"}",             ADMIN_ID_MAX      },
        {read_bulk,        "{\"filter\":{\"q\":\"@\"},\"action\":\"check\"}",    ADMIN_SEARCH_MAX  },
        {read_bulk,        "{\"filter\":{\"host\":\"@\"},\"action\":\"check\"}", ADMIN_URL_MAX     },
        {read_list,        "q=@",                                                ADMIN_SEARCH_MAX  },
        {read_stats,       "key=@",                                              ADMIN_ID_MAX      },
        {read_batch_query, "import=@",                                           ADMIN_ID_MAX      },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t n = cases[i].max - 1; n <= cases[i].max + 1; n++) {
            struct reading r;
            char *body = body_of(cases[i].format, n);
            setup(&r, body);
            enum err want = n <= cases[i].max ? ERR_OK : ERR_SYNTAX;
            assert_why(cases[i].read(&r) == want, cases[i].format);
            teardown(&r);
            free(body);
        }
    }
}

static void test_admin_request__reads_keys(void **state)
{
    (void)state;
    struct reading r;
    struct admin_new_key key;
    setup(&r, "{\"key\":\" k \",\"baseUrl\":\" http://h \",\"name\":\" n \"}");
    assert_int_equal(admin_read_new_key(&r.arena, r.text, r.len, &key, NULL), ERR_OK);
    assert_str(key.key, STR(" k "));
    assert_str(key.base_url, STR("http://h"));
    assert_str(key.name, STR("n"));
    teardown(&r);

    setup(&r, "{\"key\":\"k\",\"baseUrl\":null,\"name\":\"\"}");
    assert_int_equal(admin_read_new_key(&r.arena, r.text, r.len, &key, NULL), ERR_OK);
    assert_int_equal(key.base_url.len + key.name.len, 0);
    teardown(&r);

    struct admin_batch batch;
    setup(&r, "{\"keys\":\"a\\nb\",\"baseUrl\":\"\"}");
    assert_int_equal(admin_read_batch(&r.arena, r.text, r.len, &batch, NULL), ERR_OK);
    assert_str(batch.keys, STR("a\nb"));
    assert_int_equal(batch.base_url.len, 0);
    teardown(&r);
}

static void test_admin_request__reads_patches(void **state)
{
    (void)state;
    struct reading r;
    struct admin_patch patch;
    setup(&r, "{\"name\":\"\"}");
    assert_int_equal(admin_read_patch(&r.arena, r.text, r.len, &patch, NULL), ERR_OK);
    assert_true(patch.has_name && patch.name.len == 0 && !patch.has_enabled);
    teardown(&r);
    setup(&r, "{\"enabled\":false,\"name\":\"n\"}");
    assert_int_equal(admin_read_patch(&r.arena, r.text, r.len, &patch, NULL), ERR_OK);
    assert_true(patch.has_name && patch.has_enabled && !patch.enabled);
    assert_str(patch.name, STR("n"));
    teardown(&r);
}

static void test_admin_request__reads_bulk(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum admin_action action;
    } actions[] = {
        {"enable",  ADMIN_ENABLE },
        {"disable", ADMIN_DISABLE},
        {"check",   ADMIN_CHECK  },
        {"reset",   ADMIN_RESET  },
        {"delete",  ADMIN_DELETE },
    };
    struct reading r;
    struct admin_bulk bulk;
    for (size_t i = 0; i < COUNT_OF(actions); i++) {
        char body[128];
        (void)snprintf(body, sizeof(body), "{\"action\":\"%s\",\"ids\":[\"1\",\"a-b\"]}",
                       actions[i].name);
        setup(&r, body);
        assert_int_equal(admin_read_bulk(&r.arena, r.text, r.len, &bulk, NULL), ERR_OK);
        assert_int_equal(bulk.action, actions[i].action);
        assert_true(bulk.which.by_ids && bulk.which.n == 2);
        assert_str(bulk.which.ids[1], STR("a-b"));
        teardown(&r);
    }
    setup(&r, "{\"action\":\"delete\",\"filter\":{\"q\":\" x \",\"status\":\"dead, cooling\","
              "\"host\":\"http://h\"}}");
    assert_int_equal(admin_read_bulk(&r.arena, r.text, r.len, &bulk, NULL), ERR_OK);
    assert_false(bulk.which.by_ids);
    assert_str(bulk.which.filter.q, STR("x"));
    assert_str(bulk.which.filter.host, STR("http://h"));
    assert_int_equal(bulk.which.filter.states, ADMIN_DEAD | ADMIN_COOLING);
    teardown(&r);
    setup(&r, "{\"action\":\"delete\",\"filter\":{}}");
    assert_int_equal(admin_read_bulk(&r.arena, r.text, r.len, &bulk, NULL), ERR_OK);
    assert_int_equal(bulk.which.filter.states, ADMIN_ALL_STATES);
    teardown(&r);
}

static void test_admin_request__reads_exports(void **state)
{
    (void)state;
    struct reading r;
    struct admin_export wish;
    setup(&r, "{\"password\":\"p\",\"filter\":null}");
    assert_int_equal(admin_read_export(&r.arena, r.text, r.len, &wish, NULL), ERR_OK);
    assert_str(wish.password, STR("p"));
    assert_false(wish.which.by_ids);
    assert_int_equal(wish.which.filter.states, ADMIN_ALL_STATES);
    teardown(&r);
    setup(&r, "{\"password\":\"p\",\"ids\":[\"7\",\"a-b\"],\"filter\":null}");
    assert_int_equal(admin_read_export(&r.arena, r.text, r.len, &wish, NULL), ERR_OK);
    assert_true(wish.which.by_ids && wish.which.n == 2);
    assert_str(wish.which.ids[1], STR("a-b"));
    teardown(&r);
    setup(&r, "{\"password\":\"p\",\"ids\":[]}"); // none, and not all
    assert_int_equal(admin_read_export(&r.arena, r.text, r.len, &wish, NULL), ERR_OK);
    assert_true(wish.which.by_ids && wish.which.n == 0);
    teardown(&r);
}

static void test_admin_request__takes_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"", " ", "{}", "\r\n{ }"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct reading r;
        setup(&r, texts[i]);
        assert_why(read_nothing(&r) == ERR_OK, texts[i]);
        teardown(&r);
    }
}

static void test_admin_request__reads_queries(void **state)
{
    (void)state;
    struct reading r;
    struct admin_list_query list;
    setup(&r, "");
    assert_int_equal(admin_read_list_query(&r.arena, STR(""), &list, NULL), ERR_OK);
    assert_true(list.limit == ADMIN_LIST_MAX && list.offset == 0 && !list.down);
    assert_int_equal(list.sort, ADMIN_BY_ADDED);
    assert_int_equal(list.filter.states, ADMIN_ALL_STATES);

    assert_int_equal(admin_read_list_query(
                         &r.arena,
                         STR("&q=a+b%2Bc&status=ready%2Cdisabled&host=http%3A%2F%2Fh&sort=-used"
                             "&offset=4294967295&limit=0&"),
                         &list, NULL),
                     ERR_OK);
    assert_str(list.filter.q, STR("a b+c"));
    assert_str(list.filter.host, STR("http://h"));
    assert_int_equal(list.filter.states, ADMIN_READY | ADMIN_DISABLED);
    assert_true(list.down && list.limit == 0 && list.offset == UINT32_MAX);
    assert_int_equal(list.sort, ADMIN_BY_USED);

    struct admin_stats_query stats;
    assert_int_equal(admin_read_stats_query(&r.arena, STR(""), &stats, NULL), ERR_OK);
    assert_int_equal(stats.days, 7);
    assert_int_equal(admin_read_stats_query(&r.arena, STR("days=30&key=12"), &stats, NULL), ERR_OK);
    assert_int_equal(stats.days, 30);
    assert_str(stats.key, STR("12"));

    struct admin_log_query log;
    assert_int_equal(admin_read_log_query(&r.arena, STR(""), &log, NULL), ERR_OK);
    assert_true(log.limit == 100 && log.before == 0 && log.status == ADMIN_LOG_ANY);
    assert_int_equal(admin_read_log_query(&r.arena,
                                          STR("status=599&route=chat&model=m&key=1&host=h&q=x"
                                              "&before=1&limit=500"),
                                          &log, NULL),
                     ERR_OK);
    assert_true(log.limit == 500 && log.before == 1 && log.status == 599);
    assert_str(log.model, STR("m"));
    assert_str(log.q, STR("x"));
    assert_int_equal(admin_read_log_query(&r.arena, STR("status=600"), &log, NULL), ERR_SYNTAX);
    assert_int_equal(admin_read_log_query(&r.arena, STR("limit=501"), &log, NULL), ERR_SYNTAX);
    assert_int_equal(admin_read_log_query(&r.arena, STR("limit=0"), &log, NULL), ERR_SYNTAX);

    struct admin_batch_query batch;
    assert_int_equal(admin_read_batch_query(&r.arena, STR("dryRun=1"), &batch, NULL), ERR_OK);
    assert_true(batch.dry_run && batch.import.len == 0);
    assert_int_equal(admin_read_batch_query(&r.arena, STR("dryRun=0&import=3"), &batch, NULL),
                     ERR_OK);
    assert_false(batch.dry_run);
    assert_str(batch.import, STR("3"));
    assert_int_equal(admin_read_no_query(STR("&"), NULL), ERR_OK);
    teardown(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admin_request__says_what_is_wrong),
        cmocka_unit_test(test_admin_request__broken_json),
        cmocka_unit_test(test_admin_request__lengths),
        cmocka_unit_test(test_admin_request__reads_keys),
        cmocka_unit_test(test_admin_request__reads_patches),
        cmocka_unit_test(test_admin_request__reads_bulk),
        cmocka_unit_test(test_admin_request__reads_exports),
        cmocka_unit_test(test_admin_request__takes_nothing),
        cmocka_unit_test(test_admin_request__reads_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
