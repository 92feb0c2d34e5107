/*
 * Opening: what is made, what stops it, and that a stop changes nothing. And the thread.
 */
#include "store/store.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "place.h"

#include "base/clock.h"

/* Runs a command that finds the paths in $DB and $KEY. */
static void shell(const struct place *p, const char *command)
{
    assert_int_equal(setenv("DB", p->db, 1), 0);
    assert_int_equal(setenv("KEY", p->key, 1), 0);
    assert_int_equal(system(command), 0);
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777U;
}

static void make_database(const struct place *p)
{
    struct key_spec key = {.secret = STR("sk"), .base_url = STR("https://x"), .enabled = true};
    struct store *s = place_open(p);
    assert_int_equal(store_add_keys(s, &key, 1, false, NULL), ERR_OK);
    store_close(s);
}

static void expect_refused(const struct place *p, enum err want, const char *words)
{
    struct store *s = NULL;
    struct err_info info = {0};
    enum err e = place_try(p, &s, &info);
    if (e != want || !str_contains(str_z(info.text), str_z(words)))
        fail_msg("%s, '%s' instead of %s, '%s'", err_name(e), info.text, err_name(want), words);
    assert_null(s);
}

static void test_store__is_made_for_its_owner_alone(void **state)
{
    struct place *p = *state;
    struct store *s;
    char dir[128];
    mode_t before = umask(0);
    (void)snprintf(dir, sizeof(dir), "%s/made", p->dir);
    struct store_options options = {.dir = str_z(dir), .key_file = str_z(p->key)};
    assert_int_equal(store_open(&options, &s, NULL), ERR_OK);
    umask(before);
    assert_true(store_is_new(s));
    assert_int_equal(mode_of(dir), 0700);
    assert_int_equal(mode_of(store_path(s)), 0600);
    assert_int_equal(mode_of(p->key), 0600);
    char wal[160];
    (void)snprintf(wal, sizeof(wal), "%s-wal", store_path(s));
    assert_int_equal(mode_of(wal), 0600);
    store_close(s);
}

static void test_store__takes_rights_from_others(void **state)
{
    struct place *p = *state;
    make_database(p);
    assert_int_equal(chmod(p->db, 0644), 0);
    store_close(place_open(p));
    assert_int_equal(mode_of(p->db), 0600);
}

static void test_store__has_one_process(void **state)
{
    struct place *p = *state;
    struct store *s = place_open(p);
    expect_refused(p, ERR_IN_USE, "in use by another process");
    store_close(s);
    make_database(p);
}

/* The file as it is, in a few bytes that change with it. */
static void checksum(const char *path, char out[64])
{
    char command[256];
    (void)snprintf(command, sizeof(command), "cksum < '%s'", path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(out, 64, f));
    pclose(f);
}

static void test_store__stops_at_what_it_must_not_touch(void **state)
{
    static const struct {
        const char *why;
        const char *make; // a command, with the database's path
        const char *sql;
        const char *words;
    } cases[] = {
        {"no database",   "echo 'this is a text, and no database' >$DB", NULL,                      "put a backup"      },
        {"a foreign one", "rm $DB; touch $DB",                           "CREATE TABLE t (a)",      "of another program"},
        {"a newer one",   NULL,                                          "PRAGMA user_version = 5", "newer version"     },
        {"no version",    NULL,                                          "PRAGMA user_version = 0", "put a backup"      },
        {"cut short",     "truncate -s 8192 $DB",                        NULL,                      "put a backup"      },
        {"no such table", NULL,                                          "DROP TABLE days",         "put a backup"      },
    };
    struct place *p = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char before[64], after[64];
        print_message("case: %s\n", cases[i].why);
        shell(p, "rm -f $DB $KEY");
        make_database(p);
        if (cases[i].make != NULL)
            shell(p, cases[i].make);
        if (cases[i].sql != NULL)
            place_sql(p->db, cases[i].sql);
        checksum(p->db, before);
        expect_refused(p, ERR_SYNTAX, cases[i].words);
        checksum(p->db, after);
        assert_string_equal(before, after);
    }
}

/* Writes another letter into the index of moves: no page is broken, but two do not agree. */
static void damage_index(const struct place *p)
{
    static const char text[] = "https://moved.example";
    struct sqlite *db;
    int64_t page = 0, page_bytes = 0;
    char bytes[65536];
    assert_int_equal(sqlite_open(p->db, &db, NULL), ERR_OK);
    assert_int_equal(
        sqlite_ask(db, "SELECT rootpage FROM sqlite_schema WHERE name = 'moves_of'", &page, NULL),
        ERR_OK);
    assert_int_equal(sqlite_ask(db, "PRAGMA page_size", &page_bytes, NULL), ERR_OK);
    sqlite_close(db);
    FILE *f = fopen(p->db, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, (page - 1) * page_bytes, SEEK_SET), 0);
    assert_int_equal(fread(bytes, 1, (size_t)page_bytes, f), page_bytes);
    char *at = memmem(bytes, (size_t)page_bytes, text, sizeof(text) - 1);
    assert_non_null(at);
    assert_int_equal(fseek(f, (page - 1) * page_bytes + (at - bytes) + 10, SEEK_SET), 0);
    assert_int_equal(fputc('x', f), 'x');
    assert_int_equal(fclose(f), 0);
}

static void test_store__a_whole_check_sees_more_than_the_start(void **state)
{
    struct place *p = *state;
    struct err_info info = {0};
    struct key_move move = {.host = STR("https://moved.example"), .reason = STR("a test")};
    struct store *s = place_open(p);
    assert_int_equal(store_write_moves(s, &move, 1, NULL), ERR_OK);
    assert_int_equal(store_check(s, &info), ERR_OK);
    store_close(s);
    damage_index(p);
    s = place_open(p);
    assert_int_equal(store_check(s, &info), ERR_SYNTAX);
    assert_non_null(strstr(info.text, p->db));
    assert_non_null(strstr(info.text, "put a backup"));
    store_close(s);
}

/* ---- tries of passwords ---- */

struct tries {
    struct throttle_row rows[4];
    size_t n;
};

static void copy_try(void *arg, const struct throttle_row *row)
{
    struct tries *t = arg;
    assert_true(t->n < COUNT_OF(t->rows));
    t->rows[t->n++] = *row;
}

static struct tries read_tries(struct store *s)
{
    struct tries t = {0};
    assert_int_equal(store_read_tries(s, copy_try, &t, NULL), ERR_OK);
    return t;
}

static void test_store__tries_replace_each_other(void **state)
{
    struct place *p = *state;
    struct throttle_row rows[] = {
        {.kind = THROTTLE_KNOWN, .origin = {1, 0, 2}, .wrong = 1, .last_ms = 5, .spent_ms = -7},
        {.kind = THROTTLE_STRANGERS,        .last_ms = 9,                           .spent_ms = 11           },
    };
    struct store *s = place_open(p);
    assert_int_equal(store_write_tries(s, &rows[1], 1, NULL), ERR_OK);
    assert_int_equal(store_write_tries(s, rows, 2, NULL), ERR_OK);
    store_close(s);
    s = place_open(p);
    struct tries t = read_tries(s);
    assert_int_equal(t.n, 2);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(t.rows[i].kind, rows[i].kind);
        assert_memory_equal(t.rows[i].origin, rows[i].origin, sizeof(rows[i].origin));
        assert_int_equal(t.rows[i].wrong, rows[i].wrong);
        assert_int_equal(t.rows[i].last_ms, rows[i].last_ms);
        assert_int_equal(t.rows[i].spent_ms, rows[i].spent_ms);
    }
    assert_int_equal(store_write_tries(s, NULL, 0, NULL), ERR_OK);
    assert_int_equal(read_tries(s).n, 0);
    store_close(s);
    // Rows of an edited file are passed over.
    place_sql(p->db, "INSERT INTO tries VALUES (4, zeroblob(16), 1, 1, 1), "
                     "(-1, zeroblob(16), 1, 1, 1), (0, zeroblob(15), 1, 1, 1), "
                     "(0, zeroblob(16), 1, -1, 1)");
    s = place_open(p);
    assert_int_equal(read_tries(s).n, 0);
    store_close(s);
}

static void count_key(void *arg, const struct key_spec *key)
{
    size_t *n = arg;
    (void)key;
    ++*n;
}

static void test_store__a_moved_secret_does_not_open(void **state)
{
    struct place *p = *state;
    struct err_info info = {0};
    size_t n = 0;
    make_database(p);
    struct store *s = place_open(p);
    struct key_spec key = {.secret = STR("sk2"), .base_url = STR("https://evil"), .enabled = true};
    assert_int_equal(store_add_keys(s, &key, 1, false, NULL), ERR_OK);
    store_close(s);
    // The secret of the first key beside the URL of the second.
    place_sql(p->db, "UPDATE keys SET secret = (SELECT secret FROM keys WHERE id = 1)");
    s = place_open(p);
    assert_int_equal(store_read_keys(s, count_key, &n, &info), ERR_SYNTAX);
    assert_int_equal(n, 1);
    assert_true(str_contains(str_z(info.text), STR("row 2 of 'keys' was changed")));
    store_close(s);
}

static void test_store__the_key_file_is_its_own(void **state)
{
    struct place *p = *state;
    make_database(p);
    assert_int_equal(unlink(p->key), 0);
    expect_refused(p, ERR_SYNTAX, "is missing");
    assert_int_not_equal(access(p->key, F_OK), 0); // and none was made
    shell(p, "head -c 32 /dev/zero >$KEY && chmod 600 $KEY");
    expect_refused(p, ERR_SYNTAX, "is not the key file of");
}

static void test_store__an_empty_file_is_a_first_start(void **state)
{
    struct place *p = *state;
    shell(p, "touch $DB");
    struct store *s = place_open(p);
    assert_true(store_is_new(s));
    store_close(s);
}

static void test_store__a_backup_opens(void **state)
{
    struct place *p = *state;
    char path[160];
    make_database(p);
    struct store *s = place_open(p);
    (void)snprintf(path, sizeof(path), "%s/copy.db", p->dir);
    assert_int_equal(store_backup(s, path, NULL), ERR_OK);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(store_backup(s, path, NULL), ERR_EXISTS);
    store_close(s);
    assert_int_equal(rename(path, p->db), 0);
    s = place_open(p);
    assert_false(store_is_new(s));
    store_close(s);
}

/* ---- the thread ---- */

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned ticks;
    char order[8];
    size_t n;
    bool go;
};

static void on_tick(struct store *s, void *arg)
{
    struct shared *shared = arg;
    (void)s;
    pthread_mutex_lock(&shared->mutex);
    shared->ticks++;
    pthread_cond_broadcast(&shared->changed);
    pthread_mutex_unlock(&shared->mutex);
}

static void wait_until_go(struct store *s, void *arg)
{
    struct shared *shared = arg;
    (void)s;
    pthread_mutex_lock(&shared->mutex);
    shared->order[shared->n++] = 'w';
    while (!shared->go)
        pthread_cond_wait(&shared->changed, &shared->mutex);
    pthread_mutex_unlock(&shared->mutex);
}

static void note_a(struct store *s, void *arg)
{
    struct shared *shared = arg;
    (void)s;
    shared->order[shared->n++] = 'a';
}

static void note_b(struct store *s, void *arg)
{
    struct shared *shared = arg;
    (void)s;
    shared->order[shared->n++] = 'b';
}

static void nothing(struct store *s, void *arg)
{
    (void)s;
    (void)arg;
}

static void test_store__runs_jobs_in_order_and_to_the_end(void **state)
{
    struct store *s = place_open(*state);
    struct shared shared = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER};
    struct store_tick tick = {.interval_ms = 60000};
    assert_int_equal(store_start(s, &tick, NULL), ERR_OK);
    assert_true(store_post(s, wait_until_go, &shared));
    assert_true(store_post(s, note_a, &shared));
    assert_true(store_post(s, note_b, &shared));
    pthread_mutex_lock(&shared.mutex);
    shared.go = true;
    pthread_cond_broadcast(&shared.changed);
    pthread_mutex_unlock(&shared.mutex);
    store_stop(s);
    assert_string_equal(shared.order, "wab");
    assert_int_equal(store_queue_length(s), 0);
    assert_false(store_post(s, note_a, &shared));
    store_close(s);
}

static void test_store__refuses_jobs_beyond_its_queue(void **state)
{
    struct store *s = place_open(*state);
    for (int i = 0; i < STORE_JOBS_MAX - 1; i++)
        assert_true(store_post(s, nothing, NULL));
    assert_int_equal(store_queue_length(s), STORE_JOBS_MAX - 1);
    assert_true(store_post(s, nothing, NULL));
    assert_false(store_post(s, nothing, NULL));
    assert_int_equal(store_queue_length(s), STORE_JOBS_MAX);
    assert_int_equal(store_start(s, &(struct store_tick){.interval_ms = 60000}, NULL), ERR_OK);
    store_stop(s);
    assert_int_equal(store_queue_length(s), 0);
    store_close(s);
}

static void test_store__ticks_again_and_again(void **state)
{
    struct store *s = place_open(*state);
    struct shared shared = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER};
    struct store_tick tick = {.interval_ms = 1, .fn = on_tick, .arg = &shared};
    assert_int_equal(store_start(s, &tick, NULL), ERR_OK);
    pthread_mutex_lock(&shared.mutex);
    while (shared.ticks < 3)
        pthread_cond_wait(&shared.changed, &shared.mutex);
    pthread_mutex_unlock(&shared.mutex);
    store_stop(s);
    store_stop(s);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_store__is_made_for_its_owner_alone),
        PLACE_TEST(test_store__takes_rights_from_others),
        PLACE_TEST(test_store__has_one_process),
        PLACE_TEST(test_store__stops_at_what_it_must_not_touch),
        PLACE_TEST(test_store__a_whole_check_sees_more_than_the_start),
        PLACE_TEST(test_store__tries_replace_each_other),
        PLACE_TEST(test_store__a_moved_secret_does_not_open),
        PLACE_TEST(test_store__the_key_file_is_its_own),
        PLACE_TEST(test_store__an_empty_file_is_a_first_start),
        PLACE_TEST(test_store__a_backup_opens),
        PLACE_TEST(test_store__runs_jobs_in_order_and_to_the_end),
        PLACE_TEST(test_store__refuses_jobs_beyond_its_queue),
        PLACE_TEST(test_store__ticks_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
