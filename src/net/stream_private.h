/*
 * stream_private - what the files of a stream share
 *
 * stream.c        life and death, reading, TLS's side of it
 * stream_write.c  what goes out, and what waits until the socket takes it
 *
 * Whoever includes this has included <uv.h> before, which no header does.
 */
#ifndef NET_STREAM_PRIVATE_H
#define NET_STREAM_PRIVATE_H

#include <netinet/in.h>

#include "base/buf.h"
#include "net/stream.h"
#include "net/tls.h"

#define OUTBOX_MAX_BYTES ((size_t)256 * 1024 * 1024)

struct outbox; // of stream_write.c

enum stream_state {
    STATE_CONNECTING,
    STATE_OPEN,
    STATE_ENDED,  // the owner was told
    STATE_CLOSED, // by the owner
};

struct stream {
    uv_tcp_t tcp;
    struct loop *loop;
    const struct stream_events *events;
    void *arg;
    struct outbox *out; // NULL: nothing waits
    struct tls_session *tls;
    struct buf *tls_out;      // while the session is fed: where records go, to keep their order
    uv_connect_t *connecting; // owned
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } peer;
    int error;        // libuv's, of the read side or of connect; 0: none
    int write_error;  // likewise, of a write: what was written since is dropped
    const char *note; // a failure that neither library knows
    unsigned char state;
    unsigned char sendq_slot; // what waits for the end of the turn, from 1; 0: nothing
    bool reading;
    bool paused;
    bool tls_open;
    bool wants_drain;
    bool shut_wanted;
    bool deferred;  // tell_failure() is on its way
    bool uv_closed; // the loop let go
};

/* ---- stream.c ---- */

/* Tells the owner, once, that the connection is over. */
void stream_end_as(struct stream *s, enum stream_end why);

/* Does so at the end of the turn. */
void stream_tell_failure_later(struct stream *s);

/*
 * A write failed. While the stream reads, the read side is left to find the end: the peer may
 * have answered before it closed. Otherwise the owner hears of it at the end of the turn.
 */
void stream_fail_write(struct stream *s, int error);

/* ---- stream_write.c ---- */

/* Sends bytes as they are, few of them at the end of the turn; keeps what the socket refuses. */
void stream_send_parts(struct stream *s, const str *parts, size_t n);

/* Ends the watch over a peer that takes nothing, and frees what waits for it. */
void stream_stop_stall(struct stream *s);
void stream_free_outbox(struct stream *s);

#endif
