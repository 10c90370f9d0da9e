// SPDX-License-Identifier: MIT
// opt_refine: what comparisons say about their operands, and what facts say about comparisons.
#include "jit/opt.h"

unsigned opt_swapped(unsigned cond)
{
    static const uint8_t swapped[IR_COND_COUNT] = {
        [IR_EQ] = IR_EQ,   [IR_NE] = IR_NE,   [IR_ULT] = IR_UGT, [IR_UGE] = IR_ULE,
        [IR_ULE] = IR_UGE, [IR_UGT] = IR_ULT, [IR_SLT] = IR_SGT, [IR_SGE] = IR_SLE,
        [IR_SLE] = IR_SGE, [IR_SGT] = IR_SLT, [IR_SET] = IR_SET, [IR_CLEAR] = IR_CLEAR,
    };
    return swapped[cond];
}

// --- deciding ------------------------------------------------------------------------------------

static enum opt_truth always(bool holds)
{
    return holds ? OPT_TRUE : OPT_UNKNOWN;
}

static enum opt_truth negate(enum opt_truth truth)
{
    return truth == OPT_UNKNOWN ? OPT_UNKNOWN : truth == OPT_TRUE ? OPT_FALSE : OPT_TRUE;
}

static enum opt_truth less_signed(struct opt_fact a, struct opt_fact b, unsigned width)
{
    int64_t a_least, a_most, b_least, b_most;
    opt_signed_range(a, width, &a_least, &a_most);
    opt_signed_range(b, width, &b_least, &b_most);
    return a_most < b_least ? OPT_TRUE : a_least >= b_most ? OPT_FALSE : OPT_UNKNOWN;
}

static enum opt_truth less_unsigned(struct opt_fact a, struct opt_fact b)
{
    return a.max < b.min ? OPT_TRUE : a.min >= b.max ? OPT_FALSE : OPT_UNKNOWN;
}

static enum opt_truth equal(struct opt_fact a, struct opt_fact b)
{
    if (opt_is_empty(opt_meet(a, b))) {
        return OPT_FALSE;
    }
    return always(a.min == a.max && b.min == b.max); // not disjoint: the same
}

// Whether a & b has a bit.
static enum opt_truth intersects(struct opt_fact a, struct opt_fact b)
{
    if ((a.may & b.may) == 0) {
        return OPT_FALSE;
    }
    if (a.min == a.max && b.min == b.max) {
        return (a.min & b.min) != 0 ? OPT_TRUE : OPT_FALSE;
    }
    return always(b.min == UINT64_MAX && a.min != 0);
}

enum opt_truth opt_decide(unsigned cond, unsigned cwidth, struct opt_fact a, struct opt_fact b)
{
    if (opt_is_empty(a) || opt_is_empty(b)) {
        return OPT_UNKNOWN; // not reached
    }
    a = opt_low(a, cwidth);
    b = opt_low(b, cwidth);
    switch (cond) {
    case IR_EQ: return equal(a, b);
    case IR_NE: return negate(equal(a, b));
    case IR_ULT: return less_unsigned(a, b);
    case IR_UGE: return negate(less_unsigned(a, b));
    case IR_UGT: return less_unsigned(b, a);
    case IR_ULE: return negate(less_unsigned(b, a));
    case IR_SLT: return less_signed(a, b, cwidth);
    case IR_SGE: return negate(less_signed(a, b, cwidth));
    case IR_SGT: return less_signed(b, a, cwidth);
    case IR_SLE: return negate(less_signed(b, a, cwidth));
    case IR_SET: return intersects(a, b);
    default: return negate(intersects(a, b));
    }
}

// --- assuming ------------------------------------------------------------------------------------

static void nothing(struct opt_fact *a, struct opt_fact *b)
{
    *a = *b = (struct opt_fact){0, 1, 0};
}

// *f is meant to lie in min..max.
static void restrict_to(struct opt_fact *f, uint64_t min, uint64_t max)
{
    *f = opt_meet(*f, (struct opt_fact){UINT64_MAX, min, max});
}

static void assume_equal(struct opt_fact *a, struct opt_fact *b)
{
    *a = *b = opt_meet(*a, *b);
}

// *f is not `value`.
static void exclude(struct opt_fact *f, uint64_t value)
{
    if (f->min == value && f->max == value) {
        *f = (struct opt_fact){0, 1, 0};
    } else if (f->min == value) {
        restrict_to(f, value + 1, UINT64_MAX);
    } else if (f->max == value) {
        restrict_to(f, 0, value - 1);
    }
}

static void assume_different(struct opt_fact *a, struct opt_fact *b)
{
    if (b->min == b->max) {
        exclude(a, b->min);
    } else if (a->min == a->max) {
        exclude(b, a->min);
    }
}

// *a + less <= *b, with less 0 or 1.
static void assume_order(struct opt_fact *a, struct opt_fact *b, unsigned less)
{
    if (b->max < less || a->min > UINT64_MAX - less) {
        nothing(a, b);
        return;
    }
    uint64_t most = b->max - less, least = a->min + less;
    restrict_to(a, 0, most);
    restrict_to(b, least, UINT64_MAX);
}

// *f, of `width` bits, is meant to lie in least..most as a signed number.
static void restrict_signed(struct opt_fact *f, unsigned width, int64_t least, int64_t most)
{
    uint64_t mask = fold_mask(width);
    if (least > most) {
        *f = (struct opt_fact){0, 1, 0};
    } else if ((least < 0) == (most < 0)) {
        restrict_to(f, (uint64_t)least & mask, (uint64_t)most & mask);
    }
}

static void assume_signed_order(struct opt_fact *a, struct opt_fact *b, unsigned width, unsigned less)
{
    int64_t a_least, a_most, b_least, b_most;
    opt_signed_range(*a, width, &a_least, &a_most);
    opt_signed_range(*b, width, &b_least, &b_most);
    if (b_most < INT64_MIN + (int64_t)less || a_least > INT64_MAX - (int64_t)less) {
        nothing(a, b);
        return;
    }
    int64_t most = b_most - (int64_t)less, least = a_least + (int64_t)less;
    restrict_signed(a, width, a_least, a_most < most ? a_most : most);
    restrict_signed(b, width, b_least > least ? b_least : least, b_most);
}

// a & b has no bit.
static void assume_clear(struct opt_fact *a, struct opt_fact *b)
{
    if (b->min == b->max) {
        *a = opt_meet(*a, (struct opt_fact){~b->min, 0, UINT64_MAX});
    } else if (a->min == a->max) {
        *b = opt_meet(*b, (struct opt_fact){~a->min, 0, UINT64_MAX});
    }
}

static void assume_set(struct opt_fact *a, struct opt_fact *b)
{
    uint64_t both = a->may & b->may;
    if (both == 0) {
        nothing(a, b);
        return;
    }
    restrict_to(a, both & -both, UINT64_MAX); // at least the lowest bit that both can have
    restrict_to(b, both & -both, UINT64_MAX);
}

static void assume_low(unsigned cond, unsigned cwidth, struct opt_fact *a, struct opt_fact *b)
{
    switch (cond) {
    case IR_EQ: assume_equal(a, b); break;
    case IR_NE: assume_different(a, b); break;
    case IR_ULT: assume_order(a, b, 1); break;
    case IR_ULE: assume_order(a, b, 0); break;
    case IR_UGT: assume_order(b, a, 1); break;
    case IR_UGE: assume_order(b, a, 0); break;
    case IR_SLT: assume_signed_order(a, b, cwidth, 1); break;
    case IR_SLE: assume_signed_order(a, b, cwidth, 0); break;
    case IR_SGT: assume_signed_order(b, a, cwidth, 1); break;
    case IR_SGE: assume_signed_order(b, a, cwidth, 0); break;
    case IR_SET: assume_set(a, b); break;
    default: assume_clear(a, b); break;
    }
}

void opt_assume(unsigned cond, unsigned cwidth, struct opt_fact *a, struct opt_fact *b)
{
    if (opt_is_empty(*a) || opt_is_empty(*b)) {
        return;
    }
    // The low halves are all that a narrow comparison speaks of: values that may have upper halves keep them.
    uint64_t mask = fold_mask(cwidth);
    struct opt_fact low_a = opt_low(*a, cwidth), low_b = opt_low(*b, cwidth);
    assume_low(cond, cwidth, &low_a, &low_b);
    bool impossible = opt_is_empty(low_a) || opt_is_empty(low_b);
    if (impossible) {
        nothing(a, b);
        return;
    }
    *a = a->max <= mask ? low_a : *a;
    *b = b->max <= mask ? low_b : *b;
}

// --- numbers -------------------------------------------------------------------------------------

// EQ to UGT: what holds of one range of numbers, or of all others.
static inline bool is_plain(unsigned cond)
{
    return cond <= IR_UGT;
}

// The numbers that are `cond` to `number`, which is not NE; false: there are none.
static inline bool range_of(unsigned cond, uint64_t number, uint64_t *min, uint64_t *max)
{
    *min = 0;
    *max = UINT64_MAX;
    switch (cond) {
    case IR_EQ: *min = *max = number; return true;
    case IR_ULT: *max = number - 1; return number != 0;
    case IR_ULE: *max = number; return true;
    case IR_UGT: *min = number + 1; return number != UINT64_MAX;
    default: *min = number; return true;
    }
}

enum opt_truth opt_decide_number(unsigned cond, unsigned cwidth, const struct opt_fact *a, uint64_t number)
{
    unsigned first = cond & ~1u; // of the pair
    uint64_t min, max;
    if (!is_plain(cond) || opt_is_empty(*a)) {
        return opt_decide(cond, cwidth, *a, opt_exactly(number));
    }
    bool possible = range_of(first, number, &min, &max) && min <= a->max && max >= a->min &&
                    (first != IR_EQ || (number & ~a->may) == 0);
    if (possible && (min > a->min || max < a->max)) {
        return OPT_UNKNOWN;
    }
    return possible == (cond == first) ? OPT_TRUE : OPT_FALSE;
}

// What the condition says of numbers within *a, of which there are some: for conditions that are `plain`.
static inline enum opt_effect assume_plain(unsigned cond, const struct opt_fact *a, uint64_t number,
                                           struct opt_fact *left)
{
    uint64_t min, max;
    if (cond == IR_NE) {
        if (a->min != number && a->max != number) {
            return OPT_NOTHING;
        }
        *left = *a;
        exclude(left, number);
        return opt_is_empty(*left) ? OPT_IMPOSSIBLE : OPT_LEARNT;
    }
    if (!range_of(cond, number, &min, &max) || min > a->max || max < a->min) {
        return OPT_IMPOSSIBLE;
    }
    if (min <= a->min && max >= a->max) {
        return OPT_NOTHING;
    }
    if (cond == IR_EQ) {
        *left = opt_exactly(number);
        return (number & ~a->may) != 0 ? OPT_IMPOSSIBLE : OPT_LEARNT;
    }
    *left = opt_meet(*a, (struct opt_fact){UINT64_MAX, min, max});
    return opt_is_empty(*left) ? OPT_IMPOSSIBLE : OPT_LEARNT;
}

// The same for orders of signed numbers of `width` bits.
static enum opt_effect assume_order_number(unsigned cond, unsigned width, const struct opt_fact *a,
                                           uint64_t number, struct opt_fact *left)
{
    int64_t least, most, bound = (int64_t)fold_sign_extend(number, width);
    opt_signed_range(*a, width, &least, &most);
    if ((cond == IR_SLT && bound == INT64_MIN) || (cond == IR_SGT && bound == INT64_MAX)) {
        return OPT_IMPOSSIBLE;
    }
    int64_t last = bound - (cond == IR_SLT) + (cond == IR_SGT);
    if (cond == IR_SLT || cond == IR_SLE) {
        most = most < last ? most : last;
    } else {
        least = least > last ? least : last;
    }
    *left = *a;
    restrict_signed(left, width, least, most);
    return opt_is_empty(*left) ? OPT_IMPOSSIBLE : OPT_LEARNT;
}

static enum opt_effect assume_other(unsigned cond, unsigned cwidth, const struct opt_fact *a, uint64_t number,
                                    struct opt_fact *left)
{
    if (cond < IR_SET && !opt_is_empty(*a)) {
        return assume_order_number(cond, cwidth, a, number, left);
    }
    struct opt_fact b = opt_exactly(number);
    *left = *a;
    opt_assume(cond, cwidth, left, &b);
    return opt_is_empty(*left) || opt_is_empty(b) ? OPT_IMPOSSIBLE : OPT_LEARNT;
}

static inline enum opt_effect assume_number(unsigned cond, unsigned cwidth, const struct opt_fact *a,
                                            uint64_t number, struct opt_fact *left)
{
    if (a->max > fold_mask(cwidth)) { // it keeps its upper half
        struct opt_fact low = opt_cut(*a, cwidth);
        enum opt_effect effect = is_plain(cond) ? assume_plain(cond, &low, number, left)
                                                : assume_other(cond, cwidth, &low, number, left);
        return effect == OPT_IMPOSSIBLE ? OPT_IMPOSSIBLE : OPT_NOTHING;
    }
    if (is_plain(cond) && !opt_is_empty(*a)) {
        return assume_plain(cond, a, number, left);
    }
    return assume_other(cond, cwidth, a, number, left);
}

enum opt_effect opt_assume_number(unsigned cond, unsigned cwidth, const struct opt_fact *a, uint64_t number,
                                  struct opt_fact *left)
{
    return assume_number(cond, cwidth, a, number, left);
}

// Two values are compared.
static bool learn_both(const struct opt *o, const struct ir_value *end, unsigned cond, struct opt_learnt *l)
{
    if (l->a == l->b && (cond == IR_EQ || cond == IR_NE)) {
        l->a = l->b = IR_NONE;
        return cond == IR_EQ;
    }
    l->fact_a = *opt_fact_at(o, l->a);
    l->fact_b = *opt_fact_at(o, l->b);
    opt_assume(cond, end->cwidth, &l->fact_a, &l->fact_b);
    return !opt_is_empty(l->fact_a) && !opt_is_empty(l->fact_b);
}

bool opt_learn(const struct opt *o, const struct ir_value *end, unsigned edge, struct opt_learnt *l)
{
    const struct ir *ir = o->ir;
    unsigned cond = end->cond ^ edge;
    uint64_t number = (uint64_t)end->imm;
    l->a = ir_resolve(ir, end->a);
    l->b = IR_NONE;
    if ((end->flags & IR_IMM) == 0) {
        uint32_t b_value = ir_resolve(ir, end->b);
        const struct ir_value *b = ir_at(ir, b_value);
        if (b->op != IR_CONST || l->a == b_value) {
            l->b = b_value;
            return learn_both(o, end, cond, l);
        }
        number = (uint64_t)b->imm;
    }
    number &= fold_mask(end->cwidth);
    enum opt_effect effect = assume_number(cond, end->cwidth, opt_fact_at(o, l->a), number, &l->fact_a);
    if (effect != OPT_LEARNT) {
        l->a = IR_NONE;
    }
    return effect != OPT_IMPOSSIBLE;
}
