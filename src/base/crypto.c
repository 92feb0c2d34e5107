#include "base/crypto.h"

#include <sodium.h>

static unsigned char tag_key[crypto_shorthash_siphashx24_KEYBYTES];

enum err crypto_init(void)
{
    int rc = sodium_init();
    if (rc < 0)
        return ERR_SYSTEM;
    if (rc == 0) // the first time: tags that were made must stay what they are
        randombytes_buf(tag_key, sizeof(tag_key));
    return ERR_OK;
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
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789??";
    size_t begin = stream.left, at = begin, i = 0;
    while (i < n && at > 0) {
        // Six bits of a byte; the two values above the alphabet are passed over, not folded: what
        // is written for them is overwritten. Without a branch, as there is nothing to foresee.
        unsigned index = stream.bytes[--at] & 63;
        out[i] = alphabet[index];
        i += index < 62;
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

_Static_assert(CRYPTO_TAG_BYTES == crypto_shorthash_siphashx24_BYTES, "a whole hash");

void crypto_tag(str s, unsigned char out[CRYPTO_TAG_BYTES])
{
    crypto_shorthash_siphashx24(out, (const unsigned char *)s.p, s.len, tag_key);
}

bool crypto_tag_equal(const unsigned char a[CRYPTO_TAG_BYTES],
                      const unsigned char b[CRYPTO_TAG_BYTES])
{
    uint64_t x[2], y[2];
    memcpy(x, a, sizeof(x));
    memcpy(y, b, sizeof(y));
    return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

void crypto_wipe(void *p, size_t n)
{
    if (n > 0)
        sodium_memzero(p, n);
}
