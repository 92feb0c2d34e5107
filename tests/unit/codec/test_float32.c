#include "unit.h"

#include <stdlib.h>

#include "codec/float32.h"
#include "codec/json.h"
#include "codec/recording.h"

enum { ROOM = 64 }; // bytes about a text, so that the short way is taken where it can be

static uint32_t bits_of(const char *text)
{
    float f = strtof(text, NULL);
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

/* Reads `text` as one number with `room` bytes before it, and as many `behind` its end. */
static bool read_one(const char *text, size_t room, char behind, uint32_t *bits)
{
    size_t len = strlen(text);
    size_t n = 0;
    char *tight = malloc(len + 2 * room); // so that a look too far is seen by ASan
    assert_non_null(tight);
    memset(tight, '9', room);
    memcpy(tight + room, text, len);
    memset(tight + room + len, behind, room);
    const char *p = tight + room;
    bool ok = float32_read(&p, p + len, str_of(tight, len + 2 * room), 1, bits, &n);
    ok = ok && n == 1 && p == tight + room + len;
    free(tight);
    return ok;
}

/* By the short way and without it: both must be strtof's bits. */
static void expect_bits(const char *text)
{
    uint32_t bits = 0;
    for (size_t room = 1; room <= ROOM; room += ROOM - 1) {
        if (!read_one(text, room, ',', &bits) || bits != bits_of(text))
            fail_msg("'%s' with %zu bytes about: %08x, not %08x", text, room, (unsigned)bits,
                     (unsigned)bits_of(text));
    }
}

static void test_float32__reads_every_form(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "-0.0",
        "1",
        "-1",
        "0.1",
        "-0.2",
        "0.3",
        "1.5",
        "9.999999",
        "12.5",
        "123456789.125",
        "0.01788077",
        "0.0134656355",
        "-0.0022792537",
        "1e0",
        "1E5",
        "1e+5",
        "1.5e-7",
        "-3.4e-38",
        "1e-45",
        "1e-46",
        "7e-46",
        "1.17549435e-38",
        "3.4028235e38",
        "3.4028235677973366e38",
        "0.12345678",
        "0.123456789",
        "0.1234567890123456",
        "0.12345678901234567",
        "0.9007199254740992",
        "0.9007199254740993",
        "9.0071992547409925",
        "0.00000000000000001",
        "1.00000005960464477539062", // behind the middle between two floats
        "1.000000059604645",         // its nearest double is that middle
        "1.0000000596046447",
        "1.0000000596046448",
        "1.0000001788139343",
        "0.99999997019767761230",
        "0.9999999701976776",
        "0.017880773171782494",
        "0.50000002980232239",
        "0.5000000298023224",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        expect_bits(texts[i]);
}

static void test_float32__refuses_what_is_no_number(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "+1",      ".5",           "5.",          "01",  "-",    "--1",   "1e",
        "1e+",     "0x1",          "NaN",         "nan", "inf",  "null",  "true",
        "\"1\"",   "[1]",          "1 2",         "1,",  ",1",   "1,,2",  "0.5.5",
        "0.1e2e3", "1_0",          "0.12345678a", "-.5", "1e39", "-1e39", "3.5e38",
        "1e999",   "0.1\x01",      "0..1",        "0.",  "0.,",  "0.1,]", "\xC2\xA0#",
        "1-",      "0.12\xC3\x96", "0.12\x80",
    };
    uint32_t bits;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (read_one(texts[i], 1, ']', &bits) || read_one(texts[i], ROOM, ']', &bits) ||
            read_one(texts[i], ROOM, ',', &bits))
            fail_msg("'%s' was taken", texts[i]);
    }
}

static void test_float32__long_texts(void **state)
{
    (void)state;
    char text[1200];
    uint32_t bits;
    memset(text, '1', sizeof(text));
    memcpy(text, "0.", 2);
    text[1023] = '\0';
    expect_bits(text);
    text[1023] = '1';
    text[1024] = '\0';
    expect_bits(text);
    text[1024] = '1';
    text[1025] = '\0';
    assert_false(read_one(text, ROOM, ',', &bits));
}

static void test_float32__reads_lists_piece_by_piece(void **state)
{
    (void)state;
    static const char text[] = " 0.5, -0.25 ,\n1,2e1\t] behind";
    static const float wanted[] = {0.5F, -0.25F, 1, 20};
    const char *end = strchr(text, ']');
    for (size_t max = 1; max <= 5; max++) {
        const char *p = text;
        size_t total = 0;
        while (p < end) {
            uint32_t bits[5];
            size_t n = 0;
            assert_true(float32_read(&p, end, str_of(text, sizeof(text)), max, bits, &n));
            assert_true(n > 0 && n <= max);
            assert_memory_equal(bits, wanted + total, n * sizeof(bits[0]));
            total += n;
        }
        assert_ptr_equal(p, end);
        assert_int_equal(total, 4);
    }
}

enum { NUMBERS = 450, NUMBER_TEXT = 32 };

static int write_number(char *to, size_t i, size_t place, const char *other)
{
    if (i == place)
        return snprintf(to, NUMBER_TEXT, "%s", other);
    return snprintf(to, NUMBER_TEXT, "%s0.0%zu", i % 3 == 0 ? "-" : "", i * 7919);
}

/* Usual numbers, but for `other` at `place`, and a bracket. */
static void write_list(char *to, size_t place, const char *other)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        to += write_number(to, i, place, other);
        *to++ = i + 1 < NUMBERS ? ',' : ']';
    }
    *to = '\0';
}

static void expect_list(const char *text, size_t place, const char *other)
{
    uint32_t bits[NUMBERS];
    size_t n = 0;
    const char *p = text;
    const char *end = strchr(text, ']');
    bool is_number = other[0] != '\0' && strspn(other, "-+.0123456789e ") == strlen(other);
    bool ok = float32_read(&p, end, str_of(text, strlen(text)), NUMBERS, bits, &n);
    if (ok != is_number || (ok && (n != NUMBERS || p != end)))
        fail_msg("'%s' at %zu", other, place);
    for (size_t i = 0; ok && i < n; i++) {
        char number[NUMBER_TEXT];
        write_number(number, i, place, other);
        if (bits[i] != bits_of(number))
            fail_msg("'%s' at %zu: number %zu", other, place, i);
    }
}

/* More than are read at once, one of another form at each place, and one that is none. */
static void test_float32__runs_of_usual_numbers(void **state)
{
    (void)state;
    static const char *const others[] = {
        "1e-7", " 0.5", "0.5 ", "1.0000000596046448", "-2", "0.123456789012345678", "0.5x", "",
    };
    static char text[NUMBERS * NUMBER_TEXT];
    for (size_t k = 0; k < COUNT_OF(others); k++) {
        for (size_t place = 0; place < NUMBERS; place++) {
            write_list(text, place, others[k]);
            expect_list(text, place, others[k]);
        }
    }
}

static void test_float32__an_empty_list_has_no_numbers(void **state)
{
    (void)state;
    static const char *const texts[] = {"]", "  ]", "\n]"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const char *p = texts[i];
        const char *end = strchr(p, ']');
        size_t n = 9;
        uint32_t bits;
        assert_true(float32_read(&p, end, str_of(p, strlen(p)), 1, &bits, &n));
        assert_int_equal(n, 0);
        assert_ptr_equal(p, end);
    }
}

/* Numbers of all recordings, floats and doubles. */
static void test_float32__recordings(void **state)
{
    (void)state;
    static const char *const names[] = {"embed", "embed-batch", "embed-dimensions",
                                        "embeddings-legacy"};
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct buf body;
        buf_init(&body, 1 << 20);
        read_recording(names[i], &body);
        str rest = str_skip(buf_str(&body), str_find_char(buf_str(&body), '['));
        while (rest.len > 0 && rest.p[0] != '}') {
            char text[64];
            size_t skip = strspn(rest.p, "[], ");
            rest = str_skip(rest, skip);
            size_t len = strspn(rest.p, "-+.0123456789eE");
            if (len == 0)
                break;
            snprintf(text, sizeof(text), "%.*s", (int)len, rest.p);
            expect_bits(text);
            rest = str_skip(rest, len);
            n++;
        }
        buf_release(&body);
    }
    assert_true(n > 384UL * 5);
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random digits of every length, and texts about the middle between two random floats. */
static void test_float32__random_decimals(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252U;
    char text[64];
    for (size_t i = 0; i < 200000; i++) {
        uint64_t r = next_random(&seed);
        int digits = (int)(r % 18) + 1;
        snprintf(text, sizeof(text), "%s%d.%0*llu", r & 1 << 20 ? "-" : "", (int)((r >> 32) % 10),
                 digits,
                 (unsigned long long)(next_random(&seed) % 1000000000000000000U) >>
                     (3U * (18U - (unsigned)digits)));
        expect_bits(text);
    }
    for (size_t i = 0; i < 100000; i++) {
        uint32_t bits = 0x3A000000U + (uint32_t)(next_random(&seed) % 0x07200000U);
        float low;
        float high;
        memcpy(&low, &bits, sizeof(low));
        bits++;
        memcpy(&high, &bits, sizeof(high));
        double middle = ((double)low + (double)high) / 2;
        snprintf(text, sizeof(text), "%.*f", (int)(next_random(&seed) % 6) + 11, middle);
        expect_bits(text);
        snprintf(text, sizeof(text), "%.17g", middle);
        expect_bits(text);
        snprintf(text, sizeof(text), "%.9g", (double)low);
        expect_bits(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32__reads_every_form),
        cmocka_unit_test(test_float32__refuses_what_is_no_number),
        cmocka_unit_test(test_float32__long_texts),
        cmocka_unit_test(test_float32__reads_lists_piece_by_piece),
        cmocka_unit_test(test_float32__runs_of_usual_numbers),
        cmocka_unit_test(test_float32__an_empty_list_has_no_numbers),
        cmocka_unit_test(test_float32__recordings),
        cmocka_unit_test(test_float32__random_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
