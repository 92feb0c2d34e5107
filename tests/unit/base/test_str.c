#include "unit.h"

static void test_str__compares(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), STR("abc")));
    assert_false(str_eq(STR("abc"), STR("abd")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_ieq(STR("Content-LENGTH"), STR("content-length")));
    assert_false(str_ieq(STR("content-lengt"), STR("content-length")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("ab"), STR("abc")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_true(str_icontains(STR("xx Usage LIMIT"), STR("usage limit")));
    assert_false(str_contains(STR("usage"), STR("usages")));
}

/* Any two bytes, at places in the first word, in the last, and in both. */
static void test_str__folds_case_of_ascii_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 256 * 256; i++) {
        char a[] = "aBcDeFgHiJ", b[] = "AbCdEfGhIj";
        size_t at = (size_t)i % (sizeof(a) - 1);
        a[at] = (char)(i / 256);
        b[at] = (char)(i % 256);
        bool want = ascii_lower(a[at]) == ascii_lower(b[at]);
        assert_int_equal(str_ieq(str_of(a, 10), str_of(b, 10)), want);
        assert_int_equal(str_ieq(str_of(a + at, 1), str_of(b + at, 1)), want);
    }
}

static void test_str__finds_and_cuts(void **state)
{
    (void)state;
    str head;
    str rest;
    assert_int_equal(str_find(STR("a needle b"), STR("needle")), 2);
    assert_int_equal(str_find(STR("a b"), STR("needle")), 3);
    assert_true(str_cut(STR("k=v=w"), '=', &head, &rest));
    assert_str(head, STR("k"));
    assert_str(rest, STR("v=w"));
    assert_false(str_cut(STR("kv"), '=', &head, &rest));
    assert_str(head, STR("kv"));
    assert_int_equal(rest.len, 0);
    assert_str(str_trim(STR(" \ta b\t ")), STR("a b"));
    assert_str(str_trim_ws(STR("\r\n x \n")), STR("x"));
    assert_int_equal(str_skip(STR("abc"), 7).len, 0);
}

static void test_str__reads_numbers(void **state)
{
    (void)state;
    static const struct {
        str text;
        bool ok;
        uint64_t value;
        const char *why;
    } cases[] = {
        {STR_C("0"),                    true,  0,          "zero"           },
        {STR_C("18446744073709551615"), true,  UINT64_MAX, "the largest"    },
        {STR_C("18446744073709551616"), false, 0,          "one more"       },
        {STR_C("99999999999999999999"), false, 0,          "twenty digits"  },
        {STR_C(""),                     false, 0,          "nothing"        },
        {STR_C("+1"),                   false, 0,          "a sign"         },
        {STR_C("-1"),                   false, 0,          "a minus"        },
        {STR_C(" 1"),                   false, 0,          "a blank"        },
        {STR_C("1a"),                   false, 0,          "a letter behind"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t value = 0;
        bool ok = str_to_u64(cases[i].text, &value);
        assert_why(ok == cases[i].ok && value == cases[i].value, cases[i].why);
    }
}

static void test_str__knows_valid_utf8(void **state)
{
    (void)state;
    static const struct {
        str text;
        size_t valid;
        const char *why;
    } cases[] = {
        {STR_C("plain text of more than eight bytes"),  35, "ASCII"                    },
        {STR_C("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"), 9,  "two, three and four bytes"},
        {STR_C("ab\xC3"),                               2,  "cut off at the end"       },
        {STR_C("\xC0\xAF"),                             0,  "overlong"                 },
        {STR_C("\xE0\x80\x80"),                         0,  "overlong in three"        },
        {STR_C("\xED\xA0\x80"),                         0,  "a surrogate"              },
        {STR_C("\xF4\x90\x80\x80"),                     0,  "above U+10FFFF"           },
        {STR_C("\xF0\x8F\xBF\xBF"),                     0,  "overlong in four"         },
        {STR_C("x\x80"),                                1,  "a lone continuation"      },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_why(utf8_valid_prefix(cases[i].text) == cases[i].valid, cases[i].why);
}

static void test_str__cuts_between_characters(void **state)
{
    (void)state;
    str euro = STR("a\xE2\x82\xAC"); // one byte, then three
    assert_int_equal(utf8_cut(euro, 4), 4);
    assert_int_equal(utf8_cut(euro, 3), 1);
    assert_int_equal(utf8_cut(euro, 2), 1);
    assert_int_equal(utf8_cut(euro, 1), 1);
    assert_int_equal(utf8_cut(STR("\x80\x80\x80\x80\x80\x80"), 4), 1); // not UTF-8: no standstill
    assert_true(utf8_cut(STR("\x80\x80\x80\x80\x80\x80\x80\x80"), 4) > 0);
}

static void test_str__sees_what_would_end_a_line(void **state)
{
    (void)state;
    // Every byte at every place of texts shorter and longer than a word.
    for (size_t len = 1; len <= 20; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 256; c++) {
                char text[20];
                memset(text, '~', sizeof(text));
                text[at] = (char)c;
                bool want = (c >= ' ' || c == '\t') && c != 0x7F;
                assert_int_equal(str_is_one_line(str_of(text, len)), want);
            }
        }
    }
    assert_true(str_is_one_line(STR("")));
}

static void test_str__writes_decimals(void **state)
{
    (void)state;
    char want[DECIMAL_BYTES + 1];
    char got[DECIMAL_BYTES];
    uint64_t value = 0;
    for (int i = 0; i < 3 * DECIMAL_BYTES; i++) {
        snprintf(want, sizeof(want), "%llu", (unsigned long long)value);
        char *first = str_decimal(got + sizeof(got), value);
        assert_str(str_of(first, (size_t)(got + sizeof(got) - first)), str_z(want));
        // 9, 10, 11, 99, 100, 101 … up to the largest
        value = i % 3 < 2 ? value + 1 : value > UINT64_MAX / 10 ? UINT64_MAX : (value - 1) * 10 - 1;
        value = i == 2 ? 9 : value;
    }
    assert_true(value > UINT64_MAX / 10);
}

static void test_str__copies_any_length(void **state)
{
    (void)state;
    char from[40], to[42];
    for (size_t i = 0; i < sizeof(from); i++)
        from[i] = (char)('A' + i);
    for (size_t n = 1; n <= sizeof(from); n++) {
        memset(to, '.', sizeof(to));
        str_copy(to + 1, from, n);
        assert_memory_equal(to + 1, from, n);
        assert_true(to[0] == '.' && to[n + 1] == '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str__sees_what_would_end_a_line),
        cmocka_unit_test(test_str__compares),
        cmocka_unit_test(test_str__folds_case_of_ascii_alone),
        cmocka_unit_test(test_str__finds_and_cuts),
        cmocka_unit_test(test_str__reads_numbers),
        cmocka_unit_test(test_str__writes_decimals),
        cmocka_unit_test(test_str__copies_any_length),
        cmocka_unit_test(test_str__knows_valid_utf8),
        cmocka_unit_test(test_str__cuts_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
