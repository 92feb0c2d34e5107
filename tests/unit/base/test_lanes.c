#include <assert.h>

#include "unit.h"

#include "base/lanes.h"

static void test_lanes__the_first_is_found_on_every_machine(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 1u << LANES; bits++) {
        lanes v;
        size_t want = LANES;
        for (size_t i = LANES; i-- > 0;) {
            v[i] = bits >> i & 1 ? -1 : 0;
            want = v[i] != 0 ? i : want;
        }
        assert_int_equal(lanes_first(v), want);
        assert_int_equal(lanes_first_portable(v), want);
        assert_true((lanes_any(v) != 0) == (want < LANES));
    }
}

static void test_lanes__comparisons_are_signed(void **state)
{
    (void)state;
    static const char text[] = "0123456789\x1F\x80 ~\x7F\xFF";
    static_assert(sizeof(text) - 1 == LANES, "one character per lane");
    lanes low = lanes_load(text) < ' ';
    for (size_t i = 0; i < LANES; i++)
        assert_true((low[i] != 0) ==
                    ((unsigned char)text[i] < 0x20 || (unsigned char)text[i] >= 0x80));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanes__the_first_is_found_on_every_machine),
        cmocka_unit_test(test_lanes__comparisons_are_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
