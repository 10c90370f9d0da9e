// SPDX-License-Identifier: MIT
// opt_fold: what operations without side effects compute. Inside the folder only.
#pragma once

#include "jit/ir.h"

// Low bits of `width` (1 to 64) set.
static inline uint64_t fold_mask(unsigned width)
{
    return UINT64_MAX >> (64 - width);
}
static inline uint64_t fold_sign_extend(uint64_t value, unsigned width)
{
    unsigned up = 64 - width;
    return (uint64_t)((int64_t)(value << up) >> up);
}
// a cond b, with the low `cwidth` bits of both.
bool fold_condition(unsigned cond, unsigned cwidth, uint64_t a, uint64_t b);
// The result of a PURE operation that reads nothing but its operands: not of COPY, FRAME, CONST, MAP and
// UNDEF, which return false. Operands that are not there (IR_NONE, or replaced by IR_IMM) do not matter in
// `in`.
bool fold_value(const struct ir_value *v, const uint64_t in[4], uint64_t *result);
// What `operation` reads and writes: `memory` is the old value of `width` bits, `c` the operand; the new
// value.
uint64_t fold_atomic(unsigned op, unsigned width, uint64_t memory, uint64_t c);
