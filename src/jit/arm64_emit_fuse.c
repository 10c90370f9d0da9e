// SPDX-License-Identifier: MIT
// arm64_emit_fuse: two operations in one instruction: a product that is added, a shifted value that is
// combined. The second one has to follow at once and to be the only user: then the operands of the first are
// still where they were.
#include "jit/arm64_emit.h"

// Combinations with a shifted second operand.
struct fusion {
    uint8_t op;      // IR_*
    uint8_t reg;     // A64_*
    bool either;     // the shifted operand may be the first one too
    bool first_only; // it has to be that
    bool logic;      // rotates as well
};
static const struct fusion fusions[] = {
    {IR_ADD, A64_ADD, true, false, false}, {IR_SUB, A64_SUB, false, false, false},
    {IR_AND, A64_AND, true, false, true},  {IR_OR, A64_ORR, true, false, true},
    {IR_XOR, A64_EOR, true, false, true},  {IR_ANDN, A64_BIC, false, true, true},
};

static const struct fusion *find_fusion(unsigned op)
{
    for (size_t i = 0; i < ARRAY_SIZE(fusions); i++) {
        if (fusions[i].op == op) {
            return &fusions[i];
        }
    }
    return NULL;
}

// The other operand of `next`, or IR_NONE when it cannot take in `value`.
static uint32_t other_operand(const struct ir_value *next, const struct fusion *f, uint32_t value)
{
    if ((next->flags & IR_IMM) != 0 || next->a == next->b) {
        return IR_NONE;
    }
    if (next->b == value && !f->first_only) {
        return next->a;
    }
    return next->a == value && (f->either || f->first_only) ? next->b : IR_NONE;
}

static bool fuse_product(struct arm64_emitter *e, const struct ir_value *v, const struct ir_value *next,
                         uint32_t other)
{
    if ((next->op != IR_ADD && next->op != IR_SUB) || (v->flags & IR_IMM) != 0) {
        return false;
    }
    unsigned n = arm64_use(e, v->a, SCRATCH_A), m = arm64_use(e, v->b, SCRATCH_B);
    unsigned a = arm64_use(e, other, SCRATCH_C), d = arm64_result(next);
    arm64_put(e, arm64_three(next->op == IR_ADD ? A64_MADD : A64_MSUB, v->width, d, n, m, a));
    arm64_keep(e, next, d);
    return true;
}

static bool fuse_shift(struct arm64_emitter *e, const struct ir_value *v, const struct ir_value *next,
                       uint32_t other, const struct fusion *f)
{
    unsigned amount = (unsigned)v->imm & (v->width - 1u);
    enum arm64_shift kind = v->op == IR_SHL   ? A64_LSL
                            : v->op == IR_SHR ? A64_LSR
                            : v->op == IR_SAR ? A64_ASR
                                              : A64_ROR;
    if ((v->flags & IR_IMM) == 0 || (kind == A64_ROR && !f->logic)) {
        return false;
    }
    if (kind == A64_ROR) {
        amount = (v->width - amount) & (v->width - 1u);
    }
    unsigned n = arm64_use_zero(e, other, SCRATCH_A), m = arm64_use(e, v->a, SCRATCH_B),
             d = arm64_result(next);
    arm64_put(e, arm64_shifted((enum arm64_op)f->reg, v->width, d, n, m, kind, amount));
    arm64_keep(e, next, d);
    return true;
}

// (x << n) & (a run of ones from bit n on); of a 64-bit shift the lower half is enough for a mask of 32 bits.
static bool fuse_mask(struct arm64_emitter *e, const struct ir_value *v, const struct ir_value *next)
{
    unsigned width = next->width, count = (unsigned)v->imm;
    uint64_t mask = width == 32 ? (uint32_t)next->imm : (uint64_t)next->imm;
    if (v->op != IR_SHL || (v->flags & next->flags & IR_IMM) == 0 || v->width < width || count == 0 ||
        count >= width) {
        return false;
    }
    uint64_t run = mask >> count;
    if (run == 0 || run << count != mask || (run & (run + 1)) != 0) {
        return false;
    }
    unsigned ones = (unsigned)__builtin_ctzll(run + 1), n = arm64_use(e, v->a, SCRATCH_A),
             d = arm64_result(next);
    arm64_put(e, arm64_bitfield(A64_UBFM, width, d, n, width - count, ones - 1));
    arm64_keep(e, next, d);
    return true;
}

bool arm64_put_fused(struct arm64_emitter *e, const struct ir_value *v, const struct ir_value *next)
{
    const struct fusion *f = find_fusion(next->op);
    uint32_t value = (uint32_t)(e->ir->top - v);
    if (f == NULL || v->uses != 1) {
        return false;
    }
    if (next->op == IR_AND && next->a == value && fuse_mask(e, v, next)) {
        return true;
    }
    uint32_t other = v->width == next->width ? other_operand(next, f, value) : IR_NONE;
    if (other == IR_NONE) {
        return false;
    }
    switch (v->op) {
    case IR_MUL: return fuse_product(e, v, next, other);
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROL: return fuse_shift(e, v, next, other, f);
    default: return false;
    }
}
