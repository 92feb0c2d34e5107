#include "net/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

/* Everything a parser reported, as text that can be compared. */
struct record {
    struct buf text;
    struct http1 *h;
    int status_of_head; // what on_head and on_body answer
    int status_of_body;
    unsigned n_complete;
    bool next_at_once; // on_complete calls http1_next()
};

static int note_head(void *arg, const struct http1_message *m)
{
    struct record *r = arg;
    buf_printf(&r->text, "[%d %.*s %d%s%s%s%s", (int)m->method, STR_ARG(m->target), m->status,
               m->http10 ? " 1.0" : "", m->keep_alive ? " keep" : "", m->chunked ? " chunked" : "",
               m->expects_continue ? " expects" : "");
    if (m->has_length)
        buf_printf(&r->text, " length=%llu", (unsigned long long)m->length_bytes);
    for (size_t i = 0; i < m->n_fields; i++)
        buf_printf(&r->text, "|%.*s=%.*s", STR_ARG(m->fields[i].name), STR_ARG(m->fields[i].value));
    buf_append(&r->text, STR("]"));
    return r->status_of_head;
}

static int note_body(void *arg, str data)
{
    struct record *r = arg;
    buf_append(&r->text, data);
    return r->status_of_body;
}

static void note_complete(void *arg)
{
    struct record *r = arg;
    buf_append(&r->text, STR("$"));
    r->n_complete++;
    if (r->next_at_once)
        http1_next(r->h);
}

static const struct http1_events EVENTS = {note_head, note_body, note_complete};

/* Feeds `data` in pieces of at most `piece` bytes; returns how many bytes were taken. */
static size_t feed(struct http1 *h, str data, size_t piece)
{
    size_t taken = 0;
    while (taken < data.len && h->fault == 0 && !h->complete) {
        str slice = str_head(str_skip(data, taken), piece);
        size_t n = http1_feed(h, slice);
        taken += n;
        if (n < slice.len && h->fault == 0 && !h->complete && n == 0)
            break;
    }
    return taken;
}

static void start(struct http1 *h, struct record *r, enum http1_kind kind)
{
    *r = (struct record){.h = h, .next_at_once = true};
    buf_init(&r->text, 1 << 20);
    http1_init(h, kind, &EVENTS, r);
}

static void finish(struct http1 *h, struct record *r)
{
    http1_release(h);
    buf_release(&r->text);
}

/* Reads `raw` whole, cut in two at each place, and byte by byte; all must give `want`. */
static void check_events(enum http1_kind kind, str raw, const char *want, const char *why)
{
    for (size_t cut = 0; cut <= raw.len + 1; cut++) {
        struct http1 h;
        struct record r;
        start(&h, &r, kind);
        if (cut <= raw.len) {
            feed(&h, str_head(raw, cut), raw.len + 1);
            feed(&h, str_skip(raw, cut), raw.len + 1);
        } else {
            feed(&h, raw, 1);
        }
        if (h.fault != 0 || !str_eq(buf_str(&r.text), str_z(want)))
            print_error("case: %s\ncut: %zu\nfault: %d %s\ngot:  %.*s\nwant: %s\n", why, cut,
                        h.fault, h.why != NULL ? h.why : "", STR_ARG(buf_str(&r.text)), want);
        assert_int_equal(h.fault, 0);
        assert_true(str_eq(buf_str(&r.text), str_z(want)));
        finish(&h, &r);
    }
}

/* Reads `raw` as above; each way must end in the fault `status`, after the events `want`. */
static void check_fault(enum http1_kind kind, str raw, int status, const char *want,
                        const char *why)
{
    for (size_t cut = 0; cut <= raw.len + 1; cut++) {
        struct http1 h;
        struct record r;
        start(&h, &r, kind);
        if (cut <= raw.len) {
            feed(&h, str_head(raw, cut), raw.len + 1);
            feed(&h, str_skip(raw, cut), raw.len + 1);
        } else {
            feed(&h, raw, 1);
        }
        if (h.fault != status || !str_eq(buf_str(&r.text), str_z(want)))
            print_error("case: %s\ncut: %zu\nfault: %d, not %d: %s\ngot:  %.*s\nwant: %s\n", why,
                        cut, h.fault, status, h.why != NULL ? h.why : "", STR_ARG(buf_str(&r.text)),
                        want);
        assert_int_equal(h.fault, status);
        assert_true(str_eq(buf_str(&r.text), str_z(want)));
        assert_int_equal(http1_feed(&h, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 0);
        assert_true(str_eq(buf_str(&r.text), str_z(want)));
        finish(&h, &r);
    }
}

#define CHUNKED      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "[2 / 0 keep chunked|Host=h|Transfer-Encoding=chunked]"

static void test_http1__sound_requests_are_read_however_they_are_cut(void **state)
{
    (void)state;
    static const struct {
        str raw;
        const char *want;
        const char *why;
    } cases[] = {
        {STR_C("GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n"),                                          "[0 /a?b=c 0 keep|Host=h]$",  "plain"                                    },
        {STR_C("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),                                           "[0 / 0 keep|Host=h]$",
         "one empty line in front is tolerated"                                                                                                                             },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
         "[2 / 0 keep length=3|Host=h|Content-Length=3]abc$",                                                                    "sized body"                               },
        {STR_C("HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"),
         "[1 / 0 keep length=0|Host=h|Content-Length=0]$",                                                                       "a HEAD that says it has no body"          },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \t3 \t\r\n\r\nabc"),
         "[2 / 0 keep length=3|Host=h|Content-Length=3]abc$",                                                                    "blanks and tabs around a length"          },
        {STR_C(CHUNKED "1\r\na\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\n"
                       "Connection: close\r\n\r\n"),
         CHUNKED_HEAD "a$",                                                                                                      "framing in trailers means nothing"        },
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
         "[0 / 0 keep length=3|Host=h|Content-Length=3]abc$",                                                                    "GET with a body"                          },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
               "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n"),
         "[2 / 0 keep chunked|Host=h|Transfer-Encoding=Chunked]abc0123456789$",                                                  "chunks; extension and trailer are dropped"},
        {STR_C("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
               "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"),
         "[0 /1 0 keep|Host=h]$[0 /2 0 keep|Host=h]$[0 /3 0 keep|Host=h]$",                                                      "pipelined"                                },
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
         "[0 / 0|Host=h|Connection=close]$",                                                                                     "close asked for"                          },
        {STR_C("GET / HTTP/1.0\r\nHost: h\r\n\r\n"),                                               "[0 / 0 1.0|Host=h]$",        "1.0"                                      },
        {STR_C("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n"),
         "[0 / 0 1.0 keep|Host=h|Connection=keep-alive]$",                                                                       "1.0 that stays"                           },
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nConnection: close, keep-alive\r\n\r\n"),
         "[0 / 0|Host=h|Connection=close, keep-alive]$",                                                                         "close wins"                               },
        {STR_C("GET http://h:80/p?q HTTP/1.1\r\nHost: H:80\r\n\r\n"),                              "[0 /p?q 0 keep|Host=H:80]$",
         "absolute form of the same authority"                                                                                                                              },
        {STR_C("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"),                                        "[0 / 0 keep|Host=h]$",
         "absolute form without a path"                                                                                                                                     },
        {STR_C("GET http://h?q HTTP/1.1\r\nHost: h\r\n\r\n"),                                      "[0 /?q 0 keep|Host=h]$",
         "absolute form with a query alone"                                                                                                                                 },
        {STR_C("GET //v1//models/a%2Fb HTTP/1.1\r\nHost: [::1]:3000\r\n\r\n"),
         "[0 //v1//models/a%2Fb 0 keep|Host=[::1]:3000]$",                                                                       "left to the routes"                       },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 0\r\n\r\n"),
         "[2 / 0 keep expects length=0|Host=h|Expect=100-Continue|Content-Length=0]$",                                           "expects"                                  },
        {STR_C("POST / HTTP/1.0\r\nHost: h\r\nExpect: junk\r\nContent-Length: 1\r\n\r\nx"),
         "[2 / 0 1.0 length=1|Host=h|Expect=junk|Content-Length=1]x$",                                                           "1.0 knows no Expect"                      },
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade, "
               "HTTP2-Settings\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"),
         "[0 / 0 keep|Host=h|Upgrade=h2c|Connection=Upgrade, HTTP2-Settings]$"
         "[0 /2 0 keep|Host=h]$",                                                                                                "never upgraded"                           },
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nX:  a\tb \t\r\nE:\r\n\r\n"),
         "[0 / 0 keep|Host=h|X=a b|E=]$",                                                                                        "blanks around values are not theirs"      },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_events(HTTP1_REQUEST, cases[i].raw, cases[i].want, cases[i].why);
}

#define REQ  "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST "POST / HTTP/1.1\r\nHost: h\r\n"

static void test_http1__unsound_heads_are_refused_and_never_reported(void **state)
{
    (void)state;
    static const struct {
        str raw;
        int status;
        const char *why;
    } cases[] = {
        {STR_C(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),           400, "CL and TE"                    },
        {STR_C(POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),           400, "TE and CL"                    },
        {STR_C(POST "Transfer-Encoding: xchunked\r\n\r\n"),                               501, "unknown coding"               },
        {STR_C(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"),                          400, "two codings"                  },
        {STR_C(POST "Transfer-Encoding: chunked, chunked\r\n\r\n"),                       400, "chunked twice"                },
        {STR_C(POST "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n"), 400,
         "two TE fields"                                                                                                      },
        {STR_C(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"), 400,
         "two TE fields, the other way"                                                                                       },
        {STR_C(POST "Transfer-Encoding: identity\r\n\r\n"),                               501, "identity"                     },
        {STR_C(POST "Transfer-Encoding: \r\n\r\n"),                                       501, "empty TE"                     },
        {STR_C(POST "Transfer-Encoding: chunked;q=1\r\n\r\n"),                            501, "TE with a parameter"          },
        {STR_C(POST "Transfer-Encoding: \x0B"
                    "chunked\r\n\r\n"),
         400,                                                                                  "TE with a control byte"       },
        {STR_C("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),                  400, "TE in 1.0"                    },
        {STR_C(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"),                    400, "two CL"                       },
        {STR_C(POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"),                    400, "two unequal CL"               },
        {STR_C(POST "Content-Length: 2, 2\r\n\r\n"),                                      400, "a list as CL"                 },
        {STR_C(POST "Content-Length: +2\r\n\r\n"),                                        400, "signed CL"                    },
        {STR_C(POST "Content-Length: -0\r\n\r\n"),                                        400, "negative CL"                  },
        {STR_C(POST "Content-Length: 0x2\r\n\r\n"),                                       400, "hexadecimal CL"               },
        {STR_C(POST "Content-Length: 2 2\r\n\r\n"),                                       400, "CL with a space"              },
        {STR_C(POST "Content-Length: \r\n\r\n"),                                          400, "empty CL"                     },
        {STR_C(POST "Content-Length: 18446744073709551618\r\n\r\n"),                      400, "CL of 2^64 + 2"               },
        {STR_C(POST "Content-Length : 2\r\n\r\n"),                                        400, "space before the colon"       },
        {STR_C(REQ "X-A : 2\r\n\r\n"),                                                    400, "space before another colon"   },
        {STR_C(REQ "X-A\t: 2\r\n\r\n"),                                                   400, "tab before the colon"         },
        {STR_C(REQ ": 2\r\n\r\n"),                                                        400, "empty name"                   },
        {STR_C(REQ "X-A\r\n\r\n"),                                                        400, "no colon"                     },
        {STR_C(REQ "X(A): 2\r\n\r\n"),                                                    400, "delimiter in a name"          },
        {STR_C(REQ "X\xC3: 2\r\n\r\n"),                                                   400, "8-bit byte in a name"         },
        {STR_C(REQ "X: a\0b\r\n\r\n"),                                                    400, "NUL in a value"               },
        {STR_C(REQ "X: a\x01"
                   "b\r\n\r\n"),
         400,                                                                                  "control byte in a value"      },
        {STR_C(REQ "X: a\x7F"
                   "b\r\n\r\n"),
         400,                                                                                  "DEL in a value"               },
        {STR_C(REQ "X: a\rb\r\n\r\n"),                                                    400, "bare CR in a value"           },
        {STR_C(REQ "X: a\r\r\n\r\n"),                                                     400, "two CR"                       },
        {STR_C(REQ "X: a\n\r\n"),                                                         400, "bare LF ends a field"         },
        {STR_C("GET / HTTP/1.1\nHost: h\r\n\r\n"),                                        400, "bare LF ends the request line"},
        {STR_C(REQ "X: a\r\n\n"),                                                         400, "bare LF ends the head"        },
        {STR_C(REQ "X: a\r\n b\r\n\r\n"),                                                 400, "folded field"                 },
        {STR_C(REQ "X: a\r\n\tb\r\n\r\n"),                                                400, "folded with a tab"            },
        {STR_C("GET / HTTP/1.1\r\n Host: h\r\n\r\n"),                                     400, "blank before the first field" },
        {STR_C("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n"),                                    501, "TRACE"                        },
        {STR_C("CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n"),                               501, "CONNECT"                      },
        {STR_C("PROPFIND / HTTP/1.1\r\nHost: h\r\n\r\n"),                                 501, "a method of WebDAV"           },
        {STR_C("DESCRIBE / RTSP/1.0\r\n\r\n"),                                            501, "another protocol"             },
        {STR_C("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),                                       400, "HTTP/2 with prior knowledge"  },
        {STR_C("BREW / HTTP/1.1\r\nHost: h\r\n\r\n"),                                     501, "unknown method"               },
        {STR_C("GETX / HTTP/1.1\r\nHost: h\r\n\r\n"),                                     501, "a method that goes on"        },
        {STR_C("get / HTTP/1.1\r\nHost: h\r\n\r\n"),                                      501, "lower case"                   },
        {STR_C("Get / HTTP/1.1\r\nHost: h\r\n\r\n"),                                      501, "mixed case"                   },
        {STR_C("\x16\x03\x01\x02\x00\x01"),                                               400, "a TLS hello"                  },
        {STR_C(" GET / HTTP/1.1\r\nHost: h\r\n\r\n"),                                     400, "blank before the method"      },
        {STR_C("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n"),                                     400, "tab behind the method"        },
        {STR_C("GET / HTTP/4294967297.1\r\nHost: h\r\n\r\n"),                             400, "version that wraps"           },
        {STR_C("GET / HTTP/1.10\r\nHost: h\r\n\r\n"),                                     400, "version 1.10"                 },
        {STR_C("GET / HTTP/01.1\r\nHost: h\r\n\r\n"),                                     400, "version 01.1"                 },
        {STR_C("GET / HTTP/1.2\r\nHost: h\r\n\r\n"),                                      400, "version 1.2"                  },
        {STR_C("GET / HTTP/2.0\r\nHost: h\r\n\r\n"),                                      400, "version 2.0"                  },
        {STR_C("GET / HTTP/0.9\r\nHost: h\r\n\r\n"),                                      400, "version 0.9"                  },
        {STR_C("GET /\r\n"),                                                              400, "a 0.9 request"                },
        {STR_C("GET / http/1.1\r\nHost: h\r\n\r\n"),                                      400, "protocol in lower case"       },
        {STR_C("GET / HTTP/1.1 \r\nHost: h\r\n\r\n"),                                     400, "blank behind the version"     },
        {STR_C("GET / HTTP/1.1\r\n\r\n"),                                                 400, "no Host"                      },
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"),                           400, "two Hosts"                    },
        {STR_C("HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx"),               400,
         "a body of a HEAD request"                                                                                           },
        {STR_C("HEAD / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"),       400,
         "chunks of a HEAD request"                                                                                           },
        {STR_C("GET /./a HTTP/1.1\r\nHost: h\r\n\r\n"),                                   400, "a single dot as a segment"    },
        {STR_C("GET / HTTP/1.0\r\n\r\n"),                                                 400, "no Host in 1.0"               },
        {STR_C("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"),                           400, "two Hosts in 1.0"             },
        {STR_C("GET / HTTP/1.1\r\nHost:\r\n\r\n"),                                        400, "empty Host"                   },
        {STR_C("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),                                    400, "Host with a blank"            },
        {STR_C("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"),                                    400, "Host with a comma"            },
        {STR_C("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"),                                    400, "Host with user info"          },
        {STR_C("GET / HTTP/1.1\r\nHost: h/p\r\n\r\n"),                                    400, "Host with a path"             },
        {STR_C("GET / HTTP/1.1\r\nHost: h:8x\r\n\r\n"),                                   400, "Host with an odd port"        },
        {STR_C("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),                                   400, "Host with an open bracket"    },
        {STR_C("GET / HTTP/1.1\r\nHost: \xC3\xA4\r\n\r\n"),                               400, "Host with 8-bit bytes"        },
        {STR_C("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n"),                                   400, "blank in the target"          },
        {STR_C("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"),                                     400, "two blanks before the target" },
        {STR_C("GET /  HTTP/1.1\r\nHost: h\r\n\r\n"),                                     400, "two blanks behind the target" },
        {STR_C("GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n"),                                  400, "tab in the target"            },
        {STR_C("GET /a\x0C"
               "b HTTP/1.1\r\nHost: h\r\n\r\n"),
         400,                                                                                  "form feed in the target"      },
        {STR_C("GET /\xC3\xA4 HTTP/1.1\r\nHost: h\r\n\r\n"),                              400, "8-bit target"                 },
        {STR_C("GET /a\0b HTTP/1.1\r\nHost: h\r\n\r\n"),                                  400, "NUL in the target"            },
        {STR_C("GET /a%00b HTTP/1.1\r\nHost: h\r\n\r\n"),                                 400, "escaped NUL"                  },
        {STR_C("GET /a?x=%00 HTTP/1.1\r\nHost: h\r\n\r\n"),                               400, "escaped NUL in the query"     },
        {STR_C("GET /a%0d%0aX HTTP/1.1\r\nHost: h\r\n\r\n"),                              400, "escaped line end"             },
        {STR_C("GET /a%5cb HTTP/1.1\r\nHost: h\r\n\r\n"),                                 400, "escaped backslash"            },
        {STR_C("GET /a\\b HTTP/1.1\r\nHost: h\r\n\r\n"),                                  400, "backslash"                    },
        {STR_C("GET /a%zz HTTP/1.1\r\nHost: h\r\n\r\n"),                                  400, "broken escape"                },
        {STR_C("GET /a% HTTP/1.1\r\nHost: h\r\n\r\n"),                                    400, "escape cut off"               },
        {STR_C("GET /../a HTTP/1.1\r\nHost: h\r\n\r\n"),                                  400, "dots"                         },
        {STR_C("GET /a/.. HTTP/1.1\r\nHost: h\r\n\r\n"),                                  400, "dots at the end"              },
        {STR_C("GET /%2e%2e/a HTTP/1.1\r\nHost: h\r\n\r\n"),                              400, "escaped dots"                 },
        {STR_C("GET /.%2E HTTP/1.1\r\nHost: h\r\n\r\n"),                                  400, "one escaped dot"              },
        {STR_C("GET /m/a%2F..%2fb HTTP/1.1\r\nHost: h\r\n\r\n"),                          400, "dots between escapes"         },
        {STR_C("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"),                                   400, "fragment"                     },
        {STR_C("GET http://evil/ HTTP/1.1\r\nHost: h\r\n\r\n"),                           400, "another authority"            },
        {STR_C("GET http://h:1/ HTTP/1.1\r\nHost: h\r\n\r\n"),                            400, "another port"                 },
        {STR_C("GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n"),                            400, "user info"                    },
        {STR_C("GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"),                               400, "another scheme"               },
        {STR_C("GET http://h/ HTTP/1.0\r\n\r\n"),                                         400, "absolute form without Host"   },
        {STR_C("GET http://h/../a HTTP/1.1\r\nHost: h\r\n\r\n"),                          400, "dots in absolute form"        },
        {STR_C("GET /a/%2e HTTP/1.1\r\nHost: h\r\n\r\n"),                                 400, "one dot, escaped, at the end" },
        {STR_C("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),                                  400, "asterisk form"                },
        {STR_C("GET h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n"),                                400, "authority form"               },
        {STR_C("GET a/b HTTP/1.1\r\nHost: h\r\n\r\n"),                                    400, "relative path"                },
        {STR_C("GET HTTP/1.1\r\nHost: h\r\n\r\n"),                                        400, "no target"                    },
        {STR_C(POST "Expect: 200-ok\r\n\r\n"),                                            417, "unknown expectation"          },
        {STR_C(POST "Expect: 100-continue, x\r\n\r\n"),                                   417, "more than is understood"      },
        {STR_C("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),                              400, "two empty lines in front"     },
        {STR_C("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),                                    400, "LF in front"                  },
        {STR_C("\rGET / HTTP/1.1\r\nHost: h\r\n\r\n"),                                    400, "CR in front"                  },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_fault(HTTP1_REQUEST, cases[i].raw, cases[i].status, "", cases[i].why);
}

static void test_http1__unsound_chunks_are_refused(void **state)
{
    (void)state;
    static const struct {
        str raw;
        const char *want;
        const char *why;
    } cases[] = {
        {STR_C(CHUNKED "0x2\r\nab\r\n0\r\n\r\n"), CHUNKED_HEAD,      "hexadecimal mark"         },
        {STR_C(CHUNKED "+2\r\nab\r\n0\r\n\r\n"),  CHUNKED_HEAD,      "signed"                   },
        {STR_C(CHUNKED "-0\r\n\r\n"),             CHUNKED_HEAD,      "negative"                 },
        {STR_C(CHUNKED " 2\r\nab\r\n0\r\n\r\n"),  CHUNKED_HEAD,      "blank in front"           },
        {STR_C(CHUNKED "2 \r\nab\r\n0\r\n\r\n"),  CHUNKED_HEAD,      "blank behind"             },
        {STR_C(CHUNKED "\r\n"),                   CHUNKED_HEAD,      "no size"                  },
        {STR_C(CHUNKED ";x\r\n"),                 CHUNKED_HEAD,      "extension alone"          },
        {STR_C(CHUNKED "g\r\n"),                  CHUNKED_HEAD,      "not a digit"              },
        {STR_C(CHUNKED "2\nab\r\n0\r\n\r\n"),     CHUNKED_HEAD,      "LF alone behind the size" },
        {STR_C(CHUNKED "2\rab\r\n0\r\n\r\n"),     CHUNKED_HEAD,      "CR alone behind the size" },
        {STR_C(CHUNKED "2\r\nabc\r\n0\r\n\r\n"),  CHUNKED_HEAD "ab", "more data than said"      },
        {STR_C(CHUNKED "2\r\nab0\r\n\r\n"),       CHUNKED_HEAD "ab", "no CR LF behind the data" },
        {STR_C(CHUNKED "2\r\nab\n0\r\n\r\n"),     CHUNKED_HEAD "ab", "LF alone behind the data" },
        {STR_C(CHUNKED "10000000000000000\r\n"),  CHUNKED_HEAD,      "size of 2^64"             },
        {STR_C(CHUNKED "fffffffffffffffff\r\n"),  CHUNKED_HEAD,      "size far beyond 2^64"     },
        {STR_C(CHUNKED "0\r\nX : 1\r\n\r\n"),     CHUNKED_HEAD,      "unsound trailer"          },
        {STR_C(CHUNKED "0\r\nX: 1\n\r\n"),        CHUNKED_HEAD,      "trailer that ends with LF"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_fault(HTTP1_REQUEST, cases[i].raw, 400, cases[i].want, cases[i].why);
}

/* ---- limits ---- */

/* Feeds `raw` whole, byte by byte and in odd pieces; each must end in `fault` (0: complete). */
static void check_limit(enum http1_kind kind, const struct buf *raw, int fault, const char *why)
{
    static const size_t PIECES[] = {1, 7, 1000, SIZE_MAX};
    for (size_t i = 0; i < sizeof(PIECES) / sizeof(PIECES[0]); i++) {
        struct http1 h;
        struct record r;
        start(&h, &r, kind);
        feed(&h, buf_str(raw), PIECES[i]);
        if (h.fault != fault || r.n_complete != (fault == 0))
            print_error("case: %s\npieces of %zu: fault %d, complete %u\n", why, PIECES[i], h.fault,
                        r.n_complete);
        assert_int_equal(h.fault, fault);
        assert_int_equal(r.n_complete, fault == 0);
        finish(&h, &r);
    }
}

static void append_many(struct buf *b, char c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_append_char(b, c);
}

/* A line "X: xxx" of `n` bytes with its end. */
static void append_field(struct buf *b, size_t n)
{
    buf_append(b, STR("X: "));
    append_many(b, 'x', n - 5);
    buf_append(b, STR("\r\n"));
}

static void test_http1__limits_hold_to_the_byte(void **state)
{
    (void)state;
    struct buf raw;
    buf_init(&raw, 1 << 20);
    for (int over = -1; over <= 1; over++) {
        buf_reset(&raw);
        buf_append(&raw, STR("GET /"));
        append_many(&raw, 'x', (size_t)(HTTP1_LINE_BYTES - 14 + over));
        buf_append(&raw, STR(" HTTP/1.1\r\nHost: h\r\n\r\n"));
        check_limit(HTTP1_REQUEST, &raw, over > 0 ? 414 : 0, "request line");

        buf_reset(&raw);
        buf_append(&raw, STR(REQ));
        append_field(&raw, (size_t)(HTTP1_FIELD_BYTES + 2 + over));
        buf_append(&raw, STR("\r\n"));
        check_limit(HTTP1_REQUEST, &raw, over > 0 ? 431 : 0, "one field");

        buf_reset(&raw);
        buf_append(&raw, STR(REQ)); // its field has 9 bytes
        append_field(&raw, HTTP1_FIELD_BYTES);
        append_field(&raw, (size_t)(HTTP1_HEAD_BYTES - HTTP1_FIELD_BYTES - 9 + over));
        buf_append(&raw, STR("\r\n"));
        check_limit(HTTP1_REQUEST, &raw, over > 0 ? 431 : 0, "all fields");

        buf_reset(&raw);
        buf_append(&raw, STR(REQ));
        for (int i = 1; i < HTTP1_FIELDS + over; i++)
            buf_append(&raw, STR("X: y\r\n"));
        buf_append(&raw, STR("\r\n"));
        check_limit(HTTP1_REQUEST, &raw, over > 0 ? 431 : 0, "count of fields");
    }
    buf_release(&raw);
}

static void test_http1__limits_hold_before_the_end_of_a_line_is_seen(void **state)
{
    (void)state;
    struct buf raw;
    buf_init(&raw, 1 << 20);
    buf_append(&raw, STR("GET /"));
    append_many(&raw, 'x', HTTP1_LINE_BYTES);
    check_limit(HTTP1_REQUEST, &raw, 414, "endless request line");

    buf_reset(&raw);
    buf_append(&raw, STR(REQ "X: "));
    append_many(&raw, 'x', HTTP1_FIELD_BYTES);
    check_limit(HTTP1_REQUEST, &raw, 431, "endless field");

    buf_reset(&raw);
    buf_append(&raw, STR(REQ));
    append_many(&raw, 'x', HTTP1_FIELD_BYTES + 1);
    check_limit(HTTP1_REQUEST, &raw, 431, "endless name");
    buf_release(&raw);
}

static void test_http1__trailers_and_extensions_have_limits(void **state)
{
    (void)state;
    struct buf raw;
    buf_init(&raw, 1 << 20);
    for (int over = -1; over <= 1; over++) {
        // From the last byte of the body: CR LF, "0", CR LF, the trailer, CR LF.
        buf_reset(&raw);
        buf_append(&raw, STR(CHUNKED "1\r\na\r\n0\r\n"));
        append_field(&raw, (size_t)(HTTP1_HEAD_BYTES - 7 + over));
        buf_append(&raw, STR("\r\n"));
        check_limit(HTTP1_REQUEST, &raw, over > 0 ? 431 : 0, "trailers");

        buf_reset(&raw);
        buf_append(&raw, STR(CHUNKED "1;"));
        append_many(&raw, 'x', (size_t)(HTTP1_HEAD_BYTES - 4 + over));
        buf_append(&raw, STR("\r\na\r\n0\r\n\r\n"));
        check_limit(HTTP1_REQUEST, &raw, over > 0 ? 431 : 0, "chunk extension");

        buf_reset(&raw);
        buf_append(&raw, STR(CHUNKED "0\r\n"));
        for (int i = 0; i < HTTP1_FIELDS + over; i++)
            buf_append(&raw, STR("X: y\r\n"));
        buf_append(&raw, STR("\r\n"));
        check_limit(HTTP1_REQUEST, &raw, over > 0 ? 431 : 0, "count of trailers");
    }
    buf_release(&raw);
}

static void test_http1__a_long_chunked_body_is_not_taken_for_overhead(void **state)
{
    (void)state;
    struct buf raw;
    buf_init(&raw, 1 << 20);
    buf_append(&raw, STR(CHUNKED));
    for (int i = 0; i < 20000; i++)
        buf_append(&raw, STR("1\r\nx\r\n"));
    buf_append(&raw, STR("0\r\n\r\n"));
    check_limit(HTTP1_REQUEST, &raw, 0, "small chunks");
    buf_release(&raw);
}

/* ---- responses ---- */

static void test_http1__sound_responses_are_read_however_they_are_cut(void **state)
{
    (void)state;
    static const struct {
        str raw;
        const char *want;
        const char *why;
    } cases[] = {
        {STR_C("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"),
         "[0  200 keep length=2|Content-Length=2]ab$",             "sized"                        },
        {STR_C("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
         "[0  200 keep chunked|Transfer-Encoding=chunked]ab$",     "chunked"                      },
        {STR_C("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
         "[0  200 keep length=0|Content-Length=0]$",               "no reason"                    },
        {STR_C("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
         "[0  200 1.0 length=0|Content-Length=0]$",                "1.0"                          },
        {STR_C("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
               "HTTP/1.1 204 No Content\r\n\r\n"),
         "[0  100 keep]$[0  103 keep|Link=x]$[0  204 keep]$",      "1xx are messages of their own"},
        {STR_C("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 x\r\n\r\n"),
         "[0  304 keep length=5|Content-Length=5]$[0  204 keep]$", "304 has no body"              },
        {STR_C("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
         "[0  200 length=0|Connection=close|Content-Length=0]$",   "close"                        },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_events(HTTP1_RESPONSE, cases[i].raw, cases[i].want, cases[i].why);
}

static void test_http1__unsound_responses_are_refused(void **state)
{
    (void)state;
    static const struct {
        str raw;
        const char *want;
        const char *why;
    } cases[] = {
        {STR_C("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"),           "",
         "two lengths"                                                                                                                    },
        {STR_C("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"),    "",
         "length and chunks"                                                                                                              },
        {STR_C("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),                            "", "another coding"                     },
        {STR_C("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),                   "", "two codings"                        },
        {STR_C("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),                         "", "chunks in 1.0"                      },
        {STR_C("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),                                  "", "2.0"                                },
        {STR_C("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "",
         "nobody asked to switch"                                                                                                         },
        {STR_C("HTTP/1.1 20 OK\r\n\r\n"),                                                        "", "two digits"                         },
        {STR_C("HTTP/1.1 2000 OK\r\n\r\n"),                                                      "", "four digits"                        },
        {STR_C("<html>"),                                                                        "", "not HTTP"                           },
        {STR_C("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"),                                    "", "bare LF"                            },
        {STR_C("HTTP/1.1 200 OK\r\r\r\nX: a\r\n\r\n"),                                           "", "bare CR: an end of the head to some"},
        {STR_C("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"),                                         "", "folded"                             },
        {STR_C("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
         "[0  200 keep chunked|Transfer-Encoding=chunked]",                                          "chunk size"                         },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_fault(HTTP1_RESPONSE, cases[i].raw, 502, cases[i].want, cases[i].why);
}

static void test_http1__the_end_of_a_connection_may_end_a_response(void **state)
{
    (void)state;
    static const struct {
        str raw;
        bool sound;
        unsigned complete;
        const char *why;
    } cases[] = {
        {STR_C(""),                                                                      true,  0, "between two messages"},
        {STR_C("HTTP/1.1 200 OK\r\n\r\nabc"),                                            true,  1, "a body until the end"},
        {STR_C("HTTP/1.1 200 OK\r\n\r\n"),                                               true,  1, "an empty one"        },
        {STR_C("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"),                        false, 0, "sized, cut"          },
        {STR_C("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"),      false, 0,
         "chunked, cut"                                                                                                  },
        {STR_C("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"), false, 0,
         "chunked, cut in the end"                                                                                       },
        {STR_C("HTTP/1.1 200 OK\r\nX: y\r\n"),                                           false, 0, "in the head"         },
        {STR_C("HTT"),                                                                   false, 0, "in the first line"   },
        {STR_C("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"),                        true,  1, "complete before"     },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http1 h;
        struct record r;
        start(&h, &r, HTTP1_RESPONSE);
        r.next_at_once = false;
        feed(&h, cases[i].raw, SIZE_MAX);
        bool sound = http1_feed_eof(&h);
        if (sound != cases[i].sound || r.n_complete != cases[i].complete)
            print_error("case: %s\n", cases[i].why);
        assert_int_equal(sound, cases[i].sound);
        assert_int_equal(r.n_complete, cases[i].complete);
        finish(&h, &r);
    }
}

static void test_http1__an_answer_to_head_has_no_body(void **state)
{
    (void)state;
    struct http1 h;
    struct record r;
    start(&h, &r, HTTP1_RESPONSE);
    h.answer_to_head = true;
    feed(&h, STR("HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), SIZE_MAX);
    assert_int_equal(h.fault, 0);
    assert_int_equal(r.n_complete, 2);
    finish(&h, &r);
}

static void test_http1__a_response_head_has_its_own_limits(void **state)
{
    (void)state;
    struct buf raw;
    buf_init(&raw, 1 << 20);
    for (int over = -1; over <= 1; over++) {
        buf_reset(&raw);
        buf_append(&raw, STR("HTTP/1.1 204 x\r\n"));
        for (int i = 0; i < 3; i++)
            append_field(&raw, HTTP1_RESPONSE_HEAD_BYTES / 4);
        append_field(&raw, (size_t)(HTTP1_RESPONSE_HEAD_BYTES / 4 + over));
        buf_append(&raw, STR("\r\n"));
        check_limit(HTTP1_RESPONSE, &raw, over > 0 ? 502 : 0, "all fields");

        buf_reset(&raw);
        buf_append(&raw, STR("HTTP/1.1 204 x\r\n"));
        for (int i = 0; i < HTTP1_RESPONSE_FIELDS + over; i++)
            buf_append(&raw, STR("X: y\r\n"));
        buf_append(&raw, STR("\r\n"));
        check_limit(HTTP1_RESPONSE, &raw, over > 0 ? 502 : 0, "count of fields");
    }
    buf_release(&raw);
}

/* ---- the owner's say ---- */

static void test_http1__the_owner_may_refuse_head_and_body(void **state)
{
    (void)state;
    for (int in_body = 0; in_body < 2; in_body++) {
        struct http1 h;
        struct record r;
        start(&h, &r, HTTP1_REQUEST);
        r.status_of_head = in_body ? 0 : 401;
        r.status_of_body = in_body ? 413 : 0;
        feed(&h, STR(POST "Content-Length: 2\r\n\r\nab"), SIZE_MAX);
        assert_int_equal(h.fault, in_body ? 413 : 401);
        assert_int_equal(r.n_complete, 0);
        finish(&h, &r);
    }
}

static int allow_three(void *arg, const struct http1_message *m)
{
    struct record *r = arg;
    r->h->body_limit_bytes = 3;
    return note_head(arg, m);
}

static void test_http1__a_body_is_held_to_its_limit(void **state)
{
    (void)state;
    static const struct http1_events events = {allow_three, note_body, note_complete};
    static const struct {
        str raw;
        int fault;
        const char *why;
    } cases[] = {
        {STR_C(CHUNKED "2\r\nab\r\n0\r\n\r\n"),            0,   "below"                      },
        {STR_C(CHUNKED "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),  0,   "at"                         },
        {STR_C(CHUNKED "2\r\nab\r\n2\r\n"),                413, "above, before the data came"},
        {STR_C(CHUNKED "7fffffffffffffff\r\n"),            413, "far above"                  },
        {STR_C(CHUNKED "2\r\nab\r\nffffffffffffffff\r\n"), 413, "the sum would wrap"         },
        {STR_C(POST "Content-Length: 3\r\n\r\nabc"),       0,   "sized, at"                  },
        {STR_C(POST "Content-Length: 4\r\n\r\nabcd"),      413, "sized, above"               },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http1 h;
        struct record r;
        start(&h, &r, HTTP1_REQUEST);
        h.events = &events;
        feed(&h, cases[i].raw, SIZE_MAX);
        if (h.fault != cases[i].fault)
            print_error("case: %s: %d\n", cases[i].why, h.fault);
        assert_int_equal(h.fault, cases[i].fault);
        assert_int_equal(r.n_complete, cases[i].fault == 0);
        finish(&h, &r);
    }
}

static void test_http1__a_dropped_head_is_gone_and_the_body_goes_on(void **state)
{
    (void)state;
    struct http1 h;
    struct record r;
    start(&h, &r, HTTP1_REQUEST);
    r.next_at_once = false;
    feed(&h, STR(POST "Content-Length: 4\r\n\r\nab"), SIZE_MAX);
    assert_non_null(http1_message(&h));
    http1_drop_head(&h);
    assert_null(http1_message(&h));
    assert_int_equal(http1_feed(&h, STR("cdGET")), 2); // stops behind the message
    assert_true(h.complete);
    assert_int_equal(http1_feed(&h, STR("GET")), 0); // until http1_next()
    finish(&h, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http1__sound_requests_are_read_however_they_are_cut),
        cmocka_unit_test(test_http1__unsound_heads_are_refused_and_never_reported),
        cmocka_unit_test(test_http1__unsound_chunks_are_refused),
        cmocka_unit_test(test_http1__limits_hold_to_the_byte),
        cmocka_unit_test(test_http1__limits_hold_before_the_end_of_a_line_is_seen),
        cmocka_unit_test(test_http1__trailers_and_extensions_have_limits),
        cmocka_unit_test(test_http1__a_long_chunked_body_is_not_taken_for_overhead),
        cmocka_unit_test(test_http1__sound_responses_are_read_however_they_are_cut),
        cmocka_unit_test(test_http1__unsound_responses_are_refused),
        cmocka_unit_test(test_http1__the_end_of_a_connection_may_end_a_response),
        cmocka_unit_test(test_http1__an_answer_to_head_has_no_body),
        cmocka_unit_test(test_http1__a_response_head_has_its_own_limits),
        cmocka_unit_test(test_http1__the_owner_may_refuse_head_and_body),
        cmocka_unit_test(test_http1__a_body_is_held_to_its_limit),
        cmocka_unit_test(test_http1__a_dropped_head_is_gone_and_the_body_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
