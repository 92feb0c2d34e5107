#include "codec/base64.h"

#include "base/lanes.h"

#define BLOCK (4 * LANES) // as many as are looked at between two branches

static bool is_digit(char c)
{
    char lower = (char)(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || (c >= '/' && c <= '9') || c == '+';
}

/*
 * A range is one addition, which carries its last byte to the highest that is positive and wraps
 * what is above, and one comparison. The slash stands right before the digit 0; bytes above ASCII
 * are negative and stay so, or stay low.
 */
static lanes digits(lanes v)
{
    typedef uint8_t wrapping __attribute__((vector_size(16)));
    lanes letter = (lanes)((wrapping)(v | 0x20) + (127 - 'z')) > 127 - 26;
    lanes number = (lanes)((wrapping)v + (127 - '9')) > 127 - 11;
    return letter | number | (v == '+');
}

bool base64_is_valid(str s)
{
    if (s.len == 0 || s.len % 4 != 0)
        return false;
    size_t n = s.len;
    while (n > s.len - 2 && s.p[n - 1] == '=')
        n--;
    size_t i = 0;
    for (; n - i >= BLOCK; i += BLOCK) {
        const char *p = s.p + i;
        lanes all = digits(lanes_load(p)) & digits(lanes_load(p + LANES)) &
                    digits(lanes_load(p + 2 * LANES)) & digits(lanes_load(p + 3 * LANES));
        if (lanes_any(~all))
            return false;
    }
    while (i < n && is_digit(s.p[i]))
        i++;
    return i == n;
}
