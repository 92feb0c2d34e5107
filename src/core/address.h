/*
 * address - which resolved addresses may be connected to, and what a peer's address is
 *
 * Enforced on the address itself at connect time: a name's text says nothing about where it
 * leads, and may lead elsewhere a moment later. Loopback, private and public addresses are
 * allowed (upstreams live there); link-local (cloud metadata among them), unspecified, multicast,
 * broadcast and our own listener are not, whether written as IPv4, IPv6, IPv4-mapped,
 * IPv4-compatible or NAT64. UPSTREAM_ALLOW_CIDRS lifts a refusal.
 *
 * Threads: none; pure.
 */
#ifndef CORE_ADDRESS_H
#define CORE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* One address range; IPv4 is held as IPv4-mapped IPv6. */
struct cidr {
    unsigned char addr[16];
    unsigned bits; // 0 to 128
};

struct cidr_list {
    const struct cidr *items;
    size_t n;
};

struct address_policy {
    struct cidr_list allow;             // UPSTREAM_ALLOW_CIDRS
    struct sockaddr_storage own_listen; // ss_family 0: none
};

/* Parses "10.0.0.0/8, fd00::/8, 192.0.2.1" (blanks and empty items are skipped) into `a`. */
MUST_CHECK enum err cidr_list_parse(struct arena *a, str text, struct cidr_list *ret,
                                    struct err_info *info);

bool cidr_list_has(const struct cidr_list *list, const struct sockaddr *addr);

/* Parses an IPv4 or IPv6 literal (no port, no brackets). False when it is none. */
MUST_CHECK bool address_parse(str text, struct sockaddr_storage *ret);

bool address_is_loopback(const struct sockaddr *addr);

/* Loopback, RFC 1918, and IPv6 unique local addresses; no embedded ones but IPv4-mapped. */
bool address_is_private(const struct sockaddr *addr);

/* NULL when an upstream may be at `addr`; otherwise a static phrase that says what it is. */
const char *address_refusal(const struct address_policy *policy, const struct sockaddr *addr);

#define ADDRESS_TEXT_BYTES 64

/* Writes the address without its port into `out`, zero-terminated: "192.0.2.1", "2001:db8::1". */
void address_text(const struct sockaddr *addr, char out[ADDRESS_TEXT_BYTES]);

/*
 * The caller's address behind trusted proxies: the right-most address of the X-Forwarded-For
 * values (`forwarded`, in order, comma-separated) that is not in `trusted`; `peer` itself when
 * it is not trusted or nothing better is there. When all are trusted, the left-most; an item that
 * is no address ends the search with what is to its right.
 */
void address_of_caller(const struct sockaddr *peer, str forwarded, const struct cidr_list *trusted,
                       struct sockaddr_storage *ret);

#endif
