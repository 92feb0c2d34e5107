#include "app/admin_call.h"

#include <assert.h>
#include <stdio.h>

#include "app/ui.h"
#include "codec/admin_answer.h"

size_t admin_fields(const struct request *r, str cache_control,
                    struct http1_field fields[ADMIN_FIELDS])
{
    size_t n = 0;
    assert(UI_SECURITY_COUNT + 3 <= ADMIN_FIELDS);
    while (n < UI_SECURITY_COUNT) {
        fields[n] = UI_SECURITY_FIELDS[n];
        n++;
    }
    fields[n++] = (struct http1_field){STR("Cross-Origin-Resource-Policy"), STR("same-origin")};
    fields[n++] = (struct http1_field){STR("Cache-Control"), cache_control};
    if (exchange_is_tls(r->x))
        fields[n++] = UI_TLS_FIELD;
    return n;
}

enum { REPLY_FIELDS = ADMIN_FIELDS + 7 };

struct reply {
    struct http1_field fields[REPLY_FIELDS];
    size_t n;
};

static void add(struct reply *reply, str name, str value)
{
    if (value.len > 0)
        reply->fields[reply->n++] = (struct http1_field){name, value};
}

/* What an answer of this status and with these extras has; `seconds` is room for a number. */
static void fill(struct reply *reply, const struct admin_call *c, int status,
                 const struct admin_extras *e, char seconds[12])
{
    static const struct admin_extras none = {.retry_after_s = 0};
    e = e != NULL ? e : &none;
    if (e->retry_after_s > 0)
        snprintf(seconds, 12, "%u", e->retry_after_s);
    reply->n = admin_fields(c->r, STR("no-store"), reply->fields);
    add(reply, STR("Content-Type"),
        e->content_type.len > 0 ? e->content_type : STR("application/json"));
    add(reply, STR("Set-Cookie"), e->set_cookie);
    add(reply, STR("Allow"), e->allow);
    add(reply, STR("Content-Disposition"), e->disposition);
    add(reply, STR("Retry-After"), str_z(seconds));
    add(reply, STR("X-Accel-Buffering"), e->unbuffered ? STR("no") : STR(""));
    add(reply, STR("WWW-Authenticate"), status == 401 ? STR("Bearer") : STR(""));
}

void call_reply(struct admin_call *c, int status, str body, const struct admin_extras *extras)
{
    struct reply reply;
    char seconds[12] = "";
    // The server itself may have refused the body while the password was being checked.
    if (exchange_begun(c->r->x))
        return;
    fill(&reply, c, status, extras, seconds);
    request_reply(c->r, status, reply.fields, reply.n, body);
}

void call_begin(struct admin_call *c, int status, const struct admin_extras *extras)
{
    struct reply reply;
    char seconds[12] = "";
    fill(&reply, c, status, extras, seconds);
    request_begin(c->r, status, reply.fields, reply.n);
}

void call_refuse_with(struct admin_call *c, int status, str sentence,
                      const struct admin_extras *extras)
{
    struct buf body;
    buf_init(&body, 4096);
    admin_put_error(&body, sentence);
    call_reply(c, status, buf_str(&body), extras);
    buf_release(&body);
}

void call_refuse(struct admin_call *c, int status, str sentence)
{
    call_refuse_with(c, status, sentence, NULL);
}

void call_refuse_try(struct admin_call *c, uint64_t wait_ms)
{
    struct admin_extras extras = {.retry_after_s = (uint32_t)((wait_ms + 999) / 1000)};
    c->r->why = "throttled";
    call_refuse_with(c, 429, STR("too many passwords were tried; wait, then try again"), &extras);
}
