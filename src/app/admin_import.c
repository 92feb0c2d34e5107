#include "app/admin_call.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/admin_view.h"
#include "app/admin_work.h"
#include "app/intake.h"
#include "app/upstream.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "codec/keyfile.h"
#include "codec/keytext.h"

/* Keys of one import, as they are read. */
struct import {
    struct admin_work *w;
    struct key_spec *specs; // one more is allocated than is used: see add_local_server()
    size_t n;
    size_t cap;
    size_t *lines; // of each, for a dry run; 0: it has none
    bool *duplicates;
    struct admin_batch_query query;
    int64_t now_wall_ms;
    struct admin_batch_answer answer;
};

static struct keytext_options text_options(struct admin_work *w, str base_url)
{
    return (struct keytext_options){
        .default_url = base_url.len > 0
                           ? base_url
                           : intake_url_text(&w->arena, &w->snapshot->config->upstream),
        .check = intake_refusal,
        .check_arg = (void *)&w->snapshot->addresses,
    };
}

/* ---- adding ---- */

static struct key_spec spec_of(const struct keytext_item *item, str name, int64_t now_wall_ms)
{
    return (struct key_spec){.secret = item->key,
                             .base_url = item->base_url,
                             .name = name,
                             .added_ms = now_wall_ms,
                             .enabled = true};
}

/* Whether requests went to the Ollama of this machine until now, for want of any key. */
static bool used_local_server(struct admin_work *w)
{
    struct key_summary summary;
    keypool_summary(work_pool(w), clock_mono_ms(), &summary);
    return summary.total == 0 && !w->snapshot->config->upstream_set &&
           !upstream_is_missing(&w->program->upstream, work_pool(w), w->snapshot->config);
}

/*
 * The first key would take away the server that answered until now: so that becomes a key too, in
 * the same durable step. `specs` has room for one more; returns their number.
 */
static size_t add_local_server(struct admin_work *w, struct key_spec *specs, size_t n)
{
    if (n == 0 || !used_local_server(w))
        return n;
    str base_url = intake_url_text(&w->arena, upstream_url(w->snapshot->config));
    specs[n] =
        (struct key_spec){.base_url = base_url, .added_ms = clock_wall_ms(), .enabled = true};
    log_info("local_server_kept", LOG_STR("at", base_url),
             LOG_STR("why", STR("requests went there while there was no key")));
    return n + 1;
}

/* ---- one key ---- */

static void put_duplicate(void *arg, const struct key_view *view)
{
    struct key_shown shown;
    key_show(view, &shown);
    admin_put_duplicate(arg, STR("this key is there already"), &shown.key);
}

static void answer_added(struct admin_work *w, uint64_t id, bool duplicate)
{
    w->status = duplicate ? 409 : 200;
    if (!keypool_look(work_pool(w), id, clock_mono_ms(), duplicate ? put_duplicate : put_key_answer,
                      &w->out))
        work_refuse(w, 404, "the key was deleted meanwhile");
}

static void add_one(struct admin_work *w)
{
    struct admin_new_key asked;
    struct keytext_item item;
    struct err_info info = {0};
    struct key_spec specs[2];
    bool duplicates[2];
    enum err e = admin_read_new_key(&w->arena, w->body.p, w->body.len, &asked, &info);
    if (e == ERR_OK) {
        struct keytext_options options = text_options(w, asked.base_url);
        e = keytext_one(&w->arena, asked.key, &options, &item, &info);
    }
    if (e == ERR_OK) {
        specs[0] = spec_of(&item, asked.name, clock_wall_ms());
        size_t n = add_local_server(w, specs, 1);
        e = keeper_add(w->program->keeper, specs, n, 0, duplicates, &info);
    }
    if (e != ERR_OK)
        work_fail(w, e, &info);
    else
        answer_added(w, specs[0].id, duplicates[0]);
}

void admin_keys_add(struct admin_call *c)
{
    admin_work_start(c, add_one);
}

/* ---- many ---- */

static void import_release(struct import *im)
{
    free(im->specs);
    free(im->lines);
    free(im->duplicates);
    admin_batch_release(&im->answer);
}

/* What was told lives no longer than this call. */
static bool take_key(void *arg, const struct keyfile_key *key)
{
    struct import *im = arg;
    struct arena *a = &im->w->arena;
    if (im->n + 1 >= im->cap) {
        im->cap = im->cap > 0 ? 2 * im->cap : 256;
        im->specs = xrealloc(im->specs, im->cap * sizeof(*im->specs));
        im->lines = xrealloc(im->lines, im->cap * sizeof(*im->lines));
    }
    im->lines[im->n] = key->line;
    im->specs[im->n++] = intake_spec(a, key, im->now_wall_ms);
    return !a->overflowed && im->n <= KEYPOOL_KEYS_MAX;
}

static bool take_skip(void *arg, const struct keyfile_skip *skip)
{
    struct import *im = arg;
    admin_batch_skip(&im->answer, skip);
    return true;
}

/* Reads the text, whatever format it has; what is no key goes into the answer. */
static enum err read_text(struct import *im, const struct admin_batch *batch, struct err_info *info)
{
    struct admin_work *w = im->w;
    struct keytext_options options = text_options(w, batch->base_url);
    struct keyfile_sink sink = {.on_key = take_key, .on_skip = take_skip, .arg = im};
    enum keyfile_format format;
    im->now_wall_ms = clock_wall_ms();
    enum err e = keyfile_read(&w->arena, batch->keys, &options, &sink, &format, info);
    if (e == ERR_OK && (w->arena.overflowed || im->n > KEYPOOL_KEYS_MAX))
        e = err_set(info, ERR_TOO_LARGE, "these are too many keys for one import");
    return e;
}

/* A key of the pool, and the line that named it. */
struct named {
    struct admin_batch_answer *answer;
    size_t line; // 0: not told
};

static void put_added(void *arg, const struct key_view *view)
{
    struct named *named = arg;
    struct key_shown shown;
    key_show(view, &shown);
    shown.key.line = named->line;
    admin_batch_added(named->answer, &shown.key);
}

static void put_known(void *arg, const struct key_view *view)
{
    struct named *named = arg;
    struct key_shown shown;
    key_show(view, &shown);
    shown.key.line = named->line;
    admin_batch_duplicate(named->answer, &shown.key);
}

/* A key that a dry run would add, or of which one before it in the same run is a duplicate. */
static void put_spec(struct admin_batch_answer *answer, const struct key_spec *spec, size_t line,
                     bool known)
{
    struct key_shown shown;
    struct key_view view = {.secret = spec->secret,
                            .base_url = spec->base_url,
                            .name = spec->name,
                            .enabled = spec->enabled,
                            .state = spec->enabled ? KEY_IS_READY : KEY_IS_DISABLED,
                            .added_ms = spec->added_ms,
                            .life = spec->life};
    key_show(&view, &shown);
    shown.key.id = STR("");
    shown.key.line = line;
    if (known)
        admin_batch_duplicate(answer, &shown.key);
    else
        admin_batch_added(answer, &shown.key);
}

static void put_verdict(struct import *im, size_t i, uint64_t now_ms)
{
    const struct key_spec *spec = &im->specs[i];
    bool known = im->duplicates[i];
    struct admin_batch_answer *answer = &im->answer;
    struct named named = {answer, im->query.dry_run ? im->lines[i] : 0};
    bool listed = known ? admin_batch_lists_duplicates(answer) : admin_batch_lists_added(answer);
    if (!listed && known)
        admin_batch_duplicate(answer, NULL);
    else if (!listed)
        admin_batch_added(answer, NULL);
    else if (spec->id == 0 || !keypool_look(work_pool(im->w), spec->id, now_ms,
                                            known ? put_known : put_added, &named))
        put_spec(answer, spec, im->lines[i], known);
}

/* Adds what was read (a dry run only asks), and says of each line what became of it. */
static enum err add_all(struct import *im, struct err_info *info)
{
    struct admin_work *w = im->w;
    bool dry_run = im->query.dry_run;
    if (im->n == 0)
        return ERR_OK;
    size_t n = dry_run ? im->n : add_local_server(w, im->specs, im->n);
    im->duplicates = xcalloc(n, sizeof(*im->duplicates));
    struct keeper *k = w->program->keeper;
    enum err e = ERR_OK;
    uint64_t batch;
    if (dry_run)
        e = keeper_add(k, im->specs, n, KEEPER_DRY_RUN, im->duplicates, info);
    else if (im->query.import.len == 0)
        e = keeper_add(k, im->specs, n, KEEPER_BATCH, im->duplicates, info);
    else if (str_to_u64(im->query.import, &batch) && batch < INT64_MAX)
        e = keeper_add_to_batch(k, im->specs, n, batch, im->duplicates, info);
    else
        e = err_set(info, ERR_SYNTAX, "'import' is no import's id");
    if (e != ERR_OK)
        return e;
    uint64_t now_ms = clock_mono_ms();
    for (size_t i = 0; i < im->n; i++)
        put_verdict(im, i, now_ms);
    return ERR_OK;
}

/* The id of the import: that of the first key it added; empty: there is none. */
static str import_id(const struct import *im, char out[24])
{
    if (im->query.import.len > 0)
        return im->query.import; // a further piece of that one
    for (size_t i = 0; i < im->n; i++) {
        if (im->duplicates[i])
            continue;
        int n = snprintf(out, 24, "%llu", (unsigned long long)im->specs[i].id);
        return str_of(out, (size_t)n);
    }
    return STR("");
}

static enum err import(struct import *im, struct err_info *info)
{
    struct admin_work *w = im->w;
    struct admin_batch batch;
    char id[24];
    enum err e = admin_read_batch_query(&w->arena, w->query, &im->query, info);
    if (e == ERR_OK)
        e = admin_read_batch(&w->arena, w->body.p, w->body.len, &batch, info);
    if (e == ERR_OK)
        e = read_text(im, &batch, info);
    if (e == ERR_OK)
        e = add_all(im, info);
    if (e != ERR_OK)
        return e;
    bool dry_run = im->query.dry_run;
    admin_batch_end(&im->answer, dry_run ? STR("") : import_id(im, id), dry_run, &w->out);
    if (!dry_run)
        log_info("keys_imported", LOG_INT("added", im->answer.n_added),
                 LOG_INT("duplicates", im->answer.n_duplicates),
                 LOG_INT("errors", im->answer.n_errors));
    return ERR_OK;
}

static void add_many(struct admin_work *w)
{
    struct import im = {.w = w};
    struct err_info info = {0};
    admin_batch_init(&im.answer);
    enum err e = import(&im, &info);
    if (e != ERR_OK)
        work_fail(w, e, &info);
    import_release(&im);
}

void admin_keys_batch(struct admin_call *c)
{
    admin_work_start(c, add_many);
}
