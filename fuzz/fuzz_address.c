/*
 * Address texts of the operator and of strangers; the first byte says which. Properties: what
 * parses as an address survives being written and read again, and is judged alike when it is
 * mapped; a list holds each address of its own; the caller is the peer unless the peer is
 * trusted; what NO_PROXY and the proxies hold came out of their texts.
 */
#include <assert.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"
#include "net/client_proxy.h"

static const struct sockaddr *as_addr(const struct sockaddr_storage *ss)
{
    return (const struct sockaddr *)ss;
}

static void check_address(str text)
{
    static const struct address_policy policy = {0};
    struct sockaddr_storage once;
    struct sockaddr_storage twice;
    if (!address_parse(text, &once))
        return;
    char written[ADDRESS_TEXT_BYTES];
    char again[ADDRESS_TEXT_BYTES];
    address_text(as_addr(&once), written);
    assert(address_parse(str_z(written), &twice));
    address_text(as_addr(&twice), again);
    assert(str_eq(str_z(written), str_z(again)));
    const char *a = address_refusal(&policy, as_addr(&once));
    const char *b = address_refusal(&policy, as_addr(&twice));
    assert((a == NULL) == (b == NULL));
    assert(!address_is_loopback(as_addr(&once)) || address_is_private(as_addr(&once)));
    assert(!address_is_private(as_addr(&once)) || a == NULL ||
           str_eq(str_z(a), STR("a cloud metadata address")));
}

static void check_ranges(str text)
{
    struct arena a;
    arena_init(&a, 1 << 20);
    struct cidr_list list = {0};
    struct err_info info = {0};
    enum err e = cidr_list_parse(&a, text, &list, &info);
    assert(e == ERR_OK || info.offset < text.len || a.overflowed);
    for (size_t i = 0; e == ERR_OK && i < list.n; i++) {
        assert(list.items[i].bits <= 128);
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        memcpy(&in6.sin6_addr, list.items[i].addr, sizeof(in6.sin6_addr));
        assert(cidr_list_has(&list, (const struct sockaddr *)&in6));
    }
    arena_release(&a);
}

static void check_caller(str text)
{
    static const struct cidr all = {{0}, 0};
    static const struct cidr_list everyone = {&all, 1};
    static const struct cidr_list nobody = {NULL, 0};
    struct sockaddr_storage peer;
    struct sockaddr_storage caller;
    if (!address_parse(STR("192.0.2.1"), &peer))
        assert(false);
    address_of_caller(as_addr(&peer), text, &nobody, &caller);
    assert(memcmp(&peer, &caller, sizeof(struct sockaddr_in)) == 0);
    address_of_caller(as_addr(&peer), text, &everyone, &caller);
    assert(caller.ss_family == AF_INET || caller.ss_family == AF_INET6);
}

static void check_proxies(str text)
{
    str proxy;
    str no_proxy;
    str_cut(text, '\n', &proxy, &no_proxy);
    struct proxy_rules rules;
    struct err_info info = {0};
    enum err e = proxy_rules_init(&rules, proxy, STR(""), no_proxy, &info);
    assert((e == ERR_OK) == (info.text[0] == '\0'));
    assert(!rules.http.usable || (rules.http.set && rules.http.url.port != 0));
    str host = str_trim_ws(str_head(no_proxy, str_find_char(no_proxy, ',')));
    const struct url url = {.host = host, .authority = host, .port = 80};
    (void)proxy_for(&rules, &url);
    for (size_t i = 0; i < rules.n_bypass; i++) {
        const struct url named = {.host = rules.bypass[i].name, .port = 80};
        if (!rules.bypass[i].subs_only && rules.bypass[i].port == 0 &&
            !str_ends(named.host, STR(".")))
            assert(proxy_for(&rules, &named) == NULL);
    }
    proxy_rules_release(&rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4096)
        return 0;
    str text = str_of((const char *)data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        check_address(text);
        break;
    case 1:
        check_ranges(text);
        break;
    case 2:
        check_caller(text);
        break;
    default:
        check_proxies(text);
    }
    return 0;
}
