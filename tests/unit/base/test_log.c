#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

static size_t format(char *out, size_t cap, enum log_format format, str value)
{
    struct log_line_head head = {
        .format = format, .wall_ms = 1700000000123, .level = LOG_INFO, .event = "request"};
    const struct log_field fields[] = {LOG_STR("id", value), LOG_INT("n", -7)};
    return log_format_line(out, cap, &head, fields, 2);
}

static void test_log__writes_both_formats(void **state)
{
    (void)state;
    char out[512];
    size_t n = format(out, sizeof(out), LOG_TEXT, STR("req_1"));
    assert_str(str_of(out, n),
               STR("time=2023-11-14T22:13:20.123Z level=info event=request id=req_1 n=-7\n"));
    n = format(out, sizeof(out), LOG_JSON, STR("req_1"));
    assert_str(str_of(out, n), STR("{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\","
                                   "\"event\":\"request\",\"id\":\"req_1\",\"n\":-7}\n"));
}

static void test_log__keeps_an_event_on_one_line(void **state)
{
    (void)state;
    static const struct {
        str value;
        str want;
        const char *why;
    } cases[] = {
        {STR_C("a\nlevel=error"), STR_C("\"a\\nlevel=error\""), "a line feed"             },
        {STR_C("a b"),            STR_C("\"a b\""),             "a blank"                 },
        {STR_C("a=b"),            STR_C("\"a=b\""),             "an equals sign"          },
        {STR_C("\x1b[31m"),       STR_C("\"\\u001b[31m\""),     "an escape sequence"      },
        {STR_C("\"\\"),           STR_C("\"\\\"\\\\\""),        "quotes and backslashes"  },
        {STR_C("\xE2\x80\xA8"),   STR_C("\"\\u2028\""),         "a Unicode line separator"},
        {STR_C("\xE2\x80\xA9"),   STR_C("\"\\u2029\""),         "a paragraph separator"   },
        {STR_C("x\xFF\xC3"),      STR_C("\"x\\ufffd\\ufffd\""), "bytes that are not UTF-8"},
        {STR_C("\xC3\xA4"),       STR_C("\"\xC3\xA4\""),        "a letter"                },
        {STR_C(""),               STR_C("\"\""),                "nothing, but there"      },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[512];
        size_t n = format(out, sizeof(out), LOG_TEXT, cases[i].value);
        str line = str_of(out, n);
        line = str_skip(line, str_find(line, STR(" id=")) + 4);
        assert_str_why(str_head(line, line.len - 6), cases[i].want, cases[i].why);
        assert_why(memchr(out, '\n', n) == out + n - 1, cases[i].why);
    }
}

static void test_log__leaves_out_what_does_not_fit(void **state)
{
    (void)state;
    char text[4000];
    char out[160];
    memset(text, 'x', sizeof(text));
    size_t n = format(out, sizeof(out), LOG_JSON, str_of(text, sizeof(text)));
    assert_true(n <= sizeof(out));
    assert_true(str_ends(str_of(out, n), STR("\"event\":\"request\"}\n")));
}

static void test_log__reaches_its_output_in_order(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    log_configure(LOG_INFO, LOG_TEXT);
    log_start(fds[1]);
    log_debug("hidden", LOG_INT("n", 1));
    log_info("first", LOG_INT("n", 1));
    log_error("second", LOG_INT("n", 2));
    log_stop();
    close(fds[1]);
    char out[1024];
    ssize_t n = read(fds[0], out, sizeof(out));
    close(fds[0]);
    str all = str_of(out, n > 0 ? (size_t)n : 0);
    assert_false(str_contains(all, STR("hidden")));
    assert_true(str_find(all, STR("event=first")) < str_find(all, STR("event=second")));
    assert_true(str_contains(all, STR("level=error event=second n=2\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log__writes_both_formats),
        cmocka_unit_test(test_log__keeps_an_event_on_one_line),
        cmocka_unit_test(test_log__leaves_out_what_does_not_fit),
        cmocka_unit_test(test_log__reaches_its_output_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
