// SPDX-License-Identifier: MIT
// opt_simplify: one walk over the dominator tree that rewrites every value by the rules of opt_algebra.c,
// opt_shifts.c and opt_compare.c until none applies, folds what is known, and numbers what is left. Facts are
// found before, and kept up to date on the way.
#include "jit/opt_rewrite.h"

#define TRIES 8 // rules for one value

static void resolve_operands(const struct ir *ir, struct ir_value *v)
{
    uint32_t count = ir_operand_count(v);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *operand = ir_operand(ir, v, i);
        *operand = ir_resolve(ir, *operand);
    }
}

static bool is_pure(const struct ir_value *v)
{
    return (ir_op_info(v->op)->flags & IR_PURE) != 0;
}

// Rules by operation.
enum { ALGEBRA = 1, SHIFTS = 2, POPCOUNT = 4, COMPARE = 8 };
static const uint8_t rules[IR_OP_COUNT] = {
    [IR_ADD] = ALGEBRA | SHIFTS,  [IR_SUB] = ALGEBRA,         [IR_MUL] = ALGEBRA,
    [IR_AND] = ALGEBRA,           [IR_OR] = ALGEBRA | SHIFTS, [IR_XOR] = ALGEBRA | SHIFTS,
    [IR_UDIV] = ALGEBRA,          [IR_UMOD] = ALGEBRA,        [IR_SDIV] = ALGEBRA,
    [IR_SMOD] = ALGEBRA,          [IR_NEG] = ALGEBRA,         [IR_ZEXT] = ALGEBRA,
    [IR_SEXT] = ALGEBRA,          [IR_BSWAP] = ALGEBRA,       [IR_SHL] = SHIFTS,
    [IR_SHR] = SHIFTS | POPCOUNT, [IR_SAR] = SHIFTS,          [IR_ROL] = SHIFTS,
    [IR_BRANCH] = COMPARE,        [IR_SELECT] = COMPARE,
};

static bool apply(struct opt *o, uint32_t value)
{
    const struct ir_value *v = ir_at(o->ir, value);
    uint8_t set = rules[v->op];
    if (set == 0 || (v->flags & IR_IMM) != 0) {
        return false;
    }
    struct rewrite r;
    rewrite_init(&r, o, value);
    return ((set & ALGEBRA) != 0 && opt_algebra(&r)) || ((set & SHIFTS) != 0 && opt_shifts(&r)) ||
           ((set & POPCOUNT) != 0 && opt_popcount(&r)) || ((set & COMPARE) != 0 && opt_compare(&r));
}

// All operands are known.
static bool fold(struct opt *o, uint32_t value)
{
    const struct ir_value *v = ir_at(o->ir, value);
    const uint32_t names[4] = {v->a, v->b, v->c, v->d};
    uint64_t in[4] = {0}, result;
    uint32_t count = is_pure(v) ? ir_operand_count(v) : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct opt_fact fact = opt_fact_of(o, names[i]);
        if (fact.min != fact.max) {
            return false;
        }
        in[i] = fact.min;
    }
    if (count == 0 || (v->flags & IR_IMM) != 0 || v->op == IR_LEA || !fold_value(v, in, &result)) {
        return false;
    }
    ir_become_const(o->ir, value, (int64_t)result);
    return true;
}

// Memory takes the low bits: extensions in front of a store do not matter.
static void simplify_store(struct opt *o, struct ir_value *v)
{
    bool store = v->op == IR_STORE || (v->op >= IR_ATOMIC_ADD && v->op <= IR_CMPXCHG);
    for (unsigned n = 0; n < 2 && store && (v->flags & IR_IMM) == 0; n++) {
        const struct ir_value *c = ir_at(o->ir, v->c);
        int64_t number;
        bool extended = (c->op == IR_ZEXT || c->op == IR_SEXT) && c->imm >= v->width;
        bool masked = c->op == IR_AND && c->width >= v->width && ir_is_const(o->ir, c->b, &number) &&
                      (~(uint64_t)number & fold_mask(v->width)) == 0;
        if (!extended && !masked) {
            return;
        }
        v->c = c->a;
    }
}

// What is left of it gets a number, or becomes a copy.
static void number(struct opt *o, uint32_t value)
{
    uint32_t same = opt_number(o, value);
    if (same != IR_NONE) {
        ir_become_copy(o->ir, value, same);
    }
}

static void rewrite(struct opt *o, uint32_t value)
{
    struct ir_value *v = ir_at(o->ir, value);
    if (v->op == IR_CONST) {
        opt_update(o, value);
        number(o, value);
        return;
    }
    resolve_operands(o->ir, v);
    if (!is_pure(v) && v->op != IR_BRANCH) {
        simplify_store(o, v);
        opt_update(o, value);
        return;
    }
    o->pc = v->pc;
    for (unsigned n = 0; n < TRIES && !o->full; n++) {
        if (fold(o, value) || !apply(o, value)) {
            break;
        }
    }
    if (v->op == IR_BRANCH) {
        return;
    }
    opt_update(o, value);
    struct opt_fact fact = opt_fact_of(o, value);
    if (v->op != IR_CONST && v->op != IR_COPY && fact.min == fact.max) {
        ir_become_const(o->ir, value, (int64_t)fact.min);
    }
    number(o, value);
}

// PHIs that can have one value only. Constants go behind all PHIs.
static void rewrite_phis(struct opt *o, uint32_t block)
{
    const struct ir *ir = o->ir;
    uint32_t first = ir_block_at(ir, block)->first;
    for (uint32_t v = first; v != IR_NONE; v = ir_next(ir, v)) {
        if (ir_at(ir, v)->op != IR_PHI && ir_at(ir, v)->op != IR_PARAM) {
            break;
        }
        o->prev = v;
    }
    uint32_t last = o->prev;
    for (uint32_t v = first; last != IR_NONE; v = ir_next(ir, v)) {
        struct opt_fact fact = opt_fact_of(o, v);
        if (ir_at(ir, v)->op == IR_PHI && fact.min == fact.max) {
            o->pc = ir_at(ir, v)->pc;
            uint32_t number = opt_make_const(o, fact.min);
            if (number != IR_NONE) {
                ir_become_copy(o->ir, v, number);
            }
        }
        if (v == last) {
            break;
        }
    }
}

static void rewrite_block(struct opt *o, uint32_t block)
{
    o->block = block;
    o->prev = IR_NONE;
    if (!opt_enter(o, block)) {
        return;
    }
    rewrite_phis(o, block);
    uint32_t v = o->prev == IR_NONE ? ir_block_at(o->ir, block)->first : ir_at(o->ir, o->prev)->next;
    while (v != IR_NONE && !o->full) {
        uint32_t next = ir_next(o->ir, v);
        rewrite(o, v);
        o->prev = v;
        v = next;
    }
    opt_leave(o, block);
}

static ebpf_result_t rewrite_all(struct opt *o)
{
    for (uint32_t i = 0; i < o->ir->order_count && !o->full; i++) {
        rewrite_block(o, o->tree[i]);
    }
    opt_leave_all(o);
    return o->full ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

static ebpf_result_t simplify(struct jit *j, bool *changed)
{
    struct opt o;
    TRY(opt_init(&o, j));
    TRY(opt_prepare_walk(&o));
    TRY(rewrite_all(&o));
    TRY(opt_narrow(&o));
    *changed = o.changed;
    opt_fini(&o);
    return EBPF_SUCCESS;
}

ebpf_result_t opt_simplify(struct jit *j)
{
    ir_count_uses(&j->ir);
    return simplify(j, &j->changed);
}

ebpf_result_t opt_resimplify(struct jit *j)
{
    if (!j->changed) {
        return EBPF_SUCCESS;
    }
    j->changed = false;
    TRY(simplify(j, &j->changed));
    if (jit_has_pass(j, JIT_PASS_LOOPS)) { // tests may have become simple enough only now
        TRY(opt_loops(j));
    }
    return j->changed && jit_has_pass(j, JIT_PASS_PRUNE) ? opt_prune(j) : EBPF_SUCCESS;
}
