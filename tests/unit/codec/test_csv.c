#include "unit.h"

#include "codec/csv.h"

/* Rows as text: fields in brackets, a row per line, with the line it begins in. */
static enum err read_all(str text, char separator, struct buf *out, struct err_info *info)
{
    struct csv c;
    enum err e;
    csv_init(&c, text, separator);
    while ((e = csv_next(&c, info)) == ERR_OK) {
        buf_printf(out, "%zu", c.line);
        for (size_t i = 0; i < c.n; i++)
            buf_printf(out, "[%.*s]", STR_ARG(csv_field(&c, i)));
        buf_append_char(out, '\n');
    }
    csv_release(&c);
    return e;
}

static void test_csv__reads(void **state)
{
    (void)state;
    static const struct {
        str text;
        char separator;
        str want;
        const char *why;
    } cases[] = {
        {STR_C(""),                ',',  STR_C(""),                   "nothing"                  },
        {STR_C("a,b"),             ',',  STR_C("1[a][b]\n"),          "no line end at the end"   },
        {STR_C("a,b\nc,d\n"),      ',',  STR_C("1[a][b]\n2[c][d]\n"), "two rows"                 },
        {STR_C("a\r\nb\r\n"),      ',',  STR_C("1[a]\n2[b]\n"),       "CRLF"                     },
        {STR_C("a\n\n\r\nb"),      ',',  STR_C("1[a]\n4[b]\n"),       "empty lines are no rows"  },
        {STR_C(",a,\n"),           ',',  STR_C("1[][a][]\n"),         "empty fields"             },
        {STR_C(",\n"),             ',',  STR_C("1[][]\n"),            "nothing but a separator"  },
        {STR_C("\"a,b\",c"),       ',',  STR_C("1[a,b][c]\n"),        "a quoted separator"       },
        {STR_C("\"a\"\"b\""),      ',',  STR_C("1[a\"b]\n"),          "a doubled quote"          },
        {STR_C("\"\",\"\"\"\"\n"), ',',  STR_C("1[][\"]\n"),          "empty, and a quote alone" },
        {STR_C("\"a\nb\",c\nd"),   ',',  STR_C("1[a\nb][c]\n3[d]\n"), "a line end inside a field"},
        {STR_C("a;b,c"),           ';',  STR_C("1[a][b,c]\n"),        "another separator"        },
        {STR_C("a\tb"),            '\t', STR_C("1[a][b]\n"),          "tabs"                     },
        {STR_C("a\rb\n"),          ',',  STR_C("1[a\rb]\n"),          "CR is data but before LF" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out;
        buf_init(&out, 4096);
        assert_why(read_all(cases[i].text, cases[i].separator, &out, NULL) == ERR_NOT_FOUND,
                   cases[i].why);
        assert_str_why(buf_str(&out), cases[i].want, cases[i].why);
        buf_release(&out);
    }
}

static void test_csv__refuses(void **state)
{
    (void)state;
    static const struct {
        str text;
        const char *says;
    } cases[] = {
        {STR_C("a\n\"b"),     "a quote that opens near line 2 does not close"},
        {STR_C("a\nb\"c"),    "a quote inside a field in line 2"             },
        {STR_C("\"a\"b\n"),   "text behind a quoted field in line 1"         },
        {STR_C("\"a\n\"b\n"), "text behind a quoted field in line 2"         },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf out;
        struct err_info info = {0};
        buf_init(&out, 4096);
        assert_int_equal(read_all(cases[i].text, ',', &out, &info), ERR_SYNTAX);
        assert_str(str_z(info.text), str_z(cases[i].says));
        buf_release(&out);
    }
}

static void test_csv__has_a_limit_of_fields(void **state)
{
    (void)state;
    char text[CSV_FIELDS_MAX + 2];
    struct csv c;
    memset(text, ',', sizeof(text));
    for (size_t fields = CSV_FIELDS_MAX - 1; fields <= CSV_FIELDS_MAX + 1; fields++) {
        csv_init(&c, str_of(text, fields - 1), ',');
        assert_int_equal(csv_next(&c, NULL), fields <= CSV_FIELDS_MAX ? ERR_OK : ERR_RANGE);
        if (fields <= CSV_FIELDS_MAX)
            assert_int_equal(c.n, fields);
        assert_int_equal(csv_field(&c, fields).len, 0);
        csv_release(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv__reads),
        cmocka_unit_test(test_csv__refuses),
        cmocka_unit_test(test_csv__has_a_limit_of_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
