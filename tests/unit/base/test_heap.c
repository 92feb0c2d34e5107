#include "unit.h"

#include <stdlib.h>

#include "base/heap.h"

static void test_heap__gives_the_smallest_first(void **state)
{
    (void)state;
    struct heap h;
    struct heap_node nodes[500];
    uint64_t seed = 42;
    heap_init(&h);
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        heap_node_init(&nodes[i]);
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        heap_set(&h, &nodes[i], seed >> 40);
    }
    for (size_t i = 0; i < COUNT_OF(nodes); i += 3)
        heap_remove(&h, &nodes[i]);
    for (size_t i = 1; i < COUNT_OF(nodes); i += 3)
        heap_set(&h, &nodes[i], nodes[i].key / 2); // moved
    uint64_t last = 0;
    size_t n = 0;
    for (struct heap_node *first = heap_first(&h); first != NULL; first = heap_first(&h), n++) {
        assert_true(first->key >= last);
        last = first->key;
        heap_remove(&h, first);
        assert_false(heap_has(first));
        heap_remove(&h, first); // again: nothing
    }
    assert_int_equal(n, COUNT_OF(nodes) - (COUNT_OF(nodes) + 2) / 3);
    heap_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_heap__gives_the_smallest_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
