#include "codec/admin_log.h"

#include "codec/admin_answer.h"
#include "codec/admin_put.h"
#include "codec/json.h"

static void put_key(struct buf *out, const struct admin_log_key *key)
{
    put_text_or_null(out, "\"keyId\":", key->id);
    put_text_or_null(out, ",\"keyName\":", key->name);
    put_text_or_null(out, ",\"keyMask\":", key->mask);
}

void admin_put_log_entry(struct buf *out, const struct admin_log_entry *e)
{
    bool counted = e->tokens_in > 0 || e->tokens_out > 0;
    put_number(out, "{\"id\":", e->id);
    buf_append(out, STR(",\"at\":"));
    admin_put_time(out, e->at_ms);
    put_text_or_null(out, ",\"route\":", e->route);
    put_text_or_null(out, ",\"model\":", e->model);
    buf_append_char(out, ',');
    put_key(out, &e->key);
    put_text_or_null(out, ",\"host\":", e->host);
    put_number(out, ",\"status\":", (uint64_t)e->status);
    buf_append(out, e->stream ? STR(",\"stream\":true") : STR(",\"stream\":false"));
    put_number_or_null(out, ",\"firstMs\":", (uint64_t)e->first_ms, e->first_ms >= 0);
    put_number(out, ",\"ms\":", e->ms);
    put_number_or_null(out, ",\"tokensIn\":", e->tokens_in, counted);
    put_number_or_null(out, ",\"tokensOut\":", e->tokens_out, counted);
    put_text_or_null(out, ",\"end\":", e->end);
    put_number(out, ",\"attempts\":", e->attempts);
    put_text_or_null(out, ",\"caller\":", e->caller);
    buf_append_char(out, '}');
}

void admin_put_log_try(struct buf *out, const struct admin_log_try *t)
{
    buf_append_char(out, '{');
    put_key(out, &t->key);
    put_text_or_null(out, ",\"host\":", t->host);
    put_number_or_null(out, ",\"status\":", (uint64_t)t->status, t->status > 0);
    put_text_or_null(out, ",\"verdict\":", t->verdict);
    put_text_or_null(out, ",\"text\":", t->text);
    put_number(out, ",\"ms\":", t->ms);
    buf_append_char(out, '}');
}

void admin_log_next(struct buf *out, bool *any)
{
    buf_append(out, *any ? STR(",") : STR("{\"entries\":["));
    *any = true;
}

void admin_log_end(struct buf *out, bool any, bool more, uint64_t kept, uint64_t capacity)
{
    buf_append(out, any ? STR("]") : STR("{\"entries\":[]"));
    buf_append(out, more ? STR(",\"more\":true") : STR(",\"more\":false"));
    put_number(out, ",\"kept\":", kept);
    put_number(out, ",\"capacity\":", capacity);
    buf_append(out, STR("}\n"));
}
