#include "unit.h"

#include <stdlib.h>

#include "codec/base64.h"

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void test_base64__is_whole_groups_with_padding(void **state)
{
    (void)state;
    static const struct {
        str text;
        bool valid;
        const char *why;
    } cases[] = {
        {STR_C("QUJD"),       true,  "one group"              },
        {STR_C("QUI="),       true,  "one pad"                },
        {STR_C("QQ=="),       true,  "two pads"               },
        {STR_C("QUJDQQ=="),   true,  "two groups"             },
        {STR_C(""),           false, "nothing"                },
        {STR_C("QUJ"),        false, "part of a group"        },
        {STR_C("Q==="),       false, "three pads"             },
        {STR_C("===="),       false, "pads only"              },
        {STR_C("Q=JD"),       false, "a pad inside"           },
        {STR_C("QQ==QUJD"),   false, "a pad before the end"   },
        {STR_C("QU-_"),       false, "the alphabet of URLs"   },
        {STR_C("QUJD\n"),     false, "a line end"             },
        {STR_C("QU\0D"),      false, "a zero"                 },
        {STR_C("QU\xC1\xB1"), false, "letters with a bit more"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_why(base64_is_valid(cases[i].text) == cases[i].valid, cases[i].why);
}

/* Every byte at every place of some blocks and a rest. */
static void test_base64__knows_every_byte_wherever_it_is(void **state)
{
    (void)state;
    enum { LEN = 148 };
    char *text = malloc(LEN); // no room behind it, for ASan
    assert_non_null(text);
    for (size_t i = 0; i < LEN; i++)
        text[i] = ALPHABET[i % 64];
    assert_true(base64_is_valid(str_of(text, LEN)));
    for (size_t at = 0; at < LEN; at++) {
        char digit = text[at];
        for (int c = 0; c < 256; c++) {
            bool valid = (c != 0 && strchr(ALPHABET, c) != NULL) || (c == '=' && at == LEN - 1);
            text[at] = (char)c;
            assert_true(base64_is_valid(str_of(text, LEN)) == valid);
        }
        text[at] = digit;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64__is_whole_groups_with_padding),
        cmocka_unit_test(test_base64__knows_every_byte_wherever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
