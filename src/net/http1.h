/*
 * http1 - HTTP/1.1 messages, strictly (RFC 9112)
 *
 * Wraps llhttp for requests and responses, and makes the checks that llhttp leaves out: exactly
 * one Host, Transfer-Encoding exactly "chunked" and only in 1.1, versions 1.0 and 1.1 alone, a
 * list of methods, no control characters in values, and limits on line, field, head and count.
 * Before it stands a quick way for the heads and chunks that nearly all messages have.
 * One parser reads the messages of one connection, one after the other: it stops behind each.
 *
 * Threads: owned by one loop.
 * Memory:  fields and target live in the parser's head store, which is taken from the pool when a
 *          message begins and freed by http1_drop_head(); an idle connection holds none.
 */
#ifndef NET_HTTP1_H
#define NET_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/pool.h"
#include "base/str.h"

/*
 * Limits of a request's head, at which it is still taken: the first line and each field without
 * its line end; all field lines together with theirs. Trailers, and the extensions of one chunk,
 * may have HTTP1_HEAD_BYTES too. A response's fields are held to the two limits below alone.
 */
#define HTTP1_LINE_BYTES          8192
#define HTTP1_FIELD_BYTES         8192
#define HTTP1_HEAD_BYTES          16384
#define HTTP1_FIELDS              100
#define HTTP1_RESPONSE_HEAD_BYTES 65536
#define HTTP1_RESPONSE_FIELDS     1000

struct http1_field {
    str name; // as it was written
    str value;
};

enum http1_method {
    HTTP1_GET,
    HTTP1_HEAD,
    HTTP1_POST,
    HTTP1_PUT,
    HTTP1_PATCH,
    HTTP1_DELETE,
    HTTP1_OPTIONS,
};

struct http1_message {
    enum http1_method method; // requests
    str target;               // requests: "/...", as it was written; absolute-form is cut to it
    int status;               // responses
    bool http10;
    bool keep_alive;       // as version and Connection say
    bool chunked;          // has Transfer-Encoding: chunked
    bool has_length;       // has Content-Length
    uint64_t length_bytes; // its value
    bool expects_continue; // requests: Expect: 100-continue
    const struct http1_field *fields;
    size_t n_fields;
    uint64_t name_lengths; // bit n: a field's name has n bytes; bit 63: or more
};

/* The bit of a name's length in name_lengths: most names that are asked for are not there. */
static inline uint64_t http1_length_bit(size_t len)
{
    return (uint64_t)1 << (len < 63 ? len : 63);
}

/*
 * What a parser reports. A 1xx answer is a message of its own, without a body. on_complete may
 * release the parser; the others must not.
 */
struct http1_events {
    /* The head is whole. A status other than 0 stops the parser with that fault. */
    int (*on_head)(void *arg, const struct http1_message *m);
    /* Some of the body, decoded. A status other than 0 stops the parser with that fault. */
    int (*on_body)(void *arg, str data);
    /* The message is whole. The parser stops here; http1_next() makes it go on. */
    void (*on_complete)(void *arg);
};

enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE };

struct http1_head_store; // text, fields and target of the message in hand

#define HTTP1_MACHINE_BYTES 104

struct http1 {
    _Alignas(8) unsigned char machine[HTTP1_MACHINE_BYTES]; // llhttp's; size checked in http1.c
    const struct http1_events *events;
    void *arg;
    struct http1_head_store *head;
    struct pool *pool; // where heads come from; NULL, as http1_init() leaves it: the heap
    enum http1_kind kind;
    int fault;                 // the status that the peer's fault deserves; 0: none
    const char *why;           // a static sentence about the fault
    bool complete;             // a message was read whole and http1_next() was not called yet
    bool in_message;           // the first byte of a message was seen
    bool answer_to_head;       // responses: the request was HEAD, so no body follows
    uint64_t body_limit_bytes; // a body of more is a fault (413); on_head may lower it

    // The parser's own.
    unsigned char phase;
    bool machine_used;       // llhttp has read something of the message in hand
    bool between_chunks;     // the next byte is that of a chunk's size
    char last_byte;          // of the head so far
    uint16_t n_trailers;     // field lines behind the last chunk
    uint32_t n_lines;        // of the head so far
    uint32_t line_bytes;     // of the head's line in hand
    uint32_t head_bytes;     // of whole field lines
    uint32_t unbodied_bytes; // since the last byte of the body: chunk sizes, extensions, trailers
    uint64_t body_bytes;     // of the message in hand
    uint64_t left_bytes;     // of a body whose length is known and which llhttp does not read
    const char *body_end;    // end of the last piece of the body in the slice in hand
};

void http1_init(struct http1 *h, enum http1_kind kind, const struct http1_events *events,
                void *arg);
void http1_release(struct http1 *h);

/*
 * Reads `data` up to its end, to the end of a message, or to a fault; returns how many bytes it
 * took. After a fault (h->fault is not 0) it takes nothing more.
 */
size_t http1_feed(struct http1 *h, str data);

/* Responses: the connection ended. True if that is a sound end of the message in hand. */
bool http1_feed_eof(struct http1 *h);

/* Makes the parser ready for the next message. */
void http1_next(struct http1 *h);

/* The message in hand, or NULL before its head is whole and after http1_drop_head(). */
const struct http1_message *http1_message(const struct http1 *h);

/* Frees fields and target of the message in hand; they are not valid any more. */
void http1_drop_head(struct http1 *h);

/* Requests: whether what came so far of the message in hand begins with the method HEAD. */
bool http1_is_head(const struct http1 *h);

/* The value of the first field named `name` (any case); p NULL when there is none. */
str http1_find(const struct http1_message *m, str name);

/* The name of a method as it is sent; a static string. */
str http1_method_name(enum http1_method method);

/*
 * The values of all fields named `name`, joined by ", " (RFC 9110 section 5.3): in `a` when there
 * are several. p NULL when there is none.
 */
str http1_join(struct arena *a, const struct http1_message *m, str name);

/* The registered reason phrase of `status`; a static string, "Unknown" for others. */
str http1_reason(int status);

#endif
