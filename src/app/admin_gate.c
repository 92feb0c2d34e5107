#include "app/admin_gate.h"

#include "core/auth.h"

bool gate_is_loopback_caller(const struct exchange *x)
{
    const struct http1_message *m = exchange_message(x);
    struct auth_loopback request = {.peer = exchange_peer_addr(x),
                                    .http11 = !m->http10,
                                    .host = http1_find(m, STR("host")),
                                    .origin = http1_find(m, STR("origin"))};
    for (size_t i = 0; i < m->n_fields; i++)
        request.forwarded |= auth_is_forwarding_field(m->fields[i].name);
    return auth_is_loopback_caller(&request);
}

/* The value of the cookie `name` in one Cookie header; empty: none. */
static str cookie_in(str header, str name)
{
    while (header.len > 0) {
        str pair;
        str_cut(header, ';', &pair, &header);
        str key;
        str value;
        if (str_cut(str_trim(pair), '=', &key, &value) && str_eq(key, name))
            return value;
    }
    return STR("");
}

str gate_cookie(const struct http1_message *m, bool encrypted)
{
    str name = encrypted ? STR("__Host-sid") : STR("sid");
    for (size_t i = 0; i < m->n_fields; i++) {
        if (!str_ieq(m->fields[i].name, STR("cookie")))
            continue;
        str value = cookie_in(m->fields[i].value, name);
        if (value.len > 0)
            return value;
    }
    return STR("");
}

bool gate_is_same_origin(const struct http1_message *m)
{
    str site = http1_find(m, STR("sec-fetch-site"));
    if (site.p != NULL)
        return str_eq(site, STR("same-origin")) || str_eq(site, STR("none"));
    // Old browsers send no Sec-Fetch-Site, and programs neither.
    str origin = http1_find(m, STR("origin"));
    if (origin.p == NULL)
        return true;
    size_t scheme = str_find(origin, STR("://"));
    return scheme < origin.len && str_ieq(str_skip(origin, scheme + 3), http1_find(m, STR("host")));
}

bool gate_is_json(const struct http1_message *m)
{
    str type = http1_find(m, STR("content-type"));
    return str_ieq(str_trim(str_head(type, str_find_char(type, ';'))), STR("application/json"));
}
