#include "base/crypto.h"

#include <sodium.h>

enum err crypto_init(void)
{
    return sodium_init() < 0 ? ERR_SYSTEM : ERR_OK;
}

/*
 * Random text comes in small pieces on the hot path, and libsodium asks the kernel for each.
 * A thread therefore draws a block at once, and wipes what it has handed out.
 */
static _Thread_local struct {
    unsigned char bytes[512];
    size_t left;
} block;

void crypto_random(void *out, size_t n)
{
    if (n > sizeof(block.bytes)) {
        randombytes_buf(out, n);
        return;
    }
    if (block.left < n) {
        randombytes_buf(block.bytes, sizeof(block.bytes));
        block.left = sizeof(block.bytes);
    }
    block.left -= n;
    memcpy(out, block.bytes + block.left, n);
    sodium_memzero(block.bytes + block.left, n);
}

void crypto_random_text(char *out, size_t n)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i < n;) {
        unsigned char byte;
        crypto_random(&byte, 1);
        // 248 is the largest multiple of 62 in a byte: above it the modulo would be biased.
        if (byte < 248)
            out[i++] = alphabet[byte % 62];
    }
}

void crypto_digest(str s, unsigned char out[CRYPTO_DIGEST_BYTES])
{
    crypto_generichash(out, CRYPTO_DIGEST_BYTES, (const unsigned char *)s.p, s.len, NULL, 0);
}

bool crypto_digest_equal(const unsigned char a[CRYPTO_DIGEST_BYTES],
                         const unsigned char b[CRYPTO_DIGEST_BYTES])
{
    return sodium_memcmp(a, b, CRYPTO_DIGEST_BYTES) == 0;
}

void crypto_wipe(void *p, size_t n)
{
    if (n > 0)
        sodium_memzero(p, n);
}
