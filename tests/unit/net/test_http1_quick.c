#include "unit.h"

#include <stdlib.h>

#include "base/buf.h"
#include "net/http1_quick.h"

#define POST(fields)   STR_C("POST /v1/chat HTTP/1.1\r\n" fields "\r\n")
#define ANSWER(fields) STR_C("HTTP/1.1 200 OK\r\n" fields "\r\n")
#define HOST           "Host: h\r\n"
#define SIZED          "Content-Length: 5\r\n"
#define CHUNKED        "Transfer-Encoding: chunked\r\n"

static const struct {
    str head;
    enum http1_kind kind;
    bool taken;
    const char *why;
} HEADS[] = {
    {POST(HOST),                                                   HTTP1_REQUEST,  true,  "the least"                           },
    {STR_C("GET /v1/models HTTP/1.1\r\nhOST: [::1]:3000\r\n\r\n"), HTTP1_REQUEST,  true,  "GET"                                 },
    {POST(HOST SIZED),                                             HTTP1_REQUEST,  true,  "a body"                              },
    {POST(HOST "Content-Length: 0\r\n"),                           HTTP1_REQUEST,  true,  "an empty one"                        },
    {POST(HOST "Connection: Keep-Alive\r\n"),                      HTTP1_REQUEST,  true,  "what is so anyway"                   },
    {POST(HOST "X_a.b!:    many blanks before it\r\n"),            HTTP1_REQUEST,  true,  "a rare name"                         },
    {POST(HOST "transferXencoding: chunked\r\n"),                  HTTP1_REQUEST,  true,  "nearly a name we know"               },
    {POST(HOST "Content_Length: 7\r\n"),                           HTTP1_REQUEST,  true,  "another"                             },
    {ANSWER(SIZED),                                                HTTP1_RESPONSE, true,  "an answer"                           },
    {ANSWER(CHUNKED "Content-Type: application/x-ndjson\r\n"),     HTTP1_RESPONSE, true,  "a stream"                            },
    {STR_C("HTTP/1.1 404 Not Found\r\n" SIZED "\r\n"),             HTTP1_RESPONSE, true,  "an error"                            },

    {POST(""),                                                     HTTP1_REQUEST,  false, "no Host"                             },
    {POST(HOST HOST),                                              HTTP1_REQUEST,  false, "two of them"                         },
    {POST("Host: a/b\r\n"),                                        HTTP1_REQUEST,  false, "a Host that is none"                 },
    {POST(HOST SIZED SIZED),                                       HTTP1_REQUEST,  false, "two lengths"                         },
    {POST(HOST "Content-Length: 05\r\n"),                          HTTP1_REQUEST,  false, "a leading zero"                      },
    {POST(HOST "Content-Length: +5\r\n"),                          HTTP1_REQUEST,  false, "a sign"                              },
    {POST(HOST "Content-Length: 1000000000000000\r\n"),            HTTP1_REQUEST,  false, "sixteen digits"                      },
    {POST(HOST CHUNKED),                                           HTTP1_REQUEST,  false, "a chunked request"                   },
    {POST(HOST "Expect: 100-continue\r\n"),                        HTTP1_REQUEST,  false, "Expect"                              },
    {POST(HOST "Upgrade: h2c\r\n"),                                HTTP1_REQUEST,  false, "Upgrade"                             },
    {POST(HOST "Connection: close\r\n"),                           HTTP1_REQUEST,  false, "an end"                              },
    {POST(HOST "Proxy-Connection: close\r\n"),                     HTTP1_REQUEST,  false, "the old one"                         },
    {POST(HOST "X: \r\n"),                                         HTTP1_REQUEST,  false, "an empty value"                      },
    {POST(HOST "X: a \r\n"),                                       HTTP1_REQUEST,  false, "a blank behind a value"              },
    {POST(HOST "X: a\tb\r\n"),                                     HTTP1_REQUEST,  false, "a tab"                               },
    {POST(HOST "X: \xC3\xA9\r\n"),                                 HTTP1_REQUEST,  false, "no ASCII"                            },
    {POST(HOST "X: a\x7F\r\n"),                                    HTTP1_REQUEST,  false, "a control"                           },
    {POST(HOST "X : a\r\n"),                                       HTTP1_REQUEST,  false, "a blank behind a name"               },
    {POST(HOST " X: a\r\n"),                                       HTTP1_REQUEST,  false, "a folded line"                       },
    {POST(HOST "X(: a\r\n"),                                       HTTP1_REQUEST,  false, "a name that is no token"             },
    {POST(HOST ": a\r\n"),                                         HTTP1_REQUEST,  false, "no name"                             },
    {POST(HOST "X: a\n"),                                          HTTP1_REQUEST,  false, "a bare LF"                           },
    {POST(HOST "X: a\rb\r\n"),                                     HTTP1_REQUEST,  false, "a bare CR"                           },
    {STR_C("POST /a HTTP/1.1\r\n" HOST),                           HTTP1_REQUEST,  false, "no end"                              },
    {STR_C("POST /a HTTP/1.0\r\n" HOST "\r\n"),                    HTTP1_REQUEST,  false, "HTTP/1.0"                            },
    {STR_C("POST  /a HTTP/1.1\r\n" HOST "\r\n"),                   HTTP1_REQUEST,  false, "two blanks"                          },
    {STR_C("POST /a%20b HTTP/1.1\r\n" HOST "\r\n"),                HTTP1_REQUEST,  false, "an escape"                           },
    {STR_C("POST /a?b HTTP/1.1\r\n" HOST "\r\n"),                  HTTP1_REQUEST,  false, "a query"                             },
    {STR_C("POST /a/../b HTTP/1.1\r\n" HOST "\r\n"),               HTTP1_REQUEST,  false, "dots"                                },
    {STR_C("POST a HTTP/1.1\r\n" HOST "\r\n"),                     HTTP1_REQUEST,  false, "no path"                             },
    {STR_C("HEAD /a HTTP/1.1\r\n" HOST "\r\n"),                    HTTP1_REQUEST,  false, "a rare method"                       },
    {ANSWER(""),                                                   HTTP1_RESPONSE, false, "an answer up to the connection's end"},
    {ANSWER(SIZED CHUNKED),                                        HTTP1_RESPONSE, false, "both framings"                       },
    {ANSWER(CHUNKED CHUNKED),                                      HTTP1_RESPONSE, false, "one of them twice"                   },
    {ANSWER("Transfer-Encoding: gzip\r\n"),                        HTTP1_RESPONSE, false, "another coding"                      },
    {STR_C("HTTP/1.1 100 Continue\r\n" SIZED "\r\n"),              HTTP1_RESPONSE, false, "an interim answer"                   },
    {STR_C("HTTP/1.1 204 No Content\r\n" SIZED "\r\n"),            HTTP1_RESPONSE, false, "204"                                 },
    {STR_C("HTTP/1.1 304 Not Modified\r\n" SIZED "\r\n"),          HTTP1_RESPONSE, false, "304"                                 },
    {STR_C("HTTP/1.1 200\r\n" SIZED "\r\n"),                       HTTP1_RESPONSE, false, "no reason"                           },
    {STR_C("HTTP/1.1 600 X\r\n" SIZED "\r\n"),                     HTTP1_RESPONSE, false, "no such class"                       },
};

static int put_head(void *arg, const struct http1_message *m)
{
    struct buf *out = arg;
    buf_printf(out, "[%d %.*s %d %d%d%d%d%d %llu", (int)m->method, STR_ARG(m->target), m->status,
               m->http10, m->keep_alive, m->chunked, m->has_length, m->expects_continue,
               (unsigned long long)m->length_bytes);
    for (size_t i = 0; i < m->n_fields; i++) {
        buf_printf(out, "|%.*s=%.*s", STR_ARG(m->fields[i].name), STR_ARG(m->fields[i].value));
        assert_true(str_eq(http1_find(m, m->fields[i].name), m->fields[i].value));
    }
    assert_null(http1_find(m, STR("not-there")).p);
    buf_append_char(out, ']');
    return 0;
}

static int put_body(void *arg, str data)
{
    buf_append(arg, data);
    return 0;
}

static void put_end(void *arg)
{
    buf_append_char(arg, '$');
}

/* What is reported of `text` when it comes in pieces of `step` bytes, and the fault. */
static int report(enum http1_kind kind, str text, size_t step, uint64_t limit, struct buf *out)
{
    static const struct http1_events EVENTS = {put_head, put_body, put_end};
    struct http1 h;
    http1_init(&h, kind, &EVENTS, out);
    h.body_limit_bytes = limit;
    while (text.len > 0 && h.fault == 0 && !h.complete) {
        size_t n = http1_feed(&h, str_head(text, step));
        assert_true(n > 0 || h.fault != 0);
        text = str_skip(text, n);
    }
    int fault = h.fault;
    http1_release(&h);
    return fault;
}

/* The same whole, which the quick way may take, and byte by byte, which it never sees. */
static void assert_same(enum http1_kind kind, str text, uint64_t limit, const char *why)
{
    struct buf whole, cut;
    buf_init(&whole, 1 << 20);
    buf_init(&cut, 1 << 20);
    assert_why(report(kind, text, text.len, limit, &whole) == report(kind, text, 1, limit, &cut),
               why);
    assert_str_why(buf_str(&whole), buf_str(&cut), why);
    buf_release(&whole);
    buf_release(&cut);
}

static void test_http1_quick__takes_usual_heads_as_llhttp_does(void **state)
{
    (void)state;
    static struct http1_quick_head q;
    for (size_t i = 0; i < COUNT_OF(HEADS); i++) {
        // A copy of its own size, so that a look behind it is seen by ASan.
        char *copy = malloc(HEADS[i].head.len);
        memcpy(copy, HEADS[i].head.p, HEADS[i].head.len);
        str head = str_of(copy, HEADS[i].head.len);
        assert_why(http1_quick_head(HEADS[i].kind, head, &q) == HEADS[i].taken, HEADS[i].why);
        assert_why(!HEADS[i].taken || q.len == head.len, HEADS[i].why);
        assert_same(HEADS[i].kind, head, UINT64_MAX, HEADS[i].why);
        free(copy);
    }
}

/* A head of HTTP1_QUICK_FIELDS fields, and of HTTP1_QUICK_BYTES, is taken; one more is not. */
static void test_http1_quick__has_limits_of_its_own(void **state)
{
    (void)state;
    static struct http1_quick_head q;
    struct buf head;
    buf_init(&head, 1 << 16);
    for (size_t n = HTTP1_QUICK_FIELDS - 1; n <= HTTP1_QUICK_FIELDS + 1; n++) {
        buf_reset(&head);
        buf_append(&head, STR("GET /a HTTP/1.1\r\n" HOST));
        for (size_t i = 1; i < n; i++)
            buf_append(&head, STR("A: b\r\n"));
        buf_append(&head, STR("\r\n"));
        bool taken = http1_quick_head(HTTP1_REQUEST, buf_str(&head), &q);
        assert_int_equal(taken, n <= HTTP1_QUICK_FIELDS);
    }
    for (size_t n = HTTP1_QUICK_BYTES - 1; n <= HTTP1_QUICK_BYTES + 1; n++) {
        buf_reset(&head);
        buf_append(&head, STR("GET /a HTTP/1.1\r\n" HOST "A: "));
        while (head.len < n - 4)
            buf_append_char(&head, 'b');
        buf_append(&head, STR("\r\n\r\n"));
        bool taken = http1_quick_head(HTTP1_REQUEST, buf_str(&head), &q);
        assert_int_equal(taken, n <= HTTP1_QUICK_BYTES);
    }
    buf_release(&head);
}

static void test_http1_quick__takes_usual_chunks_as_llhttp_does(void **state)
{
    (void)state;
    static const struct {
        str chunks;
        const char *why;
    } cases[] = {
        {STR_C("5\r\nhello\r\n0\r\n\r\n"),                               "the usual"      },
        {STR_C("5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"),            "two"            },
        {STR_C("000005\r\nhello\r\n000\r\n\r\n"),                        "leading zeros"  },
        {STR_C("000000005\r\nhello\r\n0\r\n\r\n"),                       "more digits"    },
        {STR_C("5\r\nhello\r\n5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"), "an extension"   },
        {STR_C("5\r\nhello\r\n0\r\nX: y\r\n\r\n"),                       "a trailer"      },
        {STR_C("5\r\nhello!\r\n0\r\n\r\n"),                              "a byte too many"},
        {STR_C("5\r\nhell\r\n0\r\n\r\n"),                                "one too few"    },
        {STR_C("5\nhello\r\n0\r\n\r\n"),                                 "a bare LF"      },
        {STR_C("-5\r\nhello\r\n0\r\n\r\n"),                              "a sign"         },
        {STR_C("\r\nhello\r\n0\r\n\r\n"),                                "no size"        },
        {STR_C("5\r\nhello\r\n5\r\nhel"),                                "cut"            },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[256];
        int n = snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n" CHUNKED "\r\n%.*s",
                         STR_ARG(cases[i].chunks));
        // At the limit, below it and above it.
        for (uint64_t limit = 4; limit <= 16; limit++)
            assert_same(HTTP1_RESPONSE, str_of(text, (size_t)n), limit, cases[i].why);
    }
}

/* After a piece that llhttp had to read, whole chunks are taken again, and none is lost. */
static void test_http1_quick__goes_on_after_odd_pieces(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 200 OK\r\n" CHUNKED "\r\n5\r\nhello\r\n6\r\n, good\r\n"
                               "5\r\n day \r\n"
                               // With its size's first digit in another slice, a chunk of two.
                               "12\r\nto\r\n0\r\n\r\n you.....\r\n0\r\n\r\n";
    const str want = STR("hello, good day to\r\n0\r\n\r\n you.....$");
    size_t head = sizeof("HTTP/1.1 200 OK\r\n" CHUNKED "\r\n") - 1;
    for (size_t at = head; at < sizeof(text) - 1; at++) {
        for (size_t step = 1; step < sizeof(text) - at; step++) {
            static const struct http1_events EVENTS = {put_head, put_body, put_end};
            const str pieces[] = {str_of(text, head), str_of(text + head, at - head),
                                  str_of(text + at, step),
                                  str_of(text + at + step, sizeof(text) - 1 - at - step)};
            struct buf out;
            struct http1 h;
            buf_init(&out, 1 << 16);
            http1_init(&h, HTTP1_RESPONSE, &EVENTS, &out);
            for (size_t i = 0; i < COUNT_OF(pieces); i++)
                assert_int_equal(http1_feed(&h, pieces[i]), pieces[i].len);
            assert_true(h.complete && h.fault == 0);
            assert_true(str_ends(buf_str(&out), want));
            http1_release(&h);
            buf_release(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http1_quick__takes_usual_heads_as_llhttp_does),
        cmocka_unit_test(test_http1_quick__has_limits_of_its_own),
        cmocka_unit_test(test_http1_quick__takes_usual_chunks_as_llhttp_does),
        cmocka_unit_test(test_http1_quick__goes_on_after_odd_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
