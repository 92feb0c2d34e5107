/*
 * A pool that is filled at once, as at the start.
 */
#include "keypool_test.h"

enum { KEYS = 1000 };

/* Fills a pool by loading. */
static struct bench *loaded(size_t expected)
{
    struct bench *b = bench_of(0);
    keypool_load_begin(b->p, expected);
    for (uint64_t id = 1; id <= KEYS; id++) {
        char secret[32];
        int n = snprintf(secret, sizeof(secret), "key-%llu", (unsigned long long)id);
        struct key_spec spec = {.id = id,
                                .secret = str_of(secret, (size_t)n),
                                .base_url = id % 10 == 0 ? STR(HOST_B) : STR(HOST_A),
                                .enabled = id % 4 != 0};
        if (id % 4 == 1)
            spec.life = (struct key_life){.state = KEY_IS_COOLING,
                                          .cause = CAUSE_LIMIT,
                                          .source = COOL_STATED,
                                          .until_ms = WALL + 60000,
                                          .worked = true};
        if (id % 4 == 2)
            spec.life = (struct key_life){.state = KEY_IS_DEAD, .until_ms = WALL + 600000};
        assert_int_equal(add_spec(b->p, &spec), ERR_OK);
    }
    uint64_t id = 0;
    struct key_spec again = {.id = KEYS + 1, .secret = STR("key-7"), .base_url = STR(HOST_A)};
    assert_int_equal(keypool_add(b->p, &again, T0, &id), ERR_EXISTS);
    assert_int_equal(id, 7);
    keypool_load_end(b->p);
    return b;
}

static void test_keypool__loads_keys_in_their_states(void **state)
{
    static const size_t expected[] = {0, KEYS,
                                      (size_t)3 * KEYS}; // how many there are is only a hint
    (void)state;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        struct bench *b = loaded(expected[i]);
        struct key_summary sum = summary_of(b);
        assert_int_equal(sum.total, KEYS);
        for (int s = 0; s < KEY_STATES; s++)
            assert_int_equal(sum.by_state[s], KEYS / 4);
        assert_int_equal(keypool_find_id(b->p, STR("1000")), 1000);
        assert_int_equal(keypool_find(b->p, STR(HOST_B), STR("key-20")), 20);
        keypool_expire(b->p, T0 + 59999);
        assert_int_equal(summary_of(b).by_state[KEY_IS_COOLING], KEYS / 4);
        bench_free(b);
    }
}

/* Each ready key gets its turn, in no order that a block of bad keys could stand in. */
static void test_keypool__loads_keys_to_random_places(void **state)
{
    struct bench *b = loaded(KEYS);
    uint8_t turns[KEYS + 1] = {0};
    uint64_t last = 0;
    int neighbours = 0;
    (void)state;
    for (int i = 0; i < KEYS / 4; i++) {
        struct key_search s = {0};
        struct lease lease;
        uint64_t wait_ms;
        assert_int_equal(keypool_acquire(b->p, &s, M, false, T0, &lease, &wait_ms), PICK_KEY);
        assert_int_equal(lease.key_id % 4, 3);
        assert_int_equal(turns[lease.key_id]++, 0);
        neighbours += lease.key_id > last && lease.key_id <= last + 8;
        last = lease.key_id;
        keypool_report_success(b->p, &lease, M, 1, T0);
        key_search_release(&s);
    }
    assert_true(neighbours < KEYS / 4 / 8);
    bench_free(b);
}

static void test_keypool__goes_on_after_loading(void **state)
{
    struct bench *b = loaded(KEYS);
    (void)state;
    add_key(b->p, KEYS + 5, HOST_A);
    assert_int_equal(summary_of(b).by_state[KEY_IS_READY], KEYS / 4 + 1);
    for (uint64_t id = 1; id <= KEYS; id++)
        assert_true(keypool_remove(b->p, id, T0));
    assert_int_equal(summary_of(b).total, 1);
    struct key_search s = {0};
    struct lease lease;
    uint64_t wait_ms;
    assert_int_equal(keypool_acquire(b->p, &s, M, false, T0, &lease, &wait_ms), PICK_KEY);
    assert_int_equal(lease.key_id, KEYS + 5);
    keypool_release(b->p, &lease, T0);
    key_search_release(&s);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keypool__loads_keys_in_their_states),
        cmocka_unit_test(test_keypool__loads_keys_to_random_places),
        cmocka_unit_test(test_keypool__goes_on_after_loading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
