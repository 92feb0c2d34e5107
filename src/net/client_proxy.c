#include "net/client_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#define RULES_BYTES ((size_t)256 * 1024)

static str base64(struct arena *a, str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t len = (s.len + 2) / 3 * 4;
    char *out = arena_alloc(a, len);
    if (out == NULL)
        return (str){NULL, 0};
    for (size_t i = 0, o = 0; i < s.len; i += 3) {
        unsigned char in[3] = {0};
        size_t n = s.len - i < sizeof(in) ? s.len - i : sizeof(in);
        memcpy(in, s.p + i, n);
        out[o++] = digits[in[0] >> 2];
        out[o++] = digits[(in[0] & 0x03) << 4 | in[1] >> 4];
        out[o++] = digits[(in[1] & 0x0F) << 2 | in[2] >> 6];
        out[o++] = digits[in[2] & 0x3F];
    }
    for (size_t missing = 0; missing < (3 - s.len % 3) % 3; missing++)
        out[len - 1 - missing] = '=';
    return str_of(out, len);
}

/* Cuts "user:password@" out of `*text`, and makes it the value of Proxy-Authorization. */
static enum err take_credentials(struct arena *a, str *text, str *ret, struct err_info *info)
{
    size_t start = str_find(*text, STR("://"));
    start = start < text->len ? start + 3 : 0;
    size_t end = start;
    while (end < text->len && text->p[end] != '/' && text->p[end] != '?' && text->p[end] != '#')
        end++;
    size_t at = end;
    while (at > start && text->p[at - 1] != '@')
        at--;
    if (at == start)
        return ERR_OK; // no user info

    str user_info = str_of(text->p + start, at - 1 - start);
    str plain;
    enum err e = url_decode(a, user_info, false, &plain);
    if (e != ERR_OK)
        return err_set(info, e, "the proxy's user info is not well encoded");
    if (str_find_char(plain, ':') == plain.len)
        plain = arena_printf(a, "%.*s:", STR_ARG(plain));
    *ret = arena_printf(a, "Basic %.*s", STR_ARG(base64(a, plain)));
    *text =
        arena_printf(a, "%.*s%.*s", STR_ARG(str_head(*text, start)), STR_ARG(str_skip(*text, at)));
    return ERR_OK;
}

static enum err read_proxy(struct arena *a, str text, const char *name, struct proxy *ret,
                           struct err_info *info)
{
    text = str_trim_ws(text);
    if (text.len == 0)
        return ERR_OK;
    ret->set = true;
    struct err_info cause = {0};
    struct proxy p = {.set = true, .usable = true};
    // "proxy:3128" is what many write.
    if (str_find(text, STR("://")) == text.len)
        text = arena_printf(a, "http://%.*s", STR_ARG(text));
    enum err e = take_credentials(a, &text, &p.credentials, &cause);
    if (e == ERR_OK)
        e = url_parse(a, text, &p.url, &cause);
    if (e == ERR_OK && p.url.tls)
        e = err_set(&cause, ERR_SYNTAX, "a proxy that speaks TLS itself is not supported");
    if (e == ERR_OK && p.url.path.len > 0)
        e = err_set(&cause, ERR_SYNTAX, "a proxy has no path");
    if (e == ERR_OK && a->overflowed)
        e = err_set(&cause, ERR_TOO_LARGE, "the value is too long");
    if (e != ERR_OK)
        return err_set(info, e, "%s: %s", name, cause.text);
    *ret = p;
    return ERR_OK;
}

/* Reads ".example.com", "*.example.com", "example.com", each maybe with ":port". */
static enum err read_name(struct arena *a, str item, struct proxy_bypass *ret,
                          struct err_info *info)
{
    str whole = item;
    str port_text;
    uint64_t port = 0;
    if (str_cut(item, ':', &item, &port_text) &&
        (!str_to_u64(port_text, &port) || port < 1 || port > UINT16_MAX))
        return err_set(info, ERR_SYNTAX, "NO_PROXY: '%.*s' has no valid port",
                       STR_ARG(str_head(whole, 64)));
    if (str_starts(item, STR("*.")))
        item = str_skip(item, 1);
    bool subs_only = str_starts(item, STR("."));
    item = str_skip(item, subs_only);
    bool sound = item.len > 0;
    for (size_t i = 0; i < item.len; i++) {
        char c = ascii_lower(item.p[i]);
        sound = sound &&
                ((c >= 'a' && c <= 'z') || ascii_is_digit(c) || c == '-' || c == '.' || c == '_');
    }
    if (!sound)
        return err_set(info, ERR_SYNTAX, "NO_PROXY: '%.*s' is not a name, an address or a range",
                       STR_ARG(str_head(whole, 64)));
    *ret = (struct proxy_bypass){
        .name = arena_copy_lower(a, item), .subs_only = subs_only, .port = (uint16_t)port};
    return ERR_OK;
}

static enum err read_range(struct arena *a, str item, struct cidr *ret, struct err_info *info)
{
    struct cidr_list one = {0};
    struct err_info cause = {0};
    enum err e = cidr_list_parse(a, item, &one, &cause);
    if (e != ERR_OK || one.n != 1)
        return err_set(info, ERR_SYNTAX, "NO_PROXY: %s", cause.text);
    *ret = one.items[0];
    return ERR_OK;
}

/* Whether an item of NO_PROXY means addresses; brackets around IPv6 are taken off. */
static bool names_addresses(str *item)
{
    size_t len = item->len;
    if (len > 2 && item->p[0] == '[' && item->p[len - 1] == ']')
        *item = str_of(item->p + 1, len - 2);
    struct sockaddr_storage addr;
    return str_find_char(*item, '/') < item->len || address_parse(*item, &addr);
}

/* NO_PROXY while it is read. */
struct bypass_lists {
    struct proxy_bypass *names;
    size_t n_names;
    struct cidr *ranges;
    size_t n_ranges;
    bool all;
};

static enum err read_item(struct arena *a, str item, struct bypass_lists *lists,
                          struct err_info *info)
{
    enum err e = ERR_OK;
    if (item.len == 0)
        return ERR_OK;
    if (str_eq(item, STR("*"))) {
        lists->all = true;
    } else if (names_addresses(&item)) {
        e = read_range(a, item, &lists->ranges[lists->n_ranges], info);
        lists->n_ranges += e == ERR_OK;
    } else {
        e = read_name(a, item, &lists->names[lists->n_names], info);
        lists->n_names += e == ERR_OK;
    }
    return e;
}

static enum err read_no_proxy(struct proxy_rules *rules, str text, struct err_info *info)
{
    size_t max = 1;
    for (size_t i = 0; i < text.len; i++)
        max += text.p[i] == ',';
    struct bypass_lists lists = {.names = arena_new(&rules->arena, struct proxy_bypass, max),
                                 .ranges = arena_new(&rules->arena, struct cidr, max)};
    if (rules->arena.overflowed)
        return err_set(info, ERR_TOO_LARGE, "NO_PROXY: too many items");

    enum err first = ERR_OK;
    while (text.len > 0) {
        str item;
        str_cut(text, ',', &item, &text);
        enum err e =
            read_item(&rules->arena, str_trim_ws(item), &lists, first == ERR_OK ? info : NULL);
        first = first != ERR_OK ? first : e;
    }
    rules->bypass = lists.names;
    rules->n_bypass = lists.n_names;
    rules->bypass_ranges = (struct cidr_list){.items = lists.ranges, .n = lists.n_ranges};
    rules->bypass_all = lists.all;
    return first;
}

enum err proxy_rules_init(struct proxy_rules *ret, str http_proxy, str https_proxy, str no_proxy,
                          struct err_info *info)
{
    *ret = (struct proxy_rules){0};
    arena_init(&ret->arena, RULES_BYTES);
    enum err http = read_proxy(&ret->arena, http_proxy, "HTTP_PROXY", &ret->http, info);
    enum err https = read_proxy(&ret->arena, https_proxy, "HTTPS_PROXY", &ret->https,
                                http == ERR_OK ? info : NULL);
    enum err first = http != ERR_OK ? http : https;
    enum err none = read_no_proxy(ret, no_proxy, first == ERR_OK ? info : NULL);
    return first != ERR_OK ? first : none;
}

void proxy_rules_release(struct proxy_rules *rules)
{
    arena_release(&rules->arena);
}

bool proxy_host_is_address(str host, struct sockaddr_storage *ret)
{
    if (address_parse(host, ret))
        return true;
    char z[64];
    if (host.len == 0 || host.len >= sizeof(z) || memchr(host.p, '\0', host.len) != NULL)
        return false;
    memcpy(z, host.p, host.len);
    z[host.len] = '\0';
    struct sockaddr_in in = {.sin_family = AF_INET};
    if (inet_aton(z, &in.sin_addr) == 0)
        return false;
    memset(ret, 0, sizeof(*ret));
    memcpy(ret, &in, sizeof(in));
    return true;
}

static bool bypasses(const struct proxy_bypass *b, str host, uint16_t port)
{
    if (b->port != 0 && b->port != port)
        return false;
    if (str_eq(host, b->name))
        return !b->subs_only;
    return str_ends(host, b->name) && host.p[host.len - b->name.len - 1] == '.';
}

/* `host` is in lower case, and without the dot that may end a name. */
static bool always_direct(str host)
{
    return str_find_char(host, '.') == host.len || str_ends(host, STR(".localhost"));
}

const struct proxy *proxy_for(const struct proxy_rules *rules, const struct url *url)
{
    const struct proxy *proxy = url->tls ? &rules->https : &rules->http;
    if (!proxy->set || rules->bypass_all)
        return NULL;
    str host = url->host;
    if (str_ends(host, STR(".")))
        host.len--;
    struct sockaddr_storage addr;
    if (proxy_host_is_address(host, &addr)) {
        const struct sockaddr *sa = (const struct sockaddr *)&addr;
        if (address_is_private(sa) || cidr_list_has(&rules->bypass_ranges, sa))
            return NULL;
    } else if (always_direct(host)) {
        return NULL;
    }
    for (size_t i = 0; i < rules->n_bypass; i++) {
        if (bypasses(&rules->bypass[i], host, url->port))
            return NULL;
    }
    return proxy;
}
