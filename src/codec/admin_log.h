/*
 * admin_log - what the admin API answers of the last requests
 *
 * As admin_answer.h: JSON is appended to the caller's buffer, whose maximum bounds it. Names of
 * models and what upstreams said come from strangers: here they become JSON strings.
 *
 * Threads: none.
 */
#ifndef CODEC_ADMIN_LOG_H
#define CODEC_ADMIN_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* The key that was used. Empty texts are null. */
struct admin_log_key {
    str id;
    str name;
    str mask;
};

/* A request that has ended. Empty texts are null. */
struct admin_log_entry {
    uint64_t id;
    int64_t at_ms; // wall clock
    str route;
    str model;
    struct admin_log_key key;
    str host; // as it is shown
    int status;
    bool stream;
    int64_t first_ms; // -1: null
    uint64_t ms;
    uint64_t tokens_in; // both 0: null
    uint64_t tokens_out;
    str end;
    uint64_t attempts;
    str caller;
};

/* {"id":…,"at":…}: the object alone. */
void admin_put_log_entry(struct buf *out, const struct admin_log_entry *e);

struct admin_log_try {
    struct admin_log_key key;
    str host;
    int status; // 0: null
    str verdict;
    str text; // empty: null
    uint64_t ms;
};

/* {"keyId":…,"verdict":…}: the object alone. */
void admin_put_log_try(struct buf *out, const struct admin_log_try *t);

/* Appends {"entries":[ or the comma before a further one; `*any` is false before the first. */
void admin_log_next(struct buf *out, bool *any);

/* Ends that answer: whether there are more that match, how many are kept, and can be. */
void admin_log_end(struct buf *out, bool any, bool more, uint64_t kept, uint64_t capacity);

#endif
