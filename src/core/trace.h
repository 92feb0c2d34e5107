/*
 * trace - request ids, traceparent and Via: what ties our requests to those of others
 *
 * Threads: none; pure.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/str.h"

/* Whether a caller's x-request-id may be used as ours: 1 to 128 of [A-Za-z0-9._:-]. */
bool trace_request_id_ok(str id);

/* Whether `value` is a traceparent (W3C Trace Context, any version but ff). */
bool trace_parent_ok(str value);

/* Whether `value` is a Via list (RFC 9110 section 7.6.3) that may be passed on. */
bool trace_via_ok(str value);

/* Whether `pseudonym` is the received-by of an entry: the request came through us before. */
bool trace_via_has(str value, str pseudonym);

/*
 * `value` (dropped when empty or not sound) with our own entry behind it; lives in `a`. p NULL
 * over budget.
 */
str trace_via_append(struct arena *a, str value, bool http10, str pseudonym);

#endif
