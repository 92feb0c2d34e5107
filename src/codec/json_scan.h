/*
 * json_scan - where the text of a JSON string stops being plain
 *
 * A body is mostly the text of long strings, and most of that is characters that mean themselves.
 * Finding the ends of such runs sixteen bytes at a time is what parsing and writing have in
 * common.
 *
 * Threads: none.
 */
#ifndef CODEC_JSON_SCAN_H
#define CODEC_JSON_SCAN_H

#include "base/lanes.h"
#include "base/str.h"

/* Which lanes end a run: a quote, a backslash, a control or, for plain text, what is no ASCII. */
static inline lanes json_ends_plain(lanes v)
{
    return (v < ' ') | (v == '"') | (v == '\\');
}

static inline lanes json_ends_string(lanes v)
{
    return ((v & (int8_t)0xE0) == 0) | (v == '"') | (v == '\\');
}

/* Whether the `n` bytes at `p` are U+0085, U+2028 or U+2029, which some clients take for line ends.
 */
static inline bool json_is_long_line_end(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;
    if (n == 2)
        return u[0] == 0xC2 && u[1] == 0x85;
    return n == 3 && u[0] == 0xE2 && u[1] == 0x80 && (u[2] == 0xA8 || u[2] == 0xA9);
}

/* The two calls below when the run does not end among the first lanes. */
size_t json_plain_run_on(str s);
size_t json_string_run_on(str s);

/* The number of bytes before the first that is a quote, a backslash, a control or no ASCII. */
static inline size_t json_plain_run(str s)
{
    size_t n = s.len >= LANES ? lanes_first(json_ends_plain(lanes_load(s.p))) : LANES;
    return n < LANES ? n : json_plain_run_on(s);
}

/* The number of bytes before the first that is a quote, a backslash or a control. */
static inline size_t json_string_run(str s)
{
    size_t n = s.len >= LANES ? lanes_first(json_ends_string(lanes_load(s.p))) : LANES;
    return n < LANES ? n : json_string_run_on(s);
}

/*
 * The number of bytes before the first character that a string cannot hold as the writer writes
 * it: a quote, a backslash, a control, a line end of more than one byte, or what is no UTF-8.
 */
size_t json_written_run(str s);

#endif
