#include "app/jobs.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/xalloc.h"

struct job {
    struct list link; // in jobs.all
    struct jobs *jobs;
    uint64_t number;
    enum job_state state;
    bool stop;
    size_t done;
    size_t total;
    struct buf result;
};

struct jobs {
    pthread_mutex_t lock;
    struct list all; // newest first
    size_t n;
    size_t n_running;
    uint64_t last_number;
};

struct jobs *jobs_new(void)
{
    struct jobs *jobs = xcalloc(1, sizeof(*jobs));
    pthread_mutex_init(&jobs->lock, NULL);
    list_init(&jobs->all);
    return jobs;
}

static void drop_locked(struct job *job)
{
    list_remove(&job->link);
    job->jobs->n--;
    buf_release(&job->result);
    free(job);
}

void jobs_free(struct jobs *jobs)
{
    if (jobs == NULL)
        return;
    assert(jobs->n_running == 0);
    struct list *l = jobs->all.next;
    while (l != &jobs->all) {
        struct job *job = list_entry(l, struct job, link);
        l = l->next;
        drop_locked(job);
    }
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

/* Forgets the oldest that are over. */
static void trim_locked(struct jobs *jobs)
{
    struct list *l = jobs->all.prev;
    while (jobs->n > JOBS_KEPT && l != &jobs->all) {
        struct job *job = list_entry(l, struct job, link);
        l = l->prev;
        if (job->state != JOB_RUNNING)
            drop_locked(job);
    }
}

struct job *job_begin(struct jobs *jobs, size_t total)
{
    struct job *job = NULL;
    pthread_mutex_lock(&jobs->lock);
    if (jobs->n_running < JOBS_RUNNING_MAX) {
        job = xcalloc(1, sizeof(*job));
        job->jobs = jobs;
        job->number = ++jobs->last_number;
        job->total = total;
        buf_init(&job->result, JOB_RESULT_MAX);
        list_init(&job->link);
        list_prepend(&jobs->all, &job->link);
        jobs->n++;
        jobs->n_running++;
        trim_locked(jobs);
    }
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

bool job_go_on(struct job *job, size_t done)
{
    pthread_mutex_lock(&job->jobs->lock);
    job->done = done;
    bool stop = job->stop;
    pthread_mutex_unlock(&job->jobs->lock);
    return !stop;
}

void job_end(struct job *job, enum job_state state, str result)
{
    struct jobs *jobs = job->jobs;
    pthread_mutex_lock(&jobs->lock);
    job->state = state;
    buf_append(&job->result, result);
    jobs->n_running--;
    trim_locked(jobs);
    pthread_mutex_unlock(&jobs->lock);
}

str job_id(const struct job *job, char out[JOB_ID_BYTES])
{
    int n = snprintf(out, JOB_ID_BYTES, "j%llu", (unsigned long long)job->number);
    return str_of(out, (size_t)n);
}

static struct job *find_locked(struct jobs *jobs, str id)
{
    uint64_t number;
    if (!str_starts(id, STR("j")) || !str_to_u64(str_skip(id, 1), &number))
        return NULL;
    for (struct list *l = jobs->all.next; l != &jobs->all; l = l->next) {
        struct job *job = list_entry(l, struct job, link);
        if (job->number == number)
            return job;
    }
    return NULL;
}

bool jobs_stop(struct jobs *jobs, str id)
{
    pthread_mutex_lock(&jobs->lock);
    struct job *job = find_locked(jobs, id);
    if (job != NULL)
        job->stop = true;
    pthread_mutex_unlock(&jobs->lock);
    return job != NULL;
}

const char *job_state_name(enum job_state state)
{
    static const char *const names[] = {[JOB_RUNNING] = "running",
                                        [JOB_DONE] = "done",
                                        [JOB_STOPPED] = "stopped",
                                        [JOB_FAILED] = "failed"};
    return names[state];
}

bool jobs_look(struct jobs *jobs, str id, void (*fn)(void *arg, const struct job_view *view),
               void *arg)
{
    pthread_mutex_lock(&jobs->lock);
    const struct job *job = find_locked(jobs, id);
    if (job != NULL) {
        struct job_view view = {.state = job->state,
                                .done = job->done,
                                .total = job->total,
                                .result = buf_str(&job->result)};
        fn(arg, &view);
    }
    pthread_mutex_unlock(&jobs->lock);
    return job != NULL;
}
