/* The brake, and probes. */
#include "keypool_test.h"

/* ---- the brake ---- */

static void test_keypool__brakes_when_many_keys_fail_at_once(void **state)
{
    static const struct {
        struct verdict v;
        bool brakes;
        const char *why;
    } cases[] = {
        {{.key = KEY_MISBEHAVED, .counts = true},                       true,  "resets, malformed answers"   },
        {{.key = KEY_IN_TROUBLE, .counts = true},                       true,  "408, 5xx"                    },
        {{.key = KEY_DEAD},                                             true,  "401 on keys that have worked"},
        {{.key = KEY_LIMITED, .cool_s = 9, .cool_source = COOL_STATED}, false, "429"                         },
        {{.key = KEY_MODEL_REFUSED},                                    false, "a subscription refusal"      },
        {{.key = KEY_NO_VERDICT},                                       false, "a fault of the request"      },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench *b = bench_of(20);
        for (uint64_t id = 1; id <= 4; id++)
            report(b, id, cases[i].v, T0);
        assert_why(!host_at(b, 0).cooling, "four keys are not five");
        report(b, 4, cases[i].v, T0);
        assert_why(!host_at(b, 0).cooling, "nor with one of them twice");
        report(b, 5, cases[i].v, T0);
        assert_why(host_at(b, 0).cooling == cases[i].brakes, cases[i].why);
        if (cases[i].brakes) {
            assert_int_equal(host_at(b, 0).cause, CAUSE_BRAKE);
            assert_int_equal(host_at(b, 0).by_state[KEY_IS_READY], 20); // no key is marked
            report(b, 6, cases[i].v, T0);                               // nor by those under way
            assert_int_equal(host_at(b, 0).by_state[KEY_IS_READY], 20);
        }
        bench_free(b);
    }
}

static void test_keypool__takes_marks_back_when_it_brakes(void **state)
{
    struct bench *b = bench_of(20);
    (void)state;
    report_times(b, 1, V_RESET, 3, T0);
    report(b, 2, V_DEAD, T0);
    report(b, 3, V_STATED(60), T0); // not counted: it stays
    report_times(b, 4, V_RESET, 2, T0);
    assert_int_equal(state_of(b, 1), KEY_IS_COOLING);
    assert_int_equal(state_of(b, 2), KEY_IS_DEAD);
    for (uint64_t id = 5; id <= 8; id++)
        report(b, id, V_DEAD, T0);
    assert_true(host_at(b, 0).cooling);
    assert_int_equal(look(b, 1).v.life.state, KEY_IS_READY);
    assert_int_equal(look(b, 2).v.life.state, KEY_IS_READY);
    assert_int_equal(look(b, 3).v.life.state, KEY_IS_COOLING);
    assert_int_equal(look(b, 5).v.life.state, KEY_IS_READY);
    assert_int_equal(last_move(b)->key_id, 0); // the log says once that it is the host
    assert_int_equal(last_move(b)->cause, CAUSE_BRAKE);
    struct lease lease;
    take(b, T0 + 6000, &lease);
    keypool_report_failure(b->p, &lease, M, &V_NOTHING, T0 + 6000);
    assert_false(host_at(b, 0).cooling);
    report(b, 4, V_RESET, T0 + 6000); // its run was taken back as well
    assert_int_equal(state_of(b, 4), KEY_IS_READY);
    bench_free(b);
}

static void test_keypool__leaves_marks_of_before(void **state)
{
    struct bench *b = bench_of(20);
    (void)state;
    report(b, 1, V_DEAD, T0);
    report(b, 2, V_DEAD, T0 + 20000);
    assert_true(keypool_reset(b->p, 2, T0 + 20000));
    report(b, 2, V_STATED(100), T0 + 20000); // another reason since: it stays
    for (uint64_t id = 3; id <= 20; id++)
        report(b, id, V_DEAD, T0 + 20000);
    assert_true(host_at(b, 0).cooling);
    assert_int_equal(look(b, 1).v.life.state, KEY_IS_DEAD);
    assert_int_equal(look(b, 2).v.life.state, KEY_IS_COOLING);
    assert_int_equal(look(b, 3).v.life.state, KEY_IS_READY);
    bench_free(b);
}

static void test_keypool__counts_no_401_on_a_key_that_never_worked(void **state)
{
    struct bench *b = bench_of(0);
    (void)state;
    for (uint64_t id = 1; id <= 20; id++) {
        char secret[8];
        int n = snprintf(secret, sizeof(secret), "s%u", (unsigned)id);
        struct key_spec spec = {.id = id,
                                .secret = str_of(secret, (size_t)n),
                                .base_url = STR(HOST_A),
                                .enabled = true};
        assert_int_equal(add_spec(b->p, &spec), ERR_OK);
        report(b, id, V_DEAD, T0);
    }
    assert_false(host_at(b, 0).cooling);
    assert_int_equal(summary_of(b).by_state[KEY_IS_DEAD], 20);
    bench_free(b);
}

static void test_keypool__brakes_at_nine_of_ten(void **state)
{
    static const struct {
        unsigned others; // verdicts that do not count, before
        unsigned failures;
        bool brakes;
        const char *why;
    } cases[] = {
        {1, 8,  false, "8 of 9"                                            },
        {1, 9,  true,  "9 of 10"                                           },
        {2, 17, false, "17 of 19"                                          },
        {2, 18, true,  "18 of 20"                                          },
        {3, 18, true,  "18 of the last 20: the first of 21 is out of sight"},
        {9, 17, false, "17 of the last 20"                                 },
        {9, 18, true,  "18 of the last 20"                                 },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench *b = bench_of(40);
        for (unsigned n = 0; n < cases[i].others; n++)
            report(b, 40, V_NOTHING, T0);
        for (unsigned n = 0; n < cases[i].failures; n++)
            report(b, 1 + n, V_RESET, T0);
        assert_why(host_at(b, 0).cooling == cases[i].brakes, cases[i].why);
        bench_free(b);
    }
}

static void test_keypool__brakes_within_ten_seconds(void **state)
{
    struct bench *b = bench_of(20);
    (void)state;
    for (uint64_t id = 1; id <= 4; id++)
        report(b, id, V_RESET, T0);
    report(b, 5, V_RESET, T0 + 10001);
    assert_false(host_at(b, 0).cooling);
    for (uint64_t id = 6; id <= 8; id++)
        report(b, id, V_RESET, T0 + 10001);
    assert_false(host_at(b, 0).cooling);
    report(b, 9, V_RESET, T0 + 20001); // the fifth, after ten seconds
    assert_true(host_at(b, 0).cooling);
    bench_free(b);
}

static void test_keypool__does_not_brake_with_a_success_between(void **state)
{
    struct bench *b = bench_of(20);
    (void)state;
    for (uint64_t id = 1; id <= 16; id++) {
        report(b, id, V_RESET, T0);
        if (id % 4 == 0)
            succeed(b, 20, T0);
    }
    assert_false(host_at(b, 0).cooling);
    bench_free(b);
}

static struct bench *braked(void)
{
    struct bench *b = bench_of(20);
    for (uint64_t id = 1; id <= 5; id++)
        report(b, id, V_RESET, T0);
    assert_true(host_at(b, 0).cooling);
    return b;
}

static void test_keypool__comes_back_with_one_good_trial(void **state)
{
    static const struct {
        struct verdict v;
        bool back;
        const char *why;
    } cases[] = {
        {{.key = KEY_MISBEHAVED, .counts = true},                       false, "it fails still"        },
        {{.host = HOST_NO_CONNECT},                                     false, "nobody answers"        },
        {{.host = HOST_AT_FAULT},                                       false, "something else answers"},
        {{.key = KEY_LIMITED, .cool_s = 9, .cool_source = COOL_STATED}, true,  "it says 429"           },
        {{.key = KEY_NO_VERDICT},                                       true,  "the request is wrong"  },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench *b = braked();
        struct lease lease;
        struct verdict v = said(cases[i].v);
        uint64_t now = T0 + 6000;
        uint64_t id = take(b, now, &lease);
        assert_true(lease.trial);
        keypool_report_failure(b->p, &lease, M, &v, now);
        assert_why(host_at(b, 0).cooling != cases[i].back, cases[i].why);
        if (!cases[i].back) {
            assert_int_equal(look(b, id).v.life.state, KEY_IS_READY);
            assert_in_range(host_at(b, 0).until_ms - WALL - 6000, 10000, 11000);
        }
        bench_free(b);
    }
}

/* ---- probes ---- */

/* The next probe; 0: none is due, and `*ret_next_ms` says when to ask again. */
static uint64_t probe(struct bench *b, uint64_t now_ms, struct lease *ret, uint64_t *ret_next_ms)
{
    return keypool_take_probe(b->p, now_ms, ret, ret_next_ms) ? ret->key_id : 0;
}

static uint64_t next_probe(struct bench *b, uint64_t now_ms)
{
    struct lease lease;
    uint64_t next_ms;
    assert_int_equal(probe(b, now_ms, &lease, &next_ms), 0);
    return next_ms;
}

static void answer_probe(struct bench *b, struct lease *lease, enum probe_result result,
                         uint64_t now_ms)
{
    keypool_report_probe(b->p, lease, result, STR("what it said"), now_ms);
}

static void test_keypool__probes_nothing_without_an_interval(void **state)
{
    struct bench *b = bench_of(2);
    (void)state;
    report(b, 1, V_DEAD, T0);
    assert_true(next_probe(b, T0 + 100 * HOUR) == UINT64_MAX);
    keypool_set_probe_interval(b->p, 60000, T0);
    keypool_set_probe_interval(b->p, 0, T0);
    assert_true(next_probe(b, T0 + 100 * HOUR) == UINT64_MAX);
    bench_free(b);
}

static void test_keypool__probes_a_dead_key_after_ten_minutes_doubling(void **state)
{
    static const uint64_t wait_min[] = {10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440};
    struct bench *b = bench_of(2);
    struct lease lease;
    uint64_t next_ms;
    uint64_t now = T0;
    (void)state;
    keypool_set_probe_interval(b->p, 1, T0); // rounds do not matter here
    report(b, 1, V_DEAD, T0);
    for (size_t i = 0; i < COUNT_OF(wait_min); i++) {
        uint64_t due = T0 + (uint64_t)(look(b, 1).v.life.until_ms - WALL);
        uint64_t low = wait_min[i] == 1440 ? 1296 : wait_min[i];
        uint64_t high = wait_min[i] == 1440 ? 1440 : wait_min[i] * 11 / 10;
        assert_in_range(due - now, low * MINUTE, high * MINUTE);
        now = due;
        assert_int_equal(probe(b, now - 1, &lease, &next_ms), 0);
        assert_int_equal(probe(b, now, &lease, &next_ms), 1);
        assert_false(lease.trial);
        assert_int_equal(probe(b, now + MINUTE, &lease, &next_ms), 0); // one at a time
        answer_probe(b, &lease, PROBE_REFUSED, now);
        assert_int_equal(look(b, 1).v.life.last_check_ms, WALL + (int64_t)(now - T0));
        assert_string_equal(look(b, 1).error, "what it said");
    }
    assert_int_equal(b->n_moves, 1);
    now = T0 + (uint64_t)(look(b, 1).v.life.until_ms - WALL);
    assert_int_equal(probe(b, now, &lease, &next_ms), 1);
    answer_probe(b, &lease, PROBE_GOOD, now);
    assert_int_equal(state_of(b, 1), KEY_IS_READY);
    assert_int_equal(last_move(b)->cause, CAUSE_PROBE);
    report(b, 1, V_DEAD, now);
    assert_int_equal(look(b, 1).v.life.until_ms - WALL - (int64_t)(now - T0), 600000);
    bench_free(b);
}

static void test_keypool__probes_a_dead_key_again_that_nothing_was_heard_of(void **state)
{
    static const enum probe_result results[] = {PROBE_NOTHING, PROBE_FAILED};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        struct bench *b = bench_of(2);
        struct lease lease;
        uint64_t next_ms;
        keypool_set_probe_interval(b->p, 1, T0);
        report(b, 1, V_DEAD, T0);
        uint64_t now = T0 + 10 * MINUTE;
        assert_int_equal(probe(b, now, &lease, &next_ms), 1);
        answer_probe(b, &lease, results[i], now);
        assert_int_equal(state_of(b, 1), KEY_IS_DEAD);
        int64_t wait = look(b, 1).v.life.until_ms - WALL - (int64_t)(now - T0);
        assert_in_range(wait, 10 * MINUTE, 11 * MINUTE); // not doubled
        assert_int_equal(probe(b, now + 11 * MINUTE, &lease, &next_ms), 1);
        keypool_release(b->p, &lease, now + 11 * MINUTE); // not even sent
        assert_int_equal(probe(b, now + 12 * MINUTE, &lease, &next_ms), 1);
        keypool_release(b->p, &lease, now + 12 * MINUTE);
        bench_free(b);
    }
}

static void test_keypool__probes_failures_when_half_of_their_cooling_is_over(void **state)
{
    struct bench *b = bench_of(3);
    struct lease lease;
    uint64_t next_ms;
    (void)state;
    keypool_set_probe_interval(b->p, 1, T0);
    report_times(b, 1, V_RESET, 3, T0);
    uint64_t half = (uint64_t)cools_ms(b, 1, T0) / 2;
    assert_int_equal(probe(b, T0 + half - 1, &lease, &next_ms), 0);
    assert_int_equal(probe(b, T0 + half, &lease, &next_ms), 1);
    answer_probe(b, &lease, PROBE_GOOD, T0 + half);
    assert_int_equal(state_of(b, 1), KEY_IS_READY);
    assert_int_equal(last_move(b)->cause, CAUSE_PROBE);
    report_times(b, 2, V_RESET, 3, T0 + 10000);
    assert_int_equal(probe(b, T0 + 13000, &lease, &next_ms), 2);
    answer_probe(b, &lease, PROBE_NOTHING, T0 + 13000); // says nothing: ends by its time
    assert_int_equal(state_of(b, 2), KEY_IS_COOLING);
    assert_int_equal(probe(b, T0 + 14900, &lease, &next_ms), 0);
    report_times(b, 3, V_RESET, 3, T0 + 20000);
    assert_int_equal(probe(b, T0 + 23000, &lease, &next_ms), 3);
    answer_probe(b, &lease, PROBE_REFUSED, T0 + 23000);
    assert_int_equal(state_of(b, 3), KEY_IS_DEAD);
    assert_string_equal(look(b, 3).reason, "refused: what it said");
    bench_free(b);
}

static void test_keypool__never_probes_limits_refusals_and_disabled_keys(void **state)
{
    struct bench *b = bench_of(5);
    (void)state;
    keypool_set_probe_interval(b->p, 1, T0);
    report(b, 1, V_STATED(3600), T0);
    report(b, 2, V_GUESSED, T0);
    report(b, 3, V_REFUSED, T0);
    report(b, 4, V_DEAD, T0);
    assert_true(keypool_set_enabled(b->p, 4, false, T0));
    for (uint64_t s = 0; s < 3600; s += 100)
        next_probe(b, T0 + s * SEC);
    bench_free(b);
}

static void add_new(struct bench *b, uint64_t id, const char *url)
{
    char secret[32];
    int n = snprintf(secret, sizeof(secret), "new-%u", (unsigned)id);
    struct key_spec spec = {
        .id = id, .secret = str_of(secret, (size_t)n), .base_url = str_z(url), .enabled = true};
    assert_int_equal(add_spec(b->p, &spec), ERR_OK);
}

static void test_keypool__probes_new_keys_once(void **state)
{
    struct bench *b = bench_of(1);
    struct lease lease;
    uint64_t next_ms;
    (void)state;
    keypool_set_probe_interval(b->p, 60000, T0 - 1);
    next_probe(b, T0 - 1); // a round began just now
    add_new(b, 2, HOST_A); // does not wait for the next one
    add_new(b, 3, HOST_A);
    add_new(b, 4, HOST_A);
    succeed(b, 3, T0); // an answer says as much as a probe
    report(b, 4, V_RESET, T0);
    assert_int_equal(probe(b, T0, &lease, &next_ms), 2);
    answer_probe(b, &lease, PROBE_NOTHING, T0);
    for (uint64_t s = 1; s < 1000; s++)
        next_probe(b, T0 + s * SEC);
    add_new(b, 5, HOST_A);
    assert_true(keypool_set_enabled(b->p, 5, false, T0));
    next_probe(b, T0 + 2000 * SEC);
    assert_true(keypool_set_enabled(b->p, 5, true, T0));
    assert_int_equal(probe(b, T0 + 2000 * SEC, &lease, &next_ms), 5);
    keypool_release(b->p, &lease, T0 + 2000 * SEC); // it was not sent: once more
    assert_int_equal(probe(b, T0 + 2010 * SEC, &lease, &next_ms), 5);
    answer_probe(b, &lease, PROBE_GOOD, T0 + 2010 * SEC);
    assert_true(look(b, 5).v.life.worked);
    assert_int_equal(state_of(b, 5), KEY_IS_READY);
    bench_free(b);
}

static void test_keypool__paces_probes_per_host(void **state)
{
    struct bench *b = empty_bench();
    struct lease lease;
    uint64_t next_ms;
    unsigned on_a = 0;
    unsigned on_b = 0;
    uint64_t gaps[4] = {0};
    (void)state;
    keypool_set_probe_interval(b->p, 60000, T0);
    for (uint64_t id = 1; id <= 100; id++)
        add_new(b, id, id % 2 ? HOST_A : HOST_B);
    uint64_t last = T0;
    uint64_t now = T0;
    for (; now < T0 + 20000;) {
        if (probe(b, now, &lease, &next_ms) == 0) {
            assert_true(next_ms > now);
            now = next_ms;
            continue;
        }
        if (lease.host == 0 && on_a > 0) {
            assert_in_range(now - last, 500, 750);
            gaps[on_a % 4] = now - last;
        }
        last = lease.host == 0 ? now : last;
        on_a += lease.host == 0;
        on_b += lease.host == 1;
        answer_probe(b, &lease, PROBE_GOOD, now);
    }
    assert_in_range(on_a, 27, 41); // at most two a second, for each host
    assert_in_range(on_b, 27, 41);
    assert_false(gaps[0] == gaps[1] && gaps[1] == gaps[2] && gaps[2] == gaps[3]); // jitter
    bench_free(b);
}

static void test_keypool__probes_in_rounds(void **state)
{
    struct bench *b = bench_of(2);
    struct lease lease;
    uint64_t next_ms;
    (void)state;
    keypool_set_probe_interval(b->p, 60000, T0);
    uint64_t round = next_probe(b, T0);
    assert_in_range(round, T0 + 60000, T0 + 66000);
    report_times(b, 1, V_RESET, 9, T0); // cools
    for (int i = 0; i < 6; i++) {
        keypool_expire(b->p, T0 + 30000);
        report(b, 1, V_RESET, T0 + 30000);
    }
    assert_int_equal(next_probe(b, round - 1), round);
    uint64_t half = T0 + 30000 + (uint64_t)cools_ms(b, 1, T0 + 30000) / 2;
    assert_true(half < round); // it was due, and waited for the round
    assert_int_equal(probe(b, round, &lease, &next_ms), 1);
    answer_probe(b, &lease, PROBE_GOOD, round);
    bench_free(b);
}

static void test_keypool__takes_doubted_and_new_keys_in_turn(void **state)
{
    struct bench *b = bench_of(20);
    struct lease lease;
    uint64_t next_ms;
    unsigned dead = 0;
    (void)state;
    keypool_set_probe_interval(b->p, 1, T0);
    for (uint64_t id = 1; id <= 10; id++) {
        report(b, id, V_DEAD, T0);
        succeed(b, 11, T0); // no brake
    }
    for (uint64_t id = 101; id <= 110; id++)
        add_new(b, id, HOST_A);
    uint64_t now = T0 + 10 * MINUTE;
    for (int i = 0; i < 10; i++, now += 1000) {
        uint64_t id = probe(b, now, &lease, &next_ms);
        assert_true(id != 0);
        dead += id <= 10;
        answer_probe(b, &lease, PROBE_GOOD, now);
    }
    assert_int_equal(dead, 5); // neither has to wait for the end of the other
    bench_free(b);
}

static void test_keypool__brings_a_host_back_with_one_probe(void **state)
{
    static const struct {
        struct verdict v;
        enum probe_result result;
        bool back;
        const char *why;
    } cases[] = {
        {{.host = HOST_NO_CONNECT}, PROBE_GOOD,    true,  "it answers"                  },
        {{.host = HOST_NO_CONNECT}, PROBE_NOTHING, true,  "somebody answers"            },
        {{.host = HOST_NO_CONNECT}, PROBE_REFUSED, true,  "and refuses the key"         },
        {{.host = HOST_NO_CONNECT}, PROBE_FAILED,  false, "nobody answers"              },
        {{.host = HOST_AT_FAULT},   PROBE_GOOD,    true,  "Ollama answers"              },
        {{.host = HOST_AT_FAULT},   PROBE_NOTHING, false, "something else answers still"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench *b = bench_of(3);
        struct lease lease;
        uint64_t next_ms;
        keypool_set_probe_interval(b->p, 1, T0);
        report_times(b, 1, cases[i].v, 2, T0);
        uint64_t over = T0 + (uint64_t)(host_at(b, 0).until_ms - WALL);
        assert_int_equal(probe(b, over - 1, &lease, &next_ms), 0);
        assert_true(probe(b, over, &lease, &next_ms) != 0);
        assert_true(lease.trial);
        assert_int_equal(try_pick(b, over), PICK_BUSY); // the probe was first
        answer_probe(b, &lease, cases[i].result, over);
        assert_why(host_at(b, 0).cooling != cases[i].back, cases[i].why);
        if (!cases[i].back)
            assert_in_range(host_at(b, 0).until_ms - WALL - (int64_t)(over - T0), 10000, 11000);
        bench_free(b);
    }
}

static void test_keypool__counts_probes_for_host_and_brake(void **state)
{
    struct bench *b = bench_of(20);
    struct lease lease;
    (void)state;
    for (uint64_t id = 1; id <= 2; id++) { // a check by a person
        assert_true(keypool_acquire_id(b->p, id, &lease));
        answer_probe(b, &lease, PROBE_FAILED, T0);
    }
    assert_int_equal(host_at(b, 0).cause, CAUSE_CONNECT);
    assert_true(keypool_acquire_id(b->p, 3, &lease));
    answer_probe(b, &lease, PROBE_REFUSED, T0); // who refuses answers
    assert_false(host_at(b, 0).cooling);
    keypool_reset_all(b->p, T0);
    for (uint64_t id = 1; id <= 20; id++) { // the service forgot all keys
        assert_true(keypool_acquire_id(b->p, id, &lease));
        answer_probe(b, &lease, PROBE_REFUSED, T0);
    }
    assert_int_equal(host_at(b, 0).cause, CAUSE_BRAKE);
    assert_int_equal(host_at(b, 0).by_state[KEY_IS_READY], 20);
    bench_free(b);
}

static void test_keypool__checks_a_key_of_any_state(void **state)
{
    struct bench *b = bench_of(3);
    struct lease lease;
    (void)state;
    report(b, 1, V_DEAD, T0);
    assert_true(keypool_set_enabled(b->p, 1, false, T0));
    assert_true(keypool_acquire_id(b->p, 1, &lease));
    answer_probe(b, &lease, PROBE_GOOD, T0);
    assert_int_equal(state_of(b, 1), KEY_IS_DISABLED);
    assert_int_equal(look(b, 1).v.life.state, KEY_IS_READY);
    assert_true(keypool_acquire_id(b->p, 2, &lease));
    assert_true(keypool_remove(b->p, 2, T0));
    answer_probe(b, &lease, PROBE_REFUSED, T0);
    assert_int_equal(summary_of(b).total, 2);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keypool__brakes_when_many_keys_fail_at_once),
        cmocka_unit_test(test_keypool__takes_marks_back_when_it_brakes),
        cmocka_unit_test(test_keypool__leaves_marks_of_before),
        cmocka_unit_test(test_keypool__counts_no_401_on_a_key_that_never_worked),
        cmocka_unit_test(test_keypool__brakes_at_nine_of_ten),
        cmocka_unit_test(test_keypool__brakes_within_ten_seconds),
        cmocka_unit_test(test_keypool__does_not_brake_with_a_success_between),
        cmocka_unit_test(test_keypool__comes_back_with_one_good_trial),
        cmocka_unit_test(test_keypool__probes_nothing_without_an_interval),
        cmocka_unit_test(test_keypool__probes_a_dead_key_after_ten_minutes_doubling),
        cmocka_unit_test(test_keypool__probes_a_dead_key_again_that_nothing_was_heard_of),
        cmocka_unit_test(test_keypool__probes_failures_when_half_of_their_cooling_is_over),
        cmocka_unit_test(test_keypool__never_probes_limits_refusals_and_disabled_keys),
        cmocka_unit_test(test_keypool__probes_new_keys_once),
        cmocka_unit_test(test_keypool__paces_probes_per_host),
        cmocka_unit_test(test_keypool__probes_in_rounds),
        cmocka_unit_test(test_keypool__takes_doubted_and_new_keys_in_turn),
        cmocka_unit_test(test_keypool__brings_a_host_back_with_one_probe),
        cmocka_unit_test(test_keypool__counts_probes_for_host_and_brake),
        cmocka_unit_test(test_keypool__checks_a_key_of_any_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
