#include "net/loop.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <uv.h>

#include "base/attr.h"
#include "base/xalloc.h"
#include "core/pace.h"
#include "net/sendq.h"

struct call {
    loop_fn *fn;
    void *arg;
};

/* Calls that wait for their turn, in order. */
struct calls {
    struct call *items;
    size_t n;
    size_t cap;
};

/* Memory of bufs, as it was when they were put back. */
struct spare {
    char *p;
    size_t cap;
};

#define MAX_SPARES     128
#define TIMER_SLACK_NS 1000UL

#ifdef O2O_SANITIZED
#define SPARE_BYTES ((size_t)0) // a use of what was released is to be found
#else
#define SPARE_BYTES LOOP_SPARE_BYTES
#endif

struct loop {
    uv_loop_t uv;
    uv_timer_t kernel_timer;
    uv_async_t wake;
    uv_prepare_t
        before_poll; // both run what was deferred: callbacks run on either side of the poll
    uv_check_t after_poll;
    uv_idle_t no_wait; // active while something deferred is left: keeps the poll from sleeping

    struct pool pool;
    struct spare spares[MAX_SPARES];
    size_t n_spares;
    size_t spare_bytes;
    struct heap timers;
    uint64_t armed_ms; // when kernel_timer fires; UINT64_MAX: it is not set

    struct calls deferred;
    struct calls running; // the batch in hand; kept for its memory

    atomic_bool stop;
    pthread_mutex_t lock;
    struct calls inbox; // under lock
    struct calls taken; // what was taken out of the inbox

    struct pace pace;
    struct sendq sendq;
    char read_buffer[LOOP_READ_BYTES];
};

static void calls_append(struct calls *c, loop_fn *fn, void *arg)
{
    if (c->n == c->cap) {
        c->cap = c->cap > 0 ? 2 * c->cap : 16;
        c->items = xrealloc(c->items, c->cap * sizeof(*c->items));
    }
    c->items[c->n++] = (struct call){fn, arg};
}

static void calls_swap(struct calls *a, struct calls *b)
{
    struct calls t = *a;
    *a = *b;
    *b = t;
}

static void calls_run(struct calls *c)
{
    for (size_t i = 0; i < c->n; i++)
        c->items[i].fn(c->items[i].arg);
    c->n = 0;
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

/* Runs what was deferred so far. What these calls defer in turn waits for the next pass. */
static void run_deferred(struct loop *loop)
{
    if (loop->deferred.n > 0) {
        calls_swap(&loop->deferred, &loop->running);
        calls_run(&loop->running);
    }
    if (loop->deferred.n > 0 && !uv_is_active((uv_handle_t *)&loop->no_wait))
        uv_idle_start(&loop->no_wait, on_idle);
    else if (loop->deferred.n == 0)
        uv_idle_stop(&loop->no_wait);
}

/* The last of a turn, before the loop sleeps until something comes. */
static void on_prepare(uv_prepare_t *handle)
{
    struct loop *loop = handle->data;
    run_deferred(loop);
    uint32_t pause_us = pace_end_turn(&loop->pace, uv_now(&loop->uv));
    if (pause_us > 0) {
        const struct timespec pause = {.tv_nsec = (long)pause_us * 1000};
        nanosleep(&pause, NULL);
    }
}

static void on_check(uv_check_t *handle)
{
    run_deferred(handle->data);
}

static void run_inbox(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    calls_swap(&loop->inbox, &loop->taken);
    pthread_mutex_unlock(&loop->lock);
    calls_run(&loop->taken);
}

static void on_wake(uv_async_t *handle)
{
    struct loop *loop = handle->data;
    run_inbox(loop);
    if (atomic_exchange(&loop->stop, false))
        uv_stop(&loop->uv);
}

static void on_kernel_timer(uv_timer_t *handle);

/* Makes the kernel's timer fire no later than the first timer needs it. */
static void arm(struct loop *loop)
{
    const struct heap_node *first = heap_first(&loop->timers);
    if (first == NULL || first->key >= loop->armed_ms)
        return;
    uint64_t now = uv_now(&loop->uv);
    loop->armed_ms = first->key;
    uv_timer_start(&loop->kernel_timer, on_kernel_timer, first->key > now ? first->key - now : 0,
                   0);
}

static void on_kernel_timer(uv_timer_t *handle)
{
    struct loop *loop = handle->data;
    uint64_t now = uv_now(&loop->uv);
    struct heap_node *first = heap_first(&loop->timers);
    while (first != NULL && first->key <= now) {
        struct loop_timer *t = CONTAINER_OF(first, struct loop_timer, node);
        if (t->due_ms > now) {
            heap_set(&loop->timers, first, t->due_ms); // it was set to a later time since
        } else {
            heap_remove(&loop->timers, first);
            t->fn(t->arg);
        }
        first = heap_first(&loop->timers);
    }
    loop->armed_ms = UINT64_MAX;
    arm(loop);
}

struct loop *loop_new(void)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));
    heap_init(&loop->timers);
    pool_init(&loop->pool);
    loop->armed_ms = UINT64_MAX;
    pthread_mutex_init(&loop->lock, NULL);
    signal(SIGPIPE, SIG_IGN); // a write to a connection that is gone must be an error, no more

    // These fail for want of descriptors alone, before anything is served.
    int rc = uv_loop_init(&loop->uv);
    if (rc == 0)
        rc = uv_async_init(&loop->uv, &loop->wake, on_wake);
    if (rc != 0) {
        fprintf(stderr, "cannot start an event loop: %s\n", uv_strerror(rc));
        abort();
    }
    uv_timer_init(&loop->uv, &loop->kernel_timer);
    uv_prepare_init(&loop->uv, &loop->before_poll);
    uv_check_init(&loop->uv, &loop->after_poll);
    uv_idle_init(&loop->uv, &loop->no_wait);
    loop->uv.data = loop;
    loop->wake.data = loop->kernel_timer.data = loop;
    loop->before_poll.data = loop->after_poll.data = loop->no_wait.data = loop;
    uv_prepare_start(&loop->before_poll, on_prepare);
    uv_check_start(&loop->after_poll, on_check);
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    run_inbox(loop);
    while (loop->deferred.n > 0)
        run_deferred(loop);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->kernel_timer, NULL);
    uv_close((uv_handle_t *)&loop->before_poll, NULL);
    uv_close((uv_handle_t *)&loop->after_poll, NULL);
    uv_close((uv_handle_t *)&loop->no_wait, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT); // closes what is being closed
    calls_swap(&loop->deferred, &loop->running);
    calls_run(&loop->running);
    int rc = uv_loop_close(&loop->uv);
    assert(rc == 0 && loop->deferred.n == 0);
    (void)rc;

    assert(heap_first(&loop->timers) == NULL);
    heap_release(&loop->timers);
    pool_release(&loop->pool);
    while (loop->n_spares > 0)
        free(loop->spares[--loop->n_spares].p);
    pthread_mutex_destroy(&loop->lock);
    free(loop->deferred.items);
    free(loop->running.items);
    free(loop->inbox.items);
    free(loop->taken.items);
    free(loop);
}

void loop_run(struct loop *loop)
{
#ifdef PR_SET_TIMERSLACK
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS); // else a pause is half as long again
#endif
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stop, true);
    uv_async_send(&loop->wake);
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return uv_now(&loop->uv);
}

void loop_timer_init(struct loop_timer *t, loop_fn *fn, void *arg)
{
    *t = (struct loop_timer){.fn = fn, .arg = arg};
    heap_node_init(&t->node);
}

void loop_timer_set(struct loop *loop, struct loop_timer *t, uint64_t delay_ms)
{
    // At least 1: a timer that sets itself again would otherwise keep on_kernel_timer() busy.
    t->due_ms = uv_now(&loop->uv) + (delay_ms > 0 ? delay_ms : 1);
    if (heap_has(&t->node) && t->node.key <= t->due_ms)
        return;
    heap_set(&loop->timers, &t->node, t->due_ms);
    arm(loop);
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *t)
{
    heap_remove(&loop->timers, &t->node);
}

void loop_post(struct loop *loop, loop_fn *fn, void *arg)
{
    pthread_mutex_lock(&loop->lock);
    bool was_empty = loop->inbox.n == 0;
    calls_append(&loop->inbox, fn, arg);
    pthread_mutex_unlock(&loop->lock);
    if (was_empty)
        uv_async_send(&loop->wake);
}

void loop_defer(struct loop *loop, loop_fn *fn, void *arg)
{
    calls_append(&loop->deferred, fn, arg);
}

char *loop_read_buffer(struct loop *loop)
{
    return loop->read_buffer;
}

struct pool *loop_pool(struct loop *loop)
{
    return &loop->pool;
}

void loop_lend(struct loop *loop, struct buf *b)
{
    assert(b->p == NULL);
    if (loop->n_spares == 0 || loop->spares[loop->n_spares - 1].cap > b->max)
        return;
    const struct spare *last = &loop->spares[--loop->n_spares];
    b->p = last->p;
    b->cap = last->cap;
    loop->spare_bytes -= last->cap;
}

void loop_put_back(struct loop *loop, struct buf *b)
{
    if (b->p != NULL && loop->n_spares < MAX_SPARES && loop->spare_bytes + b->cap <= SPARE_BYTES) {
        loop->spares[loop->n_spares++] = (struct spare){b->p, b->cap};
        loop->spare_bytes += b->cap;
        b->p = NULL;
    }
    buf_release(b);
}

struct pace *loop_pace(struct loop *loop)
{
    return &loop->pace;
}

struct sendq *loop_sendq(struct loop *loop)
{
    return &loop->sendq;
}

void *loop_handle(struct loop *loop)
{
    return &loop->uv;
}
