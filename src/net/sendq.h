/*
 * sendq - small writes of a turn, which leave together at its end
 *
 * To send wakes the peer, and a peer on this machine, or a network card, that is woken for each
 * of many small writes costs as much as the writes. So a turn of the loop first reads what there
 * is, and then sends what came of it.
 *
 * Threads: owned by the loop's.
 * Memory:  holds copies; streams are borrowed, and take themselves out before they go.
 */
#ifndef NET_SENDQ_H
#define NET_SENDQ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define SENDQ_SLOTS       16
#define SENDQ_WRITE_BYTES ((size_t)4096) // what is larger goes out at once

struct stream;

struct sendq {
    struct {
        struct stream *stream; // NULL: sent, or not wanted any more
        str bytes;             // in `room`
    } slots[SENDQ_SLOTS];
    size_t n;
    size_t used_bytes;
    bool flush_is_due; // at the end of this turn
    char room[SENDQ_SLOTS * SENDQ_WRITE_BYTES];
};

#endif
