#include "app/site.h"

#include <assert.h>
#include <stdlib.h>

#include "app/admin.h"
#include "app/learn.h"
#include "app/metrics_route.h"
#include "app/models.h"
#include "app/relay.h"
#include "app/request.h"
#include "app/status.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "codec/admin_answer.h"
#include "core/auth.h"
#include "core/trace.h"
#include "net/budget.h"

#define SMALL_BODY_BYTES 65536 // of requests whose body nobody reads

/* Everything of a head that decides, before a byte of the body is read. */
struct gate {
    struct request *r;
    const struct http1_message *m;
    const struct config *config;
    struct target target;
    str origin;
    enum cors_verdict cors;
    enum auth_verdict auth;
};

static void refuse(struct request *r, enum openai_fault_kind kind, str message, const char *why)
{
    struct openai_fault fault = openai_fault(kind, STR(""), message);
    r->why = why;
    request_reply_fault(r, &fault, NULL);
}

static struct auth_headers auth_headers(const struct http1_message *m)
{
    return (struct auth_headers){.authorization = http1_find(m, STR("authorization")),
                                 .x_api_key = http1_find(m, STR("x-api-key")),
                                 .api_key = http1_find(m, STR("api-key"))};
}

/* https to us, or to a proxy that we trust to say so. */
static bool came_by_tls(const struct gate *g)
{
    if (exchange_is_tls(g->r->x))
        return true;
    return cidr_list_has(&g->config->trust_proxy, exchange_peer_addr(g->r->x)) &&
           str_ieq(http1_find(g->m, STR("x-forwarded-proto")), STR("https"));
}

/* A token of the admin side's lets its holder in as any caller's does. */
static bool is_admin_token(const struct gate *g, const struct auth_headers *headers)
{
    struct admin *admin = g->r->worker->program->admin;
    return admin_is_caller(admin, auth_bearer(headers->authorization)) ||
           admin_is_caller(admin, headers->x_api_key) || admin_is_caller(admin, headers->api_key);
}

static void judge_caller(struct gate *g)
{
    struct auth_headers headers = auth_headers(g->m);
    g->auth = auth_check(g->config, &headers);
    g->r->by_admin = is_admin_token(g, &headers);
    if (g->r->by_admin)
        g->auth = AUTH_OK;
    g->origin = http1_find(g->m, STR("origin"));
    struct cors_query query = {.origin = g->origin,
                               .host = http1_find(g->m, STR("host")),
                               .tls = came_by_tls(g),
                               .tokens_set = g->config->api_tokens.n > 0,
                               .bearer_valid =
                                   g->r->by_admin || auth_bearer_valid(g->config, g->auth)};
    g->cors = cors_decide(&g->config->cors, &query);
    if (g->cors == CORS_ALLOW && route_info(g->target.route)->cors) {
        request_set_origin(g->r, g->origin);
    }
}

static void answer_preflight(struct gate *g)
{
    struct cors_headers headers = {0};
    struct cors_preflight preflight = {
        .origin = g->origin,
        .request_headers = http1_find(g->m, STR("access-control-request-headers")),
        .private_network =
            str_ieq(http1_find(g->m, STR("access-control-request-private-network")), STR("true"))};
    const struct route_info *info = route_info(g->target.route);
    if (info->cors)
        cors_preflight_answer(g->cors, &preflight, &headers);
    request_reply_preflight(g->r, &headers, info->allow);
}

static bool method_allowed(const struct gate *g)
{
    static const unsigned bits[] = {[HTTP1_GET] = METHOD_GET,        [HTTP1_HEAD] = METHOD_HEAD,
                                    [HTTP1_POST] = METHOD_POST,      [HTTP1_PUT] = METHOD_PUT,
                                    [HTTP1_PATCH] = METHOD_PATCH,    [HTTP1_DELETE] = METHOD_DELETE,
                                    [HTTP1_OPTIONS] = METHOD_OPTIONS};
    return (route_info(g->target.route)->methods & bits[g->m->method]) != 0;
}

static void refuse_method(struct gate *g)
{
    struct openai_fault fault =
        openai_fault(FAULT_METHOD, STR(""), STR("this path does not take that method"));
    struct reply_extras extras = {.allow = route_info(g->target.route)->allow};
    g->r->why = "method";
    request_reply_fault(g->r, &fault, &extras);
}

static void refuse_path(struct gate *g)
{
    char text[256];
    str method = http1_method_name(g->m->method);
    str path = str_head(g->m->target, 160);
    int n = snprintf(text, sizeof(text), "Invalid URL (%.*s %.*s)", STR_ARG(method), STR_ARG(path));
    refuse(g->r, FAULT_NOT_FOUND, str_of(text, (size_t)n), "no_route");
}

static void refuse_token(struct gate *g)
{
    str text = g->auth == AUTH_MISSING
                   ? STR("no API key was sent: pass one of this server's tokens as "
                         "'Authorization: Bearer <token>'")
                   : STR("the API key is not one of this server's tokens");
    refuse(g->r, FAULT_NO_TOKEN, text, "token");
}

/* Whether the sender may not call the route; answers then. */
static bool refuses_caller(struct gate *g)
{
    enum role role = route_info(g->target.route)->role;
    if (role == ROLE_METRICS && !metrics_allowed(g->r))
        refuse(g->r, FAULT_NO_TOKEN,
               g->config->metrics_token.n > 0
                   ? STR("pass METRICS_TOKEN as 'Authorization: Bearer <token>'")
                   : STR("metrics are for callers on this machine; to read them from elsewhere, "
                         "set METRICS_TOKEN"),
               "token");
    else if (role != ROLE_ANYBODY && role != ROLE_METRICS && g->auth != AUTH_OK)
        refuse_token(g);
    else
        return false;
    return true;
}

/* Answers what must not go on; false when the body may be read. */
static bool gate_closes(struct gate *g)
{
    const struct route_info *info = route_info(g->target.route);
    if (g->cors == CORS_REFUSE && info->cors) {
        refuse(g->r, FAULT_ORIGIN,
               STR("pages of this origin may not use this server; see CORS_ORIGINS"), "origin");
        return true;
    }
    if (g->m->method == HTTP1_OPTIONS) {
        answer_preflight(g);
        return true;
    }
    if (refuses_caller(g))
        return true;
    if (g->target.route == ROUTE_UNKNOWN) {
        refuse_path(g);
        return true;
    }
    if (!method_allowed(g)) {
        refuse_method(g);
        return true;
    }
    if (trace_via_has(http1_join(&g->r->worker->scratch, g->m, STR("via")),
                      str_z(g->r->worker->program->pseudonym))) {
        refuse(g->r, FAULT_LOOP, STR("this request came through this server before"), "loop");
        return true;
    }
    if (http1_find(g->m, STR("content-encoding")).len > 0 &&
        !str_ieq(http1_find(g->m, STR("content-encoding")), STR("identity"))) {
        refuse(g->r, FAULT_BAD_REQUEST, STR("an encoded body (Content-Encoding) is not taken"),
               "encoding");
        return true;
    }
    return false;
}

/* Whether BODY_LIMIT holds for it. */
static bool has_large_body(enum route route)
{
    return route == ROUTE_CHAT || route == ROUTE_COMPLETIONS || route == ROUTE_EMBEDDINGS;
}

static void on_head(void *app, struct exchange *x)
{
    struct worker *w = app;
    struct request *r = request_new(w, x);
    exchange_set_data(x, r);
    struct gate g = {.r = r, .m = exchange_message(x), .config = r->snapshot->config};
    struct err_info info = {0};

    arena_reset(&w->scratch);
    enum err e = target_parse(&w->scratch, g.m->target, &g.target, &info);
    r->route = g.target.route;
    if (e == ERR_OK && r->route == ROUTE_ADMIN) {
        admin_on_head(r, g.target.path);
        return;
    }
    judge_caller(&g);
    if (e != ERR_OK) {
        exchange_close_after(x);
        refuse(r, FAULT_BAD_REQUEST, str_z(info.text), "path");
        return;
    }
    if (gate_closes(&g))
        return;
    if (!has_large_body(r->route))
        exchange_allow_body(x, SMALL_BODY_BYTES);
    else if (budget_is_short())
        request_refuse_for_now(r);
    else
        exchange_allow_body(x, g.config->body_limit_bytes);
}

static void on_request(void *app, struct exchange *x)
{
    struct worker *w = app;
    struct request *r = exchange_data(x);
    switch (r->route) {
    case ROUTE_ROOT:
        status_reply_root(r);
        break;
    case ROUTE_HEALTH:
        status_reply_health(r);
        break;
    case ROUTE_METRICS:
        metrics_reply(r);
        break;
    case ROUTE_V1:
        status_reply_v1(r);
        break;
    case ROUTE_CHAT:
        relay_start(r, &DIALECT_CHAT);
        break;
    case ROUTE_COMPLETIONS:
        relay_start(r, &DIALECT_COMPLETIONS);
        break;
    case ROUTE_EMBEDDINGS:
        relay_start(r, &DIALECT_EMBEDDINGS);
        break;
    case ROUTE_MODELS:
        models_reply_list(r);
        break;
    case ROUTE_MODEL:
        models_reply_one(r);
        break;
    case ROUTE_ADMIN:
        admin_on_request(r);
        break;
    default:
        assert(!"gate_closes() lets nothing else in");
    }
    if (route_info(r->route)->role == ROLE_CALLER)
        learn_keep_fresh(w, w->snapshot);
    arena_reset(&w->scratch);
}

static void on_drain(void *app, struct exchange *x)
{
    (void)app;
    struct request *r = exchange_data(x);
    if (r->relay != NULL)
        relay_resume(r->relay);
    else if (r->admin != NULL)
        admin_on_drain(r);
}

static void on_end(void *app, struct exchange *x, enum exchange_end how)
{
    (void)app;
    struct request *r = exchange_data(x);
    request_log(r, how);
    request_free(r);
}

/* The kind of fault for a status that the server gives by itself. */
static enum openai_fault_kind fault_of_status(int status)
{
    static const enum openai_fault_kind kinds[] = {
        FAULT_REQUEST_TIMEOUT, FAULT_TOO_LARGE,         FAULT_URI_TOO_LONG,    FAULT_EXPECTATION,
        FAULT_RATE_LIMIT,      FAULT_HEADERS_TOO_LARGE, FAULT_NOT_IMPLEMENTED, FAULT_OVERLOADED};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (openai_fault(kinds[i], STR(""), STR("")).status == status)
            return kinds[i];
    }
    return FAULT_BAD_REQUEST;
}

/* A request that the server itself refuses, before or after the site has seen its head. */
static void on_refuse(void *app, struct exchange *x, struct server_refusal *refusal)
{
    (void)app;
    struct request *r = x != NULL ? exchange_data(x) : NULL;
    struct openai_fault fault =
        openai_fault(fault_of_status(refusal->status), STR(""), str_z(refusal->why));
    if (r != NULL && r->admin != NULL)
        admin_put_error(&refusal->body, fault.message);
    else
        openai_error_body(&refusal->body, &fault);
    if (r != NULL) {
        r->why = "refused";
        refusal->n_fields = request_error_fields(r, refusal->fields, SERVER_REFUSAL_FIELDS);
        return;
    }
    str id = request_random_id(refusal->text);
    refusal->fields[0] = (struct http1_field){STR("Content-Type"), STR("application/json")};
    refusal->fields[1] = (struct http1_field){STR("X-Request-Id"), id};
    refusal->n_fields = 2;
    log_info("refused", LOG_STR("id", id), LOG_STR("peer", refusal->peer),
             LOG_INT("status", refusal->status), LOG_STR("why", str_z(refusal->why)));
}

const struct server_events SITE_EVENTS = {
    .on_head = on_head,
    .on_request = on_request,
    .on_drain = on_drain,
    .on_end = on_end,
    .on_refuse = on_refuse,
};

void site_cut_all(struct worker *w)
{
    // Cutting a request may end others at once (its connection's): begin anew each time.
    while (!list_empty(&w->requests)) {
        struct request *r = list_entry(w->requests.next, struct request, link);
        list_remove(&r->link);
        r->why = "shutdown";
        if (r->relay != NULL)
            relay_shut_down(r->relay);
        else if (r->wait != NULL)
            models_shut_down(r->wait);
        else
            exchange_abort(r->x);
    }
}
