#include "core/config.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "core/config_table.h"
#include "core/dotenv.h"

#define SNAPSHOT_BYTES ((size_t)4 << 20)
#define SCRATCH_BYTES  ((size_t)8 << 20)
#define MAX_NAMES      2048 // bytes of a list of names in a warning
#define SHOWN_BYTES    64   // of a value in a message
#define MAX_WORKERS    256

/* One snapshot in the making. */
struct loader {
    struct config *cfg;
    struct config_value *values;
    const struct config_sources *sources;
    const struct config_reload *reload; // NULL at the start
    struct dotenv dotenv;
    struct arena scratch; // what is not needed afterwards; holds secrets
    struct err_info *info;
};

/* What the sources say about one setting. */
struct found {
    str text;
    enum config_origin origin;
};

/* ---- sources ---- */

static str environ_get(const char *const *environ, str name)
{
    for (; environ != NULL && *environ != NULL; environ++) {
        str entry = str_z(*environ);
        if (str_starts(entry, name) && entry.len > name.len && entry.p[name.len] == '=')
            return str_skip(entry, name.len + 1);
    }
    return (str){NULL, 0};
}

/* A secret's blanks are its own; around other values they are nothing. */
static str meant(str text, bool secret)
{
    return secret ? text : str_trim_ws(text);
}

/* What environment or .env say about `name`; false when both say nothing. */
static bool look_up(const struct loader *l, str name, bool secret, struct found *ret)
{
    str text = meant(environ_get(l->sources->environ, name), secret);
    if (text.len > 0) {
        *ret = (struct found){text, CONFIG_ENVIRONMENT};
        return true;
    }
    const struct dotenv_entry *entry = dotenv_find(&l->dotenv, name);
    if (entry == NULL || meant(entry->value, secret).len == 0)
        return false;
    *ret = (struct found){meant(entry->value, secret), CONFIG_DOTENV};
    return true;
}

static str cut_final_newline(str s)
{
    if (str_ends(s, STR("\n")))
        s.len--;
    if (str_ends(s, STR("\r")))
        s.len--;
    return s;
}

static str file_name(struct loader *l, str name)
{
    return arena_printf(&l->scratch, "%.*s_FILE", STR_ARG(name));
}

/* Reads what NAME_FILE names; false when it names nothing. */
static enum err read_named_file(struct loader *l, str name, bool *ret_found, struct found *ret)
{
    struct found path;
    str variable = file_name(l, name);
    *ret_found = look_up(l, variable, false, &path);
    if (!*ret_found)
        return ERR_OK;
    str content = {NULL, 0};
    struct err_info why = {0};
    enum err e = err_set(&why, ERR_NOT_FOUND, "files cannot be read here");
    path.text = config_copy(&l->scratch, path.text);
    if (l->sources->read_file != NULL && path.text.p != NULL)
        e = l->sources->read_file(l->sources->read_arg, &l->scratch, path.text, &content, &why);
    if (e != ERR_OK)
        return err_set(l->info, e, "bad setting %.*s: %s", STR_ARG(variable), why.text);
    content = cut_final_newline(content);
    if (content.len == 0)
        return err_set(l->info, ERR_SYNTAX, "bad setting %.*s: '%.*s' is empty", STR_ARG(variable),
                       STR_ARG(str_head(path.text, SHOWN_BYTES)));
    *ret = (struct found){content, CONFIG_FILE};
    return ERR_OK;
}

static const struct config_value *old_value(const struct loader *l, size_t row)
{
    return l->reload != NULL ? &l->reload->old->values[row] : NULL;
}

/* A variable that the environment gave at the start may have been wiped from it since. */
static bool was_in_environment(const struct loader *l, size_t row)
{
    const struct config_value *old = old_value(l, row);
    return old != NULL && old->origin == CONFIG_ENVIRONMENT;
}

/* X and X_FILE are two answers to one question. */
static enum err check_pair(struct loader *l, size_t at)
{
    const struct config_row *row = &CONFIG_TABLE[at];
    struct found ignored;
    if ((row->flags & CONFIG_FROM_FILE) &&
        (was_in_environment(l, at) || look_up(l, row->name, true, &ignored)) &&
        look_up(l, file_name(l, row->name), false, &ignored))
        return err_set(l->info, ERR_SYNTAX, "%.*s and %.*s_FILE are both set", STR_ARG(row->name),
                       STR_ARG(row->name));
    return ERR_OK;
}

static enum err find(struct loader *l, size_t at, struct found *ret)
{
    const struct config_row *row = &CONFIG_TABLE[at];
    if (look_up(l, row->name, row->flags & CONFIG_SECRET, ret))
        return ERR_OK;
    bool found = false;
    enum err e = ERR_OK;
    if (row->flags & CONFIG_FROM_FILE)
        e = read_named_file(l, row->name, &found, ret);
    if (e == ERR_OK && !found)
        *ret = (struct found){row->fallback, CONFIG_DEFAULT};
    return e;
}

/* ---- values ---- */

/* The value as a message may show it: one line, short, without a URL's user info. */
static void shown(str text, char out[SHOWN_BYTES + 4])
{
    size_t n = 0;
    size_t at = text.len;
    while (at > 0 && text.p[at - 1] != '@')
        at--;
    str rest = str_skip(text, at);
    bool hidden = at > 0;
    bool cut = rest.len > SHOWN_BYTES - 4;
    rest = str_head(rest, utf8_valid_prefix(str_head(rest, SHOWN_BYTES - 4)));
    if (hidden) {
        memcpy(out, "***@", 4);
        n = 4;
    }
    for (size_t i = 0; i < rest.len; i++) {
        unsigned char c = (unsigned char)rest.p[i];
        out[n++] = c < ' ' || c == 0x7F ? '?' : rest.p[i];
    }
    for (size_t i = 0; cut && i < 3; i++)
        out[n++] = '.';
    out[n] = '\0';
}

static enum err refuse(struct loader *l, const struct config_row *row, str text,
                       const struct err_info *why, enum err code)
{
    char value[SHOWN_BYTES + 4];
    if (row->flags & CONFIG_SECRET)
        return err_set(l->info, code, "bad setting %.*s: %s", STR_ARG(row->name), why->text);
    shown(text, value);
    return err_set(l->info, code, "bad setting %.*s='%s': %s", STR_ARG(row->name), value,
                   why->text);
}

static void *field_of(struct config *cfg, const struct config_row *row)
{
    return (char *)cfg + row->offset;
}

static enum err take(struct loader *l, size_t at, const struct found *found)
{
    const struct config_row *row = &CONFIG_TABLE[at];
    struct err_info why = {0};
    enum err e = config_parse(&l->cfg->arena, row, found->text, field_of(l->cfg, row), &why);
    if (e != ERR_OK)
        return refuse(l, row, found->text, &why, e);
    struct config_value *value = &l->values[at];
    value->origin = found->origin;
    value->set = found->text.len > 0;
    crypto_digest(found->text, value->digest.bytes);
    if (!(row->flags & CONFIG_SECRET))
        value->text = config_copy(&l->cfg->arena, found->text);
    return ERR_OK;
}

/* Takes a secret over from the old snapshot, which has digests only. */
static void keep_secret(struct loader *l, size_t at)
{
    const struct config_row *row = &CONFIG_TABLE[at];
    const struct config *old = l->reload->old;
    l->values[at] = old->values[at];
    if (row->kind == CONFIG_PASSWORD) {
        l->cfg->admin_password = old->admin_password;
        return;
    }
    const void *from = (const char *)old + row->offset;
    struct config_tokens tokens;
    memcpy(&tokens, from, sizeof(tokens));
    struct config_tag *items = arena_new(&l->cfg->arena, struct config_tag, tokens.n);
    if (items == NULL)
        return; // config_finish() sees the overflow
    if (tokens.n > 0)
        memcpy(items, tokens.items, tokens.n * sizeof(*items));
    tokens.items = items;
    memcpy(field_of(l->cfg, row), &tokens, sizeof(tokens));
}

/* Leaves a setting as it was, and says so when `wanted` is something else. */
static enum err keep(struct loader *l, size_t at, str wanted, const char *why)
{
    const struct config_row *row = &CONFIG_TABLE[at];
    const struct config_value *old = &l->reload->old->values[at];
    struct config_digest digest;
    crypto_digest(wanted, digest.bytes);
    if (!crypto_digest_equal(digest.bytes, old->digest.bytes) && l->reload->kept != NULL)
        l->reload->kept(l->reload->kept_arg, row->name, why);
    if (row->flags & CONFIG_SECRET) {
        keep_secret(l, at);
        return ERR_OK;
    }
    const struct found same = {old->text, old->origin};
    return take(l, at, &same);
}

/* What the environment set outlives any reload; .env may want something else in vain. */
static enum err keep_environment(struct loader *l, size_t at)
{
    const struct config_row *row = &CONFIG_TABLE[at];
    const struct dotenv_entry *entry = dotenv_find(&l->dotenv, row->name);
    bool secret = row->flags & CONFIG_SECRET;
    str wanted = entry != NULL ? meant(entry->value, secret) : (str){NULL, 0};
    if (wanted.len > 0)
        return keep(l, at, wanted, "set by the environment");
    if (secret) {
        keep_secret(l, at);
        return ERR_OK;
    }
    return keep(l, at, l->reload->old->values[at].text, "");
}

static enum err load_row(struct loader *l, size_t at)
{
    enum err e = check_pair(l, at);
    if (e != ERR_OK)
        return e;
    if (was_in_environment(l, at))
        return keep_environment(l, at);
    struct found found = {0};
    e = find(l, at, &found);
    if (e != ERR_OK)
        return e;
    e = take(l, at, &found); // what must not change has to be sound all the same
    if (found.origin == CONFIG_FILE)
        crypto_wipe((void *)found.text.p, found.text.len); // our copy, in the scratch arena
    if (e == ERR_OK && l->reload != NULL && (CONFIG_TABLE[at].flags & CONFIG_FIXED))
        e = keep(l, at, found.text, "needs a restart");
    return e;
}

/* ---- names that mean nothing here ---- */

static bool is_setting(str name)
{
    for (size_t i = 0; i < CONFIG_ROWS; i++) {
        const struct config_row *row = &CONFIG_TABLE[i];
        if (str_eq(name, row->name))
            return true;
        if ((row->flags & CONFIG_FROM_FILE) && str_starts(name, row->name) &&
            str_eq(str_skip(name, row->name.len), STR("_FILE")))
            return true;
    }
    return false;
}

static bool is_of_older_program(str name)
{
    static const str prefixes[] = {STR_C("RATE_LIMIT_"), STR_C("IP_"), STR_C("LOG_"),
                                   STR_C("CACHE_")};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        if (str_starts(name, prefixes[i]) && !is_setting(name))
            return true;
    }
    return false;
}

static void add_name(struct buf *list, str name)
{
    str rest = buf_str(list);
    while (rest.len > 0) {
        str item;
        str_cut(rest, ',', &item, &rest);
        if (str_eq(str_trim(item), name))
            return;
    }
    if (list->len > 0)
        buf_append(list, STR(", "));
    buf_append(list, name);
}

static void collect_names(struct loader *l)
{
    struct buf ignored;
    struct buf unknown;
    buf_init(&ignored, MAX_NAMES);
    buf_init(&unknown, MAX_NAMES);
    for (const char *const *e = l->sources->environ; e != NULL && *e != NULL; e++) {
        str name;
        str value;
        if (str_cut(str_z(*e), '=', &name, &value) && is_of_older_program(name))
            add_name(&ignored, name);
    }
    for (size_t i = 0; i < l->dotenv.n; i++) {
        str name = l->dotenv.items[i].name;
        if (is_of_older_program(name))
            add_name(&ignored, name);
        else if (!is_setting(name))
            add_name(&unknown, name);
    }
    l->cfg->ignored = config_copy(&l->cfg->arena, buf_str(&ignored));
    l->cfg->unknown = config_copy(&l->cfg->arena, buf_str(&unknown));
    buf_release(&ignored);
    buf_release(&unknown);
}

/* ---- the whole ---- */

/* What follows from several settings together. */
static enum err finish(struct loader *l)
{
    struct config *cfg = l->cfg;
    if ((cfg->tls_cert.len > 0) != (cfg->tls_key.len > 0))
        return err_set(l->info, ERR_SYNTAX, "TLS_CERT and TLS_KEY must be set together: %s is not",
                       cfg->tls_cert.len > 0 ? "TLS_KEY" : "TLS_CERT");
    if (cfg->key_file.len == 0)
        cfg->key_file = arena_printf(&cfg->arena, "%.*s/secret.key", STR_ARG(cfg->data_dir));
    for (size_t i = 0; i < CONFIG_ROWS; i++) {
        if (CONFIG_TABLE[i].offset == offsetof(struct config, upstream))
            cfg->upstream_set = l->values[i].origin != CONFIG_DEFAULT;
    }
    collect_names(l);
    cfg->values = l->values;
    if (cfg->arena.overflowed)
        return err_set(l->info, ERR_TOO_LARGE, "the settings are too large");
    return ERR_OK;
}

static enum err load_all(struct loader *l)
{
    enum err e = dotenv_parse(&l->scratch, l->sources->dotenv, &l->dotenv, l->info);
    for (size_t i = 0; i < CONFIG_ROWS && e == ERR_OK; i++)
        e = load_row(l, i);
    return e == ERR_OK ? finish(l) : e;
}

/* What failed may have quoted a value, and values may hold anything. */
static void make_one_line(struct err_info *info)
{
    for (char *p = info != NULL ? info->text : NULL; p != NULL && *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7F)
            *p = '?';
    }
}

static enum err load(const struct config_sources *sources, const struct config_reload *reload,
                     struct config **ret, struct err_info *info)
{
    struct loader l = {.sources = sources, .reload = reload, .info = info};
    l.cfg = xcalloc(1, sizeof(*l.cfg));
    arena_init(&l.cfg->arena, SNAPSHOT_BYTES);
    arena_init(&l.scratch, SCRATCH_BYTES);
    l.values = arena_new(&l.cfg->arena, struct config_value, CONFIG_ROWS);
    enum err e = load_all(&l);
    arena_release(&l.scratch);
    if (e != ERR_OK) {
        make_one_line(info);
        config_free(l.cfg);
        return e;
    }
    *ret = l.cfg;
    return ERR_OK;
}

enum err config_load(const struct config_sources *sources, struct config **ret,
                     struct err_info *info)
{
    return load(sources, NULL, ret, info);
}

enum err config_reload(const struct config_reload *reload, struct config **ret,
                       struct err_info *info)
{
    return load(reload->sources, reload, ret, info);
}

void config_free(struct config *cfg)
{
    if (cfg == NULL)
        return;
    arena_release(&cfg->arena);
    free(cfg);
}

/* ---- for people ---- */

static const str ORIGINS[] = {
    [CONFIG_DEFAULT] = STR_C("default"),
    [CONFIG_DOTENV] = STR_C(".env"),
    [CONFIG_ENVIRONMENT] = STR_C("environment"),
    [CONFIG_FILE] = STR_C("file"),
};

/* What may be shown of a value; empty of a secret. */
static str shown_value(const struct config *cfg, size_t at, struct arena *scratch)
{
    const struct config_row *row = &CONFIG_TABLE[at];
    const struct config_value *value = &cfg->values[at];
    if (row->flags & CONFIG_SECRET)
        return STR("");
    str text = value->text;
    if (row->kind == CONFIG_PATH) // as it came out: KEY_FILE follows DATA_DIR
        memcpy(&text, (const char *)cfg + row->offset, sizeof(text));
    if (text.len == 0)
        return STR("");
    if (row->kind != CONFIG_PROXY)
        return text;
    char safe[SHOWN_BYTES + 4];
    shown(text, safe);
    return arena_copy(scratch, str_z(safe));
}

static str describe_value(const struct config *cfg, size_t at, struct arena *scratch)
{
    str text = shown_value(cfg, at, scratch);
    if (CONFIG_TABLE[at].flags & CONFIG_SECRET)
        return cfg->values[at].set ? STR("(set)") : STR("(empty)");
    return text.len > 0 ? text : STR("(empty)");
}

void config_walk(const struct config *cfg,
                 void (*fn)(void *arg, const struct config_setting *setting), void *arg)
{
    struct arena scratch;
    arena_init(&scratch, SCRATCH_BYTES);
    for (size_t i = 0; i < CONFIG_ROWS; i++) {
        const struct config_row *row = &CONFIG_TABLE[i];
        const struct config_value *value = &cfg->values[i];
        bool secret = row->flags & CONFIG_SECRET;
        struct config_setting setting = {
            .name = row->name,
            .value = shown_value(cfg, i, &scratch),
            .origin = ORIGINS[value->origin],
            .secret = secret,
            .restart = (row->flags & CONFIG_FIXED) || value->origin == CONFIG_ENVIRONMENT,
            .fallback = secret ? STR("") : row->fallback,
            .help = row->help,
        };
        setting.set = secret ? value->set : setting.value.len > 0;
        fn(arg, &setting);
    }
    arena_release(&scratch);
}

void config_describe(const struct config *cfg,
                     void (*line)(void *arg, str name, str value, str origin), void *arg)
{
    struct arena scratch;
    arena_init(&scratch, SCRATCH_BYTES);
    for (size_t i = 0; i < CONFIG_ROWS; i++)
        line(arg, CONFIG_TABLE[i].name, describe_value(cfg, i, &scratch),
             ORIGINS[cfg->values[i].origin]);
    arena_release(&scratch);
}

void config_help(struct buf *out)
{
    for (size_t i = 0; i < CONFIG_ROWS; i++) {
        const struct config_row *row = &CONFIG_TABLE[i];
        buf_printf(out, "  %-22.*s %s (", STR_ARG(row->name), row->help);
        size_t before = out->len;
        config_allowed(row, out);
        if (out->len > before)
            buf_append(out, STR("; "));
        if (row->fallback.len > 0)
            buf_printf(out, "default %.*s)\n", STR_ARG(row->fallback));
        else
            buf_append(out, STR("default empty)\n"));
        if (row->flags & CONFIG_FROM_FILE)
            buf_printf(out, "  %.*s_FILE%*s a file that holds it instead\n", STR_ARG(row->name),
                       (int)(17 - row->name.len), "");
    }
}

uint32_t config_workers_from(uint32_t cpus, str cpu_max)
{
    str quota_text;
    str period_text;
    uint64_t quota;
    uint64_t period;
    uint64_t n = cpus;
    str_cut(str_trim_ws(cpu_max), ' ', &quota_text, &period_text);
    if (str_to_u64(quota_text, &quota) && str_to_u64(period_text, &period) && period > 0) {
        uint64_t granted = quota / period + (quota % period != 0);
        n = granted < n ? granted : n;
    }
    n = n < MAX_WORKERS ? n : MAX_WORKERS;
    return n > 0 ? (uint32_t)n : 1;
}
