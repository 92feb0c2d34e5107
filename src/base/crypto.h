/*
 * crypto - random bytes, comparison of secrets, hashes, sealed texts, passwords
 *
 * The only user of libsodium. Any thread, after crypto_init().
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Must be called once before anything else here. */
MUST_CHECK enum err crypto_init(void);

/* Fills `out` with unpredictable bytes. */
void crypto_random(void *out, size_t n);

/* Fills `out` with `n` unpredictable characters of [A-Za-z0-9] (5.95 bits each); no final zero. */
void crypto_random_text(char *out, size_t n);

#define CRYPTO_DIGEST_BYTES 32

/*
 * BLAKE2b-256 of `s`, under a key that crypto_init() drew: whether two texts are equal, for this
 * process alone. Who finds a digest somewhere cannot try passwords against it.
 */
void crypto_digest(str s, unsigned char out[CRYPTO_DIGEST_BYTES]);

/* Compares two hashes in time that does not depend on them. */
bool crypto_digest_equal(const unsigned char a[CRYPTO_DIGEST_BYTES],
                         const unsigned char b[CRYPTO_DIGEST_BYTES]);

#define CRYPTO_KEY_BYTES 32

/* A key of its own for each purpose: `context` is 8 bytes that name what it is for. */
void crypto_derive(const unsigned char key[CRYPTO_KEY_BYTES], const char context[8], uint64_t id,
                   unsigned char out[CRYPTO_KEY_BYTES]);

#define CRYPTO_SEAL_BYTES 40 // what sealing adds: a random nonce, and the tag

/*
 * XChaCha20-Poly1305: encrypts `plain` into `out`, which has room for plain.len +
 * CRYPTO_SEAL_BYTES. It opens again only with the same key and the same `bound`, which is not part
 * of the result.
 */
void crypto_seal(const unsigned char key[CRYPTO_KEY_BYTES], str bound, str plain,
                 unsigned char *out);

/*
 * Writes sealed.len - CRYPTO_SEAL_BYTES bytes to `out`; false, with nothing of use in `out`, when
 * a bit of the three is not as it was.
 */
MUST_CHECK bool crypto_unseal(const unsigned char key[CRYPTO_KEY_BYTES], str bound, str sealed,
                              unsigned char *out);

/*
 * Zeroed memory for long-lived secrets: out of core dumps and swap as far as the system lets us,
 * between guard pages, wiped when it is freed. NULL: there is none.
 */
void *crypto_secret_new(size_t n);
void crypto_secret_free(void *p); // accepts NULL

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

#define CRYPTO_HASH_KEY_BYTES 16

/*
 * A short keyed hash (SipHash-2-4), for tables whose keys others choose: without the hash's key
 * nobody can make them collide.
 */
uint64_t crypto_hash64(const unsigned char key[CRYPTO_HASH_KEY_BYTES], str s);

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
