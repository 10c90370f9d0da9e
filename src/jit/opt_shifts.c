// SPDX-License-Identifier: MIT
// opt_shifts: rules of simplification for shifts, and rotations that bytecode writes with two of them. Counts
// are taken modulo the width everywhere.
#include "jit/opt_rewrite.h"

static unsigned count_of(const struct rewrite *r)
{
    return (unsigned)r->number & (r->v->width - 1u);
}

// Operation `op` of the same width by a constant count, as the operand of another one.
static bool inner_shift(const struct rewrite *r, const struct ir_value *inner, unsigned op, unsigned *count)
{
    uint64_t number;
    if (inner->op != op || inner->width != r->v->width ||
        !rewrite_is_number(r, inner->b, inner->width, &number)) {
        return false;
    }
    *count = (unsigned)number & (inner->width - 1u);
    return true;
}

// --- shifts --------------------------------------------------------------------------------------

// (x & mask) << count or >> count where the mask takes nothing that the shift leaves, or only an upper half.
static bool skip_mask(struct rewrite *r, unsigned count)
{
    uint64_t number, half = UINT32_MAX;
    bool up = r->v->op == IR_SHL;
    if (r->a->op != IR_AND || !rewrite_is_number(r, r->a->b, r->a->width, &number)) {
        return false;
    }
    uint64_t left = up ? r->mask >> count : r->mask >> count << count;
    if ((number & left) == left) {
        return rewrite_with(r, (enum ir_op)r->v->op, r->a->a, count);
    }
    if (up || r->v->width != 64 || count >= 32 || number >> count != half >> count) {
        return false;
    }
    r->v->width = 32;
    r->mask = UINT32_MAX;
    return rewrite_with(r, IR_SHR, r->a->a, count);
}

static bool simplify_shl(struct rewrite *r)
{
    unsigned count = count_of(r), inner, width = r->v->width;
    if (inner_shift(r, r->a, IR_SHL, &inner)) {
        return count + inner >= width ? rewrite_const(r, 0) : rewrite_with(r, IR_SHL, r->a->a, count + inner);
    }
    // (x >> n) << n clears bits.
    if (inner_shift(r, r->a, IR_SHR, &inner) && inner == count && count < 31) {
        return rewrite_with(r, IR_AND, r->a->a, UINT64_MAX << count);
    }
    if (skip_mask(r, count)) {
        return true;
    }
    if (width == 32 && opt_fact_of(r->o, r->v->a).max <= UINT32_MAX >> count) { // addresses want 64 bits
        r->v->width = 64;
        r->mask = UINT64_MAX;
        return rewrite_with(r, IR_SHL, r->v->a, count);
    }
    return false;
}

// (x << inner) >> count takes bits out of x.
static bool take_out(struct rewrite *r, unsigned inner, unsigned count)
{
    unsigned width = r->v->width, bits = width - inner; // of x that are left
    uint32_t x = r->a->a;
    if (inner == count && (bits == 32 || bits == 16 || bits == 8)) {
        return rewrite_extend(r, IR_ZEXT, x, bits);
    }
    if (width == 64 && inner == 32 && count > 32) {
        r->v->width = 32;
        r->mask = UINT32_MAX;
        return rewrite_with(r, IR_SHR, x, count - 32);
    }
    if (inner == count && bits <= 31) {
        return rewrite_with(r, IR_AND, x, fold_mask(bits));
    }
    return false;
}

// (x << inner) >> count where the first shift loses nothing, or only an upper half: one shift.
static bool merge_shifts(struct rewrite *r, unsigned inner, unsigned count)
{
    uint32_t x = r->a->a;
    struct opt_fact fact = opt_low(opt_fact_of(r->o, x), r->v->width);
    if (inner != count && fact.max <= r->mask >> inner) {
        unsigned by = inner > count ? inner - count : count - inner;
        return rewrite_with(r, inner > count ? IR_SHL : IR_SHR, x, by);
    }
    if (r->v->width != 64 || inner != 32 || count >= 32 || r->a->uses > 1) {
        return false;
    }
    uint32_t half = opt_make(r->o, IR_ZEXT, 64, x, IR_NONE, 32);
    return half != IR_NONE && rewrite_with(r, IR_SHL, half, inner - count);
}

static bool simplify_shr(struct rewrite *r)
{
    unsigned count = count_of(r), inner, width = r->v->width;
    if (inner_shift(r, r->a, IR_SHR, &inner)) {
        return count + inner >= width ? rewrite_const(r, 0) : rewrite_with(r, IR_SHR, r->a->a, count + inner);
    }
    if (inner_shift(r, r->a, IR_SHL, &inner) &&
        (take_out(r, inner, count) || merge_shifts(r, inner, count))) {
        return true;
    }
    if (skip_mask(r, count)) {
        return true;
    }
    if (width == 64 && rewrite_fact_a(r).max <= UINT32_MAX && count < 32) {
        r->v->width = 32;
        r->mask = UINT32_MAX;
        return rewrite_with(r, IR_SHR, r->v->a, count);
    }
    return false;
}

static bool simplify_sar(struct rewrite *r)
{
    unsigned count = count_of(r), inner, width = r->v->width, bits;
    if (inner_shift(r, r->a, IR_SHL, &inner) && inner == count) {
        bits = width - inner;
        if (bits == 32 || bits == 16 || bits == 8) {
            return rewrite_extend(r, IR_SEXT, r->a->a, bits);
        }
    }
    if (width == 64 && inner_shift(r, r->a, IR_SHL, &inner) && inner == 32 && count < 32 && r->a->uses <= 1) {
        uint32_t half = opt_make(r->o, IR_SEXT, 64, r->a->a, IR_NONE, 32);
        return half != IR_NONE && rewrite_with(r, IR_SHL, half, inner - count);
    }
    if (inner_shift(r, r->a, IR_SAR, &inner)) {
        bits = count + inner >= width ? width - 1u : count + inner;
        return rewrite_with(r, IR_SAR, r->a->a, bits);
    }
    return false;
}

static bool simplify_shift(struct rewrite *r)
{
    uint64_t top = (uint64_t)1 << (r->v->width - 1);
    if (r->v->op == IR_SAR && rewrite_fact_a(r).max < top) {
        r->v->op = IR_SHR;
        return true;
    }
    if (!r->has_number) {
        return false;
    }
    if (count_of(r) == 0) {
        return rewrite_keep(r, r->v->a);
    }
    if ((uint64_t)r->b->imm != count_of(r)) { // beyond the width
        return rewrite_with(r, (enum ir_op)r->v->op, r->v->a, count_of(r));
    }
    switch (r->v->op) {
    case IR_SHL: return simplify_shl(r);
    case IR_SHR: return simplify_shr(r);
    case IR_SAR: return simplify_sar(r);
    default: return false;
    }
}

// --- rotations -----------------------------------------------------------------------------------

// A count that is taken modulo the width: what the masking of it hides does not matter.
static uint32_t count_source(const struct rewrite *r, uint32_t count)
{
    const struct ir_value *v = ir_at(r->o->ir, count);
    uint64_t number, low = r->v->width - 1u;
    if (v->op == IR_AND && rewrite_is_number(r, v->b, 64, &number) && (number & low) == low) {
        return v->a;
    }
    return v->op == IR_ZEXT || v->op == IR_SEXT ? v->a : count;
}

// `count` is the width minus `of`, modulo the width.
static bool is_complement(const struct rewrite *r, uint32_t count, uint32_t of)
{
    const struct ir_value *v = ir_at(r->o->ir, count_source(r, count));
    uint64_t number;
    if (v->op == IR_NEG) {
        return count_source(r, v->a) == count_source(r, of);
    }
    return v->op == IR_SUB && rewrite_is_number(r, v->a, 64, &number) && (number & (r->v->width - 1u)) == 0 &&
           count_source(r, v->b) == count_source(r, of);
}

static bool rotate(struct rewrite *r, const struct ir_value *left, const struct ir_value *right)
{
    unsigned up, down, width = r->v->width;
    if (left->op != IR_SHL || right->op != IR_SHR || left->width != width || right->width != width ||
        left->a != right->a) {
        return false;
    }
    if (inner_shift(r, left, IR_SHL, &up) && inner_shift(r, right, IR_SHR, &down)) {
        return up != 0 && up + down == width && rewrite_with(r, IR_ROL, left->a, up);
    }
    if (r->v->op != IR_OR) { // by 0 bits a sum would be 2x
        return false;
    }
    if (is_complement(r, right->b, left->b)) {
        return rewrite_binary(r, IR_ROL, left->a, left->b);
    }
    // To the right by n: to the left by the complement.
    return is_complement(r, left->b, right->b) && rewrite_binary(r, IR_ROL, left->a, left->b);
}

// Operands of 32 bits: shifts look at the low half, so extensions in front of them do not matter.
static bool read_source(struct rewrite *r)
{
    uint32_t a = r->v->width == 32 ? rewrite_source(r, r->v->a) : r->v->a;
    if (a == r->v->a) {
        return false;
    }
    r->v->a = a;
    return true;
}

bool opt_shifts(struct rewrite *r)
{
    return simplify_shift(r) || read_source(r);
}

bool opt_rotations(struct rewrite *r)
{
    return rotate(r, r->a, r->b) || rotate(r, r->b, r->a);
}
