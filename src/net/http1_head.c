#include "net/http1_head.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/xalloc.h"

static size_t align_field(size_t n)
{
    return (n + _Alignof(struct http1_field) - 1) & ~(_Alignof(struct http1_field) - 1);
}

/* Moves the head, if there is one, to where its text has `cap` bytes. */
static struct http1_head_store *grow_store(struct http1 *h, size_t cap)
{
    struct http1_head_store *old = h->head;
    size_t size = sizeof(*old) + cap;
    struct http1_head_store *store = h->pool != NULL ? pool_take(h->pool, size) : xmalloc(size);
    *store = old != NULL ? *old : (struct http1_head_store){0};
    if (old != NULL)
        memcpy(store->text, old->text, old->len);
    store->cap = cap;
    http1_drop_head(h);
    h->head = store;
    return store;
}

void http1_head_add(struct http1 *h, str s, bool whole)
{
    struct http1_head_store *store = h->head;
    size_t len = store != NULL ? store->len : 0;
    size_t need = len + s.len;
    if (whole)
        need = align_field(need) + h->n_lines * sizeof(struct http1_field);
    else
        need = need < 512 ? 1024 : 2 * need;
    if (store == NULL || store->cap < need)
        store = grow_store(h, need);
    if (s.len > 0)
        memcpy(store->text + store->len, s.p, s.len);
    store->len += s.len;
}

/* The line at `*at`, without its end; the scan has left CRs in the ends of lines alone. */
static str take_line(const char **at, const char *end)
{
    const char *line = *at;
    const char *cr = memchr(line, '\r', (size_t)(end - line));
    assert(cr != NULL);
    *at = cr + 2;
    return str_of(line, (size_t)(cr - line));
}

/* The request target: what stands between the first and the last space. */
static str target_of(str line)
{
    size_t from = str_find_char(line, ' ') + 1;
    size_t to = line.len;
    while (to > from && line.p[to - 1] != ' ')
        to--;
    return to > from ? str_of(line.p + from, to - 1 - from) : (str){0};
}

static str trimmed(str value)
{
    bool blank = value.len > 0 && (value.p[0] <= ' ' || value.p[value.len - 1] <= ' ');
    return blank ? str_trim(value) : value;
}

void http1_head_cut(struct http1 *h)
{
    struct http1_head_store *store = h->head;
    assert(store != NULL);
    struct http1_message *m = &store->message;
    struct http1_field *fields = (void *)(store->text + align_field(store->len));
    const char *at = store->text, *end = store->text + store->len;
    str line = take_line(&at, end);
    if (h->kind == HTTP1_REQUEST)
        m->target = target_of(line);
    m->fields = fields;
    for (line = take_line(&at, end); line.len > 0; line = take_line(&at, end)) {
        size_t colon = str_find_char(line, ':');
        str value = str_skip(line, colon + 1);
        if (value.len > 0 && value.p[0] == ' ')
            value = str_skip(value, 1); // most often that is all there is to trim
        m->name_lengths |= http1_length_bit(colon);
        fields[m->n_fields++] = (struct http1_field){str_head(line, colon), trimmed(value)};
    }
}

void http1_head_blank_tabs(struct http1_head_store *store, size_t from)
{
    const char *line_end = memchr(store->text, '\n', store->len);
    if (line_end == NULL)
        return;
    char *end = store->text + store->len;
    char *at = memchr(store->text + from, '\t', store->len - from);
    while (at != NULL) {
        if (at > line_end)
            *at = ' ';
        at = memchr(at + 1, '\t', (size_t)(end - at - 1));
    }
}

void http1_head_take(struct http1 *h, str data, const struct http1_quick_head *q)
{
    h->n_lines = (uint32_t)q->message.n_fields; // for the room
    http1_head_add(h, str_head(data, q->len), true);
    struct http1_head_store *store = h->head;
    struct http1_field *fields = (void *)(store->text + align_field(store->len));
    store->message = q->message;
    store->message.fields = fields;
    if (h->kind == HTTP1_REQUEST)
        store->message.target.p = store->text + (q->message.target.p - data.p);
    for (size_t i = 0; i < q->message.n_fields; i++) {
        const struct http1_field *f = &q->fields[i];
        fields[i].name = str_of(store->text + (f->name.p - data.p), f->name.len);
        fields[i].value = str_of(store->text + (f->value.p - data.p), f->value.len);
    }
    store->whole = true;
}

void http1_drop_head(struct http1 *h)
{
    if (h->head != NULL && h->pool != NULL)
        pool_give(h->pool, h->head, sizeof(*h->head) + h->head->cap);
    else
        free(h->head);
    h->head = NULL;
}
