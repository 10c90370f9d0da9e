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

// From nothing to enough: first an error, then none; never anything else.
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
    RUN(short_buffers_are_errors);
    RUN(what_has_no_translation_is_named);
    free(workspace);
    free(bytes);
}
