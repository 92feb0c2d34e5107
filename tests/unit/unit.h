/*
 * unit - what every unit test includes: cmocka with the headers it needs, and checks of str
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

/* Fails with both texts and, if the case has one, why it is a case. */
static inline void check_str(str got, str want, const char *why, const char *file, int line)
{
    if (str_eq(got, want))
        return;
    print_error("got  '%.*s'\nwant '%.*s'\ncase: %s\n", STR_ARG(got), STR_ARG(want), why);
    _fail(file, line);
}

#define assert_str(got, want)          check_str((got), (want), "", __FILE__, __LINE__)
#define assert_str_why(got, want, why) check_str((got), (want), (why), __FILE__, __LINE__)

/* As assert_true, naming the case. */
#define assert_why(condition, why)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            print_error("case: %s\n", (why));                                                      \
            assert_true(condition);                                                                \
        }                                                                                          \
    } while (0)

#endif
