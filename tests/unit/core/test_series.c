/* Ranges by steps, quantiles of sums, and the names there was most of. */
#include "core/series.h"

#include <string.h>

#include "core/tally.h"
#include "unit.h"

enum { NOW = 1700000059 }; // 22:14:19 UTC: in the middle of a minute, ten minutes and an hour

static struct series open_range(const char *name, int64_t now_s)
{
    struct series s;
    series_init(&s, series_range_find(str_z(name)), now_s);
    return s;
}

static void test_series__ranges_end_with_the_step_under_way(void **state)
{
    static const struct {
        const char *name;
        int64_t step_s, start_s;
        size_t n;
    } cases[] = {
        {"1h",  60,   1700000040 - 59 * 60,     60 },
        {"24h", 600,  1699999800 - 143 * 600,   144},
        {"30d", 3600, 1699999200 - 719 * 3600L, 720},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct series s = open_range(cases[i].name, NOW);
        print_message("case: %s\n", cases[i].name);
        assert_int_equal(s.range->step_s, cases[i].step_s);
        assert_int_equal(s.range->n_steps, cases[i].n);
        assert_int_equal(s.start_s, cases[i].start_s);
        assert_true(s.range->n_steps <= SERIES_STEPS_MAX);
        series_release(&s);
    }
    assert_null(series_range_find(STR("")));
    assert_null(series_range_find(STR("2h")));
}

static void test_series__adds_to_the_step_of_a_time(void **state)
{
    static const struct {
        const char *why;
        int64_t offset_s; // from the first step's time
        int step;         // -1: none
    } cases[] = {
        {"a second before the range", -1,              -1 },
        {"the first second",          0,               0  },
        {"the last of that step",     599,             0  },
        {"the first of the next",     600,             1  },
        {"the last second",           144 * 600LL - 1, 143},
        {"a clock that was set back", 144 * 600LL,     -1 },
        {"far in the future",         1000 * 86400LL,  -1 },
    };
    const struct series_counts one = {.requests = 1, .first = {[3] = 1}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct series s = open_range("24h", NOW);
        uint64_t total = 0;
        print_message("case: %s\n", cases[i].why);
        series_add(&s, s.start_s + cases[i].offset_s, &one);
        for (size_t k = 0; k < s.range->n_steps; k++)
            total += s.steps[k].requests;
        assert_int_equal(total, cases[i].step >= 0);
        if (cases[i].step >= 0)
            assert_int_equal(s.steps[cases[i].step].first[3], 1);
        series_release(&s);
    }
}

static void test_series__floor_goes_down_on_both_sides_of_zero(void **state)
{
    (void)state;
    assert_int_equal(series_floor(119, 60), 60);
    assert_int_equal(series_floor(120, 60), 120);
    assert_int_equal(series_floor(-1, 60), -60);
    assert_int_equal(series_floor(-60, 60), -60);
}

static void test_series__counts_of_shards_and_their_difference(void **state)
{
    struct metrics m = {.served = 1};
    struct series_counts before, now;
    (void)state;
    series_counts_of(&m, &before);
    metrics_request(&m, ROUTE_CHAT, 200, METRICS_SENT, 5, 10);
    metrics_request(&m, ROUTE_COMPLETIONS, 200, METRICS_SENT, 5, 10);
    metrics_request(&m, ROUTE_EMBEDDINGS, 200, METRICS_SENT, 5, 10); // has no tokens to wait for
    m.served += 3;
    m.failed += 1;
    m.prompt_tokens += 7;
    m.answer_tokens += 8;
    series_counts_of(&m, &now);
    struct series_counts d = series_counts_since(&now, &before);
    assert_int_equal(d.requests, 3);
    assert_int_equal(d.errors, 1);
    assert_int_equal(d.tokens_in, 7);
    assert_int_equal(d.tokens_out, 8);
    assert_int_equal(d.first[2], 2); // METRICS_BOUNDS_MS[2] is 5
    assert_false(series_counts_empty(&d));
    d = series_counts_since(&now, &now);
    assert_true(series_counts_empty(&d));
}

static void test_series__quantiles_come_from_summed_buckets(void **state)
{
    struct series_counts fast = {.first = {[3] = 90}};        // up to 10 ms
    const struct series_counts slow = {.first = {[11] = 10}}; // up to 1 s
    uint64_t p50 = 0, p95 = 0, none = 77;
    (void)state;
    series_counts_add(&fast, &slow);
    assert_true(series_quantile(&fast, 500, &p50));
    assert_true(series_quantile(&fast, 950, &p95));
    assert_in_range(p50, 5, 10);
    assert_in_range(p95, 750, 1000);
    assert_false(series_quantile(&(struct series_counts){.requests = 1}, 500, &none));
    assert_int_equal(none, 77);
}

/* ---- names ---- */

static void add(struct tally *t, const char *name, uint64_t requests)
{
    tally_add(t, &(struct tally_row){.name = str_z(name), .requests = requests, .tokens = 1});
}

static void test_tally__most_requests_first_and_equal_ones_by_name(void **state)
{
    struct tally_row rows[4], rest;
    struct tally *t = tally_new(8);
    (void)state;
    add(t, "b", 2);
    add(t, "a", 2);
    add(t, "c", 1);
    add(t, "c", 9);
    add(t, "ab", 2);
    assert_int_equal(tally_top(t, TALLY_MODELS, 3, rows, &rest), 3);
    assert_true(str_eq(rows[0].name, STR("c")) && rows[0].requests == 10 && rows[0].tokens == 2);
    assert_true(str_eq(rows[1].name, STR("a")) && str_eq(rows[2].name, STR("ab")));
    assert_int_equal(rest.requests, 2);
    assert_int_equal(tally_top(t, TALLY_HOSTS, 3, rows, NULL), 0);
    tally_free(t);
}

static void sum_rows(void *arg, const struct tally_row *row)
{
    uint64_t *sums = arg; // requests with a name, without, rows
    sums[row->name.len == 0] += row->requests;
    sums[2]++;
}

static void test_tally__names_beyond_its_room_are_counted_together(void **state)
{
    enum { MAX = 50 };
    static const struct {
        size_t names;
        uint64_t named, others;
    } cases[] = {
        {MAX - 1, 98,  0},
        {MAX,     100, 0},
        {MAX + 1, 100, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tally *t = tally_new(MAX);
        uint64_t sums[3] = {0};
        for (size_t k = 0; k < 2 * cases[i].names; k++) {
            char name[32];
            snprintf(name, sizeof(name), "m%zu", k % cases[i].names);
            add(t, name, 1);
        }
        tally_walk(t, sum_rows, sums);
        assert_int_equal(sums[0], cases[i].named);
        assert_int_equal(sums[1], cases[i].others);
        assert_int_equal(sums[2],
                         cases[i].names < MAX ? cases[i].names : MAX + (cases[i].others > 0));
        tally_clear(t);
        memset(sums, 0, sizeof(sums));
        tally_walk(t, sum_rows, sums);
        assert_int_equal(sums[2], 0);
        tally_free(t);
    }
}

static void test_tally__long_names_are_cut_between_characters(void **state)
{
    char name[TALLY_NAME_BYTES + 2];
    struct tally_row row;
    struct tally *t = tally_new(1);
    (void)state;
    memset(name, 'a', sizeof(name));
    memcpy(name + TALLY_NAME_BYTES - 1, "\xC3\xA4", 2); // half of it would fit
    tally_add(t, &(struct tally_row){.name = str_of(name, sizeof(name)), .requests = 1});
    assert_int_equal(tally_top(t, TALLY_MODELS, 1, &row, NULL), 1);
    assert_int_equal(row.name.len, TALLY_NAME_BYTES - 1);
    tally_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_series__ranges_end_with_the_step_under_way),
        cmocka_unit_test(test_series__adds_to_the_step_of_a_time),
        cmocka_unit_test(test_series__floor_goes_down_on_both_sides_of_zero),
        cmocka_unit_test(test_series__counts_of_shards_and_their_difference),
        cmocka_unit_test(test_series__quantiles_come_from_summed_buckets),
        cmocka_unit_test(test_tally__most_requests_first_and_equal_ones_by_name),
        cmocka_unit_test(test_tally__names_beyond_its_room_are_counted_together),
        cmocka_unit_test(test_tally__long_names_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
