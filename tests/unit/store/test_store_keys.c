/*
 * Keys in the store: what was added is there after the next start, and nothing else is.
 */
#include "store/store.h"

#include "place.h"

struct seen {
    size_t n;
    struct key_spec keys[16];
    char text[16][5][64];
};

static str keep(char out[64], str s)
{
    assert_true(s.len < 64);
    memcpy(out, s.p != NULL ? s.p : "", s.len);
    return str_of(out, s.len);
}

static void see(void *arg, const struct key_spec *key)
{
    struct seen *seen = arg;
    assert_true(seen->n < 16);
    struct key_spec *k = &seen->keys[seen->n];
    *k = *key;
    k->secret = keep(seen->text[seen->n][0], key->secret);
    k->base_url = keep(seen->text[seen->n][1], key->base_url);
    k->name = keep(seen->text[seen->n][2], key->name);
    k->old_id = keep(seen->text[seen->n][3], key->old_id);
    k->life.last_error = keep(seen->text[seen->n][4], key->life.last_error);
    seen->n++;
}

/* What is there, until the next call. */
static const struct seen *read_all(struct store *s)
{
    static struct seen seen; // its keys point into it, so it stays where it is
    seen.n = 0;
    assert_int_equal(store_read_keys(s, see, &seen, NULL), ERR_OK);
    return &seen;
}

static struct key_spec key_of(const char *secret)
{
    return (struct key_spec){.secret = str_z(secret),
                             .base_url = STR("https://ollama.com"),
                             .name = STR("mine"),
                             .old_id = STR("old-7"),
                             .added_ms = 1700000000123,
                             .enabled = true};
}

static void add(struct store *s, struct key_spec *keys, size_t n)
{
    struct err_info info = {0};
    if (store_add_keys(s, keys, n, false, &info) != ERR_OK)
        fail_msg("%s", info.text);
}

static void test_store_keys__come_back_as_they_were(void **state)
{
    struct store *s = place_open(*state);
    struct key_spec keys[] = {key_of("sk-first"), key_of("")};
    keys[1].enabled = false;
    keys[1].name = keys[1].old_id = (str){0};
    keys[1].base_url = STR("http://10.0.0.1:11434");
    keys[1].life = (struct key_life){.state = KEY_IS_COOLING,
                                     .cause = CAUSE_LIMIT,
                                     .source = COOL_STATED,
                                     .until_ms = 1800000000000,
                                     .doublings = 3,
                                     .last_check_ms = 11,
                                     .last_used_ms = 12,
                                     .requests = 13,
                                     .failures = 14,
                                     .tokens = 15,
                                     .last_error = STR("too many"),
                                     .account = STR("me@x"),
                                     .worked = true};
    add(s, keys, 2);
    assert_int_equal(keys[0].id, 1);
    assert_int_equal(keys[1].id, 2);
    store_close(s);

    s = place_open(*state);
    assert_false(store_is_new(s));
    const struct seen *seen = read_all(s);
    assert_int_equal(seen->n, 2);
    const struct key_spec *a = &seen->keys[0], *b = &seen->keys[1];
    assert_int_equal(a->id, 1);
    assert_str(a->secret, STR("sk-first"));
    assert_str(a->base_url, STR("https://ollama.com"));
    assert_str(a->name, STR("mine"));
    assert_str(a->old_id, STR("old-7"));
    assert_int_equal(a->added_ms, 1700000000123);
    assert_true(a->enabled);
    assert_int_equal(a->life.requests, 0);
    assert_false(a->life.worked);
    assert_str(b->secret, STR(""));
    assert_false(b->enabled);
    const struct key_life *l = &b->life;
    assert_true(l->state == KEY_IS_COOLING && l->cause == CAUSE_LIMIT && l->source == COOL_STATED);
    assert_true(l->until_ms == 1800000000000 && l->doublings == 3 && l->worked);
    assert_true(l->last_check_ms == 11 && l->last_used_ms == 12);
    assert_true(l->requests == 13 && l->failures == 14 && l->tokens == 15);
    assert_str(l->last_error, STR("too many"));
    store_close(s);
}

static void test_store_keys__ids_are_never_given_twice(void **state)
{
    struct store *s = place_open(*state);
    struct key_spec keys[] = {key_of("a"), key_of("b"), key_of("c")};
    add(s, keys, 3);
    assert_int_equal(store_delete_keys(s, (uint64_t[]){2, 3}, 2, NULL), ERR_OK);
    store_close(s);

    s = place_open(*state);
    add(s, keys, 1);
    assert_int_equal(keys[0].id, 4);
    assert_int_equal(read_all(s)->n, 2);
    store_close(s);
}

static void test_store_keys__a_refused_batch_leaves_nothing(void **state)
{
    struct store *s = place_open(*state);
    char longer[KEYPOOL_SECRET_BYTES + 1];
    memset(longer, 'k', sizeof(longer));
    struct key_spec keys[] = {key_of("a"), key_of("b")};
    keys[1].secret = str_of(longer, sizeof(longer));
    assert_int_equal(store_add_keys(s, keys, 2, false, NULL), ERR_RANGE);
    assert_int_equal(read_all(s)->n, 0);
    keys[1].secret.len--;
    add(s, keys, 2);
    assert_int_equal(keys[0].id, 1);
    store_close(s);
}

static void count_ids(void *arg, uint64_t id)
{
    uint64_t *sum = arg;
    *sum = *sum * 10 + id;
}

static void test_store_keys__a_batch_is_found_by_its_first_id(void **state)
{
    struct store *s = place_open(*state);
    struct key_spec keys[] = {key_of("a"), key_of("b")};
    uint64_t ids = 0;
    add(s, keys, 2);
    assert_int_equal(store_add_keys(s, keys, 2, STORE_NEW_BATCH, NULL), ERR_OK);
    add(s, keys, 1);
    assert_int_equal(store_read_batch(s, 3, count_ids, &ids, NULL), ERR_OK);
    assert_int_equal(ids, 34);
    assert_int_equal(store_read_batch(s, 0, count_ids, &ids, NULL), ERR_OK);
    assert_int_equal(store_read_batch(s, 1, count_ids, &ids, NULL), ERR_OK);
    assert_int_equal(ids, 34);
    store_close(s);
}

static void test_store_keys__names_and_switches_change(void **state)
{
    struct store *s = place_open(*state);
    struct key_spec keys[] = {key_of("a"), key_of("b")};
    add(s, keys, 2);
    assert_int_equal(store_set_enabled(s, (uint64_t[]){1}, 1, false, NULL), ERR_OK);
    assert_int_equal(store_set_name(s, 2, STR("it's"), NULL), ERR_OK);
    const struct seen *seen = read_all(s);
    assert_false(seen->keys[0].enabled);
    assert_true(seen->keys[1].enabled);
    assert_str(seen->keys[0].name, STR("mine"));
    assert_str(seen->keys[1].name, STR("it's"));
    store_close(s);
}

static void test_store_keys__no_secret_stands_in_the_files(void **state)
{
    struct place *p = *state;
    struct store *s = place_open(p);
    struct key_spec key = key_of("canary-secret-in-plain");
    char backup[160], command[512];
    add(s, &key, 1);
    snprintf(backup, sizeof(backup), "%s/copy.db", p->dir);
    assert_int_equal(store_backup(s, backup, NULL), ERR_OK);
    // The log too, which is there while the store is open.
    snprintf(command, sizeof(command), "grep -rqa ollama.com '%s' && ls '%s'/*-wal >/dev/null",
             p->dir, p->dir);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof(command), "grep -rqaE 'canary-secret|y-secret-in' '%s'", p->dir);
    assert_int_not_equal(system(command), 0);
    store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(test_store_keys__come_back_as_they_were),
        PLACE_TEST(test_store_keys__ids_are_never_given_twice),
        PLACE_TEST(test_store_keys__a_refused_batch_leaves_nothing),
        PLACE_TEST(test_store_keys__a_batch_is_found_by_its_first_id),
        PLACE_TEST(test_store_keys__names_and_switches_change),
        PLACE_TEST(test_store_keys__no_secret_stands_in_the_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
