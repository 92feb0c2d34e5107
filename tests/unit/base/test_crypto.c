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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crypto__texts_are_random_and_plain),
        cmocka_unit_test(test_crypto__no_piece_comes_twice),
        cmocka_unit_test(test_crypto__short_hashes_are_siphash),
        cmocka_unit_test(test_crypto__digests_tell_texts_apart),
        cmocka_unit_test(test_crypto__tags_tell_texts_apart),
    };
    return crypto_init() != ERR_OK || cmocka_run_group_tests(tests, NULL, NULL);
}
