/*
 * resolve - names to addresses, off the loop and remembered for a moment
 *
 * Lookups run on the library's threads, one at a time per name, whoever waits for it. Answers are
 * kept for 30 s, failures for 2 s; when a later lookup fails or stalls, the old answer serves for
 * five more minutes. Nobody waits longer than 3 s; what comes later still fills the cache.
 *
 * Threads: owned by one loop.
 * Memory:  waits are embedded in their owners; answers are borrowed for the moment.
 */
#ifndef NET_RESOLVE_H
#define NET_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/str.h"
#include "net/loop.h"

#define RESOLVE_FRESH_MS   30000
#define RESOLVE_FAILED_MS  2000
#define RESOLVE_STALE_MS   300000 // after the answer has ceased to be fresh
#define RESOLVE_WAIT_MS    3000
#define RESOLVE_NAMES      256 // remembered at most
#define RESOLVE_ADDRS      16  // kept of one name
#define RESOLVE_NAME_BYTES 253

struct resolver;
struct resolve_entry;

/* Addresses (their port is 0) in the order of preference, or none and a sentence that says why. */
struct resolve_answer {
    const struct sockaddr_storage *addrs;
    size_t n;
    str why;
};

/* `answer` is borrowed during the call, which must not come back to the resolver. */
typedef void resolve_fn(void *arg, const struct resolve_answer *answer);

/* One who waits for a name; the members are the resolver's. */
struct resolve_wait {
    struct list link;
    struct loop_timer limit;
    struct resolver *resolver;
    struct resolve_entry *entry; // NULL: not waiting
    resolve_fn *fn;
    void *arg;
};

/*
 * Looks `host` up, on a thread of its own: writes up to `max` addresses, returns 0 or an EAI_ code
 * of getaddrinfo().
 */
typedef int resolve_lookup_fn(const char *host, struct sockaddr_storage *addrs, size_t max,
                              size_t *ret_n);

struct resolver_options {
    resolve_lookup_fn *lookup; // NULL: the system's resolver
    uint64_t fresh_ms;         // how long an answer holds
    uint64_t failed_ms;        // how long a failure holds
    uint64_t stale_ms;         // how long an answer that is not fresh stands in for a failure
    uint64_t wait_ms;          // how long anyone waits
};

#define RESOLVER_DEFAULTS                                                                          \
    ((struct resolver_options){.fresh_ms = RESOLVE_FRESH_MS,                                       \
                               .failed_ms = RESOLVE_FAILED_MS,                                     \
                               .stale_ms = RESOLVE_STALE_MS,                                       \
                               .wait_ms = RESOLVE_WAIT_MS})

struct resolver *resolver_new(struct loop *loop, const struct resolver_options *options);

/* Nobody may be waiting. Lookups under way are left to end by themselves. Accepts NULL. */
void resolver_free(struct resolver *r);

/* Prepares a wait that waits for nothing. */
void resolve_wait_init(struct resolve_wait *w, resolve_fn *fn, void *arg);

/*
 * Asks for `host`. True: `*ret` is the answer, borrowed until the next call to the resolver (an
 * address literal, or a name that is remembered). False: the wait's function is called later.
 */
bool resolver_ask(struct resolver *r, str host, struct resolve_wait *w, struct resolve_answer *ret);

/* Stops waiting; nothing happens when `w` does not wait. */
void resolve_wait_cancel(struct resolve_wait *w);

#endif
