// SPDX-License-Identifier: MIT
// concrete: what an instruction computes of two numbers, from isa_ops.def: for tests that hold states, or
// sets of numbers, against runs.
#pragma once

#include "isa/isa.h"

static inline uint64_t concrete_64(unsigned sem, uint64_t d, uint64_t s)
{
    typedef uint64_t U;
    typedef int64_t S;
    enum { W = 64 };
    switch (sem) {
#define ALU_OP(op, text, value)                                                                              \
    case SEM_##op: return value;
#define JMP_OP(op, text, condition)                                                                          \
    case SEM_##op: return condition;
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
    default: return d;
    }
}

static inline uint64_t concrete_32(unsigned sem, uint32_t d, uint32_t s)
{
    typedef uint32_t U;
    typedef int32_t S;
    enum { W = 32 };
    switch (sem) {
#define ALU_OP(op, text, value)                                                                              \
    case SEM_##op: return (U)(value);
#define JMP_OP(op, text, condition)                                                                          \
    case SEM_##op: return condition;
#include "isa/isa_ops.def"
#undef ALU_OP
#undef JMP_OP
    default: return d;
    }
}

// The result of arithmetic; of a comparison 1 or 0. `width` is 64 or 32.
static inline uint64_t concrete(unsigned sem, unsigned width, uint64_t d, uint64_t s)
{
    return width == 64 ? concrete_64(sem, d, s) : concrete_32(sem, (uint32_t)d, (uint32_t)s);
}
