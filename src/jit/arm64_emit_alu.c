// SPDX-License-Identifier: MIT
// arm64_emit_alu: operations on registers.
#include "jit/arm64_emit.h"

// What a binary operation becomes.
struct form {
    uint8_t op;  // IR_*
    uint8_t reg; // A64_*: two sources
    uint8_t imm; // A64_*: a bit mask as second source, or 0
};
static const struct form forms[] = {
    {IR_AND, A64_AND, A64_ANDI}, {IR_OR, A64_ORR, A64_ORRI}, {IR_XOR, A64_EOR, A64_EORI},
    {IR_SHL, A64_LSLV, 0},       {IR_SHR, A64_LSRV, 0},      {IR_SAR, A64_ASRV, 0},
    {IR_UDIV, A64_UDIV, 0},      {IR_SDIV, A64_SDIV, 0},     {IR_MULHU, A64_UMULH, 0},
    {IR_ADD, A64_ADD, 0},        {IR_SUB, A64_SUB, 0},
};

static const struct form *find_form(unsigned op)
{
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        if (forms[i].op == op) {
            return &forms[i];
        }
    }
    return NULL;
}

static bool has_imm(const struct ir_value *v)
{
    return (v->flags & IR_IMM) != 0;
}

// The number as the operation sees it.
static int64_t imm_of(const struct ir_value *v)
{
    return v->width == 32 ? (int64_t)(int32_t)v->imm : v->imm;
}

static void shift_imm(struct arm64_emitter *e, const struct ir_value *v, unsigned d, unsigned n)
{
    unsigned width = v->width, count = (unsigned)v->imm & (width - 1);
    switch (v->op) {
    case IR_SHL:
        arm64_put(e, arm64_bitfield(A64_UBFM, width, d, n, (width - count) & (width - 1), width - 1 - count));
        break;
    case IR_SHR: arm64_put(e, arm64_bitfield(A64_UBFM, width, d, n, count, width - 1)); break;
    case IR_SAR: arm64_put(e, arm64_bitfield(A64_SBFM, width, d, n, count, width - 1)); break;
    default: arm64_put(e, arm64_extract(width, d, n, n, (width - count) & (width - 1))); break; // ROL
    }
}

static void rotate(struct arm64_emitter *e, const struct ir_value *v, unsigned d)
{
    unsigned n = arm64_use(e, v->a, SCRATCH_A), m = arm64_use(e, v->b, SCRATCH_B);
    arm64_put(e, arm64_two(A64_SUB, 32, SCRATCH_B, A64_ZR, m));
    arm64_put(e, arm64_two(A64_RORV, v->width, d, n, SCRATCH_B));
}

static void binary(struct arm64_emitter *e, const struct ir_value *v, const struct form *f, unsigned d)
{
    uint32_t field;
    unsigned n =
        v->op == IR_SUB && !has_imm(v) ? arm64_use_zero(e, v->a, SCRATCH_A) : arm64_use(e, v->a, SCRATCH_A);
    if (!has_imm(v)) {
        arm64_put(e, arm64_two((enum arm64_op)f->reg, v->width, d, n, arm64_use(e, v->b, SCRATCH_B)));
    } else if (v->op == IR_ADD || v->op == IR_SUB) {
        int64_t imm = imm_of(v);
        arm64_put_add(e, v->width, d, n, v->op == IR_ADD ? imm : (int64_t)(0 - (uint64_t)imm));
    } else if (f->imm == 0) {
        shift_imm(e, v, d, n);
    } else if (v->op == IR_XOR && imm_of(v) == -1) {
        arm64_put(e, arm64_two(A64_ORN, v->width, d, A64_ZR, n));
    } else if (arm64_bitmask((uint64_t)imm_of(v), v->width, &field)) {
        arm64_put(e, arm64_logic_imm((enum arm64_op)f->imm, v->width, d, n, field));
    } else {
        arm64_put_number(e, SCRATCH_B, (uint64_t)imm_of(v));
        arm64_put(e, arm64_two((enum arm64_op)f->reg, v->width, d, n, SCRATCH_B));
    }
}

static void multiply(struct arm64_emitter *e, const struct ir_value *v, unsigned d)
{
    unsigned n = arm64_use(e, v->a, SCRATCH_A), m = SCRATCH_B;
    if (has_imm(v)) {
        arm64_put_number(e, SCRATCH_B, (uint64_t)imm_of(v));
    } else {
        m = arm64_use(e, v->b, SCRATCH_B);
    }
    arm64_put(e, arm64_three(A64_MADD, v->width, d, n, m, A64_ZR));
}

// a - a / b * b: by zero the quotient is zero, and the remainder a.
static void modulo(struct arm64_emitter *e, const struct ir_value *v, unsigned d)
{
    unsigned n = arm64_use(e, v->a, SCRATCH_A), m = arm64_use(e, v->b, SCRATCH_B);
    arm64_put(e, arm64_two(v->op == IR_UMOD ? A64_UDIV : A64_SDIV, v->width, SCRATCH_C, n, m));
    arm64_put(e, arm64_three(A64_MSUB, v->width, d, SCRATCH_C, m, n));
}

static void swap_bytes(struct arm64_emitter *e, const struct ir_value *v, unsigned d, unsigned n)
{
    if (v->imm == 64) {
        arm64_put(e, arm64_one(A64_REV64, 64, d, n));
        return;
    }
    arm64_put(e, arm64_one(A64_REV32, 32, d, n));
    if (v->imm == 16) {
        arm64_put(e, arm64_bitfield(A64_UBFM, 32, d, d, 16, 31));
    }
}

static void unary(struct arm64_emitter *e, const struct ir_value *v, unsigned d)
{
    unsigned n = arm64_use(e, v->a, SCRATCH_A), width = v->width, last = (unsigned)v->imm - 1;
    switch (v->op) {
    case IR_COPY: arm64_put(e, arm64_two(A64_ORR, 64, d, A64_ZR, n)); break;
    case IR_NEG: arm64_put(e, arm64_two(A64_SUB, width, d, A64_ZR, n)); break;
    case IR_SEXT:
        if (v->imm < (int64_t)width) {
            arm64_put(e, arm64_bitfield(A64_SBFM, width, d, n, 0, last));
        } else {
            arm64_put(e, arm64_two(A64_ORR, 32, d, A64_ZR, n));
        }
        break;
    case IR_ZEXT: arm64_put(e, arm64_bitfield(A64_UBFM, 32, d, n, 0, last)); break;
    case IR_BITS:
        last = (unsigned)v->disp + (unsigned)v->imm - 1;
        arm64_put(e, arm64_bitfield(A64_UBFM, width, d, n, (unsigned)v->disp, last));
        break;
    case IR_BSWAP: swap_bytes(e, v, d, n); break;
    case IR_CLZ: arm64_put(e, arm64_one(A64_CLZ, width, d, n)); break;
    default: // CTZ
        arm64_put(e, arm64_one(A64_RBIT, width, d, n));
        arm64_put(e, arm64_one(A64_CLZ, width, d, d));
        break;
    }
}

static bool is_number(const struct arm64_emitter *e, uint32_t value, int64_t number)
{
    int64_t imm;
    return ir_is_const(e->ir, value, &imm) && imm == number;
}

static void select(struct arm64_emitter *e, const struct ir_value *v, unsigned d)
{
    enum arm64_cond cond = arm64_put_compare(e, v), opposite = (enum arm64_cond)(cond ^ 1);
    if (is_number(e, v->c, 1) && is_number(e, v->d, 0)) {
        arm64_put(e, arm64_select(A64_CSINC, 64, d, A64_ZR, A64_ZR, opposite));
        return;
    }
    if (is_number(e, v->c, 0) && is_number(e, v->d, 1)) {
        arm64_put(e, arm64_select(A64_CSINC, 64, d, A64_ZR, A64_ZR, cond));
        return;
    }
    unsigned c = arm64_use_zero(e, v->c, SCRATCH_A), other = arm64_use_zero(e, v->d, SCRATCH_B);
    arm64_put(e, arm64_select(A64_CSEL, v->width, d, c, other, cond));
}

static void put_constant(struct arm64_emitter *e, uint32_t value, unsigned d)
{
    struct ir_value *v = ir_at(e->ir, value);
    if (v->reg == IR_REG_NONE && v->slot == 0) {
        return; // made where it is used
    }
    if (v->op == IR_FRAME) {
        arm64_put_add(e, 64, d, A64_SP, e->program_frame);
    } else {
        arm64_put_number(e, d, v->op == IR_MAP ? e->j->input->maps[v->imm].address : (uint64_t)v->imm);
    }
}

bool arm64_put_alu(struct arm64_emitter *e, const struct ir_value *v)
{
    const struct form *f = find_form(v->op);
    unsigned d = arm64_result(v);
    switch (v->op) {
    case IR_CONST:
    case IR_MAP:
    case IR_FRAME: put_constant(e, (uint32_t)(e->ir->top - v), d); break;
    case IR_MUL: multiply(e, v, d); break;
    case IR_UMOD:
    case IR_SMOD: modulo(e, v, d); break;
    case IR_ROL:
        if (has_imm(v)) {
            shift_imm(e, v, d, arm64_use(e, v->a, SCRATCH_A));
        } else {
            rotate(e, v, d);
        }
        break;
    case IR_ANDN:
        arm64_put(
            e, arm64_two(A64_BIC, v->width, d, arm64_use(e, v->b, SCRATCH_A), arm64_use(e, v->a, SCRATCH_B)));
        break;
    case IR_SELECT: select(e, v, d); break;
    case IR_COPY:
    case IR_NEG:
    case IR_SEXT:
    case IR_ZEXT:
    case IR_BITS:
    case IR_BSWAP:
    case IR_CLZ:
    case IR_CTZ: unary(e, v, d); break;
    default:
        if (f == NULL) {
            return false;
        }
        binary(e, v, f, d);
        break;
    }
    arm64_keep(e, v, d);
    return true;
}
