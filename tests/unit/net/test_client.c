#include "net/upstream.h"

#include <sys/time.h>

#define CHUNKED_ANSWER                                                                             \
    "HTTP/1.1 200 OK\r\nX-Test: yes\r\nTransfer-Encoding: chunked\r\n\r\n"                         \
    "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n"

static void check_body(struct outcome *o, const char *want)
{
    assert_int_equal(o->dones, 1);
    assert_int_equal(o->fails, 0);
    assert_int_equal(o->heads, 1);
    if (!str_eq(buf_str(&o->body), str_z(want)))
        fail_msg("body is '%.*s'", STR_ARG(buf_str(&o->body)));
}

static void check_fail(struct outcome *o, enum client_fail how, const char *words, const char *why)
{
    if (o->fails != 1 || o->dones != 0 || o->how != how ||
        !str_contains(str_z(o->text), str_z(words)))
        fail_msg("%s: %d fails, %d dones, kind %d, '%s'", why, o->fails, o->dones, (int)o->how,
                 o->text);
}

/* ---- requests ---- */

static void test_client__sends_its_head_and_the_given_fields(void **state)
{
    struct fixture *f = *state;
    const str body[] = {STR_C("{\"a\":"), STR_C(""), STR_C("1}")};
    const struct http1_field fields[] = {
        {STR_C("Authorization"), STR_C("Bearer k")},
        {STR_C("Via"),           STR_C("1.1 us")  }
    };
    struct url url;
    str text = arena_printf(&f->arena, "http://127.0.0.1:%u/base/", f->port);
    assert_int_equal(url_parse(&f->arena, text, &url, NULL), ERR_OK);
    const struct client_request r = {.url = &url,
                                     .method = STR("POST"),
                                     .path = STR("/api/chat"),
                                     .content_type = STR("application/json"),
                                     .fields = fields,
                                     .n_fields = COUNT_OF(fields),
                                     .body = body,
                                     .n_body = COUNT_OF(body)};
    struct outcome o;
    start(f, &o, &r);
    int fd = accept_one(f);
    char *got = read_request(f, fd);
    str want = arena_printf(&f->arena,
                            "POST /base/api/chat HTTP/1.1\r\n"
                            "Host: 127.0.0.1:%u\r\n"
                            "Accept: application/json, application/x-ndjson\r\n"
                            "Accept-Encoding: identity\r\n"
                            "User-Agent: test/1\r\n"
                            "Content-Type: application/json\r\n"
                            "Content-Length: 7\r\n"
                            "Authorization: Bearer k\r\n"
                            "Via: 1.1 us\r\n"
                            "\r\n"
                            "{\"a\":1}",
                            f->port);
    assert_string_equal(got, want.p);
    send_text(fd, OK_ANSWER);
    run_to_end(&o);
    check_body(&o, "hi");
    assert_int_equal(o.status, 200);
    release(&o);
    close(fd);
}

static void test_client__says_a_length_where_one_is_expected(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *method;
        const char *path;
        const char *line;
        bool has_length;
        const char *why;
    } cases[] = {
        {"GET",  "/api/tags", "GET /api/tags HTTP/1.1\r\n", false, "GET has no body"           },
        {"GET",  "",          "GET / HTTP/1.1\r\n",         false, "a path is never empty"     },
        {"POST", "/x",        "POST /x HTTP/1.1\r\n",       true,  "POST says that it has none"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct client_request r = {
            .url = &f->url, .method = str_z(cases[i].method), .path = str_z(cases[i].path)};
        struct outcome o;
        start(f, &o, &r);
        int fd = accept_one(f);
        str got = str_z(read_request(f, fd));
        if (!str_starts(got, str_z(cases[i].line)) ||
            str_contains(got, STR("Content-Length: 0\r\n")) != cases[i].has_length)
            fail_msg("%s: %s", cases[i].why, got.p);
        send_text(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        run_to_end(&o);
        check_body(&o, "");
        release(&o);
        close(fd);
    }
}

static void test_client__refuses_to_send_what_would_end_a_line(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *value;
        const char *path;
        bool sent;
        const char *why;
    } cases[] = {
        {"Bearer k",      "/",          true,  "sound"                      },
        {"a\tb \xC3\xA9", "/",          true,  "tab and other bytes of text"},
        {"k\r\nX: y",     "/",          false, "a line end"                 },
        {"k\n",           "/",          false, "a line feed"                },
        {"k\x7F",         "/",          false, "delete"                     },
        {"k",             "/a b",       false, "a blank in the path"        },
        {"k",             "/a\r\nX: y", false, "a line end in the path"     },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct http1_field field = {STR_C("Authorization"), str_z(cases[i].value)};
        const struct client_request r = {.url = &f->url,
                                         .method = STR("GET"),
                                         .path = str_z(cases[i].path),
                                         .fields = &field,
                                         .n_fields = 1};
        struct outcome o;
        start(f, &o, &r);
        if (cases[i].sent) {
            int fd = accept_one(f);
            serve(&o, fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            check_body(&o, "");
            close(fd);
        } else {
            run_to_end(&o);
            check_fail(&o, CLIENT_FAIL_PROTOCOL, "control character", cases[i].why);
            assert_false(someone_connects(f));
        }
        release(&o);
    }
}

static void test_client__refuses_a_head_that_is_too_large(void **state)
{
    struct fixture *f = *state;
    str big = arena_printf(&f->arena, "%070000d", 1);
    const struct http1_field field = {STR_C("Via"), big};
    const struct client_request r = {
        .url = &f->url, .method = STR("GET"), .path = STR("/"), .fields = &field, .n_fields = 1};
    struct outcome o;
    start(f, &o, &r);
    run_to_end(&o);
    check_fail(&o, CLIENT_FAIL_PROTOCOL, "too large", "70,000 bytes of Via");
    release(&o);
}

static void test_client__sends_large_bodies_piece_by_piece(void **state)
{
    struct fixture *f = *state;
    enum { SLICE = 3000000 };
    char *p = arena_alloc(&f->arena, SLICE);
    for (size_t i = 0; i < SLICE; i++)
        p[i] = (char)('a' + i * 7 % 26);
    const str body[] = {
        STR_C("<"), {p, SLICE},
         {p, SLICE},
         {p, 0    },
         STR_C(">")
    };
    const struct client_request r = {.url = &f->url,
                                     .method = STR("POST"),
                                     .path = STR("/"),
                                     .content_type = STR("application/json"),
                                     .body = body,
                                     .n_body = COUNT_OF(body)};
    for (int round = 0; round < 2; round++) {
        struct outcome o;
        start(f, &o, &r);
        static int fd;
        if (round == 0)
            fd = accept_one(f); // the second goes over the same connection
        str got = str_z(read_request(f, fd));
        got = str_skip(got, str_find(got, STR("\r\n\r\n")) + 4);
        assert_int_equal(got.len, 2 * SLICE + 2);
        assert_true(str_eq(str_of(got.p + 1, SLICE), body[1]));
        assert_true(str_eq(str_of(got.p + 1 + SLICE, SLICE), body[2]));
        send_text(fd, OK_ANSWER);
        run_to_end(&o);
        check_body(&o, "hi");
        release(&o);
        if (round == 1)
            close(fd);
    }
}

static void test_client__takes_an_answer_before_its_request_is_out(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 16000000 };
    str body = {memset(arena_alloc(&f->arena, SIZE), 'x', SIZE), SIZE};
    const struct client_request r = {.url = &f->url,
                                     .method = STR("POST"),
                                     .path = STR("/"),
                                     .content_type = STR("application/json"),
                                     .body = &body,
                                     .n_body = 1};
    struct outcome o;
    start(f, &o, &r);
    int fd = accept_one(f);
    send_text(fd, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
    run_to_end(&o);
    check_body(&o, "no");
    assert_int_equal(o.status, 413);
    struct outcome next;
    start_chat(f, &next);
    assert_true(someone_connects(f)); // the first connection is of no more use
    close(accept_one(f));
    run_to_end(&next);
    release(&next);
    release(&o);
    close(fd);
}

/* ---- answers ---- */

static void test_client__reads_answers_cut_anywhere(void **state)
{
    struct fixture *f = *state;
    str whole = STR("HTTP/1.1 100 Continue\r\n\r\n" CHUNKED_ANSWER);
    struct outcome o;
    start_chat(f, &o);
    int fd = accept_one(f);
    for (size_t cut = 1; cut < whole.len; cut++) {
        read_request(f, fd);
        send_bytes(fd, str_head(whole, cut));
        spin(f);
        assert_false(is_over(&o));
        send_bytes(fd, str_skip(whole, cut));
        run_to_end(&o);
        check_body(&o, "abcdefg");
        assert_string_equal(o.field, "yes");
        release(&o);
        start_chat(f, &o); // over the same connection
    }
    read_request(f, fd);
    for (size_t i = 0; i < whole.len; i++) {
        send_bytes(fd, str_of(whole.p + i, 1));
        spin(f);
    }
    run_to_end(&o);
    check_body(&o, "abcdefg");
    release(&o);
    close(fd);
}

static void test_client__delivers_every_sound_answer(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *answer;
        const char *body;
        int status;
        bool close;
        bool reused;
        const char *why;
    } cases[] = {
        {OK_ANSWER,                                                                          "hi",      200, false, true,  "sized"                      },
        {CHUNKED_ANSWER,                                                                     "abcdefg", 200, false, true,  "chunked"                    },
        {"HTTP/1.1 200 OK\r\n\r\nhello",                                                     "hello",   200, true,  false, "until the end"              },
        {"HTTP/1.1 200 OK\r\n\r\n",                                                          "",        200, true,  false, "until the end, and empty"   },
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",                                   "hi",      200, false, false, "HTTP/1.0"                   },
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",              "hi",      200, false,
         false,                                                                                                            "the upstream wants to close"},
        {OK_ANSWER "more",                                                                   "hi",      200, false, false, "bytes behind the answer"    },
        {"HTTP/1.1 204 No Content\r\n\r\n",                                                  "",        204, false, true,  "no content"                 },
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "",
         302,                                                                                                false, true,  "a redirect is an answer"    },
        {"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nbad",                                  "bad",     500, false, true,  "a 500"                      },
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n" OK_ANSWER,        "hi",      200,
         false,                                                                                                     true,  "interim answers"            },
        {"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi",     "hi",      200,
         false,                                                                                                     true,  "encoded as asked"           },
        {"HTTP/1.1 200 OK\r\nContent-Encoding:\r\nContent-Length: 2\r\n\r\nhi",              "hi",      200, false,
         true,                                                                                                             "an empty encoding"          },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outcome o;
        start_chat(f, &o);
        int fd = accept_one(f);
        read_request(f, fd);
        send_text(fd, cases[i].answer);
        if (cases[i].close)
            shutdown(fd, SHUT_WR);
        run_to_end(&o);
        if (o.dones != 1 || o.heads != 1 || o.status != cases[i].status ||
            !str_eq(buf_str(&o.body), str_z(cases[i].body)))
            fail_msg("%s: status %d, '%.*s', '%s'", cases[i].why, o.status,
                     STR_ARG(buf_str(&o.body)), o.text);
        if (is_closed(f, fd) == cases[i].reused)
            fail_msg("%s: whether it is kept", cases[i].why);
        release(&o);
        close(fd);
        spin(f);
        spin(f); // an idle connection that the upstream closes is dropped
    }
}

static void test_client__refuses_unsound_answers(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *answer;
        const char *words;
        const char *why;
    } cases[] = {
        {"SSH-2.0-OpenSSH\r\n",                                                                "",        "another protocol"   },
        {"<html>",                                                                             "",        "no status line"     },
        {"HTTP/2.0 200 OK\r\n\r\n",                                                            "",        "another version"    },
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",                "",        "two lengths"        },
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",         "",
         "a length and chunks"                                                                                                 },
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",                                      "",        "a negative length"  },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",                                 "",        "an encoded transfer"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",                        "",        "a bad chunk size"   },
        {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",                                              "",        "a folded field"     },
        {"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",              "",
         "another protocol, switched to"                                                                                       },
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi",           "encoded",
         "gzip"                                                                                                                },
        {"HTTP/1.1 200 OK\r\ncontent-encoding: identity, BR\r\nContent-Length: 2\r\n\r\nhi",
         "encoded",                                                                                       "the second of two"  },
        {"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: deflate\r\n\r\n",
         "encoded",                                                                                       "in the second field"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outcome o;
        start_chat(f, &o);
        int fd = accept_one(f);
        serve(&o, fd, cases[i].answer);
        check_fail(&o, CLIENT_FAIL_PROTOCOL, cases[i].words, cases[i].why);
        assert_true(str_contains(str_z(o.text), STR("127.0.0.1")));
        assert_int_equal(o.heads, str_starts(str_z(cases[i].why), STR("a bad chunk")) ? 1 : 0);
        assert_true(is_closed(f, fd));
        release(&o);
        close(fd);
    }
}

static void test_client__limits_what_comes_before_the_answer(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int interim;      // interim answers
        int interim_size; // bytes of a field in each
        int final_size;   // bytes of a field in the answer
        bool ok;
        const char *why;
    } cases[] = {
        {32, 0,     0,     true,  "as many interim answers as allowed"},
        {33, 0,     0,     false, "one more"                          },
        {2,  30000, 0,     true,  "large interim answers"             },
        {3,  30000, 0,     false, "too large together"                },
        {0,  0,     65000, true,  "a large head"                      },
        {0,  0,     66000, false, "too large a head"                  },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf b;
        buf_init(&b, (size_t)4 << 20);
        for (int k = 0; k < cases[i].interim; k++)
            buf_printf(&b, "HTTP/1.1 102 Processing\r\nA: %0*d\r\n\r\n", cases[i].interim_size, 1);
        buf_printf(&b, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: %0*d\r\n\r\n",
                   cases[i].final_size, 1);
        buf_append_char(&b, '\0');
        struct outcome o;
        start_chat(f, &o);
        int fd = accept_one(f);
        serve(&o, fd, b.p);
        if ((o.dones == 1) != cases[i].ok)
            fail_msg("%s: '%s'", cases[i].why, o.text);
        if (!cases[i].ok)
            check_fail(&o, CLIENT_FAIL_PROTOCOL, "", cases[i].why);
        buf_release(&b);
        release(&o);
        close(fd);
        spin(f);
        spin(f);
    }
}

static void test_client__tells_answers_that_are_cut(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *answer;
        const char *words;
        const char *why;
    } cases[] = {
        {"",                                                                      "before an answer",  "no answer at all"                 },
        {"HTTP/1.1 2",                                                            "inside the answer", "half a status line"               },
        {"HTTP/1.1 100 Continue\r\n\r\n",                                         "inside the answer", "an interim answer alone"          },
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",                        "inside the answer", "a byte missing"                   },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",      "inside the answer",
         "the last chunk missing"                                                                                                         },
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n",
         "inside the answer",                                                                          "the end of the last chunk missing"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct outcome o;
        start_chat(f, &o);
        int fd = accept_one(f);
        read_request(f, fd);
        send_text(fd, cases[i].answer);
        close(fd);
        run_to_end(&o);
        check_fail(&o, CLIENT_FAIL_RESET, cases[i].words, cases[i].why);
        release(&o);
    }
}

static void test_client__a_reset_is_no_sound_end(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    start_chat(f, &o);
    int fd = accept_one(f);
    read_request(f, fd);
    send_text(fd, "HTTP/1.1 200 OK\r\n\r\nhalf");
    while (o.body.len == 0)
        spin(f);
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    close(fd);
    run_to_end(&o);
    check_fail(&o, CLIENT_FAIL_RESET, "inside the answer", "reset");
    release(&o);
}

static void test_client__heads_have_no_body(void **state)
{
    struct fixture *f = *state;
    const struct client_request r = {.url = &f->url, .method = STR("HEAD"), .path = STR("/")};
    struct outcome o;
    start(f, &o, &r);
    int fd = accept_one(f);
    serve(&o, fd, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    check_body(&o, "");
    release(&o);
    start_chat(f, &o); // the next answer on this connection has one again
    serve(&o, fd, OK_ANSWER);
    check_body(&o, "hi");
    release(&o);
    close(fd);
}

static void test_client__pauses_and_resumes(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    start_chat(f, &o);
    o.pause_in_head = true;
    int fd = accept_one(f);
    read_request(f, fd);
    send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    while (o.heads == 0)
        spin(f);
    send_text(fd, "hi");
    for (int i = 0; i < 10; i++)
        spin(f);
    assert_int_equal(o.body.len, 0);
    client_resume(o.call);
    run_to_end(&o);
    check_body(&o, "hi");
    release(&o);

    // A call that ends while it is paused leaves a connection that reads.
    start_chat(f, &o);
    o.pause_in_head = true;
    serve(&o, fd, OK_ANSWER);
    check_body(&o, "hi");
    release(&o);
    start_chat(f, &o);
    serve(&o, fd, OK_ANSWER);
    check_body(&o, "hi");
    release(&o);
    close(fd);
}

/* ---- connections that are kept ---- */

static void test_client__reuses_the_last_used_connection(void **state)
{
    struct fixture *f = *state;
    struct outcome a;
    struct outcome b;
    start_chat(f, &a);
    int fd_a = accept_one(f);
    start_chat(f, &b);
    int fd_b = accept_one(f);
    serve(&b, fd_b, OK_ANSWER);
    serve(&a, fd_a, OK_ANSWER);
    release(&a);
    release(&b);

    start_chat(f, &a);
    start_chat(f, &b);
    serve(&a, fd_a, OK_ANSWER);
    serve(&b, fd_b, OK_ANSWER);
    check_body(&a, "hi");
    check_body(&b, "hi");
    assert_false(someone_connects(f));
    release(&a);
    release(&b);
    close(fd_a);
    close(fd_b);
}

static void test_client__replaces_a_connection_that_died_unseen(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    start_chat(f, &o);
    int fd = accept_one(f);
    serve(&o, fd, OK_ANSWER);
    release(&o);
    close(fd); // the client has no chance to see it before it starts the next call
    start_chat(f, &o);
    fd = accept_one(f);
    char *again = read_request(f, fd);
    assert_true(str_ends(str_z(again), STR("\r\n\r\n{\"model\":\"m\"}")));
    send_text(fd, OK_ANSWER);
    run_to_end(&o);
    check_body(&o, "hi");
    release(&o);

    // Once at most: the second connection is as good as dead, and it is a fresh one.
    close(fd);
    start_chat(f, &o);
    fd = accept_one(f);
    read_request(f, fd);
    close(fd);
    run_to_end(&o);
    check_fail(&o, CLIENT_FAIL_RESET, "before an answer", "a fresh connection is not replaced");
    assert_false(someone_connects(f));
    release(&o);
}

static void test_client__does_not_replay_after_a_byte_of_answer(void **state)
{
    struct fixture *f = *state;
    struct outcome o;
    start_chat(f, &o);
    int fd = accept_one(f);
    serve(&o, fd, OK_ANSWER);
    release(&o);
    start_chat(f, &o);
    read_request(f, fd);
    send_text(fd, "H");
    close(fd);
    run_to_end(&o);
    check_fail(&o, CLIENT_FAIL_RESET, "inside the answer", "one byte");
    assert_false(someone_connects(f));
    release(&o);
}

static void test_client__replays_large_bodies_from_their_begin(void **state)
{
    struct fixture *f = *state;
    enum { SIZE = 5000000 };
    str body = {memset(arena_alloc(&f->arena, SIZE), 'x', SIZE), SIZE};
    const struct client_request r = {.url = &f->url,
                                     .method = STR("POST"),
                                     .path = STR("/"),
                                     .content_type = STR("application/json"),
                                     .body = &body,
                                     .n_body = 1};
    struct outcome o;
    start_chat(f, &o);
    int fd = accept_one(f);
    serve(&o, fd, OK_ANSWER);
    release(&o);
    start(f, &o, &r);
    await_readable(f, fd);
    close(fd); // some of the body was sent
    fd = accept_one(f);
    str got = str_z(read_request(f, fd));
    got = str_skip(got, str_find(got, STR("\r\n\r\n")) + 4);
    assert_true(str_eq(got, body));
    send_text(fd, OK_ANSWER);
    run_to_end(&o);
    check_body(&o, "hi");
    release(&o);
    close(fd);
}

static void test_client__drops_idle_connections_that_speak_or_close(void **state)
{
    struct fixture *f = *state;
    for (int speaks = 0; speaks < 2; speaks++) {
        struct outcome o;
        start_chat(f, &o);
        int fd = accept_one(f);
        serve(&o, fd, OK_ANSWER);
        release(&o);
        if (speaks)
            send_text(fd, "HTTP/1.1 408 Request Timeout\r\n\r\n");
        else
            shutdown(fd, SHUT_WR);
        assert_true(is_closed(f, fd));
        close(fd);
        start_chat(f, &o);
        fd = accept_one(f);
        serve(&o, fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
        check_body(&o, "hi");
        release(&o);
        close(fd);
    }
}

static void test_client__keeps_no_more_than_so_many(void **state)
{
    struct fixture *f = *state;
    enum { KEPT = 256, N = KEPT + 1 };
    static struct outcome o[N];
    static int fd[N];
    for (int i = 0; i < N; i++) {
        start_chat(f, &o[i]);
        fd[i] = accept_one(f);
    }
    for (int i = 0; i < N; i++) {
        serve(&o[i], fd[i], OK_ANSWER);
        check_body(&o[i], "hi");
        release(&o[i]);
    }
    assert_true(is_closed(f, fd[0])); // the one that was used first
    for (int i = 1; i < N; i++)
        assert_int_equal(recv(fd[i], &(char){0}, 1, MSG_DONTWAIT), -1);
    for (int i = 0; i < N; i++)
        close(fd[i]);
}

static void test_client__new_settings_end_reuse(void **state)
{
    struct fixture *f = *state;
    struct outcome idle;
    struct outcome busy;
    start_chat(f, &idle);
    int fd_idle = accept_one(f);
    start_chat(f, &busy);
    int fd_busy = accept_one(f);
    serve(&idle, fd_idle, OK_ANSWER);
    client_configure(f->client, &f->options);
    assert_true(is_closed(f, fd_idle));
    serve(&busy, fd_busy, OK_ANSWER); // it may finish
    check_body(&busy, "hi");
    assert_true(is_closed(f, fd_busy));
    release(&idle);
    release(&busy);
    close(fd_idle);
    close(fd_busy);
}

/* ---- cancelling ---- */

static void test_client__cancelled_calls_close_and_stay_silent(void **state)
{
    struct fixture *f = *state;
    enum when { AT_ONCE, CONNECTED, SENT, IN_HEAD, IN_BODY, BETWEEN };
    for (enum when w = AT_ONCE; w <= BETWEEN; w++) {
        struct outcome o;
        start_chat(f, &o);
        o.cancel_in_head = w == IN_HEAD;
        o.cancel_in_body = w == IN_BODY;
        if (w == AT_ONCE)
            client_cancel(o.call);
        int fd = accept_one(f);
        if (w == CONNECTED)
            client_cancel(o.call);
        if (w >= SENT)
            read_request(f, fd);
        if (w == SENT)
            client_cancel(o.call);
        if (w >= IN_HEAD)
            send_text(fd,
                      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n");
        if (w == BETWEEN) {
            while (o.body.len < 2)
                spin(f);
            client_cancel(o.call);
        }
        assert_true(is_closed(f, fd));
        assert_false(is_over(&o));
        assert_int_equal(o.heads, w >= IN_HEAD);
        assert_int_equal(o.body.len, w == IN_BODY ? 1 : w == BETWEEN ? 2 : 0);
        release(&o);
        close(fd);
    }
    client_cancel(NULL);
}

static void on_done_start_next(void *arg)
{
    struct outcome *o = arg;
    outcome_on_done(o);
    start_chat(o->f, o + 1);
}

static void test_client__a_call_may_be_started_as_one_ends(void **state)
{
    struct fixture *f = *state;
    struct client_events events = OUTCOME_EVENTS;
    events.on_done = on_done_start_next;
    const struct client_request r = {.url = &f->url, .method = STR("GET"), .path = STR("/")};
    struct outcome o[2] = {{.f = f}};
    buf_init(&o[0].body, 100);
    o[0].call = client_start(f->client, &r, &events, &o[0]);
    int fd = accept_one(f);
    serve(&o[0], fd, OK_ANSWER);
    serve(&o[1], fd, OK_ANSWER); // over the same connection
    check_body(&o[1], "hi");
    release(&o[0]);
    release(&o[1]);
    close(fd);
}

int main(void)
{
#define CLIENT_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(test_client__sends_its_head_and_the_given_fields),
        CLIENT_TEST(test_client__says_a_length_where_one_is_expected),
        CLIENT_TEST(test_client__refuses_to_send_what_would_end_a_line),
        CLIENT_TEST(test_client__refuses_a_head_that_is_too_large),
        CLIENT_TEST(test_client__sends_large_bodies_piece_by_piece),
        CLIENT_TEST(test_client__takes_an_answer_before_its_request_is_out),
        CLIENT_TEST(test_client__reads_answers_cut_anywhere),
        CLIENT_TEST(test_client__delivers_every_sound_answer),
        CLIENT_TEST(test_client__refuses_unsound_answers),
        CLIENT_TEST(test_client__limits_what_comes_before_the_answer),
        CLIENT_TEST(test_client__tells_answers_that_are_cut),
        CLIENT_TEST(test_client__a_reset_is_no_sound_end),
        CLIENT_TEST(test_client__heads_have_no_body),
        CLIENT_TEST(test_client__pauses_and_resumes),
        CLIENT_TEST(test_client__reuses_the_last_used_connection),
        CLIENT_TEST(test_client__replaces_a_connection_that_died_unseen),
        CLIENT_TEST(test_client__does_not_replay_after_a_byte_of_answer),
        CLIENT_TEST(test_client__replays_large_bodies_from_their_begin),
        CLIENT_TEST(test_client__drops_idle_connections_that_speak_or_close),
        CLIENT_TEST(test_client__keeps_no_more_than_so_many),
        CLIENT_TEST(test_client__new_settings_end_reuse),
        CLIENT_TEST(test_client__cancelled_calls_close_and_stay_silent),
        CLIENT_TEST(test_client__a_call_may_be_started_as_one_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
