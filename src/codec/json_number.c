#include "codec/json.h"

#include <math.h>
#include <stdlib.h>

/* A decimal number's text, taken apart: digits[0..n) times ten to the `scale`. */
struct decimal {
    bool negative;
    str digits; // from the first to the last that is not zero; a point may be among them
    int64_t scale;
};

enum { EXPONENT_MAX = 1000000 }; // far beyond what any result can hold

static int64_t exponent_value(str text)
{
    bool negative = text.len > 0 && text.p[0] == '-';
    if (text.len > 0 && (text.p[0] == '-' || text.p[0] == '+'))
        text = str_skip(text, 1);
    int64_t value = 0;
    for (size_t i = 0; i < text.len && value < EXPONENT_MAX; i++)
        value = value * 10 + (text.p[i] - '0');
    return negative ? -value : value;
}

/* `text` follows the grammar of JSON's numbers. */
static struct decimal take_apart(str text)
{
    struct decimal d = {.negative = text.len > 0 && text.p[0] == '-'};
    text = str_skip(text, d.negative ? 1 : 0);
    size_t e = 0;
    while (e < text.len && text.p[e] != 'e' && text.p[e] != 'E')
        e++;
    if (e < text.len)
        d.scale = exponent_value(str_skip(text, e + 1));
    text = str_head(text, e);

    size_t point = str_find_char(text, '.');
    size_t end = text.len;
    while (end > 0 && (text.p[end - 1] == '0' || text.p[end - 1] == '.'))
        end--;
    size_t begin = 0;
    while (begin < end && (text.p[begin] == '0' || text.p[begin] == '.'))
        begin++;
    d.digits = str_of(text.p + begin, end - begin);
    // The last digit that counts stands left of the point, or right of it.
    d.scale += end <= point ? (int64_t)(point - end) : -(int64_t)(end - point - 1);
    return d;
}

static bool append_digit(uint64_t *value, unsigned digit)
{
    if (*value > (UINT64_MAX - digit) / 10)
        return false;
    *value = *value * 10 + digit;
    return true;
}

bool json_to_i64(const struct json *v, int64_t *ret)
{
    str text = json_number_text(v);
    if (text.len == 0)
        return false;
    struct decimal d = take_apart(text);
    if (d.digits.len == 0) {
        *ret = 0;
        return true;
    }
    if (d.scale < 0)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < d.digits.len; i++) {
        if (d.digits.p[i] != '.' && !append_digit(&value, (unsigned)(d.digits.p[i] - '0')))
            return false;
    }
    for (int64_t i = 0; i < d.scale; i++) {
        if (!append_digit(&value, 0))
            return false;
    }
    if (value > (uint64_t)INT64_MAX + (d.negative ? 1 : 0))
        return false;
    *ret = d.negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/*
 * Numbers as people write them: few digits and no exponent. The digits and the power of ten are
 * then exact as doubles, and their quotient is rounded once, as strtod() would.
 */
static bool short_to_double(str text, double *ret)
{
    enum { EXACT_DIGITS = 15 }; // and a sixteenth, if 53 bits hold it
    static const double TENS[EXACT_DIGITS + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                  1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    size_t i = text.p[0] == '-' ? 1 : 0;
    size_t point = text.len;
    int64_t value = 0;
    if (text.len - i > EXACT_DIGITS + 1) // with a point
        return false;
    for (; i < text.len; i++) {
        if (ascii_is_digit(text.p[i]))
            value = value * 10 + (text.p[i] - '0');
        else if (text.p[i] == '.' && point == text.len)
            point = i;
        else
            return false;
    }
    size_t behind = point < text.len ? text.len - point - 1 : 0;
    if (value > (int64_t)1 << 53 || behind > EXACT_DIGITS)
        return false;
    double positive = (double)value / TENS[behind];
    *ret = text.p[0] == '-' ? -positive : positive;
    return true;
}

bool json_text_to_double(str text, double *ret)
{
    char copy[JSON_NUMBER_MAX + 1]; // strtod wants a zero at the end
    if (text.len == 0 || text.len > JSON_NUMBER_MAX)
        return false;
    if (short_to_double(text, ret))
        return true;
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    double value = strtod(copy, NULL);
    if (!isfinite(value))
        return false;
    *ret = value;
    return true;
}

bool json_to_double(const struct json *v, double *ret)
{
    return json_text_to_double(json_number_text(v), ret);
}
