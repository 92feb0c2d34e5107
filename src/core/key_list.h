/*
 * key_list - which keys a person asks for, and in which order
 *
 * A filter names keys by state, host and a piece of text; an order sorts them. The walk over the
 * pool goes in steps, so that no request waits long for the pool's mutex; a key that is added or
 * deleted meanwhile is or is not in the list.
 *
 * The text is never looked for in a secret, only in what is shown of it.
 *
 * Threads: none of its own; not on a worker, since it looks at every key.
 */
#ifndef CORE_KEY_LIST_H
#define CORE_KEY_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "core/keypool.h"

struct key_filter {
    unsigned states; // bits of 1 << enum key_state; 0: any
    str host;        // a base URL, as it is stored or as it is shown; empty: any
    str text;        // in masked key, name, host, account, last error; any case; empty: any
};

enum key_field {
    KEY_BY_ADDED,
    KEY_BY_NAME,
    KEY_BY_STATUS,
    KEY_BY_HOST,
    KEY_BY_REQUESTS,
    KEY_BY_FAILED,
    KEY_BY_TOKENS,
    KEY_BY_USED,
    KEY_BY_UNTIL,
};

struct key_order {
    enum key_field field; // equal ones stand by id
    bool descending;
};

struct key_ids {
    uint64_t *items; // owned
    size_t n;
};

void key_ids_release(struct key_ids *ids);

/* Finds all keys that the filter lets through, in order. */
void key_list_collect(struct keypool *p, const struct key_filter *filter,
                      const struct key_order *order, uint64_t now_ms, struct key_ids *ret);

#endif
