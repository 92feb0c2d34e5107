/*
 * vault - secrets at rest
 *
 * The key file holds 32 random bytes. From them a key for each purpose is derived; what is written
 * is sealed with XChaCha20-Poly1305 and bound to its place (table, row, column), so that a secret
 * moved to another row, which has another URL, does not open. A sealed text is
 *
 *   version (1 byte) · id of the key (4 bytes) · nonce (24) · ciphertext · tag (16)
 *
 * The id tells "another key file" from "damaged".
 *
 * Threads: any, once opened.
 * Memory:  the key is locked in memory as far as the system lets us, and wiped.
 */
#ifndef STORE_VAULT_H
#define STORE_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crypto.h"
#include "base/err.h"
#include "base/str.h"

struct vault;

/*
 * Reads the key file; with `make`, makes one (0600) if there is none.
 *
 * ERR_SYNTAX  it is missing, others may read it, it belongs to somebody else, or is no key file:
 *             `info` says what to do
 * ERR_FULL    no room on the disk to make it
 * ERR_SYSTEM  it cannot be read or made
 */
MUST_CHECK enum err vault_open(const char *path, bool make, struct vault **ret,
                               struct err_info *info);

void vault_free(struct vault *v); // accepts NULL

/* Where a secret stands. */
struct vault_place {
    const char *table;
    const char *column;
    uint64_t row;
};

#define VAULT_SEAL_BYTES (1 + 4 + CRYPTO_SEAL_BYTES)

/* Writes plain.len + VAULT_SEAL_BYTES bytes to `out`. */
void vault_seal(const struct vault *v, const struct vault_place *place, str plain,
                unsigned char *out);

/*
 * Writes the secret to `out` (sealed.len bytes are enough) and its length to `*ret_len`.
 *
 * ERR_SYNTAX  it was sealed with another key file, or is not as it was written; `info` says which
 */
MUST_CHECK enum err vault_unseal(const struct vault *v, const struct vault_place *place, str sealed,
                                 unsigned char *out, size_t *ret_len, struct err_info *info);

#endif
