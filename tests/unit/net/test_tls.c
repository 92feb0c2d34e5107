#include "net/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/attr.h"
#include "net/tls_pem.h"

/* Two sessions that talk through two bufs, cut into slices of `piece` bytes. */
struct side {
    struct tls_session *session;
    enum tls_state state;
    struct buf out; // towards the other side
    struct buf plain;
    size_t sent_bytes;
};

struct pair {
    struct side client, server;
    size_t piece;
};

struct contexts {
    struct tls_context *server;
    struct tls_context *client; // trusts the root
};

static void write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int setup(void **state)
{
    struct contexts *c = test_calloc(1, sizeof(*c));
    struct err_info info;
    char cert[] = "/tmp/test_tls_XXXXXX", key[] = "/tmp/test_tls_XXXXXX";
    char root[] = "/tmp/test_tls_XXXXXX";
    write_file(cert, CERT_PEM);
    write_file(key, KEY_PEM);
    write_file(root, ROOT_PEM);
    assert_int_equal(tls_server_context(cert, key, &c->server, &info), ERR_OK);
    assert_int_equal(tls_client_context(root, &c->client, &info), ERR_OK);
    unlink(cert);
    unlink(key);
    unlink(root);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct contexts *c = *state;
    tls_context_release(c->server);
    tls_context_release(c->client);
    test_free(c);
    return 0;
}

static void take_plain(void *arg, str plain)
{
    struct side *side = arg;
    buf_append(&side->plain, plain);
}

static void start_side(struct side *side, struct tls_context *context, str name, str resume_key)
{
    *side = (struct side){.session = tls_session_new(context, name, resume_key)};
    buf_init(&side->out, 1 << 24);
    buf_init(&side->plain, 1 << 24);
}

/* Carries everything in `from` over to `to`. */
static void carry(struct pair *p, struct side *from, struct side *to)
{
    struct buf wire = from->out;
    buf_init(&from->out, wire.max);
    from->sent_bytes += wire.len;
    for (str rest = buf_str(&wire); rest.len > 0; rest = str_skip(rest, p->piece)) {
        if (to->state == TLS_FAILED || to->state == TLS_CLOSED)
            break;
        to->state = tls_feed(to->session, str_head(rest, p->piece), &to->out, take_plain, to);
    }
    buf_release(&wire);
}

static void exchange_all(struct pair *p)
{
    while (p->client.out.len > 0 || p->server.out.len > 0) {
        carry(p, &p->client, &p->server);
        carry(p, &p->server, &p->client);
    }
}

static void connect_pair(struct pair *p, struct contexts *c, const char *name, str resume_key)
{
    start_side(&p->client, c->client, str_z(name), resume_key);
    start_side(&p->server, c->server, (str){0}, (str){0});
    p->client.state = tls_begin(p->client.session, &p->client.out);
    exchange_all(p);
}

static void close_side(struct side *side)
{
    tls_session_free(side->session);
    buf_release(&side->out);
    buf_release(&side->plain);
}

static void close_pair(struct pair *p)
{
    close_side(&p->client);
    close_side(&p->server);
}

static void test_tls__text_goes_both_ways_however_it_is_cut(void **state)
{
    static const size_t PIECES[] = {1, 7, 1000, 65536};
    static char big[100000];
    memset(big, 'x', sizeof(big));
    for (size_t i = 0; i < COUNT_OF(PIECES); i++) {
        struct pair p = {.piece = PIECES[i]};
        connect_pair(&p, *state, "localhost", (str){0});
        assert_int_equal(p.client.state, TLS_OPEN);
        assert_int_equal(p.server.state, TLS_OPEN);
        assert_int_equal(tls_write(p.client.session, STR("question"), &p.client.out), TLS_OPEN);
        assert_int_equal(tls_write(p.server.session, str_of(big, sizeof(big)), &p.server.out),
                         TLS_OPEN);
        exchange_all(&p);
        assert_true(str_eq(buf_str(&p.server.plain), STR("question")));
        assert_true(str_eq(buf_str(&p.client.plain), str_of(big, sizeof(big))));
        close_pair(&p);
    }
}

static void test_tls__the_peer_must_prove_to_be_the_host_that_was_asked_for(void **state)
{
    static const struct {
        const char *name;
        bool ok;
        const char *why;
    } cases[] = {
        {"localhost",        true,  "by name"                     },
        {"localhost.",       true,  "the root's dot"              },
        {"LocalHost",        true,  "any case"                    },
        {"127.0.0.1",        true,  "by address"                  },
        {"a.example.test",   true,  "by wildcard"                 },
        {"a.b.example.test", false, "two labels under a wildcard" },
        {"example.test",     false, "no label under a wildcard"   },
        {"127.0.0.2",        false, "another address"             },
        {"::1",              false, "an address that is not there"},
        {"evil.test",        false, "another name"                },
        {"",                 false, "no name"                     },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct pair p = {.piece = 65536};
        connect_pair(&p, *state, cases[i].name, (str){0});
        bool ok = p.client.state == TLS_OPEN;
        if (ok != cases[i].ok)
            print_error("case: %s: %.*s\n", cases[i].why, STR_ARG(tls_error(p.client.session)));
        assert_int_equal(ok, cases[i].ok);
        assert_int_equal(tls_error(p.client.session).len > 0, !cases[i].ok);
        close_pair(&p);
    }
}

static void test_tls__a_root_that_is_not_ours_is_refused(void **state)
{
    struct contexts *c = *state, other = {.server = c->server};
    struct err_info info;
    assert_int_equal(tls_client_context(NULL, &other.client, &info), ERR_OK);
    struct pair p = {.piece = 65536};
    connect_pair(&p, &other, "localhost", (str){0});
    assert_int_equal(p.client.state, TLS_FAILED);
    assert_int_equal(p.server.state, TLS_FAILED); // it got the alert
    close_pair(&p);
    tls_context_release(other.client);
}

static void test_tls__a_second_session_to_the_same_key_is_resumed(void **state)
{
    size_t bytes[3];
    const str keys[] = {STR("a"), STR("a"), STR("b")};
    for (size_t i = 0; i < COUNT_OF(bytes); i++) {
        struct pair p = {.piece = 65536};
        connect_pair(&p, *state, "localhost", keys[i]);
        assert_int_equal(p.client.state, TLS_OPEN);
        bytes[i] = p.server.sent_bytes;
        close_pair(&p); // not in order: that must not matter
    }
    assert_true(bytes[1] + 300 < bytes[0]); // no certificate
    assert_true(bytes[2] > bytes[1] + 300);
}

static void test_tls__a_session_is_not_resumed_under_another_name(void **state)
{
    struct pair p = {.piece = 65536};
    connect_pair(&p, *state, "localhost", STR("same"));
    assert_int_equal(p.client.state, TLS_OPEN);
    close_pair(&p);
    connect_pair(&p, *state, "evil.test", STR("same"));
    assert_int_equal(p.client.state, TLS_FAILED);
    close_pair(&p);
}

static void test_tls__an_orderly_end_is_told_from_a_failure(void **state)
{
    struct pair p = {.piece = 65536};
    connect_pair(&p, *state, "localhost", (str){0});
    tls_close_notify(p.client.session, &p.client.out);
    exchange_all(&p);
    assert_int_equal(p.server.state, TLS_CLOSED);
    close_pair(&p);

    connect_pair(&p, *state, "localhost", (str){0});
    assert_int_equal(tls_feed(p.server.session, STR("GET / HTTP/1.1\r\n\r\n"), &p.server.out,
                              take_plain, &p.server),
                     TLS_FAILED);
    assert_true(tls_error(p.server.session).len > 0);
    close_pair(&p);
}

static void test_tls__plain_text_on_a_tls_port_fails(void **state)
{
    struct contexts *c = *state;
    struct side server;
    start_side(&server, c->server, (str){0}, (str){0});
    assert_int_equal(tls_feed(server.session, STR("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), &server.out,
                              take_plain, &server),
                     TLS_FAILED);
    assert_int_equal(server.plain.len, 0);
    close_side(&server);
}

static void test_tls__files_that_do_not_do_are_named(void **state)
{
    (void)state;
    struct tls_context *context = NULL;
    struct err_info info = {0};
    char cert[] = "/tmp/test_tls_XXXXXX", key[] = "/tmp/test_tls_XXXXXX";
    write_file(cert, CERT_PEM);
    write_file(key, OTHER_KEY_PEM);
    assert_int_equal(tls_server_context("/nonexistent/c", key, &context, &info), ERR_SYSTEM);
    assert_non_null(strstr(info.text, "/nonexistent/c"));
    assert_int_equal(tls_server_context(cert, "/nonexistent/k", &context, &info), ERR_SYSTEM);
    assert_non_null(strstr(info.text, "/nonexistent/k"));
    assert_int_equal(tls_server_context(cert, key, &context, &info), ERR_SYSTEM);
    assert_non_null(strstr(info.text, key)); // it is not the certificate's
    assert_int_equal(tls_client_context(key, &context, &info), ERR_SYSTEM);
    assert_non_null(strstr(info.text, key));
    assert_null(context);
    unlink(cert);
    unlink(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls__text_goes_both_ways_however_it_is_cut),
        cmocka_unit_test(test_tls__the_peer_must_prove_to_be_the_host_that_was_asked_for),
        cmocka_unit_test(test_tls__a_root_that_is_not_ours_is_refused),
        cmocka_unit_test(test_tls__a_second_session_to_the_same_key_is_resumed),
        cmocka_unit_test(test_tls__a_session_is_not_resumed_under_another_name),
        cmocka_unit_test(test_tls__an_orderly_end_is_told_from_a_failure),
        cmocka_unit_test(test_tls__plain_text_on_a_tls_port_fails),
        cmocka_unit_test(test_tls__files_that_do_not_do_are_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
