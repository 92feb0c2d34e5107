/*
 * Properties: a path that was accepted has no "." or ".." segment, no doubled slash and no control
 * character; slashes and a leading /v1 that are added change nothing of the route; and no spelling
 * of a path that does not begin with /admin leads there.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "core/target.h"

static void check_path(str path)
{
    assert(path.len > 0 && path.p[0] == '/');
    for (size_t i = 0; i < path.len; i++)
        assert((unsigned char)path.p[i] >= ' ' && path.p[i] != 0x7F);
    for (str rest = path; rest.len > 0;) {
        str segment;
        str_cut(rest, '/', &segment, &rest);
        assert(!str_eq(segment, STR(".")) && !str_eq(segment, STR("..")));
    }
}

static bool has_control(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7F)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct target t;
    struct target other;
    str raw = str_of((const char *)data, size);
    // What the HTTP layer lets through: an origin form without control characters.
    if (size == 0 || size > 8192 || raw.p[0] != '/' || has_control(raw))
        return 0;
    arena_init(&a, 1 << 20);
    if (target_parse(&a, raw, &t, NULL) == ERR_OK) {
        assert(t.route < ROUTE_COUNT);
        check_path(t.path);
        assert((t.id.len > 0) == (t.route == ROUTE_MODEL));
        assert(t.route != ROUTE_ADMIN || str_starts(t.path, STR("/admin")));

        str slashes = arena_printf(&a, "//%.*s", STR_ARG(raw));
        enum err e = target_parse(&a, slashes, &other, NULL);
        assert(e == ERR_OK && other.route == t.route && str_eq(other.path, t.path));

        str prefixed = arena_printf(&a, "/v1%.*s", STR_ARG(raw));
        e = target_parse(&a, prefixed, &other, NULL);
        assert(e == ERR_OK && str_eq(other.path, t.path));
        bool same = other.route == t.route;
        assert(same || t.route == ROUTE_ROOT || t.route == ROUTE_HEALTH ||
               t.route == ROUTE_METRICS || t.route == ROUTE_ADMIN);
        assert(other.route != ROUTE_ADMIN);
    }
    arena_release(&a);
    return 0;
}
