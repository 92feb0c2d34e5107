#include "codec/tool_schema.h"

/* What Ollama expects behind a keyword. */
enum form {
    FORM_ANY,
    FORM_TEXT,
    FORM_LIST,
    FORM_TEXTS,      // a list of texts
    FORM_TYPE,       // a text or a list of texts
    FORM_TYPE_TEXT,  // a text only
    FORM_PROPERTIES, // schemas by name
    FORM_SCHEMAS,    // a list of schemas
    FORM_PARAMETERS,
    FORM_FUNCTION,
};

struct keyword {
    str name;
    enum form form;
};

struct keywords {
    const struct keyword *list;
    size_t n;
};

/* All other keywords are not read there: they go out as they are. */
static const struct keyword TOOL_LIST[] = {
    {STR_C("type"),     FORM_TEXT    },
    {STR_C("items"),    FORM_ANY     },
    {STR_C("function"), FORM_FUNCTION},
};

static const struct keyword FUNCTION_LIST[] = {
    {STR_C("name"),        FORM_TEXT      },
    {STR_C("description"), FORM_TEXT      },
    {STR_C("parameters"),  FORM_PARAMETERS},
};

static const struct keyword PARAMETERS_LIST[] = {
    {STR_C("type"),       FORM_TYPE_TEXT },
    {STR_C("$defs"),      FORM_ANY       },
    {STR_C("items"),      FORM_ANY       },
    {STR_C("required"),   FORM_TEXTS     },
    {STR_C("properties"), FORM_PROPERTIES},
};

static const struct keyword SCHEMA_LIST[] = {
    {STR_C("anyOf"),       FORM_SCHEMAS   },
    {STR_C("type"),        FORM_TYPE      },
    {STR_C("items"),       FORM_ANY       },
    {STR_C("description"), FORM_TEXT      },
    {STR_C("enum"),        FORM_LIST      },
    {STR_C("properties"),  FORM_PROPERTIES},
    {STR_C("required"),    FORM_TEXTS     },
};

static const struct keywords TOOL = {TOOL_LIST, COUNT_OF(TOOL_LIST)};
static const struct keywords FUNCTION = {FUNCTION_LIST, COUNT_OF(FUNCTION_LIST)};
static const struct keywords PARAMETERS = {PARAMETERS_LIST, COUNT_OF(PARAMETERS_LIST)};
static const struct keywords SCHEMA = {SCHEMA_LIST, COUNT_OF(SCHEMA_LIST)};

static void put_value(struct buf *out, enum form form, const struct json *v);

static void put_comma(struct buf *out, bool *first)
{
    if (!*first)
        buf_append_char(out, ',');
    *first = false;
}

/* Names of fields are matched there without regard to letter case. */
static enum form form_of(const struct keywords *known, str name)
{
    for (size_t i = 0; i < known->n; i++) {
        if (str_ieq(known->list[i].name, name))
            return known->list[i].form;
    }
    return FORM_ANY;
}

static const struct json *first_text(const struct json *list)
{
    struct json_iter it = json_iter(list);
    const struct json *v = NULL;
    while (json_next(&it, NULL, &v)) {
        if (json_kind(v) == JSON_STRING)
            return v;
    }
    return NULL;
}

/* Whether `v` can be written in a form that is read; what cannot is left out, key and all. */
static bool is_usable(enum form form, const struct json *v)
{
    enum json_kind kind = json_kind(v);
    switch (form) {
    case FORM_ANY:
        return true;
    case FORM_TEXT:
        return kind == JSON_STRING;
    case FORM_LIST:
    case FORM_TEXTS:
    case FORM_SCHEMAS:
        return kind == JSON_ARRAY;
    case FORM_TYPE:
    case FORM_TYPE_TEXT:
        return kind == JSON_STRING || first_text(v) != NULL;
    case FORM_PROPERTIES:
    case FORM_FUNCTION:
        return kind == JSON_OBJECT;
    case FORM_PARAMETERS:
        return kind == JSON_OBJECT || kind == JSON_BOOL;
    }
    return false;
}

/* Appends the members of `v`, of which `first` says whether others went before. */
static void put_members(struct buf *out, const struct keywords *known, const struct json *v,
                        bool first)
{
    struct json_iter it = json_iter(v);
    const struct json *member = NULL;
    str name;
    while (json_next(&it, &name, &member)) {
        enum form form = form_of(known, name);
        if (!is_usable(form, member))
            continue;
        put_comma(out, &first);
        json_put_string(out, name);
        buf_append_char(out, ':');
        put_value(out, form, member);
    }
}

static void put_object(struct buf *out, const struct keywords *known, const struct json *v)
{
    buf_append_char(out, '{');
    put_members(out, known, v, true);
    buf_append_char(out, '}');
}

/* Nothing may ever be there: the place is not mentioned at all. */
static bool is_never(const struct json *schema)
{
    bool allowed = true;
    return json_to_bool(schema, &allowed) && !allowed;
}

/* A schema that is no object allows anything. */
static void put_schema(struct buf *out, const struct json *v)
{
    put_object(out, &SCHEMA, json_kind(v) == JSON_OBJECT ? v : NULL);
}

static void put_schemas(struct buf *out, const struct json *v)
{
    struct json_iter it = json_iter(v);
    const struct json *schema = NULL;
    bool first = true;
    buf_append_char(out, '[');
    while (json_next(&it, NULL, &schema)) {
        if (is_never(schema))
            continue;
        put_comma(out, &first);
        put_schema(out, schema);
    }
    buf_append_char(out, ']');
}

static void put_properties(struct buf *out, const struct json *v)
{
    struct json_iter it = json_iter(v);
    const struct json *schema = NULL;
    str name;
    bool first = true;
    buf_append_char(out, '{');
    while (json_next(&it, &name, &schema)) {
        if (is_never(schema))
            continue;
        put_comma(out, &first);
        json_put_string(out, name);
        buf_append_char(out, ':');
        put_schema(out, schema);
    }
    buf_append_char(out, '}');
}

static void put_texts(struct buf *out, const struct json *v)
{
    struct json_iter it = json_iter(v);
    const struct json *text = NULL;
    bool first = true;
    buf_append_char(out, '[');
    while (json_next(&it, NULL, &text)) {
        if (json_kind(text) != JSON_STRING)
            continue;
        put_comma(out, &first);
        json_put_value(out, text);
    }
    buf_append_char(out, ']');
}

/* One type of several: arguments are an object always. */
static void put_one_type(struct buf *out, const struct json *types)
{
    struct json_iter it = json_iter(types);
    const struct json *type = NULL;
    const struct json *chosen = first_text(types);
    while (json_next(&it, NULL, &type)) {
        if (str_eq(json_str(type), STR("object")))
            chosen = type;
    }
    json_put_value(out, chosen);
}

static void put_parameters(struct buf *out, const struct json *v)
{
    if (json_kind(v) != JSON_OBJECT) {
        buf_append(out, STR("{\"type\":\"object\",\"properties\":{}}"));
        return;
    }
    bool has_type = is_usable(FORM_TYPE_TEXT, json_get(v, STR("type")));
    buf_append(out, has_type ? STR("{") : STR("{\"type\":\"object\""));
    put_members(out, &PARAMETERS, v, has_type);
    buf_append_char(out, '}');
}

static void put_value(struct buf *out, enum form form, const struct json *v)
{
    switch (form) {
    case FORM_TEXTS:
        put_texts(out, v);
        break;
    case FORM_TYPE:
        if (json_kind(v) == JSON_ARRAY)
            put_texts(out, v);
        else
            json_put_value(out, v);
        break;
    case FORM_TYPE_TEXT:
        if (json_kind(v) == JSON_ARRAY)
            put_one_type(out, v);
        else
            json_put_value(out, v);
        break;
    case FORM_PROPERTIES:
        put_properties(out, v);
        break;
    case FORM_SCHEMAS:
        put_schemas(out, v);
        break;
    case FORM_PARAMETERS:
        put_parameters(out, v);
        break;
    case FORM_FUNCTION:
        put_object(out, &FUNCTION, v);
        break;
    case FORM_ANY:
    case FORM_TEXT:
    case FORM_LIST:
        json_put_value(out, v);
        break;
    }
}

void tool_schema_put_tool(struct buf *out, const struct json *tool)
{
    put_object(out, &TOOL, tool);
}
