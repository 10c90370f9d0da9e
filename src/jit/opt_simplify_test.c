// SPDX-License-Identifier: MIT
// Rules of simplification, each by the smallest function that it applies to, and by one that it must not
// touch.
#include <string.h>

#include "jit/opt_fixture.h"

struct rule {
    const char *name, *body; // lines of the block; v1 and v2 are parameters, v9 is returned
    const char *wanted;      // lines that are left, without the parameters
};

#define RULE(name, body, wanted) {name, body, wanted}
static const struct rule rules[] = {
    RULE("add of 0", "v3 = const #0;v9 = add64 v1, v3", "ret v1"),
    RULE("add of 0 in 32 bits", "v3 = const #0;v9 = add32 v1, v3", "v9 = zext64 v1, #32;ret v9"),
    RULE("two sums", "v3 = const #5;v4 = add64 v1, v3;v9 = add64 v4, v3",
         "v11 = const #10;v9 = add64 v1, v11;ret v9"),
    RULE("difference of a number", "v3 = const #5;v9 = sub64 v1, v3",
         "v11 = const #-5;v9 = add64 v1, v11;ret v9"),
    RULE("difference of the same", "v9 = sub64 v1, v1", "v9 = const #0;ret v9"),
    RULE("product with a power", "v3 = const #8;v9 = mul64 v1, v3",
         "v11 = const #3;v9 = shl64 v1, v11;ret v9"),
    RULE("zero extension by shifts", "v3 = const #32;v4 = shl64 v1, v3;v9 = shr64 v4, v3",
         "v9 = zext64 v1, #32;ret v9"),
    RULE("sign extension by shifts", "v3 = const #32;v4 = shl64 v1, v3;v9 = sar64 v4, v3",
         "v9 = sext64 v1, #32;ret v9"),
    RULE("part by shifts", "v3 = const #32;v5 = const #40;v4 = shl64 v1, v3;v9 = shr64 v4, v5",
         "v11 = const #8;v9 = shr32 v1, v11;ret v9"),
    RULE("extension of what is small", "v3 = const #255;v4 = and64 v1, v3;v9 = zext64 v4, #32",
         "v4 = zext64 v1, #8;ret v4"),
    RULE("rotation", "v3 = const #7;v4 = const #25;v5 = shl32 v1, v3;v6 = shr32 v1, v4;v9 = or32 v5, v6",
         "v3 = const #7;v9 = rol32 v1, v3;ret v9"),
    RULE("rotation by a sum",
         "v3 = const #7;v4 = const #57;v5 = shl64 v1, v3;v6 = shr64 v1, v4;v9 = add64 v6, v5",
         "v3 = const #7;v9 = rol64 v1, v3;ret v9"),
    RULE("rotation by a value", "v3 = neg64 v2;v5 = shl64 v1, v2;v6 = shr64 v1, v3;v9 = or64 v5, v6",
         "v9 = rol64 v1, v2;ret v9"),
    RULE("no rotation: a sum by a value may be by 0",
         "v3 = neg64 v2;v5 = shl64 v1, v2;v6 = shr64 v1, v3;v9 = add64 v5, v6",
         "v3 = neg32 v2;v5 = shl64 v1, v2;v6 = shr64 v1, v3;v9 = add64 v5, v6;ret v9"),
    RULE("no rotation: counts do not fit",
         "v3 = const #7;v4 = const #24;v5 = shl32 v1, v3;v6 = shr32 v1, v4;v9 = or32 v5, v6",
         "v3 = const #7;v4 = const #24;v5 = shl32 v1, v3;v6 = shr32 v1, v4;v9 = or32 v5, v6;ret v9"),
    RULE("division by a power", "v3 = const #16;v9 = udiv64 v1, v3 !nonzero",
         "v66 = const #4;v9 = shr64 v1, v66;ret v9"),
    RULE("remainder of a power", "v3 = const #16;v9 = umod64 v1, v3 !nonzero",
         "v11 = const #15;v9 = and32 v1, v11;ret v9"),
    RULE("division of small numbers", "v3 = zext64 v1, #32;v4 = zext64 v2, #16;v9 = udiv64 v3, v4",
         "v4 = zext64 v2, #16;v9 = udiv32 v1, v4;ret v9"),
    RULE("a divisor that is not zero", "v3 = const #1;v4 = or64 v2, v3;v9 = udiv64 v1, v4",
         "v3 = const #1;v4 = or64 v2, v3;v9 = udiv64 v1, v4 !nonzero;ret v9"),
    RULE("a divisor whose low half may be zero", "v3 = const #4294967296;v4 = or64 v2, v3;v9 = udiv32 v1, v4",
         "v9 = udiv32 v1, v2;ret v9"),
    RULE("signed division of numbers without sign",
         "v3 = zext64 v1, #16;v4 = zext64 v2, #8;v9 = sdiv64 v3, v4",
         "v3 = zext64 v1, #16;v4 = zext64 v2, #8;v9 = udiv32 v3, v4;ret v9"),
    RULE("remainder of what is smaller", "v3 = zext64 v1, #8;v4 = const #1000;v9 = umod64 v3, v4 !nonzero",
         "v3 = zext64 v1, #8;ret v3"),
    RULE("what an exchange compares", "v4 = add64 v1, v2;v9 = cmpxchg64 [v1], v4, v2",
         "v4 = add64 v1, v2;v9 = cmpxchg64 [v1], v4, v2;ret v9"),
    RULE("shift count beyond the width", "v3 = const #33;v9 = shl32 v1, v3",
         "v11 = const #1;v9 = shl32 v1, v11;ret v9"),
    RULE("the same twice", "v3 = mul64 v1, v2;v4 = mul64 v2, v1;v9 = xor64 v3, v4", "v9 = const #0;ret v9"),
    RULE("upper halves that nobody needs",
         "v3 = const #32;v4 = add64 v1, v2;v5 = mul64 v4, v2;v9 = zext64 v5, #32",
         "v4 = add32 v1, v2;v5 = mul32 v2, v4;ret v5"),
    RULE("bits counted by hand",
         "v3 = const #1;v4 = const #2;v5 = const #4;v6 = const #24;v12 = const #1431655765;v13 = const "
         "#858993459;"
         "v14 = const #252645135;v15 = const #16843009;v16 = shr32 v1, v3;v17 = and32 v16, v12;v18 = sub32 "
         "v1, v17;"
         "v19 = and32 v18, v13;v20 = shr32 v18, v4;v21 = and32 v20, v13;v22 = add32 v21, v19;v23 = shr32 "
         "v22, v5;"
         "v24 = add32 v22, v23;v25 = and32 v24, v14;v26 = mul32 v25, v15;v9 = shr32 v26, v6",
         "v9 = popcnt32 v1;ret v9"),
    RULE("shift of a low half", "v3 = const #32;v4 = const #29;v5 = shl64 v1, v3;v9 = shr64 v5, v4",
         "v11 = zext64 v1, #32;v12 = const #3;v9 = shl64 v11, v12;ret v9"),
    RULE("shift of a low half with its sign",
         "v3 = const #32;v4 = const #29;v5 = shl64 v1, v3;v9 = sar64 v5, v4",
         "v11 = sext64 v1, #32;v12 = const #3;v9 = shl64 v11, v12;ret v9"),
    RULE("mask of what a shift drops", "v3 = const #-128;v4 = const #7;v5 = and64 v1, v3;v9 = shr64 v5, v4",
         "v4 = const #7;v9 = shr64 v1, v4;ret v9"),
    RULE("mask of what a shift of 32 bits drops",
         "v3 = const #-128;v4 = const #7;v5 = and64 v1, v3;v9 = shr32 v5, v4",
         "v4 = const #7;v9 = shr32 v1, v4;ret v9"),
    RULE("mask of what a shift drops, and of the upper half",
         "v3 = const #4294967168;v4 = const #7;v5 = and64 v1, v3;v9 = shr64 v5, v4",
         "v4 = const #7;v9 = shr32 v1, v4;ret v9"),
    RULE("a mask in 32 bits is one of the upper half, too",
         "v3 = const #-128;v4 = const #7;v5 = and32 v1, v3;v9 = shr64 v5, v4",
         "v4 = const #7;v9 = shr32 v1, v4;ret v9"),
    RULE("mask of what a shift to the left drops",
         "v3 = const #131071;v4 = const #47;v5 = and64 v1, v3;v9 = shl64 v5, v4",
         "v4 = const #47;v9 = shl64 v1, v4;ret v9"),
    RULE("a mask that takes one bit more",
         "v3 = const #-256;v4 = const #7;v5 = and64 v1, v3;v9 = shr64 v5, v4",
         "v3 = const #-256;v4 = const #7;v5 = and64 v1, v3;v9 = shr64 v5, v4;ret v9"),
    RULE("a mask that takes one bit more on the left",
         "v3 = const #131071;v4 = const #46;v5 = and64 v1, v3;v9 = shl64 v5, v4",
         "v3 = const #131071;v4 = const #46;v5 = and32 v1, v3;v9 = shl64 v5, v4;ret v9"),
    RULE("rotation behind a mask",
         "v3 = const #4294967168;v4 = const #7;v5 = and64 v1, v3;v6 = shr64 v5, v4;v7 = const #25;"
         "v8 = shl64 v1, v7;v10 = or64 v8, v6;v9 = zext64 v10, #32",
         "v7 = const #25;v10 = rol32 v1, v7;ret v10"),
    RULE("select of the same", "v9 = select64 eq64 v1, v2 ? v1 : v1", "ret v1"),
    RULE("select that is decided", "v3 = zext64 v1, #8;v4 = const #256;v9 = select64 ult64 v3, v4 ? v1 : v2",
         "ret v1"),
};

static void add_lines(char *text, size_t size, const char *lines)
{
    size_t n = str_len(text);
    for (bool start = true; *lines != '\0'; lines++) {
        n += str_format(text + n, size - n, "%s%c", start ? "  " : "", *lines == ';' ? '\n' : *lines);
        start = *lines == ';';
    }
    (void)str_format(text + n, size - n, "\n");
}

static void check_rule(const struct rule *rule)
{
    static char before[2048], after[2048];
    const char *start = "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n";
    str_copy(before, sizeof(before), start);
    str_copy(after, sizeof(after), "");
    add_lines(before, sizeof(before), rule->body);
    add_lines(before, sizeof(before), "ret v9");
    add_lines(after, sizeof(after), rule->wanted);
    REQUIRE(fixture_parse(before));
    REQUIRE(fixture_pass(opt_simplify));
    for (unsigned n = 0; n < 2 && fixture.changes != 0; n++) {
        REQUIRE(fixture_pass(opt_resimplify));
    }
    const char *text = fixture_print();
    for (unsigned skip = 2; skip != 0; text++) { // lines of the head, and parameters
        skip -= *text == '\n';
    }
    while (str_starts_with(text, "  v1 = param") || str_starts_with(text, "  v2 = param")) {
        while (*text++ != '\n') {
        }
    }
    CHECK_STR(text, after);
}

static uint64_t result_for(uint64_t x)
{
    struct ir_machine m = {.params = {x}, .steps = 10};
    uint64_t result = 0;
    CHECK_OK(ir_run(&fixture, &m, &result));
    return result;
}

// A mask of `mask_width` bits in front of a shift of `width`.
static void check_masked_shift(const char *op, unsigned width, unsigned mask_width, unsigned count,
                               uint64_t mask)
{
    static const uint64_t inputs[] = {UINT64_MAX, 0x8000000180000001, 0x0123456789abcdef, 0xfedcba9876543210};
    char text[256];
    uint64_t wanted[ARRAY_SIZE(inputs)];
    (void)str_format(text, sizeof(text),
                     "func 0 entry b1\nb1:\n  v1 = param #0\n  v3 = const #%lld\n  v4 = const #%u\n"
                     "  v5 = and%u v1, v3\n  v9 = %s%u v5, v4\n  ret v9\n",
                     (long long)mask, count, mask_width, op, width);
    REQUIRE(fixture_parse(text));
    for (unsigned i = 0; i < ARRAY_SIZE(inputs); i++) {
        wanted[i] = result_for(inputs[i]);
    }
    REQUIRE(fixture_pass(opt_simplify));
    for (unsigned i = 0; i < ARRAY_SIZE(inputs); i++) {
        if (result_for(inputs[i]) != wanted[i]) {
            test_fail(__FILE__, __LINE__, "%s%u by %u of and%u with %llx", op, width, count, mask_width,
                      (unsigned long long)mask);
        }
    }
}

// Masks that take just what the shift drops, or one bit more, with and without the upper half.
static void masks_in_front_of_shifts(void)
{
    static const char *const ops[] = {"shl", "shr", "sar", "rol"};
    static const unsigned counts[] = {0, 1, 7, 31, 32, 33, 63, 64};
    for (unsigned n = 0; n < 4 * ARRAY_SIZE(ops) * ARRAY_SIZE(counts); n++) {
        unsigned width = 32 << n % 2, mask_width = 32 << n / 2 % 2,
                 count = counts[n / 4 % ARRAY_SIZE(counts)];
        for (unsigned edge = 0; edge < 3; edge++) {
            unsigned bit = ((count & (width - 1)) + edge + 63) % 64; // one less, the same, one more
            uint64_t up = UINT64_MAX << bit, down = (uint64_t)UINT32_MAX >> bit % 32;
            const uint64_t masks[] = {up, ~up, up & UINT32_MAX, UINT64_MAX >> bit, down, down << bit % 32};
            for (unsigned i = 0; i < ARRAY_SIZE(masks); i++) {
                check_masked_shift(ops[n / 4 / ARRAY_SIZE(counts)], width, mask_width, count, masks[i]);
            }
        }
    }
}

// A part of v1 is compared with a number, and where each way goes with another one.
static void check_compared(const char *cond, unsigned width, unsigned shift, uint64_t number, uint64_t bound)
{
    static const uint64_t parts[] = {0, 1, 2, 127, 128, 254, 255};
    char text[512];
    uint64_t wanted[ARRAY_SIZE(parts)];
    (void)str_format(text, sizeof(text),
                     "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #%u\n  v3 = shr64 v1, v2\n"
                     "  v4 = const #%lld\n  v5 = const #%llu\n  branch %s%u v3, v4 -> b2, b3\n"
                     "b2: <- b1\n  v7 = const #1\n  v8 = select64 ult64 v3, v5 ? v7 : v1\n  ret v8\n"
                     "b3: <- b1\n  v10 = const #2\n  v11 = select64 ugt64 v3, v5 ? v10 : v1\n  ret v11\n",
                     shift, (long long)number, (unsigned long long)bound, cond, width);
    REQUIRE(fixture_parse(text));
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        wanted[i] = result_for(parts[i] * 0x0100000001000001);
    }
    REQUIRE(fixture_pass(opt_simplify));
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
        if (result_for(parts[i] * 0x0100000001000001) != wanted[i]) {
            test_fail(__FILE__, __LINE__, "%s%u with %llx after a shift by %u, then %llx: %llx", cond, width,
                      (unsigned long long)number, shift, (unsigned long long)bound,
                      (unsigned long long)parts[i]);
        }
    }
}

// Numbers at the ends of what the part can be, and beyond; the part has a byte, 40 bits, or all.
static void comparisons_with_numbers(void)
{
    static const char *const conds[] = {"eq",  "ne",  "ult", "uge", "ule", "ugt",
                                        "slt", "sge", "sle", "sgt", "set", "clear"};
    static const uint64_t numbers[] = {0, 1, 2, 128, 255, 256, UINT64_MAX};
    static const unsigned shifts[] = {56, 24, 0};
    for (unsigned n = 0; n < 2 * ARRAY_SIZE(conds) * ARRAY_SIZE(numbers) * ARRAY_SIZE(shifts); n++) {
        const char *cond = conds[n / 2 % ARRAY_SIZE(conds)];
        uint64_t number = numbers[n / 2 / ARRAY_SIZE(conds) % ARRAY_SIZE(numbers)];
        unsigned shift = shifts[n / 2 / ARRAY_SIZE(conds) / ARRAY_SIZE(numbers)];
        for (unsigned i = 0; i < 3; i++) {
            check_compared(cond, 32 << n % 2, shift, number, number + i - 1); // wraps
        }
    }
}

// The or has 32 bits only when it has been looked at: then it adds nothing.
static bool is_simplified_again(unsigned stores)
{
    static char text[8192];
    str_copy(text, sizeof(text), "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n");
    add_lines(text, sizeof(text), "v3 = const #4294967296;v4 = or64 v2, v3;v9 = udiv32 v1, v4");
    for (unsigned i = 0; i < stores; i++) {
        char line[64];
        (void)str_format(line, sizeof(line), "store64 [v1 + %u], v2", 8 * i);
        add_lines(text, sizeof(text), line);
    }
    add_lines(text, sizeof(text), "ret v9");
    if (!fixture_parse(text) || !fixture_pass(opt_simplify) || !fixture_pass(opt_resimplify)) {
        test_fail(__FILE__, __LINE__, "the function cannot be simplified");
    }
    return strstr(fixture_print(), "or32") == NULL;
}

static void a_second_look_is_for_functions_with_many_changes(void)
{
    CHECK(is_simplified_again(0));
    CHECK(!is_simplified_again(100));
}

// Nobody looks at the upper half of v4: what uses it gets v3, also where more do than a list holds.
static void extensions_go_where_nobody_sees(void)
{
    static const char *const head = "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n"
                                    "  v3 = load64 [v1]\n  v4 = zext64 v3, #32\n";
    static const char *const one = "  branch ult64 v1, v2 -> b2, b3\nb2: <- b1\n  jump -> b3\n"
                                   "b3: <- b1, b2\n  v5 = phi v4, v2\n  store32 [v1 + 8], v5\n  ret v1\n";
    static const char *const many =
        "  branch ult64 v1, v2 -> b8, b2\nb2: <- b1\n  branch ult64 v1, v3 -> b8, b3\n"
        "b3: <- b2\n  branch ult64 v2, v3 -> b8, b4\nb4: <- b3\n  branch slt64 v2, v3 -> b8, b5\n"
        "b5: <- b4\n  branch slt64 v1, v3 -> b8, b6\nb6: <- b5\n  branch slt64 v1, v2 -> b8, b7\n"
        "b7: <- b6\n  jump -> b8\nb8: <- b1, b2, b3, b4, b5, b6, b7\n"
        "  v5 = phi v4, v4, v4, v4, v4, v4, v2\n  store32 [v1 + 8], v5\n  ret v1\n";
    const char *const bodies[] = {one, many};
    const char *const wanted[] = {"v5 = phi v3, v2\n", "v5 = phi v3, v3, v3, v3, v3, v3, v2\n"};
    for (unsigned i = 0; i < ARRAY_SIZE(bodies); i++) {
        char text[1024];
        (void)str_format(text, sizeof(text), "%s%s", head, bodies[i]);
        REQUIRE(fixture_parse(text));
        REQUIRE(fixture_pass(opt_simplify));
        CHECK(strstr(fixture_print(), wanted[i]) != NULL);
        CHECK(strstr(fixture_text, "zext") == NULL);
        CHECK(fixture.ir.tidy);
    }
}

// Without the extension the PHI has one value: the function says that it is not tidy.
static void extensions_that_go_may_leave_one_value(void)
{
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v3 = load64 [v1]\n"
                          "  v4 = zext64 v3, #32\n  branch ult64 v1, v2 -> b2, b3\nb2: <- b1\n  jump -> b3\n"
                          "b3: <- b1, b2\n  v5 = phi v4, v3\n  store32 [v1 + 8], v5\n  ret v1\n"));
    REQUIRE(fixture_pass(opt_simplify));
    CHECK(strstr(fixture_print(), "v5 = phi v3, v3\n") != NULL);
    CHECK(!fixture.ir.tidy);
}

TEST_SUITE(opt_simplify)
{
    RUN(extensions_go_where_nobody_sees);
    RUN(extensions_that_go_may_leave_one_value);
    RUN(masks_in_front_of_shifts);
    RUN(comparisons_with_numbers);
    for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
        RUN_WITH(rules[i].name, check_rule, &rules[i]);
    }
    RUN(a_second_look_is_for_functions_with_many_changes);
}
