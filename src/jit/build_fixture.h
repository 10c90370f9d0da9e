// SPDX-License-Identifier: MIT
// build_fixture: assembles a program, builds one of its functions and prints it, for the tests of build_*.c
// and lower_calls.c. Functions are where local calls go to.
#pragma once

#include "jit/ir.h"
#include "tests/test.h"

#define FIXTURE_SLOTS 4096
#define FIXTURE_FUNCS 64

// Helpers of the fixture, by number.
enum fixture_helper {
    FIXTURE_PLAIN = 1, // two arguments
    FIXTURE_LOOKUP,
    FIXTURE_CPU,
    FIXTURE_TAIL,
    FIXTURE_HELPER_COUNT
};

struct fixture {
    struct jit j;
    struct jit_input input;
    struct jit_options options;
    struct insn insns[FIXTURE_SLOTS];
    struct func funcs[FIXTURE_FUNCS];
    _Alignas(16) uint8_t workspace[4 << 20];
    char text[16384];
};

static const struct jit_helper fixture_helpers[FIXTURE_HELPER_COUNT] = {
    [FIXTURE_PLAIN] = {0x1000, JIT_HELPER_CALL, 2},
    [FIXTURE_LOOKUP] = {0x2000, JIT_HELPER_MAP_LOOKUP, 2},
    [FIXTURE_CPU] = {0x3000, JIT_HELPER_CPU_ID, 0},
    [FIXTURE_TAIL] = {0x4000, JIT_HELPER_TAIL_CALL, 3},
};

// An array, a per-CPU array, a hash map that has its own look-up, and one that has none.
static const struct jit_map fixture_maps[] = {
    {0x10000, JIT_MAP_ARRAY, 16, 10, 0x20000, 0, 0},
    {0x11000, JIT_MAP_PERCPU_ARRAY, 8, 4, 0x30000, 0x100, 0},
    {.address = 0x12000, .lookup = 0x5000},
    {.address = 0x13000},
};

static inline void fixture_collect(void *user, const char *line)
{
    struct fixture *f = user;
    size_t length = str_len(f->text);
    str_format(f->text + length, sizeof(f->text) - length, "%s\n", line);
}

static inline const char *fixture_print(struct fixture *f)
{
    f->text[0] = '\0';
    ir_print(&f->j.ir, fixture_collect, f);
    return f->text;
}

static inline void fixture_add_func(struct fixture *f, uint32_t start)
{
    uint32_t at = f->input.func_count;
    for (uint32_t i = 0; i < at; i++) {
        if (f->funcs[i].start == start) {
            return;
        }
    }
    while (at > 0 && f->funcs[at - 1].start > start) {
        f->funcs[at] = f->funcs[at - 1];
        at--;
    }
    f->funcs[at] = (struct func){.start = start};
    f->input.func_count++;
}

static inline void fixture_find_funcs(struct fixture *f)
{
    f->input.func_count = 0;
    fixture_add_func(f, 0);
    for (uint32_t pc = 0; pc < f->input.insn_count; pc++) {
        if (f->insns[pc].id == INSN_CALL_LOCAL) {
            fixture_add_func(f, (uint32_t)insn_target(&f->insns[pc], pc));
        }
    }
    for (uint32_t i = 0; i < f->input.func_count; i++) {
        bool last = i + 1 == f->input.func_count;
        f->funcs[i].end = last ? f->input.insn_count : f->funcs[i + 1].start;
    }
}

// Takes the `count` instructions that are in f->insns.
static inline void fixture_take(struct fixture *f, uint32_t count)
{
    f->input = (struct jit_input){.insns = f->insns,
                                  .insn_count = count,
                                  .funcs = f->funcs,
                                  .maps = fixture_maps,
                                  .map_count = ARRAY_SIZE(fixture_maps),
                                  .helpers = fixture_helpers,
                                  .helper_count = FIXTURE_HELPER_COUNT,
                                  .call_number = 0x6000,
                                  .load_packet = 0x7000};
    f->options = (struct jit_options){.passes = JIT_ALL_PASSES & ~JIT_PASS_BIT(INLINE)};
    fixture_find_funcs(f);
}

static inline bool fixture_assemble(struct fixture *f, const char *text)
{
    uint32_t count, line;
    if (isa_assemble(text, f->insns, FIXTURE_SLOTS, &count, &line) != EBPF_SUCCESS) {
        test_fail(__FILE__, __LINE__, "line %u does not assemble", line);
        return false;
    }
    fixture_take(f, count);
    return true;
}

// Starts the translation with `size` bytes of workspace.
static inline ebpf_result_t fixture_start(struct fixture *f, size_t size)
{
    f->j = (struct jit){.input = &f->input, .options = &f->options};
    TRY(jit_begin(&f->j, f->workspace, size));
    return build_program(&f->j);
}

// Builds function `func`; the form must be right, and is so behind ir_clean too.
static inline ebpf_result_t fixture_build(struct fixture *f, uint32_t func)
{
    uint32_t where;
    TRY(fixture_start(f, sizeof(f->workspace)));
    jit_begin_function(&f->j, func);
    TRY(build_function(&f->j));
    const char *wrong = ir_check(&f->j, &where);
    if (wrong != NULL) {
        test_fail(__FILE__, __LINE__, "%u: %s\n%s", where, wrong, fixture_print(f));
        return EBPF_FAILED;
    }
    TRY(ir_clean(&f->j));
    wrong = ir_check(&f->j, &where);
    if (wrong != NULL) {
        test_fail(__FILE__, __LINE__, "%u: %s\n%s", where, wrong, fixture_print(f));
        return EBPF_FAILED;
    }
    return EBPF_SUCCESS;
}
