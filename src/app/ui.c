#include "app/ui.h"

#include <assert.h>

// The page writes text as text nodes alone, so nothing may ever become a script: no inline script
// or style, no markup from a string (Trusted Types without a policy), no other host, no frame.
#define CSP                                                                                        \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "                    \
    "connect-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "                 \
    "frame-ancestors 'none'; require-trusted-types-for 'script'"

const struct http1_field UI_SECURITY_FIELDS[] = {
    {STR_C("Content-Security-Policy"),    STR_C(CSP)          },
    {STR_C("X-Content-Type-Options"),     STR_C("nosniff")    },
    {STR_C("Cross-Origin-Opener-Policy"), STR_C("same-origin")},
    {STR_C("Referrer-Policy"),            STR_C("no-referrer")},
    {STR_C("X-Frame-Options"),            STR_C("DENY")       },
};
const size_t UI_SECURITY_COUNT = COUNT_OF(UI_SECURITY_FIELDS);

const struct http1_field UI_TLS_FIELD = {STR_C("Strict-Transport-Security"),
                                         STR_C("max-age=31536000")};

#define PAGE   STR("/admin")
#define ASSETS STR("/admin/assets/")

/* The first segments of the page's own places; its script knows what may follow. */
static const str PLACES[] = {STR_C("keys"), STR_C("log"), STR_C("chat"), STR_C("settings")};

static bool is_place(str path)
{
    if (str_eq(path, PAGE))
        return true;
    if (!str_starts(path, STR("/admin/")))
        return false;
    str first = str_skip(path, PAGE.len + 1);
    first = str_head(first, str_find_char(first, '/'));
    for (size_t i = 0; i < COUNT_OF(PLACES); i++) {
        if (str_eq(first, PLACES[i]))
            return true;
    }
    return false;
}

static const struct ui_file *find_file(str path)
{
    if (is_place(path))
        path = PAGE;
    else if (!str_starts(path, ASSETS))
        return NULL;
    for (size_t i = 0; i < UI_FILES_COUNT; i++) {
        if (str_eq(str_z(UI_FILES[i].path), path))
            return &UI_FILES[i];
    }
    return NULL;
}

/* Whether a weight is zero: "0", "0.", "0.000". */
static bool is_zero(str q)
{
    if (q.len == 0 || q.p[0] != '0')
        return false;
    for (size_t i = 1; i < q.len; i++) {
        if (q.p[i] != '.' && q.p[i] != '0')
            return false;
    }
    return true;
}

/* Whether Accept-Encoding has gzip with a weight that is not zero (RFC 9110, 12.5.3). */
static bool takes_gzip(str accept)
{
    while (accept.len > 0) {
        str item;
        str weight;
        str_cut(accept, ',', &item, &accept);
        str_cut(item, ';', &item, &weight);
        if (!str_ieq(str_trim(item), STR("gzip")))
            continue;
        weight = str_trim(weight);
        return !(str_istarts(weight, STR("q=")) && is_zero(str_skip(weight, 2)));
    }
    return false;
}

/* Whether If-None-Match names the tag; weak comparison (RFC 9110, 13.1.2). */
static bool matches(str list, str etag)
{
    while (list.len > 0) {
        str item;
        str_cut(list, ',', &item, &list);
        item = str_trim(item);
        if (str_starts(item, STR("W/")))
            item = str_skip(item, 2);
        if (str_eq(item, etag) || str_eq(item, STR("*")))
            return true;
    }
    return false;
}

static void add(struct ui_answer *a, str name, str value)
{
    assert(a->n_fields < UI_FIELDS_MAX);
    a->fields[a->n_fields++] = (struct http1_field){name, value};
}

bool ui_find(str path, const struct ui_wish *wish, struct ui_answer *ret)
{
    const struct ui_file *file = find_file(path);
    if (file == NULL)
        return false;
    bool gzip = takes_gzip(wish->accept_encoding);
    *ret = (struct ui_answer){.status = 200};
    // The two forms are different bytes, so they have different tags.
    str etag = str_z(gzip ? file->gzip_tag : file->tag);

    add(ret, STR("ETag"), etag);
    add(ret, STR("Vary"), STR("Accept-Encoding"));
    add(ret, STR("Cache-Control"),
        file->hashed ? STR("public, max-age=31536000, immutable") : STR("no-cache"));
    for (size_t i = 0; i < UI_SECURITY_COUNT; i++)
        add(ret, UI_SECURITY_FIELDS[i].name, UI_SECURITY_FIELDS[i].value);
    if (matches(wish->if_none_match, etag)) {
        ret->status = 304;
        return true;
    }
    add(ret, STR("Content-Type"), str_z(file->type));
    if (gzip)
        add(ret, STR("Content-Encoding"), STR("gzip"));
    ret->body = gzip ? str_of((const char *)file->gzip, file->gzip_bytes)
                     : str_of((const char *)file->plain, file->plain_bytes);
    return true;
}

bool ui_reply(struct request *r, str path)
{
    const struct http1_message *m = exchange_message(r->x);
    struct ui_wish wish = {.accept_encoding = http1_find(m, STR("accept-encoding")),
                           .if_none_match = http1_find(m, STR("if-none-match"))};
    struct ui_answer answer;
    if (!ui_find(path, &wish, &answer))
        return false;
    add(&answer, STR("X-Request-Id"), r->id);
    if (exchange_is_tls(r->x))
        add(&answer, UI_TLS_FIELD.name, UI_TLS_FIELD.value);
    exchange_reply(r->x, answer.status, answer.fields, answer.n_fields, answer.body);
    return true;
}
