// SPDX-License-Identifier: MIT
// build: from bytecode to SSA, function by function: the stream of instructions with the functions that are
// taken in (build_inline.c), its blocks (build_blocks.c), the variables that live in them (build_live.c),
// values (build_ssa.c and the files of the instructions). Every step is linear.
#include "jit/build.h"

// --- before values -------------------------------------------------------------------------------

static uint32_t count_variables(const struct build *b)
{
    uint32_t deepest = 0;
    for (uint32_t i = 0; i < b->copy_count; i++) {
        deepest = b->copies[i].depth > deepest ? b->copies[i].depth : deepest;
    }
    return BUILD_SHARED + 4 * (deepest + 1);
}

static ebpf_result_t prepare(struct build *b)
{
    TRY(build_expand(b));
    b->var_count = count_variables(b);
    TRY(build_find_blocks(b));
    build_find_live(b);
    return EBPF_SUCCESS;
}

// --- the whole program ---------------------------------------------------------------------------

static bool is_tail_call(const struct jit *j, const struct insn *in)
{
    const struct jit_input *input = j->input;
    return in->id == INSN_CALL && !input->raw && in->imm > 0 && in->imm < (int64_t)input->helper_count &&
           input->helpers[in->imm].kind == JIT_HELPER_TAIL_CALL;
}

static void note_insn(struct jit *j, uint32_t func, uint32_t pc)
{
    const struct insn *in = &j->input->insns[pc];
    uint8_t form = insn_info(in->id)->form;
    if (is_tail_call(j, in) && j->facts[func].tail_calls != UINT8_MAX) {
        j->facts[func].tail_calls++;
    }
    bool packet = form == FORM_LDABS || form == FORM_LDIND;
    j->func_aborts[func] |= packet;
    j->calls += packet || in->id == INSN_CALL || in->id == INSN_CALLX;
    j->map_loads += in->id == INSN_LDDW_MAP;
    if (in->id == INSN_CALL_LOCAL) {
        j->facts[func].calls_functions = true;
        uint32_t callee = build_func_at(j, insn_target(in, pc));
        if (callee != j->input->func_count) {
            j->facts[callee].calls++;
        }
    }
}

// Whatever calls a function that aborts does so too. True when another one was found.
static bool spread_aborts(struct jit *j)
{
    bool changed = false;
    for (uint32_t f = 0; f < j->input->func_count; f++) {
        const struct func *func = &j->input->funcs[f];
        for (uint32_t pc = func->start; pc < func->end && j->func_aborts[f] == 0; pc++) {
            if (build_may_abort(j, &j->input->insns[pc], pc)) {
                j->func_aborts[f] = 1;
                changed = true;
            }
        }
    }
    return changed;
}

static void find_aborts(struct jit *j)
{
    bool any = false;
    for (uint32_t f = 0; f < j->input->func_count; f++) {
        any = any || j->func_aborts[f] != 0;
    }
    unsigned rounds = 0; // calls nest no deeper than that in a valid program
    while (any && spread_aborts(j)) {
        if (++rounds == INSN_MAX_FRAMES) {
            memset(j->func_aborts, 1, j->input->func_count);
            return;
        }
    }
}

static void find_facts(struct jit *j)
{
    const struct insn *insns = j->input->insns;
    for (uint32_t f = 0; f < j->input->func_count; f++) {
        const struct func *func = &j->input->funcs[f];
        j->facts[f].reads = 0x3e; // until more is known
        for (uint32_t pc = func->start; pc < func->end; pc++) {
            if ((build_traits_of(&insns[pc]) & BUILD_NOTED) != 0) {
                note_insn(j, f, pc);
            }
        }
    }
    find_aborts(j);
}

// Marks the functions that `func` calls and does not take in; those that are new go to the end of the list.
static ebpf_result_t find_calls(struct jit *j, uint32_t func, uint32_t *list, uint32_t *count)
{
    size_t mark = j->memory.used;
    struct build b = {.j = j, .func = func};
    if (!j->facts[func].calls_functions) {
        return EBPF_SUCCESS;
    }
    TRY(build_expand(&b));
    for (uint32_t i = 0; i < b.copy_count; i++) {
        const struct build_copy *copy = &b.copies[i];
        for (uint32_t slot = copy->first; slot < copy->end; slot++) {
            uint32_t pc = build_pc(copy, slot);
            const struct insn *in = &j->input->insns[pc];
            if (in->id != INSN_CALL_LOCAL || build_copy_at(&b, slot) != BUILD_NONE) {
                continue;
            }
            uint32_t callee = build_func_at(j, insn_target(in, pc));
            if (!j->facts[callee].needed) {
                j->facts[callee].needed = true;
                list[(*count)++] = callee;
            }
        }
    }
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}

// What a function reads of r1-r5, or what those need that it calls.
static ebpf_result_t find_reads(struct jit *j, uint32_t func)
{
    size_t mark = j->memory.used;
    struct build b = {.j = j, .func = func};
    TRY(prepare(&b));
    j->facts[func].reads = (uint8_t)(b.blocks[0].in & 0x3e);
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}

static ebpf_result_t find_needed(struct jit *j, uint32_t *list)
{
    uint32_t count = 1;
    list[0] = 0;
    j->facts[0].needed = true;
    for (uint32_t i = 0; i < count; i++) {
        TRY(find_calls(j, list[i], list, &count));
    }
    for (uint32_t i = count; i-- > 1;) { // those that are called come later, as a rule
        TRY(find_reads(j, list[i]));
    }
    for (uint32_t f = 0; f < j->input->func_count; f++) {
        j->func_inlined[f] = !j->facts[f].needed;
    }
    return EBPF_SUCCESS;
}

ebpf_result_t build_program(struct jit *j)
{
    uint32_t count = j->input->func_count;
    j->facts = jit_alloc(j, count, sizeof(*j->facts));
    size_t mark = j->memory.used;
    uint32_t *list = jit_alloc(j, count, sizeof(*list));
    if (j->facts == NULL || list == NULL) {
        return EBPF_NO_MEMORY;
    }
    find_facts(j);
    TRY(find_needed(j, list));
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}

// --- one function --------------------------------------------------------------------------------

ebpf_result_t build_function(struct jit *j)
{
    struct build b = {.j = j, .func = j->ir.func, .mark = j->memory.used};
    TRY(prepare(&b));
    return build_values(&b);
}
