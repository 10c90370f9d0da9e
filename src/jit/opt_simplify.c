// SPDX-License-Identifier: MIT
// opt_simplify: one walk over the dominator tree that rewrites every value by the rules of opt_algebra.c,
// opt_shifts.c and opt_compare.c until none applies, folds what is known, and numbers what is left. Facts are
// found before, and kept up to date on the way.
#include "jit/opt_rewrite.h"

#define TRIES 8 // rules for one value

static inline void resolve(const struct ir *ir, const struct ir_value *top, uint32_t *operand)
{
    if ((top - *operand)->op == IR_COPY) { // seldom
        *operand = ir_resolve(ir, *operand);
    }
}

static inline void resolve_operands(const struct ir *ir, struct ir_value *v)
{
    uint32_t count = ir_operand_count(v), *operands = ir_operands(ir, v);
    for (uint32_t i = 0; i < count; i++) {
        resolve(ir, ir->top, &operands[i]);
    }
}

// Rules by operation.
enum { ALGEBRA = 1, SHIFTS = 2, ROTATIONS = 4, POPCOUNT = 8, COMPARE = 16, ORDER = 32 };
static const uint8_t rules[IR_OP_COUNT] = {
    [IR_ADD] = ORDER | ALGEBRA | ROTATIONS,
    [IR_SUB] = ALGEBRA,
    [IR_MUL] = ORDER | ALGEBRA,
    [IR_AND] = ORDER | ALGEBRA,
    [IR_OR] = ORDER | ALGEBRA | ROTATIONS,
    [IR_XOR] = ORDER | ALGEBRA | ROTATIONS,
    [IR_UDIV] = ALGEBRA,
    [IR_UMOD] = ALGEBRA,
    [IR_SDIV] = ALGEBRA,
    [IR_SMOD] = ALGEBRA,
    [IR_NEG] = ALGEBRA,
    [IR_ZEXT] = ALGEBRA,
    [IR_SEXT] = ALGEBRA,
    [IR_BSWAP] = ALGEBRA,
    [IR_SHL] = SHIFTS,
    [IR_SHR] = SHIFTS | POPCOUNT,
    [IR_SAR] = SHIFTS,
    [IR_ROL] = SHIFTS,
    [IR_SELECT] = COMPARE,
};

// Constants come second, and else the older value first, so that equal operations look equal.
static inline void order_operands(const struct ir *ir, struct ir_value *v)
{
    bool number_a = ir_at(ir, v->a)->op == IR_CONST, number_b = ir_at(ir, v->b)->op == IR_CONST;
    if (number_a == number_b ? v->a > v->b : number_a) {
        uint32_t first = v->b;
        v->b = v->a;
        v->a = first;
    }
}

// Shifts both ways, or a shift by all but the highest byte, which ends a count of bits: others need no look.
static inline bool may_rotate(const struct rewrite *r)
{
    return (r->a->op == IR_SHL && r->b->op == IR_SHR) || (r->a->op == IR_SHR && r->b->op == IR_SHL);
}

static inline bool may_count(const struct rewrite *r)
{
    return r->has_number && r->number == r->v->width - 8u;
}

static inline bool apply(struct opt *o, uint32_t value, struct ir_value *v)
{
    uint8_t set = rules[v->op];
    if (set == 0 || (v->flags & IR_IMM) != 0) {
        return false;
    }
    if ((set & ORDER) != 0) {
        order_operands(o->ir, v);
    }
    struct rewrite r;
    rewrite_init(&r, o, value);
    if ((set & ALGEBRA) != 0) {
        return opt_algebra(&r) || ((set & ROTATIONS) != 0 && may_rotate(&r) && opt_rotations(&r));
    }
    if ((set & SHIFTS) != 0) {
        return opt_shifts(&r) || ((set & POPCOUNT) != 0 && may_count(&r) && opt_popcount(&r));
    }
    return opt_compare(&r);
}

static bool fold_known(struct opt *o, uint32_t value)
{
    struct ir_value *v = ir_at(o->ir, value);
    const uint32_t *operands = ir_operands(o->ir, v);
    uint64_t in[4] = {0}, result;
    uint32_t count = ir_operand_count(v);
    for (uint32_t i = 0; i < count; i++) {
        in[i] = opt_fact_at(o, operands[i])->min;
    }
    if ((v->flags & IR_IMM) != 0 || v->op == IR_LEA || !fold_value(v, in, &result)) {
        return false;
    }
    ir_become_const(o->ir, value, (int64_t)result);
    return true;
}

// All operands are known.
static inline bool fold(struct opt *o, uint32_t value, const struct ir_value *v)
{
    const struct opt_fact *fact = opt_fact_at(o, v->a);
    if (fact->min != fact->max) { // so it is where there is no operand
        return false;
    }
    for (uint32_t i = 1; i < ir_op_info(v->op)->count; i++) {
        fact = opt_fact_at(o, (&v->a)[i]);
        if (fact->min != fact->max) {
            return false;
        }
    }
    return fold_known(o, value);
}

// Memory takes the low bits: extensions in front of a store do not matter.
static void simplify_store(struct opt *o, struct ir_value *v)
{
    for (unsigned n = 0; n < 2 && (v->flags & IR_IMM) == 0; n++) {
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
static inline void number(struct opt *o, uint32_t value, struct ir_value *v)
{
    uint32_t same = opt_find_number(o, value, v);
    if (same != IR_NONE) {
        ir_become_copy(o->ir, value, same);
    }
}

static inline void apply_rules(struct opt *o, uint32_t value, struct ir_value *v)
{
    o->pc = v->pc;
    for (unsigned n = 0; n < TRIES && !o->full; n++) {
        if (fold(o, value, v) || !apply(o, value, v)) {
            break;
        }
    }
}

static inline void rewrite_pure(struct opt *o, uint32_t value, struct ir_value *v)
{
    apply_rules(o, value, v);
    struct opt_fact *fact = &o->facts[value];
    if (v->op == IR_COPY) {
        return; // users ask for the value behind it
    }
    bool select = v->op == IR_SELECT;
    opt_compute(v, opt_fact_at(o, select ? v->c : v->a), opt_fact_at(o, select ? v->d : v->b), fact);
    if (fact->min == fact->max && v->op != IR_CONST) {
        ir_become_const(o->ir, value, (int64_t)fact->min);
    }
    number(o, value, v);
}

static inline void rewrite_branch(struct opt *o, uint32_t value, struct ir_value *v)
{
    if ((v->flags & IR_IMM) != 0) {
        return;
    }
    o->pc = v->pc;
    struct rewrite r;
    rewrite_init(&r, o, value);
    for (unsigned n = 1; opt_compare(&r) && n < TRIES && !o->full; n++) {
        rewrite_init(&r, o, value);
    }
}

// What the walk does with operations.
enum { OTHER, CONSTANT, PURE, BRANCH, LOAD, STORE, ATOMIC, COPY };
static const uint8_t kinds[IR_OP_COUNT] = {
    [IR_CONST] = CONSTANT,    [IR_FRAME] = PURE,        [IR_MAP] = PURE,          [IR_ADD] = PURE,
    [IR_SUB] = PURE,          [IR_MUL] = PURE,          [IR_AND] = PURE,          [IR_OR] = PURE,
    [IR_XOR] = PURE,          [IR_SHL] = PURE,          [IR_SHR] = PURE,          [IR_SAR] = PURE,
    [IR_ROL] = PURE,          [IR_UDIV] = PURE,         [IR_UMOD] = PURE,         [IR_SDIV] = PURE,
    [IR_SMOD] = PURE,         [IR_MULHU] = PURE,        [IR_NEG] = PURE,          [IR_SEXT] = PURE,
    [IR_ZEXT] = PURE,         [IR_BSWAP] = PURE,        [IR_ANDN] = PURE,         [IR_BITS] = PURE,
    [IR_POPCNT] = PURE,       [IR_CLZ] = PURE,          [IR_CTZ] = PURE,          [IR_LEA] = PURE,
    [IR_SELECT] = PURE,       [IR_BRANCH] = BRANCH,     [IR_LOAD] = LOAD,         [IR_LOADS] = LOAD,
    [IR_LOADBE] = LOAD,       [IR_STORE] = STORE,       [IR_ATOMIC_ADD] = ATOMIC, [IR_ATOMIC_OR] = ATOMIC,
    [IR_ATOMIC_AND] = ATOMIC, [IR_ATOMIC_XOR] = ATOMIC, [IR_FETCH_ADD] = ATOMIC,  [IR_FETCH_OR] = ATOMIC,
    [IR_FETCH_AND] = ATOMIC,  [IR_FETCH_XOR] = ATOMIC,  [IR_XCHG] = ATOMIC,       [IR_CMPXCHG] = ATOMIC,
    [IR_COPY] = COPY,
};

static inline void rewrite(struct opt *o, uint32_t value, struct ir_value *v)
{
    const struct ir *ir = o->ir;
    const struct ir_value *top = ir->top;
    unsigned kind = kinds[v->op];
    if (kind == CONSTANT) {
        o->facts[value] = opt_exactly((uint64_t)v->imm);
        number(o, value, v);
        return;
    }
    if (kind == OTHER) {
        resolve_operands(ir, v);
        o->facts[value] = OPT_TOP;
        return;
    }
    resolve(ir, top, &v->a);
    if (v->b != IR_NONE) {
        resolve(ir, top, &v->b);
    }
    if (kind == LOAD) {
        o->facts[value] = opt_result_fact(v);
    } else if (kind == BRANCH) {
        rewrite_branch(o, value, v);
    } else if (kind == PURE) {
        if (v->c != IR_NONE) {
            resolve(ir, top, &v->c);
            resolve(ir, top, &v->d);
        }
        rewrite_pure(o, value, v);
    } else if (kind != COPY) {
        resolve(ir, top, &v->c);
        simplify_store(o, v);
        if (kind == ATOMIC) {
            o->facts[value] = opt_result_fact(v);
        }
    }
}

// PHIs that can have one value only. Constants go behind all PHIs.
static void rewrite_phis(struct opt *o, uint32_t block)
{
    const struct ir *ir = o->ir;
    uint32_t first = ir_block_at(ir, block)->first, last = IR_NONE;
    for (uint32_t v = first; v != IR_NONE; v = ir_next(ir, v)) {
        if (ir_at(ir, v)->op != IR_PHI && ir_at(ir, v)->op != IR_PARAM) {
            break;
        }
        last = v;
    }
    o->prev = last;
    for (uint32_t v = first; last != IR_NONE; v = ir_next(ir, v)) {
        const struct opt_fact *fact = opt_fact_at(o, v);
        if (ir_at(ir, v)->op == IR_PHI && fact->min == fact->max) {
            o->pc = ir_at(ir, v)->pc;
            uint32_t number = opt_make_const(o, fact->min);
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
    if (!opt_enter(o, block)) {
        return;
    }
    const struct ir *ir = o->ir;
    o->block = block;
    rewrite_phis(o, block);
    uint32_t v = o->prev == IR_NONE ? ir_block_at(ir, block)->first : ir_at(ir, o->prev)->next;
    while (v != IR_NONE) {
        uint32_t next = ir_next(ir, v);
        rewrite(o, v, ir_at(ir, v));
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

static ebpf_result_t simplify(struct jit *j)
{
    struct opt o;
    TRY(opt_init(&o, j));
    TRY(opt_prepare_walk(&o));
    TRY(rewrite_all(&o));
    TRY(opt_narrow(&o));
    j->changes = o.changes;
    opt_fini(&o);
    return EBPF_SUCCESS;
}

ebpf_result_t opt_simplify(struct jit *j)
{
    if (!j->ir.counted) {
        ir_count_uses(&j->ir);
    }
    return simplify(j);
}

// A second look costs as much as the first one: it pays in loops, which run often, where many values changed,
// and where slots have become values since.
#define FEW 64 // one value in so many

ebpf_result_t opt_resimplify(struct jit *j)
{
    uint32_t enough = !j->ir.acyclic || j->slots == JIT_SLOTS_LATE ? 1 : j->ir.value_count / FEW + 1;
    if (j->changes < enough) {
        return EBPF_SUCCESS;
    }
    TRY(simplify(j));
    if (jit_has_pass(j, JIT_PASS_LOOPS)) { // tests may have become simple enough only now
        TRY(opt_loops(j));
    }
    return j->changes != 0 && jit_has_pass(j, JIT_PASS_PRUNE) ? opt_prune(j) : EBPF_SUCCESS;
}
