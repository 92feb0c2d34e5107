#include "codec/model_list.h"

#include <string.h>

#define LATEST STR(":latest")

/* Without the tag that a name without a tag stands for. */
static str bare(str name)
{
    if (name.len > LATEST.len && str_ieq(str_skip(name, name.len - LATEST.len), LATEST))
        name.len -= LATEST.len;
    return name;
}

bool model_name_same(str a, str b)
{
    return str_ieq(bare(a), bare(b));
}

uint64_t model_name_hash(str name)
{
    uint64_t hash = UINT64_C(14695981039346656037); // FNV-1a
    name = bare(name);
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)ascii_lower(name.p[i])) * UINT64_C(1099511628211);
    return hash;
}

/* The offset behind the last '/'; 0: there is none. */
static size_t behind_slash(str s)
{
    size_t n = s.len;
    while (n > 0 && s.p[n - 1] != '/')
        n--;
    return n;
}

str model_name_owner(str name)
{
    size_t model = behind_slash(name);
    if (model == 0)
        return STR("library");
    str before = str_head(name, model - 1);
    str owner = str_skip(before, behind_slash(before));
    return owner.len > 0 ? owner : STR("library");
}

bool model_name_is_cloud(str name)
{
    const str mark = STR("-cloud");
    str model = str_skip(name, behind_slash(name));
    size_t n = model.len;
    while (n > 0 && model.p[n - 1] != ':')
        n--;
    str tag = str_skip(model, n);
    if (n == 0)
        return false;
    return str_ieq(tag, STR("cloud")) ||
           (tag.len > mark.len && str_ieq(str_skip(tag, tag.len - mark.len), mark));
}

const struct model_entry *model_list_find(const struct model_list *list, str name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (model_name_same(list->items[i].name, name))
            return &list->items[i];
    }
    return NULL;
}

/* A hash set of the entries taken so far: places of `items`, counted from 1. */
struct taken {
    uint32_t *places;
    size_t mask;
    struct model_entry *items;
    size_t n;
};

/* Appends `entry` unless its model is there. False when the arena is used up. */
static bool take(struct taken *t, struct arena *a, const struct model_entry *entry)
{
    size_t at = model_name_hash(entry->name) & t->mask;
    for (; t->places[at] != 0; at = (at + 1) & t->mask) {
        if (model_name_same(t->items[t->places[at] - 1].name, entry->name))
            return true;
    }
    struct model_entry *copy = &t->items[t->n];
    *copy = *entry;
    copy->name = arena_copy(a, entry->name);
    if (copy->name.p == NULL)
        return false;
    t->places[at] = (uint32_t)++t->n;
    return true;
}

enum err model_list_merge(struct arena *a, const struct model_list *lists, size_t n,
                          struct model_list *ret)
{
    size_t most = 0;
    for (size_t i = 0; i < n; i++)
        most += lists[i].n;
    most = most < MODEL_LIST_MAX ? most : MODEL_LIST_MAX;
    size_t slots = 16;
    while (slots < 2 * most)
        slots *= 2;
    struct taken t = {
        .places = arena_new(a, uint32_t, slots),
        .mask = slots - 1,
        .items = arena_new(a, struct model_entry, most > 0 ? most : 1),
    };
    if (t.places == NULL || t.items == NULL)
        return ERR_TOO_LARGE;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < lists[i].n && t.n < most; k++) {
            if (!take(&t, a, &lists[i].items[k]))
                return ERR_TOO_LARGE;
        }
    }
    *ret = (struct model_list){.items = t.items, .n = t.n};
    return ERR_OK;
}
