/*
 * Property: a line that decodes is an error with a sentence, or an answer whose calls all have
 * names, and each value of theirs that is found in the text again is the one that was parsed;
 * decoding again gives the same. Any bytes are an error body that can be told.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/json_raw.h"
#include "codec/ollama_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The value's text, in the one spelling that we write. */
static void spell(str text, const struct json *v, struct buf *ret)
{
    struct arena a;
    arena_init(&a, 4 << 20);
    buf_init(ret, 4 << 20);
    if (text.len > 0)
        assert(json_parse(&a, text, JSON_TOLERANT, &v, NULL) == ERR_OK);
    json_put_value(ret, v);
    arena_release(&a);
}

static void check_raw(const struct json *call, str *rest)
{
    struct buf parsed, found, compact;
    str text = {0};
    (void)json_raw_next(rest, &text);
    str raw = json_raw_get(json_raw_get(text, STR("function")), STR("arguments"));
    if (raw.len == 0)
        return;
    spell((str){0}, json_get(json_get(call, STR("function")), STR("arguments")), &parsed);
    spell(raw, NULL, &found);
    assert(!json_raw_is_sound(raw) || str_eq(buf_str(&parsed), buf_str(&found)));
    buf_release(&found);
    buf_init(&compact, 4 << 20);
    json_raw_put(&compact, raw);
    assert(compact.len <= raw.len);
    spell(buf_str(&compact), NULL, &found);
    assert(!json_raw_is_sound(raw) || str_eq(buf_str(&parsed), buf_str(&found)));
    buf_release(&parsed);
    buf_release(&found);
    buf_release(&compact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct ollama_line line;
    struct ollama_line again;
    struct ollama_error error;
    str text = str_of((const char *)data, size);
    arena_init(&a, 4 << 20);
    if (ollama_line_decode(&a, text, &line, NULL) == ERR_OK) {
        assert(!line.has_error || line.error.len > 0);
        assert(!line.has_error || !ollama_line_useful(&line));
        assert(line.prompt_tokens <= INT64_MAX && line.completion_tokens <= INT64_MAX);
        struct json_iter it = json_iter(line.tool_calls);
        const struct json *call = NULL;
        str rest = json_raw_items(line.calls_text);
        assert(line.tool_calls == NULL || json_size(line.tool_calls) > 0);
        while (json_next(&it, NULL, &call)) {
            assert(json_str(json_get(json_get(call, STR("function")), STR("name"))).len > 0);
            check_raw(call, &rest);
        }
        assert(ollama_line_decode(&a, text, &again, NULL) == ERR_OK);
        assert(str_eq(line.content, again.content) && str_eq(line.error, again.error));
    }
    ollama_error_decode(&a, text, &error);
    assert(!error.is_native || error.text.len > 0);
    arena_release(&a);
    return 0;
}
