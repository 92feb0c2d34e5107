/*
 * Property: what strict mode lets through can be written and parsed again, and is then written
 * to the same bytes; it has no equal keys and is not too deep. Every integer that is read is the
 * number that was written. Escaped heads are within their limit. Whether long strings are left
 * out of the parse shows nowhere.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_keys(const struct json *object)
{
    struct json_iter it = json_iter(object);
    const struct json *value = NULL;
    str key = {0};
    for (size_t i = 0; i < 64 && json_next(&it, &key, &value); i++)
        assert(json_get(object, key) == value);
}

static void check_value(const struct json *v, int depth)
{
    struct json_iter it = json_iter(v);
    const struct json *item = NULL;
    int64_t whole = 0;
    double real = 0;
    assert(depth <= JSON_DEPTH_MAX);
    if (json_kind(v) == JSON_OBJECT)
        check_keys(v);
    if (json_kind(v) == JSON_NUMBER)
        assert(json_to_double(v, &real));
    if (json_to_i64(v, &whole))
        assert((double)whole == real);
    if (json_kind(v) == JSON_STRING)
        assert(utf8_valid_prefix(json_str(v)) == json_str(v).len);
    while (json_next(&it, NULL, &item))
        check_value(item, depth + (json_size(item) > 0));
}

static void check_round_trip(struct arena *a, const struct json *v)
{
    struct buf first;
    struct buf second;
    const struct json *again = NULL;
    buf_init(&first, 16 << 20);
    buf_init(&second, 16 << 20);
    json_put_value(&first, v);
    assert(buf_ok(&first));
    assert(json_parse(a, buf_str(&first), JSON_STRICT, &again, NULL) == ERR_OK);
    json_put_value(&second, again);
    assert(str_eq(buf_str(&first), buf_str(&second)));
    buf_release(&first);
    buf_release(&second);
}

static void check_escaping(struct arena *a, str text)
{
    struct buf out;
    const struct json *v = NULL;
    buf_init(&out, 16 << 20);
    json_put_string(&out, text);
    assert(json_parse(a, buf_str(&out), JSON_STRICT, &v, NULL) == ERR_OK);
    if (utf8_valid_prefix(text) == text.len)
        assert(str_eq(json_str(v), text));

    for (str rest = text; rest.len > 0;) {
        enum { MAX = 40 };
        size_t n = json_escaped_head(rest, MAX);
        assert(n > 0 && n <= rest.len);
        buf_reset(&out);
        json_put_escaped(&out, str_head(rest, n));
        assert(out.len <= MAX);
        rest = str_skip(rest, n);
    }
    buf_release(&out);
}

/* What a parse comes to, as text; the bytes of `text` stay as they are. */
static void put_outcome(str text, enum json_mode mode, bool cut, struct buf *out)
{
    struct arena a;
    struct err_info info = {0};
    const struct json *v = NULL;
    arena_init(&a, 32 << 20);
    char *copy = arena_calloc(&a, text.len + JSON_PADDING, 1);
    if (text.len > 0)
        memcpy(copy, text.p, text.len);
    enum err err = cut ? json_parse_in_place(&a, copy, text.len, mode, &v, &info)
                       : json_parse_uncut(&a, copy, text.len, mode, &v, &info);
    buf_printf(out, "%s %s at %zu: ", err_name(err), info.text, info.offset);
    if (err == ERR_OK)
        json_put_value(out, v);
    arena_release(&a);
}

static void check_cut(str text, enum json_mode mode)
{
    struct buf with;
    struct buf without;
    buf_init(&with, 16 << 20);
    buf_init(&without, 16 << 20);
    put_outcome(text, mode, true, &with);
    put_outcome(text, mode, false, &without);
    assert(buf_ok(&with) && str_eq(buf_str(&with), buf_str(&without)));
    buf_release(&with);
    buf_release(&without);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    const struct json *v = NULL;
    str text = str_of((const char *)data, size);
    arena_init(&a, 32 << 20);
    if (json_parse(&a, text, JSON_STRICT, &v, NULL) == ERR_OK) {
        const struct json *tolerant = NULL;
        check_value(v, json_size(v) > 0);
        check_round_trip(&a, v);
        assert(json_parse(&a, text, JSON_TOLERANT, &tolerant, NULL) == ERR_OK);
    } else if (json_parse(&a, text, JSON_TOLERANT, &v, NULL) == ERR_OK) {
        struct buf out;
        buf_init(&out, 16 << 20);
        json_put_value(&out, v);
        assert(utf8_valid_prefix(buf_str(&out)) == out.len);
        buf_release(&out);
    }
    check_escaping(&a, text);
    check_cut(text, JSON_STRICT);
    check_cut(text, JSON_TOLERANT);
    arena_release(&a);
    return 0;
}
