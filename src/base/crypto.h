/*
 * crypto - random bytes, comparison of secrets, hashes, passwords
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

#define CRYPTO_KEY_BYTES 32

/* BLAKE2b-256 with a key, of `purpose` and `s`: equal texts for two purposes have two hashes. */
void crypto_keyed_digest(const unsigned char key[CRYPTO_KEY_BYTES], str purpose, str s,
                         unsigned char out[CRYPTO_DIGEST_BYTES]);

#define CRYPTO_HEX_BYTES (2 * CRYPTO_DIGEST_BYTES + 1)

/* Writes a hash as lower-case hexadecimal digits with a final zero, and returns them. */
str crypto_hex(const unsigned char digest[CRYPTO_DIGEST_BYTES], char out[CRYPTO_HEX_BYTES]);

#define CRYPTO_PASSWORD_BYTES 128

/*
 * Argon2id of a password with a fresh salt, zero-terminated: 64 MiB of memory and near a tenth of
 * a second, so never on a worker. ERR_SYSTEM: there is no memory for it.
 */
MUST_CHECK enum err crypto_password_hash(str password, char out[CRYPTO_PASSWORD_BYTES]);

/* Whether `hash` was made of `password`; costs the same. */
bool crypto_password_ok(const char hash[CRYPTO_PASSWORD_BYTES], str password);

/* Overwrites memory that held a secret; never optimised away. */
void crypto_wipe(void *p, size_t n);

#endif
