// SPDX-License-Identifier: MIT
// build_settle: when slots have become values, uses that were right are made so again, what has none goes,
// and PHIs of one value fold. Copies stay until simplification, which forwards them on its way: cheaper than
// ir_clean. No edge leads back: what uses a value comes later.
#include "jit/build.h"

static void count_phis(const struct build_settling *s)
{
    const struct ir *ir = s->ir;
    for (uint32_t value = s->first; value < ir->value_count; value++) {
        const struct ir_value *phi = ir_at(ir, value);
        const uint32_t *list = ir_pool(ir, phi);
        for (uint32_t i = 0; phi->op == IR_PHI && i < phi->b; i++) {
            ir_at(ir, list[i])->uses++;
        }
    }
}

// Users of a COPY are those of what is behind it: few steps away, as the ones before it were done.
static void forward(struct build_settling *s)
{
    const struct ir *ir = s->ir;
    for (uint32_t i = 0; i < s->user_count; i++) {
        struct ir_value *v = ir_at(ir, s->users[i]);
        if (v->op == IR_COPY) {
            v->a = ir_resolve(ir, v->a);
            v->d = s->copies;
            s->copies = s->users[i];
        }
    }
    for (uint32_t value = s->copies; value != IR_NONE; value = ir_at(ir, value)->d) {
        struct ir_value *v = ir_at(ir, value);
        v->a = ir_resolve(ir, v->a);
        ir_at(ir, v->a)->uses += v->uses - 1;
    }
}

// Nothing needs a COPY of what is gone.
static void drop_copies(const struct build_settling *s)
{
    for (uint32_t value = s->copies; value != IR_NONE; value = ir_at(s->ir, value)->d) {
        struct ir_value *v = ir_at(s->ir, value);
        if (ir_at(s->ir, v->a)->op == IR_NOP) {
            v->op = IR_NOP;
            v->uses = 0;
        }
    }
}

void build_forget_copies(struct build_settling *s)
{
    while (s->copies != IR_NONE) {
        uint32_t *link = &ir_at(s->ir, s->copies)->d;
        s->copies = *link;
        *link = IR_NONE;
    }
}

// From the last one on: few are found that were used.
static void drop_unused(struct ir *ir)
{
    struct ir_repair repair = ir_begin_repair(ir); // nothing is taken out: simplification does
    for (uint32_t value = ir->value_count; value-- > 1;) {
        struct ir_value *v = ir_at(ir, value);
        bool stays = (v->uses != 0) | (v->op == IR_COPY) | (v->op == IR_NOP) |
                     ((ir_op_info(v->op)->flags & (IR_WRITE | IR_END)) != 0);
        if (!stays) {
            v->uses = 1;
            ir_release(&repair, value);
        }
    }
}

// Whether its operands have become one value: then it is a COPY. It has uses, so that value keeps some.
static bool fold_phi(struct ir *ir, uint32_t value, struct ir_value *phi)
{
    uint32_t *list = ir_pool(ir, phi), different = 0;
    for (uint32_t i = 0; i < phi->b; i++) {
        list[i] = ir_resolve(ir, list[i]);
        different |= list[i] ^ list[0];
    }
    if (different != 0) {
        return false;
    }
    uint32_t only = list[0];
    ir_at(ir, only)->uses += phi->uses - phi->b;
    ir_become_copy(ir, value, only);
    return true;
}

// The PHIs of a block, or its PARAMs, and what was one: what is left of that goes behind them.
static void settle_block(struct ir *ir, struct ir_block *b)
{
    uint32_t *link = &b->first, moved = IR_NONE, *end = &moved;
    for (;;) {
        uint32_t at = *link;
        struct ir_value *v = ir_at(ir, at);
        if (v->op == IR_NOP) {
            *link = v->next;
        } else if (v->op == IR_PHI && fold_phi(ir, at, v)) {
            *link = v->next;
            *end = at;
            end = &v->next;
        } else if (v->op == IR_PHI || v->op == IR_PARAM) {
            link = &v->next;
        } else {
            break;
        }
    }
    *end = *link;
    *link = moved;
}

void build_settle(struct build_settling *s)
{
    struct ir *ir = s->ir;
    count_phis(s);
    forward(s);
    drop_unused(ir);
    drop_copies(s);
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        if (b->pred_count != 1) {
            settle_block(ir, b);
        }
    }
    ir->counted = true;
}
