#include "app/control.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "app/admin.h"
#include "app/banner.h"
#include "app/intake.h"
#include "app/keeper.h"
#include "app/notify.h"
#include "app/worker.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "net/budget.h"
#include "net/listen.h"
#include "net/tls.h"

#define EXIT_START 1

/* After so long the roots for TLS upstreams are read, unless one was connected to before. */
#define WARM_AFTER_MS 250

/* Sent by the last worker to the main thread: all have ended. */
#define SIGNAL_ENDED SIGUSR1

struct control {
    struct program program;
    struct snapshot *snapshot; // a counted reference
    size_t n_workers;
    struct worker **workers;
    pthread_t *threads;
};

static atomic_size_t workers_running;
static pthread_t main_thread;

static void on_worker_ended(struct worker *w)
{
    (void)w;
    if (atomic_fetch_sub(&workers_running, 1) == 1)
        pthread_kill(main_thread, SIGNAL_ENDED);
}

static void *worker_main(void *arg)
{
    worker_run(arg);
    return NULL;
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); // what we have must do, then
}

/* The signals that the main thread waits for, blocked in every thread. */
static void block_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGHUP);
    sigaddset(ret, SIGNAL_ENDED);
    pthread_sigmask(SIG_BLOCK, ret, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* Reads the start of a small file of the system's; empty when there is none. */
static str read_system_file(const char *path, char *out, size_t cap)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, cap) : 0;
    if (fd >= 0)
        close(fd);
    return str_trim_ws(str_of(out, n > 0 ? (size_t)n : 0));
}

/* As many as CPUs that we may run on, and that a cgroup grants. */
static size_t count_workers(const struct config *config)
{
    if (config->workers > 0)
        return config->workers;
    cpu_set_t cpus;
    char quota[64];
    int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
    return config_workers_from((uint32_t)n,
                               read_system_file("/sys/fs/cgroup/cpu.max", quota, sizeof(quota)));
}

/* Half of what a cgroup grants, if that is less than the default. */
static void set_budget(void)
{
    static const char *const files[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        char text[64];
        uint64_t limit;
        if (str_to_u64(read_system_file(files[i], text, sizeof(text)), &limit) &&
            limit / 2 < BUDGET_DEFAULT_BYTES)
            budget_set((size_t)(limit / 2));
    }
}

static enum err make_workers(struct control *c, struct sockaddr_storage *bound,
                             struct err_info *info)
{
    const struct config *config = c->snapshot->config;
    size_t n = count_workers(config);
    int *fds = xcalloc(n, sizeof(*fds));
    enum err e = listen_bind(config->host.p, (uint16_t)config->port, n, fds, bound, info);
    if (e != ERR_OK) {
        free(fds);
        return e;
    }
    c->snapshot->addresses.own_listen = *bound;
    c->program.n_workers = n;
    c->workers = xcalloc(n, sizeof(struct worker *));
    c->program.workers = c->workers;
    c->program.reqlog = reqlog_new(n);
    c->threads = xcalloc(n, sizeof(*c->threads));
    for (size_t i = 0; i < n; i++) {
        if (e != ERR_OK)
            close(fds[i]); // those that no worker has taken
        else
            e = worker_new(&c->program, c->snapshot, fds[i], &c->workers[i], info);
        if (e == ERR_OK)
            c->workers[c->n_workers++]->index = i;
    }
    free(fds);
    return e;
}

static void start_threads(struct control *c)
{
    main_thread = pthread_self();
    atomic_store(&workers_running, c->n_workers);
    for (size_t i = 0; i < c->n_workers; i++) {
        c->workers[i]->on_ended = on_worker_ended;
        if (pthread_create(&c->threads[i], NULL, worker_main, c->workers[i]) != 0) {
            fputs("ollama2openai: cannot start a thread\n", stderr);
            _exit(EXIT_START);
        }
    }
}

/* Requests without a key go elsewhere from now on: nothing that was learned there counts. */
static void follow_upstream(struct control *c, const struct snapshot *next)
{
    if (upstream_same(c->snapshot->config, next->config))
        return;
    keypool_set_fallback(c->program.keypool, upstream_url(next->config), clock_mono_ms());
    catalog_reset(c->program.catalog);
}

static void reload(struct control *c)
{
    struct snapshot *next;
    struct err_info info = {0};
    if (snapshot_reload(c->snapshot, &next, &info) != ERR_OK) {
        log_error("reload_failed", LOG_STR("why", str_z(info.text)));
        return;
    }
    tls_context_warm(next->client_tls);
    log_configure(next->config->log_level, next->config->log_format);
    admin_reload(c->program.admin, c->snapshot->config, next->config);
    follow_upstream(c, next);
    for (size_t i = 0; i < c->n_workers; i++)
        worker_post_reload(c->workers[i], next);
    snapshot_release(c->snapshot);
    c->snapshot = next;
    log_info("reloaded", LOG_INT("workers", c->n_workers));
}

/* From here on the signal does what it does by default. */
static void let_die_of(int sig)
{
    sigset_t set;
    signal(sig, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, sig);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Ends the process the way the signal does, which is what its parent then sees. */
static NORETURN void die_of(int sig)
{
    let_die_of(sig);
    raise(sig);
    abort();
}

/* Waits for a signal; meanwhile, once, does what the first answers need not wait for. */
static int next_signal(const struct control *c, const sigset_t *signals, bool *warm)
{
    const struct timespec wait = {.tv_nsec = WARM_AFTER_MS * 1000000L};
    int sig = *warm ? sigwaitinfo(signals, NULL) : sigtimedwait(signals, NULL, &wait);
    if (sig < 0 && errno == EAGAIN) {
        tls_context_warm(c->snapshot->client_tls);
        *warm = true;
    }
    return sig;
}

/* Waits until the workers have ended; 0, or the second signal that cuts them short. */
static int wait_for_end(struct control *c, const sigset_t *signals)
{
    bool draining = false, warm = false;
    for (;;) {
        int sig = next_signal(c, signals, &warm);
        if (sig < 0)
            continue;
        if (sig == SIGNAL_ENDED)
            return 0;
        if (sig == SIGHUP) {
            notify_reloading();
            reload(c);
            notify_ready();
            continue;
        }
        if (draining)
            return sig;
        draining = true;
        notify_stopping();
        log_info("draining", LOG_STR("signal", str_z(sig == SIGINT ? "SIGINT" : "SIGTERM")),
                 LOG_INT("at_most_ms", c->snapshot->config->shutdown_timeout_ms));
        for (size_t i = 0; i < c->n_workers; i++)
            worker_post_drain(c->workers[i]);
    }
}

static void on_host_gone(void *arg, uint32_t host)
{
    catalog_forget_host(arg, host);
}

/*
 * Opens the store, with what the older program left there, and what lives on it; `notes` are for
 * the banner.
 */
static enum err open_keeper(struct control *c, struct buf *notes, struct err_info *info)
{
    const struct config *config = c->snapshot->config;
    enum err e = keeper_open(config, &c->program.keeper, info);
    if (e == ERR_OK)
        keeper_on_host_gone(c->program.keeper, on_host_gone, c->program.catalog);
    if (e == ERR_OK)
        e = intake_first_start(c->program.keeper, config, notes, info);
    if (e == ERR_OK)
        c->program.keypool = keeper_pool(c->program.keeper);
    if (e == ERR_OK)
        keypool_set_fallback(c->program.keypool, upstream_url(config), clock_mono_ms());
    if (e != ERR_OK)
        return e;
    c->program.feed = feed_new(&c->program, c->program.keeper);
    e = admin_new(config, keeper_store(c->program.keeper), &c->program.admin, info);
    return e == ERR_OK ? keeper_start(c->program.keeper, info) : e;
}

/* After the workers have ended, or before they began. */
static void control_release(struct control *c)
{
    keeper_stop(c->program.keeper); // its jobs post to loops that are there
    admin_stop(c->program.admin);   // and so does the admin side
    for (size_t i = 0; i < c->n_workers; i++)
        worker_free(c->workers[i]);
    admin_free(c->program.admin);
    free(c->workers);
    free(c->threads);
    feed_free(c->program.feed);
    keeper_close(c->program.keeper); // leases were given back with their requests
    catalog_free(c->program.catalog);
    reqlog_free(c->program.reqlog);
    snapshot_release(c->snapshot);
}

/* What all workers share from the start. */
static void make_program(struct program *p)
{
    char random[8];
    crypto_random_text(random, sizeof(random));
    snprintf(p->pseudonym, sizeof(p->pseudonym), "o2o-%.8s", random);
    p->catalog = catalog_new();
}

int control_run(struct snapshot *snapshot)
{
    struct control c = {.snapshot = snapshot, .program.started_ms = clock_mono_ms()};
    struct sockaddr_storage bound = {0};
    struct err_info info = {0};
    sigset_t signals;

    notify_init();
    raise_descriptor_limit();
    set_budget();
    block_signals(&signals);
    struct buf notes;
    buf_init(&notes, 65536);
    make_program(&c.program);
    if (make_workers(&c, &bound, &info) != ERR_OK || open_keeper(&c, &notes, &info) != ERR_OK) {
        fprintf(stderr, "ollama2openai: %s\n", info.text);
        control_release(&c);
        buf_release(&notes);
        return EXIT_START;
    }
    log_configure(snapshot->config->log_level, snapshot->config->log_format);
    banner_print(snapshot->config, &bound, c.n_workers, buf_str(&notes));
    buf_release(&notes);
    log_start(STDOUT_FILENO);
    start_threads(&c);
    worker_post_watch(c.workers[0]);
    notify_ready();

    int killer = wait_for_end(&c, &signals);
    if (killer != 0)
        let_die_of(killer); // a third one waits for nothing
    keeper_stop(c.program.keeper);
    log_info("stopped", LOG_STR("how", str_z(killer == 0 ? "drained" : "at once")));
    log_stop();
    if (killer != 0)
        die_of(killer);
    for (size_t i = 0; i < c.n_workers; i++)
        pthread_join(c.threads[i], NULL);
    control_release(&c);
    return 0;
}
