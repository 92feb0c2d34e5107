/*
 * sse - the frame of server-sent events, as far as OpenAI's clients agree on it
 *
 * One `data: ` line with one space, then a blank line; no event, id or retry fields. A comment
 * ends in one LF: with a blank line behind it some clients take it for an empty event.
 */
#ifndef CODEC_SSE_H
#define CODEC_SSE_H

#include "base/buf.h"
#include "base/str.h"

#define SSE_DONE       STR("data: [DONE]\n\n")
#define SSE_KEEP_ALIVE STR(": keep-alive\n")

static inline void sse_open(struct buf *out)
{
    buf_append(out, STR("data: "));
}

static inline void sse_close(struct buf *out)
{
    buf_append(out, STR("\n\n"));
}

#endif
