#include "codec/ollama_request.h"

#include "codec/json.h"
#include "codec/tool_schema.h"

/* Opens the member `key` of an object; `*first` is whether it is the first. */
static void put_key(struct buf *out, bool *first, str key)
{
    if (!*first)
        buf_append_char(out, ',');
    *first = false;
    json_put_string(out, key);
    buf_append_char(out, ':');
}

/* As put_key for a key of ours, in which nothing is to be escaped. */
static void put_own_key(struct buf *out, bool *first, str key)
{
    buf_append(out, *first ? STR("\"") : STR(",\""));
    *first = false;
    buf_append(out, key);
    buf_append(out, STR("\":"));
}

/* A key of ours that is not the first member, as it goes out. */
#define KEY(name) STR(",\"" name "\":")

static void put_text(struct buf *out, str key, str text)
{
    buf_append(out, key);
    json_put_string(out, text);
}

static void put_call(struct buf *out, const struct chat_call *call)
{
    buf_append_char(out, '{');
    if (call->id.len > 0) {
        put_text(out, STR("\"id\":"), call->id);
        buf_append_char(out, ',');
    }
    put_text(out, STR("\"function\":{\"name\":"), call->name);
    buf_append(out, KEY("arguments"));
    if (call->arguments != NULL)
        json_put_value(out, call->arguments);
    else
        buf_append(out, STR("{}"));
    buf_append(out, STR("}}"));
}

static void put_calls(struct buf *out, const struct chat_message *m)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < m->n_calls; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        put_call(out, &m->calls[i]);
    }
    buf_append_char(out, ']');
}

/* Base64 was checked when the request was decoded: it goes out without another look. */
static void put_images(struct buf *out, const struct chat_message *m)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < m->n_images; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        buf_append_char(out, '"');
        buf_append(out, m->images[i]);
        buf_append_char(out, '"');
    }
    buf_append_char(out, ']');
}

static void put_message(struct buf *out, const struct chat_message *m)
{
    put_text(out, STR("{\"role\":"), m->role);
    put_text(out, KEY("content"), m->content);
    if (m->thinking.len > 0)
        put_text(out, KEY("thinking"), m->thinking);
    if (m->n_images > 0) {
        buf_append(out, KEY("images"));
        put_images(out, m);
    }
    if (m->n_calls > 0) {
        buf_append(out, KEY("tool_calls"));
        put_calls(out, m);
    }
    if (m->tool_name.len > 0)
        put_text(out, KEY("tool_name"), m->tool_name);
    if (m->tool_call_id.len > 0)
        put_text(out, KEY("tool_call_id"), m->tool_call_id);
    buf_append_char(out, '}');
}

static void put_messages(struct buf *out, const struct chat_request *req)
{
    if (req->messages_json.p != NULL) {
        buf_append(out, req->messages_json);
        return;
    }
    buf_append_char(out, '[');
    for (size_t i = 0; i < req->n_messages; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        put_message(out, &req->messages[i]);
    }
    buf_append_char(out, ']');
}

/* Whether a `stop` of the caller's own options has a text at all. */
static bool stop_is_set(const struct json *v)
{
    if (json_kind(v) == JSON_STRING)
        return json_str(v).len > 0;
    if (json_kind(v) != JSON_ARRAY)
        return true;
    struct json_iter it = json_iter(v);
    const struct json *item = NULL;
    while (json_next(&it, NULL, &item)) {
        if (json_kind(item) != JSON_STRING || json_str(item).len > 0)
            return true;
    }
    return false;
}

/* Whether a member of the caller's own options says something. */
static bool extra_is_set(str name, const struct json *v)
{
    return !json_is_null(v) && (!str_eq(name, STR("stop")) || stop_is_set(v));
}

static bool extra_has(const struct chat_request *req, str name)
{
    return extra_is_set(name, json_get(req->extra_options, name));
}

/*
 * Natively `stop` is an array of texts, an empty one takes the model's own stops away, and an
 * empty text in it ends every answer at once. What is neither text nor array goes on as it is.
 */
static void put_stop(struct buf *out, const struct json *v)
{
    if (json_kind(v) != JSON_STRING && json_kind(v) != JSON_ARRAY) {
        json_put_value(out, v);
        return;
    }
    buf_append_char(out, '[');
    if (json_kind(v) == JSON_STRING)
        json_put_value(out, v);
    struct json_iter it = json_iter(v);
    const struct json *item = NULL;
    bool first = true;
    while (json_next(&it, NULL, &item)) {
        if (json_kind(item) == JSON_STRING && json_str(item).len == 0)
            continue;
        if (!first)
            buf_append_char(out, ',');
        first = false;
        json_put_value(out, item);
    }
    buf_append_char(out, ']');
}

static void put_option(struct buf *out, const struct chat_option *o)
{
    switch (o->kind) {
    case CHAT_VALUE_INTEGER:
        buf_append_i64(out, o->integer);
        break;
    case CHAT_VALUE_NUMBER:
        buf_append(out, o->number);
        break;
    case CHAT_VALUE_JSON:
        json_put_value(out, o->json);
        break;
    case CHAT_VALUE_TEXTS:
        buf_append_char(out, '[');
        for (size_t i = 0; i < o->n_texts; i++) {
            if (i > 0)
                buf_append_char(out, ',');
            json_put_string(out, o->texts[i]);
        }
        buf_append_char(out, ']');
        break;
    }
}

/* The caller's own options win over what OpenAI's fields say, those over our defaults. */
static void put_options(struct buf *out, const struct chat_request *req,
                        const struct ollama_defaults *defaults)
{
    bool first = true;
    bool has_num_ctx = req->extra_options != NULL && extra_has(req, STR("num_ctx"));
    buf_append_char(out, '{');
    for (size_t i = 0; i < req->n_options; i++) {
        const struct chat_option *o = &req->options[i];
        has_num_ctx = has_num_ctx || str_eq(o->name, STR("num_ctx"));
        if (req->extra_options != NULL && extra_has(req, o->name))
            continue;
        put_own_key(out, &first, o->name);
        put_option(out, o);
    }
    if (defaults->num_ctx > 0 && !has_num_ctx) {
        put_own_key(out, &first, STR("num_ctx"));
        buf_append_i64(out, defaults->num_ctx);
    }
    struct json_iter it = json_iter(req->extra_options);
    const struct json *v = NULL;
    str name;
    while (json_next(&it, &name, &v)) {
        if (!extra_is_set(name, v))
            continue;
        put_key(out, &first, name);
        if (str_eq(name, STR("stop")))
            put_stop(out, v);
        else
            json_put_value(out, v);
    }
    buf_append_char(out, '}');
}

static void put_tools(struct buf *out, const struct chat_request *req)
{
    buf_append(out, KEY("tools"));
    buf_append_char(out, '[');
    for (size_t i = 0; i < req->n_tools; i++) {
        if (i > 0)
            buf_append_char(out, ',');
        tool_schema_put_tool(out, req->tools[i]);
    }
    buf_append_char(out, ']');
}

static void put_logprobs(struct buf *out, const struct chat_request *req)
{
    if (!req->logprobs)
        return;
    buf_append(out, STR(",\"logprobs\":true"));
    if (req->top_logprobs > 0) {
        buf_append(out, KEY("top_logprobs"));
        buf_append_i64(out, req->top_logprobs);
    }
}

static void put_format(struct buf *out, const struct chat_request *req)
{
    if (req->format == CHAT_FORMAT_TEXT)
        return;
    buf_append(out, KEY("format"));
    if (req->format == CHAT_FORMAT_JSON)
        buf_append(out, STR("\"json\""));
    else
        json_put_value(out, req->schema);
}

/* From `at` to the end, unless that forbids thinking, which no model minds. */
static struct ollama_span think_span(const struct buf *out, size_t at)
{
    bool asks = buf_ok(out) && !str_ends(buf_str(out), STR(":false"));
    return (struct ollama_span){at, asks ? out->len - at : 0};
}

/* What chat and generate have in common, behind their own members. */
static struct ollama_span put_common(struct buf *out, const struct chat_request *req,
                                     const struct ollama_defaults *defaults)
{
    struct ollama_span think = {0};
    if (req->n_options > 0 || json_size(req->extra_options) > 0 || defaults->num_ctx > 0) {
        buf_append(out, KEY("options"));
        put_options(out, req, defaults);
    }
    put_logprobs(out, req);
    if (req->think.len > 0) {
        size_t at = out->len;
        buf_append(out, KEY("think"));
        buf_append(out, req->think);
        think = think_span(out, at);
    }
    if (req->keep_alive != NULL) {
        buf_append(out, KEY("keep_alive"));
        json_put_value(out, req->keep_alive);
    }
    return think;
}

static void put_stream(struct buf *out, bool stream)
{
    buf_append(out, stream ? STR(",\"stream\":true") : STR(",\"stream\":false"));
}

/* Takes the memory of most bodies at once; growing with the text would copy it several times. */
static void make_room(struct buf *out, const struct chat_request *req)
{
    enum { FIXED = 512, PER_MESSAGE = 64 };
    size_t room = FIXED + req->messages_json.len;
    for (size_t i = 0; i < req->n_messages; i++) {
        const struct chat_message *m = &req->messages[i];
        room += PER_MESSAGE + m->content.len;
        for (size_t k = 0; k < m->n_images; k++)
            room += m->images[k].len;
    }
    if (room <= out->max - out->len)
        buf_reserve(out, room);
}

struct ollama_span ollama_chat_encode(const struct chat_request *req,
                                      const struct ollama_defaults *defaults, struct buf *out)
{
    make_room(out, req);
    put_text(out, STR("{\"model\":"), req->model);
    buf_append(out, KEY("messages"));
    put_messages(out, req);
    put_stream(out, req->stream);
    put_format(out, req);
    if (req->n_tools > 0)
        put_tools(out, req);
    struct ollama_span think = put_common(out, req, defaults);
    buf_append_char(out, '}');
    return think;
}

struct ollama_span ollama_generate_encode(const struct completion_request *req,
                                          const struct ollama_defaults *defaults, struct buf *out)
{
    put_text(out, STR("{\"model\":"), req->common.model);
    put_text(out, KEY("prompt"), req->prompt);
    if (req->suffix.len > 0)
        put_text(out, KEY("suffix"), req->suffix);
    put_stream(out, req->common.stream);
    if (req->raw)
        buf_append(out, STR(",\"raw\":true"));
    struct ollama_span think = put_common(out, &req->common, defaults);
    buf_append_char(out, '}');
    return think;
}

/* An empty text by itself gets no vector from Ollama; in a list it does. */
static void put_input(struct buf *out, const struct json *input)
{
    if (json_kind(input) == JSON_STRING && json_str(input).len == 0)
        buf_append(out, STR("[\"\"]"));
    else
        json_put_value(out, input);
}

void ollama_embed_encode(const struct embedding_request *req, struct buf *out)
{
    put_text(out, STR("{\"model\":"), req->model);
    buf_append(out, KEY("input"));
    put_input(out, req->input);
    if (req->truncate != NULL) {
        buf_append(out, KEY("truncate"));
        json_put_value(out, req->truncate);
    }
    if (req->dimensions > 0) {
        buf_append(out, KEY("dimensions"));
        buf_append_i64(out, req->dimensions);
    }
    if (req->options != NULL) {
        buf_append(out, KEY("options"));
        json_put_value(out, req->options);
    }
    if (req->keep_alive != NULL) {
        buf_append(out, KEY("keep_alive"));
        json_put_value(out, req->keep_alive);
    }
    buf_append_char(out, '}');
}
