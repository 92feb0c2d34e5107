/*
 * Faults of the disk: what they are called, and that the database goes on afterwards.
 */
#include "store/sqlite.h"

#include <signal.h>
#include <sys/resource.h>

#include "place.h"

static void see_limit(bool small)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = small ? (rlim_t)256 * 1024 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static struct key_spec some_key(void)
{
    return (struct key_spec){.secret = STR("sk"), .base_url = STR("https://x"), .enabled = true};
}

static void count(void *arg, const struct key_spec *key)
{
    size_t *n = arg;
    (void)key;
    ++*n;
}

static size_t count_keys(struct store *s)
{
    size_t n = 0;
    assert_int_equal(store_read_keys(s, count, &n, NULL), ERR_OK);
    return n;
}

static int64_t synchronous_of(struct sqlite *db)
{
    int64_t level = -1;
    assert_int_equal(sqlite_ask(db, "PRAGMA synchronous", &level, NULL), ERR_OK);
    return level;
}

static void test_sqlite__syncs_what_comes_after_the_tables(void **state)
{
    static const int64_t off = 0, full = 2;
    const struct place *p = *state;
    struct sqlite *db;
    for (int settle = 0; settle < 2; settle++) {
        unlink(p->db);
        FILE *file = fopen(p->db, "w");
        assert_non_null(file);
        fclose(file);
        assert_int_equal(sqlite_open(p->db, &db, NULL), ERR_OK);
        assert_int_equal(sqlite_use_wal(db, true, NULL), ERR_OK);
        assert_int_equal(synchronous_of(db), off);
        assert_int_equal(sqlite_begin(db, NULL), ERR_OK);
        assert_int_equal(sqlite_exec(db, "CREATE TABLE t (a)", NULL), ERR_OK);
        assert_int_equal(sqlite_end(db, ERR_OK, NULL), ERR_OK);
        assert_int_equal(synchronous_of(db), off);
        if (settle > 0)
            assert_int_equal(sqlite_settle(db, NULL), ERR_OK);
        else
            assert_int_equal(sqlite_begin(db, NULL), ERR_OK);
        assert_int_equal(synchronous_of(db), full);
        sqlite_close(db);
    }
    // One that was there before is synced from its first transaction on.
    assert_int_equal(sqlite_open(p->db, &db, NULL), ERR_OK);
    assert_int_equal(sqlite_use_wal(db, false, NULL), ERR_OK);
    assert_int_equal(synchronous_of(db), full);
    sqlite_close(db);
}

static void test_sqlite__a_full_disk_is_told_and_loses_nothing(void **state)
{
    enum { MANY = 20000 };
    struct store *s = place_open(*state);
    struct key_spec one = some_key(), *many = calloc(MANY, sizeof(*many));
    for (size_t i = 0; i < MANY; i++)
        many[i] = some_key();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(store_add_keys(s, &one, 1, false, NULL), ERR_OK);

    struct err_info info = {0};
    see_limit(true);
    enum err e = store_add_keys(s, many, MANY, false, &info);
    size_t left = count_keys(s);
    see_limit(false);
    assert_int_equal(e, ERR_FULL);
    assert_true(str_contains(str_z(info.text), STR("no room on the disk")));
    assert_int_equal(left, 1);

    assert_int_equal(store_add_keys(s, many, MANY, false, &info), ERR_OK);
    assert_int_equal(many[0].id, 2); // the ids of what failed were not given
    store_close(s);
    s = place_open(*state);
    assert_int_equal(count_keys(s), MANY + 1);
    store_close(s);
    free(many);
}

static void test_sqlite__a_backup_without_room_leaves_nothing(void **state)
{
    enum { MANY = 20000 };
    struct place *p = *state;
    char path[160];
    struct store *s = place_open(p);
    struct key_spec *many = calloc(MANY, sizeof(*many));
    for (size_t i = 0; i < MANY; i++)
        many[i] = some_key();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(store_add_keys(s, many, MANY, false, NULL), ERR_OK);
    (void)snprintf(path, sizeof(path), "%s/copy.db", p->dir);
    see_limit(true);
    enum err e = store_backup(s, path, NULL);
    see_limit(false);
    assert_int_equal(e, ERR_FULL);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(store_backup(s, "/nonexistent/copy.db", NULL), ERR_SYSTEM);
    store_close(s);
    free(many);
}

static void test_sqlite__names_what_is_no_database(void **state)
{
    struct place *p = *state;
    struct sqlite *db = NULL;
    struct err_info info = {0};
    assert_int_equal(sqlite_open("/nonexistent/x.db", &db, &info), ERR_SYSTEM);
    assert_true(str_starts(str_z(info.text), STR("cannot open '/nonexistent/x.db' (SQLite: ")));
    assert_null(db);
    assert_int_equal(sqlite_open(p->dir, &db, NULL), ERR_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_sqlite__syncs_what_comes_after_the_tables),
        PLACE_TEST(test_sqlite__a_full_disk_is_told_and_loses_nothing),
        PLACE_TEST(test_sqlite__a_backup_without_room_leaves_nothing),
        PLACE_TEST(test_sqlite__names_what_is_no_database),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
