// SPDX-License-Identifier: MIT
// x86_emit_alu: arithmetic. The flags are nobody's between two values.
#include "jit/x86_emit.h"

// --- two operands --------------------------------------------------------------------------------

static enum x86_alu alu_of(unsigned op)
{
    switch (op) {
    case IR_OR: return X86_ALU_OR;
    case IR_AND: return X86_ALU_AND;
    case IR_SUB: return X86_ALU_SUB;
    case IR_XOR: return X86_ALU_XOR;
    default: return X86_ALU_ADD;
    }
}

static void alu_imm(struct x86_emitter *e, const struct ir_value *v, unsigned to)
{
    struct x86_code *c = &e->code;
    int32_t imm = (int32_t)v->imm;
    struct jit_location a = alloc_location(e->ir, v->a);
    if (v->op == IR_ADD && a.place == PLACE_REG && a.reg != to) {
        x86_rm(c, X86_LEA, v->width, to, x86_at(a.reg, imm));
        return;
    }
    unsigned width = v->op == IR_AND && imm >= 0 ? 32 : v->width; // clears the upper half
    x86_fetch(e, v->a, width, to);
    if (v->op == IR_XOR && imm == -1) {
        x86_r(c, X86_NOT, width, to);
    } else if (v->op == IR_ADD && imm == 128) {
        x86_alu_imm(c, X86_ALU_SUB, width, to, -128);
    } else {
        x86_alu_imm(c, alu_of(v->op), width, to, imm);
    }
}

// The second operand is in the result's register.
static void alu_reversed(struct x86_emitter *e, const struct ir_value *v, unsigned to)
{
    unsigned a = x86_source(e, v->a, X86_SCRATCH);
    if (v->op == IR_SUB) {
        x86_r(&e->code, X86_NEG, v->width, to);
        x86_alu(&e->code, X86_ALU_ADD, v->width, to, a);
    } else {
        x86_alu(&e->code, alu_of(v->op), v->width, to, a);
    }
}

static void alu_regs(struct x86_emitter *e, const struct ir_value *v, unsigned to)
{
    struct jit_location a = alloc_location(e->ir, v->a), b = alloc_location(e->ir, v->b);
    if (b.place == PLACE_REG && b.reg == to && !(a.place == PLACE_REG && a.reg == to)) {
        alu_reversed(e, v, to);
    } else if (v->op == IR_ADD && a.place == PLACE_REG && b.place == PLACE_REG && a.reg != to) {
        x86_rm(&e->code, X86_LEA, v->width, to, (struct x86_mem){a.reg, b.reg, 0, 0});
    } else {
        x86_fetch(e, v->a, v->width, to);
        if (b.place == PLACE_SLOT) {
            x86_alu_rm(&e->code, alu_of(v->op), v->width, to, x86_slot(e, b.slot));
        } else {
            x86_alu(&e->code, alu_of(v->op), v->width, to,
                    x86_source(e, v->b, to == X86_SCRATCH ? X86_SCRATCH2 : X86_SCRATCH));
        }
    }
}

void x86_emit_alu(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v);
    if ((v->flags & IR_IMM) != 0) {
        alu_imm(e, v, to);
    } else {
        alu_regs(e, v, to);
    }
    x86_finish(e, v, to);
}

void x86_emit_mul(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v);
    if ((v->flags & IR_IMM) != 0) {
        x86_imul_imm(&e->code, v->width, to, x86_source(e, v->a, X86_SCRATCH), (int32_t)v->imm);
        x86_finish(e, v, to);
        return;
    }
    struct jit_location a = alloc_location(e->ir, v->a), b = alloc_location(e->ir, v->b);
    uint32_t first = v->a, second = v->b;
    if (b.place == PLACE_REG && b.reg == to && !(a.place == PLACE_REG && a.reg == to)) {
        first = v->b;
        second = v->a;
    }
    x86_fetch(e, first, v->width, to);
    if (x86_in_slot(e, second)) {
        x86_rm(&e->code, X86_IMUL, v->width, to, x86_slot_of(e, second));
    } else {
        x86_rr(&e->code, X86_IMUL, v->width, to,
               x86_source(e, second, to == X86_SCRATCH ? X86_SCRATCH2 : X86_SCRATCH));
    }
    x86_finish(e, v, to);
}

// Upper half of a product. One factor goes to rdx (mulx) or rax (mul).
void x86_emit_mulhu(struct x86_emitter *e, const struct ir_value *v)
{
    bool mulx = (e->j->options->cpu & JIT_CPU_BMI2) != 0;
    unsigned fixed = mulx ? X86_RDX : X86_RAX, to = x86_target_reg(v);
    struct jit_location b = alloc_location(e->ir, v->b);
    uint32_t first = v->a, second = v->b;
    if (b.place == PLACE_REG && b.reg == fixed) {
        first = v->b;
        second = v->a;
    }
    unsigned factor =
        x86_source(e, second, X86_SCRATCH); // never the fixed register, unless both are the same value
    x86_fetch(e, first, 64, fixed);
    if (mulx) {
        x86_vex(&e->code, X86_MULX, 64, to, X86_SCRATCH, factor);
        x86_finish(e, v, to);
    } else {
        x86_r(&e->code, X86_MUL, 64, factor);
        x86_finish(e, v, X86_RDX);
    }
}

void x86_emit_andn(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v), a = x86_source(e, v->a, X86_SCRATCH);
    x86_vex(&e->code, X86_ANDN, v->width, to, a,
            x86_source(e, v->b, a == X86_SCRATCH ? X86_SCRATCH2 : X86_SCRATCH));
    x86_finish(e, v, to);
}

// --- shifts --------------------------------------------------------------------------------------

struct shift {
    enum x86_shift digit;
    enum x86_insn by_cl, bmi2;
};

static struct shift shift_of(unsigned op)
{
    switch (op) {
    case IR_SHL: return (struct shift){X86_SHL, X86_SHL_CL, X86_SHLX};
    case IR_SHR: return (struct shift){X86_SHR, X86_SHR_CL, X86_SHRX};
    case IR_SAR: return (struct shift){X86_SAR, X86_SAR_CL, X86_SARX};
    default: return (struct shift){X86_ROL, X86_ROL_CL, X86_INSN_COUNT};
    }
}

static void shift_imm(struct x86_emitter *e, const struct ir_value *v, unsigned to)
{
    unsigned count = (unsigned)v->imm & (v->width - 1);
    struct jit_location a = alloc_location(e->ir, v->a);
    bool moves = a.place == PLACE_REG && a.reg != to;
    if (count == 0 && !moves && v->width == 32 && a.place == PLACE_REG) {
        x86_mov(&e->code, 32, to, to); // clears the upper half
    } else if (v->op == IR_SHL && count == 1 && moves) {
        x86_rm(&e->code, X86_LEA, v->width, to, (struct x86_mem){a.reg, a.reg, 0, 0});
    } else if (v->op == IR_ROL && count != 0 && moves && (e->j->options->cpu & JIT_CPU_BMI2) != 0) {
        x86_vex(&e->code, X86_RORX, v->width, to, 0, a.reg);
        x86_bytes(&e->code, v->width - count, 1);
    } else {
        x86_fetch(e, v->a, v->width, to);
        if (count != 0) {
            x86_shift_imm(&e->code, shift_of(v->op).digit, v->width, to, count);
        }
    }
}

// The count has to be in cl. Neither the value nor the result may be in rcx while it is there.
static void shift_by_cl(struct x86_emitter *e, const struct ir_value *v, unsigned to)
{
    struct jit_location a = alloc_location(e->ir, v->a), b = alloc_location(e->ir, v->b);
    bool count_is_result = b.place == PLACE_REG && b.reg == to;
    bool through = to == X86_RCX || count_is_result || (a.place == PLACE_REG && a.reg == X86_RCX);
    unsigned work = through ? X86_SCRATCH : to;
    x86_fetch(e, v->a, v->width, work);
    x86_fetch(e, v->b, 32, X86_RCX);
    x86_r(&e->code, shift_of(v->op).by_cl, v->width, work);
    if (work != to) {
        x86_mov(&e->code, 64, to, work);
    }
}

void x86_emit_shift(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v);
    if ((v->flags & IR_IMM) != 0) {
        shift_imm(e, v, to);
    } else if (v->op == IR_ROL || (e->j->options->cpu & JIT_CPU_BMI2) == 0) {
        shift_by_cl(e, v, to);
    } else {
        unsigned a = x86_source(e, v->a, X86_SCRATCH);
        unsigned b = x86_source(e, v->b, a == X86_SCRATCH ? X86_SCRATCH2 : X86_SCRATCH);
        x86_vex(&e->code, shift_of(v->op).bmi2, v->width, to, b, a);
    }
    x86_finish(e, v, to);
}

// --- division ------------------------------------------------------------------------------------

static bool is_never_zero(const struct x86_emitter *e, const struct ir_value *v)
{
    int64_t imm;
    return (v->flags & IR_NONZERO) != 0 ||
           (ir_is_const(e->ir, v->b, &imm) && (v->width == 64 ? imm : (int64_t)(uint32_t)imm) != 0);
}

// A quotient of 0 or a remainder of the dividend, which is in rax.
static size_t divide_by_zero(struct x86_emitter *e, const struct ir_value *v, bool modulo, unsigned divisor)
{
    x86_rr(&e->code, X86_TEST, v->width, divisor, divisor);
    size_t skip = x86_skip(e, X86_CC_NE);
    if (modulo) {
        x86_mov(&e->code, v->width, X86_RDX, X86_RAX);
    } else {
        x86_mov_imm(&e->code, X86_RAX, 0, false);
    }
    size_t done = x86_skip(e, X86_CC_ALWAYS);
    x86_land(e, skip);
    return done;
}

// The machine traps on least / -1.
static size_t divide_by_minus_one(struct x86_emitter *e, const struct ir_value *v, bool modulo,
                                  unsigned divisor)
{
    x86_alu_imm(&e->code, X86_ALU_CMP, v->width, divisor, -1);
    size_t skip = x86_skip(e, X86_CC_NE);
    if (modulo) {
        x86_mov_imm(&e->code, X86_RDX, 0, false);
    } else {
        x86_r(&e->code, X86_NEG, v->width, X86_RAX);
    }
    size_t done = x86_skip(e, X86_CC_ALWAYS);
    x86_land(e, skip);
    return done;
}

static void divide(struct x86_emitter *e, const struct ir_value *v, bool is_signed, unsigned divisor)
{
    if (!is_signed) {
        x86_mov_imm(&e->code, X86_RDX, 0, false);
        x86_r(&e->code, X86_DIV, v->width, divisor);
        return;
    }
    x86_bytes(&e->code, v->width == 64 ? 0x9948 : 0x99, v->width == 64 ? 2 : 1); // cqo, cdq
    x86_r(&e->code, X86_IDIV, v->width, divisor);
}

void x86_emit_division(struct x86_emitter *e, const struct ir_value *v)
{
    bool modulo = v->op == IR_UMOD || v->op == IR_SMOD, is_signed = v->op == IR_SDIV || v->op == IR_SMOD;
    size_t zero = 0, minus_one = 0;
    unsigned divisor = x86_source(e, v->b, X86_SCRATCH);
    x86_fetch(e, v->a, v->width, X86_RAX);
    if (!is_never_zero(e, v)) {
        zero = divide_by_zero(e, v, modulo, divisor);
    }
    if (is_signed) {
        minus_one = divide_by_minus_one(e, v, modulo, divisor);
    }
    divide(e, v, is_signed, divisor);
    if (zero != 0) {
        x86_land(e, zero);
    }
    if (minus_one != 0) {
        x86_land(e, minus_one);
    }
    x86_finish(e, v, modulo ? X86_RDX : X86_RAX);
}

// --- one operand ---------------------------------------------------------------------------------

void x86_emit_neg(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v);
    x86_fetch(e, v->a, v->width, to);
    x86_r(&e->code, X86_NEG, v->width, to);
    x86_finish(e, v, to);
}

static void extend(struct x86_emitter *e, const struct ir_value *v, enum x86_insn insn, unsigned width)
{
    unsigned to = x86_target_reg(v);
    if (x86_in_slot(e, v->a)) {
        x86_rm(&e->code, insn, width, to, x86_slot_of(e, v->a));
    } else {
        x86_rr(&e->code, insn, width, to, x86_source(e, v->a, X86_SCRATCH));
    }
    x86_finish(e, v, to);
}

void x86_emit_sext(struct x86_emitter *e, const struct ir_value *v)
{
    enum x86_insn insn = v->imm == 8 ? X86_MOVSX8 : v->imm == 16 ? X86_MOVSX16 : X86_MOVSXD;
    extend(e, v, v->imm == 32 && v->width == 32 ? X86_MOV : insn, v->width);
}

void x86_emit_zext(struct x86_emitter *e, const struct ir_value *v)
{
    extend(e, v, v->imm == 8 ? X86_MOVZX8 : v->imm == 16 ? X86_MOVZX16 : X86_MOV, 32);
}

void x86_emit_bswap(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v);
    x86_fetch(e, v->a, v->imm == 64 ? 64 : 32, to);
    if (v->imm == 16) {
        x86_r(&e->code, X86_ROL_WORD_IMM8, 32, to);
        x86_bytes(&e->code, 8, 1);
        x86_rr(&e->code, X86_MOVZX16, 32, to, to);
    } else {
        x86_bswap(&e->code, (unsigned)v->imm, to);
    }
    x86_finish(e, v, to);
}

// (a >> disp) & ((1 << imm) - 1), within the width.
void x86_emit_bits(struct x86_emitter *e, const struct ir_value *v)
{
    struct x86_code *c = &e->code;
    unsigned to = x86_target_reg(v), from = (unsigned)v->disp, count = (unsigned)v->imm;
    x86_fetch(e, v->a, v->width, to);
    if (from != 0) {
        x86_shift_imm(c, X86_SHR, v->width, to, from);
    }
    if (count == 8 || count == 16) {
        x86_rr(c, count == 8 ? X86_MOVZX8 : X86_MOVZX16, 32, to, to);
    } else if (count < 32) {
        x86_alu_imm(c, X86_ALU_AND, 32, to, (int32_t)((UINT32_C(1) << count) - 1));
    } else if (count == 32) {
        x86_mov(c, 32, to, to);
    } else if (count < 64 && from + count < 64) {
        x86_shift_imm(c, X86_SHL, 64, to, 64 - count);
        x86_shift_imm(c, X86_SHR, 64, to, 64 - count);
    }
    x86_finish(e, v, to);
}

void x86_emit_popcnt(struct x86_emitter *e, const struct ir_value *v)
{
    extend(e, v, X86_POPCNT, v->width);
}

// Without the instruction that knows what zero has: bsr and bsf leave their result undefined for it.
static void count_zeros(struct x86_emitter *e, const struct ir_value *v, enum x86_insn scan, unsigned of_zero)
{
    x86_rr(&e->code, scan, v->width, X86_SCRATCH, x86_source(e, v->a, X86_SCRATCH));
    size_t skip = x86_skip(e, X86_CC_NE);
    x86_mov_imm(&e->code, X86_SCRATCH, of_zero, false);
    x86_land(e, skip);
}

void x86_emit_clz(struct x86_emitter *e, const struct ir_value *v)
{
    if ((e->j->options->cpu & JIT_CPU_LZCNT) != 0) {
        extend(e, v, X86_LZCNT, v->width);
        return;
    }
    count_zeros(e, v, X86_BSR, 2u * v->width - 1);
    x86_alu_imm(&e->code, X86_ALU_XOR, 32, X86_SCRATCH, v->width - 1);
    x86_finish(e, v, X86_SCRATCH);
}

void x86_emit_ctz(struct x86_emitter *e, const struct ir_value *v)
{
    if ((e->j->options->cpu & JIT_CPU_BMI1) != 0) {
        extend(e, v, X86_TZCNT, v->width);
        return;
    }
    count_zeros(e, v, X86_BSF, v->width);
    x86_finish(e, v, X86_SCRATCH);
}

void x86_emit_constant(struct x86_emitter *e, const struct ir_value *v)
{
    if (v->reg != IR_REG_NONE) {
        x86_make(e, v, 64, v->reg);
    }
}

void x86_emit_copy(struct x86_emitter *e, const struct ir_value *v)
{
    unsigned to = x86_target_reg(v);
    x86_fetch(e, v->a, 64, to);
    x86_finish(e, v, to);
}

// a cond b ? c : d.
void x86_emit_select(struct x86_emitter *e, const struct ir_value *v)
{
    enum x86_cc cc = x86_condition(v->cond);
    unsigned to = x86_target_reg(v), scratch = to == X86_SCRATCH ? X86_SCRATCH2 : X86_SCRATCH;
    struct jit_location c = alloc_location(e->ir, v->c);
    uint32_t other = v->c, base = v->d;
    x86_compare(e, v);
    if (c.place == PLACE_REG && c.reg == to) {
        other = v->d;
        base = v->c;
        cc ^= 1;
    }
    e->keep_flags = true;
    x86_fetch(e, base, 64, to);
    if (x86_in_slot(e, other)) {
        x86_cmov_mem(&e->code, cc, to, x86_slot_of(e, other));
    } else {
        x86_cmov(&e->code, cc, to, x86_source(e, other, scratch));
    }
    e->keep_flags = false;
    x86_finish(e, v, to);
}
