/*
 * server_private - what the files of the server share
 *
 * server.c accepts connections and lets go of them, server_conn.c reads requests, server_reply.c
 * sends answers. A connection is one struct exchange, used for one exchange after the other.
 *
 * No call of the app's frees a connection or ends an exchange on the spot: it notes what is to be
 * done and asks for conn_settle(), which runs at the end of the turn.
 */
#ifndef NET_SERVER_PRIVATE_H
#define NET_SERVER_PRIVATE_H

#include <stdatomic.h>

#include "base/list.h"
#include "core/address.h"
#include "net/server.h"
#include "net/stream.h"

#define HEAD_DEADLINE_MS  10000 // of a TLS handshake, and of a request's head in all
#define IDLE_MS           75000
#define BODY_GRACE_MS     10000
#define BODY_CHECK_MS     1000
#define BODY_BYTES_PER_S  1024
#define LINGER_MS         2000
#define LINGER_BYTES      ((size_t)8 * 1024 * 1024)
#define PIPELINED_BYTES   ((size_t)64 * 1024)
#define REQUESTS_PER_CONN 1000
#define BODY_SPARE_BYTES  4
#define DRAIN_SILENCE_MS  1000

/* Where a connection stands. conn_set_phase() makes the moves. */
enum phase {
    PHASE_IDLE,   // between two requests, or before the first
    PHASE_HEAD,   // a part of a head came
    PHASE_BODY,   // the app knows the head; the body is being read
    PHASE_APP,    // the request is whole: the app answers
    PHASE_SENT,   // the answer was written whole; bytes of it may wait for the socket
    PHASE_LINGER, // our side is closed: what comes is dropped, so that the answer can be read
    PHASE_DEAD,
};

/* How the body of an answer is sent. */
enum framing {
    FRAMING_NONE,    // no body: HEAD, 204, 304
    FRAMING_LENGTH,  // with the head, in one piece
    FRAMING_CHUNKED, //
    FRAMING_CLOSE,   // until the connection ends
};

struct exchange {
    struct list link; // in server.idle (oldest first) or server.busy
    struct server *server;
    struct stream *stream;
    struct http1 http;
    struct loop_timer timer;
    struct buf pipelined; // read, and not looked at yet
    struct buf body;
    size_t charged;      // bytes of the body that the budget counts
    struct buf head_out; // the head of an answer that was begun, until it goes out
    void *data;          // the app's

    uint64_t allowed_bytes; // of the request's body
    uint64_t received_bytes;
    uint64_t sent_bytes;
    uint64_t begun_ms;      // first byte of the request; in PHASE_IDLE: when that began
    uint64_t body_begun_ms; // head of the request
    uint32_t first_byte_ms;
    uint32_t n_requests;
    size_t lingered_bytes;

    int status; // of the answer; 0: not begun
    enum phase phase;
    enum framing framing;
    bool http10;
    bool is_head;                  // the request is
    bool has_body;                 // the request says it has one
    bool keep_alive;               // the connection outlives the exchange
    bool app_has;                  // on_head was called, on_end was not
    bool in_reader;                // http1_feed() is on the stack
    bool aborting;                 // exchange_abort() was called
    bool settling;                 // conn_settle() is on its way
    bool paused;                   // the stream is, until the backlog is worked off
    bool counted;                  // in the table of peers
    char peer[ADDRESS_TEXT_BYTES]; // "": not asked for yet
};

struct server {
    struct loop *loop;
    void *listener; // uv_tcp_t; NULL once it is closed
    struct tls_context *tls;
    struct server_options options;
    const struct server_events *events;
    void *app;
    struct list idle; // connections in PHASE_IDLE
    struct list busy;
    _Atomic size_t n_connections; // written by the loop's thread alone
    struct loop_timer retry;      // looks again whether a waiting connection can be taken
    bool waiting;                 // one was left unaccepted
    bool draining;
    loop_fn *on_idle; // server_drain()'s; called once
    void *on_idle_arg;
    struct buf scratch;  // answers are put together here
    char head_begin[64]; // the line of a 200, and "Date: ...\r\n", as of date_s
    int64_t date_s;
};

/* server.c */
/* Takes a connection off the server's books. */
void server_forget(struct exchange *x);

/* server_conn.c */
void conn_start(struct exchange *x);
void conn_set_phase(struct exchange *x, enum phase phase);
void conn_settle_later(struct exchange *x);
/* Ends the exchange, if there is one, as `how`, and closes the connection. Not from the app's
 * calls. */
void conn_drop(struct exchange *x, enum exchange_end how);

/* server_reply.c */
/* Refuses the request in hand with an answer of our own; the connection will close. */
void reply_refuse(struct exchange *x, int status, const char *why);
/* Sends a head that exchange_begin() left to wait. */
void reply_flush_head(struct exchange *x);
void reply_continue(struct exchange *x);

/* server_peers.c: connections per address, of the whole process. Any thread. */
/* Counts one more; false, and not counted, when `limit` are open already. */
bool peers_acquire(const struct sockaddr *peer, uint32_t limit);
void peers_release(const struct sockaddr *peer);

#endif
