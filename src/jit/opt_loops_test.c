// SPDX-License-Identifier: MIT
// Counted loops: the second exit test goes, the counter stays in one register, and what may wrap stays as it
// is.
#include "jit/opt_fixture.h"

// A loop over 0, 8, ... with a test at its head and one at its end, as compilers leave them.
#define LOOP(bound, latch)                                                                                   \
    "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #0\n  v3 = const #8\n  v4 = const #511\n"           \
    "  v5 = const #" bound "\n  jump -> b2\n"                                                                \
    "b2: <- b1, b3\n  v6 = phi v2, v9\n  v7 = phi v2, v8\n  branch ugt32 v6, v4 -> b4, b3\n"                 \
    "b3: <- b2\n  v10 = zext64 v6, #32\n  v8 = add64 v7, v10\n  v9 = add32 v6, v3\n  branch " latch          \
    " -> b2, b4\n"                                                                                           \
    "b4: <- b2, b3\n  v11 = phi v7, v8\n  ret v11\n"

static bool passes(const char *text)
{
    return fixture_parse(text) && fixture_pass(opt_simplify) && fixture_pass(opt_loops) &&
           fixture_pass(opt_prune) && fixture_pass(opt_resimplify);
}

static void the_head_test_goes(void)
{
    REQUIRE(passes(LOOP("504", "ult32 v6, v5")));
    CHECK(!fixture_contains("ugt32") && !fixture_contains("zext"));
    CHECK(fixture_contains("!step") && fixture_contains("branch ult32 v9"));
}

static void also_with_a_test_for_equality(void)
{
    REQUIRE(passes(LOOP("512", "ne32 v9, v5")));
    CHECK(!fixture_contains("ugt32") && !fixture_contains("zext"));
}

// 0, 8, ... never is 500: the counter wraps.
static void not_when_the_bound_is_passed(void)
{
    REQUIRE(passes(LOOP("500", "ne32 v9, v5")));
    CHECK(fixture_contains("ugt32"));
}

// Beyond the head's bound.
static void not_when_the_bound_is_larger(void)
{
    REQUIRE(passes(LOOP("505", "ult32 v6, v5")));
    CHECK(fixture_contains("ugt32"));
}

// A bound that is a parameter, with a test in front of the loop.
static void a_bound_with_a_guard(void)
{
    REQUIRE(
        passes("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #0\n  v3 = const #1\n  v4 = const #1000\n"
               "  branch ugt64 v1, v4 -> b4, b2\nb2: <- b1\n  jump -> b3\n"
               "b3: <- b2, b3\n  v6 = phi v2, v9\n  v7 = phi v2, v8\n  v12 = const #32\n  v13 = const #30\n"
               "  v14 = shl64 v6, v12\n  v15 = shr64 v14, v13\n  v8 = add64 v7, v15\n  v9 = add64 v6, v3\n"
               "  branch ult64 v9, v1 -> b3, b4\nb4: <- b1, b3\n  v11 = phi v2, v8\n  ret v11\n"));
    CHECK(!fixture_contains("shr") && !fixture_contains("zext"));
    CHECK(fixture_contains("shl64 v6"));
}

// Rounds of finding facts: v20's block is entered in the second one; in the third one v5 has become a bound
// by which v19 counts, and that way is closed; in the last one it is open again, and v11 has grown meanwhile.
static void ways_that_open_again(void)
{
    REQUIRE(
        passes("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #0\n  jump -> b2\n"
               "b2: <- b1, b10\n  v6 = phi v2, v12\n  v7 = phi v2, v6\n  v8 = phi v2, v7\n  v9 = const #7\n"
               "  v11 = and64 v7, v9\n  v13 = const #2147483648\n  branch eq64 v7, v2 -> b5, b3\n"
               "b3: <- b2\n  v14 = const #1073741824\n  branch eq64 v8, v2 -> b5, b4\n"
               "b4: <- b3\n  v15 = const #-100\n  jump -> b5\n"
               "b5: <- b2, b3, b4\n  v5 = phi v13, v14, v15\n  v16 = const #2148532224\n  jump -> b6\n"
               "b6: <- b5, b9\n  v19 = phi v16, v24\n  v17 = const #5\n  v18 = const #536870912\n"
               "  branch uge64 v19, v18 -> b8, b7\n"
               "b7: <- b6\n  v25 = const #1\n  v20 = add64 v11, v25\n  jump -> b8\n"
               "b8: <- b6, b7\n  v21 = phi v17, v20\n  v22 = const #6\n  branch ule64 v21, v22 -> b9, b11\n"
               "b9: <- b8\n  v23 = const #-536870912\n  v24 = add64 v19, v23\n"
               "  branch sgt64 v19, v5 -> b6, b10\n"
               "b10: <- b9\n  v26 = load8 [v1]\n  v12 = and64 v26, v9\n  jump -> b2\n"
               "b11: <- b8\n  ret v21\n"));
    CHECK(fixture_contains("ret v21")); // 8 when v1 points to a 7
}

TEST_SUITE(opt_loops)
{
    RUN(the_head_test_goes);
    RUN(also_with_a_test_for_equality);
    RUN(not_when_the_bound_is_passed);
    RUN(not_when_the_bound_is_larger);
    RUN(a_bound_with_a_guard);
    RUN(ways_that_open_again);
}
