/*
 * cors - which web origins may use the API, and what browsers are told
 *
 * An origin that is refused gets no CORS header at all, so a browser keeps the answer from the
 * page. Nothing here is about /admin, which never sends these headers.
 *
 * Threads: none; pure.
 * Memory:  header values are static or borrow from the request.
 */
#ifndef CORE_CORS_H
#define CORE_CORS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* CORS_ORIGINS. */
struct cors_policy {
    bool automatic; // "auto": every origin with a token, else loopback and non-http ones
    const str *patterns;
    size_t n;
};

/* Parses "auto", or a list of origins ('*' stands for any run of bytes) by commas, into `a`. */
MUST_CHECK enum err cors_policy_parse(struct arena *a, str text, struct cors_policy *ret,
                                      struct err_info *info);

enum cors_verdict {
    CORS_NONE,  // the request has no Origin: not from a page, or not across origins
    CORS_ALLOW, // answer, with the headers below
    CORS_REFUSE // 403 origin_not_allowed, without CORS headers
};

struct cors_query {
    str origin;        // Origin; empty: none
    str host;          // Host, as it was sent
    bool tls;          // the request came by https, to us or to a trusted proxy
    bool tokens_set;   // API_TOKEN is set
    bool bearer_valid; // the request carries a valid token or session; false for a preflight
};

enum cors_verdict cors_decide(const struct cors_policy *policy, const struct cors_query *query);

/* Whether a serialised origin ("http://localhost:5173") names this machine. */
bool cors_origin_is_loopback(str origin);

struct cors_field {
    str name;
    str value;
};

#define CORS_FIELDS 8

struct cors_headers {
    struct cors_field items[CORS_FIELDS];
    size_t n;
};

/* What every answer to a request of an allowed origin carries. Nothing unless CORS_ALLOW. */
void cors_answer(enum cors_verdict verdict, str origin, struct cors_headers *ret);

struct cors_preflight {
    str origin;
    str request_headers;  // Access-Control-Request-Headers; empty: none
    bool private_network; // Access-Control-Request-Private-Network: true
};

/*
 * What the 204 to an OPTIONS request carries; nothing on CORS_REFUSE. The headers asked for are
 * echoed if they are a sound list, since one name that is missing blocks the whole call; else a
 * fixed list is sent.
 */
void cors_preflight_answer(enum cors_verdict verdict, const struct cors_preflight *preflight,
                           struct cors_headers *ret);

#endif
