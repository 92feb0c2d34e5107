#include "codec/admin_request.h"

#include <assert.h>

#include "base/url.h"
#include "codec/json.h"

enum {
    FIELDS_MAX = 8, // of one body or query
    KNOWN_BYTES = 120,
    QUERY_MAX = 8192,
};

enum field_kind { FIELD_TEXT, FIELD_BOOL, FIELD_LIST, FIELD_OBJECT };

struct field {
    str name;
    enum field_kind kind;
    bool required;
    size_t max; // bytes of a text; 0: as long as the body lets it be
};

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

static enum err unknown(str kind, str name, const struct field *fields, size_t n,
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
            return unknown(STR("field"), name, fields, n, info);
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

/* "dead,cooling"; nothing means all. */
static enum err read_states(str text, unsigned *ret, struct err_info *info)
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
        e = read_states(json_str(v[1]), &filter.states, info);
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

/* ---- queries ---- */

/* values[i] is the decoded value of names[i], or the empty str. The last of equal ones counts. */
static enum err read_query(struct arena *a, str query, const struct field *fields, size_t n,
                           str *values, struct err_info *info)
{
    if (query.len > QUERY_MAX)
        return err_set(info, ERR_SYNTAX, "the query is longer than %d bytes", QUERY_MAX);
    for (size_t i = 0; i < n; i++)
        values[i] = (str){0};
    while (query.len > 0) {
        str pair;
        str name;
        str value;
        size_t i = 0;
        (void)str_cut(query, '&', &pair, &query);
        (void)str_cut(pair, '=', &name, &value);
        if (pair.len == 0)
            continue;
        while (i < n && !str_eq(fields[i].name, name))
            i++;
        if (i == n)
            return unknown(STR("parameter"), name, fields, n, info);
        char *plain = arena_alloc(a, value.len);
        for (size_t k = 0; plain != NULL && k < value.len; k++)
            plain[k] = (char)(value.p[k] == '+' ? ' ' : value.p[k]);
        if (plain == NULL || url_decode(a, str_of(plain, value.len), false, &values[i]) != ERR_OK)
            return err_set(info, ERR_SYNTAX, "'%.*s' in the query is not well escaped",
                           STR_ARG(name));
        values[i] = str_trim(values[i]);
        if (values[i].len > fields[i].max || utf8_valid_prefix(values[i]) != values[i].len)
            return err_set(info, ERR_SYNTAX, "'%.*s' is longer than %zu bytes or no UTF-8",
                           STR_ARG(name), fields[i].max);
    }
    return ERR_OK;
}

/* A number from `min` to `max`; of nothing `*ret` stays as it was. */
static enum err read_number(str text, str name, uint64_t min, uint64_t max, uint64_t *ret,
                            struct err_info *info)
{
    uint64_t value;
    if (text.len == 0)
        return ERR_OK;
    if (!str_to_u64(text, &value) || value < min || value > max)
        return err_set(info, ERR_SYNTAX, "'%.*s' has to be a number from %llu to %llu",
                       STR_ARG(name), (unsigned long long)min, (unsigned long long)max);
    *ret = value;
    return ERR_OK;
}

static enum err read_sort(str text, struct admin_list_query *ret, struct err_info *info)
{
    static const str names[ADMIN_SORTS] = {
        [ADMIN_BY_ADDED] = STR_C("added"),       [ADMIN_BY_NAME] = STR_C("name"),
        [ADMIN_BY_STATUS] = STR_C("status"),     [ADMIN_BY_HOST] = STR_C("host"),
        [ADMIN_BY_REQUESTS] = STR_C("requests"), [ADMIN_BY_FAILED] = STR_C("failed"),
        [ADMIN_BY_TOKENS] = STR_C("tokens"),     [ADMIN_BY_USED] = STR_C("used"),
        [ADMIN_BY_UNTIL] = STR_C("until"),
    };
    ret->down = str_starts(text, STR("-"));
    text = str_skip(text, ret->down);
    for (size_t i = 0; i < ADMIN_SORTS; i++) {
        if (str_eq(names[i], text)) {
            ret->sort = (enum admin_sort)i;
            return ERR_OK;
        }
    }
    return err_set(info, ERR_SYNTAX,
                   "'sort' has to be added, name, status, host, requests, failed, tokens, used or "
                   "until, with '-' before it for downwards");
}

enum err admin_read_list_query(struct arena *a, str query, struct admin_list_query *ret,
                               struct err_info *info)
{
    static const struct field fields[] = {
        {.name = STR_C("q"),      .max = ADMIN_SEARCH_MAX},
        {.name = STR_C("status"), .max = ADMIN_SEARCH_MAX},
        {.name = STR_C("host"),   .max = ADMIN_URL_MAX   },
        {.name = STR_C("sort"),   .max = ADMIN_SEARCH_MAX},
        {.name = STR_C("offset"), .max = 20              },
        {.name = STR_C("limit"),  .max = 20              },
    };
    str v[COUNT_OF(fields)];
    struct admin_list_query list = {.limit = ADMIN_LIST_MAX};
    enum err e = read_query(a, query, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        e = read_states(v[1], &list.filter.states, info);
    if (e == ERR_OK && v[3].len > 0)
        e = read_sort(v[3], &list, info);
    if (e == ERR_OK)
        e = read_number(v[4], STR("offset"), 0, UINT32_MAX, &list.offset, info);
    if (e == ERR_OK)
        e = read_number(v[5], STR("limit"), 0, ADMIN_LIST_MAX, &list.limit, info);
    if (e != ERR_OK)
        return e;
    list.filter.q = v[0];
    list.filter.host = v[2];
    *ret = list;
    return ERR_OK;
}

enum err admin_read_stats_query(struct arena *a, str query, struct admin_stats_query *ret,
                                struct err_info *info)
{
    static const struct field fields[] = {
        {.name = STR_C("days"), .max = 20          },
        {.name = STR_C("key"),  .max = ADMIN_ID_MAX},
    };
    str v[COUNT_OF(fields)];
    struct admin_stats_query stats = {.days = 7};
    enum err e = read_query(a, query, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        e = read_number(v[0], STR("days"), 1, ADMIN_DAYS_MAX, &stats.days, info);
    if (e != ERR_OK)
        return e;
    stats.key = v[1];
    *ret = stats;
    return ERR_OK;
}

enum err admin_read_batch_query(struct arena *a, str query, struct admin_batch_query *ret,
                                struct err_info *info)
{
    static const struct field fields[] = {
        {.name = STR_C("dryRun"), .max = 20          },
        {.name = STR_C("import"), .max = ADMIN_ID_MAX},
    };
    str v[COUNT_OF(fields)];
    uint64_t dry_run = 0;
    enum err e = read_query(a, query, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        e = read_number(v[0], STR("dryRun"), 0, 1, &dry_run, info);
    if (e != ERR_OK)
        return e;
    *ret = (struct admin_batch_query){.dry_run = dry_run == 1, .import = v[1]};
    return ERR_OK;
}

enum err admin_read_series_query(struct arena *a, str query, str *ret_range, struct err_info *info)
{
    static const struct field fields[] = {
        {.name = STR_C("range"), .max = 20},
    };
    return read_query(a, query, fields, COUNT_OF(fields), ret_range, info);
}

enum err admin_read_live_query(struct arena *a, str query, bool *ret_log, struct err_info *info)
{
    static const struct field fields[] = {
        {.name = STR_C("log"), .max = 20},
    };
    str v[COUNT_OF(fields)];
    uint64_t log = 0;
    enum err e = read_query(a, query, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        e = read_number(v[0], STR("log"), 0, 1, &log, info);
    if (e == ERR_OK)
        *ret_log = log == 1;
    return e;
}

static enum err read_log_status(str text, int *ret, struct err_info *info)
{
    uint64_t status;
    if (text.len == 0)
        *ret = ADMIN_LOG_ANY;
    else if (str_eq(text, STR("ok")))
        *ret = ADMIN_LOG_OK;
    else if (str_eq(text, STR("error")))
        *ret = ADMIN_LOG_ERROR;
    else if (str_to_u64(text, &status) && status >= ADMIN_LOG_STATUS_MIN && status <= 599)
        *ret = (int)status;
    else
        return err_set(info, ERR_SYNTAX, "'status' has to be ok, error or a number from %d to 599",
                       ADMIN_LOG_STATUS_MIN);
    return ERR_OK;
}

enum err admin_read_log_query(struct arena *a, str query, struct admin_log_query *ret,
                              struct err_info *info)
{
    static const struct field fields[] = {
        {.name = STR_C("status"), .max = 20              },
        {.name = STR_C("route"),  .max = ADMIN_SEARCH_MAX},
        {.name = STR_C("model"),  .max = ADMIN_SEARCH_MAX},
        {.name = STR_C("key"),    .max = ADMIN_ID_MAX    },
        {.name = STR_C("host"),   .max = ADMIN_URL_MAX   },
        {.name = STR_C("q"),      .max = ADMIN_SEARCH_MAX},
        {.name = STR_C("before"), .max = 20              },
        {.name = STR_C("limit"),  .max = 20              },
    };
    str v[COUNT_OF(fields)];
    struct admin_log_query log = {.limit = ADMIN_LOG_LIMIT};
    enum err e = read_query(a, query, fields, COUNT_OF(fields), v, info);
    if (e == ERR_OK)
        e = read_log_status(v[0], &log.status, info);
    if (e == ERR_OK)
        e = read_number(v[6], STR("before"), 1, INT64_MAX, &log.before, info);
    if (e == ERR_OK)
        e = read_number(v[7], STR("limit"), 1, ADMIN_LOG_LIMIT_MAX, &log.limit, info);
    if (e != ERR_OK)
        return e;
    log.route = v[1];
    log.model = v[2];
    log.key = v[3];
    log.host = v[4];
    log.q = v[5];
    *ret = log;
    return ERR_OK;
}

enum err admin_read_no_query(str query, struct err_info *info)
{
    struct arena none;
    arena_init(&none, 0);
    return read_query(&none, query, NULL, 0, NULL, info);
}
