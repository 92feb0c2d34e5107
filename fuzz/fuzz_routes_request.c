/*
 * Property: any body of completions or embeddings decodes or is refused with an error object;
 * what decodes becomes a native request of valid JSON with a model and something to read.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "codec/ollama_request.h"
#include "codec/openai_chat.h"
#include "codec/openai_completion.h"
#include "codec/openai_embedding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_fault(const struct openai_fault *fault)
{
    struct buf out;
    const struct json *v = NULL;
    struct arena fresh; // the other may be used up
    arena_init(&fresh, 1 << 20);
    buf_init(&out, 1 << 20);
    assert(fault->status == 400 || fault->status == 413);
    openai_error_body(&out, fault);
    assert(json_parse(&fresh, buf_str(&out), JSON_STRICT, &v, NULL) == ERR_OK);
    assert(json_str(json_get(json_get(v, STR("error")), STR("message"))).len > 0);
    buf_release(&out);
    arena_release(&fresh);
}

static const struct json *parse_native(struct arena *a, const struct buf *out)
{
    const struct json *v = NULL;
    assert(buf_ok(out));
    enum err err = json_parse(a, buf_str(out), JSON_STRICT, &v, NULL);
    assert(err == ERR_OK || err == ERR_TOO_LARGE);
    assert(err != ERR_OK || json_str(json_get(v, STR("model"))).len > 0);
    return err == ERR_OK ? v : NULL;
}

static void check_completion(struct arena *a, const struct json *body)
{
    struct completion_request req;
    struct openai_fault fault = {0};
    struct buf out;
    if (openai_completion_decode(a, body, &req, &fault) != ERR_OK) {
        check_fault(&fault);
        return;
    }
    buf_init(&out, 64 << 20);
    ollama_generate_encode(&req, &(struct ollama_defaults){.num_ctx = 4096}, &out);
    const struct json *v = parse_native(a, &out);
    if (v != NULL) {
        const struct json *stop = json_get(json_get(v, STR("options")), STR("stop"));
        bool stream = !req.common.stream;
        assert(json_kind(json_get(v, STR("prompt"))) == JSON_STRING);
        assert(json_to_bool(json_get(v, STR("stream")), &stream) && stream == req.common.stream);
        assert(json_kind(stop) != JSON_ARRAY || json_size(stop) > 0);
    }
    buf_release(&out);
}

static void check_embedding(struct arena *a, const struct json *body)
{
    struct embedding_request req;
    struct openai_fault fault = {0};
    struct buf out;
    if (openai_embedding_decode(a, body, &req, &fault) != ERR_OK) {
        check_fault(&fault);
        return;
    }
    buf_init(&out, 64 << 20);
    ollama_embed_encode(&req, &out);
    const struct json *v = parse_native(a, &out);
    if (v != NULL) {
        const struct json *input = json_get(v, STR("input"));
        bool is_list = json_kind(input) == JSON_ARRAY;
        assert(is_list ? json_size(input) == req.wish.n_inputs : json_str(input).len > 0);
    }
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct openai_fault fault = {0};
    const struct json *body = NULL;
    arena_init(&a, 16 << 20);
    char *text = arena_calloc(&a, size + JSON_PADDING, 1);
    if (text != NULL) {
        if (size > 0)
            memcpy(text, data, size);
        if (openai_body_parse(&a, text, size, &body, &fault) == ERR_OK) {
            check_completion(&a, body);
            check_embedding(&a, body);
        } else {
            check_fault(&fault);
        }
    }
    arena_release(&a);
    return 0;
}
