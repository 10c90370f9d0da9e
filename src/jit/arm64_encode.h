// SPDX-License-Identifier: MIT
// arm64_encode: A64 instructions as words. Facts about the instruction set are in arm64_ops.def; nothing here
// knows of the intermediate form. Registers by number, 31 is the zero register or the stack pointer, as the
// instruction has it; `width` is 32 or 64. Inside the folder only.
#pragma once

#include "base/base.h"

enum arm64_op {
#define ROW(id, word) A64_##id,
#include "jit/arm64_ops.def"
#undef ROW
    A64_OP_COUNT
};

enum arm64_reg { A64_X15 = 15, A64_X16, A64_X17, A64_X18, A64_FP = 29, A64_LR, A64_ZR, A64_SP = A64_ZR };
enum arm64_shift { A64_LSL, A64_LSR, A64_ASR, A64_ROR };
// cond ^ 1 is the opposite.
enum arm64_cond {
    A64_EQ,
    A64_NE,
    A64_HS,
    A64_LO,
    A64_MI,
    A64_PL,
    A64_VS,
    A64_VC,
    A64_HI,
    A64_LS,
    A64_GE,
    A64_LT,
    A64_GT,
    A64_LE
};

// ADD .. ANDS with a shifted second source.
uint32_t arm64_shifted(enum arm64_op op, unsigned width, unsigned d, unsigned n, unsigned m,
                       enum arm64_shift kind, unsigned amount);
// Two sources: ADD .. RORV, UMULH.
uint32_t arm64_two(enum arm64_op op, unsigned width, unsigned d, unsigned n, unsigned m);
// One source: RBIT .. CLZ.
uint32_t arm64_one(enum arm64_op op, unsigned width, unsigned d, unsigned n);
// MADD: d = a + n * m; MSUB: d = a - n * m.
uint32_t arm64_three(enum arm64_op op, unsigned width, unsigned d, unsigned n, unsigned m, unsigned a);
uint32_t arm64_select(enum arm64_op op, unsigned width, unsigned d, unsigned n, unsigned m,
                      enum arm64_cond cond);
// d = n + (m << amount), amount 0-4; n and d may be the stack pointer, m the zero register.
uint32_t arm64_add_extended(unsigned d, unsigned n, unsigned m, unsigned amount);

// A number as 12 bits, or 12 bits shifted by 12. Writes the field (bits 10-22).
bool arm64_imm12(uint64_t imm, uint32_t *field);
// ADDI .. SUBSI; `field` of arm64_imm12.
uint32_t arm64_add_imm(enum arm64_op op, unsigned width, unsigned d, unsigned n, uint32_t field);
// A number as a bit mask. Writes the field (bits 10-22).
bool arm64_bitmask(uint64_t imm, unsigned width, uint32_t *field);
uint32_t arm64_logic_imm(enum arm64_op op, unsigned width, unsigned d, unsigned n, uint32_t field);
// MOVN, MOVZ, MOVK: imm << (16 * half).
uint32_t arm64_move_wide(enum arm64_op op, unsigned width, unsigned d, unsigned imm, unsigned half);
uint32_t arm64_bitfield(enum arm64_op op, unsigned width, unsigned d, unsigned n, unsigned immr,
                        unsigned imms);
uint32_t arm64_extract(unsigned width, unsigned d, unsigned n, unsigned m, unsigned lsb);
// The number in at most four instructions; returns how many.
unsigned arm64_move_imm(unsigned d, uint64_t imm, uint32_t out[4]);

// STR, LDR, LDRS of 8, 16, 32 or 64 bits (LDRS: not 64).
// [n, #disp]: whether one instruction can.
bool arm64_is_offset(unsigned bits, int64_t disp);
uint32_t arm64_memory(enum arm64_op op, unsigned bits, unsigned t, unsigned n, int64_t disp);
// [n, m, lsl #scale]: scale is 0 or that of the size.
bool arm64_is_scale(unsigned bits, unsigned scale);
uint32_t arm64_memory_index(enum arm64_op op, unsigned bits, unsigned t, unsigned n, unsigned m,
                            unsigned scale);
// STP .. LDP_POST; disp is a multiple of 8 in -512..504.
uint32_t arm64_pair(enum arm64_op op, unsigned t, unsigned t2, unsigned n, int disp);
// LDXR .. CASAL, 32 or 64 bits: s is the status or the operand (LDXR: ignored), t what is loaded or stored.
uint32_t arm64_atomic(enum arm64_op op, unsigned width, unsigned s, unsigned t, unsigned n);

// Branches without distance. B, BL: t ignored. BCOND: t is the condition. CBZ, CBNZ: t of `width`. TBZ, TBNZ:
// of bit `bit`.
uint32_t arm64_branch(enum arm64_op op, unsigned width, unsigned t, unsigned bit);
// The same word with a distance in bytes (ADR too); false: out of range.
bool arm64_set_distance(uint32_t *word, int64_t distance);
uint32_t arm64_jump_register(enum arm64_op op, unsigned n); // BR, BLR
uint32_t arm64_plain(enum arm64_op op);                     // RET, BTI, DMB
uint32_t arm64_adr(unsigned d);                             // without distance
