#include "app/admin.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "app/admin_call.h"
#include "app/admin_check.h"
#include "app/admin_gate.h"
#include "app/admin_live.h"
#include "app/admin_stream.h"
#include "app/admin_work.h"
#include "app/ui.h"
#include "base/log.h"
#include "base/xalloc.h"
#include "codec/admin_request.h"
#include "core/auth.h"
#include "net/budget.h"

#define NONE  ((size_t)0)
#define SMALL ((size_t)64 << 10)
#define LARGE ((size_t)16 << 20)

// clang-format off
/* Where two rows match a path, the first counts: whole words stand before ":id". */
static const struct admin_row ROWS[] = {
    {HTTP1_POST,   STR_C("/admin/login"),                   admin_login,             SMALL, false, ADMIN_ANYBODY},
    {HTTP1_POST,   STR_C("/admin/logout"),                  admin_logout,            NONE,  false, ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/session"),             admin_session,           NONE,  false, ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/keys"),                admin_keys_list,         NONE,  true,  ADMIN_SESSION},
    {HTTP1_POST,   STR_C("/admin/api/keys"),                admin_keys_add,          SMALL, false, ADMIN_SESSION},
    {HTTP1_DELETE, STR_C("/admin/api/keys"),                admin_keys_delete_all,   NONE,  false, ADMIN_SESSION},
    {HTTP1_POST,   STR_C("/admin/api/keys/batch"),          admin_keys_batch,        LARGE, true,  ADMIN_SESSION},
    {HTTP1_POST,   STR_C("/admin/api/keys/bulk"),           admin_keys_bulk,         LARGE, false, ADMIN_SESSION},
    {HTTP1_POST,   STR_C("/admin/api/keys/check"),          admin_keys_check,        NONE,  false, ADMIN_SESSION},
    {HTTP1_POST,   STR_C("/admin/api/keys/export"),         admin_keys_export,       LARGE, false, ADMIN_SESSION},
    {HTTP1_POST,   STR_C("/admin/api/keys/reset-health"),   admin_keys_reset_health, NONE,  false, ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/keys/:id"),            admin_key_get,           NONE,  false, ADMIN_SESSION},
    {HTTP1_PATCH,  STR_C("/admin/api/keys/:id"),            admin_keys_patch,        SMALL, false, ADMIN_SESSION},
    {HTTP1_DELETE, STR_C("/admin/api/keys/:id"),            admin_keys_delete,       NONE,  false, ADMIN_SESSION},
    {HTTP1_POST,   STR_C("/admin/api/keys/:id/toggle"),     admin_keys_toggle,       NONE,  false, ADMIN_SESSION},
    {HTTP1_POST,   STR_C("/admin/api/keys/:id/check"),      admin_key_check,         NONE,  false, ADMIN_SESSION},
    {HTTP1_POST,   STR_C("/admin/api/keys/:id/test"),       admin_key_test,          SMALL, false, ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/jobs/:id"),            admin_job_get,           NONE,  false, ADMIN_SESSION},
    {HTTP1_DELETE, STR_C("/admin/api/jobs/:id"),            admin_job_delete,        NONE,  false, ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/stats"),               admin_stats,             NONE,  true,  ADMIN_SESSION},
    {HTTP1_DELETE, STR_C("/admin/api/imports/:id"),         admin_import_delete,     NONE,  false, ADMIN_SESSION},
    {HTTP1_POST,   STR_C("/admin/api/hosts/check"),         admin_host_check,        SMALL, false, ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/settings"),            admin_settings,          NONE,  false, ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/overview"),            admin_overview,          NONE,  false, ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/live"),                admin_live,              NONE,  true,  ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/log"),                 admin_log_list,          NONE,  true,  ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/log/:id"),             admin_log_one,           NONE,  false, ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/series"),              admin_series,            NONE,  true,  ADMIN_SESSION},
    {HTTP1_GET,    STR_C("/admin/api/backup"),              admin_backup,            NONE,  false, ADMIN_SESSION},
};
// clang-format on

/* Routes that version 3 of the older program had, and what is to be said of them. */
static const struct {
    str path;
    str sentence;
} GONE[] = {
    {STR_C("/admin/api/tokens"),
     STR_C("there are no caller tokens to manage here: set API_TOKEN, several by commas")           },
    {STR_C("/admin/api/channels"),
     STR_C("there are no channels here: each key has its base URL, see /admin/api/keys")            },
    {STR_C("/admin/api/logs"),      STR_C("this route is not here: the log goes to standard output")},
    {STR_C("/admin/api/dashboard"), STR_C("this route is not here: see /admin/api/stats")           },
    {STR_C("/admin/api/cache"),     STR_C("there is no cache of answers here")                      },
};

enum err admin_new(const struct config *config, struct store *store, struct admin **ret,
                   struct err_info *info)
{
    struct admin *admin = xcalloc(1, sizeof(*admin));
    enum err e = admin_auth_new(config, &admin->auth, info);
    if (e == ERR_OK)
        e = admin_auth_keep(admin->auth, store, info);
    if (e != ERR_OK) {
        admin_auth_free(admin->auth);
        free(admin);
        return e;
    }
    admin->jobs = jobs_new();
    *ret = admin;
    return ERR_OK;
}

void admin_stop(struct admin *admin)
{
    if (admin == NULL)
        return;
    admin_auth_free(admin->auth);
    admin->auth = NULL;
}

void admin_free(struct admin *admin)
{
    if (admin == NULL)
        return;
    jobs_free(admin->jobs);
    free(admin);
}

void admin_reload(struct admin *admin, const struct config *old, const struct config *now)
{
    admin_auth_reload(admin->auth, old, now);
}

bool admin_is_caller(struct admin *admin, str bearer)
{
    return admin_auth_is_caller(admin->auth, bearer);
}

void admin_call_free(struct admin_call *c)
{
    if (c == NULL)
        return;
    if (c->try != NULL)
        admin_try_leave(c->try);
    admin_work_leave(c->work);
    admin_check_leave(c);
    admin_stream_leave(c->stream);
    admin_live_leave(c->listener);
    if (c->release_arg != NULL)
        c->release_arg(c->arg);
    free(c);
}

/* ---- which row ---- */

/* Whether `path` is the row's; what stands for ":id" goes to `*ret_id`. */
static bool path_matches(str pattern, str path, str *ret_id)
{
    str id = STR("");
    while (pattern.len > 0 || path.len > 0) {
        str want;
        str have;
        bool more = str_cut(pattern, '/', &want, &pattern);
        if (str_cut(path, '/', &have, &path) != more)
            return false;
        if (str_eq(want, STR(":id")) && have.len > 0)
            id = have;
        else if (!str_eq(want, have))
            return false;
    }
    *ret_id = id;
    return true;
}

static enum http1_method method_of_row(enum http1_method method)
{
    return method == HTTP1_HEAD ? HTTP1_GET : method;
}

static void find_row(struct admin_call *c, str path)
{
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        str id;
        if (!path_matches(ROWS[i].path, path, &id))
            continue;
        c->known_path = true;
        if (ROWS[i].method != method_of_row(c->r->method) || id.len > sizeof(c->id_room))
            continue;
        c->row = &ROWS[i];
        c->id_len = id.len;
        memcpy(c->id_room, id.p, id.len);
        return;
    }
}

/* The methods that the path takes, for Allow; in the worker's scratch arena. */
static str allowed_methods(struct admin_call *c, str path)
{
    struct arena *a = &c->r->worker->scratch;
    str list = STR("");
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        str id;
        if (!path_matches(ROWS[i].path, path, &id))
            continue;
        str name = http1_method_name(ROWS[i].method);
        list = arena_printf(a, "%.*s%s%.*s%s", STR_ARG(list), list.len > 0 ? ", " : "",
                            STR_ARG(name), ROWS[i].method == HTTP1_GET ? ", HEAD" : "");
    }
    return list;
}

static void refuse_path(struct admin_call *c, str path)
{
    if (c->known_path) {
        struct admin_extras extras = {.allow = allowed_methods(c, path)};
        call_refuse_with(c, 405, STR("this path does not take that method"), &extras);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(GONE); i++) {
        str rest = str_skip(path, GONE[i].path.len);
        if (str_starts(path, GONE[i].path) && (rest.len == 0 || rest.p[0] == '/')) {
            call_refuse(c, 404, GONE[i].sentence);
            return;
        }
    }
    call_refuse(c, 404, STR("there is nothing at this path"));
}

/* ---- who ---- */

str call_credential(const struct admin_call *c)
{
    const struct http1_message *m = exchange_message(c->r->x);
    if (c->how == ADMIN_BY_COOKIE)
        return gate_cookie(m, call_is_encrypted(c));
    return auth_bearer(http1_find(m, STR("authorization")));
}

void call_address(const struct admin_call *c, struct sockaddr_storage *ret)
{
    struct request *r = c->r;
    str forwarded = http1_join(&r->worker->scratch, exchange_message(r->x), STR("x-forwarded-for"));
    address_of_caller(exchange_peer_addr(r->x), forwarded, &r->snapshot->config->trust_proxy, ret);
}

bool call_is_encrypted(const struct admin_call *c)
{
    const struct request *r = c->r;
    if (exchange_is_tls(r->x))
        return true;
    return cidr_list_has(&r->snapshot->config->trust_proxy, exchange_peer_addr(r->x)) &&
           str_ieq(http1_find(exchange_message(r->x), STR("x-forwarded-proto")), STR("https"));
}

bool call_try_password(struct admin_call *c, str password, admin_try_fn *fn)
{
    struct sockaddr_storage addr;
    uint64_t wait_ms;
    call_address(c, &addr);
    struct admin_try_setup setup = {.password = password,
                                    .addr = (const struct sockaddr *)&addr,
                                    .loop = c->r->worker->loop,
                                    .fn = fn,
                                    .arg = c};
    c->try = admin_auth_try(admin_of(c)->auth, &setup, &wait_ms);
    if (c->try == NULL)
        call_refuse_try(c, wait_ms);
    return c->try != NULL;
}

static void refuse_credential(struct admin_call *c, const char *why)
{
    c->r->why = why;
    call_refuse(c, 401,
                STR("not logged in: send 'Authorization: Bearer' with the admin password or a "
                    "session's token, or log in at /admin"));
}

str call_query(const struct admin_call *c)
{
    str target = exchange_message(c->r->x)->target;
    target = str_skip(target, str_find_char(target, '?'));
    return str_head(str_skip(target, 1), str_find_char(target, '#'));
}

/* Whether there is neither a body nor a query where the route takes none; else it is answered. */
static bool judge_rest(struct admin_call *c)
{
    struct err_info info = {0};
    struct buf *body = exchange_body(c->r->x);
    enum err e = ERR_OK;
    if (!c->row->query)
        e = admin_read_no_query(call_query(c), &info);
    if (e == ERR_OK && c->row->body_max == 0)
        e = admin_read_nothing(&c->r->worker->scratch, body->p, body->len, &info);
    if (e != ERR_OK)
        call_refuse(c, err_status(e), str_z(info.text));
    return e == ERR_OK;
}

static void dispatch(struct admin_call *c)
{
    struct target target = {.path = STR("")};
    if (c->row != NULL) {
        if (judge_rest(c))
            c->row->handler(c);
    } else if (target_parse(&c->r->worker->scratch, exchange_message(c->r->x)->target, &target,
                            NULL) == ERR_OK) {
        refuse_path(c, target.path);
    } else {
        call_refuse(c, 404, STR("there is nothing at this path"));
    }
    arena_reset(&c->r->worker->scratch);
}

/* The password that came as a bearer was checked. */
static void on_bearer_checked(void *arg, bool right, uint64_t generation)
{
    struct admin_call *c = arg;
    c->try = NULL;
    if (right)
        admin_auth_adopt(admin_of(c)->auth, generation, call_credential(c));
    log_info("admin_password", LOG_STR("id", c->r->id),
             LOG_STR("result", right ? STR("right") : STR("wrong")));
    if (!right) {
        refuse_credential(c, "wrong_password");
        return;
    }
    if (c->whole)
        dispatch(c);
}

/* Whether the bearer may go on, maybe once it was checked; else it is answered. */
static bool judge_bearer(struct admin_call *c)
{
    str bearer = call_credential(c);
    if (bearer.len == 0) {
        refuse_credential(c, "no_bearer");
        return false;
    }
    if (admin_auth_has(admin_of(c)->auth, bearer))
        return true;
    if (!session_is_token(bearer) && !session_is_chat_token(bearer))
        return call_try_password(c, bearer, on_bearer_checked);
    refuse_credential(c, "no_session");
    return false;
}

static bool changes_something(enum http1_method method)
{
    return method != HTTP1_GET && method != HTTP1_HEAD;
}

static bool judge_cookie(struct admin_call *c)
{
    const struct http1_message *m = exchange_message(c->r->x);
    str cookie = call_credential(c);
    // A password is never taken from a cookie.
    if (!session_is_token(cookie) || !admin_auth_has(admin_of(c)->auth, cookie)) {
        refuse_credential(c, "no_session");
        return false;
    }
    if (!gate_is_same_origin(m)) {
        c->r->why = "cross_origin";
        call_refuse(c, 403, STR("this request was sent by a page from elsewhere"));
        return false;
    }
    if (!changes_something(m->method))
        return true;
    if (!admin_auth_csrf_ok(admin_of(c)->auth, cookie, http1_find(m, STR("x-csrf")))) {
        c->r->why = "csrf";
        call_refuse(c, 403,
                    STR("the header X-CSRF is missing or wrong; /admin/api/session tells it"));
        return false;
    }
    if ((m->chunked || m->length_bytes > 0) && !gate_is_json(m)) {
        call_refuse(c, 415, STR("the body has to be sent as Content-Type: application/json"));
        return false;
    }
    return true;
}

/* Whether the call may go on; else it is answered. */
static bool judge_session(struct admin_call *c)
{
    const struct http1_message *m = exchange_message(c->r->x);
    if (http1_find(m, STR("authorization")).p != NULL) {
        c->how = ADMIN_BY_BEARER;
        return judge_bearer(c);
    }
    if (gate_cookie(m, call_is_encrypted(c)).len > 0) {
        c->how = ADMIN_BY_COOKIE;
        return judge_cookie(c);
    }
    refuse_credential(c, "no_credential");
    return false;
}

/* With the built-in password nobody else gets as far as a login. */
static bool judge_place(struct admin_call *c)
{
    if (!config_admin_password_is_default(c->r->snapshot->config) ||
        gate_is_loopback_caller(c->r->x))
        return true;
    c->r->why = "default_password";
    call_refuse(c, 403,
                STR("the admin password is the built-in default, so /admin answers only on the "
                    "machine itself: set ADMIN_PASSWORD (or ADMIN_PASSWORD_FILE) in the "
                    "environment or in .env, then restart or send SIGHUP"));
    return false;
}

static bool judge_body(struct admin_call *c, size_t max)
{
    if (max > SMALL && budget_is_short()) {
        struct admin_extras extras = {.retry_after_s = 1};
        call_refuse_with(c, 503, STR("this server is busy; try again soon"), &extras);
        return false;
    }
    str encoding = http1_find(exchange_message(c->r->x), STR("content-encoding"));
    if (encoding.len == 0 || str_ieq(encoding, STR("identity")))
        return true;
    call_refuse(c, 415, STR("an encoded body (Content-Encoding) is not taken"));
    return false;
}

void admin_on_head(struct request *r, str path)
{
    struct admin_call *c = xcalloc(1, sizeof(*c));
    c->r = r;
    r->admin = c;
    if (!judge_place(c))
        return;
    find_row(c, path);
    if (r->method == HTTP1_OPTIONS) {
        struct cors_headers none = {.n = 0};
        request_reply_preflight(r, &none, allowed_methods(c, path));
        return;
    }
    bool reads = r->method == HTTP1_GET || r->method == HTTP1_HEAD;
    if (c->row == NULL && reads && ui_reply(r, path))
        return;
    bool open = c->row != NULL && c->row->access == ADMIN_ANYBODY;
    if (!open && !judge_session(c))
        return;
    if (c->row == NULL && c->try == NULL) {
        refuse_path(c, path);
        return;
    }
    size_t max = c->row != NULL && c->row->body_max > 0 ? c->row->body_max : SMALL;
    if (judge_body(c, max))
        exchange_allow_body(r->x, max);
}

void admin_on_request(struct request *r)
{
    struct admin_call *c = r->admin;
    c->whole = true;
    if (c->try == NULL && !exchange_begun(r->x))
        dispatch(c);
}

void admin_on_drain(struct request *r)
{
    if (r->admin->stream != NULL)
        admin_stream_resume(r->admin->stream);
}
