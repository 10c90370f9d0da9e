// SPDX-License-Identifier: MIT
// jit: runs the passes over each function and collects the machine code. A function's memory is given back
// before the next one; what lasts for the whole program lies below.
#include "jit/jit.h"

#include "jit/target.h"

struct pass {
    const char *name;
    ebpf_result_t (*run)(struct jit *j);
    bool needed;
};

#define NEEDED   true
#define OPTIONAL false
static const struct pass passes[JIT_PASS_COUNT] = {
#define PASS(id, name, function, needed) [JIT_PASS_##id] = {name, function, needed},
#include "jit/jit_passes.def"
#undef PASS
};
#undef NEEDED
#undef OPTIONAL

// Passes that are a mode of another one.
ebpf_result_t pass_none(struct jit *j)
{
    UNUSED(j);
    return EBPF_SUCCESS;
}

ebpf_result_t lower_target(struct jit *j)
{
    return j->target->lower(j);
}

ebpf_result_t emit_target(struct jit *j)
{
    return j->target->emit(j);
}

// What programs use is what tests/bench/bench_translate prints.
size_t jit_workspace_size(uint32_t insn_count)
{
    return (size_t)insn_count * 288 + 8 * 1024;
}

size_t jit_code_size(uint32_t insn_count)
{
    return (size_t)insn_count * 16 + 4096;
}

// --- one function --------------------------------------------------------------------------------

void jit_begin_function(struct jit *j, uint32_t func)
{
    j->ir = (struct ir){.memory = &j->memory, .func = func, .is_entry = func == 0};
    j->ir.pool = (uint32_t *)(void *)j->memory.base;
    j->ir.top = (struct ir_value *)(void *)(j->memory.base + j->memory.size) - 1;
    j->changes = 0;
    j->slots = JIT_SLOTS_DONE;
    j->allocation = NULL;
    (void)ir_new(j, IR_NOP, 64, IR_NONE, IR_NONE, 0); // IR_NONE
}

// Every pass leaves the form in order; Debug builds look.
static ebpf_result_t check_form(struct jit *j, enum jit_pass_number pass)
{
#if !defined(NDEBUG)
    uint32_t where;
    if (pass < JIT_PASS_LAYOUT && ir_check(j, &where) != NULL) {
        __builtin_trap();
    }
#else
    UNUSED(j);
    UNUSED(pass);
#endif
    return EBPF_SUCCESS;
}

ebpf_result_t jit_run_passes(struct jit *j, unsigned first, unsigned end)
{
    for (unsigned pass = first; pass < end; pass++) {
        if (!passes[pass].needed && !jit_has_pass(j, (enum jit_pass_number)pass)) {
            continue;
        }
        TRY(passes[pass].run(j));
        TRY(check_form(j, (enum jit_pass_number)pass));
        if (j->options->dump != NULL) {
            j->options->dump(j->options->dump_user, passes[pass].name, &j->ir);
        }
    }
    return EBPF_SUCCESS;
}

// Passes that let a function have more values at a time than registers of the bytecode. What is inlined was
// decided for the whole program.
#define CROWDING                                                                                             \
    (JIT_PASS_BIT(SIMPLIFY) | JIT_PASS_BIT(RESIMPLIFY) | JIT_PASS_BIT(SLOTS) | JIT_PASS_BIT(LATE_SLOTS) |    \
     JIT_PASS_BIT(SELECT) | JIT_PASS_BIT(BYTES) | JIT_PASS_BIT(SWITCH) | JIT_PASS_BIT(DIVIDE))

static ebpf_result_t try_function(struct jit *j, uint32_t func)
{
    size_t mark = j->memory.used, size = j->memory.size;
    jit_begin_function(j, func);
    ebpf_result_t result = jit_run_passes(j, 0, JIT_PASS_COUNT);
    jit_rewind(j, mark);
    j->memory.size = size;
    return result;
}

// A function whose values do not fit in its frame is translated again, more plainly.
static ebpf_result_t translate_function(struct jit *j, uint32_t func)
{
    const struct jit_options *options = j->options;
    j->crowded = false;
    ebpf_result_t result = try_function(j, func);
    if (result != EBPF_JIT_COMPILATION_FAILED || !j->crowded) {
        return result;
    }
    struct jit_options plain = *options;
    plain.passes &= ~CROWDING;
    j->options = &plain;
    result = try_function(j, func);
    j->options = options;
    return result;
}

// --- the whole program ---------------------------------------------------------------------------

ebpf_result_t jit_begin(struct jit *j, void *workspace, size_t size)
{
    size_t odd =
        ((uintptr_t)workspace + size) % sizeof(struct ir_value); // values lie in one line of the cache
    size -= odd < size ? odd : size;
    if (size < 4096 || size / 4 > UINT32_MAX) {
        return size < 4096 ? EBPF_NO_MEMORY : EBPF_JIT_COMPILATION_FAILED;
    }
    j->memory = (struct jit_memory){.base = workspace, .size = size};
    uint32_t count = j->input != NULL ? j->input->func_count : 1;
    j->func_offset = jit_alloc(j, count, sizeof(*j->func_offset) + 2);
    if (j->func_offset == NULL) {
        return EBPF_NO_MEMORY;
    }
    j->func_inlined = (uint8_t *)(j->func_offset + count);
    j->func_aborts = j->func_inlined + count;
    memset(j->func_offset, 0xff, count * sizeof(*j->func_offset));
    return EBPF_SUCCESS;
}

static ebpf_result_t translate_all(struct jit *j)
{
    TRY(build_program(j));
    TRY(j->target->start(j));
    for (uint32_t f = 0; f < j->input->func_count; f++) {
        if (j->func_inlined[f] == 0) {
            TRY(translate_function(j, f));
        }
    }
    return j->target->finish(j);
}

ebpf_result_t jit_translate(const struct jit_input *input, const struct jit_options *options, void *workspace,
                            size_t workspace_size, struct jit_code *out, uint32_t *bad_pc)
{
    struct jit j = {.input = input, .options = options, .out = out};
    j.target = options->arch == JIT_X86_64 ? &x86_target : &arm64_target;
    *bad_pc = 0;
    out->size = 0;
    out->call_count = out->line_count = out->frame_count = 0;
    if (input->insn_count == 0 || input->func_count == 0) {
        return EBPF_JIT_COMPILATION_FAILED;
    }
    TRY(jit_begin(&j, workspace, workspace_size));
    ebpf_result_t result = translate_all(&j);
    out->workspace_used = j.memory.peak;
    *bad_pc = j.bad_pc;
    return result;
}

void jit_link(const struct jit_options *options, struct jit_code *code, uint64_t address)
{
    const struct jit_target *target = options->arch == JIT_X86_64 ? &x86_target : &arm64_target;
    target->link(code, address);
}
