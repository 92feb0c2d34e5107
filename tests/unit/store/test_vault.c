/*
 * The key file, and what is sealed with it.
 */
#include "store/vault.h"

#include <fcntl.h>

#include "place.h"

static struct vault *open_vault(const char *path)
{
    struct vault *v = NULL;
    struct err_info info = {0};
    if (vault_open(path, true, &v, &info) != ERR_OK)
        fail_msg("%s", info.text);
    return v;
}

static void write_file(const char *path, size_t n, mode_t mode)
{
    char bytes[64] = {1, 2, 3};
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && fchmod(fd, mode) == 0);
    close(fd);
}

static void test_vault__refuses_files_that_are_no_secret(void **state)
{
    static const struct {
        const char *why;
        size_t bytes;
        mode_t mode;
        enum err want;
        const char *words;
    } cases[] = {
        {"too short",        31, 0600, ERR_SYNTAX, "is not a key file"},
        {"right",            32, 0600, ERR_OK,     ""                 },
        {"too long",         33, 0600, ERR_SYNTAX, "is not a key file"},
        {"only read",        32, 0400, ERR_OK,     ""                 },
        {"the group reads",  32, 0640, ERR_SYNTAX, "chmod 600"        },
        {"all read",         32, 0604, ERR_SYNTAX, "chmod 600"        },
        {"the group writes", 32, 0620, ERR_SYNTAX, "chmod 600"        },
    };
    struct place *p = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vault *v = NULL;
        struct err_info info = {0};
        write_file(p->key, cases[i].bytes, cases[i].mode);
        assert_why(vault_open(p->key, true, &v, &info) == cases[i].want, cases[i].why);
        assert_why(str_contains(str_z(info.text), str_z(cases[i].words)), cases[i].why);
        vault_free(v);
    }
    // A folder, and a file whose folder is not there.
    struct vault *v;
    assert_int_equal(vault_open(p->dir, true, &v, NULL), ERR_SYNTAX);
    assert_int_equal(vault_open("/nonexistent/key", true, &v, NULL), ERR_SYSTEM);
}

static void test_vault__makes_a_key_file_only_if_told(void **state)
{
    struct place *p = *state;
    struct vault *v = NULL;
    assert_int_equal(vault_open(p->key, false, &v, NULL), ERR_SYNTAX);
    assert_int_not_equal(access(p->key, F_OK), 0);
    vault_free(open_vault(p->key));
    assert_int_equal(vault_open(p->key, false, &v, NULL), ERR_OK);
    vault_free(v);
}

static void test_vault__opens_only_what_is_as_it_was(void **state)
{
    struct place *p = *state;
    struct vault *v = open_vault(p->key);
    const struct vault_place here = {.table = "keys", .column = "secret", .row = 7};
    static const struct vault_place elsewhere[] = {
        {.table = "keys",  .column = "secret",  .row = 8                      },
        {.table = "keys",  .column = "secrets", .row = 7                      },
        {.table = "keyss", .column = "ecret",   .row = 7                      },
        {.table = "keys",  .column = "secret",  .row = 7 + (UINT64_C(1) << 40)},
    };
    unsigned char sealed[64 + VAULT_SEAL_BYTES], again[64 + VAULT_SEAL_BYTES], plain[128];
    size_t n = 5 + VAULT_SEAL_BYTES, len = 0;
    str s = str_of((char *)sealed, n);
    vault_seal(v, &here, STR("hello"), sealed);
    vault_seal(v, &here, STR("hello"), again);
    assert_memory_not_equal(sealed, again, n);
    assert_int_equal(vault_unseal(v, &here, s, plain, &len, NULL), ERR_OK);
    assert_str(str_of((char *)plain, len), STR("hello"));

    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
        assert_int_equal(vault_unseal(v, &elsewhere[i], s, plain, &len, NULL), ERR_SYNTAX);
    for (size_t i = 0; i < n; i++) {
        sealed[i] ^= 1;
        assert_int_equal(vault_unseal(v, &here, s, plain, &len, NULL), ERR_SYNTAX);
        sealed[i] ^= 1;
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(vault_unseal(v, &here, str_head(s, i), plain, &len, NULL), ERR_SYNTAX);
    assert_int_equal(vault_unseal(v, &here, s, plain, &len, NULL), ERR_OK);
    vault_free(v);
}

static void test_vault__tells_another_key_file_from_damage(void **state)
{
    struct place *p = *state;
    const struct vault_place here = {.table = "keys", .column = "secret", .row = 7};
    unsigned char sealed[5 + VAULT_SEAL_BYTES], plain[64];
    struct err_info info;
    size_t len;
    struct vault *v = open_vault(p->key);
    vault_seal(v, &here, STR("hello"), sealed);
    vault_free(v);
    (void)unlink(p->key);
    v = open_vault(p->key);
    str s = str_of((char *)sealed, sizeof(sealed));
    assert_int_equal(vault_unseal(v, &here, s, plain, &len, &info), ERR_SYNTAX);
    assert_true(str_contains(str_z(info.text), STR("another key file")));
    vault_free(v);
}

static void test_vault__seals_nothing_too(void **state)
{
    struct place *p = *state;
    const struct vault_place here = {.table = "t", .column = "c", .row = 0};
    unsigned char sealed[VAULT_SEAL_BYTES], plain[64];
    size_t len = 9;
    struct vault *v = open_vault(p->key);
    vault_seal(v, &here, (str){0}, sealed);
    assert_int_equal(
        vault_unseal(v, &here, str_of((char *)sealed, sizeof(sealed)), plain, &len, NULL), ERR_OK);
    assert_int_equal(len, 0);
    vault_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_vault__refuses_files_that_are_no_secret),
        PLACE_TEST(test_vault__makes_a_key_file_only_if_told),
        PLACE_TEST(test_vault__opens_only_what_is_as_it_was),
        PLACE_TEST(test_vault__tells_another_key_file_from_damage),
        PLACE_TEST(test_vault__seals_nothing_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
