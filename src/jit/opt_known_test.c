// SPDX-License-Identifier: MIT
// Facts against numbers: whatever operands a fact allows, the result lies in the fact of the result;
// comparisons are decided and assumed rightly; counters stay in their ranges.
#include "jit/opt_counter.h"
#include "tests/test.h"

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)((next() >> 20) % n);
}

static uint64_t number(void)
{
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       31,
                                       32,
                                       63,
                                       64,
                                       255,
                                       256,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x100000000,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       UINT64_MAX};
    return below(2) == 0 ? special[below(ARRAY_SIZE(special))] + below(3) - 1 : next() >> below(64);
}

static bool holds(struct opt_fact f, uint64_t value)
{
    return (value & ~f.may) == 0 && f.min <= value && value <= f.max;
}

// A fact that `value` has, tight or loose.
static struct opt_fact fact_around(uint64_t value)
{
    struct opt_fact f = opt_exactly(value);
    for (unsigned n = below(3); n != 0; n--) {
        f = opt_join(f, opt_exactly(below(2) == 0 ? number() : value ^ (uint64_t)1 << below(64)));
    }
    if (below(3) == 0) {
        f.may |= next() & next();
    }
    if (below(4) == 0) {
        f.may = UINT64_MAX;
    }
    return f;
}

static void random_value(struct ir_value *v)
{
    static const uint8_t ops[] = {IR_ADD,    IR_SUB, IR_MUL,  IR_AND,  IR_OR,    IR_XOR,  IR_SHL,
                                  IR_SHR,    IR_SAR, IR_ROL,  IR_UDIV, IR_UMOD,  IR_SDIV, IR_SMOD,
                                  IR_MULHU,  IR_NEG, IR_SEXT, IR_ZEXT, IR_BSWAP, IR_ANDN, IR_BITS,
                                  IR_POPCNT, IR_CLZ, IR_CTZ,  IR_LEA,  IR_SELECT};
    *v = (struct ir_value){
        .op = ops[below(ARRAY_SIZE(ops))], .width = below(2) == 0 ? 32 : 64, .a = 1, .b = 2, .c = 3, .d = 4};
    v->cond = (uint8_t)below(IR_COND_COUNT);
    v->cwidth = below(2) == 0 ? 32 : 64;
    v->imm = 8 << below(3);
    if (v->op == IR_BSWAP || v->op == IR_MULHU) {
        v->width = 64;
        v->imm *= 2;
    }
    if (v->op == IR_LEA) {
        v->scale = (uint8_t)below(4);
        v->disp = (int32_t)number();
    }
    if (v->op == IR_BITS) {
        v->imm = 1 + below(v->width);
        v->disp = (int32_t)below((uint32_t)(v->width - v->imm + 1));
    }
}

static void results_lie_in_their_facts(void)
{
    unsigned exact = 0, narrow = 0;
    for (unsigned n = 0; n < 400000; n++) {
        struct ir_value v;
        uint64_t in[4], result;
        struct opt_fact facts[4];
        random_value(&v);
        for (unsigned i = 0; i < 4; i++) {
            in[i] = number();
            facts[i] = fact_around(in[i]);
        }
        REQUIRE(fold_value(&v, in, &result));
        const struct opt_fact *const of[4] = {&facts[0], &facts[1], &facts[2], &facts[3]};
        struct opt_fact f = opt_transfer(&v, of);
        if (!holds(f, result)) {
            test_fail(__FILE__, __LINE__, "%s%u of %llx, %llx is %llx, not in %llx..%llx (%llx)",
                      ir_op_texts[v.op], v.width, (unsigned long long)in[0], (unsigned long long)in[1],
                      (unsigned long long)result, (unsigned long long)f.min, (unsigned long long)f.max,
                      (unsigned long long)f.may);
            return;
        }
        exact += f.min == f.max;
        narrow += f.max < UINT32_MAX;
    }
    CHECK(exact > 20000 && narrow > 100000); // facts say something
}

static void conditions_are_decided_and_assumed(void)
{
    unsigned decided = 0, learnt = 0;
    for (unsigned n = 0; n < 400000; n++) {
        uint64_t a = number(), b = below(3) == 0 ? a : number();
        struct opt_fact fact_a = fact_around(a), fact_b = fact_around(b), was = fact_a;
        unsigned cond = below(IR_COND_COUNT), width = below(2) == 0 ? 32 : 64;
        bool is = fold_condition(cond, width, a, b);
        enum opt_truth truth = opt_decide(cond, width, fact_a, fact_b);
        REQUIRE(truth == OPT_UNKNOWN || (truth == OPT_TRUE) == is);
        REQUIRE(fold_condition(opt_swapped(cond), width, b, a) == is);
        opt_assume(is ? cond : cond ^ 1, width, &fact_a, &fact_b);
        REQUIRE(holds(fact_a, a) && holds(fact_b, b));
        decided += truth != OPT_UNKNOWN;
        learnt += !opt_includes(fact_a, was);
    }
    CHECK(decided > 100000 && learnt > 20000);
}

// Comparisons with a number have a short way of their own.
static void numbers_are_decided_and_assumed_the_same(void)
{
    unsigned decided = 0, impossible = 0, learnt = 0;
    for (unsigned n = 0; n < 400000; n++) {
        unsigned cond = below(IR_COND_COUNT), width = below(2) == 0 ? 32 : 64;
        uint64_t b = number() & fold_mask(width);
        struct opt_fact a = fact_around(below(4) == 0 ? b : number()), left = a, number_b = opt_exactly(b);
        struct opt_fact low = opt_low(a, width), short_left = a;
        enum opt_truth truth = opt_decide_number(cond, width, &low, b);
        REQUIRE(truth == opt_decide(cond, width, a, number_b));
        opt_assume(cond, width, &left, &number_b);
        enum opt_effect effect = opt_assume_number(cond, width, &a, b, &short_left);
        bool possible = !opt_is_empty(left) && !opt_is_empty(number_b);
        REQUIRE(possible == (effect != OPT_IMPOSSIBLE));
        struct opt_fact is = effect == OPT_LEARNT ? short_left : a;
        is = opt_within(is.may, is.min, is.max);
        left = opt_within(left.may, left.min, left.max);
        REQUIRE(!possible || (is.may == left.may && is.min == left.min && is.max == left.max));
        decided += truth != OPT_UNKNOWN;
        impossible += !possible;
        learnt += effect == OPT_LEARNT;
    }
    CHECK(decided > 20000 && impossible > 10000 && learnt > 20000);
}

// --- counters ------------------------------------------------------------------------------------

static uint64_t near_edge(unsigned width)
{
    switch (below(5)) {
    case 0: return fold_mask(width) - below(12);
    case 1: return fold_mask(width - 1) - 6 + below(12);
    default: return below(24);
    }
}

// Runs the loop from `start` with fixed or varying bounds; every value of the PHI must be in the range.
static bool stays_inside(const struct counter *c, const struct counter_test *t, uint64_t start,
                         struct opt_fact bound, struct opt_fact range)
{
    uint64_t phi = start, limit = bound.min + below((uint32_t)(bound.max - bound.min) + 1);
    for (unsigned turn = 0; turn < 300; turn++) {
        if (!holds(range, phi)) {
            return false;
        }
        uint64_t after = (phi + (uint64_t)c->step) & fold_mask(c->width);
        uint64_t tested = t->of_next ? after : phi;
        if (!fold_condition(t->cond, t->cwidth, t->low ? tested & UINT32_MAX : tested, limit)) {
            return true;
        }
        if (!t->fixed) {
            limit = bound.min + below((uint32_t)(bound.max - bound.min) + 1);
        }
        phi = after;
    }
    return true;
}

static void counters_stay_in_their_ranges(void)
{
    static const uint8_t conds[] = {IR_NE, IR_ULT, IR_ULE, IR_SLT, IR_SLE, IR_UGT, IR_UGE, IR_SGT, IR_SGE};
    unsigned found = 0;
    for (unsigned n = 0; n < 600000; n++) {
        struct counter c = {.width = below(2) == 0 ? 32 : 64, .step = (int64_t)below(5) + 1};
        struct counter_test t = {.of_next = below(2),
                                 .low = below(3) == 0,
                                 .fixed = below(4) != 0,
                                 .cwidth = below(2) == 0 ? 32 : 64};
        c.step = below(2) == 0 ? c.step : -c.step;
        t.cond = conds[below(ARRAY_SIZE(conds))];
        uint64_t first = near_edge(c.width), more = below(2) == 0 ? 0 : below(5);
        more = first + more > fold_mask(c.width) || first + more < first ? 0 : more;
        uint64_t low =
            below(4) == 0 ? first + (uint64_t)c.step * below(9) : near_edge(below(2) == 0 ? 32 : 64);
        uint64_t high = below(2) == 0 ? low : low + below(5) < low ? low : low + below(5);
        high = high < low ? low : high;
        struct opt_fact start = opt_meet(OPT_TOP, (struct opt_fact){UINT64_MAX, first, first + more});
        struct opt_fact bound = opt_meet(OPT_TOP, (struct opt_fact){UINT64_MAX, low, high}), range;
        if (!counter_range(&c, &t, start, bound, &range)) {
            continue;
        }
        found++;
        if (!stays_inside(&c, &t, first + below((uint32_t)more + 1), bound, range)) {
            test_fail(__FILE__, __LINE__,
                      "from %llx step %lld width %u, cond %u of %s in %u bits, bound %llx..%llx: %llx..%llx",
                      (unsigned long long)first, (long long)c.step, c.width, t.cond,
                      t.of_next ? "next" : "phi", t.cwidth, (unsigned long long)low, (unsigned long long)high,
                      (unsigned long long)range.min, (unsigned long long)range.max);
            return;
        }
    }
    CHECK(found > 50000);
}

TEST_SUITE(opt_known)
{
    RUN(results_lie_in_their_facts);
    RUN(conditions_are_decided_and_assumed);
    RUN(numbers_are_decided_and_assumed_the_same);
    RUN(counters_stay_in_their_ranges);
}
