/*
 * recording - files of the test tree, and the bodies of recorded answers
 *
 * Tests only: whatever goes wrong ends the program.
 */
#ifndef TESTS_CODEC_RECORDING_H
#define TESTS_CODEC_RECORDING_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/str.h"
#include "base/xalloc.h"

/* Appends the file at `path`, below the source folder; false if there is none. */
static inline bool read_file(const char *path, struct buf *out)
{
    char full[1024];
    char piece[4096];
    snprintf(full, sizeof(full), "%s/%s", O2O_SOURCE_DIR, path);
    FILE *f = fopen(full, "rb");
    if (f == NULL)
        return false;
    size_t n;
    do {
        n = fread(piece, 1, sizeof(piece), f);
        buf_append(out, str_of(piece, n));
    } while (n == sizeof(piece));
    fclose(f);
    return true;
}

/* Appends the data of a chunked body; one that is cut off gives what there is. */
static inline void put_chunks(struct buf *out, str body)
{
    str line;
    while (str_cut(body, '\n', &line, &body)) {
        unsigned long n = strtoul(line.p, NULL, 16);
        if (n == 0)
            return;
        buf_append(out, str_head(body, n));
        body = str_skip(body, n + 2);
    }
}

/* Appends the body of tests/recordings/ollama-0.24.0/<name>.response. */
static inline void read_recording(const char *name, struct buf *out)
{
    char path[512];
    struct buf file;
    buf_init(&file, 1 << 20);
    snprintf(path, sizeof(path), "tests/recordings/ollama-0.24.0/%s.response", name);
    if (!read_file(path, &file)) {
        fprintf(stderr, "cannot read '%s'\n", path);
        abort();
    }
    str head = str_head(buf_str(&file), str_find(buf_str(&file), STR("\r\n\r\n")));
    str body = str_skip(buf_str(&file), head.len + 4);
    if (str_icontains(head, STR("transfer-encoding: chunked")))
        put_chunks(out, body);
    else
        buf_append(out, body);
    buf_release(&file);
}

#endif
