/*
 * admin_live - what moves by itself, as server-sent events
 *
 * Each listener has a timer on its worker: it sends a tick when something in it has changed, at
 * most each ADMIN_LIVE_MS, and at least each ADMIN_LIVE_IDLE_MS, which also tells that the
 * connection lives. Nothing is sent ahead of a caller who does not take it. A listener does not
 * keep its session alive, and ends with it.
 *
 * Threads: the worker's.
 */
#ifndef APP_ADMIN_LIVE_H
#define APP_ADMIN_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "app/admin_call.h"
#include "base/buf.h"

enum {
    ADMIN_LIVE_MS = 250,
    ADMIN_LIVE_IDLE_MS = 5000,
    ADMIN_LIVE_MAX = 32, // listeners of the process; beyond it 503
};

struct admin_listener;

/* The call of a listener has gone. Accepts NULL. */
void admin_live_leave(struct admin_listener *l);

/* The worker takes no more requests: its listeners end, in order. */
void admin_live_drain(struct worker *w);

#endif
