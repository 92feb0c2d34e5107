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
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
         "[0 / 0 keep length=3|Host=h|Content-Length=3]abc$",                                                                    "GET with a body"                          },
        {STR_C("HEAD / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET / "
               "HTTP/1.1\r\nHost: h\r\n\r\n"),
         "[1 / 0 keep length=3|Host=h|Content-Length=3]abc$[0 / 0 keep|Host=h]$",                                                "a HEAD's body is framed and read"         },
        {STR_C("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
               "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n"),
         "[2 / 0 keep chunked|Host=h|Transfer-Encoding=Chunked]abc0123456789$",                                                  "chunks; extension and trailer are dropped"},
        {STR_C("GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"
               "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"),
         "[0 /1 0 keep|Host=h]$[0 /2 0 keep|Host=h]$[0 /3 0 keep|Host=h]$",                                                      "pipelined"                                },
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
         "[0 / 0|Host=h|Connection=close]$",                                                                                     "close asked for"                          },
        {STR_C("GET / HTTP/1.0\r\n\r\n"),                                                          "[0 / 0 1.0]$",               "1.0 without Host"                         },
        {STR_C("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
         "[0 / 0 1.0 keep|Connection=keep-alive]$",                                                                              "1.0 that stays"                           },
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
        {STR_C("POST / HTTP/1.0\r\nExpect: junk\r\nContent-Length: 1\r\n\r\nx"),
         "[2 / 0 1.0 length=1|Expect=junk|Content-Length=1]x$",                                                                  "1.0 knows no Expect"                      },
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade, "
               "HTTP2-Settings\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n"),
         "[0 / 0 keep|Host=h|Upgrade=h2c|Connection=Upgrade, HTTP2-Settings]$"
         "[0 /2 0 keep|Host=h]$",                                                                                                "never upgraded"                           },
        {STR_C("GET / HTTP/1.1\r\nHost: h\r\nX:  a\tb \t\r\nE:\r\n\r\n"),
         "[0 / 0 keep|Host=h|X=a\tb|E=]$",                                                                                       "blanks around values are not theirs"      },
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

#define CHUNKED      "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "[2 / 0 keep chunked|Host=h|Transfer-Encoding=chunked]"

static void test_http1__unsound_chunks_are_refused(void **state)
{
    (void)state;
    static const struct {
        str raw;
        const char *want;
        const char *why;
    } cases[] = {
        {STR_C(CHUNKED "0x2\r\nab\r\n0\r\n\r\n"),         CHUNKED_HEAD,      "hexadecimal mark"         },
        {STR_C(CHUNKED "+2\r\nab\r\n0\r\n\r\n"),          CHUNKED_HEAD,      "signed"                   },
        {STR_C(CHUNKED "-0\r\n\r\n"),                     CHUNKED_HEAD,      "negative"                 },
        {STR_C(CHUNKED " 2\r\nab\r\n0\r\n\r\n"),          CHUNKED_HEAD,      "blank in front"           },
        {STR_C(CHUNKED "2 \r\nab\r\n0\r\n\r\n"),          CHUNKED_HEAD,      "blank behind"             },
        {STR_C(CHUNKED "\r\n"),                           CHUNKED_HEAD,      "no size"                  },
        {STR_C(CHUNKED ";x\r\n"),                         CHUNKED_HEAD,      "extension alone"          },
        {STR_C(CHUNKED "g\r\n"),                          CHUNKED_HEAD,      "not a digit"              },
        {STR_C(CHUNKED "2\nab\r\n0\r\n\r\n"),             CHUNKED_HEAD,      "LF alone behind the size" },
        {STR_C(CHUNKED "2\rab\r\n0\r\n\r\n"),             CHUNKED_HEAD,      "CR alone behind the size" },
        {STR_C(CHUNKED "2\r\nabc\r\n0\r\n\r\n"),          CHUNKED_HEAD "ab", "more data than said"      },
        {STR_C(CHUNKED "2\r\nab0\r\n\r\n"),               CHUNKED_HEAD "ab", "no CR LF behind the data" },
        {STR_C(CHUNKED "2\r\nab\n0\r\n\r\n"),             CHUNKED_HEAD "ab", "LF alone behind the data" },
        {STR_C(CHUNKED "10000000000000000\r\n"),          CHUNKED_HEAD,      "size of 2^64"             },
        {STR_C(CHUNKED "fffffffffffffffff\r\n"),          CHUNKED_HEAD,      "size far beyond 2^64"     },
        {STR_C(CHUNKED "0\r\nX : 1\r\n\r\n"),             CHUNKED_HEAD,      "unsound trailer"          },
        {STR_C(CHUNKED "0\r\nX: 1\n\r\n"),                CHUNKED_HEAD,      "trailer that ends with LF"},
        {STR_C(CHUNKED "0\r\nContent-Length: 5\r\n\r\n"), CHUNKED_HEAD,      "framing in a trailer"     },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_fault(HTTP1_REQUEST, cases[i].raw, 400, cases[i].want, cases[i].why);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http1__sound_requests_are_read_however_they_are_cut),
        cmocka_unit_test(test_http1__unsound_heads_are_refused_and_never_reported),
        cmocka_unit_test(test_http1__unsound_chunks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
