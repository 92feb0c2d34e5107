/*
 * crypto - random bytes, comparison of secrets, hashes
 *
 * The only user of libsodium. Any thread, after crypto_init().
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

/* Must be called once before anything else here. */
MUST_CHECK enum err crypto_init(void);

/* Fills `out` with unpredictable bytes. */
void crypto_random(void *out, size_t n);

/* Fills `out` with `n` unpredictable characters of [A-Za-z0-9] (5.95 bits each); no final zero. */
void crypto_random_text(char *out, size_t n);

#define CRYPTO_DIGEST_BYTES 32

/* BLAKE2b-256 of `s`. */
void crypto_digest(str s, unsigned char out[CRYPTO_DIGEST_BYTES]);

/* Compares two hashes in time that does not depend on them. */
bool crypto_digest_equal(const unsigned char a[CRYPTO_DIGEST_BYTES],
                         const unsigned char b[CRYPTO_DIGEST_BYTES]);

#define CRYPTO_TAG_BYTES 16

/*
 * A keyed hash of `s` (SipHash-2-4, 128 bits), under a key that crypto_init() drew: whether two
 * texts are equal, for this process alone. A fraction of what a digest costs, and as hard to hit
 * for whoever does not know the key.
 */
void crypto_tag(str s, unsigned char out[CRYPTO_TAG_BYTES]);

/* Compares two tags in time that does not depend on them. */
bool crypto_tag_equal(const unsigned char a[CRYPTO_TAG_BYTES],
                      const unsigned char b[CRYPTO_TAG_BYTES]);

/* Overwrites memory that held a secret; never optimised away. */
void crypto_wipe(void *p, size_t n);

#endif
