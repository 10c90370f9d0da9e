// SPDX-License-Identifier: MIT
// ir_tidy: repairs of a function that was tidy: what lost its last use goes, and copies are forwarded.
// Cheaper than ir_clean, which looks for everything.
#include "jit/ir.h"

// The users of a COPY are those of what is behind it.
static void use_less(struct ir *ir, uint32_t value, uint32_t *dead)
{
    value = ir_resolve(ir, value);
    struct ir_value *v = ir_at(ir, value);
    if (value == IR_NONE || --v->uses != 0 || (ir_op_info(v->op)->flags & (IR_WRITE | IR_END)) != 0) {
        return;
    }
    v->slot = *dead;
    *dead = value;
}

void ir_release(struct ir_repair *r, uint32_t value)
{
    struct ir *ir = r->ir;
    uint32_t dead = IR_NONE;
    use_less(ir, value, &dead);
    while (dead != IR_NONE) {
        struct ir_value *v = ir_at(ir, dead);
        const uint32_t *operands = ir_operands(ir, v);
        uint32_t count = ir_operand_count(v);
        dead = v->slot;
        ir->params &= v->op == IR_PARAM ? ~((uint32_t)1 << v->imm) : UINT32_MAX;
        v->op = IR_NOP;
        ir_repair_block(r, v->block);
        for (uint32_t i = 0; i < count; i++) {
            use_less(ir, operands[i], &dead);
        }
    }
}

static bool is_leading(const struct ir_value *v)
{
    return v->op == IR_PHI || v->op == IR_PARAM;
}

static inline void resolve_operands(const struct ir *ir, struct ir_value *v)
{
    uint32_t *operands = ir_operands(ir, v), count = ir_operand_count(v);
    for (uint32_t k = 0; k < count; k++) {
        if (ir_at(ir, operands[k])->op == IR_COPY) {
            operands[k] = ir_resolve(ir, operands[k]);
        }
    }
}

static void repair_block(const struct ir *ir, struct ir_block *b)
{
    for (uint32_t *link = &b->first; *link != IR_NONE;) {
        struct ir_value *v = ir_at(ir, *link);
        ir_prefetch(v);
        if (v->op == IR_NOP || v->op == IR_COPY) {
            *link = v->next;
        } else {
            resolve_operands(ir, v);
            link = &v->next;
        }
    }
}

// Copies have no users in blocks before them, but for PHIs of loops.
void ir_repair(struct ir_repair *r)
{
    struct ir *ir = r->ir;
    for (uint32_t i = 0; i < r->first && i < ir->order_count; i++) {
        uint32_t n = ir_block_at(ir, ir->order[i])->first;
        for (; is_leading(ir_at(ir, n)); n = ir_next(ir, n)) {
            resolve_operands(ir, ir_at(ir, n));
        }
    }
    for (uint32_t i = r->first; i < ir->order_count; i++) {
        repair_block(ir, ir_block_at(ir, ir->order[i]));
    }
    ir->counted = ir->tidy = true;
}
