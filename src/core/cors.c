#include "core/cors.h"

#include "core/address.h"

#define MAX_ORIGIN_BYTES          512
#define MAX_REQUEST_HEADERS_BYTES 2048

/* What browsers' clients ask for, when they do not say it in a form that can be echoed. */
#define ALLOWED_HEADERS                                                                            \
    "authorization, content-type, accept, user-agent, x-requested-with, openai-organization, "     \
    "openai-project, openai-beta, x-api-key, api-key, x-stainless-arch, x-stainless-lang, "        \
    "x-stainless-os, x-stainless-package-version, x-stainless-retry-count, x-stainless-runtime, "  \
    "x-stainless-runtime-version, x-stainless-timeout, x-stainless-read-timeout, "                 \
    "x-stainless-async, x-stainless-helper-method, x-stainless-poll-helper, "                      \
    "x-stainless-custom-poll-interval, x-stainless-raw-response, anthropic-version, "              \
    "anthropic-beta, anthropic-dangerous-direct-browser-access, http-referer, x-title, "           \
    "x-request-id, idempotency-key"

#define EXPOSED_HEADERS                                                                            \
    "x-request-id, retry-after, retry-after-ms, x-should-retry, openai-processing-ms, "            \
    "x-ratelimit-limit-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, "       \
    "x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, x-ratelimit-reset-tokens"

/* An origin in its parts; `scheme` is empty for "null". */
struct origin {
    str scheme;
    str host; // with its port; may be empty ("file://")
};

static bool is_host_char(char c)
{
    return c > ' ' && c <= '~' && strchr("/\\,;\"<>", c) == NULL;
}

static bool is_scheme_char(char c, bool first)
{
    char low = ascii_lower(c);
    if (low >= 'a' && low <= 'z')
        return true;
    return !first && (ascii_is_digit(c) || c == '+' || c == '-' || c == '.');
}

/* Splits a serialised origin (RFC 6454 section 6.2); with `wild`, '*' may stand in it. */
static bool split_origin(str text, bool wild, struct origin *ret)
{
    *ret = (struct origin){0};
    if (text.len == 0 || text.len > MAX_ORIGIN_BYTES)
        return false;
    if (str_eq(text, STR("null")))
        return true;
    size_t at = str_find(text, STR("://"));
    if (at == 0 || at == text.len)
        return false;
    ret->scheme = str_head(text, at);
    ret->host = str_skip(text, at + 3);
    for (size_t i = 0; i < ret->scheme.len; i++) {
        char c = ret->scheme.p[i];
        if (!is_scheme_char(c, i == 0) && !(wild && c == '*'))
            return false;
    }
    for (size_t i = 0; i < ret->host.len; i++) {
        char c = ret->host.p[i];
        if (!is_host_char(c) || (c == '*' && !wild))
            return false;
    }
    return true;
}

/* ---- policy ---- */

static enum err take_pattern(str item, str *ret, struct err_info *info)
{
    if (str_ieq(item, STR("auto")))
        return err_set(info, ERR_SYNTAX, "'auto' stands alone");
    if (item.len > 1 && str_ends(item, STR("/")) && !str_ends(item, STR("://")))
        item.len--; // as a browser's address bar shows it
    struct origin parts;
    if (!str_eq(item, STR("*")) && !split_origin(item, true, &parts))
        return err_set(info, ERR_SYNTAX, "'%.*s' is no origin such as https://app.example",
                       STR_ARG(str_head(item, 80)));
    *ret = item;
    return ERR_OK;
}

enum err cors_policy_parse(struct arena *a, str text, struct cors_policy *ret,
                           struct err_info *info)
{
    text = str_trim(text);
    if (str_ieq(text, STR("auto"))) {
        *ret = (struct cors_policy){.automatic = true};
        return ERR_OK;
    }
    text = arena_copy(a, text);
    size_t max = 1;
    for (size_t i = 0; i < text.len; i++)
        max += text.p[i] == ',';
    str *patterns = arena_new(a, str, max);
    if (patterns == NULL)
        return err_set(info, ERR_TOO_LARGE, "the list is too long");
    size_t n = 0;
    while (text.len > 0) {
        str item;
        str_cut(text, ',', &item, &text);
        item = str_trim(item);
        if (item.len == 0)
            continue;
        enum err e = take_pattern(item, &patterns[n], info);
        if (e != ERR_OK)
            return e;
        n++;
    }
    if (n == 0)
        return err_set(info, ERR_SYNTAX, "the list holds no origin");
    *ret = (struct cors_policy){.patterns = patterns, .n = n};
    return ERR_OK;
}

/*
 * Matches without regard to letter case; '*' is any run of bytes. It cannot run over "://": a
 * pattern has that once, and so has a sound origin.
 */
static bool matches(str pattern, str text)
{
    size_t p = 0;
    size_t t = 0;
    size_t star = pattern.len; // the last '*' that was met; none yet
    size_t retry = 0;          // where in `text` it stops
    while (t < text.len) {
        if (p < pattern.len && pattern.p[p] == '*') {
            star = p++;
            retry = t;
        } else if (p < pattern.len && ascii_lower(pattern.p[p]) == ascii_lower(text.p[t])) {
            p++;
            t++;
        } else if (star < pattern.len) {
            p = star + 1;
            t = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.p[p] == '*')
        p++;
    return p == pattern.len;
}

/* ---- decision ---- */

static bool is_web(const struct origin *o)
{
    // "null" is what a page in a sandboxed frame, on any site, sends.
    return o->scheme.len == 0 || str_ieq(o->scheme, STR("http")) ||
           str_ieq(o->scheme, STR("https"));
}

static bool host_is_loopback(str host)
{
    str name = host;
    if (str_starts(host, STR("["))) {
        str port;
        if (!str_cut(str_skip(host, 1), ']', &name, &port) || (port.len > 0 && port.p[0] != ':'))
            return false;
    } else {
        name = str_head(host, str_find_char(host, ':'));
    }
    struct sockaddr_storage addr;
    if (str_ieq(name, STR("localhost")))
        return true;
    return address_parse(name, &addr) && address_is_loopback((const struct sockaddr *)&addr);
}

bool cors_origin_is_loopback(str text)
{
    struct origin o;
    return split_origin(text, false, &o) && o.scheme.len > 0 && is_web(&o) &&
           host_is_loopback(o.host);
}

/* `host` without the port that its scheme implies; browsers leave it out of an Origin. */
static str without_default_port(str host, bool tls)
{
    str port = tls ? STR(":443") : STR(":80");
    return str_ends(host, port) ? str_head(host, host.len - port.len) : host;
}

static bool is_same_origin(const struct origin *o, const struct cors_query *q)
{
    return q->host.len > 0 && str_ieq(o->scheme, q->tls ? STR("https") : STR("http")) &&
           str_ieq(without_default_port(o->host, q->tls), without_default_port(q->host, q->tls));
}

static bool policy_allows(const struct cors_policy *policy, const struct cors_query *q,
                          const struct origin *o)
{
    if (policy->automatic)
        return q->tokens_set || !is_web(o) || (o->scheme.len > 0 && host_is_loopback(o->host));
    for (size_t i = 0; i < policy->n; i++) {
        if (str_eq(policy->patterns[i], STR("*")) || matches(policy->patterns[i], q->origin))
            return true;
    }
    return false;
}

enum cors_verdict cors_decide(const struct cors_policy *policy, const struct cors_query *query)
{
    if (query->origin.len == 0)
        return CORS_NONE;
    struct origin o;
    if (!split_origin(query->origin, false, &o))
        return CORS_REFUSE;
    if (query->bearer_valid && is_same_origin(&o, query))
        return CORS_ALLOW;
    return policy_allows(policy, query, &o) ? CORS_ALLOW : CORS_REFUSE;
}

/* ---- headers ---- */

static void add(struct cors_headers *h, str name, str value)
{
    h->items[h->n++] = (struct cors_field){name, value};
}

void cors_answer(enum cors_verdict verdict, str origin, struct cors_headers *ret)
{
    ret->n = 0;
    if (verdict != CORS_ALLOW)
        return;
    add(ret, STR("Access-Control-Allow-Origin"), origin);
    add(ret, STR("Access-Control-Expose-Headers"), STR(EXPOSED_HEADERS));
    add(ret, STR("Vary"), STR("Origin"));
}

/* Whether `s` is a list of field names (RFC 9110 section 5.6.2) of a length worth an echo. */
static bool is_header_list(str s)
{
    if (s.len == 0 || s.len > MAX_REQUEST_HEADERS_BYTES)
        return false;
    bool any = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        char low = ascii_lower(c);
        bool token = (low >= 'a' && low <= 'z') || ascii_is_digit(c) ||
                     (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        if (!token && c != ',' && c != ' ' && c != '\t')
            return false;
        any |= token;
    }
    return any;
}

void cors_preflight_answer(enum cors_verdict verdict, const struct cors_preflight *preflight,
                           struct cors_headers *ret)
{
    ret->n = 0;
    if (verdict == CORS_REFUSE)
        return;
    if (verdict == CORS_ALLOW)
        add(ret, STR("Access-Control-Allow-Origin"), preflight->origin);
    add(ret, STR("Access-Control-Allow-Methods"), STR("GET, POST, OPTIONS, HEAD, DELETE"));
    add(ret, STR("Access-Control-Allow-Headers"),
        is_header_list(preflight->request_headers) ? preflight->request_headers
                                                   : STR(ALLOWED_HEADERS));
    if (verdict == CORS_ALLOW && preflight->private_network)
        add(ret, STR("Access-Control-Allow-Private-Network"), STR("true"));
    add(ret, STR("Access-Control-Max-Age"), STR("7200")); // Chrome's own maximum
    add(ret, STR("Vary"), STR("Origin, Access-Control-Request-Headers"));
}
