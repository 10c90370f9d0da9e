// SPDX-License-Identifier: MIT
// build_inline: which functions a function takes in. It becomes a stream of slots: its own, then those of
// each copy. Functions with one call site are always taken in, as nothing grows; small ones while the budget
// lasts.
#include "jit/build.h"

#define SMALL        40u  // slots of a function that is copied to each of its call sites
#define ENTRY_BUDGET 200u // slots that even a small entry may grow by; other functions at most double

uint32_t build_func_at(const struct jit *j, int64_t pc)
{
    const struct jit_input *input = j->input;
    uint32_t low = 0, high = input->func_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (input->funcs[middle].start < pc) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < input->func_count && input->funcs[low].start == pc ? low : input->func_count;
}

static uint32_t slots_of(const struct build *b, uint32_t func)
{
    return b->j->input->funcs[func].end - b->j->input->funcs[func].start;
}

static ebpf_result_t add_copy(struct build *b, struct build_copy copy)
{
    if (b->copy_count == b->copy_capacity) {
        uint32_t capacity = b->copy_capacity == 0 ? 4 : b->copy_capacity * 2;
        struct build_copy *copies = jit_alloc(b->j, capacity, sizeof(*copies));
        if (copies == NULL) {
            return EBPF_NO_MEMORY;
        }
        if (b->copy_count != 0) {
            memcpy(copies, b->copies, b->copy_count * sizeof(*copies));
        }
        b->copies = copies;
        b->copy_capacity = capacity;
    }
    b->copies[b->copy_count++] = copy;
    return EBPF_SUCCESS;
}

// Whether `func` goes where the copy `into` calls it. A function that is on its way to itself has two call
// sites at least: the budget ends that.
static bool takes_in(struct build *b, const struct build_copy *into, uint32_t func)
{
    const struct build_facts *facts = &b->j->facts[func];
    if (!jit_has_pass(b->j, JIT_PASS_INLINE) || func == 0 || facts->tail_calls ||
        into->depth + 1u >= INSN_MAX_FRAMES) {
        return false;
    }
    if (into->single && facts->calls == 1) {
        return true;
    }
    uint32_t slots = slots_of(b, func);
    if (slots > SMALL || slots > b->budget) {
        return false;
    }
    b->budget -= slots;
    return true;
}

static ebpf_result_t expand_call(struct build *b, uint32_t parent, uint32_t pc)
{
    struct build_copy into = b->copies[parent];
    uint32_t func = build_func_at(b->j, insn_target(&b->j->input->insns[pc], pc));
    if (func == b->j->input->func_count) {
        return jit_refuse(b->j, pc);
    }
    if (!takes_in(b, &into, func)) {
        return EBPF_SUCCESS;
    }
    uint32_t first = b->copies[b->copy_count - 1].end;
    return add_copy(b, (struct build_copy){
                           .func = func,
                           .pc = b->j->input->funcs[func].start,
                           .first = first,
                           .end = first + slots_of(b, func),
                           .parent = parent,
                           .call = into.first + (pc - b->j->input->funcs[into.func].start),
                           .depth = (uint8_t)(into.depth + 1),
                           .single = into.single && b->j->facts[func].calls == 1,
                       });
}

ebpf_result_t build_expand(struct build *b)
{
    uint32_t slots = slots_of(b, b->func);
    b->budget = b->func == 0 ? ENTRY_BUDGET + slots / 2 : slots;
    TRY(add_copy(b, (struct build_copy){.func = b->func,
                                        .pc = b->j->input->funcs[b->func].start,
                                        .end = slots,
                                        .parent = BUILD_NONE,
                                        .call = BUILD_NONE,
                                        .single = true}));
    for (uint32_t i = 0; i < b->copy_count; i++) {
        const struct func *func = &b->j->input->funcs[b->copies[i].func];
        bool calls = b->j->facts[b->copies[i].func].calls_functions;
        for (uint32_t pc = func->start; pc < func->end && calls; pc++) {
            if (b->j->input->insns[pc].id == INSN_CALL_LOCAL) {
                TRY(expand_call(b, i, pc));
            }
        }
    }
    return EBPF_SUCCESS;
}

uint32_t build_copy_at(const struct build *b, uint32_t slot)
{
    uint32_t low = 1, high = b->copy_count; // their calls are in the order of the stream
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (b->copies[middle].call < slot) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < b->copy_count && b->copies[low].call == slot ? low : BUILD_NONE;
}
