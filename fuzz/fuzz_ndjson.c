/*
 * Property: the lines do not depend on how the input is cut into reads; none is blank, holds a
 * line feed or is over the limit. The first byte of the input chooses the reads.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/ndjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINE_MAX_BYTES = 64 };

static void put_line(struct buf *out, str line)
{
    assert(line.len > 0 && line.len <= LINE_MAX_BYTES);
    assert(str_find_char(line, '\n') == line.len);
    assert(str_trim_ws(line).len > 0);
    buf_append(out, line);
    buf_append_char(out, '\n');
}

/* Cuts `in` into lines, reading pieces of 1 to `most` bytes; all at once if `most` is 0. */
static void cut(str in, size_t most, struct buf *out)
{
    struct ndjson nd;
    str line;
    enum ndjson_step step = NDJSON_MORE;
    uint32_t random = (uint32_t)most;
    ndjson_init(&nd, LINE_MAX_BYTES);
    while (in.len > 0 && step != NDJSON_TOO_LARGE) {
        random = random * 1664525 + 1013904223;
        size_t n = most > 0 ? 1 + (random >> 16) % most : in.len;
        ndjson_feed(&nd, str_head(in, n));
        in = str_skip(in, n);
        for (step = ndjson_next(&nd, &line); step == NDJSON_LINE; step = ndjson_next(&nd, &line))
            put_line(out, line);
    }
    step = ndjson_finish(&nd, &line);
    if (step == NDJSON_LINE)
        put_line(out, line);
    if (step == NDJSON_TOO_LARGE)
        buf_append(out, STR("too large"));
    ndjson_release(&nd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole;
    struct buf pieces;
    if (size == 0)
        return 0;
    str in = str_of((const char *)data + 1, size - 1);
    buf_init(&whole, 16 << 20);
    buf_init(&pieces, 16 << 20);
    cut(in, 0, &whole);
    cut(in, 1 + data[0] % 32, &pieces);
    assert(str_eq(buf_str(&whole), buf_str(&pieces)));
    buf_release(&whole);
    buf_release(&pieces);
    return 0;
}
