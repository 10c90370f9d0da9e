// SPDX-License-Identifier: MIT
// bench_engine: this project's engines for benchmarks: bytecode to something that can be called, without maps
// and helpers. The programs are trusted. BENCH_PASSES in the environment is a mask of the translator's passes
// (hexadecimal), BENCH_OPTIONS a list of blind, retpoline, no_landing, memory_frame.
#include "tests/bench/bench_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "isa/isa.h"
#include "jit/jit.h"
#include "plat/plat.h"
#include "runtime/runtime.h"
#if defined(BENCH_HAS_NATIVE)
#include "tests/native/native_build.h"
#endif

struct bytecode {
    struct insn *insns;
    uint32_t insn_count;
    struct func *funcs;
    uint32_t func_count;
};

struct jit_handle {
    struct plat_code code;
};

// --- bytecode ------------------------------------------------------------------------------------

static void free_bytecode(struct bytecode *p)
{
    free(p->insns);
    free(p->funcs);
}

// Functions are what calls go to.
static bool find_functions(struct bytecode *p)
{
    uint8_t *starts = calloc(p->insn_count, 1);
    p->funcs = calloc(p->insn_count, sizeof(*p->funcs));
    if (starts == NULL || p->funcs == NULL) {
        free(starts);
        return false;
    }
    starts[0] = 1;
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        int64_t target = p->insns[pc].id == INSN_CALL_LOCAL ? insn_target(&p->insns[pc], pc) : 0;
        if (target >= 0 && target < (int64_t)p->insn_count) {
            starts[target] = 1;
        }
    }
    for (uint32_t pc = 0; pc < p->insn_count; pc++) {
        if (starts[pc] != 0) {
            p->funcs[p->func_count++].start = pc;
        }
        p->funcs[p->func_count - 1].end = pc + 1;
    }
    free(starts);
    return true;
}

static bool read_bytecode(struct bytecode *p, const void *bytes, size_t size)
{
    uint32_t bad_pc;
    *p = (struct bytecode){.insn_count = (uint32_t)(size / INSN_SLOT_SIZE)};
    p->insns = calloc(p->insn_count + 1, sizeof(*p->insns));
    if (p->insns != NULL && insn_decode(bytes, size, p->insns, &bad_pc) == INSN_OK && find_functions(p)) {
        return true;
    }
    free_bytecode(p);
    return false;
}

// --- machine code --------------------------------------------------------------------------------

static bool is_asked(const char *name)
{
    const char *list = getenv("BENCH_OPTIONS");
    return list != NULL && strstr(list, name) != NULL;
}

static struct jit_options choose_options(void)
{
    const char *passes = getenv("BENCH_PASSES"), *registers = getenv("BENCH_REGISTERS");
    return (struct jit_options){
#if defined(__aarch64__)
        .arch = JIT_ARM64,
        .abi = JIT_ABI_AAPCS64,
#endif
        .cpu = is_asked("baseline") ? 0 : jit_host_cpu(),
        .passes = passes != NULL ? (uint32_t)strtoul(passes, NULL, 16) : JIT_ALL_PASSES,
        .registers = registers != NULL ? (uint32_t)strtoul(registers, NULL, 10) : 0,
        .native_frame = !is_asked("memory_frame"),
        .blind = is_asked("blind"),
        .blind_seed = 0x9e3779b97f4a7c15u,
        .retpoline = is_asked("retpoline"),
        .no_landing = is_asked("no_landing"),
    };
}

static ebpf_result_t translate(const struct bytecode *p, const struct jit_options *options,
                               struct jit_code *out)
{
    const struct jit_input input = {.insns = p->insns,
                                    .insn_count = p->insn_count,
                                    .funcs = p->funcs,
                                    .func_count = p->func_count,
                                    .raw = true};
    size_t size = jit_workspace_size(p->insn_count);
    ebpf_result_t result = EBPF_NO_MEMORY;
    for (unsigned turn = 0; turn < 6 && result == EBPF_NO_MEMORY; turn++, size *= 2) {
        uint32_t bad_pc;
        void *workspace = aligned_alloc(64, (size + 63) / 64 * 64);
        result = jit_translate(&input, options, workspace, size, out, &bad_pc);
        free(workspace);
    }
    return result;
}

static bool publish(struct jit_handle *h, const struct jit_options *options, struct jit_code *code)
{
    if (plat_code_create(code->size, &h->code) != EBPF_SUCCESS) {
        return false;
    }
    jit_link(options, code, (uintptr_t)h->code.address);
    memcpy(h->code.address, code->code, code->size);
    if (plat_code_publish(&h->code, NULL, 0) == EBPF_SUCCESS) {
        return true;
    }
    plat_code_destroy(&h->code);
    return false;
}

static void *load_jit(const void *bytes, size_t size)
{
    struct bytecode p;
    const struct jit_options options = choose_options();
    struct jit_handle *h = calloc(1, sizeof(*h));
    struct jit_code code = {.capacity = 2 * jit_code_size((uint32_t)(size / INSN_SLOT_SIZE))};
    if (h == NULL || !read_bytecode(&p, bytes, size)) {
        free(h);
        return NULL;
    }
    code.code = malloc(code.capacity);
    bool good =
        code.code != NULL && translate(&p, &options, &code) == EBPF_SUCCESS && publish(h, &options, &code);
    free(code.code);
    free_bytecode(&p);
    if (!good) {
        free(h);
        return NULL;
    }
    return h;
}

static bk_fn jit_entry(void *handle)
{
    return (bk_fn)(uintptr_t)((struct jit_handle *)handle)->code.address;
}

static uint64_t run_jit(void *handle, void *mem, size_t len)
{
    return jit_entry(handle)(mem, len);
}

static void unload_jit(void *handle)
{
    plat_code_destroy(&((struct jit_handle *)handle)->code);
    free(handle);
}

// --- interpreter ---------------------------------------------------------------------------------

#if defined(EBPF_INTERPRETER)
static struct runtime *rt;

static void *load_interp(const void *bytes, size_t size)
{
    const struct runtime_options options = {.spec = spec_builtin(), .engine = RUNTIME_INTERPRETER};
    struct bytecode p;
    struct raw_prog *g = NULL;
    if (rt == NULL && (plat_init() != EBPF_SUCCESS || runtime_create(&options, &rt) != EBPF_SUCCESS)) {
        return NULL;
    }
    if (!read_bytecode(&p, bytes, size)) {
        return NULL;
    }
    const struct raw_source source = {.insns = p.insns, .insn_count = p.insn_count};
    ebpf_result_t result = raw_prog_load(rt, RUNTIME_INTERPRETER, &source, &g);
    free_bytecode(&p);
    return result == EBPF_SUCCESS ? g : NULL;
}

static bk_fn no_entry(void *handle)
{
    (void)handle;
    return NULL;
}

static uint64_t run_interp(void *handle, void *mem, size_t len)
{
    uint64_t result = 0;
    return raw_prog_run(handle, mem, len, &result) == EBPF_SUCCESS ? result : UINT64_MAX;
}

static void unload_interp(void *handle)
{
    raw_prog_free(handle);
}
#endif

// --- native modules ------------------------------------------------------------------------------

// C by a compiler of this machine; BENCH_FLAGS in the environment takes the place of its flags.
#if defined(BENCH_HAS_NATIVE)
static void *load_native(const void *bytes, size_t size)
{
    const char *compiler = native_any_compiler(), *flags = getenv("BENCH_FLAGS");
    struct native_module *m = calloc(1, sizeof(*m));
    struct bytecode p;
    if (m == NULL || compiler == NULL || !read_bytecode(&p, bytes, size)) {
        free(m);
        return NULL;
    }
    bool good = native_build_raw(p.insns, p.insn_count, compiler, flags != NULL ? flags : NATIVE_FLAGS, m);
    free_bytecode(&p);
    if (!good) {
        free(m);
        return NULL;
    }
    return m;
}

// Programs without helpers need no run.
static bk_fn native_entry(void *handle)
{
    const struct native_module *m = handle;
    return (bk_fn)(uintptr_t)m->table->programs[0].entry;
}

static uint64_t run_native(void *handle, void *mem, size_t len)
{
    return native_entry(handle)(mem, len);
}

static void unload_native(void *handle)
{
    native_unload(handle);
    free(handle);
}
#endif

__attribute__((visibility("default"))) const struct bk_engine bk_engines[] = {
    {"jit", load_jit, jit_entry, run_jit, unload_jit},
#if defined(EBPF_INTERPRETER)
    {"interp", load_interp, no_entry, run_interp, unload_interp},
#endif
#if defined(BENCH_HAS_NATIVE)
    {"native", load_native, native_entry, run_native, unload_native},
#endif
    {NULL, NULL, NULL, NULL, NULL},
};
