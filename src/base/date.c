#include "base/date.h"

#define DAY_S INT64_C(86400)

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool date_is_real(const struct date *d)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (d->month < 1 || d->month > 12)
        return false;
    unsigned last = days[d->month - 1] + (d->month == 2 && is_leap(d->year) ? 1U : 0U);
    return d->day >= 1 && d->day <= last && d->hour < 24 && d->minute < 60 &&
           d->second <= 60; // 60 is a leap second
}

/* Days from 1970-01-01; years run from March here, so that a leap day ends its year. */
static int64_t days_of(const struct date *d)
{
    int64_t year = d->year - (d->month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (int64_t)((d->month + 9) % 12) + 2) / 5 + d->day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int64_t date_to_unix(const struct date *d)
{
    return days_of(d) * DAY_S + d->hour * INT64_C(3600) + d->minute * INT64_C(60) + d->second;
}

/* Cuts `n` digits and, unless it is 0, the character behind them off `*s`. */
static bool take(str *s, size_t n, char behind, unsigned *ret)
{
    unsigned value = 0;
    if (s->len < n + (behind != 0))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!ascii_is_digit(s->p[i]))
            return false;
        value = value * 10 + (unsigned)(s->p[i] - '0');
    }
    if (behind != 0 && ascii_lower(s->p[n]) != behind)
        return false;
    *s = str_skip(*s, n + (behind != 0));
    *ret = value;
    return true;
}

static bool skip_fraction(str *s)
{
    if (!str_starts(*s, STR(".")))
        return true;
    size_t n = 1;
    while (n < s->len && ascii_is_digit(s->p[n]))
        n++;
    *s = str_skip(*s, n);
    return n > 1;
}

/* Seconds that local time is ahead of UTC: "Z", "+02:00". */
static bool take_offset(str s, int64_t *ret)
{
    unsigned hours;
    unsigned minutes;
    if (str_ieq(s, STR("z"))) {
        *ret = 0;
        return true;
    }
    bool west = str_starts(s, STR("-"));
    if (!west && !str_starts(s, STR("+")))
        return false;
    s = str_skip(s, 1);
    if (!take(&s, 2, ':', &hours) || !take(&s, 2, 0, &minutes) || s.len > 0 || hours > 23 ||
        minutes > 59)
        return false;
    int64_t ahead = hours * INT64_C(3600) + minutes * INT64_C(60);
    *ret = west ? -ahead : ahead;
    return true;
}

bool date_parse_rfc3339(str s, int64_t *ret)
{
    struct date d = {0};
    unsigned year;
    int64_t ahead;
    if (!take(&s, 4, '-', &year) || !take(&s, 2, '-', &d.month) || !take(&s, 2, 't', &d.day) ||
        !take(&s, 2, ':', &d.hour) || !take(&s, 2, ':', &d.minute) || !take(&s, 2, 0, &d.second))
        return false;
    d.year = year;
    if (!date_is_real(&d) || !skip_fraction(&s) || !take_offset(s, &ahead))
        return false;
    *ret = date_to_unix(&d) - ahead;
    return true;
}
