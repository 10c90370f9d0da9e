// SPDX-License-Identifier: MIT
// opt_counter: ranges of counters, PHI(start, PHI + step), from the tests that end their loops. What comes
// out holds by itself: from start and test follows that no turn wraps.
#include "jit/opt_counter.h"

#define TESTS 8 // blocks from the latch upwards that are looked at

// --- the loop ------------------------------------------------------------------------------------

static bool constant(const struct ir *ir, const struct ir_value *v, int64_t *imm)
{
    if ((v->flags & IR_IMM) != 0) {
        *imm = v->imm;
        return true;
    }
    return ir_is_const(ir, ir_resolve(ir, v->b), imm);
}

// What `value` is the low half of, if it is one.
static uint32_t strip(const struct ir *ir, uint32_t value, bool *low)
{
    value = ir_resolve(ir, value);
    while (ir_at(ir, value)->op == IR_ZEXT && ir_at(ir, value)->imm == 32) {
        value = ir_resolve(ir, ir_at(ir, value)->a);
        *low = true;
    }
    return value;
}

// next = phi + step, where low halves may be taken on the way.
static bool match_step(const struct ir *ir, struct counter *c)
{
    bool low = false;
    c->sum = strip(ir, c->next, &low);
    const struct ir_value *v = ir_at(ir, c->sum);
    int64_t imm;
    if ((v->op != IR_ADD && v->op != IR_SUB) || strip(ir, v->a, &low) != c->phi || !constant(ir, v, &imm)) {
        return false;
    }
    c->width = low ? 32 : v->width;
    uint64_t step = v->op == IR_SUB ? 0 - (uint64_t)imm : (uint64_t)imm;
    if (low && v->width == 64 && fold_sign_extend(step, 32) != step) {
        return false;
    }
    c->step = (int64_t)fold_sign_extend(step, c->width);
    return c->step > -(1 << 30) && c->step < 1 << 30 && c->step != 0;
}

bool counter_match(const struct ir *ir, uint32_t phi, struct counter *out)
{
    const struct ir_value *v = ir_at(ir, phi);
    const struct ir_block *head = ir_block_at(ir, v->block);
    if (v->op != IR_PHI || v->b != 2 || head->loop == IR_NONE || ir->loops[head->loop].head != v->block) {
        return false;
    }
    bool first = ir_dominates(ir, v->block, head->preds[0]),
         second = ir_dominates(ir, v->block, head->preds[1]);
    if (first == second) {
        return false;
    }
    const uint32_t *list = ir_pool(ir, v);
    *out = (struct counter){.phi = phi,
                            .next = ir_resolve(ir, list[first ? 0 : 1]),
                            .start = ir_resolve(ir, list[first ? 1 : 0]),
                            .head = v->block,
                            .latch = head->preds[first ? 0 : 1],
                            .loop = head->loop};
    return match_step(ir, out);
}

static bool is_inside(const struct ir *ir, uint32_t block, uint32_t loop)
{
    uint32_t l = ir_block_at(ir, block)->loop;
    while (l != IR_NONE && l != loop) {
        l = ir->loops[l].parent;
    }
    return l == loop;
}

bool counter_match_test(const struct ir *ir, const struct counter *c, uint32_t block,
                        struct counter_test *out)
{
    const struct ir_block *b = ir_block_at(ir, block);
    const struct ir_value *v = ir_at(ir, b->last);
    if (v->op != IR_BRANCH || (v->flags & IR_IMM) != 0) {
        return false;
    }
    bool stay0 = is_inside(ir, b->succ[0], c->loop), stay1 = is_inside(ir, b->succ[1], c->loop);
    bool low_left = false, low_right = false;
    uint32_t left = strip(ir, v->a, &low_left), right = strip(ir, v->b, &low_right);
    bool swapped = right == c->phi || right == c->sum;
    if (stay0 == stay1 || (left != c->phi && left != c->sum && !swapped)) {
        return false;
    }
    uint32_t bound = ir_resolve(ir, swapped ? v->a : v->b), t = swapped ? right : left;
    unsigned cond = v->cond ^ (stay0 ? 0u : 1u);
    const struct ir_value *def = ir_at(ir, bound);
    bool above = def->block != c->head && ir_dominates(ir, def->block, c->head);
    *out = (struct counter_test){.branch = b->last,
                                 .bound = bound,
                                 .of_next = t == c->sum,
                                 .low = swapped ? low_right : low_left,
                                 .fixed = def->op == IR_CONST || above,
                                 .cond = (uint8_t)(swapped ? opt_swapped(cond) : cond),
                                 .cwidth = v->cwidth};
    return bound != c->phi && bound != c->sum;
}

// --- ranges --------------------------------------------------------------------------------------

// The largest number that the counter and its comparison both can have. As long as the counter stays below,
// it does not matter which of the two is wider, and whether low halves are taken.
static uint64_t limit(const struct counter *c, const struct counter_test *t)
{
    return fold_mask(min_u32(c->width, t->low ? 32 : t->cwidth));
}

static bool is_signed(unsigned cond)
{
    return cond >= IR_SLT && cond <= IR_SGT;
}

// Least number that t has when the loop goes on.
static bool find_least(const struct counter_test *t, struct opt_fact bound, uint64_t *least)
{
    int64_t low, high;
    opt_signed_range(bound, t->cwidth, &low, &high);
    bound = opt_low(bound, t->cwidth);
    switch (t->cond) {
    case IR_UGE: *least = bound.min; return true;
    case IR_UGT: *least = bound.min + 1; return bound.min < fold_mask(t->cwidth);
    case IR_SGE: *least = (uint64_t)low; return low >= 0;
    case IR_SGT: *least = (uint64_t)low + 1; return low >= -1 && low < INT32_MAX;
    default: return false;
    }
}

static bool find_most(const struct counter_test *t, struct opt_fact bound, uint64_t *most)
{
    int64_t low, high;
    opt_signed_range(bound, t->cwidth, &low, &high);
    bound = opt_low(bound, t->cwidth);
    switch (t->cond) {
    case IR_ULE: *most = bound.max; return true;
    case IR_ULT: *most = bound.max - 1; return bound.max != 0;
    case IR_SLE: *most = (uint64_t)high; return high >= 0;
    case IR_SLT: *most = (uint64_t)high - 1; return high >= 1;
    default: return false;
    }
}

// `start` and a bound that it meets exactly: the distance is a multiple of the step, or the step is 1.
static bool meets(struct opt_fact start, struct opt_fact bound, uint64_t step, uint64_t first)
{
    if (step == 1) {
        return true;
    }
    bool exact = start.min == start.max && bound.min == bound.max;
    return exact && (bound.min > start.min ? bound.min - start.min : start.min - bound.min) % step == 0 &&
           first <= step;
}

// Goes on while t != bound, from below.
static bool range_up_to(const struct counter *c, const struct counter_test *t, struct opt_fact start,
                        struct opt_fact bound, struct opt_fact *range)
{
    uint64_t step = (uint64_t)c->step, first = t->of_next ? step : 0;
    bool below = start.max <= bound.min && bound.min - start.max >= first;
    if (!t->fixed || !below || bound.max > limit(c, t) || !meets(start, bound, step, first)) {
        return false;
    }
    *range = opt_meet(OPT_TOP, (struct opt_fact){UINT64_MAX, start.min, bound.max - first});
    return true;
}

static bool range_down_to(const struct counter *c, const struct counter_test *t, struct opt_fact start,
                          struct opt_fact bound, struct opt_fact *range)
{
    uint64_t step = (uint64_t)-c->step, first = t->of_next ? step : 0;
    bool above = start.min >= bound.max && start.min - bound.max >= first;
    if (!t->fixed || !above || !meets(start, bound, step, first)) {
        return false;
    }
    *range = opt_meet(OPT_TOP, (struct opt_fact){UINT64_MAX, bound.min + first, start.max});
    return true;
}

static bool range_up(const struct counter *c, const struct counter_test *t, struct opt_fact start,
                     struct opt_fact bound, struct opt_fact *range)
{
    uint64_t step = (uint64_t)c->step, most, end = limit(c, t);
    if (is_signed(t->cond)) {
        end = min_u64(end, fold_mask(t->cwidth - 1u));
    }
    if (!find_most(t, bound, &most) || start.max > end) {
        return false;
    }
    uint64_t high = t->of_next ? most : most + step;
    uint64_t top = t->of_next && start.max > high ? start.max : high;
    uint64_t last = t->of_next ? top + step : top; // largest number that the addition may give
    if (most > end || high < most || last < top || last > end) {
        return false;
    }
    *range = opt_meet(OPT_TOP, (struct opt_fact){UINT64_MAX, start.min, start.max > high ? start.max : high});
    return true;
}

static bool range_down(const struct counter *c, const struct counter_test *t, struct opt_fact start,
                       struct opt_fact bound, struct opt_fact *range)
{
    uint64_t step = (uint64_t)-c->step, least;
    bool sign = is_signed(t->cond);
    // Signed: a counter that goes below zero must be below zero for the comparison, too.
    if (!find_least(t, bound, &least) ||
        (sign && (t->cwidth > (t->low ? 32 : c->width) || start.max > fold_mask(t->cwidth - 1u)))) {
        return false;
    }
    if (!t->of_next) {
        if (least < step) {
            return false;
        }
        *range =
            opt_meet(OPT_TOP, (struct opt_fact){UINT64_MAX, min_u64(start.min, least - step), start.max});
        return true;
    }
    uint64_t low = min_u64(start.min, least);
    if (!sign && low < step) { // would wrap and go on
        return false;
    }
    *range = opt_meet(OPT_TOP, (struct opt_fact){UINT64_MAX, low, start.max});
    return true;
}

bool counter_range(const struct counter *c, const struct counter_test *t, struct opt_fact start,
                   struct opt_fact bound, struct opt_fact *range)
{
    if (opt_is_empty(start) || opt_is_empty(bound) || start.max > limit(c, t)) {
        return false;
    }
    if (t->cond == IR_NE) {
        return (c->step > 0 ? range_up_to : range_down_to)(c, t, start, bound, range);
    }
    return (c->step > 0 ? range_up : range_down)(c, t, start, bound, range);
}

// What is known of the bound in all turns. Facts of values inside the loop are only hopes yet.
static struct opt_fact bound_fact(const struct opt *o, const struct counter_test *t)
{
    if (t->fixed && ir_at(o->ir, t->bound)->op != IR_CONST) {
        return opt_fact_of(o, t->bound);
    }
    const struct opt_fact top = OPT_TOP, *const in[4] = {&top, &top, &top, &top};
    return opt_transfer(ir_at(o->ir, t->bound), in);
}

bool opt_counter_range(const struct opt *o, uint32_t phi, struct opt_fact start, struct opt_fact *range)
{
    const struct ir *ir = o->ir;
    struct counter c;
    if (!jit_has_pass(o->j, JIT_PASS_LOOPS) || !counter_match(ir, phi, &c)) {
        return false;
    }
    bool found = false;
    uint32_t block = c.latch;
    for (unsigned n = 0; n < TESTS; n++) {
        struct counter_test t;
        struct opt_fact one;
        if (counter_match_test(ir, &c, block, &t) && counter_range(&c, &t, start, bound_fact(o, &t), &one)) {
            *range = found ? opt_meet(*range, one) : one;
            found = true;
        }
        if (block == c.head) {
            break;
        }
        block = ir_block_at(ir, block)->idom;
    }
    return found && !opt_is_empty(*range);
}
