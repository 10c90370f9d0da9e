// SPDX-License-Identifier: MIT
// opt_known: what operations do to facts: bits that can be set, and unsigned ranges. Every function gives a
// fact that holds for all values that its arguments allow; opt_known_test.c checks them against fold_value.
#include "jit/opt.h"

// --- facts ---------------------------------------------------------------------------------------

// All bits up to the highest one.
static uint64_t smear(uint64_t bits)
{
    return bits == 0 ? 0 : UINT64_MAX >> __builtin_clzll(bits);
}

static struct opt_fact make(uint64_t may, uint64_t min, uint64_t max)
{
    max = min_u64(max, may);
    may = min == max ? min : may & smear(max);
    max = min_u64(max, may);
    return (struct opt_fact){may, min, max};
}

static struct opt_fact bits(uint64_t may)
{
    return make(may, 0, may);
}

static struct opt_fact range(uint64_t min, uint64_t max)
{
    return make(smear(max), min, max);
}

struct opt_fact opt_below(uint64_t max)
{
    return range(0, max);
}

struct opt_fact opt_join(struct opt_fact a, struct opt_fact b)
{
    if (opt_is_empty(a) || opt_is_empty(b)) {
        return opt_is_empty(a) ? b : a;
    }
    return (struct opt_fact){a.may | b.may, min_u64(a.min, b.min), a.max > b.max ? a.max : b.max};
}

struct opt_fact opt_meet(struct opt_fact a, struct opt_fact b)
{
    uint64_t min = a.min > b.min ? a.min : b.min, max = min_u64(a.max, b.max);
    if (min > max || min > (a.may & b.may)) {
        return (struct opt_fact){0, 1, 0};
    }
    return make(a.may & b.may, min, max);
}

bool opt_includes(struct opt_fact outer, struct opt_fact inner)
{
    return opt_is_empty(inner) ||
           ((inner.may & ~outer.may) == 0 && outer.min <= inner.min && inner.max <= outer.max);
}

struct opt_fact opt_cut(struct opt_fact f, unsigned width)
{
    uint64_t mask = fold_mask(width);
    if (opt_is_empty(f)) {
        return f;
    }
    if (width < 64 && f.min >> width == f.max >> width) { // the rest is the same in all of them
        return make(f.may & mask, f.min & mask, f.max & mask);
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
static struct opt_fact add(struct opt_fact a, struct opt_fact b, unsigned width)
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
    return make(may & (high ? mask : smear(max)), min & mask, max & mask);
}

static struct opt_fact subtract(struct opt_fact a, struct opt_fact b, unsigned width)
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
    return make(may & smear(max), a.min * b.min, max);
}

// --- bits ----------------------------------------------------------------------------------------

static struct opt_fact and (struct opt_fact a, struct opt_fact b)
{
    return make(a.may & b.may, 0, min_u64(a.max, b.max));
}

static struct opt_fact or (struct opt_fact a, struct opt_fact b)
{
    return make(a.may | b.may, a.min > b.min ? a.min : b.min, a.may | b.may);
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

static struct opt_fact shift_left(struct opt_fact a, struct opt_fact count, unsigned width)
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
    return make(may, a.min << least, a.max << most);
}

static struct opt_fact shift_right(struct opt_fact a, struct opt_fact count, unsigned width)
{
    unsigned least, most;
    count_range(count, width, &least, &most);
    uint64_t may = least == most ? a.may >> least : smear(a.may >> least);
    return make(may, a.min >> most, a.max >> least);
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
        return make(may, min, max);
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

static struct opt_fact sign_extend(struct opt_fact a, unsigned part, unsigned width)
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

static struct opt_fact address(const struct ir_value *v, const struct opt_fact *const in[4])
{
    struct opt_fact sum = v->a == IR_NONE ? opt_exactly(0) : opt_low(*in[0], v->width);
    if (v->b != IR_NONE) {
        struct opt_fact scale = opt_exactly(v->scale);
        sum = add(sum, shift_left(opt_low(*in[1], v->width), scale, v->width), v->width);
    }
    uint64_t disp = (uint64_t)(int64_t)v->disp & fold_mask(v->width);
    return v->disp == 0 ? sum : add(sum, opt_exactly(disp), v->width);
}

static struct opt_fact transfer_unary(const struct ir_value *v, struct opt_fact a)
{
    unsigned width = v->width, imm = (unsigned)v->imm;
    switch (v->op) {
    case IR_NEG: return subtract(opt_exactly(0), a, width);
    case IR_SEXT: return sign_extend(a, imm, width);
    case IR_ZEXT: return opt_low(a, imm);
    case IR_BSWAP: return swap_bytes(v, a);
    case IR_BITS: return opt_low(shift_right(a, opt_exactly((uint64_t)v->disp), 64), imm);
    case IR_POPCNT:
    case IR_CLZ:
    case IR_CTZ: return range(0, width);
    default: return bits(fold_mask(width));
    }
}

static struct opt_fact transfer_binary(const struct ir_value *v, struct opt_fact a, struct opt_fact b)
{
    unsigned width = v->width;
    switch (v->op) {
    case IR_ADD: return add(a, b, width);
    case IR_SUB: return subtract(a, b, width);
    case IR_MUL: return multiply(a, b, width);
    case IR_AND: return and(a, b);
    case IR_OR: return or (a, b);
    case IR_XOR: return bits(a.may | b.may);
    case IR_SHL: return shift_left(a, b, width);
    case IR_SHR: return shift_right(a, b, width);
    case IR_SAR: return shift_arithmetic(a, b, width);
    case IR_ROL: return rotate(a, b, width);
    case IR_UDIV: return divide(a, b);
    case IR_UMOD: return modulo(a, b);
    case IR_MULHU: return multiply_high(a, b);
    case IR_ANDN: return bits(b.may);
    default: return bits(fold_mask(width));
    }
}

struct opt_fact opt_transfer(const struct ir_value *v, const struct opt_fact *const in[4])
{
    switch (v->op) {
    case IR_CONST: return opt_exactly((uint64_t)v->imm);
    case IR_COPY: return *in[0];
    case IR_LEA: return address(v, in);
    case IR_SELECT: return opt_low(opt_join(*in[2], *in[3]), v->width);
    case IR_FRAME:
    case IR_MAP: return range(1, UINT64_MAX);
    case IR_LOAD:
    case IR_LOADBE:
    case IR_FETCH_ADD:
    case IR_FETCH_OR:
    case IR_FETCH_AND:
    case IR_FETCH_XOR:
    case IR_XCHG:
    case IR_CMPXCHG: return bits(fold_mask(v->width));
    default: break;
    }
    const struct ir_op_info *info = ir_op_info(v->op);
    if ((info->flags & IR_PURE) == 0 || info->operands[0] != 'a') {
        return OPT_TOP;
    }
    struct opt_fact a = opt_low(*in[0], v->width);
    if (info->operands[1] == '\0') {
        return transfer_unary(v, a);
    }
    struct opt_fact b = (v->flags & IR_IMM) != 0 ? opt_exactly((uint64_t)v->imm) : *in[1];
    return transfer_binary(v, a, opt_low(b, v->width));
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
