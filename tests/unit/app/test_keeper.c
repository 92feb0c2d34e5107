/*
 * The keeper with a real store and a real pool: what one knows, the other knows after a restart.
 */
#include "app/keeper.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/intake.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "unit.h"

struct place {
    char dir[64];
    char key[128];
    struct config config;
    struct keeper *keeper;
};

static struct keeper *open_keeper(struct place *p)
{
    struct err_info info = {0};
    if (keeper_open(&p->config, &p->keeper, &info) != ERR_OK)
        fail_msg("%s", info.text);
    return p->keeper;
}

static struct keeper *restart(struct place *p)
{
    keeper_close(p->keeper);
    return open_keeper(p);
}

static int setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/o2o-keeper-XXXXXX");
    if (crypto_init() != ERR_OK || mkdtemp(p->dir) == NULL)
        return -1;
    (void)snprintf(p->key, sizeof(p->key), "%s/secret.key", p->dir);
    p->config.data_dir = str_z(p->dir);
    p->config.key_file = str_z(p->key);
    p->config.upstream = (struct url){.tls = true, .authority = STR("ollama.com")};
    *state = p;
    open_keeper(p);
    return 0;
}

static int teardown(void **state)
{
    struct place *p = *state;
    char command[128];
    keeper_close(p->keeper);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", p->dir);
    int rc = system(command);
    free(p);
    return rc;
}

static struct key_spec spec_of(const char *secret)
{
    return (struct key_spec){
        .secret = str_z(secret), .base_url = STR("https://a.example"), .enabled = true};
}

/* Adds keys with these secrets, one call. */
static void add(struct keeper *k, const char *const *secrets, size_t n)
{
    struct key_spec specs[8];
    bool duplicates[8];
    struct err_info info = {0};
    for (size_t i = 0; i < n; i++)
        specs[i] = spec_of(secrets[i]);
    if (keeper_add(k, specs, n, 0, duplicates, &info) != ERR_OK)
        fail_msg("%s", info.text);
}

struct look {
    enum key_state state;
    bool enabled;
    uint64_t requests, failures, tokens;
    char name[64];
    char error[64];
    char reason[128];
};

static void see(void *arg, const struct key_view *view)
{
    struct look *l = arg;
    *l = (struct look){.state = view->state,
                       .enabled = view->enabled,
                       .requests = view->life.requests,
                       .failures = view->life.failures,
                       .tokens = view->life.tokens};
    (void)snprintf(l->reason, sizeof(l->reason), "%.*s", STR_ARG(view->reason));
    (void)snprintf(l->name, sizeof(l->name), "%.*s", STR_ARG(view->name));
    (void)snprintf(l->error, sizeof(l->error), "%.*s", STR_ARG(view->life.last_error));
}

static bool look(struct keeper *k, uint64_t id, struct look *ret)
{
    return keypool_look(keeper_pool(k), id, clock_mono_ms(), see, ret);
}

static uint64_t total(struct keeper *k)
{
    struct key_summary summary;
    keypool_summary(keeper_pool(k), clock_mono_ms(), &summary);
    return summary.total;
}

static void test_keeper__finds_duplicates_in_pool_and_call(void **state)
{
    struct place *p = *state;
    const char *const first[] = {"a"};
    add(p->keeper, first, 1);
    struct key_spec specs[] = {spec_of("b"), spec_of("a"), spec_of("b"), spec_of("a")};
    specs[3].base_url = STR("https://b.example"); // the same key elsewhere is another one
    bool dup[4];
    assert_int_equal(keeper_add(p->keeper, specs, 4, KEEPER_DRY_RUN, dup, NULL), ERR_OK);
    assert_true(!dup[0] && dup[1] && dup[2] && !dup[3]);
    assert_true(specs[0].id == 0 && specs[1].id == 1 && specs[2].id == 0 && specs[3].id == 0);
    assert_int_equal(total(p->keeper), 1);

    assert_int_equal(keeper_add(p->keeper, specs, 4, 0, dup, NULL), ERR_OK);
    assert_true(!dup[0] && dup[1] && dup[2] && !dup[3]);
    assert_true(specs[0].id == 2 && specs[1].id == 1 && specs[2].id == 2 && specs[3].id == 3);
    assert_int_equal(total(p->keeper), 3);
    assert_int_equal(total(restart(p)), 3);
    assert_int_equal(keypool_find(keeper_pool(p->keeper), STR("https://b.example"), STR("a")), 3);
}

static void test_keeper__adds_all_or_none(void **state)
{
    struct place *p = *state;
    char text[KEYPOOL_SECRET_BYTES + 1];
    memset(text, 'x', sizeof(text));
    static const struct {
        const char *why;
        size_t secret, name;
        const char *url;
        enum err want;
    } cases[] = {
        {"a secret at its limit", KEYPOOL_SECRET_BYTES,     1,                      "https://a.example", ERR_OK   },
        {"a secret above it",     KEYPOOL_SECRET_BYTES + 1, 1,                      "https://a.example", ERR_RANGE},
        {"a name at its limit",   3,                        KEYPOOL_NAME_BYTES,     "https://a.example", ERR_OK   },
        {"a name above it",       4,                        KEYPOOL_NAME_BYTES + 1, "https://a.example", ERR_RANGE},
        {"no URL",                5,                        1,                      "a.example",         ERR_RANGE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t before = total(p->keeper);
        char good[32];
        bool dup[2];
        (void)snprintf(good, sizeof(good), "good-%zu", i);
        struct key_spec specs[] = {spec_of(good), spec_of("")};
        specs[1].secret = str_of(text, cases[i].secret);
        specs[1].name = str_of(text, cases[i].name);
        specs[1].base_url = str_z(cases[i].url);
        assert_why(keeper_add(p->keeper, specs, 2, 0, dup, NULL) == cases[i].want, cases[i].why);
        uint64_t more = cases[i].want == ERR_OK ? 2 : 0;
        assert_why(total(p->keeper) == before + more, cases[i].why);
        assert_why(total(restart(p)) == before + more, cases[i].why);
    }
}

static void test_keeper__changes_outlive_the_process(void **state)
{
    struct place *p = *state;
    const char *const secrets[] = {"a", "b", "c"};
    size_t n = 9;
    struct look l;
    add(p->keeper, secrets, 3);
    uint64_t ids[] = {1, 1, 77};
    assert_int_equal(keeper_remove(p->keeper, ids, 3, &n, NULL), ERR_OK);
    assert_int_equal(n, 1);
    ids[0] = 2;
    assert_int_equal(keeper_set_enabled(p->keeper, ids, 1, false, &n, NULL), ERR_OK);
    assert_int_equal(keeper_set_name(p->keeper, 3, STR("third"), NULL), ERR_OK);
    assert_int_equal(keeper_set_name(p->keeper, 1, STR("gone"), NULL), ERR_NOT_FOUND);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(total(p->keeper), 2);
        assert_false(look(p->keeper, 1, &l));
        assert_true(look(p->keeper, 2, &l));
        assert_int_equal(l.state, KEY_IS_DISABLED);
        assert_true(look(p->keeper, 3, &l));
        assert_string_equal(l.name, "third");
        restart(p);
    }
}

static void test_keeper__an_import_can_be_taken_back(void **state)
{
    struct place *p = *state;
    const char *const secrets[] = {"a"};
    struct key_spec specs[] = {spec_of("b"), spec_of("a"), spec_of("c")};
    bool dup[3];
    size_t n = 0;
    add(p->keeper, secrets, 1);
    assert_int_equal(keeper_add(p->keeper, specs, 3, KEEPER_BATCH, dup, NULL), ERR_OK);
    uint64_t batch = specs[0].id;
    restart(p);
    assert_int_equal(keeper_remove_batch(p->keeper, batch, &n, NULL), ERR_OK);
    assert_int_equal(n, 2); // and not the key that was there before
    assert_int_equal(total(p->keeper), 1);
    assert_int_equal(keeper_remove_batch(p->keeper, batch, &n, NULL), ERR_OK);
    assert_int_equal(n, 0);
}

/* One request with the key `id`, which goes well or is refused. */
static void use(struct keeper *k, uint64_t id, bool good)
{
    struct lease lease;
    uint64_t now_ms = clock_mono_ms();
    assert_true(keypool_acquire_id(keeper_pool(k), id, &lease));
    if (good) {
        keypool_report_success(keeper_pool(k), &lease, STR("m"), 5, now_ms);
        return;
    }
    keypool_report_probe(keeper_pool(k), &lease, PROBE_REFUSED, STR("invalid key"), now_ms);
}

static void test_keeper__lives_and_counts_outlive_the_process(void **state)
{
    struct place *p = *state;
    const char *const secrets[] = {"a", "b"};
    struct look l;
    add(p->keeper, secrets, 2);
    use(p->keeper, 1, true);
    use(p->keeper, 1, true);
    use(p->keeper, 2, false);
    assert_true(look(p->keeper, 2, &l));
    char reason[sizeof(l.reason)];
    memcpy(reason, l.reason, sizeof(reason));
    assert_memory_equal(reason, "refused: ", 9);
    restart(p);
    assert_true(look(p->keeper, 1, &l));
    assert_true(l.requests == 2 && l.failures == 0 && l.tokens == 10);
    assert_true(look(p->keeper, 2, &l));
    assert_int_equal(l.state, KEY_IS_DEAD);
    assert_string_equal(l.reason, reason);
}

struct sums {
    uint64_t success, tokens;
};

static void sum_row(void *arg, const struct store_day_row *row)
{
    struct sums *sums = arg;
    sums->success += row->success;
    sums->tokens += row->tokens;
}

static void count_move(void *arg, const struct key_move *move)
{
    size_t *n = arg;
    (void)move;
    ++*n;
}

static void limit_files(bool small)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = small ? 16 : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_keeper__a_full_disk_delays_and_loses_nothing(void **state)
{
    struct place *p = *state;
    const char *const secrets[] = {"a", "b"};
    struct key_spec more = spec_of("c");
    struct sums sums = {0};
    size_t n_moves = 0;
    bool dup;
    add(p->keeper, secrets, 2);
    use(p->keeper, 1, true);
    limit_files(true);
    enum err flushed = keeper_flush(p->keeper, NULL);
    use(p->keeper, 1, true); // goes on, and adds up
    use(p->keeper, 2, false);
    enum err again = keeper_flush(p->keeper, NULL);
    enum err added = keeper_add(p->keeper, &more, 1, 0, &dup, NULL);
    limit_files(false);
    assert_int_equal(flushed, ERR_FULL);
    assert_int_equal(again, ERR_FULL);
    assert_int_equal(added, ERR_FULL);
    assert_int_equal(total(p->keeper), 2);

    assert_int_equal(keeper_flush(p->keeper, NULL), ERR_OK);
    struct store *s = keeper_store(p->keeper);
    assert_int_equal(store_read_days(s, 0, 1, sum_row, &sums, NULL), ERR_OK);
    assert_true(sums.success == 2 && sums.tokens == 10);
    assert_int_equal(store_read_moves(s, 2, (str){0}, count_move, &n_moves, NULL), ERR_OK);
    assert_int_equal(n_moves, 1);
}

static void test_keeper__its_thread_writes_what_is_left(void **state)
{
    struct place *p = *state;
    const char *const secrets[] = {"a"};
    struct look l;
    add(p->keeper, secrets, 1);
    assert_int_equal(keeper_start(p->keeper, NULL), ERR_OK);
    use(p->keeper, 1, true);
    keeper_stop(p->keeper);
    keeper_stop(p->keeper);
    restart(p);
    assert_true(look(p->keeper, 1, &l));
    assert_int_equal(l.requests, 1);
}

/* ---- files of the older program ---- */

static void write_file(const struct place *p, const char *name, const char *text)
{
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/%s", p->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static bool is_there(const struct place *p, const char *name)
{
    char path[160];
    (void)snprintf(path, sizeof(path), "%s/%s", p->dir, name);
    return access(path, F_OK) == 0;
}

static const char OLDER[] =
    "{\"keys\":[{\"id\":\"k-1\",\"key\":\"sk-older-1\",\"baseUrl\":\"https://ollama.com/api\","
    "\"name\":\"one\",\"enabled\":false,\"healthy\":true,\"totalRequests\":7,\"failedRequests\":2,"
    "\"totalTokens\":99,\"addedAt\":\"2024-01-02T03:04:05.000Z\"},"
    "{\"id\":\"k-2\",\"key\":\"bad key\",\"baseUrl\":\"https://ollama.com/api\"}],"
    "\"currentIndex\":0}";

static void test_intake__takes_over_on_the_first_start(void **state)
{
    struct place *p = *state;
    struct buf notes;
    struct look l;
    buf_init(&notes, 65536);
    write_file(p, "keys.json", OLDER);
    assert_int_equal(intake_first_start(p->keeper, &p->config, &notes, NULL), ERR_OK);
    assert_false(is_there(p, "keys.json"));
    assert_true(is_there(p, "keys.json.imported"));
    assert_true(str_contains(buf_str(&notes), STR("1 keys were taken from keys.json; delete ")));
    assert_true(str_contains(buf_str(&notes), STR("not taken from keys.json: keys[1]: ")));
    assert_false(str_contains(buf_str(&notes), STR("bad key")));

    restart(p);
    uint64_t id = keypool_find_id(keeper_pool(p->keeper), STR("k-1"));
    assert_true(look(p->keeper, id, &l));
    assert_string_equal(l.name, "one");
    assert_false(l.enabled);
    assert_true(l.requests == 7 && l.failures == 2 && l.tokens == 99);

    // The next start takes nothing, and says so.
    write_file(p, "keys.json", "{\"keys\":[]}");
    buf_reset(&notes);
    assert_int_equal(intake_first_start(p->keeper, &p->config, &notes, NULL), ERR_OK);
    assert_true(is_there(p, "keys.json"));
    assert_true(str_contains(buf_str(&notes), STR("--import")));
    buf_release(&notes);
}

static void test_intake__a_broken_file_stops_the_start(void **state)
{
    struct place *p = *state;
    struct buf notes;
    struct err_info info = {0};
    buf_init(&notes, 65536);
    write_file(p, "keys.json", "{\"keys\":[{");
    assert_int_equal(intake_first_start(p->keeper, &p->config, &notes, &info), ERR_SYNTAX);
    assert_true(str_contains(str_z(info.text), STR("keys.json': ")));
    assert_true(str_ends(str_z(info.text), STR("repair it, or move it away")));
    assert_true(is_there(p, "keys.json"));
    // Repaired, it is the first start still.
    write_file(p, "keys.json", OLDER);
    restart(p);
    assert_int_equal(intake_first_start(p->keeper, &p->config, &notes, &info), ERR_OK);
    assert_int_equal(total(p->keeper), 1);
    buf_release(&notes);
}

static void test_intake__tokens_are_named_and_stay(void **state)
{
    struct place *p = *state;
    struct buf notes;
    buf_init(&notes, 65536);
    write_file(p, "tokens.json", "{\"tokens\":[{\"id\":\"t\",\"key\":\"sk-caller-secret-text\"}]}");
    assert_int_equal(intake_first_start(p->keeper, &p->config, &notes, NULL), ERR_OK);
    assert_true(is_there(p, "tokens.json"));
    assert_true(str_contains(buf_str(&notes), STR("not taken from tokens.json")));
    assert_int_equal(total(p->keeper), 0);
    buf_release(&notes);
}

#define KEEPER_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEEPER_TEST(test_keeper__finds_duplicates_in_pool_and_call),
        KEEPER_TEST(test_keeper__adds_all_or_none),
        KEEPER_TEST(test_keeper__changes_outlive_the_process),
        KEEPER_TEST(test_keeper__an_import_can_be_taken_back),
        KEEPER_TEST(test_keeper__lives_and_counts_outlive_the_process),
        KEEPER_TEST(test_keeper__a_full_disk_delays_and_loses_nothing),
        KEEPER_TEST(test_keeper__its_thread_writes_what_is_left),
        KEEPER_TEST(test_intake__takes_over_on_the_first_start),
        KEEPER_TEST(test_intake__a_broken_file_stops_the_start),
        KEEPER_TEST(test_intake__tokens_are_named_and_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
