#include "codec/openai_messages.h"

#include "codec/base64.h"
#include "codec/chat_history.h"

enum { ROLE_MAX = 64 }; // bytes

/* Where the decoder is: for the names of faulty fields. */
struct place {
    struct arena *a;
    struct openai_fault *fault;
    size_t message;
};

static enum err refuse(const struct place *at, const char *field, const char *what)
{
    str param = arena_printf(at->a, "messages[%zu]%s", at->message, field);
    return openai_refuse(at->a, at->fault, FAULT_BAD_REQUEST, param, "'messages[%zu]%s' %s",
                         at->message, field, what);
}

static enum err refuse_part(const struct place *at, size_t part, const char *field,
                            const char *what)
{
    char name[64];
    snprintf(name, sizeof(name), ".content[%zu]%s", part, field);
    return refuse(at, name, what);
}

static enum err refuse_call(const struct place *at, size_t call, const char *field,
                            const char *what)
{
    char name[64];
    snprintf(name, sizeof(name), ".tool_calls[%zu]%s", call, field);
    return refuse(at, name, what);
}

static enum err out_of_budget(const struct place *at)
{
    return openai_refuse(at->a, at->fault, FAULT_TOO_LARGE, (str){0}, "the request is too large");
}

/* ---- role ---- */

static enum err decode_role(const struct place *at, const struct json *v, str *ret)
{
    if (json_is_null(v)) {
        str param = arena_printf(at->a, "messages[%zu].role", at->message);
        return openai_refuse(at->a, at->fault, FAULT_MISSING_PARAMETER, param,
                             "'messages[%zu].role' is missing", at->message);
    }
    str role = json_str(v);
    if (role.len == 0 || role.len > ROLE_MAX)
        return refuse(at, ".role", "must be the name of a role");
    char *p = arena_alloc(at->a, role.len);
    if (p == NULL)
        return out_of_budget(at);
    for (size_t i = 0; i < role.len; i++)
        p[i] = ascii_lower(role.p[i]);
    str copy = str_of(p, role.len);
    *ret = copy;
    if (str_eq(copy, STR("developer")))
        *ret = STR("system");
    else if (str_eq(copy, STR("function")))
        *ret = STR("tool");
    return ERR_OK;
}

/* ---- content ---- */

/* The payload of a data URL of base64, else an empty str. */
static str data_url_payload(str url)
{
    if (!str_istarts(url, STR("data:")))
        return (str){0};
    size_t comma = str_find_char(str_head(url, 256), ',');
    str kind = str_head(url, comma);
    const str mark = STR(";base64");
    if (kind.len < mark.len || !str_ieq(str_skip(kind, kind.len - mark.len), mark))
        return (str){0};
    return str_skip(url, comma + 1);
}

/* Without line ends; the empty str if there is no memory for it. */
static str unwrap(struct arena *a, str text)
{
    char *p = arena_alloc(a, text.len);
    size_t n = 0;
    for (size_t i = 0; p != NULL && i < text.len; i++) {
        if (text.p[i] != '\n' && text.p[i] != '\r')
            p[n++] = text.p[i];
    }
    return str_of(p, n);
}

/* Base64 may be wrapped, as base64(1) writes it: that is rare, and the one case that is copied. */
static bool take_base64(const struct place *at, str text, str *ret)
{
    *ret = text;
    if (base64_is_valid(text))
        return true;
    if (str_find_char(text, '\n') == text.len && str_find_char(text, '\r') == text.len)
        return false;
    *ret = unwrap(at->a, text);
    return base64_is_valid(*ret);
}

static enum err decode_image(const struct place *at, size_t part, const struct json *v, str *ret)
{
    str url = json_kind(v) == JSON_OBJECT ? json_str(json_get(v, STR("url"))) : json_str(v);
    if (url.len == 0)
        return refuse_part(at, part, ".image_url", "must have a 'url'");
    if (str_istarts(url, STR("http://")) || str_istarts(url, STR("https://")))
        return refuse_part(at, part, ".image_url",
                           "must be a data URL: images are not fetched from the web");
    if (!take_base64(at, data_url_payload(url), ret))
        return refuse_part(at, part, ".image_url",
                           "must be a data URL with base64, such as data:image/png;base64,...");
    return ERR_OK;
}

/* Sound goes where images go: Ollama tells them apart by their first bytes. */
static enum err decode_audio(const struct place *at, size_t part, const struct json *v, str *ret)
{
    if (!take_base64(at, json_str(json_get(v, STR("data"))), ret))
        return refuse_part(at, part, ".input_audio.data", "must be base64");
    return ERR_OK;
}

/* The parts of one message, gathered. */
struct parts {
    str *texts;
    size_t n_texts;
    str *images;
    size_t n_images;
};

static enum err decode_part(const struct place *at, size_t i, const struct json *part,
                            struct parts *ret)
{
    if (json_kind(part) != JSON_OBJECT)
        return refuse_part(at, i, "", "must be an object");
    str type = json_str(json_get(part, STR("type")));
    bool refusal = str_eq(type, STR("refusal"));
    if (refusal || str_eq(type, STR("text"))) {
        const struct json *text = json_get(part, type);
        if (json_kind(text) != JSON_STRING)
            return refuse_part(at, i, refusal ? ".refusal" : ".text", "must be a string");
        ret->texts[ret->n_texts++] = json_str(text);
        return ERR_OK;
    }
    if (str_eq(type, STR("image_url")))
        return decode_image(at, i, json_get(part, type), &ret->images[ret->n_images++]);
    if (str_eq(type, STR("input_audio")))
        return decode_audio(at, i, json_get(part, type), &ret->images[ret->n_images++]);
    return refuse_part(at, i, ".type", "must be 'text', 'image_url' or 'input_audio'");
}

static str join(struct arena *a, const str *texts, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += texts[i].len;
    char *p = arena_alloc(a, len);
    if (p == NULL)
        return (str){0};
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (texts[i].len > 0)
            memcpy(p + at, texts[i].p, texts[i].len);
        at += texts[i].len;
    }
    return str_of(p, len);
}

static enum err decode_parts(const struct place *at, const struct json *v, struct chat_message *ret)
{
    struct parts parts = {
        .texts = arena_new(at->a, str, json_size(v)),
        .images = arena_new(at->a, str, json_size(v)),
    };
    if (parts.texts == NULL || parts.images == NULL)
        return out_of_budget(at);
    struct json_iter it = json_iter(v);
    const struct json *part = NULL;
    for (size_t i = 0; json_next(&it, NULL, &part); i++) {
        enum err err = decode_part(at, i, part, &parts);
        if (err != ERR_OK)
            return err;
    }
    ret->images = parts.images;
    ret->n_images = parts.n_images;
    ret->content = parts.n_texts == 1 ? parts.texts[0] : join(at->a, parts.texts, parts.n_texts);
    return at->a->overflowed ? out_of_budget(at) : ERR_OK;
}

static enum err decode_content(const struct place *at, const struct json *v,
                               struct chat_message *ret)
{
    switch (json_kind(v)) {
    case JSON_NULL:
        return ERR_OK;
    case JSON_STRING:
        ret->content = json_str(v);
        return ERR_OK;
    case JSON_ARRAY:
        return json_size(v) > 0 ? decode_parts(at, v, ret) : ERR_OK;
    default:
        return refuse(at, ".content", "must be a string or an array of parts");
    }
}

/* ---- tool calls ---- */

/* Arguments are the text of an object here, and an object natively. */
static enum err decode_arguments(const struct place *at, size_t i, const struct json *v,
                                 const struct json **ret)
{
    const struct json *object = v;
    if (json_kind(v) == JSON_STRING) {
        str text = str_trim_ws(json_str(v));
        if (text.len == 0)
            return ERR_OK;
        enum err err = json_parse(at->a, text, JSON_STRICT, &object, NULL);
        if (err == ERR_TOO_LARGE)
            return out_of_budget(at);
        if (err != ERR_OK)
            object = v;
    }
    if (json_kind(object) != JSON_OBJECT && !json_is_null(object))
        return refuse_call(at, i, ".function.arguments", "must be the JSON text of an object");
    *ret = json_is_null(object) ? NULL : object;
    return ERR_OK;
}

static enum err decode_call(const struct place *at, size_t i, const struct json *v,
                            struct chat_call *ret)
{
    const struct json *function = json_get(v, STR("function"));
    const struct json *id = json_get(v, STR("id"));
    ret->name = json_str(json_get(function, STR("name")));
    ret->id = json_str(id);
    if (ret->name.len == 0)
        return refuse_call(at, i, ".function.name", "must be the name of a function");
    if (!json_is_null(id) && json_kind(id) != JSON_STRING)
        return refuse_call(at, i, ".id", "must be a string");
    return decode_arguments(at, i, json_get(function, STR("arguments")), &ret->arguments);
}

static enum err decode_calls(const struct place *at, const struct json *v, struct chat_message *ret)
{
    if (!json_is_null(v) && json_kind(v) != JSON_ARRAY)
        return refuse(at, ".tool_calls", "must be an array");
    size_t n = json_size(v);
    if (n == 0)
        return ERR_OK;
    struct chat_call *calls = arena_new(at->a, struct chat_call, n);
    if (calls == NULL)
        return out_of_budget(at);
    struct json_iter it = json_iter(v);
    const struct json *call = NULL;
    for (size_t i = 0; json_next(&it, NULL, &call); i++) {
        enum err err = decode_call(at, i, call, &calls[i]);
        if (err != ERR_OK)
            return err;
    }
    ret->calls = calls;
    ret->n_calls = n;
    return ERR_OK;
}

static enum err decode_tool_result(const struct place *at, const struct json *v,
                                   struct chat_message *ret)
{
    const struct json *id = json_get(v, STR("tool_call_id"));
    const struct json *name = json_get(v, STR("name"));
    if (!json_is_null(id) && json_kind(id) != JSON_STRING)
        return refuse(at, ".tool_call_id", "must be a string");
    if (!json_is_null(name) && json_kind(name) != JSON_STRING)
        return refuse(at, ".name", "must be a string");
    ret->tool_call_id = json_str(id);
    ret->tool_name = json_str(name);
    return ERR_OK;
}

/* ---- messages ---- */

/* Two names are in use for the thinking of an earlier answer; servers say one or the other. */
static enum err decode_thinking(const struct place *at, const struct json *v, str *ret)
{
    const struct json *content = json_get(v, STR("reasoning_content"));
    const struct json *plain = json_get(v, STR("reasoning"));
    if (!json_is_null(content) && json_kind(content) != JSON_STRING)
        return refuse(at, ".reasoning_content", "must be a string");
    if (!json_is_null(plain) && json_kind(plain) != JSON_STRING)
        return refuse(at, ".reasoning", "must be a string");
    *ret = json_str(content).len > 0 ? json_str(content) : json_str(plain);
    return ERR_OK;
}

static enum err decode_message(const struct place *at, const struct json *v,
                               struct chat_message *ret)
{
    if (json_kind(v) != JSON_OBJECT)
        return refuse(at, "", "must be an object");
    enum err err = decode_role(at, json_get(v, STR("role")), &ret->role);
    if (err == ERR_OK)
        err = decode_content(at, json_get(v, STR("content")), ret);
    if (err != ERR_OK)
        return err;
    if (str_eq(ret->role, STR("tool")))
        return decode_tool_result(at, v, ret);
    if (!str_eq(ret->role, STR("assistant")))
        return ERR_OK;
    err = decode_thinking(at, v, &ret->thinking);
    return err != ERR_OK ? err : decode_calls(at, json_get(v, STR("tool_calls")), ret);
}

enum err openai_messages_decode(struct arena *a, const struct json *messages,
                                struct chat_request *ret, struct openai_fault *fault)
{
    struct place at = {.a = a, .fault = fault};
    if (!json_is_null(messages) && json_kind(messages) != JSON_ARRAY)
        return openai_refuse(a, fault, FAULT_BAD_REQUEST, STR("messages"),
                             "'messages' must be an array, not %s",
                             json_kind_name(json_kind(messages)));
    size_t n = json_size(messages);
    if (n == 0)
        return openai_refuse(a, fault, FAULT_MISSING_PARAMETER, STR("messages"),
                             "'messages' must hold at least one message");
    struct chat_message *list = arena_new(a, struct chat_message, n);
    if (list == NULL)
        return out_of_budget(&at);
    struct json_iter it = json_iter(messages);
    const struct json *v = NULL;
    for (; json_next(&it, NULL, &v); at.message++) {
        enum err err = decode_message(&at, v, &list[at.message]);
        if (err != ERR_OK)
            return err;
    }
    if (chat_history_name_results(a, list, n) != ERR_OK ||
        chat_history_merge(a, list, &n) != ERR_OK)
        return out_of_budget(&at);
    ret->messages = list;
    ret->n_messages = n;
    return ERR_OK;
}
