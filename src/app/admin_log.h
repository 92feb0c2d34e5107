/*
 * admin_log - the last requests as the admin API shows them
 *
 * The log has numbers of keys and hosts; here they get their names. A key that was deleted keeps
 * its number alone.
 *
 * Threads: any; the pool's short mutex for each entry.
 */
#ifndef APP_ADMIN_LOG_H
#define APP_ADMIN_LOG_H

#include "base/buf.h"
#include "core/keypool.h"
#include "core/reqlog.h"

/* Appends the JSON object of an entry: for GET /log, and for the events of GET /live. */
void log_put_entry(struct keypool *pool, const struct reqlog_entry *e, struct buf *out);

#endif
