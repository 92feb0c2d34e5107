/*
 * admin_request - what callers of the admin API ask for
 *
 * Bodies are objects with a list of fields each; a field that is not in it, one of a wrong type or
 * one that is too long is refused with a sentence that names it. null counts as absent, an empty
 * base URL or name too. Queries are read by the same rules.
 *
 * A body is parsed in place: see json_parse_in_place() for what must follow the text.
 *
 * Threads: none.
 * Memory:  results borrow from the body and the arena.
 * Errors:  ERR_SYNTAX; ERR_RANGE for more than 100,000 ids; ERR_TOO_LARGE if the arena's budget is
 *          used up. `info` has the sentence for the caller.
 */
#ifndef CODEC_ADMIN_REQUEST_H
#define CODEC_ADMIN_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    ADMIN_PASSWORD_MAX = 1024, // bytes
    ADMIN_NAME_MAX = 256,
    ADMIN_URL_MAX = 2048,
    ADMIN_KEY_TEXT_MAX = 4096, // of one key with its URL
    ADMIN_SEARCH_MAX = 256,
    ADMIN_ID_MAX = 64,
    ADMIN_MODEL_MAX = 512,
    ADMIN_LIST_MAX = 1000, // keys in one answer
    ADMIN_DAYS_MAX = 30,
};

/* States of keys as bits, so that a filter can name several. */
enum admin_states {
    ADMIN_READY = 1,
    ADMIN_COOLING = 2,
    ADMIN_DEAD = 4,
    ADMIN_DISABLED = 8,
    ADMIN_ALL_STATES = 15,
};

/* Which keys; a key has to match all that is there. */
struct admin_filter {
    str q; // is in masked key, name, host, account or last error, in any case; may be empty
    unsigned states; // of enum admin_states; never 0
    str host;        // a base URL as it is shown; empty: any
};

/* {password} */
MUST_CHECK enum err admin_read_login(struct arena *a, char *text, size_t len, str *ret_password,
                                     struct err_info *info);

struct admin_new_key {
    str key;      // in any form of codec/keytext.h
    str base_url; // empty: the default
    str name;     // empty: none
};

/* {key, baseUrl?, name?} */
MUST_CHECK enum err admin_read_new_key(struct arena *a, char *text, size_t len,
                                       struct admin_new_key *ret, struct err_info *info);

struct admin_patch {
    bool has_name;
    str name; // empty: it has none any more
    bool has_enabled;
    bool enabled;
};

/* {name?, enabled?}, at least one of them. An empty name counts here: it takes the name away. */
MUST_CHECK enum err admin_read_patch(struct arena *a, char *text, size_t len,
                                     struct admin_patch *ret, struct err_info *info);

struct admin_batch {
    str keys; // text, see codec/keytext.h
    str base_url;
};

/* {keys, baseUrl?} */
MUST_CHECK enum err admin_read_batch(struct arena *a, char *text, size_t len,
                                     struct admin_batch *ret, struct err_info *info);

enum admin_action {
    ADMIN_ENABLE,
    ADMIN_DISABLE,
    ADMIN_CHECK,
    ADMIN_RESET,
    ADMIN_DELETE,
    ADMIN_ACTIONS,
};

/* Which keys a person means. */
struct admin_which {
    bool by_ids; // else by the filter
    const str *ids;
    size_t n;
    struct admin_filter filter;
};

struct admin_bulk {
    enum admin_action action;
    struct admin_which which;
};

/* {ids or filter, action} */
MUST_CHECK enum err admin_read_bulk(struct arena *a, char *text, size_t len, struct admin_bulk *ret,
                                    struct err_info *info);

struct admin_export {
    str password;
    struct admin_which which; // all keys if nothing was said
};

/* {password, ids? or filter?} */
MUST_CHECK enum err admin_read_export(struct arena *a, char *text, size_t len,
                                      struct admin_export *ret, struct err_info *info);

/* {host} */
MUST_CHECK enum err admin_read_host(struct arena *a, char *text, size_t len, str *ret_host,
                                    struct err_info *info);

/* {model?}; empty: none is named. No body at all is fine too. */
MUST_CHECK enum err admin_read_test(struct arena *a, char *text, size_t len, str *ret_model,
                                    struct err_info *info);

/* Of routes that take no body: nothing, blanks or {}. */
MUST_CHECK enum err admin_read_nothing(struct arena *a, char *text, size_t len,
                                       struct err_info *info);

/* ---- queries: what stands behind '?' of a target, without it ---- */

enum admin_sort {
    ADMIN_BY_ADDED,
    ADMIN_BY_NAME,
    ADMIN_BY_STATUS,
    ADMIN_BY_HOST,
    ADMIN_BY_REQUESTS,
    ADMIN_BY_FAILED,
    ADMIN_BY_TOKENS,
    ADMIN_BY_USED,
    ADMIN_BY_UNTIL,
    ADMIN_SORTS,
};

struct admin_list_query {
    struct admin_filter filter;
    enum admin_sort sort;
    bool down; // "-name"
    uint64_t offset;
    uint64_t limit; // 0 to ADMIN_LIST_MAX, which is also the default
};

/* q, status, host, sort, offset, limit */
MUST_CHECK enum err admin_read_list_query(struct arena *a, str query, struct admin_list_query *ret,
                                          struct err_info *info);

struct admin_stats_query {
    uint64_t days; // 1 to ADMIN_DAYS_MAX
    str key;       // an id; empty: all
};

/* days, key */
MUST_CHECK enum err admin_read_stats_query(struct arena *a, str query,
                                           struct admin_stats_query *ret, struct err_info *info);

struct admin_batch_query {
    bool dry_run;
    str import; // the import that the keys belong to; empty: a new one
};

/* dryRun (1 or 0), import */
MUST_CHECK enum err admin_read_batch_query(struct arena *a, str query,
                                           struct admin_batch_query *ret, struct err_info *info);

/* range: the word alone; empty if it was left out. */
MUST_CHECK enum err admin_read_series_query(struct arena *a, str query, str *ret_range,
                                            struct err_info *info);

/* log (1 or 0) */
MUST_CHECK enum err admin_read_live_query(struct arena *a, str query, bool *ret_log,
                                          struct err_info *info);

enum {
    ADMIN_LOG_LIMIT = 100, // entries in one answer, if none is said
    ADMIN_LOG_LIMIT_MAX = 500,
};

/* Besides these two a status itself, from ADMIN_LOG_STATUS_MIN on. */
enum { ADMIN_LOG_ANY, ADMIN_LOG_OK, ADMIN_LOG_ERROR, ADMIN_LOG_STATUS_MIN = 100 };

/* Which requests of the log; one has to match all that is there. Empty: any. */
struct admin_log_query {
    int status;
    str route;
    str model;
    str key;         // an id
    str host;        // a base URL
    str q;           // in model, key name, host and end
    uint64_t before; // an id; 0: none
    uint64_t limit;  // 1 to ADMIN_LOG_LIMIT_MAX
};

/* status, route, model, key, host, q, before, limit */
MUST_CHECK enum err admin_read_log_query(struct arena *a, str query, struct admin_log_query *ret,
                                         struct err_info *info);

/* Of routes that take no query. */
MUST_CHECK enum err admin_read_no_query(str query, struct err_info *info);

#endif
