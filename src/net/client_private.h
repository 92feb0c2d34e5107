/*
 * client_private - what the files of the client share: origins, connections, dials, calls
 *
 * client.c        calls: their heads, their events, their end
 * client_conn.c   connections: one call's exchange after the other, and the idle ones in between
 * client_dial.c   how a connection comes about: resolving, racing addresses, tunnel, TLS
 * client_proxy.c  which proxy a call goes through
 *
 * A call has either a dial or a connection. Calls, dials and connections that are over are freed
 * at the end of the turn, so whoever called out looks at the state of its object afterwards.
 */
#ifndef NET_CLIENT_PRIVATE_H
#define NET_CLIENT_PRIVATE_H

#include "base/buf.h"
#include "base/list.h"
#include "net/client.h"
#include "net/client_proxy.h"
#include "net/resolve.h"
#include "net/stream.h"

#define CLIENT_IDLE_MAX     256 // connections of one origin that wait for a call
#define CLIENT_IDLE_MS      60000
#define CLIENT_HEAD_BYTES   ((size_t)64 * 1024) // of a request
#define CLIENT_SKIPPED_MAX  32                  // 1xx answers before the one that counts
#define CLIENT_ATTEMPT_MS   250                 // from one address to the next (RFC 8305)
#define CLIENT_BUCKETS      256
#define CLIENT_REASON_BYTES 320

/* What calls must have in common to share connections: scheme, host, port and route. */
struct origin {
    struct list link; // in its bucket
    struct list idle; // connections, the last used first
    size_t n_idle;
    size_t refs;  // calls and connections
    bool retired; // made under settings that were replaced: no more reuse
    bool tls;
    bool proxied;
    bool proxy_usable;
    bool fields_fit;
    uint16_t port;
    uint16_t proxy_port;
    str key;       // names all that; also for resumed TLS sessions
    str authority; // as in a URL
    str host;
    str fields; // field lines that all requests have in common
    str target; // host and port, for people and for CONNECT
    str proxy_host;
    str proxy_target;
    str proxy_credentials;
};

struct client {
    struct loop *loop;
    struct client_options options;
    struct proxy_rules proxies;
    struct resolver *resolver;
    struct list calls;
    struct buf scratch; // heads are put together here
    struct list origins[CLIENT_BUCKETS];
};

struct client_call {
    struct list link; // client.calls
    struct client *client;
    struct loop *loop;
    struct origin *origin;
    const struct client_events *events;
    void (*on_step)(void *arg, enum client_step step); // NULL: not wanted
    void *arg;
    struct dial *dial;
    struct conn *conn;
    str head; // of the loop's pool; given back when the answer's head is there
    const str *body;
    size_t n_body;
    size_t slice;  // how much of the body was handed to the connection
    size_t offset; // of that slice
    bool sent;     // all of it
    bool head_only;
    bool paused;
};

/* ---- client.c ---- */

/* The call got a connection of its own. */
void call_connected(struct client_call *call, struct stream *stream);

/* Tells the owner how far it is. */
static inline void call_step(const struct client_call *call, enum client_step step)
{
    if (call->on_step != NULL)
        call->on_step(call->arg, step);
}

/* Its reused connection was dead before a byte of answer. */
void call_replay(struct client_call *call);

/* These end the call and tell its owner; nothing of it may be touched after them. */
void call_done(struct client_call *call);
void call_fail(struct client_call *call, enum client_fail how, str text);

/* Frees what only sending needed. */
void call_drop_request(struct client_call *call);

/* Formats a sentence into `out`; returns it, cut to fit. */
str client_reason(char out[CLIENT_REASON_BYTES], const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Drops one reference. */
void origin_release(struct origin *o);

/* ---- client_conn.c ---- */

struct conn;

struct conn *conn_new(struct client *client, struct origin *origin, struct stream *stream);

/* An idle connection to `origin`, or NULL. */
struct conn *conn_take_idle(struct origin *origin);

/* Sends the call's request; the connection is the call's until the answer is whole. */
void conn_run(struct conn *c, struct client_call *call);

void conn_close(struct conn *c);
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/* ---- client_dial.c ---- */

struct dial;

/* Begins to make a connection for `call`; the outcome comes later. */
void dial_start(struct client_call *call);

/* Makes `call` fail in a later turn. */
void dial_start_failed(struct client_call *call, enum client_fail how, str text);

/* Gives up without an event. */
void dial_cancel(struct dial *d);

#endif
