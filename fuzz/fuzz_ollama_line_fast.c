/*
 * Property: whatever the quick way takes, the full parse takes too, and to the same answer.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/ollama_line_fast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct ollama_line fast;
    struct ollama_line full;
    str text = str_of((const char *)data, size);
    arena_init(&a, 4 << 20);
    if (ollama_line_fast(&a, text, &fast)) {
        enum err err = ollama_line_parse(&a, text, &full, NULL);
        assert(err == ERR_OK);
        assert(fast.has_error == full.has_error && fast.done == full.done);
        assert(str_eq(fast.error, full.error) && str_eq(fast.done_reason, full.done_reason));
        assert(str_eq(fast.thinking, full.thinking) && str_eq(fast.content, full.content));
        assert(fast.tool_calls == NULL && full.tool_calls == NULL);
        assert(fast.logprobs == NULL && full.logprobs == NULL);
        assert(fast.prompt_tokens == full.prompt_tokens);
        assert(fast.completion_tokens == full.completion_tokens);
    }
    arena_release(&a);
    return 0;
}
