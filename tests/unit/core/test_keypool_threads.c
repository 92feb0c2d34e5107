/* All workers at once: shares stay even, nothing is lost, and TSan has nothing to say. */
#include <pthread.h>

#include "keypool_test.h"

enum { KEYS = 90, REQUESTS = 30000, THREADS = 2 };

struct worker {
    struct keypool *p;
    pthread_barrier_t *start;
    unsigned counts[KEYS + 1];
};

static void *make_requests(void *arg)
{
    struct worker *w = arg;
    pthread_barrier_wait(w->start);
    for (int i = 0; i < REQUESTS; i++) {
        struct key_search s = {0};
        struct lease lease;
        uint64_t wait_ms;
        if (keypool_acquire(w->p, &s, M, false, T0, &lease, &wait_ms) != PICK_KEY)
            abort();
        w->counts[lease.key_id]++;
        keypool_report_success(w->p, &lease, M, 3, T0);
        key_search_release(&s);
    }
    return NULL;
}

static void test_keypool__is_even_under_all_workers(void **state)
{
    struct bench *b = empty_bench();
    struct worker workers[THREADS] = {{0}};
    pthread_t threads[THREADS];
    pthread_barrier_t start;
    unsigned low = UINT32_MAX;
    unsigned high = 0;
    (void)state;
    for (uint64_t id = 1; id <= KEYS; id++)
        add_key(b->p, id, id <= 60 ? HOST_A : id <= 89 ? HOST_B : HOST_C);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        workers[i].p = b->p;
        workers[i].start = &start;
        assert_int_equal(pthread_create(&threads[i], NULL, make_requests, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
    for (int id = 1; id <= KEYS; id++) {
        unsigned n = workers[0].counts[id] + workers[1].counts[id];
        low = n < low ? n : low;
        high = n > high ? n : high;
    }
    assert_in_range(high - low, 0, 2);
    assert_int_equal(summary_of(b).requests, THREADS * REQUESTS);
    assert_int_equal(summary_of(b).tokens, 3 * THREADS * REQUESTS);
    bench_free(b);
}

/* ---- everything at once ---- */

struct mixer {
    struct keypool *p;
    uint32_t random;
    bool owner; // adds and takes away, which is for one thread at a time
    uint64_t next_id;
};

static uint32_t draw(struct mixer *m, uint32_t n)
{
    m->random = m->random * 1664525 + 1013904223;
    return (m->random >> 8) % n;
}

static void request(struct mixer *m, uint64_t now_ms)
{
    const struct verdict verdicts[] = {
        V_RESET,   V_TROUBLE, V_DEAD,    V_REFUSED,  V_STATED(1),        V_CONNECT,
        V_NOTHING, V_SIGNIN,  V_GUESSED, V_NO_MODEL, V_ACCOUNT(2, "ann")};
    struct key_search s = {0};
    struct lease lease;
    uint64_t wait_ms;
    for (int tries = 0; tries < 4; tries++) {
        if (keypool_acquire(m->p, &s, M, false, now_ms, &lease, &wait_ms) != PICK_KEY)
            break;
        if (draw(m, 4) == 0) {
            keypool_report_failure(m->p, &lease, M, &verdicts[draw(m, COUNT_OF(verdicts))], now_ms);
        } else {
            keypool_report_success(m->p, &lease, M, 1, now_ms);
            break;
        }
    }
    key_search_release(&s);
}

static void probe_one(struct mixer *m, uint64_t now_ms)
{
    struct lease lease;
    uint64_t next_ms;
    if (keypool_take_probe(m->p, now_ms, &lease, &next_ms))
        keypool_report_probe(m->p, &lease, (enum probe_result)draw(m, 4), STR("so"), now_ms);
}

static void ignore_view(void *arg, const struct key_view *view)
{
    (void)arg;
    (void)view;
}

static void own(struct mixer *m, uint64_t now_ms)
{
    char secret[32];
    uint64_t id = m->next_id++;
    int n = snprintf(secret, sizeof(secret), "own-%u", (unsigned)id);
    struct key_spec spec = {.id = id,
                            .secret = str_of(secret, (size_t)n),
                            .base_url = draw(m, 2) ? STR(HOST_A) : STR(HOST_B),
                            .enabled = true};
    if (keypool_add(m->p, &spec, now_ms, &id) != ERR_OK)
        abort();
    (void)keypool_remove(m->p, m->next_id - 20, now_ms);
    (void)keypool_set_enabled(m->p, m->next_id - 5, draw(m, 2), now_ms);
    (void)keypool_reset(m->p, m->next_id - 7, now_ms);
}

static void *mix(void *arg)
{
    struct mixer *m = arg;
    struct key_summary sum;
    for (uint64_t i = 0; i < 6000; i++) {
        uint64_t now = T0 + i * 10;
        request(m, now);
        if (m->owner && i % 10 == 0)
            own(m, now);
        if (i % 16 == 0)
            probe_one(m, now);
        if (i % 64 == 0)
            keypool_expire(m->p, now);
        if (i % 100 == 0)
            keypool_flush(m->p, 50, now, ignore_view, NULL);
        if (i % 100 == 50)
            keypool_walk(m->p, 0, 50, now, ignore_view, NULL);
        if (i % 500 == 0)
            keypool_summary(m->p, now, &sum);
        if (i % 1000 == 0)
            keypool_set_models(m->p, 0, &M, i % 2000 == 0);
        if (i % 3000 == 1)
            keypool_reset_all(m->p, now);
    }
    return NULL;
}

static void test_keypool__stands_everything_at_once(void **state)
{
    struct bench *b = bench_of(20);
    struct mixer mixers[THREADS] = {
        {.p = b->p,        .random = 1, .owner = true, .next_id = 1000},
        {.p = b->p, .random = 2           }
    };
    pthread_t threads[THREADS];
    (void)state;
    keypool_set_probe_interval(b->p, 100, T0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mix, &mixers[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    keypool_reset_all(b->p, T0 + 60000);
    struct key_summary sum = summary_of(b);
    assert_int_equal(sum.by_state[KEY_IS_READY] + sum.by_state[KEY_IS_DISABLED], sum.total);
    assert_int_equal(sum.total, 20 + 19); // 600 came, all but the last ones went
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keypool__is_even_under_all_workers),
        cmocka_unit_test(test_keypool__stands_everything_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
