#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "place.h"
#include "store/files.h"

#define LIMIT_BYTES ((size_t)100000) // more than is read at once

static void test_files__are_read_whole_up_to_a_limit(void **state)
{
    static const struct {
        size_t size;
        enum err want;
        const char *why;
    } cases[] = {
        {0,               ERR_OK,        "nothing in it"},
        {LIMIT_BYTES - 1, ERR_OK,        "one below"    },
        {LIMIT_BYTES,     ERR_OK,        "at the limit" },
        {LIMIT_BYTES + 1, ERR_TOO_LARGE, "one above"    },
        {3 * LIMIT_BYTES, ERR_TOO_LARGE, "far above"    },
    };
    const struct place *p = *state;
    static char content[3 * LIMIT_BYTES];
    for (size_t i = 0; i < sizeof(content); i++)
        content[i] = (char)('a' + i % 23);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char path[128];
        struct err_info info = {0};
        struct buf got;
        snprintf(path, sizeof(path), "%s/%zu", p->dir, i);
        str want = str_of(content, cases[i].size);
        assert_int_equal(files_write_new(path, want, &info), ERR_OK);
        enum err e = files_read(path, LIMIT_BYTES, &got, &info);
        assert_why(e == cases[i].want, cases[i].why);
        assert_why(e != ERR_OK || str_eq(buf_str(&got), want), cases[i].why);
        buf_release(&got);
    }
}

static void test_files__one_that_is_not_there_is_told_apart(void **state)
{
    const struct place *p = *state;
    struct err_info info = {0};
    struct buf got;
    assert_int_equal(files_read(p->db, LIMIT_BYTES, &got, &info), ERR_NOT_FOUND);
    buf_release(&got);
    assert_non_null(strstr(info.text, p->db));
    assert_int_equal(files_read(p->dir, LIMIT_BYTES, &got, &info), ERR_SYSTEM); // a folder
    buf_release(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files__are_read_whole_up_to_a_limit, place_setup,
                                        place_teardown),
        cmocka_unit_test_setup_teardown(test_files__one_that_is_not_there_is_told_apart,
                                        place_setup, place_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
