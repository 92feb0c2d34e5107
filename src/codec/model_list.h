/*
 * model_list - the models of one host, or of several, and their names
 *
 * A name is [host/][namespace/]model[:tag]. Ollama reads one without a tag as ":latest", and
 * names without regard to letter case: two names that differ in nothing else are the same model.
 * What is shown is always the name as it was written.
 *
 * Threads: none. A list is not changed once it is made.
 * Memory:  a list and its names live in the arena that it was made in.
 */
#ifndef CODEC_MODEL_LIST_H
#define CODEC_MODEL_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    MODEL_NAME_MAX = 512,   // bytes
    MODEL_LIST_MAX = 10000, // entries; further ones are left out
};

/* What a model can do; more than these are not looked at. */
enum model_ability {
    MODEL_CHATS = 1,
    MODEL_CALLS_TOOLS = 2,
    MODEL_INSERTS = 4,
    MODEL_SEES = 8,
    MODEL_EMBEDS = 16,
    MODEL_THINKS = 32,
};

struct model_abilities {
    bool known;   // false: the server does not say
    unsigned set; // of enum model_ability
};

struct model_entry {
    str name;           // as the host lists it; never empty
    int64_t created_s;  // when it was last changed; 0: not said
    int64_t size_bytes; // 0: not said
    struct model_abilities abilities;
};

struct model_list {
    const struct model_entry *items;
    size_t n;
};

/* Whether both name the same model. */
bool model_name_same(str a, str b);

/* A hash that is equal for names of the same model. */
uint64_t model_name_hash(str name);

/* The namespace in a name: "library" where it has none. Borrowed from `name`, or static. */
str model_name_owner(str name);

/* Whether a server sends requests for this name on to Ollama's cloud: "m:cloud", "m:8b-cloud". */
bool model_name_is_cloud(str name);

/* The entry for `name`; NULL: none. */
const struct model_entry *model_list_find(const struct model_list *list, str name);

/*
 * Puts `n` lists into one, in their order; of entries for the same model the first one stays.
 * Entries are copied into `a`, names too.
 *
 * ERR_TOO_LARGE  the arena's budget is used up.
 */
MUST_CHECK enum err model_list_merge(struct arena *a, const struct model_list *lists, size_t n,
                                     struct model_list *ret);

#endif
