/*
 * admin_put - members of the admin side's JSON objects
 *
 * `name` is written as it stands: with its quotes, its colon and what stands before it.
 * Private to the admin_*.c files of this folder.
 */
#ifndef CODEC_ADMIN_PUT_H
#define CODEC_ADMIN_PUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "codec/admin_answer.h"
#include "codec/json.h"

static inline void put_text(struct buf *out, const char *name, str value)
{
    buf_append(out, str_z(name));
    json_put_string(out, value);
}

static inline void put_text_or_null(struct buf *out, const char *name, str value)
{
    buf_append(out, str_z(name));
    if (value.len > 0)
        json_put_string(out, value);
    else
        buf_append(out, STR("null"));
}

static inline void put_number(struct buf *out, const char *name, uint64_t value)
{
    buf_append(out, str_z(name));
    buf_append_u64(out, value);
}

static inline void put_number_or_null(struct buf *out, const char *name, uint64_t value, bool known)
{
    if (known)
        put_number(out, name, value);
    else
        put_text_or_null(out, name, STR(""));
}

static inline void put_time(struct buf *out, const char *name, int64_t wall_ms)
{
    buf_append(out, str_z(name));
    admin_put_time(out, wall_ms);
}

static inline void put_bool(struct buf *out, const char *name, bool value)
{
    buf_append(out, str_z(name));
    buf_append(out, value ? STR("true") : STR("false"));
}

#endif
