#include "codec/admin_detail.h"

#include "codec/admin_answer.h"
#include "codec/admin_put.h"
#include "codec/json.h"

void admin_put_setting(struct buf *out, const struct admin_setting *s)
{
    put_text(out, "{\"name\":", s->name);
    put_text(out, ",\"value\":", s->value);
    put_text(out, ",\"origin\":", s->origin);
    put_bool(out, ",\"secret\":", s->secret);
    put_bool(out, ",\"set\":", s->set);
    put_text(out, ",\"default\":", s->fallback);
    put_text(out, ",\"help\":", s->help);
    put_bool(out, ",\"restart\":", s->restart);
    buf_append_char(out, '}');
}

void admin_put_move(struct buf *out, const struct admin_move *m)
{
    put_time(out, "{\"at\":", m->at_ms);
    put_text(out, ",\"from\":", m->from);
    put_text(out, ",\"to\":", m->to);
    put_text(out, ",\"cause\":", m->cause);
    put_text_or_null(out, ",\"source\":", m->source);
    put_time(out, ",\"until\":", m->until_ms);
    put_text_or_null(out, ",\"reason\":", m->reason);
    buf_append_char(out, '}');
}

void admin_put_test_step(struct buf *out, str step, uint64_t ms, bool ok, str detail)
{
    put_text(out, "event: step\ndata: {\"step\":", step);
    put_number(out, ",\"ms\":", ms);
    put_bool(out, ",\"ok\":", ok);
    put_text_or_null(out, ",\"detail\":", detail);
    buf_append(out, STR("}\n\n"));
}

void admin_put_test_end(struct buf *out, const struct admin_test_end *end)
{
    put_bool(out, "event: done\ndata: {\"ok\":", end->ok);
    put_number_or_null(out, ",\"status\":", (uint64_t)end->status, end->status > 0);
    put_text_or_null(out, ",\"model\":", end->model);
    put_text_or_null(out, ",\"text\":", end->text);
    put_number_or_null(out, ",\"tokens\":", end->tokens, end->ok);
    put_number(out, ",\"ms\":", end->ms);
    put_text_or_null(out, ",\"error\":", end->error);
    buf_append(out, STR("}\n\n"));
}
