#include "codec/openai_embedding.h"

#include "codec/openai_chat.h"

struct decoder {
    struct arena *a;
    const struct json *body;
    struct embedding_request *req;
    struct openai_fault *fault;
};

#define REFUSE(d, kind, param, ...) openai_refuse((d)->a, (d)->fault, (kind), (param), __VA_ARGS__)
#define REFUSE_TYPE(d, param, v, wanted)                                                           \
    openai_refuse_type((d)->a, (d)->fault, (param), (v), (wanted))

static enum err check_inputs(const struct decoder *d, const struct json *list)
{
    struct json_iter it = json_iter(list);
    const struct json *item = NULL;
    for (size_t i = 0; json_next(&it, NULL, &item); i++) {
        enum json_kind kind = json_kind(item);
        if (kind == JSON_NUMBER || kind == JSON_ARRAY)
            return REFUSE(d, FAULT_UNSUPPORTED, STR("input"),
                          "'input' as token ids is not supported: send text "
                          "(LangChain: OpenAIEmbeddings with check_embedding_ctx_length=False)");
        if (kind != JSON_STRING)
            return REFUSE_TYPE(d, arena_printf(d->a, "input[%zu]", i), item, "a string");
    }
    return ERR_OK;
}

static enum err decode_input(const struct decoder *d)
{
    const struct json *v = json_get(d->body, STR("input"));
    if (json_is_null(v))
        return REFUSE(d, FAULT_MISSING_PARAMETER, STR("input"), "'input' is missing");
    if (json_kind(v) != JSON_STRING && json_kind(v) != JSON_ARRAY)
        return REFUSE_TYPE(d, STR("input"), v, "a string or an array of strings");
    if (json_kind(v) == JSON_ARRAY && json_size(v) == 0)
        return REFUSE(d, FAULT_BAD_REQUEST, STR("input"), "'input' is an empty array");
    d->req->input = v;
    d->req->wish.n_inputs = json_kind(v) == JSON_ARRAY ? json_size(v) : 1;
    return check_inputs(d, v);
}

static enum err decode_encoding(const struct decoder *d)
{
    const struct json *v = json_get(d->body, STR("encoding_format"));
    str name = json_str(v);
    if (!json_is_null(v) && json_kind(v) != JSON_STRING)
        return REFUSE_TYPE(d, STR("encoding_format"), v, "a string");
    d->req->wish.base64 = str_ieq(name, STR("base64"));
    if (name.len > 0 && !d->req->wish.base64 && !str_ieq(name, STR("float")))
        return REFUSE(d, FAULT_BAD_REQUEST, STR("encoding_format"),
                      "'encoding_format' must be 'float' or 'base64'");
    return ERR_OK;
}

static enum err decode_dimensions(const struct decoder *d)
{
    const struct json *v = json_get(d->body, STR("dimensions"));
    int64_t *ret = &d->req->dimensions;
    if (!json_is_null(v) && json_kind(v) != JSON_NUMBER)
        return REFUSE_TYPE(d, STR("dimensions"), v, "an integer");
    if (!json_is_null(v) && (!json_to_i64(v, ret) || *ret < 1 || *ret > INT32_MAX))
        return REFUSE(d, FAULT_BAD_REQUEST, STR("dimensions"),
                      "'dimensions' must be a positive 32-bit integer");
    return ERR_OK;
}

/* What Ollama's users know and OpenAI does not; the values are for Ollama to judge. */
static enum err decode_native(const struct decoder *d)
{
    const struct json *truncate = json_get(d->body, STR("truncate"));
    const struct json *keep_alive = json_get(d->body, STR("keep_alive"));
    const struct json *options = json_get(d->body, STR("options"));
    if (!json_is_null(truncate)) {
        if (json_kind(truncate) != JSON_BOOL)
            return REFUSE_TYPE(d, STR("truncate"), truncate, "a boolean");
        d->req->truncate = truncate;
    }
    if (!json_is_null(keep_alive)) {
        if (json_kind(keep_alive) != JSON_NUMBER && json_kind(keep_alive) != JSON_STRING)
            return REFUSE_TYPE(d, STR("keep_alive"), keep_alive, "a number or a string");
        d->req->keep_alive = keep_alive;
    }
    if (!json_is_null(options)) {
        if (json_kind(options) != JSON_OBJECT)
            return REFUSE_TYPE(d, STR("options"), options, "an object");
        d->req->options = options;
    }
    return ERR_OK;
}

enum err openai_embedding_decode(struct arena *a, const struct json *body,
                                 struct embedding_request *ret, struct openai_fault *fault)
{
    static enum err (*const STEPS[])(const struct decoder *) = {
        decode_input,
        decode_encoding,
        decode_dimensions,
        decode_native,
    };
    struct embedding_request req = {0};
    const struct decoder d = {.a = a, .body = body, .req = &req, .fault = fault};
    enum err err = openai_model_decode(a, body, &req.model, fault);
    for (size_t i = 0; i < COUNT_OF(STEPS) && err == ERR_OK; i++)
        err = STEPS[i](&d);
    if (err == ERR_OK)
        *ret = req;
    return err;
}
