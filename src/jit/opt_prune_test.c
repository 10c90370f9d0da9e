// SPDX-License-Identifier: MIT
// Decided branches go; what remains is one block where it can be.
#include "jit/opt_fixture.h"

// Also of functions that are tidy, which are repaired and not cleaned: what goes is released.
static ebpf_result_t prune_tidy(struct jit *j)
{
    TRY(ir_clean(j));
    TRY(opt_prune(j));
    return j->ir.tidy ? EBPF_SUCCESS : EBPF_INVALID_ARGUMENT;
}

static const char one_block[] = "func 0 entry b1\nb1:\n  v1 = param #0\n  ret v1\n";

static void a_constant_comparison(void)
{
    fixture_expect("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #5\n  v3 = const #6\n"
                   "  branch ult64 v2, v3 -> b2, b3\nb2: <- b1\n  jump -> b4\nb3: <- b1\n  jump -> b4\n"
                   "b4: <- b2, b3\n  v4 = phi v1, v2\n  ret v4\n",
                   prune_tidy, one_block);
}

// The same comparison with its operands in the other order, below the first.
static void a_test_that_was_made_above(void)
{
    fixture_expect(
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  branch ult64 v1, v2 -> b2, b3\n"
        "b2: <- b1\n  branch ugt64 v2, v1 -> b4, b3\nb3: <- b1, b2\n  ret v2\nb4: <- b2\n  ret v1\n",
        opt_prune,
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  branch ult64 v1, v2 -> b2, b3\n"
        "b3: <- b1\n  ret v2\nb2: <- b1\n  ret v1\n");
}

static void a_test_of_another_width(void)
{
    REQUIRE(fixture_parse(
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  branch ult64 v1, v2 -> b2, b3\n"
        "b2: <- b1\n  branch ult32 v1, v2 -> b4, b3\nb3: <- b1, b2\n  ret v2\nb4: <- b2\n  ret v1\n"));
    REQUIRE(fixture_pass(opt_prune));
    CHECK(fixture_contains("branch ult32"));
}

// A test on one way does not decide the same test behind the join.
static void a_test_that_does_not_dominate(void)
{
    REQUIRE(fixture_parse(
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  branch ult64 v1, v2 -> b2, b3\n"
        "b2: <- b1\n  jump -> b3\nb3: <- b1, b2\n  branch ult64 v1, v2 -> b4, b5\n"
        "b4: <- b3\n  ret v1\nb5: <- b3\n  ret v2\n"));
    REQUIRE(fixture_pass(opt_prune));
    CHECK(fixture_contains("-> b4, b5"));
}

// Both edges go to the same block: its PHI keeps what comes along the right one.
static void two_edges_to_one_block(void)
{
    fixture_expect("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #7\n  branch ne64 v1, v1 -> b2, b2\n"
                   "b2: <- b1, b1\n  v3 = phi v2, v1\n  ret v3\n",
                   prune_tidy, one_block);
}

// Edges leave a block all at once: what stays keeps its operand.
static void edges_that_go_together(void)
{
    fixture_expect("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v3 = const #7\n"
                   "  branch ult64 v1, v2 -> b2, b3\nb2: <- b1\n  branch eq64 v1, v1 -> b4, b4\n"
                   "b3: <- b1\n  branch ne64 v1, v1 -> b4, b5\nb5: <- b3\n  jump -> b4\n"
                   "b4: <- b2, b2, b3, b5\n  v4 = phi v1, v3, v3, v2\n  v5 = phi v2, v3, v3, v1\n"
                   "  v6 = sub64 v4, v5\n  ret v6\n",
                   prune_tidy,
                   "func 0 entry b1\n"
                   "b1:\n"
                   "  v1 = param #0\n"
                   "  v2 = param #1\n"
                   "  branch ult64 v1, v2 -> b2, b3\n"
                   "b3: <- b1\n"
                   "  jump -> b4\n"
                   "b2: <- b1\n"
                   "  jump -> b4\n"
                   "b4: <- b2, b3\n"
                   "  v4 = phi v1, v2\n"
                   "  v5 = phi v2, v1\n"
                   "  v6 = sub64 v4, v5\n"
                   "  ret v6\n");
}

// v4 goes with the branch; v5 behind it still loses what came from b2.
static void a_phi_that_goes_before_its_edges(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v3 = const #7\n"
                          "  branch ult64 v1, v2 -> b2, b3\nb2: <- b1\n  branch ne64 v1, v1 -> b4, b5\n"
                          "b3: <- b1\n  branch ult64 v2, v3 -> b4, b6\nb6: <- b3\n  jump -> b4\n"
                          "b4: <- b2, b3, b6\n  v4 = phi v1, v2, v3\n  v5 = phi v2, v3, v1\n"
                          "  branch eq64 v4, v4 -> b7, b5\nb7: <- b4\n  ret v5\n"
                          "b5: <- b2, b4\n  ret v1\n"));
    REQUIRE(fixture_pass(prune_tidy));
    CHECK(fixture_contains("v5 = phi v3, v1"));
    CHECK(!fixture_contains("v4"));
}

TEST_SUITE(opt_prune)
{
    RUN(a_constant_comparison);
    RUN(a_test_that_was_made_above);
    RUN(a_test_of_another_width);
    RUN(a_test_that_does_not_dominate);
    RUN(two_edges_to_one_block);
    RUN(edges_that_go_together);
    RUN(a_phi_that_goes_before_its_edges);
}
