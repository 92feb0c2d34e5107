/*
 * http1_property - what must hold for any bytes an HTTP/1.1 parser is fed
 *
 * The input read whole and the input read in pieces give the same events and the same verdict.
 * Bodies lie inside the slice that was fed, nothing is reported behind a fault, and a head that
 * is reported keeps the promises of net/http1.h.
 */
#ifndef FUZZ_HTTP1_PROPERTY_H
#define FUZZ_HTTP1_PROPERTY_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "net/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct transcript {
    struct http1 *h;
    struct buf events;
    str slice; // being fed
    bool eof_sound;
};

static void check_text(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        assert((c >= ' ' || c == '\t') && c != 0x7F);
    }
}

static void check_fields(const struct http1_message *m, enum http1_kind kind)
{
    unsigned hosts = 0, lengths = 0, encodings = 0;
    for (size_t i = 0; i < m->n_fields; i++) {
        str name = m->fields[i].name;
        assert(name.len > 0);
        check_text(name);
        check_text(m->fields[i].value);
        assert(str_find_char(name, ' ') == name.len && str_find_char(name, ':') == name.len);
        hosts += str_ieq(name, STR("Host"));
        lengths += str_ieq(name, STR("Content-Length"));
        encodings += str_ieq(name, STR("Transfer-Encoding"));
    }
    assert(lengths == m->has_length && encodings == m->chunked && !(lengths && encodings));
    assert(!m->chunked || !m->http10);
    if (kind == HTTP1_RESPONSE)
        return;
    assert(hosts == 1 || (hosts == 0 && m->http10));
    assert(m->n_fields <= HTTP1_FIELDS);
    assert(m->target.len > 0 && m->target.p[0] == '/' && m->target.len <= HTTP1_LINE_BYTES);
    assert(!str_icontains(m->target, STR("%00")));
    str path = str_head(m->target, str_find_char(m->target, '?'));
    assert(!str_contains(path, STR("/../")) && !str_ends(path, STR("/..")));
}

static int take_head(void *arg, const struct http1_message *m)
{
    struct transcript *t = arg;
    assert(t->h->fault == 0 && !t->h->complete);
    check_fields(m, t->h->kind);
    buf_printf(&t->events, "[%d %.*s %d %d%d%d%d%d %llu", (int)m->method, STR_ARG(m->target),
               m->status, m->http10, m->keep_alive, m->chunked, m->has_length, m->expects_continue,
               (unsigned long long)m->length_bytes);
    for (size_t i = 0; i < m->n_fields; i++)
        buf_printf(&t->events, "|%.*s=%.*s", STR_ARG(m->fields[i].name),
                   STR_ARG(m->fields[i].value));
    buf_append_char(&t->events, ']');
    return 0;
}

static int take_body(void *arg, str data)
{
    struct transcript *t = arg;
    assert(t->h->fault == 0 && !t->h->complete);
    assert(data.p >= t->slice.p && data.p + data.len <= t->slice.p + t->slice.len);
    buf_append(&t->events, data);
    return 0;
}

static void take_complete(void *arg)
{
    struct transcript *t = arg;
    assert(t->h->fault == 0 && t->h->complete);
    buf_append_char(&t->events, '$');
}

/* Reads `data` in pieces whose sizes go through `sizes`, over and over. */
static void read_in_pieces(struct http1 *h, struct transcript *t, enum http1_kind kind, str data,
                           str sizes)
{
    static const struct http1_events EVENTS = {take_head, take_body, take_complete};
    *t = (struct transcript){.h = h};
    buf_init(&t->events, (size_t)1 << 30);
    http1_init(h, kind, &EVENTS, t);
    for (size_t i = 0; data.len > 0 && h->fault == 0; i++) {
        size_t n = sizes.len > 0 ? (unsigned char)sizes.p[i % sizes.len] % 64 + 1u : data.len;
        // A copy of its own, so that a look outside of the piece is seen by ASan.
        str piece = str_head(data, n);
        char *copy = malloc(piece.len);
        assert(copy != NULL);
        memcpy(copy, piece.p, piece.len);
        t->slice = str_of(copy, piece.len);
        size_t taken = http1_feed(h, t->slice);
        assert(taken <= piece.len);
        assert(taken == piece.len || h->complete || h->fault != 0);
        if (h->complete && h->fault == 0)
            http1_next(h);
        data = str_skip(data, taken);
        free(copy);
    }
    if (h->fault != 0) {
        size_t events = t->events.len;
        assert(http1_feed(h, STR("GET / HTTP/1.1\r\nHost: h\r\n\r\n")) == 0);
        assert(t->events.len == events && h->why != NULL);
    }
    t->eof_sound = http1_feed_eof(h);
}

/* The first byte says how many of the next ones are the sizes of pieces. */
static void check_http1(enum http1_kind kind, const uint8_t *data, size_t size)
{
    if (size == 0)
        return;
    str rest = str_of((const char *)data + 1, size - 1);
    str sizes = str_head(rest, data[0] % 8 + 1u);
    rest = str_skip(rest, sizes.len);

    struct http1 whole, cut;
    struct transcript a, b;
    read_in_pieces(&whole, &a, kind, rest, (str){0});
    read_in_pieces(&cut, &b, kind, rest, sizes);
    assert(whole.fault == cut.fault);
    assert(a.eof_sound == b.eof_sound);
    assert(str_eq(buf_str(&a.events), buf_str(&b.events)));
    http1_release(&whole);
    http1_release(&cut);
    buf_release(&a.events);
    buf_release(&b.events);
}

#endif
