/*
 * admin_bulk - one action on many keys
 *
 * Up to ADMIN_BULK_AT_ONCE keys are changed within the request, all or none. More are a job, in
 * steps that are each all or none; a job that is stopped has done those before.
 *
 * Threads: the store's.
 */
#ifndef APP_ADMIN_BULK_H
#define APP_ADMIN_BULK_H

#include "app/admin_work.h"
#include "codec/admin_request.h"
#include "core/key_list.h"

enum { ADMIN_BULK_AT_ONCE = 200 };

/* The keys that a request means. */
void admin_bulk_find(struct keypool *pool, const struct admin_bulk *asked, struct key_ids *ret);

#endif
