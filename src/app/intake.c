#include "app/intake.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/xalloc.h"
#include "core/address.h"
#include "store/files.h"

#define ARENA_PER_BYTE 18 // of a file: what keyfile_read() takes, and our copies
#define NOTES_MAX      20 // lines about single keys in the banner

const char *intake_refusal(void *arg, const struct url *url)
{
    struct sockaddr_storage addr;
    if (!address_parse(url->host, &addr))
        return NULL; // a name: enforced on what it resolves to, when it is connected to
    if (addr.ss_family == AF_INET)
        ((struct sockaddr_in *)&addr)->sin_port = htons(url->port);
    else
        ((struct sockaddr_in6 *)&addr)->sin6_port = htons(url->port);
    return address_refusal(arg, (const struct sockaddr *)&addr);
}

str intake_url_text(struct arena *a, const struct url *url)
{
    return arena_printf(a, "%s://%.*s%.*s", url->tls ? "https" : "http", STR_ARG(url->authority),
                        STR_ARG(url->path));
}

struct key_spec intake_spec(struct arena *a, const struct keyfile_key *key, int64_t now_ms)
{
    return (struct key_spec){
        .secret = arena_copy(a, key->key),
        .base_url = key->base_url,
        .name = arena_copy(a, key->name),
        .old_id = arena_copy(a, key->old_id),
        .added_ms = key->added_ms > 0 ? key->added_ms : now_ms,
        .enabled = key->enabled,
        .life = {.requests = key->requests,
                 .failures = key->failures,
                 .tokens = key->tokens,
                 .last_used_ms = key->last_used_ms,
                 .last_check_ms = key->last_check_ms,
                 .last_error = arena_copy(a, key->last_error)},
    };
}

/* ---- reading ---- */

struct intake {
    const struct config *config;
    struct key_spec *specs;
    size_t n, cap;
    struct arena texts; // of specs
    size_t skipped;
    int64_t now_ms;
    const struct intake_sink *sink;
};

static void intake_init(struct intake *in, const struct config *config,
                        const struct intake_sink *sink)
{
    *in = (struct intake){.config = config, .sink = sink, .now_ms = clock_wall_ms()};
    arena_init(&in->texts, INTAKE_FILE_MAX * ARENA_PER_BYTE);
}

static void intake_release(struct intake *in)
{
    for (size_t i = 0; i < in->n; i++)
        crypto_wipe((char *)in->specs[i].secret.p, in->specs[i].secret.len); // our own copies
    free(in->specs);
    arena_release(&in->texts);
}

static bool on_key(void *arg, const struct keyfile_key *key)
{
    struct intake *in = arg;
    if (in->n == in->cap) {
        in->cap = in->cap > 0 ? in->cap * 2 : 1024;
        in->specs = xrealloc(in->specs, in->cap * sizeof(*in->specs));
    }
    in->specs[in->n++] = intake_spec(&in->texts, key, in->now_ms);
    return !in->texts.overflowed && in->n <= KEYPOOL_KEYS_MAX;
}

static bool on_skip(void *arg, const struct keyfile_skip *skip)
{
    struct intake *in = arg;
    in->skipped += !skip->setting;
    in->sink->on_skip(in->sink->arg, skip);
    return true;
}

static enum err read_keys(struct intake *in, const char *path, str text,
                          enum keyfile_format *ret_format, struct err_info *info)
{
    struct address_policy policy = {.allow = in->config->upstream_allow};
    struct keytext_options options = {.default_url =
                                          intake_url_text(&in->texts, &in->config->upstream),
                                      .check = intake_refusal,
                                      .check_arg = &policy};
    struct keyfile_sink sink = {.on_key = on_key, .on_skip = on_skip, .arg = in};
    struct err_info why = {0};
    // Base URLs live in the arena that it reads with: that of the specs.
    enum err e = keyfile_read(&in->texts, text, &options, &sink, ret_format, &why);
    if (e == ERR_OK && in->texts.overflowed)
        e = ERR_TOO_LARGE;
    if (e == ERR_OK && in->n > KEYPOOL_KEYS_MAX)
        return err_set(info, ERR_TOO_LARGE, "'%s' holds more than %d keys", path, KEYPOOL_KEYS_MAX);
    if (e != ERR_OK)
        return err_set(info, e, "cannot take keys from '%s': %s", path,
                       why.text[0] != '\0' ? why.text : err_name(e));
    return ERR_OK;
}

static enum err intake_read(struct intake *in, const char *path, enum keyfile_format *ret_format,
                            struct err_info *info)
{
    struct buf text;
    enum err e = files_read(path, INTAKE_FILE_MAX, &text, info);
    if (e == ERR_OK)
        e = read_keys(in, path, buf_str(&text), ret_format, info);
    if (text.p != NULL)
        crypto_wipe(text.p, text.len);
    buf_release(&text);
    return e;
}

static enum err intake_commit(struct intake *in, struct keeper *k, size_t *ret_duplicates,
                              struct err_info *info)
{
    bool *duplicates = xcalloc(in->n > 0 ? in->n : 1, sizeof(*duplicates));
    enum err e = keeper_add(k, in->specs, in->n, KEEPER_BATCH, duplicates, info);
    size_t n = 0;
    for (size_t i = 0; i < in->n; i++)
        n += duplicates[i];
    free(duplicates);
    if (e == ERR_OK)
        *ret_duplicates = n;
    return e;
}

enum err intake_file(struct keeper *k, const struct config *config, const char *path,
                     const struct intake_sink *sink, struct intake_result *ret,
                     struct err_info *info)
{
    struct intake in;
    struct intake_result result = {0};
    intake_init(&in, config, sink);
    enum err e = intake_read(&in, path, &result.format, info);
    if (e == ERR_OK)
        e = intake_commit(&in, k, &result.duplicates, info);
    if (e == ERR_OK) {
        result.added = in.n - result.duplicates;
        result.skipped = in.skipped;
        *ret = result;
    }
    intake_release(&in);
    return e;
}

/* ---- the first start ---- */

struct older_file {
    const char *name;
    char *path;
    bool there;
    bool kept; // it holds nothing that is ours to take
    size_t keys;
};

struct noting {
    struct buf *notes;
    const char *file;
    size_t n;
};

static void note_skip(void *arg, const struct keyfile_skip *skip)
{
    struct noting *noting = arg;
    if (noting->n++ < NOTES_MAX)
        buf_printf(noting->notes, "not taken from %s: %.*s: %.*s\n", noting->file,
                   STR_ARG(skip->place), STR_ARG(skip->why));
}

static enum err read_older(struct intake *in, struct older_file *f, struct err_info *info)
{
    enum keyfile_format format;
    struct err_info why = {0};
    size_t before = in->n;
    struct noting *noting = in->sink->arg;
    noting->file = f->name;
    enum err e = intake_read(in, f->path, &format, &why);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    if (e != ERR_OK)
        return err_set(info, e, "%.190s: repair it, or move it away", why.text);
    // The names are common ones: what is somebody else's is neither taken for keys nor renamed.
    if (format == KEYFILE_TEXT || format >= KEYFILE_NEW_API)
        return err_set(info, ERR_SYNTAX,
                       "%.190s is no file of the older program of this name: move it away, or, if "
                       "it holds keys, --import it from another place",
                       f->path);
    f->there = true;
    f->keys = in->n - before;
    f->kept = format == KEYFILE_OLDER_TOKENS;
    return ERR_OK;
}

/* The keys are stored: a file that keeps its name does no harm, but holds them in plain. */
static void rename_older(const struct older_file *f, struct buf *notes)
{
    struct err_info info = {0};
    size_t len = strlen(f->path);
    char *to = xmalloc(len + sizeof(".imported"));
    memcpy(to, f->path, len);
    memcpy(to + len, ".imported", sizeof(".imported"));
    if (chmod(f->path, S_IRUSR | S_IWUSR) != 0 || files_rename(f->path, to, &info) != ERR_OK)
        buf_printf(notes, "%zu keys were taken from %s; delete it, it holds them in plain\n",
                   f->keys, f->path);
    else
        buf_printf(notes, "%zu keys were taken from %s; delete %s, it holds them in plain\n",
                   f->keys, f->name, to);
    free(to);
}

static enum err take_over(struct keeper *k, const struct config *config, struct older_file *files,
                          size_t n, struct buf *notes, struct err_info *info)
{
    struct intake in;
    struct noting noting = {.notes = notes};
    struct intake_sink sink = {.on_skip = note_skip, .arg = &noting};
    size_t duplicates;
    enum err e = ERR_OK;
    intake_init(&in, config, &sink);
    for (size_t i = 0; i < n && e == ERR_OK; i++)
        e = read_older(&in, &files[i], info);
    if (e == ERR_OK)
        e = intake_commit(&in, k, &duplicates, info);
    if (e == ERR_OK && noting.n > NOTES_MAX)
        buf_printf(notes, "and %zu more that were not taken\n", noting.n - NOTES_MAX);
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        if (files[i].there && !files[i].kept)
            rename_older(&files[i], notes);
    }
    intake_release(&in);
    return e;
}

enum err intake_first_start(struct keeper *k, const struct config *config, struct buf *notes,
                            struct err_info *info)
{
    struct older_file files[] = {
        {.name = "keys.json"}, {.name = "channels.json"}, {.name = "tokens.json"}};
    bool first = store_is_new(keeper_store(k));
    enum err e = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        size_t size = config->data_dir.len + strlen(files[i].name) + 2;
        files[i].path = xmalloc(size);
        (void)snprintf(files[i].path, size, "%.*s/%s", STR_ARG(config->data_dir), files[i].name);
    }
    if (first)
        e = take_over(k, config, files, COUNT_OF(files), notes, info);
    else if (access(files[0].path, F_OK) == 0)
        buf_printf(notes, "%s was not read, since this is not the first start: see --import\n",
                   files[0].path);
    for (size_t i = 0; i < COUNT_OF(files); i++)
        free(files[i].path);
    return e;
}
