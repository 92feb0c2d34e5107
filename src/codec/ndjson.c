#include "codec/ndjson.h"

#include <assert.h>

void ndjson_init(struct ndjson *nd, size_t line_max)
{
    *nd = (struct ndjson){.line_max = line_max};
    buf_init(&nd->carry, line_max + 1); // a CR may stand before the LF
}

void ndjson_release(struct ndjson *nd)
{
    buf_release(&nd->carry);
    nd->input = (str){0};
}

void ndjson_feed(struct ndjson *nd, str data)
{
    assert(nd->input.len == 0);
    nd->input = data;
}

/* Frees the line that was given out of the carry. */
static void drop_carry(struct ndjson *nd)
{
    if (nd->carry_done) {
        buf_release(&nd->carry);
        nd->carry_done = false;
    }
}

/* Takes a line that ended; false if it is blank or too large. */
static bool take_line(struct ndjson *nd, str line, str *ret_line)
{
    if (line.len > 0 && line.p[line.len - 1] == '\r')
        line.len--;
    if (line.len > nd->line_max) {
        nd->too_large = true;
        return false;
    }
    if (line.len == 0 || (line.p[0] <= ' ' && str_trim_ws(line).len == 0))
        return false;
    *ret_line = line;
    return true;
}

/* Keeps the begin of a line for the next input. */
static void keep(struct ndjson *nd, str part)
{
    buf_append(&nd->carry, part);
    if (!buf_ok(&nd->carry))
        nd->too_large = true;
}

enum ndjson_step ndjson_next(struct ndjson *nd, str *ret_line)
{
    drop_carry(nd);
    while (!nd->too_large && nd->input.len > 0) {
        str line;
        str rest;
        if (!str_cut(nd->input, '\n', &line, &rest)) {
            keep(nd, nd->input);
            nd->input = (str){0};
            break;
        }
        nd->input = rest;
        if (nd->carry.len > 0) {
            keep(nd, line);
            line = buf_str(&nd->carry);
            nd->carry_done = true;
        }
        if (!nd->too_large && take_line(nd, line, ret_line))
            return NDJSON_LINE;
        drop_carry(nd);
    }
    return nd->too_large ? NDJSON_TOO_LARGE : NDJSON_MORE;
}

enum ndjson_step ndjson_finish(struct ndjson *nd, str *ret_line)
{
    drop_carry(nd);
    if (nd->too_large)
        return NDJSON_TOO_LARGE;
    if (nd->carry.len == 0)
        return NDJSON_MORE;
    nd->carry_done = true;
    if (take_line(nd, buf_str(&nd->carry), ret_line))
        return NDJSON_LINE;
    return nd->too_large ? NDJSON_TOO_LARGE : NDJSON_MORE;
}
