/*
 * loop - one event loop: timers, an inbox for other threads, and late frees
 *
 * Timers sit in one heap under a single kernel timer. A timer that is set again to a later time
 * only notes it, and is moved when it comes up: an idle timeout that every read pushes back costs
 * one store. Everything runs on the loop's thread, except loop_post() and loop_stop().
 *
 * Threads: owned by one worker.
 * Time:    loop_now_ms() is the monotonic clock as of this turn.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/heap.h"
#include "base/pool.h"

struct loop;
struct pace;
struct sendq;

typedef void loop_fn(void *arg);

struct loop_timer {
    struct heap_node node; // key: when the heap looks at it
    uint64_t due_ms;       // when it fires; never before node.key
    loop_fn *fn;
    void *arg;
};

struct loop *loop_new(void);

/* Accepts NULL. Nothing of the loop's may be open any more. */
void loop_free(struct loop *loop);

/* Runs until loop_stop(). */
void loop_run(struct loop *loop);

/* Ends loop_run() after the current turn. Any thread. */
void loop_stop(struct loop *loop);

uint64_t loop_now_ms(const struct loop *loop);

void loop_timer_init(struct loop_timer *t, loop_fn *fn, void *arg);

/* Makes `t` fire once, `delay_ms` from now; a timer that is set already is moved. */
void loop_timer_set(struct loop *loop, struct loop_timer *t, uint64_t delay_ms);

/* A timer that is not set is left alone. Must be called before the timer's memory goes. */
void loop_timer_cancel(struct loop *loop, struct loop_timer *t);

/* Runs fn(arg) on the loop's thread, soon. Any thread; in order for one caller. */
void loop_post(struct loop *loop, loop_fn *fn, void *arg);

/*
 * Runs fn(arg) at the end of this turn, when no callback is on the stack: where objects that the
 * loop may still mention are freed. Loop's thread only.
 */
void loop_defer(struct loop *loop, loop_fn *fn, void *arg);

/* The worker's pool for what lives as long as a request; outlives what was deferred. */
struct pool *loop_pool(struct loop *loop);

/*
 * loop_put_back() releases `b` and keeps its memory, within LOOP_SPARE_BYTES in all, for the empty
 * buf that loop_lend() is called for next: bodies and records come and go many to a turn.
 */
#define LOOP_SPARE_BYTES ((size_t)256 * 1024)
void loop_lend(struct loop *loop, struct buf *b);
void loop_put_back(struct loop *loop, struct buf *b);

#define LOOP_READ_BYTES 65536

/* The worker's one read buffer, LOOP_READ_BYTES long, valid during one callback. */
char *loop_read_buffer(struct loop *loop);

/* What this loop handles, as its pace wants to know it; loop_run() pauses as that says. */
struct pace *loop_pace(struct loop *loop);

/* What streams of this loop send at the end of the turn. */
struct sendq *loop_sendq(struct loop *loop);

/* The library's loop handle, for the .c files of this layer. */
void *loop_handle(struct loop *loop);

#endif
