#include "core/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* An address in one form: IPv6, with IPv4 as IPv4-mapped. */
struct ip {
    unsigned char b[16];
};

#define MAPPED_PREFIX_BYTES 12

static const unsigned char MAPPED_PREFIX[MAPPED_PREFIX_BYTES] = {[10] = 0xFF, [11] = 0xFF};

static struct ip ip_of_v4(const unsigned char v4[4])
{
    struct ip ip;
    memcpy(ip.b, MAPPED_PREFIX, MAPPED_PREFIX_BYTES);
    memcpy(ip.b + MAPPED_PREFIX_BYTES, v4, 4);
    return ip;
}

/* False for what is not an internet address. `ret_port` may be NULL. */
static bool ip_of_sockaddr(const struct sockaddr *addr, struct ip *ret, uint16_t *ret_port)
{
    uint16_t port;
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof(in));
        unsigned char v4[4];
        memcpy(v4, &in.sin_addr, sizeof(v4));
        *ret = ip_of_v4(v4);
        port = ntohs(in.sin_port);
    } else if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, sizeof(in6));
        memcpy(ret->b, &in6.sin6_addr, sizeof(ret->b));
        port = ntohs(in6.sin6_port);
    } else {
        return false;
    }
    if (ret_port != NULL)
        *ret_port = port;
    return true;
}

static bool all_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != 0)
            return false;
    }
    return true;
}

static bool is_mapped(const struct ip *ip)
{
    return memcmp(ip->b, MAPPED_PREFIX, MAPPED_PREFIX_BYTES) == 0;
}

/* 64:ff9b:1::/48 holds prefixes of any of these lengths (RFC 8215), and RFC 6052 section 2.2 puts
 * the IPv4 address behind the prefix, around the ninth byte, with zeros up to the end. */
static void unwrap_local_nat64(struct ip *ip)
{
    static const unsigned char places[][4] = {
        {6, 7,  9,  10},
        {7, 9,  10, 11},
        {9, 10, 11, 12}
    };
    unsigned char v4[4] = {ip->b[12], ip->b[13], ip->b[14], ip->b[15]};
    for (size_t i = 0; ip->b[8] == 0 && i < COUNT_OF(places); i++) {
        size_t end = places[i][3] + (size_t)1;
        if (!all_zero(ip->b + end, sizeof(ip->b) - end))
            continue;
        for (size_t k = 0; k < sizeof(v4); k++)
            v4[k] = ip->b[places[i][k]];
        break;
    }
    *ip = ip_of_v4(v4);
}

/* Replaces an address that carries an IPv4 address, to which it leads, by that one. */
static void unwrap(struct ip *ip)
{
    static const unsigned char nat64[12] = {0x00, 0x64, 0xFF, 0x9B};
    static const unsigned char local_nat64[6] = {0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01};
    bool compatible = all_zero(ip->b, 12) && !(all_zero(ip->b + 12, 3) && ip->b[15] <= 1);
    if (compatible || memcmp(ip->b, nat64, sizeof(nat64)) == 0)
        *ip = ip_of_v4(ip->b + 12);
    else if (memcmp(ip->b, local_nat64, sizeof(local_nat64)) == 0)
        unwrap_local_nat64(ip);
}

static bool in_cidr(const struct ip *ip, const struct cidr *c)
{
    size_t whole = c->bits / 8;
    unsigned rest = c->bits % 8;
    if (memcmp(ip->b, c->addr, whole) != 0)
        return false;
    if (rest == 0)
        return true;
    unsigned mask = 0xFFU << (8 - rest) & 0xFFU;
    return ((ip->b[whole] ^ c->addr[whole]) & mask) == 0;
}

static bool list_has_ip(const struct cidr_list *list, const struct ip *ip)
{
    for (size_t i = 0; i < list->n; i++) {
        if (in_cidr(ip, &list->items[i]))
            return true;
    }
    return false;
}

bool cidr_list_has(const struct cidr_list *list, const struct sockaddr *addr)
{
    struct ip ip;
    return ip_of_sockaddr(addr, &ip, NULL) && list_has_ip(list, &ip);
}

static enum err parse_cidr(str item, struct cidr *ret, struct err_info *info)
{
    str addr_text;
    str bits_text;
    bool has_bits = str_cut(item, '/', &addr_text, &bits_text);
    struct sockaddr_storage addr;
    if (!address_parse(addr_text, &addr))
        return err_set(info, ERR_SYNTAX, "'%.*s' is not an address or an address range",
                       STR_ARG(str_head(item, 64)));

    unsigned offset = addr.ss_family == AF_INET ? MAPPED_PREFIX_BYTES * 8 : 0;
    uint64_t bits = 128 - offset;
    if (has_bits && (!str_to_u64(bits_text, &bits) || bits > 128 - offset))
        return err_set(info, ERR_RANGE, "'%.*s' has no prefix length from 0 to %u",
                       STR_ARG(str_head(item, 64)), 128 - offset);
    struct ip ip;
    if (!ip_of_sockaddr((const struct sockaddr *)&addr, &ip, NULL))
        return err_set(info, ERR_SYNTAX, "not an internet address");
    memcpy(ret->addr, ip.b, sizeof(ret->addr));
    ret->bits = offset + (unsigned)bits;
    return ERR_OK;
}

enum err cidr_list_parse(struct arena *a, str text, struct cidr_list *ret, struct err_info *info)
{
    size_t max = 1;
    for (size_t i = 0; i < text.len; i++)
        max += text.p[i] == ',';
    struct cidr *items = arena_new(a, struct cidr, max);
    if (items == NULL)
        return err_set(info, ERR_TOO_LARGE, "too many address ranges");

    size_t n = 0;
    str rest = text;
    while (rest.len > 0) {
        str item;
        str_cut(rest, ',', &item, &rest);
        item = str_trim_ws(item);
        if (item.len == 0)
            continue;
        enum err e = parse_cidr(item, &items[n], info);
        if (e != ERR_OK) {
            if (info != NULL)
                info->offset = (size_t)(item.p - text.p);
            return e;
        }
        n++;
    }
    *ret = (struct cidr_list){.items = items, .n = n};
    return ERR_OK;
}

bool address_parse(str text, struct sockaddr_storage *ret)
{
    char z[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof(z) || memchr(text.p, '\0', text.len) != NULL)
        return false;
    memcpy(z, text.p, text.len);
    z[text.len] = '\0';

    struct sockaddr_storage out = {0};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, z, &in.sin_addr) == 1)
        memcpy(&out, &in, sizeof(in));
    else if (inet_pton(AF_INET6, z, &in6.sin6_addr) == 1)
        memcpy(&out, &in6, sizeof(in6));
    else
        return false;
    *ret = out;
    return true;
}

static bool ip_is_loopback(const struct ip *ip)
{
    static const struct ip v6 = {{[15] = 1}};
    return is_mapped(ip) ? ip->b[12] == 127 : memcmp(ip->b, v6.b, sizeof(v6.b)) == 0;
}

/* Only IPv4-mapped addresses are unwrapped here: the others reach another machine first, and what
 * is loopback or private there earns no trust here. */
bool address_is_loopback(const struct sockaddr *addr)
{
    struct ip ip;
    return ip_of_sockaddr(addr, &ip, NULL) && ip_is_loopback(&ip);
}

bool address_is_private(const struct sockaddr *addr)
{
    static const struct cidr ranges[] = {
        {{[10] = 0xFF, [11] = 0xFF, [12] = 10},              104}, // 10.0.0.0/8
        {{[10] = 0xFF, [11] = 0xFF, [12] = 172, [13] = 16},  108}, // 172.16.0.0/12
        {{[10] = 0xFF, [11] = 0xFF, [12] = 192, [13] = 168}, 112}, // 192.168.0.0/16
        {{[0] = 0xFC},                                       7  }, // fc00::/7
    };
    static const struct cidr_list list = {.items = ranges, .n = COUNT_OF(ranges)};
    struct ip ip;
    if (!ip_of_sockaddr(addr, &ip, NULL))
        return false;
    return ip_is_loopback(&ip) || list_has_ip(&list, &ip);
}

static const char *refusal_by_range(const struct ip *ip)
{
    static const struct {
        struct cidr range;
        const char *what;
    } refused[] = {
        {{{0}, 128},                                                "the unspecified address" }, // ::
        {{{[10] = 0xFF, [11] = 0xFF}, 104},                         "the unspecified address" }, // 0.0.0.0/8
        {{{[10] = 0xFF, [11] = 0xFF, 169, 254}, 112},               "a link-local address"    },
        {{{0xFE, 0x80}, 10},                                        "a link-local address"    },
        {{{[10] = 0xFF, [11] = 0xFF, 100, 100, 100, 200}, 128},     "a cloud metadata address"},
        {{{0xFD, 0x00, 0x0E, 0xC2, [14] = 0x02, [15] = 0x54}, 128}, "a cloud metadata address"},
        {{{[10] = 0xFF, [11] = 0xFF, 224}, 100},                    "a multicast address"     },
        {{{0xFF}, 8},                                               "a multicast address"     },
        {{{[10] = 0xFF, [11] = 0xFF, 255, 255, 255, 255}, 128},     "the broadcast address"   },
    };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        if (in_cidr(ip, &refused[i].range))
            return refused[i].what;
    }
    return NULL;
}

/* Whether a connection to `ip` and `port` would come back to us. */
static bool is_own_listener(const struct address_policy *policy, const struct ip *ip, uint16_t port)
{
    struct ip own;
    uint16_t own_port;
    if (!ip_of_sockaddr((const struct sockaddr *)&policy->own_listen, &own, &own_port))
        return false;
    if (port != own_port)
        return false;
    bool any = is_mapped(&own) ? all_zero(own.b + 12, 4) : all_zero(own.b, sizeof(own.b));
    return any ? ip_is_loopback(ip) : memcmp(own.b, ip->b, sizeof(own.b)) == 0;
}

const char *address_refusal(const struct address_policy *policy, const struct sockaddr *addr)
{
    struct ip ip;
    uint16_t port;
    if (!ip_of_sockaddr(addr, &ip, &port))
        return "not an internet address";
    struct ip written = ip;
    unwrap(&ip);
    if (list_has_ip(&policy->allow, &written) || list_has_ip(&policy->allow, &ip))
        return NULL;
    if (is_own_listener(policy, &ip, port))
        return "our own listener";
    return refusal_by_range(&ip);
}

void address_text(const struct sockaddr *addr, char out[ADDRESS_TEXT_BYTES])
{
    struct ip ip;
    const char *ok = NULL;
    if (ip_of_sockaddr(addr, &ip, NULL))
        ok = is_mapped(&ip) ? inet_ntop(AF_INET, ip.b + 12, out, ADDRESS_TEXT_BYTES)
                            : inet_ntop(AF_INET6, ip.b, out, ADDRESS_TEXT_BYTES);
    if (ok == NULL)
        snprintf(out, ADDRESS_TEXT_BYTES, "unknown");
}

/* One hop of X-Forwarded-For: an address, or one with a port ("192.0.2.1:80", "[2001:db8::1]:80").
 */
static bool parse_hop(str hop, struct sockaddr_storage *ret)
{
    hop = str_trim(hop);
    if (hop.len >= 2 && hop.p[0] == '"' && hop.p[hop.len - 1] == '"')
        hop = str_of(hop.p + 1, hop.len - 2);
    if (address_parse(hop, ret))
        return true;
    str addr = hop;
    str port = {NULL, 0};
    if (str_starts(hop, STR("["))) {
        if (!str_cut(str_skip(hop, 1), ']', &addr, &port))
            return false;
        if (port.len == 0)
            return address_parse(addr, ret);
        if (port.p[0] != ':')
            return false;
        port = str_skip(port, 1);
    } else if (!str_cut(hop, ':', &addr, &port)) {
        return false;
    }
    uint64_t number;
    return str_to_u64(port, &number) && number <= UINT16_MAX && address_parse(addr, ret);
}

/* Takes the last item off the comma-separated `list`. */
static str take_last(str *list)
{
    size_t start = list->len;
    while (start > 0 && list->p[start - 1] != ',')
        start--;
    str item = str_skip(*list, start);
    *list = str_head(*list, start > 0 ? start - 1 : 0);
    return item;
}

/* Each hop vouches for the one to its left, as long as it is trusted itself. */
void address_of_caller(const struct sockaddr *peer, str forwarded, const struct cidr_list *trusted,
                       struct sockaddr_storage *ret)
{
    struct sockaddr_storage caller = {0};
    memcpy(&caller, peer,
           peer->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    while (forwarded.len > 0 && cidr_list_has(trusted, (const struct sockaddr *)&caller)) {
        struct sockaddr_storage hop;
        if (!parse_hop(take_last(&forwarded), &hop))
            break;
        caller = hop;
    }
    *ret = caller;
}
