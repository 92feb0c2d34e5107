#include "base/str.h"

#include "base/lanes.h"

/* Eight characters with ASCII capitals made small. */
static inline uint64_t lower_word(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101U, tops = 0x8080808080808080U;
    uint64_t low = word & ~tops;
    uint64_t from_a = low + ones * (0x80 - 'A'), above_z = low + ones * (0x7F - 'Z');
    return word | ((~word & (from_a ^ above_z) & tops) >> 2);
}

bool str_istarts(str s, str prefix)
{
    if (s.len < prefix.len)
        return false;
    if (prefix.len >= sizeof(uint64_t)) {
        for (size_t i = 0; i < prefix.len; i += sizeof(uint64_t)) {
            // The last word may overlap the one before.
            size_t at = i + sizeof(uint64_t) <= prefix.len ? i : prefix.len - sizeof(uint64_t);
            uint64_t a, b;
            memcpy(&a, s.p + at, sizeof(a));
            memcpy(&b, prefix.p + at, sizeof(b));
            // Most text is written in one way: only what differs is folded.
            if (a != b && lower_word(a) != lower_word(b))
                return false;
        }
        return true;
    }
    for (size_t i = 0; i < prefix.len; i++) {
        if (s.p[i] != prefix.p[i] && ascii_lower(s.p[i]) != ascii_lower(prefix.p[i]))
            return false;
    }
    return true;
}

static bool is_one_line_by_byte(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\t') || c == 0x7F)
            return false;
    }
    return true;
}

/* Tabs and what is no ASCII are false alarms: they need a closer look. */
static inline bool may_hold_control(lanes v)
{
    return lanes_any((v < ' ') | (v == 0x7F));
}

bool str_is_one_line(str s)
{
    if (s.len == 0)
        return true;
    if (s.len <= LANES)
        return !may_hold_control(lanes_gather(s.p, s.len)) || is_one_line_by_byte(s);
    for (size_t i = 0; i < s.len; i += LANES) {
        // The last lanes may overlap those before.
        if (may_hold_control(lanes_load(s.p + (i + LANES <= s.len ? i : s.len - LANES))))
            return is_one_line_by_byte(s);
    }
    return true;
}

size_t str_find_char(str s, char c)
{
    const char *at = s.len > 0 ? memchr(s.p, c, s.len) : NULL;
    return at != NULL ? (size_t)(at - s.p) : s.len;
}

size_t str_find(str s, str needle)
{
    if (needle.len == 0)
        return 0;
    const char *at = s.len > 0 ? memmem(s.p, s.len, needle.p, needle.len) : NULL;
    return at != NULL ? (size_t)(at - s.p) : s.len;
}

bool str_contains(str s, str needle)
{
    return needle.len == 0 || str_find(s, needle) < s.len;
}

bool str_icontains(str s, str needle)
{
    for (size_t i = 0; i + needle.len <= s.len; i++) {
        if (str_istarts(str_skip(s, i), needle))
            return true;
    }
    return false;
}

static bool is_blank(char c, bool lines)
{
    return c == ' ' || c == '\t' || (lines && (c == '\r' || c == '\n'));
}

static str trim(str s, bool lines)
{
    while (s.len > 0 && is_blank(s.p[0], lines))
        s = str_skip(s, 1);
    while (s.len > 0 && is_blank(s.p[s.len - 1], lines))
        s.len--;
    return s;
}

str str_trim(str s)
{
    return trim(s, false);
}

str str_trim_ws(str s)
{
    return trim(s, true);
}

bool str_cut(str s, char sep, str *head, str *rest)
{
    size_t at = str_find_char(s, sep);
    *head = str_head(s, at);
    *rest = str_skip(s, at + 1);
    return at < s.len;
}

char *str_decimal(char *end, uint64_t value)
{
    static const char pairs[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    for (; value >= 100; value /= 100) {
        end -= 2;
        memcpy(end, pairs + 2 * (value % 100), 2);
    }
    if (value >= 10) {
        end -= 2;
        memcpy(end, pairs + 2 * value, 2);
    } else {
        *--end = (char)('0' + value);
    }
    return end;
}

bool str_to_u64(str s, uint64_t *ret)
{
    uint64_t value = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!ascii_is_digit(s.p[i]) || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value))
            return false;
    }
    *ret = value;
    return true;
}

int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t utf8_sequence(str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t len = s.len;
    if (p[0] < 0x80)
        return 1;
    size_t need;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (p[0] >= 0xC2 && p[0] <= 0xDF) {
        need = 2;
    } else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        need = 3;
        low = p[0] == 0xE0 ? 0xA0 : 0x80;  // no overlong forms
        high = p[0] == 0xED ? 0x9F : 0xBF; // no surrogates
    } else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        need = 4;
        low = p[0] == 0xF0 ? 0x90 : 0x80;
        high = p[0] == 0xF4 ? 0x8F : 0xBF;
    } else {
        return 0;
    }
    if (len < need || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if (p[i] < 0x80 || p[i] > 0xBF)
            return 0;
    }
    return need;
}

size_t utf8_valid_prefix(str s)
{
    size_t i = 0;
    while (i < s.len) {
        uint64_t word;
        if (s.len - i >= sizeof(word)) {
            memcpy(&word, s.p + i, sizeof(word));
            if ((word & 0x8080808080808080U) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        size_t n = utf8_sequence(str_skip(s, i));
        if (n == 0)
            return i;
        i += n;
    }
    return i;
}

size_t utf8_cut(str s, size_t max)
{
    if (s.len <= max)
        return s.len;
    size_t n = max;
    while (n > 0 && max - n < 3 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    return n > 0 ? n : max;
}

uint64_t str_hash(str s)
{
    uint64_t h = 0xcbf29ce484222325U;
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3U;
    return h;
}
