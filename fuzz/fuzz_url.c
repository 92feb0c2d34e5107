/*
 * Property: a URL that is taken has a host and a port, and its canonical form is taken again and
 * comes out the same. Decoded paths hold no control character and are never longer.
 */
#include <assert.h>
#include <stdint.h>

#include "base/url.h"

static void check_url(str text)
{
    struct arena a;
    struct url first;
    struct url second;
    arena_init(&a, 65536);
    if (url_parse(&a, text, &first, NULL) == ERR_OK) {
        assert(first.host.len > 0 && first.port > 0);
        str again = arena_printf(&a, "%s://%.*s%.*s", first.tls ? "https" : "http",
                                 STR_ARG(first.authority), STR_ARG(first.path));
        enum err e = url_parse(&a, again, &second, NULL);
        assert(e == ERR_OK);
        assert(str_eq(first.host, second.host) && str_eq(first.path, second.path));
        assert(str_eq(first.authority, second.authority));
        assert(first.port == second.port && first.tls == second.tls);
    }
    arena_release(&a);
}

static void check_decode(str text, bool keep_slash)
{
    struct arena a;
    str decoded;
    arena_init(&a, (size_t)1 << 20);
    if (url_decode(&a, text, keep_slash, &decoded) == ERR_OK) {
        assert(decoded.len <= text.len);
        if (str_find_char(text, '%') == text.len)
            assert(str_eq(decoded, text));
    }
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = str_of((const char *)data, size);
    check_url(text);
    check_decode(text, false);
    check_decode(text, true);
    return 0;
}
