/*
 * Property: whatever the file, events have places and one-line sentences, and keys are such as a
 * line of text may hold; the format is named on success. A text that is no other format gives as
 * many keys as codec/keytext finds in it.
 */
#include <assert.h>
#include <stdint.h>

#include "codec/keyfile.h"

static const struct keytext_options options = {.default_url = STR_C("https://ollama.com/api")};

struct seen {
    size_t keys;
    size_t skips;
};

static bool on_key(void *arg, const struct keyfile_key *key)
{
    struct seen *seen = arg;
    seen->keys++;
    assert(key->place.len > 0);
    assert(key->key.len == 0 || keytext_key_fault(key->key) == NULL);
    assert(str_starts(key->base_url, STR("http")));
    assert(key->name.len <= KEYFILE_NAME_MAX && str_is_one_line(key->name));
    assert(utf8_valid_prefix(key->name) == key->name.len);
    assert(key->last_error.len <= KEYFILE_ERROR_MAX && str_is_one_line(key->last_error));
    assert(key->old_id.len <= KEYFILE_OLD_ID_MAX);
    assert(key->added_ms >= 0 && key->last_used_ms >= 0 && key->last_check_ms >= 0);
    return true;
}

static bool on_skip(void *arg, const struct keyfile_skip *skip)
{
    struct seen *seen = arg;
    seen->skips++;
    assert(skip->place.len > 0 && skip->why.len > 0 && str_is_one_line(skip->why));
    assert(str_is_one_line(skip->what) && utf8_valid_prefix(skip->what) == skip->what.len);
    return true;
}

static struct seen walk(str text)
{
    struct arena a;
    struct keytext t;
    struct keytext_item item;
    struct seen seen = {0};
    enum keytext_got got;
    arena_init(&a, (size_t)16 << 20);
    keytext_init(&t, &a, text, &options);
    while ((got = keytext_next(&t, &item)) != KEYTEXT_END) {
        seen.keys += got == KEYTEXT_KEY;
        seen.skips += got == KEYTEXT_FAULT;
    }
    arena_release(&a);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = str_of((const char *)data, size);
    struct arena a;
    struct seen seen = {0};
    struct err_info info = {0};
    enum keyfile_format format = KEYFILE_FORMATS;
    struct keyfile_sink sink = {.on_key = on_key, .on_skip = on_skip, .arg = &seen};
    arena_init(&a, (size_t)16 << 20);
    enum err e = keyfile_read(&a, text, &options, &sink, &format, &info);
    assert(e != ERR_OK || format < KEYFILE_FORMATS);
    assert(e == ERR_OK || info.text[0] != '\0');
    if (e == ERR_OK && format == KEYFILE_TEXT) {
        struct seen want = walk(text);
        assert(seen.keys == want.keys && seen.skips == want.skips);
    }
    arena_release(&a);
    return 0;
}
