#include "codec/keyfile.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/date.h"
#include "codec/keyfile_private.h"

const char *keyfile_format_name(enum keyfile_format format)
{
    static const char *const names[KEYFILE_FORMATS] = {
        [KEYFILE_TEXT] = "text, one key per line",  [KEYFILE_STRINGS] = "JSON list of strings",
        [KEYFILE_OLDER_KEYS] = "keys.json",         [KEYFILE_OLDER_CHANNELS] = "channels.json",
        [KEYFILE_OLDER_TOKENS] = "callers' tokens", [KEYFILE_NEW_API] = "channels of new-api",
        [KEYFILE_ONE_API] = "channels of one-api",  [KEYFILE_TABLE] = "table of keys",
    };
    return names[format];
}

/* ---- events ---- */

void keyfile_fail(struct keyfile *f, enum err e)
{
    f->err = e;
    f->stop = true;
}

str keyfile_place(struct keyfile *f, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(f->place, sizeof(f->place), fmt, args);
    va_end(args);
    return str_head(str_of(f->place, (size_t)n), sizeof(f->place) - 1);
}

/* Appends at most `max` bytes of `s` as one line of UTF-8. */
static str clean(struct buf *out, str s, size_t max)
{
    buf_reset(out);
    s = str_trim_ws(s);
    while (s.len > 0 && out->len < max) {
        size_t n = utf8_sequence(s);
        if (n == 0 || out->len + n > max) {
            if (n > 0)
                break;
            n = 1; // a byte that belongs nowhere
        } else if (n == 1 && ((unsigned char)s.p[0] < ' ' || s.p[0] == 0x7F)) {
            buf_append_char(out, ' ');
        } else {
            buf_append(out, str_head(s, n));
        }
        s = str_skip(s, n);
    }
    return str_trim(buf_str(out));
}

static void tell_skip(struct keyfile *f, struct keyfile_skip *skip)
{
    if (!f->stop && !f->sink->on_skip(f->sink->arg, skip))
        f->stop = true;
}

void keyfile_skip(struct keyfile *f, str place, size_t line, str what, const char *why)
{
    str shown = clean(&f->error, str_head(what, KEYFILE_NAME_MAX), KEYFILE_NAME_MAX);
    struct keyfile_skip skip = {.place = place, .line = line, .what = shown, .why = str_z(why)};
    tell_skip(f, &skip);
}

static void tell(struct keyfile *f, struct keyfile_key *key)
{
    key->name = clean(&f->name, key->name, KEYFILE_NAME_MAX);
    key->last_error = clean(&f->error, key->last_error, KEYFILE_ERROR_MAX);
    if (!f->sink->on_key(f->sink->arg, key))
        f->stop = true;
}

void keyfile_take(struct keyfile *f, struct keyfile_key key)
{
    char why[KEYTEXT_FAULT_BYTES];
    struct err_info info = {0};
    if (f->stop)
        return;
    str url = key.base_url.len > 0 ? key.base_url : f->options->default_url;
    const char *wrong = key.key.len > 0 ? keytext_key_fault(key.key) : NULL;
    if (wrong != NULL) {
        (void)snprintf(why, sizeof(why), "the key %s", wrong);
        keyfile_skip(f, key.place, key.line, key.name, why);
        return;
    }
    enum err e = keytext_walk_url(&f->urls, url, &key.base_url, &info);
    if (e == ERR_TOO_LARGE) {
        keyfile_fail(f, err_set(f->info, e, "%s", info.text));
    } else if (e != ERR_OK) {
        keyfile_skip(f, key.place, key.line, key.name.len > 0 ? key.name : url, info.text);
    } else {
        tell(f, &key);
    }
}

void keyfile_take_text(struct keyfile *f, struct keyfile_key key, str text)
{
    struct keytext_item item;
    struct err_info info = {0};
    if (f->stop)
        return;
    enum err e = keytext_one(f->arena, text, f->options, &item, &info);
    if (e == ERR_TOO_LARGE) {
        keyfile_fail(f, err_set(f->info, e, "%s", info.text));
    } else if (e != ERR_OK) {
        keyfile_skip(f, key.place, key.line, text, info.text);
    } else {
        key.key = item.key;
        key.base_url = item.base_url;
        tell(f, &key);
    }
}

/* ---- settings without a counterpart ---- */

static const struct {
    str field;
    enum keyfile_setting setting;
} setting_fields[] = {
    {STR_C("models"),         SETTING_MODELS  },
    {STR_C("modelMapping"),   SETTING_MAPPING },
    {STR_C("model_mapping"),  SETTING_MAPPING },
    {STR_C("weight"),         SETTING_WEIGHT  },
    {STR_C("priority"),       SETTING_PRIORITY},
    {STR_C("maxConcurrent"),  SETTING_LIMIT   },
    {STR_C("max_concurrent"), SETTING_LIMIT   },
    {STR_C("rateLimit"),      SETTING_LIMIT   },
    {STR_C("group"),          SETTING_GROUP   },
    {STR_C("tags"),           SETTING_TAGS    },
    {STR_C("tag"),            SETTING_TAGS    },
};

enum keyfile_setting keyfile_setting_of(str field)
{
    for (size_t i = 0; i < COUNT_OF(setting_fields); i++) {
        if (str_eq(setting_fields[i].field, field))
            return setting_fields[i].setting;
    }
    return KEYFILE_SETTINGS;
}

bool keyfile_is_chosen(str value)
{
    static const str nothing[] = {STR_C(""),   STR_C("0"),  STR_C("10"),   STR_C("default"),
                                  STR_C("{}"), STR_C("[]"), STR_C("NULL"), STR_C("\\N")};
    for (size_t i = 0; i < COUNT_OF(nothing); i++) {
        if (str_eq(value, nothing[i]))
            return false;
    }
    return true;
}

static bool is_chosen(const struct json *v)
{
    if (json_kind(v) == JSON_NUMBER)
        return keyfile_is_chosen(json_number_text(v));
    if (json_kind(v) == JSON_STRING)
        return keyfile_is_chosen(json_str(v));
    return json_size(v) > 0;
}

void keyfile_count_settings(struct keyfile *f, const struct json *entry)
{
    str fields[COUNT_OF(setting_fields)];
    const struct json *values[COUNT_OF(setting_fields)];
    for (size_t i = 0; i < COUNT_OF(setting_fields); i++)
        fields[i] = setting_fields[i].field;
    json_pick(entry, fields, COUNT_OF(fields), values);
    for (size_t i = 0; i < COUNT_OF(setting_fields); i++)
        f->settings[setting_fields[i].setting] += is_chosen(values[i]);
}

static void tell_settings(struct keyfile *f)
{
    static const struct {
        const char *name;
        const char *why;
    } rows[KEYFILE_SETTINGS] = {
        [SETTING_MODELS] = {"models",        "upstreams are asked which models they have"         },
        [SETTING_MAPPING] = {"model mapping", "models keep the names that upstreams give them"     },
        [SETTING_WEIGHT] = {"weight",        "every ready key gets the same share"                },
        [SETTING_PRIORITY] = {"priority",      "every ready key gets the same share"                },
        [SETTING_LIMIT] = {"limit",         "upstreams' own limits are kept, there are no others"},
        [SETTING_GROUP] = {"group",         "keys have no groups"                                },
        [SETTING_TAGS] = {"tags",          "keys have no tags"                                  },
    };
    for (size_t i = 0; i < KEYFILE_SETTINGS; i++) {
        if (f->settings[i] == 0)
            continue;
        bool one = f->settings[i] == 1;
        struct keyfile_skip skip = {.place =
                                        keyfile_place(f, "%s of %zu %s", rows[i].name,
                                                      f->settings[i], one ? "entry" : "entries"),
                                    .setting = true,
                                    .why = str_z(rows[i].why)};
        tell_skip(f, &skip);
    }
}

/* ---- texts ---- */

static void read_text(struct keyfile *f, str text)
{
    struct keytext walk;
    struct keytext_item item;
    keytext_init(&walk, f->arena, text, f->options);
    while (!f->stop) {
        enum keytext_got got = keytext_next(&walk, &item);
        if (got == KEYTEXT_END)
            return;
        if (got == KEYTEXT_NO_MEMORY) {
            keyfile_fail(f, err_set(f->info, ERR_TOO_LARGE, "too many different URLs"));
            return;
        }
        struct keyfile_key key = {.place = keyfile_place(f, "line %zu", item.line),
                                  .line = item.line,
                                  .key = item.key,
                                  .base_url = item.base_url,
                                  .enabled = true};
        if (got == KEYTEXT_KEY)
            tell(f, &key);
        else
            keyfile_skip(f, key.place, item.line, item.input, walk.fault);
    }
}

static void read_strings(struct keyfile *f, const struct json *list)
{
    struct json_iter it = json_iter(list);
    const struct json *v;
    for (size_t i = 0; !f->stop && json_next(&it, NULL, &v); i++) {
        struct keyfile_key key = {.place = keyfile_place(f, "[%zu]", i), .enabled = true};
        if (json_kind(v) == JSON_STRING)
            keyfile_take_text(f, key, json_str(v));
        else
            keyfile_skip(f, key.place, 0, (str){0}, "it is no string");
    }
}

/* ---- files of the older program ---- */

static uint64_t count_of(const struct json *v)
{
    int64_t n = 0;
    return json_to_i64(v, &n) && n > 0 ? (uint64_t)n : 0;
}

/* Milliseconds of an ISO time; 0: none. */
static int64_t time_of(const struct json *v)
{
    int64_t s;
    return date_parse_rfc3339(json_str(v), &s) && s > 0 ? s * 1000 : 0;
}

/* An id that can stand in a path; what cannot is forgotten. */
static str old_id_of(const struct json *v)
{
    str id = json_str(v);
    if (id.len > KEYFILE_OLD_ID_MAX)
        return (str){0};
    for (size_t i = 0; i < id.len; i++) {
        char c = ascii_lower(id.p[i]);
        if (!((c >= 'a' && c <= 'z') || ascii_is_digit(c) || c == '-' || c == '_' || c == '.'))
            return (str){0};
    }
    return id;
}

/* What keys and channels have in common. */
static struct keyfile_key older_entry(const struct json *entry)
{
    bool enabled = true;
    (void)!json_to_bool(json_get(entry, STR("enabled")), &enabled); // absent: it is
    const struct json *created = json_get(entry, STR("addedAt"));
    if (json_is_null(created))
        created = json_get(entry, STR("createdAt"));
    return (struct keyfile_key){
        .base_url = json_str(json_get(entry, STR("baseUrl"))),
        .name = json_str(json_get(entry, STR("name"))),
        .enabled = enabled,
        .added_ms = time_of(created),
        .last_used_ms = time_of(json_get(entry, STR("lastUsed"))),
        .last_check_ms = time_of(json_get(entry, STR("lastCheck"))),
        .last_error = json_str(json_get(entry, STR("lastError"))),
    };
}

static void read_older_keys(struct keyfile *f, const struct json *list)
{
    struct json_iter it = json_iter(list);
    const struct json *v;
    for (size_t i = 0; !f->stop && json_next(&it, NULL, &v); i++) {
        str place = keyfile_place(f, "keys[%zu]", i);
        struct keyfile_key key = older_entry(v);
        const struct json *secret = json_get(v, STR("key"));
        key.place = place;
        if (json_kind(v) != JSON_OBJECT || json_kind(secret) != JSON_STRING) {
            keyfile_skip(f, place, 0, key.name, "it has no key");
            continue;
        }
        key.key = json_str(secret);
        key.old_id = old_id_of(json_get(v, STR("id")));
        key.requests = count_of(json_get(v, STR("totalRequests")));
        key.failures = count_of(json_get(v, STR("failedRequests")));
        key.tokens = count_of(json_get(v, STR("totalTokens")));
        keyfile_count_settings(f, v);
        keyfile_take(f, key);
    }
}

/* A channel's counters are not those of its keys, and stay behind. */
static void read_older_channels(struct keyfile *f, const struct json *list)
{
    struct json_iter it = json_iter(list);
    const struct json *v;
    for (size_t i = 0; !f->stop && json_next(&it, NULL, &v); i++) {
        struct keyfile_key key = older_entry(v);
        key.last_error = (str){0};
        key.last_used_ms = 0;
        const struct json *keys = json_get(v, STR("keys"));
        if (json_kind(v) != JSON_OBJECT) {
            keyfile_skip(f, keyfile_place(f, "channels[%zu]", i), 0, (str){0}, "it is no channel");
            continue;
        }
        keyfile_count_settings(f, v);
        if (json_size(keys) == 0) { // a server without a key
            key.place = keyfile_place(f, "channels[%zu]", i);
            keyfile_take(f, key);
        }
        struct json_iter in = json_iter(keys);
        const struct json *secret;
        for (size_t k = 0; !f->stop && json_next(&in, NULL, &secret); k++) {
            key.place = keyfile_place(f, "channels[%zu].keys[%zu]", i, k);
            key.key = json_str(secret);
            if (key.key.len > 0)
                keyfile_take(f, key);
            else
                keyfile_skip(f, key.place, 0, key.name, "it has no key");
        }
    }
}

static void skip_tokens(struct keyfile *f, size_t n)
{
    str place = keyfile_place(f, "%zu %s", n, n == 1 ? "token" : "tokens");
    keyfile_skip(
        f, place, 0, (str){0},
        "tokens are for callers of the other program; callers' tokens here are in API_TOKEN");
}

/* ---- which format it is ---- */

static void read_list(struct keyfile *f, const struct json *list, enum keyfile_format *format)
{
    const struct json *first = NULL;
    struct json_iter it = json_iter(list);
    (void)json_next(&it, NULL, &first);
    if (json_kind(first) != JSON_OBJECT) {
        *format = KEYFILE_STRINGS;
        read_strings(f, list);
    } else if (!json_is_null(json_get(first, STR("remain_quota")))) {
        *format = KEYFILE_OLDER_TOKENS;
        skip_tokens(f, json_size(list));
    } else if (!json_is_null(json_get(first, STR("baseUrl")))) {
        *format = KEYFILE_OLDER_KEYS;
        read_older_keys(f, list);
    } else {
        keyfile_channels(f, list, format);
    }
}

static void read_json(struct keyfile *f, const struct json *root, enum keyfile_format *format)
{
    const struct json *keys = json_get(root, STR("keys"));
    const struct json *channels = json_get(root, STR("channels"));
    const struct json *tokens = json_get(root, STR("tokens"));
    const struct json *data = json_get(root, STR("data"));
    if (json_kind(data) == JSON_OBJECT)
        data = json_get(data, STR("items"));

    if (json_kind(root) == JSON_ARRAY) {
        read_list(f, root, format);
    } else if (json_kind(keys) == JSON_ARRAY) {
        *format = KEYFILE_OLDER_KEYS;
        read_older_keys(f, keys);
    } else if (json_kind(channels) == JSON_ARRAY) {
        *format = KEYFILE_OLDER_CHANNELS;
        read_older_channels(f, channels);
    } else if (json_kind(tokens) == JSON_ARRAY) {
        *format = KEYFILE_OLDER_TOKENS;
        skip_tokens(f, json_size(tokens));
    } else if (json_kind(data) == JSON_ARRAY) {
        read_list(f, data, format);
    } else {
        keyfile_fail(f, err_set(f->info, ERR_SYNTAX,
                                "JSON with neither 'keys' nor 'channels' nor a list in 'data'"));
    }
}

enum err keyfile_read(struct arena *a, str text, const struct keytext_options *options,
                      const struct keyfile_sink *sink, enum keyfile_format *ret,
                      struct err_info *info)
{
    struct keyfile f = {.arena = a, .options = options, .sink = sink, .info = info};
    keytext_init(&f.urls, a, (str){0}, options);
    buf_init(&f.name, KEYFILE_TEXT_BYTES);
    buf_init(&f.error, KEYFILE_TEXT_BYTES);
    str plain = str_skip(text, str_starts(text, STR("\xEF\xBB\xBF")) ? 3 : 0);
    str head = str_trim_ws(plain);
    if (str_starts(head, STR("{")) || str_starts(head, STR("["))) {
        const struct json *root = NULL;
        enum err e = json_parse(a, plain, JSON_TOLERANT, &root, info);
        if (e == ERR_OK)
            read_json(&f, root, ret);
        else
            keyfile_fail(&f, e);
    } else if (keyfile_is_table(plain)) {
        keyfile_table(&f, plain, ret);
    } else {
        *ret = KEYFILE_TEXT;
        read_text(&f, text);
    }
    if (!f.stop)
        tell_settings(&f);
    buf_release(&f.name);
    buf_release(&f.error);
    return f.err;
}
