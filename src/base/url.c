#include "base/url.h"

#include <arpa/inet.h>

#define MAX_URL_BYTES  2048
#define MAX_HOST_BYTES 253

static bool is_host_char(char c)
{
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'z') || ascii_is_digit(c) || c == '-' || c == '.' || c == '_';
}

/* Path characters of RFC 3986 section 3.3, and '%' of escapes. */
static bool is_path_char(char c)
{
    return is_host_char(c) || (c != '\0' && strchr("/~!$&'()*+,;=:@%", c) != NULL);
}

static enum err check_chars(str text, struct err_info *info)
{
    if (text.len > MAX_URL_BYTES)
        return err_set(info, ERR_SYNTAX, "URL is longer than %d bytes", MAX_URL_BYTES);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c <= ' ' || c >= 0x7F)
            return err_set(info, ERR_SYNTAX, "URL holds a blank, control or non-ASCII byte");
    }
    return ERR_OK;
}

static enum err take_scheme(str *text, struct url *u, struct err_info *info)
{
    if (str_istarts(*text, STR("https://"))) {
        u->tls = true;
        *text = str_skip(*text, 8);
    } else if (str_istarts(*text, STR("http://"))) {
        *text = str_skip(*text, 7);
    } else {
        return err_set(info, ERR_SYNTAX, "URL does not begin with http:// or https://");
    }
    return ERR_OK;
}

static enum err take_ipv6(str *rest, struct url *u, struct err_info *info)
{
    str literal;
    if (!str_cut(str_skip(*rest, 1), ']', &literal, rest))
        return err_set(info, ERR_SYNTAX, "URL has no ']' after its IPv6 address");
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    if (literal.len >= sizeof(text))
        return err_set(info, ERR_SYNTAX, "URL has no valid IPv6 address");
    memcpy(text, literal.p, literal.len);
    text[literal.len] = '\0';
    if (inet_pton(AF_INET6, text, &addr) != 1)
        return err_set(info, ERR_SYNTAX, "URL has no valid IPv6 address");
    u->ipv6 = true;
    u->host = literal;
    return ERR_OK;
}

static enum err take_name(str *rest, struct url *u, struct err_info *info)
{
    size_t n = str_find_char(*rest, ':');
    u->host = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    if (u->host.len == 0)
        return err_set(info, ERR_SYNTAX, "URL has no host");
    if (u->host.len > MAX_HOST_BYTES)
        return err_set(info, ERR_SYNTAX, "host is longer than %d bytes", MAX_HOST_BYTES);
    for (size_t i = 0; i < u->host.len; i++) {
        if (!is_host_char(u->host.p[i]))
            return err_set(info, ERR_SYNTAX, "host holds '%c'", u->host.p[i]);
    }
    return ERR_OK;
}

/* `rest` is what follows the host in the authority: nothing, or ':' and a port. */
static enum err take_port(str rest, struct url *u, struct err_info *info)
{
    u->port = u->tls ? 443 : 80;
    if (rest.len == 0)
        return ERR_OK;
    uint64_t port;
    if (rest.p[0] != ':' || !str_to_u64(str_skip(rest, 1), &port) || port < 1 || port > 65535)
        return err_set(info, ERR_SYNTAX, "port is not a number from 1 to 65535");
    u->port = (uint16_t)port;
    return ERR_OK;
}

static enum err take_path(str path, struct url *u, struct err_info *info)
{
    for (size_t i = 0; i < path.len; i++) {
        if (path.p[i] == '?' || path.p[i] == '#')
            return err_set(info, ERR_SYNTAX, "URL has a query or a fragment");
        if (!is_path_char(path.p[i]))
            return err_set(info, ERR_SYNTAX, "path holds '%c'", path.p[i]);
    }
    while (path.len > 0 && path.p[path.len - 1] == '/')
        path.len--;
    u->path = path;
    return ERR_OK;
}

enum err url_parse(struct arena *a, str text, struct url *ret, struct err_info *info)
{
    struct url u = {0};
    enum err e = check_chars(text, info);
    if (e == ERR_OK)
        e = take_scheme(&text, &u, info);
    if (e != ERR_OK)
        return e;

    size_t n = 0;
    while (n < text.len && text.p[n] != '/' && text.p[n] != '?' && text.p[n] != '#')
        n++;
    str authority = str_head(text, n);
    if (str_find_char(authority, '@') < authority.len)
        return err_set(info, ERR_SYNTAX, "URL holds user info ('@')");
    e = str_starts(authority, STR("[")) ? take_ipv6(&authority, &u, info)
                                        : take_name(&authority, &u, info);
    if (e == ERR_OK)
        e = take_port(authority, &u, info);
    if (e == ERR_OK)
        e = take_path(str_skip(text, n), &u, info);
    if (e != ERR_OK)
        return e;

    u.host = arena_copy_lower(a, u.host);
    u.path = arena_copy(a, u.path);
    const char *open = u.ipv6 ? "[" : "";
    const char *close = u.ipv6 ? "]" : "";
    bool default_port = u.port == (u.tls ? 443 : 80);
    u.authority = default_port
                      ? arena_printf(a, "%s%.*s%s", open, STR_ARG(u.host), close)
                      : arena_printf(a, "%s%.*s%s:%u", open, STR_ARG(u.host), close, u.port);
    if (a->overflowed)
        return err_set(info, ERR_TOO_LARGE, "out of memory for the URL");
    *ret = u;
    return ERR_OK;
}

void url_cut_api(struct url *u)
{
    static const str suffixes[] = {STR_C("/api"), STR_C("/v1")};
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        if (str_ends(u->path, suffixes[i])) {
            u->path.len -= suffixes[i].len;
            break;
        }
    }
    while (str_ends(u->path, STR("/")))
        u->path.len--;
}

enum err url_decode(struct arena *a, str s, bool keep_slash, str *ret)
{
    char *p = arena_alloc(a, s.len);
    if (p == NULL)
        return ERR_TOO_LARGE;
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] != '%') {
            p[n++] = s.p[i];
            continue;
        }
        int high = i + 2 < s.len ? hex_value(s.p[i + 1]) : -1;
        int low = i + 2 < s.len ? hex_value(s.p[i + 2]) : -1;
        if (high < 0 || low < 0)
            return ERR_SYNTAX;
        unsigned char c = (unsigned char)(high * 16 + low);
        if (c < 0x20 || c == 0x7F)
            return ERR_SYNTAX;
        if (c == '/' && keep_slash) {
            memcpy(p + n, s.p + i, 3);
            n += 3;
        } else {
            p[n++] = (char)c;
        }
        i += 2;
    }
    *ret = str_of(p, n);
    return ERR_OK;
}
