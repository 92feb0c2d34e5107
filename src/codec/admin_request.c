#include "codec/admin_request.h"

#include <assert.h>

#include "codec/admin_fields.h"
#include "codec/json.h"

enum { KNOWN_BYTES = 120 };

/* ---- fields of an object ---- */

static str known_names(const struct field *fields, size_t n, char out[KNOWN_BYTES])
{
    struct buf text;
    buf_init(&text, KNOWN_BYTES);
    for (size_t i = 0; i < n; i++) {
        buf_append(&text, i > 0 ? STR(", ") : STR(""));
        buf_append(&text, fields[i].name);
    }
    str known = buf_str(&text);
    if (known.len > 0)
        memcpy(out, known.p, known.len);
    buf_release(&text);
    return str_of(out, known.len);
}

enum err admin_unknown(str kind, str name, const struct field *fields, size_t n,
                       struct err_info *info)
{
    char room[KNOWN_BYTES];
    str shown = str_head(name, utf8_cut(name, 40));
    str known = known_names(fields, n, room);
    if (n == 0)
        return err_set(info, ERR_SYNTAX, "unknown %.*s '%.*s': none is taken here", STR_ARG(kind),
                       STR_ARG(shown));
    return err_set(info, ERR_SYNTAX, "unknown %.*s '%.*s': known are %.*s", STR_ARG(kind),
                   STR_ARG(shown), STR_ARG(known));
}

static enum err check_kind(const struct field *f, const struct json *v, struct err_info *info)
{
    static const enum json_kind kinds[] = {[FIELD_TEXT] = JSON_STRING,
                                           [FIELD_BOOL] = JSON_BOOL,
                                           [FIELD_LIST] = JSON_ARRAY,
                                           [FIELD_OBJECT] = JSON_OBJECT};
    if (json_is_null(v)) {
        if (f->required)
            return err_set(info, ERR_SYNTAX, "'%.*s' is missing", STR_ARG(f->name));
        return ERR_OK;
    }
    if (json_kind(v) != kinds[f->kind])
        return err_set(info, ERR_SYNTAX, "'%.*s' has to be %s, not %s", STR_ARG(f->name),
                       json_kind_name(kinds[f->kind]), json_kind_name(json_kind(v)));
    if (f->kind == FIELD_TEXT && f->max > 0 && json_str(v).len > f->max)
        return err_set(info, ERR_SYNTAX, "'%.*s' is longer than %zu bytes", STR_ARG(f->name),
                       f->max);
    return ERR_OK;
}

/* Holds an object against its fields; values[i] is that of fields[i], or NULL. */
static enum err read_fields(const struct json *object, const struct field *fields, size_t n,
                            const struct json **values, struct err_info *info)
{
    assert(n <= FIELDS_MAX);
    struct json_iter it = json_iter(object);
    str name;
    const struct json *v;
    for (size_t i = 0; i < n; i++)
        values[i] = NULL;
    while (json_next(&it, &name, &v)) {
        size_t i = 0;
        while (i < n && !str_eq(fields[i].name, name))
            i++;
        if (i == n)
            return admin_unknown(STR("field"), name, fields, n, info);
        values[i] = v;
    }
    for (size_t i = 0; i < n; i++) {
        enum err e = check_kind(&fields[i], values[i], info);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

// NOLINTNEXTLINE(readability-function-size): seven parameters, of which two are answers
static enum err read_body(struct arena *a, char *text, size_t len, const struct field *fields,
                          size_t n, const struct json **values, struct err_info *info)
{
    const struct json *root = NULL;
    if (str_trim_ws(str_of(text, len)).len == 0)
        return err_set(info, ERR_SYNTAX, "there is no body: it has to be a JSON object");
    enum err e = json_parse_in_place(a, text, len, JSON_STRICT, &root, info);
    if (e != ERR_OK)
        return e;
    if (json_kind(root) != JSON_OBJECT)
        return err_set(info, ERR_SYNTAX, "the body has to be a JSON object, not %s",
                       json_kind_name(json_kind(root)));
    return read_fields(root, fields, n, values, info);
}

/* A name is one line for people; blanks around it do not count. */
static enum err read_name(const struct json *v, str *ret, struct err_info *info)
{
    str name = str_trim(json_str(v));
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7F)
            return err_set(info, ERR_SYNTAX, "'name' holds a control character");
    }
    *ret = name;
    return ERR_OK;
}

/* ---- filters ---- */

static const struct {
    str name;
    unsigned state;
} state_names[] = {
    {STR_C("ready"),    ADMIN_READY   },
    {STR_C("cooling"),  ADMIN_COOLING },
    {STR_C("dead"),     ADMIN_DEAD    },
    {STR_C("disabled"), ADMIN_DISABLED},
};

enum err admin_read_states(str text, unsigned *ret, struct err_info *info)
{
    unsigned states = 0;
    while (text.len > 0) {
        str name;
        size_t i = 0;
        (void)str_cut(text, ',', &name, &text);
        name = str_trim(name);
        while (i < COUNT_OF(state_names) && !str_eq(state_names[i].name, name))
            i++;
        if (i == COUNT_OF(state_names))
            return err_set(info, ERR_SYNTAX,
                           "'status' has to be ready, cooling, dead or disabled, or some of them "
                           "by commas");
        states |= state_names[i].state;
    }
    *ret = states != 0 ? states : ADMIN_ALL_STATES;
    return ERR_OK;
}

static enum err read_filter(const struct json *object, struct admin_filter *ret,
                            struct err_info *info)
{
    static const struct field fields[] = {
        {STR_C("q"),      FIELD_TEXT, false, ADMIN_SEARCH_MAX},
        {STR_C("status"), FIELD_TEXT, false, ADMIN_SEARCH_MAX},
        {STR_C("host"),   FIELD_TEXT, false, ADMIN_URL_MAX   },
    };
    const struct json *v[COUNT_OF(fields)] = {NULL};
    struct admin_filter filter = {.states = ADMIN_ALL_STATES};
    enum err e = read_fields(object, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        e = admin_read_states(json_str(v[1]), &filter.states, info);
    if (e != ERR_OK)
        return e;
    filter.q = str_trim(json_str(v[0]));
    filter.host = str_trim(json_str(v[2]));
    *ret = filter;
    return ERR_OK;
}

/* ---- bodies ---- */

enum err admin_read_login(struct arena *a, char *text, size_t len, str *ret_password,
                          struct err_info *info)
{
    static const struct field fields[] = {
        {STR_C("password"), FIELD_TEXT, true, ADMIN_PASSWORD_MAX},
    };
    const struct json *v[COUNT_OF(fields)] = {NULL};
    enum err e = read_body(a, text, len, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        *ret_password = json_str(v[0]);
    return e;
}

enum err admin_read_new_key(struct arena *a, char *text, size_t len, struct admin_new_key *ret,
                            struct err_info *info)
{
    static const struct field fields[] = {
        {STR_C("key"),     FIELD_TEXT, true,  ADMIN_KEY_TEXT_MAX},
        {STR_C("baseUrl"), FIELD_TEXT, false, ADMIN_URL_MAX     },
        {STR_C("name"),    FIELD_TEXT, false, ADMIN_NAME_MAX    },
    };
    const struct json *v[COUNT_OF(fields)] = {NULL};
    struct admin_new_key key = {.key = {0}};
    enum err e = read_body(a, text, len, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        e = read_name(v[2], &key.name, info);
    if (e != ERR_OK)
        return e;
    key.key = json_str(v[0]);
    key.base_url = str_trim(json_str(v[1]));
    *ret = key;
    return ERR_OK;
}

enum err admin_read_patch(struct arena *a, char *text, size_t len, struct admin_patch *ret,
                          struct err_info *info)
{
    static const struct field fields[] = {
        {STR_C("name"),    FIELD_TEXT, false, ADMIN_NAME_MAX},
        {STR_C("enabled"), FIELD_BOOL, false, 0             },
    };
    const struct json *v[COUNT_OF(fields)] = {NULL};
    struct admin_patch patch = {.has_name = false};
    enum err e = read_body(a, text, len, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        e = read_name(v[0], &patch.name, info);
    if (e != ERR_OK)
        return e;
    patch.has_name = !json_is_null(v[0]);
    patch.has_enabled = json_to_bool(v[1], &patch.enabled);
    if (!patch.has_name && !patch.has_enabled)
        return err_set(info, ERR_SYNTAX, "there is nothing to change: name 'name' or 'enabled'");
    *ret = patch;
    return ERR_OK;
}

enum err admin_read_batch(struct arena *a, char *text, size_t len, struct admin_batch *ret,
                          struct err_info *info)
{
    static const struct field fields[] = {
        {STR_C("keys"),    FIELD_TEXT, true,  0            },
        {STR_C("baseUrl"), FIELD_TEXT, false, ADMIN_URL_MAX},
    };
    const struct json *v[COUNT_OF(fields)] = {NULL};
    enum err e = read_body(a, text, len, fields, COUNT_OF(fields), v, info);
    if (e != ERR_OK)
        return e;
    *ret = (struct admin_batch){.keys = json_str(v[0]), .base_url = str_trim(json_str(v[1]))};
    return ERR_OK;
}

static enum err read_action(str name, enum admin_action *ret, struct err_info *info)
{
    static const str names[ADMIN_ACTIONS] = {[ADMIN_ENABLE] = STR_C("enable"),
                                             [ADMIN_DISABLE] = STR_C("disable"),
                                             [ADMIN_CHECK] = STR_C("check"),
                                             [ADMIN_RESET] = STR_C("reset"),
                                             [ADMIN_DELETE] = STR_C("delete")};
    for (size_t i = 0; i < ADMIN_ACTIONS; i++) {
        if (str_eq(names[i], name)) {
            *ret = (enum admin_action)i;
            return ERR_OK;
        }
    }
    return err_set(info, ERR_SYNTAX, "'action' has to be enable, disable, check, reset or delete");
}

static enum err read_ids(struct arena *a, const struct json *list, struct admin_which *ret,
                         struct err_info *info)
{
    str *ids = arena_new(a, str, json_size(list) + 1);
    if (ids == NULL)
        return err_set(info, ERR_TOO_LARGE, "too many ids");
    struct json_iter it = json_iter(list);
    const struct json *v;
    size_t n = 0;
    while (json_next(&it, NULL, &v)) {
        if (json_kind(v) != JSON_STRING)
            return err_set(info, ERR_SYNTAX, "'ids[%zu]' has to be a string, not %s", n,
                           json_kind_name(json_kind(v)));
        if (json_str(v).len == 0 || json_str(v).len > ADMIN_ID_MAX)
            return err_set(info, ERR_SYNTAX, "'ids[%zu]' is no id", n);
        ids[n++] = json_str(v);
    }
    ret->by_ids = true;
    ret->ids = ids;
    ret->n = n;
    return ERR_OK;
}

/* Which keys 'ids' or 'filter' name; without either all of them. */
static enum err read_which(struct arena *a, const struct json *ids, const struct json *filter,
                           struct admin_which *ret, struct err_info *info)
{
    return json_is_null(ids) ? read_filter(filter, &ret->filter, info)
                             : read_ids(a, ids, ret, info);
}

enum err admin_read_bulk(struct arena *a, char *text, size_t len, struct admin_bulk *ret,
                         struct err_info *info)
{
    static const struct field fields[] = {
        {STR_C("ids"),    FIELD_LIST,   false, 0 },
        {STR_C("filter"), FIELD_OBJECT, false, 0 },
        {STR_C("action"), FIELD_TEXT,   true,  16},
    };
    const struct json *v[COUNT_OF(fields)] = {NULL};
    struct admin_bulk bulk = {.which = {.by_ids = false}};
    enum err e = read_body(a, text, len, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        e = read_action(json_str(v[2]), &bulk.action, info);
    if (e != ERR_OK)
        return e;
    if (json_is_null(v[0]) == json_is_null(v[1]))
        return err_set(info, ERR_SYNTAX, "one of 'ids' and 'filter' says which keys");
    e = read_which(a, v[0], v[1], &bulk.which, info);
    if (e == ERR_OK)
        *ret = bulk;
    return e;
}

enum err admin_read_export(struct arena *a, char *text, size_t len, struct admin_export *ret,
                           struct err_info *info)
{
    static const struct field fields[] = {
        {STR_C("password"), FIELD_TEXT,   true,  ADMIN_PASSWORD_MAX},
        {STR_C("ids"),      FIELD_LIST,   false, 0                 },
        {STR_C("filter"),   FIELD_OBJECT, false, 0                 },
    };
    const struct json *v[COUNT_OF(fields)] = {NULL};
    struct admin_export wish = {.password = {0}};
    enum err e = read_body(a, text, len, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK && !json_is_null(v[1]) && !json_is_null(v[2]))
        e = err_set(info, ERR_SYNTAX, "only one of 'ids' and 'filter' may say which keys");
    if (e == ERR_OK)
        e = read_which(a, v[1], v[2], &wish.which, info);
    if (e != ERR_OK)
        return e;
    wish.password = json_str(v[0]);
    *ret = wish;
    return ERR_OK;
}

enum err admin_read_host(struct arena *a, char *text, size_t len, str *ret_host,
                         struct err_info *info)
{
    static const struct field fields[] = {
        {STR_C("host"), FIELD_TEXT, true, ADMIN_URL_MAX}
    };
    const struct json *v[COUNT_OF(fields)] = {NULL};
    enum err e = read_body(a, text, len, fields, COUNT_OF(fields), v, info);
    if (e != ERR_OK)
        return e;
    str host = str_trim(json_str(v[0]));
    if (host.len == 0)
        return err_set(info, ERR_SYNTAX, "'host' has to be a base URL");
    *ret_host = host;
    return ERR_OK;
}

enum err admin_read_test(struct arena *a, char *text, size_t len, str *ret_model,
                         struct err_info *info)
{
    static const struct field fields[] = {
        {STR_C("model"), FIELD_TEXT, false, ADMIN_MODEL_MAX}
    };
    const struct json *v[COUNT_OF(fields)] = {NULL};
    *ret_model = STR("");
    if (str_trim_ws(str_of(text, len)).len == 0)
        return ERR_OK;
    enum err e = read_body(a, text, len, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        *ret_model = str_trim(json_str(v[0]));
    return e;
}

enum err admin_read_nothing(struct arena *a, char *text, size_t len, struct err_info *info)
{
    if (str_trim_ws(str_of(text, len)).len == 0)
        return ERR_OK;
    return read_body(a, text, len, NULL, 0, NULL, info);
}
