#include "unit.h"

#include <stdlib.h>

#include "base/xalloc.h"
#include "core/attempts.h"

#define NOW_S 1774000000

/* Attempts as classify() judges them. */
#define STATUS(code)                                                                               \
    {                                                                                              \
        .how = ATTEMPT_STATUS, .status = (code), .keyed = true                                     \
    }
#define SAID(code, text)                                                                           \
    {                                                                                              \
        .how = ATTEMPT_STATUS, .status = (code), .json = true, .keyed = true,                      \
        .error_text = STR_C(text)                                                                  \
    }
#define ENDED(end)                                                                                 \
    {                                                                                              \
        .how = (end)                                                                               \
    }

#define CUT          ENDED(ATTEMPT_CUT)
#define TIMEOUT      ENDED(ATTEMPT_TIMEOUT)
#define IDLE         ENDED(ATTEMPT_IDLE)
#define NO_CONNECT   ENDED(ATTEMPT_NO_CONNECT)
#define LIMITED      STATUS(429)
#define DEAD         STATUS(401)
#define SUBSCRIPTION STATUS(402)
#define MISSING      SAID(404, "model 'x' not found")
#define BROKEN       STATUS(500)
#define BUSY         STATUS(503)
#define BAD          STATUS(400)

static struct attempts *fresh(uint32_t max_retries)
{
    struct attempts *a = xcalloc(1, sizeof(*a));
    attempts_init(a, max_retries);
    return a;
}

static enum attempts_next note(struct attempts *a, struct attempt attempt, uint64_t took_ms)
{
    struct arena arena;
    struct verdict verdict;
    arena_init(&arena, 1 << 16);
    attempt.now_s = NOW_S;
    classify(&arena, &attempt, &verdict);
    enum attempts_next next = attempts_note(a, &verdict, took_ms);
    arena_release(&arena); // what is kept are copies
    return next;
}

/* assert_why() reads its condition twice, which must not be two attempts. */
static void assert_next(struct attempts *a, struct attempt attempt, uint64_t took_ms,
                        enum attempts_next want, const char *why)
{
    enum attempts_next next = note(a, attempt, took_ms);
    assert_why(next == want, why);
}

static void test_attempts__failures_at_a_model_are_counted(void **state)
{
    static const struct {
        struct attempt attempt;
        const char *why;
    } cases[] = {
        {CUT,                                                                        "cut"       },
        {ENDED(ATTEMPT_MALFORMED),                                                   "malformed" },
        {BROKEN,                                                                     "500"       },
        {STATUS(502),                                                                "502"       },
        {BUSY,                                                                       "503"       },
        {STATUS(504),                                                                "504"       },
        {STATUS(408),                                                                "408"       },
        {{.how = ATTEMPT_ERROR_LINE, .json = true, .error_text = STR_C("it broke")}, "error line"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (uint32_t max = 0; max <= 2; max++) {
            struct attempts *a = fresh(max);
            for (uint32_t k = 0; k < max; k++)
                assert_next(a, cases[i].attempt, 60000, ATTEMPTS_NEXT_KEY, cases[i].why);
            assert_next(a, cases[i].attempt, 60000, ATTEMPTS_STOP, cases[i].why);
            assert_int_equal(a->stop, ATTEMPTS_USED_UP);
            free(a);
        }
    }
}

static void test_attempts__a_timeout_is_retried_once(void **state)
{
    (void)state;
    struct attempts *a = fresh(5);
    assert_int_equal(note(a, (struct attempt)TIMEOUT, 300000), ATTEMPTS_NEXT_KEY);
    assert_int_equal(note(a, (struct attempt)BROKEN, 10), ATTEMPTS_NEXT_KEY);
    assert_int_equal(note(a, (struct attempt)IDLE, 300000), ATTEMPTS_STOP);
    assert_int_equal(a->stop, ATTEMPTS_USED_UP);
    free(a);
    a = fresh(0);
    assert_int_equal(note(a, (struct attempt)TIMEOUT, 300000), ATTEMPTS_STOP);
    free(a);
}

static void test_attempts__some_failures_are_final(void **state)
{
    static const struct {
        struct attempt attempt;
        const char *why;
    } cases[] = {
        {BAD,                     "400"                              },
        {STATUS(413),             "413"                              },
        {STATUS(422),             "422"                              },
        {ENDED(ATTEMPT_NOT_DONE), "done:false"                       },
        {SAID(500,                "option \"x\" must be of type int"), "the request's fault"},
        {SAID(501,                       "this model does not support embeddings"),                                                   "not an embedder"},
        {{.how = ATTEMPT_CUT, .began = true},      "something was sent"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct attempts *a = fresh(2);
        assert_next(a, cases[i].attempt, 1, ATTEMPTS_STOP, cases[i].why);
        assert_why(a->stop == ATTEMPTS_FINAL, cases[i].why);
        free(a);
    }
}

static void test_attempts__refusals_are_not_counted(void **state)
{
    static const struct {
        struct attempt attempt;
        const char *why;
    } cases[] = {
        {DEAD,               "401"             },
        {SUBSCRIPTION,       "402"             },
        {LIMITED,            "429"             },
        {NO_CONNECT,         "no connection"   },
        {ENDED(ATTEMPT_TLS), "bad certificate" },
        {STATUS(403),        "403 without JSON"},
        {STATUS(520),        "any other status"},
        {MISSING,            "404"             },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct attempts *a = fresh(0);
        for (int k = 1; k <= 63; k++)
            assert_next(a, cases[i].attempt, 100, ATTEMPTS_NEXT_KEY, cases[i].why);
        assert_next(a, cases[i].attempt, 100, ATTEMPTS_STOP, cases[i].why);
        assert_why(a->stop == ATTEMPTS_BOUNDS, cases[i].why);
        free(a);
    }
}

static void test_attempts__refusals_have_ten_seconds(void **state)
{
    (void)state;
    struct attempts *a = fresh(2);
    assert_int_equal(note(a, (struct attempt)LIMITED, 9998), ATTEMPTS_NEXT_KEY);
    assert_int_equal(note(a, (struct attempt)BROKEN, 60000), ATTEMPTS_NEXT_KEY); // not a refusal
    assert_int_equal(note(a, (struct attempt)DEAD, 1), ATTEMPTS_NEXT_KEY);
    assert_int_equal(note(a, (struct attempt)DEAD, 1), ATTEMPTS_STOP);
    assert_int_equal(a->stop, ATTEMPTS_BOUNDS);
    free(a);
}

static void test_attempts__a_slow_connect_is_followed_by_one_other_host(void **state)
{
    (void)state;
    struct attempts *a = fresh(2);
    assert_int_equal(note(a, (struct attempt)NO_CONNECT, 30000), ATTEMPTS_NEXT_HOST);
    assert_int_equal(note(a, (struct attempt)NO_CONNECT, 30000), ATTEMPTS_STOP);
    assert_int_equal(a->stop, ATTEMPTS_BOUNDS);
    free(a);
    a = fresh(2); // whatever the other one says
    assert_int_equal(note(a, (struct attempt)NO_CONNECT, 10000), ATTEMPTS_NEXT_HOST);
    assert_int_equal(note(a, (struct attempt)DEAD, 1), ATTEMPTS_STOP);
    free(a);
    a = fresh(2);
    assert_int_equal(note(a, (struct attempt)NO_CONNECT, 9999), ATTEMPTS_NEXT_KEY);
    free(a);
}

/* How a search of up to four attempts ends. */
static const struct end_row {
    const char *why;
    struct attempt attempts[4];
    size_t n;
    uint32_t max_retries;
    uint64_t took_ms;
    bool no_key; // the pool has none left; else the bounds end it
    enum key_pick pick;
    uint64_t wait_ms;
    int status;
    const char *code;
    bool no_retry;
    uint32_t retry_after_s;
} ENDS[] = {
    {"used up",                                             {BROKEN, BROKEN, BROKEN}, 3, 2, 1, false, PICK_KEY,       0,      500, NULL,                             true, 0  },
    {"used up with a Retry-After",
     {BROKEN, BUSY},
     2,                                                                                  1,
     1,                                                                                        false,
     PICK_KEY,                                                                                                        0,
     503,                                                                                                                          "overloaded",
     false,                                                                                                                                                                1  },
    {"the last failure is told",
     {BUSY, CUT},
     2,                                                                                  1,
     1,                                                                                        false,
     PICK_KEY,                                                                                                        0,
     502,                                                                                                                          "bad_upstream_response",
     true,                                                                                                                                                                 0  },
    {"the request's fault, later",                          {BROKEN, BAD},            2, 2, 1, false, PICK_KEY,       0,      400, NULL,                             true, 0  },
    {"no key after a failure",                              {BROKEN},                 1, 2, 1, true,  PICK_EXHAUSTED, 0,      500, NULL,                             true, 0  },
    {"a failure and a limit, no key",
     {BROKEN, LIMITED},
     2,                                                                                  2,
     1,                                                                                        true,
     PICK_LIMITED,                                                                                                    5000,
     500,                                                                                                                          NULL,
     true,                                                                                                                                                                 0  },
    {"all limited",
     {LIMITED, LIMITED},
     2,                                                                                  2,
     1,                                                                                        true,
     PICK_LIMITED,                                                                                                    4001,
     429,                                                                                                                          "rate_limit_exceeded",
     false,                                                                                                                                                                5  },
    {"all limited, 120 s",
     {LIMITED},
     1,                                                                                  2,
     1,                                                                                        true,
     PICK_LIMITED,                                                                                                    120000,
     429,                                                                                                                          "rate_limit_exceeded",
     false,                                                                                                                                                                120},
    {"all limited for long",
     {LIMITED},
     1,                                                                                  2,
     1,                                                                                        true,
     PICK_LIMITED,                                                                                                    120001,
     429,                                                                                                                          "rate_limit_exceeded",
     true,                                                                                                                                                                 0  },
    {"limited, and the pool is silent",
     {LIMITED},
     1,                                                                                  2,
     1,                                                                                        true,
     PICK_EXHAUSTED,                                                                                                  0,
     429,                                                                                                                          "rate_limit_exceeded",
     false,                                                                                                                                                                1  },
    {"all dead",
     {DEAD, DEAD},
     2,                                                                                  2,
     1,                                                                                        true,
     PICK_NO_UPSTREAM,                                                                                                0,
     502,                                                                                                                          "upstream_auth_error",
     true,                                                                                                                                                                 0  },
    {"dead, and the others limited",
     {DEAD},
     1,                                                                                  2,
     1,                                                                                        true,
     PICK_LIMITED,                                                                                                    7000,
     429,                                                                                                                          "rate_limit_exceeded",
     false,                                                                                                                                                                7  },
    {"dead, and another is tried",
     {DEAD},
     1,                                                                                  2,
     1,                                                                                        true,
     PICK_BUSY,                                                                                                       0,
     503,                                                                                                                          "overloaded",
     false,                                                                                                                                                                1  },
    {"429 before 502",
     {LIMITED, DEAD},
     2,                                                                                  2,
     1,                                                                                        true,
     PICK_LIMITED,                                                                                                    1000,
     429,                                                                                                                          "rate_limit_exceeded",
     false,                                                                                                                                                                1  },
    {"502 before 403",
     {SUBSCRIPTION, DEAD, SUBSCRIPTION},
     3,                                                                                  2,
     1,                                                                                        true,
     PICK_EXHAUSTED,                                                                                                  0,
     502,                                                                                                                          "upstream_auth_error",
     true,                                                                                                                                                                 0  },
    {"403 before 404",
     {SUBSCRIPTION, MISSING},
     2,                                                                                  2,
     1,                                                                                        true,
     PICK_EXHAUSTED,                                                                                                  0,
     403,                                                                                                                          "upstream_subscription_required",
     true,                                                                                                                                                                 0  },
    {"502 before 404",
     {MISSING, NO_CONNECT},
     2,                                                                                  2,
     1,                                                                                        true,
     PICK_EXHAUSTED,                                                                                                  0,
     502,                                                                                                                          "upstream_unavailable",
     false,                                                                                                                                                                0  },
    {"nobody has the model",
     {MISSING, MISSING},
     2,                                                                                  2,
     1,                                                                                        true,
     PICK_NO_UPSTREAM,                                                                                                0,
     404,                                                                                                                          "model_not_found",
     true,                                                                                                                                                                 0  },
    {"one lacks the model, the others are limited",
     {MISSING},
     1,                                                                                  2,
     1,                                                                                        true,
     PICK_LIMITED,                                                                                                    7000,
     429,                                                                                                                          "rate_limit_exceeded",
     false,                                                                                                                                                                7  },
    {"one lacks the model, another is tried",
     {MISSING},
     1,                                                                                  2,
     1,                                                                                        true,
     PICK_BUSY,                                                                                                       0,
     503,                                                                                                                          "overloaded",
     false,                                                                                                                                                                1  },
    {"one lacks the model, the others have no plan for it",
     {MISSING},
     1,                                                                                  2,
     1,                                                                                        true,
     PICK_REFUSED,                                                                                                    0,
     403,                                                                                                                          "upstream_subscription_required",
     true,                                                                                                                                                                 0  },
    {"limited, and then one that lacks the model",
     {LIMITED, MISSING},
     2,                                                                                  2,
     1,                                                                                        true,
     PICK_LIMITED,                                                                                                    9000,
     429,                                                                                                                          "rate_limit_exceeded",
     false,                                                                                                                                                                9  },
    {"bounds, keys are ready: 502",
     {DEAD},
     1,                                                                                  2,
     10000,                                                                                    false,
     PICK_KEY,                                                                                                        0,
     502,                                                                                                                          "upstream_auth_error",
     false,                                                                                                                                                                1  },
    {"bounds, keys are ready: 403",
     {SUBSCRIPTION},
     1,                                                                                  2,
     10000,                                                                                    false,
     PICK_KEY,                                                                                                        0,
     403,                                                                                                                          "upstream_subscription_required",
     false,                                                                                                                                                                1  },
    {"bounds, keys are ready: 429",
     {LIMITED},
     1,                                                                                  2,
     10000,                                                                                    false,
     PICK_KEY,                                                                                                        0,
     429,                                                                                                                          "rate_limit_exceeded",
     false,                                                                                                                                                                1  },
    {"bounds, none is ready",
     {DEAD},
     1,                                                                                  2,
     10000,                                                                                    false,
     PICK_EXHAUSTED,                                                                                                  0,
     502,                                                                                                                          "upstream_auth_error",
     true,                                                                                                                                                                 0  },
    {"bounds after a failure: the refusals'",
     {BROKEN, DEAD},
     2,                                                                                  2,
     10000,                                                                                    false,
     PICK_KEY,                                                                                                        0,
     502,                                                                                                                          "upstream_auth_error",
     false,                                                                                                                                                                1  },
};

/* Plays the attempts; returns what the last one says. */
static enum attempts_next play(struct attempts *a, const struct end_row *row)
{
    enum attempts_next next = ATTEMPTS_NEXT_KEY;
    for (size_t k = 0; k < row->n; k++) {
        assert_why(next == ATTEMPTS_NEXT_KEY, row->why);
        next = note(a, row->attempts[k], row->took_ms);
    }
    return next;
}

static void check_end(const struct end_row *row)
{
    struct arena arena;
    struct attempts *a = fresh(row->max_retries);
    enum attempts_next next = play(a, row);
    assert_why(row->no_key == (next != ATTEMPTS_STOP), row->why);
    if (row->no_key)
        attempts_note_no_key(a);
    arena_init(&arena, 1 << 16);
    struct api_error e = attempts_error(a, &arena, row->pick, row->wait_ms);
    assert_str_why(str_z(e.code), str_z(row->code), row->why);
    if (e.status != row->status || e.no_retry != row->no_retry ||
        e.retry_after_s != row->retry_after_s)
        fail_msg("%s: %d, no_retry %d, Retry-After %u", row->why, e.status, e.no_retry,
                 e.retry_after_s);
    assert_why(e.message.len > 0, row->why);
    arena_release(&arena);
    free(a);
}

static void test_attempts__what_the_caller_gets(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ENDS); i++)
        check_end(&ENDS[i]);
}

static void test_attempts__no_key_at_all(void **state)
{
    struct arena arena;
    (void)state;
    arena_init(&arena, 1 << 16);
    struct api_error e = attempts_no_key_error(&arena, PICK_NO_UPSTREAM, 0);
    assert_int_equal(e.status, 503);
    assert_str(str_z(e.code), STR("no_upstream"));
    assert_true(e.no_retry); // it stays so until somebody enables a key
    e = attempts_no_key_error(&arena, PICK_BUSY, 0);
    assert_int_equal(e.status, 503);
    assert_str(str_z(e.code), STR("overloaded"));
    assert_int_equal(e.retry_after_s, 1);
    e = attempts_no_key_error(&arena, PICK_DEAD, 0);
    assert_int_equal(e.status, 502);
    assert_str(str_z(e.code), STR("upstream_auth_error"));
    e = attempts_no_key_error(&arena, PICK_REFUSED, 0);
    assert_int_equal(e.status, 403);
    assert_str(str_z(e.code), STR("upstream_subscription_required"));
    assert_true(e.no_retry);
    e = attempts_no_key_error(&arena, PICK_LIMITED, 1);
    assert_int_equal(e.status, 429);
    assert_int_equal(e.retry_after_s, 1);
    e = attempts_no_key_error(&arena, PICK_LIMITED, UINT64_MAX - 5000);
    assert_true(e.no_retry && e.retry_after_s == 0);
    arena_release(&arena);
}

static void test_attempts__texts_are_copies_and_cut(void **state)
{
    static char text[2000];
    struct arena arena;
    struct verdict v = {.error = api_error_make(500, str_of(text, sizeof(text))),
                        .retry = RETRY_OTHER_KEY,
                        .counts = true};
    (void)state;
    memset(text, 'x', sizeof(text));
    struct attempts *a = fresh(0);
    assert_int_equal(attempts_note(a, &v, 1), ATTEMPTS_STOP);
    memset(text, 'y', sizeof(text));
    arena_init(&arena, 1 << 16);
    struct api_error e = attempts_error(a, &arena, PICK_KEY, 0);
    assert_int_equal(e.message.len, ATTEMPTS_MESSAGE_BYTES);
    assert_int_equal(e.message.p[0], 'x');
    arena_release(&arena);
    free(a);
}

static void test_attempts__path(void **state)
{
    char entry[ATTEMPTS_ENTRY_BYTES];
    struct arena arena;
    (void)state;
    struct attempts *a = fresh(0);
    arena_init(&arena, 1 << 16);
    assert_str(attempts_path(a, &arena), STR(""));
    attempts_add_entry(a, attempts_entry(17, STR("ollama.com"), "limited", 35, entry));
    assert_str(attempts_path(a, &arena), STR("17@ollama.com limited 35ms"));
    attempts_add_entry(a, attempts_entry(0, STR("[::1]:11434"), "cut", 0, entry));
    assert_str(attempts_path(a, &arena), STR("17@ollama.com limited 35ms, -@[::1]:11434 cut 0ms"));
    for (int i = 0; i < 100; i++)
        attempts_add_entry(a, attempts_entry(1, STR("ollama.com"), "limited", 35, entry));
    str path = attempts_path(a, &arena);
    assert_true(path.len <= ATTEMPTS_PATH_BYTES + 20);
    assert_true(str_contains(path, STR(" more")));
    arena_release(&arena);
    free(a);
}

static void test_attempts__a_long_host_is_cut(void **state)
{
    static char host[400];
    char entry[ATTEMPTS_ENTRY_BYTES];
    (void)state;
    memset(host, 'h', sizeof(host));
    str text =
        attempts_entry(UINT64_MAX, str_of(host, sizeof(host)), "host_refuses", UINT64_MAX, entry);
    assert_true(text.len < ATTEMPTS_ENTRY_BYTES);
    assert_true(str_contains(text, STR("ms")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attempts__failures_at_a_model_are_counted),
        cmocka_unit_test(test_attempts__a_timeout_is_retried_once),
        cmocka_unit_test(test_attempts__some_failures_are_final),
        cmocka_unit_test(test_attempts__refusals_are_not_counted),
        cmocka_unit_test(test_attempts__refusals_have_ten_seconds),
        cmocka_unit_test(test_attempts__a_slow_connect_is_followed_by_one_other_host),
        cmocka_unit_test(test_attempts__what_the_caller_gets),
        cmocka_unit_test(test_attempts__no_key_at_all),
        cmocka_unit_test(test_attempts__texts_are_copies_and_cut),
        cmocka_unit_test(test_attempts__path),
        cmocka_unit_test(test_attempts__a_long_host_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
