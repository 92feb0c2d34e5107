/*
 * What models refuse keys, over a restart: what is told for the store, and what comes of it.
 */
#include "keypool_test.h"

#define PAID STR("Paid:Latest")

enum { TOLD_MAX = 64 };

struct told {
    size_t calls;
    uint64_t ids[TOLD_MAX];
    size_t n;
    struct key_refusal rows[TOLD_MAX];
    char names[TOLD_MAX][32];
    bool forgotten;
};

static void hear(void *arg, uint64_t key_id, const struct key_refusal *refusals, size_t n)
{
    struct told *t = arg;
    t->ids[t->calls++] = key_id;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(refusals[i].key_id, key_id);
        t->rows[t->n] = refusals[i];
        copy_text(t->names[t->n], sizeof(t->names[0]), refusals[i].model);
        t->rows[t->n].model = str_z(t->names[t->n]);
        t->n++;
    }
}

static struct told flush(struct bench *b, size_t max)
{
    struct told t = {0};
    size_t n = keypool_flush_refusals(b->p, max, &t.forgotten, hear, &t);
    assert_int_equal(n, t.calls);
    return t;
}

static void refuse(struct bench *b, uint64_t id, str model, struct verdict v, uint64_t now_ms)
{
    struct lease lease;
    v = said(v);
    assert_true(keypool_acquire_id(b->p, id, &lease));
    keypool_report_failure(b->p, &lease, model, &v, now_ms);
}

static void answer(struct bench *b, uint64_t id, str model, uint64_t now_ms)
{
    struct lease lease;
    assert_true(keypool_acquire_id(b->p, id, &lease));
    keypool_report_success(b->p, &lease, model, 1, now_ms);
}

/* How many of ten requests get the key. */
static int turns_of(struct bench *b, uint64_t id, str model, uint64_t now_ms)
{
    int n = 0;
    for (int i = 0; i < 10; i++) {
        struct key_search s = {0};
        struct lease lease;
        uint64_t wait_ms;
        assert_int_equal(keypool_acquire(b->p, &s, model, false, now_ms, &lease, &wait_ms),
                         PICK_KEY);
        n += lease.key_id == id;
        keypool_release(b->p, &lease, now_ms);
        key_search_release(&s);
    }
    return n;
}

static void test_refusals__are_told_once_when_they_change(void **state)
{
    struct bench *b = bench_of(3);
    (void)state;
    assert_int_equal(flush(b, 9).calls, 0);
    refuse(b, 2, PAID, V_REFUSED, T0);
    refuse(b, 3, PAID, V_SIGNIN, T0);
    struct told t = flush(b, 9);
    assert_int_equal(t.calls, 2);
    assert_int_equal(t.n, 2);
    assert_false(t.forgotten);
    assert_string_equal(t.names[0], "paid");
    assert_int_equal(t.rows[0].key_id, 2);
    assert_int_equal(t.rows[0].until_ms, WALL + (int64_t)HOUR);
    assert_int_equal(t.rows[0].doublings, 1);
    assert_false(t.rows[0].signin);
    assert_true(t.rows[1].signin);
    assert_int_equal(t.rows[1].until_ms, WALL + (int64_t)(10 * MINUTE));
    assert_int_equal(flush(b, 9).calls, 0);

    refuse(b, 2, M, V_REFUSED, T0);
    answer(b, 3, PAID, T0); // it may after all
    t = flush(b, 1);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.n, 2); // all of the key's, also what was told before
    t = flush(b, 1);
    assert_int_equal(t.ids[0], 3);
    assert_int_equal(t.n, 0);
    bench_free(b);
}

static void test_refusals__of_a_key_are_bounded(void **state)
{
    struct bench *b = bench_of(2);
    (void)state;
    for (int i = 0; i < KEYPOOL_REFUSALS_KEPT + 4; i++) {
        char model[32];
        (void)snprintf(model, sizeof(model), "model-%d", i);
        refuse(b, 1, str_z(model), V_REFUSED, T0 + (uint64_t)i);
    }
    struct told t = flush(b, 9);
    assert_int_equal(t.n, KEYPOOL_REFUSALS_KEPT);
    for (size_t i = 0; i < t.n; i++) // those that hold longest
        assert_true(t.rows[i].until_ms >= WALL + (int64_t)HOUR + 4);
    bench_free(b);
}

/* A refusal at `now_ms` holds for so long. */
static void expect_next_refusal(struct bench *b, uint64_t now_ms, uint64_t holds_ms,
                                const char *why)
{
    refuse(b, 1, PAID, V_REFUSED, now_ms);
    assert_why(turns_of(b, 1, PAID, now_ms + holds_ms - 1) == 0, why);
    assert_why(turns_of(b, 1, PAID, now_ms + holds_ms) == 5, why);
}

static void test_refusals__hold_after_a_restart(void **state)
{
    static const struct {
        int64_t until_ms; // from now on
        uint64_t holds_ms;
        bool signin;
        const char *why;
    } cases[] = {
        {1800000,  1800000,  false, "half an hour is left"               },
        {99999999, 86400000, false, "the clock was wrong: a day"         },
        {99999999, 600000,   true,  "without a login at most ten minutes"},
        {-1,       0,        false, "over while we were away"            },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench *b = bench_of(2);
        uint64_t end = T0 + cases[i].holds_ms;
        const struct key_refusal stored = {.key_id = 1,
                                           .model = STR("paid"),
                                           .until_ms = WALL + cases[i].until_ms,
                                           .doublings = 2,
                                           .signin = cases[i].signin};
        keypool_restore_refusal(b->p, &stored, T0);
        if (cases[i].holds_ms > 0)
            assert_why(turns_of(b, 1, PAID, end - 1) == 0, cases[i].why);
        assert_why(turns_of(b, 1, M, T0) == 5, cases[i].why);
        assert_why(turns_of(b, 1, PAID, end) == 5, cases[i].why);
        assert_int_equal(flush(b, 9).calls, 0); // as it is stored
        if (!cases[i].signin)
            expect_next_refusal(b, end, 4 * HOUR, cases[i].why);
        bench_free(b);
    }
}

static void test_refusals__of_nobody_are_passed_over(void **state)
{
    struct bench *b = bench_of(2);
    struct key_refusal r = {.key_id = 3, .model = STR("paid"), .until_ms = WALL + 60000};
    (void)state;
    keypool_restore_refusal(b->p, &r, T0); // no such key
    r.key_id = 1;
    r.model = (str){0};
    keypool_restore_refusal(b->p, &r, T0);
    r.model = STR("paid");
    r.until_ms = WALL - (int64_t)(25 * HOUR);
    r.doublings = 5;
    keypool_restore_refusal(b->p, &r, T0);
    assert_int_equal(turns_of(b, 1, PAID, T0), 5);
    refuse(b, 1, PAID, V_REFUSED, T0);
    assert_int_equal(turns_of(b, 1, PAID, T0 + HOUR), 5);
    bench_free(b);
}

static void test_refusals__are_forgotten_by_a_person(void **state)
{
    struct bench *b = bench_of(3);
    (void)state;
    refuse(b, 1, PAID, V_REFUSED, T0);
    refuse(b, 2, PAID, V_REFUSED, T0);
    refuse(b, 3, PAID, V_REFUSED, T0);
    assert_int_equal(flush(b, 9).n, 3);
    keypool_reset(b->p, 1, T0);
    struct told t = flush(b, 9);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.ids[0], 1);
    assert_int_equal(t.n, 0);
    keypool_reset_all(b->p, T0);
    assert_true(flush(b, 9).forgotten);
    assert_false(flush(b, 9).forgotten);
    refuse(b, 2, PAID, V_REFUSED, T0);
    assert_true(keypool_remove(b->p, 2, T0)); // the store forgets it with the key
    assert_int_equal(flush(b, 9).calls, 0);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals__are_told_once_when_they_change),
        cmocka_unit_test(test_refusals__of_a_key_are_bounded),
        cmocka_unit_test(test_refusals__hold_after_a_restart),
        cmocka_unit_test(test_refusals__of_nobody_are_passed_over),
        cmocka_unit_test(test_refusals__are_forgotten_by_a_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
