/*
 * ndjson - cuts a byte stream into lines
 *
 * Lines are borrowed from the input where they lie in it whole; only a line that spans reads is
 * gathered in a buffer, which is freed with that line. So a stream that is idle between lines
 * holds no memory.
 *
 *     ndjson_feed(&nd, data);
 *     while (ndjson_next(&nd, &line) == NDJSON_LINE)
 *         …
 *
 * Threads: owned by one at a time.
 * Memory:  borrows the input until ndjson_next() stops giving lines.
 */
#ifndef CODEC_NDJSON_H
#define CODEC_NDJSON_H

#include "base/buf.h"
#include "base/str.h"

#define NDJSON_LINE_MAX (8u << 20) // bytes of one line; Ollama's own client has the same limit

enum ndjson_step {
    NDJSON_LINE,      // here is one
    NDJSON_MORE,      // the input is used up
    NDJSON_TOO_LARGE, // a line is over the limit: the stream is of no more use
};

struct ndjson {
    str input;        // not yet cut; borrowed
    struct buf carry; // owns the begin of a line that is still to end
    size_t line_max;
    bool carry_done; // the carry was given out as a line
    bool too_large;
};

/* `line_max` is NDJSON_LINE_MAX but in tests. */
void ndjson_init(struct ndjson *nd, size_t line_max);
void ndjson_release(struct ndjson *nd);

/* Hands in the next bytes; the last step must have been NDJSON_MORE. */
void ndjson_feed(struct ndjson *nd, str data);

/*
 * The next line, without its line end (LF or CRLF); blank lines are left out. The line is valid
 * until the next call on `nd` and not longer than the input.
 */
enum ndjson_step ndjson_next(struct ndjson *nd, str *ret_line);

/* After the last input: the line that has no line end, if there is one (NDJSON_MORE if not). */
enum ndjson_step ndjson_finish(struct ndjson *nd, str *ret_line);

#endif
