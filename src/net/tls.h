/*
 * tls - OpenSSL as a filter between a stream and its bytes
 *
 * A session turns bytes off the socket into plain text and back, without a buffer of its own
 * between OpenSSL and the stream: what OpenSSL does not need stays with it only while a record is
 * incomplete. Peers of upstream connections are always verified.
 *
 * Threads: a context is shared by the workers; a session is owned by one loop.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct tls_context;
struct tls_session;

/* A server's context from PEM files. `info` names the file that does not do. */
MUST_CHECK enum err tls_server_context(const char *cert_file, const char *key_file,
                                       struct tls_context **ret, struct err_info *info);

/*
 * A client's context: the system's roots and, if `ca_file` is not NULL, those in it too. Without
 * one the library, and the system's hundreds of roots, are first read for the first session.
 */
MUST_CHECK enum err tls_client_context(const char *ca_file, struct tls_context **ret,
                                       struct err_info *info);

/* Reads now what the first session would have to wait for. Any thread. */
void tls_context_warm(struct tls_context *ctx);

/*
 * A client's context for one server of our own: the peer must have the certificate that `cert_file`
 * begins with, whoever signed it and whatever names it holds.
 */
MUST_CHECK enum err tls_pinned_context(const char *cert_file, struct tls_context **ret,
                                       struct err_info *info);

/* Contexts are counted: acquire returns its argument, release accepts NULL. Any thread. */
struct tls_context *tls_context_acquire(struct tls_context *ctx);
void tls_context_release(struct tls_context *ctx);

/*
 * A session of `ctx`. For a client, `name` is verified and, unless it is an IP literal, sent as
 * SNI; an earlier session to `resume_key` (any text: host, port and route) is resumed.
 */
struct tls_session *tls_session_new(struct tls_context *ctx, str name, str resume_key);
void tls_session_free(struct tls_session *t);

enum tls_state { TLS_HANDSHAKE, TLS_OPEN, TLS_CLOSED, TLS_FAILED };

/*
 * Takes bytes off the socket. Plain text goes to `on_plain` piece by piece (borrowed), what must
 * be sent is appended to `out`. Returns the state that follows.
 */
enum tls_state tls_feed(struct tls_session *t, str data, struct buf *out,
                        void (*on_plain)(void *arg, str plain), void *arg);

/* Begins the handshake of a client: appends its first flight to `out`. */
enum tls_state tls_begin(struct tls_session *t, struct buf *out);

/* Encrypts `plain` and appends the records to `out`. */
enum tls_state tls_write(struct tls_session *t, str plain, struct buf *out);

/* Appends a close_notify alert to `out`. */
void tls_close_notify(struct tls_session *t, struct buf *out);

/* Why the session failed, for people; "" when it did not. Borrowed from `t`. */
str tls_error(const struct tls_session *t);

#endif
