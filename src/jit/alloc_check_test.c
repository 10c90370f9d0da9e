// SPDX-License-Identifier: MIT
// The checker of allocations finds what is broken by hand.
#include "jit/alloc_fixture.h"

// v1 in 4 lives over the call, v2 and v3 meet in a PHI.
static const char function[] = "func 0 entry b1\n"
                               "b1:\n"
                               "  v1 = param #0\n"
                               "  v2 = param #1\n"
                               "  v3 = call #1(v2)\n"
                               "  branch eq64 v3, #0 -> b2, b3\n"
                               "b2: <- b1\n"
                               "  v4 = add64 v1, #2\n"
                               "  jump -> b4\n"
                               "b3: <- b1\n"
                               "  v5 = sub64 v1, v3\n"
                               "  jump -> b4\n"
                               "b4: <- b2, b3\n"
                               "  v6 = phi v4, v5\n"
                               "  v7 = udiv64 v6, v1\n"
                               "  ret v7\n";

static const char *check(void)
{
    uint32_t where;
    return alloc_check(&fixture_jit, &where);
}

static void put(uint32_t value, uint8_t reg)
{
    ir_at(&fixture_jit.ir, value)->reg = reg;
}

static bool allocate(void)
{
    return fixture_parse(function) && fixture_allocate() == NULL;
}

static void what_is_right_passes(void)
{
    REQUIRE(allocate());
    CHECK(check() == NULL);
}

static void a_clobbered_register_is_found(void)
{
    REQUIRE(allocate());
    put(1, 3);
    CHECK_STR(check(), "an operand is not where it should be");
}

static void a_forbidden_register_is_found(void)
{
    REQUIRE(allocate());
    put(1, 0); // the divisor, too
    CHECK(check() != NULL);
    REQUIRE(fixture_parse("func 0 entry b1\n"
                          "b1:\n"
                          "  v1 = param #0\n"
                          "  v2 = param #1\n"
                          "  v3 = udiv64 v1, v2\n"
                          "  ret v3\n"));
    REQUIRE(fixture_allocate() == NULL);
    put(2, 1);
    put(1, 2);
    CHECK_STR(check(), "an operand is in a register that it may not be in");
}

static void an_early_result_is_found(void)
{
    REQUIRE(allocate());
    put(5, ir_at(&fixture_jit.ir, 3)->reg);
    CHECK_STR(check(), "the result overwrites an operand that is read later");
}

static void two_values_in_one_register_are_found(void)
{
    REQUIRE(allocate());
    put(6, ir_at(&fixture_jit.ir, 1)->reg);
    CHECK_STR(check(), "an operand is not where it should be");
}

static void a_register_that_nobody_has_is_found(void)
{
    REQUIRE(allocate());
    put(7, 6);
    CHECK_STR(check(), "a value is in a register that nobody may have");
}

static void a_value_without_place_is_found(void)
{
    REQUIRE(allocate());
    put(6, IR_REG_NONE);
    CHECK(check() != NULL);
    REQUIRE(allocate());
    put(3, IR_REG_NONE);
    ir_at(&fixture_jit.ir, 3)->slot = 1;
    CHECK_STR(check(), "a value is in a slot that does not exist");
}

// A branch goes to a block with a PHI, as the block between them had nothing to do.
static void an_edge_that_only_one_end_knows_is_found(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\n"
                          "b1:\n"
                          "  v1 = param #0\n"
                          "  branch eq64 v1, #0 -> b3, b2\n"
                          "b2: <- b1\n"
                          "  v2 = add64 v1, #2\n"
                          "  jump -> b3\n"
                          "b3: <- b1, b2\n"
                          "  v3 = phi v1, v2\n"
                          "  ret v3\n"));
    REQUIRE(fixture_allocate() == NULL);
    REQUIRE(ir_block_at(&fixture_jit.ir, 1)->succ[0] == 3);
    uint32_t *preds = ir_block_at(&fixture_jit.ir, 3)->preds;
    *(preds[0] == 1 ? &preds[0] : &preds[1]) = 2;
    CHECK_STR(check(), "a block is not among the predecessors of its successor");
}

TEST_SUITE(alloc_check)
{
    RUN(what_is_right_passes);
    RUN(a_clobbered_register_is_found);
    RUN(a_forbidden_register_is_found);
    RUN(an_early_result_is_found);
    RUN(two_values_in_one_register_are_found);
    RUN(a_register_that_nobody_has_is_found);
    RUN(a_value_without_place_is_found);
    RUN(an_edge_that_only_one_end_knows_is_found);
}
