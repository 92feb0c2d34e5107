#include "app/admin_call.h"
#include "app/jobs.h"
#include "codec/admin_answer.h"

static struct admin_job job_shown(str id, const struct job_view *view)
{
    return (struct admin_job){.id = id,
                              .state = str_z(job_state_name(view->state)),
                              .done = view->done,
                              .total = view->total,
                              .result = view->result};
}

struct describing {
    str id;
    struct buf *out;
    bool begun; // the answer of who began it
};

static void describe(void *arg, const struct job_view *view)
{
    struct describing *d = arg;
    struct admin_job shown = job_shown(d->id, view);
    if (d->begun)
        admin_put_job_begun(d->out, &shown);
    else
        admin_put_job(d->out, &shown);
}

static bool put_job(struct jobs *jobs, str id, bool begun, struct buf *out)
{
    struct describing d = {.id = id, .out = out, .begun = begun};
    return jobs_look(jobs, id, describe, &d);
}

void admin_put_begun(struct admin *admin, const struct job *job, struct buf *out)
{
    char id[JOB_ID_BYTES];
    (void)put_job(admin->jobs, job_id(job, id), true, out);
}

static void reply_job(struct admin_call *c)
{
    struct buf body;
    buf_init(&body, JOB_RESULT_MAX + 1024);
    if (put_job(admin_of(c)->jobs, call_id(c), false, &body))
        call_reply(c, 200, buf_str(&body), NULL);
    else
        call_refuse(c, 404, STR("there is no job with this id"));
    buf_release(&body);
}

void admin_job_get(struct admin_call *c)
{
    reply_job(c);
}

void admin_job_delete(struct admin_call *c)
{
    (void)jobs_stop(admin_of(c)->jobs, call_id(c));
    reply_job(c);
}
