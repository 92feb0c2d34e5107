/*
 * pool - what it costs to choose a key and to say that it did its work
 *
 * Each round is a keypool_acquire() for a model that the hosts list, and a
 * keypool_report_success(), as every request makes them: with few and many keys, of which none,
 * half or nearly all cool after a 429, from one thread and from two. A line is the best of some
 * repetitions: the time of a round, as the slower thread has it, and the CPU's part of that, which
 * other programs on the machine make less of a difference to.
 *
 *     pool    all rows
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/crypto.h"
#include "core/keypool.h"
#include "tool.h"

#define REPETITIONS   5
#define REPETITION_NS (NS_PER_S / 10)
#define BATCH         200
#define MAX_THREADS   2
#define COOL_S        3600
#define NOW_MS        1000000

static const struct row {
    uint64_t keys;
    unsigned ready_in_1000;
    unsigned hosts;
    unsigned threads;
} ROWS[] = {
    {10,     1000, 1, 1},
    {10,     500,  1, 1},
    {10,     1,    1, 1},
    {1000,   1000, 1, 1},
    {1000,   500,  1, 1},
    {1000,   1,    1, 1},
    {100000, 1000, 1, 1},
    {100000, 500,  1, 1},
    {100000, 1,    1, 1},
    {10,     1000, 1, 2},
    {10,     500,  1, 2},
    {10,     1,    1, 2},
    {1000,   1000, 1, 2},
    {1000,   500,  1, 2},
    {1000,   1,    1, 2},
    {100000, 1000, 1, 2},
    {100000, 500,  1, 2},
    {100000, 1,    1, 2},
    {100000, 1000, 8, 1},
    {100000, 500,  8, 1},
    {100000, 1,    8, 1},
};

static const str MODEL = STR_C("gpt-oss:120b");

static void add_key(struct keypool *p, uint64_t id, unsigned hosts)
{
    char secret[64];
    char url[64];
    uint64_t ignored;
    int n_secret = snprintf(secret, sizeof(secret), "%016llx.key", (unsigned long long)id);
    int n_url = snprintf(url, sizeof(url), "https://host%u.example", (unsigned)(id % hosts));
    struct key_spec spec = {
        .id = id,
        .secret = str_of(secret, (size_t)n_secret),
        .base_url = str_of(url, (size_t)n_url),
        .enabled = true,
    };
    if (keypool_add(p, &spec, NOW_MS, &ignored) != ERR_OK)
        die("cannot add a key");
}

static void cool_key(struct keypool *p, uint64_t id)
{
    static const struct verdict limited = {
        .key = KEY_LIMITED, .cool_s = COOL_S, .cool_source = COOL_STATED};
    struct lease lease;
    if (!keypool_acquire_id(p, id, &lease))
        die("a key is gone");
    keypool_report_failure(p, &lease, MODEL, &limited, NOW_MS);
}

/* One model in common, and as many others as ollama.com has. */
static void set_models(struct keypool *p, unsigned hosts)
{
    char texts[40][16];
    str names[40];
    for (size_t i = 0; i < COUNT_OF(names); i++)
        names[i] = str_of(texts[i], (size_t)snprintf(texts[i], sizeof(texts[i]), "model-%zu", i));
    names[0] = MODEL;
    for (unsigned h = 0; h < hosts; h++)
        keypool_set_models(p, h, names, COUNT_OF(names));
}

static struct keypool *make_pool(const struct row *row)
{
    struct keypool_options options = {.seed = 1};
    struct keypool *p = keypool_new(&options);
    uint64_t ready = (row->keys * row->ready_in_1000 + 999) / 1000;
    for (uint64_t id = 1; id <= row->keys; id++)
        add_key(p, id, row->hosts);
    for (uint64_t id = ready + 1; id <= row->keys; id++)
        cool_key(p, id);
    set_models(p, row->hosts);
    return p;
}

static void do_round(struct keypool *p)
{
    struct key_search search = {0};
    struct lease lease;
    uint64_t wait_ms;
    if (keypool_acquire(p, &search, MODEL, false, NOW_MS, &lease, &wait_ms) != PICK_KEY)
        die("no key is ready");
    keypool_report_success(p, &lease, MODEL, 100, NOW_MS);
    key_search_release(&search);
}

/* Of a round, in ns. */
struct times {
    double wall;
    double cpu;
};

static double cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

struct runner {
    struct keypool *pool;
    pthread_barrier_t *start;
    struct times times;
};

static void *run(void *arg)
{
    struct runner *r = arg;
    uint64_t n = 0;
    pthread_barrier_wait(r->start);
    double cpu_began = cpu_ns();
    uint64_t began = now_ns();
    uint64_t now = began;
    for (; now - began < REPETITION_NS; now = now_ns()) {
        for (unsigned i = 0; i < BATCH; i++)
            do_round(r->pool);
        n += BATCH;
    }
    r->times.wall = (double)(now - began) / (double)n;
    r->times.cpu = (cpu_ns() - cpu_began) / (double)n;
    return NULL;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* The times of a round, as the slowest thread has it. */
static struct times run_threads(struct keypool *p, unsigned threads)
{
    struct runner runners[MAX_THREADS];
    pthread_t ids[MAX_THREADS];
    pthread_barrier_t start;
    struct times worst = {0};
    pthread_barrier_init(&start, NULL, threads);
    for (unsigned i = 0; i < threads; i++) {
        runners[i] = (struct runner){.pool = p, .start = &start};
        if (pthread_create(&ids[i], NULL, run, &runners[i]) != 0)
            die("cannot start a thread");
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        worst.wall = larger(worst.wall, runners[i].times.wall);
        worst.cpu = larger(worst.cpu, runners[i].times.cpu);
    }
    pthread_barrier_destroy(&start);
    return worst;
}

static void print_row(const struct row *row)
{
    struct keypool *p = make_pool(row);
    struct times best = run_threads(p, row->threads);
    for (int i = 1; i < REPETITIONS; i++) {
        struct times times = run_threads(p, row->threads);
        best.wall = smaller(best.wall, times.wall);
        best.cpu = smaller(best.cpu, times.cpu);
    }
    printf("%7llu %8.1f %% %6u %8u %8.0f ns %6.0f ns\n", (unsigned long long)row->keys,
           100 - row->ready_in_1000 / 10.0, row->hosts, row->threads, best.wall, best.cpu);
    keypool_free(p);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc != 1)
        die("usage: pool");
    if (crypto_init() != ERR_OK)
        die("libsodium does not start");
    printf("   keys    cooling  hosts  threads       round       CPU\n");
    for (size_t i = 0; i < COUNT_OF(ROWS); i++)
        print_row(&ROWS[i]);
    return 0;
}
