// SPDX-License-Identifier: MIT
// Short branches that choose become conditional moves; longer ones, and what must not be computed always,
// stay.
#include "jit/opt_fixture.h"

#define TRIANGLE(side)                                                                                       \
    "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  branch ult64 v1, v2 -> b2, b3\n"              \
    "b2: <- b1\n" side "  jump -> b3\nb3: <- b1, b2\n  v3 = phi v1, v4\n  ret v3\n"

static void a_triangle(void)
{
    fixture_expect(TRIANGLE("  v4 = xor64 v1, v2\n"), opt_select,
                   "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v4 = xor64 v1, v2\n"
                   "  v3 = select64 ult64 v1, v2 ? v4 : v1\n  ret v3\n");
}

// Where there may be other PHIs of one value, and copies.
static void a_triangle_that_is_not_tidy(void)
{
    REQUIRE(fixture_parse(TRIANGLE("  v4 = xor64 v1, v2\n")));
    fixture.ir.tidy = false;
    REQUIRE(fixture_pass(opt_select));
    CHECK_STR(fixture_print(), "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n"
                               "  v4 = xor64 v1, v2\n  v8 = select64 ult64 v1, v2 ? v4 : v1\n  ret v8\n");
}

static void a_diamond(void)
{
    fixture_expect(
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  branch set32 v1, v2 -> b2, b3\n"
        "b2: <- b1\n  v4 = add64 v1, v2\n  jump -> b4\nb3: <- b1\n  v5 = sub64 v1, v2\n  jump -> b4\n"
        "b4: <- b2, b3\n  v3 = phi v4, v5\n  ret v3\n",
        opt_select,
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v4 = add64 v1, v2\n"
        "  v5 = sub64 v1, v2\n  v3 = select64 set32 v1, v2 ? v4 : v5\n  ret v3\n");
}

// The sides of the first one that goes are still among the predecessors when the second one is looked at.
static void two_with_one_join(void)
{
    fixture_expect("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v3 = load64 [v1]\n"
                   "  branch ult64 v3, v2 -> b2, b3\n"
                   "b2: <- b1\n  v4 = load64 [v1 + 8]\n  branch eq64 v4, v2 -> b4, b6\n"
                   "b4: <- b2\n  v5 = add64 v4, v2\n  jump -> b6\n"
                   "b3: <- b1\n  v6 = load64 [v1 + 16]\n  branch ne64 v6, v2 -> b6, b5\n"
                   "b5: <- b3\n  v7 = sub64 v6, v2\n  jump -> b6\n"
                   "b6: <- b2, b4, b3, b5\n  v8 = phi v4, v5, v6, v7\n  ret v8\n",
                   opt_select,
                   "func 0 entry b1\n"
                   "b1:\n"
                   "  v1 = param #0\n"
                   "  v2 = param #1\n"
                   "  v3 = load64 [v1]\n"
                   "  branch ult64 v3, v2 -> b2, b3\n"
                   "b3: <- b1\n"
                   "  v6 = load64 [v1 + 16]\n"
                   "  v7 = sub64 v6, v2\n"
                   "  v16 = select64 ne64 v6, v2 ? v6 : v7\n"
                   "  jump -> b6\n"
                   "b2: <- b1\n"
                   "  v4 = load64 [v1 + 8]\n"
                   "  v5 = add64 v4, v2\n"
                   "  v15 = select64 eq64 v4, v2 ? v5 : v4\n"
                   "  jump -> b6\n"
                   "b6: <- b2, b3\n"
                   "  v8 = phi v15, v16\n"
                   "  ret v8\n");
}

static void check_stays(const char *text)
{
    REQUIRE(fixture_parse(text));
    REQUIRE(fixture_pass(opt_select));
    CHECK(fixture_contains("branch") && !fixture_contains("select"));
}

static void what_stays(void)
{
    check_stays(TRIANGLE("  v4 = load64 [v1]\n"));
    check_stays(TRIANGLE("  v4 = udiv64 v1, v2 !nonzero\n")); // not zero on this side only
    check_stays(TRIANGLE("  v5 = xor64 v1, v2\n  v6 = add64 v5, v2\n  v4 = xor64 v6, v1\n"));
    check_stays(TRIANGLE("  v4 = xor64 v1, v2\n  store64 [v1], v2\n"));
}

TEST_SUITE(opt_select)
{
    RUN(a_triangle);
    RUN(a_triangle_that_is_not_tidy);
    RUN(a_diamond);
    RUN(two_with_one_join);
    RUN(what_stays);
}
