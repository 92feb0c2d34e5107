/*
 * stream_private - what the two files of the stream share
 *
 * stream.c makes, reads and closes connections; stream_out.c sends, and keeps what the socket does
 * not take.
 */
#ifndef NET_STREAM_PRIVATE_H
#define NET_STREAM_PRIVATE_H

#include <netinet/in.h>
#include <uv.h>

#include "base/buf.h"
#include "net/stream.h"
#include "net/tls.h"

#define OUTBOX_MAX_BYTES ((size_t)256 * 1024 * 1024)

enum stream_state {
    STATE_CONNECTING,
    STATE_OPEN,
    STATE_ENDED,  // the owner was told
    STATE_CLOSED, // by the owner
};

/* What the socket did not take. Exists only while there is something. */
struct outbox {
    uv_write_t request; // carries `piece_bytes` of `flying`, from `flown_bytes` on
    struct buf flying;
    size_t flown_bytes;
    size_t piece_bytes;
    struct buf waiting; // grows while `flying` must not move
    size_t charged;     // bytes of both that the budget counts

    struct loop_timer stall;
    uint64_t queued_bytes; // all that was ever put in
    uint64_t taken_bytes;  // of it, by the peer, when last looked at
    uint64_t last_taken_ms;
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
    bool reading;
    bool paused;
    bool tls_open;
    bool wants_drain;
    bool shut_wanted;
    bool deferred;  // tell_failure() is on its way
    bool uv_closed; // the loop let go
};

/* Tells the owner, once, that the connection is over. */
void stream_end(struct stream *s, enum stream_end why);

/* The same, as a failure, at the end of the turn. */
void stream_tell_failure_later(struct stream *s);

/*
 * A write failed. While the stream reads, the read side is left to find the end: the peer may
 * have answered before it closed. Otherwise the owner hears of it at the end of the turn.
 */
void stream_fail_write(struct stream *s, int error);

/* Sends bytes as they are, or keeps them. */
void stream_send(struct stream *s, const str *parts, size_t n);

void stream_free_outbox(struct stream *s);

#endif
