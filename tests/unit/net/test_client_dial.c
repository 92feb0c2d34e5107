#include "net/upstream.h"

#include <netdb.h>

static void check_fail(struct outcome *o, enum client_fail how, const char *words, const char *why)
{
    if (o->fails != 1 || o->dones != 0 || o->how != how ||
        !str_contains(str_z(o->text), str_z(words)))
        fail_msg("%s: %d fails, %d dones, kind %d, '%s'", why, o->fails, o->dones, (int)o->how,
                 o->text);
}

/* Names of this test; runs on the library's threads. "a-b.test" has several addresses. */
static int lookup(const char *host, struct sockaddr_storage *addrs, size_t max, size_t *ret_n)
{
    static const struct {
        const char *host;
        const char *addrs[4];
    } names[] = {
        {"one.test",    {"127.0.0.1"}                                },
        {"second.test", {"127.0.0.2", "127.0.0.1"}                   },
        {"third.test",  {"127.0.0.2", "127.0.0.3", "127.0.0.1"}      },
        {"both.test",   {"127.0.0.2", "127.0.0.3", "::1"}            },
        {"meta.test",   {"169.254.169.254", "::ffff:169.254.169.254"}},
        {"mixed.test",  {"169.254.169.254", "127.0.0.1"}             },
        {"proxy.test",  {"127.0.0.1"}                                },
    };
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (!str_eq(str_z(host), str_z(names[i].host)))
            continue;
        while (n < COUNT_OF(names[i].addrs) && names[i].addrs[n] != NULL && n < max) {
            if (!address_parse(str_z(names[i].addrs[n]), &addrs[n]))
                return EAI_FAIL;
            n++;
        }
    }
    *ret_n = n;
    return n > 0 ? 0 : EAI_NONAME;
}

/* Gives the client the names above, and other settings that the test has put into f->options. */
static void renew_client(struct fixture *f)
{
    client_free(f->client);
    f->options.lookup = lookup;
    f->client = client_new(f->loop, &f->options);
}

static void start_to(struct fixture *f, struct outcome *o, const char *url_text)
{
    struct err_info info;
    if (url_parse(&f->arena, str_z(url_text), &f->url, &info) != ERR_OK)
        fail_msg("'%s': %s", url_text, info.text);
    start_chat(f, o);
}

static const char *url_to(struct fixture *f, const char *host)
{
    return arena_printf(&f->arena, "http://%s:%u", host, f->port).p;
}

/* A listener that lets connections hang: its backlog is full. */
struct deaf {
    int listener;
    int fillers[4];
};

static struct deaf deafen(const char *addr, uint16_t *port)
{
    struct deaf d = {.listener = listen_at(addr, port, 0)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(*port)};
    assert_int_equal(inet_pton(AF_INET, addr, &in.sin_addr), 1);
    for (size_t i = 0; i < COUNT_OF(d.fillers); i++) {
        d.fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(d.fillers[i], (struct sockaddr *)&in, sizeof(in));
    }
    return d;
}

static void end_deaf(struct deaf *d)
{
    for (size_t i = 0; i < COUNT_OF(d->fillers); i++)
        close(d->fillers[i]);
    close(d->listener);
}

/* ---- direct ---- */

static void test_client_dial__resolves_names(void **state)
{
    struct fixture *f = *state;
    renew_client(f);
    struct outcome o;
    start_to(f, &o, url_to(f, "one.test"));
    int fd = accept_one(f);
    assert_true(str_contains(str_z(read_request(f, fd)), STR("\r\nHost: one.test:")));
    send_text(fd, OK_ANSWER);
    run_to_end(&o);
    assert_int_equal(o.dones, 1);
    release(&o);
    close(fd);
}

static void test_client_dial__tells_what_cannot_be_reached(void **state)
{
    struct fixture *f = *state;
    renew_client(f);
    uint16_t closed_port = 0;
    close(listen_at("127.0.0.1", &closed_port, 1));
    str closed = arena_printf(&f->arena, "http://127.0.0.1:%u", closed_port);
    const struct {
        const char *url;
        enum client_fail how;
        const char *words;
        const char *why;
    } cases[] = {
        {closed.p,                    CLIENT_FAIL_CONNECT, "connection refused",                   "a closed port"       },
        {"http://none.test",          CLIENT_FAIL_RESOLVE, "cannot resolve 'none.test'",           "no such name"        },
        {"http://169.254.169.254",    CLIENT_FAIL_ADDRESS, "link-local",                           "a forbidden literal" },
        {"http://[::ffff:a9fe:a9fe]", CLIENT_FAIL_ADDRESS, "link-local",                           "the same, mapped"    },
        {"http://meta.test",          CLIENT_FAIL_ADDRESS, "'meta.test:80' is at 169.254.169.254",
         "a name that leads there"                                                                                       },
        {"http://0.0.0.0:1",          CLIENT_FAIL_ADDRESS, "unspecified",                          "0.0.0.0 is this host"},
        {"https://one.test",          CLIENT_FAIL_CONNECT, "connection refused",                   "https: port 443"     },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outcome o;
        start_to(f, &o, cases[i].url);
        run_to_end(&o);
        check_fail(&o, cases[i].how, cases[i].words, cases[i].why);
        release(&o);
    }
}

static void test_client_dial__does_not_connect_to_us(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(f->port)};
    memcpy(&f->policy.own_listen, &own, sizeof(own));
    renew_client(f);
    struct outcome o;
    start_to(f, &o, url_to(f, "one.test"));
    run_to_end(&o);
    check_fail(&o, CLIENT_FAIL_ADDRESS, "our own listener", "the wildcard listener");
    assert_false(someone_connects(f));
    release(&o);
}

static void test_client_dial__passes_over_forbidden_addresses(void **state)
{
    struct fixture *f = *state;
    renew_client(f);
    struct outcome o;
    start_to(f, &o, url_to(f, "mixed.test"));
    int fd = accept_one(f);
    serve(&o, fd, OK_ANSWER);
    assert_int_equal(o.dones, 1);
    release(&o);
    close(fd);
}

/* On a busy machine any one try may take too long; none would be quick if the program waited. */
#define TRIES 20

/* Time until a request to `host`, by a new client, has come in at `listener`. */
static uint64_t time_to_come(struct fixture *f, const char *host, int listener)
{
    renew_client(f);
    struct outcome o;
    uint64_t start_ms = loop_now_ms(f->loop);
    start_to(f, &o, url_to(f, host));
    int fd = accept_at(f, listener);
    uint64_t took_ms = loop_now_ms(f->loop) - start_ms;
    serve(&o, fd, OK_ANSWER);
    assert_int_equal(o.dones, 1);
    release(&o);
    close(fd);
    return took_ms;
}

static void test_client_dial__tries_the_next_address_at_once_after_a_refusal(void **state)
{
    struct fixture *f = *state;
    uint64_t best_ms = UINT64_MAX;
    for (int i = 0; i < TRIES && best_ms >= 250; i++) {
        uint64_t took_ms = time_to_come(f, "third.test", f->listener); // nobody is at the first two
        best_ms = took_ms < best_ms ? took_ms : best_ms;
    }
    assert_in_range(best_ms, 0, 249);
}

static void test_client_dial__tries_the_next_address_when_one_hangs(void **state)
{
    struct fixture *f = *state;
    renew_client(f);
    struct deaf deaf = deafen("127.0.0.2", &f->port);
    struct outcome o;
    uint64_t start_ms = loop_now_ms(f->loop);
    start_to(f, &o, url_to(f, "second.test"));
    while (!someone_connects(f) && loop_now_ms(f->loop) - start_ms < 5000)
        continue;
    assert_true(loop_now_ms(f->loop) - start_ms >= 250);
    int fd = accept_one(f);
    serve(&o, fd, OK_ANSWER);
    assert_int_equal(o.dones, 1);
    release(&o);
    close(fd);
    end_deaf(&deaf);
}

/* Listens at ::1; -1 where there is no IPv6. */
static int listen_v6(uint16_t port)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    const struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&in6, sizeof(in6)) == 0 && listen(fd, 8) == 0)
        return fd;
    close(fd);
    return -1;
}

static void test_client_dial__the_families_take_turns(void **state)
{
    struct fixture *f = *state;
    int v6 = listen_v6(f->port);
    if (v6 < 0)
        skip();
    struct deaf two = deafen("127.0.0.2", &f->port);
    struct deaf three = deafen("127.0.0.3", &f->port);
    uint64_t best_ms = UINT64_MAX;
    for (int i = 0; i < TRIES && best_ms >= 500; i++) {
        uint64_t took_ms = time_to_come(f, "both.test", v6);
        best_ms = took_ms < best_ms ? took_ms : best_ms;
    }
    assert_in_range(best_ms, 250, 499); // second, not third
    close(v6);
    end_deaf(&two);
    end_deaf(&three);
}

static void test_client_dial__gives_up_after_the_connect_timeout(void **state)
{
    struct fixture *f = *state;
    f->options.connect_timeout_ms = 60;
    renew_client(f);
    uint16_t port = 0;
    struct deaf deaf = deafen("127.0.0.1", &port);
    struct outcome o;
    uint64_t start_ms = loop_now_ms(f->loop);
    start_to(f, &o, arena_printf(&f->arena, "http://127.0.0.1:%u", port).p);
    run_to_end(&o);
    check_fail(&o, CLIENT_FAIL_CONNECT, "within 60 ms", "a host that does not answer");
    assert_true(loop_now_ms(f->loop) - start_ms >= 60);
    release(&o);
    end_deaf(&deaf);
}

static void test_client_dial__may_be_cancelled_at_any_stage(void **state)
{
    struct fixture *f = *state;
    renew_client(f);
    uint16_t port = 0;
    struct deaf deaf = deafen("127.0.0.1", &port);
    const char *urls[] = {
        "http://one.test",
        "http://none.test",
        "http://169.254.169.254",
        arena_printf(&f->arena, "http://127.0.0.1:%u", port).p,
    };
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct outcome o;
        start_to(f, &o, urls[i]);
        client_cancel(o.call);
        spin(f);
        assert_false(is_over(&o));
        release(&o);
    }
    end_deaf(&deaf);
}

/* ---- proxies ---- */

static void use_proxy(struct fixture *f)
{
    f->options.http_proxy = f->options.https_proxy =
        arena_printf(&f->arena, "http://u:pw@proxy.test:%u", f->port);
    renew_client(f);
}

static void test_client_dial__asks_http_proxies_in_absolute_form(void **state)
{
    struct fixture *f = *state;
    use_proxy(f);
    struct outcome o;
    start_to(f, &o, "http://up.example.com:8080/base");
    int fd = accept_one(f);
    str got = str_z(read_request(f, fd));
    assert_true(str_starts(got, STR("POST http://up.example.com:8080/base/api/chat HTTP/1.1\r\n"
                                    "Host: up.example.com:8080\r\n")));
    assert_true(str_contains(got, STR("\r\nProxy-Authorization: Basic dTpwdw==\r\n")));
    send_text(fd, OK_ANSWER);
    run_to_end(&o);
    assert_int_equal(o.dones, 1);
    release(&o);

    start_to(f, &o, "http://other.example.com"); // another origin: another connection
    assert_true(someone_connects(f));
    client_cancel(o.call);
    release(&o);
    close(fd);
}

static void test_client_dial__goes_around_the_proxy_where_it_should(void **state)
{
    struct fixture *f = *state;
    f->options.http_proxy = STR("http://127.0.0.1:1");
    f->options.no_proxy = STR("one.test");
    renew_client(f);
    const char *urls[] = {url_to(f, "127.0.0.1"), url_to(f, "one.test")};
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct outcome o;
        start_to(f, &o, urls[i]);
        int fd = accept_one(f);
        assert_true(str_starts(str_z(read_request(f, fd)), STR("POST /api/chat ")));
        send_text(fd, OK_ANSWER);
        run_to_end(&o);
        assert_int_equal(o.dones, 1);
        release(&o);
        close(fd);
    }
}

static void test_client_dial__makes_tunnels_for_https(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *answer;
        enum client_fail how;
        const char *words;
        const char *why;
    } cases[] = {
        {"HTTP/1.1 407 Who\r\nContent-Length: 100000\r\n\r\n",   CLIENT_FAIL_PROXY, "status 407",
         "the password is wrong"                                                                                                          },
        {"HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\nbad",     CLIENT_FAIL_PROXY, "status 502",
         "the proxy cannot connect"                                                                                                       },
        {"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",            CLIENT_FAIL_PROXY, "status 302",
         "the proxy sends us elsewhere"                                                                                                   },
        {"220 smtp\r\n\r\n",                                     CLIENT_FAIL_PROXY, "refused the tunnel",    "no proxy"                   },
        {"",                                                     CLIENT_FAIL_PROXY, "closed the connection", "it closes"                  },
        {"HTTP/1.1 2",                                           CLIENT_FAIL_PROXY, "closed the connection", "it closes inside the answer"},
 // The client of this test has no TLS: that it wants it shows that the tunnel was taken.
        {"HTTP/1.1 200 OK\r\n\r\n",                              CLIENT_FAIL_TLS,   "not set up",            "a tunnel"                   },
        {"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",         CLIENT_FAIL_TLS,   "not set up",            "of 1.0"                     },
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", CLIENT_FAIL_TLS,   "not set up",
         "any 2xx will do"                                                                                                                },
    };
    use_proxy(f);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outcome o;
        start_to(f, &o, "https://up.example.com/base");
        int fd = accept_one(f);
        assert_string_equal(read_request(f, fd), "CONNECT up.example.com:443 HTTP/1.1\r\n"
                                                 "Host: up.example.com:443\r\n"
                                                 "User-Agent: test/1\r\n"
                                                 "Proxy-Authorization: Basic dTpwdw==\r\n\r\n");
        str answer = str_z(cases[i].answer);
        for (size_t at = 0; at < answer.len; at++) {
            send_bytes(fd, str_of(answer.p + at, 1));
            spin(f);
        }
        close(fd);
        run_to_end(&o);
        check_fail(&o, cases[i].how, cases[i].words, cases[i].why);
        assert_true(str_contains(str_z(o.text), STR("up.example.com:443")));
        assert_false(str_contains(str_z(o.text), STR("pw")));
        release(&o);
    }
}

static void test_client_dial__judges_literal_addresses_behind_a_proxy(void **state)
{
    struct fixture *f = *state;
    use_proxy(f);
    static const char *const urls[] = {
        "http://169.254.169.254", "https://169.254.169.254",  "http://[64:ff9b::a9fe:a9fe]",
        "http://0xa9fea9fe",      "http://0251.0376.169.254", "http://169.254.169.254.",
        "http://224.0.0.1",
    };
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct outcome o;
        start_to(f, &o, urls[i]);
        run_to_end(&o);
        check_fail(&o, CLIENT_FAIL_ADDRESS, "where no upstream may be", urls[i]);
        assert_false(someone_connects(f));
        release(&o);
    }
}

static void test_client_dial__never_goes_around_a_proxy_that_is_no_good(void **state)
{
    struct fixture *f = *state;
    f->options.http_proxy = STR("https://proxy.test:1");
    struct err_info info;
    assert_int_equal(client_options_check(&f->options, &info), ERR_SYNTAX);
    assert_true(str_starts(str_z(info.text), STR("HTTP_PROXY: ")));
    renew_client(f);
    struct outcome o;
    start_to(f, &o, "http://up.example.com");
    run_to_end(&o);
    check_fail(&o, CLIENT_FAIL_PROXY, "cannot be used", "a proxy under TLS");
    release(&o);
}

static void test_client_dial__tells_proxies_that_cannot_be_reached(void **state)
{
    struct fixture *f = *state;
    uint16_t port = 0;
    close(listen_at("127.0.0.1", &port, 1));
    f->options.http_proxy = arena_printf(&f->arena, "http://proxy.test:%u", port);
    f->options.https_proxy = STR("http://none.test:1");
    renew_client(f);
    struct outcome o;
    start_to(f, &o, "http://up.example.com");
    run_to_end(&o);
    check_fail(&o, CLIENT_FAIL_CONNECT, "cannot connect to the proxy 'proxy.test:", "closed port");
    release(&o);
    start_to(f, &o, "https://up.example.com");
    run_to_end(&o);
    check_fail(&o, CLIENT_FAIL_RESOLVE, "'none.test'", "no such name");
    release(&o);
}

int main(void)
{
#define DIAL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        DIAL_TEST(test_client_dial__resolves_names),
        DIAL_TEST(test_client_dial__tells_what_cannot_be_reached),
        DIAL_TEST(test_client_dial__does_not_connect_to_us),
        DIAL_TEST(test_client_dial__passes_over_forbidden_addresses),
        DIAL_TEST(test_client_dial__tries_the_next_address_at_once_after_a_refusal),
        DIAL_TEST(test_client_dial__tries_the_next_address_when_one_hangs),
        DIAL_TEST(test_client_dial__the_families_take_turns),
        DIAL_TEST(test_client_dial__gives_up_after_the_connect_timeout),
        DIAL_TEST(test_client_dial__may_be_cancelled_at_any_stage),
        DIAL_TEST(test_client_dial__asks_http_proxies_in_absolute_form),
        DIAL_TEST(test_client_dial__goes_around_the_proxy_where_it_should),
        DIAL_TEST(test_client_dial__makes_tunnels_for_https),
        DIAL_TEST(test_client_dial__judges_literal_addresses_behind_a_proxy),
        DIAL_TEST(test_client_dial__never_goes_around_a_proxy_that_is_no_good),
        DIAL_TEST(test_client_dial__tells_proxies_that_cannot_be_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
