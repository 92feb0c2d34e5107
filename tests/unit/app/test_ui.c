#include "app/ui.h"

#include "unit.h"

static str field(const struct ui_answer *a, str name)
{
    for (size_t i = 0; i < a->n_fields; i++) {
        if (str_ieq(a->fields[i].name, name))
            return a->fields[i].value;
    }
    return STR("");
}

/* The path of a file whose name has a hash. */
static str hashed_path(void)
{
    for (size_t i = 0; i < UI_FILES_COUNT; i++) {
        if (UI_FILES[i].hashed)
            return str_z(UI_FILES[i].path);
    }
    fail_msg("the build made no asset");
    return STR("");
}

static struct ui_answer ask(str path, str accept_encoding, str if_none_match)
{
    struct ui_wish wish = {.accept_encoding = accept_encoding, .if_none_match = if_none_match};
    struct ui_answer a;
    assert_true(ui_find(path, &wish, &a));
    return a;
}

static void test_ui__places_are_one_page_and_nothing_else_is(void **state)
{
    (void)state;
    static const struct {
        str path;
        bool found;
    } cases[] = {
        {STR_C("/admin"),                   true },
        {STR_C("/admin/keys"),              true },
        {STR_C("/admin/keys/17"),           true },
        {STR_C("/admin/log/9"),             true },
        {STR_C("/admin/chat"),              true },
        {STR_C("/admin/settings"),          true },
        {STR_C("/admin/keysx"),             false},
        {STR_C("/admin/api/keys"),          false},
        {STR_C("/admin/login"),             false},
        {STR_C("/adminkeys"),               false},
        {STR_C("/admin/assets/"),           false},
        {STR_C("/admin/assets/nothing.js"), false},
        {STR_C("/"),                        false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ui_wish wish = {.accept_encoding = STR("")};
        struct ui_answer a;
        assert_why(ui_find(cases[i].path, &wish, &a) == cases[i].found, cases[i].path.p);
    }
}

static void test_ui__gzip_goes_to_those_who_take_it(void **state)
{
    (void)state;
    static const struct {
        str accept;
        bool gzip;
    } cases[] = {
        {STR_C(""),                     false},
        {STR_C("gzip"),                 true },
        {STR_C("GZip"),                 true },
        {STR_C("br, gzip;q=0.5"),       true },
        {STR_C("deflate , gzip ; q=1"), true },
        {STR_C("gzip;q=0"),             false},
        {STR_C("gzip; q=0.000"),        false},
        {STR_C("gzip;q=0.001"),         true },
        {STR_C("gzipx, xgzip"),         false},
        {STR_C("identity"),             false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ui_answer a = ask(STR("/admin"), cases[i].accept, STR(""));
        bool gzip = str_eq(field(&a, STR("Content-Encoding")), STR("gzip"));
        assert_why(gzip == cases[i].gzip, cases[i].accept.p);
        assert_why(str_starts(a.body, STR("\x1f\x8b")) == gzip, "the body is what the header says");
        assert_str(field(&a, STR("Vary")), STR("Accept-Encoding"));
    }
}

static void test_ui__a_known_copy_is_not_sent_again(void **state)
{
    (void)state;
    struct ui_answer plain = ask(STR("/admin"), STR(""), STR(""));
    struct ui_answer packed = ask(STR("/admin"), STR("gzip"), STR(""));
    str tag = field(&plain, STR("ETag"));
    char many[128];
    char weak[128];
    int n = snprintf(many, sizeof(many), "\"other\", %.*s", STR_ARG(tag));
    int m = snprintf(weak, sizeof(weak), "W/%.*s", STR_ARG(tag));
    // clang-format off
    const struct {
        str if_none_match;
        int status;
    } cases[] = {
        {tag,                            304},
        {str_of(many, (size_t)n),        304},
        {str_of(weak, (size_t)m),        304},
        {STR("*"),                       304},
        {STR("\"other\""),               200},
        {field(&packed, STR("ETag")), 200},
        {str_head(tag, tag.len - 1),     200},
    };
    // clang-format on
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ui_answer a = ask(STR("/admin"), STR(""), cases[i].if_none_match);
        assert_int_equal(a.status, cases[i].status);
        assert_int_equal(a.body.len == 0, cases[i].status == 304);
    }
}

static void test_ui__only_what_has_a_hash_is_kept_for_ever(void **state)
{
    (void)state;
    struct ui_answer page = ask(STR("/admin"), STR(""), STR(""));
    struct ui_answer asset = ask(hashed_path(), STR(""), STR(""));
    assert_str(field(&page, STR("Cache-Control")), STR("no-cache"));
    assert_true(str_find(field(&asset, STR("Cache-Control")), STR("immutable")) <
                field(&asset, STR("Cache-Control")).len);
    assert_true(field(&asset, STR("Content-Security-Policy")).len > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ui__places_are_one_page_and_nothing_else_is),
        cmocka_unit_test(test_ui__gzip_goes_to_those_who_take_it),
        cmocka_unit_test(test_ui__a_known_copy_is_not_sent_again),
        cmocka_unit_test(test_ui__only_what_has_a_hash_is_kept_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
