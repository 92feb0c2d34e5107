#include "unit.h"

#include "codec/json_raw.h"

static void test_json_raw__finds_a_member_as_it_stands(void **state)
{
    (void)state;
    static const struct {
        const char *object;
        const char *want;
        const char *why;
    } cases[] = {
        {"{\"k\":1}",                           "1",                "a number"                 },
        {" {\n\"k\" :\t1.50e2 }",               "1.50e2",           "white space"              },
        {"{\"a\":2,\"k\":true,\"b\":3}",        "true",             "between others"           },
        {"{\"k\":\"x\\\"}\",\"a\":1}",          "\"x\\\"}\"",       "a quote that is escaped"  },
        {"{\"k\":\"x\\\\\",\"a\":1}",           "\"x\\\\\"",        "a backslash at the end"   },
        {"{\"a\":\"\\\"k\\\":2\",\"k\":[ 1 ]}", "[ 1 ]",            "what looks like the key"  },
        {"{\"a\":{\"k\":2},\"k\":{\"]\":[]}}",  "{\"]\":[]}",       "the same key further down"},
        {"{\"a\":[[\"]\"],{}],\"k\":null}",     "null",             "brackets in texts"        },
        {"{\"k\":1,\"k\":2}",                   "2",                "the last of equal ones"   },
        {"{\"k\":1,\"\\u006b\":2}",             "",                 "an escaped key"           },
        {"{\"kk\":1,\"\":2}",                   "",                 "no such key"              },
        {"{}",                                  "",                 "no members"               },
        {"[\"k\",1]",                           "",                 "an array"                 },
        {"\"k\"",                               "",                 "a text"                   },
        {"",                                    "",                 "nothing"                  },
        {"{\"k\":\"\xC3\xA9\xFF\"}",            "\"\xC3\xA9\xFF\"", "bytes of all kinds"       },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_str_why(json_raw_get(str_z(cases[i].object), STR("k")), str_z(cases[i].want),
                       cases[i].why);
}

static void test_json_raw__walks_the_items(void **state)
{
    (void)state;
    static const char *const WANT[] = {"1", "[2, 3]", "\",]\"", "{\"a\":[]}", "[]"};
    str rest = json_raw_items(STR(" [ 1 ,[2, 3],\",]\",{\"a\":[]} , [] ] "));
    str item;
    for (size_t i = 0; i < COUNT_OF(WANT); i++) {
        assert_true(json_raw_next(&rest, &item));
        assert_str(item, str_z(WANT[i]));
    }
    assert_false(json_raw_next(&rest, &item));
    rest = json_raw_items(STR("[]"));
    assert_false(json_raw_next(&rest, &item));
    rest = json_raw_items(STR("{\"a\":1}"));
    assert_false(json_raw_next(&rest, &item));
    rest = json_raw_items(STR(""));
    assert_false(json_raw_next(&rest, &item));
}

static void test_json_raw__knows_surrogates_without_a_partner(void **state)
{
    (void)state;
    static const str sound[] = {
        STR_C(""),
        STR_C("{\"a\":1}"),
        STR_C("\"\\ud83d\\ude00\""),
        STR_C("\"\\\\ud83d\""),
        STR_C("\"\\ud7ff\\ue000\""),
    };
    static const str unsound[] = {
        STR_C("\"\\uD83D\""),        STR_C("\"\\ude00\""),         STR_C("\"\\ud83d\\u0041\""),
        STR_C("\"\\ud83d\\ud83d\""), STR_C("\"\\ud83dx\\ude00\""), STR_C("\"\\ud83d\\n\\ude00\""),
        STR_C("\"\\n\\\\\\ude00\""),
    };
    for (size_t i = 0; i < COUNT_OF(sound); i++)
        assert_true(json_raw_is_sound(sound[i]));
    for (size_t i = 0; i < COUNT_OF(unsound); i++)
        assert_false(json_raw_is_sound(unsound[i]));
}

static void test_json_raw__is_written_without_white_space(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1000);
    json_raw_put(&out, STR(" {\n \"a b\" : [ 1.0 , \"\\u003c \\\" \" ] ,\t\"c\": null\r\n} "));
    assert_str(buf_str(&out), STR("{\"a b\":[1.0,\"\\u003c \\\" \"],\"c\":null}"));
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_raw__finds_a_member_as_it_stands),
        cmocka_unit_test(test_json_raw__walks_the_items),
        cmocka_unit_test(test_json_raw__knows_surrogates_without_a_partner),
        cmocka_unit_test(test_json_raw__is_written_without_white_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
