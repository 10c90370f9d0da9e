// SPDX-License-Identifier: MIT
// The interpreter of the intermediate form against numbers that were worked out by hand from RFC 9669.
#include "jit/opt_fixture.h"

struct sample {
    const char *body; // v1 and v2 are parameters, v9 is returned
    uint64_t a, b, wanted;
};

static const struct sample samples[] = {
    {"v9 = udiv64 v1, v2", 7, 0, 0},
    {"v9 = umod64 v1, v2", 7, 0, 7},
    {"v9 = umod32 v1, v2", 0x100000007, 0xffffffff00000000, 7},
    {"v9 = sdiv64 v1, v2", 0x8000000000000000, UINT64_MAX, 0x8000000000000000},
    {"v9 = smod64 v1, v2", 0x8000000000000000, UINT64_MAX, 0},
    {"v9 = sdiv32 v1, v2", 0x80000000, 0xffffffff, 0x80000000},
    {"v9 = sdiv32 v1, v2", 0xfffffff9, 2, 0xfffffffd},
    {"v9 = smod32 v1, v2", 0xfffffff9, 2, 0xffffffff},
    {"v9 = smod64 v1, v2", 5, 0, 5},
    {"v9 = add32 v1, v2", 0xffffffff, 1, 0},
    {"v9 = sub32 v1, v2", 0, 1, 0xffffffff},
    {"v9 = shl64 v1, v2", 1, 65, 2},
    {"v9 = shl32 v1, v2", 1, 33, 2},
    {"v9 = sar32 v1, v2", 0x80000000, 31, 0xffffffff},
    {"v9 = shr64 v1, v2", 0x8000000000000000, 63, 1},
    {"v9 = rol32 v1, v2", 0x80000001, 1, 3},
    {"v9 = rol64 v1, v2", 0x8000000000000001, 64, 0x8000000000000001},
    {"v9 = mulhu v1, v2", UINT64_MAX, UINT64_MAX, 0xfffffffffffffffe},
    {"v9 = neg32 v1", 1, 0, 0xffffffff},
    {"v9 = sext64 v1, #8", 0x180, 0, 0xffffffffffffff80},
    {"v9 = sext32 v1, #16", 0x8000, 0, 0xffff8000},
    {"v9 = zext64 v1, #16", 0x12345, 0, 0x2345},
    {"v9 = bswap64 v1, #16", 0x12345, 0, 0x4523},
    {"v9 = bswap64 v1, #32", 0xff11223344, 0, 0x44332211},
    {"v9 = andn64 v1, v2", 0xf0, 0xff, 0x0f},
    {"v9 = bits64 v1, #4, #8", 0xabcd, 0, 0xb},
    {"v9 = popcnt32 v1", 0xf0000000f, 0, 4},
    {"v9 = clz32 v1", 1, 0, 31},
    {"v9 = clz64 v1", 0, 0, 64},
    {"v9 = ctz32 v1", 0x100000000, 0, 32},
    {"v9 = lea64 [v1 + v2 << 3 - 5]", 100, 2, 111},
    {"v9 = lea32 [v1 + v2 << 3 + 5]", 0xfffffff0, 2, 5},
    {"v9 = select64 slt32 v1, v2 ? v1 : v2", 0xffffffff, 0, 0xffffffff},
    {"v9 = select64 slt64 v1, v2 ? v1 : v2", 0xffffffff, 0, 0},
    {"v9 = select64 set64 v1, #4 ? v1 : v2", 6, 1, 6},
};

static void check_sample(const struct sample *s)
{
    char text[256];
    (void)str_format(text, sizeof(text),
                     "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  %s\n  ret v9\n", s->body);
    struct ir_machine m = {.params = {s->a, s->b}, .steps = 10};
    uint64_t result = 0;
    REQUIRE(fixture_parse(text));
    REQUIRE_OK(ir_run(&fixture, &m, &result));
    CHECK_EQ(result, s->wanted);
}

// Two PHIs that exchange their values are read at once.
static void phis_are_read_at_once(void)
{
    struct ir_machine m = {.params = {3, 10}, .steps = 100};
    uint64_t result = 0;
    REQUIRE(fixture_parse(
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v3 = const #0\n  v4 = const #1\n"
        "  jump -> b2\nb2: <- b1, b2\n  v5 = phi v1, v6\n  v6 = phi v2, v5\n  v7 = phi v3, v8\n"
        "  v8 = add64 v7, v4\n  branch ult64 v8, #2 -> b2, b3\nb3: <- b2\n  v9 = sub64 v5, v6\n"
        "  ret v9\n"));
    REQUIRE_OK(ir_run(&fixture, &m, &result));
    CHECK_EQ(result, 7);
}

static void memory(void)
{
    uint64_t cells[3] = {0x1122334455667788, 0, 0}, result = 0;
    struct ir_machine m = {.params = {(uint64_t)(uintptr_t)cells}, .steps = 100};
    REQUIRE(fixture_parse(
        "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = loadbe32 [v1 + 2]\n  v3 = loads8 [v1]\n"
        "  storebe16 [v1 + 8], v2\n  store8 [v1 + 10], #-1\n  v4 = fetch_add32 [v1 + 16], v3\n"
        "  v5 = const #4294967176\n  v6 = cmpxchg32 [v1 + 16], v5, v1\n  v7 = xchg64 [v1 + 16], v2\n"
        "  v8 = add64 v2, v6\n  ret v8\n"));
    REQUIRE_OK(ir_run(&fixture, &m, &result));
    CHECK_EQ(result, (uint64_t)0x66554433 + 0xffffff88);
    CHECK_EQ(cells[1], 0xff3344);
    CHECK_EQ(cells[2], 0x66554433);
}

static void steps_are_limited(void)
{
    struct ir_machine m = {.steps = 1000};
    uint64_t result = 0;
    REQUIRE(fixture_parse("func 0 entry b1\nb1:\n  jump -> b2\nb2: <- b1, b2\n  jump -> b2\n"));
    CHECK_EQ(ir_run(&fixture, &m, &result), EBPF_TIMEOUT);
}

TEST_SUITE(ir_interp)
{
    for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
        RUN_WITH(samples[i].body, check_sample, &samples[i]);
    }
    RUN(phis_are_read_at_once);
    RUN(memory);
    RUN(steps_are_limited);
}
