/*
 * http1_quick - reads the head that nearly all messages have, in one pass
 *
 * Takes a head that is whole in the slice, whose first line and fields are plain ASCII, and whose
 * framing is one of the three in use: Content-Length, chunked in an answer, nothing in a request.
 * Whatever is rarer, odd or wrong is left to llhttp and the checks behind it, so nothing is
 * refused here, and what is taken is what they would have said of the same bytes: the fuzz targets
 * fuzz_http1_request and fuzz_http1_response read each input in one piece, which this module may
 * take, and cut into pieces, which it never sees whole. For http1.c, and for nobody else.
 *
 * Threads: none; pure.
 */
#ifndef NET_HTTP1_QUICK_H
#define NET_HTTP1_QUICK_H

#include "net/http1.h"

enum {
    HTTP1_QUICK_FIELDS = 48,     // at most; the limits of http1.h are far above
    HTTP1_QUICK_BYTES = 4096,    // of the whole head
    HTTP1_QUICK_CHUNK_DIGITS = 7 // of a chunk's size
};

struct http1_quick_head {
    struct http1_message message; // its `fields` point below
    struct http1_field fields[HTTP1_QUICK_FIELDS];
    size_t len; // of the head with its empty line
};

/* Reads a head at the start of `data`, from which `*ret` borrows; false, if it is another's. */
bool http1_quick_head(enum http1_kind kind, str data, struct http1_quick_head *ret);

/*
 * Reads a chunk that is whole in the slice, up to the CR LF behind its data, or the last chunk
 * without trailers, whose data is empty. Returns its length, 0 if it is another's.
 */
size_t http1_quick_chunk(str data, str *ret);

#endif
