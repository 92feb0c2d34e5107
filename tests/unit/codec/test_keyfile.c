#include "unit.h"

#include "codec/keyfile.h"

static const struct keytext_options options = {.default_url = STR_C("https://ollama.com/api")};

/* What was told, a line per event. */
static bool on_key(void *arg, const struct keyfile_key *key)
{
    buf_printf(arg, "%.*s: %.*s|%.*s '%.*s'%s", STR_ARG(key->place), STR_ARG(key->base_url),
               STR_ARG(key->key), STR_ARG(key->name), key->enabled ? "" : " off");
    if (str_starts(key->place, STR("line ")))
        assert_int_equal(key->line, key->place.p[5] - '0');
    else
        assert_int_equal(key->line, 0);
    if (key->old_id.len > 0)
        buf_printf(arg, " id=%.*s", STR_ARG(key->old_id));
    if (key->requests + key->failures + key->tokens > 0)
        buf_printf(arg, " n=%llu/%llu/%llu", (unsigned long long)key->requests,
                   (unsigned long long)key->failures, (unsigned long long)key->tokens);
    if (key->added_ms > 0)
        buf_printf(arg, " added=%lld", (long long)key->added_ms);
    if (key->last_used_ms > 0)
        buf_printf(arg, " used=%lld", (long long)key->last_used_ms);
    if (key->last_check_ms > 0)
        buf_printf(arg, " checked=%lld", (long long)key->last_check_ms);
    if (key->last_error.len > 0)
        buf_printf(arg, " error='%.*s'", STR_ARG(key->last_error));
    buf_append_char(arg, '\n');
    return true;
}

static bool on_skip(void *arg, const struct keyfile_skip *skip)
{
    buf_printf(arg, "%s %.*s '%.*s': %.*s\n", skip->setting ? "setting" : "not",
               STR_ARG(skip->place), STR_ARG(skip->what), STR_ARG(skip->why));
    return true;
}

static enum err read_file(str text, struct buf *out, enum keyfile_format *format,
                          struct err_info *info)
{
    struct arena a;
    struct keyfile_sink sink = {.on_key = on_key, .on_skip = on_skip, .arg = out};
    arena_init(&a, (size_t)64 << 20);
    enum err e = keyfile_read(&a, text, &options, &sink, format, info);
    arena_release(&a);
    return e;
}

static void check(str text, enum keyfile_format want_format, const char *want)
{
    struct buf out;
    enum keyfile_format format = KEYFILE_FORMATS;
    struct err_info info = {0};
    buf_init(&out, 65536);
    enum err e = read_file(text, &out, &format, &info);
    assert_why(e == ERR_OK, info.text);
    assert_str(buf_str(&out), str_z(want));
    assert_str(str_z(keyfile_format_name(format)), str_z(keyfile_format_name(want_format)));
    buf_release(&out);
}

static void test_keyfile__texts(void **state)
{
    (void)state;
    check(STR("# a\nk1\nhttp://h|k2\nx y\n"), KEYFILE_TEXT,
          "line 2: https://ollama.com|k1 ''\n"
          "line 3: http://h|k2 ''\n"
          "not line 4 'x y': the key holds a blank\n");
    check(STR(""), KEYFILE_TEXT, "");
    check(STR("key,k2"), KEYFILE_TEXT,
          "line 1: https://ollama.com|key ''\nline 1: https://ollama.com|k2 ''\n");
}

static void test_keyfile__strings(void **state)
{
    (void)state;
    check(STR("[\"k1\",\"http://h|k2\",\"\",7,\"a b\",\"c,d\"]"), KEYFILE_STRINGS,
          "[0]: https://ollama.com|k1 ''\n"
          "[1]: http://h|k2 ''\n"
          "not [2] '': there is no key\n"
          "not [3] '': it is no string\n"
          "not [4] 'a b': the key holds a blank\n"
          "not [5] 'c,d': there is more than one key\n");
    check(STR(" \n[]"), KEYFILE_STRINGS, "");
}

static void test_keyfile__keys_of_version_2(void **state)
{
    (void)state;
    check(STR("{\"keys\":[{\"id\":\"9b2f-1\",\"key\":\"sk-one\",\"baseUrl\":\"https://ollama.com/"
              "api\","
              "\"name\":\"sk-o...-one\",\"enabled\":true,\"healthy\":false,"
              "\"lastCheck\":\"2025-11-02T10:00:00.123Z\",\"lastUsed\":null,\"lastError\":\"HTTP "
              "401\","
              "\"addedAt\":\"2025-11-01T00:00:00.000Z\",\"totalRequests\":12,\"failedRequests\":3,"
              "\"tags\":[]},"
              "{\"id\":\"x/y\",\"key\":\"\",\"baseUrl\":\"http://gpu:11434\",\"enabled\":false},"
              "{\"id\":\"c\",\"key\":\"http://gpu2:11434\",\"baseUrl\":\"https://ollama.com/api\","
              "\"name\":\"http...1434\"},"
              "{\"id\":\"d\",\"key\":\"k d\",\"baseUrl\":\"https://h\"},"
              "{\"id\":\"e\",\"key\":\"k\",\"baseUrl\":\"ftp://h\"},"
              "{\"id\":\"f\",\"key\":\"k\"},"
              "{\"id\":\"g\",\"name\":\"empty\"},7],\"currentIndex\":3}"),
          KEYFILE_OLDER_KEYS,
          "keys[0]: https://ollama.com|sk-one 'sk-o...-one' id=9b2f-1 n=12/3/0 "
          "added=1761955200000 checked=1762077600000 error='HTTP 401'\n"
          "keys[1]: http://gpu:11434| '' off\n"
          "not keys[2] 'http...1434': the key is a URL\n"
          "not keys[3] '': the key holds a blank\n"
          "not keys[4] 'ftp://h': URL does not begin with http:// or https://\n"
          "keys[5]: https://ollama.com|k '' id=f\n"
          "not keys[6] 'empty': it has no key\n"
          "not keys[7] '': it has no key\n");
}

static void test_keyfile__keys_of_version_3(void **state)
{
    (void)state;
    check(
        STR("{\"keys\":[{\"id\":\"a\",\"key\":\"k1\",\"baseUrl\":\"https://h\",\"totalTokens\":99,"
            "\"weight\":10,\"priority\":0,\"maxConcurrent\":0,\"currentConcurrent\":4,\"group\":"
            "\"\","
            "\"models\":[],\"modelMapping\":{},\"tags\":[]},"
            "{\"id\":\"b\",\"key\":\"k2\",\"baseUrl\":\"https://h/v1\",\"weight\":5,\"priority\":1,"
            "\"maxConcurrent\":2,\"group\":\"g\",\"models\":[\"m\"],\"modelMapping\":{\"a\":\"b\"},"
            "\"tags\":[\"t\"]},"
            "{\"id\":\"c\",\"key\":\"k3\",\"baseUrl\":\"https://h\",\"weight\":1}]}"),
        KEYFILE_OLDER_KEYS,
        "keys[0]: https://h|k1 '' id=a n=0/0/99\n"
        "keys[1]: https://h|k2 '' id=b\n"
        "keys[2]: https://h|k3 '' id=c\n"
        "setting models of 1 entry '': upstreams are asked which models they have\n"
        "setting model mapping of 1 entry '': models keep the names that upstreams give them\n"
        "setting weight of 2 entries '': every ready key gets the same share\n"
        "setting priority of 1 entry '': every ready key gets the same share\n"
        "setting limit of 1 entry '': upstreams' own limits are kept, there are no others\n"
        "setting group of 1 entry '': keys have no groups\n"
        "setting tags of 1 entry '': keys have no tags\n");
}

static void test_keyfile__channels_of_version_3(void **state)
{
    (void)state;
    check(
        STR("{\"channels\":[{\"id\":\"a\",\"name\":\"cloud\",\"enabled\":true,\"priority\":0,"
            "\"baseUrl\":\"https://ollama.com/api\",\"keys\":[\"k1\",\"k2\",\"\"],\"rateLimit\":60,"
            "\"totalRequests\":5,\"lastError\":\"x\",\"createdAt\":\"2025-11-01T00:00:00Z\"},"
            "{\"id\":\"b\",\"name\":\"gpu\",\"enabled\":false,\"baseUrl\":\"http://gpu:11434\","
            "\"keys\":[]},null]}"),
        KEYFILE_OLDER_CHANNELS,
        "channels[0].keys[0]: https://ollama.com|k1 'cloud' added=1761955200000\n"
        "channels[0].keys[1]: https://ollama.com|k2 'cloud' added=1761955200000\n"
        "not channels[0].keys[2] 'cloud': it has no key\n"
        "channels[1]: http://gpu:11434| 'gpu' off\n"
        "not channels[2] '': it is no channel\n"
        "setting limit of 1 entry '': upstreams' own limits are kept, there are no others\n");
}

static void test_keyfile__tokens_are_named(void **state)
{
    (void)state;
    static const char *const said = "not 2 tokens '': tokens are for callers of the other program; "
                                    "callers' tokens here are in API_TOKEN\n";
    check(STR("{\"tokens\":[{\"id\":\"a\",\"token\":\"sk-o2o-1\"},{}],\"usageStats\":{}}"),
          KEYFILE_OLDER_TOKENS, said);
    check(STR("{\"data\":[{\"id\":1,\"key\":\"x\",\"remain_quota\":5},{\"remain_quota\":1}]}"),
          KEYFILE_OLDER_TOKENS, said);
    check(STR("id,key,remain_quota,name\n1,abc,5,x\n"), KEYFILE_OLDER_TOKENS,
          "not all rows '': tokens are for callers of the other program; callers' tokens here are "
          "in API_TOKEN\n");
}

static void test_keyfile__channels_of_new_api(void **state)
{
    (void)state;
    check(STR("{\"success\":true,\"data\":{\"items\":["
              "{\"id\":1,\"type\":4,\"key\":\"k1\\n  \\n k2 \\nk3\",\"name\":\"pool\",\"status\":1,"
              "\"base_url\":\"http://gpu:11434\",\"group\":\"default\",\"models\":\"a,b\","
              "\"created_time\":1700000000,"
              "\"channel_info\":{\"is_multi_key\":true,\"multi_key_status_list\":{\"1\":2,\"2\":3,"
              "\"9\":2,\"x\":2}}},"
              "{\"id\":2,\"type\":4,\"key\":\"[\\\"k4\\\",\\\"k5\\\"]\",\"name\":\"list\","
              "\"status\":3,"
              "\"base_url\":\"\",\"channel_info\":\"{}\"},"
              "{\"id\":3,\"type\":4,\"key\":\"k6\",\"name\":\"off\",\"status\":2,\"base_url\":null,"
              "\"channel_info\":{}},"
              "{\"id\":4,\"type\":1,\"key\":\"k7\",\"name\":\"openai\",\"channel_info\":{}},"
              "{\"id\":5,\"type\":4,\"key\":\"\",\"name\":\"hidden\",\"channel_info\":{}}"
              "],\"total\":5}}"),
          KEYFILE_NEW_API,
          "[0], key 1: http://gpu:11434|k1 'pool #1' added=1700000000000\n"
          "[0], key 2: http://gpu:11434|k2 'pool #2' off added=1700000000000\n"
          "[0], key 3: http://gpu:11434|k3 'pool #3' added=1700000000000\n"
          "[1], key 1: http://localhost:11434|k4 'list #1'\n"
          "[1], key 2: http://localhost:11434|k5 'list #2'\n"
          "[2]: http://localhost:11434|k6 'off' off\n"
          "not [3] 'openai': it is no Ollama channel\n"
          "not [4] 'hidden': its key is left out (as admin APIs do; a table's export has it)\n"
          "setting models of 1 entry '': upstreams are asked which models they have\n");
}

static void test_keyfile__channels_of_one_api(void **state)
{
    (void)state;
    check(STR("{\"success\":true,\"data\":["
              "{\"id\":1,\"type\":30,\"key\":\"k1\",\"name\":\"ollama\",\"status\":1,"
              "\"base_url\":\"http://gpu:11434/\"},"
              "{\"id\":2,\"type\":4,\"key\":\"k2\",\"name\":\"other\",\"status\":1}]}"),
          KEYFILE_ONE_API,
          "[0]: http://gpu:11434|k1 'ollama'\n"
          "not [1] 'other': type 4 is Ollama in new-api only, whose channels have a "
          "channel_info\n");
}

static void test_keyfile__tables_of_channels(void **state)
{
    (void)state;
    check(STR("id,type,key,status,name,base_url,models,channel_info,weight\r\n"
              "1,4,\"k1\nk2\",1,pool,https://h/,\"a,b\",\"{\"\"multi_key_status_list\"\":"
              "{\"\"0\"\":2}}\",0\r\n"
              "2,4,k3,2,\\N,NULL,,{},7\r\n"
              "3,1,k4,1,openai,,,{},0\r\n"
              "rubbish\r\n"),
          KEYFILE_NEW_API,
          "line 2, key 1: https://h|k1 'pool #1' off\n"
          "line 2, key 2: https://h|k2 'pool #2'\n"
          "line 4: http://localhost:11434|k3 '' off\n"
          "not line 5 'openai': it is no Ollama channel\n"
          "not line 6 'rubbish': it is no row of this table\n"
          "setting models of 1 entry '': upstreams are asked which models they have\n"
          "setting weight of 1 entry '': every ready key gets the same share\n");
    check(STR("id;type;key;base_url\n1;30;k;http://h\n"), KEYFILE_ONE_API,
          "line 2: http://h|k ''\n");
}

static void test_keyfile__plain_tables(void **state)
{
    (void)state;
    check(STR("key,base_url,name,enabled,tags\nk1,,one,true,\n\"http://h|k2\",,two,false,t\n"
              "k3,http://h,,0,\n,http://gpu,gpu,,\n,,none,,\nk 4,http://h,bad,,\n"),
          KEYFILE_TABLE,
          "line 2: https://ollama.com|k1 'one'\n"
          "line 3: http://h|k2 'two' off\n"
          "line 4: http://h|k3 '' off\n"
          "line 5: http://gpu| 'gpu'\n"
          "not line 6 'none': it has no key\n"
          "not line 7 'bad': the key holds a blank\n"
          "setting tags of 1 entry '': keys have no tags\n");
    check(STR("[{\"key\":\"k1\",\"base_url\":\"http://h\",\"enabled\":false},{\"name\":\"n\"},3]"),
          KEYFILE_TABLE,
          "[0]: http://h|k1 '' off\nnot [1] 'n': it has no key\nnot [2] '': it has no key\n");
}

static void test_keyfile__names_are_cleaned(void **state)
{
    (void)state;
    check(STR("{\"keys\":[{\"key\":\"k\",\"baseUrl\":\"http://h\",\"name\":\" a\\nb\\u001b[31m "
              "\"}]}"),
          KEYFILE_OLDER_KEYS, "keys[0]: http://h|k 'a b [31m'\n");

    char text[1024];
    char name[KEYFILE_NAME_MAX + 3];
    for (size_t n = KEYFILE_NAME_MAX - 1; n <= KEYFILE_NAME_MAX + 1; n++) {
        struct buf out;
        enum keyfile_format format;
        memset(name, 'x', n - 2);
        memcpy(name + n - 2, "\xC3\xA4", 3); // two bytes that are not to be torn
        (void)snprintf(text, sizeof(text), "{\"keys\":[{\"key\":\"k\",\"name\":\"%s\"}]}", name);
        buf_init(&out, 4096);
        assert_int_equal(read_file(str_z(text), &out, &format, NULL), ERR_OK);
        size_t kept = n <= KEYFILE_NAME_MAX ? n : n - 2;
        char want[1024];
        (void)snprintf(want, sizeof(want), "keys[0]: https://ollama.com|k '%.*s'\n", (int)kept,
                       name);
        assert_str(buf_str(&out), str_z(want));
        buf_release(&out);
    }
}

static void test_keyfile__refuses(void **state)
{
    (void)state;
    static const struct {
        str text;
        enum err want;
        const char *why;
    } cases[] = {
        {STR_C("{"),                              ERR_SYNTAX, "broken JSON"                },
        {STR_C("{\"keys\":{}}"),                  ERR_SYNTAX, "no list"                    },
        {STR_C("{\"data\":{}}"),                  ERR_SYNTAX, "no items"                   },
        {STR_C("{\"success\":false}"),            ERR_SYNTAX, "an error's answer"          },
        {STR_C("id,key_value,key_hash\n1,x,y\n"), ERR_SYNTAX, "gpt-load's table"           },
        {STR_C("key,base_url\nk,\"http://h\n"),   ERR_SYNTAX, "a quote that does not close"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out;
        struct err_info info = {0};
        enum keyfile_format format;
        buf_init(&out, 4096);
        assert_why(read_file(cases[i].text, &out, &format, &info) == cases[i].want, cases[i].why);
        assert_why(info.text[0] != '\0', cases[i].why);
        buf_release(&out);
    }
}

static bool stop_at_once(void *arg, const struct keyfile_key *key)
{
    (void)key;
    ++*(size_t *)arg;
    return false;
}

static bool no_skip(void *arg, const struct keyfile_skip *skip)
{
    (void)arg;
    (void)skip;
    return true;
}

static void test_keyfile__a_callback_ends_it(void **state)
{
    (void)state;
    static const str texts[] = {
        STR_C("k1\nk2"),
        STR_C("[\"k1\",\"k2\"]"),
        STR_C("{\"keys\":[{\"key\":\"a\"},{\"key\":\"b\"}]}"),
        STR_C("{\"channels\":[{\"keys\":[\"a\",\"b\"]},{\"keys\":[\"c\"]}]}"),
        STR_C("[{\"type\":30,\"key\":\"a\\nb\"},{\"type\":30,\"key\":\"c\"}]"),
        STR_C("key,name\na,b\nc,d\n"),
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct arena a;
        size_t calls = 0;
        enum keyfile_format format;
        struct keyfile_sink sink = {.on_key = stop_at_once, .on_skip = no_skip, .arg = &calls};
        arena_init(&a, 1 << 20);
        assert_int_equal(keyfile_read(&a, texts[i], &options, &sink, &format, NULL), ERR_OK);
        assert_int_equal(calls, 1);
        arena_release(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keyfile__texts),
        cmocka_unit_test(test_keyfile__strings),
        cmocka_unit_test(test_keyfile__keys_of_version_2),
        cmocka_unit_test(test_keyfile__keys_of_version_3),
        cmocka_unit_test(test_keyfile__channels_of_version_3),
        cmocka_unit_test(test_keyfile__tokens_are_named),
        cmocka_unit_test(test_keyfile__channels_of_new_api),
        cmocka_unit_test(test_keyfile__channels_of_one_api),
        cmocka_unit_test(test_keyfile__tables_of_channels),
        cmocka_unit_test(test_keyfile__plain_tables),
        cmocka_unit_test(test_keyfile__names_are_cleaned),
        cmocka_unit_test(test_keyfile__refuses),
        cmocka_unit_test(test_keyfile__a_callback_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
