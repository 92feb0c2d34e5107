#include "codec/chat_history.h"

#include <stdlib.h>

#define BLANK_LINE STR("\n\n")

static bool is_result(const struct chat_message *m)
{
    return str_eq(m->role, STR("tool"));
}

static bool lacks_name(const struct chat_message *m)
{
    return is_result(m) && m->tool_name.len == 0 && m->tool_call_id.len > 0;
}

/* ---- names of results ---- */

/* One call with an id; sorted by id, then by how good its name is for a result further down. */
struct called {
    str id;
    str name;
    size_t message;
    size_t call;
};

static int compare_ids(str a, str b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len == 0 ? 0 : memcmp(a.p, b.p, a.len);
}

static int compare_called(const void *va, const void *vb)
{
    const struct called *a = va;
    const struct called *b = vb;
    int ids = compare_ids(a->id, b->id);
    if (ids != 0)
        return ids;
    if (a->message != b->message)
        return a->message < b->message ? -1 : 1;
    return a->call > b->call ? -1 : a->call < b->call;
}

struct call_index {
    struct called *list;
    size_t n;
};

static enum err index_calls(struct arena *a, const struct chat_message *messages, size_t n,
                            struct call_index *ret)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += messages[i].n_calls;
    ret->n = 0;
    ret->list = arena_new(a, struct called, total);
    if (ret->list == NULL)
        return ERR_TOO_LARGE;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < messages[i].n_calls; j++) {
            const struct chat_call *call = &messages[i].calls[j];
            if (call->id.len > 0)
                ret->list[ret->n++] = (struct called){call->id, call->name, i, j};
        }
    }
    if (ret->n > 1)
        qsort(ret->list, ret->n, sizeof(*ret->list), compare_called);
    return ERR_OK;
}

/* How many of the sorted calls come before a message, ids and all. */
static size_t count_before(const struct call_index *calls, str id, size_t message)
{
    size_t low = 0;
    size_t high = calls->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct called *c = &calls->list[middle];
        int ids = compare_ids(c->id, id);
        if (ids < 0 || (ids == 0 && c->message < message))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static str name_of_call(const struct call_index *calls, str id, size_t message)
{
    const size_t places[] = {message, SIZE_MAX};
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        size_t at = count_before(calls, id, places[i]);
        if (at > 0 && str_eq(calls->list[at - 1].id, id))
            return calls->list[at - 1].name;
    }
    return (str){0};
}

enum err chat_history_name_results(struct arena *a, struct chat_message *messages, size_t n)
{
    struct call_index calls = {0};
    size_t first = 0;
    while (first < n && !lacks_name(&messages[first]))
        first++;
    if (first == n)
        return ERR_OK;
    enum err err = index_calls(a, messages, n, &calls);
    if (err != ERR_OK)
        return err;
    for (size_t i = first; i < n; i++) {
        if (lacks_name(&messages[i]))
            messages[i].tool_name = name_of_call(&calls, messages[i].tool_call_id, i);
    }
    return ERR_OK;
}

/* ---- neighbours ---- */

static str text_of(const struct chat_message *m, bool thinking)
{
    return thinking ? m->thinking : m->content;
}

/* Joins the texts of `n` messages that have one. */
static enum err join(struct arena *a, const struct chat_message *run, size_t n, bool thinking,
                     str *ret)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        str text = text_of(&run[i], thinking);
        if (text.len > 0)
            len += (len > 0 ? BLANK_LINE.len : 0) + text.len;
    }
    char *p = arena_alloc(a, len);
    if (p == NULL)
        return ERR_TOO_LARGE;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        str text = text_of(&run[i], thinking);
        if (text.len == 0)
            continue;
        if (at > 0) {
            memcpy(p + at, BLANK_LINE.p, BLANK_LINE.len);
            at += BLANK_LINE.len;
        }
        memcpy(p + at, text.p, text.len);
        at += text.len;
    }
    *ret = str_of(p, len);
    return ERR_OK;
}

static enum err gather(struct arena *a, const struct chat_message *run, size_t n,
                       struct chat_message *ret)
{
    size_t n_images = 0;
    size_t n_calls = 0;
    for (size_t i = 0; i < n; i++) {
        n_images += run[i].n_images;
        n_calls += run[i].n_calls;
    }
    str *images = arena_new(a, str, n_images);
    struct chat_call *calls = arena_new(a, struct chat_call, n_calls);
    if (images == NULL || calls == NULL)
        return ERR_TOO_LARGE;
    *ret = (struct chat_message){.role = run->role, .images = images, .calls = calls};
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < run[i].n_images; j++)
            images[ret->n_images++] = run[i].images[j];
        for (size_t j = 0; j < run[i].n_calls; j++)
            calls[ret->n_calls++] = run[i].calls[j];
    }
    return ERR_OK;
}

static enum err merge_run(struct arena *a, const struct chat_message *run, size_t n,
                          struct chat_message *ret)
{
    struct chat_message merged;
    if (n == 1) {
        *ret = *run;
        return ERR_OK;
    }
    enum err err = gather(a, run, n, &merged);
    if (err == ERR_OK)
        err = join(a, run, n, false, &merged.content);
    if (err == ERR_OK)
        err = join(a, run, n, true, &merged.thinking);
    if (err == ERR_OK)
        *ret = merged;
    return err;
}

enum err chat_history_merge(struct arena *a, struct chat_message *messages, size_t *n)
{
    size_t kept = 0;
    for (size_t i = 0; i < *n;) {
        size_t end = i + 1;
        while (end < *n && !is_result(&messages[i]) && str_eq(messages[end].role, messages[i].role))
            end++;
        enum err err = merge_run(a, &messages[i], end - i, &messages[kept++]);
        if (err != ERR_OK)
            return err;
        i = end;
    }
    *n = kept;
    return ERR_OK;
}
