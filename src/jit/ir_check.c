// SPDX-License-Identifier: MIT
// ir_check: the rules of the intermediate form, as one function that Debug builds and tests call.
#include "jit/ir_text.h"

struct check {
    const struct jit *j;
    const struct ir *ir;
    uint32_t where;
};

static const char *check_width(const struct ir_value *v)
{
    bool memory = ir_is_memory(v->op) && v->op != IR_LEA;
    if (memory && (v->width == 8 || v->width == 16) && (v->op < IR_ATOMIC_ADD || v->op > IR_CMPXCHG)) {
        return NULL;
    }
    return v->width == 32 || v->width == 64 ? NULL : "width is neither 32 nor 64";
}

static const char *check_number(const struct ir_value *v)
{
    if ((v->flags & IR_IMM) != 0) {
        bool store = v->op == IR_STORE || v->op == IR_STOREBE;
        if (!store && (ir_op_info(v->op)->flags & IR_IMM_B) == 0) {
            return "this operation takes no immediate";
        }
        bool shift = v->op == IR_SHL || v->op == IR_SHR || v->op == IR_SAR || v->op == IR_ROL;
        return !shift || (v->imm >= 0 && v->imm < v->width) ? NULL : "the shift count is out of range";
    }
    if (v->op == IR_SEXT || v->op == IR_ZEXT || v->op == IR_BSWAP) {
        bool all = v->op == IR_BSWAP ? v->imm == 64 : v->imm == 8;
        return all || v->imm == 16 || v->imm == 32 ? NULL : "no such part of a value";
    }
    if (v->op == IR_BITS) {
        return v->imm > 0 && v->disp >= 0 && v->imm + v->disp <= v->width ? NULL : "bits beyond the width";
    }
    return v->op != IR_PARAM || (v->imm >= 0 && v->imm < 7) ? NULL : "no such parameter";
}

// Operand that may be IR_NONE.
static bool may_lack(const struct ir_value *v, uint32_t i)
{
    bool address = (ir_op_info(v->op)->flags & IR_ADDR) != 0;
    bool imm = (v->flags & IR_IMM) != 0;
    bool atomic = v->op >= IR_ATOMIC_ADD && v->op <= IR_XCHG; // not CMPXCHG, which compares with b
    return (address && i < 2) || (imm && i == (address ? 2u : 1u)) || (atomic && i == 1);
}

// The definition is there when the operand is used. The mark of a value is set once its block's list has
// passed it; blocks are compared by dominators where these are known.
static bool is_defined(const struct check *c, uint32_t operand, const struct ir_value *user)
{
    const struct ir_value *def = ir_at(c->ir, operand);
    if (def->block == user->block) {
        return def->mark != 0;
    }
    bool known = ir_block_at(c->ir, c->ir->entry)->dom_last != 0;
    return !known || ir_dominates(c->ir, def->block, user->block);
}

static const char *check_operands(struct check *c, uint32_t value)
{
    const struct ir *ir = c->ir;
    struct ir_value *v = ir_at(ir, value);
    uint32_t count = ir_operand_count(v);
    if (v->op == IR_PHI && count != ir_block_at(ir, v->block)->pred_count) {
        return "a PHI has not one operand for each predecessor";
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t operand = *ir_operand(ir, v, i);
        if (operand == IR_NONE) {
            if (!may_lack(v, i)) {
                return "an operand is missing";
            }
            continue;
        }
        if (operand >= ir->value_count || !ir_has_result(ir_at(ir, operand)->op)) {
            return "an operand is no value";
        }
        uint32_t block = ir_at(ir, operand)->block;
        if (block == IR_NONE || ir_block_at(ir, block)->order == UINT32_MAX) {
            return "an operand is in no block";
        }
        if (v->op != IR_PHI && !is_defined(c, operand, v)) {
            return "an operand is used before it is there";
        }
    }
    return NULL;
}

static const char *check_place(const struct ir *ir, const struct ir_block *b, uint32_t value, bool leading)
{
    const struct ir_value *v = ir_at(ir, value);
    bool ends = (ir_op_info(v->op)->flags & IR_END) != 0;
    if (ends != (value == b->last)) {
        return "a block has its end somewhere else than at its end";
    }
    if (ends != (v->next == IR_NONE)) {
        return "a block's list goes on behind its end";
    }
    if ((v->op == IR_PHI || v->op == IR_PARAM) && !leading) {
        return "a PHI or PARAM is not at the start of its block";
    }
    return v->op != IR_PARAM || b == ir_block_at(ir, ir->entry) ? NULL : "a PARAM is not in the first block";
}

static const char *check_block(struct check *c, uint32_t block)
{
    const struct ir *ir = c->ir;
    const struct ir_block *b = ir_block_at(ir, block);
    bool leading = true;
    for (uint32_t v = b->first; v != IR_NONE; v = ir_next(ir, v)) {
        ir_at(ir, v)->mark = 0;
    }
    for (uint32_t v = b->first; v != IR_NONE; v = ir_next(ir, v)) {
        struct ir_value *value = ir_at(ir, v);
        const char *wrong = value->block != block ? "a value is in another block than it says" : NULL;
        leading = leading && (value->op == IR_PHI || value->op == IR_PARAM);
        wrong = wrong != NULL ? wrong : check_place(ir, b, v, leading);
        wrong = wrong != NULL ? wrong : check_width(value);
        wrong = wrong != NULL ? wrong : check_number(value);
        wrong = wrong != NULL ? wrong : check_operands(c, v);
        if (wrong != NULL) {
            c->where = v;
            return wrong;
        }
        value->mark = 1;
    }
    return b->last != IR_NONE ? NULL : "a block is empty";
}

static uint32_t wanted_successors(const struct ir *ir, const struct ir_block *b)
{
    switch (ir_at(ir, b->last)->op) {
    case IR_JUMP: return 1;
    case IR_BRANCH: return 2;
    case IR_SWITCH: return b->target_count != 0 ? b->target_count : 1;
    default: return 0;
    }
}

static uint32_t count_pred(const struct ir_block *b, uint32_t pred)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->pred_count; i++) {
        n += b->preds[i] == pred;
    }
    return n;
}

static uint32_t count_succ(const struct ir_block *b, uint32_t succ)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ir_successor_count(b); i++) {
        n += ir_successor(b, i) == succ;
    }
    return n;
}

#define MAX_COMPARED 8 // edges of one block that are compared one by one; sums tell of the others

static bool is_block(const struct ir *ir, uint32_t block)
{
    return block != IR_NONE && block < ir->block_count && ir_block_at(ir, block)->order != UINT32_MAX;
}

static const char *check_ends(const struct ir *ir, uint32_t block)
{
    const struct ir_block *b = ir_block_at(ir, block);
    uint32_t count = ir_successor_count(b);
    if (count != wanted_successors(ir, b)) {
        return "a block's successors do not fit its end";
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!is_block(ir, ir_successor(b, i))) {
            return "a successor is no block";
        }
    }
    for (uint32_t i = 0; i < b->pred_count; i++) {
        if (!is_block(ir, b->preds[i])) {
            return "a predecessor is no block";
        }
    }
    return NULL;
}

static const char *check_edges(const struct ir *ir, uint32_t block)
{
    const struct ir_block *b = ir_block_at(ir, block);
    uint32_t count = ir_successor_count(b);
    for (uint32_t i = 0; i < count && count <= MAX_COMPARED; i++) {
        uint32_t to = ir_successor(b, i);
        if (ir_block_at(ir, to)->pred_count <= MAX_COMPARED &&
            count_pred(ir_block_at(ir, to), block) != count_succ(b, to)) {
            return "a block is not among the predecessors of its successor";
        }
    }
    for (uint32_t i = 0; i < b->pred_count && b->pred_count <= MAX_COMPARED; i++) {
        const struct ir_block *pred = ir_block_at(ir, b->preds[i]);
        if (ir_successor_count(pred) <= MAX_COMPARED && count_succ(pred, block) == 0) {
            return "a predecessor does not lead to its block";
        }
    }
    return NULL;
}

// No two blocks or values have the same, and sums of few are the same by chance only.
static uint32_t hash_of(uint32_t number)
{
    uint32_t hash = (number ^ number >> 16) * 0x7feb352du;
    hash = (hash ^ hash >> 15) * 0x846ca68bu;
    return hash ^ hash >> 16;
}

// In `extra` of each block: the sum over the blocks that lead there, less that over its predecessors.
static void sum_edges(const struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        ir_block_at(ir, ir->order[i])->extra = 0;
    }
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        uint32_t hash = hash_of(ir->order[i]), count = ir_successor_count(b);
        for (uint32_t k = 0; k < count; k++) {
            ir_block_at(ir, ir_successor(b, k))->extra += hash;
        }
        for (uint32_t k = 0; k < b->pred_count; k++) {
            b->extra -= hash_of(b->preds[k]);
        }
    }
}

static const char *check_sum(const struct ir *ir, uint32_t block)
{
    return ir_block_at(ir, block)->extra == 0 ? NULL : "a block is reached from others than its predecessors";
}

static uint32_t sum_operands(const struct ir *ir, struct ir_value *v, bool forwards)
{
    const uint32_t *list = ir_operands(ir, v);
    uint32_t count = ir_operand_count(v), sum = 0;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t operand = forwards ? ir_resolve(ir, list[k]) : list[k];
        sum += operand != IR_NONE ? hash_of(operand) : 0;
    }
    return sum;
}

// Uses that values have, less those that they say. With `forwards`, those of a COPY are those of what is
// behind it.
static uint32_t sum_uses(const struct ir *ir, bool forwards)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        for (uint32_t n = ir_block_at(ir, ir->order[i])->first; n != IR_NONE; n = ir_next(ir, n)) {
            struct ir_value *v = ir_at(ir, n);
            if (!forwards || v->op != IR_COPY) {
                sum += sum_operands(ir, v, forwards) - v->uses * hash_of(n);
            }
        }
    }
    return sum;
}

static const char *check_uses(const struct ir *ir)
{
    if (!ir->counted) {
        return NULL;
    }
    uint32_t params = 0;
    for (uint32_t n = ir_block_at(ir, ir->entry)->first; ir_at(ir, n)->op == IR_PARAM; n = ir_next(ir, n)) {
        params |= ir_at(ir, n)->uses != 0 ? (uint32_t)1 << ir_at(ir, n)->imm : 0;
    }
    bool right = sum_uses(ir, false) == 0 || sum_uses(ir, true) == 0; // build_slots leaves COPYs
    return right && (params & ~ir->params) == 0 ? NULL : "uses are counted wrong";
}

static const char *check_tidy(const struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count && ir->tidy; i++) {
        for (uint32_t n = ir_block_at(ir, ir->order[i])->first; n != IR_NONE; n = ir_next(ir, n)) {
            const struct ir_value *v = ir_at(ir, n);
            bool idle = v->uses == 0 && (ir_op_info(v->op)->flags & (IR_WRITE | IR_END)) == 0;
            if (idle || v->op == IR_COPY) {
                return "a tidy function has a value that nothing needs";
            }
        }
    }
    return NULL;
}

static const char *check_all(struct check *c, const char *(*check)(const struct ir *ir, uint32_t block))
{
    const char *wrong = NULL;
    for (uint32_t i = 0; i < c->ir->order_count && wrong == NULL; i++) {
        c->where = c->ir->order[i];
        wrong = check(c->ir, c->where);
    }
    return wrong;
}

const char *ir_check(const struct jit *j, uint32_t *where)
{
    struct check c = {.j = j, .ir = &j->ir};
    const char *wrong = NULL;
    for (uint32_t i = 0; i < j->ir.order_count && wrong == NULL; i++) {
        wrong = check_block(&c, j->ir.order[i]);
    }
    wrong = wrong != NULL ? wrong : check_all(&c, check_ends);
    wrong = wrong != NULL ? wrong : check_all(&c, check_edges);
    wrong = wrong != NULL ? wrong : check_uses(&j->ir);
    wrong = wrong != NULL ? wrong : check_tidy(&j->ir);
    if (wrong == NULL) {
        sum_edges(&j->ir);
        wrong = check_all(&c, check_sum);
    }
    *where = c.where;
    return wrong;
}
