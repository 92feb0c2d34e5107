/* The rows of what an answer does to a key and to a host, with their numbers. */
#include "keypool_test.h"

/* A cooling of `base_ms` with a tenth of jitter, at most `max_ms`. */
static void assert_jittered(int64_t got_ms, int64_t base_ms, int64_t max_ms)
{
    int64_t low_ms = base_ms < max_ms ? base_ms : max_ms - max_ms / 10;
    int64_t high_ms = base_ms + base_ms / 10 < max_ms ? base_ms + base_ms / 10 : max_ms;
    assert_in_range(got_ms, low_ms, high_ms);
}

/* ---- keys: runs of failures ---- */

static void test_keypool__cools_a_key_after_three_failures_in_a_row(void **state)
{
    static const struct {
        struct verdict v;
        int64_t base_ms;
        int64_t max_ms;
        const char *why;
    } cases[] = {
        {{.key = KEY_MISBEHAVED, .counts = true}, 5000, 300000, "resets, malformed answers"},
        {{.key = KEY_IN_TROUBLE, .counts = true}, 1000, 5000,   "408 and 5xx"              },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench *b = bench_of(2);
        struct verdict v = cases[i].v;
        v.note = STR("the upstream failed");
        report_times(b, 1, v, 2, T0);
        assert_why(state_of(b, 1) == KEY_IS_READY, cases[i].why);
        assert_int_equal(b->n_moves, 0);
        report(b, 1, v, T0);
        assert_why(state_of(b, 1) == KEY_IS_COOLING, cases[i].why);
        assert_int_equal(look(b, 1).v.cause, CAUSE_FAILURES);
        assert_jittered(cools_ms(b, 1, T0), cases[i].base_ms, cases[i].max_ms);
        assert_int_equal(b->n_moves, 1);
        assert_int_equal(last_move(b)->key_id, 1);
        assert_int_equal(last_move(b)->from, KEY_IS_READY);
        assert_int_equal(last_move(b)->to, KEY_IS_COOLING);
        assert_int_equal(last_move(b)->at_ms, WALL);
        assert_int_equal(last_move(b)->until_ms, look(b, 1).v.until_ms);
        assert_string_equal(last_move(b)->reason,
                            "3 failures in a row; the last: the upstream failed");
        assert_string_equal(last_move(b)->host, HOST_A);
        assert_string_equal(look(b, 1).error, "the upstream failed");
        bench_free(b);
    }
}

static void test_keypool__breaks_a_run_with_a_success(void **state)
{
    struct bench *b = bench_of(2);
    (void)state;
    for (int i = 0; i < 5; i++) {
        report_times(b, 1, V_RESET, 2, T0);
        succeed(b, 1, T0);
    }
    assert_int_equal(state_of(b, 1), KEY_IS_READY);
    assert_string_equal(look(b, 1).error, "");
    report(b, 1, V_RESET, T0); // kinds of failures make one run
    report(b, 1, V_TROUBLE, T0);
    report(b, 1, V_NOTHING, T0); // the request's fault neither counts nor breaks it
    report(b, 1, V_RESET, T0);
    assert_int_equal(state_of(b, 1), KEY_IS_COOLING);
    bench_free(b);
}

static void test_keypool__doubles_a_cooling_until_a_success(void **state)
{
    static const int64_t resets_ms[] = {5000, 10000, 20000, 40000, 80000, 160000, 300000, 300000};
    static const int64_t trouble_ms[] = {1000, 2000, 4000, 5000, 5000, 5000, 5000, 5000};
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct bench *b = bench_of(2);
        struct verdict v = kind == 0 ? V_RESET : V_TROUBLE;
        uint64_t now = T0;
        report_times(b, 1, v, 2, now);
        for (size_t i = 0; i < COUNT_OF(resets_ms); i++) {
            report(b, 1, v, now); // the run goes on: one more is enough
            assert_jittered(cools_ms(b, 1, now), kind == 0 ? resets_ms[i] : trouble_ms[i],
                            kind == 0 ? 300000 : 5000);
            now += (uint64_t)cools_ms(b, 1, now);
            keypool_expire(b->p, now - 1);
            assert_int_equal(state_of(b, 1), KEY_IS_COOLING);
            keypool_expire(b->p, now);
            assert_int_equal(state_of(b, 1), KEY_IS_READY);
            assert_int_equal(last_move(b)->cause, CAUSE_TIME);
        }
        succeed(b, 1, now);
        report_times(b, 1, v, 2, now);
        assert_int_equal(state_of(b, 1), KEY_IS_READY);
        report(b, 1, v, now);
        assert_jittered(cools_ms(b, 1, now), kind == 0 ? 5000 : 1000, kind == 0 ? 300000 : 5000);
        bench_free(b);
    }
}

static void test_keypool__does_not_cool_longer_for_requests_under_way(void **state)
{
    struct bench *b = bench_of(2);
    (void)state;
    report_times(b, 1, V_RESET, 3, T0);
    int64_t until = look(b, 1).v.until_ms;
    report_times(b, 1, V_RESET, 10, T0 + 100);
    assert_int_equal(look(b, 1).v.until_ms, until);
    assert_int_equal(b->n_moves, 1);
    succeed(b, 1, T0 + 200); // every real answer counts
    assert_int_equal(state_of(b, 1), KEY_IS_READY);
    assert_int_equal(last_move(b)->cause, CAUSE_SUCCESS);
    bench_free(b);
}

static void test_keypool__never_cools_the_only_enabled_key_after_failures(void **state)
{
    struct bench *b = bench_of(2);
    struct lease lease;
    (void)state;
    assert_true(keypool_set_enabled(b->p, 2, false, T0));
    assert_int_equal(take(b, T0, &lease), 1);
    assert_true(lease.alone);
    keypool_release(b->p, &lease, T0);
    b->n_moves = 0;
    report_times(b, 1, V_RESET, 10, T0);
    report_times(b, 1, V_TROUBLE, 10, T0);
    assert_int_equal(state_of(b, 1), KEY_IS_READY);
    assert_int_equal(b->n_moves, 0);
    assert_true(keypool_set_enabled(b->p, 2, true, T0));
    take(b, T0, &lease);
    assert_false(lease.alone);
    keypool_release(b->p, &lease, T0);
    report(b, 1, V_RESET, T0); // it has company now
    assert_int_equal(state_of(b, 1), KEY_IS_COOLING);
    bench_free(b);
}

static void test_keypool__limits_and_kills_the_only_key_too(void **state)
{
    struct bench *b = bench_of(1);
    (void)state;
    report(b, 1, V_STATED(30), T0);
    assert_int_equal(state_of(b, 1), KEY_IS_COOLING);
    assert_int_equal(try_pick(b, T0), PICK_LIMITED);
    keypool_reset_all(b->p, T0);
    report(b, 1, V_DEAD, T0);
    assert_int_equal(state_of(b, 1), KEY_IS_DEAD);
    bench_free(b);
}

/* ---- keys: limits ---- */

static void test_keypool__cools_as_long_as_the_upstream_said(void **state)
{
    struct bench *b = bench_of(2);
    (void)state;
    report(b, 1, V_STATED(3600), T0);
    assert_int_equal(cools_ms(b, 1, T0), 3600000);
    assert_int_equal(look(b, 1).v.source, COOL_STATED);
    assert_int_equal(look(b, 1).v.cause, CAUSE_LIMIT);
    assert_int_equal(last_move(b)->source, COOL_STATED);
    report(b, 1, V_STATED(10), T0); // a shorter one of a request under way
    report(b, 1, V_GUESSED, T0);
    assert_int_equal(cools_ms(b, 1, T0), 3600000);
    report(b, 2, V_STATED(10), T0);
    report(b, 2, V_STATED(20), T0); // a longer one
    assert_int_equal(cools_ms(b, 2, T0), 20000);
    bench_free(b);
}

static void test_keypool__doubles_a_guess_to_a_minute(void **state)
{
    static const int64_t want_s[] = {1, 2, 4, 8, 16, 32, 60, 60};
    struct bench *b = bench_of(2);
    uint64_t now = T0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(want_s); i++) {
        report(b, 1, V_GUESSED, now);
        report_times(b, 1, V_GUESSED, 5, now); // under way at the same time: no doubling
        assert_int_equal(cools_ms(b, 1, now), want_s[i] * 1000);
        assert_int_equal(look(b, 1).v.source, COOL_GUESSED);
        now += (uint64_t)want_s[i] * 1000;
        keypool_expire(b->p, now);
        assert_int_equal(state_of(b, 1), KEY_IS_READY);
    }
    succeed(b, 1, now);
    report(b, 1, V_GUESSED, now);
    assert_int_equal(cools_ms(b, 1, now), 1000);
    bench_free(b);
}

static void test_keypool__doubles_a_computed_hour_to_six(void **state)
{
    static const int64_t want_h[] = {1, 2, 4, 6, 6};
    struct bench *b = bench_of(2);
    uint64_t now = T0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(want_h); i++) {
        report(b, 1, V_COMPUTED(3600), now);
        assert_int_equal(cools_ms(b, 1, now), want_h[i] * (int64_t)HOUR);
        now += (uint64_t)want_h[i] * HOUR;
        keypool_expire(b->p, now);
    }
    for (int i = 0; i < 3; i++) { // the rest of a window, or a slot: is not doubled
        report(b, 1, V_COMPUTED(5), now);
        assert_int_equal(cools_ms(b, 1, now), 5000);
        now += 5000;
        keypool_expire(b->p, now);
    }
    bench_free(b);
}

static void test_keypool__ends_a_limit_by_its_time_alone(void **state)
{
    struct bench *b = bench_of(2);
    struct lease lease;
    (void)state;
    report(b, 1, V_STATED(60), T0);
    succeed(b, 1, T0); // of a request that was under way
    assert_int_equal(state_of(b, 1), KEY_IS_COOLING);
    report_times(b, 1, V_RESET, 5, T0);
    assert_int_equal(look(b, 1).v.cause, CAUSE_LIMIT);
    assert_true(keypool_acquire_id(b->p, 1, &lease));
    keypool_report_probe(b->p, &lease, PROBE_GOOD, STR(""), T0);
    assert_int_equal(state_of(b, 1), KEY_IS_COOLING);
    assert_int_equal(keypool_expire(b->p, T0 + 59999), T0 + 60000);
    assert_int_equal(state_of(b, 1), KEY_IS_COOLING);
    keypool_expire(b->p, T0 + 60000);
    assert_int_equal(state_of(b, 1), KEY_IS_READY);
    bench_free(b);
}

static void test_keypool__turns_failures_into_a_limit(void **state)
{
    struct bench *b = bench_of(2);
    (void)state;
    report_times(b, 1, V_RESET, 3, T0);
    report(b, 1, V_STATED(2), T0); // though it is shorter: it is not to be tried before
    assert_int_equal(look(b, 1).v.cause, CAUSE_LIMIT);
    assert_int_equal(cools_ms(b, 1, T0), 2000);
    bench_free(b);
}

/* ---- accounts ---- */

static void test_keypool__cools_all_known_keys_of_an_account(void **state)
{
    struct bench *b = bench_of(4);
    (void)state;
    add_key(b->p, 5, HOST_B);
    report(b, 1, V_ACCOUNT(100, "ann"), T0);
    report(b, 2, V_ACCOUNT(50, "ann"), T0 + 60000);
    report(b, 3, V_ACCOUNT(100, "bob"), T0);
    report(b, 5, V_ACCOUNT(100, "ann"), T0); // of another host: another ann
    keypool_expire(b->p, T0 + 200000);
    assert_int_equal(summary_of(b).by_state[KEY_IS_READY], 5);
    assert_string_equal(look(b, 2).account, "ann");
    b->n_moves = 0;
    report(b, 2, V_ACCOUNT(100, "ann"), T0 + 200000);
    assert_int_equal(b->n_moves, 2);
    assert_int_equal(cools_ms(b, 1, T0 + 200000), 100000);
    assert_int_equal(cools_ms(b, 2, T0 + 200000), 100000);
    assert_int_equal(look(b, 1).v.source, COOL_COMPUTED);
    assert_int_equal(state_of(b, 3), KEY_IS_READY);
    assert_int_equal(state_of(b, 4), KEY_IS_READY);
    assert_int_equal(state_of(b, 5), KEY_IS_READY);
    report(b, 1, V_ACCOUNT(100, "ann"), T0 + 200001); // under way: nobody moves
    assert_int_equal(b->n_moves, 2);
    bench_free(b);
}

static void test_keypool__doubles_for_the_whole_account(void **state)
{
    struct bench *b = bench_of(3);
    uint64_t now = T0;
    (void)state;
    report(b, 1, V_ACCOUNT(3600, "ann"), now);
    report(b, 2, V_ACCOUNT(3600, "ann"), now);
    assert_int_equal(cools_ms(b, 1, now), cools_ms(b, 2, now));
    now += (uint64_t)cools_ms(b, 1, now);
    keypool_expire(b->p, now);
    succeed(b, 1, now); // the account's limit was over
    report(b, 2, V_ACCOUNT(3600, "ann"), now);
    assert_int_equal(cools_ms(b, 1, now), (int64_t)HOUR);
    now += HOUR;
    keypool_expire(b->p, now);
    report(b, 1, V_ACCOUNT(3600, "ann"), now); // what doubled for one has for the other
    assert_int_equal(cools_ms(b, 2, now), 2 * (int64_t)HOUR);
    bench_free(b);
}

static void test_keypool__leaves_dead_keys_of_an_account_alone(void **state)
{
    struct bench *b = bench_of(3);
    (void)state;
    report(b, 1, V_ACCOUNT(10, "ann"), T0);
    report(b, 2, V_ACCOUNT(10, "ann"), T0);
    keypool_expire(b->p, T0 + 10000);
    report(b, 1, V_DEAD, T0 + 10000);
    report(b, 2, V_ACCOUNT(10, "ann"), T0 + 10000);
    assert_int_equal(state_of(b, 1), KEY_IS_DEAD);
    assert_true(keypool_remove(b->p, 2, T0 + 10000));
    assert_true(keypool_remove(b->p, 1, T0 + 10000)); // the last of its account
    add_key(b->p, 9, HOST_A);
    report(b, 9, V_ACCOUNT(10, "ann"), T0 + 10000);
    assert_string_equal(look(b, 9).account, "ann");
    bench_free(b);
}

/* ---- dead ---- */

static void test_keypool__kills_a_refused_key(void **state)
{
    struct bench *b = bench_of(2);
    struct lease lease;
    (void)state;
    report(b, 1, V_DEAD, T0);
    report(b, 1, V_DEAD, T0); // under way
    report_times(b, 1, V_RESET, 5, T0);
    report(b, 1, V_STATED(5), T0);
    succeed(b, 1, T0);
    assert_int_equal(b->n_moves, 1);
    assert_int_equal(state_of(b, 1), KEY_IS_DEAD);
    assert_int_equal(look(b, 1).v.cause, CAUSE_REFUSED);
    assert_string_equal(look(b, 1).reason, "refused: it said so");
    assert_int_equal(look(b, 1).v.until_ms, 0);
    assert_int_equal(look(b, 1).v.life.until_ms, WALL + 600000); // its probe
    for (int i = 0; i < 10; i++) {
        assert_int_equal(take(b, T0 + (uint64_t)i * HOUR, &lease), 2);
        keypool_release(b->p, &lease, T0);
    }
    bench_free(b);
}

/* ---- people ---- */

static void test_keypool__disables_and_keeps_the_state_beneath(void **state)
{
    struct bench *b = bench_of(2);
    struct lease lease;
    (void)state;
    report(b, 1, V_STATED(60), T0);
    b->n_moves = 0;
    assert_true(keypool_set_enabled(b->p, 1, false, T0));
    assert_true(keypool_set_enabled(b->p, 1, false, T0));
    assert_int_equal(b->n_moves, 1);
    assert_int_equal(last_move(b)->from, KEY_IS_COOLING);
    assert_int_equal(last_move(b)->to, KEY_IS_DISABLED);
    assert_int_equal(last_move(b)->cause, CAUSE_PERSON);
    assert_int_equal(state_of(b, 1), KEY_IS_DISABLED);
    assert_int_equal(look(b, 1).v.life.state, KEY_IS_COOLING);
    assert_int_equal(keypool_expire(b->p, T0 + 70000), UINT64_MAX);
    assert_true(keypool_set_enabled(b->p, 1, true, T0 + 70000));
    assert_int_equal(last_move(b)->from, KEY_IS_DISABLED);
    keypool_expire(b->p, T0 + 70000);
    assert_int_equal(state_of(b, 1), KEY_IS_READY);
    assert_true(keypool_set_enabled(b->p, 1, false, T0));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(take(b, T0, &lease), 2);
        keypool_release(b->p, &lease, T0);
    }
    assert_false(keypool_set_enabled(b->p, 3, true, T0));
    bench_free(b);
}

static void test_keypool__resets_a_key(void **state)
{
    struct bench *b = bench_of(3);
    (void)state;
    report(b, 1, V_DEAD, T0);
    report(b, 2, V_STATED(60), T0);
    report(b, 3, V_REFUSED, T0);
    report_times(b, 3, V_RESET, 2, T0);
    assert_true(keypool_reset(b->p, 1, T0));
    assert_true(keypool_reset(b->p, 2, T0));
    assert_true(keypool_reset(b->p, 3, T0));
    assert_false(keypool_reset(b->p, 4, T0));
    assert_int_equal(summary_of(b).by_state[KEY_IS_READY], 3);
    assert_int_equal(last_move(b)->key_id, 2);
    assert_int_equal(last_move(b)->cause, CAUSE_PERSON);
    report_times(b, 3, V_RESET, 2, T0); // the run began anew
    assert_int_equal(state_of(b, 3), KEY_IS_READY);
    report(b, 3, V_REFUSED, T0);
    struct lease lease;
    unsigned seen = 0;
    assert_true(keypool_reset(b->p, 3, T0));
    for (int i = 0; i < 3; i++) {
        seen |= 1u << take(b, T0, &lease);
        keypool_release(b->p, &lease, T0);
    }
    assert_int_equal(seen, 0xE); // the model's refusal is forgotten
    bench_free(b);
}

static void test_keypool__resets_all_keys_hosts_and_refusals(void **state)
{
    struct bench *b = bench_of(600); // more than a step
    struct lease lease;
    (void)state;
    for (uint64_t id = 1; id <= 600; id++)
        report(b, id, id % 3 == 0 ? V_DEAD : id % 3 == 1 ? V_STATED(60) : V_REFUSED, T0);
    report(b, 2, V_HOST, T0);
    assert_int_equal(summary_of(b).by_state[KEY_IS_READY], 0);
    keypool_reset_all(b->p, T0);
    assert_int_equal(summary_of(b).by_state[KEY_IS_READY], 600);
    assert_false(host_at(b, 0).cooling);
    take(b, T0, &lease);
    assert_false(lease.trial);
    keypool_release(b->p, &lease, T0);
    bench_free(b);
}

/* ---- hosts ---- */

static void test_keypool__cools_a_host_after_two_failed_connects(void **state)
{
    struct bench *b = bench_of(3);
    (void)state;
    report(b, 1, V_CONNECT, T0);
    assert_false(host_at(b, 0).cooling);
    assert_true(host_at(b, 0).failed_last);
    report(b, 2, V_NOTHING, T0); // it answers: not in a row
    report(b, 3, V_CONNECT, T0);
    assert_false(host_at(b, 0).cooling);
    report(b, 1, V_CONNECT, T0); // on any of its keys
    assert_true(host_at(b, 0).cooling);
    assert_int_equal(host_at(b, 0).cause, CAUSE_CONNECT);
    assert_jittered(host_at(b, 0).until_ms - WALL, 5000, 300000);
    assert_int_equal(b->n_moves, 1);
    assert_int_equal(last_move(b)->key_id, 0);
    assert_int_equal(last_move(b)->to, KEY_IS_COOLING);
    assert_string_equal(last_move(b)->host, HOST_A);
    assert_string_equal(last_move(b)->reason, "it said so");
    report_times(b, 2, V_CONNECT, 10, T0); // under way
    assert_jittered(host_at(b, 0).until_ms - WALL, 5000, 300000);
    assert_int_equal(b->n_moves, 1);
    bench_free(b);
}

static void test_keypool__doubles_a_hosts_cooling_with_each_trial(void **state)
{
    static const int64_t want_ms[] = {10000, 20000, 40000, 80000, 160000, 300000, 300000};
    struct bench *b = bench_of(3);
    struct lease lease;
    (void)state;
    report_times(b, 1, V_CONNECT, 2, T0);
    for (size_t i = 0; i < COUNT_OF(want_ms); i++) {
        uint64_t now = T0 + (uint64_t)(host_at(b, 0).until_ms - WALL);
        take(b, now, &lease);
        assert_true(lease.trial);
        assert_int_equal(try_pick(b, now), PICK_BUSY); // one request
        keypool_report_failure(b->p, &lease, M, &V_CONNECT, now);
        assert_jittered(host_at(b, 0).until_ms - WALL - (int64_t)(now - T0), want_ms[i], 300000);
    }
    uint64_t now = T0 + (uint64_t)(host_at(b, 0).until_ms - WALL);
    take(b, now, &lease);
    keypool_report_success(b->p, &lease, M, 1, now);
    assert_false(host_at(b, 0).cooling);
    assert_false(host_at(b, 0).failed_last);
    assert_int_equal(last_move(b)->to, KEY_IS_READY);
    assert_int_equal(last_move(b)->cause, CAUSE_SUCCESS);
    report(b, 1, V_CONNECT, now); // two in a row, from the beginning
    assert_false(host_at(b, 0).cooling);
    report(b, 1, V_CONNECT, now);
    assert_jittered(host_at(b, 0).until_ms - WALL - (int64_t)(now - T0), 5000, 300000);
    bench_free(b);
}

static void test_keypool__restores_a_hosts_cooling(void **state)
{
    static const struct {
        const char *why;
        enum key_state to;
        enum key_cause cause;
        int64_t left_ms;
        bool cooling;
        enum key_cause want;
        int64_t want_ms;
    } cases[] = {
        {"its time runs",          KEY_IS_COOLING, CAUSE_CONNECT, 7000,    true,  CAUSE_CONNECT, 7000},
        {"it refused us",          KEY_IS_COOLING, CAUSE_HOST,    7000,    true,  CAUSE_HOST,    7000},
        {"many failed",            KEY_IS_COOLING, CAUSE_BRAKE,   7000,    true,  CAUSE_BRAKE,   7000},
        {"a cause of no host",     KEY_IS_COOLING, CAUSE_LIMIT,   7000,    true,  CAUSE_BRAKE,   7000},
        {"a clock that was wrong", KEY_IS_COOLING, CAUSE_CONNECT, 9000000, true,  CAUSE_CONNECT,
         300000                                                                                      },
        {"over, and not tried",    KEY_IS_COOLING, CAUSE_CONNECT, -299999, true,  CAUSE_CONNECT, 0   },
        {"long over",              KEY_IS_COOLING, CAUSE_CONNECT, -300000, false, CAUSE_NONE,    0   },
        {"it was back",            KEY_IS_READY,   CAUSE_SUCCESS, 7000,    false, CAUSE_NONE,    0   },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench *b = bench_of(3);
        struct key_move move = {.host = STR(HOST_A),
                                .to = cases[i].to,
                                .cause = cases[i].cause,
                                .at_ms = WALL - 3000,
                                .until_ms = WALL + cases[i].left_ms,
                                .reason = STR("nobody was there")};
        keypool_restore_host(b->p, &move, T0);
        move.host = STR("https://no-keys.example");
        keypool_restore_host(b->p, &move, T0);
        struct host_view host = host_at(b, 0);
        assert_why(host.cooling == cases[i].cooling, cases[i].why);
        assert_why(host.cause == cases[i].want, cases[i].why);
        assert_int_equal(b->n_moves, 0);
        if (cases[i].cooling) {
            assert_int_equal(host.until_ms - WALL, cases[i].want_ms);
            assert_int_equal(host.since_ms, WALL - 3000);
        }
        bench_free(b);
    }
}

static void test_keypool__doubles_a_restored_cooling_further(void **state)
{
    struct bench *b = bench_of(3);
    struct lease lease;
    (void)state;
    keypool_restore_host(b->p,
                         &(struct key_move){.host = STR(HOST_A),
                                            .to = KEY_IS_COOLING,
                                            .cause = CAUSE_CONNECT,
                                            .at_ms = WALL - 40000,
                                            .until_ms = WALL + 1000, // 40 s and jitter
                                            .reason = STR("nobody was there")},
                         T0);
    uint64_t now = T0 + 1000;
    take(b, now, &lease);
    assert_true(lease.trial);
    keypool_report_failure(b->p, &lease, M, &V_CONNECT, now);
    assert_jittered(host_at(b, 0).until_ms - WALL - (int64_t)(now - T0), 80000, 300000);
    bench_free(b);
}

static void test_keypool__lets_one_request_try_a_host_whose_time_is_over(void **state)
{
    struct bench *b = bench_of(3);
    struct lease trial;
    struct lease lease;
    (void)state;
    add_key(b->p, 4, HOST_B);
    report_times(b, 1, V_CONNECT, 2, T0);
    for (int i = 0; i < 5; i++) { // while it cools, the other host has all
        assert_int_equal(take(b, T0 + 4999, &lease), 4);
        assert_false(lease.trial);
        keypool_release(b->p, &lease, T0);
    }
    uint64_t over = T0 + 6000;
    assert_in_range(take(b, over, &trial), 1, 3); // the next one is let through
    assert_true(trial.trial);
    assert_int_equal(take(b, over, &lease), 4); // and no other
    keypool_release(b->p, &lease, over);
    keypool_release(b->p, &trial, over); // its caller went away: that says nothing
    assert_in_range(take(b, over, &trial), 1, 3);
    assert_true(trial.trial);
    keypool_report_failure(b->p, &trial, M, &V_STATED(60), over); // any answer brings it back
    assert_false(host_at(b, 0).cooling);
    assert_int_equal(summary_of(b).by_state[KEY_IS_READY], 3);
    bench_free(b);
}

static void test_keypool__is_back_when_a_good_answer_begins(void **state)
{
    struct bench *b = bench_of(3);
    struct lease lease;
    (void)state;
    take(b, T0, &lease);
    keypool_note_answer(b->p, &lease, T0); // no trial: says nothing new
    keypool_release(b->p, &lease, T0);
    report_times(b, 1, V_CONNECT, 2, T0);
    take(b, T0 + 6000, &lease);
    keypool_note_answer(b->p, &lease, T0 + 6000);
    assert_false(host_at(b, 0).cooling); // though the stream goes on for minutes
    assert_int_equal(try_pick(b, T0 + 6000), PICK_KEY);
    keypool_report_success(b->p, &lease, M, 1, T0 + 90000);
    for (uint64_t id = 1; id <= 3; id++)
        report_times(b, id, V_RESET, 3, T0 + 100000);
    uint64_t id = take(b, T0 + 100000, &lease);
    assert_true(lease.trial);
    keypool_note_answer(b->p, &lease, T0 + 100000);
    assert_int_equal(state_of(b, id), KEY_IS_READY);
    assert_true(keypool_remove(b->p, id, T0));
    keypool_report_failure(b->p, &lease, M, &V_RESET, T0 + 100000);
    bench_free(b);
}

static void test_keypool__waits_so_long_for_a_trial(void **state)
{
    struct bench *b = bench_of(1);
    struct lease lease;
    (void)state;
    report_times(b, 1, V_CONNECT, 2, T0);
    uint64_t over = T0 + 6000;
    take(b, over, &lease);
    assert_int_equal(try_pick(b, over + 29999), PICK_BUSY);
    assert_int_equal(try_pick(b, over + 30000), PICK_KEY); // it has connected: another may try
    keypool_release(b->p, &lease, over + 30000);
    bench_free(b);
}

static void test_keypool__cools_a_host_at_fault_at_once(void **state)
{
    struct bench *b = bench_of(2);
    struct lease lease;
    (void)state;
    report(b, 1, V_HOST, T0);
    assert_true(host_at(b, 0).cooling);
    assert_int_equal(host_at(b, 0).cause, CAUSE_HOST);
    assert_jittered(host_at(b, 0).until_ms - WALL, 5000, 300000);
    assert_int_equal(look(b, 1).v.life.state, KEY_IS_READY);
    assert_int_equal(look(b, 1).v.life.failures, 1);
    take(b, T0 + 6000, &lease);
    assert_true(lease.trial);
    keypool_report_failure(b->p, &lease, M, &V_HOST, T0 + 6000);
    assert_jittered(host_at(b, 0).until_ms - WALL - 6000, 10000, 300000);
    bench_free(b);
}

static void test_keypool__blames_nobody_for_the_request(void **state)
{
    static const struct {
        struct verdict v;
        const char *why;
    } cases[] = {
        {{.key = KEY_NO_VERDICT},    "400, 413, 422"              },
        {{.host = HOST_LACKS_MODEL}, "404: the model is not there"},
    };
    struct bench *b = bench_of(2);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        report_times(b, 1, cases[i].v, 10, T0);
        assert_why(state_of(b, 1) == KEY_IS_READY, cases[i].why);
        assert_why(look(b, 1).v.life.failures == 0, cases[i].why);
        assert_why(!host_at(b, 0).failed_last, cases[i].why);
        assert_string_equal(look(b, 1).error, "");
    }
    assert_int_equal(look(b, 1).v.life.requests, 20);
    assert_int_equal(b->n_moves, 0);
    bench_free(b);
}

static void test_keypool__shortens_long_errors(void **state)
{
    static char text[2000];
    struct bench *b = bench_of(2);
    struct verdict v = V_RESET;
    (void)state;
    memset(text, 'e', sizeof(text));
    v.note = str_of(text, sizeof(text));
    report_times(b, 1, v, 3, T0);
    assert_int_equal(strlen(look(b, 1).error), KEYPOOL_ERROR_BYTES);
    report(b, 1, V_RESET, T0);
    assert_string_equal(look(b, 1).error, "it said so");
    bench_free(b);
}

/* Who looks again only when this number has risen sees every change. */
static void test_keypool__has_a_version_that_rises_with_what_people_see(void **state)
{
    struct bench *b = bench_of(2);
    uint64_t version = keypool_version(b->p);
    (void)state;
    succeed(b, 1, T0);
    (void)summary_of(b);
    assert_int_equal(keypool_version(b->p), version);

    report_times(b, 1, said(V_RESET), 3, T0);
    assert_true(keypool_version(b->p) > version);
    version = keypool_version(b->p);
    assert_true(keypool_set_enabled(b->p, 2, false, T0));
    assert_true(keypool_version(b->p) > version);
    version = keypool_version(b->p);
    add_key(b->p, 3, HOST_B);
    assert_true(keypool_version(b->p) > version);
    version = keypool_version(b->p);
    report_times(b, 3, said(V_CONNECT), 2, T0); // cools the host
    assert_true(host_at(b, 1).cooling);
    assert_int_equal(host_at(b, 1).since_ms, WALL);
    assert_true(keypool_version(b->p) > version);
    version = keypool_version(b->p);
    assert_true(keypool_remove(b->p, 3, T0));
    assert_true(keypool_version(b->p) > version);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keypool__cools_a_key_after_three_failures_in_a_row),
        cmocka_unit_test(test_keypool__breaks_a_run_with_a_success),
        cmocka_unit_test(test_keypool__doubles_a_cooling_until_a_success),
        cmocka_unit_test(test_keypool__does_not_cool_longer_for_requests_under_way),
        cmocka_unit_test(test_keypool__never_cools_the_only_enabled_key_after_failures),
        cmocka_unit_test(test_keypool__limits_and_kills_the_only_key_too),
        cmocka_unit_test(test_keypool__cools_as_long_as_the_upstream_said),
        cmocka_unit_test(test_keypool__doubles_a_guess_to_a_minute),
        cmocka_unit_test(test_keypool__doubles_a_computed_hour_to_six),
        cmocka_unit_test(test_keypool__ends_a_limit_by_its_time_alone),
        cmocka_unit_test(test_keypool__turns_failures_into_a_limit),
        cmocka_unit_test(test_keypool__cools_all_known_keys_of_an_account),
        cmocka_unit_test(test_keypool__doubles_for_the_whole_account),
        cmocka_unit_test(test_keypool__leaves_dead_keys_of_an_account_alone),
        cmocka_unit_test(test_keypool__kills_a_refused_key),
        cmocka_unit_test(test_keypool__disables_and_keeps_the_state_beneath),
        cmocka_unit_test(test_keypool__resets_a_key),
        cmocka_unit_test(test_keypool__resets_all_keys_hosts_and_refusals),
        cmocka_unit_test(test_keypool__cools_a_host_after_two_failed_connects),
        cmocka_unit_test(test_keypool__doubles_a_hosts_cooling_with_each_trial),
        cmocka_unit_test(test_keypool__restores_a_hosts_cooling),
        cmocka_unit_test(test_keypool__doubles_a_restored_cooling_further),
        cmocka_unit_test(test_keypool__lets_one_request_try_a_host_whose_time_is_over),
        cmocka_unit_test(test_keypool__is_back_when_a_good_answer_begins),
        cmocka_unit_test(test_keypool__waits_so_long_for_a_trial),
        cmocka_unit_test(test_keypool__cools_a_host_at_fault_at_once),
        cmocka_unit_test(test_keypool__blames_nobody_for_the_request),
        cmocka_unit_test(test_keypool__shortens_long_errors),
        cmocka_unit_test(test_keypool__has_a_version_that_rises_with_what_people_see),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
