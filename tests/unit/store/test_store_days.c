/*
 * Lives, counters by day and moves: sums, order, and what is forgotten when.
 */
#include "store/store.h"

#include "place.h"

enum { DAY = 20000 };
#define MS_PER_DAY ((int64_t)86400000)

struct rows {
    size_t n;
    struct store_day_row row[8];
    size_t total;
};

static void see_row(void *arg, const struct store_day_row *row)
{
    struct rows *rows = arg;
    if (rows->n < 8)
        rows->row[rows->n++] = *row;
    rows->total++;
}

static struct rows read_days(struct store *s, int64_t first, uint64_t key)
{
    struct rows rows = {0};
    assert_int_equal(store_read_days(s, first, key, see_row, &rows, NULL), ERR_OK);
    return rows;
}

static void add_keys(struct store *s, size_t n)
{
    struct key_spec *keys = calloc(n, sizeof(*keys));
    for (size_t i = 0; i < n; i++)
        keys[i] = (struct key_spec){.secret = STR("sk"), .base_url = STR("https://x")};
    assert_int_equal(store_add_keys(s, keys, n, false, NULL), ERR_OK);
    free(keys);
}

static void flush(struct store *s, uint64_t id, uint64_t success, uint64_t fail, int64_t day)
{
    struct store_flush f = {
        .id = id,
        .life = {.requests = success + fail, .failures = fail},
        .success = success,
        .fail = fail,
        .tokens = 10 * success
    };
    assert_int_equal(store_write_lives(s, &f, 1, day, NULL), ERR_OK);
}

static void test_days__add_up(void **state)
{
    struct store *s = place_open(*state);
    add_keys(s, 2);
    flush(s, 1, 2, 1, DAY);
    flush(s, 1, 3, 0, DAY);
    flush(s, 2, 9, 0, DAY);
    flush(s, 1, 1, 0, DAY + 1);
    struct rows rows = read_days(s, DAY, 0);
    assert_int_equal(rows.n, 3);
    assert_int_equal(rows.row[0].key_id, 2); // the busiest of the day is first
    assert_int_equal(rows.row[1].success, 5);
    assert_int_equal(rows.row[1].fail, 1);
    assert_int_equal(rows.row[1].tokens, 50);
    assert_int_equal(rows.row[2].day, DAY + 1);
    assert_int_equal(read_days(s, DAY + 1, 0).n, 1);
    rows = read_days(s, 0, 1);
    assert_int_equal(rows.n, 2);
    assert_true(rows.row[0].day == DAY && rows.row[1].day == DAY + 1);
    store_close(s);
}

static void test_days__a_life_without_traffic_is_no_row(void **state)
{
    struct store *s = place_open(*state);
    add_keys(s, 1);
    flush(s, 1, 0, 0, DAY);
    flush(s, 77, 5, 5, DAY); // gone
    assert_int_equal(read_days(s, 0, 0).n, 0);
    store_close(s);
}

static void test_days__go_with_their_key(void **state)
{
    struct store *s = place_open(*state);
    add_keys(s, 2);
    for (int64_t day = DAY; day < DAY + 5; day++) {
        flush(s, 1, 1, 0, day);
        flush(s, 2, 1, 0, day);
    }
    assert_int_equal(store_delete_keys(s, (uint64_t[]){1, 99}, 2, NULL), ERR_OK);
    assert_int_equal(read_days(s, 0, 0).n, 5);
    assert_int_equal(read_days(s, 0, 1).n, 0);
    store_close(s);
}

static void test_days__a_day_tells_its_busiest_keys(void **state)
{
    struct store *s = place_open(*state);
    add_keys(s, STORE_DAY_KEYS_MAX + 1);
    for (uint64_t id = 1; id <= STORE_DAY_KEYS_MAX; id++)
        flush(s, id, 2, 0, DAY);
    assert_int_equal(read_days(s, DAY, 0).total, STORE_DAY_KEYS_MAX);
    flush(s, STORE_DAY_KEYS_MAX + 1, 1, 0, DAY);
    flush(s, 1, 1, 0, DAY);
    struct rows rows = read_days(s, DAY, 0);
    assert_int_equal(rows.total, STORE_DAY_KEYS_MAX);
    assert_int_equal(rows.row[0].key_id, 1);
    store_close(s);
}

static void test_days__are_kept_for_thirty(void **state)
{
    struct store *s = place_open(*state);
    add_keys(s, 1);
    for (int64_t day = DAY; day <= DAY + STORE_DAYS_KEPT; day++)
        flush(s, 1, 1, 0, day);
    assert_int_equal(store_trim(s, (DAY + STORE_DAYS_KEPT) * MS_PER_DAY - 1, NULL), ERR_OK);
    assert_int_equal(read_days(s, 0, 0).total, STORE_DAYS_KEPT + 1);
    assert_int_equal(store_trim(s, (DAY + STORE_DAYS_KEPT) * MS_PER_DAY, NULL), ERR_OK);
    struct rows rows = read_days(s, 0, 0);
    assert_int_equal(rows.total, STORE_DAYS_KEPT);
    assert_int_equal(rows.row[0].day, DAY + 1);
    store_close(s);
}

/* ---- moves ---- */

struct moves {
    size_t n;
    int64_t first_at_ms;
    int64_t last_at_ms;
    struct key_move last;
    char reason[64];
};

static void see_move(void *arg, const struct key_move *m)
{
    struct moves *moves = arg;
    if (moves->n++ == 0)
        moves->first_at_ms = m->at_ms;
    moves->last_at_ms = m->at_ms;
    moves->last = *m;
    (void)snprintf(moves->reason, sizeof(moves->reason), "%.*s|%.*s", STR_ARG(m->host),
                   STR_ARG(m->reason));
}

static struct moves read_moves(struct store *s, uint64_t key, const char *host)
{
    struct moves moves = {0};
    assert_int_equal(store_read_moves(s, key, str_z(host), see_move, &moves, NULL), ERR_OK);
    return moves;
}

static void move(struct store *s, uint64_t key, const char *host, int64_t at_ms)
{
    struct key_move m = {.key_id = key,
                         .host = str_z(host),
                         .from = KEY_IS_READY,
                         .to = KEY_IS_COOLING,
                         .cause = CAUSE_LIMIT,
                         .source = COOL_GUESSED,
                         .at_ms = at_ms,
                         .until_ms = at_ms + 1000,
                         .reason = STR("too many requests")};
    assert_int_equal(store_write_moves(s, &m, 1, NULL), ERR_OK);
}

static void test_moves__come_back_newest_first(void **state)
{
    struct store *s = place_open(*state);
    add_keys(s, 1);
    move(s, 1, "https://x", 10);
    move(s, 1, "https://x", 20);
    move(s, 0, "https://x", 30);
    move(s, 0, "https://y", 40);
    struct moves moves = read_moves(s, 1, "");
    assert_int_equal(moves.n, 2);
    assert_true(moves.first_at_ms == 20 && moves.last_at_ms == 10);
    assert_true(moves.last.from == KEY_IS_READY && moves.last.to == KEY_IS_COOLING);
    assert_true(moves.last.cause == CAUSE_LIMIT && moves.last.source == COOL_GUESSED);
    assert_int_equal(moves.last.until_ms, 1010);
    assert_string_equal(moves.reason, "|too many requests");
    moves = read_moves(s, 0, "https://y");
    assert_int_equal(moves.n, 1);
    assert_string_equal(moves.reason, "https://y|too many requests");
    store_close(s);
}

static void test_moves__the_last_fifty_of_each_are_kept(void **state)
{
    struct store *s = place_open(*state);
    add_keys(s, 2);
    move(s, 2, "", 1);
    move(s, 0, "https://y", 1);
    for (int64_t i = 1; i <= STORE_MOVES_KEPT; i++) {
        move(s, 1, "", i);
        move(s, 0, "https://x", i);
    }
    assert_int_equal(read_moves(s, 1, "").n, STORE_MOVES_KEPT);
    move(s, 1, "", STORE_MOVES_KEPT + 1);
    move(s, 0, "https://x", STORE_MOVES_KEPT + 1);
    struct moves moves = read_moves(s, 1, "");
    assert_int_equal(moves.n, STORE_MOVES_KEPT);
    assert_int_equal(moves.last_at_ms, 2);
    assert_int_equal(read_moves(s, 0, "https://x").n, STORE_MOVES_KEPT);
    assert_int_equal(read_moves(s, 2, "").n, 1);
    assert_int_equal(read_moves(s, 0, "https://y").n, 1);
    store_close(s);
}

static void test_moves__go_with_their_key_and_with_time(void **state)
{
    struct store *s = place_open(*state);
    add_keys(s, 2);
    move(s, 1, "", 1000);
    move(s, 0, "https://x", 1000);
    move(s, 2, "", 1001);
    assert_int_equal(store_delete_keys(s, (uint64_t[]){1}, 1, NULL), ERR_OK);
    assert_int_equal(read_moves(s, 1, "").n, 0);
    assert_int_equal(store_trim(s, 1000 + STORE_DAYS_KEPT * MS_PER_DAY, NULL), ERR_OK);
    assert_int_equal(read_moves(s, 0, "https://x").n, 1);
    assert_int_equal(store_trim(s, 1001 + STORE_DAYS_KEPT * MS_PER_DAY, NULL), ERR_OK);
    assert_int_equal(read_moves(s, 0, "https://x").n, 0);
    assert_int_equal(read_moves(s, 2, "").n, 1);
    assert_int_equal(store_trim(s, 1002 + STORE_DAYS_KEPT * MS_PER_DAY, NULL), ERR_OK);
    assert_int_equal(read_moves(s, 2, "").n, 0);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_days__add_up),
        PLACE_TEST(test_days__a_life_without_traffic_is_no_row),
        PLACE_TEST(test_days__go_with_their_key),
        PLACE_TEST(test_days__a_day_tells_its_busiest_keys),
        PLACE_TEST(test_days__are_kept_for_thirty),
        PLACE_TEST(test_moves__come_back_newest_first),
        PLACE_TEST(test_moves__the_last_fifty_of_each_are_kept),
        PLACE_TEST(test_moves__go_with_their_key_and_with_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
