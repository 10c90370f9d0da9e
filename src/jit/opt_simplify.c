// SPDX-License-Identifier: MIT
// opt_simplify: one walk over the dominator tree that rewrites every value by the rules of opt_algebra.c,
// opt_shifts.c and opt_compare.c until none applies, folds what is known, and numbers what is left. Facts are
// found before, and kept up to date on the way.
#include "jit/opt_rewrite.h"

#define TRIES 8 // rules for one value

// Two operands that stand together; where there is none, IR_NONE, which is no COPY.
static inline void resolve_pair(const struct ir *ir, const struct ir_value *top, uint32_t *first)
{
    bool copy = ((top - first[0])->op == IR_COPY) | ((top - first[1])->op == IR_COPY);
    if (copy) { // seldom
        first[0] = ir_resolve(ir, first[0]);
        first[1] = ir_resolve(ir, first[1]);
    }
}

static inline void resolve_operands(const struct ir *ir, struct ir_value *v)
{
    uint32_t count = ir_operand_count(v), *operands = ir_operands(ir, v);
    for (uint32_t i = 0; i < count; i++) {
        operands[i] = ir_resolve(ir, operands[i]);
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

// Constants come second, and else the older value first, so that equal operations look equal. Without
// branches: nobody can tell which way they go.
static inline void order_operands(const struct ir_value *top, struct ir_value *v)
{
    uint32_t a = v->a, b = v->b;
    bool number_a = (top - a)->op == IR_CONST, number_b = (top - b)->op == IR_CONST;
    bool swapped = (number_a & !number_b) | ((number_a == number_b) & (a > b));
    uint32_t change = (a ^ b) & (0 - (uint32_t)swapped);
    v->a = a ^ change;
    v->b = b ^ change;
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
        order_operands(o->ir->top, v);
    }
    struct rewrite r;
    rewrite_init(&r, o, value, v);
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

#define BIT(op) ((uint64_t)1 << IR_##op)

// Memory takes the low bits: extensions in front of a store do not matter.
static inline void simplify_store(struct opt *o, struct ir_value *v)
{
    for (unsigned n = 0; n < 2 && (v->flags & IR_IMM) == 0; n++) {
        const struct ir_value *c = ir_at(o->ir, v->c);
        if (((BIT(ZEXT) | BIT(SEXT) | BIT(AND)) >> c->op & 1) == 0) {
            return;
        }
        int64_t number;
        bool extended = c->op != IR_AND && c->imm >= v->width;
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

// What can be anything, as the frame and packets are, plus a number: no rule has anything to say, and so
// nothing is known of it.
static inline bool is_plain_sum(const struct opt *o, const struct ir_value *top, const struct ir_value *v)
{
    const struct ir_value *a = top - v->a, *b = top - v->b;
    const struct opt_fact *fact = opt_fact_at(o, v->a);
    bool plain = (v->op == IR_ADD) & (v->width == 64) & (b->op == IR_CONST) & (b->imm != 0);
    return plain && ((a->op != IR_ADD) | (a->uses > 1)) && fact->min == 0 && fact->max == UINT64_MAX;
}

static inline void rewrite_pure(struct opt *o, const struct ir_value *top, uint32_t value, struct ir_value *v)
{
    struct opt_fact *fact = &o->facts[value];
    if (is_plain_sum(o, top, v)) {
        *fact = OPT_TOP;
        number(o, value, v);
        return;
    }
    apply_rules(o, value, v);
    fact = &o->facts[value]; // there may be new values
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

// Operations that rules of opt_compare look for where something is compared with a number.
#define LOOKED_AT                                                                                            \
    (BIT(CONST) | BIT(ADD) | BIT(SUB) | BIT(AND) | BIT(XOR) | BIT(SHL) | BIT(ZEXT) | BIT(SEXT) |             \
     BIT(BSWAP) | BIT(LOADS))

// Values with this fact, in as many bits as are compared, are on both sides of `number`, which is not one
// that makes an order an equality.
static inline bool is_open(unsigned cond, uint64_t may, uint64_t min, uint64_t max, uint64_t number)
{
    bool above = number >= min, below = number <= max;
    bool equality = above & below & ((number & ~may) == 0) & (min != max);
    bool less = (number > min) & below & (number > 1), most = above & (number < max) & (number > 0);
    return ((unsigned)equality | (unsigned)less << 1 | (unsigned)most << 2) >> (cond >> 1) & 1;
}

// A comparison with a number of which opt_compare would find nothing more to say, as of most. What has no
// upper half is compared in 32 bits.
static inline bool says_nothing(const struct opt *o, const struct ir_value *top, struct ir_value *v)
{
    const struct ir_value *b = top - v->b;
    const struct opt_fact *fact = opt_fact_at(o, v->a);
    uint64_t number = (uint64_t)b->imm & fold_mask(v->cwidth);
    bool plain = (v->cond <= IR_UGT) & (b->op == IR_CONST) & ((LOOKED_AT >> (top - v->a)->op & 1) == 0);
    if (!plain || fact->min > fact->max) {
        return false;
    }
    if (v->cwidth == 32 && fact->max > UINT32_MAX) {
        uint64_t may = (uint32_t)fact->may;
        return fact->min <= UINT32_MAX && is_open(v->cond, may, 0, may, number);
    }
    bool open = is_open(v->cond, fact->may, fact->min, fact->max, number);
    v->cwidth = open && fact->max <= UINT32_MAX ? 32 : v->cwidth; // and so is the number
    return open;
}

static inline void rewrite_branch(struct opt *o, const struct ir_value *top, uint32_t value,
                                  struct ir_value *v)
{
    if ((v->flags & IR_IMM) != 0 || says_nothing(o, top, v)) {
        return;
    }
    o->pc = v->pc;
    struct rewrite r;
    rewrite_init(&r, o, value, v);
    for (unsigned n = 1; opt_compare(&r) && n < TRIES && !o->full; n++) {
        rewrite_init(&r, o, value, v);
    }
}

// What the walk does with operations.
enum { OTHER, NOTHING, CONSTANT, ADDRESS, PURE, BRANCH, LOAD, STORE, ATOMIC };
static const uint8_t kinds[IR_OP_COUNT] = {
    [IR_CONST] = CONSTANT,    [IR_FRAME] = ADDRESS,     [IR_MAP] = ADDRESS,       [IR_ADD] = PURE,
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
    [IR_COPY] = NOTHING,      [IR_JUMP] = NOTHING,
};

static inline void rewrite_memory(struct opt *o, const struct ir_value *top, unsigned kind, uint32_t value,
                                  struct ir_value *v)
{
    resolve_pair(o->ir, top, &v->a);
    if (kind != LOAD) {
        v->c = ir_resolve(o->ir, v->c);
        simplify_store(o, v);
    }
    if (kind != STORE) {
        uint64_t mask = v->op == IR_LOADS ? UINT64_MAX : fold_mask(v->width);
        o->facts[value] = (struct opt_fact){mask, 0, mask};
    }
}

static inline void rewrite_constant(struct opt *o, uint32_t value, struct ir_value *v)
{
    o->facts[value] = opt_exactly((uint64_t)v->imm);
    uint32_t same = opt_find_like(o, value, v, true);
    if (same != IR_NONE) {
        ir_become_copy(o->ir, value, same);
    }
}

// `top`: of the values, which does not move.
static inline void rewrite(struct opt *o, const struct ir_value *top, uint32_t value, struct ir_value *v)
{
    switch (kinds[v->op]) {
    case CONSTANT: rewrite_constant(o, value, v); break;
    case ADDRESS:
        o->facts[value] = (struct opt_fact){UINT64_MAX, 1, UINT64_MAX};
        number(o, value, v);
        break;
    case PURE:
        resolve_pair(o->ir, top, &v->a);
        if (v->op == IR_SELECT) {
            resolve_pair(o->ir, top, &v->c);
        }
        rewrite_pure(o, top, value, v);
        break;
    case LOAD: rewrite_memory(o, top, LOAD, value, v); break;
    case STORE: rewrite_memory(o, top, STORE, value, v); break;
    case ATOMIC: rewrite_memory(o, top, ATOMIC, value, v); break;
    case BRANCH:
        resolve_pair(o->ir, top, &v->a);
        rewrite_branch(o, top, value, v);
        break;
    case NOTHING: break;
    default:
        resolve_operands(o->ir, v);
        o->facts[value] = OPT_TOP;
        break;
    }
}

// PHIs that can have one value only. Constants go behind all PHIs: what is there is returned.
static uint32_t rewrite_phis(struct opt *o, struct ir_block *b)
{
    const struct ir *ir = o->ir;
    uint32_t *link = &b->first, rest;
    o->prev = IR_NONE;
    while (ir_at(ir, *link)->op == IR_PHI || ir_at(ir, *link)->op == IR_PARAM) {
        uint32_t value = *link;
        struct ir_value *v = ir_at(ir, value);
        const struct opt_fact *fact = opt_fact_at(o, value);
        ir_unseen(v);
        link = &v->next;
        if (v->op == IR_PHI && fact->min == fact->max) {
            o->pc = v->pc;
            uint32_t number = opt_make_const(o, fact->min);
            if (number != IR_NONE) {
                ir_become_copy(o->ir, value, number);
            }
        }
    }
    rest = *link;
    *link = IR_NONE;
    return rest;
}

// The block's list is turned round for ir_clean_narrowing.
static void rewrite_block(struct opt *o, uint32_t block)
{
    struct ir *ir = o->ir;
    if (!opt_enter(o, block)) {
        ir_turn_list(ir, ir_block_at(ir, block));
        return;
    }
    struct ir_value *const top = ir->top;
    o->block = block;
    for (uint32_t n = rewrite_phis(o, ir_block_at(ir, block)), next; n != IR_NONE; n = next) {
        struct ir_value *v = top - n;
        ir_prefetch(v);
        next = v->next;
        rewrite(o, top, n, v);
        ir_unseen(v);
        v->next = o->prev;
        o->prev = n;
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
