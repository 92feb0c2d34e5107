/*
 * admin_gate - what a request's head says about who sent it, for the admin side
 *
 * Threads: none; pure but for the settings it is given.
 */
#ifndef APP_ADMIN_GATE_H
#define APP_ADMIN_GATE_H

#include <stdbool.h>

#include "base/str.h"
#include "net/http1.h"
#include "net/server.h"

/* Whether the request was made on this machine, by somebody at it. */
bool gate_is_loopback_caller(const struct exchange *x);

/* The value of the session's cookie; empty: none. By TLS it has another name. */
str gate_cookie(const struct http1_message *m, bool encrypted);

/* Whether the page that sent the request is ours, as far as its headers tell. */
bool gate_is_same_origin(const struct http1_message *m);

/* Whether the body is declared as JSON. */
bool gate_is_json(const struct http1_message *m);

#endif
