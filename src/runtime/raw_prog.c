// SPDX-License-Identifier: MIT
// raw_prog: programs that nothing has verified, for tests and benchmarks.
#include "runtime/runtime_int.h"

struct raw_prog {
    struct runtime *rt;
    uint64_t (*helper)(uint64_t id, const uint64_t args[5]);
    struct prog_code code;
};

// --- functions: what calls go to -----------------------------------------------------------------

// Marks the first instruction of each function. False: a call goes nowhere.
static bool mark_starts(const struct raw_source *source, uint8_t *starts)
{
    starts[0] = 1;
    for (uint32_t pc = 0; pc < source->insn_count; pc++) {
        const struct insn *in = &source->insns[pc];
        if (in->id != INSN_CALL_LOCAL) {
            continue;
        }
        int64_t target = insn_target(in, pc);
        if (target < 0 || target >= (int64_t)source->insn_count) {
            return false;
        }
        starts[target] = 1;
    }
    return true;
}

static struct func *make_functions(const uint8_t *starts, uint32_t insn_count, uint32_t *count)
{
    uint32_t total = 0, next = 0;
    for (uint32_t pc = 0; pc < insn_count; pc++) {
        total += starts[pc];
    }
    struct func *funcs = plat_alloc(total * sizeof(*funcs), POOL_TAG_PROGRAM);
    for (uint32_t pc = 0; funcs != NULL && pc < insn_count; pc++) {
        if (starts[pc] != 0) {
            funcs[next].start = pc;
            str_copy(funcs[next].name, sizeof(funcs[next].name), "f");
            next++;
        }
        funcs[next - 1].end = pc + 1;
    }
    *count = total;
    return funcs;
}

static ebpf_result_t find_functions(const struct raw_source *source, struct bind_source *out)
{
    ebpf_result_t result = EBPF_PROGRAM_LOAD_FAILED;
    uint8_t *starts = plat_alloc(source->insn_count, POOL_TAG_PROGRAM);
    if (starts == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (mark_starts(source, starts)) {
        out->funcs = make_functions(starts, source->insn_count, &out->func_count);
        result = out->funcs != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
    }
    plat_free(starts);
    return result;
}

// --- loading -------------------------------------------------------------------------------------

static ebpf_result_t check_form(struct runtime *rt, const struct bind_source *source)
{
    uint32_t bad_pc;
    const char *why;
    const struct program p = {
        .type = PROG_TYPE_RAW_MEMORY,
        .attach_type = spec_default_attach_type(rt->spec, PROG_TYPE_RAW_MEMORY),
        .insns = source->insns,
        .insn_count = source->insn_count,
        .funcs = source->funcs,
        .func_count = source->func_count,
        .strings = "",
        .strings_size = 1,
        .name = "raw",
    };
    return program_check(rt->spec, &p, &bad_pc, &why) == EBPF_SUCCESS ? EBPF_SUCCESS
                                                                      : EBPF_PROGRAM_LOAD_FAILED;
}

static ebpf_result_t bind_and_make(struct runtime *rt, enum runtime_engine engine,
                                   const struct bind_source *source, struct prog_code *out)
{
    struct bound bound;
    TRY(check_form(rt, source));
    TRY(bind_program(rt, source, &bound));
    ebpf_result_t result = prog_code_make(rt, engine, &bound, out);
    bind_free(&bound);
    return result;
}

static ebpf_result_t make_code(struct runtime *rt, enum runtime_engine engine,
                               const struct raw_source *source, struct prog_code *out)
{
    struct bind_source from = {
        .insns = source->insns,
        .insn_count = source->insn_count,
        .prog_type = PROG_TYPE_RAW_MEMORY,
        .raw = true,
    };
    if (source->insn_count == 0 || source->insn_count > INSN_MAX_SLOTS) {
        return EBPF_PROGRAM_LOAD_FAILED;
    }
    TRY(find_functions(source, &from));
    ebpf_result_t result = bind_and_make(rt, engine, &from, out);
    plat_free((void *)(uintptr_t)from.funcs);
    return result;
}

static uint64_t no_helper(uint64_t id, const uint64_t args[5])
{
    UNUSED(id);
    UNUSED(args);
    return 0;
}

ebpf_result_t raw_prog_load(struct runtime *rt, enum runtime_engine engine, const struct raw_source *source,
                            struct raw_prog **out)
{
    struct raw_prog *g = plat_alloc(sizeof(*g), POOL_TAG_PROGRAM);
    if (g == NULL) {
        return EBPF_NO_MEMORY;
    }
    g->rt = rt;
    g->helper = source->helper != NULL ? source->helper : no_helper;
    ebpf_result_t result = make_code(rt, engine, source, &g->code);
    if (result != EBPF_SUCCESS) {
        plat_free(g);
        return result;
    }
    *out = g;
    return EBPF_SUCCESS;
}

ebpf_result_t raw_prog_run(struct raw_prog *g, void *mem, size_t size, uint64_t *result)
{
    uint8_t *data = mem;
    struct run run = {
        .rt = g->rt,
        .context = mem,
        .packet = {data, data != NULL ? data + size : NULL, data},
        .r1 = (uintptr_t)mem,
        .r2 = size,
        .raw_helper = g->helper,
    };
    epoch_enter(g->rt);
    run.jit.slot = plat_cpu_current();
    ebpf_result_t status = prog_code_run(&g->code, &run, result);
    epoch_exit(g->rt);
    return status;
}

void raw_prog_free(struct raw_prog *g)
{
    prog_code_free(&g->code);
    plat_free(g);
}

ebpf_result_t raw_prog_once(struct runtime *rt, enum runtime_engine engine, const struct raw_source *source,
                            void *mem, size_t size, uint64_t *result)
{
    struct raw_prog *g;
    TRY(raw_prog_load(rt, engine, source, &g));
    ebpf_result_t status = raw_prog_run(g, mem, size, result);
    raw_prog_free(g);
    return status;
}
