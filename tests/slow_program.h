// SPDX-License-Identifier: MIT
// slow_program: a program that costs the verifier seconds.
#pragma once

#include "spec/spec.h"

enum { SLOW_LOOPS = 150000, SLOW_MAX_INSNS = SLOW_LOOPS * 3 + 2 };

// Loops one after the other; each turns often enough for its bounds to be widened. Writes at most
// SLOW_MAX_INSNS instructions; how many.
static inline uint32_t slow_program_write(struct insn *out)
{
    uint32_t n = 0;
    for (int i = 0; i < SLOW_LOOPS; i++) {
        out[n++] = (struct insn){.id = INSN_MOV64_IMM, .dst = 6};
        out[n++] = (struct insn){.id = INSN_ADD64_IMM, .dst = 6, .imm = 1};
        out[n++] = (struct insn){.id = INSN_JLT64_IMM, .dst = 6, .imm = 1000000, .off = -2};
    }
    out[n++] = (struct insn){.id = INSN_MOV64_IMM};
    out[n++] = (struct insn){.id = INSN_EXIT};
    return n;
}
