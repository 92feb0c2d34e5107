/*
 * stream - one connection, plain or TLS, behind the same calls
 *
 * Bytes come in through on_read and go out through stream_write(), which gives them to the socket,
 * small writes at the end of the turn, and keeps only what it does not take. The owner hears of the
 * end of the connection once and then closes the stream; after stream_close() it hears nothing
 * more.
 *
 * Threads: owned by the loop's.
 * Memory:  stream_write() copies what it does not send at once. stream_close() frees the stream
 *          when the loop has let go of it.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"
#include "net/loop.h"

struct stream;
struct tls_context;

/* Above HIGH unsent bytes the source of what is written must be paused; on_drain at LOW. */
#define STREAM_HIGH_BYTES ((size_t)256 * 1024)
#define STREAM_LOW_BYTES  ((size_t)64 * 1024)

/* How a connection ended, seen from here. */
enum stream_end {
    STREAM_EOF,     // the peer closed its side in order; under TLS, by ending TLS first
    STREAM_RESET,   // reset, or another error of the socket
    STREAM_REFUSED, // the connection was never made
    STREAM_TLS,     // handshake, certificate or record failure; stream_error() says which
    STREAM_STALLED, // the peer took no byte of what waits for it for STREAM_STALL_MS
};

#define STREAM_STALL_MS 30000

/* Any of them may close the stream. */
struct stream_events {
    void (*on_open)(void *arg);           // connected and, under TLS, verified; see stream_start()
    void (*on_read)(void *arg, str data); // borrowed until the callback returns
    void (*on_end)(void *arg, enum stream_end why);
    void (*on_drain)(void *arg);   // unsent bytes fell to STREAM_LOW_BYTES after STREAM_HIGH_BYTES
    void (*on_flushed)(void *arg); // of bytes that had to wait, the last was given to the socket
};

/*
 * Takes the next waiting connection of `listener` (a uv_tcp_t of this loop). The stream reads as
 * soon as stream_start() was called.
 */
MUST_CHECK enum err stream_accept(struct loop *loop, void *listener, struct stream **ret);

/* Takes over `fd`, a connection that accept() returned; closes it when that fails. */
MUST_CHECK enum err stream_adopt(struct loop *loop, int fd, struct stream **ret);

/* Begins to connect to `addr`; on_open or on_end follows, never before this returns. */
MUST_CHECK enum err stream_connect(struct loop *loop, const struct sockaddr *addr,
                                   const struct stream_events *events, void *arg,
                                   struct stream **ret);

/* Gives the stream to an owner: sets who hears of it, from now on. Functions may be NULL. */
void stream_set_events(struct stream *s, const struct stream_events *events, void *arg);

/*
 * Starts to read an accepted stream: plain, or as the server's side of TLS if `tls` is given.
 * Under TLS, on_open tells when the handshake is done; without, it is not called.
 */
void stream_start(struct stream *s, struct tls_context *tls);

/*
 * Begins TLS as a client on an open plain stream; on_open comes again when it is done. `name` is
 * the host whose certificate the peer must show: a DNS name, sent as SNI, or an IP literal;
 * `resume_key` as in tls_session_new().
 */
void stream_start_tls(struct stream *s, struct tls_context *tls, str name, str resume_key);

/* Sends the parts in order. Does nothing on a stream that has ended. */
void stream_write(struct stream *s, const str *parts, size_t n);

/*
 * Sends as much of `data` as the socket takes now, and returns how many bytes that was; up to
 * 64 KiB of them are kept here while the socket is full. When it is less than all, on_drain comes
 * once more can be taken. For bodies that the caller keeps anyway.
 */
size_t stream_write_some(struct stream *s, str data);

/* Gives the socket now what would leave at the end of the turn. */
void stream_flush(struct stream *s);

/* Bytes that wait for the peer: those that the socket did not take. It was not asked yet about
 * those that leave at the end of the turn, up to 4 KiB; stream_flush() asks it. */
size_t stream_unsent(const struct stream *s);

/*
 * Stops and restarts reading; what was read already is still handed over. While paused, the end
 * of the connection is only seen when a write fails.
 */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

/* Sends what waits and then closes our side; reading goes on. */
void stream_shutdown(struct stream *s);

/* Closes, dropping what waits. Accepts NULL. No event comes any more. */
void stream_close(struct stream *s);

/* As stream_close, so that the peer sees a reset. */
void stream_abort(struct stream *s);

/*
 * A long run of small messages is about to come: the kernel need not acknowledge each as soon as
 * it was read, which costs as much as half of sending one on. It acknowledges every second, and
 * a single one after 40 ms, from when on it is as hasty as before.
 */
void stream_expect_many(struct stream *s);

/* The peer's address, as accept() or connect() had it. */
const struct sockaddr *stream_peer(const struct stream *s);

/* What went wrong, for people: the system's or the TLS library's words. "" when nothing did. */
str stream_error(const struct stream *s);

bool stream_is_tls(const struct stream *s);

/*
 * Counts the descriptors this process has besides streams, and reads its limit. To be called once
 * the process has opened what it keeps; any thread.
 */
void stream_count_descriptors(void);

/* How many descriptors are free, by that count and the streams that are open. Any thread. */
size_t stream_free_descriptors(void);

#endif
