#include "codec/float32.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lanes.h"
#include "base/str.h"

enum {
    DIGITS_MAX = LANES,      // behind the point
    USUAL_BYTES = 2 * LANES, // more than sign, digit, point, digits and a comma
    RUN_MAX = 192,           // numbers that are read before they become floats
    TEXT_MAX = 1024,         // bytes of one number's text
};

#define BELOW_FLOAT UINT64_C(0x1FFFFFFF) // the bits of a double that a float lacks
#define MIDWAY      UINT64_C(0x10000000) // of those: just between two floats
#define OFF_MAX     UINT64_C(4)          // by how much a product may be off, in its last place

/* The short way reads digits as the bytes of little-endian words. */
#define HAS_SHORT_WAY (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

/* Numbers as products, not yet multiplied: that is quicker done for many at once. */
struct run {
    int64_t mantissas[RUN_MAX];
    double shares[RUN_MAX]; // what the last digit is worth, with the sign
    size_t n;
};

static const int64_t POWERS[] = {1,
                                 10,
                                 100,
                                 1000,
                                 10000,
                                 100000,
                                 1000000,
                                 10000000,
                                 100000000,
                                 1000000000,
                                 10000000000,
                                 100000000000,
                                 1000000000000,
                                 10000000000000,
                                 100000000000000,
                                 1000000000000000,
                                 10000000000000000};

/* What a digit is worth by its place behind the point. */
static const double SHARES[] = {1e0,  1e-1,  1e-2,  1e-3,  1e-4,  1e-5,  1e-6,  1e-7, 1e-8,
                                1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16};

/* From byte n on: LANES bytes of which the last n are set. */
static const char KEPT[2 * LANES] = {
    [LANES] = -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
};

/* The value of the `n` digits before `end`, 0 < n <= DIGITS_MAX; -1 if they are not all digits. */
static inline int64_t digits_value(const char *end, size_t n)
{
    typedef uint16_t pairs __attribute__((vector_size(LANES)));
    typedef uint32_t fours __attribute__((vector_size(LANES)));
    const pairs hundreds = {100, 1, 100, 1, 100, 1, 100, 1};
    lanes digits = (lanes_load(end - LANES) ^ '0') & lanes_load(KEPT + n);
    if (lanes_any((digits < 0) | (digits > 9)))
        return -1;
    pairs two = (pairs)digits;
    two = ((two & 0xFF) * 10 + (two >> 8)) * hundreds;
    fours four = (fours)two;
    four = (four & 0xFFFF) + (four >> 16);
    int64_t high = (int64_t)four[0] * 10000 + four[1];
    int64_t low = (int64_t)four[2] * 10000 + four[3];
    return high * 100000000 + low;
}

/*
 * Adds the number at `*at` if it is of the usual form and a comma follows, and moves to the comma.
 * LANES bytes before it and USUAL_BYTES from it on can be read. Where it ends is found first and
 * from nothing else, so that the processor can begin with the next ones meanwhile.
 */
static inline bool read_usual(const char **at, const char *end, struct run *run)
{
    const char *p = *at;
    size_t len = lanes_first(lanes_load(p) == ',');
    if (len == LANES)
        len += lanes_first(lanes_load(p + LANES) == ',');
    static const double signs[] = {1, -1};
    size_t negative = *p == '-';
    unsigned first = (unsigned char)p[negative] - (unsigned)'0';
    size_t n = len - negative - 2;
    if (first > 9 || p[negative + 1] != '.' || n == 0 || n > DIGITS_MAX || p + len > end)
        return false;
    int64_t behind = digits_value(p + len, n);
    if (behind < 0)
        return false;
    run->mantissas[run->n] = first * POWERS[n] + behind;
    run->shares[run->n] = SHARES[n] * signs[negative];
    run->n++;
    *at = p + len;
    return true;
}

/* Reads numbers of the usual form, each with its comma, up to `max` or the first of another. */
static void read_run(const char **at, const char *end, str around, size_t max, struct run *run)
{
    const char *p = *at;
    const char *limit = around.p + around.len;
    run->n = 0;
    if (!HAS_SHORT_WAY || p - around.p < (ptrdiff_t)LANES)
        return;
    max = max < RUN_MAX ? max : RUN_MAX;
    while (run->n < max && limit - p >= USUAL_BYTES && read_usual(&p, end, run)) {
        if (p == end)
            break;
        p++;
    }
    *at = p;
}

/* False if one of the products is not sure to have the nearest float of its text. */
static bool multiply(const struct run *run, uint32_t *ret_bits)
{
    bool unsure = false;
    for (size_t i = 0; i < run->n; i++) {
        // Zero, or of a size that floats have in full.
        double value = (double)run->mantissas[i] * run->shares[i];
        uint64_t bits;
        memcpy(&bits, &value, sizeof(bits));
        unsure |= ((bits - (MIDWAY - OFF_MAX)) & BELOW_FLOAT) <= 2 * OFF_MAX;
        float nearest = (float)value;
        memcpy(&ret_bits[i], &nearest, sizeof(nearest));
    }
    return !unsure;
}

static size_t skip_digits(str s, size_t i)
{
    while (i < s.len && ascii_is_digit(s.p[i]))
        i++;
    return i;
}

/* The length of the number at the start of `s` by JSON's grammar; 0: there is none. */
static size_t number_length(str s)
{
    size_t i = s.len > 0 && s.p[0] == '-' ? 1 : 0;
    size_t end = skip_digits(s, i);
    if (end == i || (s.p[i] == '0' && end > i + 1))
        return 0;
    if (end < s.len && s.p[end] == '.') {
        i = end + 1;
        end = skip_digits(s, i);
        if (end == i)
            return 0;
    }
    if (end < s.len && (s.p[end] == 'e' || s.p[end] == 'E')) {
        i = end + 1;
        if (i < s.len && (s.p[i] == '+' || s.p[i] == '-'))
            i++;
        end = skip_digits(s, i);
        if (end == i)
            return 0;
    }
    return end;
}

static bool read_any(const char **at, const char *end, uint32_t *ret_bits)
{
    char copy[TEXT_MAX + 1]; // strtof wants a zero at the end
    size_t n = number_length(str_of(*at, (size_t)(end - *at)));
    if (n == 0 || n > TEXT_MAX)
        return false;
    memcpy(copy, *at, n);
    copy[n] = '\0';
    float value = strtof(copy, NULL);
    if (!isfinite(value))
        return false;
    memcpy(ret_bits, &value, sizeof(value));
    *at += n;
    return true;
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* From behind a comma to the next number; false if there is none. */
static bool find_next(const char **at, const char *end)
{
    *at = skip_blanks(*at, end);
    return *at < end;
}

/* One number, and its comma if there is one. */
static bool read_one(const char **at, const char *end, uint32_t *ret_bits)
{
    if (!read_any(at, end, ret_bits))
        return false;
    *at = skip_blanks(*at, end);
    if (*at == end)
        return true;
    return *(*at)++ == ',' && find_next(at, end);
}

/* As many as the short way takes at once, or one. */
static bool read_some(const char **at, const char *end, str around, size_t max, uint32_t *bits,
                      size_t *ret_n)
{
    struct run run;
    const char *begin = *at;
    read_run(at, end, around, max, &run);
    *ret_n = run.n > 0 ? run.n : 1;
    if (run.n > 0 && multiply(&run, bits))
        return (*at)[-1] != ',' || find_next(at, end);
    *at = begin;
    for (size_t i = 0; i < *ret_n; i++) {
        if (!read_one(at, end, &bits[i]))
            return false;
    }
    return true;
}

bool float32_read(const char **p, const char *end, str around, size_t max, uint32_t *bits,
                  size_t *ret_n)
{
    size_t n = 0;
    *p = skip_blanks(*p, end);
    while (n < max && *p < end) {
        size_t some = 0;
        if (!read_some(p, end, around, max - n, bits + n, &some))
            return false;
        n += some;
    }
    *ret_n = n;
    return true;
}
