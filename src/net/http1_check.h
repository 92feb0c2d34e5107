/*
 * http1_check - the rules for a head that go beyond its grammar
 *
 * Private to http1: framing fields, Host, Expect and the request target (RFC 9112 sections 3 and
 * 6, RFC 9110 sections 7.2 and 10.1.1), each in its strictest reading.
 *
 * Threads: none; pure.
 */
#ifndef NET_HTTP1_CHECK_H
#define NET_HTTP1_CHECK_H

#include "net/http1.h"

/* A status of 0: no fault. */
struct http1_fault {
    int status;
    const char *why; // a static sentence
};

/*
 * A host name, IPv4 or bracketed IPv6 address, and maybe a port. RFC 3986 lets sub-delims and
 * escapes into a name; no name in use has them, and parsers disagree on what they mean.
 */
bool http1_is_authority(str s);

/* Checks m->fields, and fills in what they say: chunked, length, expects_continue. */
struct http1_fault http1_check_fields(struct http1_message *m, enum http1_kind kind);

/*
 * Checks the target of a request whose fields were checked. An absolute-form target is cut down
 * to its path and query, for which a byte in front of them may be overwritten.
 */
struct http1_fault http1_check_target(struct http1_message *m);

#endif
