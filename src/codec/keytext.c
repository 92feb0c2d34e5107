#include "codec/keytext.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    URL_ARENA_BYTES = 16384, // of the longest URL, its parts and its canonical form
    SHOWN_INPUT_BYTES = 64,
};

/* ---- parts of a piece ---- */

static bool is_path_key_char(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || ascii_is_digit(c) || c == '_' || c == '.' || c == '-';
}

/* The bytes of a key at the end of `url`'s path; 0: there is none, or the host begins there. */
static size_t path_key_length(str url)
{
    size_t n = 0;
    while (n < url.len && is_path_key_char(url.p[url.len - 1 - n]))
        n++;
    if (n < KEYTEXT_PATH_KEY_MIN || n == url.len || url.p[url.len - 1 - n] != '/')
        return 0;
    bool is_host = str_ends(str_head(url, url.len - n), STR("://"));
    return is_host ? 0 : n;
}

const char *keytext_key_fault(str key)
{
    if (key.len == 0)
        return "is empty";
    if (key.len > KEYTEXT_KEY_MAX)
        return "is longer than 512 bytes";
    if (str_contains(key, STR("://")))
        return "is a URL";
    for (size_t i = 0; i < key.len; i++) {
        unsigned char c = (unsigned char)key.p[i];
        if (c == ' ')
            return "holds a blank";
        if (c < ' ' || c == 0x7F)
            return "holds a control character";
        if (c > 0x7F)
            return "holds a byte that is not ASCII";
        if (c == '|' || c == ',' || c == ';')
            return "holds '|', ',' or ';'";
    }
    return NULL;
}

struct parts {
    str url; // empty: the default
    str key; // empty: none is written there
    bool keyless;
};

/* NULL, or what is wrong with the form. */
static const char *split_at_bar(str input, struct parts *ret)
{
    str left;
    str right;
    (void)str_cut(input, '|', &left, &right);
    left = str_trim(left);
    right = str_trim(right);
    if (str_find_char(right, '|') < right.len)
        return "more than one '|'";
    bool url_left = str_contains(left, STR("://"));
    bool url_right = str_contains(right, STR("://"));
    if (url_left == url_right)
        return url_left ? "a URL on both sides of '|'" : "no URL on either side of '|'";
    *ret = url_left ? (struct parts){.url = left, .key = right}
                    : (struct parts){.url = right, .key = left};
    return NULL;
}

static const char *split(str input, struct parts *ret)
{
    *ret = (struct parts){.key = input};
    if (str_find_char(input, '|') < input.len)
        return split_at_bar(input, ret);
    if (!str_contains(input, STR("://")))
        return NULL;

    size_t hash = str_find_char(input, '#');
    size_t n = path_key_length(input);
    if (hash < input.len)
        *ret = (struct parts){.url = str_head(input, hash), .key = str_skip(input, hash + 1)};
    else if (n > 0)
        *ret = (struct parts){.url = str_head(input, input.len - n - 1),
                              .key = str_skip(input, input.len - n)};
    else
        *ret = (struct parts){.url = input, .keyless = true};
    return NULL;
}

/* ---- base URLs ---- */

static str canonical(struct arena *a, const struct url *u)
{
    str scheme = u->tls ? STR("https://") : STR("http://");
    size_t len = scheme.len + u->authority.len + u->path.len;
    char *p = arena_alloc(a, len);
    if (p == NULL)
        return (str){0};
    memcpy(p, scheme.p, scheme.len);
    memcpy(p + scheme.len, u->authority.p, u->authority.len);
    if (u->path.len > 0)
        memcpy(p + scheme.len + u->authority.len, u->path.p, u->path.len);
    return str_of(p, len);
}

enum err keytext_base_url(struct arena *a, str text, const struct keytext_options *options,
                          str *ret, struct err_info *info)
{
    struct arena scratch;
    struct url u;
    arena_init(&scratch, URL_ARENA_BYTES);
    enum err e = url_parse(&scratch, text, &u, info);
    if (e == ERR_OK &&
        (str_find_char(u.path, ',') < u.path.len || str_find_char(u.path, ';') < u.path.len))
        e = err_set(info, ERR_SYNTAX, "path holds ',' or ';'"); // no line could say it
    if (e == ERR_OK) {
        const char *refusal =
            options->check != NULL ? options->check(options->check_arg, &u) : NULL;
        if (refusal != NULL)
            e = err_set(info, ERR_SYNTAX, "upstreams may not be at '%.*s': %s",
                        STR_ARG(str_head(u.host, SHOWN_INPUT_BYTES)), refusal);
    }
    if (e == ERR_OK) {
        url_cut_api(&u);
        str url = canonical(a, &u);
        if (url.p == NULL)
            e = err_set(info, ERR_TOO_LARGE, "too many different URLs");
        else
            *ret = url;
    }
    arena_release(&scratch);
    return e;
}

enum err keytext_walk_url(struct keytext *t, str text, str *ret, struct err_info *info)
{
    size_t slot = (size_t)(str_hash(text) % KEYTEXT_CACHE);
    if (t->cache[slot].base_url.len > 0 && str_eq(t->cache[slot].text, text)) {
        *ret = t->cache[slot].base_url;
        return ERR_OK;
    }
    enum err e = keytext_base_url(t->arena, text, &t->options, ret, info);
    str copy = e == ERR_OK ? arena_copy(t->arena, text) : (str){0};
    if (copy.len > 0) {
        t->cache[slot].text = copy;
        t->cache[slot].base_url = *ret;
    }
    return e;
}

/* ---- the walk ---- */

void keytext_init(struct keytext *t, struct arena *a, str text,
                  const struct keytext_options *options)
{
    *t = (struct keytext){.rest = text, .line = 1, .arena = a, .options = *options};
    if (str_starts(t->rest, STR("\xEF\xBB\xBF"))) // editors on Windows begin files so
        t->rest = str_skip(t->rest, 3);
}

static size_t piece_length(str s)
{
    size_t n = 0;
    while (n < s.len && s.p[n] != '\n' && s.p[n] != ',' && s.p[n] != ';')
        n++;
    return n;
}

/* The next piece that is neither empty nor a comment. */
static bool next_piece(struct keytext *t, struct keytext_item *ret)
{
    while (t->rest.len > 0) {
        size_t n = piece_length(t->rest);
        size_t line = t->line;
        str piece = str_trim_ws(str_head(t->rest, n));
        if (n < t->rest.len && t->rest.p[n] == '\n')
            t->line++;
        t->rest = str_skip(t->rest, n + 1);
        if (piece.len > 0 && piece.p[0] != '#') {
            *ret = (struct keytext_item){.line = line, .input = piece};
            return true;
        }
    }
    return false;
}

static enum keytext_got fault(struct keytext *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

static enum keytext_got fault(struct keytext *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(t->fault, sizeof(t->fault), fmt, args);
    va_end(args);
    return KEYTEXT_FAULT;
}

enum keytext_got keytext_next(struct keytext *t, struct keytext_item *ret)
{
    struct keytext_item item;
    struct parts parts;
    struct err_info info;
    if (!next_piece(t, &item))
        return KEYTEXT_END;
    *ret = item;

    const char *wrong = split(item.input, &parts);
    if (wrong != NULL)
        return fault(t, "%s", wrong);
    wrong = parts.keyless ? NULL : keytext_key_fault(parts.key);
    if (wrong != NULL)
        return fault(t, "the key %s", wrong);
    str url = parts.url.len > 0 ? parts.url : t->options.default_url;
    if (url.len == 0)
        return fault(t, "no URL, and there is no default for it");
    enum err e = keytext_walk_url(t, url, &item.base_url, &info);
    if (e == ERR_TOO_LARGE) {
        t->rest = (str){0};
        return KEYTEXT_NO_MEMORY;
    }
    if (e != ERR_OK)
        return fault(t, "%s", info.text);
    item.key = parts.keyless ? (str){0} : parts.key;
    *ret = item;
    return KEYTEXT_KEY;
}

enum err keytext_one(struct arena *a, str text, const struct keytext_options *options,
                     struct keytext_item *ret, struct err_info *info)
{
    struct keytext t;
    struct keytext_item item;
    struct keytext_item second;
    keytext_init(&t, a, text, options);
    switch (keytext_next(&t, &item)) {
    case KEYTEXT_KEY:
        break;
    case KEYTEXT_END:
        return err_set(info, ERR_SYNTAX, "there is no key");
    case KEYTEXT_FAULT:
        return err_set(info, ERR_SYNTAX, "%s", t.fault);
    case KEYTEXT_NO_MEMORY:
        return err_set(info, ERR_TOO_LARGE, "out of memory for the URL");
    }
    if (keytext_next(&t, &second) != KEYTEXT_END)
        return err_set(info, ERR_SYNTAX, "there is more than one key");
    *ret = item;
    return ERR_OK;
}

/* ---- writing ---- */

static str host_of(str base_url)
{
    str authority = str_skip(base_url, str_find(base_url, STR("://")) + 3);
    size_t n = 0;
    while (n < authority.len && authority.p[n] != '/' && authority.p[n] != ':')
        n++;
    return str_head(authority, n);
}

void keytext_put_shown_url(struct buf *out, str base_url)
{
    buf_append(out, base_url);
    if (str_eq(host_of(base_url), STR("ollama.com")))
        buf_append(out, STR("/api"));
}

void keytext_put_line(struct buf *out, str base_url, str key)
{
    buf_append(out, base_url);
    // Of a path that ends so by itself the reader would cut it off.
    if (str_ends(base_url, STR("/api")) || str_ends(base_url, STR("/v1")))
        buf_append(out, STR("/api"));
    if (key.len > 0) {
        buf_append_char(out, '|');
        buf_append(out, key);
    } else if (path_key_length(base_url) > 0) {
        buf_append_char(out, '/'); // or the reader would take the end of the path for a key
    }
    buf_append_char(out, '\n');
}
