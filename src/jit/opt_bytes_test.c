// SPDX-License-Identifier: MIT
// Bytes that are put together become one load, unless something lies between.
#include "jit/opt_fixture.h"

#define BYTES(op2)                                                                                           \
    "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #8\n  v3 = load8 [v1 + 4]\n" op2                    \
    "  v4 = load8 [v1 + 5]\n"

static void two_bytes(void)
{
    fixture_expect(BYTES("") "  v5 = shl32 v4, v2\n  v6 = or32 v5, v3\n  ret v6\n", opt_bytes,
                   "func 0 entry b1\nb1:\n  v1 = param #0\n  v6 = load16 [v1 + 4]\n  ret v6\n");
}

static void two_bytes_in_network_order(void)
{
    fixture_expect(BYTES("") "  v5 = shl64 v3, v2\n  v6 = add64 v5, v4\n  ret v6\n", opt_bytes,
                   "func 0 entry b1\nb1:\n  v1 = param #0\n  v6 = loadbe16 [v1 + 4]\n  ret v6\n");
}

static void a_store_between(void)
{
    REQUIRE(fixture_parse(
        BYTES("  store8 [v1 + 5], v2\n") "  v5 = shl32 v4, v2\n  v6 = or32 v5, v3\n  ret v6\n"));
    REQUIRE(fixture_pass(opt_bytes));
    CHECK(!fixture_contains("load16"));
}

static void a_byte_that_is_used_again(void)
{
    REQUIRE(
        fixture_parse(BYTES("") "  v5 = shl32 v4, v2\n  v6 = or32 v5, v3\n  v7 = add64 v6, v4\n  ret v7\n"));
    REQUIRE(fixture_pass(opt_bytes));
    CHECK(!fixture_contains("load16"));
}

static void a_bit_that_is_lost(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #24\n  v3 = load16 [v1 + 3]\n"
                          "  v4 = load8 [v1]\n  v5 = shl32 v3, v2\n  v6 = or32 v5, v4\n  ret v6\n"));
    REQUIRE(fixture_pass(opt_bytes));
    CHECK(fixture_contains("load16 [v1 + 3]"));
}

// b[0] | b[1] << 8 | b[2] << 16 | b[3] << 24, from a moved pointer.
static void four_bytes(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #14\n  v3 = add64 v1, v2\n"
                          "  v4 = load8 [v1 + 14]\n  v5 = load8 [v3 + 1]\n  v6 = load8 [v3 + 2]\n"
                          "  v7 = load8 [v3 + 3]\n  v8 = const #8\n  v9 = const #16\n  v10 = const #24\n"
                          "  v11 = shl32 v5, v8\n  v12 = shl32 v6, v9\n  v13 = shl32 v7, v10\n"
                          "  v14 = or32 v11, v4\n  v15 = or32 v14, v12\n  v16 = or32 v13, v15\n  ret v16\n"));
    REQUIRE(fixture_pass(opt_bytes));
    CHECK_STR(fixture_print(),
              "func 0 entry b1\nb1:\n  v1 = param #0\n  v16 = load32 [v1 + 14]\n  ret v16\n");
}

// b[0] << 16 | b[1] << 8 | b[2]
static void three_bytes(void)
{
    REQUIRE(
        fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #8\n  v3 = const #16\n"
                      "  v4 = load8 [v1]\n  v5 = load8 [v1 + 1]\n  v6 = load8 [v1 + 2]\n"
                      "  v7 = shl32 v4, v3\n  v8 = shl32 v5, v2\n  v9 = or32 v7, v8\n  v10 = or32 v9, v6\n"
                      "  ret v10\n"));
    REQUIRE(fixture_pass(opt_bytes));
    CHECK(!fixture_contains("16 ["));
}

static void upper_half(void)
{
    REQUIRE(fixture_parse(
        BYTES("") "  v5 = const #16\n  v6 = const #24\n  v7 = shl64 v3, v5\n  v8 = shl64 v4, v6\n"
                  "  v9 = or64 v7, v8\n  ret v9\n"));
    REQUIRE(fixture_pass(opt_bytes));
    CHECK(fixture_contains("v4 = load16 [v1 + 4]"));
    CHECK(fixture_contains("v9 = shl64 v4"));
}

// The loads are in another block than the sum.
static void a_store_between_above(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #8\n  v3 = load8 [v1 + 4]\n"
                          "  store8 [v1 + 5], v2\n  v4 = load8 [v1 + 5]\n  jump -> b2\n"
                          "b2: <- b1\n  v5 = shl32 v4, v2\n  v6 = or32 v5, v3\n  ret v6\n"));
    REQUIRE(fixture_pass(opt_bytes));
    CHECK(fixture_contains("v3 = load8") && fixture_contains("v4 = load8"));
}

static void sign_extension(void)
{
    fixture_expect(
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = load16 [v1]\n  v3 = sext64 v2, #16\n  ret v3\n",
        opt_bytes, "func 0 entry b1\nb1:\n  v1 = param #0\n  v3 = loads16 [v1]\n  ret v3\n");
}

// The pointer is a load that was made one with its sign extension: uses go to it, not to the copy of it.
static void bytes_behind_a_sign_extension(void)
{
    uint32_t where;
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #8\n  v3 = load32 [v1]\n"
                          "  v4 = sext64 v3, #32\n  v5 = load8 [v4]\n  v6 = load8 [v4 + 1]\n"
                          "  v7 = shl64 v6, v2\n  v8 = or64 v7, v5\n  ret v8\n"));
    REQUIRE(fixture_pass(ir_clean));
    REQUIRE(fixture_pass(opt_bytes));
    CHECK(fixture_contains("v4 = loads32") && fixture_contains("load16 [v4]"));
    CHECK(fixture.ir.counted && ir_check(&fixture, &where) == NULL);
    CHECK_EQ(ir_at(&fixture.ir, 4)->uses, 1);
}

// lower_divide goes by the list that opt_bytes makes: also when one of them is a number by then, and the
// block of another one is not reached any more.
static void divisions_are_listed(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #8\n  v3 = udiv64 v1, v2\n"
                          "  v4 = umod64 v1, v2\n  branch ult64 v3, v4 -> b2, b3\n"
                          "b2: <- b1\n  v5 = sdiv32 v1, v2\n  ret v5\n"
                          "b3: <- b1\n  v6 = udiv32 v1, v2\n  v7 = udiv32 v6, v1\n  ret v7\n"));
    REQUIRE(fixture_pass(ir_clean) && fixture_pass(opt_bytes));
    CHECK(fixture.ir.divisions_known);
    ir_become_const(&fixture.ir, 4, 0);
    struct ir_value *end = ir_at(&fixture.ir, ir_block_at(&fixture.ir, 1)->last);
    end->op = IR_JUMP;
    end->a = end->b = IR_NONE;
    end->cond = end->cwidth = 0;
    ir_block_at(&fixture.ir, 1)->succ[0] = 3;
    ir_block_at(&fixture.ir, 1)->succ[1] = IR_NONE;
    fixture.ir.counted = fixture.ir.tidy = false;
    REQUIRE(fixture_pass(ir_find_order) && fixture_pass(ir_clean) && fixture_pass(lower_divide));
    CHECK(!fixture_contains("udiv32 v1") && fixture_contains("v6 = shr32 v1") &&
          fixture_contains("udiv32 v6, v1"));
    CHECK_EQ(ir_at(&fixture.ir, 7)->disp, 0);
    CHECK_EQ(ir_at(&fixture.ir, 5)->op, IR_SDIV);
}

TEST_SUITE(opt_bytes)
{
    RUN(two_bytes);
    RUN(two_bytes_in_network_order);
    RUN(a_store_between);
    RUN(a_byte_that_is_used_again);
    RUN(a_bit_that_is_lost);
    RUN(four_bytes);
    RUN(three_bytes);
    RUN(upper_half);
    RUN(a_store_between_above);
    RUN(sign_extension);
    RUN(bytes_behind_a_sign_extension);
    RUN(divisions_are_listed);
}
