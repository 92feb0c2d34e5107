#include "codec/admin_answer.h"

#include "base/clock.h"
#include "codec/admin_put.h"
#include "codec/json.h"
#include "codec/keytext.h"

enum { DAY_MS = 86400000, DATE_BYTES = 10 };

/* ---- values ---- */

void admin_put_time(struct buf *out, int64_t wall_ms)
{
    char text[CLOCK_ISO_BYTES];
    if (wall_ms <= 0) {
        buf_append(out, STR("null"));
        return;
    }
    clock_iso(wall_ms, text);
    buf_append_char(out, '"');
    buf_append(out, str_z(text));
    buf_append_char(out, '"');
}

/* ---- objects ---- */

void admin_put_key(struct buf *out, const struct admin_key *key)
{
    put_text(out, "{\"id\":", key->id);
    put_text(out, ",\"key\":", key->key);
    buf_append(out, STR(",\"baseUrl\":\""));
    keytext_put_shown_url(out, key->base_url); // holds nothing that JSON escapes
    put_text(out, "\",\"name\":", key->name);
    put_bool(out, ",\"enabled\":", key->enabled);
    put_bool(out, ",\"healthy\":", str_eq(key->status, STR("ready")));
    put_text(out, ",\"status\":", key->status);
    put_time(out, ",\"lastCheck\":", key->last_check_ms);
    put_time(out, ",\"lastUsed\":", key->last_used_ms);
    put_text_or_null(out, ",\"lastError\":", key->last_error);
    put_time(out, ",\"addedAt\":", key->added_ms);
    put_number(out, ",\"totalRequests\":", key->requests);
    put_number(out, ",\"failedRequests\":", key->failures);
    put_number(out, ",\"totalTokens\":", key->tokens);
    put_time(out, ",\"coolingUntil\":", key->until_ms);
    put_text_or_null(out, ",\"account\":", key->account);
    put_text(out, ",\"cause\":", key->cause.len > 0 ? key->cause : STR("none"));
    put_text_or_null(out, ",\"source\":", key->source);
    put_text_or_null(out, ",\"reason\":", key->reason);
    put_time(out, ",\"since\":", key->since_ms);
    if (key->line > 0)
        put_number(out, ",\"line\":", key->line);
    buf_append_char(out, '}');
}

void admin_put_summary(struct buf *out, const struct admin_summary *summary)
{
    uint64_t unhealthy = summary->cooling + summary->dead;
    uint64_t enabled = summary->ready + unhealthy;
    put_number(out, "{\"total\":", enabled + summary->disabled);
    put_number(out, ",\"enabled\":", enabled);
    put_number(out, ",\"healthy\":", summary->ready);
    put_number(out, ",\"disabled\":", summary->disabled);
    put_number(out, ",\"unhealthy\":", unhealthy);
    put_number(out, ",\"totalRequests\":", summary->requests);
    put_number(out, ",\"totalTokens\":", summary->tokens);
    buf_append_char(out, '}');
}

/* ---- small answers ---- */

/* Cut between characters; what would break a line or a terminal becomes a blank. */
static void put_sentence(struct buf *out, str sentence)
{
    char text[ADMIN_SENTENCE_MAX];
    size_t n = utf8_cut(sentence, sizeof(text));
    for (size_t i = 0; i < n; i++) {
        bool control = (unsigned char)sentence.p[i] < ' ' || sentence.p[i] == 0x7F;
        text[i] = (char)(control ? ' ' : sentence.p[i]);
    }
    json_put_string(out, str_of(text, n));
}

void admin_put_error(struct buf *out, str sentence)
{
    buf_append(out, STR("{\"error\":"));
    put_sentence(out, sentence);
    buf_append(out, STR("}\n"));
}

void admin_put_duplicate(struct buf *out, str sentence, const struct admin_key *key)
{
    buf_append(out, STR("{\"error\":"));
    put_sentence(out, sentence);
    buf_append(out, STR(",\"key\":"));
    admin_put_key(out, key);
    buf_append(out, STR("}\n"));
}

void admin_put_success(struct buf *out)
{
    buf_append(out, STR("{\"success\":true}\n"));
}

void admin_put_number(struct buf *out, str name, uint64_t n)
{
    buf_append(out, STR("{\"success\":true,"));
    json_put_string(out, name);
    put_number(out, ":", n);
    buf_append(out, STR("}\n"));
}

void admin_put_login(struct buf *out, str token)
{
    put_text(out, "{\"success\":true,\"token\":", token);
    buf_append(out, STR("}\n"));
}

void admin_put_session(struct buf *out, str csrf, str chat_token)
{
    put_text(out, "{\"csrf\":", csrf);
    put_text(out, ",\"chatToken\":", chat_token);
    buf_append(out, STR("}\n"));
}

void admin_put_key_answer(struct buf *out, const struct admin_key *key)
{
    buf_append(out, STR("{\"success\":true,\"key\":"));
    admin_put_key(out, key);
    buf_append(out, STR("}\n"));
}

/* ---- the list of keys ---- */

struct admin_list admin_list_begin(struct buf *out)
{
    buf_append(out, STR("{\"keys\":["));
    return (struct admin_list){.out = out};
}

void admin_list_key(struct admin_list *list, const struct admin_key *key)
{
    if (list->any)
        buf_append_char(list->out, ',');
    list->any = true;
    admin_put_key(list->out, key);
}

void admin_list_end(struct admin_list *list, const struct admin_summary *summary, uint64_t total)
{
    buf_append(list->out, STR("],\"summary\":"));
    admin_put_summary(list->out, summary);
    put_number(list->out, ",\"total\":", total);
    buf_append(list->out, STR("}\n"));
}

/* ---- imports ---- */

void admin_batch_init(struct admin_batch_answer *b)
{
    size_t max = (size_t)ADMIN_PART_MAX * (ADMIN_KEY_BYTES + 1);
    *b = (struct admin_batch_answer){.n_added = 0};
    buf_init(&b->added, max);
    buf_init(&b->duplicates, max);
    buf_init(&b->errors, max);
    buf_init(&b->notes, max);
}

void admin_batch_release(struct admin_batch_answer *b)
{
    buf_release(&b->added);
    buf_release(&b->duplicates);
    buf_release(&b->errors);
    buf_release(&b->notes);
}

bool admin_batch_lists_added(const struct admin_batch_answer *b)
{
    return b->n_added < ADMIN_PART_MAX;
}

bool admin_batch_lists_duplicates(const struct admin_batch_answer *b)
{
    return b->n_duplicates < ADMIN_PART_MAX;
}

static void put_part(struct buf *out, const struct admin_key *key)
{
    if (out->len > 0)
        buf_append_char(out, ',');
    admin_put_key(out, key);
}

void admin_batch_added(struct admin_batch_answer *b, const struct admin_key *key)
{
    if (admin_batch_lists_added(b))
        put_part(&b->added, key);
    b->n_added++;
}

void admin_batch_duplicate(struct admin_batch_answer *b, const struct admin_key *key)
{
    if (admin_batch_lists_duplicates(b))
        put_part(&b->duplicates, key);
    b->n_duplicates++;
}

/* "weight of 12 entries: every …"; there are fewer kinds of settings than would need a bound. */
static void put_note(struct buf *out, const struct keyfile_skip *skip)
{
    buf_append(out, out->len > 0 ? STR(",\"") : STR("\""));
    json_put_escaped(out, skip->place);
    buf_append(out, STR(": "));
    json_put_escaped(out, skip->why);
    buf_append_char(out, '"');
}

void admin_batch_skip(struct admin_batch_answer *b, const struct keyfile_skip *skip)
{
    if (skip->setting) {
        put_note(&b->notes, skip);
        return;
    }
    if (b->n_errors++ >= ADMIN_PART_MAX)
        return;
    if (b->errors.len > 0)
        buf_append_char(&b->errors, ',');
    str input = str_head(skip->what, utf8_cut(skip->what, ADMIN_INPUT_MAX));
    put_text(&b->errors, "{\"input\":", input);
    put_number(&b->errors, ",\"line\":", skip->line);
    put_text(&b->errors, ",\"place\":", skip->place);
    buf_append(&b->errors, STR(",\"error\":"));
    put_sentence(&b->errors, skip->why);
    buf_append_char(&b->errors, '}');
}

void admin_batch_end(const struct admin_batch_answer *b, str import, bool dry_run, struct buf *out)
{
    buf_append(out, STR("{\"added\":["));
    buf_append(out, buf_str(&b->added));
    put_number(out, "],\"addedCount\":", b->n_added);
    buf_append(out, STR(",\"duplicates\":["));
    buf_append(out, buf_str(&b->duplicates));
    put_number(out, "],\"duplicateCount\":", b->n_duplicates);
    buf_append(out, STR(",\"errors\":["));
    buf_append(out, buf_str(&b->errors));
    put_number(out, "],\"errorCount\":", b->n_errors);
    buf_append(out, STR(",\"notes\":["));
    buf_append(out, buf_str(&b->notes));
    buf_append_char(out, ']');
    put_bool(out, ",\"dryRun\":", dry_run);
    if (import.len > 0)
        put_text(out, ",\"import\":", import);
    buf_append(out, STR("}\n"));
}

/* ---- jobs ---- */

static void put_job(struct buf *out, const struct admin_job *job)
{
    put_text(out, "{\"id\":", job->id);
    put_text(out, ",\"state\":", job->state);
    put_number(out, ",\"done\":", job->done);
    put_number(out, ",\"total\":", job->total);
    if (job->result.len > 0) {
        buf_append(out, STR(",\"result\":"));
        buf_append(out, str_trim_ws(job->result));
    }
    buf_append_char(out, '}');
}

void admin_put_job_begun(struct buf *out, const struct admin_job *job)
{
    buf_append(out, STR("{\"job\":"));
    put_job(out, job);
    buf_append(out, STR("}\n"));
}

void admin_put_job(struct buf *out, const struct admin_job *job)
{
    put_job(out, job);
    buf_append_char(out, '\n');
}

/* ---- counters by day ---- */

struct admin_stats admin_stats_begin(struct buf *out, const struct admin_summary *summary)
{
    buf_append(out, STR("{\"summary\":"));
    admin_put_summary(out, summary);
    buf_append(out, STR(",\"stats\":{"));
    return (struct admin_stats){.out = out};
}

static void begin_day(struct admin_stats *s, int64_t day)
{
    char text[CLOCK_ISO_BYTES];
    clock_iso(day * DAY_MS, text);
    buf_append(s->out, s->any_day ? STR("},") : STR(""));
    json_put_string(s->out, str_of(text, DATE_BYTES));
    buf_append(s->out, STR(":{"));
    s->day = day;
    s->any_day = true;
    s->any_key = false;
}

void admin_stats_row(struct admin_stats *s, int64_t day, str id, uint64_t success, uint64_t fail,
                     uint64_t tokens)
{
    if (!s->any_day || day != s->day)
        begin_day(s, day);
    if (s->any_key)
        buf_append_char(s->out, ',');
    s->any_key = true;
    json_put_string(s->out, id);
    put_number(s->out, ":{\"success\":", success);
    put_number(s->out, ",\"fail\":", fail);
    put_number(s->out, ",\"tokens\":", tokens);
    buf_append_char(s->out, '}');
}

void admin_stats_end(struct admin_stats *s)
{
    buf_append(s->out, s->any_day ? STR("}}}\n") : STR("}}\n"));
}
