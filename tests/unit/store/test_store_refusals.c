/*
 * What models refuse keys, in the store.
 */
#include "store/store.h"

#include "place.h"

#define DAY INT64_C(86400000)
#define NOW INT64_C(1700000000000)

struct rows {
    size_t n;
    struct key_refusal rows[8];
    char names[8][32];
};

static void see(void *arg, const struct key_refusal *r)
{
    struct rows *all = arg;
    assert_true(all->n < 8);
    all->rows[all->n] = *r;
    (void)snprintf(all->names[all->n++], 32, "%.*s", STR_ARG(r->model));
}

static struct rows read_all(struct store *s)
{
    struct rows all = {0};
    assert_int_equal(store_read_refusals(s, see, &all, NULL), ERR_OK);
    return all;
}

static struct store *store_with_keys(const struct place *p, size_t n)
{
    struct store *s = place_open(p);
    for (size_t i = 0; i < n; i++) {
        char secret[] = "sk-0";
        secret[3] = (char)('0' + i);
        struct key_spec key = {
            .secret = str_z(secret), .base_url = STR("https://ollama.com"), .enabled = true};
        assert_int_equal(store_add_keys(s, &key, 1, 0, NULL), ERR_OK);
        assert_int_equal(key.id, i + 1);
    }
    return s;
}

static void put(struct store *s, bool forget, uint64_t id, const struct key_refusal *rows, size_t n)
{
    const struct store_refusals all = {forget, &id, id != 0, rows, n};
    assert_int_equal(store_write_refusals(s, &all, NULL), ERR_OK);
}

static void test_refusals__come_back_as_they_were(void **state)
{
    static const struct key_refusal rows[] = {
        {1, STR_C("a"), NOW + 5, 3, false},
        {1, STR_C("b"), NOW + 6, 0, true },
    };
    struct store *s = store_with_keys(*state, 2);
    put(s, false, 1, rows, 2);
    store_close(s);
    s = place_open(*state);
    struct rows all = read_all(s);
    assert_int_equal(all.n, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(all.names[i], i == 0 ? "a" : "b");
        assert_int_equal(all.rows[i].key_id, 1);
        assert_int_equal(all.rows[i].until_ms, rows[i].until_ms);
        assert_int_equal(all.rows[i].doublings, rows[i].doublings);
        assert_int_equal(all.rows[i].signin, rows[i].signin);
    }
    put(s, false, 1, rows, 1); // in the place of both
    assert_int_equal(read_all(s).n, 1);
    put(s, false, 1, NULL, 0);
    assert_int_equal(read_all(s).n, 0);
    store_close(s);
}

static void test_refusals__go_with_their_key(void **state)
{
    static const struct key_refusal one[] = {
        {1, STR_C("m"), NOW, 1, false}
    };
    static const struct key_refusal two[] = {
        {2, STR_C("m"), NOW, 1, false}
    };
    static const struct key_refusal gone[] = {
        {9, STR_C("m"), NOW, 1, false}
    };
    static const uint64_t first = 1;
    struct store *s = store_with_keys(*state, 2);
    put(s, false, 1, one, 1);
    put(s, false, 2, two, 1);
    put(s, false, 9, gone, 1);
    assert_int_equal(read_all(s).n, 2);
    assert_int_equal(store_delete_keys(s, &first, 1, NULL), ERR_OK);
    struct rows all = read_all(s);
    assert_int_equal(all.n, 1);
    assert_int_equal(all.rows[0].key_id, 2);
    put(s, true, 0, NULL, 0);
    assert_int_equal(read_all(s).n, 0);
    store_close(s);
}

static void test_refusals__end_a_day_after_their_time(void **state)
{
    static const struct key_refusal rows[] = {
        {1, STR_C("a"), NOW - DAY,     3, false},
        {1, STR_C("b"), NOW - DAY - 1, 3, false},
    };
    struct store *s = store_with_keys(*state, 1);
    put(s, false, 1, rows, 2);
    assert_int_equal(store_trim(s, NOW, NULL), ERR_OK);
    struct rows all = read_all(s);
    assert_int_equal(all.n, 1);
    assert_string_equal(all.names[0], "a");
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_refusals__come_back_as_they_were),
        PLACE_TEST(test_refusals__go_with_their_key),
        PLACE_TEST(test_refusals__end_a_day_after_their_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
