#include "core/retry_after.h"

#include <stddef.h>

#define MAX_WAIT_S 3600
#define DAY_S      86400

struct moment {
    int64_t year;
    unsigned month; // from 1
    unsigned day;   // from 1
    unsigned hour;
    unsigned minute;
    unsigned second;
};

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

static bool take_time(str *s, struct moment *m)
{
    return take_digits(s, 2, &m->hour) && take(s, STR(":")) && take_digits(s, 2, &m->minute) &&
           take(s, STR(":")) && take_digits(s, 2, &m->second);
}

static bool take_year(str *s, struct moment *m)
{
    unsigned year;
    if (!take_digits(s, 4, &year))
        return false;
    m->year = year;
    return true;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool is_real(const struct moment *m)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned last = days[m->month - 1] + (m->month == 2 && is_leap(m->year) ? 1U : 0U);
    return m->day >= 1 && m->day <= last && m->hour < 24 && m->minute < 60 &&
           m->second <= 60; // 60 is a leap second
}

/* Days from 1970-01-01; years run from March here, so that a leap day ends its year. */
static int64_t days_of(const struct moment *m)
{
    int64_t year = m->year - (m->month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (int64_t)((m->month + 9) % 12) + 2) / 5 + m->day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t seconds_of(const struct moment *m)
{
    return days_of(m) * DAY_S + m->hour * INT64_C(3600) + m->minute * INT64_C(60) + m->second;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool parse_fixdate(str s, struct moment *m)
{
    return take_weekday(&s, false) && take(&s, STR(", ")) && take_digits(&s, 2, &m->day) &&
           take(&s, STR(" ")) && take_month(&s, &m->month) && take(&s, STR(" ")) &&
           take_year(&s, m) && take(&s, STR(" ")) && take_time(&s, m) && str_eq(s, STR(" GMT"));
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; the year is left as it is written. */
static bool parse_rfc850(str s, struct moment *m)
{
    unsigned year;
    bool ok = take_weekday(&s, true) && take(&s, STR(", ")) && take_digits(&s, 2, &m->day) &&
              take(&s, STR("-")) && take_month(&s, &m->month) && take(&s, STR("-")) &&
              take_digits(&s, 2, &year) && take(&s, STR(" ")) && take_time(&s, m) &&
              str_eq(s, STR(" GMT"));
    if (ok)
        m->year = year;
    return ok;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool parse_asctime(str s, struct moment *m)
{
    return take_weekday(&s, false) && take(&s, STR(" ")) && take_month(&s, &m->month) &&
           take(&s, STR(" ")) &&
           (take(&s, STR(" ")) ? take_digits(&s, 1, &m->day) : take_digits(&s, 2, &m->day)) &&
           take(&s, STR(" ")) && take_time(&s, m) && take(&s, STR(" ")) && take_year(&s, m) &&
           s.len == 0;
}

/* The century that makes a two-digit year lie at most 50 years ahead. */
static void choose_century(struct moment *m, int64_t now_s)
{
    int64_t year = 1970 + now_s / (DAY_S * INT64_C(146097) / 400);
    m->year += year - year % 100;
    if (m->year > year + 50)
        m->year -= 100;
    else if (m->year <= year - 50)
        m->year += 100;
}

bool http_date_parse(str value, int64_t now_s, int64_t *ret_s)
{
    struct moment m = {0};
    if (parse_rfc850(value, &m))
        choose_century(&m, now_s);
    else if (!parse_fixdate(value, &m) && !parse_asctime(value, &m))
        return false;
    if (!is_real(&m))
        return false;
    *ret_s = seconds_of(&m);
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
