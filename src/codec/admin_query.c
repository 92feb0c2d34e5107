#include "codec/admin_request.h"

#include "base/url.h"
#include "codec/admin_fields.h"

enum { QUERY_MAX = 8192 };

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
            return admin_unknown(STR("parameter"), name, fields, n, info);
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
        e = admin_read_states(v[1], &list.filter.states, info);
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
