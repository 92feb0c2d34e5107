/*
 * Hosts whose last key is gone: their numbers, and what is known of them.
 */
#include "keypool_test.h"

static void see_number(void *arg, const struct host_view *view)
{
    uint32_t *most = arg;
    *most = view->host > *most ? view->host : *most;
}

static uint32_t largest_number(struct bench *b, uint64_t now_ms)
{
    uint32_t most = 0;
    (void)keypool_walk_hosts(b->p, 0, 100000, now_ms, see_number, &most);
    return most;
}

static void add_host(struct bench *b, uint64_t id, int host, uint64_t now_ms)
{
    char url[64];
    uint64_t got;
    int n = snprintf(url, sizeof(url), "https://host-%d.example", host);
    struct key_spec spec = {
        .id = id, .secret = STR("k"), .base_url = str_of(url, (size_t)n), .enabled = true};
    assert_int_equal(keypool_add(b->p, &spec, now_ms, &got), ERR_OK);
}

static void expect_host(struct bench *b, uint32_t host, int64_t at_ms, const char *want)
{
    struct buf out;
    buf_init(&out, 4096);
    keypool_put_host(b->p, host, at_ms, &out);
    assert_true(str_eq(buf_str(&out), str_z(want)));
    buf_release(&out);
}

/* Somebody who adds and deletes keys of ever new hosts fills neither memory nor numbers. */
static void test_keypool__uses_numbers_of_empty_hosts_again(void **state)
{
    struct bench *b = bench_of(1); // the key that stays
    uint64_t now_ms = T0, id = 2;
    (void)state;
    for (int i = 0; i < 1000; i++, id++, now_ms += 61 * SEC) {
        add_host(b, id, i, now_ms);
        assert_true(keypool_remove(b->p, id, now_ms));
    }
    add_host(b, id, 1000, now_ms);
    assert_int_equal(largest_number(b, now_ms), 1);
    assert_int_equal(summary_of(b).total, 2);
    assert_int_equal(keypool_find(b->p, STR("https://host-1000.example"), STR("k")), id);
    assert_int_equal(keypool_find(b->p, STR("https://host-999.example"), STR("k")), 0);
    expect_host(b, 1, WALL + (int64_t)(now_ms - T0), "https://host-1000.example");
    expect_host(b, 1, WALL + (int64_t)(now_ms - T0) - 1, ""); // that was another one
    bench_free(b);
}

static void test_keypool__keeps_an_empty_host_for_a_minute(void **state)
{
    struct bench *b = bench_of(1);
    (void)state;
    add_host(b, 2, 0, T0);
    add_host(b, 3, 1, T0);
    assert_true(keypool_remove(b->p, 2, T0));
    assert_true(keypool_remove(b->p, 3, T0 + SEC));
    expect_host(b, 1, WALL, "https://host-0.example"); // for what is told of it
    add_host(b, 4, 2, T0 + 59999);
    assert_int_equal(largest_number(b, T0), 3);
    add_host(b, 5, 1, T0 + 59999); // it is back
    add_host(b, 6, 3, T0 + MINUTE);
    add_host(b, 7, 4, T0 + HOUR);
    assert_int_equal(largest_number(b, T0), 4);
    expect_host(b, 1, WALL + (int64_t)HOUR, "https://host-3.example");
    expect_host(b, 2, WALL, "https://host-1.example");
    bench_free(b);
}

static void test_keypool__keeps_an_empty_host_for_its_leases(void **state)
{
    struct bench *b = bench_of(0);
    struct lease lease, other;
    (void)state;
    add_host(b, 1, 0, T0);
    assert_int_equal(take(b, T0, &lease), 1);
    assert_true(keypool_remove(b->p, 1, T0));
    add_host(b, 2, 1, T0 + HOUR);
    assert_int_equal(largest_number(b, T0), 1);
    assert_true(str_eq(lease.url->host, STR("host-0.example")));
    assert_int_equal(take(b, T0 + HOUR, &other), 2);
    keypool_report_success(b->p, &lease, M, 1, T0 + HOUR);
    keypool_report_success(b->p, &other, M, 1, T0 + HOUR);
    assert_true(keypool_remove(b->p, 2, T0 + HOUR));
    add_host(b, 3, 2, T0 + 2 * HOUR);
    add_host(b, 4, 3, T0 + 2 * HOUR);
    assert_int_equal(largest_number(b, T0), 1);
    bench_free(b);
}

static void count_gone(void *arg, uint32_t host)
{
    uint32_t *gone = arg;
    assert_int_equal(host, 0);
    ++*gone;
}

/* What was known of the models of one host is not said of the next. */
static void test_keypool__forgets_models_with_the_number(void **state)
{
    static const str only[] = {STR_C("other-model")};
    uint32_t gone = 0;
    (void)state;
    assert_int_equal(crypto_init(), ERR_OK);
    struct keypool_options options = {.on_host_gone = count_gone, .arg = &gone};
    struct bench b = {.p = keypool_new(&options)};
    struct lease lease;
    keypool_set_clock(b.p, T0, WALL);
    add_host(&b, 1, 0, T0);
    keypool_set_models(b.p, 0, only, 1);
    assert_true(keypool_acquire_id(b.p, 1, &lease));
    struct verdict refused = said(V_REFUSED);
    keypool_report_failure(b.p, &lease, M, &refused, T0);
    assert_int_equal(try_pick(&b, T0), PICK_REFUSED);
    assert_true(keypool_remove(b.p, 1, T0));
    assert_int_equal(gone, 0);
    add_host(&b, 2, 1, T0 + HOUR);
    assert_int_equal(gone, 1);
    assert_int_equal(try_pick(&b, T0 + HOUR), PICK_KEY);
    assert_int_equal(largest_number(&b, T0), 0);
    keypool_free(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keypool__uses_numbers_of_empty_hosts_again),
        cmocka_unit_test(test_keypool__keeps_an_empty_host_for_a_minute),
        cmocka_unit_test(test_keypool__keeps_an_empty_host_for_its_leases),
        cmocka_unit_test(test_keypool__forgets_models_with_the_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
