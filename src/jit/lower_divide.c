// SPDX-License-Identifier: MIT
// lower_divide: division and modulo by constants become multiplications and shifts, for all targets.
//
// Why this is exact: let f = (2^p + e) / d with 0 < e <= d. Then n * f / 2^p = n / d + n * e / (d * 2^p), and
// the floor is that of n / d as long as n * e < 2^p. So the smallest p is looked for that keeps this for all
// n.
#include "jit/lower_divide.h"

#include "jit/ir.h"

// --- numbers -------------------------------------------------------------------------------------

// 2^power = quotient * d + rest, the quotient modulo 2^64. Doubling steps.
struct power {
    uint64_t quotient, rest;
};

static void double_power(struct power *p, uint64_t d)
{
    bool more = p->rest >= d - p->rest; // 2 * rest >= d, without overflow
    p->quotient = p->quotient * 2 + more;
    p->rest = more ? p->rest - (d - p->rest) : p->rest * 2;
}

// For d > 1.
static struct power find_power(uint64_t d, unsigned power)
{
    uint64_t start = UINT64_C(1) << (power < 63 ? power : 63);
    struct power p = {start / d, start % d};
    for (unsigned i = 63; i < power; i++) {
        double_power(&p, d);
    }
    return p;
}

static unsigned log2_up(uint64_t d)
{
    return d <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(d - 1);
}

// The smallest shift that makes hi(n * factor) >> shift right for n < 2^(bits - unused).
static unsigned find_shift(uint64_t d, unsigned bits, unsigned unused, uint64_t *factor)
{
    struct power p = find_power(d, bits);
    unsigned shift = 0;
    // e = d - rest; n * e < 2^(bits + shift) for all n when e <= 2^(shift + unused).
    for (; shift + unused < 64 && d - p.rest > UINT64_C(1) << (shift + unused); shift++) {
        double_power(&p, d);
    }
    *factor = (p.quotient + 1) & UINT64_MAX >> (64 - bits);
    return shift;
}

struct divide_magic divide_find_unsigned(uint64_t d, unsigned bits)
{
    struct divide_magic m = {0};
    m.after = (uint8_t)find_shift(d, bits, 0, &m.factor);
    m.add = m.after == log2_up(d); // the factor has one bit more
    if (m.add && (d & 1) == 0) {
        m.before = (uint8_t)__builtin_ctzll(d);
        m.after = (uint8_t)find_shift(d >> m.before, bits, m.before, &m.factor);
        m.add = false;
    }
    return m;
}

struct divide_magic divide_find_signed(uint64_t d, unsigned bits)
{
    unsigned log = log2_up(d);
    struct power p = find_power(d, bits - 1 + log);
    return (struct divide_magic){.factor = p.quotient + 1, .after = (uint8_t)(log - 1)};
}

uint64_t divide_find_half(uint64_t d, unsigned bits)
{
    return find_power(d, bits).quotient + 1;
}

// --- values --------------------------------------------------------------------------------------

// Where new values go: before the division.
struct place {
    struct jit *j;
    uint32_t block, after, previous; // the last value that was put there, and what is before it
    uint32_t pc;
    bool full;
};

static uint32_t insert(struct place *at, uint32_t value)
{
    if (value == IR_NONE) {
        at->full = true;
        return IR_NONE;
    }
    struct ir *ir = &at->j->ir;
    struct ir_value *v = ir_at(ir, value);
    v->pc = at->pc;
    ir_at(ir, ir_resolve(ir, v->a))->uses += v->a != IR_NONE; // copies have no uses
    ir_at(ir, ir_resolve(ir, v->b))->uses += v->b != IR_NONE;
    ir_insert_after(ir, at->block, at->after, value);
    at->previous = at->after;
    at->after = value;
    return value;
}

static uint32_t two(struct place *at, enum ir_op op, uint8_t width, uint32_t a, uint32_t b)
{
    return insert(at, ir_new(at->j, op, width, a, b, 0));
}

static uint32_t with_imm(struct place *at, enum ir_op op, uint8_t width, uint32_t a, int64_t imm)
{
    uint32_t value = ir_new(at->j, op, width, a, IR_NONE, imm);
    if (value != IR_NONE && (ir_op_info(op)->flags & IR_IMM_B) != 0) {
        ir_at(&at->j->ir, value)->flags = IR_IMM;
    }
    return insert(at, value);
}

static uint32_t shift(struct place *at, enum ir_op op, uint8_t width, uint32_t a, unsigned count)
{
    return count == 0 && width == 64 ? a : with_imm(at, op, width, a, (int64_t)count);
}

// Large numbers are made once, outside of loops.
static uint32_t constant(struct place *at, uint64_t number)
{
    struct ir *ir = &at->j->ir;
    uint32_t value = ir_new(at->j, IR_CONST, 64, IR_NONE, IR_NONE, (int64_t)number);
    if (value == IR_NONE || ir_block_at(ir, at->block)->loop == IR_NONE) {
        return insert(at, value);
    }
    ir_at(ir, value)->pc = at->pc;
    ir_insert_after(ir, ir->entry, IR_NONE, value);
    return value;
}

// --- division ------------------------------------------------------------------------------------

// What a division is about.
struct division {
    uint64_t d; // of the width; signed ones: without its sign
    uint32_t n, divisor;
    uint8_t width;
    bool negative; // the divisor is
};

// The upper half is known to be zero.
static bool is_short(const struct ir *ir, uint32_t value)
{
    const struct ir_value *v = ir_at(ir, value);
    bool load = v->op == IR_LOAD || v->op == IR_LOADBE;
    bool pure = (ir_op_info(v->op)->flags & IR_PURE) != 0 && v->op != IR_COPY;
    return (load && v->width <= 32) || (pure && v->width == 32);
}

static uint32_t zero_extend(struct place *at, uint32_t value)
{
    return is_short(&at->j->ir, value) ? value : with_imm(at, IR_ZEXT, 64, value, 32);
}

static uint32_t unsigned_32(struct place *at, const struct division *div)
{
    struct divide_magic m = divide_find_unsigned(div->d, 32);
    uint32_t n = zero_extend(at, div->n);
    if (m.add || m.before != 0) {
        return two(at, IR_MULHU, 64, n, constant(at, divide_find_half(div->d, 64)));
    }
    return shift(at, IR_SHR, 64, two(at, IR_MUL, 64, n, constant(at, m.factor)), 32u + m.after);
}

static uint32_t unsigned_64(struct place *at, const struct division *div)
{
    struct divide_magic m = divide_find_unsigned(div->d, 64);
    uint32_t n = shift(at, IR_SHR, 64, div->n, m.before);
    uint32_t t = two(at, IR_MULHU, 64, n, constant(at, m.factor));
    if (m.add) {
        uint32_t half = shift(at, IR_SHR, 64, two(at, IR_SUB, 64, n, t), 1);
        t = two(at, IR_ADD, 64, half, t);
        m.after--;
    }
    return shift(at, IR_SHR, 64, t, m.after);
}

// Rounds towards minus infinity, so that a negative n needs one more.
static uint32_t signed_32(struct place *at, const struct division *div)
{
    struct divide_magic m = divide_find_signed(div->d, 32);
    uint32_t n = with_imm(at, IR_SEXT, 64, div->n, 32);
    uint32_t t = two(at, IR_MUL, 64, n, constant(at, m.factor));
    uint32_t floor = shift(at, IR_SAR, 64, t, 32u + m.after), one = shift(at, IR_SHR, 64, n, 63);
    return two(at, IR_ADD, 32, floor, one);
}

// The sign is taken off, and given to the quotient.
static uint32_t signed_64(struct place *at, const struct division *div)
{
    struct divide_magic m = divide_find_signed(div->d, 64);
    uint32_t sign = shift(at, IR_SAR, 64, div->n, 63);
    uint32_t n = two(at, IR_SUB, 64, two(at, IR_XOR, 64, div->n, sign), sign);
    uint32_t t = shift(at, IR_SHR, 64, two(at, IR_MULHU, 64, n, constant(at, m.factor)), m.after);
    return two(at, IR_SUB, 64, two(at, IR_XOR, 64, t, sign), sign);
}

// n + 2^log - 1 for a negative n, else n.
static uint32_t round_up(struct place *at, const struct division *div, unsigned log)
{
    uint32_t sign = shift(at, IR_SAR, div->width, div->n, div->width - 1u);
    return two(at, IR_ADD, div->width, div->n, shift(at, IR_SHR, div->width, sign, div->width - log));
}

static bool is_power(uint64_t d)
{
    return (d & (d - 1)) == 0;
}

// The quotient by d > 1.
static uint32_t quotient(struct place *at, const struct division *div, bool is_signed)
{
    unsigned log = log2_up(div->d);
    if (is_power(div->d)) {
        uint32_t n = is_signed ? round_up(at, div, log) : div->n;
        return shift(at, is_signed ? IR_SAR : IR_SHR, div->width, n, log);
    }
    if (is_signed) {
        return div->width == 32 ? signed_32(at, div) : signed_64(at, div);
    }
    return div->width == 32 ? unsigned_32(at, div) : unsigned_64(at, div);
}

// n without the multiple of d below it.
static uint32_t rest(struct place *at, const struct division *div, bool is_signed)
{
    if (!is_power(div->d)) {
        uint32_t q = quotient(at, div, is_signed), d = div->divisor;
        if (div->negative) {
            d = constant(at, div->d);
        }
        return two(at, IR_SUB, div->width, div->n, two(at, IR_MUL, div->width, q, d));
    }
    if (!is_signed) {
        return two(at, IR_AND, div->width, div->n, constant(at, div->d - 1));
    }
    uint32_t n = round_up(at, div, log2_up(div->d));
    uint32_t multiple = two(at, IR_AND, div->width, n, constant(at, 0 - div->d));
    return two(at, IR_SUB, div->width, div->n, multiple);
}

// Divisors 0, 1 and -1, whose quotient takes no division: n or 0, sometimes negative.
static uint32_t trivial(struct place *at, const struct division *div, bool modulo)
{
    if (modulo == (div->d == 0)) { // n / 1, n % 0
        uint32_t n = div->width == 32 ? with_imm(at, IR_ZEXT, 64, div->n, 32) : div->n;
        return div->negative && !modulo ? insert(at, ir_new(at->j, IR_NEG, div->width, n, IR_NONE, 0)) : n;
    }
    return constant(at, 0);
}

struct dividing {
    struct jit *j;
    struct ir_repair repair;
    bool tidy; // the function is, but for NOPs and COPYs
    bool changed;
};

// `value` becomes what was made last, in front of it.
static void take_last(struct jit *j, const struct place *at, struct ir_value *value)
{
    struct ir *ir = &j->ir;
    const struct ir_value *last = ir_at(ir, at->after);
    uint32_t *link =
        at->previous == IR_NONE ? &ir_block_at(ir, at->block)->first : &ir_at(ir, at->previous)->next;
    *link = last->next;
    value->op = last->op;
    value->width = last->width;
    value->flags = last->flags;
    value->a = last->a;
    value->b = last->b;
    value->imm = last->imm;
    ir_drop_last(j);
}

static void replace(struct dividing *s, const struct place *at, uint32_t value, uint32_t result,
                    const struct division *div)
{
    struct ir *ir = &s->j->ir;
    s->changed = true;
    if (div->d > 1) {
        take_last(s->j, at, ir_at(ir, value));
    } else { // PHIs may have one value then, and the dividend no use
        ir_become_copy(ir, value, result);
        s->tidy = false;
    }
    if (s->tidy) {
        ir_release(&s->repair, div->n);
        ir_release(&s->repair, div->divisor);
    }
}

static ebpf_result_t divide(struct dividing *s, uint32_t value, uint32_t before, int64_t imm)
{
    struct jit *j = s->j;
    struct ir_value *v = ir_at(&j->ir, value);
    struct place at = {.j = j, .block = v->block, .after = before, .pc = v->pc};
    bool is_signed = v->op == IR_SDIV || v->op == IR_SMOD, modulo = v->op == IR_UMOD || v->op == IR_SMOD;
    struct division div = {.n = v->a, .divisor = v->b, .width = v->width};
    int64_t d = v->width == 32 ? (int64_t)(int32_t)imm : imm;
    div.negative = is_signed && d < 0;
    div.d = div.negative ? 0 - (uint64_t)d : (uint64_t)d;
    if (v->width == 32) {
        div.d = (uint32_t)div.d;
    }
    uint32_t result;
    if (div.d <= 1) {
        result = trivial(&at, &div, modulo);
    } else if (modulo) {
        result = rest(&at, &div, is_signed);
    } else {
        result = quotient(&at, &div, is_signed);
        result = div.negative ? insert(&at, ir_new(j, IR_NEG, div.width, result, IR_NONE, 0)) : result;
    }
    if (at.full) {
        return EBPF_NO_MEMORY;
    }
    replace(s, &at, value, result, &div);
    return EBPF_SUCCESS;
}

static bool is_division(unsigned op)
{
    return op == IR_UDIV || op == IR_UMOD || op == IR_SDIV || op == IR_SMOD;
}

static ebpf_result_t divide_block(struct dividing *s, uint32_t block)
{
    const struct ir *ir = &s->j->ir;
    uint32_t before = IR_NONE;
    for (uint32_t i = ir_block_at(ir, block)->first; i != IR_NONE; i = ir_next(ir, i)) {
        const struct ir_value *v = ir_at(ir, i);
        int64_t imm;
        if (is_division(v->op) && ir_is_const(ir, ir_resolve(ir, v->b), &imm)) {
            TRY(divide(s, i, before, imm));
        }
        before = i;
    }
    return EBPF_SUCCESS;
}

// Each block that has divisions of the list, once. Some of them are gone since it was made, or their block
// is.
static ebpf_result_t divide_listed(struct dividing *s)
{
    const struct ir *ir = &s->j->ir;
    for (uint32_t n = ir->divisions; n != IR_NONE; n = (uint32_t)ir_at(ir, n)->disp) {
        ir_block_at(ir, ir_at(ir, n)->block)->mark = 0;
    }
    for (uint32_t n = ir->divisions, next; n != IR_NONE; n = next) {
        uint32_t block = ir_at(ir, n)->block;
        struct ir_block *b = ir_block_at(ir, block);
        next = (uint32_t)ir_at(ir, n)->disp;
        ir_at(ir, n)->disp = 0;
        if (b->mark == 0 && b->order < ir->order_count && ir->order[b->order] == block) {
            b->mark = 1;
            TRY(divide_block(s, block));
        }
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t divide_all(struct dividing *s)
{
    const struct ir *ir = &s->j->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        TRY(divide_block(s, ir->order[i]));
    }
    return EBPF_SUCCESS;
}

ebpf_result_t lower_divide(struct jit *j)
{
    struct ir *ir = &j->ir;
    struct dividing s = {.j = j, .repair = ir_begin_repair(ir), .tidy = ir->tidy};
    TRY(ir->divisions_known ? divide_listed(&s) : divide_all(&s));
    if (s.changed && !s.tidy) {
        return ir_clean(j);
    }
    if (s.changed) {
        ir_repair(&s.repair);
    }
    return EBPF_SUCCESS;
}
