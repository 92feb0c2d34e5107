/*
 * Property: pieces are slices of the text in order, and each becomes a key or a fault with a
 * sentence; a key that comes out is one that the writer's line brings back unchanged, its base URL
 * is one that the URL parser takes, and shows nothing that JSON would have to escape.
 */
#include <assert.h>
#include <stdint.h>

#include "codec/keytext.h"

static const struct keytext_options options = {.default_url = STR_C("https://ollama.com/api")};

static void check_key(struct arena *a, const struct keytext_item *item)
{
    struct keytext_item again;
    struct url url;
    struct buf line;
    buf_init(&line, 8192);
    keytext_put_line(&line, item->base_url, item->key);
    assert(buf_ok(&line));
    enum err e = keytext_one(a, buf_str(&line), &options, &again, NULL);
    assert(e == ERR_OK);
    assert(str_eq(again.key, item->key) && str_eq(again.base_url, item->base_url));
    e = url_parse(a, item->base_url, &url, NULL);
    assert(e == ERR_OK);
    assert(item->key.len == 0 || keytext_key_fault(item->key) == NULL);

    buf_reset(&line);
    keytext_put_shown_url(&line, item->base_url);
    for (size_t i = 0; i < line.len; i++)
        assert(line.p[i] > ' ' && line.p[i] < 0x7F && line.p[i] != '"' && line.p[i] != '\\');
    buf_release(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = str_of((const char *)data, size);
    struct arena a;
    struct keytext t;
    struct keytext_item item;
    enum keytext_got got;
    const char *end = text.p;
    size_t line = 1;
    arena_init(&a, (size_t)16 << 20);
    keytext_init(&t, &a, text, &options);
    while ((got = keytext_next(&t, &item)) == KEYTEXT_KEY || got == KEYTEXT_FAULT) {
        assert(item.input.len > 0 && item.input.p >= end);
        end = item.input.p + item.input.len;
        assert(end <= text.p + text.len && item.line >= line);
        line = item.line;
        if (got == KEYTEXT_KEY)
            check_key(&a, &item);
        else
            assert(t.fault[0] != '\0' && str_is_one_line(str_z(t.fault)));
    }
    arena_release(&a);
    return 0;
}
