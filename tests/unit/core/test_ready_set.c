#include "core/ready_set.h"

#include <stdlib.h>

#include "unit.h"

static void test_ready_set__is_empty_at_first(void **state)
{
    struct ready_set s;
    (void)state;
    ready_set_init(&s);
    assert_int_equal(ready_set_next(&s, 0), READY_SET_NONE);
    assert_false(ready_set_has(&s, 0));
    ready_set_remove(&s, 7); // there is no room for it: nothing happens
    ready_set_reserve(&s, 0);
    assert_int_equal(ready_set_next(&s, 5), READY_SET_NONE);
    ready_set_release(&s);
}

static void test_ready_set__goes_round(void **state)
{
    static const struct {
        uint32_t from;
        uint32_t want;
        const char *why;
    } cases[] = {
        {0,         3,     "the first"                  },
        {3,         3,     "itself counts"              },
        {4,         63,    "the last of a word"         },
        {64,        64,    "the first of a word"        },
        {65,        4095,  "the last of a word above"   },
        {4096,      4096,  "the first of one"           },
        {4097,      99999, "far away"                   },
        {100000,    3,     "from behind the last one on"},
        {200000000, 3,     "from where there is no room"},
    };
    static const uint32_t members[] = {3, 63, 64, 4095, 4096, 99999};
    struct ready_set s;
    (void)state;
    ready_set_init(&s);
    ready_set_reserve(&s, 100000);
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        ready_set_insert(&s, members[i]);
        ready_set_insert(&s, members[i]);
    }
    assert_int_equal(s.n, COUNT_OF(members));
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_why(ready_set_next(&s, cases[i].from) == cases[i].want, cases[i].why);
    ready_set_release(&s);
}

static void test_ready_set__keeps_its_members_as_it_grows(void **state)
{
    struct ready_set s;
    (void)state;
    ready_set_init(&s);
    for (uint32_t place = 0; place < 300000; place += 7) {
        ready_set_reserve(&s, place + 1);
        ready_set_insert(&s, place);
    }
    for (uint32_t place = 0; place < 300000; place++)
        assert_int_equal(ready_set_has(&s, place), place % 7 == 0);
    assert_int_equal(ready_set_next(&s, 1), 7);
    ready_set_reserve(&s, READY_SET_MAX);
    ready_set_insert(&s, READY_SET_MAX - 1);
    assert_int_equal(ready_set_next(&s, 300000), READY_SET_MAX - 1);
    ready_set_release(&s);
}

/* Against an array of flags, for sizes around the borders of words and levels. */
static void test_ready_set__is_as_an_array_of_flags(void **state)
{
    static const uint32_t sizes[] = {1, 63, 64, 65, 4095, 4096, 4097};
    uint32_t random = 1;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        uint32_t size = sizes[i];
        bool flags[4097] = {false};
        struct ready_set s;
        ready_set_init(&s);
        ready_set_reserve(&s, size);
        for (int step = 0; step < 5000; step++) {
            random = random * 1664525 + 1013904223;
            uint32_t place = (random >> 8) % size;
            flags[place] = (random >> 5 & 3) == 0; // few members: long ways
            if (flags[place])
                ready_set_insert(&s, place);
            else
                ready_set_remove(&s, place);
            uint32_t from = (random >> 12) % size;
            uint32_t want = READY_SET_NONE;
            for (uint32_t n = 0; n < size && want == READY_SET_NONE; n++) {
                if (flags[(from + n) % size])
                    want = (from + n) % size;
            }
            assert_int_equal(ready_set_next(&s, from), want);
        }
        ready_set_release(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready_set__is_empty_at_first),
        cmocka_unit_test(test_ready_set__goes_round),
        cmocka_unit_test(test_ready_set__keeps_its_members_as_it_grows),
        cmocka_unit_test(test_ready_set__is_as_an_array_of_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
