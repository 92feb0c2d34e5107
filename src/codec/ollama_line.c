#include "codec/ollama_line.h"

#include "codec/json_raw.h"
#include "codec/ollama_line_fast.h"

enum {
    TOOL_NAME_MAX = 1024, // bytes; a longer one would not fit a line of a stream
    OBJECT_TEXT_MAX = 4096,
};

/* Which route's objects: where their texts stand. */
enum ollama_form {
    OLLAMA_CHAT,
    OLLAMA_GENERATE,
};

#define NO_SENTENCE STR("the upstream reported an error and did not say which")

static enum err wrong_type(struct err_info *info, const char *field, const struct json *v)
{
    return err_set(info, ERR_SYNTAX, "'%s' of a native answer is %s", field,
                   json_kind_name(json_kind(v)));
}

/* The sentence in an `error` member that is an object, or an object written as text. */
static str error_of_object(const struct json *v)
{
    const struct json *inner = json_get(v, STR("error"));
    if (json_kind(inner) == JSON_OBJECT)
        v = inner;
    else if (json_kind(inner) == JSON_STRING)
        return json_str(inner);
    return json_str(json_get(v, STR("message")));
}

/* llama-server's object that says how many tokens there may be: all of it is worth telling. */
static bool is_about_context(const struct json *v)
{
    const struct json *inner = json_get(v, STR("error"));
    str type = json_str(json_get(inner != NULL ? inner : v, STR("type")));
    return str_eq(type, STR("exceed_context_size_error"));
}

/* The text of an object, in the arena; empty if there is no room for it. */
static str text_of_object(struct arena *a, const struct json *v)
{
    struct buf out;
    buf_init(&out, OBJECT_TEXT_MAX);
    json_put_value(&out, v);
    str text = buf_ok(&out) ? arena_copy(a, buf_str(&out)) : (str){0};
    buf_release(&out);
    return text;
}

/* llama-server's own error objects arrive as text inside of Ollama's. */
static str error_of_text(struct arena *a, str text)
{
    const struct json *inner = NULL;
    text = str_trim_ws(text);
    if (text.len == 0 || text.p[0] != '{')
        return text;
    if (json_parse(a, text, JSON_TOLERANT, &inner, NULL) != ERR_OK || is_about_context(inner))
        return text;
    str sentence = str_trim_ws(error_of_object(inner));
    return sentence.len > 0 ? sentence : text;
}

bool ollama_error_of(struct arena *a, const struct json *v, str *ret)
{
    str sentence = {0};
    if (json_is_null(v) || (json_kind(v) == JSON_STRING && json_str(v).len == 0))
        return false;
    if (json_kind(v) == JSON_STRING)
        sentence = error_of_text(a, json_str(v));
    else if (is_about_context(v))
        sentence = text_of_object(a, v);
    else
        sentence = str_trim_ws(error_of_object(v));
    *ret = sentence.len > 0 ? sentence : NO_SENTENCE;
    return true;
}

static uint64_t count_of(const struct json *v)
{
    int64_t n = 0;
    return json_to_i64(v, &n) && n > 0 ? (uint64_t)n : 0;
}

static enum err text_of_field(const struct json *object, str name, str *ret, struct err_info *info)
{
    const struct json *v = json_get(object, name);
    if (!json_is_null(v) && json_kind(v) != JSON_STRING)
        return wrong_type(info, name.p, v);
    *ret = json_str(v);
    return ERR_OK;
}

static enum err check_tool_calls(const struct json *calls, struct err_info *info)
{
    struct json_iter it = json_iter(calls);
    const struct json *call = NULL;
    while (json_next(&it, NULL, &call)) {
        str name = json_str(json_get(json_get(call, STR("function")), STR("name")));
        if (name.len == 0 || name.len > TOOL_NAME_MAX)
            return err_set(info, ERR_SYNTAX, "a tool call without a usable name");
    }
    return ERR_OK;
}

static enum err read_message(const struct json *message, struct ollama_line *ret,
                             struct err_info *info)
{
    if (!json_is_null(message) && json_kind(message) != JSON_OBJECT)
        return wrong_type(info, "message", message);
    enum err err = text_of_field(message, STR("content"), &ret->content, info);
    if (err == ERR_OK)
        err = text_of_field(message, STR("thinking"), &ret->thinking, info);
    if (err != ERR_OK)
        return err;

    const struct json *calls = json_get(message, STR("tool_calls"));
    if (!json_is_null(calls) && json_kind(calls) != JSON_ARRAY)
        return wrong_type(info, "tool_calls", calls);
    ret->tool_calls = json_size(calls) > 0 ? calls : NULL;
    return check_tool_calls(calls, info);
}

static enum err read_texts(const struct json *object, enum ollama_form form,
                           struct ollama_line *ret, struct err_info *info)
{
    if (form == OLLAMA_CHAT)
        return read_message(json_get(object, STR("message")), ret, info);
    enum err err = text_of_field(object, STR("response"), &ret->content, info);
    return err != ERR_OK ? err : text_of_field(object, STR("thinking"), &ret->thinking, info);
}

static enum err read_object(struct arena *a, const struct json *object, enum ollama_form form,
                            struct ollama_line *ret, struct err_info *info)
{
    str answer = form == OLLAMA_CHAT ? STR("message") : STR("response");
    ret->has_error = ollama_error_of(a, json_get(object, STR("error")), &ret->error);
    if (ret->has_error)
        return ERR_OK;
    const struct json *done = json_get(object, STR("done"));
    if (json_is_null(done) && json_is_null(json_get(object, answer)))
        return err_set(info, ERR_SYNTAX, "neither an answer nor an error");
    if (!json_is_null(done) && !json_to_bool(done, &ret->done))
        return wrong_type(info, "done", done);
    enum err err = read_texts(object, form, ret, info);
    if (err != ERR_OK)
        return err;

    const struct json *logprobs = json_get(object, STR("logprobs"));
    ret->logprobs = json_kind(logprobs) == JSON_ARRAY && json_size(logprobs) > 0 ? logprobs : NULL;
    if (ret->done) {
        ret->done_reason = json_str(json_get(object, STR("done_reason")));
        ret->prompt_tokens = count_of(json_get(object, STR("prompt_eval_count")));
        ret->completion_tokens = count_of(json_get(object, STR("eval_count")));
    }
    return ERR_OK;
}

static enum err parse(struct arena *a, str text, enum ollama_form form, struct ollama_line *ret,
                      struct err_info *info)
{
    const struct json *object = NULL;
    struct ollama_line line = {0};
    enum err err = json_parse(a, text, JSON_TOLERANT, &object, info);
    if (err == ERR_RANGE)
        return ERR_SYNTAX;
    if (err != ERR_OK)
        return err;
    if (json_kind(object) != JSON_OBJECT)
        return err_set(info, ERR_SYNTAX, "a native answer is %s",
                       json_kind_name(json_kind(object)));
    err = read_object(a, object, form, &line, info);
    if (err != ERR_OK)
        return err;
    if (line.tool_calls != NULL)
        line.calls_text = json_raw_get(json_raw_get(text, STR("message")), STR("tool_calls"));
    *ret = line;
    return ERR_OK;
}

enum err ollama_line_decode(struct arena *a, str text, struct ollama_line *ret,
                            struct err_info *info)
{
    return ollama_line_fast(a, text, ret) ? ERR_OK : ollama_line_parse(a, text, ret, info);
}

enum err ollama_line_parse(struct arena *a, str text, struct ollama_line *ret,
                           struct err_info *info)
{
    return parse(a, text, OLLAMA_CHAT, ret, info);
}

enum err ollama_generate_decode(struct arena *a, str text, struct ollama_line *ret,
                                struct err_info *info)
{
    return parse(a, text, OLLAMA_GENERATE, ret, info);
}

/* Whether a body that is not JSON is a sentence for people. */
static bool is_plain_sentence(str body)
{
    if (body.len == 0 || body.p[0] == '<' || utf8_valid_prefix(body) < body.len)
        return false;
    if (str_icontains(str_head(body, 1024), STR("<html")))
        return false;
    for (size_t i = 0; i < body.len; i++) {
        unsigned char c = (unsigned char)body.p[i];
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
            return false;
    }
    return true;
}

void ollama_error_decode(struct arena *a, str body, struct ollama_error *ret)
{
    const struct json *v = NULL;
    *ret = (struct ollama_error){0};
    body = str_trim_ws(body);
    if (body.len == 0)
        return;
    if (json_parse(a, body, JSON_TOLERANT, &v, NULL) != ERR_OK) {
        if (is_plain_sentence(body))
            ret->text = body;
        return;
    }
    if (json_kind(v) == JSON_STRING) {
        ret->text = str_trim_ws(json_str(v));
        return;
    }
    ret->is_native = ollama_error_of(a, json_get(v, STR("error")), &ret->text);
    ret->has_signin_url = json_str(json_get(v, STR("signin_url"))).len > 0;
    if (!ret->is_native)
        ret->text = str_trim_ws(json_str(json_get(v, STR("message"))));
}
