#include "app/hasher.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/xalloc.h"

#define NICENESS 10 // a tenth of a core's share beside a worker that is busy

/* So long the first hash waits for who wants it: on one core it would delay the first answers. */
#define START_WAIT_MS 250

struct job {
    struct list link;
    hasher_done_fn *done; // NULL: the digest is the new password's
    void *arg;
    unsigned char digest[CRYPTO_DIGEST_BYTES];
};

struct hasher {
    pthread_t thread;

    // the thread's only
    bool has_hash;
    char hash[CRYPTO_PASSWORD_BYTES];

    // under lock
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list jobs;  // struct job.link, oldest first
    size_t n_checks;   // among them
    uint64_t start_ms; // before this a password is hashed for a check alone
    bool stop;
};

static str text_of(const struct job *job)
{
    return str_of((const char *)job->digest, sizeof(job->digest));
}

static void job_free(struct job *job)
{
    crypto_wipe(job->digest, sizeof(job->digest));
    free(job);
}

static void run(struct hasher *h, struct job *job)
{
    if (job->done != NULL) {
        job->done(job->arg, h->has_hash && crypto_password_ok(h->hash, text_of(job)));
        return;
    }
    h->has_hash = crypto_password_hash(text_of(job), h->hash) == ERR_OK;
    if (!h->has_hash)
        log_error("admin_password", LOG_STR("why", STR("there is no memory to hash it; nobody can "
                                                       "log in before the next reload")));
}

static struct timespec timespec_of(uint64_t mono_ms)
{
    return (struct timespec){.tv_sec = (time_t)(mono_ms / 1000),
                             .tv_nsec = (long)(mono_ms % 1000) * 1000000};
}

/* Waits until something may have changed. */
static void wait_locked(struct hasher *h)
{
    struct timespec start = timespec_of(h->start_ms);
    if (list_empty(&h->jobs))
        pthread_cond_wait(&h->wake, &h->lock);
    else
        pthread_cond_timedwait(&h->wake, &h->lock, &start);
}

static bool is_time_locked(const struct hasher *h)
{
    return !list_empty(&h->jobs) && (h->n_checks > 0 || clock_mono_ms() >= h->start_ms);
}

/* Waits for the next job; NULL: the end. */
static struct job *next_job(struct hasher *h)
{
    struct job *job = NULL;
    pthread_mutex_lock(&h->lock);
    while (!is_time_locked(h) && !h->stop)
        wait_locked(h);
    if (!h->stop) {
        job = list_entry(h->jobs.next, struct job, link);
        list_remove(&job->link);
        h->n_checks -= job->done != NULL;
    }
    pthread_mutex_unlock(&h->lock);
    return job;
}

static void *hasher_main(void *arg)
{
    struct hasher *h = arg;
    // A hash takes near a tenth of a second: where a worker has the same core, that one goes first.
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); // of the thread alone, on Linux
    for (struct job *job = next_job(h); job != NULL; job = next_job(h)) {
        run(h, job);
        job_free(job);
    }
    return NULL;
}

enum err hasher_new(struct hasher **ret, struct err_info *info)
{
    struct hasher *h = xcalloc(1, sizeof(*h));
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&h->wake, &attr);
    pthread_condattr_destroy(&attr);
    h->start_ms = clock_mono_ms() + START_WAIT_MS;
    list_init(&h->jobs);
    int rc = pthread_create(&h->thread, NULL, hasher_main, h);
    if (rc != 0) {
        pthread_cond_destroy(&h->wake);
        pthread_mutex_destroy(&h->lock);
        free(h);
        return err_set(info, ERR_SYSTEM, "cannot start a thread: %s", strerrordesc_np(rc));
    }
    *ret = h;
    return ERR_OK;
}

void hasher_free(struct hasher *h)
{
    if (h == NULL)
        return;
    pthread_mutex_lock(&h->lock);
    h->stop = true;
    pthread_cond_signal(&h->wake);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    struct list *l = h->jobs.next;
    while (l != &h->jobs) {
        struct job *job = list_entry(l, struct job, link);
        l = l->next;
        if (job->done != NULL)
            job->done(job->arg, false);
        job_free(job);
    }
    pthread_cond_destroy(&h->wake);
    pthread_mutex_destroy(&h->lock);
    crypto_wipe(h->hash, sizeof(h->hash));
    free(h);
}

/* Takes `job` unless it is a check and too many wait. */
static bool post(struct hasher *h, struct job *job)
{
    bool is_check = job->done != NULL;
    pthread_mutex_lock(&h->lock);
    bool room = !is_check || h->n_checks < HASHER_QUEUE_MAX;
    if (room) {
        list_append(&h->jobs, &job->link);
        h->n_checks += is_check;
        pthread_cond_signal(&h->wake);
    }
    pthread_mutex_unlock(&h->lock);
    return room;
}

static struct job *job_new(const unsigned char digest[CRYPTO_DIGEST_BYTES], hasher_done_fn *done,
                           void *arg)
{
    struct job *job = xmalloc(sizeof(*job));
    *job = (struct job){.done = done, .arg = arg};
    list_init(&job->link);
    memcpy(job->digest, digest, sizeof(job->digest));
    return job;
}

void hasher_set_password(struct hasher *h, const unsigned char digest[CRYPTO_DIGEST_BYTES])
{
    post(h, job_new(digest, NULL, NULL));
}

bool hasher_check(struct hasher *h, const unsigned char digest[CRYPTO_DIGEST_BYTES],
                  hasher_done_fn *done, void *arg)
{
    struct job *job = job_new(digest, done, arg);
    if (post(h, job))
        return true;
    job_free(job);
    return false;
}
