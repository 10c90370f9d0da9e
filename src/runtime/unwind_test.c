// SPDX-License-Identifier: MIT
// Tests of unwinding through machine code: what a helper sees above it, by the system's own walk of the
// stack. Windows processes only.
#include <windows.h>

#include "runtime/fixture.h"

static void *frames[32];
static unsigned frame_count;

static uint64_t walk(uint64_t id, const uint64_t args[5])
{
    UNUSED(id);
    UNUSED(args);
    frame_count = RtlCaptureStackBackTrace(0, ARRAY_SIZE(frames), frames, NULL);
    return frame_count;
}

// A caller with frames and saved registers of all kinds, two functions deep.
static const struct insn insns[] = {
    I(MOV64_REG, 6, 1, 0, 0), I(MOV64_IMM, 7, 0, 0, 7), I(STXDW, 10, 7, -8, 0),   I(CALL_LOCAL, 0, 0, 0, 3),
    I(LDXDW, 7, 10, -8, 0),   I(ADD64_REG, 0, 7, 0, 0), I(EXIT, 0, 0, 0, 0),      I(MOV64_IMM, 8, 0, 0, 5),
    I(STXDW, 10, 8, -512, 0), I(CALL, 0, 0, 0, 1),      I(LDXDW, 8, 10, -512, 0), I(ADD64_REG, 0, 8, 0, 0),
    I(EXIT, 0, 0, 0, 0),
};

// True when the system knows a function table for `address`.
static bool has_table(void *address)
{
    DWORD64 base;
    return RtlLookupFunctionEntry((DWORD64)(uintptr_t)address, &base, NULL) != NULL;
}

static void the_stack_is_walked_through_code(uint32_t passes)
{
    struct runtime *rt = NULL;
    struct raw_prog *g = NULL;
    const struct jit_options jit = {.passes = passes};
    const struct runtime_options options = {.spec = spec_builtin(), .jit = &jit};
    const struct raw_source source = {insns, ARRAY_SIZE(insns), walk};
    uint64_t r0 = 0;
    REQUIRE_OK(runtime_create(&options, &rt));
    CHECK_OK(raw_prog_load(rt, RUNTIME_JIT, &source, &g));
    frame_count = 0;
    CHECK_OK(raw_prog_run(g, NULL, 0, &r0));
    CHECK_EQ(r0, frame_count + 12);
    HMODULE self = GetModuleHandleW(NULL);
    unsigned outside = 0, above = 0;
    for (unsigned i = 0; i < frame_count; i++) {
        HMODULE owner = NULL;
        GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                               GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                           (LPCWSTR)frames[i], &owner);
        outside += owner == NULL;
        above += outside > 0 && owner == self;
        CHECK(owner != NULL || above > 0 || has_table(frames[i])); // not what Wine has at the very top
    }
    CHECK(outside >= 1); // the program's own
    CHECK(above >= 2);   // and the walk went on to those who called it
    raw_prog_free(g);
    runtime_destroy(rt);
}

static void inlined(void)
{
    the_stack_is_walked_through_code(JIT_ALL_PASSES);
}

static void function_by_function(void)
{
    the_stack_is_walked_through_code(JIT_ALL_PASSES & ~JIT_PASS_BIT(INLINE));
}

TEST_SUITE(unwind)
{
    RUN(inlined);
    RUN(function_by_function);
}
