/* JSON of overview, series and ticks; names that come from strangers stay text. */
#include "codec/admin_feed.h"

#include "base/arena.h"
#include "codec/json.h"
#include "unit.h"

#define HOSTILE STR("</script>\"\\\n\x01\xff\xE2\x80\xA8")

static void expect_json(const struct buf *out)
{
    struct arena a;
    const struct json *json;
    struct err_info info = {0};
    arena_init(&a, 1 << 20);
    if (json_parse(&a, buf_str(out), JSON_STRICT, &json, &info) != ERR_OK)
        fail_msg("%s in %.*s", info.text, STR_ARG(buf_str(out)));
    arena_release(&a);
}

static void expect(const struct buf *out, const char *want)
{
    if (!str_eq(buf_str(out), str_z(want)))
        fail_msg("\n%.*s\ninstead of\n%s", STR_ARG(buf_str(out)), want);
}

static void test_feed__host(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out, 65536);
    admin_put_host(&out, &(struct admin_host){.host = STR("https://x/base"), .models = -1});
    expect(&out,
           "{\"host\":\"https://x/base\",\"keyed\":false,\"states\":{\"ready\":0,\"cooling\":0,"
           "\"dead\":0,\"disabled\":0},\"cooling\":false,\"cause\":\"none\",\"reason\":null,"
           "\"until\":null,\"since\":null,\"models\":null}");
    buf_reset(&out);
    admin_put_host(&out, &(struct admin_host){.host = STR("https://x"), .reason = HOSTILE});
    expect_json(&out);
    buf_release(&out);
}

static void test_feed__overview_of_nothing_and_of_something(void **state)
{
    const struct admin_problem problem = {.kind = STR("limit"), .count = 2, .text = HOSTILE};
    const struct admin_host host = {.host = STR("https://x"), .reason = HOSTILE};
    struct admin_overview o = {
        .now_ms = 1, .version = STR("1"), .started_ms = 1, .upstream_kind = STR("none")};
    struct buf out;
    (void)state;
    buf_init(&out, 65536);
    admin_put_overview(&out, &o);
    expect_json(&out);
    assert_true(str_find(buf_str(&out), STR("\"hosts\":[],\"hostsTotal\":0,\"problems\":[],"
                                            "\"wellSince\":null")) < out.len);
    assert_true(str_find(buf_str(&out), STR("\"lastImport\":null}")) < out.len);
    o.hosts = &host;
    o.problems = &problem;
    o.n_hosts = o.n_problems = 1;
    o.last_import = (struct admin_last_import){.id = STR("7"), .at_ms = 1, .count = 3, .left = 2};
    buf_reset(&out);
    admin_put_overview(&out, &o);
    expect_json(&out);
    assert_true(str_find(buf_str(&out), STR("\"lastImport\":{\"id\":\"7\",\"at\":\"1970-01-01T"
                                            "00:00:00.001Z\",\"count\":3,\"left\":2}")) < out.len);
    buf_release(&out);
}

static void test_feed__series(void **state)
{
    const struct admin_step steps[] = {
        {.requests = 1, .errors = 2,   .p50_ms = 0, .p95_ms = 4, .tokens_in = 5, .tokens_out = 6},
        {.p50_ms = -1,  .p95_ms = -1},
    };
    struct admin_series s = {
        .range = STR("1h"),
        .step_s = 60,
        .start_s = 120,
        .steps = steps,
        .n_steps = 2,
        .models = {.items = {{.name = HOSTILE, .requests = 1}, {.requests = 2}},      .n = 2},
        .errors = {.items = {{.name = STR("502 cut"), .requests = 3}},                .n = 1},
        .hosts = {.items = {{.name = STR("https://x"), .requests = 4, .errors = 1}}, .n = 1},
    };
    struct buf out;
    (void)state;
    buf_init(&out, 65536);
    admin_put_series(&out, &s);
    expect_json(&out);
    s.models.n = 0;
    buf_reset(&out);
    admin_put_series(&out, &s);
    expect(&out, "{\"range\":\"1h\",\"stepSeconds\":60,\"start\":120,\"requests\":[1,0],"
                 "\"errors\":[2,0],\"p50\":[0,null],\"p95\":[4,null],\"tokensIn\":[5,0],"
                 "\"tokensOut\":[6,0],\"top\":{\"models\":[],\"errors\":[{\"status\":502,"
                 "\"end\":\"cut\",\"count\":3}],\"hosts\":[{\"host\":\"https://x\",\"requests\":4,"
                 "\"errors\":1}]}}\n");
    buf_release(&out);
}

static void test_feed__tick(void **state)
{
    const struct admin_tick tick = {.requests = 1, .per_second = 0.26, .states = {.dead = 2}};
    struct buf out;
    (void)state;
    buf_init(&out, 1024);
    admin_put_tick_fields(&out, &tick);
    expect(&out, "\"requests\":1,\"errors\":0,\"perSecond\":0.3,\"streams\":0,\"connections\":0,"
                 "\"states\":{\"ready\":0,\"cooling\":0,\"dead\":2,\"disabled\":0},\"version\":0");
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_feed__host),
        cmocka_unit_test(test_feed__overview_of_nothing_and_of_something),
        cmocka_unit_test(test_feed__series),
        cmocka_unit_test(test_feed__tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
