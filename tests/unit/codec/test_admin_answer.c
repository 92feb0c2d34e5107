#include "unit.h"

#include "codec/admin_answer.h"
#include "codec/json.h"

static const struct admin_key plain = {
    .id = STR_C("7"),
    .key = STR_C("sk-a…wxyz"),
    .base_url = STR_C("https://ollama.com"),
    .status = STR_C("ready"),
    .enabled = true,
    .added_ms = 1767323045678,
};

static const struct admin_key full = {
    .id = STR_C("9b2f-\"1"),
    .key = STR_C("sk-b…wxyz"),
    .base_url = STR_C("http://gpu:11434"),
    .name = STR_C("<b>\"n\"\\"),
    .status = STR_C("cooling"),
    .enabled = true,
    .last_check_ms = 1,
    .last_used_ms = 1767323045000,
    .last_error = STR_C("HTTP 429\n"),
    .added_ms = 1767323045678,
    .requests = 18446744073709551615U,
    .failures = 2,
    .tokens = 3,
    .until_ms = 253402300799999,
    .account = STR_C("ann"),
    .cause = STR_C("limit"),
    .source = STR_C("stated"),
    .reason = STR_C("weekly limit"),
    .since_ms = 1767323045000,
    .line = 12,
};

#define PLAIN                                                                                      \
    "{\"id\":\"7\",\"key\":\"sk-a…wxyz\",\"baseUrl\":\"https://ollama.com/api\",\"name\":\"\","  \
    "\"enabled\":true,\"healthy\":true,\"status\":\"ready\",\"lastCheck\":null,"                   \
    "\"lastUsed\":null,\"lastError\":null,\"addedAt\":\"2026-01-02T03:04:05.678Z\","               \
    "\"totalRequests\":0,\"failedRequests\":0,\"totalTokens\":0,\"coolingUntil\":null,"            \
    "\"account\":null,\"cause\":\"none\",\"source\":null,\"reason\":null,\"since\":null}"
#define FULL                                                                                       \
    "{\"id\":\"9b2f-\\\"1\",\"key\":\"sk-b…wxyz\",\"baseUrl\":\"http://gpu:11434\","             \
    "\"name\":\"<b>\\\"n\\\"\\\\\",\"enabled\":true,\"healthy\":false,\"status\":\"cooling\","     \
    "\"lastCheck\":\"1970-01-01T00:00:00.001Z\",\"lastUsed\":\"2026-01-02T03:04:05.000Z\","        \
    "\"lastError\":\"HTTP 429\\n\",\"addedAt\":\"2026-01-02T03:04:05.678Z\","                      \
    "\"totalRequests\":18446744073709551615,\"failedRequests\":2,\"totalTokens\":3,"               \
    "\"coolingUntil\":\"9999-12-31T23:59:59.999Z\",\"account\":\"ann\",\"cause\":\"limit\","       \
    "\"source\":\"stated\",\"reason\":\"weekly "                                                   \
    "limit\",\"since\":\"2026-01-02T03:04:05.000Z\",\"line\":12}"

static const struct admin_summary summary = {
    .ready = 1, .cooling = 20, .dead = 300, .disabled = 4000, .requests = 5, .tokens = 6};
#define SUMMARY                                                                                    \
    "{\"total\":4321,\"enabled\":321,\"healthy\":1,\"disabled\":4000,\"unhealthy\":320,"           \
    "\"totalRequests\":5,\"totalTokens\":6}"

static void expect(struct buf *out, const char *want)
{
    assert_true(buf_ok(out));
    assert_str(buf_str(out), str_z(want));
    buf_reset(out);
}

static void test_admin_answer__keys(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, ADMIN_KEY_BYTES);
    admin_put_key(&out, &plain);
    expect(&out, PLAIN);
    admin_put_key(&out, &full);
    expect(&out, FULL);
    admin_put_key_answer(&out, &plain);
    expect(&out, "{\"success\":true,\"key\":" PLAIN "}\n");
    admin_put_duplicate(&out, STR("there already"), &plain);
    expect(&out, "{\"error\":\"there already\",\"key\":" PLAIN "}\n");
    buf_release(&out);
}

static void test_admin_answer__small_ones(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    admin_put_summary(&out, &summary);
    expect(&out, SUMMARY);
    admin_put_success(&out);
    expect(&out, "{\"success\":true}\n");
    admin_put_number(&out, STR("removed"), 12);
    expect(&out, "{\"success\":true,\"removed\":12}\n");
    admin_put_login(&out, STR("o2s_x"));
    expect(&out, "{\"success\":true,\"token\":\"o2s_x\"}\n");
    admin_put_session(&out, STR("c"), STR("t"));
    expect(&out, "{\"csrf\":\"c\",\"chatToken\":\"t\"}\n");
    admin_put_error(&out, STR("a\"b\r\nc"));
    expect(&out, "{\"error\":\"a\\\"b  c\"}\n");
    buf_release(&out);
}

static void test_admin_answer__errors_are_cut_between_characters(void **state)
{
    (void)state;
    char text[ADMIN_SENTENCE_MAX + 2];
    struct buf out;
    buf_init(&out, 4096);
    for (size_t n = ADMIN_SENTENCE_MAX - 1; n <= ADMIN_SENTENCE_MAX + 1; n++) {
        memset(text, 'x', sizeof(text));
        memcpy(text + n - 2, "\xC3\xA4", 2);
        admin_put_error(&out, str_of(text, n));
        size_t kept = n <= ADMIN_SENTENCE_MAX ? n : n - 2;
        assert_int_equal(out.len, kept + strlen("{\"error\":\"\"}\n"));
        assert_int_equal(utf8_valid_prefix(buf_str(&out)), out.len);
        buf_reset(&out);
    }
    buf_release(&out);
}

static void test_admin_answer__lists(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 65536);
    struct admin_list list = admin_list_begin(&out);
    admin_list_end(&list, &summary, 0);
    expect(&out, "{\"keys\":[],\"summary\":" SUMMARY ",\"total\":0}\n");
    list = admin_list_begin(&out);
    admin_list_key(&list, &plain);
    admin_list_key(&list, &full);
    admin_list_end(&list, &summary, 9);
    expect(&out, "{\"keys\":[" PLAIN "," FULL "],\"summary\":" SUMMARY ",\"total\":9}\n");
    buf_release(&out);
}

static void test_admin_answer__imports(void **state)
{
    (void)state;
    struct buf out;
    struct admin_batch_answer b;
    buf_init(&out, 65536);
    admin_batch_init(&b);
    admin_batch_end(&b, STR(""), true, &out);
    expect(&out, "{\"added\":[],\"addedCount\":0,\"duplicates\":[],\"duplicateCount\":0,"
                 "\"errors\":[],\"errorCount\":0,\"notes\":[],\"dryRun\":true}\n");
    admin_batch_skip(
        &b, &(struct keyfile_skip){
                .place = STR("line 3"), .line = 3, .what = STR("a b"), .why = STR("a blank")});
    admin_batch_skip(&b, &(struct keyfile_skip){.place = STR("weight of 1 entry"),
                                                .setting = true,
                                                .why = STR("no \"weights\"")});
    admin_batch_added(&b, &plain);
    admin_batch_duplicate(&b, &full);
    admin_batch_added(&b, &full);
    admin_batch_skip(&b, &(struct keyfile_skip){
                             .place = STR("keys[4]"), .what = STR("\x01"), .why = STR("why")});
    admin_batch_end(&b, STR("12"), false, &out);
    expect(
        &out,
        "{\"added\":[" PLAIN "," FULL "],\"addedCount\":2,\"duplicates\":[" FULL
        "],\"duplicateCount\":1,\"errors\":[{\"input\":\"a b\",\"line\":3,\"place\":\"line "
        "3\",\"error\":"
        "\"a blank\"},{\"input\":\"\\u0001\",\"line\":0,\"place\":\"keys[4]\",\"error\":\"why\"}],"
        "\"errorCount\":2,\"notes\":[\"weight of 1 entry: no "
        "\\\"weights\\\"\"],\"dryRun\":false,\"import\":\"12\"}\n");
    admin_batch_release(&b);
    buf_release(&out);
}

static size_t listed(const struct buf *out, str name)
{
    struct arena a;
    const struct json *root = NULL;
    arena_init(&a, (size_t)64 << 20);
    assert_int_equal(json_parse(&a, buf_str(out), JSON_STRICT, &root, NULL), ERR_OK);
    size_t n = json_size(json_get(root, name));
    arena_release(&a);
    return n;
}

static void test_admin_answer__imports_list_so_many(void **state)
{
    (void)state;
    for (size_t n = ADMIN_PART_MAX - 1; n <= ADMIN_PART_MAX + 1; n++) {
        struct buf out;
        struct admin_batch_answer b;
        buf_init(&out, (size_t)64 << 20);
        admin_batch_init(&b);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(admin_batch_lists_added(&b), i < ADMIN_PART_MAX);
            assert_int_equal(admin_batch_lists_duplicates(&b), i < ADMIN_PART_MAX);
            admin_batch_added(&b, admin_batch_lists_added(&b) ? &plain : NULL);
            admin_batch_duplicate(&b, admin_batch_lists_duplicates(&b) ? &plain : NULL);
            admin_batch_skip(&b, &(struct keyfile_skip){.place = STR("x"), .why = STR("y")});
        }
        admin_batch_end(&b, STR(""), false, &out);
        assert_true(buf_ok(&out));
        size_t want = n < ADMIN_PART_MAX ? n : ADMIN_PART_MAX;
        assert_int_equal(listed(&out, STR("added")), want);
        assert_int_equal(listed(&out, STR("duplicates")), want);
        assert_int_equal(listed(&out, STR("errors")), want);
        assert_true(b.n_added == n && b.n_duplicates == n && b.n_errors == n);
        admin_batch_release(&b);
        buf_release(&out);
    }
}

static void test_admin_answer__jobs(void **state)
{
    (void)state;
    struct admin_job job = {
        .id = STR("3"), .state = STR("running"), .done = 5, .total = 9, .result = STR("")};
    struct buf out;
    buf_init(&out, 4096);
    admin_put_job_begun(&out, &job);
    expect(&out, "{\"job\":{\"id\":\"3\",\"state\":\"running\",\"done\":5,\"total\":9}}\n");
    job.result = STR("{\"success\":true}\n");
    admin_put_job(&out, &job);
    expect(&out, "{\"id\":\"3\",\"state\":\"running\",\"done\":5,\"total\":9,"
                 "\"result\":{\"success\":true}}\n");
    buf_release(&out);
}

static void test_admin_answer__counters_by_day(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    struct admin_stats s = admin_stats_begin(&out, &summary);
    admin_stats_end(&s);
    expect(&out, "{\"summary\":" SUMMARY ",\"stats\":{}}\n");
    s = admin_stats_begin(&out, &summary);
    admin_stats_row(&s, 0, STR("a"), 1, 2, 3);
    admin_stats_row(&s, 0, STR("b"), 4, 5, 6);
    admin_stats_row(&s, 20455, STR("a"), 7, 8, 9);
    admin_stats_end(&s);
    expect(&out, "{\"summary\":" SUMMARY ",\"stats\":{\"1970-01-01\":{\"a\":{\"success\":1,"
                 "\"fail\":2,\"tokens\":3},\"b\":{\"success\":4,\"fail\":5,\"tokens\":6}},"
                 "\"2026-01-02\":{\"a\":{\"success\":7,\"fail\":8,\"tokens\":9}}}}\n");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admin_answer__keys),
        cmocka_unit_test(test_admin_answer__small_ones),
        cmocka_unit_test(test_admin_answer__errors_are_cut_between_characters),
        cmocka_unit_test(test_admin_answer__lists),
        cmocka_unit_test(test_admin_answer__imports),
        cmocka_unit_test(test_admin_answer__imports_list_so_many),
        cmocka_unit_test(test_admin_answer__jobs),
        cmocka_unit_test(test_admin_answer__counters_by_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
