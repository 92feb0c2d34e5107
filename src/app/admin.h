/*
 * admin - the admin side: /admin and all below it
 *
 * Every route is a row of the table in admin.c: method, path, who may call it, how large its body
 * may be, and the handler. What stands in no row is refused, and refused before it is said whether
 * there is such a thing: somebody without a session learns nothing.
 *
 * In this order a request is judged, before a byte of its body is read: with the built-in default
 * password only callers on this machine get in; then who it is (bearer, cookie), then for cookies
 * that the page which sent it is ours (X-CSRF, Sec-Fetch-Site, Origin), then path and method.
 *
 * Threads: a call is its worker's; what is shared is in struct admin.
 */
#ifndef APP_ADMIN_H
#define APP_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "app/request.h"
#include "base/err.h"
#include "core/config.h"
#include "net/http1.h"
#include "store/store.h"

struct admin;
struct admin_call;

/*
 * What all workers share of the admin side; the main thread's. Before the store's thread and the
 * workers run.
 */
MUST_CHECK enum err admin_new(const struct config *config, struct store *store, struct admin **ret,
                              struct err_info *info);

/* Ends what still runs for it. After the workers have ended, before their loops are freed. Accepts
 * NULL. */
void admin_stop(struct admin *admin);

/* After admin_stop(), and once the workers' loops are freed. Accepts NULL. */
void admin_free(struct admin *admin);

/* Takes over new settings. The main thread's. */
void admin_reload(struct admin *admin, const struct config *old, const struct config *now);

/* The head of a request for /admin; `path` as target_parse() has cleaned it. */
void admin_on_head(struct request *r, str path);

/* The request is whole. */
void admin_on_request(struct request *r);

/* The caller took most of what was sent. */
void admin_on_drain(struct request *r);

/* Lets go of all that was done for the request. Accepts NULL. */
void admin_call_free(struct admin_call *c);

/* Whether the sender of `bearer` may use /v1: it is a session's token, or its chat token. */
bool admin_is_caller(struct admin *admin, str bearer);

#define ADMIN_FIELDS 8

#define ADMIN_FIELDS 8

/*
 * The headers that everything below /admin has, security's and Cache-Control; returns their
 * number, at most ADMIN_FIELDS.
 */
size_t admin_fields(const struct request *r, str cache_control,
                    struct http1_field fields[ADMIN_FIELDS]);

#endif
