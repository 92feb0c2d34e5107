#include "unit.h"

#include "core/address.h"
#include "core/throttle.h"

static int make(void **state)
{
    *state = throttle_new();
    return 0;
}

static int drop(void **state)
{
    throttle_free(*state);
    return 0;
}

static uint64_t try_from(struct throttle *t, const char *address, uint64_t now_ms)
{
    struct sockaddr_storage addr;
    if (!address_parse(str_z(address), &addr))
        fail_msg("no address: %s", address);
    return throttle_admit(t, (const struct sockaddr *)&addr, now_ms);
}

static void pass_from(struct throttle *t, const char *address, uint64_t now_ms)
{
    struct sockaddr_storage addr;
    if (!address_parse(str_z(address), &addr))
        fail_msg("no address: %s", address);
    throttle_passed(t, (const struct sockaddr *)&addr, now_ms);
}

#define MINUTE ((uint64_t)60000)

/* Tries that far apart leave the shared budget full: what is seen is the address's own wait. */
#define APART ((uint64_t)MINUTE)

static void test_throttle__waits_double_after_five_wrong_tries(void **state)
{
    uint64_t now = 1;
    for (int i = 0; i < THROTTLE_FREE_TRIES; i++)
        assert_int_equal(try_from(*state, "192.0.2.1", now += APART), 0);
    static const uint64_t waits_s[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
    for (size_t i = 0; i < COUNT_OF(waits_s); i++) {
        uint64_t wait_ms = waits_s[i] * 1000;
        assert_int_equal(try_from(*state, "192.0.2.1", now), wait_ms);
        assert_int_equal(try_from(*state, "192.0.2.1", now + wait_ms - 1), 1);
        now += wait_ms;
        while (try_from(*state, "192.0.2.1", now) != 0) // the shared budget, while waits are short
            now += 1000;
    }
}

static void test_throttle__wrong_tries_are_forgotten_after_the_window(void **state)
{
    static const struct {
        uint64_t after_ms;
        uint64_t want_wait_ms;
        const char *why;
    } cases[] = {
        {THROTTLE_WINDOW_MS - 1, 1000, "just inside"},
        {THROTTLE_WINDOW_MS,     0,    "at its end" },
        {THROTTLE_WINDOW_MS + 1, 0,    "beyond it"  },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct throttle *t = throttle_new();
        uint64_t now = 1;
        for (int k = 0; k < THROTTLE_FREE_TRIES; k++)
            assert_int_equal(try_from(t, "192.0.2.1", now += APART), 0);
        now += cases[i].after_ms;
        assert_int_equal(try_from(t, "192.0.2.1", now), 0);
        assert_why(try_from(t, "192.0.2.1", now) == (cases[i].want_wait_ms > 0 ? 2000 : 0),
                   cases[i].why);
        throttle_free(t);
    }
    (void)state;
}

static void test_throttle__one_address_leaves_tries_to_newcomers(void **state)
{
    int taken = 0;
    while (try_from(*state, "192.0.2.1", 1) == 0)
        taken++;
    assert_int_equal(taken, THROTTLE_PER_MINUTE - THROTTLE_FOR_NEWCOMERS);
    for (int i = 0; i < THROTTLE_FOR_NEWCOMERS; i++) {
        char address[32];
        snprintf(address, sizeof(address), "198.51.100.%d", i);
        assert_int_equal(try_from(*state, address, 1), 0);
    }
    assert_int_equal(try_from(*state, "198.51.100.99", 1), MINUTE / THROTTLE_PER_MINUTE);
}

static void test_throttle__who_was_wrong_leaves_tries_to_newcomers(void **state)
{
    for (int i = 0; i < THROTTLE_PER_MINUTE - THROTTLE_FOR_NEWCOMERS; i++)
        assert_int_equal(try_from(*state, "192.0.2.1", 1), 0);
    assert_int_equal(try_from(*state, "192.0.2.2", 1), 0);
    // It has four free tries left, and the budget has four: they are not for who was wrong.
    assert_int_equal(try_from(*state, "192.0.2.2", 1), 2 * MINUTE / THROTTLE_PER_MINUTE);
    for (int i = 0; i < THROTTLE_FOR_NEWCOMERS - 1; i++) {
        char address[32];
        snprintf(address, sizeof(address), "198.51.100.%d", i);
        assert_int_equal(try_from(*state, address, 1), 0);
    }
    assert_int_not_equal(try_from(*state, "198.51.100.99", 1), 0);
}

static void test_throttle__strangers_have_ten_a_minute(void **state)
{
    int taken = 0;
    for (uint64_t ms = 1; ms <= 10 * MINUTE; ms += 500) {
        char address[32];
        snprintf(address, sizeof(address), "198.51.%d.%d", (int)(ms / 500 / 250),
                 (int)(ms / 500 % 250));
        taken += try_from(*state, address, ms) == 0;
    }
    assert_in_range(taken, 10 * THROTTLE_PER_MINUTE, 11 * THROTTLE_PER_MINUTE);
}

static void exhaust_strangers(struct throttle *t, uint64_t now_ms)
{
    for (int i = 0; i < 2 * THROTTLE_PER_MINUTE; i++) {
        char address[32];
        snprintf(address, sizeof(address), "203.0.113.%d", i);
        (void)try_from(t, address, now_ms);
    }
    assert_int_not_equal(try_from(t, "203.0.113.200", now_ms), 0);
}

static void test_throttle__who_logged_in_before_is_not_locked_out(void **state)
{
    static const struct {
        uint64_t after_ms;
        bool want;
        const char *why;
    } cases[] = {
        {1,                     true,  "soon after"       },
        {THROTTLE_KNOWN_MS - 1, true,  "just in 30 days"  },
        {THROTTLE_KNOWN_MS,     false, "after 30 days"    },
        {THROTTLE_KNOWN_MS + 1, false, "more than 30 days"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct throttle *t = throttle_new();
        assert_int_equal(try_from(t, "192.0.2.7", 1), 0);
        pass_from(t, "192.0.2.7", 1);
        exhaust_strangers(t, 1 + cases[i].after_ms);
        assert_why((try_from(t, "192.0.2.7", 1 + cases[i].after_ms) == 0) == cases[i].want,
                   cases[i].why);
        throttle_free(t);
    }
    (void)state;
}

static void test_throttle__this_machine_is_not_locked_out(void **state)
{
    static const char *const here[] = {"127.0.0.1", "::1", "127.9.9.9"};
    exhaust_strangers(*state, 1);
    for (size_t i = 0; i < COUNT_OF(here); i++)
        assert_int_equal(try_from(*state, here[i], 1), 0);
}

static void test_throttle__a_known_address_has_a_budget_too(void **state)
{
    int taken = 0;
    pass_from(*state, "192.0.2.7", 1);
    // Just slowly enough for its own wait to be over each time.
    for (int i = 0; i < THROTTLE_FREE_TRIES; i++)
        taken += try_from(*state, "192.0.2.7", 1) == 0;
    assert_int_equal(taken, THROTTLE_FREE_TRIES);
    assert_int_equal(try_from(*state, "192.0.2.7", 1), 1000);
}

static void test_throttle__right_tries_cost_nothing(void **state)
{
    for (int i = 0; i < 100; i++) {
        assert_int_equal(try_from(*state, "192.0.2.1", 1), 0);
        pass_from(*state, "192.0.2.1", 1);
    }
    for (int i = 0; i < THROTTLE_PER_MINUTE; i++) {
        char address[32];
        snprintf(address, sizeof(address), "198.51.100.%d", i);
        assert_int_equal(try_from(*state, address, 1), 0);
    }
}

static void test_throttle__counts_networks_of_ipv6(void **state)
{
    static const struct {
        const char *first;
        const char *second;
        bool same;
        const char *why;
    } cases[] = {
        {"2001:db8::1",      "2001:db8::ffff:ffff:ffff:ffff", true,  "one /64"          },
        {"2001:db8::1",      "2001:db8:0:1::1",               false, "the next /64"     },
        {"192.0.2.1",        "192.0.2.2",                     false, "IPv4 is whole"    },
        {"::ffff:192.0.2.1", "192.0.2.1",                     true,  "IPv4 in IPv6"     },
        {"::ffff:192.0.2.1", "::ffff:192.0.2.2",              false, "that is whole too"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct throttle *t = throttle_new();
        for (int k = 0; k < THROTTLE_FREE_TRIES; k++)
            assert_int_equal(try_from(t, cases[i].first, 1 + (uint64_t)k * APART), 0);
        uint64_t at = 1 + (THROTTLE_FREE_TRIES - 1) * APART;
        assert_why((try_from(t, cases[i].second, at) > 0) == cases[i].same, cases[i].why);
        throttle_free(t);
    }
    (void)state;
}

static void test_throttle__forgets_the_quietest_when_addresses_are_too_many(void **state)
{
    uint64_t now = 1;
    for (int k = 0; k < THROTTLE_FREE_TRIES; k++)
        assert_int_equal(try_from(*state, "192.0.2.1", now += APART), 0);
    assert_int_equal(try_from(*state, "192.0.2.1", now), 1000);
    for (int i = 0; i < THROTTLE_ADDRESSES_MAX; i++) {
        char address[32];
        snprintf(address, sizeof(address), "2001:db8:%x::", i + 1);
        assert_int_equal(try_from(*state, address, now += 6000), 0);
    }
    assert_int_equal(try_from(*state, "192.0.2.1", now += 6000), 0);
}

/* ---- over a restart ---- */

/* A new process `gone_ms` later, whose clock begins at 1. */
static struct throttle *restarted(const struct throttle *old, uint64_t now_ms, int64_t gone_ms)
{
    static struct throttle_row rows[THROTTLE_ROWS_MAX];
    const int64_t wall_ms = 1700000000000;
    size_t n = throttle_save(old, now_ms, wall_ms, rows);
    assert_in_range(n, 0, THROTTLE_ROWS_MAX);
    struct throttle *t = throttle_new();
    for (size_t i = 0; i < n; i++)
        throttle_load(t, &rows[i], 1, wall_ms + gone_ms);
    return t;
}

/* What an address that was wrong five times has to wait, `gone_ms` after that, in a new throttle.
 */
static uint64_t wait_after_restart(const char *from, int64_t gone_ms)
{
    struct throttle *t = throttle_new();
    uint64_t now = 1;
    for (int k = 0; k < THROTTLE_FREE_TRIES; k++)
        assert_int_equal(try_from(t, from, now += APART), 0);
    struct throttle *next = restarted(t, now, gone_ms);
    uint64_t wait_ms = try_from(next, from, 1);
    throttle_free(next);
    throttle_free(t);
    return wait_ms;
}

static void expect_waits_after_restart(const char *from)
{
    static const struct {
        const char *why;
        int64_t gone_ms;
        uint64_t want_ms;
    } cases[] = {
        {"at once",          0,                       1000},
        {"a while later",    400,                     600 },
        {"its wait is over", 1000,                    0   },
        {"after the window", THROTTLE_WINDOW_MS,      0   },
        {"after two months", 60LL * 24 * 3600 * 1000, 0   },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t wait_ms = wait_after_restart(from, cases[i].gone_ms);
        assert_why(wait_ms == cases[i].want_ms, cases[i].why);
    }
}

static void test_throttle__a_restart_forgives_nobody(void **state)
{
    (void)state;
    expect_waits_after_restart("192.0.2.1");
    expect_waits_after_restart("2001:db8::1");
    expect_waits_after_restart("127.0.0.1");
}

static void test_throttle__a_restart_gives_strangers_no_new_tries(void **state)
{
    struct throttle *t = *state;
    char address[32];
    for (int i = 0; i < THROTTLE_PER_MINUTE; i++) {
        snprintf(address, sizeof(address), "198.51.100.%d", i);
        assert_int_equal(try_from(t, address, 1), 0);
    }
    struct throttle *next = restarted(t, 1, 2000);
    assert_int_equal(try_from(next, "203.0.113.1", 1), 4000);
    throttle_free(next);
    next = restarted(t, 1, -3600LL * 1000); // a clock set back costs a minute at most
    assert_int_equal(try_from(next, "203.0.113.1", 1), 6000);
    assert_int_equal(try_from(next, "203.0.113.1", 1 + 6000), 0);
    throttle_free(next);
}

static void test_throttle__a_restart_knows_who_has_logged_in(void **state)
{
    static const struct {
        const char *why;
        int64_t gone_ms;
        bool known;
    } cases[] = {
        {"at once",                    0,                              true },
        {"on the last of thirty days", (int64_t)THROTTLE_KNOWN_MS - 1, true },
        {"after them",                 (int64_t)THROTTLE_KNOWN_MS,     false},
    };
    struct throttle *t = *state;
    assert_int_equal(try_from(t, "192.0.2.7", 1), 0);
    pass_from(t, "192.0.2.7", 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct throttle *next = restarted(t, 1, cases[i].gone_ms);
        for (int k = 0; k < THROTTLE_PER_MINUTE; k++) {
            char address[32];
            snprintf(address, sizeof(address), "198.51.100.%d", k);
            assert_int_equal(try_from(next, address, 1), 0);
        }
        assert_why((try_from(next, "192.0.2.7", 1) == 0) == cases[i].known, cases[i].why);
        throttle_free(next);
    }
}

static void test_throttle__saves_all_rows_that_it_has(void **state)
{
    static struct throttle_row rows[THROTTLE_ROWS_MAX];
    struct throttle *t = *state;
    uint64_t now = 1;
    char address[32];
    assert_int_equal(throttle_save(t, now, 1, rows), 0);
    for (int i = 0; i < THROTTLE_KNOWN_MAX + 1; i++) {
        snprintf(address, sizeof(address), "192.0.2.%d", i);
        pass_from(t, address, now);
    }
    assert_int_equal(throttle_save(t, now, 1, rows), THROTTLE_KNOWN_MAX);
    assert_int_equal(try_from(t, "127.0.0.1", now), 0);
    assert_int_equal(try_from(t, "198.51.100.1", now), 0);
    assert_int_equal(throttle_save(t, now, 1, rows), THROTTLE_KNOWN_MAX + 3);
    assert_int_equal(throttle_save(t, now + THROTTLE_WINDOW_MS - 1, 1, rows),
                     THROTTLE_KNOWN_MAX + 2); // the budget is whole again
    assert_int_equal(throttle_save(t, now + THROTTLE_WINDOW_MS, 1, rows), THROTTLE_KNOWN_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_throttle__waits_double_after_five_wrong_tries, make,
                                        drop),
        cmocka_unit_test_setup_teardown(test_throttle__wrong_tries_are_forgotten_after_the_window,
                                        make, drop),
        cmocka_unit_test_setup_teardown(test_throttle__one_address_leaves_tries_to_newcomers, make,
                                        drop),
        cmocka_unit_test_setup_teardown(test_throttle__who_was_wrong_leaves_tries_to_newcomers,
                                        make, drop),
        cmocka_unit_test_setup_teardown(test_throttle__strangers_have_ten_a_minute, make, drop),
        cmocka_unit_test_setup_teardown(test_throttle__who_logged_in_before_is_not_locked_out, make,
                                        drop),
        cmocka_unit_test_setup_teardown(test_throttle__this_machine_is_not_locked_out, make, drop),
        cmocka_unit_test_setup_teardown(test_throttle__a_known_address_has_a_budget_too, make,
                                        drop),
        cmocka_unit_test_setup_teardown(test_throttle__right_tries_cost_nothing, make, drop),
        cmocka_unit_test_setup_teardown(test_throttle__counts_networks_of_ipv6, make, drop),
        cmocka_unit_test_setup_teardown(
            test_throttle__forgets_the_quietest_when_addresses_are_too_many, make, drop),
        cmocka_unit_test_setup_teardown(test_throttle__a_restart_forgives_nobody, make, drop),
        cmocka_unit_test_setup_teardown(test_throttle__a_restart_gives_strangers_no_new_tries, make,
                                        drop),
        cmocka_unit_test_setup_teardown(test_throttle__a_restart_knows_who_has_logged_in, make,
                                        drop),
        cmocka_unit_test_setup_teardown(test_throttle__saves_all_rows_that_it_has, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
