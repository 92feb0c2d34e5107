#include "codec/openai_completion.h"

#include "codec/openai_chat.h"

enum { TOP_LOGPROBS_MAX = 20 }; // Ollama's; OpenAI's is 5

struct decoder {
    struct arena *a;
    const struct json *body;
    struct completion_request *req;
    struct openai_fault *fault;
};

#define REFUSE(d, kind, param, ...) openai_refuse((d)->a, (d)->fault, (kind), (param), __VA_ARGS__)
#define REFUSE_TYPE(d, param, v, wanted)                                                           \
    openai_refuse_type((d)->a, (d)->fault, (param), (v), (wanted))

/* A list of one text is that text; more would be more choices, numbers are tokens. */
static enum err decode_prompt_list(const struct decoder *d, const struct json *list)
{
    const struct json *item = NULL;
    struct json_iter it = json_iter(list);
    if (!json_next(&it, NULL, &item))
        return REFUSE(d, FAULT_BAD_REQUEST, STR("prompt"), "'prompt' is an empty array");
    if (json_kind(item) == JSON_NUMBER || json_kind(item) == JSON_ARRAY)
        return REFUSE(d, FAULT_UNSUPPORTED, STR("prompt"),
                      "'prompt' as token ids is not supported: send text");
    if (json_kind(item) != JSON_STRING)
        return REFUSE_TYPE(d, STR("prompt[0]"), item, "a string");
    if (json_size(list) > 1)
        return REFUSE(d, FAULT_UNSUPPORTED, STR("prompt"),
                      "'prompt' with more than one text is not supported: send a request for each");
    d->req->prompt = json_str(item);
    return ERR_OK;
}

static enum err decode_prompt(const struct decoder *d)
{
    const struct json *v = json_get(d->body, STR("prompt"));
    if (json_is_null(v))
        return REFUSE(d, FAULT_MISSING_PARAMETER, STR("prompt"), "'prompt' is missing");
    if (json_kind(v) == JSON_ARRAY)
        return decode_prompt_list(d, v);
    if (json_kind(v) != JSON_STRING)
        return REFUSE_TYPE(d, STR("prompt"), v, "a string");
    d->req->prompt = json_str(v);
    return ERR_OK;
}

static enum err decode_suffix(const struct decoder *d)
{
    const struct json *v = json_get(d->body, STR("suffix"));
    if (!json_is_null(v) && json_kind(v) != JSON_STRING)
        return REFUSE_TYPE(d, STR("suffix"), v, "a string");
    d->req->suffix = json_str(v);
    return ERR_OK;
}

static enum err decode_raw(const struct decoder *d)
{
    const struct json *v = json_get(d->body, STR("raw"));
    if (!json_is_null(v) && !json_to_bool(v, &d->req->raw))
        return REFUSE_TYPE(d, STR("raw"), v, "a boolean");
    return ERR_OK;
}

static enum err decode_logprobs(const struct decoder *d)
{
    const struct json *v = json_get(d->body, STR("logprobs"));
    if (json_is_null(v))
        return ERR_OK;
    if (json_kind(v) != JSON_NUMBER)
        return REFUSE_TYPE(d, STR("logprobs"), v, "an integer");
    if (!json_to_i64(v, &d->req->common.top_logprobs) || d->req->common.top_logprobs < 0 ||
        d->req->common.top_logprobs > TOP_LOGPROBS_MAX)
        return REFUSE(d, FAULT_BAD_REQUEST, STR("logprobs"),
                      "'logprobs' must be an integer between 0 and %d", TOP_LOGPROBS_MAX);
    d->req->common.logprobs = true;
    return ERR_OK;
}

/* What we cannot do is refused, unless it is asked for in the way that changes nothing. */
static enum err decode_unsupported(const struct decoder *d)
{
    const struct json *echo = json_get(d->body, STR("echo"));
    const struct json *best_of = json_get(d->body, STR("best_of"));
    bool wants_echo = false;
    int64_t candidates = 1;
    if (!json_is_null(echo) && !json_to_bool(echo, &wants_echo))
        return REFUSE_TYPE(d, STR("echo"), echo, "a boolean");
    if (wants_echo)
        return REFUSE(d, FAULT_UNSUPPORTED, STR("echo"), "'echo' is not supported");
    if (!json_is_null(best_of) && (!json_to_i64(best_of, &candidates) || candidates < 1))
        return REFUSE(d, FAULT_BAD_REQUEST, STR("best_of"), "'best_of' must be a positive integer");
    if (candidates > 1)
        return REFUSE(d, FAULT_UNSUPPORTED, STR("best_of"), "'best_of' above 1 is not supported");
    return ERR_OK;
}

enum err openai_completion_decode(struct arena *a, const struct json *body,
                                  struct completion_request *ret, struct openai_fault *fault)
{
    static enum err (*const STEPS[])(const struct decoder *) = {
        decode_prompt, decode_suffix, decode_raw, decode_logprobs, decode_unsupported,
    };
    struct completion_request req = {0};
    const struct decoder d = {.a = a, .body = body, .req = &req, .fault = fault};
    enum err err = openai_common_decode(a, body, &req.common, fault);
    for (size_t i = 0; i < COUNT_OF(STEPS) && err == ERR_OK; i++)
        err = STEPS[i](&d);
    if (err == ERR_OK)
        *ret = req;
    return err;
}
