#include "codec/ollama_models.h"

#include "base/date.h"
#include "codec/json.h"

static const struct ability_row {
    str name;
    enum model_ability ability;
} ABILITIES[] = {
    {STR_C("completion"), MODEL_CHATS      },
    {STR_C("tools"),      MODEL_CALLS_TOOLS},
    {STR_C("insert"),     MODEL_INSERTS    },
    {STR_C("vision"),     MODEL_SEES       },
    {STR_C("embedding"),  MODEL_EMBEDS     },
    {STR_C("thinking"),   MODEL_THINKS     },
};

static unsigned ability_of(str name)
{
    for (size_t i = 0; i < COUNT_OF(ABILITIES); i++) {
        if (str_eq(ABILITIES[i].name, name))
            return ABILITIES[i].ability;
    }
    return 0;
}

/* An empty list says nothing either: no model can do nothing at all. */
static struct model_abilities abilities_of(const struct json *v)
{
    struct model_abilities abilities = {0};
    if (json_kind(v) != JSON_ARRAY)
        return abilities;
    struct json_iter it = json_iter(v);
    const struct json *item = NULL;
    while (json_next(&it, NULL, &item)) {
        if (json_str(item).len == 0)
            continue;
        abilities.known = true;
        abilities.set |= ability_of(json_str(item));
    }
    return abilities;
}

/* Some servers write Go's zero time, of the year 1, for a time they do not know. */
static int64_t created_of(const struct json *v)
{
    int64_t at_s;
    return date_parse_rfc3339(json_str(v), &at_s) && at_s > 0 ? at_s : 0;
}

static int64_t size_of(const struct json *v)
{
    int64_t size;
    return json_to_i64(v, &size) && size > 0 ? size : 0;
}

/* Whether a name can be shown and asked for: no control characters, and not without end. */
static bool name_ok(str name)
{
    if (name.len == 0 || name.len > MODEL_NAME_MAX || utf8_valid_prefix(name) < name.len)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c <= ' ' || c == 0x7F)
            return false;
    }
    return true;
}

static str name_of(const struct json *entry)
{
    str name = json_str(json_get(entry, STR("model")));
    return name.len > 0 ? name : json_str(json_get(entry, STR("name")));
}

static enum err parse_object(struct arena *a, str text, const struct json **ret,
                             struct err_info *info)
{
    enum err e = json_parse(a, text, JSON_TOLERANT, ret, info);
    if (e == ERR_OK && json_kind(*ret) != JSON_OBJECT)
        e = err_set(info, ERR_SYNTAX, "the answer is %s", json_kind_name(json_kind(*ret)));
    return e;
}

/* Whether an object has the member `key` at all, be it null. */
static bool has(const struct json *object, str key)
{
    struct json_iter it = json_iter(object);
    const struct json *v = NULL;
    str name;
    while (json_next(&it, &name, &v)) {
        if (str_eq(name, key))
            return true;
    }
    return false;
}

enum err ollama_tags_decode(struct arena *a, str text, struct model_list *ret,
                            struct err_info *info)
{
    const struct json *root = NULL;
    enum err e = parse_object(a, text, &root, info);
    if (e != ERR_OK)
        return e;
    const struct json *models = json_get(root, STR("models"));
    if (!has(root, STR("models")) || (!json_is_null(models) && json_kind(models) != JSON_ARRAY))
        return err_set(info, ERR_SYNTAX, "the answer has no list of models");

    size_t most = json_size(models);
    most = most < MODEL_LIST_MAX ? most : MODEL_LIST_MAX;
    struct model_entry *items = arena_new(a, struct model_entry, most > 0 ? most : 1);
    if (items == NULL)
        return err_set(info, ERR_TOO_LARGE, "the list of models is too large");
    size_t n = 0;
    struct json_iter it = json_iter(models);
    const struct json *entry = NULL;
    while (n < most && json_next(&it, NULL, &entry)) {
        str name = name_of(entry);
        if (!name_ok(name))
            continue;
        items[n++] = (struct model_entry){
            .name = name,
            .created_s = created_of(json_get(entry, STR("modified_at"))),
            .size_bytes = size_of(json_get(entry, STR("size"))),
            .abilities = abilities_of(json_get(entry, STR("capabilities"))),
        };
    }
    *ret = (struct model_list){.items = items, .n = n};
    return ERR_OK;
}

enum err ollama_show_decode(struct arena *a, str text, struct ollama_show *ret,
                            struct err_info *info)
{
    const struct json *root = NULL;
    enum err e = parse_object(a, text, &root, info);
    if (e != ERR_OK)
        return e;
    // A server that knows nothing of shows may answer anything under 200; these two tell it apart.
    const struct json *abilities = json_get(root, STR("capabilities"));
    const struct json *details = json_get(root, STR("details"));
    if (json_kind(abilities) != JSON_ARRAY && json_kind(details) != JSON_OBJECT)
        return err_set(info, ERR_SYNTAX, "the answer says nothing of a model");
    *ret = (struct ollama_show){
        .created_s = created_of(json_get(root, STR("modified_at"))),
        .abilities = abilities_of(abilities),
    };
    return ERR_OK;
}

void ollama_show_encode(str name, struct buf *out)
{
    buf_append(out, STR("{\"model\":"));
    json_put_string(out, name);
    buf_append_char(out, '}');
}

void ollama_test_encode(str model, struct buf *out)
{
    buf_append(out, STR("{\"model\":"));
    json_put_string(out, model);
    buf_append(out, STR(",\"messages\":[{\"role\":\"user\",\"content\":\"Say hello in one short "
                        "sentence.\"}],\"stream\":true,\"options\":{\"num_predict\":64}}"));
}
