// SPDX-License-Identifier: MIT
// ir_clean: forwards copies, folds PHIs that have one value, and unlinks what nothing needs.
#include "jit/ir.h"

#define PHI_ROUNDS 10 // of folding; what is left after them only costs moves

// What all operands are but the PHI itself, or IR_NONE.
static uint32_t only_operand(const struct ir *ir, const struct ir_value *phi, uint32_t self)
{
    const uint32_t *list = ir_pool(ir, phi);
    uint32_t only = IR_NONE;
    for (uint32_t i = 0; i < phi->b; i++) {
        uint32_t operand = ir_resolve(ir, list[i]);
        if (operand == self || operand == only) {
            continue;
        }
        if (only != IR_NONE) {
            return IR_NONE;
        }
        only = operand;
    }
    return only;
}

// What may be found where the PHIs of a block are: some of them have become other things.
static bool is_leading(const struct ir_value *v)
{
    return v->op == IR_PHI || v->op == IR_COPY || v->op == IR_CONST || v->op == IR_NOP || v->op == IR_UNDEF;
}

static bool fold_phis(struct ir *ir)
{
    bool changed = false;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        for (uint32_t v = b->first; v != IR_NONE && is_leading(ir_at(ir, v)); v = ir_at(ir, v)->next) {
            struct ir_value *value = ir_at(ir, v);
            uint32_t only = value->op == IR_PHI ? only_operand(ir, value, v) : IR_NONE;
            if (only != IR_NONE) {
                ir_become_copy(ir, v, only);
                changed = true;
            }
        }
    }
    return changed;
}

static bool is_root(const struct ir_value *v)
{
    return (ir_op_info(v->op)->flags & (IR_WRITE | IR_END)) != 0;
}

// What is needed for its own sake goes to the stack.
static uint32_t push_roots(struct ir *ir, uint32_t *stack)
{
    uint32_t depth = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        for (uint32_t v = b->first; v != IR_NONE; v = ir_at(ir, v)->next) {
            if (is_root(ir_at(ir, v))) {
                ir_at(ir, v)->mark = 1;
                stack[depth++] = v;
            }
        }
    }
    return depth;
}

static void note_param(struct ir *ir, const struct ir_value *v)
{
    ir->params |= v->op == IR_PARAM ? (uint32_t)1 << v->imm : 0;
}

// Marks what is needed, forwards its operands, and counts its uses.
static void mark_all(struct ir *ir, uint32_t *stack, uint32_t depth)
{
    ir->params = 0;
    while (depth != 0) {
        struct ir_value *v = ir_at(ir, stack[--depth]);
        uint32_t count = ir_operand_count(v);
        note_param(ir, v);
        for (uint32_t k = 0; k < count; k++) {
            uint32_t *place = ir_operand(ir, v, k), operand = ir_resolve(ir, *place);
            struct ir_value *value = ir_at(ir, operand);
            *place = operand;
            value->uses++;
            if (value->mark == 0 && operand != IR_NONE) {
                value->mark = 1;
                stack[depth++] = operand;
            }
        }
    }
}

static void unlink_dead(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        uint32_t *link = &b->first;
        while (*link != IR_NONE) {
            struct ir_value *v = ir_at(ir, *link);
            if (v->mark != 0) {
                b->last = *link;
                link = &v->next;
            } else {
                *link = v->next;
            }
        }
    }
}

void ir_count_uses(struct ir *ir)
{
    for (uint32_t v = 0; v < ir->value_count; v++) {
        ir_at(ir, v)->uses = 0;
    }
    ir->params = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        for (uint32_t v = b->first; v != IR_NONE; v = ir_at(ir, v)->next) {
            struct ir_value *value = ir_at(ir, v);
            uint32_t count = ir_operand_count(value);
            for (uint32_t k = 0; k < count; k++) {
                ir_at(ir, *ir_operand(ir, value, k))->uses++;
            }
            note_param(ir, value);
        }
    }
}

ebpf_result_t ir_clean(struct jit *j)
{
    struct ir *ir = &j->ir;
    size_t mark = j->memory.used;
    for (unsigned round = 0; round < PHI_ROUNDS && fold_phis(ir); round++) {
    }
    uint32_t *stack = jit_alloc(j, ir->value_count, sizeof(*stack));
    if (stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t v = 0; v < ir->value_count; v++) {
        ir_at(ir, v)->mark = 0;
        ir_at(ir, v)->uses = 0;
    }
    mark_all(ir, stack, push_roots(ir, stack));
    jit_rewind(j, mark);
    unlink_dead(ir);
    return EBPF_SUCCESS;
}
