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
