/*
 * budget - how many bytes of bodies and unsent answers the whole process may hold
 *
 * Every limit of a single request can hold and their sum still be too much. So the large buffers
 * are counted, and what is new is refused before memory runs out: at 95 % of the budget requests
 * with a body get 503, at 98 % connections wait unaccepted.
 *
 * Threads: any; one atomic, touched when a buffer's size changes.
 */
#ifndef NET_BUDGET_H
#define NET_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#define BUDGET_DEFAULT_BYTES ((size_t)512 << 20)

/* Sets the total; once, at the start. */
void budget_set(size_t total_bytes);

/* Makes the count follow a holder that had `*charged` bytes and now has `bytes`. */
void budget_follow(size_t *charged, size_t bytes);

/* Bytes that are counted now. */
size_t budget_used(void);

/* Whether new requests with a body are refused. */
bool budget_is_short(void);

/* Whether new connections have to wait. */
bool budget_is_out(void);

#endif
