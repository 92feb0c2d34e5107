/* What was counted by time: sums in three grains, names and their bound, what is forgotten. */
#include <string.h>

#include "place.h"
#include "store/store.h"

#define MINUTE INT64_C(1700000040) // 22:14:00 UTC
#define HOUR   INT64_C(1699999200)

struct seen {
    size_t n;
    int64_t at_s[8];
    struct series_counts counts[8];
};

static void see_step(void *arg, int64_t at_s, const struct series_counts *counts)
{
    struct seen *seen = arg;
    if (seen->n < 8) {
        seen->at_s[seen->n] = at_s;
        seen->counts[seen->n] = *counts;
    }
    seen->n++;
}

static struct seen read_steps(struct store *s, enum series_grain grain, int64_t from_s)
{
    struct seen seen = {0};
    assert_int_equal(store_read_series(s, grain, from_s, see_step, &seen, NULL), ERR_OK);
    return seen;
}

static void add(struct store *s, int64_t at_s, const struct tally_row *rows, size_t n)
{
    struct series_counts counts = {
        .requests = 3,
        .errors = 1,
        .tokens_in = 10,
        .tokens_out = 20,
        .first = {[0] = 1, [METRICS_BUCKETS - 1] = UINT32_MAX + 2ULL}
    };
    struct err_info info = {0};
    if (store_add_series(s, at_s, &counts, rows, n, &info) != ERR_OK)
        fail_msg("%s", info.text);
}

static void test_series__a_minute_adds_to_its_hour_and_day(void **state)
{
    struct store *s = place_open(*state);
    add(s, MINUTE, NULL, 0);
    add(s, MINUTE, NULL, 0); // after a restart in the same minute
    add(s, MINUTE + 60, NULL, 0);
    store_close(s);
    s = place_open(*state);
    struct seen seen = read_steps(s, SERIES_MINUTES, 0);
    assert_int_equal(seen.n, 2);
    assert_true(seen.at_s[0] == MINUTE && seen.at_s[1] == MINUTE + 60);
    assert_int_equal(seen.counts[0].requests, 6);
    assert_int_equal(seen.counts[0].errors, 2);
    assert_int_equal(seen.counts[0].tokens_in, 20);
    assert_int_equal(seen.counts[0].tokens_out, 40);
    assert_int_equal(seen.counts[0].first[0], 2);
    assert_int_equal(seen.counts[0].first[METRICS_BUCKETS - 1], 2 * (UINT32_MAX + 2ULL));
    seen = read_steps(s, SERIES_HOURS, 0);
    assert_true(seen.n == 1 && seen.at_s[0] == HOUR && seen.counts[0].requests == 9);
    seen = read_steps(s, SERIES_DAYS, 0);
    assert_true(seen.n == 1 && seen.at_s[0] == 19675 * INT64_C(86400));
    assert_int_equal(read_steps(s, SERIES_MINUTES, MINUTE + 1).n, 1);
    store_close(s);
}

/* ---- names ---- */

struct names {
    size_t n;
    uint64_t named, others;
    char first[32];
};

static void see_name(void *arg, const struct tally_row *row)
{
    struct names *names = arg;
    if (names->n++ == 0)
        snprintf(names->first, sizeof(names->first), "%.*s", STR_ARG(row->name));
    *(row->name.len > 0 ? &names->named : &names->others) += row->requests;
}

static struct names read_names(struct store *s, enum series_grain grain, int64_t from_s)
{
    struct names names = {0};
    const struct store_tops which = {
        .grain = grain, .from_s = from_s, .kind = TALLY_MODELS, .max = 10000};
    assert_int_equal(store_read_tops(s, &which, see_name, &names, NULL), ERR_OK);
    return names;
}

/* `n` names that begin with `prefix`, of one request each. */
static void add_names(struct store *s, int64_t at_s, char prefix, size_t n)
{
    struct tally_row *rows = calloc(n, sizeof(*rows));
    char(*names)[32] = calloc(n, sizeof(*names));
    for (size_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof(names[i]), "%c%zu", prefix, i);
        rows[i] = (struct tally_row){.name = str_z(names[i]), .requests = 1};
    }
    add(s, at_s, rows, n);
    free(rows);
    free(names);
}

static void test_tops__add_up_by_name(void **state)
{
    const struct tally_row rows[] = {
        {TALLY_MODELS, STR_C("b'\"%\n<script>"), 1, 0, 5},
        {TALLY_MODELS, STR_C("a"),               3, 1, 7},
        {TALLY_HOSTS,  STR_C("https://x"),       9, 0, 0},
        {TALLY_MODELS, {0},                      2, 0, 0},
    };
    struct store *s = place_open(*state);
    add(s, MINUTE, rows, 4);
    add(s, MINUTE + 60, rows, 2);
    struct names names = read_names(s, SERIES_MINUTES, 0);
    assert_int_equal(names.n, 3);
    assert_string_equal(names.first, "a");
    assert_int_equal(names.named, 8);
    assert_int_equal(names.others, 2);
    assert_int_equal(read_names(s, SERIES_MINUTES, MINUTE + 60).named, 4);
    assert_int_equal(read_names(s, SERIES_HOURS, HOUR).named, 8);
    store_close(s);
}

static void test_tops__names_of_a_step_are_bounded(void **state)
{
    static const struct {
        size_t n, kept;
        uint64_t others;
    } cases[] = {
        {STORE_TOPS_MAX - 1, STORE_TOPS_MAX - 1, 0},
        {STORE_TOPS_MAX,     STORE_TOPS_MAX,     0},
        {STORE_TOPS_MAX + 1, STORE_TOPS_MAX,     1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct store *s = place_open(*state);
        int64_t at_s = MINUTE + 7200 * (int64_t)i;
        add_names(s, at_s, 'a', cases[i].n);
        struct names names = read_names(s, SERIES_MINUTES, at_s);
        assert_int_equal(names.named, cases[i].kept);
        assert_int_equal(names.others, cases[i].others);
        store_close(s);
    }
}

/* Each minute brings other names: their hour stays small, and no request is lost. */
static void test_tops__an_hour_of_changing_names_is_bounded(void **state)
{
    struct store *s = place_open(*state);
    for (int i = 0; i < 5; i++)
        add_names(s, MINUTE + INT64_C(60) * i, (char)('a' + i), STORE_TOPS_MAX);
    struct names names = read_names(s, SERIES_HOURS, HOUR);
    assert_int_equal(names.n, STORE_TOPS_MAX + 1);
    assert_int_equal(names.named + names.others, 5 * STORE_TOPS_MAX);
    store_close(s);
}

/* ---- forgetting ---- */

static void test_series__forgets_what_is_too_old(void **state)
{
    static const struct {
        enum series_grain grain;
        int64_t kept_s;
    } cases[] = {
        {SERIES_MINUTES, STORE_MINUTES_KEPT_S    },
        {SERIES_HOURS,   STORE_HOURS_KEPT_S      },
        {SERIES_DAYS,    STORE_SERIES_DAYS_KEPT_S},
    };
    struct store *s = place_open(*state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t at_s = read_steps(s, cases[i].grain, 0).n > 0 ? 0 : MINUTE;
        if (at_s > 0)
            add(s, at_s, NULL, 0);
        int64_t begin_s = series_floor(MINUTE, series_grain_s(cases[i].grain));
        assert_int_equal(store_trim_series(s, begin_s + cases[i].kept_s, NULL), ERR_OK);
        assert_int_equal(read_steps(s, cases[i].grain, 0).n, 1);
        assert_int_equal(store_trim_series(s, begin_s + cases[i].kept_s + 1, NULL), ERR_OK);
        assert_int_equal(read_steps(s, cases[i].grain, 0).n, 0);
    }
    store_close(s);
}

static void test_tops__are_forgotten_too(void **state)
{
    struct store *s = place_open(*state);
    add_names(s, MINUTE, 'a', 3);
    assert_int_equal(store_trim_series(s, MINUTE + STORE_MINUTE_TOPS_KEPT_S, NULL), ERR_OK);
    assert_int_equal(read_names(s, SERIES_MINUTES, 0).n, 3);
    assert_int_equal(store_trim_series(s, MINUTE + STORE_MINUTE_TOPS_KEPT_S + 1, NULL), ERR_OK);
    assert_int_equal(read_names(s, SERIES_MINUTES, 0).n, 0);
    assert_int_equal(read_names(s, SERIES_HOURS, 0).n, 3);
    assert_int_equal(store_trim_series(s, HOUR + STORE_HOURS_KEPT_S + 1, NULL), ERR_OK);
    assert_int_equal(read_names(s, SERIES_HOURS, 0).n, 0);
    store_close(s);
}

/* A database of the first schema gets the tables it lacks. */
static void test_series__come_to_an_older_database(void **state)
{
    struct place *p = *state;
    store_close(place_open(p));
    place_sql(p->db, "DROP TABLE series; DROP TABLE tops; DROP TABLE tries; DROP TABLE refusals; "
                     "ALTER TABLE lives DROP COLUMN reason; "
                     "ALTER TABLE lives DROP COLUMN since_ms; PRAGMA user_version = 1;");
    struct store *s = place_open(p);
    add(s, MINUTE, NULL, 0);
    store_close(s);
    s = place_open(p);
    assert_int_equal(read_steps(s, SERIES_MINUTES, 0).n, 1);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_series__a_minute_adds_to_its_hour_and_day),
        PLACE_TEST(test_tops__add_up_by_name),
        PLACE_TEST(test_tops__names_of_a_step_are_bounded),
        PLACE_TEST(test_tops__an_hour_of_changing_names_is_bounded),
        PLACE_TEST(test_series__forgets_what_is_too_old),
        PLACE_TEST(test_tops__are_forgotten_too),
        PLACE_TEST(test_series__come_to_an_older_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
