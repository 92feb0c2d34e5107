#include "core/key_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/xalloc.h"

#define STEP_KEYS 256 // looked at under the pool's mutex in one go

/* ---- which ---- */

/* A base URL is shown with /api behind ollama.com: both forms mean the same host. */
static bool is_host(str wanted, str base_url)
{
    if (str_eq(wanted, base_url))
        return true;
    return str_ends(wanted, STR("/api")) && str_eq(str_head(wanted, wanted.len - 4), base_url);
}

static bool filter_matches(const struct key_filter *f, const struct key_view *key)
{
    char mask[KEYPOOL_MASK_BYTES];
    if (f->states != 0 && (f->states & 1U << key->state) == 0)
        return false;
    if (f->host.len > 0 && !is_host(f->host, key->base_url))
        return false;
    return f->text.len == 0 || str_icontains(key->name, f->text) ||
           str_icontains(key->base_url, f->text) || str_icontains(key->life.account, f->text) ||
           str_icontains(key->life.last_error, f->text) ||
           str_icontains(key_mask(key->secret, mask), f->text);
}

/* ---- in which order ---- */

/* One key with what it is sorted by: a number, or a text in the list's buffer. */
struct item {
    uint64_t id;
    uint64_t number;
    size_t text_at;
    size_t text_len;
};

struct list {
    const struct key_filter *filter;
    struct key_order order;
    struct item *items;
    size_t n;
    size_t cap;
    struct buf texts;
};

static uint64_t number_of(const struct key_view *key, enum key_field field)
{
    switch (field) {
    case KEY_BY_ADDED:
        return (uint64_t)key->added_ms;
    case KEY_BY_STATUS:
        return key->state;
    case KEY_BY_REQUESTS:
        return key->life.requests;
    case KEY_BY_FAILED:
        return key->life.failures;
    case KEY_BY_TOKENS:
        return key->life.tokens;
    case KEY_BY_USED:
        return (uint64_t)key->life.last_used_ms;
    case KEY_BY_UNTIL:
        return (uint64_t)key->until_ms;
    case KEY_BY_NAME:
    case KEY_BY_HOST:
        break;
    }
    return 0;
}

static void on_key(void *arg, const struct key_view *key)
{
    struct list *l = arg;
    if (!filter_matches(l->filter, key))
        return;
    if (l->n == l->cap) {
        l->cap = l->cap > 0 ? 2 * l->cap : 1024;
        l->items = xrealloc(l->items, l->cap * sizeof(*l->items));
    }
    str text = STR("");
    if (l->order.field == KEY_BY_NAME)
        text = key->name;
    else if (l->order.field == KEY_BY_HOST)
        text = key->base_url;
    l->items[l->n++] = (struct item){.id = key->id,
                                     .number = number_of(key, l->order.field),
                                     .text_at = l->texts.len,
                                     .text_len = text.len};
    buf_append(&l->texts, text);
}

static int compare_texts(str a, str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int difference = n > 0 ? memcmp(a.p, b.p, n) : 0;
    if (difference != 0)
        return difference;
    return (a.len > b.len) - (a.len < b.len);
}

static str text_of(const struct list *l, const struct item *item)
{
    return str_of(l->texts.p + item->text_at, item->text_len);
}

static int compare(const void *left, const void *right, void *arg)
{
    const struct list *l = arg;
    const struct item *a = left;
    const struct item *b = right;
    int difference = (a->number > b->number) - (a->number < b->number);
    if (difference == 0 && (a->text_len > 0 || b->text_len > 0))
        difference = compare_texts(text_of(l, a), text_of(l, b));
    bool descending = l->order.descending;
    if (difference == 0) {
        difference = (a->id > b->id) - (a->id < b->id);
        descending &= l->order.field == KEY_BY_ADDED; // ids rise with that time
    }
    return descending ? -difference : difference;
}

void key_list_collect(struct keypool *p, const struct key_filter *filter,
                      const struct key_order *order, uint64_t now_ms, struct key_ids *ret)
{
    struct list l = {.filter = filter, .order = *order};
    buf_init(&l.texts, SIZE_MAX / 2); // as much as the names of the pool are
    for (uint32_t at = 0; at != KEYPOOL_END;)
        at = keypool_walk(p, at, STEP_KEYS, now_ms, on_key, &l);
    if (l.n > 0)
        qsort_r(l.items, l.n, sizeof(*l.items), compare, &l);

    uint64_t *ids = xcalloc(l.n > 0 ? l.n : 1, sizeof(*ids));
    for (size_t i = 0; i < l.n; i++)
        ids[i] = l.items[i].id;
    free(l.items);
    buf_release(&l.texts);
    *ret = (struct key_ids){.items = ids, .n = l.n};
}

void key_ids_release(struct key_ids *ids)
{
    free(ids->items);
    *ids = (struct key_ids){0};
}
