// SPDX-License-Identifier: MIT
// build_blocks: cuts the stream into blocks and finds those that are reached. A call that was taken in ends a
// block, as do packet loads and calls that may end the program.
#include "jit/build.h"

static const struct insn *insn_of(const struct build *b, uint32_t copy, uint32_t slot)
{
    return &b->j->input->insns[build_pc(&b->copies[copy], slot)];
}

static bool may_abort(const struct build *b, uint32_t copy, uint32_t slot)
{
    uint32_t pc = build_pc(&b->copies[copy], slot);
    return build_may_abort(b->j, &b->j->input->insns[pc], pc);
}

// Slot that a jump goes to, or BUILD_NONE when it leaves the function.
static uint32_t target_of(const struct build *b, uint32_t copy, uint32_t slot)
{
    const struct build_copy *c = &b->copies[copy];
    const struct insn *in = insn_of(b, copy, slot);
    int64_t by = insn_info(in->id)->form == FORM_JA32 ? (int32_t)in->imm : in->off;
    int64_t target = (int64_t)slot + 1 + by;
    return target >= c->first && target < c->end ? (uint32_t)target : BUILD_NONE;
}

// --- cutting -------------------------------------------------------------------------------------

static void mark_leader(struct build *b, uint32_t slot)
{
    uint64_t *word = &b->leaders[slot / 64], bit = (uint64_t)1 << slot % 64;
    b->leader_count += (*word & bit) == 0;
    *word |= bit;
}

// Where an instruction with BUILD_FLOW goes, and the slot behind it.
static ebpf_result_t mark_flow(struct build *b, uint32_t copy, uint32_t slot, const struct insn *in)
{
    const struct build_copy *c = &b->copies[copy];
    bool ends = true;
    if (insn_is_jump(in)) {
        uint32_t target = target_of(b, copy, slot);
        b->turn_count += in->id == INSN_MAY_GOTO;
        if (target == BUILD_NONE) {
            return jit_refuse(b->j, build_pc(c, slot));
        }
        mark_leader(b, target);
    } else if (in->id != INSN_EXIT) {
        ends = may_abort(b, copy, slot);
        b->abort_block = ends ? 0 : b->abort_block; // there will be one
        ends = ends || (in->id == INSN_CALL_LOCAL && build_copy_at(b, slot) != BUILD_NONE);
    }
    if (ends && slot + 1 < c->end) {
        mark_leader(b, slot + 1);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t mark_leaders_of(struct build *b, uint32_t copy)
{
    const struct build_copy *c = &b->copies[copy];
    const struct insn *const first = insn_of(b, copy, c->first), *const end = first + (c->end - c->first);
    mark_leader(b, c->first);
    for (const struct insn *in = first; in < end; in++) {
        if ((build_traits_of(in) & BUILD_FLOW) != 0) {
            TRY(mark_flow(b, copy, c->first + (uint32_t)(in - first), in));
        }
    }
    return EBPF_SUCCESS;
}

static struct build_block *add_block(struct build *b, enum build_kind kind, uint32_t copy, uint32_t first)
{
    struct build_block *block = &b->blocks[b->block_count++];
    block->kind = (uint8_t)kind;
    block->reached = block->repeats = block->open = false;
    block->pred_count = 0;
    block->copy = copy;
    block->first = block->end = first;
    block->succ[0] = block->succ[1] = BUILD_NONE;
    block->ir = IR_NONE;
    block->use = block->def = block->in = 0;
    return block;
}

// The first slot of each copy is a leader: a block ends where the next one starts.
static void cut(struct build *b, uint32_t slots)
{
    struct build_block *block = NULL;
    uint32_t copy = 0;
    for (uint32_t word = 0; word * 64 < slots; word++) {
        for (uint64_t bits = b->leaders[word]; bits != 0; bits &= bits - 1) {
            uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
            while (slot >= b->copies[copy].end) {
                copy++;
            }
            if (block != NULL) {
                block->end = slot;
            }
            b->block_at[slot] = b->block_count;
            block = add_block(b, BUILD_CODE, copy, slot);
        }
    }
    block->end = slots;
}

// --- ways ----------------------------------------------------------------------------------------

// The block at `slot` of the same copy, which is a leader; where there is none, the function is left without
// an EXIT, or a jump goes between the slots of one instruction.
static ebpf_result_t find_block(struct build *b, uint32_t copy, uint32_t from, uint32_t slot, uint32_t *out)
{
    const struct build_copy *c = &b->copies[copy];
    if (slot >= c->end || insn_of(b, copy, slot)->id == INSN_NONE) {
        return jit_refuse(b->j, build_pc(c, from));
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

struct step {
    uint32_t block, next; // way that comes next
};

static ebpf_result_t arrive(struct build *b, uint32_t at)
{
    struct build_block *block = &b->blocks[at];
    TRY(connect(b, block));
    block->reached = block->open = true;
    b->branch_count += block->succ[1] != BUILD_NONE;
    return EBPF_SUCCESS;
}

static struct build_block *take_way(struct build *b, uint32_t from, uint32_t to)
{
    struct build_block *block = &b->blocks[to];
    b->edge_count++;
    b->loops |= block->open;
    block->pred_count++;
    block->repeats |= to <= from;
    return block;
}

// Depth first, as ir_find_order goes.
static ebpf_result_t follow(struct build *b, struct step *stack)
{
    struct step at = {0, 0};
    uint32_t depth = 0;
    TRY(arrive(b, 0));
    for (;;) {
        struct build_block *block = &b->blocks[at.block];
        uint32_t to = at.next < 2 ? block->succ[at.next] : BUILD_NONE;
        if (to != BUILD_NONE) {
            at.next++;
            if (!take_way(b, at.block, to)->reached) {
                stack[depth++] = at;
                at = (struct step){to, 0};
                TRY(arrive(b, to));
            }
            continue;
        }
        block->open = false;
        b->left[b->reached_count++] = at.block;
        if (depth == 0) {
            return EBPF_SUCCESS;
        }
        at = stack[--depth];
    }
}

static ebpf_result_t mark_leaders(struct build *b, uint32_t slots)
{
    b->leaders = jit_alloc(b->j, slots / 64 + 1, sizeof(*b->leaders));
    b->block_at = jit_room(b->j, slots, sizeof(*b->block_at));
    if (b->leaders == NULL || b->block_at == NULL) {
        return EBPF_NO_MEMORY;
    }
    b->abort_block = BUILD_NONE;
    for (uint32_t copy = 0; copy < b->copy_count; copy++) {
        TRY(mark_leaders_of(b, copy));
    }
    return EBPF_SUCCESS;
}

ebpf_result_t build_find_blocks(struct build *b)
{
    uint32_t slots = b->copies[b->copy_count - 1].end;
    TRY(mark_leaders(b, slots));
    uint32_t capacity = b->leader_count + b->turn_count + (b->abort_block != BUILD_NONE);
    b->blocks = jit_room(b->j, capacity, sizeof(*b->blocks));
    b->left = jit_room(b->j, capacity, sizeof(*b->left));
    struct step *stack = jit_room(b->j, capacity, sizeof(*stack));
    if (b->blocks == NULL || b->left == NULL || stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    cut(b, slots);
    if (b->abort_block != BUILD_NONE) {
        b->abort_block = b->block_count;
        (void)add_block(b, BUILD_ABORT, 0, 0);
    }
    return follow(b, stack);
}
