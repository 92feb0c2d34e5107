#include "codec/float32.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum {
    LANE = 8,                           // digits read at a time
    USUAL_BYTES = 1 + 2 + 2 * LANE + 1, // sign, digit and point, digits, what ends them
    TEXT_MAX = 1024,                    // bytes of one number's text
};

#define LANE_ZEROES  UINT64_C(0x3030303030303030)
#define MANTISSA_MAX (INT64_C(1) << 53)   // integers up to here are doubles
#define BELOW_FLOAT  UINT64_C(0x1FFFFFFF) // the bits of a double that a float lacks
#define MIDWAY       UINT64_C(0x10000000) // of those: just between two floats

/* Powers of ten, all of them exact. */
static const int64_t INTEGER_POWERS[] = {1,      10,      100,      1000,     10000,
                                         100000, 1000000, 10000000, 100000000};
static const double POWERS[] = {1e0, 1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7, 1e8,
                                1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16};

/* Eight bytes less '0': digits become 0 to 9, the first of them in the lowest byte. */
static uint64_t load_lane(const char *p)
{
    uint64_t lane;
    memcpy(&lane, p, sizeof(lane));
    return le64toh(lane) ^ LANE_ZEROES;
}

/* How many bytes at the start of a lane are digits. */
static unsigned count_digits(uint64_t lane)
{
    // The sums of digits do not reach the top bit of their byte, so none carries over.
    uint64_t others = ((lane + UINT64_C(0x7676767676767676)) | lane) & UINT64_C(0x8080808080808080);
    return others == 0 ? LANE : (unsigned)__builtin_ctzll(others) / 8;
}

/* The value of the first `n` digits of a lane. */
static int64_t lane_value(uint64_t lane, unsigned n)
{
    if (n == 0)
        return 0;
    lane <<= 8 * (LANE - n); // zeroes before them
    lane = (lane * 10 + (lane >> 8)) & UINT64_C(0x00FF00FF00FF00FF);
    lane = (lane * 100 + (lane >> 16)) & UINT64_C(0x0000FFFF0000FFFF);
    return (int64_t)((lane * 10000 + (lane >> 32)) & UINT64_C(0xFFFFFFFF));
}

/* The short way; false if the number is not of the usual form. USUAL_BYTES can be read. */
static inline bool read_usual(const char **at, uint32_t *ret_bits)
{
    const char *p = *at;
    uint32_t negative = *p == '-';
    p += negative;
    int64_t mantissa = (unsigned char)*p - '0';
    if (mantissa < 0 || mantissa > 9 || p[1] != '.')
        return false;
    p += 2;
    uint64_t left = load_lane(p);
    uint64_t right = load_lane(p + LANE);
    unsigned n_left = count_digits(left);
    unsigned n_right = n_left == LANE ? count_digits(right) : 0;
    unsigned n = n_left + n_right;
    if (n == 0 || (p[n] != ',' && p[n] != ']'))
        return false;
    mantissa = mantissa * INTEGER_POWERS[n_left] + lane_value(left, n_left);
    mantissa = mantissa * INTEGER_POWERS[n_right] + lane_value(right, n_right);
    if (mantissa > MANTISSA_MAX)
        return false;

    double value = (double)mantissa / POWERS[n]; // zero, or of a size that floats have in full
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if ((bits & BELOW_FLOAT) == MIDWAY)
        return false;
    float nearest = (float)value;
    memcpy(ret_bits, &nearest, sizeof(nearest));
    *ret_bits |= negative << 31;
    *at = p + n;
    return true;
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

bool float32_read(const char **p, const char *end, const char *limit, size_t max, uint32_t *bits,
                  size_t *ret_n)
{
    const char *at = skip_blanks(*p, end);
    size_t n = 0;
    while (n < max && at < end) {
        bool usual = limit - at >= USUAL_BYTES && read_usual(&at, &bits[n]);
        if (!usual && !read_any(&at, end, &bits[n]))
            return false;
        n++;
        if (at < end && *at != ',')
            at = skip_blanks(at, end);
        if (at == end)
            break;
        if (*at != ',')
            return false;
        at++;
        if (at == end || *at <= ' ')
            at = skip_blanks(at, end);
        if (at == end) // a comma with nothing behind it
            return false;
    }
    *p = at;
    *ret_n = n;
    return true;
}
