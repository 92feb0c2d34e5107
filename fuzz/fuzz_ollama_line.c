/*
 * Property: a line that decodes is an error with a sentence, or an answer whose calls all have
 * names; decoding again gives the same. Any bytes are an error body that can be told.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/ollama_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
        assert(line.tool_calls == NULL || json_size(line.tool_calls) > 0);
        while (json_next(&it, NULL, &call))
            assert(json_str(json_get(json_get(call, STR("function")), STR("name"))).len > 0);
        assert(ollama_line_decode(&a, text, &again, NULL) == ERR_OK);
        assert(str_eq(line.content, again.content) && str_eq(line.error, again.error));
    }
    ollama_error_decode(&a, text, &error);
    assert(!error.is_native || error.text.len > 0);
    arena_release(&a);
    return 0;
}
