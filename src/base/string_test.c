// SPDX-License-Identifier: MIT
// Tests of bounded strings and of the formatter.
#include "tests/test.h"

static char text[64];

#define CHECK_FORMAT(expected, ...)                                                                          \
    do {                                                                                                     \
        CHECK_EQ(str_format(text, sizeof(text), __VA_ARGS__), str_len(expected));                            \
        CHECK_STR(text, expected);                                                                           \
    } while (0)

static void conversions(void)
{
    CHECK_FORMAT("a b % 7", "%s %c %% %d", "a", 'b', 7);
    CHECK_FORMAT("-9223372036854775808", "%lld", LLONG_MIN);
    CHECK_FORMAT("18446744073709551615 ff FF", "%llu %x %X", ULLONG_MAX, 255u, 255u);
    CHECK_FORMAT("[  7] [7  ] [007] [-07]", "[%3d] [%-3d] [%03d] [%03d]", 7, 7, 7, -7);
    CHECK_FORMAT("[  ab] [ab  ]", "[%4s] [%-4s]", "ab", "ab");
    CHECK_FORMAT("12 -3 0x10", "%zu %ld %p", (size_t)12, -3L, (void *)16);
}

static void output_is_cut_and_length_told(void)
{
    char small[4];
    CHECK_EQ(str_format(small, sizeof(small), "%s", "abcdef"), 6);
    CHECK_STR(small, "abc");
    CHECK_EQ(str_format(NULL, 0, "%d", 12345), 5);
}

static void comparisons_and_copies(void)
{
    CHECK(str_equal("", "") && str_equal("ab", "ab"));
    CHECK(!str_equal("ab", "a") && !str_equal("a", "ab"));
    CHECK(str_starts_with("xdp/foo", "xdp") && str_starts_with("x", "") && !str_starts_with("xd", "xdp"));
    CHECK(str_is_terminated("ab", 3) && !str_is_terminated("ab", 2) && !str_is_terminated("", 0));
    CHECK(str_copy(text, 4, "abc"));
    CHECK(!str_copy(text, 3, "abc"));
    CHECK_STR(text, "ab");
}

TEST_SUITE(string)
{
    RUN(conversions);
    RUN(output_is_cut_and_length_told);
    RUN(comparisons_and_copies);
}
