#include "codec/openai_tools.h"

/* What all steps of the decoder work on. */
struct decoder {
    struct arena *a;
    struct openai_fault *fault;
};

/* Which functions may be called. */
struct choice {
    bool none;
    bool listed; // only `names`
    const str *names;
    size_t n;
};

#define REFUSE(d, param, ...)                                                                      \
    openai_refuse((d)->a, (d)->fault, FAULT_BAD_REQUEST, (param), __VA_ARGS__)

static const str FUNCTION = STR_C("function");

static str name_of(const struct json *tool)
{
    return json_str(json_get(json_get(tool, FUNCTION), STR("name")));
}

static enum err out_of_budget(const struct decoder *d)
{
    return openai_refuse(d->a, d->fault, FAULT_TOO_LARGE, (str){0}, "the request is too large");
}

/* ---- tool_choice ---- */

static enum err decode_mode(const struct decoder *d, str mode, struct choice *ret)
{
    ret->none = str_eq(mode, STR("none"));
    if (ret->none || str_eq(mode, STR("auto")) || str_eq(mode, STR("required")))
        return ERR_OK;
    return REFUSE(d, STR("tool_choice"),
                  "'tool_choice' must be 'none', 'auto', 'required' or an object");
}

static enum err decode_named(const struct decoder *d, const struct json *v, struct choice *ret)
{
    str *name = arena_new(d->a, str, 1);
    if (name == NULL)
        return out_of_budget(d);
    *name = name_of(v);
    if (name->len == 0)
        return REFUSE(d, STR("tool_choice.function.name"),
                      "'tool_choice.function.name' must be the name of a function");
    *ret = (struct choice){.listed = true, .names = name, .n = 1};
    return ERR_OK;
}

static enum err decode_allowed(const struct decoder *d, const struct json *v, struct choice *ret)
{
    const struct json *tools = json_get(json_get(v, STR("allowed_tools")), STR("tools"));
    if (json_kind(tools) != JSON_ARRAY)
        return REFUSE(d, STR("tool_choice.allowed_tools.tools"),
                      "'tool_choice.allowed_tools.tools' must be an array");
    str *names = arena_new(d->a, str, json_size(tools));
    if (names == NULL)
        return out_of_budget(d);
    struct json_iter it = json_iter(tools);
    const struct json *tool = NULL;
    size_t n = 0;
    while (json_next(&it, NULL, &tool))
        names[n++] = name_of(tool);
    *ret = (struct choice){.listed = true, .names = names, .n = n};
    return ERR_OK;
}

static enum err decode_choice(const struct decoder *d, const struct json *v, struct choice *ret)
{
    if (json_is_null(v))
        return ERR_OK;
    if (json_kind(v) == JSON_STRING)
        return decode_mode(d, json_str(v), ret);
    if (json_kind(v) != JSON_OBJECT)
        return REFUSE(d, STR("tool_choice"), "'tool_choice' must be a string or an object, not %s",
                      json_kind_name(json_kind(v)));
    str type = json_str(json_get(v, STR("type")));
    if (str_eq(type, FUNCTION))
        return decode_named(d, v, ret);
    if (str_eq(type, STR("allowed_tools")))
        return decode_allowed(d, v, ret);
    return REFUSE(d, STR("tool_choice.type"),
                  "'tool_choice.type' must be 'function' or 'allowed_tools'");
}

static bool is_chosen(const struct choice *choice, str name)
{
    if (!choice->listed)
        return !choice->none;
    for (size_t i = 0; i < choice->n; i++) {
        if (str_eq(choice->names[i], name))
            return true;
    }
    return false;
}

/* ---- tools ---- */

static enum err refuse_member(const struct decoder *d, size_t i, const char *member,
                              const char *what)
{
    return REFUSE(d, arena_printf(d->a, "tools[%zu]%s", i, member), "'tools[%zu]%s' %s", i, member,
                  what);
}

/* A tool without a type is what its other member says. */
static enum err decode_tool(const struct decoder *d, size_t i, const struct json *tool,
                            bool *is_function)
{
    const struct json *type = json_get(tool, STR("type"));
    const struct json *function = json_get(tool, FUNCTION);
    if (json_kind(tool) != JSON_OBJECT)
        return refuse_member(d, i, "", "must be an object");
    if (!json_is_null(type) && json_kind(type) != JSON_STRING)
        return refuse_member(d, i, ".type", "must be a string");
    *is_function = json_is_null(type) || str_eq(json_str(type), FUNCTION);
    if (!*is_function)
        return ERR_OK;
    if (name_of(tool).len == 0)
        return refuse_member(d, i, ".function.name", "must be the name of a function");
    const struct json *description = json_get(function, STR("description"));
    const struct json *parameters = json_get(function, STR("parameters"));
    if (!json_is_null(description) && json_kind(description) != JSON_STRING)
        return refuse_member(d, i, ".function.description", "must be a string");
    if (!json_is_null(parameters) && json_kind(parameters) != JSON_OBJECT &&
        json_kind(parameters) != JSON_BOOL)
        return refuse_member(d, i, ".function.parameters", "must be a JSON schema");
    return ERR_OK;
}

static enum err decode_list(const struct decoder *d, const struct json *tools,
                            const struct choice *choice, struct chat_request *ret)
{
    const struct json **list = arena_new(d->a, const struct json *, json_size(tools));
    if (list == NULL)
        return out_of_budget(d);
    struct json_iter it = json_iter(tools);
    const struct json *tool = NULL;
    size_t n = 0;
    for (size_t i = 0; json_next(&it, NULL, &tool); i++) {
        bool is_function = false;
        enum err err = decode_tool(d, i, tool, &is_function);
        if (err != ERR_OK)
            return err;
        if (is_function && is_chosen(choice, name_of(tool)))
            list[n++] = tool;
    }
    ret->tools = list;
    ret->n_tools = n;
    return ERR_OK;
}

enum err openai_tools_decode(struct arena *a, const struct json *tools,
                             const struct json *tool_choice, struct chat_request *ret,
                             struct openai_fault *fault)
{
    const struct decoder d = {.a = a, .fault = fault};
    struct choice choice = {0};
    if (!json_is_null(tools) && json_kind(tools) != JSON_ARRAY)
        return REFUSE(&d, STR("tools"), "'tools' must be an array, not %s",
                      json_kind_name(json_kind(tools)));
    enum err err = decode_choice(&d, tool_choice, &choice);
    if (err == ERR_OK)
        err = decode_list(&d, tools, &choice, ret);
    if (err != ERR_OK)
        return err;
    if (choice.listed && ret->n_tools == 0)
        return REFUSE(&d, STR("tool_choice"), "'tool_choice' names no function of 'tools'");
    return ERR_OK;
}
