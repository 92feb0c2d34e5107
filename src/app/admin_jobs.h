/*
 * admin_jobs - what a person started that takes longer than a request
 *
 * A job is begun by a handler, does its work in steps wherever it likes, and says now and then how
 * far it is; GET /admin/api/jobs/:id tells that, DELETE makes it stop at its next step. Those that
 * are over are remembered until ADMIN_JOBS_KEPT newer ones are.
 *
 * Threads: any; a short mutex.
 */
#ifndef APP_ADMIN_JOBS_H
#define APP_ADMIN_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

enum {
    ADMIN_JOBS_KEPT = 64,
    ADMIN_JOBS_RUNNING_MAX = 8,
    ADMIN_JOB_ID_BYTES = 24,
    ADMIN_JOB_RESULT_MAX = 4096,
};

enum admin_job_state { JOB_RUNNING, JOB_DONE, JOB_STOPPED, JOB_FAILED };

struct admin_jobs;
struct admin_job;

struct admin_jobs *admin_jobs_new(void);

/* Accepts NULL. No job may be running. */
void admin_jobs_free(struct admin_jobs *jobs);

/* Begins a job of `total` steps; NULL: too many are running. */
MUST_CHECK struct admin_job *admin_job_begin(struct admin_jobs *jobs, size_t total);

/* Says how far it is; false: it shall stop. */
bool admin_job_go_on(struct admin_job *job, size_t done);

/* The job is over; `result` is JSON, or empty. It may not be touched afterwards. */
void admin_job_end(struct admin_job *job, enum admin_job_state state, str result);

/* "j12": what the job is called. */
str admin_job_id(const struct admin_job *job, char out[ADMIN_JOB_ID_BYTES]);

/* Makes a job stop soon; false: there is none of this name. One that is over stays as it is. */
bool admin_jobs_stop(struct admin_jobs *jobs, str id);

struct admin_job_view {
    enum admin_job_state state;
    size_t done;
    size_t total;
    str result; // JSON, or empty
};

/* "running", "done", "stopped", "failed". */
const char *admin_job_state_name(enum admin_job_state state);

/* Calls `fn` with a job, under the mutex; false: there is none of this name. */
bool admin_jobs_look(struct admin_jobs *jobs, str id,
                     void (*fn)(void *arg, const struct admin_job_view *view), void *arg);

#endif
