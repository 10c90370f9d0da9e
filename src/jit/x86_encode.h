// SPDX-License-Identifier: MIT
// x86_encode: machine instructions of x86-64 as bytes. Forms are rows of x86_insns.def; the functions here
// know prefixes, ModRM and SIB. Nothing is ever written behind `capacity`: then only `size` grows. What lies
// between `size` and `capacity` is void.
// Inside the folder only.
#pragma once

#include "base/base.h"

enum x86_reg {
    X86_RAX,
    X86_RCX,
    X86_RDX,
    X86_RBX,
    X86_RSP,
    X86_RBP,
    X86_RSI,
    X86_RDI,
    X86_R8,
    X86_R9,
    X86_R10,
    X86_R11,
    X86_R12,
    X86_R13,
    X86_R14,
    X86_R15,
    X86_REG_COUNT,
    X86_NO_REG = 0xff
};

enum x86_insn {
#define INSN(id, ...) X86_##id,
#include "jit/x86_insns.def"
#undef INSN
    X86_INSN_COUNT
};

// The eight operations that share one encoding scheme; the value is the opcode's digit.
enum x86_alu {
    X86_ALU_ADD = 0,
    X86_ALU_OR = 1,
    X86_ALU_AND = 4,
    X86_ALU_SUB = 5,
    X86_ALU_XOR = 6,
    X86_ALU_CMP = 7
};

// Condition codes; cc ^ 1 is the opposite.
enum x86_cc {
    X86_CC_B = 2,
    X86_CC_AE = 3,
    X86_CC_E = 4,
    X86_CC_NE = 5,
    X86_CC_BE = 6,
    X86_CC_A = 7,
    X86_CC_L = 12,
    X86_CC_GE = 13,
    X86_CC_LE = 14,
    X86_CC_G = 15,
    X86_CC_ALWAYS = 16
};

struct x86_code {
    uint8_t *bytes;
    size_t capacity, size;
};

struct x86_mem {
    uint8_t base, index; // X86_NO_REG; the index is never rsp
    uint8_t scale;       // 0-3
    int32_t disp;
};

static inline struct x86_mem x86_at(unsigned base, int32_t disp)
{
    return (struct x86_mem){(uint8_t)base, X86_NO_REG, 0, disp};
}
static inline bool x86_fits8(int64_t value)
{
    return value == (int8_t)value;
}
static inline bool x86_fits32(int64_t value)
{
    return value == (int32_t)value;
}

// The end of the buffer: as many bytes as there is room for.
void x86_last_bytes(struct x86_code *c, uint64_t value, unsigned count);
// Up to 8 bytes, little-endian. Where there is room, all eight are written, whatever `count` says: the next
// ones overwrite the rest.
static inline void x86_bytes(struct x86_code *c, uint64_t value, unsigned count)
{
    if (__builtin_expect(c->size + 8 <= c->capacity, 1)) {
        __builtin_memcpy(c->bytes + c->size, &value, 8);
    } else {
        x86_last_bytes(c, value, count);
    }
    c->size += count;
}

// `width` is 32 or 64: the operation's; forms with a fixed width ignore it.
void x86_rr(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned reg, unsigned rm);
// [base + disp], and the rest; `more`: bits of the opcode.
void x86_at_base(struct x86_code *c, unsigned insn, unsigned width, unsigned reg, unsigned base,
                 int32_t disp);
void x86_rm_with(struct x86_code *c, unsigned insn, uint32_t more, unsigned width, unsigned reg,
                 struct x86_mem m);
static inline void x86_rm(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned reg,
                          struct x86_mem mem)
{
    if (mem.index == X86_NO_REG && mem.base != X86_NO_REG) {
        x86_at_base(c, insn, width, reg, mem.base, mem.disp);
    } else {
        x86_rm_with(c, insn, 0, width, reg, mem);
    }
}
void x86_r(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned rm); // one operand
void x86_vex(struct x86_code *c, enum x86_insn insn, unsigned width, unsigned reg, unsigned vvvv,
             unsigned rm);

void x86_mov(struct x86_code *c, unsigned width, unsigned to, unsigned from);
// The shortest form; `keep_flags`: none that changes them.
void x86_mov_imm(struct x86_code *c, unsigned to, int64_t imm, bool keep_flags);
void x86_alu(struct x86_code *c, enum x86_alu op, unsigned width, unsigned to, unsigned from);
void x86_alu_rm(struct x86_code *c, enum x86_alu op, unsigned width, unsigned to, struct x86_mem from);
void x86_alu_imm(struct x86_code *c, enum x86_alu op, unsigned width, unsigned to, int32_t imm);
void x86_alu_mem_imm(struct x86_code *c, enum x86_alu op, unsigned width, struct x86_mem to, int32_t imm);
// `test`: sets the flags of to & imm.
void x86_test_imm(struct x86_code *c, unsigned width, unsigned reg, int32_t imm);
enum x86_shift { X86_ROL = 0, X86_SHL = 4, X86_SHR = 5, X86_SAR = 7 };
void x86_shift_imm(struct x86_code *c, enum x86_shift op, unsigned width, unsigned reg, unsigned count);
void x86_imul_imm(struct x86_code *c, unsigned width, unsigned to, unsigned from, int32_t imm);
void x86_cmov(struct x86_code *c, enum x86_cc cc, unsigned to, unsigned from); // 64 bits
void x86_cmov_mem(struct x86_code *c, enum x86_cc cc, unsigned to, struct x86_mem from);
void x86_bswap(struct x86_code *c, unsigned width, unsigned reg);
void x86_push(struct x86_code *c, unsigned reg);
void x86_pop(struct x86_code *c, unsigned reg);
static inline void x86_store_imm(struct x86_code *c, unsigned bits, struct x86_mem to, int32_t imm)
{
    x86_rm(c, bits == 8 ? X86_MOV_IMM8 : bits == 16 ? X86_MOV_IMM16 : X86_MOV_IMM32, bits, 0, to);
    x86_bytes(c, (uint64_t)imm, bits == 64 ? 4 : bits / 8);
}
static inline void x86_load(struct x86_code *c, unsigned bits, unsigned to, struct x86_mem from)
{
    x86_rm(c, bits == 8 ? X86_MOVZX8 : bits == 16 ? X86_MOVZX16 : X86_MOV, bits, to, from); // zero-extends
}
static inline void x86_store(struct x86_code *c, unsigned bits, struct x86_mem to, unsigned from)
{
    x86_rm(c, bits == 8 ? X86_MOV_MR_BYTE : bits == 16 ? X86_MOV_MR_WORD : X86_MOV_MR, bits, from, to);
}
void x86_nops(struct x86_code *c, unsigned count);
void x86_lock(struct x86_code *c);
void x86_landing_pad(struct x86_code *c);
// reg = address of the byte at `target` in the code.
void x86_lea_rip(struct x86_code *c, unsigned reg, size_t target);
