#include "unit.h"

#include "app/jobs.h"

struct seen {
    enum job_state state;
    size_t done;
    size_t total;
    size_t result_len;
};

static void see(void *arg, const struct job_view *view)
{
    struct seen *seen = arg;
    *seen = (struct seen){view->state, view->done, view->total, view->result.len};
}

static void test_jobs__tell_how_far_they_are(void **state)
{
    struct jobs *jobs = jobs_new();
    struct job *job = job_begin(jobs, 10);
    char id[JOB_ID_BYTES];
    struct seen seen;
    str name = job_id(job, id);
    assert_true(job_go_on(job, 3));
    assert_true(jobs_look(jobs, name, see, &seen));
    assert_int_equal(seen.state, JOB_RUNNING);
    assert_int_equal(seen.done, 3);
    assert_int_equal(seen.total, 10);
    job_end(job, JOB_DONE, STR("{}"));
    assert_true(jobs_look(jobs, name, see, &seen));
    assert_int_equal(seen.state, JOB_DONE);
    assert_int_equal(seen.result_len, 2);
    assert_false(jobs_look(jobs, STR("j2"), see, &seen));
    assert_false(jobs_look(jobs, STR("1"), see, &seen));
    assert_false(jobs_look(jobs, STR(""), see, &seen));
    jobs_free(jobs);
    (void)state;
}

static void test_jobs__stop_at_their_next_step(void **state)
{
    struct jobs *jobs = jobs_new();
    struct job *job = job_begin(jobs, 10);
    char id[JOB_ID_BYTES];
    str name = job_id(job, id);
    assert_false(jobs_stop(jobs, STR("j99")));
    assert_true(jobs_stop(jobs, name));
    assert_false(job_go_on(job, 4));
    job_end(job, JOB_STOPPED, STR(""));
    assert_true(jobs_stop(jobs, name));
    struct seen seen;
    assert_true(jobs_look(jobs, name, see, &seen));
    assert_int_equal(seen.state, JOB_STOPPED);
    assert_int_equal(seen.done, 4);
    jobs_free(jobs);
    (void)state;
}

static void test_jobs__so_many_run_at_a_time(void **state)
{
    struct jobs *jobs = jobs_new();
    struct job *running[JOBS_RUNNING_MAX];
    for (size_t i = 0; i < JOBS_RUNNING_MAX; i++) {
        running[i] = job_begin(jobs, 1);
        assert_non_null(running[i]);
    }
    assert_null(job_begin(jobs, 1));
    job_end(running[0], JOB_DONE, STR(""));
    running[0] = job_begin(jobs, 1);
    assert_non_null(running[0]);
    for (size_t i = 0; i < JOBS_RUNNING_MAX; i++)
        job_end(running[i], JOB_DONE, STR(""));
    jobs_free(jobs);
    (void)state;
}

static void test_jobs__remembers_so_many_and_all_that_run(void **state)
{
    struct jobs *jobs = jobs_new();
    struct job *long_one = job_begin(jobs, 1);
    struct seen seen;
    for (size_t i = 0; i < JOBS_KEPT - 1; i++)
        job_end(job_begin(jobs, 1), JOB_DONE, STR(""));
    assert_true(jobs_look(jobs, STR("j2"), see, &seen));
    job_end(job_begin(jobs, 1), JOB_DONE, STR(""));
    assert_false(jobs_look(jobs, STR("j2"), see, &seen));
    assert_true(jobs_look(jobs, STR("j3"), see, &seen));
    assert_true(jobs_look(jobs, STR("j1"), see, &seen));
    job_end(long_one, JOB_DONE, STR(""));
    jobs_free(jobs);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs__tell_how_far_they_are),
        cmocka_unit_test(test_jobs__stop_at_their_next_step),
        cmocka_unit_test(test_jobs__so_many_run_at_a_time),
        cmocka_unit_test(test_jobs__remembers_so_many_and_all_that_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
