#include "unit.h"

#include <stdlib.h>

#include "codec/json_scan.h"

enum { LONGEST = 150 }; // some blocks, some lanes and a rest

/* Plain text that ends where its memory ends, so that ASan sees a read behind it. */
static char *plain_text(size_t len)
{
    char *p = malloc(len);
    assert_non_null(p);
    for (size_t i = 0; i < len; i++)
        p[i] = (char)(' ' + (i * 7) % 95);
    for (size_t i = 0; i < len; i++)
        p[i] = p[i] == '"' || p[i] == '\\' ? '\x7F' : p[i];
    return p;
}

static void test_json_scan__plain_text_is_run_over_whole(void **state)
{
    (void)state;
    assert_int_equal(json_plain_run((str){0}), 0);
    for (size_t len = 1; len <= LONGEST; len++) {
        char *p = plain_text(len);
        assert_int_equal(json_plain_run(str_of(p, len)), len);
        free(p);
    }
}

static void test_json_scan__stops_at_every_special_byte_wherever_it_is(void **state)
{
    (void)state;
    static const char special[] = {'"', '\\', '\0', '\n', '\x1F', '\x80', '\xC2', '\xFF'};
    for (size_t len = 1; len <= LONGEST; len++) {
        char *p = plain_text(len);
        for (size_t at = 0; at < len; at++) {
            char plain = p[at];
            p[at] = special[(len + at) % sizeof(special)];
            assert_int_equal(json_plain_run(str_of(p, len)), at);
            p[at] = plain;
        }
        free(p);
    }
}

static void test_json_scan__knows_every_byte(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[20] = "aaaaaaaaaaaaaaaaaaaa";
        bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
        text[3] = (char)c;
        assert_int_equal(json_plain_run(str_of(text, 20)), plain ? 20 : 3);
        assert_int_equal(json_plain_run(str_of(text, 9)), plain ? 9 : 3);
        assert_int_equal(json_plain_run(str_of(text, 5)), plain ? 5 : 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_scan__plain_text_is_run_over_whole),
        cmocka_unit_test(test_json_scan__stops_at_every_special_byte_wherever_it_is),
        cmocka_unit_test(test_json_scan__knows_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
