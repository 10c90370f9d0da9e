// SPDX-License-Identifier: MIT
// Trees of comparisons become tables that lead to the same blocks, for every number.
#include "jit/opt_fixture.h"

enum { CASES = 8 };

static uint64_t run(uint64_t number)
{
    struct ir_machine m = {.params = {number}, .steps = 1000};
    uint64_t result = 0;
    CHECK_OK(ir_run(&fixture, &m, &result));
    return result;
}

// `case first + i: return 100 + i; default: return 99`, in `bits` bits.
static const char *chain(unsigned first, unsigned step, unsigned bits)
{
    static char text[8192];
    size_t n = str_format(text, sizeof(text),
                          "func 0 entry b1\nb1:\n  v1 = param #0\n  v2 = const #99\n  jump -> b10\n");
    for (unsigned i = 0; i < CASES; i++) {
        n += str_format(text + n, sizeof(text) - n,
                        "b%u: <- b%u\n  v%u = const #%u\n  branch eq%u v1, v%u -> b%u, b%u\n"
                        "b%u: <- b%u\n  v%u = const #%u\n  jump -> b2\n",
                        10 + i, i == 0 ? 1 : 9 + i, 10 + i, first + i * step, bits, 10 + i, 30 + i, 11 + i,
                        30 + i, 10 + i, 30 + i, 100 + i);
    }
    n += str_format(text + n, sizeof(text) - n, "b%u: <- b%u\n  jump -> b2\nb2: <- ", 10 + CASES, 9 + CASES);
    for (unsigned i = 0; i < CASES; i++) {
        n += str_format(text + n, sizeof(text) - n, "b%u, ", 30 + i);
    }
    n += str_format(text + n, sizeof(text) - n, "b%u\n  v3 = phi ", 10 + CASES);
    for (unsigned i = 0; i < CASES; i++) {
        n += str_format(text + n, sizeof(text) - n, "v%u, ", 30 + i);
    }
    (void)str_format(text + n, sizeof(text) - n, "v2\n  ret v3\n");
    return text;
}

static void check_chain(unsigned first, unsigned step, unsigned bits, bool becomes_table)
{
    REQUIRE(fixture_parse(chain(first, step, bits)));
    REQUIRE(fixture_pass(opt_switch));
    CHECK_EQ(fixture_contains("switch"), becomes_table);
    for (uint64_t number = 0; number < first + CASES * step + 5; number++) {
        bool hit = number >= first && number < first + CASES * step && (number - first) % step == 0;
        uint64_t wanted = hit ? 100 + (number - first) / step : 99;
        CHECK_EQ(run(number), wanted);
        CHECK_EQ(run(number | 0xdead00000000), bits == 32 ? wanted : 99);
    }
    CHECK_EQ(run(UINT64_MAX), 99);
    CHECK_EQ(run(0x80000000), 99);
    CHECK_EQ(run((uint64_t)1 << 63), bits == 32 && first == 0 ? 100 : 99);
}

static void chains(void)
{
    check_chain(0, 1, 64, true);
    check_chain(0, 1, 32, true);
    check_chain(3, 1, 32, true);
    check_chain(1000, 2, 64, true);
    check_chain(1000, 2, 32, true);
    check_chain(10, 50, 64, false); // too sparse
}

static void not_with_retpolines(void)
{
    fixture_options.retpoline = true;
    check_chain(0, 1, 64, false);
    fixture_options.retpoline = false;
}

enum { TESTS = 6, TREES = 160, APART = 16 };

// Tree t: `if (n - 16 * t < 6) return n - 16 * t + 1000 * t`, one comparison for each number; all of them
// lead to the same block, whose PHIs tell the trees apart.
static const char *forest(unsigned trees)
{
    static char text[64 * 1024];
    size_t n = 0;
    for (unsigned t = 0; t < trees; t++) {
        n += str_format(text + n, sizeof(text) - n, "mov %%r2, %%r1\nsub %%r2, %u\nmov %%r3, %u\n", APART * t,
                        1000 * t);
        for (unsigned i = 0; i < TESTS; i++) {
            n += str_format(text + n, sizeof(text) - n, "jeq %%r2, %u, hit\n", i);
        }
    }
    (void)str_format(text + n, sizeof(text) - n,
                     "mov %%r0, 99\nexit\nhit:\nmov %%r0, %%r2\nadd %%r0, %%r3\nexit\n");
    return text;
}

static bool build(const char *text)
{
    static struct insn insns[4096];
    static struct func func;
    static struct jit_input input;
    uint32_t line;
    input = (struct jit_input){.insns = insns, .funcs = &func, .func_count = 1};
    if (isa_assemble(text, insns, ARRAY_SIZE(insns), &input.insn_count, &line) != EBPF_SUCCESS ||
        !fixture_begin()) {
        return false;
    }
    func.end = input.insn_count;
    fixture.input = &input;
    if (build_program(&fixture) != EBPF_SUCCESS) {
        return false;
    }
    jit_begin_function(&fixture, 0);
    return build_function(&fixture) == EBPF_SUCCESS && ir_clean(&fixture) == EBPF_SUCCESS;
}

// Memory that the pass takes for so many trees.
static size_t plant(unsigned trees)
{
    CHECK(build(forest(trees)));
    size_t before = fixture.memory.used;
    CHECK(fixture_pass(opt_switch));
    uint32_t tables = 0;
    for (uint32_t i = 0; i < fixture.ir.order_count; i++) {
        tables += ir_block_at(&fixture.ir, fixture.ir.order[i])->target_count == TESTS;
    }
    CHECK_EQ(tables, trees);
    for (uint64_t number = 0; number < (uint64_t)trees * APART + 2; number++) {
        uint64_t t = number / APART, rest = number % APART;
        CHECK_EQ(run(number), t < trees && rest < TESTS ? rest + 1000 * t : 99);
    }
    return fixture.memory.used - before;
}

// A tree costs the same however many others lead to the same block.
static void many_trees_share_a_block(void)
{
    size_t few = plant(TREES / 8), many = plant(TREES);
    CHECK(many < 10 * few);
}

TEST_SUITE(opt_switch)
{
    RUN(chains);
    RUN(not_with_retpolines);
    RUN(many_trees_share_a_block);
}
