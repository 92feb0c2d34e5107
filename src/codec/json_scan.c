#include "codec/json_scan.h"

#define BLOCK (4 * LANES) // as many as are looked at between two branches

/* Of which bytes a run consists; known where it is used, so that no call remains. */
typedef lanes stops(lanes v);

/* For 8 <= s.len < LANES: the first and the last eight bytes, which overlap. */
static ALWAYS_INLINE size_t run_of_two_halves(str s, stops *stop)
{
    const size_t half = LANES / 2;
    char both[LANES];
    memcpy(both, s.p, half);
    memcpy(both + half, s.p + s.len - half, half);
    size_t n = lanes_first(stop(lanes_load(both)));
    return n < half ? n : n + s.len - LANES;
}

/* For s.len < LANES / 2: as above with quarters, or byte by byte, before zeros, which stop. */
static ALWAYS_INLINE size_t run_of_few(str s, stops *stop)
{
    const size_t quarter = LANES / 4;
    char word[LANES] = {0};
    if (s.len < quarter) {
        for (size_t i = 0; i < s.len; i++)
            word[i] = s.p[i];
        return lanes_first(stop(lanes_load(word)));
    }
    memcpy(word, s.p, quarter);
    memcpy(word + quarter, s.p + s.len - quarter, quarter);
    size_t n = lanes_first(stop(lanes_load(word)));
    return n < quarter ? n : n + s.len - 2 * quarter;
}

static ALWAYS_INLINE size_t run(str s, stops *stop)
{
    if (s.len < LANES / 2)
        return run_of_few(s, stop);
    if (s.len < LANES)
        return run_of_two_halves(s, stop);
    size_t i = 0;
    // Most runs are short: blocks pay behind the first few lanes only.
    for (; i < BLOCK && s.len - i >= LANES; i += LANES) {
        size_t n = lanes_first(stop(lanes_load(s.p + i)));
        if (n < LANES)
            return i + n;
    }
    for (; s.len - i >= BLOCK; i += BLOCK) {
        const char *p = s.p + i;
        if (lanes_any(stop(lanes_load(p)) | stop(lanes_load(p + LANES)) |
                      stop(lanes_load(p + 2 * LANES)) | stop(lanes_load(p + 3 * LANES))))
            break;
    }
    for (; s.len - i >= LANES; i += LANES) {
        size_t n = lanes_first(stop(lanes_load(s.p + i)));
        if (n < LANES)
            return i + n;
    }
    // The rest together with bytes that are known to go on the run.
    i = s.len - LANES;
    return i + lanes_first(stop(lanes_load(s.p + i)));
}

size_t json_plain_run_on(str s)
{
    return run(s, json_ends_plain);
}

size_t json_string_run_on(str s)
{
    return run(s, json_ends_string);
}

/* The number of bytes before the first that is ASCII, not UTF-8, or a line end. */
static size_t foreign_run(str s)
{
    size_t i = 0;
    while (i < s.len && (unsigned char)s.p[i] >= 0x80) {
        size_t n = utf8_sequence(str_skip(s, i));
        if (n == 0 || json_is_long_line_end(s.p + i, n))
            break;
        i += n;
    }
    return i;
}

size_t json_written_run(str s)
{
    size_t at = 0;
    for (;;) {
        at += json_plain_run(str_skip(s, at));
        size_t n = foreign_run(str_skip(s, at));
        if (n == 0)
            return at;
        at += n;
    }
}
