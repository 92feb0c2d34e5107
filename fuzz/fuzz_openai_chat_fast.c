/*
 * Property: whatever the quick way takes, the parser and the decoder take too, and both become the
 * same native request.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "codec/openai_chat_fast.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void encode(const struct chat_request *req, struct buf *out)
{
    const struct ollama_defaults defaults = {.num_ctx = 4096};
    buf_init(out, 64 << 20);
    struct ollama_span think = ollama_chat_encode(req, &defaults, out);
    assert(buf_ok(out) && think.len == 0);
}

static void check_same(const struct chat_request *fast, const struct chat_request *full)
{
    struct buf a;
    struct buf b;
    assert(str_eq(fast->model, full->model));
    assert(fast->stream == full->stream && fast->include_usage == full->include_usage);
    encode(fast, &a);
    encode(full, &b);
    assert(str_eq(buf_str(&a), buf_str(&b)));
    buf_release(&a);
    buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct chat_request fast;
    struct chat_request full;
    struct openai_fault fault;
    const struct json *body;
    // A copy of its own size, so that a look behind it is seen by ASan.
    char *text = malloc(size > 0 ? size : 1);
    assert(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    if (openai_chat_fast(str_of(text, size), &fast)) {
        arena_init(&a, 64 << 20);
        char *copy = arena_calloc(&a, size + JSON_PADDING, 1);
        assert(copy != NULL);
        memcpy(copy, text, size);
        enum err err = openai_body_parse(&a, copy, size, &body, &fault);
        assert(err == ERR_OK);
        err = openai_chat_decode(&a, body, &full, &fault);
        assert(err == ERR_OK);
        check_same(&fast, &full);
        arena_release(&a);
    }
    free(text);
    return 0;
}
