#include "net/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>

#include "core/address.h"

/* A scripted system resolver: runs on the library's threads. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t go;
    bool stalled; // lookups wait until it is false
    int lookups;
    int code;
    const char *addr;
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .go = PTHREAD_COND_INITIALIZER};

static int fake_lookup(const char *host, struct sockaddr_storage *addrs, size_t max, size_t *ret_n)
{
    (void)host;
    pthread_mutex_lock(&fake.lock);
    fake.lookups++;
    while (fake.stalled)
        pthread_cond_wait(&fake.go, &fake.lock);
    int code = fake.code;
    *ret_n = 0;
    if (code == 0 && max > 0 && address_parse(str_z(fake.addr), &addrs[0]))
        *ret_n = 1;
    pthread_mutex_unlock(&fake.lock);
    return code;
}

static void fake_set(bool stalled, int code, const char *addr)
{
    pthread_mutex_lock(&fake.lock);
    fake.stalled = stalled;
    fake.code = code;
    fake.addr = addr;
    pthread_cond_broadcast(&fake.go);
    pthread_mutex_unlock(&fake.lock);
}

static int fake_lookups(void)
{
    pthread_mutex_lock(&fake.lock);
    int n = fake.lookups;
    pthread_mutex_unlock(&fake.lock);
    return n;
}

struct waiter {
    struct resolve_wait wait;
    struct loop *loop;
    int *left; // the loop ends when it comes to 0
    int calls;
    char text[ADDRESS_TEXT_BYTES];
    char why[128];
};

static void note(struct waiter *w, const struct resolve_answer *answer)
{
    w->calls++;
    w->text[0] = '\0';
    if (answer->n > 0)
        address_text((const struct sockaddr *)&answer->addrs[0], w->text);
    snprintf(w->why, sizeof(w->why), "%.*s", STR_ARG(answer->why));
}

static void on_answer(void *arg, const struct resolve_answer *answer)
{
    struct waiter *w = arg;
    note(w, answer);
    if (--*w->left == 0)
        loop_stop(w->loop);
}

struct fixture {
    struct loop *loop;
    struct resolver *resolver;
    int left;
};

static int set_up(void **state)
{
    static struct fixture f;
    fake_set(false, 0, "192.0.2.1");
    fake.lookups = 0;
    f.loop = loop_new();
    struct resolver_options options = RESOLVER_DEFAULTS;
    options.lookup = fake_lookup;
    f.resolver = resolver_new(f.loop, &options);
    f.left = 0;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fake_set(false, 0, "192.0.2.1");
    resolver_free(f->resolver);
    loop_free(f->loop);
    return 0;
}

/* Asks; true when the answer came at once. */
static bool ask(struct fixture *f, struct waiter *w, str host)
{
    *w = (struct waiter){.loop = f->loop, .left = &f->left};
    resolve_wait_init(&w->wait, on_answer, w);
    struct resolve_answer answer;
    if (resolver_ask(f->resolver, host, &w->wait, &answer)) {
        note(w, &answer);
        return true;
    }
    f->left++;
    return false;
}

static void test_resolve__answers_literals_at_once(void **state)
{
    struct fixture *f = *state;
    struct waiter w;
    assert_true(ask(f, &w, STR("2001:db8::1")));
    assert_string_equal(w.text, "2001:db8::1");
    assert_true(ask(f, &w, STR("192.0.2.7")));
    assert_string_equal(w.text, "192.0.2.7");
    assert_int_equal(fake_lookups(), 0);
}

static void test_resolve__refuses_what_is_no_name(void **state)
{
    struct fixture *f = *state;
    char name[RESOLVE_NAME_BYTES + 1];
    memset(name, 'a', sizeof(name));
    struct waiter w;
    assert_true(ask(f, &w, str_of(name, RESOLVE_NAME_BYTES + 1)));
    assert_string_equal(w.why, "not a host name");
    assert_true(ask(f, &w, str_of("a\0b", 3)));
    assert_string_equal(w.why, "not a host name");
    assert_true(ask(f, &w, STR("")));
    assert_string_equal(w.why, "not a host name");
    assert_false(ask(f, &w, str_of(name, RESOLVE_NAME_BYTES))); // the longest
    loop_run(f->loop);
    assert_int_equal(fake_lookups(), 1);
}

static void test_resolve__asks_once_for_all_who_wait(void **state)
{
    struct fixture *f = *state;
    struct waiter w[3];
    for (size_t i = 0; i < COUNT_OF(w); i++)
        assert_false(ask(f, &w[i], STR("gpu.test")));
    loop_run(f->loop);
    for (size_t i = 0; i < COUNT_OF(w); i++) {
        assert_int_equal(w[i].calls, 1);
        assert_string_equal(w[i].text, "192.0.2.1");
    }
    assert_int_equal(fake_lookups(), 1);
    assert_true(ask(f, &w[0], STR("gpu.test"))); // it is remembered
    assert_string_equal(w[0].text, "192.0.2.1");
    assert_int_equal(fake_lookups(), 1);
}

static void test_resolve__remembers_failures(void **state)
{
    struct fixture *f = *state;
    struct waiter w;
    fake_set(false, EAI_NONAME, NULL);
    assert_false(ask(f, &w, STR("none.test")));
    loop_run(f->loop);
    assert_string_equal(w.text, "");
    assert_string_equal(w.why, gai_strerror(EAI_NONAME));
    assert_true(ask(f, &w, STR("none.test")));
    assert_string_equal(w.why, gai_strerror(EAI_NONAME));
    assert_int_equal(fake_lookups(), 1);
}

static void test_resolve__no_address_is_a_failure(void **state)
{
    struct fixture *f = *state;
    struct waiter w;
    fake_set(false, 0, "not an address");
    assert_false(ask(f, &w, STR("empty.test")));
    loop_run(f->loop);
    assert_string_equal(w.text, "");
    assert_string_equal(w.why, "no address");
}

static void stop(void *arg)
{
    loop_stop(arg);
}

/* Lets the loop's clock go on by at least `ms`. */
static void pass_time(struct fixture *f, uint64_t ms)
{
    struct loop_timer t;
    loop_timer_init(&t, stop, f->loop);
    loop_timer_set(f->loop, &t, ms);
    loop_run(f->loop);
}

static void use_times(struct fixture *f, uint64_t fresh_ms, uint64_t stale_ms, uint64_t wait_ms)
{
    resolver_free(f->resolver);
    f->resolver = resolver_new(f->loop, &(struct resolver_options){.lookup = fake_lookup,
                                                                   .fresh_ms = fresh_ms,
                                                                   .failed_ms = 1,
                                                                   .stale_ms = stale_ms,
                                                                   .wait_ms = wait_ms});
}

static void test_resolve__cancelled_waits_hear_nothing(void **state)
{
    struct fixture *f = *state;
    struct waiter gone;
    struct waiter stays;
    assert_false(ask(f, &gone, STR("gpu.test")));
    assert_false(ask(f, &stays, STR("gpu.test")));
    resolve_wait_cancel(&gone.wait);
    resolve_wait_cancel(&gone.wait); // again: nothing happens
    f->left--;
    loop_run(f->loop);
    assert_int_equal(gone.calls, 0);
    assert_int_equal(stays.calls, 1);

    // With nobody left the lookup goes on, and who asks next joins it.
    assert_false(ask(f, &gone, STR("other.test")));
    resolve_wait_cancel(&gone.wait);
    f->left--;
    assert_false(ask(f, &stays, STR("other.test")));
    loop_run(f->loop);
    assert_string_equal(stays.text, "192.0.2.1");
    assert_int_equal(fake_lookups(), 2);
}

static void test_resolve__a_stalled_resolver_holds_nobody_for_long(void **state)
{
    struct fixture *f = *state;
    use_times(f, 1000000, 1000000, 20);
    struct waiter w;
    fake_set(true, 0, "192.0.2.9");
    assert_false(ask(f, &w, STR("slow.test")));
    uint64_t start_ms = loop_now_ms(f->loop);
    loop_run(f->loop);
    assert_true(loop_now_ms(f->loop) - start_ms >= 20);
    assert_string_equal(w.why, "the resolver does not answer");

    // The late answer reaches who asks next, by the same lookup.
    assert_false(ask(f, &w, STR("slow.test")));
    fake_set(false, 0, "192.0.2.9");
    loop_run(f->loop);
    assert_string_equal(w.text, "192.0.2.9");
    assert_int_equal(fake_lookups(), 1);
}

static void test_resolve__answers_grow_old(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t stale_ms;
        int code; // of the second lookup
        const char *want;
        const char *why;
    } cases[] = {
        {1000000, 0,          "192.0.2.2", "a new answer replaces it"                       },
        {1000000, EAI_AGAIN,  "192.0.2.1", "it stands in for a failure"                     },
        {1000000, EAI_NONAME, "",          "but not for the news that there is no such name"},
        {0,       EAI_AGAIN,  "",          "nor for ever"                                   },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        use_times(f, 1, cases[i].stale_ms, 1000000);
        struct waiter w;
        fake_set(false, 0, "192.0.2.1");
        assert_false(ask(f, &w, STR("gpu.test")));
        loop_run(f->loop);
        pass_time(f, 2);
        fake_set(false, cases[i].code, "192.0.2.2");
        assert_false(ask(f, &w, STR("gpu.test"))); // it is not fresh any more
        loop_run(f->loop);
        if (!str_eq(str_z(w.text), str_z(cases[i].want)))
            fail_msg("%s: '%s'", cases[i].why, w.text);
    }
}

static void test_resolve__an_old_answer_stands_in_for_a_stalled_resolver(void **state)
{
    struct fixture *f = *state;
    use_times(f, 1, 1000000, 20);
    struct waiter w;
    assert_false(ask(f, &w, STR("gpu.test")));
    loop_run(f->loop);
    pass_time(f, 2);
    fake_set(true, 0, "192.0.2.2");
    assert_false(ask(f, &w, STR("gpu.test"))); // the first waits to the limit
    loop_run(f->loop);
    assert_string_equal(w.text, "192.0.2.1");
    assert_true(ask(f, &w, STR("gpu.test"))); // the next do not
    assert_string_equal(w.text, "192.0.2.1");
    assert_int_equal(fake_lookups(), 2);
}

static void test_resolve__forgets_the_oldest_names(void **state)
{
    struct fixture *f = *state;
    struct waiter w;
    for (int i = 0; i <= RESOLVE_NAMES; i++) {
        char name[32];
        int len = snprintf(name, sizeof(name), "h%d.test", i);
        assert_false(ask(f, &w, str_of(name, (size_t)len)));
        loop_run(f->loop);
        assert_true(ask(f, &w, STR("h0.test"))); // always in use: never the oldest
    }
    assert_int_equal(fake_lookups(), RESOLVE_NAMES + 1);
    assert_true(ask(f, &w, STR("h2.test")));
    assert_false(ask(f, &w, STR("h1.test"))); // had to go for the last one
    loop_run(f->loop);
}

static void test_resolve__refuses_more_names_than_it_can_ask_for(void **state)
{
    struct fixture *f = *state;
    static struct waiter w[RESOLVE_NAMES + 1];
    fake_set(true, 0, "192.0.2.1");
    for (int i = 0; i <= RESOLVE_NAMES; i++) {
        char name[32];
        int len = snprintf(name, sizeof(name), "h%d.test", i);
        assert_int_equal(ask(f, &w[i], str_of(name, (size_t)len)), i == RESOLVE_NAMES);
    }
    assert_string_equal(w[RESOLVE_NAMES].why, "too many names are being looked up");
    fake_set(false, 0, "192.0.2.1");
    loop_run(f->loop);
}

static void test_resolve__may_be_freed_while_it_asks(void **state)
{
    struct fixture *f = *state;
    struct waiter w;
    fake_set(true, 0, "192.0.2.1");
    assert_false(ask(f, &w, STR("slow.test")));
    resolve_wait_cancel(&w.wait); // tear_down frees the rest
}

int main(void)
{
#define RESOLVE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        RESOLVE_TEST(test_resolve__answers_literals_at_once),
        RESOLVE_TEST(test_resolve__refuses_what_is_no_name),
        RESOLVE_TEST(test_resolve__asks_once_for_all_who_wait),
        RESOLVE_TEST(test_resolve__remembers_failures),
        RESOLVE_TEST(test_resolve__no_address_is_a_failure),
        RESOLVE_TEST(test_resolve__cancelled_waits_hear_nothing),
        RESOLVE_TEST(test_resolve__a_stalled_resolver_holds_nobody_for_long),
        RESOLVE_TEST(test_resolve__answers_grow_old),
        RESOLVE_TEST(test_resolve__an_old_answer_stands_in_for_a_stalled_resolver),
        RESOLVE_TEST(test_resolve__forgets_the_oldest_names),
        RESOLVE_TEST(test_resolve__refuses_more_names_than_it_can_ask_for),
        RESOLVE_TEST(test_resolve__may_be_freed_while_it_asks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
