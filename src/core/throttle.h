/*
 * throttle - how many passwords may be tried, by whom
 *
 * Each try costs a slow hash, and one that is right costs everything. So an address (a /64 of
 * IPv6) has five tries in 15 minutes; from then on it waits after each wrong one, a second at
 * first and twice as long every time, up to 300 s.
 *
 * All addresses that never logged in share ten tries a minute, and those among them that were
 * wrong before leave half of these to newcomers. An address that has logged in within 30 days, and
 * this machine itself, has ten a minute of its own: whoever attacks cannot lock the admin out.
 *
 * A try counts as wrong from the moment it is let through, so that many at once count too, until
 * it is found right.
 *
 * What was counted can be stored and put back, so that a restart forgives nobody and makes nobody a
 * stranger.
 *
 * Threads: none.
 * Time:    the caller passes now_ms, monotonic and never 0; rows have the wall clock.
 * Memory:  bounded; where addresses are too many, the one that was quiet longest is forgotten.
 */
#ifndef CORE_THROTTLE_H
#define CORE_THROTTLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    THROTTLE_FREE_TRIES = 5,
    THROTTLE_WINDOW_MS = 15 * 60 * 1000,
    THROTTLE_WAIT_MAX_MS = 300 * 1000,
    THROTTLE_PER_MINUTE = 10,
    THROTTLE_FOR_NEWCOMERS = 5, // of these
    THROTTLE_ADDRESSES_MAX = 1024,
    THROTTLE_KNOWN_MAX = 64,
};

#define THROTTLE_KNOWN_MS ((uint64_t)30 * 24 * 60 * 60 * 1000)

struct throttle;

struct throttle *throttle_new(void);

/* Accepts NULL. */
void throttle_free(struct throttle *t);

/*
 * Lets a try from `addr` through and counts it. 0: go on; else how long to wait, and nothing was
 * counted.
 */
uint64_t throttle_admit(struct throttle *t, const struct sockaddr *addr, uint64_t now_ms);

/* The password from `addr` was right. */
void throttle_passed(struct throttle *t, const struct sockaddr *addr, uint64_t now_ms);

/* ---- over a restart ---- */

/* Stored by value: new ones at the end only. */
enum throttle_kind {
    THROTTLE_KNOWN,     // an address that has logged in
    THROTTLE_WRONG,     // one that was wrong
    THROTTLE_HERE,      // this machine
    THROTTLE_STRANGERS, // the tries that strangers share
    THROTTLE_KINDS,
};

enum {
    THROTTLE_ORIGIN_BYTES = 16,
    THROTTLE_ROWS_MAX = THROTTLE_KNOWN_MAX + THROTTLE_ADDRESSES_MAX + 2,
};

struct throttle_row {
    enum throttle_kind kind;
    unsigned char origin[THROTTLE_ORIGIN_BYTES]; // zeroes where it is no address's
    uint32_t wrong;
    int64_t last_ms;  // wall clock: the last try that counted
    int64_t spent_ms; // wall clock: when all tries of the budget are back
};

/* Writes what still counts into `rows`; returns how many there are. */
size_t throttle_save(const struct throttle *t, uint64_t now_ms, int64_t wall_ms,
                     struct throttle_row rows[THROTTLE_ROWS_MAX]);

/* Puts one row back, into a throttle that has let nobody through yet. */
void throttle_load(struct throttle *t, const struct throttle_row *row, uint64_t now_ms,
                   int64_t wall_ms);

#endif
