// SPDX-License-Identifier: MIT
// opt_loops: counted loops. The ranges of their counters are found with all other facts (opt_counter.c); this
// pass lets the counter stay in one register: a test of the old value behind the addition becomes one of the
// new value, and the addition is marked.
#include "jit/opt_counter.h"

// `value` is computed before the end of `block`.
static bool is_before(const struct ir *ir, uint32_t value, uint32_t block)
{
    return ir_dominates(ir, ir_at(ir, value)->block, block);
}

// The numbers phi + step and bound + step do not wrap, for a PHI in `range`, in the width of the test.
static bool fits(const struct counter *c, const struct counter_test *t, struct opt_fact range, int64_t bound)
{
    unsigned width = min_u32(c->width, t->cwidth);
    bool sign = t->cond >= IR_SLT && t->cond <= IR_SGT;
    int64_t most = sign || width == 32 ? INT32_MAX : INT64_MAX, step = c->step;
    most = !sign && width == 32 ? UINT32_MAX : most;
    if (range.max > (uint64_t)most || bound < 0 || bound > most) {
        return false;
    }
    int64_t low = (int64_t)range.min, high = (int64_t)range.max;
    return step > 0 ? high <= most - step && bound <= most - step : low >= -step && bound >= -step;
}

static ebpf_result_t test_next(struct jit *j, const struct counter *c, const struct counter_test *t)
{
    struct ir *ir = &j->ir;
    struct opt_fact range, start = opt_fact_alone(ir, c->start);
    struct ir_value *v = ir_at(ir, t->branch);
    int64_t bound;
    if (t->of_next || t->low || c->next != c->sum || !is_before(ir, c->next, v->block) ||
        !ir_is_const(ir, t->bound, &bound) ||
        !counter_range(c, t, start, opt_exactly((uint64_t)bound), &range) || !fits(c, t, range, bound)) {
        return EBPF_SUCCESS;
    }
    uint32_t number = ir_new(j, IR_CONST, 64, IR_NONE, IR_NONE, bound + c->step);
    if (number == IR_NONE) {
        return EBPF_NO_MEMORY;
    }
    ir_insert_after(ir, c->head, IR_NONE, number);
    bool swapped = v->b == c->phi;
    ir->counted = ir->tidy = false;
    v->a = swapped ? number : c->next;
    v->b = swapped ? c->next : number;
    return EBPF_SUCCESS;
}

static ebpf_result_t improve(struct jit *j, const struct counter *c)
{
    struct ir *ir = &j->ir;
    struct ir_value *next = ir_at(ir, c->next);
    if (next->op == IR_ADD) {
        next->flags |= IR_STEP;
    }
    struct counter_test t;
    if (counter_match_test(ir, c, c->latch, &t)) {
        return test_next(j, c, &t);
    }
    return EBPF_SUCCESS;
}

ebpf_result_t opt_loops(struct jit *j)
{
    struct ir *ir = &j->ir;
    for (uint32_t l = 1; l < ir->loop_count; l++) {
        uint32_t v = ir_block_at(ir, ir->loops[l].head)->first;
        for (; v != IR_NONE && ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
            struct counter c;
            if (counter_match(ir, v, &c)) {
                TRY(improve(j, &c));
            }
        }
    }
    return EBPF_SUCCESS;
}
