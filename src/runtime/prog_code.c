// SPDX-License-Identifier: MIT
// prog_code: makes of a bound program what can be run, and runs it. Machine code is written to a buffer,
// linked for the pages that it will have, copied there, and published; nothing is ever written to it again.
#include "runtime/runtime_int.h"

#define ATTEMPTS   5u                   // each with twice the memory of the last one
#define SPARE_SIZE ((size_t)256 * 1024) // of the memory that is kept for the next translation

// --- translation ---------------------------------------------------------------------------------

// One attempt: what jit_translate works with and gives back.
struct attempt {
    const struct jit_input *input;
    struct jit_options options;
    struct jit_code code;
    struct runtime *rt;
    size_t workspace_size;
    uint8_t *memory;    // all of it: code, calls, frames, workspace
    size_t memory_size; // at most SPARE_SIZE: that is a spare one
};

ebpf_result_t prog_code_init(struct runtime *rt)
{
    rt->spare = plat_alloc(SPARE_SIZE, POOL_TAG_PROGRAM);
    return rt->spare != NULL ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

void prog_code_fini(struct runtime *rt)
{
    plat_free(rt->spare);
}

// Most programs are small: their translation takes less time than to get zeroed memory for it.
static void *take_spare(struct runtime *rt)
{
    void *spare = __atomic_exchange_n(&rt->spare, NULL, __ATOMIC_ACQ_REL);
    return spare != NULL ? spare : plat_alloc(SPARE_SIZE, POOL_TAG_PROGRAM);
}

static void free_memory(struct attempt *a)
{
    void *none = NULL;
    if (a->memory_size > SPARE_SIZE) {
        plat_free_pages(a->memory, a->memory_size);
    } else if (!__atomic_compare_exchange_n(&a->rt->spare, &none, a->memory, false, __ATOMIC_ACQ_REL,
                                            __ATOMIC_RELAXED)) {
        plat_free(a->memory);
    }
    a->memory = NULL;
}

static ebpf_result_t allocate(struct attempt *a)
{
    struct jit_code *c = &a->code;
    size_t code = (size_t)align_up(c->capacity, 16);
    size_t calls = c->call_capacity * sizeof(*c->calls), frames = c->frame_capacity * sizeof(*c->frames);
    size_t tables = (size_t)align_up(calls + frames, 16);
    size_t whole = a->memory_size = code + tables + a->workspace_size;
    a->memory = whole <= SPARE_SIZE ? take_spare(a->rt) : plat_alloc_pages(whole, POOL_TAG_PROGRAM);
    if (a->memory == NULL) {
        return EBPF_NO_MEMORY;
    }
    c->code = a->memory;
    c->calls = (struct jit_call *)(void *)(a->memory + code);
    c->frames = (struct jit_frame *)(void *)(a->memory + code + calls);
    return EBPF_SUCCESS;
}

static void enlarge(struct attempt *a, ebpf_result_t why)
{
    if (why == EBPF_NO_MEMORY) {
        a->workspace_size *= 2;
    } else {
        a->code.capacity *= 2;
        a->code.call_capacity *= 2;
    }
}

static uint32_t count_calls(const struct jit_input *input)
{
    uint32_t count = 16;
    for (uint32_t pc = 0; pc < input->insn_count; pc++) {
        uint8_t form = insn_info(input->insns[pc].id)->form;
        count += form == FORM_CALL || form == FORM_CALLX || form == FORM_LDABS || form == FORM_LDIND;
    }
    return count;
}

static ebpf_result_t try_once(struct attempt *a)
{
    uint32_t bad_pc;
    uint8_t *workspace = (uint8_t *)a->code.frames + a->code.frame_capacity * sizeof(*a->code.frames);
    workspace = (uint8_t *)align_up((uintptr_t)workspace, 16);
    ebpf_result_t result =
        jit_translate(a->input, &a->options, workspace, a->workspace_size, &a->code, &bad_pc);
    if (result != EBPF_SUCCESS) {
        free_memory(a);
    }
    return result;
}

static ebpf_result_t translate(struct attempt *a)
{
    ebpf_result_t result = EBPF_NO_MEMORY; // of the workspace: more of it was there, but is never enough
    a->workspace_size = jit_workspace_size(a->input->insn_count);
    a->code.capacity = jit_code_size(a->input->insn_count);
    a->code.call_capacity = count_calls(a->input);
    a->code.frame_capacity = a->input->func_count;
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        TRY(allocate(a));
        result = try_once(a);
        if (result != EBPF_NO_MEMORY && result != EBPF_INSUFFICIENT_BUFFER) {
            break;
        }
        enlarge(a, result);
    }
    bool too_small = result == EBPF_INSUFFICIENT_BUFFER || result == EBPF_NO_MEMORY;
    return too_small ? EBPF_JIT_COMPILATION_FAILED : result;
}

// --- publishing ----------------------------------------------------------------------------------

// Behind the code, where the system wants it: how to get out of each function, and the table of functions.
#define UNWIND_SIZE 80u // at most
struct layout {
    size_t unwind, functions, size; // offsets from the code
};

static struct layout lay_out(const struct attempt *a)
{
    struct layout l = {.unwind = (size_t)align_up(a->code.size, 4)};
    uint32_t count = plat_machine() == PLAT_X86_64_WINDOWS ? a->code.frame_count : 0;
    l.functions = l.unwind + count * UNWIND_SIZE;
    l.size = l.functions + count * sizeof(struct plat_code_function);
    return l;
}

static uint32_t write_functions(const struct attempt *a, const struct layout *l, uint8_t *pages)
{
    struct plat_code_function *functions = (struct plat_code_function *)(void *)(pages + l->functions);
    uint32_t count = plat_machine() == PLAT_X86_64_WINDOWS ? a->code.frame_count : 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct jit_frame *frame = &a->code.frames[i];
        size_t at = l->unwind + i * UNWIND_SIZE;
        (void)jit_unwind_x64(frame, pages + at, UNWIND_SIZE);
        functions[i] = (struct plat_code_function){frame->start, frame->end, (uint32_t)at};
    }
    return count;
}

static ebpf_result_t publish(struct attempt *a, struct prog_code *out)
{
    struct plat_code pages;
    const struct layout l = lay_out(a);
    TRY(plat_code_create(l.size, &pages));
    jit_link(&a->options, &a->code, (uintptr_t)pages.address);
    memcpy(pages.address, a->code.code, a->code.size);
    uint32_t count = write_functions(a, &l, pages.address);
    ebpf_result_t result = plat_code_publish(
        &pages, (const struct plat_code_function *)(const void *)(pages.address + l.functions), count);
    if (result != EBPF_SUCCESS) {
        plat_code_destroy(&pages);
        return result;
    }
    out->pages = pages;
    out->entry = (uintptr_t)pages.address;
    out->size = (uint32_t)a->code.size;
    return EBPF_SUCCESS;
}

void prog_code_set_machine(struct jit_options *options)
{
    static const uint8_t abis[] = {[PLAT_X86_64_SYSV] = JIT_ABI_SYSV,
                                   [PLAT_X86_64_WINDOWS] = JIT_ABI_WINDOWS,
                                   [PLAT_ARM64] = JIT_ABI_AAPCS64};
    options->arch = plat_machine() == PLAT_ARM64 ? JIT_ARM64 : JIT_X86_64;
    options->abi = abis[plat_machine()];
    options->cpu = jit_host_cpu();
}

static ebpf_result_t make_machine_code(struct runtime *rt, const struct bound *b, struct prog_code *out)
{
    struct attempt a = {.rt = rt, .input = &b->input, .options = rt->jit};
    if (a.options.blind) {
        plat_random_bytes(&a.options.blind_seed, sizeof(a.options.blind_seed));
    }
    TRY(translate(&a));
    ebpf_result_t result = publish(&a, out);
    free_memory(&a);
    return result;
}

// --- both engines --------------------------------------------------------------------------------

ebpf_result_t prog_code_make(struct runtime *rt, enum runtime_engine engine, const struct bound *b,
                             struct prog_code *out)
{
    struct prog_code code = {.size = 0};
#if defined(EBPF_INTERPRETER)
    if (engine == RUNTIME_INTERPRETER) {
        TRY(interp_decode(rt, &b->input, &code.interp));
        code.entry = (uintptr_t)code.interp;
        *out = code;
        return EBPF_SUCCESS;
    }
#endif
    if (engine != RUNTIME_JIT) {
        return EBPF_OPERATION_NOT_SUPPORTED;
    }
    TRY(make_machine_code(rt, b, &code));
    *out = code;
    return EBPF_SUCCESS;
}

void prog_code_free(struct prog_code *code)
{
    if (code->size != 0) {
        plat_code_destroy(&code->pages);
    }
#if defined(EBPF_INTERPRETER)
    interp_free(code->interp);
#endif
}

typedef uint64_t (*entry_fn)(uint64_t r1, uint64_t r2, struct jit_run *run, uint8_t *frame_top);

PLAT_CALLS_CODE static uint64_t execute(const struct prog_code *code, uint64_t address, struct run *run,
                                        struct run_stack *stack)
{
#if defined(EBPF_INTERPRETER)
    if (code->interp != NULL) {
        return interp_run(code->interp, run, stack);
    }
#else
    UNUSED(code);
#endif
    entry_fn entry = (entry_fn)(uintptr_t)address;
    return entry(run->r1, run->r2, &run->jit, stack->bytes[0] + INSN_STACK_SIZE);
}

ebpf_result_t prog_code_run(const struct prog_code *code, struct run *run, uint64_t *result)
{
    struct cpu_state *cpu = &run->rt->cpus[run->jit.slot];
    uint64_t entry = __atomic_load_n(&code->entry, __ATOMIC_SEQ_CST);
    if (cpu->nest == RUN_NEST_MAX || entry == 0) {
        return EBPF_INVALID_STATE;
    }
    run->jit.turns = INSN_MAY_GOTO_TURNS;
    run->jit.aborted = 0;
    run->tail_calls = 0;
    *result = execute(code, entry, run, &cpu->stacks[cpu->nest++]);
    cpu->nest--;
    return EBPF_SUCCESS;
}
