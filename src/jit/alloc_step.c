// SPDX-License-Identifier: MIT
// alloc_step: the next value of a PHI that is computed while the PHI is still read moves to the edge where it
// is needed: there the PHI is dead and both are in one register.
//   i = phi(0, n); n = i + 1; if (i < 9) goto head   ->   i = phi(0, n); if (i < 9) { n = i + 1; goto head }
#include "jit/alloc.h"

// Last positions in the block at which values are read; ir_value.slot is free before the allocation. No
// marks.
static void find_reads(const struct ir *ir, const struct ir_block *b)
{
    uint32_t position = 0;
    for (uint32_t v = b->first; v != IR_NONE; v = ir_next(ir, v)) {
        struct ir_value *value = ir_at(ir, v);
        value->mark = 0;
        uint32_t count = value->op == IR_PHI ? 0 : ir_operand_count(value);
        position++;
        for (uint32_t i = 0; i < count; i++) {
            ir_at(ir, *ir_operand(ir, value, i))->slot = position;
        }
    }
}

static void clear_reads(const struct ir *ir, const struct ir_block *b)
{
    for (uint32_t v = b->first; v != IR_NONE; v = ir_next(ir, v)) {
        struct ir_value *value = ir_at(ir, v);
        uint32_t count = value->op == IR_PHI ? 0 : ir_operand_count(value);
        value->slot = 0;
        for (uint32_t i = 0; i < count; i++) {
            ir_at(ir, *ir_operand(ir, value, i))->slot = 0;
        }
    }
}

// `value` is computed from `phi` and something that lives anyway.
static bool is_step_of(const struct ir *ir, uint32_t value, uint32_t phi)
{
    struct ir_value *v = ir_at(ir, value);
    if ((ir_op_info(v->op)->flags & IR_PURE) == 0 || v->uses != 1) {
        return false;
    }
    bool reads = false;
    uint32_t count = ir_operand_count(v);
    if (count > 2) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t operand = *ir_operand(ir, v, i);
        reads = reads || operand == phi;
        if (operand != phi && operand != IR_NONE && !alloc_is_remade(ir_at(ir, operand)->op)) {
            return false;
        }
    }
    return reads;
}

// Marks the operands of the edge's PHIs that may go, and notes the PHI in their field d, which they do not
// use.
static bool find_steps(const struct ir *ir, const struct ir_block *edge, uint32_t from, bool mark)
{
    bool found = false;
    for (uint32_t v = ir_block_at(ir, edge->succ[0])->first; ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
        uint32_t operand = ir_pool(ir, ir_at(ir, v))[edge->edge];
        struct ir_value *value = ir_at(ir, operand);
        if (value->block == from && is_step_of(ir, operand, v)) {
            found = true;
            value->mark = mark;
            value->d = mark ? v : IR_NONE;
        }
    }
    return found;
}

static void move_steps(struct ir *ir, uint32_t edge, struct ir_block *from)
{
    uint32_t *link = &from->first, position = 0;
    while (*link != IR_NONE) {
        uint32_t value = *link;
        struct ir_value *v = ir_at(ir, value);
        position++;
        if (v->mark == 0) {
            link = &v->next;
            continue;
        }
        uint32_t phi = v->d;
        v->mark = 0;
        v->d = IR_NONE;
        if (ir_at(ir, phi)->slot <= position) {
            link = &v->next;
            continue;
        }
        *link = v->next;
        ir_append(ir, edge, value);
    }
}

void alloc_step(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count && !ir->acyclic; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        if (b->pred_count != 1 || b->first != b->last || ir_at(ir, b->last)->op != IR_JUMP ||
            !ir_dominates(ir, b->succ[0], ir->order[i])) {
            continue;
        }
        struct ir_block *from = ir_block_at(ir, b->preds[0]);
        if (find_steps(ir, b, b->preds[0], false)) {
            find_reads(ir, from);
            find_steps(ir, b, b->preds[0], true);
            move_steps(ir, ir->order[i], from);
            clear_reads(ir, from);
        }
    }
}
