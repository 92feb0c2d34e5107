/*
 * url - http and https URLs of upstreams (RFC 3986), and percent decoding
 *
 * The one URL parser: whoever checks a URL and whoever connects to it use the same. It takes
 * absolute http(s) URLs without user info, query or fragment and brings them to one form: scheme
 * and host in lower case, no default port, no trailing slash.
 *
 * Memory: results live in the caller's arena.
 */
#ifndef BASE_URL_H
#define BASE_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

struct url {
    bool tls;      // https
    str host;      // lower case; IPv6 without brackets
    bool ipv6;     // host is an IPv6 literal
    uint16_t port; // never 0
    str authority; // as a Host header has it: brackets, and a port that is not the default
    str path;      // "" or "/…" without a trailing slash
};

/*
 * Parses `text` into `*ret`, whose strings live in `a`.
 *
 * ERR_SYNTAX  not such a URL; `info` says what is wrong.
 */
MUST_CHECK enum err url_parse(struct arena *a, str text, struct url *ret, struct err_info *info);

/*
 * Cuts one "/api" or "/v1" off the end of the path, which people copy along with an Ollama
 * server's address: the callers append their own.
 */
void url_cut_api(struct url *u);

/*
 * Decodes %XX in `s` into `a`. ERR_SYNTAX on a broken escape, %00, or a decoded control
 * character. With `keep_slash`, %2F stays as it is written.
 */
MUST_CHECK enum err url_decode(struct arena *a, str s, bool keep_slash, str *ret);

#endif
