#include "codec/keyfile_private.h"

#include <assert.h>
#include <stdio.h>

#include "codec/csv.h"

/*
 * A channel of new-api or one-api, or a row of a table that is less than that. All as text: an
 * admin API sends numbers where a table's export has text.
 */
struct row {
    str place;
    size_t line; // 0: from JSON
    bool typed;  // it has a type: a channel
    bool new_api;
    str type;
    str name;
    str key; // one or more, by lines or as a JSON list
    str base_url;
    str status;
    str info; // channel_info, JSON
    str created_s;
    str enabled; // tables
};

enum {
    STATUS_BY_HAND = 2,            // switched off by a person; 3 is the other program's own guess
    CHANNEL_ARENA_BYTES = 1 << 26, // for the JSON of one channel's keys and their states
    CHANNEL_NAME_BYTES = KEYFILE_NAME_MAX + 32,
};

static const char *type_fault(const struct row *row)
{
    if (str_eq(row->type, row->new_api ? STR("4") : STR("30")))
        return NULL;
    if (!row->new_api && str_eq(row->type, STR("4")))
        return "type 4 is Ollama in new-api only, whose channels have a channel_info";
    return "it is no Ollama channel";
}

/* ---- the keys of a channel ---- */

struct parts {
    struct arena arena;
    str *keys;
    unsigned char *states; // 0: as the channel
    size_t n;
};

/* As those programs do it, since states go by position: blanks cut, empty lines dropped. */
static bool split_lines(struct parts *p, str text)
{
    size_t max = 1;
    for (size_t i = 0; i < text.len; i++)
        max += text.p[i] == '\n';
    p->keys = arena_new(&p->arena, str, max);
    if (p->keys == NULL)
        return false;
    while (text.len > 0) {
        str line;
        (void)str_cut(text, '\n', &line, &text);
        line = str_trim_ws(line);
        if (line.len > 0)
            p->keys[p->n++] = line;
    }
    return true;
}

static bool split_list(struct parts *p, const struct json *list)
{
    struct json_iter it = json_iter(list);
    const struct json *v;
    p->keys = arena_new(&p->arena, str, json_size(list) + 1);
    if (p->keys == NULL)
        return false;
    while (json_next(&it, NULL, &v)) {
        str key = str_trim_ws(json_str(v));
        if (key.len > 0)
            p->keys[p->n++] = key;
    }
    return true;
}

/* {"multi_key_status_list":{"1":2}}: the states of those that are not on. */
static bool take_states(struct parts *p, str info)
{
    const struct json *root = NULL;
    p->states = arena_alloc(&p->arena, p->n + 1);
    if (p->states == NULL)
        return false;
    memset(p->states, 0, p->n + 1);
    if (info.len == 0 || json_parse(&p->arena, info, JSON_TOLERANT, &root, NULL) != ERR_OK)
        return true;

    struct json_iter it = json_iter(json_get(root, STR("multi_key_status_list")));
    str place;
    const struct json *v;
    while (it.is_object && json_next(&it, &place, &v)) {
        uint64_t i;
        int64_t state;
        if (str_to_u64(place, &i) && i < p->n && json_to_i64(v, &state) && state >= 0 &&
            state < 255)
            p->states[i] = (unsigned char)state;
    }
    return true;
}

static bool split_keys(struct parts *p, const struct row *row)
{
    const struct json *list = NULL;
    bool is_list = str_starts(str_trim_ws(row->key), STR("[")) &&
                   json_parse(&p->arena, row->key, JSON_TOLERANT, &list, NULL) == ERR_OK;
    return (is_list ? split_list(p, list) : split_lines(p, row->key)) && take_states(p, row->info);
}

static void take_parts(struct keyfile *f, const struct row *row, const struct parts *p)
{
    char name[CHANNEL_NAME_BYTES];
    char place[KEYFILE_PLACE_BYTES];
    uint64_t created_s = 0;
    (void)!str_to_u64(row->created_s, &created_s); // absent: not known
    for (size_t i = 0; i < p->n && !f->stop; i++) {
        struct keyfile_key key = {
            .place = row->place,
            .line = row->line,
            .key = p->keys[i],
            .base_url = row->base_url.len > 0 ? row->base_url : STR("http://localhost:11434"),
            .name = row->name,
            .enabled = !str_eq(row->status, STR("2")) && p->states[i] != STATUS_BY_HAND,
            .added_ms = created_s < INT64_MAX / 1000 ? (int64_t)created_s * 1000 : 0,
        };
        if (p->n > 1) {
            str channel = str_head(row->name, utf8_cut(row->name, KEYFILE_NAME_MAX - 16));
            int n = snprintf(name, sizeof(name), "%.*s #%zu", STR_ARG(channel), i + 1);
            key.name = str_of(name, (size_t)n);
            n = snprintf(place, sizeof(place), "%.*s, key %zu", STR_ARG(row->place), i + 1);
            key.place = str_head(str_of(place, (size_t)n), sizeof(place) - 1);
        }
        keyfile_take(f, key);
    }
}

static void take_channel(struct keyfile *f, const struct row *row)
{
    struct parts p = {0};
    const char *wrong = type_fault(row);
    if (wrong != NULL) {
        keyfile_skip(f, row->place, row->line, row->name, wrong);
        return;
    }
    arena_init(&p.arena, CHANNEL_ARENA_BYTES);
    if (!split_keys(&p, row))
        keyfile_skip(f, row->place, row->line, row->name, "it has too many keys");
    else if (p.n == 0)
        keyfile_skip(f, row->place, row->line, row->name,
                     "its key is left out (as admin APIs do; a table's export has it)");
    else
        take_parts(f, row, &p);
    arena_release(&p.arena);
}

static bool is_no(str s)
{
    static const str words[] = {STR_C("0"), STR_C("false"), STR_C("no"), STR_C("off")};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_ieq(s, words[i]))
            return true;
    }
    return false;
}

static void take_row(struct keyfile *f, const struct row *row)
{
    if (row->typed) {
        take_channel(f, row);
        return;
    }
    struct keyfile_key key = {.place = row->place,
                              .line = row->line,
                              .key = row->key,
                              .base_url = row->base_url,
                              .name = row->name,
                              .enabled = !is_no(row->enabled)};
    if (row->key.len == 0 && row->base_url.len == 0)
        keyfile_skip(f, row->place, row->line, row->name, "it has no key");
    else if (row->base_url.len == 0)
        keyfile_take_text(f, key, row->key);
    else
        keyfile_take(f, key);
}

/* ---- channels as JSON ---- */

/* The text of a string or a number. */
static str text_of(const struct json *v)
{
    return json_kind(v) == JSON_NUMBER ? json_number_text(v) : json_str(v);
}

/* channel_info comes as an object or as the text of one. */
static str info_of(struct keyfile *f, const struct json *v)
{
    if (json_kind(v) != JSON_OBJECT)
        return json_str(v);
    struct buf out;
    buf_init(&out, CHANNEL_ARENA_BYTES);
    json_put_value(&out, v);
    str copy = arena_copy(f->arena, buf_str(&out));
    buf_release(&out);
    return copy;
}

void keyfile_channels(struct keyfile *f, const struct json *rows, enum keyfile_format *format)
{
    struct json_iter it = json_iter(rows);
    const struct json *v;
    *format = KEYFILE_TABLE;
    for (size_t i = 0; !f->stop && json_next(&it, NULL, &v); i++) {
        const struct json *type = json_get(v, STR("type"));
        const struct json *info = json_get(v, STR("channel_info"));
        struct row row = {.place = keyfile_place(f, "[%zu]", i),
                          .typed = !json_is_null(type),
                          .new_api = !json_is_null(info),
                          .type = text_of(type),
                          .name = json_str(json_get(v, STR("name"))),
                          .key = json_str(json_get(v, STR("key"))),
                          .base_url = json_str(json_get(v, STR("base_url"))),
                          .status = text_of(json_get(v, STR("status"))),
                          .info = info_of(f, info),
                          .created_s = text_of(json_get(v, STR("created_time")))};
        bool enabled = true;
        (void)!json_to_bool(json_get(v, STR("enabled")), &enabled); // absent: it is
        row.enabled = enabled ? STR("1") : STR("0");
        if (row.typed)
            *format = row.new_api ? KEYFILE_NEW_API : KEYFILE_ONE_API;
        keyfile_count_settings(f, v);
        take_row(f, &row);
    }
}

/* ---- tables ---- */

enum column {
    COLUMN_KEY,
    COLUMN_BASE_URL,
    COLUMN_NAME,
    COLUMN_TYPE,
    COLUMN_STATUS,
    COLUMN_INFO,
    COLUMN_CREATED,
    COLUMN_ENABLED,
    COLUMN_CIPHER, // gpt-load's
    COLUMN_QUOTA,  // of callers' tokens
    COLUMNS,
};

struct header {
    size_t at[COLUMNS];                            // SIZE_MAX: there is no such column
    enum keyfile_setting settings[CSV_FIELDS_MAX]; // of each column; KEYFILE_SETTINGS: it is none
};

static const struct {
    str name;
    enum column column;
} column_names[] = {
    {STR_C("key"),          COLUMN_KEY     },
    {STR_C("base_url"),     COLUMN_BASE_URL},
    {STR_C("baseurl"),      COLUMN_BASE_URL},
    {STR_C("name"),         COLUMN_NAME    },
    {STR_C("type"),         COLUMN_TYPE    },
    {STR_C("status"),       COLUMN_STATUS  },
    {STR_C("channel_info"), COLUMN_INFO    },
    {STR_C("created_time"), COLUMN_CREATED },
    {STR_C("enabled"),      COLUMN_ENABLED },
    {STR_C("key_value"),    COLUMN_CIPHER  },
    {STR_C("remain_quota"), COLUMN_QUOTA   },
};

/* Whether the row at hand names columns that are known: a key, and something beside it. */
static bool read_header(const struct csv *c, struct header *ret)
{
    size_t known = 0;
    for (size_t i = 0; i < COLUMNS; i++)
        ret->at[i] = SIZE_MAX;
    for (size_t i = 0; i < c->n; i++) {
        ret->settings[i] = keyfile_setting_of(str_trim(csv_field(c, i)));
        for (size_t k = 0; k < COUNT_OF(column_names); k++) {
            if (str_ieq(str_trim(csv_field(c, i)), column_names[k].name) &&
                ret->at[column_names[k].column] == SIZE_MAX) {
                ret->at[column_names[k].column] = i;
                known++;
            }
        }
    }
    bool is_cipher = ret->at[COLUMN_CIPHER] != SIZE_MAX;
    return is_cipher || (ret->at[COLUMN_KEY] != SIZE_MAX && known > 1);
}

/* Opens the table by the first separator that makes sense of its header. */
static bool open_table(struct csv *c, str text, struct header *ret)
{
    static const char separators[] = {',', ';', '\t'};
    for (size_t i = 0; i < COUNT_OF(separators); i++) {
        csv_init(c, text, separators[i]);
        if (csv_next(c, NULL) == ERR_OK && read_header(c, ret))
            return true;
        csv_release(c);
    }
    return false;
}

bool keyfile_is_table(str text)
{
    struct csv c;
    struct header header;
    if (!open_table(&c, text, &header))
        return false;
    csv_release(&c);
    return true;
}

static str cell(const struct csv *c, const struct header *h, enum column column)
{
    str text = h->at[column] == SIZE_MAX ? (str){0} : str_trim_ws(csv_field(c, h->at[column]));
    bool is_null = str_eq(text, STR("\\N")) || str_eq(text, STR("NULL")); // as MySQL writes it
    return is_null ? (str){0} : text;
}

static void count_settings(struct keyfile *f, const struct csv *c, const struct header *h,
                           size_t columns)
{
    for (size_t i = 0; i < c->n && i < columns; i++) {
        if (h->settings[i] != KEYFILE_SETTINGS)
            f->settings[h->settings[i]] += keyfile_is_chosen(str_trim_ws(csv_field(c, i)));
    }
}

static void read_rows(struct keyfile *f, struct csv *c, const struct header *h)
{
    enum err e = ERR_OK;
    size_t columns = c->n;
    while (!f->stop && (e = csv_next(c, f->info)) == ERR_OK) {
        struct row row = {.place = keyfile_place(f, "line %zu", c->line),
                          .line = c->line,
                          .typed = h->at[COLUMN_TYPE] != SIZE_MAX,
                          .new_api = h->at[COLUMN_INFO] != SIZE_MAX,
                          .type = cell(c, h, COLUMN_TYPE),
                          .name = cell(c, h, COLUMN_NAME),
                          .key = cell(c, h, COLUMN_KEY),
                          .base_url = cell(c, h, COLUMN_BASE_URL),
                          .status = cell(c, h, COLUMN_STATUS),
                          .info = cell(c, h, COLUMN_INFO),
                          .created_s = cell(c, h, COLUMN_CREATED),
                          .enabled = cell(c, h, COLUMN_ENABLED)};
        if (c->n == 1 && h->at[COLUMN_KEY] != 0)
            keyfile_skip(f, row.place, row.line, csv_field(c, 0), "it is no row of this table");
        else
            take_row(f, &row);
        count_settings(f, c, h, columns);
    }
    if (!f->stop && e != ERR_NOT_FOUND)
        keyfile_fail(f, e);
}

void keyfile_table(struct keyfile *f, str text, enum keyfile_format *format)
{
    struct csv c;
    struct header h;
    bool open = open_table(&c, text, &h);
    assert(open);
    bool typed = h.at[COLUMN_TYPE] != SIZE_MAX;
    *format = !typed                          ? KEYFILE_TABLE
              : h.at[COLUMN_INFO] != SIZE_MAX ? KEYFILE_NEW_API
                                              : KEYFILE_ONE_API;
    if (h.at[COLUMN_CIPHER] != SIZE_MAX) {
        keyfile_fail(f, err_set(f->info, ERR_SYNTAX,
                                "gpt-load's table of keys says nothing of their servers: use its "
                                "export of one key per line"));
    } else if (h.at[COLUMN_QUOTA] != SIZE_MAX) {
        *format = KEYFILE_OLDER_TOKENS;
        keyfile_skip(f, STR("all rows"), 0, (str){0},
                     "tokens are for callers of the other program; callers' tokens here are in "
                     "API_TOKEN");
    } else {
        read_rows(f, &c, &h);
    }
    csv_release(&c);
}
