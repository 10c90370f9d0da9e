// SPDX-License-Identifier: MIT
// x86_fixture: runs machine code of x86-64 under every configuration, for the tests of x86_*.c. The caller
// looks whether registers that it owns came back unharmed.
#pragma once

#include "jit/ir.h"
#include "jit/target.h"
#include "plat/plat.h"
#include "tests/test.h"

#if defined(__x86_64__)
#define X86_RUNS 1
#include <stdlib.h>
#include <string.h>

// --- running -------------------------------------------------------------------------------------

enum { SLOTS = 3000, CODE = 1 << 17, WORKSPACE = 4 << 20, MEMORY = 256 };

struct call {
    uint64_t rdi, rsi, rdx, rcx, r8, r9;
    uint64_t result, damage, rdi_after, rsi_after;
};
// Calls `code` with the registers of `c`; `damage`: which bits of rbx, rbp, r12-r15 and rsp came back
// changed.
__attribute__((naked, noinline, unused, sysv_abi)) static void
call_code(const void *code __attribute__((unused)), struct call *c __attribute__((unused)))
{
    __asm__("push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
            "sub $56, %rsp\n"
            "mov %rsi, 48(%rsp)\n"
            "mov %rsp, 40(%rsp)\n"
            "mov %rdi, %rax\nmov %rsi, %r10\n"
            "mov 0(%r10), %rdi\nmov 8(%r10), %rsi\nmov 16(%r10), %rdx\n"
            "mov 24(%r10), %rcx\nmov 32(%r10), %r8\nmov 40(%r10), %r9\n"
            "mov $0x1b1b1b1b, %rbx\nmov $0x2b2b2b2b, %rbp\nmov $0x12121212, %r12\n"
            "mov $0x13131313, %r13\nmov $0x14141414, %r14\nmov $0x15151515, %r15\n"
            "call *%rax\n"
            "mov 48(%rsp), %r10\n"
            "mov %rax, 48(%r10)\nmov %rdi, 64(%r10)\nmov %rsi, 72(%r10)\n"
            "xor $0x1b1b1b1b, %rbx\nxor $0x2b2b2b2b, %rbp\nxor $0x12121212, %r12\n"
            "xor $0x13131313, %r13\nxor $0x14141414, %r14\nxor $0x15151515, %r15\n"
            "or %rbp, %rbx\nor %r12, %rbx\nor %r13, %rbx\nor %r14, %rbx\nor %r15, %rbx\n"
            "mov 40(%rsp), %rax\nxor %rsp, %rax\nor %rax, %rbx\n"
            "mov %rbx, 56(%r10)\n"
            "add $56, %rsp\n"
            "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\n"
            "ret\n");
}

struct config {
    const char *name;
    uint8_t abi;
    uint32_t registers;
    bool blind, retpoline, native_frame, old_cpu;
    uint32_t passes;
};
static const struct config configs[] = {
    {"plain", JIT_ABI_SYSV, 0, false, false, true, false, JIT_ALL_PASSES},
    {"windows", JIT_ABI_WINDOWS, 0, false, false, true, false, JIT_ALL_PASSES},
    {"old cpu", JIT_ABI_SYSV, 0, false, false, false, true, JIT_ALL_PASSES},
    {"no passes", JIT_ABI_SYSV, 0, false, false, false, false, 0},
    {"9 registers", JIT_ABI_WINDOWS, 9, false, false, false, false, JIT_ALL_PASSES},
    {"5 registers", JIT_ABI_SYSV, 5, false, false, true, true, 0},
    {"blind", JIT_ABI_SYSV, 0, true, false, true, false, JIT_ALL_PASSES},
    {"blind, few registers", JIT_ABI_WINDOWS, 5, true, false, true, false, 0},
    {"retpoline", JIT_ABI_WINDOWS, 0, false, true, true, true, JIT_ALL_PASSES},
};

static struct machine {
    const struct config *config;
    struct jit_input input;
    struct insn insns[SLOTS];
    struct func funcs[16];
    struct jit_helper helpers[4];
    struct jit_call calls[512];
    struct jit_line lines[SLOTS];
    struct jit_frame frames[16];
    struct jit_code code;
    struct plat_code pages; // where it runs
    uint8_t *buffer, *workspace;
    struct jit_run run;
    uint8_t frame[INSN_STACK_SIZE * INSN_MAX_FRAMES];
    uint8_t memory[MEMORY];
    const char *what;   // for messages
    uint32_t frame_low; // of functions that are given in the intermediate form
} m;

static inline void find_funcs(void)
{
    m.input.func_count = 1;
    m.funcs[0] = (struct func){.start = 0};
    for (uint32_t pc = 0; pc < m.input.insn_count; pc++) {
        if (m.insns[pc].id != INSN_CALL_LOCAL) {
            continue;
        }
        uint32_t target = (uint32_t)insn_target(&m.insns[pc], pc), i = 0;
        while (i < m.input.func_count && m.funcs[i].start < target) {
            i++;
        }
        if (i < m.input.func_count && m.funcs[i].start == target) {
            continue;
        }
        memmove(&m.funcs[i + 1], &m.funcs[i], (m.input.func_count - i) * sizeof(m.funcs[0]));
        m.funcs[i] = (struct func){.start = target};
        m.input.func_count++;
    }
    for (uint32_t i = 0; i < m.input.func_count; i++) {
        m.funcs[i].end = i + 1 < m.input.func_count ? m.funcs[i + 1].start : m.input.insn_count;
    }
}

static inline struct jit_options options_of(const struct config *c)
{
    return (struct jit_options){
        .arch = JIT_X86_64,
        .abi = c->abi,
        .cpu = c->old_cpu ? 0 : jit_host_cpu(),
        .passes = c->passes,
        .registers = c->registers,
        .native_frame = c->native_frame,
        .blind = c->blind,
        .blind_seed = 0x1234567890abcdef,
        .retpoline = c->retpoline,
    };
}

// Puts the code where it runs.
static inline bool load_code(const struct jit_options *options)
{
    if (m.pages.address != NULL) {
        plat_code_destroy(&m.pages);
        m.pages.address = NULL;
    }
    struct plat_code pages;
    if (plat_code_create(m.code.size, &pages) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "no pages for code");
        return false;
    }
    m.pages = pages;
    jit_link(options, &m.code, (uint64_t)(uintptr_t)pages.address);
    memcpy(pages.address, m.code.code, m.code.size);
    CHECK_OK(plat_code_publish(&m.pages, NULL, 0));
    return true;
}

static inline bool translate(uint32_t count)
{
    struct jit_options options = options_of(m.config);
    uint32_t bad_pc;
    m.input.insns = m.insns;
    m.input.insn_count = count;
    m.input.funcs = m.funcs;
    m.input.helpers = m.helpers;
    m.input.helper_count = ARRAY_SIZE(m.helpers);
    find_funcs();
    m.code = (struct jit_code){.code = m.buffer,
                               .capacity = CODE,
                               .calls = m.calls,
                               .call_capacity = 512,
                               .lines = m.lines,
                               .line_capacity = SLOTS,
                               .frames = m.frames,
                               .frame_capacity = 16};
    memset(m.workspace, 0xa5, 4096);
    ebpf_result_t result = jit_translate(&m.input, &options, m.workspace, WORKSPACE, &m.code, &bad_pc);
    if (result != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "%s, %s: result %d at %u", m.config->name, m.what, (int)result, bad_pc);
        return false;
    }
    return load_code(&options);
}

static inline bool assemble(const char *text)
{
    uint32_t count, line;
    m.what = text;
    if (isa_assemble(text, m.insns, SLOTS, &count, &line) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "line %u does not assemble: %s", line, text);
        return false;
    }
    return translate(count);
}

static inline uint64_t run(uint64_t r1, uint64_t r2)
{
    uint64_t r = (uint64_t)(uintptr_t)&m.run, f = (uint64_t)(uintptr_t)m.frame + INSN_STACK_SIZE;
    struct call c = {.rdi = r1, .rsi = r2, .rdx = r, .rcx = f};
    bool windows = m.config->abi == JIT_ABI_WINDOWS;
    if (windows) {
        c = (struct call){.rdi = 0xd1d1, .rsi = 0x5151, .rcx = r1, .rdx = r2, .r8 = r, .r9 = f};
    }
    m.run.turns = INSN_MAY_GOTO_TURNS;
    call_code(m.pages.address, &c);
    if (c.damage != 0 || (windows && (c.rdi_after != 0xd1d1 || c.rsi_after != 0x5151))) {
        test_fail(__FILE__, __LINE__, "%s, %s: registers come back changed (0x%llx)", m.config->name, m.what,
                  (unsigned long long)c.damage);
    }
    return c.result;
}

static inline void expect(uint64_t got, uint64_t wanted, const char *detail)
{
    if (got != wanted) {
        test_fail(__FILE__, __LINE__, "%s, %s %s: 0x%llx instead of 0x%llx", m.config->name, m.what, detail,
                  (unsigned long long)got, (unsigned long long)wanted);
    }
}

static inline bool setup(void)
{
    if (m.buffer == NULL) {
        m.buffer = malloc(CODE);
        m.workspace = malloc(WORKSPACE);
    }
    return m.buffer != NULL && m.workspace != NULL;
}

// Runs `body` under every configuration.
static inline void each_config(void (*body)(void))
{
    REQUIRE(setup());
    for (unsigned i = 0; i < ARRAY_SIZE(configs); i++) {
        unsigned failed = test_state.failed_checks;
        m.config = &configs[i];
        body();
        if (test_state.failed_checks > failed + 20) {
            return; // enough to look at
        }
    }
}
#endif
