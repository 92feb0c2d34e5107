#include "keypool_test.h"

/* ---- coming and going ---- */

static void test_keypool__finds_keys_by_id_and_identity(void **state)
{
    struct bench *b = bench_of(3);
    (void)state;
    add_key(b->p, 4, HOST_B);
    assert_int_equal(keypool_find(b->p, STR(HOST_A), STR("key-2")), 2);
    assert_int_equal(keypool_find(b->p, STR(HOST_B), STR("key-4")), 4);
    assert_int_equal(keypool_find(b->p, STR(HOST_B), STR("key-2")), 0);
    assert_int_equal(keypool_find(b->p, STR(HOST_C), STR("key-2")), 0);
    assert_int_equal(keypool_find_id(b->p, STR("3")), 3);
    assert_int_equal(keypool_find_id(b->p, STR("5")), 0);
    assert_int_equal(keypool_find_id(b->p, STR("")), 0);
    bench_free(b);
}

static void test_keypool__finds_ids_of_the_older_program(void **state)
{
    struct bench *b = bench_of(0);
    struct key_spec spec = {.id = 7,
                            .old_id = STR("key_1699"),
                            .secret = STR("x"),
                            .base_url = STR(HOST_A),
                            .enabled = true};
    (void)state;
    assert_int_equal(add_spec(b->p, &spec), ERR_OK);
    spec.id = 8;
    spec.old_id = STR("1700000000001"); // decimal, as some are
    spec.secret = STR("y");
    assert_int_equal(add_spec(b->p, &spec), ERR_OK);
    assert_int_equal(keypool_find_id(b->p, STR("key_1699")), 7);
    assert_int_equal(keypool_find_id(b->p, STR("1700000000001")), 8);
    assert_true(keypool_remove(b->p, 7, T0));
    assert_int_equal(keypool_find_id(b->p, STR("key_1699")), 0);
    bench_free(b);
}

static void test_keypool__refuses_the_same_key_twice(void **state)
{
    struct bench *b = bench_of(2);
    struct key_spec spec = {
        .id = 9, .secret = STR("key-2"), .base_url = STR(HOST_A), .enabled = true};
    uint64_t id = 0;
    (void)state;
    assert_int_equal(keypool_add(b->p, &spec, T0, &id), ERR_EXISTS);
    assert_int_equal(id, 2);
    assert_int_equal(summary_of(b).total, 2);
    spec.base_url = STR(HOST_B); // another host's key is another key
    assert_int_equal(keypool_add(b->p, &spec, T0, &id), ERR_OK);
    assert_int_equal(id, 9);
    bench_free(b);
}

static void test_keypool__refuses_what_is_too_long_or_no_url(void **state)
{
    static char text[KEYPOOL_SECRET_BYTES + 1];
    memset(text, 'a', sizeof(text));
    static const struct {
        size_t secret;
        size_t name;
        size_t old_id;
        const char *url;
        enum err want;
        const char *why;
    } cases[] = {
        {KEYPOOL_SECRET_BYTES,     0,                      0,                      HOST_A,   ERR_OK,     "the longest secret"              },
        {KEYPOOL_SECRET_BYTES + 1, 0,                      0,                      HOST_A,   ERR_RANGE,  "a longer one"                    },
        {1,                        KEYPOOL_NAME_BYTES,     0,                      HOST_A,   ERR_OK,     "the longest name"                },
        {2,                        KEYPOOL_NAME_BYTES + 1, 0,                      HOST_A,   ERR_RANGE,  "a longer one"                    },
        {3,                        0,                      KEYPOOL_NAME_BYTES,     HOST_A,   ERR_OK,     "the longest old id"              },
        {4,                        0,                      KEYPOOL_NAME_BYTES + 1, HOST_A,   ERR_RANGE,  "a longer one"                    },
        {5,                        0,                      0,                      "ftp://", ERR_SYNTAX, "no URL"                          },
        {0,                        0,                      0,                      HOST_A,   ERR_OK,     "no secret: a server without keys"},
    };
    struct bench *b = bench_of(0);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct key_spec spec = {.id = i + 1,
                                .secret = str_of(text, cases[i].secret),
                                .name = str_of(text, cases[i].name),
                                .old_id = str_of(text, cases[i].old_id),
                                .base_url = str_z(cases[i].url),
                                .enabled = true};
        assert_why(add_spec(b->p, &spec) == cases[i].want, cases[i].why);
    }
    assert_int_equal(summary_of(b).total, 4);
    bench_free(b);
}

static void test_keypool__uses_places_of_removed_keys_again(void **state)
{
    struct bench *b = bench_of(10);
    struct lease lease;
    (void)state;
    for (int round = 0; round < 50; round++) {
        uint64_t id = 11 + (uint64_t)round;
        assert_true(keypool_remove(b->p, id - 10, T0));
        assert_false(keypool_remove(b->p, id - 10, T0));
        add_key(b->p, id, round % 2 ? HOST_A : HOST_B);
    }
    assert_int_equal(summary_of(b).total, 10);
    unsigned seen = 0;
    for (int i = 0; i < 10; i++) {
        uint64_t id = take(b, T0, &lease);
        assert_in_range(id, 51, 60);
        seen |= 1u << (id - 51);
        keypool_report_success(b->p, &lease, M, 1, T0);
    }
    assert_int_equal(seen, 0x3FF);
    bench_free(b);
}

static void test_keypool__keeps_a_removed_key_for_its_leases(void **state)
{
    struct bench *b = bench_of(1);
    struct lease first;
    struct lease second;
    (void)state;
    assert_true(keypool_acquire_id(b->p, 1, &first));
    assert_true(keypool_acquire_id(b->p, 1, &second));
    assert_true(keypool_remove(b->p, 1, T0));
    assert_int_equal(keypool_find_id(b->p, STR("1")), 0);
    assert_int_equal(try_pick(b, T0), PICK_NO_UPSTREAM);
    add_key(b->p, 2, HOST_A); // does not take the slot
    assert_str(first.secret, STR("key-1"));
    assert_str(first.url->host, STR("a.example"));
    keypool_report_failure(b->p, &first, M, &V_DEAD, T0);
    keypool_report_success(b->p, &second, M, 5, T0);
    assert_int_equal(state_of(b, 2), KEY_IS_READY);
    assert_int_equal(summary_of(b).requests, 0);
    assert_int_equal(b->n_moves, 0);
    bench_free(b);
}

static void test_keypool__tells_a_new_key_in_an_old_slot_from_the_old(void **state)
{
    struct bench *b = bench_of(1);
    struct key_search s = {0};
    struct lease lease;
    (void)state;
    assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY);
    keypool_report_failure(b->p, &lease, M, &V_RESET, T0);
    assert_true(keypool_remove(b->p, 1, T0));
    add_key(b->p, 2, HOST_A);
    assert_int_equal(pick(b, &s, T0, &lease), PICK_KEY); // this search has not tried it
    assert_int_equal(lease.key_id, 2);
    keypool_release(b->p, &lease, T0);
    key_search_release(&s);
    bench_free(b);
}

static void test_keypool__names_keys(void **state)
{
    static char text[KEYPOOL_NAME_BYTES + 1];
    struct bench *b = bench_of(1);
    (void)state;
    memset(text, 'n', sizeof(text));
    assert_true(keypool_set_name(b->p, 1, STR("mine")));
    assert_string_equal(look(b, 1).name, "mine");
    assert_true(keypool_set_name(b->p, 1, str_of(text, sizeof(text))));
    assert_int_equal(strlen(look(b, 1).name), KEYPOOL_NAME_BYTES);
    assert_true(keypool_set_name(b->p, 1, STR("")));
    assert_string_equal(look(b, 1).name, "");
    assert_false(keypool_set_name(b->p, 2, STR("x")));
    bench_free(b);
}

/* ---- an empty pool ---- */

static const struct url LOCAL = {
    .host = STR_C("127.0.0.1"), .port = 11434, .authority = STR_C("127.0.0.1:11434")};
static const struct url FAR = {.tls = true,
                               .host = STR_C("far.example"),
                               .port = 443,
                               .authority = STR_C("far.example"),
                               .path = STR_C("/ollama")};

static void test_keypool__is_nowhere_without_keys(void **state)
{
    struct bench *b = bench_of(0);
    (void)state;
    assert_int_equal(try_pick(b, T0), PICK_NO_UPSTREAM);
    keypool_set_fallback(b->p, NULL, T0);
    assert_int_equal(try_pick(b, T0), PICK_NO_UPSTREAM);
    bench_free(b);
}

static void test_keypool__empty_has_one_key_without_a_secret(void **state)
{
    struct bench *b = bench_of(0);
    struct lease lease;
    (void)state;
    keypool_set_fallback(b->p, &FAR, T0);
    assert_int_equal(take(b, T0, &lease), 0);
    assert_true(lease.fallback);
    assert_true(lease.alone);
    assert_int_equal(lease.secret.len, 0);
    assert_str(lease.url->authority, STR("far.example"));
    assert_str(lease.url->path, STR("/ollama"));
    assert_true(lease.url->tls);
    keypool_report_success(b->p, &lease, M, 5, T0);
    assert_int_equal(summary_of(b).total, 0);
    assert_int_equal(summary_of(b).requests, 0);
    assert_int_equal(keypool_flush(b->p, 10, T0, copy_view, NULL), 0); // it is not stored
    assert_true(host_at(b, 0).fallback);
    assert_int_equal(host_at(b, 0).by_state[KEY_IS_READY], 1);
    bench_free(b);
}

static void test_keypool__leaves_the_fallback_with_the_first_key(void **state)
{
    struct bench *b = bench_of(0);
    struct lease lease;
    (void)state;
    keypool_set_fallback(b->p, &LOCAL, T0);
    add_key(b->p, 1, "http://127.0.0.1:11434"); // the same host
    for (int i = 0; i < 3; i++) {
        assert_int_equal(take(b, T0, &lease), 1);
        assert_false(lease.fallback);
        keypool_release(b->p, &lease, T0);
    }
    assert_false(host_at(b, 0).fallback);
    assert_true(keypool_set_enabled(b->p, 1, false, T0));
    assert_int_equal(try_pick(b, T0), PICK_NO_UPSTREAM); // a disabled key is a key
    assert_true(keypool_remove(b->p, 1, T0));
    assert_int_equal(take(b, T0, &lease), 0);
    keypool_release(b->p, &lease, T0);
    bench_free(b);
}

static void test_keypool__follows_a_new_fallback(void **state)
{
    struct bench *b = bench_of(0);
    struct lease old;
    struct lease lease;
    (void)state;
    keypool_set_fallback(b->p, &LOCAL, T0);
    take(b, T0, &old);
    keypool_set_fallback(b->p, &FAR, T0);
    assert_str(old.url->host, STR("127.0.0.1")); // until it is given back
    take(b, T0, &lease);
    assert_str(lease.url->host, STR("far.example"));
    keypool_release(b->p, &lease, T0);
    keypool_report_failure(b->p, &old, M, &V_CONNECT, T0);
    keypool_set_fallback(b->p, NULL, T0);
    assert_int_equal(try_pick(b, T0), PICK_NO_UPSTREAM);
    bench_free(b);
}

/* "At most every 5 s" for the server of this machine; as any host otherwise. */
static void test_keypool__looks_for_a_local_server_every_5_s(void **state)
{
    struct bench *b = bench_of(0);
    struct lease lease;
    (void)state;
    keypool_set_fallback(b->p, &LOCAL, T0);
    uint64_t now = T0;
    for (int i = 0; i < 5; i++) { // it does not double
        take(b, now, &lease);
        assert_int_equal(try_pick(b, now), i == 0 ? PICK_KEY : PICK_BUSY);
        keypool_report_failure(b->p, &lease, M, &V_CONNECT, now);
        assert_int_equal(host_at(b, 0).until_ms - WALL, (int64_t)(now - T0) + 5000);
        now += 5000;
    }
    take(b, now, &lease);
    keypool_report_success(b->p, &lease, M, 1, now);
    assert_false(host_at(b, 0).cooling);
    keypool_set_fallback(b->p, &FAR, T0);
    take(b, now, &lease);
    keypool_report_failure(b->p, &lease, M, &V_CONNECT, now);
    assert_false(host_at(b, 1).cooling); // one is not two in a row
    assert_true(host_at(b, 1).failed_last);
    bench_free(b);
}

static void test_keypool__knows_a_refused_fallback_as_dead(void **state)
{
    struct bench *b = bench_of(0);
    struct lease lease;
    (void)state;
    keypool_set_fallback(b->p, &FAR, T0);
    take(b, T0, &lease);
    keypool_report_failure(b->p, &lease, M, &V_DEAD, T0);
    assert_int_equal(try_pick(b, T0), PICK_DEAD);
    assert_int_equal(host_at(b, 0).by_state[KEY_IS_DEAD], 1);
    bench_free(b);
}

/* ---- lives that were stored ---- */

static void test_keypool__restores_lives(void **state)
{
    static const struct {
        struct key_life life;
        enum key_state want;
        int64_t want_until_ms; // from now on; 0: none is shown
        const char *why;
    } cases[] = {
        {{.state = KEY_IS_READY},                                                          KEY_IS_READY, 0,        "ready"},
        {{.state = KEY_IS_COOLING,
          .cause = CAUSE_LIMIT,
          .source = COOL_STATED,
          .until_ms = WALL + 60000},
         KEY_IS_COOLING,                                                                                 60000,
         "limited"                                                                                                        },
        {{.state = KEY_IS_COOLING,
          .cause = CAUSE_LIMIT,
          .source = COOL_STATED,
          .until_ms = WALL + 999999999},
         KEY_IS_COOLING,                                                                                 3600000,
         "the clock was wrong: an hour"                                                                                   },
        {{.state = KEY_IS_COOLING,
          .cause = CAUSE_LIMIT,
          .source = COOL_COMPUTED,
          .until_ms = WALL + 999999999},
         KEY_IS_COOLING,                                                                                 21600000,
         "computed: six hours"                                                                                            },
        {{.state = KEY_IS_COOLING, .cause = CAUSE_FAILURES, .until_ms = WALL + 999999999},
         KEY_IS_COOLING,                                                                                 300000,
         "failures: 300 s"                                                                                                },
        {{.state = KEY_IS_COOLING, .cause = CAUSE_FAILURES, .until_ms = WALL - 5},
         KEY_IS_READY,                                                                                   0,
         "over while we were away"                                                                                        },
        {{.state = KEY_IS_DEAD, .until_ms = WALL + 5},                                     KEY_IS_DEAD,  0,        "dead" },
    };
    struct bench *b = bench_of(0);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char secret[2] = {(char)('a' + i), 0};
        struct key_spec spec = {.id = i + 1,
                                .secret = str_z(secret),
                                .base_url = STR(HOST_A),
                                .enabled = true,
                                .life = cases[i].life};
        assert_int_equal(add_spec(b->p, &spec), ERR_OK);
    }
    keypool_expire(b->p, T0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct key_view v = look(b, i + 1).v;
        assert_why(v.state == cases[i].want, cases[i].why);
        assert_why((v.until_ms == 0 ? 0 : v.until_ms - WALL) == cases[i].want_until_ms,
                   cases[i].why);
    }
    bench_free(b);
}

static void test_keypool__gives_back_what_it_was_given(void **state)
{
    struct key_spec spec = {
        .id = 5,
        .old_id = STR("old"),
        .secret = STR("secret"),
        .base_url = STR(HOST_A),
        .name = STR("name"),
        .added_ms = 77,
        .enabled = false,
        .life = {.state = KEY_IS_DEAD,
                 .cause = CAUSE_REFUSED,
                 .until_ms = WALL + 1000,
                 .doublings = 3,
                 .last_check_ms = 11,
                 .last_used_ms = 12,
                 .requests = 13,
                 .failures = 14,
                 .tokens = 15,
                 .last_error = STR("no such key"),
                 .account = STR("someone"),
                 .worked = true}
    };
    struct bench *b = bench_of(0);
    (void)state;
    assert_int_equal(add_spec(b->p, &spec), ERR_OK);
    struct seen seen = look(b, 5);
    assert_int_equal(seen.v.state, KEY_IS_DISABLED);
    assert_false(seen.v.enabled);
    assert_int_equal(seen.v.added_ms, 77);
    assert_int_equal(seen.v.life.state, KEY_IS_DEAD);
    assert_int_equal(seen.v.life.cause, CAUSE_REFUSED);
    assert_int_equal(seen.v.life.until_ms, WALL + 1000);
    assert_int_equal(seen.v.life.doublings, 3);
    assert_int_equal(seen.v.life.last_check_ms, 11);
    assert_int_equal(seen.v.life.last_used_ms, 12);
    assert_int_equal(seen.v.life.requests, 13);
    assert_int_equal(seen.v.life.failures, 14);
    assert_int_equal(seen.v.life.tokens, 15);
    assert_true(seen.v.life.worked);
    assert_string_equal(seen.error, "no such key");
    assert_string_equal(seen.account, "someone");
    assert_string_equal(seen.name, "name");
    assert_int_equal(summary_of(b).requests, 13);
    assert_int_equal(summary_of(b).tokens, 15);
    assert_true(keypool_remove(b->p, 5, T0));
    assert_int_equal(summary_of(b).requests, 0);
    assert_int_equal(summary_of(b).tokens, 0);
    bench_free(b);
}

/* ---- looking ---- */

static void count_views(void *arg, const struct key_view *view)
{
    uint64_t *sum = arg;
    *sum += view->id;
}

static void test_keypool__walks_in_steps(void **state)
{
    struct bench *b = bench_of(1000);
    uint64_t sum = 0;
    unsigned steps = 0;
    (void)state;
    keypool_set_fallback(b->p, &LOCAL, T0); // is no key
    for (uint64_t id = 1; id <= 10; id++)
        assert_true(keypool_remove(b->p, id, T0));
    for (uint32_t at = 0; at != KEYPOOL_END; steps++)
        at = keypool_walk(b->p, at, 100, T0, count_views, &sum);
    assert_int_equal(sum, 1000 * 1001 / 2 - 55);
    assert_int_equal(steps, 11);
    assert_false(keypool_look(b->p, 3, T0, count_views, &sum));
    bench_free(b);
}

struct flushed {
    uint64_t ids;
    uint64_t success;
    uint64_t fail;
    uint64_t tokens;
};

static void add_flushed(void *arg, const struct key_view *view)
{
    struct flushed *f = arg;
    f->ids += view->id;
    f->success += view->success;
    f->fail += view->fail;
    f->tokens += view->new_tokens;
}

static void test_keypool__flushes_what_changed_once(void **state)
{
    struct bench *b = bench_of(10);
    struct flushed f = {0};
    (void)state;
    assert_int_equal(keypool_flush(b->p, 100, T0, add_flushed, &f), 0);
    succeed(b, 3, T0);
    succeed(b, 3, T0);
    report(b, 4, V_RESET, T0);
    report(b, 5, V_NOTHING, T0); // the request's fault: the key did its work
    assert_int_equal(keypool_flush(b->p, 2, T0, add_flushed, &f), 2);
    assert_int_equal(keypool_flush(b->p, 2, T0, add_flushed, &f), 1);
    assert_int_equal(keypool_flush(b->p, 2, T0, add_flushed, &f), 0);
    assert_int_equal(f.ids, 12);
    assert_int_equal(f.success, 3);
    assert_int_equal(f.fail, 1);
    assert_int_equal(f.tokens, 20);
    succeed(b, 3, T0);
    assert_int_equal(keypool_flush(b->p, 2, T0, add_flushed, &f), 1);
    assert_int_equal(f.success, 4);
    succeed(b, 3, T0);
    assert_true(keypool_remove(b->p, 3, T0));
    assert_int_equal(keypool_flush(b->p, 2, T0, add_flushed, &f), 0);
    assert_true(keypool_set_enabled(b->p, 4, false, T0));
    assert_int_equal(keypool_flush(b->p, 2, T0, add_flushed, &f), 1);
    bench_free(b);
}

static void test_keypool__counts_by_the_state_that_shows(void **state)
{
    struct bench *b = bench_of(6);
    (void)state;
    add_key(b->p, 7, HOST_B);
    report(b, 1, V_DEAD, T0);
    report(b, 2, V_STATED(60), T0);
    assert_true(keypool_set_enabled(b->p, 3, false, T0));
    struct key_summary sum = summary_of(b);
    assert_int_equal(sum.total, 7);
    assert_int_equal(sum.by_state[KEY_IS_READY], 4);
    assert_int_equal(sum.by_state[KEY_IS_COOLING], 1);
    assert_int_equal(sum.by_state[KEY_IS_DEAD], 1);
    assert_int_equal(sum.by_state[KEY_IS_DISABLED], 1);
    report(b, 4, V_HOST, T0); // the host cools, and with it what is ready there
    sum = summary_of(b);
    assert_int_equal(sum.by_state[KEY_IS_READY], 1);
    assert_int_equal(sum.by_state[KEY_IS_COOLING], 4);
    assert_int_equal(sum.by_state[KEY_IS_DEAD], 1);
    assert_int_equal(sum.by_state[KEY_IS_DISABLED], 1);
    assert_int_equal(state_of(b, 5), KEY_IS_COOLING);
    assert_int_equal(look(b, 5).v.cause, CAUSE_HOST);
    assert_string_equal(look(b, 5).reason, "it said so");
    assert_int_equal(look(b, 5).v.life.state, KEY_IS_READY); // its own is kept
    assert_int_equal(state_of(b, 1), KEY_IS_DEAD);
    assert_int_equal(state_of(b, 3), KEY_IS_DISABLED);
    assert_true(host_at(b, 0).cooling);
    assert_true(host_at(b, 0).keyed);
    assert_int_equal(host_at(b, 0).by_state[KEY_IS_READY], 3);
    assert_false(host_at(b, 1).cooling);
    bench_free(b);
}

static void test_keypool__masks_secrets(void **state)
{
    static const struct {
        str secret;
        str want;
        const char *why;
    } cases[] = {
        {STR_C(""),                      STR_C(""),            "no secret"     },
        {STR_C("short"),                 STR_C("********"),    "all hidden"    },
        {STR_C("abcdefghijklmnopqrs"),   STR_C("********"),    "19 bytes"      },
        {STR_C("abcdefghijklmnopqrst"),  STR_C("abcd…qrst"), "20 bytes"      },
        {STR_C("sk-abcdefghijklmnwxyz"), STR_C("sk-a…wxyz"), "as it is shown"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[KEYPOOL_MASK_BYTES];
        assert_str_why(key_mask(cases[i].secret, out), cases[i].want, cases[i].why);
        assert_int_equal(out[cases[i].want.len], 0);
    }
}

static void test_keypool__takes_100000_keys(void **state)
{
    enum { KEYS = 100000 };
    struct bench *b = bench_of(KEYS);
    unsigned char *seen = calloc(KEYS + 1, 1);
    struct lease lease;
    (void)state;
    assert_non_null(seen);
    assert_int_equal(summary_of(b).total, KEYS);
    for (uint64_t id = 2; id <= KEYS; id += 2)
        report(b, id, id % 4 ? V_DEAD : V_STATED(60), T0);
    assert_int_equal(summary_of(b).by_state[KEY_IS_READY], KEYS / 2);
    for (int i = 0; i < KEYS / 2; i++) { // one round: each ready key once
        uint64_t id = take(b, T0, &lease);
        assert_int_equal(id % 2, 1);
        assert_int_equal(seen[id]++, 0);
        keypool_report_success(b->p, &lease, M, 1, T0);
    }
    uint64_t due = T0 + 60000;
    unsigned calls = 0;
    assert_int_equal(keypool_expire(b->p, T0 + 59999), due);
    for (; due <= T0 + 60000; calls++) // in steps, so that nobody waits long
        due = keypool_expire(b->p, T0 + 60000);
    assert_in_range(calls, 10, 1000);
    assert_int_equal(summary_of(b).by_state[KEY_IS_READY], KEYS / 4 * 3);
    keypool_reset_all(b->p, T0 + 60000);
    assert_int_equal(summary_of(b).by_state[KEY_IS_READY], KEYS);
    for (uint64_t id = 1; id <= KEYS; id++)
        assert_true(keypool_remove(b->p, id, T0));
    assert_int_equal(summary_of(b).total, 0);
    free(seen);
    bench_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keypool__finds_keys_by_id_and_identity),
        cmocka_unit_test(test_keypool__finds_ids_of_the_older_program),
        cmocka_unit_test(test_keypool__refuses_the_same_key_twice),
        cmocka_unit_test(test_keypool__refuses_what_is_too_long_or_no_url),
        cmocka_unit_test(test_keypool__uses_places_of_removed_keys_again),
        cmocka_unit_test(test_keypool__keeps_a_removed_key_for_its_leases),
        cmocka_unit_test(test_keypool__tells_a_new_key_in_an_old_slot_from_the_old),
        cmocka_unit_test(test_keypool__names_keys),
        cmocka_unit_test(test_keypool__is_nowhere_without_keys),
        cmocka_unit_test(test_keypool__empty_has_one_key_without_a_secret),
        cmocka_unit_test(test_keypool__leaves_the_fallback_with_the_first_key),
        cmocka_unit_test(test_keypool__follows_a_new_fallback),
        cmocka_unit_test(test_keypool__looks_for_a_local_server_every_5_s),
        cmocka_unit_test(test_keypool__knows_a_refused_fallback_as_dead),
        cmocka_unit_test(test_keypool__restores_lives),
        cmocka_unit_test(test_keypool__gives_back_what_it_was_given),
        cmocka_unit_test(test_keypool__walks_in_steps),
        cmocka_unit_test(test_keypool__flushes_what_changed_once),
        cmocka_unit_test(test_keypool__counts_by_the_state_that_shows),
        cmocka_unit_test(test_keypool__masks_secrets),
        cmocka_unit_test(test_keypool__takes_100000_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
