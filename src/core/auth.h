/*
 * auth - who a caller is
 *
 * Tokens are compared as digests, in time that depends neither on what was presented nor on which
 * token it equals.
 *
 * Threads: none; pure.
 */
#ifndef CORE_AUTH_H
#define CORE_AUTH_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/str.h"
#include "core/config.h"

/* The headers a token may come in; empty: not sent. */
struct auth_headers {
    str authorization; // "Bearer …"
    str x_api_key;
    str api_key;
};

enum auth_verdict {
    AUTH_OK,      // a valid token, or none is needed
    AUTH_MISSING, // none was presented
    AUTH_WRONG,
};

/* Whether `presented` is one of `tokens`. */
bool auth_is_token(const struct config_tokens *tokens, str presented);

enum auth_verdict auth_check(const struct config *cfg, const struct auth_headers *headers);

/* Whether tokens are set and, by auth_check(), one was presented: what lets a same-origin page
 * pass. */
bool auth_bearer_valid(const struct config *cfg, enum auth_verdict verdict);

/* The token in an Authorization header of scheme Bearer (any case); empty when there is none. */
str auth_bearer(str authorization);

/* What decides whether a request was made on this machine, by somebody at it. */
struct auth_loopback {
    const struct sockaddr *peer;
    bool forwarded; // a header for which auth_is_forwarding_field() is true
    bool http11;
    str host;
    str origin; // empty: none
};

bool auth_is_loopback_caller(const struct auth_loopback *request);

/* Whether a header of this name says that somebody stands in between. */
bool auth_is_forwarding_field(str name);

#endif
