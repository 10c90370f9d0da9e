// SPDX-License-Identifier: MIT
// opt_algebra: rules of simplification for sums, products, bits, divisions and extensions. Each function
// looks at one operation and says whether it changed it.
#include "jit/opt_rewrite.h"

#define MAX_32 ((uint64_t)UINT32_MAX)

static uint64_t top_bit(const struct rewrite *r)
{
    return (uint64_t)1 << (r->v->width - 1);
}

static bool both_small(const struct rewrite *r)
{
    return r->v->width == 64 && rewrite_fact_a(r).max <= MAX_32 && rewrite_fact_b(r).max <= MAX_32;
}

// Operand b of the inner operation, where it is a constant.
static bool inner_number(const struct rewrite *r, const struct ir_value *inner, uint64_t *number)
{
    return rewrite_is_number(r, inner->b, r->v->width, number);
}

// --- sums ----------------------------------------------------------------------------------------

static bool simplify_add(struct rewrite *r)
{
    uint64_t inner;
    if (!r->has_number) {
        if (r->b->op == IR_NEG && r->b->width == r->v->width) {
            return rewrite_binary(r, IR_SUB, r->v->a, r->b->a);
        }
        return false;
    }
    if (r->number == 0) {
        return rewrite_keep(r, r->v->a);
    }
    if (r->a->op == IR_ADD && r->a->width == r->v->width && r->a->uses <= 1 &&
        inner_number(r, r->a, &inner)) {
        return rewrite_with(r, IR_ADD, r->a->a, inner + r->number);
    }
    // Without a carry both widths are the same: addresses want 64 bits.
    uint64_t sum = rewrite_fact_a(r).max + fold_sign_extend(r->number, r->v->width);
    if (r->v->width == 32 && opt_fact_of(r->o, r->v->a).max <= MAX_32) {
        bool up = r->number < top_bit(r) && sum <= MAX_32;
        bool down = r->number >= top_bit(r) && rewrite_fact_a(r).min >= 0 - fold_sign_extend(r->number, 32);
        if (up || down) {
            r->v->width = 64;
            r->mask = UINT64_MAX;
            return rewrite_with(r, IR_ADD, r->v->a, fold_sign_extend(r->number, 32));
        }
    }
    return false;
}

static bool simplify_sub(struct rewrite *r)
{
    if (r->v->a == r->v->b) {
        return rewrite_const(r, 0);
    }
    if (r->has_number) {
        return rewrite_with(r, IR_ADD, r->v->a, 0 - r->number);
    }
    if (r->a->op == IR_CONST && ((uint64_t)r->a->imm & r->mask) == 0) {
        r->v->op = IR_NEG;
        r->v->a = r->v->b;
        r->v->b = IR_NONE;
        return true;
    }
    if (r->b->op == IR_NEG && r->b->width == r->v->width) {
        return rewrite_binary(r, IR_ADD, r->v->a, r->b->a);
    }
    return false;
}

static bool simplify_neg(struct rewrite *r)
{
    if (r->a->width != r->v->width) {
        return false;
    }
    if (r->a->op == IR_NEG) {
        return rewrite_keep(r, r->a->a);
    }
    return r->a->op == IR_SUB && r->a->uses <= 1 && rewrite_binary(r, IR_SUB, r->a->b, r->a->a);
}

static bool simplify_mul(struct rewrite *r)
{
    if (!r->has_number) {
        return false;
    }
    if (r->number == 1) {
        return rewrite_keep(r, r->v->a);
    }
    if (rewrite_is_power(r->number)) {
        return rewrite_with(r, IR_SHL, r->v->a, (uint64_t)__builtin_ctzll(r->number));
    }
    if (r->number == r->mask) {
        r->v->op = IR_NEG;
        r->v->b = IR_NONE;
        return true;
    }
    return false;
}

// --- bits ----------------------------------------------------------------------------------------

static bool simplify_and(struct rewrite *r)
{
    uint64_t inner;
    if (r->v->a == r->v->b) {
        return rewrite_keep(r, r->v->a);
    }
    bool small = rewrite_fact_a(r).max <= MAX_32 || rewrite_fact_b(r).max <= MAX_32;
    if (r->v->width == 64 && small && !(r->has_number && r->number == MAX_32)) {
        return rewrite_to_32(r);
    }
    if (!r->has_number) {
        return false;
    }
    if ((rewrite_fact_a(r).may & ~r->number) == 0) {
        return rewrite_keep(r, r->v->a);
    }
    if (r->number == 0xff || r->number == 0xffff || r->number == MAX_32) {
        return rewrite_extend(r, IR_ZEXT, r->v->a, r->number == MAX_32 ? 32 : r->number == 0xffff ? 16 : 8);
    }
    if (r->a->op == IR_AND && r->a->width >= r->v->width && inner_number(r, r->a, &inner)) {
        return rewrite_with(r, IR_AND, r->a->a, inner & r->number);
    }
    bool extension = r->a->op == IR_ZEXT || r->a->op == IR_SEXT;
    if (extension && (r->number & ~fold_mask((unsigned)r->a->imm)) == 0) {
        return rewrite_binary(r, IR_AND, r->a->a, r->v->b);
    }
    return false;
}

static bool simplify_or(struct rewrite *r)
{
    if (r->v->a == r->v->b || (r->has_number && r->number == 0)) {
        return rewrite_keep(r, r->v->a);
    }
    if (r->has_number && r->number == r->mask) {
        return rewrite_const(r, r->mask);
    }
    return both_small(r) && rewrite_to_32(r);
}

static bool simplify_xor(struct rewrite *r)
{
    uint64_t inner;
    if (r->v->a == r->v->b) {
        return rewrite_const(r, 0);
    }
    if (r->has_number && r->number == 0) {
        return rewrite_keep(r, r->v->a);
    }
    if (r->has_number && r->a->op == IR_XOR && r->a->width == r->v->width && inner_number(r, r->a, &inner)) {
        return rewrite_with(r, IR_XOR, r->a->a, inner ^ r->number);
    }
    return both_small(r) && rewrite_to_32(r);
}

// --- divisions -----------------------------------------------------------------------------------

// The divisor is never zero: the target need not test it.
static bool note_nonzero(struct rewrite *r)
{
    if ((r->v->flags & IR_NONZERO) == 0 && rewrite_fact_b(r).min != 0) {
        r->v->flags |= IR_NONZERO;
    }
    return false;
}

static bool simplify_udiv(struct rewrite *r)
{
    if (r->has_number && r->number == 0) {
        return rewrite_const(r, 0);
    }
    if (r->has_number && r->number == 1) {
        return rewrite_keep(r, r->v->a);
    }
    if (r->has_number && rewrite_is_power(r->number)) {
        return rewrite_with(r, IR_SHR, r->v->a, (uint64_t)__builtin_ctzll(r->number));
    }
    return both_small(r) ? rewrite_to_32(r) : note_nonzero(r);
}

static bool simplify_umod(struct rewrite *r)
{
    if ((r->has_number && r->number == 0) || rewrite_fact_a(r).max < rewrite_fact_b(r).min) {
        return rewrite_keep(r, r->v->a);
    }
    if (r->has_number && rewrite_is_power(r->number)) {
        return r->number == 1 ? rewrite_const(r, 0) : rewrite_with(r, IR_AND, r->v->a, r->number - 1);
    }
    return both_small(r) ? rewrite_to_32(r) : note_nonzero(r);
}

static bool simplify_signed(struct rewrite *r)
{
    bool division = r->v->op == IR_SDIV;
    if (r->has_number && r->number == 0) {
        return division ? rewrite_const(r, 0) : rewrite_keep(r, r->v->a);
    }
    if (r->has_number && (r->number == 1 || r->number == r->mask)) {
        if (!division) {
            return rewrite_const(r, 0);
        }
        return r->number == 1 ? rewrite_keep(r, r->v->a) : rewrite_binary(r, IR_NEG, r->v->a, IR_NONE);
    }
    if (rewrite_fact_a(r).max < top_bit(r) && rewrite_fact_b(r).max < top_bit(r)) {
        r->v->op = division ? IR_UDIV : IR_UMOD;
        return true;
    }
    return note_nonzero(r);
}

// --- extensions ----------------------------------------------------------------------------------

static bool simplify_zext(struct rewrite *r)
{
    unsigned bits = (unsigned)r->v->imm;
    if (opt_fact_of(r->o, r->v->a).max <= fold_mask(bits)) {
        return rewrite_copy(r, r->v->a);
    }
    bool extension = r->a->op == IR_ZEXT || r->a->op == IR_SEXT;
    if (extension && r->a->imm >= (int64_t)bits && r->a->width >= bits) {
        return rewrite_extend(r, IR_ZEXT, r->a->a, bits);
    }
    if (r->v->width == 32) {
        r->v->width = 64;
        return true;
    }
    return false;
}

static bool simplify_sext(struct rewrite *r)
{
    unsigned bits = (unsigned)r->v->imm;
    struct opt_fact low = opt_low(opt_fact_of(r->o, r->v->a), bits);
    if (bits == r->v->width) { // 32 bits of 32
        return rewrite_keep(r, r->v->a);
    }
    if ((low.may >> (bits - 1) & 1) == 0) {
        return rewrite_extend(r, IR_ZEXT, r->v->a, bits);
    }
    bool extension = r->a->op == IR_ZEXT || r->a->op == IR_SEXT;
    if (extension && r->a->imm >= (int64_t)bits && r->a->width >= bits) {
        return rewrite_extend(r, IR_SEXT, r->a->a, bits);
    }
    bool done = (r->a->op == IR_SEXT && r->a->width == 64 && r->a->imm <= (int64_t)bits) ||
                (r->a->op == IR_LOADS && r->a->width <= bits);
    return done && rewrite_keep(r, r->v->a);
}

static bool simplify_bswap(struct rewrite *r)
{
    int64_t bits = r->v->imm;
    if (r->a->op == IR_BSWAP && r->a->imm == bits && r->a->width == 64 && r->v->width == 64) {
        return bits == 64 ? rewrite_copy(r, r->a->a) : rewrite_extend(r, IR_ZEXT, r->a->a, (unsigned)bits);
    }
    bool extension = r->a->op == IR_ZEXT || r->a->op == IR_SEXT;
    if (extension && r->a->imm >= bits && bits < 64) {
        r->v->a = r->a->a;
        return true;
    }
    return false;
}

// --- all of them ---------------------------------------------------------------------------------

// Operations of 32 bits read past extensions.
static bool read_sources(struct rewrite *r)
{
    struct ir_value *v = r->v;
    uint32_t a = rewrite_source(r, v->a), b = v->b != IR_NONE ? rewrite_source(r, v->b) : IR_NONE;
    if (a == v->a && b == v->b) {
        return false;
    }
    v->a = a;
    v->b = b;
    return true;
}

bool opt_algebra(struct rewrite *r)
{
    static bool (*const rules[IR_OP_COUNT])(struct rewrite *r) = {
        [IR_ADD] = simplify_add,     [IR_SUB] = simplify_sub,     [IR_MUL] = simplify_mul,
        [IR_AND] = simplify_and,     [IR_OR] = simplify_or,       [IR_XOR] = simplify_xor,
        [IR_UDIV] = simplify_udiv,   [IR_UMOD] = simplify_umod,   [IR_SDIV] = simplify_signed,
        [IR_SMOD] = simplify_signed, [IR_NEG] = simplify_neg,     [IR_ZEXT] = simplify_zext,
        [IR_SEXT] = simplify_sext,   [IR_BSWAP] = simplify_bswap,
    };
    if (rules[r->v->op](r)) {
        return true;
    }
    const struct ir_value *v = r->v;
    return v->width == 32 && v->op != IR_ZEXT && v->op != IR_SEXT && v->op != IR_BSWAP && read_sources(r);
}
