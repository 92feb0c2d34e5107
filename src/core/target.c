#include "core/target.h"

#include "base/url.h"

#define ALLOW_GET  (METHOD_GET | METHOD_HEAD)
#define ALLOW_ALL  (ALLOW_GET | METHOD_POST | METHOD_PUT | METHOD_PATCH | METHOD_DELETE)
#define GET_TEXT   STR_C("GET, HEAD, OPTIONS")
#define POST_TEXT  STR_C("POST, OPTIONS")
#define ADMIN_TEXT STR_C("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")

// clang-format off
static const struct route_info ROUTES[ROUTE_COUNT] = {
    // Anybody may be told that there is nothing.
    [ROUTE_UNKNOWN]     = {STR_C("unknown"),     ALLOW_ALL,   ADMIN_TEXT, ROLE_ANYBODY, true},
    [ROUTE_ROOT]        = {STR_C("root"),        ALLOW_GET,   GET_TEXT,   ROLE_ANYBODY, true},
    [ROUTE_HEALTH]      = {STR_C("health"),      ALLOW_GET,   GET_TEXT,   ROLE_ANYBODY, true},
    [ROUTE_METRICS]     = {STR_C("metrics"),     ALLOW_GET,   GET_TEXT,   ROLE_METRICS, false},
    [ROUTE_V1]          = {STR_C("v1"),          ALLOW_GET,   GET_TEXT,   ROLE_CALLER,  true},
    [ROUTE_CHAT]        = {STR_C("chat"),        METHOD_POST, POST_TEXT,  ROLE_CALLER,  true},
    [ROUTE_COMPLETIONS] = {STR_C("completions"), METHOD_POST, POST_TEXT,  ROLE_CALLER,  true},
    [ROUTE_EMBEDDINGS]  = {STR_C("embeddings"),  METHOD_POST, POST_TEXT,  ROLE_CALLER,  true},
    [ROUTE_MODELS]      = {STR_C("models"),      ALLOW_GET,   GET_TEXT,   ROLE_CALLER,  true},
    [ROUTE_MODEL]       = {STR_C("model"),       ALLOW_GET,   GET_TEXT,   ROLE_CALLER,  true},
    [ROUTE_ADMIN]       = {STR_C("admin"),       ALLOW_ALL,   ADMIN_TEXT, ROLE_ADMIN,   false},
};

/* Whole paths, as they stand once /v1 is gone. */
static const struct path_row {
    str path;
    enum route route;
    bool with_v1;    // may stand behind /v1
    bool without_v1; // may stand alone
} PATHS[] = {
    {STR_C(""),                  ROUTE_ROOT,        false, true},
    {STR_C(""),                  ROUTE_V1,          true,  false},
    {STR_C("/health"),           ROUTE_HEALTH,      false, true},
    {STR_C("/metrics"),          ROUTE_METRICS,     false, true},
    {STR_C("/chat/completions"), ROUTE_CHAT,        true,  true},
    {STR_C("/completions"),      ROUTE_COMPLETIONS, true,  true},
    {STR_C("/embeddings"),       ROUTE_EMBEDDINGS,  true,  true},
    {STR_C("/models"),           ROUTE_MODELS,      true,  true},
};
// clang-format on

const struct route_info *route_info(enum route route)
{
    return &ROUTES[route < ROUTE_COUNT ? route : ROUTE_UNKNOWN];
}

/* The path of a request target: without scheme and authority, query and fragment. */
static str raw_path(str raw)
{
    if (str_istarts(raw, STR("http://")) || str_istarts(raw, STR("https://"))) {
        raw = str_skip(raw, str_find(raw, STR("://")) + 3);
        raw = str_skip(raw, str_find_char(raw, '/'));
    }
    raw = str_head(raw, str_find_char(raw, '?'));
    return str_head(raw, str_find_char(raw, '#'));
}

/* Cuts the next segment that is not empty off `*path`; false at the end. */
static bool next_segment(str *path, str *ret)
{
    while (path->len > 0) {
        str_cut(*path, '/', ret, path);
        if (ret->len > 0)
            return true;
    }
    return false;
}

static bool is_dots(str s)
{
    return str_eq(s, STR(".")) || str_eq(s, STR(".."));
}

/* Whether a '/' that was written as %2F makes a "." or ".." part. */
static bool has_dots(str s)
{
    while (s.len > 0) {
        str part;
        str_cut(s, '/', &part, &s);
        if (is_dots(part))
            return true;
    }
    return false;
}

struct cleaned {
    str path;     // decoded: "" or "/a/b"; a '/' inside a segment was %2F
    bool v1;      // began with /v1
    bool slashes; // has a segment with a decoded '/'
    size_t first; // length of "/" and the first segment
};

/* Decodes and joins the segments of `raw`, leading ones that are "v1" left out. */
static enum err clean(struct arena *a, str raw, struct cleaned *ret, struct err_info *info)
{
    char *out = arena_alloc(a, raw.len + 1);
    if (out == NULL)
        return ERR_TOO_LARGE;
    struct cleaned c = {
        .path = {out, 0}
    };
    str segment;
    while (next_segment(&raw, &segment)) {
        str text = segment;
        enum err e = ERR_OK;
        if (str_find_char(segment, '%') < segment.len)
            e = url_decode(a, segment, false, &text);
        if (e == ERR_TOO_LARGE)
            return e;
        if (e != ERR_OK)
            return err_set(info, e, "the path holds an escape that is not allowed");
        if (has_dots(text))
            return err_set(info, ERR_SYNTAX, "the path holds '.' or '..' as a segment");
        if (c.path.len == 0 && str_eq(text, STR("v1"))) {
            c.v1 = true;
            continue;
        }
        c.slashes |= str_find_char(text, '/') < text.len;
        // A decoded segment is never longer than what was written.
        out[c.path.len++] = '/';
        memcpy(out + c.path.len, text.p, text.len);
        c.path.len += text.len;
        if (c.first == 0)
            c.first = c.path.len;
    }
    *ret = c;
    return ERR_OK;
}

static enum route find_route(const struct cleaned *c)
{
    for (size_t i = 0; i < COUNT_OF(PATHS); i++) {
        const struct path_row *row = &PATHS[i];
        if (str_eq(row->path, c->path) && (c->v1 ? row->with_v1 : row->without_v1))
            return row->route;
    }
    str first = str_head(c->path, c->first);
    if (str_eq(first, STR("/models")) && c->path.len > first.len)
        return ROUTE_MODEL;
    return str_eq(first, STR("/admin")) && !c->v1 ? ROUTE_ADMIN : ROUTE_UNKNOWN;
}

/* Whether `raw` is, as most are, letter for letter the path of a row behind /v1. */
static bool is_as_documented(str raw, struct target *ret)
{
    if (!str_starts(raw, STR("/v1/")))
        return false;
    str path = str_skip(raw, 3);
    for (size_t i = 0; i < COUNT_OF(PATHS); i++) {
        if (PATHS[i].with_v1 && str_eq(PATHS[i].path, path)) {
            *ret = (struct target){.route = PATHS[i].route, .path = PATHS[i].path};
            return true;
        }
    }
    return false;
}

enum err target_parse(struct arena *a, str raw, struct target *ret, struct err_info *info)
{
    if (is_as_documented(raw, ret))
        return ERR_OK;
    struct cleaned c = {0};
    enum err e = clean(a, raw_path(raw), &c, info);
    if (e == ERR_TOO_LARGE)
        return err_set(info, e, "the path is too long");
    if (e != ERR_OK)
        return e;
    struct target t = {.route = find_route(&c), .path = c.path};
    if (t.route == ROUTE_MODEL)
        t.id = str_skip(c.path, c.first + 1);
    else if (c.slashes)
        return err_set(info, ERR_SYNTAX, "the path holds %%2F outside a model's id");
    if (t.path.len == 0)
        t.path = STR("/");
    *ret = t;
    return ERR_OK;
}
