#include "codec/json_scan.h"

enum { BLOCK = 4 * LANES }; // as many as are looked at between two branches

static bool is_plain(char c)
{
    return (signed char)c >= ' ' && c != '"' && c != '\\';
}

static lanes special(lanes v)
{
    return (v < ' ') | (v == '"') | (v == '\\');
}

/* For 8 <= s.len < LANES: the first and the last eight bytes, which overlap. */
static size_t run_of_two_halves(str s)
{
    enum { HALF = LANES / 2 };
    char both[LANES];
    memcpy(both, s.p, HALF);
    memcpy(both + HALF, s.p + s.len - HALF, HALF);
    size_t n = lanes_first(special(lanes_load(both)));
    return n < HALF ? n : n + s.len - LANES;
}

/* For s.len < LANES. */
static size_t short_run(str s)
{
    if (s.len >= LANES / 2)
        return run_of_two_halves(s);
    size_t i = 0;
    while (i < s.len && is_plain(s.p[i]))
        i++;
    return i;
}

size_t json_plain_run(str s)
{
    if (s.len < LANES)
        return short_run(s);
    size_t i = 0;
    for (; s.len - i >= BLOCK; i += BLOCK) {
        const char *p = s.p + i;
        if (lanes_any(special(lanes_load(p)) | special(lanes_load(p + LANES)) |
                      special(lanes_load(p + 2 * LANES)) | special(lanes_load(p + 3 * LANES))))
            break;
    }
    for (; s.len - i >= LANES; i += LANES) {
        size_t n = lanes_first(special(lanes_load(s.p + i)));
        if (n < LANES)
            return i + n;
    }
    // The rest together with bytes that are known to be plain.
    i = s.len - LANES;
    return i + lanes_first(special(lanes_load(s.p + i)));
}
