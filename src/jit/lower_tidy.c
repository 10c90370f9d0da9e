// SPDX-License-Identifier: MIT
// lower_tidy: a function that was tidy before it was lowered is so again without ir_clean: what changed its
// operands is on a list. Uses stay as they were while lowering decides by them, and are put right here.
#include "jit/lower_address.h"

#define CHUNK 64 // changes whose room is allocated at a time, one behind the other

bool lower_more_changes(struct lower_changes *c)
{
    struct lower_change *more = jit_room(c->j, CHUNK, sizeof(*more));
    c->list = c->capacity == 0 ? more : c->list;
    c->capacity += CHUNK;
    c->tidy = more != NULL;
    return c->tidy;
}

// One use of `value` goes. `dead`: values without one, linked by their slots.
static void use_less(struct ir *ir, uint32_t value, uint32_t *dead)
{
    struct ir_value *v = ir_at(ir, value);
    if (value == IR_NONE || --v->uses != 0 || (ir_op_info(v->op)->flags & (IR_WRITE | IR_END)) != 0) {
        return;
    }
    ir->params &= v->op == IR_PARAM ? ~((uint32_t)1 << v->imm) : UINT32_MAX;
    v->slot = *dead;
    *dead = value;
}

// The dead become NOPs; their blocks are marked.
static void bury(struct ir *ir, uint32_t dead)
{
    while (dead != IR_NONE) {
        struct ir_value *v = ir_at(ir, dead);
        const uint32_t *operands = ir_operands(ir, v);
        uint32_t count = ir_operand_count(v);
        dead = v->slot;
        v->slot = 0;
        v->op = IR_NOP;
        ir_block_at(ir, v->block)->mark = 1;
        for (uint32_t i = 0; i < count; i++) {
            use_less(ir, operands[i], &dead);
        }
    }
}

static void put_uses_right(struct ir *ir, const struct lower_changes *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        ir_at(ir, c->list[i].after)->uses++;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t dead = IR_NONE;
        use_less(ir, c->list[i].before, &dead);
        bury(ir, dead);
    }
}

static void unlink_marked(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        uint32_t *link = &b->first;
        for (uint32_t n = b->mark != 0 ? b->first : IR_NONE, next; n != IR_NONE; n = next) {
            struct ir_value *v = ir_at(ir, n);
            ir_prefetch(v);
            next = v->next;
            uint32_t gone = (v->op == IR_NOP) | (v->op == IR_COPY);
            *link = gone != 0 ? next : n;
            link = gone != 0 ? link : &v->next;
        }
    }
}

// Others than PHIs have it behind them.
static void forward_phis(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t n = ir_block_at(ir, ir->order[i])->first;
        for (; ir_at(ir, n)->op == IR_PHI; n = ir_next(ir, n)) {
            const struct ir_value *v = ir_at(ir, n);
            uint32_t *list = ir_pool(ir, v);
            for (uint32_t k = 0; k < v->b; k++) {
                list[k] = ir_resolve(ir, list[k]);
            }
        }
    }
}

void lower_settle(struct lower_changes *c, bool copies)
{
    struct ir *ir = &c->j->ir;
    if (c->tidy) {
        put_uses_right(ir, c);
        if (copies) {
            forward_phis(ir);
        }
        unlink_marked(ir);
    }
    ir->counted = ir->tidy = c->tidy;
    jit_rewind(c->j, c->mark);
}

ebpf_result_t lower_clean(struct jit *j)
{
    return j->ir.tidy ? EBPF_SUCCESS : ir_clean(j);
}
