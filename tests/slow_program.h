// SPDX-License-Identifier: MIT
// slow_program: a program that costs the verifier seconds and much memory before a limit ends it.
#pragma once

#include "spec/spec.h"

enum { SLOW_BLOCKS = 1000, SLOW_TESTS = 64, SLOW_MAX_INSNS = SLOW_BLOCKS * 4 + SLOW_TESTS + 3 };

// Branches on numbers that nobody knows, each leaving its mark in a register that later branches look at: the
// paths multiply. Writes at most SLOW_MAX_INSNS instructions; how many.
static inline uint32_t slow_program_write(struct insn *out)
{
    uint32_t n = 0;
    out[n++] = (struct insn){.id = INSN_MOV64_IMM, .dst = 6};
    for (int i = 0; i < SLOW_BLOCKS; i++) {
        out[n++] = (struct insn){.id = INSN_CALL, .imm = HELPER_GET_PRANDOM_U32};
        out[n++] = (struct insn){.id = INSN_JEQ64_IMM, .imm = i + 1, .off = 1};
        out[n++] = (struct insn){.id = INSN_XOR64_IMM, .dst = 6, .imm = 1LL << i % 30};
        out[n++] = (struct insn){.id = INSN_STXDW, .dst = 10, .src = 6, .off = (int16_t)(-8 * (1 + i % 60))};
    }
    for (int i = 0; i < SLOW_TESTS; i++) {
        out[n++] = (struct insn){.id = INSN_JEQ64_IMM, .dst = 6, .imm = i * 77};
    }
    out[n++] = (struct insn){.id = INSN_MOV64_IMM};
    out[n++] = (struct insn){.id = INSN_EXIT};
    return n;
}
