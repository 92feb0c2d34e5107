#include "base/clock.h"

#include <string.h>
#include <time.h>

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_wall_ms(void)
{
    return (int64_t)(read_us(CLOCK_REALTIME) / 1000);
}

static void put_digits(char *out, unsigned value, size_t n)
{
    while (n > 0) {
        out[--n] = (char)('0' + value % 10);
        value /= 10;
    }
}

void clock_iso(int64_t wall_ms, char out[CLOCK_ISO_BYTES])
{
    // Log lines come many to the second: what does not change within it is made once.
    static _Thread_local char text[CLOCK_ISO_BYTES] = "0000-00-00T00:00:00.000Z";
    static _Thread_local int64_t text_s = INT64_MIN;
    int64_t seconds = wall_ms / 1000;
    if (seconds != text_s) {
        time_t t = (time_t)seconds;
        struct tm tm;
        gmtime_r(&t, &tm);
        put_digits(text, (unsigned)(tm.tm_year + 1900), 4);
        put_digits(text + 5, (unsigned)tm.tm_mon + 1, 2);
        put_digits(text + 8, (unsigned)tm.tm_mday, 2);
        put_digits(text + 11, (unsigned)tm.tm_hour, 2);
        put_digits(text + 14, (unsigned)tm.tm_min, 2);
        put_digits(text + 17, (unsigned)tm.tm_sec, 2);
        text_s = seconds;
    }
    memcpy(out, text, CLOCK_ISO_BYTES);
    put_digits(out + 20, (unsigned)(wall_ms % 1000), 3);
}
