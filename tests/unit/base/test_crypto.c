#include "unit.h"

#include "base/crypto.h"

static void test_crypto__texts_are_random_and_plain(void **state)
{
    (void)state;
    char a[40];
    char b[40];
    size_t seen[128] = {0};
    crypto_random_text(a, sizeof(a));
    crypto_random_text(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    for (size_t i = 0; i < 1000; i++) {
        crypto_random_text(a, sizeof(a));
        for (size_t k = 0; k < sizeof(a); k++)
            seen[(unsigned char)a[k] & 127]++;
    }
    for (int c = 0; c < 128; c++) {
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        // 40,000 draws of 62: each about 645 times. Ten standard deviations on either side.
        assert_true(plain ? seen[c] > 390 && seen[c] < 900 : seen[c] == 0);
    }
}

static void test_crypto__no_piece_comes_twice(void **state)
{
    (void)state;
    // Pieces of all sizes, across the ends of several blocks.
    enum { PIECES = 600, PIECE = 16 };
    static unsigned char seen[PIECES][PIECE];
    for (size_t i = 0; i < PIECES; i++) {
        unsigned char rest[700];
        crypto_random(seen[i], PIECE);
        crypto_random(rest, i);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(seen[i], seen[k], PIECE);
    }
}

/* Of the reference of SipHash-2-4: the key is 00 to 0f, the texts are 00, 01, … */
static void test_crypto__short_hashes_are_siphash(void **state)
{
    unsigned char key[CRYPTO_HASH_KEY_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (unsigned char)i;
    assert_true(crypto_hash64(key, STR("")) == UINT64_C(0x726fdb47dd0e0e31));
    assert_true(crypto_hash64(key, STR("\0")) == UINT64_C(0x74f839c593dc67fd));
    assert_true(crypto_hash64(key, STR("\0\1")) == UINT64_C(0x0d6c8009d9a94f5a));
    key[0] = 1;
    assert_true(crypto_hash64(key, STR("")) != UINT64_C(0x726fdb47dd0e0e31));
}

static void test_crypto__digests_tell_texts_apart(void **state)
{
    (void)state;
    unsigned char a[CRYPTO_DIGEST_BYTES];
    unsigned char b[CRYPTO_DIGEST_BYTES];
    crypto_digest(STR("token"), a);
    crypto_digest(STR("token"), b);
    assert_true(crypto_digest_equal(a, b));
    crypto_digest(STR("tokem"), b);
    assert_false(crypto_digest_equal(a, b));
}

/* Nobody who guesses a password can tell by its digest that the guess is right. */
static void test_crypto__digests_are_this_process_s_own(void **state)
{
    static const unsigned char plain[CRYPTO_DIGEST_BYTES] = {
        // BLAKE2b-256 of "token"
        0x7b, 0x3e, 0xfc, 0x0a, 0x1c, 0x4b, 0xc5, 0x4e, 0x73, 0x98, 0x81,
        0x1f, 0x7e, 0x47, 0x4e, 0x46, 0x1a, 0x9c, 0x00, 0xcb, 0xc9, 0x51,
        0xf3, 0x3b, 0x88, 0x6a, 0x5f, 0x20, 0x7c, 0x82, 0x0e, 0xf2};
    unsigned char a[CRYPTO_DIGEST_BYTES], b[CRYPTO_DIGEST_BYTES];
    (void)state;
    crypto_digest(STR("token"), a);
    assert_false(crypto_digest_equal(a, plain));
    assert_int_equal(crypto_init(), ERR_OK);
    crypto_digest(STR("token"), b);
    assert_true(crypto_digest_equal(a, b));
}

static void test_crypto__tags_tell_texts_apart(void **state)
{
    (void)state;
    unsigned char a[CRYPTO_TAG_BYTES];
    unsigned char b[CRYPTO_TAG_BYTES];
    crypto_tag(STR("token"), a);
    assert_int_equal(crypto_init(), ERR_OK); // again: what was tagged stays so
    crypto_tag(STR("token"), b);
    assert_true(crypto_tag_equal(a, b));
    crypto_tag(STR("tokem"), b);
    assert_false(crypto_tag_equal(a, b));
    for (size_t i = 0; i < sizeof(a); i++) {
        memcpy(b, a, sizeof(b));
        b[i] ^= 1;
        assert_false(crypto_tag_equal(a, b)); // every byte counts
    }
}

static void test_crypto__derives_one_key_for_each_purpose(void **state)
{
    (void)state;
    // Made with Python: hashlib.blake2b(b"", digest_size=32, key=bytes(range(32)),
    //     salt=(7).to_bytes(8, "little") + bytes(8), person=b"contextA" + bytes(8))
    static const char want[] = "f655444e1e65baa8cfcde27bddfee4fe18e3d586447858a40855ab3e33eca9d0";
    static const char context_a[8] = {'c', 'o', 'n', 't', 'e', 'x', 't', 'A'};
    static const char context_b[8] = {'c', 'o', 'n', 't', 'e', 'x', 't', 'B'};
    unsigned char master[CRYPTO_KEY_BYTES], key[CRYPTO_KEY_BYTES], other[CRYPTO_KEY_BYTES];
    char hex[CRYPTO_HEX_BYTES];
    for (size_t i = 0; i < sizeof(master); i++)
        master[i] = (unsigned char)i;
    crypto_derive(master, context_a, 7, key);
    assert_str(crypto_hex(key, hex), STR(want));
    crypto_derive(master, context_a, 8, other);
    assert_memory_not_equal(key, other, sizeof(key));
    crypto_derive(master, context_b, 7, other);
    assert_memory_not_equal(key, other, sizeof(key));
}

static void test_crypto__a_sealed_text_opens_as_it_was_or_not_at_all(void **state)
{
    (void)state;
    unsigned char key[CRYPTO_KEY_BYTES] = {1}, other[CRYPTO_KEY_BYTES] = {2};
    unsigned char sealed[5 + CRYPTO_SEAL_BYTES], again[sizeof(sealed)], plain[5];
    str s = str_of((char *)sealed, sizeof(sealed));
    crypto_seal(key, STR("place"), STR("hello"), sealed);
    crypto_seal(key, STR("place"), STR("hello"), again);
    assert_memory_not_equal(sealed, again, sizeof(sealed));
    assert_true(crypto_unseal(key, STR("place"), s, plain));
    assert_memory_equal(plain, "hello", 5);

    assert_false(crypto_unseal(other, STR("place"), s, plain));
    assert_false(crypto_unseal(key, STR("plac"), s, plain));
    assert_false(crypto_unseal(key, STR("place"), str_head(s, s.len - 1), plain));
    assert_false(crypto_unseal(key, STR("place"), str_head(s, CRYPTO_SEAL_BYTES - 1), plain));
    for (size_t i = 0; i < sizeof(sealed); i++) {
        sealed[i] ^= 0x80;
        assert_false(crypto_unseal(key, STR("place"), s, plain)); // every byte counts
        sealed[i] ^= 0x80;
    }
}

static void test_crypto__secret_memory_is_zeroed(void **state)
{
    (void)state;
    static const unsigned char zeros[100];
    unsigned char *p = crypto_secret_new(100);
    assert_non_null(p);
    assert_memory_equal(p, zeros, 100);
    p[99] = 1;
    crypto_secret_free(p);
    crypto_secret_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crypto__texts_are_random_and_plain),
        cmocka_unit_test(test_crypto__no_piece_comes_twice),
        cmocka_unit_test(test_crypto__short_hashes_are_siphash),
        cmocka_unit_test(test_crypto__digests_tell_texts_apart),
        cmocka_unit_test(test_crypto__digests_are_this_process_s_own),
        cmocka_unit_test(test_crypto__tags_tell_texts_apart),
        cmocka_unit_test(test_crypto__derives_one_key_for_each_purpose),
        cmocka_unit_test(test_crypto__a_sealed_text_opens_as_it_was_or_not_at_all),
        cmocka_unit_test(test_crypto__secret_memory_is_zeroed),
    };
    return crypto_init() != ERR_OK || cmocka_run_group_tests(tests, NULL, NULL);
}
