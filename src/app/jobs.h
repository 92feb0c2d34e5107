/*
 * jobs - what a person started that takes longer than a request
 *
 * A job is begun by a handler, does its work in steps wherever it likes, and says now and then how
 * far it is; GET /admin/api/jobs/:id tells that, DELETE makes it stop at its next step. Those that
 * are over are remembered until JOBS_KEPT newer ones are.
 *
 * Threads: any; a short mutex.
 */
#ifndef APP_JOBS_H
#define APP_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

enum {
    JOBS_KEPT = 64,
    JOBS_RUNNING_MAX = 8,
    JOB_ID_BYTES = 24,
    JOB_RESULT_MAX = 4096,
};

enum job_state { JOB_RUNNING, JOB_DONE, JOB_STOPPED, JOB_FAILED };

struct jobs;
struct job;

struct jobs *jobs_new(void);

/* Accepts NULL. No job may be running. */
void jobs_free(struct jobs *jobs);

/* Begins a job of `total` steps; NULL: too many are running. */
MUST_CHECK struct job *job_begin(struct jobs *jobs, size_t total);

/* Says how far it is; false: it shall stop. */
bool job_go_on(struct job *job, size_t done);

/* The job is over; `result` is JSON, or empty. It may not be touched afterwards. */
void job_end(struct job *job, enum job_state state, str result);

/* "j12": what the job is called. */
str job_id(const struct job *job, char out[JOB_ID_BYTES]);

/* Makes a job stop soon; false: there is none of this name. One that is over stays as it is. */
bool jobs_stop(struct jobs *jobs, str id);

struct job_view {
    enum job_state state;
    size_t done;
    size_t total;
    str result; // JSON, or empty
};

/* "running", "done", "stopped", "failed". */
const char *job_state_name(enum job_state state);

/* Calls `fn` with a job, under the mutex; false: there is none of this name. */
bool jobs_look(struct jobs *jobs, str id, void (*fn)(void *arg, const struct job_view *view),
               void *arg);

#endif
