// SPDX-License-Identifier: MIT
// ir_tidy: repairs of a function that was tidy: what lost its last use goes, and copies are forwarded.
// Cheaper than ir_clean, which looks for everything.
#include "jit/ir.h"

// The users of a COPY are those of what is behind it.
static void use_less(struct ir_repair *r, uint32_t value, uint32_t *dead)
{
    struct ir *ir = r->ir;
    struct ir_value *v = ir_at(ir, value);
    if (v->op == IR_COPY) {
        r->left--;
        value = ir_resolve(ir, value);
        v = ir_at(ir, value);
    }
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
    use_less(r, value, &dead);
    while (dead != IR_NONE) {
        struct ir_value *v = ir_at(ir, dead);
        const uint32_t *operands = ir_operands(ir, v);
        uint32_t count = ir_operand_count(v);
        dead = v->slot;
        ir->params &= v->op == IR_PARAM ? ~((uint32_t)1 << v->imm) : UINT32_MAX;
        v->op = IR_NOP;
        v->width = 64;
        ir_repair_block(r, v->block);
        for (uint32_t i = 0; i < count; i++) {
            use_less(r, operands[i], &dead);
        }
    }
}

static bool is_leading(const struct ir_value *v)
{
    return v->op == IR_PHI || v->op == IR_PARAM;
}

static inline void resolve_operands(struct ir_repair *r, struct ir_value *v)
{
    const struct ir *ir = r->ir;
    uint32_t *operands = ir_operands(ir, v), count = ir_operand_count(v);
    for (uint32_t k = 0; k < count; k++) {
        if (ir_at(ir, operands[k])->op == IR_COPY) {
            operands[k] = ir_resolve(ir, operands[k]);
            r->left--;
        }
    }
}

static void repair_block(struct ir_repair *r, struct ir_block *b)
{
    const struct ir *ir = r->ir;
    for (uint32_t *link = &b->first; *link != IR_NONE;) {
        struct ir_value *v = ir_at(ir, *link);
        ir_prefetch(v);
        if (v->op == IR_NOP || v->op == IR_COPY) {
            *link = v->next;
            continue;
        }
        if (r->left != 0) {
            resolve_operands(r, v);
        }
        link = &v->next;
    }
}

// Copies have no users in blocks before them, but for PHIs of loops. Most users are near.
void ir_repair(struct ir_repair *r)
{
    struct ir *ir = r->ir;
    for (uint32_t i = 0; i < r->first && i < ir->order_count && r->left != 0 && !ir->acyclic; i++) {
        uint32_t n = ir_block_at(ir, ir->order[i])->first;
        for (; is_leading(ir_at(ir, n)); n = ir_next(ir, n)) {
            resolve_operands(r, ir_at(ir, n));
        }
    }
    for (uint32_t i = r->first; i < ir->order_count && (i <= r->last || r->left != 0); i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        if (b->untidy || r->left != 0) {
            b->untidy = false;
            repair_block(r, b);
        }
    }
    ir->counted = ir->tidy = true;
}
