/*
 * proc - what processes have cost so far, as /proc tells it
 */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_MAX 64

struct proc_set {
    pid_t pids[PROC_MAX];
    size_t n;
};

struct proc_cost {
    uint64_t cpu_ns;  // run time of all threads, from schedstat
    uint64_t rss_kib; // resident pages, exactly: from smaps_rollup
};

/* Reads "12,34"; leaves with an error on anything else. */
void proc_set_parse(struct proc_set *set, const char *text);

/* Leaves with an error if a process is gone: the server under test died. */
struct proc_cost proc_cost_read(const struct proc_set *set);

#endif
