#include "net/client.h"

#include <assert.h>
#include <stdarg.h>

#include "base/lanes.h"
#include "base/xalloc.h"
#include "net/client_private.h"

#define ACCEPTED "application/json, application/x-ndjson"

/* ---- origins ---- */

static str pack(char **at, str s)
{
    char *p = *at;
    if (s.len > 0)
        memcpy(p, s.p, s.len);
    *at += s.len;
    return str_of(p, s.len);
}

/* Host and port as CONNECT has them: the port is never left out. */
static void append_target(struct buf *b, const struct url *url)
{
    buf_printf(b, url->ipv6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(url->host), url->port);
}

static void append_field(struct buf *b, str name, str value)
{
    buf_append(b, name);
    buf_append(b, STR(": "));
    buf_append(b, value);
    buf_append(b, STR("\r\n"));
}

/* The fields that all requests of an origin have in common. */
static void append_common_fields(struct buf *b, const struct client *c, const struct url *url,
                                 const struct proxy *proxy)
{
    append_field(b, STR("Host"), url->authority);
    append_field(b, STR("Accept"), STR(ACCEPTED));
    append_field(b, STR("Accept-Encoding"), STR("identity"));
    if (c->options.user_agent.len > 0)
        append_field(b, STR("User-Agent"), c->options.user_agent);
    if (proxy != NULL && proxy->usable && !url->tls && proxy->credentials.len > 0)
        append_field(b, STR("Proxy-Authorization"), proxy->credentials);
}

static struct origin *origin_new(const struct client *c, str key, const struct url *url,
                                 const struct proxy *proxy)
{
    struct buf target;
    struct buf proxy_target;
    struct buf fields;
    buf_init(&target, CLIENT_HEAD_BYTES);
    buf_init(&proxy_target, CLIENT_HEAD_BYTES);
    buf_init(&fields, CLIENT_HEAD_BYTES);
    append_common_fields(&fields, c, url, proxy);
    append_target(&target, url);
    str proxy_host = {NULL, 0};
    str credentials = {NULL, 0};
    if (proxy != NULL && proxy->usable) {
        append_target(&proxy_target, &proxy->url);
        proxy_host = proxy->url.host;
        credentials = proxy->credentials;
    }
    // One block: the strings stand behind the struct.
    struct origin *o =
        xcalloc(1, sizeof(*o) + key.len + url->authority.len + url->host.len + target.len +
                       fields.len + proxy_host.len + proxy_target.len + credentials.len);
    char *at = (char *)(o + 1);
    list_init(&o->idle);
    o->tls = url->tls;
    o->port = url->port;
    o->proxied = proxy != NULL;
    o->proxy_usable = proxy != NULL && proxy->usable;
    o->proxy_port = o->proxy_usable ? proxy->url.port : 0;
    o->key = pack(&at, key);
    o->authority = pack(&at, url->authority);
    o->host = pack(&at, url->host);
    o->fields = pack(&at, buf_str(&fields));
    o->fields_fit = buf_ok(&fields);
    o->target = pack(&at, buf_str(&target));
    o->proxy_host = pack(&at, proxy_host);
    o->proxy_target = pack(&at, buf_str(&proxy_target));
    o->proxy_credentials = pack(&at, credentials);
    buf_release(&target);
    buf_release(&proxy_target);
    buf_release(&fields);
    return o;
}

/* Which bucket an origin is in. */
static struct list *bucket_of(struct client *c, const struct url *url)
{
    uint64_t hash = str_hash(url->host) + url->port + (url->tls ? 1 : 0);
    return &c->origins[hash % CLIENT_BUCKETS];
}

/* Names all that calls must have in common, the proxy included. */
static void append_key(struct buf *key, const struct url *url, const struct proxy *proxy)
{
    buf_append(key, url->tls ? STR("https://") : STR("http://"));
    append_target(key, url);
    if (proxy != NULL)
        buf_printf(key, " by %.*s", STR_ARG(proxy->url.authority));
}

/*
 * The origin of calls to `url`, with one reference for the caller. Under the same settings the
 * same host and port have the same proxy, and with other settings come other origins.
 */
static struct origin *origin_acquire(struct client *c, const struct url *url)
{
    struct list *bucket = bucket_of(c, url);
    for (struct list *i = bucket->next; i != bucket; i = i->next) {
        struct origin *o = list_entry(i, struct origin, link);
        if (o->port == url->port && o->tls == url->tls && str_eq(o->authority, url->authority)) {
            o->refs++;
            return o;
        }
    }
    const struct proxy *proxy = proxy_for(&c->proxies, url);
    struct buf key;
    buf_init(&key, CLIENT_HEAD_BYTES);
    append_key(&key, url, proxy);
    struct origin *made = origin_new(c, buf_str(&key), url, proxy);
    buf_release(&key);
    list_prepend(bucket, &made->link);
    made->refs++;
    return made;
}

void origin_release(struct origin *o)
{
    if (--o->refs > 0)
        return;
    list_remove(&o->link);
    free(o);
}

/* Closes what is idle, and keeps what is in use from being used again. */
static void retire(struct origin *o)
{
    o->retired = true;
    list_remove(&o->link);
    o->refs++; // it must not go while its connections do
    for (struct conn *idle = conn_take_idle(o); idle != NULL; idle = conn_take_idle(o))
        conn_close(idle);
    origin_release(o);
}

static void retire_origins(struct client *c)
{
    for (size_t i = 0; i < CLIENT_BUCKETS; i++) {
        struct list *bucket = &c->origins[i];
        for (struct list *l = bucket->next, *next; l != bucket; l = next) {
            next = l->next;
            retire(list_entry(l, struct origin, link));
        }
    }
}

/* ---- the client ---- */

str client_reason(char out[CLIENT_REASON_BYTES], const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(out, CLIENT_REASON_BYTES, fmt, args);
    va_end(args);
    return str_z(out);
}

enum err client_options_check(const struct client_options *options, struct err_info *info)
{
    struct proxy_rules rules;
    enum err e = proxy_rules_init(&rules, options->http_proxy, options->https_proxy,
                                  options->no_proxy, info);
    proxy_rules_release(&rules);
    return e;
}

static void take_options(struct client *c, const struct client_options *options)
{
    c->options = *options;
    if (options->tls != NULL)
        c->options.tls = tls_context_acquire(options->tls);
    // What is wrong was for client_options_check() to say; such a proxy is not usable.
    enum err e = proxy_rules_init(&c->proxies, options->http_proxy, options->https_proxy,
                                  options->no_proxy, NULL);
    (void)e;
}

struct client *client_new(struct loop *loop, const struct client_options *options)
{
    struct client *c = xcalloc(1, sizeof(*c));
    c->loop = loop;
    struct resolver_options names = RESOLVER_DEFAULTS;
    names.lookup = options->lookup;
    c->resolver = resolver_new(loop, &names);
    list_init(&c->calls);
    buf_init(&c->scratch, CLIENT_HEAD_BYTES);
    for (size_t i = 0; i < CLIENT_BUCKETS; i++)
        list_init(&c->origins[i]);
    take_options(c, options);
    return c;
}

void client_configure(struct client *c, const struct client_options *options)
{
    retire_origins(c);
    struct tls_context *old = c->options.tls;
    proxy_rules_release(&c->proxies);
    take_options(c, options);
    tls_context_release(old);
}

void client_free(struct client *c)
{
    if (c == NULL)
        return;
    assert(list_empty(&c->calls));
    retire_origins(c);
    resolver_free(c->resolver);
    proxy_rules_release(&c->proxies);
    tls_context_release(c->options.tls);
    buf_release(&c->scratch);
    free(c);
}

/* ---- the request's head ---- */

/* Nothing of it may end the request line, or a part of it. */
static bool is_sound_target(str s)
{
    bool sound = true;
    if (s.len == 0)
        return true;
    lanes v = lanes_gather(s.p, s.len < LANES ? s.len : LANES);
    if (s.len <= LANES && !lanes_any((v <= ' ') | (v == 0x7F)))
        return true;
    for (size_t i = 0; i < s.len; i++)
        sound = sound && (unsigned char)s.p[i] > ' ' && s.p[i] != 0x7F;
    return sound;
}

static bool request_is_sound(const struct client_request *r)
{
    bool ok =
        is_sound_target(r->method) && is_sound_target(r->path) && str_is_one_line(r->content_type);
    for (size_t i = 0; i < r->n_fields; i++)
        ok = ok && str_is_one_line(r->fields[i].name) && str_is_one_line(r->fields[i].value);
    return ok;
}

static void append_request_line(struct buf *b, const struct client_request *r,
                                const struct origin *o)
{
    buf_append(b, r->method);
    buf_append_char(b, ' ');
    // A proxy for plain http takes the absolute form (RFC 9112 section 3.2.2).
    if (o->proxied && !o->tls) {
        buf_append(b, STR("http://"));
        buf_append(b, r->url->authority);
    }
    buf_append(b, r->url->path);
    buf_append(b, r->path);
    if (r->url->path.len == 0 && r->path.len == 0)
        buf_append_char(b, '/');
    buf_append(b, STR(" HTTP/1.1\r\n"));
}

static void append_body_fields(struct buf *b, const struct client_request *r)
{
    uint64_t length = 0;
    for (size_t i = 0; i < r->n_body; i++)
        length += r->body[i].len;
    if (r->content_type.len > 0)
        append_field(b, STR("Content-Type"), r->content_type);
    // Methods that usually have a body say so when they have none (RFC 9110 section 8.6).
    if (length == 0 && (str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD")) ||
                        str_eq(r->method, STR("DELETE"))))
        return;
    buf_append(b, STR("Content-Length: "));
    buf_append_u64(b, length);
    buf_append(b, STR("\r\n"));
}

/* False when the head is too large. */
static bool build_head(struct client_call *call, const struct client_request *r)
{
    struct buf *b = &call->client->scratch;
    const struct origin *o = call->origin;
    buf_reset(b);
    append_request_line(b, r, o);
    buf_append(b, o->fields);
    append_body_fields(b, r);
    for (size_t i = 0; i < r->n_fields; i++)
        append_field(b, r->fields[i].name, r->fields[i].value);
    buf_append(b, STR("\r\n"));
    if (!buf_ok(b) || !o->fields_fit)
        return false;
    char *head = pool_take(loop_pool(call->loop), b->len);
    memcpy(head, b->p, b->len);
    call->head = str_of(head, b->len);
    return true;
}

/* ---- calls ---- */

static void call_free(void *arg)
{
    struct client_call *call = arg;
    pool_give(loop_pool(call->loop), call, sizeof(*call));
}

/* Reached at on_done, at on_fail, and when the call is cancelled. */
static void call_close(struct client_call *call)
{
    list_remove(&call->link);
    call_drop_request(call);
    origin_release(call->origin);
    call->origin = NULL;
    call->dial = NULL;
    call->conn = NULL;
    loop_defer(call->client->loop, call_free, call);
}

void call_drop_request(struct client_call *call)
{
    pool_give(loop_pool(call->loop), (char *)call->head.p, call->head.len);
    call->head = (str){0};
}

void call_done(struct client_call *call)
{
    call_close(call);
    call->events->on_done(call->arg);
}

void call_fail(struct client_call *call, enum client_fail how, str text)
{
    call_close(call);
    call->events->on_fail(call->arg, how, text);
}

void call_connected(struct client_call *call, struct stream *stream)
{
    conn_run(conn_new(call->client, call->origin, stream), call);
}

void call_replay(struct client_call *call)
{
    call->sent = false;
    dial_start(call);
}

struct client_call *client_start(struct client *c, const struct client_request *request,
                                 const struct client_events *events, void *arg)
{
    struct client_call *call = pool_take_zeroed(loop_pool(c->loop), sizeof(*call));
    call->client = c;
    call->loop = c->loop;
    call->origin = origin_acquire(c, request->url);
    call->events = events;
    call->arg = arg;
    call->on_step = request->on_step;
    call->body = request->body;
    call->n_body = request->n_body;
    call->head_only = str_eq(request->method, STR("HEAD"));
    list_append(&c->calls, &call->link);
    bool fits = build_head(call, request);

    struct conn *idle = request->fresh ? NULL : conn_take_idle(call->origin);
    if (!request_is_sound(request))
        dial_start_failed(call, CLIENT_FAIL_PROTOCOL,
                          STR("the request has a header field with a control character"));
    else if (!fits)
        dial_start_failed(call, CLIENT_FAIL_PROTOCOL, STR("the request's head is too large"));
    else if (idle != NULL)
        conn_run(idle, call);
    else
        dial_start(call);
    return call;
}

void client_cancel(struct client_call *call)
{
    if (call == NULL)
        return;
    struct dial *dial = call->dial;
    struct conn *conn = call->conn;
    call_close(call);
    if (dial != NULL)
        dial_cancel(dial);
    if (conn != NULL)
        conn_close(conn);
}

void client_pause(struct client_call *call)
{
    if (call->conn != NULL && !call->paused)
        conn_pause(call->conn);
    call->paused = true;
}

void client_resume(struct client_call *call)
{
    if (call->conn != NULL && call->paused)
        conn_resume(call->conn);
    call->paused = false;
}
