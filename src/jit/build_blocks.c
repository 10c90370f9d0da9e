// SPDX-License-Identifier: MIT
// build_blocks: cuts the stream into blocks and finds those that are reached. A call that was taken in ends a
// block, as do packet loads and calls that may end the program.
#include "jit/build.h"

#define LEADER 0u // in block_at, before blocks have numbers

static const struct insn *insn_of(const struct build *b, uint32_t copy, uint32_t slot)
{
    return &b->j->input->insns[build_pc(b, &b->copies[copy], slot)];
}

static bool may_abort(const struct build *b, uint32_t copy, uint32_t slot)
{
    return build_may_abort(b->j, build_pc(b, &b->copies[copy], slot));
}

// Neither jumps nor calls.
static bool is_straight(const struct insn *in)
{
    uint8_t form = insn_info(in->id)->form;
    return form <= FORM_ALU_UNARY || (form >= FORM_LOAD && form <= FORM_LDDW) || form == FORM_ATOMIC;
}

static bool ends_block(const struct build *b, uint32_t copy, uint32_t slot)
{
    const struct insn *in = insn_of(b, copy, slot);
    return insn_is_jump(in) || in->id == INSN_EXIT || may_abort(b, copy, slot) ||
           (in->id == INSN_CALL_LOCAL && build_copy_at(b, slot) != BUILD_NONE);
}

// Slot that a jump goes to, or BUILD_NONE when it leaves the function.
static uint32_t target_of(const struct build *b, uint32_t copy, uint32_t slot)
{
    const struct build_copy *c = &b->copies[copy];
    const struct func *func = &b->j->input->funcs[c->func];
    uint32_t pc = build_pc(b, c, slot);
    int64_t target = insn_target(&b->j->input->insns[pc], pc);
    if (target < func->start || target >= func->end) {
        return BUILD_NONE;
    }
    return c->first + (uint32_t)(target - func->start);
}

// --- cutting -------------------------------------------------------------------------------------

static ebpf_result_t mark_leaders_of(struct build *b, uint32_t copy)
{
    const struct build_copy *c = &b->copies[copy];
    b->block_at[c->first] = LEADER;
    uint32_t slots;
    for (uint32_t slot = c->first; slot < c->end; slot += slots) {
        const struct insn *in = insn_of(b, copy, slot);
        slots = insn_slots(in);
        if (is_straight(in)) {
            continue;
        }
        b->turn_count += in->id == INSN_MAY_GOTO;
        if (may_abort(b, copy, slot)) {
            b->abort_block = 0; // there will be one
        }
        if (insn_is_jump(in)) {
            uint32_t target = target_of(b, copy, slot);
            if (target == BUILD_NONE) {
                return jit_refuse(b->j, build_pc(b, c, slot));
            }
            b->block_at[target] = LEADER;
        }
        if (slot + slots < c->end && ends_block(b, copy, slot)) {
            b->block_at[slot + slots] = LEADER;
        }
    }
    return EBPF_SUCCESS;
}

static uint32_t count_leaders(const struct build *b, uint32_t slots)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < slots; slot++) {
        count += b->block_at[slot] == LEADER;
    }
    return count;
}

static struct build_block *add_block(struct build *b, enum build_kind kind, uint32_t copy, uint32_t first)
{
    struct build_block *block = &b->blocks[b->block_count++];
    *block = (struct build_block){.kind = (uint8_t)kind,
                                  .copy = copy,
                                  .first = first,
                                  .end = first,
                                  .succ = {BUILD_NONE, BUILD_NONE},
                                  .ir = IR_NONE};
    return block;
}

static void cut_copy(struct build *b, uint32_t copy)
{
    const struct build_copy *c = &b->copies[copy];
    struct build_block *block = NULL;
    for (uint32_t slot = c->first; slot < c->end; slot++) {
        if (b->block_at[slot] == LEADER) {
            b->block_at[slot] = b->block_count;
            block = add_block(b, BUILD_CODE, copy, slot);
        }
        block->end = slot + 1; // the first slot of a copy is a leader
    }
}

// --- ways ----------------------------------------------------------------------------------------

// The block at `slot` of the same copy; where there is none, the function is left without an EXIT, or a jump
// goes between the slots of one instruction.
static ebpf_result_t find_block(struct build *b, uint32_t copy, uint32_t from, uint32_t slot, uint32_t *out)
{
    const struct build_copy *c = &b->copies[copy];
    if (slot >= c->end || b->block_at[slot] == BUILD_NONE || insn_of(b, copy, slot)->id == INSN_NONE) {
        return jit_refuse(b->j, build_pc(b, c, from));
    }
    *out = b->block_at[slot];
    return EBPF_SUCCESS;
}

static uint32_t last_slot(const struct build *b, const struct build_block *block)
{
    uint32_t last = block->end - 1;
    return last > block->first && insn_of(b, block->copy, last)->id == INSN_NONE ? last - 1 : last;
}

// The turn is taken between the test and the block that follows it.
static uint32_t add_turn(struct build *b, const struct build_block *block, uint32_t next)
{
    struct build_block *turn = add_block(b, BUILD_TURN, block->copy, block->end);
    turn->succ[0] = next;
    return b->block_count - 1;
}

static ebpf_result_t connect_exit(struct build *b, struct build_block *block)
{
    const struct build_copy *c = &b->copies[block->copy];
    if (c->parent == BUILD_NONE) {
        return EBPF_SUCCESS;
    }
    return find_block(b, c->parent, c->call, c->call + 1, &block->succ[0]);
}

static ebpf_result_t connect_jump(struct build *b, struct build_block *block, uint32_t last)
{
    const struct insn *in = insn_of(b, block->copy, last);
    TRY(find_block(b, block->copy, last, target_of(b, block->copy, last), &block->succ[0]));
    if (!insn_is_conditional(in)) {
        return EBPF_SUCCESS;
    }
    TRY(find_block(b, block->copy, last, block->end, &block->succ[1]));
    if (in->id == INSN_MAY_GOTO) {
        block->succ[1] = add_turn(b, block, block->succ[1]);
    } else if (block->succ[0] == block->succ[1]) {
        block->succ[1] = BUILD_NONE;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t connect(struct build *b, struct build_block *block)
{
    if (block->kind != BUILD_CODE) {
        return EBPF_SUCCESS;
    }
    uint32_t last = last_slot(b, block);
    const struct insn *in = insn_of(b, block->copy, last);
    if (in->id == INSN_EXIT) {
        return connect_exit(b, block);
    }
    if (insn_is_jump(in)) {
        return connect_jump(b, block, last);
    }
    uint32_t callee = in->id == INSN_CALL_LOCAL ? build_copy_at(b, last) : BUILD_NONE;
    if (callee != BUILD_NONE) {
        block->succ[0] = b->block_at[b->copies[callee].first];
        return EBPF_SUCCESS;
    }
    if (may_abort(b, block->copy, last)) {
        block->succ[0] = b->abort_block;
        return find_block(b, block->copy, last, block->end, &block->succ[1]);
    }
    return find_block(b, block->copy, last, block->end, &block->succ[0]);
}

static ebpf_result_t follow(struct build *b, uint32_t *stack)
{
    uint32_t depth = 1;
    stack[0] = 0;
    b->blocks[0].reached = true;
    while (depth != 0) {
        struct build_block *block = &b->blocks[stack[--depth]];
        TRY(connect(b, block));
        for (unsigned i = 0; i < 2; i++) {
            struct build_block *to = block->succ[i] == BUILD_NONE ? NULL : &b->blocks[block->succ[i]];
            if (to == NULL) {
                continue;
            }
            to->has_preds = true;
            if (!to->reached) {
                to->reached = true;
                stack[depth++] = block->succ[i];
            }
        }
    }
    return EBPF_SUCCESS;
}

ebpf_result_t build_find_blocks(struct build *b)
{
    uint32_t slots = b->copies[b->copy_count - 1].end;
    b->block_at = jit_room(b->j, slots, sizeof(*b->block_at));
    if (b->block_at == NULL) {
        return EBPF_NO_MEMORY;
    }
    memset(b->block_at, 0xff, slots * sizeof(*b->block_at));
    b->abort_block = BUILD_NONE;
    b->turn_count = 0;
    for (uint32_t copy = 0; copy < b->copy_count; copy++) {
        TRY(mark_leaders_of(b, copy));
    }
    uint32_t capacity = count_leaders(b, slots) + b->turn_count + (b->abort_block != BUILD_NONE);
    b->blocks = jit_room(b->j, capacity, sizeof(*b->blocks));
    uint32_t *stack = jit_room(b->j, capacity, sizeof(*stack));
    if (b->blocks == NULL || stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t copy = 0; copy < b->copy_count; copy++) {
        cut_copy(b, copy);
    }
    if (b->abort_block != BUILD_NONE) {
        b->abort_block = b->block_count;
        (void)add_block(b, BUILD_ABORT, 0, 0);
    }
    return follow(b, stack);
}
