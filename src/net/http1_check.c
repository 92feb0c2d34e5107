#include "net/http1_check.h"

static const struct http1_fault SOUND = {0, NULL};

static struct http1_fault fault(int status, const char *why)
{
    return (struct http1_fault){status, why};
}

/* What was found while the fields were read. */
struct tally {
    unsigned n_hosts;
    unsigned n_lengths;
    unsigned n_encodings;
    str host;
    str length;
    str encoding;
    bool odd_expect;
};

static bool is_alnum(char c)
{
    c = ascii_lower(c);
    return (c >= 'a' && c <= 'z') || ascii_is_digit(c);
}

bool http1_is_authority(str s)
{
    size_t i = 0;
    if (s.len > 0 && s.p[0] == '[') {
        i = 1;
        while (i < s.len && (hex_value(s.p[i]) >= 0 || s.p[i] == ':' || s.p[i] == '.'))
            i++;
        if (i < 4 || i == s.len || s.p[i] != ']')
            return false;
        i++;
    } else {
        while (i < s.len && (is_alnum(s.p[i]) || s.p[i] == '-' || s.p[i] == '.' || s.p[i] == '_'))
            i++;
        if (i == 0)
            return false;
    }
    if (i == s.len)
        return true;
    if (s.p[i] != ':')
        return false;
    str port = str_skip(s, i + 1);
    if (port.len > 5)
        return false;
    for (i = 0; i < port.len; i++) {
        if (!ascii_is_digit(port.p[i]))
            return false;
    }
    return true;
}

static struct tally tally_fields(const struct http1_message *m)
{
    struct tally t = {0};
    for (size_t i = 0; i < m->n_fields; i++) {
        str name = m->fields[i].name, value = m->fields[i].value;
        switch (name.len) { // spares most fields a comparison
        case 4:
            if (str_ieq(name, STR("Host"))) {
                t.n_hosts++;
                t.host = value;
            }
            break;
        case 6:
            if (str_ieq(name, STR("Expect")))
                t.odd_expect |= !str_ieq(value, STR("100-continue"));
            break;
        case 14:
            if (str_ieq(name, STR("Content-Length"))) {
                t.n_lengths++;
                t.length = value;
            }
            break;
        case 17:
            if (str_ieq(name, STR("Transfer-Encoding"))) {
                t.n_encodings++;
                t.encoding = value;
            }
            break;
        default:
            break;
        }
    }
    return t;
}

static struct http1_fault check_framing(struct http1_message *m, const struct tally *t)
{
    if (t->n_encodings > 0) {
        if (m->http10)
            return fault(400, "Transfer-Encoding is not part of HTTP/1.0");
        if (t->n_lengths > 0)
            return fault(400, "both Transfer-Encoding and Content-Length are given");
        if (t->n_encodings > 1 || str_find_char(t->encoding, ',') < t->encoding.len)
            return fault(400, "more than one transfer coding is given");
        if (!str_ieq(t->encoding, STR("chunked")))
            return fault(501, "the only transfer coding that is understood is chunked");
        m->chunked = true;
    }
    if (t->n_lengths > 1)
        return fault(400, "Content-Length is given more than once");
    if (t->n_lengths == 1) {
        if (!str_to_u64(t->length, &m->length_bytes))
            return fault(400, "Content-Length is not a number");
        m->has_length = true;
    }
    return SOUND;
}

static struct http1_fault check_host(const struct tally *t)
{
    if (t->n_hosts > 1)
        return fault(400, "Host is given more than once");
    if (t->n_hosts == 0)
        return fault(400, "Host is missing"); // of 1.0 callers too, though RFC 9112 lets them
    if (!http1_is_authority(t->host))
        return fault(400, "Host is not a host name with an optional port");
    return SOUND;
}

struct http1_fault http1_check_fields(struct http1_message *m, enum http1_kind kind)
{
    struct tally t = tally_fields(m);
    struct http1_fault f = check_framing(m, &t);
    if (f.status != 0 || kind == HTTP1_RESPONSE)
        return f;
    f = check_host(&t);
    if (f.status != 0)
        return f;
    // Some servers take a HEAD's body for the next request.
    if (m->method == HTTP1_HEAD && (m->chunked || m->length_bytes > 0))
        return fault(400, "a HEAD request has a body");
    // RFC 9110 section 10.1.1: a 1.0 caller's Expect is ignored.
    if (t.odd_expect && !m->http10)
        return fault(417, "the only expectation that is understood is 100-continue");
    m->expects_continue = !m->http10 && http1_find(m, STR("Expect")).p != NULL;
    return SOUND;
}

/* Cuts "http://authority/path" to "/path". */
static struct http1_fault cut_absolute(struct http1_message *m)
{
    str rest = m->target;
    if (str_istarts(rest, STR("http://")))
        rest = str_skip(rest, 7);
    else if (str_istarts(rest, STR("https://")))
        rest = str_skip(rest, 8);
    else
        return fault(400, "the request target is neither a path nor an http URL");

    size_t end = 0;
    while (end < rest.len && rest.p[end] != '/' && rest.p[end] != '?')
        end++;
    if (end == 0 || !str_ieq(str_head(rest, end), http1_find(m, STR("Host"))))
        return fault(400, "the authority of the request target is not that of Host");
    m->target = str_skip(rest, end);
    if (m->target.len == 0)
        m->target = STR("/");
    if (m->target.p[0] == '?') {
        // The byte in front is the authority's last one, in the head's own memory.
        m->target = str_of(m->target.p - 1, m->target.len + 1);
        *(char *)m->target.p = '/';
    }
    return SOUND;
}

/* The byte that "%XY" at `i` stands for, or -1 when it is not an escape. */
static int escaped_byte(str s, size_t i)
{
    if (s.len - i < 3)
        return -1;
    int high = hex_value(s.p[i + 1]), low = hex_value(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/*
 * Walks the path byte by byte, as it reads once decoded, and refuses what could mean another path
 * to somebody else: dot segments, a backslash, control characters.
 */
static struct http1_fault check_path(str path)
{
    size_t dots = 0; // the segment so far is so many dots; 3: it is something else
    for (size_t i = 0; i < path.len; i++) {
        int c = (unsigned char)path.p[i];
        if (c == '%') {
            c = escaped_byte(path, i);
            if (c < 0)
                return fault(400, "the request target holds a broken escape");
            i += 2;
        }
        if (c < 0x20 || c == 0x7F)
            return fault(400, "the request target holds an escaped control character");
        if (c == '\\')
            return fault(400, "the request target holds a backslash");
        if (c == '/' && (dots == 1 || dots == 2))
            return fault(400, "the request target holds '.' or '..' as a segment");
        if (c == '/')
            dots = 0;
        else
            dots = c == '.' && dots < 3 ? dots + 1 : 3;
    }
    if (dots == 1 || dots == 2)
        return fault(400, "the request target holds '.' or '..' as a segment");
    return SOUND;
}

// clang-format off
/* Bytes of a path that mean nothing but themselves. */
static const bool PLAIN_IN_PATH[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true,
    ['/'] = true, ['-'] = true, ['_'] = true,
};
// clang-format on

/* Whether the target is one of those that need no closer look. */
static bool is_plain_path(str target)
{
    if (target.len == 0 || target.p[0] != '/')
        return false;
    for (size_t i = 0; i < target.len; i++) {
        if (!PLAIN_IN_PATH[(unsigned char)target.p[i]])
            return false;
    }
    return true;
}

struct http1_fault http1_check_target(struct http1_message *m)
{
    if (is_plain_path(m->target))
        return SOUND;
    for (size_t i = 0; i < m->target.len; i++) {
        unsigned char c = (unsigned char)m->target.p[i];
        if (c <= ' ' || c >= 0x7F)
            return fault(400, "the request target holds a blank, control or non-ASCII byte");
        if (c == '#')
            return fault(400, "the request target holds a fragment");
    }
    if (str_contains(m->target, STR("%00")))
        return fault(400, "the request target holds an escaped control character");
    if (m->target.len == 0 || m->target.p[0] != '/') {
        struct http1_fault f = cut_absolute(m);
        if (f.status != 0)
            return f;
    }
    return check_path(str_head(m->target, str_find_char(m->target, '?')));
}
