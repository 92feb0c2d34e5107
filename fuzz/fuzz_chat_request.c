/*
 * Property: any body decodes or is refused with an error object; what decodes becomes a native
 * request of valid JSON, the same each time, with `stream` said, no empty `stop`, no neighbours
 * of one role, and schemas of tools as Ollama's typed decoder wants them.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/ollama_request.h"
#include "codec/openai_chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_list_of_texts(const struct json *v)
{
    struct json_iter it = json_iter(v);
    const struct json *item = NULL;
    while (json_next(&it, NULL, &item)) {
        if (json_kind(item) != JSON_STRING)
            return false;
    }
    return json_kind(v) == JSON_ARRAY;
}

static void check_schema(const struct json *schema);

static void check_schemas(const struct json *schemas, enum json_kind kind)
{
    struct json_iter it = json_iter(schemas);
    const struct json *schema = NULL;
    assert(schemas == NULL || json_kind(schemas) == kind);
    while (json_next(&it, NULL, &schema))
        check_schema(schema);
}

static void check_schema(const struct json *schema)
{
    const struct json *type = json_get(schema, STR("type"));
    const struct json *required = json_get(schema, STR("required"));
    const struct json *text = json_get(schema, STR("description"));
    const struct json *values = json_get(schema, STR("enum"));
    assert(json_kind(schema) == JSON_OBJECT);
    assert(type == NULL || json_kind(type) == JSON_STRING || is_list_of_texts(type));
    assert(required == NULL || is_list_of_texts(required));
    assert(text == NULL || json_kind(text) == JSON_STRING);
    assert(values == NULL || json_kind(values) == JSON_ARRAY);
    check_schemas(json_get(schema, STR("anyOf")), JSON_ARRAY);
    check_schemas(json_get(schema, STR("properties")), JSON_OBJECT);
}

static void check_tools(const struct json *tools)
{
    struct json_iter it = json_iter(tools);
    const struct json *tool = NULL;
    while (json_next(&it, NULL, &tool)) {
        const struct json *function = json_get(tool, STR("function"));
        const struct json *parameters = json_get(function, STR("parameters"));
        assert(json_str(json_get(function, STR("name"))).len > 0);
        if (parameters == NULL)
            continue;
        assert(json_kind(json_get(parameters, STR("type"))) == JSON_STRING);
        check_schemas(json_get(parameters, STR("properties")), JSON_OBJECT);
    }
}

static void check_messages(const struct json *messages)
{
    struct json_iter it = json_iter(messages);
    const struct json *message = NULL;
    str last = {0};
    while (json_next(&it, NULL, &message)) {
        str role = json_str(json_get(message, STR("role")));
        assert(role.len > 0);
        assert(str_eq(role, STR("tool")) || !str_eq(role, last));
        last = role;
    }
}

static void check_native(struct arena *a, const struct chat_request *req)
{
    struct buf out;
    struct buf again;
    bool stream = !req->stream;
    const struct json *v = NULL;
    const struct ollama_defaults defaults = {.num_ctx = 4096};
    buf_init(&out, 64 << 20);
    buf_init(&again, 64 << 20);
    ollama_chat_encode(req, &defaults, &out);
    ollama_chat_encode(req, &defaults, &again);
    assert(buf_ok(&out) && str_eq(buf_str(&out), buf_str(&again)));
    // Arguments of calls may add to the depth of the body.
    enum err err = json_parse(a, buf_str(&out), JSON_STRICT, &v, NULL);
    assert(err == ERR_OK || err == ERR_RANGE || err == ERR_TOO_LARGE);
    if (err == ERR_OK) {
        const struct json *stop = json_get(json_get(v, STR("options")), STR("stop"));
        assert(json_to_bool(json_get(v, STR("stream")), &stream) && stream == req->stream);
        assert(json_size(json_get(v, STR("messages"))) == req->n_messages);
        assert(json_kind(stop) != JSON_ARRAY || json_size(stop) > 0);
        assert(json_kind(stop) != JSON_STRING);
        check_messages(json_get(v, STR("messages")));
        check_tools(json_get(v, STR("tools")));
    }
    buf_release(&out);
    buf_release(&again);
}

static void check_fault(struct arena *a, const struct openai_fault *fault)
{
    struct buf out;
    const struct json *v = NULL;
    struct arena fresh; // the other may be used up
    (void)a;
    arena_init(&fresh, 1 << 20);
    buf_init(&out, 1 << 20);
    assert(fault->status == 400 || fault->status == 413);
    openai_error_body(&out, fault);
    assert(json_parse(&fresh, buf_str(&out), JSON_STRICT, &v, NULL) == ERR_OK);
    assert(json_str(json_get(json_get(v, STR("error")), STR("message"))).len > 0);
    buf_release(&out);
    arena_release(&fresh);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct chat_request req;
    struct openai_fault fault = {0};
    const struct json *body = NULL;
    arena_init(&a, 16 << 20);
    char *text = arena_calloc(&a, size + JSON_PADDING, 1);
    if (text == NULL) {
        arena_release(&a);
        return 0;
    }
    if (size > 0)
        memcpy(text, data, size);
    enum err err = openai_body_parse(&a, text, size, &body, &fault);
    if (err == ERR_OK)
        err = openai_chat_decode(&a, body, &req, &fault);
    if (err == ERR_OK)
        check_native(&a, &req);
    else
        check_fault(&a, &fault);
    arena_release(&a);
    return 0;
}
