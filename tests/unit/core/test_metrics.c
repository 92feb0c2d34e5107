/* What workers count, and what is read from it. */
#include "core/metrics.h"

#include <string.h>

#include "unit.h"

static void test_requests_by_status_and_end(void **state)
{
    (void)state;
    struct metrics m = {0};
    metrics_request(&m, ROUTE_CHAT, 200, METRICS_SENT, 5, 10);
    metrics_request(&m, ROUTE_CHAT, 200, METRICS_CALLER_GONE, 5, 10);
    metrics_request(&m, ROUTE_CHAT, 599, METRICS_SENT, UINT64_MAX, 10);
    size_t ok = 0;
    while (metrics_status(ok) != 200)
        ok++;
    assert_int_equal(m.requests[ROUTE_CHAT][ok][METRICS_SENT], 1);
    assert_int_equal(m.requests[ROUTE_CHAT][ok][METRICS_CALLER_GONE], 1);
    assert_int_equal(m.requests[ROUTE_CHAT][METRICS_STATUSES - 1][METRICS_SENT], 1);
    assert_int_equal(metrics_status(METRICS_STATUSES - 1), 0);
    assert_int_equal(m.first[ROUTE_CHAT].sum_ms, 10); // the third sent nothing
    assert_int_equal(m.whole[ROUTE_CHAT].sum_ms, 30);
}

static void test_every_bound_holds_its_own_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRICS_BUCKETS - 1; i++) {
        struct metrics m = {0};
        uint32_t bound = METRICS_BOUNDS_MS[i];
        assert_true(i == 0 || bound > METRICS_BOUNDS_MS[i - 1]);
        metrics_request(&m, ROUTE_CHAT, 200, METRICS_SENT, bound, bound + 1);
        assert_int_equal(m.first[ROUTE_CHAT].buckets[i], 1);
        assert_int_equal(m.whole[ROUTE_CHAT].buckets[i + 1], 1);
    }
}

static void test_attempts_by_verdict(void **state)
{
    (void)state;
    struct metrics m = {0};
    char same[] = "ok"; // another address, the same word
    metrics_attempt(&m, "ok");
    metrics_attempt(&m, same);
    metrics_attempt(&m, "cut");
    assert_int_equal(m.verdicts[0].attempts, 2);
    assert_string_equal(m.verdicts[1].name, "cut");
    assert_int_equal(m.verdicts[1].attempts, 1);
    assert_null(m.verdicts[2].name);
}

/* One more name than there is room for is not counted, and harms nothing. */
static void test_verdicts_are_bounded(void **state)
{
    (void)state;
    struct metrics m = {0};
    char names[METRICS_VERDICTS_MAX + 1][16];
    for (int i = 0; i <= METRICS_VERDICTS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "v%d", i);
        metrics_attempt(&m, names[i]);
    }
    assert_string_equal(m.verdicts[METRICS_VERDICTS_MAX - 1].name, names[METRICS_VERDICTS_MAX - 1]);
    struct metrics sum = {0};
    metrics_add(&sum, &m);
    assert_int_equal(sum.verdicts[METRICS_VERDICTS_MAX - 1].attempts, 1);
}

static void test_shards_are_summed(void **state)
{
    (void)state;
    struct metrics a = {0}, b = {0}, sum = {0};
    metrics_attempt(&a, "ok");
    metrics_attempt(&b, "cut");
    metrics_attempt(&b, "ok");
    metrics_request(&a, ROUTE_CHAT, 200, METRICS_SENT, 1, 2);
    metrics_request(&b, ROUTE_CHAT, 200, METRICS_SENT, 1, 2);
    metrics_count_add(&a.prompt_tokens, 3);
    metrics_count_add(&b.answer_tokens, 4);
    metrics_count_add(&b.open_streams, 1);
    metrics_add(&sum, &a);
    metrics_add(&sum, &b);
    assert_string_equal(sum.verdicts[0].name, "ok");
    assert_int_equal(sum.verdicts[0].attempts, 2);
    assert_int_equal(sum.verdicts[1].attempts, 1);
    assert_int_equal(sum.whole[ROUTE_CHAT].sum_ms, 4);
    assert_int_equal(sum.first[ROUTE_CHAT].buckets[0], 2);
    assert_int_equal(sum.prompt_tokens, 3);
    assert_int_equal(sum.answer_tokens, 4);
    assert_int_equal(sum.open_streams, 1);
}

static void test_quantiles_come_from_the_buckets(void **state)
{
    (void)state;
    struct metrics m = {0};
    struct metrics_times *times = &m.first[ROUTE_CHAT];
    assert_int_equal(metrics_quantile_ms(times, 500), 0);
    for (int i = 0; i < 90; i++)
        metrics_request(&m, ROUTE_CHAT, 200, METRICS_SENT, 80, 80);
    for (int i = 0; i < 10; i++)
        metrics_request(&m, ROUTE_CHAT, 200, METRICS_SENT, 2500, 2500);
    assert_in_range(metrics_quantile_ms(times, 500), 51, 100);
    assert_in_range(metrics_quantile_ms(times, 900), 51, 100);
    assert_in_range(metrics_quantile_ms(times, 950), 2001, 3000);
    assert_in_range(metrics_quantile_ms(times, 1000), 2001, 3000);
    metrics_request(&m, ROUTE_CHAT, 200, METRICS_SENT, 999999999, 1);
    assert_int_equal(metrics_quantile_ms(times, 1000), METRICS_BOUNDS_MS[METRICS_BUCKETS - 2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_by_status_and_end),
        cmocka_unit_test(test_every_bound_holds_its_own_value),
        cmocka_unit_test(test_attempts_by_verdict),
        cmocka_unit_test(test_verdicts_are_bounded),
        cmocka_unit_test(test_shards_are_summed),
        cmocka_unit_test(test_quantiles_come_from_the_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
