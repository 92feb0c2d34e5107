/*
 * admin_call - one request on the admin side, for those who answer it
 *
 * A handler runs on the call's worker and answers now or later, with one of the reply functions,
 * once. What takes long goes to the store's thread as a work: see admin_work.h.
 */
#ifndef APP_ADMIN_CALL_H
#define APP_ADMIN_CALL_H

#include "app/admin.h"
#include "app/admin_auth.h"
#include "app/jobs.h"
#include "base/buf.h"
#include "base/str.h"

struct admin_listener;
struct admin_stream;
struct check_run;
struct health_check;
struct admin_work;

struct admin {
    struct admin_auth *auth;
    struct jobs *jobs;
    atomic_uint listeners;        // of admin_live.c, of all workers
    atomic_bool told_unencrypted; // the log says once that a login came unencrypted
};

enum { ADMIN_ID_BYTES = 64 };

typedef void admin_handler(struct admin_call *c);

enum admin_access {
    ADMIN_SESSION, // a session, or the password as a bearer
    ADMIN_ANYBODY,
};

struct admin_row {
    enum http1_method method;
    str path; // ":id" stands for one segment
    admin_handler *handler;
    size_t body_max; // 0: it takes none
    bool query;      // it takes one
    enum admin_access access;
};

enum admin_credential { ADMIN_BY_NOTHING, ADMIN_BY_BEARER, ADMIN_BY_COOKIE };

/* One request on the admin side; owned by its request. */
struct admin_call {
    struct request *r;
    const struct admin_row *row; // NULL: nothing is there
    bool known_path;             // with another method
    enum admin_credential how;
    bool whole;                      // the body was read
    struct admin_try *try;           // a password that is being checked; NULL: none
    struct admin_work *work;         // NULL: nothing runs for it on the store's thread
    struct admin_stream *stream;     // its answer; NULL: it is none
    struct admin_listener *listener; // NULL: it is none
    struct check_run *run;           // keys that are checked for it; NULL: none
    struct health_check *check;      // one key that is
    uint64_t key_id;                 // of that
    void *arg;                       // the handler's own, released with the call; NULL: nothing
    void (*release_arg)(void *arg);
    size_t id_len;
    char id_room[ADMIN_ID_BYTES]; // what stood for ":id"
};

static inline struct admin *admin_of(const struct admin_call *c)
{
    return c->r->worker->program->admin;
}

static inline str call_id(const struct admin_call *c)
{
    return str_of(c->id_room, c->id_len);
}

/* What stands behind the '?'; borrowed from its head. */
str call_query(const struct admin_call *c);

/* The token or password the call came with; borrowed from its head. */
str call_credential(const struct admin_call *c);

/* Who sent it, behind proxies that we trust. */
void call_address(const struct admin_call *c, struct sockaddr_storage *ret);

/* Whether it came by TLS, to us or to a proxy that we trust. */
bool call_is_encrypted(const struct admin_call *c);

/*
 * Checks a password that the call brought along: fn(c, …) runs later. False: it may not be tried
 * now, and that is answered.
 */
bool call_try_password(struct admin_call *c, str password, admin_try_fn *fn);

/* ---- answers ---- */

/* Further headers of an answer; empty ones are left out. */
struct admin_extras {
    str set_cookie;
    str allow;
    str content_type;       // application/json if empty
    str disposition;        // Content-Disposition
    uint32_t retry_after_s; // 0: none
    bool unbuffered;        // proxies are to pass it on as it comes
};

/* Sends an answer; `extras` may be NULL. */
void call_reply(struct admin_call *c, int status, str body, const struct admin_extras *extras);

/* Begins an answer of unknown length; it is written to the exchange. */
void call_begin(struct admin_call *c, int status, const struct admin_extras *extras);

/* Sends {"error":"…"}. */
void call_refuse(struct admin_call *c, int status, str sentence);
void call_refuse_with(struct admin_call *c, int status, str sentence,
                      const struct admin_extras *extras);

/* 429: too many passwords were tried. */
void call_refuse_try(struct admin_call *c, uint64_t wait_ms);

/* ---- handlers, by file ---- */

admin_handler admin_login, admin_logout, admin_session;             // admin_login.c
admin_handler admin_keys_list, admin_keys_patch, admin_keys_toggle, // admin_keys.c
    admin_keys_delete, admin_keys_delete_all, admin_keys_reset_health;
admin_handler admin_keys_add, admin_keys_batch; // admin_import.c
admin_handler admin_keys_bulk;                  // admin_bulk.c
admin_handler admin_keys_export, admin_backup;  // admin_export.c
admin_handler admin_settings, admin_key_get,    // admin_detail.c
    admin_import_delete, admin_host_check;
admin_handler admin_key_test;                  // admin_test.c
admin_handler admin_log_list, admin_log_one;   // admin_log.c
admin_handler admin_stats;                     // admin_stats.c
admin_handler admin_overview;                  // admin_overview.c
admin_handler admin_live;                      // admin_live.c
admin_handler admin_series;                    // admin_series.c
admin_handler admin_job_get, admin_job_delete; // admin_jobs.c

admin_handler admin_keys_check, admin_key_check; // admin_check.c

/* Appends {"job":{…}}: the answer of who began it. */
void admin_put_begun(struct admin *admin, const struct job *job, struct buf *out);

#endif
