// SPDX-License-Identifier: MIT
// Whole translations, for both machines: what is too much, and what cannot be.
#include "jit/jit.h"

#include <stdlib.h>

#include "jit/ir.h"
#include "tests/test.h"

enum { INSNS = 4000, WORKSPACE = 16 << 20, CODE = 1 << 20 };

static struct insn insns[INSNS];
static uint32_t insn_count;
static uint8_t *workspace, *bytes;
static bool blind;
static unsigned plain; // dumps that came from a second, plainer attempt

static void add(enum insn_id id, uint8_t dst, uint8_t src, int16_t off, int64_t imm)
{
    insns[insn_count++] = (struct insn){.id = id, .dst = dst, .src = src, .off = off, .imm = imm};
}

static void count_builds(void *user, const char *pass, const struct ir *ir)
{
    UNUSED(user);
    UNUSED(ir);
    plain += str_equal(pass, "build");
}

static ebpf_result_t translate(enum jit_arch arch, size_t workspace_size, size_t capacity, uint32_t *bad_pc)
{
    static const enum jit_abi abis[] = {[JIT_X86_64] = JIT_ABI_SYSV, [JIT_ARM64] = JIT_ABI_AAPCS64};
    const struct func func = {.start = 0, .end = insn_count};
    const struct jit_input input = {.insns = insns,
                                    .insn_count = insn_count,
                                    .funcs = &func,
                                    .func_count = 1,
                                    .call_number = 1,
                                    .raw = true,
                                    .load_packet = 1};
    const struct jit_options options = {.arch = (uint8_t)arch,
                                        .abi = (uint8_t)abis[arch],
                                        .cpu = UINT32_MAX,
                                        .passes = JIT_ALL_PASSES,
                                        .blind = blind,
                                        .blind_seed = 7,
                                        .dump = count_builds};
    struct jit_code code = {.code = bytes, .capacity = capacity};
    plain = 0;
    return jit_translate(&input, &options, workspace, workspace_size, &code, bad_pc);
}

// Equal sums, computed three times over: value numbering would keep hundreds of them at once.
static void make_crowded(void)
{
    insn_count = 0;
    add(INSN_MOV64_IMM, 0, 0, 0, 0);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 300; i++) {
            add(INSN_MOV64_REG, 3, 1, 0, 0);
            add(INSN_ADD64_IMM, 3, 0, 0, 8 * i + 1);
            add(INSN_MUL64_IMM, 3, 0, 0, 2 * i + 3);
            add(INSN_XOR64_REG, 0, 3, 0, 0);
        }
    }
    add(INSN_EXIT, 0, 0, 0, 0);
}

static void more_values_than_a_frame_holds_are_computed_again(void)
{
    for (unsigned arch = JIT_X86_64; arch <= JIT_ARM64; arch++) {
        uint32_t bad_pc;
        make_crowded();
        CHECK_OK(translate((enum jit_arch)arch, WORKSPACE, CODE, &bad_pc));
        CHECK_EQ(plain, 2);
    }
}

// Hidden factors of many divisions in a loop.
static void many_hidden_factors_are_too_many_values(void)
{
    blind = true;
    for (unsigned arch = JIT_X86_64; arch <= JIT_ARM64; arch++) {
        uint32_t bad_pc;
        insn_count = 0;
        add(INSN_MOV64_IMM, 0, 0, 0, 0);
        add(INSN_LDXDW, 2, 1, 0, 0);
        for (unsigned i = 0; i < 200; i++) {
            add(INSN_MOV64_REG, 3, 2, 0, 0);
            add(INSN_DIV64_IMM, 3, 0, 0, 1003 + 2 * i);
            add(INSN_ADD64_REG, 0, 3, 0, 0);
        }
        add(INSN_JNE64_IMM, 2, 0, (int16_t)(1 - (int)insn_count - 1), 7);
        add(INSN_EXIT, 0, 0, 0, 0);
        CHECK_OK(translate((enum jit_arch)arch, WORKSPACE, CODE, &bad_pc));
    }
    blind = false;
}

// --- workspace -----------------------------------------------------------------------------------

enum { HELPER_PLAIN = 1, HELPER_FIND, HELPER_OTHER, HELPERS, MAPS = 3 };

static const struct jit_helper helpers[HELPERS] = {[HELPER_PLAIN] = {0x1000, JIT_HELPER_CALL, 5},
                                                   [HELPER_FIND] = {0x2000, JIT_HELPER_MAP_LOOKUP, 2},
                                                   [HELPER_OTHER] = {0x3000, JIT_HELPER_CALL, 3}};
static const struct jit_map maps[MAPS] = {
    {.address = 0x4000, .lookup = 0x4400}, {.address = 0x5000, .lookup = 0x5500}, {.address = 0x6000}};

// A program whose last `last` instructions are a function of their own; 0: there is one function.
static ebpf_result_t translate_text(const char *text, uint32_t last, enum jit_arch arch, size_t size,
                                    struct jit_code *out)
{
    static struct jit_call calls[16];
    uint32_t line, bad_pc;
    if (isa_assemble(text, insns, INSNS, &insn_count, &line) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "line %u does not assemble", line);
        return EBPF_INVALID_ARGUMENT;
    }
    const struct func funcs[] = {{.end = insn_count - last}, {.start = insn_count - last, .end = insn_count}};
    const struct jit_input input = {.insns = insns,
                                    .insn_count = insn_count,
                                    .funcs = funcs,
                                    .func_count = 1 + (last != 0),
                                    .maps = maps,
                                    .map_count = MAPS,
                                    .helpers = helpers,
                                    .helper_count = HELPERS,
                                    .load_packet = 0x7000};
    const struct jit_options options = {.arch = (uint8_t)arch,
                                        .abi = arch == JIT_ARM64 ? JIT_ABI_AAPCS64 : JIT_ABI_SYSV,
                                        .passes = JIT_ALL_PASSES};
    *out = (struct jit_code){.code = bytes, .capacity = CODE, .calls = calls, .call_capacity = 16};
    return jit_translate(&input, &options, workspace, size, out, &bad_pc);
}

// Loops, memory, the stack, calls and numbers that are made anew: whatever takes memory.
static const char busy[] = "mov %r6, %r1\nmov %r7, 0\nstxdw [%r10-8], %r2\nstxdw [%r10-16], %r7\nloop:\n"
                           "ldxdw %r3, [%r10-8]\nmov %r4, %r7\nlsh %r4, 3\nadd %r4, %r6\nldxdw %r5, [%r4]\n"
                           "xor %r5, %r3\nmod %r5, 10\njeq %r5, 1, one\njeq %r5, 2, two\njeq %r5, 3, one\n"
                           "jeq %r5, 4, two\njeq %r5, 5, one\njeq %r5, 6, two\njeq %r5, 7, one\nja next\n"
                           "one:\nmov %r1, %r5\nmov %r2, %r7\nmov %r3, 7\ncall 3\nxor %r7, %r0\nja next\n"
                           "two:\nlddw_map %r1, 0\nmov %r2, %r10\nadd %r2, -16\ncall 2\njeq %r0, 0, next\n"
                           "ldxdw %r0, [%r0]\nadd %r7, %r0\nnext:\nadd %r7, 1\njlt %r7, 100, loop\n"
                           "mov %r0, %r7\ndiv %r0, 10\nexit\n";

static void small_programs_need_little_workspace(void)
{
    static const struct {
        const char *text;
        uint32_t most; // bytes an instruction
    } programs[] = {
        {"mov %r0, 0\nexit\n", 400},
        {"mov %r6, %r1\nmov %r3, 5\ncall 1\nexit\n", 400},
        {"mov %r6, %r1\nldxdw %r0, [%r6]\njeq %r0, 0, end\nldxdw %r0, [%r6+8]\nend:\nexit\n", 430},
        {"mov %r6, %r1\nmov %r7, 1\nmov %r8, 2\nstdw [%r10-16], 0\nmov %r0, %r8\nexit\n", 300},
        {"mov %r6, %r1\nldxdw %r0, [%r6]\nldxdw %r3, [%r6+8]\nadd %r0, %r3\nrsh %r0, 1\nexit\n", 300},
        {"mov %r6, 0\nmov %r7, 0\nloop:\ncall 1\nadd %r6, %r0\nadd %r7, 1\njlt %r7, 9, loop\ncall 3\n"
         "xor %r6, %r0\nmov %r0, %r6\nrsh %r0, 5\nand %r0, 15\nexit\n",
         400},
        {busy, 320},
    };
    for (unsigned arch = JIT_X86_64; arch <= JIT_ARM64; arch++) {
        for (unsigned i = 0; i < ARRAY_SIZE(programs); i++) {
            struct jit_code out;
            CHECK_OK(translate_text(programs[i].text, 0, (enum jit_arch)arch, WORKSPACE, &out));
            if (out.workspace_used > (size_t)programs[i].most * insn_count) {
                test_fail(__FILE__, __LINE__, "arch %u, program %u: %zu bytes for %u instructions", arch, i,
                          out.workspace_used, insn_count);
            }
        }
    }
}

// One instruction that is taken in three times calls three functions.
static void a_call_has_as_many_targets_as_maps(void)
{
    static const char text[] =
        "stw [%r10-4], 0\nlddw_map %r1, 0\ncall local f\nmov %r6, %r0\nlddw_map %r1, 1\ncall local f\n"
        "add %r6, %r0\nlddw_map %r1, 2\ncall local f\nadd %r0, %r6\nexit\n"
        "f:\nmov %r2, %r10\nadd %r2, -4\ncall 2\nexit\n";
    struct jit_code out;
    REQUIRE_OK(translate_text(text, 4, JIT_X86_64, WORKSPACE, &out));
    REQUIRE(out.call_count == 3);
    CHECK_EQ(out.calls[0].target, 0x4400);
    CHECK_EQ(out.calls[1].target, 0x5500);
    CHECK_EQ(out.calls[2].target, 0x2000);
}

// From too little to enough: first an error, then none; never anything else, and always the same code.
static void less_workspace_is_an_error(void)
{
    static uint8_t first[4096];
    for (unsigned arch = JIT_X86_64; arch <= JIT_ARM64; arch++) {
        struct jit_code out;
        REQUIRE_OK(translate_text(busy, 0, (enum jit_arch)arch, WORKSPACE, &out));
        size_t size = out.size, needed = out.workspace_used;
        REQUIRE(size <= sizeof(first));
        memcpy(first, bytes, size);
        for (size_t given = 4096; given < needed; given += 48) {
            CHECK_EQ(translate_text(busy, 0, (enum jit_arch)arch, given & ~(size_t)15, &out), EBPF_NO_MEMORY);
        }
        CHECK_OK(translate_text(busy, 0, (enum jit_arch)arch, needed + 64, &out));
        CHECK(out.size == size && memcmp(bytes, first, size) == 0);
    }
}

// From nothing to enough.
static void short_buffers_are_errors(void)
{
    insn_count = 0;
    add(INSN_MOV64_REG, 0, 1, 0, 0);
    add(INSN_DIV64_REG, 0, 2, 0, 0);
    add(INSN_EXIT, 0, 0, 0, 0);
    for (unsigned arch = JIT_X86_64; arch <= JIT_ARM64; arch++) {
        uint32_t bad_pc;
        bool enough = false;
        for (size_t size = 0; size < 128 * 1024; size += 1024) {
            ebpf_result_t result = translate((enum jit_arch)arch, size, CODE, &bad_pc);
            CHECK(result == EBPF_SUCCESS || (result == EBPF_NO_MEMORY && !enough));
            enough = enough || result == EBPF_SUCCESS;
        }
        CHECK(enough);
        enough = false;
        for (size_t size = 0; size < 512; size++) {
            ebpf_result_t result = translate((enum jit_arch)arch, WORKSPACE, size, &bad_pc);
            CHECK(result == EBPF_SUCCESS || (result == EBPF_INSUFFICIENT_BUFFER && !enough));
            enough = enough || result == EBPF_SUCCESS;
        }
        CHECK(enough);
    }
}

static void what_has_no_translation_is_named(void)
{
    for (unsigned arch = JIT_X86_64; arch <= JIT_ARM64; arch++) {
        uint32_t bad_pc;
        insn_count = 0;
        add(INSN_MOV64_IMM, 0, 0, 0, 0);
        add(INSN_CALL_BTF, 0, 0, 0, 7);
        add(INSN_EXIT, 0, 0, 0, 0);
        CHECK_EQ(translate((enum jit_arch)arch, WORKSPACE, CODE, &bad_pc), EBPF_JIT_COMPILATION_FAILED);
        CHECK_EQ(bad_pc, 1);
    }
}

TEST_SUITE(jit)
{
    workspace = malloc(WORKSPACE);
    bytes = malloc(CODE);
    REQUIRE(workspace != NULL && bytes != NULL);
    RUN(more_values_than_a_frame_holds_are_computed_again);
    RUN(many_hidden_factors_are_too_many_values);
    RUN(small_programs_need_little_workspace);
    RUN(a_call_has_as_many_targets_as_maps);
    RUN(less_workspace_is_an_error);
    RUN(short_buffers_are_errors);
    RUN(what_has_no_translation_is_named);
    free(workspace);
    free(bytes);
}
