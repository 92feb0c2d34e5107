#include "unit.h"

#include <netinet/in.h>
#include <pthread.h>

#include "app/admin_auth.h"
#include "app/hasher.h"
#include "core/address.h"

/* Waits for what another thread or a loop says, so that no test sleeps. */
struct verdicts {
    struct loop *loop;
    size_t want; // the loop stops at this many
    size_t n;
    size_t n_right;
    uint64_t generation;
};

static void on_verdict(void *arg, bool right, uint64_t generation)
{
    struct verdicts *v = arg;
    v->n++;
    v->n_right += right;
    v->generation = generation;
    if (v->n == v->want)
        loop_stop(v->loop);
}

static struct config *config_with(const char *password)
{
    char setting[64];
    struct config *cfg = NULL;
    struct err_info info = {0};
    snprintf(setting, sizeof(setting), "ADMIN_PASSWORD=%s", password);
    const char *const environ[] = {setting, NULL};
    const struct config_sources sources = {.environ = environ};
    if (config_load(&sources, &cfg, &info) != ERR_OK)
        fail_msg("%s", info.text);
    return cfg;
}

struct place {
    struct config *config;
    struct admin_auth *auth;
    struct loop *loop;
};

static int make(void **state)
{
    static struct place p;
    if (crypto_init() != ERR_OK)
        return 1;
    p.config = config_with("right password");
    p.loop = loop_new();
    *state = &p;
    return admin_auth_new(p.config, &p.auth, NULL) != ERR_OK;
}

static int drop(void **state)
{
    struct place *p = *state;
    admin_auth_free(p->auth);
    loop_free(p->loop);
    config_free(p->config);
    return 0;
}

static struct admin_try *ask(struct place *p, const char *password, const char *from,
                             struct verdicts *v, uint64_t *wait_ms)
{
    struct sockaddr_storage addr;
    if (!address_parse(str_z(from), &addr))
        fail_msg("no address: %s", from);
    struct admin_try_setup setup = {.password = str_z(password),
                                    .addr = (const struct sockaddr *)&addr,
                                    .loop = p->loop,
                                    .fn = on_verdict,
                                    .arg = v};
    return admin_auth_try(p->auth, &setup, wait_ms);
}

static void test_admin_auth__tells_right_from_wrong(void **state)
{
    struct place *p = *state;
    struct verdicts v = {.loop = p->loop, .want = 2};
    uint64_t wait_ms;
    char token[SESSION_TOKEN_BYTES];
    assert_non_null(ask(p, "right password", "192.0.2.1", &v, &wait_ms));
    assert_non_null(ask(p, "wrong password", "192.0.2.1", &v, &wait_ms));
    loop_run(p->loop);
    assert_int_equal(v.n_right, 1);
    assert_true(admin_auth_begin(p->auth, v.generation, token));
    assert_true(admin_auth_has(p->auth, str_z(token)));
    assert_true(admin_auth_is_caller(p->auth, str_z(token)));
    assert_false(admin_auth_has(p->auth, STR("right password")));
    admin_auth_adopt(p->auth, v.generation, STR("right password"));
    assert_true(admin_auth_has(p->auth, STR("right password")));
    assert_false(admin_auth_is_caller(p->auth, STR("right password")));
}

static void test_admin_auth__checks_the_same_password_once(void **state)
{
    struct place *p = *state;
    struct verdicts v = {.loop = p->loop, .want = 50};
    uint64_t wait_ms;
    for (int i = 0; i < 50; i++)
        assert_non_null(ask(p, "wrong password", "192.0.2.1", &v, &wait_ms));
    assert_non_null(ask(p, "another", "192.0.2.1", &v, &wait_ms)); // the second try, not the 51st
    v.want++;
    loop_run(p->loop);
    assert_int_equal(v.n, 51);
    assert_int_equal(v.n_right, 0);
}

static void test_admin_auth__throttles_before_it_checks(void **state)
{
    struct place *p = *state;
    struct verdicts v = {.loop = p->loop, .want = 5};
    uint64_t wait_ms = 0;
    for (int i = 0; i < 5; i++) {
        char password[32];
        snprintf(password, sizeof(password), "wrong %d", i);
        assert_non_null(ask(p, password, "192.0.2.1", &v, &wait_ms));
    }
    assert_null(ask(p, "wrong 5", "192.0.2.1", &v, &wait_ms));
    assert_true(wait_ms > 0);
    loop_run(p->loop);
    assert_int_equal(v.n, 5);
}

static void test_admin_auth__new_password_ends_what_the_old_one_began(void **state)
{
    struct place *p = *state;
    struct verdicts v = {.loop = p->loop, .want = 1};
    struct config *other = config_with("other password");
    uint64_t wait_ms;
    char old_token[SESSION_TOKEN_BYTES];
    char token[SESSION_TOKEN_BYTES];
    assert_non_null(ask(p, "right password", "192.0.2.1", &v, &wait_ms));
    loop_run(p->loop);
    assert_true(admin_auth_begin(p->auth, v.generation, old_token));
    admin_auth_reload(p->auth, p->config, p->config);
    assert_true(admin_auth_has(p->auth, str_z(old_token))); // the same password

    v.want = 2;
    assert_non_null(ask(p, "right password", "192.0.2.1", &v, &wait_ms));
    admin_auth_reload(p->auth, p->config, other);
    assert_false(admin_auth_has(p->auth, str_z(old_token)));
    loop_run(p->loop);
    assert_false(admin_auth_begin(p->auth, v.generation, token)); // checked against the old one
    admin_auth_adopt(p->auth, v.generation, STR("right password"));
    assert_false(admin_auth_has(p->auth, STR("right password")));

    v.want = 3;
    size_t right = v.n_right;
    assert_non_null(ask(p, "other password", "192.0.2.1", &v, &wait_ms));
    loop_run(p->loop);
    assert_int_equal(v.n_right, right + 1);
    assert_true(admin_auth_begin(p->auth, v.generation, token));
    config_free(other);
}

static void test_admin_auth__who_has_left_is_not_told(void **state)
{
    struct place *p = *state;
    struct verdicts v = {.loop = p->loop, .want = 1};
    uint64_t wait_ms;
    struct admin_try *t = ask(p, "wrong 1", "192.0.2.1", &v, &wait_ms);
    admin_try_leave(t);
    assert_non_null(ask(p, "wrong 2", "192.0.2.1", &v, &wait_ms));
    loop_run(p->loop);
    assert_int_equal(v.n, 1);
}

static void test_admin_auth__ends_with_checks_under_way(void **state)
{
    struct place *p = *state;
    static struct verdicts v; // told while the loop is freed
    v = (struct verdicts){.loop = p->loop};
    uint64_t wait_ms;
    for (int i = 0; i < 5; i++) {
        char password[32];
        snprintf(password, sizeof(password), "wrong %d", i);
        assert_non_null(ask(p, password, "192.0.2.1", &v, &wait_ms));
    }
}

/* ---- the hasher's queue ---- */

struct gate {
    pthread_mutex_t lock;
    size_t n_done;
};

static void on_done(void *arg, bool right)
{
    struct gate *g = arg;
    (void)right;
    pthread_mutex_lock(&g->lock); // the first one waits here until the queue was filled
    g->n_done++;
    pthread_mutex_unlock(&g->lock);
}

static void test_hasher__queue_is_bounded(void **state)
{
    struct gate g = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct hasher *h;
    unsigned char digest[CRYPTO_DIGEST_BYTES] = {0};
    assert_int_equal(hasher_new(&h, NULL), ERR_OK);
    pthread_mutex_lock(&g.lock); // no password is set, so that a check costs nothing
    size_t taken = 0;
    while (taken < 2 * (size_t)HASHER_QUEUE_MAX && hasher_check(h, digest, on_done, &g))
        taken++;
    pthread_mutex_unlock(&g.lock);
    assert_in_range(taken, HASHER_QUEUE_MAX, HASHER_QUEUE_MAX + 1); // one may be under way
    hasher_free(h);
    assert_int_equal(g.n_done, taken);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_admin_auth__tells_right_from_wrong, make, drop),
        cmocka_unit_test_setup_teardown(test_admin_auth__checks_the_same_password_once, make, drop),
        cmocka_unit_test_setup_teardown(test_admin_auth__throttles_before_it_checks, make, drop),
        cmocka_unit_test_setup_teardown(test_admin_auth__new_password_ends_what_the_old_one_began,
                                        make, drop),
        cmocka_unit_test_setup_teardown(test_admin_auth__who_has_left_is_not_told, make, drop),
        cmocka_unit_test_setup_teardown(test_admin_auth__ends_with_checks_under_way, make, drop),
        cmocka_unit_test(test_hasher__queue_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
