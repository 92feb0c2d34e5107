#include "net/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"

/* Notes of what ran, in order. */
struct trace {
    struct loop *loop;
    int marks[64];
    size_t n;
    int rounds;
    struct loop_timer again;
};

struct marker {
    struct trace *trace;
    int mark;
};

static void put_mark(void *arg)
{
    struct marker *m = arg;
    assert_true(m->trace->n < COUNT_OF(m->trace->marks));
    m->trace->marks[m->trace->n++] = m->mark;
}

static void stop_loop(void *arg)
{
    struct trace *t = arg;
    loop_stop(t->loop);
}

static void check_marks(const struct trace *t, const int *want, size_t n)
{
    assert_int_equal(t->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(t->marks[i], want[i]);
}

static void test_loop__timers_fire_by_due_time_and_not_by_order_of_setting(void **state)
{
    (void)state;
    struct trace t = {.loop = loop_new()};
    struct marker late = {&t, 3}, early = {&t, 1}, middle = {&t, 2};
    struct loop_timer timers[4];
    loop_timer_init(&timers[0], put_mark, &late);
    loop_timer_init(&timers[1], put_mark, &early);
    loop_timer_init(&timers[2], put_mark, &middle);
    loop_timer_init(&timers[3], stop_loop, &t);
    loop_timer_set(t.loop, &timers[3], 8);
    loop_timer_set(t.loop, &timers[0], 6);
    loop_timer_set(t.loop, &timers[1], 2);
    loop_timer_set(t.loop, &timers[2], 4);
    loop_run(t.loop);
    check_marks(&t, (const int[]){1, 2, 3}, 3);
    loop_free(t.loop);
}

static void test_loop__a_timer_set_again_fires_once_at_its_last_time(void **state)
{
    (void)state;
    struct trace t = {.loop = loop_new()};
    struct marker moved_back = {&t, 1}, fixed = {&t, 2}, moved_forth = {&t, 3};
    struct loop_timer timers[4];
    loop_timer_init(&timers[0], put_mark, &moved_forth);
    loop_timer_init(&timers[1], put_mark, &fixed);
    loop_timer_init(&timers[2], put_mark, &moved_back);
    loop_timer_init(&timers[3], stop_loop, &t);
    loop_timer_set(t.loop, &timers[0], 1);
    loop_timer_set(t.loop, &timers[0], 9);
    loop_timer_set(t.loop, &timers[1], 5);
    loop_timer_set(t.loop, &timers[2], 1000);
    loop_timer_set(t.loop, &timers[2], 2);
    loop_timer_set(t.loop, &timers[3], 12);
    loop_run(t.loop);
    check_marks(&t, (const int[]){1, 2, 3}, 3);
    loop_free(t.loop);
}

static void test_loop__a_cancelled_timer_stays_silent(void **state)
{
    (void)state;
    struct trace t = {.loop = loop_new()};
    struct marker m = {&t, 1};
    struct loop_timer timer, end;
    loop_timer_init(&timer, put_mark, &m);
    loop_timer_init(&end, stop_loop, &t);
    loop_timer_cancel(t.loop, &timer); // not set: nothing happens
    loop_timer_set(t.loop, &timer, 1);
    loop_timer_cancel(t.loop, &timer);
    loop_timer_set(t.loop, &end, 4);
    loop_run(t.loop);
    assert_int_equal(t.n, 0);
    loop_free(t.loop);
}

static void set_again(void *arg)
{
    struct trace *t = arg;
    t->rounds++;
    if (t->rounds == 3)
        loop_stop(t->loop);
    else
        loop_timer_set(t->loop, &t->again, 0);
}

static void test_loop__a_timer_may_set_itself_again(void **state)
{
    (void)state;
    struct trace t = {.loop = loop_new()};
    loop_timer_init(&t.again, set_again, &t);
    loop_timer_set(t.loop, &t.again, 0);
    loop_run(t.loop);
    assert_int_equal(t.rounds, 3);
    loop_free(t.loop);
}

static void defer_again(void *arg)
{
    struct trace *t = arg;
    t->rounds++;
    if (t->rounds == 3)
        loop_stop(t->loop);
    else
        loop_defer(t->loop, defer_again, t);
}

static void test_loop__what_a_deferred_call_defers_runs_without_another_event(void **state)
{
    (void)state;
    struct trace t = {.loop = loop_new()};
    loop_defer(t.loop, defer_again, &t);
    loop_run(t.loop);
    assert_int_equal(t.rounds, 3);
    loop_free(t.loop);
}

static void defer_mark_and_put_own(void *arg)
{
    struct marker *m = arg; // two of them: [0] now, [1] at the end of the turn
    loop_defer(m->trace->loop, put_mark, &m[1]);
    put_mark(m);
}

static void test_loop__deferred_calls_run_behind_the_callback_that_deferred_them(void **state)
{
    (void)state;
    struct trace t = {.loop = loop_new()};
    struct marker m[] = {
        {&t, 1},
        {&t, 2},
    };
    struct loop_timer timer, end;
    loop_timer_init(&timer, defer_mark_and_put_own, m);
    loop_timer_init(&end, stop_loop, &t);
    loop_timer_set(t.loop, &timer, 1);
    loop_timer_set(t.loop, &end, 4);
    loop_run(t.loop);
    check_marks(&t, (const int[]){1, 2}, 2);
    loop_free(t.loop);
}

#define POSTS_PER_THREAD 1000

struct poster {
    struct loop *loop;
    size_t got;
};

static void count_post(void *arg)
{
    struct poster *p = arg;
    if (++p->got == (size_t)2 * POSTS_PER_THREAD)
        loop_stop(p->loop);
}

static void *post_many(void *arg)
{
    struct poster *p = arg;
    for (int i = 0; i < POSTS_PER_THREAD; i++)
        loop_post(p->loop, count_post, p);
    return NULL;
}

static void test_loop__every_post_of_other_threads_arrives(void **state)
{
    (void)state;
    struct poster p = {.loop = loop_new()};
    pthread_t threads[2];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &p), 0);
    loop_run(p.loop);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(p.got, 2 * POSTS_PER_THREAD);
    loop_free(p.loop);
}

static void test_loop__freeing_runs_what_was_posted_and_deferred(void **state)
{
    (void)state;
    struct trace t = {.loop = loop_new()};
    struct marker posted = {&t, 1}, deferred = {&t, 2};
    loop_defer(t.loop, put_mark, &deferred);
    loop_post(t.loop, put_mark, &posted);
    loop_free(t.loop);
    check_marks(&t, (const int[]){1, 2}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop__timers_fire_by_due_time_and_not_by_order_of_setting),
        cmocka_unit_test(test_loop__a_timer_set_again_fires_once_at_its_last_time),
        cmocka_unit_test(test_loop__a_cancelled_timer_stays_silent),
        cmocka_unit_test(test_loop__a_timer_may_set_itself_again),
        cmocka_unit_test(test_loop__what_a_deferred_call_defers_runs_without_another_event),
        cmocka_unit_test(test_loop__deferred_calls_run_behind_the_callback_that_deferred_them),
        cmocka_unit_test(test_loop__every_post_of_other_threads_arrives),
        cmocka_unit_test(test_loop__freeing_runs_what_was_posted_and_deferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
