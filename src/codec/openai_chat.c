#include "codec/openai_chat.h"

#include "codec/openai_chat_fast.h"
#include "codec/openai_messages.h"
#include "codec/openai_option.h"
#include "codec/openai_think.h"
#include "codec/openai_tools.h"
#include <assert.h>

enum { TOP_LOGPROBS_MAX = 20 };

// clang-format off
/* The members of a body that we know; they are gathered in one walk. */
#define FIELD_LIST(X) \
    X(MODEL,                 "model") \
    X(MESSAGES,              "messages") \
    X(STREAM,                "stream") \
    X(STREAM_OPTIONS,        "stream_options") \
    X(TEMPERATURE,           "temperature") \
    X(TOP_P,                 "top_p") \
    X(FREQUENCY_PENALTY,     "frequency_penalty") \
    X(PRESENCE_PENALTY,      "presence_penalty") \
    X(SEED,                  "seed") \
    X(MAX_COMPLETION_TOKENS, "max_completion_tokens") \
    X(MAX_TOKENS,            "max_tokens") \
    X(NUM_CTX,               "num_ctx") \
    X(TOP_K,                 "top_k") \
    X(MIN_P,                 "min_p") \
    X(REPEAT_PENALTY,        "repeat_penalty") \
    X(STOP,                  "stop") \
    X(RESPONSE_FORMAT,       "response_format") \
    X(TOOLS,                 "tools") \
    X(TOOL_CHOICE,           "tool_choice") \
    X(LOGPROBS,              "logprobs") \
    X(TOP_LOGPROBS,          "top_logprobs") \
    X(REASONING_EFFORT,      "reasoning_effort") \
    X(REASONING,             "reasoning") \
    X(THINK,                 "think") \
    X(KEEP_ALIVE,            "keep_alive") \
    X(OPTIONS,               "options") \
    X(N,                     "n") \
    X(LOGIT_BIAS,            "logit_bias")
// clang-format on

enum field {
#define X(name, key) FIELD_##name,
    FIELD_LIST(X)
#undef X
        N_FIELDS
};

static const str FIELD_KEYS[N_FIELDS] = {
#define X(name, key) STR_C(key),
    FIELD_LIST(X)
#undef X
};

/* What all steps of the decoder work on. */
struct decoder {
    struct arena *a;
    const struct json *fields[N_FIELDS]; // NULL: absent
    struct chat_request *req;
    struct openai_fault *fault;
};

#define REFUSE(d, param, ...)                                                                      \
    openai_refuse((d)->a, (d)->fault, FAULT_BAD_REQUEST, (param), __VA_ARGS__)
#define REFUSE_TYPE(d, param, v, wanted)                                                           \
    openai_refuse_type((d)->a, (d)->fault, (param), (v), (wanted))

/* ---- fields that become native options ---- */

/* Fields of options stand together, in the order of their rows. */
enum { OPTION_FIELDS = FIELD_REPEAT_PENALTY - FIELD_TEMPERATURE + 1 };

static_assert((int)OPTION_FIELDS == (int)OPENAI_OPTIONS, "each row has its field");
static_assert((int)OPENAI_OPTIONS < (int)CHAT_OPTIONS_MAX, "one place is for stop");

static bool has_option(const struct chat_request *req, str name)
{
    for (size_t i = 0; i < req->n_options; i++) {
        if (str_eq(req->options[i].name, name))
            return true;
    }
    return false;
}

static enum err refuse_range(const struct decoder *d, const struct openai_option *row)
{
    return REFUSE(d, row->name, "'%.*s' must be between %.10g and %.10g", STR_ARG(row->name),
                  row->lowest, row->highest);
}

static enum err refuse_integer(const struct decoder *d, str param)
{
    return REFUSE(d, param, "'%.*s' must be a 64-bit integer", STR_ARG(param));
}

static enum err decode_option(const struct decoder *d, const struct openai_option *row,
                              const struct json *v)
{
    struct chat_option option = {.name = row->native, .kind = CHAT_VALUE_JSON, .json = v};
    double number = 0;
    if (json_is_null(v))
        return ERR_OK;
    if (!json_to_double(v, &number))
        return REFUSE_TYPE(d, row->name, v, "a number");
    if (number < row->lowest || number > row->highest)
        return refuse_range(d, row);
    if (row->kind != OPTION_NUMBER) {
        option.kind = CHAT_VALUE_INTEGER;
        if (!json_to_i64(v, &option.integer))
            return refuse_integer(d, row->name);
        if (row->kind == OPTION_LIMIT && option.integer == 0)
            return ERR_OK;
    }
    if (!has_option(d->req, row->native))
        d->req->options[d->req->n_options++] = option;
    return ERR_OK;
}

static enum err decode_options(const struct decoder *d)
{
    for (size_t i = 0; i < OPENAI_OPTIONS; i++) {
        enum err err = decode_option(d, &OPENAI_OPTION[i], d->fields[FIELD_TEMPERATURE + i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

/* Empty texts are dropped, and so is a list of none: natively they would do harm. */
static enum err decode_stop(const struct decoder *d)
{
    const struct json *v = d->fields[FIELD_STOP];
    bool is_list = json_kind(v) == JSON_ARRAY;
    if (json_is_null(v))
        return ERR_OK;
    if (!is_list && json_kind(v) != JSON_STRING)
        return REFUSE_TYPE(d, STR("stop"), v, "a string or an array of strings");
    str *texts = arena_new(d->a, str, is_list ? json_size(v) : 1);
    if (texts == NULL)
        return REFUSE(d, STR("stop"), "too many stop texts");
    size_t n = 0;
    if (json_str(v).len > 0)
        texts[n++] = json_str(v);
    struct json_iter it = is_list ? json_iter(v) : (struct json_iter){0};
    const struct json *item = NULL;
    while (json_next(&it, NULL, &item)) {
        if (json_kind(item) != JSON_STRING)
            return REFUSE_TYPE(d, STR("stop"), item, "an array of strings");
        if (json_str(item).len > 0)
            texts[n++] = json_str(item);
    }
    if (n > 0)
        d->req->options[d->req->n_options++] = (struct chat_option){
            .name = STR("stop"), .kind = CHAT_VALUE_TEXTS, .texts = texts, .n_texts = n};
    return ERR_OK;
}

/* ---- fields of their own ---- */

static enum err decode_model(const struct decoder *d)
{
    const struct json *v = d->fields[FIELD_MODEL];
    str model = json_str(v);
    if (json_is_null(v) || (json_kind(v) == JSON_STRING && model.len == 0))
        return openai_refuse(d->a, d->fault, FAULT_MISSING_PARAMETER, STR("model"),
                             "'model' is missing");
    if (json_kind(v) != JSON_STRING)
        return REFUSE_TYPE(d, STR("model"), v, "a string");
    if (model.len > OPENAI_MODEL_MAX)
        return REFUSE(d, STR("model"), "'model' is longer than %d bytes", OPENAI_MODEL_MAX);
    for (size_t i = 0; i < model.len; i++) {
        if ((unsigned char)model.p[i] < 0x20 || model.p[i] == 0x7F)
            return REFUSE(d, STR("model"), "'model' has a control character");
    }
    d->req->model = model;
    return ERR_OK;
}

/* A boolean that may be absent. */
static enum err decode_bool(const struct decoder *d, const struct json *v, str param, bool *ret)
{
    if (json_is_null(v) || json_to_bool(v, ret))
        return ERR_OK;
    return REFUSE_TYPE(d, param, v, "a boolean");
}

static enum err decode_stream(const struct decoder *d)
{
    const struct json *options = d->fields[FIELD_STREAM_OPTIONS];
    enum err err = decode_bool(d, d->fields[FIELD_STREAM], STR("stream"), &d->req->stream);
    if (err != ERR_OK)
        return err;
    if (!json_is_null(options) && json_kind(options) != JSON_OBJECT)
        return REFUSE_TYPE(d, STR("stream_options"), options, "an object");
    return decode_bool(d, json_get(options, STR("include_usage")),
                       STR("stream_options.include_usage"), &d->req->include_usage);
}

/* Of the form only the schema matters here; its other members are checked and not sent. */
static enum err decode_schema(const struct decoder *d, const struct json *format)
{
    const struct json *form = json_get(format, STR("json_schema"));
    const struct json *schema = json_get(form, STR("schema"));
    const struct json *name = json_get(form, STR("name"));
    bool strict = false;
    if (json_is_null(form))
        return openai_refuse(d->a, d->fault, FAULT_MISSING_PARAMETER,
                             STR("response_format.json_schema"),
                             "'response_format.json_schema' is missing");
    if (json_kind(form) != JSON_OBJECT)
        return REFUSE_TYPE(d, STR("response_format.json_schema"), form, "an object");
    if (!json_is_null(name) && json_kind(name) != JSON_STRING)
        return REFUSE_TYPE(d, STR("response_format.json_schema.name"), name, "a string");
    if (json_kind(schema) != JSON_OBJECT)
        return REFUSE_TYPE(d, STR("response_format.json_schema.schema"), schema, "a JSON schema");
    d->req->format = CHAT_FORMAT_SCHEMA;
    d->req->schema = schema;
    return decode_bool(d, json_get(form, STR("strict")), STR("response_format.json_schema.strict"),
                       &strict);
}

static enum err decode_format(const struct decoder *d)
{
    const struct json *format = d->fields[FIELD_RESPONSE_FORMAT];
    if (json_is_null(format))
        return ERR_OK;
    if (json_kind(format) != JSON_OBJECT)
        return REFUSE_TYPE(d, STR("response_format"), format, "an object");
    str type = str_trim_ws(json_str(json_get(format, STR("type"))));
    if (str_ieq(type, STR("json_schema")))
        return decode_schema(d, format);
    if (str_ieq(type, STR("json_object")))
        d->req->format = CHAT_FORMAT_JSON;
    else if (!str_ieq(type, STR("text")))
        return REFUSE(d, STR("response_format.type"),
                      "'response_format.type' must be 'text', 'json_object' or 'json_schema'");
    return ERR_OK;
}

static enum err decode_tools(const struct decoder *d)
{
    return openai_tools_decode(d->a, d->fields[FIELD_TOOLS], d->fields[FIELD_TOOL_CHOICE], d->req,
                               d->fault);
}

static enum err decode_think(const struct decoder *d)
{
    const struct openai_think think = {
        .reasoning_effort = d->fields[FIELD_REASONING_EFFORT],
        .reasoning = d->fields[FIELD_REASONING],
        .think = d->fields[FIELD_THINK],
    };
    return openai_think_decode(d->a, &think, &d->req->think, d->fault);
}

static enum err decode_logprobs(const struct decoder *d)
{
    const struct json *top = d->fields[FIELD_TOP_LOGPROBS];
    str param = STR("top_logprobs");
    int64_t n = 0;
    enum err err = decode_bool(d, d->fields[FIELD_LOGPROBS], STR("logprobs"), &d->req->logprobs);
    if (err != ERR_OK || json_is_null(top))
        return err;
    if (json_kind(top) != JSON_NUMBER)
        return REFUSE_TYPE(d, param, top, "a number");
    if (!json_to_i64(top, &n) || n < 0 || n > TOP_LOGPROBS_MAX)
        return REFUSE(d, param, "'top_logprobs' must be an integer between 0 and %d",
                      TOP_LOGPROBS_MAX);
    if (n > 0 && !d->req->logprobs)
        return REFUSE(d, param, "'top_logprobs' needs 'logprobs' to be true");
    d->req->top_logprobs = n;
    return ERR_OK;
}

/* What Ollama's users know and OpenAI does not; the values are for Ollama to judge. */
static enum err decode_native(const struct decoder *d)
{
    const struct json *keep_alive = d->fields[FIELD_KEEP_ALIVE];
    const struct json *options = d->fields[FIELD_OPTIONS];
    if (!json_is_null(keep_alive)) {
        if (json_kind(keep_alive) != JSON_NUMBER && json_kind(keep_alive) != JSON_STRING)
            return REFUSE_TYPE(d, STR("keep_alive"), keep_alive, "a number or a string");
        d->req->keep_alive = keep_alive;
    }
    if (!json_is_null(options)) {
        if (json_kind(options) != JSON_OBJECT)
            return REFUSE_TYPE(d, STR("options"), options, "an object");
        d->req->extra_options = options;
    }
    return ERR_OK;
}

/* Fields whose neutral values are let through and whose others we cannot honour. */
static enum err decode_unsupported(const struct decoder *d)
{
    const struct json *n = d->fields[FIELD_N];
    const struct json *bias = d->fields[FIELD_LOGIT_BIAS];
    int64_t choices = 1;
    if (!json_is_null(n) && (!json_to_i64(n, &choices) || choices < 1))
        return REFUSE(d, STR("n"), "'n' must be a positive integer");
    if (choices > 1)
        return openai_refuse(d->a, d->fault, FAULT_UNSUPPORTED, STR("n"),
                             "'n' above 1 is not supported: send the request again instead");
    if (!json_is_null(bias) && json_kind(bias) != JSON_OBJECT)
        return REFUSE_TYPE(d, STR("logit_bias"), bias, "an object");
    if (json_size(bias) > 0)
        return openai_refuse(d->a, d->fault, FAULT_UNSUPPORTED, STR("logit_bias"),
                             "'logit_bias' is not supported");
    return ERR_OK;
}

static enum err decode_messages(const struct decoder *d)
{
    return openai_messages_decode(d->a, d->fields[FIELD_MESSAGES], d->req, d->fault);
}

typedef enum err decode_step(const struct decoder *d);

static enum err run_steps(const struct json *body, struct decoder *d, decode_step *const *steps,
                          size_t n)
{
    enum err err = ERR_OK;
    json_pick(body, FIELD_KEYS, N_FIELDS, d->fields);
    for (size_t i = 0; i < n && err == ERR_OK; i++)
        err = steps[i](d);
    return err;
}

enum err openai_chat_decode(struct arena *a, const struct json *body, struct chat_request *ret,
                            struct openai_fault *fault)
{
    static decode_step *const STEPS[] = {
        decode_model,    decode_messages, decode_stream,      decode_options,
        decode_stop,     decode_format,   decode_tools,       decode_think,
        decode_logprobs, decode_native,   decode_unsupported,
    };
    struct chat_request req = {0};
    struct decoder d = {.a = a, .req = &req, .fault = fault};
    enum err err = run_steps(body, &d, STEPS, COUNT_OF(STEPS));
    if (err == ERR_OK)
        *ret = req;
    return err;
}

enum err openai_common_decode(struct arena *a, const struct json *body, struct chat_request *ret,
                              struct openai_fault *fault)
{
    static decode_step *const STEPS[] = {
        decode_model, decode_stream, decode_options,     decode_stop,
        decode_think, decode_native, decode_unsupported,
    };
    struct chat_request req = {0};
    struct decoder d = {.a = a, .req = &req, .fault = fault};
    enum err err = run_steps(body, &d, STEPS, COUNT_OF(STEPS));
    if (err == ERR_OK)
        *ret = req;
    return err;
}

enum err openai_model_decode(struct arena *a, const struct json *body, str *ret,
                             struct openai_fault *fault)
{
    struct chat_request req = {0};
    struct decoder d = {.a = a, .req = &req, .fault = fault};
    d.fields[FIELD_MODEL] = json_get(body, FIELD_KEYS[FIELD_MODEL]);
    enum err err = decode_model(&d);
    if (err == ERR_OK)
        *ret = req.model;
    return err;
}

enum err openai_body_parse(struct arena *a, char *text, size_t len, const struct json **ret,
                           struct openai_fault *fault)
{
    struct err_info info = {0};
    const struct json *body = NULL;
    enum err err = json_parse_in_place(a, text, len, JSON_STRICT, &body, &info);
    if (err == ERR_TOO_LARGE) {
        *fault = openai_fault(FAULT_TOO_LARGE, (str){0}, (str){0});
        return err;
    }
    if (err != ERR_OK && info.offset > 0)
        return openai_refuse(a, fault, FAULT_BAD_REQUEST, (str){0},
                             "the body is not valid JSON: %s at byte %zu", info.text, info.offset);
    if (err != ERR_OK)
        return openai_refuse(a, fault, FAULT_BAD_REQUEST, (str){0},
                             "the body is not valid JSON: %s", info.text);
    if (json_kind(body) != JSON_OBJECT)
        return openai_refuse(a, fault, FAULT_BAD_REQUEST, (str){0},
                             "the body must be a JSON object, not %s",
                             json_kind_name(json_kind(body)));
    *ret = body;
    return ERR_OK;
}

enum err openai_chat_read(struct arena *a, char *text, size_t len, struct chat_request *ret,
                          struct openai_fault *fault)
{
    const struct json *body = NULL;
    if (openai_chat_fast(str_of(text, len), ret))
        return ERR_OK;
    enum err err = openai_body_parse(a, text, len, &body, fault);
    return err == ERR_OK ? openai_chat_decode(a, body, ret, fault) : err;
}
