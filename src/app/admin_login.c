#include "app/admin_gate.h"
#include "app/admin_private.h"
#include "base/crypto.h"
#include "base/log.h"
#include "codec/json.h"

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
    buf_printf(&body, "{\"success\":true,\"token\":\"%.*s\"}\n", STR_ARG(token));
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

/* Reads {"password":"…"}; the text lives in the body. */
static enum err decode(struct arena *a, struct buf *body, str *ret, struct err_info *info)
{
    const struct json *root;
    enum err e = json_parse_in_place(a, body->p, body->len, JSON_STRICT, &root, info);
    if (e != ERR_OK)
        return e;
    const struct json *password = json_get(root, STR("password"));
    if (json_kind(root) != JSON_OBJECT || json_kind(password) != JSON_STRING ||
        json_size(root) != 1)
        return err_set(info, ERR_SYNTAX, "the body has to be {\"password\": \"...\"}");
    *ret = json_str(password);
    return ERR_OK;
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
    if (decode(&c->r->worker->scratch, body, ret, &info) == ERR_OK)
        return true;
    call_refuse(c, 400, str_z(info.text));
    return false;
}

void admin_login(struct admin_call *c)
{
    str password;
    uint64_t wait_ms;
    struct sockaddr_storage addr;
    if (!gate_is_same_origin(exchange_message(c->r->x))) {
        call_refuse(c, 403, STR("this request was sent by a page from elsewhere"));
        return;
    }
    if (!read_password(c, &password))
        return;
    call_address(c, &addr);
    struct admin_try_setup setup = {.password = password,
                                    .addr = (const struct sockaddr *)&addr,
                                    .loop = c->r->worker->loop,
                                    .fn = on_checked,
                                    .arg = c};
    c->try = admin_auth_try(admin_of(c)->auth, &setup, &wait_ms);
    exchange_drop_body(c->r->x);
    if (c->try != NULL)
        return;
    log_login(c, STR("throttled"));
    call_refuse_try(c, wait_ms);
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
    buf_printf(&body, "{\"csrf\":\"%.*s\",\"chatToken\":\"%.*s\"}\n", STR_ARG(csrf_text),
               STR_ARG(chat_text));
    call_reply(c, 200, buf_str(&body), NULL);
    crypto_wipe(body.p, body.len);
    buf_release(&body);
    crypto_wipe(csrf, sizeof(csrf));
    crypto_wipe(chat, sizeof(chat));
}
