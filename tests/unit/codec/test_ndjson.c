#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/ndjson.h"

/* Feeds `in` in pieces of `step` bytes and joins the lines with '|'; '!' is too large. */
static void cut(str in, size_t step, size_t line_max, struct buf *out)
{
    struct ndjson nd;
    str line;
    enum ndjson_step got = NDJSON_MORE;
    ndjson_init(&nd, line_max);
    while (in.len > 0 && got != NDJSON_TOO_LARGE) {
        ndjson_feed(&nd, str_head(in, step));
        in = str_skip(in, step);
        for (got = ndjson_next(&nd, &line); got == NDJSON_LINE; got = ndjson_next(&nd, &line)) {
            buf_append(out, line);
            buf_append_char(out, '|');
        }
    }
    got = ndjson_finish(&nd, &line);
    if (got == NDJSON_LINE) {
        buf_append(out, line);
        buf_append_char(out, '|');
    }
    if (got == NDJSON_TOO_LARGE)
        buf_append_char(out, '!');
    ndjson_release(&nd);
}

static void test_ndjson__lines_do_not_depend_on_the_reads(void **state)
{
    (void)state;
    static const struct {
        str in;
        str want;
        const char *why;
    } cases[] = {
        {STR_C(""),                               STR_C(""),              "nothing"                },
        {STR_C("a\n"),                            STR_C("a|"),            "one line"               },
        {STR_C("a\nbc\n"),                        STR_C("a|bc|"),         "two"                    },
        {STR_C("a\r\nb\r\n"),                     STR_C("a|b|"),          "CRLF"                   },
        {STR_C("a\rb\r\r\n"),                     STR_C("a\rb\r|"),       "one CR is taken off"    },
        {STR_C("\n\r\n  \n\t\na\n"),              STR_C("a|"),            "blank lines"            },
        {STR_C("a\nb"),                           STR_C("a|b|"),          "no end of line"         },
        {STR_C("a\r"),                            STR_C("a|"),            "cut off after the CR"   },
        {STR_C("a\n "),                           STR_C("a|"),            "a blank rest"           },
        {STR_C("  a \n"),                         STR_C("  a |"),         "blanks in a line stay"  },
        {STR_C("123456789\n1\n"),                 STR_C("123456789|1|"),  "below the limit"        },
        {STR_C("1234567890\n1\n"),                STR_C("1234567890|1|"), "at the limit"           },
        {STR_C("1234567890\r\n1\n"),              STR_C("1234567890|1|"), "the CR is not counted"  },
        {STR_C("1\n12345678901\n1"),              STR_C("1|!"),           "one above"              },
        {STR_C("           \n1"),                 STR_C("!"),             "blanks are counted, too"},
        {STR_C("12345678901"),                    STR_C("!"),             "above, without an end"  },
        {STR_C("123456789012345678901234567890"), STR_C("!"),             "far above"              },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (size_t step = 1; step <= cases[i].in.len + 1; step++) {
            struct buf out;
            buf_init(&out, 4096);
            cut(cases[i].in, step, 10, &out);
            if (!str_eq(buf_str(&out), cases[i].want))
                fail_msg("%s, pieces of %zu: %.*s", cases[i].why, step, STR_ARG(buf_str(&out)));
            buf_release(&out);
        }
    }
}

static void test_ndjson__borrows_whole_lines(void **state)
{
    (void)state;
    static const char in[] = "one\ntwo\n";
    struct ndjson nd;
    str line;
    ndjson_init(&nd, NDJSON_LINE_MAX);
    ndjson_feed(&nd, str_z(in));
    assert_int_equal(ndjson_next(&nd, &line), NDJSON_LINE);
    assert_ptr_equal(line.p, in);
    assert_int_equal(ndjson_next(&nd, &line), NDJSON_LINE);
    assert_ptr_equal(line.p, in + 4);
    assert_int_equal(ndjson_next(&nd, &line), NDJSON_MORE);
    ndjson_release(&nd);
}

static void test_ndjson__holds_no_memory_between_lines(void **state)
{
    (void)state;
    struct ndjson nd;
    str line;
    ndjson_init(&nd, NDJSON_LINE_MAX);
    ndjson_feed(&nd, STR("half"));
    assert_int_equal(ndjson_next(&nd, &line), NDJSON_MORE);
    assert_non_null(nd.carry.p);
    ndjson_feed(&nd, STR(" a line\n"));
    assert_int_equal(ndjson_next(&nd, &line), NDJSON_LINE);
    assert_true(str_eq(line, STR("half a line")));
    assert_int_equal(ndjson_next(&nd, &line), NDJSON_MORE);
    assert_null(nd.carry.p);
    ndjson_release(&nd);
}

static void test_ndjson__stays_too_large(void **state)
{
    (void)state;
    struct ndjson nd;
    str line;
    ndjson_init(&nd, 4);
    ndjson_feed(&nd, STR("12345\nok\n"));
    assert_int_equal(ndjson_next(&nd, &line), NDJSON_TOO_LARGE);
    assert_int_equal(ndjson_next(&nd, &line), NDJSON_TOO_LARGE);
    assert_int_equal(ndjson_finish(&nd, &line), NDJSON_TOO_LARGE);
    ndjson_release(&nd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ndjson__lines_do_not_depend_on_the_reads),
        cmocka_unit_test(test_ndjson__borrows_whole_lines),
        cmocka_unit_test(test_ndjson__holds_no_memory_between_lines),
        cmocka_unit_test(test_ndjson__stays_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
