/* The rings of the last requests: what is kept, in which order, and what a follower sees. */
#include "core/reqlog.h"

#include <pthread.h>
#include <stdlib.h>

#include "unit.h"

static struct reqlog_entry request(const char *model)
{
    struct reqlog_entry e = {.route = ROUTE_CHAT, .status = 200, .end = "done"};
    reqlog_set_model(&e, str_z(model));
    reqlog_set_caller(&e, STR("127.0.0.1"));
    return e;
}

static uint64_t add(struct reqlog *l, size_t shard, const char *model)
{
    struct reqlog_entry e = request(model);
    reqlog_add(l, shard, &e, NULL);
    return e.id;
}

static struct reqlog_tries *tries(size_t n, const char *verdict)
{
    struct reqlog_tries *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->n = n;
    for (size_t i = 0; i < n; i++)
        t->items[i] = (struct reqlog_try){.key_id = i + 1, .verdict = verdict, .text = "why"};
    return t;
}

static struct reqlog_entry *room(void)
{
    struct reqlog_entry *all = calloc(REQLOG_CAPACITY, sizeof(*all));
    assert_non_null(all);
    return all;
}

static void test_reqlog__keeps_the_newest_of_each_shard(void **state)
{
    static const struct {
        size_t shards, capacity, added, kept;
        const char *why;
    } cases[] = {
        {1,    2000, 0,    0,    "none"                },
        {1,    2000, 1999, 1999, "one below"           },
        {1,    2000, 2000, 2000, "full"                },
        {1,    2000, 2001, 2000, "the oldest went"     },
        {1,    2000, 4500, 2000, "round twice"         },
        {3,    1998, 2001, 1998, "of 666 each"         },
        {5000, 5000, 3,    3,    "more rings than room"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reqlog *l = reqlog_new(cases[i].shards);
        struct reqlog_entry *all = calloc(reqlog_capacity(l), sizeof(*all));
        for (size_t k = 0; k < cases[i].added; k++)
            assert_int_equal(add(l, k % cases[i].shards, "m"), k + 1);
        assert_why(reqlog_capacity(l) == cases[i].capacity, cases[i].why);
        assert_why(reqlog_copy(l, all) == cases[i].kept, cases[i].why);
        for (size_t k = 0; k < cases[i].kept; k++)
            assert_why(all[k].id == cases[i].added - k, cases[i].why);
        assert_why(reqlog_newest(l) == cases[i].added, cases[i].why);
        free(all);
        reqlog_free(l);
    }
}

static void test_reqlog__copies_what_it_is_told(void **state)
{
    (void)state;
    struct reqlog *l = reqlog_new(1);
    struct reqlog_entry e = request("llama3:8b"), got;
    struct reqlog_tries failed;
    e.key_id = 7;
    e.first_ms = UINT64_MAX;
    reqlog_add(l, 0, &e, tries(2, "limited"));
    assert_true(reqlog_find(l, 1, &got, &failed));
    assert_str(reqlog_model(&got), STR("llama3:8b"));
    assert_str(reqlog_caller(&got), STR("127.0.0.1"));
    assert_int_equal(got.key_id, 7);
    assert_true(got.first_ms == UINT64_MAX);
    assert_int_equal(failed.n, 2);
    assert_string_equal(failed.items[1].verdict, "limited");
    assert_int_equal(failed.items[1].key_id, 2);
    (void)add(l, 0, "m");
    assert_true(reqlog_find(l, 2, &got, &failed));
    assert_int_equal(failed.n, 0);
    assert_false(reqlog_find(l, 3, &got, &failed));
    assert_false(reqlog_find(l, 0, &got, &failed));
    reqlog_free(l);
}

static void test_reqlog__forgets_attempts_with_their_request(void **state)
{
    (void)state;
    struct reqlog *l = reqlog_new(1);
    struct reqlog_entry e = request("m"), got;
    struct reqlog_tries failed;
    reqlog_add(l, 0, &e, tries(REQLOG_TRIES_MAX, "cut"));
    for (size_t i = 1; i < REQLOG_CAPACITY; i++)
        (void)add(l, 0, "m");
    assert_true(reqlog_find(l, 1, &got, &failed));
    assert_int_equal(failed.n, REQLOG_TRIES_MAX);
    (void)add(l, 0, "m");
    assert_false(reqlog_find(l, 1, &got, &failed));
    assert_true(reqlog_find(l, REQLOG_CAPACITY + 1, &got, &failed));
    assert_int_equal(failed.n, 0);
    reqlog_free(l);
}

static void test_reqlog__cuts_texts_between_characters(void **state)
{
    static const struct {
        size_t spaces; // before a character of three bytes
        size_t len;
    } cases[] = {
        {60, 63},
        {61, 64},
        {62, 62},
        {63, 63},
        {64, 64},
        {65, 64}
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[80];
        memset(text, ' ', sizeof(text));
        memcpy(text + cases[i].spaces, "\xE4\xBD\xA0", 3);
        struct reqlog_entry e = {.id = 0};
        reqlog_set_model(&e, str_of(text, cases[i].spaces + 3));
        reqlog_set_caller(&e, str_of(text, cases[i].spaces + 3));
        assert_int_equal(reqlog_model(&e).len, cases[i].len);
        assert_int_equal(reqlog_caller(&e).len, cases[i].len);
    }
    struct reqlog_entry none = {.id = 0};
    reqlog_set_model(&none, (str){0});
    assert_int_equal(reqlog_model(&none).len, 0);
}

static void test_reqlog__tells_a_follower_what_is_new(void **state)
{
    (void)state;
    struct reqlog *l = reqlog_new(3);
    struct reqlog_entry *got = room();
    uint64_t at, skipped;
    assert_int_equal(reqlog_since(l, 0, 50, got, &at, &skipped), 0);
    assert_int_equal(at, 0);
    for (size_t i = 0; i < 7; i++)
        (void)add(l, i * 2 % 3, "m");
    assert_int_equal(reqlog_since(l, 4, 50, got, &at, &skipped), 3);
    assert_int_equal(at, 7);
    assert_int_equal(skipped, 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(got[i].id, 7 - i);
    assert_int_equal(reqlog_since(l, 4, 2, got, &at, &skipped), 2);
    assert_int_equal(skipped, 1);
    assert_int_equal(got[1].id, 6);
    assert_int_equal(reqlog_since(l, 7, 50, got, &at, &skipped), 0);
    assert_int_equal(at, 7);
    // More came than is kept.
    for (size_t i = 0; i < 3000; i++)
        (void)add(l, 0, "m");
    size_t n = reqlog_since(l, 7, REQLOG_CAPACITY, got, &at, &skipped);
    assert_int_equal(n, 666);
    assert_int_equal(skipped, 3000 - 666);
    assert_int_equal(at, 3007);
    free(got);
    reqlog_free(l);
}

enum { WRITERS = 3, EACH = 4000 };

struct writer {
    struct reqlog *log;
    size_t shard;
};

static void *write_many(void *arg)
{
    const struct writer *w = arg;
    for (size_t i = 0; i < EACH; i++) {
        struct reqlog_entry e = request("m");
        reqlog_add(w->log, w->shard, &e, i % 8 == 0 ? tries(1, "cut") : NULL);
    }
    return NULL;
}

static void test_reqlog__a_follower_misses_nothing_of_many_writers(void **state)
{
    (void)state;
    struct reqlog *l = reqlog_new(WRITERS);
    struct reqlog_entry *got = room();
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.log = l, .shard = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    uint64_t at = 0, seen = 0;
    while (at < (uint64_t)WRITERS * EACH) {
        uint64_t before = at, skipped;
        size_t n = reqlog_since(l, before, REQLOG_CAPACITY, got, &at, &skipped);
        assert_int_equal(at - before, n + skipped);
        for (size_t i = 1; i < n; i++)
            assert_true(got[i].id < got[i - 1].id);
        assert_true(n == 0 || (got[n - 1].id > before && got[0].id == at));
        seen += n + skipped;
    }
    assert_int_equal(seen, (uint64_t)WRITERS * EACH);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    free(got);
    reqlog_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reqlog__keeps_the_newest_of_each_shard),
        cmocka_unit_test(test_reqlog__copies_what_it_is_told),
        cmocka_unit_test(test_reqlog__forgets_attempts_with_their_request),
        cmocka_unit_test(test_reqlog__cuts_texts_between_characters),
        cmocka_unit_test(test_reqlog__tells_a_follower_what_is_new),
        cmocka_unit_test(test_reqlog__a_follower_misses_nothing_of_many_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
