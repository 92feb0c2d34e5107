#include "net/client_private.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/xalloc.h"

enum dial_state {
    DIAL_RESOLVE,
    DIAL_RACE,   // attempts on the addresses, one more every CLIENT_ATTEMPT_MS
    DIAL_TUNNEL, // CONNECT was sent to the proxy
    DIAL_TLS,
    DIAL_FAILED, // and the call is yet to hear of it
    DIAL_OVER,
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct attempt {
    struct dial *dial;
    struct stream *stream; // NULL: it failed
};

struct dial {
    struct client *client;
    struct client_call *call;
    struct origin *origin; // the call's
    enum dial_state state;
    struct resolve_wait wait;
    struct loop_timer limit; // CONNECT_TIMEOUT
    struct loop_timer next;  // the next attempt, or the news of the failure
    union address addrs[RESOLVE_ADDRS];
    struct attempt attempts[RESOLVE_ADDRS];
    size_t n;       // addresses
    size_t n_begun; // attempts
    size_t n_live;
    struct stream *stream; // the attempt that won
    struct http1 tunnel;   // reads the proxy's answer
    int tunnel_status;
    unsigned n_interim;
    enum client_fail how;
    char why[CLIENT_REASON_BYTES];
};

static void dial_free(void *arg)
{
    struct dial *d = arg;
    http1_release(&d->tunnel);
    free(d);
}

static void close_attempts(struct dial *d)
{
    for (size_t i = 0; i < d->n_begun; i++) {
        stream_close(d->attempts[i].stream);
        d->attempts[i].stream = NULL;
    }
    d->n_live = 0;
}

static void stop_everything(struct dial *d)
{
    resolve_wait_cancel(&d->wait);
    loop_timer_cancel(d->client->loop, &d->limit);
    loop_timer_cancel(d->client->loop, &d->next);
    close_attempts(d);
    stream_close(d->stream);
    d->stream = NULL;
}

/* Reached when the connection stands, when the call has heard of the failure, and when it was
 * cancelled. */
static void dial_close(struct dial *d)
{
    stop_everything(d);
    d->state = DIAL_OVER;
    loop_defer(d->client->loop, dial_free, d);
}

void dial_cancel(struct dial *d)
{
    dial_close(d);
}

/* The call hears of it in another turn, so that client_start() returns before any event. */
static void fail(struct dial *d, enum client_fail how)
{
    stop_everything(d);
    d->state = DIAL_FAILED;
    d->how = how;
    loop_timer_set(d->client->loop, &d->next, 0);
}

static void succeed(struct dial *d)
{
    struct client_call *call = d->call;
    struct stream *stream = d->stream;
    d->stream = NULL;
    call->dial = NULL;
    dial_close(d);
    call_connected(call, stream);
}

/* What is connected to, for people. */
static str peer_name(const struct dial *d)
{
    return d->origin->proxied ? d->origin->proxy_target : d->origin->target;
}

/* ---- TLS ---- */

static void on_tls_open(void *arg)
{
    struct dial *d = arg;
    call_step(d->call, CLIENT_SECURED);
    succeed(d);
}

static void on_tls_end(void *arg, enum stream_end why)
{
    struct dial *d = arg;
    str reason = why == STREAM_EOF ? STR("the connection was closed") : stream_error(d->stream);
    client_reason(d->why, "TLS with '%.*s' failed: %.*s", STR_ARG(d->origin->target),
                  STR_ARG(reason));
    fail(d, CLIENT_FAIL_TLS);
}

static const struct stream_events TLS_EVENTS = {
    .on_open = on_tls_open,
    .on_end = on_tls_end,
};

static void begin_tls(struct dial *d)
{
    d->state = DIAL_TLS;
    if (d->client->options.tls == NULL) {
        client_reason(d->why, "TLS with '%.*s' is not set up", STR_ARG(d->origin->target));
        fail(d, CLIENT_FAIL_TLS);
        return;
    }
    stream_set_events(d->stream, &TLS_EVENTS, d);
    stream_start_tls(d->stream, d->client->options.tls, d->origin->host, d->origin->key);
}

/* ---- the tunnel through a proxy ---- */

#define STOP 502

static int on_tunnel_head(void *arg, const struct http1_message *m)
{
    struct dial *d = arg;
    if (m->status < 200 && ++d->n_interim <= CLIENT_SKIPPED_MAX)
        return 0;
    d->tunnel_status = m->status;
    return STOP; // what follows is not the proxy's
}

static int on_tunnel_body(void *arg, str data)
{
    (void)arg;
    (void)data;
    return STOP;
}

static void on_tunnel_complete(void *arg)
{
    (void)arg;
}

static const struct http1_events TUNNEL_MESSAGE_EVENTS = {
    .on_head = on_tunnel_head,
    .on_body = on_tunnel_body,
    .on_complete = on_tunnel_complete,
};

/* The peer behind the tunnel speaks second, so nothing can follow the answer that we may not drop.
 */
static void on_tunnel_read(void *arg, str data)
{
    struct dial *d = arg;
    while (data.len > 0) {
        data = str_skip(data, http1_feed(&d->tunnel, data));
        int status = d->tunnel_status;
        if (status >= 200 && status < 300) {
            begin_tls(d);
            return;
        }
        if (status != 0 || d->tunnel.fault != 0) {
            char what[64];
            snprintf(what, sizeof(what), "status %d", status);
            client_reason(d->why, "the proxy '%.*s' refused the tunnel to '%.*s': %s",
                          STR_ARG(d->origin->proxy_target), STR_ARG(d->origin->target),
                          status != 0 ? what : d->tunnel.why);
            fail(d, CLIENT_FAIL_PROXY);
            return;
        }
        if (d->tunnel.complete)
            http1_next(&d->tunnel);
    }
}

static void on_tunnel_end(void *arg, enum stream_end why)
{
    struct dial *d = arg;
    str reason = why == STREAM_EOF ? STR("it closed the connection") : stream_error(d->stream);
    client_reason(d->why, "the proxy '%.*s' made no tunnel to '%.*s': %.*s",
                  STR_ARG(d->origin->proxy_target), STR_ARG(d->origin->target), STR_ARG(reason));
    fail(d, CLIENT_FAIL_PROXY);
}

static const struct stream_events TUNNEL_EVENTS = {
    .on_read = on_tunnel_read,
    .on_end = on_tunnel_end,
};

static void begin_tunnel(struct dial *d)
{
    const struct origin *o = d->origin;
    d->state = DIAL_TUNNEL;
    http1_init(&d->tunnel, HTTP1_RESPONSE, &TUNNEL_MESSAGE_EVENTS, d);
    stream_set_events(d->stream, &TUNNEL_EVENTS, d);
    struct buf b;
    buf_init(&b, CLIENT_HEAD_BYTES);
    buf_printf(&b, "CONNECT %.*s HTTP/1.1\r\nHost: %.*s\r\n", STR_ARG(o->target),
               STR_ARG(o->target));
    if (d->client->options.user_agent.len > 0)
        buf_printf(&b, "User-Agent: %.*s\r\n", STR_ARG(d->client->options.user_agent));
    if (o->proxy_credentials.len > 0)
        buf_printf(&b, "Proxy-Authorization: %.*s\r\n", STR_ARG(o->proxy_credentials));
    buf_append(&b, STR("\r\n"));
    str head = buf_str(&b);
    stream_write(d->stream, &head, 1);
    buf_release(&b);
}

/* ---- the race of the addresses (RFC 8305) ---- */

static void begin_attempts(struct dial *d);

static void on_attempt_open(void *arg)
{
    struct attempt *a = arg;
    struct dial *d = a->dial;
    d->stream = a->stream;
    a->stream = NULL;
    close_attempts(d);
    loop_timer_cancel(d->client->loop, &d->next);
    call_step(d->call, CLIENT_CONNECTED);
    if (d->origin->tls && d->origin->proxied)
        begin_tunnel(d);
    else if (d->origin->tls)
        begin_tls(d);
    else
        succeed(d);
}

static void note_failure(struct dial *d, const struct sockaddr *addr, str reason)
{
    char text[ADDRESS_TEXT_BYTES];
    address_text(addr, text);
    client_reason(d->why, "cannot connect to %s'%.*s' (%s): %.*s",
                  d->origin->proxied ? "the proxy " : "", STR_ARG(peer_name(d)), text,
                  STR_ARG(reason));
}

static void on_attempt_end(void *arg, enum stream_end why)
{
    (void)why;
    struct attempt *a = arg;
    struct dial *d = a->dial;
    note_failure(d, &d->addrs[a - d->attempts].any, stream_error(a->stream));
    stream_close(a->stream);
    a->stream = NULL;
    d->n_live--;
    begin_attempts(d);
}

static const struct stream_events ATTEMPT_EVENTS = {
    .on_open = on_attempt_open,
    .on_end = on_attempt_end,
};

/* Begins the next attempt that can be begun; the race is lost when none is left. */
static void begin_attempts(struct dial *d)
{
    while (d->n_begun < d->n) {
        size_t i = d->n_begun++;
        struct attempt *a = &d->attempts[i];
        a->dial = d;
        if (stream_connect(d->client->loop, &d->addrs[i].any, &ATTEMPT_EVENTS, a, &a->stream) ==
            ERR_OK) {
            d->n_live++;
            if (d->n_begun < d->n)
                loop_timer_set(d->client->loop, &d->next, CLIENT_ATTEMPT_MS);
            return;
        }
        a->stream = NULL;
        note_failure(d, &d->addrs[i].any, STR("no socket can be had"));
    }
    if (d->n_live == 0)
        fail(d, CLIENT_FAIL_CONNECT);
}

static void on_next(void *arg)
{
    struct dial *d = arg;
    if (d->state != DIAL_FAILED) {
        begin_attempts(d);
        return;
    }
    struct client_call *call = d->call;
    dial_close(d);
    call->dial = NULL;
    call_fail(call, d->how, str_z(d->why));
}

static void on_limit(void *arg)
{
    struct dial *d = arg;
    const char *what = d->state == DIAL_TLS      ? "the TLS handshake did not end"
                       : d->state == DIAL_TUNNEL ? "the proxy made no tunnel"
                                                 : "no connection came about";
    client_reason(d->why, "cannot connect to '%.*s': %s within %llu ms", STR_ARG(d->origin->target),
                  what, (unsigned long long)d->client->options.connect_timeout_ms);
    fail(d, CLIENT_FAIL_CONNECT);
}

/* ---- addresses ---- */

static union address with_port(const struct sockaddr_storage *ss, uint16_t port)
{
    union address a = {0};
    if (ss->ss_family == AF_INET6) {
        memcpy(&a.v6, ss, sizeof(a.v6));
        a.v6.sin6_port = htons(port);
    } else {
        memcpy(&a.v4, ss, sizeof(a.v4));
        a.v4.sin_port = htons(port);
    }
    return a;
}

/* Takes the first address of `family` (of another, if `other`) that is left; false: none. */
static bool take_first(union address *from, size_t n, bool *taken, sa_family_t family, bool other,
                       union address *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (taken[i] || (from[i].any.sa_family == family) == other)
            continue;
        taken[i] = true;
        *ret = from[i];
        return true;
    }
    return false;
}

/* The families take turns, that of the first address first (RFC 8305 section 4). */
static void interleave(struct dial *d)
{
    union address sorted[RESOLVE_ADDRS];
    bool taken[RESOLVE_ADDRS] = {false};
    bool other = false;
    for (size_t i = 0; i < d->n; i++) {
        sa_family_t first = d->addrs[0].any.sa_family;
        if (!take_first(d->addrs, d->n, taken, first, other, &sorted[i]) &&
            !take_first(d->addrs, d->n, taken, first, !other, &sorted[i]))
            break; // cannot be: one of both has some left
        other = !other;
    }
    memcpy(d->addrs, sorted, d->n * sizeof(sorted[0]));
}

/* Keeps those that may be connected to. A proxy may be anywhere: the operator named it. */
static void keep_allowed(struct dial *d, const struct resolve_answer *answer)
{
    const struct origin *o = d->origin;
    for (size_t i = 0; i < answer->n && d->n < RESOLVE_ADDRS; i++) {
        union address a = with_port(&answer->addrs[i], o->proxied ? o->proxy_port : o->port);
        const char *refusal =
            o->proxied ? NULL : address_refusal(d->client->options.addresses, &a.any);
        if (refusal == NULL) {
            d->addrs[d->n++] = a;
            continue;
        }
        char text[ADDRESS_TEXT_BYTES];
        address_text(&a.any, text);
        client_reason(d->why, "'%.*s' is at %s: %s, where no upstream may be", STR_ARG(o->target),
                      text, refusal);
    }
}

static void on_addresses(void *arg, const struct resolve_answer *answer)
{
    struct dial *d = arg;
    if (answer->n == 0) {
        client_reason(d->why, "cannot resolve '%.*s': %.*s",
                      STR_ARG(d->origin->proxied ? d->origin->proxy_host : d->origin->host),
                      STR_ARG(answer->why));
        fail(d, CLIENT_FAIL_RESOLVE);
        return;
    }
    keep_allowed(d, answer);
    if (d->n == 0) {
        fail(d, CLIENT_FAIL_ADDRESS);
        return;
    }
    interleave(d);
    d->state = DIAL_RACE;
    loop_timer_set(d->client->loop, &d->limit, d->client->options.connect_timeout_ms);
    begin_attempts(d);
}

/* Through a proxy only an address that is written as one can be judged. */
static bool may_be_asked_for(struct dial *d)
{
    const struct origin *o = d->origin;
    str host = o->host;
    if (str_ends(host, STR(".")))
        host.len--;
    struct sockaddr_storage ss;
    if (!o->proxied || !proxy_host_is_address(host, &ss))
        return true;
    struct resolve_answer answer = {.addrs = &ss, .n = 1};
    union address a = with_port(&answer.addrs[0], o->port);
    const char *refusal = address_refusal(d->client->options.addresses, &a.any);
    if (refusal != NULL)
        client_reason(d->why, "'%.*s' is %s, where no upstream may be", STR_ARG(o->target),
                      refusal);
    return refusal == NULL;
}

/* ---- start ---- */

static struct dial *dial_new(struct client_call *call)
{
    struct dial *d = xcalloc(1, sizeof(*d));
    d->client = call->client;
    d->call = call;
    d->origin = call->origin;
    resolve_wait_init(&d->wait, on_addresses, d);
    loop_timer_init(&d->limit, on_limit, d);
    loop_timer_init(&d->next, on_next, d);
    call->dial = d;
    return d;
}

void dial_start(struct client_call *call)
{
    struct dial *d = dial_new(call);
    const struct origin *o = d->origin;
    if (o->proxied && !o->proxy_usable) {
        client_reason(d->why, "the proxy for '%.*s' cannot be used: its setting is wrong",
                      STR_ARG(o->target));
        fail(d, CLIENT_FAIL_PROXY);
        return;
    }
    if (!may_be_asked_for(d)) {
        fail(d, CLIENT_FAIL_ADDRESS);
        return;
    }
    struct resolve_answer answer;
    str host = o->proxied ? o->proxy_host : o->host;
    if (resolver_ask(d->client->resolver, host, &d->wait, &answer))
        on_addresses(d, &answer);
}

void dial_start_failed(struct client_call *call, enum client_fail how, str text)
{
    struct dial *d = dial_new(call);
    client_reason(d->why, "%.*s", STR_ARG(text));
    fail(d, how);
}
