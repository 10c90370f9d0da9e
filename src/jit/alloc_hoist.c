// SPDX-License-Identifier: MIT
// alloc_hoist: after the allocation, moves on the way back to the head of a loop are made before the branch,
// where the other way does not mind: the branch then goes to the head itself, and the loop has one jump less.
#include "jit/alloc.h"

#define MOVES_MAX 4 // more cost more than the jump

struct hoist {
    struct alloc *a;
    struct ir *ir;
    uint32_t block; // that only moves and jumps back
    uint32_t from;  // its predecessor
    struct jit_move *moves;
    uint32_t count;
};

static bool is_candidate(struct hoist *h)
{
    const struct ir_block *b = ir_block_at(h->ir, h->block);
    if (h->block == h->ir->entry || ir_at(h->ir, b->last)->op != IR_JUMP || b->pred_count != 1 ||
        !ir_dominates(h->ir, b->succ[0], h->block)) {
        return false;
    }
    h->from = b->preds[0];
    const struct ir_block *from = ir_block_at(h->ir, h->from);
    return ir_at(h->ir, from->last)->op == IR_BRANCH && from->succ[0] != from->succ[1] && from->mark == 0;
}

// Registers that hold something on the other way, or that the branch reads.
static uint32_t needed(const struct hoist *h)
{
    const struct alloc *a = h->a;
    const struct ir_block *from = ir_block_at(h->ir, h->from);
    const struct ir_value *branch = ir_at(h->ir, from->last);
    uint32_t other = from->succ[from->succ[0] == h->block ? 1 : 0], set = 0;
    for (uint32_t i = a->blocks[other].live; i < a->blocks[other].live_end; i++) {
        uint8_t reg = a->values[a->lives[i]].reg;
        set |= reg != IR_REG_NONE ? REG_SET(reg) : 0;
    }
    const uint32_t operands[] = {branch->a, branch->b};
    for (uint32_t i = 0; i < ARRAY_SIZE(operands); i++) {
        uint8_t reg = ir_at(h->ir, operands[i])->reg;
        set |= reg != IR_REG_NONE ? REG_SET(reg) : 0;
    }
    return set;
}

static bool can_go(const struct hoist *h)
{
    uint32_t set = needed(h);
    for (uint32_t i = 0; i < h->count; i++) {
        const struct jit_move *m = &h->moves[i];
        if (m->to.place != PLACE_REG || m->from.place != PLACE_REG || m->to.reg == ALLOC_NO_SCRATCH ||
            (set & REG_SET(m->to.reg)) != 0) {
            return false;
        }
    }
    return h->count != 0 && h->count <= MOVES_MAX;
}

// The operand of the PHI that is in the register.
static uint32_t *find_operand(const struct hoist *h, uint8_t reg)
{
    const struct ir_block *b = ir_block_at(h->ir, h->block);
    uint32_t v = ir_block_at(h->ir, b->succ[0])->first;
    while (ir_at(h->ir, v)->reg != reg) {
        v = ir_next(h->ir, v);
    }
    return &ir_pool(h->ir, ir_at(h->ir, v))[b->edge];
}

static ebpf_result_t move_all(struct hoist *h)
{
    ir_block_at(h->ir, h->from)->mark = 1; // of two ways back only one
    for (uint32_t i = 0; i < h->count; i++) {
        uint32_t *operand = find_operand(h, h->moves[i].to.reg);
        uint32_t copy = ir_new(h->a->j, IR_COPY, 64, *operand, IR_NONE, 0);
        if (copy == IR_NONE) {
            return EBPF_NO_MEMORY;
        }
        ir_at(h->ir, copy)->reg = h->moves[i].to.reg;
        ir_at(h->ir, copy)->pc = ir_at(h->ir, ir_block_at(h->ir, h->from)->last)->pc;
        *operand = copy;
        ir_append(h->ir, h->from, copy);
    }
    return EBPF_SUCCESS;
}

ebpf_result_t alloc_hoist(struct alloc *a)
{
    for (uint32_t i = 0; i < a->ir->order_count && !a->ir->acyclic; i++) {
        const struct ir_block *b = ir_block_at(a->ir, a->ir->order[i]);
        if (b->first != b->last) {
            continue;
        }
        struct hoist h = {.a = a, .ir = a->ir, .block = a->ir->order[i]};
        if (!is_candidate(&h)) {
            continue;
        }
        size_t mark = a->j->memory.used;
        TRY(alloc_edge_moves(a->j, h.block, ALLOC_NO_SCRATCH, &h.moves, &h.count));
        if (can_go(&h)) {
            TRY(move_all(&h));
        }
        jit_rewind(a->j, mark);
    }
    return EBPF_SUCCESS;
}
