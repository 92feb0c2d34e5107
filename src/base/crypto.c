#include "base/crypto.h"

#include <assert.h>
#include <sodium.h>

enum err crypto_init(void)
{
    return sodium_init() < 0 ? ERR_SYSTEM : ERR_OK;
}

/*
 * Random text comes in small pieces on the hot path, and libsodium asks the kernel for each. A
 * thread therefore runs a generator of its own: a block of key stream, whose last bytes are the
 * key of the next block and of nothing else, so that what was handed out, which is wiped, cannot
 * be computed again from what is left. The process does not fork: two could go on alike.
 */
#define BLOCK_BYTES 1024
#define BLOCKS      1024 // until the kernel is asked for another key

static _Thread_local struct {
    unsigned char key[crypto_stream_chacha20_KEYBYTES];
    unsigned char bytes[BLOCK_BYTES];
    size_t left;   // bytes that were not handed out: those up to here
    size_t blocks; // until the next key of the kernel's
} stream;

static void refill(void)
{
    static const unsigned char nonce[crypto_stream_chacha20_NONCEBYTES] = {0}; // a key is used once
    if (stream.blocks == 0) {
        randombytes_buf(stream.key, sizeof(stream.key));
        stream.blocks = BLOCKS;
    }
    stream.blocks--;
    crypto_stream_chacha20(stream.bytes, sizeof(stream.bytes), nonce, stream.key);
    stream.left = sizeof(stream.bytes) - sizeof(stream.key);
    memcpy(stream.key, stream.bytes + stream.left, sizeof(stream.key));
    sodium_memzero(stream.bytes + stream.left, sizeof(stream.key));
}

void crypto_random(void *out, size_t n)
{
    if (n > sizeof(stream.bytes) / 2) {
        randombytes_buf(out, n);
        return;
    }
    if (stream.left < n)
        refill();
    stream.left -= n;
    memcpy(out, stream.bytes + stream.left, n);
    sodium_memzero(stream.bytes + stream.left, n);
}

/* Draws up to `n` characters out of the block; returns how many those were. */
static size_t draw_text(char *out, size_t n)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t begin = stream.left, at = begin, i = 0;
    while (i < n && at > 0) {
        // Six bits of a byte; the two values above the alphabet are passed over, not folded.
        unsigned index = stream.bytes[--at] & 63;
        if (index < sizeof(alphabet) - 1)
            out[i++] = alphabet[index];
    }
    stream.left = at;
    sodium_memzero(stream.bytes + at, begin - at);
    return i;
}

void crypto_random_text(char *out, size_t n)
{
    size_t i = draw_text(out, n);
    while (i < n) {
        refill();
        i += draw_text(out + i, n - i);
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

uint64_t crypto_hash64(const unsigned char key[CRYPTO_HASH_KEY_BYTES], str s)
{
    static_assert(CRYPTO_HASH_KEY_BYTES == crypto_shorthash_KEYBYTES, "of libsodium's size");
    static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "of libsodium's size");
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)s.p, s.len, key);
    return hash;
}

void crypto_wipe(void *p, size_t n)
{
    if (n > 0)
        sodium_memzero(p, n);
}
