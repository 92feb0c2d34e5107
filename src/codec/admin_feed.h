/*
 * admin_feed - what the admin API answers of traffic and of how things are
 *
 * As admin_answer.h: JSON is appended to the caller's buffer, whose maximum bounds it. Names of
 * models and hosts, and reasons, come from strangers: here they become JSON strings, whatever they
 * hold.
 *
 * Threads: none.
 */
#ifndef CODEC_ADMIN_FEED_H
#define CODEC_ADMIN_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* Numbers of keys by state, as they show. */
struct admin_key_counts {
    uint64_t ready;
    uint64_t cooling;
    uint64_t dead;
    uint64_t disabled;
};

/* A host. Times are milliseconds since 1970, 0: none, which is null. */
struct admin_host {
    str host; // base URL; shown as keytext_put_shown_url() has it
    bool keyed;
    struct admin_key_counts states;
    bool cooling;
    str cause;
    str reason; // empty: null
    int64_t until_ms;
    int64_t since_ms;
    int64_t models; // -1: not known, null
};

/* {"host":…,"keyed":…}: the object alone. */
void admin_put_host(struct buf *out, const struct admin_host *host);

/* Something that a person should know of. */
struct admin_problem {
    str kind;
    str host; // empty: null
    uint64_t count;
    str cause;  // empty: null
    str source; // empty: null
    str limit;  // the same
    int64_t since_ms;
    int64_t until_ms;
    str text;
};

/* An import that can be taken back. */
struct admin_last_import {
    str id; // empty: there is none
    int64_t at_ms;
    uint64_t count;
    uint64_t left;
};

struct admin_overview {
    int64_t now_ms;
    str version;
    int64_t started_ms;
    struct admin_key_counts states;
    const struct admin_host *hosts;
    size_t n_hosts;
    uint64_t hosts_total;
    const struct admin_problem *problems;
    size_t n_problems;
    int64_t well_since_ms;
    str upstream_kind;
    str upstream_url; // empty: null
    bool upstream_up;
    bool encrypted;
    bool default_password;
    bool callers_need_token;
    bool loopback;
    struct admin_last_import last_import;
};

void admin_put_overview(struct buf *out, const struct admin_overview *o);

/* ---- series ---- */

struct admin_step {
    uint64_t requests;
    uint64_t errors;
    int64_t p50_ms; // -1: nothing happened, null
    int64_t p95_ms;
    uint64_t tokens_in;
    uint64_t tokens_out;
};

struct admin_top {
    str name; // of an error: its status, a blank, how it ended; empty: all others
    uint64_t requests;
    uint64_t errors;
    uint64_t tokens;
};

enum { ADMIN_TOPS_MAX = 10 };

struct admin_tops {
    struct admin_top items[ADMIN_TOPS_MAX];
    size_t n;
};

struct admin_series {
    str range;
    int64_t step_s;
    int64_t start_s;
    const struct admin_step *steps;
    size_t n_steps;
    struct admin_tops models;
    struct admin_tops errors;
    struct admin_tops hosts;
};

void admin_put_series(struct buf *out, const struct admin_series *s);

/* ---- live ---- */

struct admin_tick {
    uint64_t requests;
    uint64_t errors;
    double per_second;
    uint64_t streams;
    uint64_t connections;
    struct admin_key_counts states;
    uint64_t version;
};

/* The fields of a tick without its time and the braces: equal ones need not be sent again. */
void admin_put_tick_fields(struct buf *out, const struct admin_tick *t);

#endif
