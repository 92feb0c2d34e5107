/*
 * snapshot - everything that a reload replaces, as one immutable and counted object
 *
 * Settings, TLS contexts and what is derived from them are made together, so that a bad file
 * changes nothing; workers swap the whole and requests keep the one they began with.
 *
 * Threads: made by the main thread; acquire and release by any.
 */
#ifndef APP_SNAPSHOT_H
#define APP_SNAPSHOT_H

#include <stdatomic.h>

#include "base/err.h"
#include "core/address.h"
#include "core/config.h"
#include "net/client.h"
#include "net/tls.h"

struct snapshot {
    atomic_uint refs;
    struct config *config;           // owned
    struct tls_context *server_tls;  // owned; NULL: plain HTTP
    struct tls_context *client_tls;  // owned
    struct address_policy addresses; // borrows from config
    struct client_options client;    // borrows from config
};

/*
 * Reads the environment, `.env` in the working directory and the files they name. Secrets are
 * wiped from the environment, so this is called once, before there are other threads.
 *
 * ERR_OK  `*ret` is a snapshot with one reference.
 * else    `info` says in one line what is wrong.
 */
MUST_CHECK enum err snapshot_load(struct snapshot **ret, struct err_info *info);

/*
 * As snapshot_load, keeping what cannot change while `old` runs; each setting that would have
 * changed is warned of in the log.
 */
MUST_CHECK enum err snapshot_reload(const struct snapshot *old, struct snapshot **ret,
                                    struct err_info *info);

struct snapshot *snapshot_acquire(struct snapshot *s);

/* Accepts NULL. */
void snapshot_release(struct snapshot *s);

#endif
