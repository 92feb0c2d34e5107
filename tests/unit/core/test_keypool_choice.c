/* Which key a request gets. */
#include "keypool_test.h"

enum { IDS_MAX = 1024 };

struct counts {
    unsigned of[IDS_MAX];
};

/* Makes `n` good requests of `model`, and counts whom they go to. */
static void run(struct bench *b, str model, unsigned n, struct counts *counts)
{
    for (unsigned i = 0; i < n; i++) {
        struct key_search s = {0};
        struct lease lease;
        uint64_t wait_ms;
        assert_int_equal(keypool_acquire(b->p, &s, model, false, T0, &lease, &wait_ms), PICK_KEY);
        counts->of[lease.key_id]++;
        keypool_report_success(b->p, &lease, model, 1, T0);
    }
}

/* The most and the least among the keys of `from` to `to` differ by `most`. */
static void assert_even(const struct counts *counts, uint64_t from, uint64_t to, unsigned most)
{
    unsigned low = UINT32_MAX;
    unsigned high = 0;
    for (uint64_t id = from; id <= to; id++) {
        low = counts->of[id] < low ? counts->of[id] : low;
        high = counts->of[id] > high ? counts->of[id] : high;
    }
    assert_in_range(high - low, 0, most);
}

/* ---- even shares ---- */

static void test_keypool__gives_each_key_one_share(void **state)
{
    static const struct {
        unsigned on_a;
        unsigned on_b;
        unsigned on_c;
        const char *why;
    } cases[] = {
        {100, 0,  0,   "one host"        },
        {1,   1,  1,   "as many each"    },
        {90,  9,  1,   "far from as many"},
        {33,  67, 7,   "odd numbers"     },
        {2,   3,  499, "a very large one"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct bench *b = empty_bench();
        struct counts counts = {{0}};
        uint64_t id = 0;
        for (unsigned n = 0; n < cases[i].on_a; n++)
            add_key(b->p, ++id, HOST_A);
        for (unsigned n = 0; n < cases[i].on_b; n++)
            add_key(b->p, ++id, HOST_B);
        for (unsigned n = 0; n < cases[i].on_c; n++)
            add_key(b->p, ++id, HOST_C);
        for (int step = 0; step < 300; step++) { // at any moment, not only after whole rounds
            run(b, M, 17, &counts);
            assert_even(&counts, 1, id, 1);
        }
        bench_free(b);
    }
}

static void test_keypool__stays_even_while_keys_come_and_go(void **state)
{
    struct bench *b = bench_of(50);
    struct counts counts = {{0}};
    (void)state;
    for (uint64_t id = 51; id <= 60; id++)
        add_key(b->p, id, HOST_B);
    for (int step = 0; step < 200; step++) {
        run(b, M, 7, &counts);
        uint64_t id = 1 + (uint64_t)step % 10; // these cool and come back all the time
        report(b, id, V_STATED(60), T0);
        assert_true(keypool_reset(b->p, id, T0));
    }
    assert_even(&counts, 11, 60, 2);
    bench_free(b);
}

static void test_keypool__does_not_make_up_for_time_away(void **state)
{
    struct bench *b = bench_of(10);
    struct counts counts = {{0}};
    (void)state;
    for (uint64_t id = 11; id <= 20; id++)
        add_key(b->p, id, HOST_B);
    for (uint64_t id = 1; id <= 10; id++)
        report(b, id, V_STATED(60), T0);
    run(b, M, 1000, &counts); // all of them go to the other host
    for (uint64_t id = 1; id <= 10; id++)
        assert_true(keypool_reset(b->p, id, T0));
    memset(&counts, 0, sizeof(counts));
    run(b, M, 200, &counts);
    assert_even(&counts, 1, 20, 2);
    add_key(b->p, 21, HOST_C); // nor does a newcomer
    memset(&counts, 0, sizeof(counts));
    run(b, M, 210, &counts);
    assert_even(&counts, 1, 21, 2);
    bench_free(b);
}

static void test_keypool__stays_even_for_ever(void **state)
{
    struct bench *b = bench_of(1);
    struct counts counts = {{0}};
    (void)state;
    add_key(b->p, 2, HOST_B);
    add_key(b->p, 3, HOST_B);
    run(b, M, 3 * 70000, &counts); // more rounds than a host's time counts to
    assert_even(&counts, 1, 3, 1);
    bench_free(b);
}

static void test_keypool__takes_random_places(void **state)
{
    enum { KEYS = 400 };
    struct bench *b = bench_of(KEYS);
    struct lease lease;
    unsigned neighbours = 0;
    uint64_t last = 0;
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        uint64_t id = take(b, T0, &lease);
        neighbours += id == last + 1;
        last = id;
        keypool_release(b->p, &lease, T0);
    }
    assert_in_range(neighbours, 0, 8); // about one is expected, of 400 in order
    bench_free(b);
}

/* ---- never the same key twice ---- */

static void test_keypool__hands_out_no_key_twice_to_one_request(void **state)
{
    enum { KEYS = 100 };
    struct bench *b = bench_of(KEYS);
    struct key_search s = {0};
    struct lease lease;
    bool seen[KEYS + 1] = {false};
    (void)state;
    for (int i = 0; i < KEYS; i++) {
        assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
        assert_false(seen[lease.key_id]);
        seen[lease.key_id] = true;
        keypool_report_failure(b->p, &lease, M, &V_TROUBLE, T0);
        struct lease other; // another request meanwhile
        take(b, T0, &other);
        keypool_release(b->p, &other, T0);
        if (i % 7 == 0) // the brake is not what is tested here
            succeed(b, lease.key_id, T0);
    }
    assert_int_equal(pick(b, &s, T0, &lease), PICK_EXHAUSTED);
    key_search_release(&s);
    assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY); // released: a new search
    keypool_release(b->p, &lease, T0);
    key_search_release(&s);
    bench_free(b);
}

static void test_keypool__hands_out_so_many_keys_and_no_more(void **state)
{
    struct bench *b = bench_of(KEYPOOL_TRIES_MAX + 10);
    struct key_search s = {0};
    struct lease lease;
    (void)state;
    for (int i = 0; i < KEYPOOL_TRIES_MAX; i++) {
        assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
        keypool_release(b->p, &lease, T0);
    }
    assert_int_equal(pick(b, &s, T0, &lease), PICK_EXHAUSTED);
    key_search_release(&s);
    bench_free(b);
}

/* ---- hosts of one request ---- */

static void test_keypool__goes_to_another_host_when_asked(void **state)
{
    struct bench *b = bench_of(5);
    struct key_search s = {0};
    struct lease first;
    struct lease lease;
    uint64_t wait_ms;
    (void)state;
    for (uint64_t id = 6; id <= 10; id++)
        add_key(b->p, id, HOST_B);
    assert_int_equal(pick(b, &s, T0, &first), PICK_KEY);
    assert_int_equal(keypool_acquire(b->p, &s, M, true, T0, &lease, &wait_ms), PICK_KEY);
    assert_true(lease.host != first.host);
    keypool_release(b->p, &lease, T0);
    assert_int_equal(keypool_acquire(b->p, &s, M, true, T0, &lease, &wait_ms), PICK_EXHAUSTED);
    assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY); // its other keys are there still
    keypool_release(b->p, &lease, T0);
    keypool_release(b->p, &first, T0);
    key_search_release(&s);
    bench_free(b);
}

static void test_keypool__takes_a_host_out_of_a_search(void **state)
{
    struct bench *b = bench_of(5);
    struct key_search s = {0};
    struct lease first;
    struct lease lease;
    (void)state;
    add_key(b->p, 6, HOST_B);
    assert_int_equal(pick(b, &s, T0, &first), PICK_KEY);
    key_search_skip_host(&s, &first);
    keypool_report_failure(b->p, &first, M, &V_NO_MODEL, T0);
    uint32_t skipped = first.host;
    for (int i = 0; i < (skipped == 0 ? 1 : 5); i++) {
        assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
        assert_true(lease.host != skipped);
        keypool_release(b->p, &lease, T0);
    }
    assert_int_equal(pick(b, &s, T0, &lease), PICK_EXHAUSTED);
    key_search_release(&s);
    bench_free(b);
}

/* ---- hosts that have the model ---- */

static struct bench *three_hosts(void)
{
    struct bench *b = empty_bench();
    for (uint64_t id = 1; id <= 30; id++)
        add_key(b->p, id, id <= 10 ? HOST_A : id <= 20 ? HOST_B : HOST_C);
    return b;
}

static void test_keypool__prefers_hosts_that_list_the_model(void **state)
{
    static const str with[] = {STR_C("other"), STR_C("gpt-oss:120b")};
    static const str without[] = {STR_C("other")};
    struct bench *b = three_hosts();
    struct counts counts = {{0}};
    (void)state;
    run(b, M, 90, &counts);
    assert_even(&counts, 1, 30, 1); // nothing is known: all
    keypool_set_models(b->p, 0, with, 2);
    keypool_set_models(b->p, 1, without, 1);
    memset(&counts, 0, sizeof(counts));
    run(b, M, 90, &counts);
    assert_even(&counts, 1, 10, 1);
    assert_int_equal(counts.of[1], 9);
    run(b, STR("GPT-OSS:120B"), 10, &counts); // as names are compared
    assert_int_equal(counts.of[1], 10);
    memset(&counts, 0, sizeof(counts));
    run(b, STR("nobody-has-it"), 90, &counts);
    assert_even(&counts, 1, 30, 2);       // none has it: all
    keypool_set_models(b->p, 0, NULL, 0); // not known any more
    memset(&counts, 0, sizeof(counts));
    run(b, M, 90, &counts);
    assert_even(&counts, 1, 30, 2);
    assert_false(host_at(b, 0).models_known);
    assert_true(host_at(b, 1).models_known);
    keypool_set_models(b->p, 99, with, 2); // no such host
    bench_free(b);
}

static void test_keypool__knows_latest_as_no_tag(void **state)
{
    static const str names[] = {STR_C("llama3:latest"), STR_C("qwen")};
    struct bench *b = three_hosts();
    struct counts counts = {{0}};
    (void)state;
    keypool_set_models(b->p, 2, names, 2);
    run(b, STR("llama3"), 10, &counts);
    run(b, STR("qwen:latest"), 10, &counts);
    run(b, STR("qwen"), 10, &counts);
    assert_even(&counts, 21, 30, 1);
    assert_int_equal(counts.of[21], 3);
    bench_free(b);
}

static void test_keypool__does_not_leave_a_listing_host_that_is_limited(void **state)
{
    struct bench *b = three_hosts();
    struct key_search s = {0};
    struct lease lease;
    uint64_t wait_ms = 0;
    (void)state;
    keypool_set_models(b->p, 0, &M, 1);
    keypool_set_models(b->p, 1, &STR("other"), 1);
    for (uint64_t id = 1; id <= 10; id++)
        report(b, id, V_STATED((uint32_t)(10 + id)), T0);
    assert_int_equal(keypool_acquire(b->p, &s, M, false, T0, &lease, &wait_ms), PICK_LIMITED);
    assert_int_equal(wait_ms, 11000);
    bench_free(b);
}

static void test_keypool__asks_unknown_hosts_when_a_listing_one_is_out(void **state)
{
    struct bench *b = three_hosts();
    struct key_search s = {0};
    struct lease lease;
    (void)state;
    keypool_set_models(b->p, 0, &M, 1);
    keypool_set_models(b->p, 1, &STR("other"), 1); // it would only say that it lacks the model
    assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
    assert_int_equal(lease.host, 0);
    key_search_skip_host(&s, &lease);
    keypool_report_failure(b->p, &lease, M, &V_CONNECT, T0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
        assert_int_equal(lease.host, 2);
        keypool_release(b->p, &lease, T0);
    }
    assert_int_equal(pick(b, &s, T0, &lease), PICK_EXHAUSTED);
    key_search_release(&s);
    bench_free(b);
}

/* What a request that began now would hear, if it knew what the hosts told `s`. */
static enum key_pick ask(struct bench *b, const struct key_search *s, uint64_t *wait_ms)
{
    return keypool_ask(b->p, s, M, T0, wait_ms);
}

static void limit_host_a(struct bench *b)
{
    for (uint64_t id = 1; id <= 10; id++)
        report(b, id, V_STATED((uint32_t)(10 + id)), T0);
}

static void test_keypool__asked_leaves_out_hosts_that_lack_the_model(void **state)
{
    struct bench *b = three_hosts();
    struct key_search s = {0};
    struct lease lease;
    uint64_t wait_ms = 0;
    (void)state;
    limit_host_a(b);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
        key_search_lacks_model(&s, &lease);
        keypool_report_failure(b->p, &lease, M, &V_NO_MODEL, T0);
        assert_int_equal(ask(b, &s, &wait_ms), i == 0 ? PICK_KEY : PICK_LIMITED);
    }
    assert_int_equal(wait_ms, 11000);
    assert_int_equal(keypool_acquire(b->p, &s, M, false, T0, &lease, &wait_ms), PICK_LIMITED);
    assert_int_equal(ask(b, NULL, &wait_ms), PICK_KEY);
    keypool_set_models(b->p, 0, &STR("other"), 1); // which is limited, and lacks it too
    assert_int_equal(ask(b, &s, &wait_ms), PICK_NO_UPSTREAM);
    report(b, 1, V_REFUSED, T0); // not for this plan, though its list lacks it
    assert_int_equal(ask(b, &s, &wait_ms), PICK_REFUSED);
    keypool_set_models(b->p, 0, &M, 1);
    assert_int_equal(ask(b, &s, &wait_ms), PICK_LIMITED);
    key_search_release(&s);
    bench_free(b);
}

static void test_keypool__asked_counts_hosts_that_are_out_for_another_reason(void **state)
{
    struct bench *b = empty_bench();
    struct key_search s = {0};
    struct lease lease;
    uint64_t wait_ms = 0;
    (void)state;
    add_key(b->p, 1, HOST_A);
    assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
    key_search_skip_host(&s, &lease);
    keypool_report_failure(b->p, &lease, M, &V_CONNECT, T0);
    assert_int_equal(ask(b, &s, &wait_ms), PICK_KEY); // one failed connect cools no host
    key_search_release(&s);
    bench_free(b);
}

/* ---- models that refuse keys ---- */

static void test_keypool__leaves_out_keys_that_a_model_refuses(void **state)
{
    struct bench *b = bench_of(20);
    struct counts counts = {{0}};
    (void)state;
    for (uint64_t id = 1; id <= 15; id++)
        report(b, id, V_REFUSED, T0);
    run(b, M, 50, &counts);
    assert_even(&counts, 16, 20, 1);
    assert_int_equal(counts.of[16], 10);
    memset(&counts, 0, sizeof(counts));
    run(b, STR("free-model"), 40, &counts); // other models do not care
    assert_even(&counts, 1, 20, 1);
    assert_int_equal(state_of(b, 1), KEY_IS_READY);
    assert_int_equal(b->n_moves, 0);
    bench_free(b);
}

static void test_keypool__holds_no_refusal_against_a_model_that_was_not_asked(void **state)
{
    struct bench *b = bench_of(1);
    struct lease lease;
    (void)state;
    take(b, T0, &lease);
    keypool_report_failure(b->p, &lease, STR(""), &V_REFUSED, T0); // a list, say
    assert_int_equal(try_pick(b, T0), PICK_KEY);
    take(b, T0, &lease);
    keypool_report_failure(b->p, &lease, M, &V_REFUSED, T0);
    assert_int_equal(try_pick(b, T0), PICK_REFUSED);
    bench_free(b);
}

static void test_keypool__doubles_a_refusal_to_a_day(void **state)
{
    static const uint64_t hours[] = {1, 2, 4, 8, 16, 24, 24};
    struct bench *b = bench_of(1);
    struct lease lease;
    uint64_t now = T0;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(hours); i++) {
        report(b, 1, V_REFUSED, now);
        report(b, 1, V_REFUSED, now); // under way
        assert_int_equal(try_pick(b, now), PICK_REFUSED);
        now += hours[i] * HOUR;
        assert_int_equal(try_pick(b, now - 1), PICK_REFUSED);
        assert_int_equal(try_pick(b, now), PICK_KEY);
    }
    take(b, now, &lease);
    keypool_report_success(b->p, &lease, M, 1, now); // it may: begin anew
    report(b, 1, V_REFUSED, now);
    assert_int_equal(keypool_expire(b->p, now), now + HOUR);
    keypool_expire(b->p, now + HOUR);
    assert_int_equal(try_pick(b, now + HOUR), PICK_KEY);
    bench_free(b);
}

static void test_keypool__waits_ten_minutes_for_a_signin(void **state)
{
    struct bench *b = bench_of(1);
    (void)state;
    for (uint64_t i = 0; i < 3; i++) { // it does not double
        uint64_t now = T0 + i * 10 * MINUTE;
        assert_int_equal(try_pick(b, now), PICK_KEY);
        report(b, 1, V_SIGNIN, now);
        assert_int_equal(try_pick(b, now), PICK_DEAD);
        assert_int_equal(try_pick(b, now + 10 * MINUTE - 1), PICK_DEAD);
    }
    bench_free(b);
}

/* One request of the model that is refused by each key it gets; returns how many until `stop`. */
static unsigned search_for(struct bench *b, uint64_t stop)
{
    struct key_search s = {0};
    struct lease lease;
    unsigned n = 0;
    for (;; n++) {
        assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
        if (lease.key_id == stop)
            break;
        keypool_report_failure(b->p, &lease, M, &V_REFUSED, T0);
    }
    keypool_report_success(b->p, &lease, M, 1, T0);
    key_search_release(&s);
    return n;
}

static void test_keypool__asks_keys_that_have_answered_after_eight_refusals(void **state)
{
    struct bench *b = bench_of(200);
    struct counts counts = {{0}};
    (void)state;
    succeed(b, 77, T0); // before any refusal
    unsigned n = search_for(b, 77);
    assert_in_range(n, 0, 8);
    for (int i = 0; i < 20; i++)
        assert_in_range(search_for(b, 77), 0, 8);
    run(b, STR("free-model"), 200, &counts);
    assert_even(&counts, 1, 200, 1);
    bench_free(b);
}

static void test_keypool__keeps_to_the_order_before_eight_refusals(void **state)
{
    struct bench *b = bench_of(300);
    struct key_search s = {0};
    struct lease lease;
    (void)state;
    for (uint64_t id = 1; id <= 10; id++)
        succeed(b, id, T0);
    unsigned proven = 0;
    for (int i = 0; i < 8; i++) { // of 300 in turn: about none of the ten
        assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
        proven += lease.key_id <= 10;
        keypool_report_failure(b->p, &lease, M, &V_REFUSED, T0);
    }
    assert_in_range(proven, 0, 3);
    for (unsigned i = proven; i < 10; i++) { // then they come first
        assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
        assert_in_range(lease.key_id, 1, 10);
        keypool_report_failure(b->p, &lease, M, &V_REFUSED, T0);
    }
    assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY); // and then the others again
    assert_in_range(lease.key_id, 11, 300);
    keypool_release(b->p, &lease, T0);
    key_search_release(&s);
    bench_free(b);
}

/* Whether key 1 is the ninth of a request whose first eight keys are refused by `v`. */
static bool comes_ninth(struct bench *b, struct verdict v, uint64_t now_ms)
{
    struct key_search s = {0};
    struct lease lease;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pick(b, &s, now_ms, &lease), PICK_KEY);
        assert_true(lease.key_id != 1); // its place is a later one: the seed is fixed
        keypool_report_failure(b->p, &lease, M, &v, now_ms);
    }
    assert_int_equal(pick(b, &s, now_ms, &lease), PICK_KEY);
    keypool_release(b->p, &lease, now_ms);
    key_search_release(&s);
    return lease.key_id == 1;
}

static void test_keypool__knows_who_answered_and_was_not_refused_since(void **state)
{
    (void)state;
    struct bench *b = bench_of(300);
    succeed(b, 1, T0);
    assert_true(comes_ninth(b, V_REFUSED, T0));
    report(b, 1, V_REFUSED, T0);
    keypool_expire(b->p, T0 + HOUR); // it may be asked again, and does not come first
    assert_false(comes_ninth(b, V_REFUSED, T0 + HOUR));
    bench_free(b);
    b = bench_of(300);
    succeed(b, 1, T0);
    assert_false(comes_ninth(b, V_SIGNIN, T0)); // no subscription was refused
    bench_free(b);
}

static str model_name(char *out, size_t size, unsigned i)
{
    return str_of(out, (size_t)snprintf(out, size, "model-%u", i));
}

static void refuse(struct bench *b, uint64_t id, str model)
{
    struct lease lease;
    assert_true(keypool_acquire_id(b->p, id, &lease));
    keypool_report_failure(b->p, &lease, model, &V_REFUSED, T0);
}

static enum key_pick pick_model(struct bench *b, str model)
{
    struct key_search s = {0};
    struct lease lease;
    uint64_t wait_ms;
    enum key_pick picked = keypool_acquire(b->p, &s, model, false, T0, &lease, &wait_ms);
    if (picked == PICK_KEY)
        keypool_release(b->p, &lease, T0);
    return picked;
}

static void test_keypool__drops_the_least_used_of_its_model_sets(void **state)
{
    struct bench *b = bench_of(1);
    char text[32];
    (void)state;
    for (unsigned i = 0; i < KEYPOOL_MODEL_SETS_MAX; i++)
        refuse(b, 1, model_name(text, sizeof(text), i));
    for (unsigned i = 0; i < KEYPOOL_MODEL_SETS_MAX; i++)
        assert_int_equal(pick_model(b, model_name(text, sizeof(text), i)), PICK_REFUSED);
    assert_int_equal(pick_model(b, STR("model-0")), PICK_REFUSED); // used: model-1 is the least
    refuse(b, 1, STR("one-more"));
    assert_int_equal(pick_model(b, STR("one-more")), PICK_REFUSED);
    assert_int_equal(pick_model(b, STR("model-1")), PICK_KEY);
    assert_int_equal(pick_model(b, STR("model-0")), PICK_REFUSED);
    assert_int_equal(pick_model(b, STR("model-2")), PICK_REFUSED);
    bench_free(b);
}

static void test_keypool__keeps_refusals_apart_as_keys_come_and_go(void **state)
{
    struct bench *b = bench_of(40);
    struct counts counts = {{0}};
    (void)state;
    for (uint64_t id = 1; id <= 20; id++)
        report(b, id, V_REFUSED, T0);
    for (uint64_t id = 41; id <= 200; id++) // places change with each of them
        add_key(b->p, id, HOST_A);
    for (uint64_t id = 21; id <= 30; id++)
        assert_true(keypool_remove(b->p, id, T0));
    report(b, 31, V_STATED(60), T0);
    report(b, 32, V_STATED(60), T0);
    assert_true(keypool_set_enabled(b->p, 33, false, T0));
    keypool_expire(b->p, T0 + 60000);
    run(b, M, 169 * 2, &counts);
    for (uint64_t id = 1; id <= 200; id++)
        assert_int_equal(counts.of[id], id <= 30 || id == 33 ? 0 : 2);
    bench_free(b);
}

/* ---- nothing ready ---- */

static void test_keypool__says_when_the_first_limit_is_over(void **state)
{
    struct bench *b = bench_of(3);
    struct key_search s = {0};
    struct lease lease;
    uint64_t wait_ms = 0;
    (void)state;
    report(b, 1, V_STATED(30), T0);
    report(b, 2, V_GUESSED, T0);
    report(b, 3, V_STATED(20), T0);
    assert_int_equal(keypool_acquire(b->p, &s, M, false, T0, &lease, &wait_ms), PICK_LIMITED);
    assert_int_equal(wait_ms, 1000);
    assert_int_equal(keypool_acquire(b->p, &s, M, false, T0 + 999, &lease, &wait_ms), PICK_LIMITED);
    assert_int_equal(wait_ms, 1);
    assert_int_equal(take(b, T0 + 1000, &lease), 2); // without waiting for the timer
    assert_false(lease.trial);
    keypool_release(b->p, &lease, T0);
    bench_free(b);
}

static void test_keypool__tries_the_failed_key_that_is_due_first(void **state)
{
    struct bench *b = bench_of(4);
    struct lease trial;
    struct key_search s = {0};
    (void)state;
    report(b, 1, V_STATED(1), T0);
    report_times(b, 2, V_RESET, 3, T0);
    report_times(b, 3, V_TROUBLE, 3, T0);
    report(b, 4, V_DEAD, T0);
    assert_int_equal(pick(b, &s, T0, &trial), PICK_KEY);
    assert_int_equal(trial.key_id, 3);
    assert_true(trial.trial);
    assert_int_equal(try_pick(b, T0), PICK_BUSY); // one request at a time
    keypool_report_failure(b->p, &trial, M, &V_TROUBLE, T0);
    assert_in_range(cools_ms(b, 3, T0), 2000, 2200); // it cools longer
    struct lease next;
    assert_int_equal(pick(b, &s, T0, &next), PICK_KEY); // the same request goes on
    assert_int_equal(next.key_id, 2);
    assert_int_equal(try_pick(b, T0), PICK_BUSY);
    keypool_report_success(b->p, &next, M, 1, T0);
    assert_int_equal(state_of(b, 2), KEY_IS_READY);
    assert_int_equal(try_pick(b, T0), PICK_KEY);
    key_search_release(&s);
    bench_free(b);
}

static void test_keypool__tries_no_limited_key(void **state)
{
    struct bench *b = bench_of(2);
    struct key_search s = {0};
    struct lease lease;
    uint64_t wait_ms = 0;
    (void)state;
    report(b, 1, V_STATED(60), T0);
    report_times(b, 2, V_RESET, 3, T0);
    assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
    assert_int_equal(lease.key_id, 2);
    keypool_report_failure(b->p, &lease, M, &V_RESET, T0);
    assert_int_equal(keypool_acquire(b->p, &s, M, false, T0, &lease, &wait_ms), PICK_LIMITED);
    assert_int_equal(wait_ms, 60000);
    key_search_release(&s);
    bench_free(b);
}

static void test_keypool__tries_the_cooling_host_that_is_due_first(void **state)
{
    struct bench *b = bench_of(2);
    struct lease lease;
    (void)state;
    add_key(b->p, 3, HOST_B);
    report_times(b, 1, V_CONNECT, 2, T0);
    report_times(b, 3, V_CONNECT, 2, T0 + 2000);
    assert_in_range(take(b, T0 + 2000, &lease), 1, 2); // before its time: nothing else is left
    assert_true(lease.trial);
    assert_int_equal(try_pick(b, T0 + 2000), PICK_BUSY);
    keypool_report_failure(b->p, &lease, M, &V_CONNECT, T0 + 2000);
    assert_int_equal(take(b, T0 + 2000, &lease), 3);
    keypool_release(b->p, &lease, T0 + 2000);
    bench_free(b);
}

static void test_keypool__says_why_nothing_is_left(void **state)
{
    struct bench *b = bench_of(2);
    struct key_search s = {0};
    struct lease lease;
    (void)state;
    report(b, 1, V_DEAD, T0);
    report(b, 2, V_REFUSED, T0);
    assert_int_equal(try_pick(b, T0), PICK_DEAD); // 502 before 403
    assert_true(keypool_remove(b->p, 1, T0));
    assert_int_equal(try_pick(b, T0), PICK_REFUSED);
    assert_true(keypool_set_enabled(b->p, 2, false, T0));
    assert_int_equal(try_pick(b, T0), PICK_NO_UPSTREAM);
    assert_true(keypool_set_enabled(b->p, 2, true, T0));
    assert_true(keypool_reset(b->p, 2, T0));
    assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
    keypool_report_failure(b->p, &lease, M, &V_DEAD, T0);
    assert_int_equal(pick(b, &s, T0, &lease), PICK_EXHAUSTED); // the search knows what it met
    key_search_release(&s);
    bench_free(b);
}

static void test_keypool__leases_one_certain_key_whatever_its_state(void **state)
{
    struct bench *b = bench_of(1);
    struct lease lease;
    (void)state;
    report(b, 1, V_DEAD, T0);
    assert_true(keypool_set_enabled(b->p, 1, false, T0));
    assert_true(keypool_acquire_id(b->p, 1, &lease));
    assert_int_equal(lease.key_id, 1);
    assert_str(lease.secret, STR("key-1"));
    keypool_release(b->p, &lease, T0);
    assert_int_equal(lease.slot, KEYPOOL_END);
    keypool_release(b->p, &lease, T0); // given back: nothing happens
    assert_false(keypool_acquire_id(b->p, 2, &lease));
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keypool__gives_each_key_one_share),
        cmocka_unit_test(test_keypool__stays_even_while_keys_come_and_go),
        cmocka_unit_test(test_keypool__does_not_make_up_for_time_away),
        cmocka_unit_test(test_keypool__stays_even_for_ever),
        cmocka_unit_test(test_keypool__takes_random_places),
        cmocka_unit_test(test_keypool__hands_out_no_key_twice_to_one_request),
        cmocka_unit_test(test_keypool__hands_out_so_many_keys_and_no_more),
        cmocka_unit_test(test_keypool__goes_to_another_host_when_asked),
        cmocka_unit_test(test_keypool__takes_a_host_out_of_a_search),
        cmocka_unit_test(test_keypool__prefers_hosts_that_list_the_model),
        cmocka_unit_test(test_keypool__knows_latest_as_no_tag),
        cmocka_unit_test(test_keypool__does_not_leave_a_listing_host_that_is_limited),
        cmocka_unit_test(test_keypool__asks_unknown_hosts_when_a_listing_one_is_out),
        cmocka_unit_test(test_keypool__asked_leaves_out_hosts_that_lack_the_model),
        cmocka_unit_test(test_keypool__asked_counts_hosts_that_are_out_for_another_reason),
        cmocka_unit_test(test_keypool__leaves_out_keys_that_a_model_refuses),
        cmocka_unit_test(test_keypool__holds_no_refusal_against_a_model_that_was_not_asked),
        cmocka_unit_test(test_keypool__doubles_a_refusal_to_a_day),
        cmocka_unit_test(test_keypool__waits_ten_minutes_for_a_signin),
        cmocka_unit_test(test_keypool__asks_keys_that_have_answered_after_eight_refusals),
        cmocka_unit_test(test_keypool__keeps_to_the_order_before_eight_refusals),
        cmocka_unit_test(test_keypool__knows_who_answered_and_was_not_refused_since),
        cmocka_unit_test(test_keypool__drops_the_least_used_of_its_model_sets),
        cmocka_unit_test(test_keypool__keeps_refusals_apart_as_keys_come_and_go),
        cmocka_unit_test(test_keypool__says_when_the_first_limit_is_over),
        cmocka_unit_test(test_keypool__tries_the_failed_key_that_is_due_first),
        cmocka_unit_test(test_keypool__tries_no_limited_key),
        cmocka_unit_test(test_keypool__tries_the_cooling_host_that_is_due_first),
        cmocka_unit_test(test_keypool__says_why_nothing_is_left),
        cmocka_unit_test(test_keypool__leases_one_certain_key_whatever_its_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
