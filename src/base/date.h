/*
 * date - calendar dates as seconds since 1970-01-01 UTC
 *
 * Gregorian throughout, without tables of leap seconds: a second 60 is the next minute's first.
 * Pure; any thread.
 */
#ifndef BASE_DATE_H
#define BASE_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* A moment in UTC, as people write it. */
struct date {
    int64_t year;
    unsigned month; // 1 to 12
    unsigned day;   // from 1
    unsigned hour;
    unsigned minute;
    unsigned second;
};

/* Whether the calendar has that day and the clock that time; `month` is looked at too. */
bool date_is_real(const struct date *d);

/* The Unix time of a real date. */
int64_t date_to_unix(const struct date *d);

/*
 * Reads an RFC 3339 time: "2026-07-30T09:12:44.5+02:00", "…Z". Fractions, of any number of
 * digits, are cut off. False, `*ret` untouched, on anything else.
 */
MUST_CHECK bool date_parse_rfc3339(str s, int64_t *ret);

#endif
