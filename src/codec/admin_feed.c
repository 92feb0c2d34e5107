#include "codec/admin_feed.h"

#include "codec/admin_answer.h"
#include "codec/admin_put.h"
#include "codec/json.h"
#include "codec/keytext.h"

/* ---- values ---- */

static void put_or_null(struct buf *out, const char *name, int64_t value)
{
    buf_append(out, str_z(name));
    if (value >= 0)
        buf_append_i64(out, value);
    else
        buf_append(out, STR("null"));
}

/* A base URL, without what may be secret in it. */
static void put_url(struct buf *out, const char *name, str url)
{
    buf_append(out, str_z(name));
    if (url.len == 0) {
        buf_append(out, STR("null"));
        return;
    }
    buf_append_char(out, '"');
    keytext_put_shown_url(out, url); // holds nothing that JSON escapes
    buf_append_char(out, '"');
}

/* ---- overview ---- */

static void put_states(struct buf *out, const struct admin_key_counts *states)
{
    put_number(out, "{\"ready\":", states->ready);
    put_number(out, ",\"cooling\":", states->cooling);
    put_number(out, ",\"dead\":", states->dead);
    put_number(out, ",\"disabled\":", states->disabled);
    buf_append_char(out, '}');
}

void admin_put_host(struct buf *out, const struct admin_host *host)
{
    put_url(out, "{\"host\":", host->host);
    put_bool(out, ",\"keyed\":", host->keyed);
    buf_append(out, STR(",\"states\":"));
    put_states(out, &host->states);
    put_bool(out, ",\"cooling\":", host->cooling);
    put_text_or_null(out, ",\"cause\":", host->cause.len > 0 ? host->cause : STR("none"));
    put_text_or_null(out, ",\"reason\":", host->reason);
    put_time(out, ",\"until\":", host->until_ms);
    put_time(out, ",\"since\":", host->since_ms);
    put_or_null(out, ",\"models\":", host->models);
    buf_append_char(out, '}');
}

static void put_problem(struct buf *out, const struct admin_problem *p)
{
    put_text_or_null(out, "{\"kind\":", p->kind);
    put_url(out, ",\"host\":", p->host);
    put_number(out, ",\"count\":", p->count);
    put_text_or_null(out, ",\"cause\":", p->cause);
    put_text_or_null(out, ",\"source\":", p->source);
    put_text_or_null(out, ",\"limit\":", p->limit);
    put_time(out, ",\"since\":", p->since_ms);
    put_time(out, ",\"until\":", p->until_ms);
    put_text_or_null(out, ",\"text\":", p->text);
    buf_append_char(out, '}');
}

static void put_last_import(struct buf *out, const struct admin_last_import *import)
{
    if (import->id.len == 0) {
        buf_append(out, STR("null"));
        return;
    }
    put_text_or_null(out, "{\"id\":", import->id);
    put_time(out, ",\"at\":", import->at_ms);
    put_number(out, ",\"count\":", import->count);
    put_number(out, ",\"left\":", import->left);
    buf_append_char(out, '}');
}

static void put_lists(struct buf *out, const struct admin_overview *o)
{
    buf_append(out, STR(",\"hosts\":["));
    for (size_t i = 0; i < o->n_hosts; i++) {
        buf_append(out, i > 0 ? STR(",") : STR(""));
        admin_put_host(out, &o->hosts[i]);
    }
    put_number(out, "],\"hostsTotal\":", o->hosts_total);
    buf_append(out, STR(",\"problems\":["));
    for (size_t i = 0; i < o->n_problems; i++) {
        buf_append(out, i > 0 ? STR(",") : STR(""));
        put_problem(out, &o->problems[i]);
    }
    buf_append_char(out, ']');
}

void admin_put_overview(struct buf *out, const struct admin_overview *o)
{
    put_time(out, "{\"now\":", o->now_ms);
    put_text_or_null(out, ",\"version\":", o->version);
    put_time(out, ",\"startedAt\":", o->started_ms);
    buf_append(out, STR(",\"states\":"));
    put_states(out, &o->states);
    put_lists(out, o);
    put_time(out, ",\"wellSince\":", o->well_since_ms);
    put_text_or_null(out, ",\"upstream\":{\"kind\":", o->upstream_kind);
    put_url(out, ",\"url\":", o->upstream_url);
    put_bool(out, ",\"up\":", o->upstream_up);
    put_bool(out, "},\"security\":{\"encrypted\":", o->encrypted);
    put_bool(out, ",\"defaultPassword\":", o->default_password);
    put_bool(out, ",\"callersNeedToken\":", o->callers_need_token);
    put_bool(out, ",\"loopback\":", o->loopback);
    buf_append(out, STR("},\"lastImport\":"));
    put_last_import(out, &o->last_import);
    buf_append(out, STR("}\n"));
}

/* ---- series ---- */

enum column { REQUESTS, ERRORS, P50, P95, TOKENS_IN, TOKENS_OUT, COLUMNS };

static int64_t value_of(const struct admin_step *step, enum column column)
{
    switch (column) {
    case REQUESTS:
        return (int64_t)step->requests;
    case ERRORS:
        return (int64_t)step->errors;
    case P50:
        return step->p50_ms;
    case P95:
        return step->p95_ms;
    case TOKENS_IN:
        return (int64_t)step->tokens_in;
    default:
        return (int64_t)step->tokens_out;
    }
}

static void put_columns(struct buf *out, const struct admin_series *s)
{
    static const char *const names[COLUMNS] = {",\"requests\":[", ",\"errors\":[",
                                               ",\"p50\":[",      ",\"p95\":[",
                                               ",\"tokensIn\":[", ",\"tokensOut\":["};
    for (size_t column = 0; column < COLUMNS; column++) {
        buf_append(out, str_z(names[column]));
        for (size_t i = 0; i < s->n_steps; i++)
            put_or_null(out, i > 0 ? "," : "", value_of(&s->steps[i], (enum column)column));
        buf_append_char(out, ']');
    }
}

static void put_name(struct buf *out, const char *name, str value)
{
    put_text_or_null(out, name, value.len > 0 ? value : STR("other"));
}

static void put_model(struct buf *out, const struct admin_top *top)
{
    put_name(out, "{\"model\":", top->name);
    put_number(out, ",\"requests\":", top->requests);
    put_number(out, ",\"errors\":", top->errors);
    put_number(out, ",\"tokens\":", top->tokens);
}

static void put_error(struct buf *out, const struct admin_top *top)
{
    str status;
    str end = top->name;
    uint64_t number = 0;
    str_cut(end, ' ', &status, &end);
    if (!str_to_u64(status, &number))
        number = 0;
    put_number(out, "{\"status\":", number);
    put_name(out, ",\"end\":", end);
    put_number(out, ",\"count\":", top->requests);
}

static void put_top_host(struct buf *out, const struct admin_top *top)
{
    if (top->name.len > 0)
        put_url(out, "{\"host\":", top->name);
    else
        put_name(out, "{\"host\":", top->name);
    put_number(out, ",\"requests\":", top->requests);
    put_number(out, ",\"errors\":", top->errors);
}

static void put_tops(struct buf *out, const char *name, const struct admin_tops *tops,
                     void (*put)(struct buf *out, const struct admin_top *top))
{
    buf_append(out, str_z(name));
    for (size_t i = 0; i < tops->n; i++) {
        buf_append(out, i > 0 ? STR(",") : STR(""));
        put(out, &tops->items[i]);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

void admin_put_series(struct buf *out, const struct admin_series *s)
{
    put_text_or_null(out, "{\"range\":", s->range);
    put_number(out, ",\"stepSeconds\":", (uint64_t)s->step_s);
    put_number(out, ",\"start\":", (uint64_t)s->start_s);
    put_columns(out, s);
    buf_append(out, STR(",\"top\":{"));
    put_tops(out, "\"models\":[", &s->models, put_model);
    put_tops(out, ",\"errors\":[", &s->errors, put_error);
    put_tops(out, ",\"hosts\":[", &s->hosts, put_top_host);
    buf_append(out, STR("}}\n"));
}

/* ---- live ---- */

void admin_put_tick_fields(struct buf *out, const struct admin_tick *t)
{
    put_number(out, "\"requests\":", t->requests);
    put_number(out, ",\"errors\":", t->errors);
    buf_printf(out, ",\"perSecond\":%.1f", t->per_second);
    put_number(out, ",\"streams\":", t->streams);
    put_number(out, ",\"connections\":", t->connections);
    buf_append(out, STR(",\"states\":"));
    put_states(out, &t->states);
    put_number(out, ",\"version\":", t->version);
}
