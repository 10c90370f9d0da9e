// SPDX-License-Identifier: MIT
// opt_compare: rules of simplification for comparisons, those of BRANCH and SELECT. A decided BRANCH compares
// a value with itself, which opt_prune looks for.
#include "jit/opt_rewrite.h"

#define MAX_32 ((uint64_t)UINT32_MAX)

// --- what is known -------------------------------------------------------------------------------

static enum opt_truth same_operands(unsigned cond)
{
    switch (cond) {
    case IR_EQ:
    case IR_ULE:
    case IR_UGE:
    case IR_SLE:
    case IR_SGE: return OPT_TRUE;
    case IR_SET:
    case IR_CLEAR: return OPT_UNKNOWN;
    default: return OPT_FALSE;
    }
}

static bool is_settled(const struct ir_value *v)
{
    return v->a == v->b && (v->cond == IR_EQ || v->cond == IR_NE);
}

static bool settle(struct rewrite *r, enum opt_truth truth)
{
    if (r->v->op == IR_SELECT) {
        uint32_t chosen = truth == OPT_TRUE ? r->v->c : r->v->d;
        return rewrite_keep(r, chosen);
    }
    r->v->cond = truth == OPT_TRUE ? IR_EQ : IR_NE;
    r->v->b = r->v->a;
    r->o->changes++;
    return true;
}

// b->max is the number where b is one.
static bool decide(struct rewrite *r, const struct opt_fact *a, const struct opt_fact *b)
{
    const struct ir_value *v = r->v;
    enum opt_truth truth = r->b->op == IR_CONST ? opt_decide_number(v->cond, v->cwidth, a, b->max)
                                                : opt_decide(v->cond, v->cwidth, *a, *b);
    if (truth == OPT_UNKNOWN && v->a == v->b) {
        truth = same_operands(v->cond);
    }
    return truth != OPT_UNKNOWN && settle(r, truth);
}

// --- form ----------------------------------------------------------------------------------------

static bool set_operands(struct rewrite *r, unsigned cond, uint32_t a, uint32_t b)
{
    r->v->cond = (uint8_t)cond;
    r->v->a = a;
    r->v->b = b;
    return true;
}

static bool set_number(struct rewrite *r, unsigned cond, uint32_t a, uint64_t number)
{
    uint64_t extended = fold_sign_extend(number & fold_mask(r->v->cwidth), r->v->cwidth);
    uint32_t b = opt_make_const(r->o, extended);
    return b != IR_NONE && set_operands(r, cond, a, b);
}

static bool number_goes_right(struct rewrite *r)
{
    if (r->a->op != IR_CONST || r->b->op == IR_CONST) {
        return false;
    }
    return set_operands(r, opt_swapped(r->v->cond), r->v->b, r->v->a);
}

static bool is_unsigned(unsigned cond)
{
    return cond < IR_SLT || cond > IR_SGT;
}

static unsigned to_unsigned(unsigned cond)
{
    static const uint8_t unsigned_of[IR_COND_COUNT] = {
        [IR_SLT] = IR_ULT, [IR_SGE] = IR_UGE, [IR_SLE] = IR_ULE, [IR_SGT] = IR_UGT};
    return unsigned_of[cond];
}

static bool drop_sign(struct rewrite *r, const struct opt_fact *a, const struct opt_fact *b)
{
    if (is_unsigned(r->v->cond)) {
        return false;
    }
    uint64_t most = fold_mask(r->v->cwidth - 1u);
    if (a->max > most || b->max > most) {
        return false;
    }
    r->v->cond = (uint8_t)to_unsigned(r->v->cond);
    return true;
}

// --- width ---------------------------------------------------------------------------------------

// Sign-extended from 32 bits: a constant, or an extension.
static bool is_extended(const struct ir_value *v)
{
    if (v->op == IR_CONST) {
        return v->imm >= INT32_MIN && v->imm <= INT32_MAX;
    }
    return (v->op == IR_SEXT && v->width == 64 && v->imm <= 32) || (v->op == IR_LOADS && v->width <= 32);
}

static bool to_32(struct rewrite *r)
{
    r->v->cwidth = 32;
    return true;
}

static bool narrow(struct rewrite *r, const struct opt_fact *a, const struct opt_fact *b)
{
    if (r->v->cwidth != 64) {
        return false;
    }
    bool small_a = a->max <= MAX_32, small_b = b->max <= MAX_32;
    if (small_a && small_b && is_unsigned(r->v->cond)) {
        return to_32(r);
    }
    if (r->v->cond == IR_SET || r->v->cond == IR_CLEAR) {
        return (small_a || small_b) && to_32(r);
    }
    // Extension keeps both orders.
    return is_extended(r->a) && is_extended(r->b) && to_32(r);
}

static bool read_sources(struct rewrite *r)
{
    if (r->v->cwidth != 32) {
        return false;
    }
    uint32_t a = rewrite_source(r, r->v->a), b = rewrite_source(r, r->v->b);
    if (a == r->v->a && b == r->v->b) {
        return false;
    }
    return set_operands(r, r->v->cond, a, b);
}

// (x << 32) compared with (y << 32), or with a constant whose low half is zero.
static bool is_raised(const struct rewrite *r, const struct ir_value *v)
{
    uint64_t count;
    return v->op == IR_SHL && v->width == 64 && rewrite_is_number(r, v->b, 64, &count) && count == 32;
}

static bool lower(struct rewrite *r)
{
    if (r->v->cwidth != 64 || !is_raised(r, r->a) || r->v->cond == IR_SET || r->v->cond == IR_CLEAR) {
        return false;
    }
    if (is_raised(r, r->b)) {
        r->v->cwidth = 32;
        return set_operands(r, r->v->cond, r->a->a, r->b->a);
    }
    if (r->b->op != IR_CONST || (uint32_t)r->b->imm != 0) {
        return false;
    }
    r->v->cwidth = 32;
    return set_number(r, r->v->cond, r->a->a, (uint64_t)r->b->imm >> 32);
}

// --- what is compared ----------------------------------------------------------------------------

static bool is_equality(const struct rewrite *r)
{
    return r->v->cond == IR_EQ || r->v->cond == IR_NE;
}

// Unsigned comparisons with 0 and 1 are equalities.
static bool make_equality(struct rewrite *r, uint64_t number)
{
    unsigned cond = r->v->cond;
    if (number == 1 && (cond == IR_ULT || cond == IR_UGE)) {
        return set_number(r, cond == IR_ULT ? IR_EQ : IR_NE, r->v->a, 0);
    }
    if (number == 0 && (cond == IR_ULE || cond == IR_UGT)) {
        r->v->cond = cond == IR_ULE ? IR_EQ : IR_NE;
        return true;
    }
    return false;
}

static bool compare_zero(struct rewrite *r)
{
    struct ir_value *v = r->v;
    unsigned test = v->cond == IR_EQ ? IR_CLEAR : IR_SET;
    unsigned both =
        min_u32(v->cwidth, r->a->width); // a narrow result is zero above, a wide one is not looked at
    if (r->a->uses > 1) {
        return false;
    }
    switch (r->a->op) {
    case IR_AND: v->cwidth = (uint8_t)both; return set_operands(r, test, r->a->a, r->a->b);
    case IR_SUB:
    case IR_XOR: v->cwidth = (uint8_t)both; return set_operands(r, v->cond, r->a->a, r->a->b);
    case IR_ZEXT: break;
    default: return false;
    }
    if (r->a->imm >= (int64_t)v->cwidth) {
        return false;
    }
    v->cwidth = 32;
    return set_number(r, test, r->a->a, fold_mask((unsigned)r->a->imm));
}

// x + n == number, x ^ n == number.
static bool move_number(struct rewrite *r, uint64_t number)
{
    uint64_t inner;
    if (r->a->uses > 1 || r->a->width != r->v->cwidth ||
        !rewrite_is_number(r, r->a->b, r->a->width, &inner)) {
        return false;
    }
    if (r->a->op == IR_ADD) {
        return set_number(r, r->v->cond, r->a->a, number - inner);
    }
    return r->a->op == IR_XOR && set_number(r, r->v->cond, r->a->a, number ^ inner);
}

// x & bit == bit.
static bool compare_bit(struct rewrite *r, uint64_t number)
{
    uint64_t bit;
    if (r->a->op != IR_AND || !rewrite_is_power(number) || r->a->width != r->v->cwidth ||
        !rewrite_is_number(r, r->a->b, r->a->width, &bit) || bit != number) {
        return false;
    }
    return set_operands(r, r->v->cond == IR_EQ ? IR_SET : IR_CLEAR, r->a->a, r->a->b);
}

static bool compare_swapped(struct rewrite *r, uint64_t number)
{
    unsigned bits = (unsigned)r->a->imm;
    if (r->a->op != IR_BSWAP || r->a->uses > 1 || bits > r->v->cwidth || number > fold_mask(bits) ||
        opt_fact_at(r->o, r->a->a)->max > fold_mask(bits)) {
        return false;
    }
    uint64_t in[4] = {number}, swapped;
    return fold_value(r->a, in, &swapped) && set_number(r, r->v->cond, r->a->a, swapped);
}

static bool with_number(struct rewrite *r, uint64_t number)
{
    if (make_equality(r, number)) {
        return true;
    }
    if (!is_equality(r)) {
        return false;
    }
    if (number == 0 && compare_zero(r)) {
        return true;
    }
    return move_number(r, number) || compare_bit(r, number) || compare_swapped(r, number);
}

// A test of all bits that can be set.
static bool test_all(struct rewrite *r, const struct opt_fact *a)
{
    if (r->v->cond != IR_SET && r->v->cond != IR_CLEAR) {
        return false;
    }
    bool number = r->b->op == IR_CONST && (a->may & ~(uint64_t)r->b->imm) == 0;
    if (!number && r->v->a != r->v->b) {
        return false;
    }
    return set_number(r, r->v->cond == IR_SET ? IR_NE : IR_EQ, r->v->a, 0);
}

static bool simplify_select(struct rewrite *r)
{
    if (r->v->op != IR_SELECT) {
        return false;
    }
    return r->v->c == r->v->d && rewrite_keep(r, r->v->c);
}

// What is known of the low bits that are compared.
static inline const struct opt_fact *low_fact(const struct rewrite *r, uint32_t value, uint64_t mask,
                                              struct opt_fact *room)
{
    const struct opt_fact *fact = opt_fact_at(r->o, value);
    if (fact->max <= mask) {
        return fact;
    }
    *room = opt_cut(*fact, r->v->cwidth);
    return room;
}

bool opt_compare(struct rewrite *r)
{
    const struct ir_value *v = r->v;
    struct opt_fact room_a, room_b;
    if (v->op == IR_BRANCH && is_settled(v)) {
        return false;
    }
    uint64_t mask = fold_mask(v->cwidth);
    const struct opt_fact *a = low_fact(r, v->a, mask, &room_a), *b = &room_b;
    if (r->b->op == IR_CONST) {
        room_b = opt_exactly((uint64_t)r->b->imm & mask);
    } else {
        b = low_fact(r, v->b, mask, &room_b);
    }
    if (simplify_select(r) || decide(r, a, b) || number_goes_right(r) || drop_sign(r, a, b) ||
        narrow(r, a, b) || read_sources(r) || lower(r)) {
        return true;
    }
    return (r->b->op == IR_CONST && with_number(r, b->max)) || test_all(r, a);
}
