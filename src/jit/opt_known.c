// SPDX-License-Identifier: MIT
// opt_known: what operations do to facts: bits that can be set, and unsigned ranges. Every function gives a
// fact that holds for all values that its arguments allow; opt_known_test.c checks them against fold_value.
#include "jit/opt.h"

// --- facts ---------------------------------------------------------------------------------------

static inline struct opt_fact bits(uint64_t may)
{
    return (struct opt_fact){may, 0, may};
}

static inline struct opt_fact range(uint64_t min, uint64_t max)
{
    return (struct opt_fact){min == max ? min : opt_smear(max), min, max};
}

struct opt_fact opt_below(uint64_t max)
{
    return range(0, max);
}

struct opt_fact opt_cut(struct opt_fact f, unsigned width)
{
    uint64_t mask = fold_mask(width);
    if (opt_is_empty(f)) {
        return f;
    }
    if (width < 64 && f.min >> width == f.max >> width) { // the rest is the same in all of them
        return opt_within(f.may & mask, f.min & mask, f.max & mask);
    }
    return bits(f.may & mask);
}

void opt_signed_range(struct opt_fact f, unsigned width, int64_t *least, int64_t *most)
{
    uint64_t top = (uint64_t)1 << (width - 1);
    f = opt_low(f, width);
    if ((f.min & top) != (f.max & top)) { // of both signs
        f.min = top;
        f.max = top - 1;
    }
    *least = (int64_t)fold_sign_extend(f.min, width);
    *most = (int64_t)fold_sign_extend(f.max, width);
}

// --- sums, differences, products; arguments are of the width -------------------------------------

// min + min .. max + max modulo 2^width, when all of them wrap or none.
static inline struct opt_fact add(struct opt_fact a, struct opt_fact b, unsigned width)
{
    uint64_t mask = fold_mask(width), min, max;
    bool low = __builtin_add_overflow(a.min, b.min, &min) || min > mask;
    bool high = __builtin_add_overflow(a.max, b.max, &max) || max > mask;
    uint64_t either = a.may | b.may;
    uint64_t zeros = either == 0 ? 0 : either & -either; // lowest bit that can be set
    uint64_t may = mask & ~(zeros == 0 ? 0 : zeros - 1);
    if (low != high) {
        return bits(may);
    }
    return opt_within(may & (high ? mask : opt_smear(max)), min & mask, max & mask);
}

static inline struct opt_fact subtract(struct opt_fact a, struct opt_fact b, unsigned width)
{
    uint64_t mask = fold_mask(width);
    if (a.min >= b.max || a.max < b.min) { // none wraps, or all
        return range((a.min - b.max) & mask, (a.max - b.min) & mask);
    }
    return bits(mask);
}

static struct opt_fact multiply(struct opt_fact a, struct opt_fact b, unsigned width)
{
    uint64_t mask = fold_mask(width), max;
    if (a.may == 0 || b.may == 0) {
        return opt_exactly(0);
    }
    unsigned zeros = (unsigned)(__builtin_ctzll(a.may) + __builtin_ctzll(b.may));
    uint64_t may = zeros >= 64 ? 0 : mask & UINT64_MAX << zeros;
    if (__builtin_mul_overflow(a.max, b.max, &max) || max > mask) {
        return bits(may);
    }
    return opt_within(may & opt_smear(max), a.min * b.min, max);
}

// --- bits ----------------------------------------------------------------------------------------

static inline struct opt_fact and (struct opt_fact a, struct opt_fact b)
{
    return opt_within(a.may & b.may, 0, min_u64(a.max, b.max));
}

static struct opt_fact or (struct opt_fact a, struct opt_fact b)
{
    return opt_within(a.may | b.may, a.min > b.min ? a.min : b.min, a.may | b.may);
}

static bool is_exact(struct opt_fact f)
{
    return f.min == f.max;
}

// Counts from a fact: taken modulo the width, so a fact of larger ones says nothing.
static void count_range(struct opt_fact count, unsigned width, unsigned *least, unsigned *most)
{
    if (is_exact(count)) {
        *least = *most = (unsigned)(count.min & (width - 1));
    } else if (count.max < width) {
        *least = (unsigned)count.min;
        *most = (unsigned)count.max;
    } else {
        *least = 0;
        *most = width - 1;
    }
}

static inline struct opt_fact shift_left(struct opt_fact a, struct opt_fact count, unsigned width)
{
    uint64_t mask = fold_mask(width);
    unsigned least, most;
    count_range(count, width, &least, &most);
    uint64_t may = least == most ? a.may << least & mask
                   : a.may == 0  ? 0
                                 : mask & UINT64_MAX << (least + (unsigned)__builtin_ctzll(a.may)) % 64;
    if (least != most && a.may != 0 && least + (unsigned)__builtin_ctzll(a.may) >= 64) {
        may = 0;
    }
    if (a.max > mask >> most) { // bits are lost
        return bits(may);
    }
    return opt_within(may, a.min << least, a.max << most);
}

static inline struct opt_fact shift_right(struct opt_fact a, struct opt_fact count, unsigned width)
{
    unsigned least, most;
    count_range(count, width, &least, &most);
    uint64_t may = least == most ? a.may >> least : opt_smear(a.may >> least);
    return opt_within(may, a.min >> most, a.max >> least);
}

static struct opt_fact shift_arithmetic(struct opt_fact a, struct opt_fact count, unsigned width)
{
    uint64_t top = (uint64_t)1 << (width - 1);
    if ((a.may & top) == 0) {
        return shift_right(a, count, width);
    }
    if (!is_exact(count)) {
        return bits(fold_mask(width));
    }
    unsigned by = (unsigned)(count.min & (width - 1));
    uint64_t may = (uint64_t)((int64_t)fold_sign_extend(a.may, width) >> by) & fold_mask(width);
    if (a.min >= top) { // all of them are negative
        uint64_t min = (uint64_t)((int64_t)fold_sign_extend(a.min, width) >> by) & fold_mask(width);
        uint64_t max = (uint64_t)((int64_t)fold_sign_extend(a.max, width) >> by) & fold_mask(width);
        return opt_within(may, min, max);
    }
    return bits(may);
}

static struct opt_fact rotate(struct opt_fact a, struct opt_fact count, unsigned width)
{
    if (!is_exact(count)) {
        return bits(a.may == 0 ? 0 : fold_mask(width));
    }
    unsigned by = (unsigned)(count.min & (width - 1));
    uint64_t may = by == 0 ? a.may : (a.may << by | a.may >> (width - by)) & fold_mask(width);
    return bits(may);
}

static inline struct opt_fact sign_extend(struct opt_fact a, unsigned part, unsigned width)
{
    a = opt_low(a, part);
    if ((a.may >> (part - 1) & 1) == 0) {
        return a;
    }
    return bits((a.may | UINT64_MAX << (part - 1)) & fold_mask(width));
}

static struct opt_fact swap_bytes(const struct ir_value *v, struct opt_fact a)
{
    uint64_t in[4] = {a.may}, may;
    (void)fold_value(v, in, &may); // a permutation of bits
    return bits(may);
}

// --- division ------------------------------------------------------------------------------------

static struct opt_fact divide(struct opt_fact a, struct opt_fact b)
{
    if (b.max == 0) {
        return opt_exactly(0);
    }
    return range(b.min == 0 ? 0 : a.min / b.max, a.max / (b.min == 0 ? 1 : b.min));
}

static struct opt_fact modulo(struct opt_fact a, struct opt_fact b)
{
    if (b.min == 0 || a.max < b.min) { // by zero: a
        return b.min == 0 ? range(0, a.max) : a;
    }
    return range(0, min_u64(a.max, b.max - 1));
}

static struct opt_fact multiply_high(struct opt_fact a, struct opt_fact b)
{
    const struct ir_value v = {.op = IR_MULHU, .width = 64};
    uint64_t in[4] = {a.max, b.max}, max, least[4] = {a.min, b.min}, min;
    (void)fold_value(&v, in, &max);
    (void)fold_value(&v, least, &min);
    return range(min, max);
}

// --- all operations ------------------------------------------------------------------------------

// Each gives the fact of what `v` computes from two operands, or from one: then *b does not matter.
#define TRANSFER(name, fact)                                                                                 \
    static void name(const struct ir_value *v, const struct opt_fact *a, const struct opt_fact *b,           \
                     struct opt_fact *out)                                                                   \
    {                                                                                                        \
        UNUSED(v), UNUSED(a), UNUSED(b);                                                                     \
        *out = (fact);                                                                                       \
    }
#define LOW(operand) opt_low(*(operand), v->width)
TRANSFER(of_sub, subtract(LOW(a), LOW(b), v->width))
TRANSFER(of_mul, multiply(LOW(a), LOW(b), v->width))
TRANSFER(of_and, and(LOW(a), LOW(b)))
TRANSFER(of_or, or (LOW(a), LOW(b)))
TRANSFER(of_xor, bits(LOW(a).may | LOW(b).may))
TRANSFER(of_shl, shift_left(LOW(a), LOW(b), v->width))
TRANSFER(of_shr, shift_right(LOW(a), LOW(b), v->width))
TRANSFER(of_sar, shift_arithmetic(LOW(a), LOW(b), v->width))
TRANSFER(of_rol, rotate(LOW(a), LOW(b), v->width))
TRANSFER(of_udiv, divide(LOW(a), LOW(b)))
TRANSFER(of_umod, modulo(LOW(a), LOW(b)))
TRANSFER(of_mulhu, multiply_high(LOW(a), LOW(b)))
TRANSFER(of_andn, bits(LOW(b).may))
TRANSFER(of_neg, subtract(opt_exactly(0), LOW(a), v->width))
TRANSFER(of_sext, sign_extend(LOW(a), (unsigned)v->imm, v->width))
TRANSFER(of_zext, opt_low(LOW(a), (unsigned)v->imm))
TRANSFER(of_bswap, swap_bytes(v, LOW(a)))
TRANSFER(of_bits, opt_low(shift_right(LOW(a), opt_exactly((uint64_t)v->disp), 64), (unsigned)v->imm))
TRANSFER(of_count, range(0, v->width))
TRANSFER(of_copy, *a)
TRANSFER(of_const, opt_exactly((uint64_t)v->imm))
TRANSFER(of_address, range(1, UINT64_MAX))
TRANSFER(of_width, bits(fold_mask(v->width)))
TRANSFER(of_anything, OPT_TOP)
TRANSFER(of_select, opt_low(opt_join(*a, *b), v->width)) // c and d
#undef TRANSFER

// Addresses are sums of what can be anything and a number: only how it is aligned remains.
static void of_add(const struct ir_value *v, const struct opt_fact *a, const struct opt_fact *b,
                   struct opt_fact *out)
{
    if (v->width == 64 && a->min == 0 && a->max == UINT64_MAX && b->min != 0 && b->min <= b->max) {
        uint64_t either = a->may | b->may;
        *out = bits(UINT64_MAX << __builtin_ctzll(either));
        return;
    }
    *out = add(LOW(a), LOW(b), v->width);
}

static void of_lea(const struct ir_value *v, const struct opt_fact *a, const struct opt_fact *b,
                   struct opt_fact *out)
{
    struct opt_fact sum = v->a == IR_NONE ? opt_exactly(0) : LOW(a);
    if (v->b != IR_NONE) {
        sum = add(sum, shift_left(LOW(b), opt_exactly(v->scale), v->width), v->width);
    }
    uint64_t disp = (uint64_t)(int64_t)v->disp & fold_mask(v->width);
    *out = v->disp == 0 ? sum : add(sum, opt_exactly(disp), v->width);
}
#undef LOW

static void (*const transfers[IR_OP_COUNT])(const struct ir_value *v, const struct opt_fact *a,
                                            const struct opt_fact *b, struct opt_fact *out) = {
    [IR_UNDEF] = of_anything,  [IR_COPY] = of_copy,       [IR_FRAME] = of_address,  [IR_CONST] = of_const,
    [IR_MAP] = of_address,     [IR_ADD] = of_add,         [IR_SUB] = of_sub,        [IR_MUL] = of_mul,
    [IR_AND] = of_and,         [IR_OR] = of_or,           [IR_XOR] = of_xor,        [IR_SHL] = of_shl,
    [IR_SHR] = of_shr,         [IR_SAR] = of_sar,         [IR_ROL] = of_rol,        [IR_UDIV] = of_udiv,
    [IR_UMOD] = of_umod,       [IR_SDIV] = of_width,      [IR_SMOD] = of_width,     [IR_MULHU] = of_mulhu,
    [IR_NEG] = of_neg,         [IR_SEXT] = of_sext,       [IR_ZEXT] = of_zext,      [IR_BSWAP] = of_bswap,
    [IR_ANDN] = of_andn,       [IR_BITS] = of_bits,       [IR_POPCNT] = of_count,   [IR_CLZ] = of_count,
    [IR_CTZ] = of_count,       [IR_LEA] = of_lea,         [IR_SELECT] = of_select,  [IR_LOAD] = of_width,
    [IR_LOADBE] = of_width,    [IR_FETCH_ADD] = of_width, [IR_FETCH_OR] = of_width, [IR_FETCH_AND] = of_width,
    [IR_FETCH_XOR] = of_width, [IR_XCHG] = of_width,      [IR_CMPXCHG] = of_width,
};

void opt_compute(const struct ir_value *v, const struct opt_fact *a, const struct opt_fact *b,
                 struct opt_fact *out)
{
    if ((v->flags & IR_IMM) == 0 || v->op == IR_SELECT) {
        transfers[v->op](v, a, b, out);
        return;
    }
    struct opt_fact number = opt_exactly((uint64_t)v->imm);
    transfers[v->op](v, a, &number, out);
}

struct opt_fact opt_transfer(const struct ir_value *v, const struct opt_fact *const in[4])
{
    struct opt_fact out = OPT_TOP;
    unsigned first = v->op == IR_SELECT ? 2 : 0;
    if (transfers[v->op] != NULL) {
        opt_compute(v, in[first], in[first + 1], &out);
    }
    return out;
}

struct opt_fact opt_fact_alone(const struct ir *ir, uint32_t value)
{
    const struct ir_value *v = ir_at(ir, ir_resolve(ir, value));
    const struct opt_fact top = OPT_TOP, *const tops[4] = {&top, &top, &top, &top};
    const uint32_t names[4] = {v->a, v->b, v->c, v->d};
    struct opt_fact facts[4];
    bool listed = ir_op_info(v->op)->operands[0] == 'p';
    for (unsigned i = 0; i < 4; i++) {
        facts[i] = listed ? top : opt_transfer(ir_at(ir, ir_resolve(ir, names[i])), tops);
    }
    return opt_transfer(v, (const struct opt_fact *const[4]){&facts[0], &facts[1], &facts[2], &facts[3]});
}
