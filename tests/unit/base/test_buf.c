#include "unit.h"

#include "base/buf.h"

static void test_buf__stops_at_its_maximum(void **state)
{
    (void)state;
    static const struct {
        size_t more; // beside the ten bytes that are there
        bool ok;
        const char *why;
    } cases[] = {
        {989, true,  "one below"     },
        {990, true,  "at the maximum"},
        {991, false, "one above"     }
    };
    char bytes[1000] = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf b;
        buf_init(&b, 1000);
        buf_append(&b, str_of(bytes, 10));
        buf_append(&b, str_of(bytes, cases[i].more));
        assert_why(buf_ok(&b) == cases[i].ok, cases[i].why);
        assert_why(b.len == (cases[i].ok ? 10 + cases[i].more : 10), cases[i].why);
        buf_append_char(&b, 'x');
        assert_why(buf_ok(&b) == (cases[i].more == 989), "stays as it is until the reset");
        buf_reset(&b);
        assert_true(buf_ok(&b));
        buf_release(&b);
    }
}

static void test_buf__writes_numbers_and_formats(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    buf_append_u64(&b, 0);
    buf_append_char(&b, ' ');
    buf_append_u64(&b, UINT64_MAX);
    buf_append_char(&b, ' ');
    buf_append_i64(&b, INT64_MIN);
    buf_printf(&b, " %s", "end");
    assert_str(buf_str(&b), STR("0 18446744073709551615 -9223372036854775808 end"));
    buf_release(&b);
    assert_int_equal(b.cap, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf__stops_at_its_maximum),
        cmocka_unit_test(test_buf__writes_numbers_and_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
