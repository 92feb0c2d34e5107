#include "base/crypto.h"

#include <assert.h>
#include <sodium.h>

// Drawn once for this process: what is made with them says nothing elsewhere.
static unsigned char tag_key[crypto_shorthash_siphashx24_KEYBYTES];
static unsigned char digest_key[crypto_generichash_KEYBYTES];

enum err crypto_init(void)
{
    int rc = sodium_init();
    if (rc < 0)
        return ERR_SYSTEM;
    if (rc == 0) { // the first time: tags that were made must stay what they are
        randombytes_buf(tag_key, sizeof(tag_key));
        randombytes_buf(digest_key, sizeof(digest_key));
    }
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

/*
 * Eight characters of eight bytes: the digits of a fraction to the base of 62, from the front. How
 * often each comes differs by less than one part in 2^16 from how often it should.
 */
static inline void put_text(char out[8], const unsigned char bytes[8])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t fraction;
    memcpy(&fraction, bytes, sizeof(fraction));
#pragma GCC unroll 8
    for (size_t i = 0; i < 8; i++) {
        unsigned __int128 product = (unsigned __int128)fraction * (sizeof(alphabet) - 1);
        out[i] = alphabet[(size_t)(product >> 64)];
        fraction = (uint64_t)product;
    }
}

void crypto_random_text(char *out, size_t n)
{
    char last[8];
    while (n > 0) {
        if (stream.left < sizeof(last))
            refill();
        size_t piece = n < stream.left ? n : stream.left / 8 * 8;
        size_t whole = piece / 8 * 8, used = (piece + 7) / 8 * 8;
        used = used <= stream.left ? used : whole;
        stream.left -= used;
        unsigned char *bytes = stream.bytes + stream.left;
        for (size_t i = 0; i < whole; i += 8)
            put_text(out + i, bytes + i);
        if (used > whole) {
            put_text(last, bytes + whole);
            memcpy(out + whole, last, piece - whole);
            whole = piece;
        }
        sodium_memzero(bytes, used);
        out += whole;
        n -= whole;
    }
}

void crypto_digest(str s, unsigned char out[CRYPTO_DIGEST_BYTES])
{
    crypto_generichash(out, CRYPTO_DIGEST_BYTES, (const unsigned char *)s.p, s.len, digest_key,
                       sizeof(digest_key));
}

bool crypto_digest_equal(const unsigned char a[CRYPTO_DIGEST_BYTES],
                         const unsigned char b[CRYPTO_DIGEST_BYTES])
{
    return sodium_memcmp(a, b, CRYPTO_DIGEST_BYTES) == 0;
}

void crypto_derive(const unsigned char key[CRYPTO_KEY_BYTES], const char context[8], uint64_t id,
                   unsigned char out[CRYPTO_KEY_BYTES])
{
    _Static_assert(crypto_kdf_KEYBYTES == CRYPTO_KEY_BYTES, "one size of keys");
    _Static_assert(crypto_kdf_CONTEXTBYTES == 8, "as the parameter says");
    crypto_kdf_derive_from_key(out, CRYPTO_KEY_BYTES, id, context, key);
}

#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES

_Static_assert(NONCE_BYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES == CRYPTO_SEAL_BYTES,
               "as the header says");

void crypto_seal(const unsigned char key[CRYPTO_KEY_BYTES], str bound, str plain,
                 unsigned char *out)
{
    // 24 random bytes do not meet twice, so no counter has to survive a crash.
    crypto_random(out, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        out + NONCE_BYTES, NULL, (const unsigned char *)plain.p, plain.len,
        (const unsigned char *)bound.p, bound.len, NULL, out, key);
}

bool crypto_unseal(const unsigned char key[CRYPTO_KEY_BYTES], str bound, str sealed,
                   unsigned char *out)
{
    const unsigned char *p = (const unsigned char *)sealed.p;
    return sealed.len >= CRYPTO_SEAL_BYTES &&
           crypto_aead_xchacha20poly1305_ietf_decrypt(
               out, NULL, NULL, p + NONCE_BYTES, sealed.len - NONCE_BYTES,
               (const unsigned char *)bound.p, bound.len, p, key) == 0;
}

void *crypto_secret_new(size_t n)
{
    void *p = sodium_malloc(n);
    if (p != NULL)
        memset(p, 0, n);
    return p;
}

void crypto_secret_free(void *p)
{
    sodium_free(p);
}

void crypto_keyed_digest(const unsigned char key[CRYPTO_KEY_BYTES], str purpose, str s,
                         unsigned char out[CRYPTO_DIGEST_BYTES])
{
    static const unsigned char end[1] = {0}; // of the purpose: no two pairs are the same bytes
    crypto_generichash_state state;
    crypto_generichash_init(&state, key, CRYPTO_KEY_BYTES, CRYPTO_DIGEST_BYTES);
    crypto_generichash_update(&state, (const unsigned char *)purpose.p, purpose.len);
    crypto_generichash_update(&state, end, sizeof(end));
    crypto_generichash_update(&state, (const unsigned char *)s.p, s.len);
    crypto_generichash_final(&state, out, CRYPTO_DIGEST_BYTES);
    sodium_memzero(&state, sizeof(state));
}

str crypto_hex(const unsigned char digest[CRYPTO_DIGEST_BYTES], char out[CRYPTO_HEX_BYTES])
{
    sodium_bin2hex(out, CRYPTO_HEX_BYTES, digest, CRYPTO_DIGEST_BYTES);
    return str_of(out, CRYPTO_HEX_BYTES - 1);
}

_Static_assert(CRYPTO_PASSWORD_BYTES == crypto_pwhash_STRBYTES, "libsodium's size of a hash");

enum err crypto_password_hash(str password, char out[CRYPTO_PASSWORD_BYTES])
{
    int rc = crypto_pwhash_str(out, password.p, password.len, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                               crypto_pwhash_MEMLIMIT_INTERACTIVE);
    return rc == 0 ? ERR_OK : ERR_SYSTEM;
}

bool crypto_password_ok(const char hash[CRYPTO_PASSWORD_BYTES], str password)
{
    return crypto_pwhash_str_verify(hash, password.p, password.len) == 0;
}

uint64_t crypto_hash64(const unsigned char key[CRYPTO_HASH_KEY_BYTES], str s)
{
    _Static_assert(CRYPTO_HASH_KEY_BYTES == crypto_shorthash_KEYBYTES, "of libsodium's size");
    _Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "of libsodium's size");
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)s.p, s.len, key);
    return hash;
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
