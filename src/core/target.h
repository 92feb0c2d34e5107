/*
 * target - a request's path, and which route it is
 *
 * Clients get base URLs wrong in known ways: /v1 twice or not at all, doubled and trailing
 * slashes. All of these lead to the route that was meant. What no row of the table names is
 * ROUTE_UNKNOWN, and a row that names no role lets nobody in.
 *
 * Threads: none; pure.
 * Memory:  `id` and `rest` live in the caller's arena.
 */
#ifndef CORE_TARGET_H
#define CORE_TARGET_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum route {
    ROUTE_UNKNOWN,
    ROUTE_ROOT,
    ROUTE_HEALTH,
    ROUTE_METRICS,
    ROUTE_V1,
    ROUTE_CHAT,
    ROUTE_COMPLETIONS,
    ROUTE_EMBEDDINGS,
    ROUTE_MODELS,
    ROUTE_MODEL, // with an id
    ROUTE_ADMIN, // /admin and all below it
    ROUTE_COUNT,
};

/* Who may call a route. */
enum role {
    ROLE_NOBODY,
    ROLE_ANYBODY,
    ROLE_CALLER,  // a caller token, where one is set
    ROLE_METRICS, // METRICS_TOKEN, or a loopback caller where it is empty
    ROLE_ADMIN,
};

enum method_bit {
    METHOD_GET = 1,
    METHOD_HEAD = 2,
    METHOD_POST = 4,
    METHOD_PUT = 8,
    METHOD_PATCH = 16,
    METHOD_DELETE = 32,
    METHOD_OPTIONS = 64,
};

struct route_info {
    str name;         // for logs: "chat"
    unsigned methods; // of enum method_bit; OPTIONS is answered on every path and stands in none
    str allow;        // the value of Allow in a 405
    enum role role;
    bool cors; // CORS headers are sent
};

struct target {
    enum route route;
    str id;   // ROUTE_MODEL: the model's id, decoded
    str path; // decoded and cleaned, without query and /v1: "/chat/completions"; for logs, messages
};

/*
 * Finds the route of a request target (origin form, or absolute form) as it was written.
 *
 * ERR_SYNTAX     a broken escape, a control character, "." or ".." as a segment, or %2F outside
 *                a model's id; `info` says which.
 * ERR_TOO_LARGE  the arena's budget is used up.
 */
MUST_CHECK enum err target_parse(struct arena *a, str raw, struct target *ret,
                                 struct err_info *info);

/* The row of `route`; never NULL. */
const struct route_info *route_info(enum route route);

#endif
