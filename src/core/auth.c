#include "core/auth.h"

#include "core/address.h"

str auth_bearer(str authorization)
{
    static const str scheme = STR_C("Bearer");
    str s = str_trim(authorization);
    if (!str_istarts(s, scheme) || s.len == scheme.len || s.p[scheme.len] != ' ')
        return (str){NULL, 0};
    return str_trim(str_skip(s, scheme.len));
}

/* Compares with every token, so that the time does not tell which one it equals. */
bool auth_is_token(const struct config_tokens *tokens, str presented)
{
    unsigned char tag[CRYPTO_TAG_BYTES];
    crypto_tag(presented, tag);
    unsigned found = 0;
    for (size_t i = 0; i < tokens->n; i++)
        found |= crypto_tag_equal(tag, tokens->items[i].bytes);
    return found != 0;
}

enum auth_verdict auth_check(const struct config *cfg, const struct auth_headers *headers)
{
    if (cfg->api_tokens.n == 0)
        return AUTH_OK;
    const str presented[] = {
        auth_bearer(headers->authorization),
        str_trim(headers->x_api_key),
        str_trim(headers->api_key),
    };
    enum auth_verdict verdict = headers->authorization.len > 0 ? AUTH_WRONG : AUTH_MISSING;
    for (size_t i = 0; i < COUNT_OF(presented); i++) {
        if (presented[i].len == 0)
            continue;
        if (auth_is_token(&cfg->api_tokens, presented[i]))
            return AUTH_OK;
        verdict = AUTH_WRONG;
    }
    return verdict;
}

bool auth_bearer_valid(const struct config *cfg, enum auth_verdict verdict)
{
    return cfg->api_tokens.n > 0 && verdict == AUTH_OK;
}

/* Nothing, or ':' and digits. */
static bool is_port(str s)
{
    uint64_t port;
    return s.len == 0 || (s.p[0] == ':' && str_to_u64(str_skip(s, 1), &port) && port <= UINT16_MAX);
}

/* A name that leads here from elsewhere (DNS rebinding) is none of these three. */
static bool is_loopback_host(str host)
{
    static const str names[] = {STR_C("localhost"), STR_C("127.0.0.1"), STR_C("[::1]")};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_istarts(host, names[i]) && is_port(str_skip(host, names[i].len)))
            return true;
    }
    return false;
}

bool auth_is_loopback_caller(const struct auth_loopback *request)
{
    return request->peer != NULL && address_is_loopback(request->peer) && !request->forwarded &&
           request->http11 && is_loopback_host(request->host) &&
           (request->origin.len == 0 || cors_origin_is_loopback(request->origin));
}

bool auth_is_forwarding_field(str name)
{
    return str_ieq(name, STR("forwarded")) || str_istarts(name, STR("x-forwarded-")) ||
           str_ieq(name, STR("x-real-ip")) || str_ieq(name, STR("via"));
}
