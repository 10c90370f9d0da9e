// SPDX-License-Identifier: MIT
// scalar: numbers in the abstract: unsigned and signed intervals over 64 and 32 bits with known bits, reduced
// against each other. Every operator is sound for the concrete operation of isa_ops.def; scalar_small_test.c
// checks that over all pairs of elements at small widths. Kernel-safe; values are copied,
// nothing is shared.
#pragma once

#include "base/base.h"
#include "isa/isa.h"

// The set of 64-bit numbers x with all of: umin <= x <= umax; smin <= (int64_t)x <= smax; wmin <= (uint32_t)x
// <= wmax; xmin <= (int32_t)x <= xmax; (x & ~unknown) == bits. Invariant: bits & unknown == 0; never empty;
// reduced, that is, no field can be tightened without losing a member, so that inclusion by fields is
// inclusion of sets.
struct scalar {
    uint64_t umin, umax;
    int64_t smin, smax;
    uint32_t wmin, wmax;
    int32_t xmin, xmax;
    uint64_t bits, unknown;
};

void scalar_set_unknown(struct scalar *a);
void scalar_set_const(struct scalar *a, uint64_t value);
void scalar_set_urange(struct scalar *a, uint64_t min, uint64_t max); // min <= max
void scalar_set_srange(struct scalar *a, int64_t min, int64_t max);   // min <= max
static inline bool scalar_is_const(const struct scalar *a)
{
    return a->umin == a->umax;
}
bool scalar_contains(const struct scalar *a, uint64_t value);
bool scalar_includes(const struct scalar *outer,
                     const struct scalar *inner); // inner subset of outer, componentwise
bool scalar_equal(const struct scalar *a, const struct scalar *b);
bool scalar_is_valid(const struct scalar *a); // the invariant

// Tightens the parts against each other; false when the set is empty (then *a is unspecified).
bool scalar_reduce(struct scalar *a);
bool scalar_meet(struct scalar *a, const struct scalar *b); // intersection; false when empty
void scalar_join(struct scalar *a, const struct scalar *b); // smallest element that includes both
// Join that reaches a fixpoint: bounds that grew jump to the next of `thresholds` (sorted, signed), or to the
// end.
void scalar_widen(struct scalar *a, const struct scalar *b, const int64_t *thresholds, size_t count);

// d = d <sem> s for the ALU rows of isa_ops.def (ADD .. MOV, MOVSX8/16/32, NEG); width 64 or 32
// (zero-extended). d and s may be one object; NEG does not read s.
void scalar_alu(enum insn_sem sem, unsigned width, struct scalar *d, const struct scalar *s);
// SEM_LE, SEM_BE, SEM_BSWAP of 16, 32 or 64 bits, on a little-endian machine.
void scalar_byte_order(enum insn_sem sem, unsigned width, struct scalar *d);
void scalar_zero_extend(struct scalar *a, unsigned bits); // keeps the low `bits` (8, 16, 32)
void scalar_sign_extend(struct scalar *a, unsigned bits);

// Refines both operands, which are two objects, with "d <sem> s is `taken`" for the JMP rows; false when that
// cannot be (then *d and *s are unspecified).
bool scalar_assume(enum insn_sem sem, unsigned width, bool taken, struct scalar *d, struct scalar *s);

// Prints the interval, in signed or unsigned order, whichever says more, then what it does not imply: "low"
// and the interval of the low 32 bits; "bits" and hexadecimal digits, where '.' is an unknown digit and
// (..00) one known in part. "any", "-2", "[0, 255]", "[0, 124] bits (0...)(..00)". Returns the length, as
// str_format does.
size_t scalar_print(const struct scalar *a, char *text, size_t size);
