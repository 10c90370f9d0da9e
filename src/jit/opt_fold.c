// SPDX-License-Identifier: MIT
// opt_fold: what operations without side effects compute. Arithmetic comes from isa_ops.def, so that folded
// and executed instructions cannot differ; the rest is written here. ir_interp.c runs on the same functions.
#include "jit/opt_fold.h"

// --- expanded from isa_ops.def -------------------------------------------------------------------

#include "isa/isa_functions.def"

// --- comparisons ---------------------------------------------------------------------------------

bool fold_condition(unsigned cond, unsigned cwidth, uint64_t a, uint64_t b)
{
#define TEST(sem) (cwidth == 32 ? jump32_##sem((uint32_t)a, (uint32_t)b) : jump64_##sem(a, b))
    switch (cond) {
    case IR_EQ: return TEST(JEQ);
    case IR_NE: return TEST(JNE);
    case IR_ULT: return TEST(JLT);
    case IR_UGE: return TEST(JGE);
    case IR_ULE: return TEST(JLE);
    case IR_UGT: return TEST(JGT);
    case IR_SLT: return TEST(JSLT);
    case IR_SGE: return TEST(JSGE);
    case IR_SLE: return TEST(JSLE);
    case IR_SGT: return TEST(JSGT);
    case IR_SET: return TEST(JSET);
    default: return !TEST(JSET); // IR_CLEAR
    }
#undef TEST
}

// --- operations that bytecode does not have ------------------------------------------------------

static uint64_t rotate_left(unsigned width, uint64_t a, uint64_t count)
{
    uint64_t mask = fold_mask(width);
    a &= mask;
    count &= width - 1;
    return count == 0 ? a : (a << count | a >> (width - count)) & mask;
}

// Upper half of the product, from four products of halves.
static uint64_t multiply_high(uint64_t a, uint64_t b)
{
    uint64_t a0 = (uint32_t)a, a1 = a >> 32, b0 = (uint32_t)b, b1 = b >> 32;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32);
    uint64_t other = a0 * b1 + (uint32_t)middle;
    return a1 * b1 + (middle >> 32) + (other >> 32);
}

static uint64_t swap_bytes(unsigned part, uint64_t a)
{
    switch (part) {
    case 16: return __builtin_bswap16((uint16_t)a);
    case 32: return __builtin_bswap32((uint32_t)a);
    default: return __builtin_bswap64(a);
    }
}

static uint64_t count_bits(uint64_t a)
{
    uint64_t n = 0;
    for (; a != 0; a &= a - 1) {
        n++;
    }
    return n;
}

static uint64_t leading_zeros(unsigned width, uint64_t a)
{
    return a == 0 ? width : (uint64_t)__builtin_clzll(a) - (64 - width);
}

static uint64_t trailing_zeros(unsigned width, uint64_t a)
{
    return a == 0 ? width : (uint64_t)__builtin_ctzll(a);
}

static uint64_t address_of(const struct ir_value *v, const uint64_t in[4])
{
    uint64_t a = v->a == IR_NONE ? 0 : in[0], b = v->b == IR_NONE ? 0 : in[1];
    return a + (b << v->scale) + (uint64_t)(int64_t)v->disp;
}

// --- operations ----------------------------------------------------------------------------------

uint64_t fold_atomic(unsigned op, unsigned width, uint64_t memory, uint64_t c)
{
    uint64_t mask = fold_mask(width);
    switch (op) {
    case IR_ATOMIC_ADD:
    case IR_FETCH_ADD: return (memory + c) & mask;
    case IR_ATOMIC_OR:
    case IR_FETCH_OR: return (memory | c) & mask;
    case IR_ATOMIC_AND:
    case IR_FETCH_AND: return memory & c & mask;
    case IR_ATOMIC_XOR:
    case IR_FETCH_XOR: return (memory ^ c) & mask;
    default: return c & mask; // XCHG, CMPXCHG
    }
}

// Operations that isa_ops.def has.
static bool fold_alu(const struct ir_value *v, uint64_t a, uint64_t b, uint64_t *result)
{
#define ALU(op, sem)                                                                                         \
    case IR_##op:                                                                                            \
        *result = v->width == 32 ? alu32_##sem((uint32_t)a, (uint32_t)b) : alu64_##sem(a, b);                \
        return true;
    switch (v->op) {
        ALU(ADD, ADD)
        ALU(SUB, SUB)
        ALU(MUL, MUL)
        ALU(AND, AND)
        ALU(OR, OR)
        ALU(XOR, XOR)
        ALU(SHL, LSH)
        ALU(SHR, RSH)
        ALU(SAR, ARSH)
        ALU(UDIV, DIV)
        ALU(UMOD, MOD)
        ALU(SDIV, SDIV)
        ALU(SMOD, SMOD)
        ALU(NEG, NEG)
    default: return false;
    }
#undef ALU
}

bool fold_value(const struct ir_value *v, const uint64_t in[4], uint64_t *result)
{
    unsigned width = v->width;
    uint64_t mask = fold_mask(width), imm = (uint64_t)v->imm;
    uint64_t b = (v->flags & IR_IMM) != 0 ? imm : in[1];
    if (fold_alu(v, in[0], b, result)) {
        return true;
    }
    uint64_t a = in[0] & mask;
    switch (v->op) {
    case IR_ROL: *result = rotate_left(width, a, b); return true;
    case IR_MULHU: *result = multiply_high(a, b); return true;
    case IR_SEXT: *result = fold_sign_extend(a, (unsigned)imm) & mask; return true;
    case IR_ZEXT: *result = a & fold_mask((unsigned)imm) & mask; return true;
    case IR_BSWAP: *result = swap_bytes((unsigned)imm, a) & mask; return true;
    case IR_ANDN: *result = ~a & b & mask; return true;
    case IR_BITS: *result = a >> v->disp & fold_mask((unsigned)imm); return true;
    case IR_POPCNT: *result = count_bits(a); return true;
    case IR_CLZ: *result = leading_zeros(width, a); return true;
    case IR_CTZ: *result = trailing_zeros(width, a); return true;
    case IR_LEA: *result = address_of(v, in) & mask; return true;
    case IR_SELECT: *result = fold_condition(v->cond, v->cwidth, in[0], b) ? in[2] : in[3]; break;
    default: return false;
    }
    *result &= mask;
    return true;
}
