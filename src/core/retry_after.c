#include "core/retry_after.h"

#include <stddef.h>

#include "base/date.h"

#define MAX_WAIT_S 3600
#define DAY_S      86400

/* Takes `expected` off the front of `*s`. */
static bool take(str *s, str expected)
{
    if (!str_starts(*s, expected))
        return false;
    *s = str_skip(*s, expected.len);
    return true;
}

/* Takes exactly `n` digits. */
static bool take_digits(str *s, size_t n, unsigned *ret)
{
    uint64_t value;
    if (s->len < n || !str_to_u64(str_head(*s, n), &value))
        return false;
    *s = str_skip(*s, n);
    *ret = (unsigned)value;
    return true;
}

/* Takes one of the three-letter names in `names`, or a whole one; `*ret` counts from 1. */
static bool take_name(str *s, const str *names, size_t n, bool whole, unsigned *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (take(s, whole ? names[i] : str_head(names[i], 3))) {
            *ret = (unsigned)i + 1;
            return true;
        }
    }
    return false;
}

static bool take_weekday(str *s, bool whole)
{
    static const str names[] = {STR_C("Monday"),   STR_C("Tuesday"), STR_C("Wednesday"),
                                STR_C("Thursday"), STR_C("Friday"),  STR_C("Saturday"),
                                STR_C("Sunday")};
    unsigned ignored;
    return take_name(s, names, COUNT_OF(names), whole, &ignored);
}

static bool take_month(str *s, unsigned *ret)
{
    static const str names[] = {STR_C("Jan"), STR_C("Feb"), STR_C("Mar"), STR_C("Apr"),
                                STR_C("May"), STR_C("Jun"), STR_C("Jul"), STR_C("Aug"),
                                STR_C("Sep"), STR_C("Oct"), STR_C("Nov"), STR_C("Dec")};
    return take_name(s, names, COUNT_OF(names), true, ret);
}

static bool take_time(str *s, struct date *d)
{
    return take_digits(s, 2, &d->hour) && take(s, STR(":")) && take_digits(s, 2, &d->minute) &&
           take(s, STR(":")) && take_digits(s, 2, &d->second);
}

static bool take_year(str *s, struct date *d)
{
    unsigned year;
    if (!take_digits(s, 4, &year))
        return false;
    d->year = year;
    return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool parse_fixdate(str s, struct date *d)
{
    return take_weekday(&s, false) && take(&s, STR(", ")) && take_digits(&s, 2, &d->day) &&
           take(&s, STR(" ")) && take_month(&s, &d->month) && take(&s, STR(" ")) &&
           take_year(&s, d) && take(&s, STR(" ")) && take_time(&s, d) && str_eq(s, STR(" GMT"));
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; the year is left as it is written. */
static bool parse_rfc850(str s, struct date *d)
{
    unsigned year;
    bool ok = take_weekday(&s, true) && take(&s, STR(", ")) && take_digits(&s, 2, &d->day) &&
              take(&s, STR("-")) && take_month(&s, &d->month) && take(&s, STR("-")) &&
              take_digits(&s, 2, &year) && take(&s, STR(" ")) && take_time(&s, d) &&
              str_eq(s, STR(" GMT"));
    if (ok)
        d->year = year;
    return ok;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool parse_asctime(str s, struct date *d)
{
    return take_weekday(&s, false) && take(&s, STR(" ")) && take_month(&s, &d->month) &&
           take(&s, STR(" ")) &&
           (take(&s, STR(" ")) ? take_digits(&s, 1, &d->day) : take_digits(&s, 2, &d->day)) &&
           take(&s, STR(" ")) && take_time(&s, d) && take(&s, STR(" ")) && take_year(&s, d) &&
           s.len == 0;
}

/* The century that makes a two-digit year lie at most 50 years ahead. */
static void choose_century(struct date *d, int64_t now_s)
{
    int64_t year = 1970 + now_s / (DAY_S * INT64_C(146097) / 400);
    d->year += year - year % 100;
    if (d->year > year + 50)
        d->year -= 100;
    else if (d->year <= year - 50)
        d->year += 100;
}

bool http_date_parse(str value, int64_t now_s, int64_t *ret_s)
{
    struct date d = {0};
    if (parse_rfc850(value, &d))
        choose_century(&d, now_s);
    else if (!parse_fixdate(value, &d) && !parse_asctime(value, &d))
        return false;
    if (!date_is_real(&d))
        return false;
    *ret_s = date_to_unix(&d);
    return true;
}

uint32_t retry_after_parse(str value, int64_t now_s)
{
    uint64_t wait_s;
    int64_t at_s;
    value = str_trim(value);
    if (!str_to_u64(value, &wait_s)) {
        if (!http_date_parse(value, now_s, &at_s) || at_s <= now_s)
            return 0;
        wait_s = (uint64_t)at_s - (uint64_t)now_s;
    }
    return wait_s <= MAX_WAIT_S ? (uint32_t)wait_s : 0;
}
