/*
 * hasher - checks passwords on a thread of its own, one at a time
 *
 * A check takes near a tenth of a second and 64 MiB, which no worker has. What waits is bounded;
 * beyond that a check is refused at once. The admin password comes in as its digest, and what is
 * presented is digested too: so neither is kept as text.
 *
 * Threads: any; hasher_new() and hasher_free() the main thread's.
 */
#ifndef APP_HASHER_H
#define APP_HASHER_H

#include <stdbool.h>

#include "base/crypto.h"
#include "base/err.h"

enum { HASHER_QUEUE_MAX = 32 };

struct hasher;

/* Called on the hasher's thread, once for each check that was taken. */
typedef void hasher_done_fn(void *arg, bool right);

/* Starts the thread. */
MUST_CHECK enum err hasher_new(struct hasher **ret, struct err_info *info);

/* Ends the thread; checks that wait come out as wrong. Accepts NULL. */
void hasher_free(struct hasher *h);

/*
 * Makes `digest` the password for all checks that are asked for from now on. In the first second
 * it is hashed with the first check alone, so that a start costs no hash.
 */
void hasher_set_password(struct hasher *h, const unsigned char digest[CRYPTO_DIGEST_BYTES]);

/* Checks a password by its digest. False, and `done` is never called: too many wait. */
MUST_CHECK bool hasher_check(struct hasher *h, const unsigned char digest[CRYPTO_DIGEST_BYTES],
                             hasher_done_fn *done, void *arg);

#endif
