/*
 * worker - one event loop with all it needs to serve: server, client, scratch memory
 *
 * Nothing on a worker blocks, and workers share nothing on the hot path but the upstream's state
 * and the snapshot's reference count.
 *
 * Threads: each worker owns its loop; worker_new() and the post functions are for the main thread.
 */
#ifndef APP_WORKER_H
#define APP_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "app/catalog.h"
#include "app/feed.h"
#include "app/snapshot.h"
#include "app/upstream.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "core/keypool.h"
#include "core/metrics.h"
#include "core/reqlog.h"
#include "net/client.h"
#include "net/loop.h"
#include "net/server.h"

struct admin;
struct keeper;
struct worker;

/* What all workers of the process share. */
struct program {
    struct upstream upstream;
    struct admin *admin;
    struct keeper *keeper;
    struct feed *feed;       // owned
    struct keypool *keypool; // the keeper's
    struct catalog *catalog; // owned
    uint64_t started_ms;     // monotonic
    size_t n_workers;
    struct reqlog *reqlog;   // owned
    struct worker **workers; // borrowed; all of them, once the first one runs
    char pseudonym[16];      // ours in Via, with a random part; zero-terminated
};

struct worker {
    // read-only after worker_new()
    struct program *program;
    size_t index; // in program->workers
    struct loop *loop;
    struct server *server;
    struct client *client;
    void (*on_ended)(struct worker *w); // called on the worker's thread, last of all

    struct metrics metrics; // written by this worker's thread, read by any
    struct feed_shard feed; // the same, under its mutex

    // this worker's thread only
    struct snapshot *snapshot; // a counted reference
    struct arena scratch;      // one line of an answer at a time
    struct buf out;            // what one event sends
    struct list requests;      // open ones: struct request.link
    struct list tails;         // relays that have delivered their answer: struct relay.link
    struct loop_timer drain_timer;
    struct look *look;         // owned; NULL: none under way
    struct list asks;          // what is being learned of hosts; see learn.c
    struct learn_round *round; // owned by learn.c; NULL: no round is under way
    struct health *health;     // owned by health.c; NULL: not this worker's business
    struct list checks;        // of keys, under way; see health.c
    struct list listeners;     // of what moves by itself; see admin_live.c
    struct list check_runs;    // that persons started; see admin_check.c
    bool draining;
};

/*
 * Makes a worker that will serve `listen_fd`, which it takes. `snapshot` is acquired.
 */
MUST_CHECK enum err worker_new(struct program *program, struct snapshot *snapshot, int listen_fd,
                               struct worker **ret, struct err_info *info);

/* The worker's life; returns when it was drained. To be called on its own thread. */
void worker_run(struct worker *w);

/* Accepts NULL. After worker_run() has returned. */
void worker_free(struct worker *w);

/* Makes the worker use `snapshot` for new requests. Any thread. */
void worker_post_reload(struct worker *w, struct snapshot *snapshot);

/* Makes the worker finish what runs, within SHUTDOWN_TIMEOUT, and end. Any thread. */
void worker_post_drain(struct worker *w);

/*
 * Makes the worker look whether the upstream without a key is there, learn the models, and watch
 * over the health of all keys from then on. For one worker of the program. Any thread.
 */
void worker_post_watch(struct worker *w);

/* Frees what `out` has grown beyond everyday size; to be called when it was sent. */
void worker_trim_out(struct worker *w);

#endif
