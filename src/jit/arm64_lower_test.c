// SPDX-License-Identifier: MIT
// What the lowering towards A64 makes of operations; the meaning stays the same.
#include "jit/ir.h"
#include "jit/target.h"
#include "tests/test.h"

static _Alignas(16) uint8_t workspace[256 * 1024];
static const struct jit_options options = {.arch = JIT_ARM64, .passes = JIT_ALL_PASSES};
static struct jit jit;
static char printed[8 * 1024];

static void collect(void *user, const char *line)
{
    UNUSED(user);
    if (line[0] != ' ' || (line[2] == 'v' && line[3] < '4' && line[4] == ' ')) {
        return; // the parameters
    }
    size_t length = str_len(printed);
    (void)str_format(printed + length, sizeof(printed) - length, "%s\n", line);
}

static bool parse(const char *text)
{
    uint32_t line;
    jit = (struct jit){.options = &options, .target = &arm64_target};
    if (jit_begin(&jit, workspace, sizeof(workspace)) != EBPF_SUCCESS) {
        return false;
    }
    jit_begin_function(&jit, 0);
    return ir_parse(&jit, text, &line) == EBPF_SUCCESS && ir_find_order(&jit) == EBPF_SUCCESS &&
           ir_find_loops(&jit) == EBPF_SUCCESS;
}

static uint8_t memory[4096];

static uint64_t interpret(uint64_t a, uint64_t b)
{
    struct ir_machine machine = {.params = {a, b, 0, 0, 0, (uint64_t)(uintptr_t)memory}, .steps = 1000};
    uint64_t result = 0;
    CHECK_OK(ir_run(&jit, &machine, &result));
    return result;
}

static const uint64_t numbers[] = {0, 1, 31, 0x80000000, 0x123456789abcdef0, UINT64_MAX};

// v1 is r1, v2 is r2, v3 an address.
#define HEAD "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = param #1\n  v3 = param #5\n"

struct example {
    const char *name, *before, *after;
};
static const struct example examples[] = {
    {"numbers that fit",
     "  v4 = const #5\n  v5 = add64 v1, v4\n  v6 = const #255\n  v7 = and32 v6, v5\n  ret v7\n",
     "  v5 = add64 v1, #5\n  v7 = and32 v5, #255\n  ret v7\n"},
    {"numbers that do not", "  v4 = add64 v1, #4097\n  v5 = and64 v4, #5\n  ret v5\n",
     "  v7 = const #4097\n  v4 = add64 v1, v7\n  v8 = const #5\n  v5 = and64 v4, v8\n  ret v5\n"},
    {"shift counts beyond the width", "  v4 = const #-31\n  v5 = shl32 v1, v4\n  ret v5\n",
     "  v5 = shl32 v1, #1\n  ret v5\n"},
    {"a number on the left", "  v4 = const #7\n  v5 = select64 ult32 v4, v1 ? v1 : v2\n  ret v5\n",
     "  v5 = select64 ugt32 v1, #7 ? v1 : v2\n  ret v5\n"},
    {"tests of bits", "  v4 = const #12\n  v5 = select64 set64 v1, v4 ? v1 : v2\n  ret v5\n",
     "  v5 = select64 set64 v1, #12 ? v1 : v2\n  ret v5\n"},
    {"complement", "  v4 = const #-1\n  v5 = xor64 v1, v4\n  v6 = and64 v2, v5\n  ret v6\n",
     "  v6 = andn64 v1, v2\n  ret v6\n"},
    {"bits after a shift", "  v4 = shr64 v1, #60\n  v5 = and64 v4, #255\n  ret v5\n",
     "  v5 = bits64 v1, #4, #60\n  ret v5\n"},
    {"bits between shifts", "  v4 = shl32 v1, #4\n  v5 = shr32 v4, #9\n  ret v5\n",
     "  v5 = bits32 v1, #23, #5\n  ret v5\n"},
    {"base and displacement", "  v4 = add64 v3, #8\n  v5 = load64 [v4 + 16]\n  ret v5\n",
     "  v5 = load64 [v3 + 24]\n  ret v5\n"},
    {"base and index",
     "  v4 = and64 v1, #7\n  v5 = shl64 v4, #2\n  v6 = add64 v3, v5\n  v7 = load32 [v6]\n  ret v7\n",
     "  v4 = and64 v1, #7\n  v7 = load32 [v3 + v4 << 2]\n  ret v7\n"},
    {"not base, index and displacement",
     "  v4 = and64 v1, #7\n  v5 = add64 v3, v4\n  v6 = load8 [v5 + 9]\n  ret v6\n",
     "  v4 = and64 v1, #7\n  v5 = add64 v3, v4\n  v6 = load8 [v5 + 9]\n  ret v6\n"},
    {"a scale of another size",
     "  v4 = and64 v1, #7\n  v5 = shl64 v4, #3\n  v6 = add64 v3, v5\n  v7 = load32 [v6]\n  ret v7\n",
     "  v4 = and64 v1, #7\n  v5 = shl64 v4, #3\n  v7 = load32 [v3 + v5]\n  ret v7\n"},
    {"zero is stored", "  v4 = const #0\n  store32 [v3 + 4], v4\n  v5 = load64 [v3]\n  ret v5\n",
     "  store32 [v3 + 4], #0\n  v5 = load64 [v3]\n  ret v5\n"},
    {"another number is stored", "  store32 [v3 + 4], #9\n  v5 = load64 [v3]\n  ret v5\n",
     "  v8 = const #9\n  store32 [v3 + 4], v8\n  v5 = load64 [v3]\n  ret v5\n"},
    {"sum with a shift", "  v4 = shl64 v1, #3\n  v5 = add64 v2, v4\n  ret v5\n",
     "  v5 = lea64 [v2 + v1 << 3]\n  ret v5\n"},
    {"a shift moves to its user", "  v4 = rol64 v1, #9\n  v5 = add64 v1, v2\n  v6 = xor64 v4, v5\n  ret v6\n",
     "  v5 = add64 v1, v2\n  v8 = rol64 v1, #9\n  v6 = xor64 v8, v5\n  ret v6\n"},
    {"an address in the frame", "  v4 = frame\n  v5 = add64 v4, #-16\n  v6 = sub64 v5, v4\n  ret v6\n",
     "  v4 = frame\n  v5 = lea64 [v4 - 16]\n  v6 = sub64 v5, v4\n  ret v6\n"},
    {"a number leaves its loop",
     "  jump -> b2\nb2: <- b1, b2\n  v4 = phi v1, v6\n  v5 = const #4097\n  v6 = udiv64 v4, v5\n"
     "  branch ne64 v6, #0 -> b2, b3\nb3: <- b2\n  ret v4\n",
     "  v68 = const #4097\n  jump -> b2\n  v4 = phi v1, v6\n  v6 = udiv64 v4, v68\n  branch ne64 v6, #0 -> "
     "b2, "
     "b3\n  ret v4\n"},
    {"population count", "  v4 = popcnt32 v1\n  ret v4\n",
     "  v6 = shr32 v1, #1\n  v7 = and32 v6, #1431655765\n  v8 = sub32 v1, v7\n  v9 = shr32 v8, #2\n  v10 = "
     "and32 v9, #858993459\n  v11 = and32 v8, #858993459\n  v12 = add32 v11, v10\n  v18 = shr32 v12, #4\n  "
     "v14 = add32 v12, v18\n  v15 = and32 v14, #252645135\n  v16 = const #16843009\n  v17 = mul32 v15, v16\n "
     " v4 = shr32 v17, #24\n  ret v4\n"},
};

static void show(const struct example *e)
{
    char text[1024];
    (void)str_format(text, sizeof(text), HEAD "%s", e->before);
    REQUIRE(parse(text));
    uint64_t wanted[ARRAY_SIZE(numbers) * ARRAY_SIZE(numbers)];
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        wanted[i] = interpret(numbers[i / ARRAY_SIZE(numbers)], numbers[i % ARRAY_SIZE(numbers)]);
    }
    uint32_t where;
    REQUIRE_OK(arm64_target.lower(&jit));
    CHECK(ir_check(&jit, &where) == NULL);
    REQUIRE_OK(ir_clean(&jit));
    CHECK(ir_check(&jit, &where) == NULL);
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        CHECK_EQ(interpret(numbers[i / ARRAY_SIZE(numbers)], numbers[i % ARRAY_SIZE(numbers)]), wanted[i]);
    }
    printed[0] = '\0';
    ir_print(&jit.ir, collect, NULL);
    CHECK_STR(printed, e->after);
}

TEST_SUITE(arm64_lower)
{
    for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
        RUN_WITH(examples[i].name, show, &examples[i]);
    }
}
