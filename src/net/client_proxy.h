/*
 * client_proxy - which proxy, if any, a call goes through
 *
 * HTTP_PROXY serves http upstreams (absolute form), HTTPS_PROXY https ones (CONNECT). Loopback and
 * private addresses, "localhost" and names of a single label always go direct, and so does what
 * NO_PROXY names. A proxy that cannot be used is remembered as such, so that its calls fail
 * instead of going around it.
 *
 * Threads: none; pure.
 * Memory:  everything lives in the rules' arena.
 */
#ifndef NET_CLIENT_PROXY_H
#define NET_CLIENT_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/url.h"
#include "core/address.h"

struct proxy {
    bool set;
    bool usable;
    struct url url;
    str credentials; // value of Proxy-Authorization; empty: none
};

/* One item of NO_PROXY that is a name. */
struct proxy_bypass {
    str name;       // lower case, without a leading dot
    bool subs_only; // it began with a dot: the name itself is not meant
    uint16_t port;  // 0: any
};

struct proxy_rules {
    struct arena arena;
    struct proxy http;
    struct proxy https;
    bool bypass_all;
    const struct proxy_bypass *bypass;
    size_t n_bypass;
    struct cidr_list bypass_ranges;
};

/*
 * Reads the three settings into `ret`, which must be released however this ends.
 *
 * ERR_SYNTAX  the first thing that is wrong is in `info`; the rules hold what was right.
 */
MUST_CHECK enum err proxy_rules_init(struct proxy_rules *ret, str http_proxy, str https_proxy,
                                     str no_proxy, struct err_info *info);
void proxy_rules_release(struct proxy_rules *rules);

/* The proxy for calls to `url`, which may be one that is not usable; NULL: none. */
const struct proxy *proxy_for(const struct proxy_rules *rules, const struct url *url);

/*
 * Reads a host that the system would take for an address, old forms ("127.1", "0xa9fe.0xa9fe",
 * "2130706433") included. False: it is a name.
 */
MUST_CHECK bool proxy_host_is_address(str host, struct sockaddr_storage *ret);

#endif
