// SPDX-License-Identifier: MIT
// Tests of the arena: alignment, zeroes, the limit, and failing sources.
#include "tests/test.h"

static void memory_is_zeroed_and_aligned(void)
{
    struct arena a;
    arena_init(&a, test_mem_source(), 0);
    for (size_t size = 0; size < 200000; size = size * 3 + 1) {
        uint8_t *p = arena_alloc(&a, size);
        REQUIRE(p != NULL);
        CHECK_EQ((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++) {
            REQUIRE(p[i] == 0);
        }
        memset(p, 0xff, size);
    }
    arena_fini(&a);
    CHECK_EQ(test_mem_live(), 0);
}

static void limit_bounds_what_is_held(void)
{
    struct arena a;
    arena_init(&a, test_mem_source(), 100000);
    unsigned count = 0;
    while (arena_alloc(&a, 1000) != NULL) {
        count++;
        REQUIRE(count < 1000);
    }
    CHECK(count >= 60 && count <= 100);
    CHECK(a.held <= 100000);
    CHECK(arena_alloc(&a, 1 << 20) == NULL);
    arena_fini(&a);
    CHECK_EQ(test_mem_live(), 0);
}

static void overflow_and_failure_give_null(void)
{
    struct arena a;
    arena_init(&a, test_mem_source(), 0);
    CHECK(arena_array(&a, SIZE_MAX / 2, 3) == NULL);
    CHECK(arena_alloc(&a, SIZE_MAX) == NULL);
    CHECK(arena_alloc(&a, SIZE_MAX - 20) == NULL);
    test_mem_fail(1);
    CHECK(arena_alloc(&a, 100000) == NULL);
    CHECK(arena_alloc(&a, 100000) != NULL);
    CHECK_STR(arena_strdup(&a, "text"), "text");
    arena_fini(&a);
    CHECK_EQ(test_mem_live(), 0);
}

static void large_request_keeps_the_current_chunk(void)
{
    struct arena a;
    arena_init(&a, test_mem_source(), 0);
    char *first = arena_alloc(&a, 16);
    REQUIRE(arena_alloc(&a, 1 << 20) != NULL);
    char *second = arena_alloc(&a, 16);
    CHECK(second == first + 16);
    arena_fini(&a);
}

TEST_SUITE(arena)
{
    RUN(memory_is_zeroed_and_aligned);
    RUN(limit_bounds_what_is_held);
    RUN(overflow_and_failure_give_null);
    RUN(large_request_keeps_the_current_chunk);
}
