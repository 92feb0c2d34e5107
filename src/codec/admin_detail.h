/*
 * admin_detail - what the admin API answers of settings, of one key, and of a test request
 *
 * As admin_answer.h: JSON is appended to the caller's buffer, whose maximum bounds it.
 *
 * Threads: none.
 */
#ifndef CODEC_ADMIN_DETAIL_H
#define CODEC_ADMIN_DETAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct admin_setting {
    str name;
    str value; // empty of a secret
    str origin;
    bool secret;
    bool set;
    str fallback;
    str help;
    bool restart; // a change needs one
};

/* {"name":…,"value":…}: the object alone. */
void admin_put_setting(struct buf *out, const struct admin_setting *s);

/* A change of state. Empty texts and a time of 0 are null. */
struct admin_move {
    int64_t at_ms;
    str from;
    str to;
    str cause;
    str source;
    int64_t until_ms;
    str reason;
};

/* {"at":…,"from":…}: the object alone. */
void admin_put_move(struct buf *out, const struct admin_move *m);

/* ---- a test request: server-sent events ---- */

/* One step of it, as a whole event. An empty detail is null. */
void admin_put_test_step(struct buf *out, str step, uint64_t ms, bool ok, str detail);

/* How it ended. Empty texts and a status of 0 are null; tokens are null where it failed. */
struct admin_test_end {
    bool ok;
    int status;
    str model;
    str text; // what the model said
    uint64_t tokens;
    uint64_t ms;
    str error;
};

/* The last event. */
void admin_put_test_end(struct buf *out, const struct admin_test_end *end);

#endif
