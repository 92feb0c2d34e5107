/*
 * keypool_test - what the tests of the key pool share: pools with keys, verdicts, short calls
 */
#ifndef TESTS_KEYPOOL_TEST_H
#define TESTS_KEYPOOL_TEST_H

#include <stdlib.h>

#include "base/crypto.h"
#include "core/keypool.h"
#include "unit.h"

#define T0     UINT64_C(1000000)      // where the clock of a test begins
#define WALL   INT64_C(1700000000000) // and the wall clock then
#define M      STR("gpt-oss:120b")    // the usual model
#define HOUR   UINT64_C(3600000)
#define SEC    UINT64_C(1000)
#define MINUTE UINT64_C(60000)

#define HOST_A "https://a.example"
#define HOST_B "https://b.example"
#define HOST_C "https://c.example"

enum { MOVES_MAX = 4096 };

/* A pool that remembers its moves. */
struct bench {
    struct keypool *p;
    uint32_t n_moves;
    struct test_move {
        uint64_t key_id;
        enum key_state from;
        enum key_state to;
        enum key_cause cause;
        enum cool_source source;
        int64_t at_ms;
        int64_t until_ms;
        char reason[128];
        char host[64];
    } moves[MOVES_MAX];
};

static inline void copy_text(char *out, size_t size, str text)
{
    snprintf(out, size, "%.*s", STR_ARG(text));
}

static inline void remember_move(void *arg, const struct key_move *move)
{
    struct bench *b = arg;
    struct test_move *m = &b->moves[b->n_moves++ % MOVES_MAX];
    *m = (struct test_move){.key_id = move->key_id,
                            .from = move->from,
                            .to = move->to,
                            .cause = move->cause,
                            .source = move->source,
                            .at_ms = move->at_ms,
                            .until_ms = move->until_ms};
    assert_true(move->reason.len > 0);
    copy_text(m->reason, sizeof(m->reason), move->reason);
    copy_text(m->host, sizeof(m->host), move->host);
}

static inline struct test_move *last_move(struct bench *b)
{
    assert_true(b->n_moves > 0);
    return &b->moves[(b->n_moves - 1) % MOVES_MAX];
}

static inline enum err add_spec(struct keypool *p, const struct key_spec *spec)
{
    uint64_t id;
    return keypool_add(p, spec, T0, &id);
}

/* Adds key `id` with the secret "key-<id>". */
static inline void add_key(struct keypool *p, uint64_t id, const char *url)
{
    char secret[32];
    int n = snprintf(secret, sizeof(secret), "key-%llu", (unsigned long long)id);
    struct key_spec spec = {.id = id,
                            .secret = str_of(secret, (size_t)n),
                            .base_url = str_z(url),
                            .added_ms = WALL,
                            .enabled = true,
                            .life = {.worked = true}};
    assert_int_equal(add_spec(p, &spec), ERR_OK);
}

static inline struct bench *empty_bench(void)
{
    assert_int_equal(crypto_init(), ERR_OK);
    struct bench *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    struct keypool_options options = {.on_move = remember_move, .arg = b};
    b->p = keypool_new(&options);
    keypool_set_clock(b->p, T0, WALL);
    return b;
}

/* A pool with the keys 1 to `n` on HOST_A, all of which have worked. */
static inline struct bench *bench_of(uint64_t n)
{
    struct bench *b = empty_bench();
    for (uint64_t id = 1; id <= n; id++)
        add_key(b->p, id, HOST_A);
    return b;
}

static inline void bench_free(struct bench *b)
{
    keypool_free(b->p);
    free(b);
}

/* ---- verdicts, as classify() makes them ---- */

#define VERDICT(...) ((struct verdict){.note = STR("it said so"), __VA_ARGS__})

#define V_RESET       VERDICT(.key = KEY_MISBEHAVED, .counts = true)
#define V_TROUBLE     VERDICT(.key = KEY_IN_TROUBLE, .counts = true)
#define V_DEAD        VERDICT(.key = KEY_DEAD)
#define V_REFUSED     VERDICT(.key = KEY_MODEL_REFUSED)
#define V_SIGNIN      VERDICT(.key = KEY_MODEL_SIGNIN)
#define V_GUESSED     VERDICT(.key = KEY_LIMITED, .cool_s = 1, .cool_source = COOL_GUESSED)
#define V_STATED(s)   VERDICT(.key = KEY_LIMITED, .cool_s = (s), .cool_source = COOL_STATED)
#define V_COMPUTED(s) VERDICT(.key = KEY_LIMITED, .cool_s = (s), .cool_source = COOL_COMPUTED)
#define V_ACCOUNT(s, name)                                                                         \
    VERDICT(.key = KEY_LIMITED, .cool_s = (s), .cool_source = COOL_COMPUTED, .account = STR(name))
#define V_CONNECT  VERDICT(.host = HOST_NO_CONNECT)
#define V_HOST     VERDICT(.host = HOST_AT_FAULT)
#define V_NO_MODEL VERDICT(.host = HOST_LACKS_MODEL)
#define V_NOTHING  VERDICT(.key = KEY_NO_VERDICT)

/* A verdict with a sentence, which those of tables do not have. */
static inline struct verdict said(struct verdict v)
{
    if (v.note.len == 0)
        v.note = STR("it said so");
    return v;
}

/* ---- short calls ---- */

static inline enum key_pick pick(struct bench *b, struct key_search *s, uint64_t now_ms,
                                 struct lease *ret)
{
    uint64_t wait_ms;
    return keypool_acquire(b->p, s, M, false, now_ms, ret, &wait_ms);
}

/* A key for a new request; its id. */
static inline uint64_t take(struct bench *b, uint64_t now_ms, struct lease *ret)
{
    struct key_search s = {0};
    assert_int_equal(pick(b, &s, now_ms, ret), PICK_KEY);
    key_search_release(&s);
    return ret->key_id;
}

/* What a new request would get; the lease is given back at once. */
static inline enum key_pick try_pick(struct bench *b, uint64_t now_ms)
{
    struct key_search s = {0};
    struct lease lease;
    enum key_pick picked = pick(b, &s, now_ms, &lease);
    if (picked == PICK_KEY)
        keypool_release(b->p, &lease, now_ms);
    key_search_release(&s);
    return picked;
}

static inline void report(struct bench *b, uint64_t id, struct verdict v, uint64_t now_ms)
{
    struct lease lease;
    v = said(v);
    assert_true(keypool_acquire_id(b->p, id, &lease));
    keypool_report_failure(b->p, &lease, M, &v, now_ms);
}

static inline void report_times(struct bench *b, uint64_t id, struct verdict v, unsigned times,
                                uint64_t now_ms)
{
    for (unsigned i = 0; i < times; i++)
        report(b, id, v, now_ms);
}

static inline void succeed(struct bench *b, uint64_t id, uint64_t now_ms)
{
    struct lease lease;
    assert_true(keypool_acquire_id(b->p, id, &lease));
    keypool_report_success(b->p, &lease, M, 10, now_ms);
}

/* A key's view, copied. */
struct seen {
    struct key_view v;
    char reason[128];
    char error[600];
    char account[64];
    char name[300];
};

static inline void copy_view(void *arg, const struct key_view *view)
{
    struct seen *seen = arg;
    seen->v = *view;
    copy_text(seen->reason, sizeof(seen->reason), view->reason);
    copy_text(seen->error, sizeof(seen->error), view->life.last_error);
    copy_text(seen->account, sizeof(seen->account), view->life.account);
    copy_text(seen->name, sizeof(seen->name), view->name);
}

static inline struct seen look(struct bench *b, uint64_t id)
{
    struct seen seen;
    assert_true(keypool_look(b->p, id, T0, copy_view, &seen));
    return seen;
}

static inline enum key_state state_of(struct bench *b, uint64_t id)
{
    return look(b, id).v.state;
}

/* How long the key cools from `now_ms` on, as it shows. */
static inline int64_t cools_ms(struct bench *b, uint64_t id, uint64_t now_ms)
{
    return look(b, id).v.until_ms - (WALL + (int64_t)(now_ms - T0));
}

static inline struct key_summary summary_of(struct bench *b)
{
    struct key_summary sum;
    keypool_summary(b->p, T0, &sum);
    return sum;
}

static inline void copy_host(void *arg, const struct host_view *view)
{
    struct host_view *hosts = arg;
    assert_true(view->host < 8);
    hosts[view->host] = *view;
}

/* A host by its number, which is that of its first key's coming; its texts are gone. */
static inline struct host_view host_at(struct bench *b, uint32_t host)
{
    struct host_view hosts[8] = {0};
    assert_true(host < 8);
    assert_int_equal(keypool_walk_hosts(b->p, 0, 8, T0, copy_host, hosts), KEYPOOL_END);
    return hosts[host];
}

#endif
