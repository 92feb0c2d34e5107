/*
 * admin_auth - who may use the admin side: sessions, the password, and how often it may be tried
 *
 * One for the process. A bearer that is a session's token, or the password once it was found
 * right, is known at once. Any other password is checked by the hasher, after the throttle has let
 * it through; while one is being checked, the same one presented again waits for that check.
 *
 * A new password ends all sessions. What was being checked against the old one then is wrong:
 * each check belongs to the `generation` of the password it was asked for under.
 *
 * How often passwords were tried outlives the process: the store has it (admin_auth_keep()).
 *
 * Threads: any; a short mutex. new, keep, free and reload are the main thread's.
 */
#ifndef APP_ADMIN_AUTH_H
#define APP_ADMIN_AUTH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "core/config.h"
#include "core/session.h"
#include "net/loop.h"
#include "store/store.h"

struct admin_auth;

MUST_CHECK enum err admin_auth_new(const struct config *config, struct admin_auth **ret,
                                   struct err_info *info);

/*
 * Takes up what the store has of tries, and stores them from now on. Before the store is started;
 * the store's thread has to end before this is freed.
 */
MUST_CHECK enum err admin_auth_keep(struct admin_auth *a, struct store *store,
                                    struct err_info *info);

/* Ends what is being checked. Accepts NULL. Before the workers' loops are freed. */
void admin_auth_free(struct admin_auth *a);

/* Takes over the password of new settings; ends all sessions if it is another one. */
void admin_auth_reload(struct admin_auth *a, const struct config *old, const struct config *now);

/* Whether `bearer` is a session's token or a password that was found right; counts as a call. */
bool admin_auth_has(struct admin_auth *a, str bearer);

/* As that, but counts as no call: what goes on by itself does not keep a session alive. */
bool admin_auth_knows(struct admin_auth *a, str bearer);

/* Whether `bearer` lets its sender use /v1: a session's token, or its chat token. */
bool admin_auth_is_caller(struct admin_auth *a, str bearer);

/* Begins a session after a check of `generation`; false: that password is none any more. */
MUST_CHECK bool admin_auth_begin(struct admin_auth *a, uint64_t generation,
                                 char token[SESSION_TOKEN_BYTES]);

/* Makes `password`, found right by a check of `generation`, known. */
void admin_auth_adopt(struct admin_auth *a, uint64_t generation, str password);

void admin_auth_end(struct admin_auth *a, str bearer);

/* Of the session of `bearer`. */
str admin_auth_csrf(struct admin_auth *a, str bearer, char out[SESSION_TEXT_BYTES]);
str admin_auth_chat_token(struct admin_auth *a, str bearer, char out[SESSION_TEXT_BYTES]);
bool admin_auth_csrf_ok(struct admin_auth *a, str bearer, str presented);

/* ---- passwords ---- */

/* Who waits for a check, on one loop. */
struct admin_try;

typedef void admin_try_fn(void *arg, bool right, uint64_t generation);

struct admin_try_setup {
    str password;                // borrowed for the call
    const struct sockaddr *addr; // who presents it; borrowed for the call
    struct loop *loop;           // where fn(arg, …) runs
    admin_try_fn *fn;
    void *arg;
};

/* Checks a password: fn runs once. NULL: it may not be tried now, but in `*ret_wait_ms`. */
MUST_CHECK struct admin_try *
admin_auth_try(struct admin_auth *a, const struct admin_try_setup *setup, uint64_t *ret_wait_ms);

/* fn is not to be called any more. On the loop's thread, before it was called. */
void admin_try_leave(struct admin_try *t);

#endif
