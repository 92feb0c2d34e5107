/*
 * admin_check - checks of keys that a person started
 *
 * A run asks the hosts of its keys, each at most ADMIN_CHECKS_PER_S times a second: keys of one
 * host wait for each other, those of different hosts do not. Up to ADMIN_CHECK_AT_ONCE keys are
 * checked while the request waits; more are a job.
 *
 * Threads: the worker's, but for check_keys_find().
 */
#ifndef APP_ADMIN_CHECK_H
#define APP_ADMIN_CHECK_H

#include "app/admin_call.h"
#include "core/key_list.h"

enum {
    ADMIN_CHECK_AT_ONCE = 200,
    ADMIN_CHECKS_PER_S = 20,    // of one host
    ADMIN_CHECKS_OPEN = 64,     // that wait for their answer, of one run
    ADMIN_CHECKS_HOST_OPEN = 8, // of one host among them: one that hangs does not stop the others
};

struct check_run;
struct check_item;

/* Keys that are to be checked, by host. */
struct check_keys {
    struct check_item *items; // owned
    size_t n;
};

/* Finds the hosts of keys; those that are not there are left out. Not on a worker. */
struct check_keys *check_keys_find(struct keypool *pool, const struct key_ids *ids);

/* Accepts NULL. */
void check_keys_free(struct check_keys *keys);

typedef void check_done_fn(struct admin_call *c, size_t n);

/*
 * Checks the keys, which it takes: for the call, and then calls fn(c, n), or as a job, which
 * answers the call now.
 */
void admin_check_start(struct admin_call *c, struct check_keys *keys, check_done_fn *fn);

/* The call of a run, or of a single check, has gone. */
void admin_check_leave(struct admin_call *c);

/* The worker takes no more requests: its jobs are stopped. */
void admin_check_drain(struct worker *w);

#endif
