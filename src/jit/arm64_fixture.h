// SPDX-License-Identifier: MIT
// arm64_fixture: runs machine code of arm64 (natively or under qemu-user) under every configuration, for the
// tests of arm64_*.c. The caller looks whether registers that it owns came back unharmed, and x18, which is
// nobody's.
#pragma once

#include <stdlib.h>
#include <string.h>

#include "jit/ir.h"
#include "jit/target.h"
#include "plat/plat.h"
#include "tests/test.h"

// --- running -------------------------------------------------------------------------------------

enum { SLOTS = 24000, CODE = 1 << 20, MEMORY = 1 << 17 };

static _Alignas(16) uint8_t workspace[4 << 20];

struct call {
    uint64_t x0, x1, x2, x3;
    uint64_t result, damage;
};
// Calls `code` with the registers of `c`; `damage`: which bits of x18-x29 and the stack pointer came back
// changed.
void arm64_test_call(const void *code, struct call *c);
__asm__(
    ".text\n"
    "arm64_test_call:\n"
    "stp x29, x30, [sp, #-128]!\n"
    "stp x19, x20, [sp, #16]\nstp x21, x22, [sp, #32]\nstp x23, x24, [sp, #48]\n"
    "stp x25, x26, [sp, #64]\nstp x27, x28, [sp, #80]\nstp x1, x18, [sp, #96]\n"
    "mov x16, x0\nmov x17, x1\nmov x9, sp\nstr x9, [sp, #112]\n"
    "mov x18, #0x18\nmov x19, #0x19\nmov x20, #0x20\nmov x21, #0x21\nmov x22, #0x22\nmov x23, #0x23\n"
    "mov x24, #0x24\nmov x25, #0x25\nmov x26, #0x26\nmov x27, #0x27\nmov x28, #0x28\nmov x29, #0x29\n"
    "ldp x0, x1, [x17]\nldp x2, x3, [x17, #16]\n"
    "blr x16\n"
    "mov x9, sp\nldr x10, [sp, #112]\neor x9, x9, x10\nldr x17, [sp, #96]\n"
    "eor x18, x18, #0x18\norr x9, x9, x18\n"
    "mov x10, #0x19\neor x10, x10, x19\norr x9, x9, x10\nmov x10, #0x20\neor x10, x10, x20\norr x9, x9, x10\n"
    "mov x10, #0x21\neor x10, x10, x21\norr x9, x9, x10\nmov x10, #0x22\neor x10, x10, x22\norr x9, x9, x10\n"
    "mov x10, #0x23\neor x10, x10, x23\norr x9, x9, x10\nmov x10, #0x24\neor x10, x10, x24\norr x9, x9, x10\n"
    "mov x10, #0x25\neor x10, x10, x25\norr x9, x9, x10\nmov x10, #0x26\neor x10, x10, x26\norr x9, x9, x10\n"
    "mov x10, #0x27\neor x10, x10, x27\norr x9, x9, x10\nmov x10, #0x28\neor x10, x10, x28\norr x9, x9, x10\n"
    "mov x10, #0x29\neor x10, x10, x29\norr x9, x9, x10\n"
    "str x0, [x17, #32]\nstr x9, [x17, #40]\n"
    "ldp x19, x20, [sp, #16]\nldp x21, x22, [sp, #32]\nldp x23, x24, [sp, #48]\n"
    "ldp x25, x26, [sp, #64]\nldp x27, x28, [sp, #80]\nldr x18, [sp, #104]\n"
    "ldp x29, x30, [sp], #128\n"
    "ret\n");

struct config {
    const char *name;
    uint32_t registers, cpu;
    bool native_frame, no_landing, blind;
    uint32_t passes;
};
static const struct config configs[] = {
    {"plain", 0, JIT_CPU_LSE, true, false, false, JIT_ALL_PASSES},
    {"old cpu", 0, 0, false, true, false, JIT_ALL_PASSES},
    {"no passes", 0, 0, false, false, false, 0},
    {"no passes, native frame", 0, JIT_CPU_LSE, true, true, false, 0},
    {"9 registers", 9, 0, false, false, false, JIT_ALL_PASSES},
    {"5 registers", 5, 0, true, false, false, 0},
    {"5 registers, LSE", 5, JIT_CPU_LSE, false, false, false, JIT_ALL_PASSES},
    {"blind", 0, 0, true, false, true, JIT_ALL_PASSES},
};

static struct machine {
    const struct config *config;
    struct jit_input input;
    struct insn insns[SLOTS];
    struct func funcs[16];
    struct jit_helper helpers[6];
    struct jit_map maps[2];
    struct jit_call calls[512];
    struct jit_line lines[SLOTS];
    struct jit_frame frames[16];
    struct jit_code code;
    uint8_t buffer[CODE];
    struct plat_code pages, second; // where it runs, and the target of tail calls
    struct jit_run run;
    uint8_t frame[INSN_STACK_SIZE * INSN_MAX_FRAMES];
    _Alignas(16) uint8_t memory[MEMORY];
} m;

static inline struct jit_options options(void)
{
    return (struct jit_options){.arch = JIT_ARM64,
                                .abi = JIT_ABI_AAPCS64,
                                .cpu = m.config->cpu,
                                .passes = m.config->passes,
                                .registers = m.config->registers,
                                .native_frame = m.config->native_frame,
                                .no_landing = m.config->no_landing,
                                .blind = m.config->blind,
                                .blind_seed = 7};
}

// Takes the code to pages where it runs.
static inline bool publish(struct plat_code *pages)
{
    struct jit_options o = options();
    if (pages->address != NULL) {
        plat_code_destroy(pages);
        pages->address = NULL;
    }
    if (plat_code_create(m.code.size, pages) != EBPF_SUCCESS) {
        return false;
    }
    jit_link(&o, &m.code, (uint64_t)pages->address);
    memcpy(pages->address, m.code.code, m.code.size);
    return plat_code_publish(pages, NULL, 0) == EBPF_SUCCESS;
}

// Numbered 1..: sum (a1 + 2 a2 + ..), tail call, processor, look-up.
enum { HELPER_SUM = 1, HELPER_TAIL, HELPER_CPU, HELPER_LOOKUP };

static inline uint64_t sum(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, struct jit_run *run)
{
    CHECK(run == &m.run);
    // What a callee may destroy is destroyed.
    __asm__ volatile(
        "mov x6, #-1\nmov x7, #-1\nmov x8, #-1\nmov x9, #-1\nmov x10, #-1\nmov x11, #-1\nmov x12, #-1\n"
        "mov x13, #-1\nmov x14, #-1\nmov x15, #-1\nmov x16, #-1\nmov x17, #-1" ::
            : "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "cc");
    return a + 2 * b + 3 * c + 4 * d + 5 * e;
}

static inline uint64_t tail(uint64_t context, uint64_t map, uint64_t index, uint64_t frame_top, uint64_t e,
                            struct jit_run *run)
{
    UNUSED(context), UNUSED(map), UNUSED(frame_top), UNUSED(e);
    run->number = (uint64_t)m.second.address;
    return index == 7 ? 0 : (uint64_t)-2;
}

static inline uint64_t by_number(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                                 struct jit_run *run)
{
    return run->number == 77 ? sum(a, b, c, d, e, run) : 0xbad;
}

static inline uint64_t load_packet(uint64_t offset, uint64_t bytes, uint64_t c, uint64_t d, uint64_t e,
                                   struct jit_run *run)
{
    UNUSED(c), UNUSED(d), UNUSED(e);
    run->aborted = offset > 100;
    return offset * 16 + bytes;
}

// Functions are where local calls go to.
static inline void add_func(uint32_t start)
{
    uint32_t at = m.input.func_count;
    for (uint32_t i = 0; i < at; i++) {
        if (m.funcs[i].start == start) {
            return;
        }
    }
    for (; at > 0 && m.funcs[at - 1].start > start; at--) {
        m.funcs[at] = m.funcs[at - 1];
    }
    m.funcs[at] = (struct func){.start = start};
    m.input.func_count++;
}

static inline void find_funcs(void)
{
    m.input.func_count = 0;
    add_func(0);
    for (uint32_t pc = 0; pc < m.input.insn_count; pc++) {
        if (m.insns[pc].id == INSN_CALL_LOCAL) {
            add_func((uint32_t)insn_target(&m.insns[pc], pc));
        }
    }
    for (uint32_t i = 0; i < m.input.func_count; i++) {
        m.funcs[i].end = i + 1 == m.input.func_count ? m.input.insn_count : m.funcs[i + 1].start;
    }
}

static inline void begin(const struct config *config)
{
    m.config = config;
    m.helpers[HELPER_SUM] = (struct jit_helper){(uint64_t)sum, JIT_HELPER_CALL, 5};
    m.helpers[HELPER_TAIL] = (struct jit_helper){(uint64_t)tail, JIT_HELPER_TAIL_CALL, 3};
    m.helpers[HELPER_CPU] = (struct jit_helper){0, JIT_HELPER_CPU_ID, 0};
    m.helpers[HELPER_LOOKUP] = (struct jit_helper){(uint64_t)sum, JIT_HELPER_MAP_LOOKUP, 2};
    m.maps[0] = (struct jit_map){0x1234, JIT_MAP_ARRAY, 24, 5, (uint64_t)m.memory, 0, 0};
    m.maps[1] = (struct jit_map){0x5678, JIT_MAP_PERCPU_ARRAY, 8, 4, (uint64_t)m.memory, 4096, 0};
    m.input = (struct jit_input){.insns = m.insns,
                                 .funcs = m.funcs,
                                 .maps = m.maps,
                                 .map_count = ARRAY_SIZE(m.maps),
                                 .helpers = m.helpers,
                                 .helper_count = ARRAY_SIZE(m.helpers),
                                 .call_number = (uint64_t)by_number,
                                 .load_packet = (uint64_t)load_packet};
}

// Frames and lines cover the code.
static inline void check_tables(void)
{
    for (uint32_t i = 0; i < m.code.frame_count; i++) {
        const struct jit_frame *f = &m.frames[i];
        CHECK(f->start == (i == 0 ? 0 : m.frames[i - 1].end) && f->end > f->start);
        CHECK(f->prologue < f->end - f->start);
    }
    CHECK(m.code.frame_count != 0 && m.frames[m.code.frame_count - 1].end == m.code.size);
    for (uint32_t i = 1; i < m.code.line_count; i++) {
        CHECK(m.lines[i].offset >= m.lines[i - 1].offset && m.lines[i].pc < m.input.insn_count);
    }
}

// Translates the first `count` instructions and makes the code ready to run.
static inline bool translate(uint32_t count)
{
    struct jit_options o = options();
    uint32_t bad_pc = 0;
    m.input.insn_count = count;
    find_funcs();
    m.code = (struct jit_code){.code = m.buffer,
                               .capacity = CODE,
                               .calls = m.calls,
                               .call_capacity = ARRAY_SIZE(m.calls),
                               .lines = m.lines,
                               .line_capacity = ARRAY_SIZE(m.lines),
                               .frames = m.frames,
                               .frame_capacity = ARRAY_SIZE(m.frames)};
    ebpf_result_t result = jit_translate(&m.input, &o, workspace, sizeof(workspace), &m.code, &bad_pc);
    if (result != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "%s: result %d at %u", m.config->name, (int)result, bad_pc);
        return false;
    }
    check_tables();
    return publish(&m.pages);
}

static inline uint64_t run(uint64_t r1, uint64_t r2)
{
    struct call c = {r1, r2, (uint64_t)&m.run, (uint64_t)m.frame + INSN_STACK_SIZE, 0, 0};
    m.run.turns = 100;
    m.run.aborted = 0;
    m.run.slot = 3;
    arm64_test_call(m.pages.address, &c);
    if (c.damage != 0) {
        test_fail(__FILE__, __LINE__, "%s: registers are damaged: %llx", m.config->name,
                  (unsigned long long)c.damage);
    }
    return c.result;
}

static inline bool assemble(const char *text)
{
    uint32_t count, line;
    if (isa_assemble(text, m.insns, SLOTS, &count, &line) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "line %u does not assemble", line);
        return false;
    }
    return translate(count);
}

// --- numbers -------------------------------------------------------------------------------------

static const uint64_t corners[] = {0,
                                   1,
                                   2,
                                   3,
                                   7,
                                   31,
                                   32,
                                   33,
                                   63,
                                   64,
                                   100,
                                   0x7f,
                                   0x80,
                                   0xff,
                                   0xfff,
                                   0x1000,
                                   0x8000,
                                   0xffff,
                                   0x12345,
                                   0x7fffffff,
                                   0x80000000,
                                   0x80000001,
                                   0xffffffff,
                                   0x100000000,
                                   0xaaaaaaaa55555555,
                                   0x123456789abcdef0,
                                   0x7fffffffffffffff,
                                   0x8000000000000000,
                                   0x80000000ffffffff,
                                   0xffffffff80000000,
                                   0xfffffffffffff000,
                                   0xfffffffffffffffd,
                                   0xffffffffffffffff};

static const int32_t imms[] = {
    0,        1,          2,         3,         5,          7,          8,          10,          31,
    32,       33,         63,        64,        100,        0xff,       0xfff,      0x1000,      0x1001,
    0xff0000, 0xfff000,   0x1000000, -1,        -2,         -3,         -7,         -4095,       -4096,
    -4097,    -0x1000000, INT32_MAX, INT32_MIN, 0x55555555, 0x0ff00ff0, 0x12345678, -0x12345678, 1000000007};

struct suite_case {
    const char *name;
    void (*body)(const struct config *config);
};

// Each case in each configuration.
static inline void run_all(const struct suite_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(configs); k++) {
            char name[64];
            (void)str_format(name, sizeof(name), "%s, %s", cases[i].name, configs[k].name);
            RUN_WITH(name, cases[i].body, &configs[k]);
        }
    }
}
