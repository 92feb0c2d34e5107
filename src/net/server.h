/*
 * server - HTTP/1.1 for callers: connections in, one exchange at a time out
 *
 * Each connection carries one exchange after the other. A request is read whole (its body into
 * memory, up to the limit the app names) and then handed over; pipelined requests wait, in order.
 * The connection is read all the while, so that a caller who leaves is noticed in the same turn.
 * Everything a strict server must refuse is refused here, and the app never sees it.
 *
 * Threads: one server per worker, owned by its loop.
 * Memory:  an exchange owns the request's head and body until exchange_drop_request().
 */
#ifndef NET_SERVER_H
#define NET_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "net/http1.h"
#include "net/loop.h"
#include "net/tls.h"

struct server;
struct exchange;

/* How an exchange ended, for the access log. */
enum exchange_end {
    EXCHANGE_SENT,    // the whole answer was given to the kernel
    EXCHANGE_GONE,    // the caller closed before that
    EXCHANGE_STALLED, // the caller took nothing for 30 s
    EXCHANGE_CUT,     // exchange_abort(): our answer could not be completed
};

#define SERVER_REFUSAL_FIELDS 16

/* An answer of the server's own. */
struct server_refusal {
    int status;
    const char *why; // a sentence
    str peer;        // the caller's address

    // for the app to fill in
    struct http1_field fields[SERVER_REFUSAL_FIELDS];
    size_t n_fields;
    struct buf body; // the server's
    char text[64];   // room for a value in `fields`
};

/*
 * on_end comes at the end of the turn or out of the loop, never before a call of the app's into
 * the exchange has returned. An answer of the server's own to an exchange that had its on_head
 * (400, 408, 413: a body that is unsound, too slow or too large) ends it as EXCHANGE_SENT; its
 * status is exchange_status().
 */
struct server_events {
    /*
     * The head is sound and within limits. Either answers at once (exchange_reply: the body is
     * then not read), or says how large a body may be and returns.
     */
    void (*on_head)(void *app, struct exchange *x);
    /* The request is whole. */
    void (*on_request)(void *app, struct exchange *x);
    /* Unsent bytes fell below the low mark after exchange_write() had gone above the high one. */
    void (*on_drain)(void *app, struct exchange *x);
    /*
     * The exchange is over, however it came to that: the last event of each exchange that had an
     * on_head. The app must let go of `x`.
     */
    void (*on_end)(void *app, struct exchange *x, enum exchange_end how);
    /*
     * The server refuses a request by itself, since it is unsound, too slow or too large: fills in
     * what the caller gets. `x` is the exchange if it had its on_head, else NULL: then there is no
     * further event, and this is the place for the access log.
     */
    void (*on_refuse)(void *app, struct exchange *x, struct server_refusal *refusal);
};

struct server_options {
    size_t max_connections;     // of this worker; accepting pauses at it
    uint32_t max_conn_per_addr; // 0: no limit. Not for loopback and trusted peers
    bool (*peer_is_trusted)(void *app, const struct sockaddr *peer);
};

/* What a server is made of. All is borrowed but what the comments say. */
struct server_setup {
    int listen_fd;                        // bound; the server takes it over, and listens
    struct tls_context *tls;              // NULL: plain. The server takes its own reference
    const struct server_options *options; // copied
    const struct server_events *events;   // lives as long as the server
    void *app;                            // handed to the events
};

MUST_CHECK enum err server_new(struct loop *loop, const struct server_setup *setup,
                               struct server **ret, struct err_info *info);

/* Replaces certificate and options for connections to come. */
void server_configure(struct server *s, struct tls_context *tls,
                      const struct server_options *options);

/*
 * Stops accepting (after what waits was accepted), closes idle connections and makes each other
 * one close after its exchange; on_idle runs once none is left.
 */
void server_drain(struct server *s, loop_fn *on_idle, void *arg);

/* Closes everything at once; on_end runs for each open exchange. Accepts NULL. */
void server_free(struct server *s);

size_t server_connections(const struct server *s);

/* ---- one exchange ---- */

/* The app's own pointer of the exchange; NULL until set. */
void exchange_set_data(struct exchange *x, void *data);
void *exchange_data(const struct exchange *x);

/* The request's head; its strings are valid until exchange_drop_request(), and empty then. */
const struct http1_message *exchange_message(const struct exchange *x);

/* The request's body; empty before on_request. The bytes may be changed in place (JSON in situ
 * needs 4 spare bytes behind the end: they are there, and zero). */
struct buf *exchange_body(struct exchange *x);

/* Says, in on_head, how large the body may be; 0, the default, allows none. */
void exchange_allow_body(struct exchange *x, uint64_t max_bytes);

/* Frees the body alone: it was read. */
void exchange_drop_body(struct exchange *x);

/* Frees head and body: an open stream holds neither. */
void exchange_drop_request(struct exchange *x);

/* The caller's address (that of the socket) as text; borrowed from `x`. */
str exchange_peer(const struct exchange *x);
const struct sockaddr *exchange_peer_addr(const struct exchange *x);

bool exchange_is_tls(const struct exchange *x);

/* Makes the connection close after the answer, which is still to be begun. */
void exchange_close_after(struct exchange *x);

/*
 * Sends a whole answer. `fields` are sent as they are; Content-Length, Date and Connection are
 * added here. HEAD requests get the head alone. Ends the exchange.
 */
void exchange_reply(struct exchange *x, int status, const struct http1_field *fields,
                    size_t n_fields, str body);

/*
 * Begins an answer of unknown length: chunked, or until the end for a 1.0 caller. Its head goes
 * out with the first piece, or at the end of the turn.
 */
void exchange_begin(struct exchange *x, int status, const struct http1_field *fields,
                    size_t n_fields);

/* Sends one piece of it, at once, as one chunk; nothing for an empty one. */
void exchange_write(struct exchange *x, str data);

/* Ends the answer: the last chunk goes out and the connection is free for the next request. */
void exchange_finish(struct exchange *x);

/* As exchange_write() and exchange_finish(), in one write. */
void exchange_finish_with(struct exchange *x, str data);

/*
 * Gives up: closes the connection without the last chunk, or without an answer if none was begun.
 */
void exchange_abort(struct exchange *x);

/* True while more than the high mark of bytes waits for the caller. */
bool exchange_congested(const struct exchange *x);

/* Whether exchange_begin() or exchange_reply() was called. */
bool exchange_begun(const struct exchange *x);

/* What was sent, for the access log: body bytes given to the stream; ms from the first byte of
 * the request to the first of the answer (0 before that), and until now. */
uint64_t exchange_sent_bytes(const struct exchange *x);
uint64_t exchange_first_byte_ms(const struct exchange *x);
uint64_t exchange_age_ms(const struct exchange *x);
int exchange_status(const struct exchange *x);

/* Body bytes of the request that were read. */
uint64_t exchange_received_bytes(const struct exchange *x);

#endif
