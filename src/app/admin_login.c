#include "app/admin_call.h"
#include "app/admin_gate.h"
#include "base/crypto.h"
#include "base/log.h"
#include "codec/admin_answer.h"
#include "codec/admin_request.h"

enum { COOKIE_BYTES = 160 };

/* The cookie that makes a browser's session; an empty token takes it away again. */
static str cookie_of(const struct admin_call *c, str token, char out[COOKIE_BYTES])
{
    bool encrypted = call_is_encrypted(c);
    int n = snprintf(out, COOKIE_BYTES, "%s=%.*s; %sHttpOnly; SameSite=Strict; Path=%s%s",
                     encrypted ? "__Host-sid" : "sid", STR_ARG(token), encrypted ? "Secure; " : "",
                     encrypted ? "/" : "/admin", token.len == 0 ? "; Max-Age=0" : "");
    return str_of(out, (size_t)n);
}

/* ---- login ---- */

static void log_login(struct admin_call *c, str result)
{
    struct sockaddr_storage addr;
    char text[ADDRESS_TEXT_BYTES];
    call_address(c, &addr);
    address_text((const struct sockaddr *)&addr, text);
    log_info("admin_login", LOG_STR("id", c->r->id), LOG_STR("from", str_z(text)),
             LOG_STR("result", result));
    if (call_is_encrypted(c) || gate_is_loopback_caller(c->r->x) ||
        atomic_exchange(&admin_of(c)->told_unencrypted, true))
        return;
    log_warn("admin_not_encrypted",
             LOG_STR("hint", STR("somebody logs in over plain HTTP: set TLS_CERT and TLS_KEY, or "
                                 "put a proxy with TLS in front and set TRUST_PROXY")));
}

/* A browser that logs in again leaves its old session. */
static void end_old_session(struct admin_call *c)
{
    str cookie = gate_cookie(exchange_message(c->r->x), call_is_encrypted(c));
    if (session_is_token(cookie))
        admin_auth_end(admin_of(c)->auth, cookie);
}

static void reply_token(struct admin_call *c, str token)
{
    char cookie[COOKIE_BYTES];
    struct buf body;
    struct admin_extras extras = {.set_cookie = cookie_of(c, token, cookie)};
    buf_init(&body, 1024);
    admin_put_login(&body, token);
    call_reply(c, 200, buf_str(&body), &extras);
    crypto_wipe(body.p, body.len);
    buf_release(&body);
    crypto_wipe(cookie, sizeof(cookie));
}

static void on_checked(void *arg, bool right, uint64_t generation)
{
    struct admin_call *c = arg;
    char token[SESSION_TOKEN_BYTES];
    c->try = NULL;
    arena_reset(&c->r->worker->scratch);
    right = right && admin_auth_begin(admin_of(c)->auth, generation, token);
    log_login(c, right ? STR("right") : STR("wrong"));
    if (!right) {
        c->r->why = "wrong_password";
        call_refuse(c, 401, STR("the password is wrong"));
        return;
    }
    end_old_session(c);
    reply_token(c, str_z(token));
    crypto_wipe(token, sizeof(token));
}

/* The password in the body; false when it is answered. */
static bool read_password(struct admin_call *c, str *ret)
{
    struct buf *body = exchange_body(c->r->x);
    struct err_info info = {0};
    if (!gate_is_json(exchange_message(c->r->x))) {
        call_refuse(c, 415, STR("the body has to be sent as Content-Type: application/json"));
        return false;
    }
    enum err e = admin_read_login(&c->r->worker->scratch, body->p, body->len, ret, &info);
    if (e != ERR_OK)
        call_refuse(c, err_status(e), str_z(info.text));
    return e == ERR_OK;
}

void admin_login(struct admin_call *c)
{
    str password;
    if (!gate_is_same_origin(exchange_message(c->r->x))) {
        call_refuse(c, 403, STR("this request was sent by a page from elsewhere"));
        return;
    }
    if (!read_password(c, &password))
        return;
    if (!call_try_password(c, password, on_checked))
        log_login(c, STR("throttled"));
}

/* ---- logout, session ---- */

void admin_logout(struct admin_call *c)
{
    char cookie[COOKIE_BYTES];
    struct admin_extras extras = {.set_cookie = cookie_of(c, STR(""), cookie)};
    admin_auth_end(admin_of(c)->auth, call_credential(c));
    log_info("admin_logout", LOG_STR("id", c->r->id));
    call_reply(c, 200, STR("{\"success\":true}\n"), &extras);
}

void admin_session(struct admin_call *c)
{
    char csrf[SESSION_TEXT_BYTES];
    char chat[SESSION_TEXT_BYTES];
    struct admin_auth *auth = admin_of(c)->auth;
    str credential = call_credential(c);
    str csrf_text = admin_auth_csrf(auth, credential, csrf);
    str chat_text = admin_auth_chat_token(auth, credential, chat);
    struct buf body;
    buf_init(&body, 1024);
    admin_put_session(&body, csrf_text, chat_text);
    call_reply(c, 200, buf_str(&body), NULL);
    crypto_wipe(body.p, body.len);
    buf_release(&body);
    crypto_wipe(csrf, sizeof(csrf));
    crypto_wipe(chat, sizeof(chat));
}
