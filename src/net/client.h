/*
 * client - HTTP/1.1 to upstreams: calls over connections that are kept and reused
 *
 * A call takes an idle connection to its origin or makes one (resolve, connect by happy eyeballs,
 * proxy, TLS), sends its request and reports the answer piece by piece. A reused connection that
 * dies before a byte of the answer is replaced once, unseen. Redirects are not followed, encoded
 * bodies are refused, 1xx answers are skipped up to the head's limit.
 *
 * Threads: one client per worker, owned by its loop.
 * Memory:  the request's head is copied by client_start(); its body, the array of slices
 *          included, is borrowed until on_head or on_fail.
 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "base/url.h"
#include "core/address.h"
#include "net/http1.h"
#include "net/loop.h"
#include "net/resolve.h"
#include "net/tls.h"

struct client;
struct client_call;

/* Where a call failed that did not come to its end. */
enum client_fail {
    CLIENT_FAIL_RESOLVE,  // no such host, or no answer of the resolver in time
    CLIENT_FAIL_ADDRESS,  // every address of the host is one we must not connect to
    CLIENT_FAIL_CONNECT,  // refused, unreachable, or CONNECT_TIMEOUT
    CLIENT_FAIL_TLS,      // handshake or certificate
    CLIENT_FAIL_PROXY,    // the proxy refused the tunnel
    CLIENT_FAIL_RESET,    // the connection ended before the answer was whole
    CLIENT_FAIL_PROTOCOL, // the answer is not sound HTTP, too large, or encoded
};

struct client_events {
    /* Status and headers; `m` is valid during the callback. */
    void (*on_head)(void *arg, const struct http1_message *m);
    void (*on_body)(void *arg, str data);
    /* The answer is whole. The call is gone. */
    void (*on_done)(void *arg);
    /* The call failed; `text` says why, for people (borrowed). The call is gone. */
    void (*on_fail)(void *arg, enum client_fail how, str text);
};

/* How far a call has come before its answer. */
enum client_step {
    CLIENT_CONNECTED, // of TCP, to the upstream or its proxy
    CLIENT_SECURED,   // TLS stands
    CLIENT_SENT,      // the whole request was handed to the connection
};

struct client_request {
    const struct url *url;            // origin and base path
    str method;                       // "POST", "GET"
    str path;                         // appended to the base path: "/api/chat"
    str content_type;                 // empty: no body
    const struct http1_field *fields; // further headers: Authorization, Via, traceparent
    size_t n_fields;
    const str *body; // slices, sent in order
    size_t n_body;
    bool fresh; // over a connection of its own, not one that is open already
    /* NULL: not wanted. With `fresh` never before client_start() returns; may not end the call. */
    void (*on_step)(void *arg, enum client_step step);
};

/* Settings of a client; strings are borrowed for the client's life or until the next configure. */
struct client_options {
    struct tls_context *tls; // the client takes its own reference
    const struct address_policy *addresses;
    uint64_t connect_timeout_ms;
    str http_proxy; // http:// URL, with user info if need be, or empty
    str https_proxy;
    str no_proxy; // comma-separated names, suffixes, addresses, CIDRs; "*": all
    str user_agent;
    resolve_lookup_fn *lookup; // NULL: the system's resolver. Counts in client_new() alone
};

/*
 * Whether the proxy settings can be used. A proxy that speaks TLS itself (https://) cannot. Calls
 * that would go through a proxy that does not pass here fail; they never go around it.
 *
 * ERR_SYNTAX  a proxy's URL or an item of no_proxy; `info` says which.
 */
MUST_CHECK enum err client_options_check(const struct client_options *options,
                                         struct err_info *info);

struct client *client_new(struct loop *loop, const struct client_options *options);

/* Takes new settings for calls to come. Connections are not reused across this. */
void client_configure(struct client *c, const struct client_options *options);

/* Every call must have ended or been cancelled. Accepts NULL. */
void client_free(struct client *c);

/* Starts a call; events follow, never before this returns. */
struct client_call *client_start(struct client *c, const struct client_request *request,
                                 const struct client_events *events, void *arg);

/*
 * Ends a call without an event: its connection is closed at once, which is what stops the
 * upstream's work. May be called from the call's own events. Accepts NULL.
 */
void client_cancel(struct client_call *call);

/* Stops and restarts reading the answer. */
void client_pause(struct client_call *call);
void client_resume(struct client_call *call);

#endif
