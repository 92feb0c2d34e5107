#include "net/upstream.h"

#include <netdb.h>
#include <signal.h>

#include "net/stream.h"
#include "net/tls_pem.h"

/* The upstream of this test speaks TLS, so it is a stream on the client's own loop. */
struct peer {
    struct fixture *f;
    struct stream *stream;
    int fd; // of it
    struct buf got;
    const char *answer; // sent when a request is whole
    int requests;
    bool ended;
    bool cut; // ends without a word of TLS
};

static struct tls_context *server_tls;
static struct tls_context *trusting; // knows the root of the server's certificate
static struct tls_context *strange;  // does not

static void on_peer_read(void *arg, str data)
{
    struct peer *p = arg;
    buf_append(&p->got, data);
    if (!str_ends(buf_str(&p->got), STR("}")))
        return;
    p->requests++;
    str answer = str_z(p->answer);
    stream_write(p->stream, &answer, 1);
    buf_reset(&p->got);
    if (str_contains(answer, STR("Content-Length")))
        return;
    if (p->cut)
        return;              // the test ends it
    stream_close(p->stream); // ends TLS, and the answer with it
    p->stream = NULL;
}

static void on_peer_end(void *arg, enum stream_end why)
{
    (void)why;
    struct peer *p = arg;
    p->ended = true;
    stream_close(p->stream);
    p->stream = NULL;
}

static const struct stream_events PEER_EVENTS = {.on_read = on_peer_read, .on_end = on_peer_end};

/* Makes `fd` the server's side of TLS. */
static void serve_tls(struct fixture *f, struct peer *p, int fd, const char *answer)
{
    *p = (struct peer){.f = f, .fd = fd, .answer = answer};
    buf_init(&p->got, (size_t)64 << 20);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    assert_int_equal(stream_adopt(f->loop, fd, &p->stream), ERR_OK);
    stream_set_events(p->stream, &PEER_EVENTS, p);
    stream_start(p->stream, server_tls);
}

static void end_peer(struct peer *p)
{
    stream_close(p->stream);
    buf_release(&p->got);
}

/* Every name is at 127.0.0.1. */
static int lookup(const char *host, struct sockaddr_storage *addrs, size_t max, size_t *ret_n)
{
    (void)host;
    *ret_n = max > 0 && address_parse(STR("127.0.0.1"), &addrs[0]) ? 1 : 0;
    return *ret_n > 0 ? 0 : EAI_FAIL;
}

static void use(struct fixture *f, struct tls_context *tls)
{
    client_free(f->client);
    f->options.lookup = lookup;
    f->options.tls = tls;
    f->client = client_new(f->loop, &f->options);
}

static void start_to(struct fixture *f, struct outcome *o, const char *host)
{
    str text = arena_printf(&f->arena, "https://%s:%u", host, f->port);
    assert_int_equal(url_parse(&f->arena, text, &f->url, NULL), ERR_OK);
    start_chat(f, o);
}

static void check_fail(struct outcome *o, enum client_fail how, const char *words, const char *why)
{
    if (o->fails != 1 || o->dones != 0 || o->how != how ||
        !str_contains(str_z(o->text), str_z(words)))
        fail_msg("%s: %d fails, %d dones, kind %d, '%s'", why, o->fails, o->dones, (int)o->how,
                 o->text);
}

static void test_client_tls__calls_who_proves_its_name(void **state)
{
    struct fixture *f = *state;
    use(f, trusting);
    static const char *const hosts[] = {"localhost", "up.example.test", "127.0.0.1"};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct outcome o;
        struct peer p;
        start_to(f, &o, hosts[i]);
        serve_tls(f, &p, accept_one(f), OK_ANSWER);
        for (int call = 1; call <= 3; call++) { // all over one connection
            run_to_end(&o);
            if (o.dones != 1 || !str_eq(buf_str(&o.body), STR("hi")))
                fail_msg("%s: '%s'", hosts[i], o.text);
            assert_int_equal(p.requests, call);
            release(&o);
            start_to(f, &o, hosts[i]);
        }
        client_cancel(o.call);
        release(&o);
        end_peer(&p);
    }
}

static void test_client_tls__fails_without_a_proof(void **state)
{
    struct fixture *f = *state;
    static const struct {
        bool trusts;
        const char *host;
        const char *words;
        const char *why;
    } cases[] = {
        {true,  "up.example.org",   "hostname mismatch", "the certificate of another name"},
        {true,  "a.b.example.test", "hostname mismatch", "a wildcard is for one label"    },
        {false, "localhost",        "certificate",       "a root that is not known"       },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        use(f, cases[i].trusts ? trusting : strange);
        struct outcome o;
        struct peer p;
        start_to(f, &o, cases[i].host);
        serve_tls(f, &p, accept_one(f), OK_ANSWER);
        run_to_end(&o);
        check_fail(&o, CLIENT_FAIL_TLS, cases[i].words, cases[i].why);
        assert_int_equal(p.requests, 0);
        release(&o);
        end_peer(&p);
    }
}

static void test_client_tls__tells_who_does_not_speak_it(void **state)
{
    struct fixture *f = *state;
    f->options.connect_timeout_ms = 100;
    use(f, trusting);
    static const struct {
        const char *answer;
        bool close;
        enum client_fail how;
        const char *words;
        const char *why;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request\r\n\r\n", false, CLIENT_FAIL_TLS,
         "TLS with 'localhost:",                                                                                        "plain HTTP"},
        {"",                                 true,  CLIENT_FAIL_TLS,     "closed the connection",                       "it closes" },
        {"",                                 false, CLIENT_FAIL_CONNECT, "the TLS handshake did not end within 100 ms", "silence"   },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outcome o;
        start_to(f, &o, "localhost");
        int fd = accept_one(f);
        await_readable(f, fd); // the client's hello
        send_text(fd, cases[i].answer);
        if (cases[i].close)
            shutdown(fd, SHUT_WR);
        run_to_end(&o);
        check_fail(&o, cases[i].how, cases[i].words, cases[i].why);
        release(&o);
        close(fd);
    }
}

static void test_client_tls__goes_through_tunnels(void **state)
{
    struct fixture *f = *state;
    f->options.https_proxy = arena_printf(&f->arena, "http://proxy.test:%u", f->port);
    use(f, trusting);
    struct outcome o;
    struct peer p;
    start_to(f, &o, "up.example.test");
    int fd = accept_one(f);
    assert_true(str_starts(str_z(read_request(f, fd)), STR("CONNECT up.example.test:")));
    send_text(fd, "HTTP/1.1 200 Connection established\r\n\r\n");
    serve_tls(f, &p, fd, OK_ANSWER);
    for (int call = 1; call <= 2; call++) { // the tunnel is kept
        run_to_end(&o);
        assert_int_equal(o.dones, 1);
        assert_int_equal(p.requests, call);
        release(&o);
        start_to(f, &o, "up.example.test");
    }
    client_cancel(o.call);
    release(&o);
    end_peer(&p);
}

static void test_client_tls__only_tls_ends_an_answer_without_a_length(void **state)
{
    struct fixture *f = *state;
    use(f, trusting);
    for (int cut = 0; cut < 2; cut++) {
        struct outcome o;
        struct peer p;
        start_to(f, &o, "localhost");
        serve_tls(f, &p, accept_one(f), "HTTP/1.1 200 OK\r\n\r\nhello");
        p.cut = cut;
        while (cut && o.body.len < 5)
            spin(f);
        if (cut)
            shutdown(p.fd, SHUT_WR);
        run_to_end(&o);
        if (cut) {
            assert_int_equal(o.fails, 1);
            assert_int_equal(o.how, CLIENT_FAIL_RESET);
        } else {
            assert_int_equal(o.dones, 1);
            assert_true(str_eq(buf_str(&o.body), STR("hello")));
        }
        release(&o);
        end_peer(&p);
    }
}

static void test_client_tls__sends_large_bodies(void **state)
{
    struct fixture *f = *state;
    use(f, trusting);
    enum { SIZE = 6000000 };
    struct outcome o;
    struct peer p;
    str text = arena_printf(&f->arena, "https://localhost:%u", f->port);
    assert_int_equal(url_parse(&f->arena, text, &f->url, NULL), ERR_OK);
    const str body[] = {
        {memset(arena_alloc(&f->arena, SIZE), 'x', SIZE), SIZE},
        STR_C("}")
    };
    const struct client_request r = {.url = &f->url,
                                     .method = STR("POST"),
                                     .path = STR("/"),
                                     .content_type = STR("application/json"),
                                     .body = body,
                                     .n_body = 2};
    start(f, &o, &r);
    serve_tls(f, &p, accept_one(f), OK_ANSWER);
    run_to_end(&o);
    assert_int_equal(o.dones, 1);
    assert_int_equal(p.requests, 1);
    release(&o);
    end_peer(&p);
}

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int make_contexts(void **state)
{
    (void)state;
    struct err_info info;
    char cert[] = "/tmp/test_client_tls_XXXXXX";
    char key[] = "/tmp/test_client_tls_XXXXXX";
    char root[] = "/tmp/test_client_tls_XXXXXX";
    write_file(cert, CERT_PEM);
    write_file(key, KEY_PEM);
    write_file(root, ROOT_PEM);
    assert_int_equal(tls_server_context(cert, key, &server_tls, &info), ERR_OK);
    assert_int_equal(tls_client_context(root, &trusting, &info), ERR_OK);
    assert_int_equal(tls_client_context(NULL, &strange, &info), ERR_OK);
    unlink(cert);
    unlink(key);
    unlink(root);
    return 0;
}

static int drop_contexts(void **state)
{
    (void)state;
    tls_context_release(server_tls);
    tls_context_release(trusting);
    tls_context_release(strange);
    return 0;
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
#define TLS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TLS_TEST(test_client_tls__calls_who_proves_its_name),
        TLS_TEST(test_client_tls__fails_without_a_proof),
        TLS_TEST(test_client_tls__tells_who_does_not_speak_it),
        TLS_TEST(test_client_tls__goes_through_tunnels),
        TLS_TEST(test_client_tls__only_tls_ends_an_answer_without_a_length),
        TLS_TEST(test_client_tls__sends_large_bodies),
    };
    return cmocka_run_group_tests(tests, make_contexts, drop_contexts);
}
