/*
 * admin_view - the pool's keys as the admin API shows them
 *
 * The one place where what codec and core each say about keys meets. A secret goes in and its mask
 * comes out.
 *
 * Threads: any.
 */
#ifndef APP_ADMIN_VIEW_H
#define APP_ADMIN_VIEW_H

#include <stdint.h>

#include "codec/admin_answer.h"
#include "codec/admin_feed.h"
#include "codec/admin_request.h"
#include "core/key_list.h"
#include "core/keypool.h"

struct admin_work;

/* Room for what a shown key has of its own. */
struct key_shown {
    struct admin_key key; // borrows from this struct and from the view
    char id[24];
    char mask[KEYPOOL_MASK_BYTES];
};

/* Fills in how the key shows. */
void key_show(const struct key_view *view, struct key_shown *ret);

/* The id by which a key is known outside: the older program's, where it has one. */
str key_shown_id(const struct key_view *view, char out[24]);

struct admin_summary summary_show(struct keypool *p, uint64_t now_ms);

/* Keys by state. */
struct admin_key_counts states_show(const uint64_t by_state[KEY_STATES]);

/* "stated", "guessed" or empty: where the end of a cooling comes from. */
str source_show(enum cool_source source);

struct key_filter filter_of(const struct admin_filter *filter);

/* Finds the keys, each once and only those that are there; not on a worker. */
void find_which(struct keypool *pool, const struct admin_which *which, struct key_ids *ret);

/* Finds a host by its number; texts live in the work's arena. False: it has no key any more. */
bool work_find_host(struct admin_work *w, uint32_t host, struct admin_host *ret);

/* A key_view_fn: appends {"success":true,"key":…} to the struct buf `arg`. */
void put_key_answer(void *arg, const struct key_view *view);

#endif
