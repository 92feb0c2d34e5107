/*
 * The first byte chooses the reader, the rest is the body or query.
 *
 * Property: a reader that refuses says why in one line; what it takes keeps the limits that its
 * header promises. An error's sentence, whatever is in it, makes an answer that parses.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "codec/admin_answer.h"
#include "codec/admin_request.h"
#include "codec/json.h"

static void check_filter(const struct admin_filter *f)
{
    assert(f->q.len <= ADMIN_SEARCH_MAX && f->host.len <= ADMIN_URL_MAX);
    assert(f->states > 0 && f->states <= ADMIN_ALL_STATES);
}

static enum err read_new_key(struct arena *a, char *text, size_t len, struct err_info *info)
{
    struct admin_new_key key;
    enum err e = admin_read_new_key(a, text, len, &key, info);
    if (e == ERR_OK)
        assert(key.key.len <= ADMIN_KEY_TEXT_MAX && key.base_url.len <= ADMIN_URL_MAX &&
               key.name.len <= ADMIN_NAME_MAX && str_is_one_line(key.name));
    return e;
}

static enum err read_bulk(struct arena *a, char *text, size_t len, struct err_info *info)
{
    struct admin_bulk bulk;
    enum err e = admin_read_bulk(a, text, len, &bulk, info);
    if (e != ERR_OK)
        return e;
    assert(bulk.action < ADMIN_ACTIONS && bulk.which.n <= JSON_ITEMS_MAX);
    for (size_t i = 0; i < bulk.which.n; i++)
        assert(bulk.which.ids[i].len > 0 && bulk.which.ids[i].len <= ADMIN_ID_MAX);
    if (!bulk.which.by_ids)
        check_filter(&bulk.which.filter);
    return e;
}

static enum err read_list(struct arena *a, str query, struct err_info *info)
{
    struct admin_list_query list;
    enum err e = admin_read_list_query(a, query, &list, info);
    if (e == ERR_OK) {
        check_filter(&list.filter);
        assert(list.limit <= ADMIN_LIST_MAX && list.sort < ADMIN_SORTS);
        assert(utf8_valid_prefix(list.filter.q) == list.filter.q.len);
    }
    return e;
}

static enum err read_by(unsigned which, struct arena *a, char *text, size_t len,
                        struct err_info *info)
{
    str query = str_of(text, len);
    str password;
    struct admin_patch patch;
    struct admin_batch batch;
    struct admin_export wish;
    struct admin_stats_query stats;
    struct admin_batch_query batch_query;
    str range;
    bool log;
    switch (which % 11) {
    case 0:
        return admin_read_login(a, text, len, &password, info);
    case 1:
        return read_new_key(a, text, len, info);
    case 2:
        return admin_read_patch(a, text, len, &patch, info);
    case 3:
        return admin_read_batch(a, text, len, &batch, info);
    case 4:
        return read_bulk(a, text, len, info);
    case 5:
        return admin_read_export(a, text, len, &wish, info);
    case 6:
        return admin_read_nothing(a, text, len, info);
    case 7:
        return read_list(a, query, info);
    case 8:
        (void)!admin_read_series_query(a, query, &range, NULL);
        (void)!admin_read_live_query(a, query, &log, NULL);
        return admin_read_stats_query(a, query, &stats, info);
    case 9:
        return admin_read_batch_query(a, query, &batch_query, info);
    default:
        return admin_read_no_query(query, info);
    }
}

static void check_error(struct arena *a, str sentence)
{
    const struct json *root;
    struct buf out;
    buf_init(&out, 8192);
    admin_put_error(&out, sentence);
    assert(buf_ok(&out));
    enum err e = json_parse(a, buf_str(&out), JSON_STRICT, &root, NULL);
    assert(e == ERR_OK && json_kind(json_get(root, STR("error"))) == JSON_STRING);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct err_info info = {0};
    if (size == 0)
        return 0;
    char *text = calloc(1, size - 1 + JSON_PADDING);
    assert(text != NULL);
    memcpy(text, data + 1, size - 1);
    arena_init(&a, (size_t)16 << 20);
    enum err e = read_by(data[0], &a, text, size - 1, &info);
    if (e != ERR_OK) {
        assert(info.text[0] != '\0');
        check_error(&a, str_z(info.text));
    }
    check_error(&a, str_of((const char *)data, size));
    arena_release(&a);
    free(text);
    return 0;
}
