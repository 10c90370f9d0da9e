// SPDX-License-Identifier: MIT
// opt_rewrite: what the rules of opt_simplify share. Every rule keeps the value; where it needs something
// about operands, it asks their facts. Inside the folder only.
#pragma once

#include "jit/opt.h"

// A value that is being rewritten, with what rules often ask for.
struct rewrite {
    struct opt *o;
    uint32_t value;
    struct ir_value *v;
    struct ir_value *a, *b;         // definitions of its operands; of IR_NONE: a NOP
    struct opt_fact fact_a, fact_b; // of the low `width` bits
    uint64_t mask;                  // of the width
    uint64_t number;                // b, in the width, where it is a constant
    bool has_number;
};
void rewrite_init(struct rewrite *r, struct opt *o, uint32_t value);

// All return true, so that rules can return them; `v` becomes ...
// ... another value, of 64 bits
bool rewrite_copy(struct rewrite *r, uint32_t of);
// ... the low bits of the operation's width of another one
bool rewrite_keep(struct rewrite *r, uint32_t of);
bool rewrite_const(struct rewrite *r, uint64_t value);
// ... an operation with two operands, or one and a number
bool rewrite_binary(struct rewrite *r, enum ir_op op, uint32_t a, uint32_t b);
bool rewrite_with(struct rewrite *r, enum ir_op op, uint32_t a, uint64_t number);
// ... one operand's extension: `bits` low ones of `a`
bool rewrite_extend(struct rewrite *r, enum ir_op op, uint32_t a, unsigned bits);
// ... the same in 32 bits
bool rewrite_to_32(struct rewrite *r);

// `value` is a constant: its low `width` bits.
bool rewrite_is_number(const struct rewrite *r, uint32_t value, unsigned width, uint64_t *number);
static inline bool rewrite_is_power(uint64_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}
// What the low 32 bits of `value` are taken from: extensions of 32 bits and more do not matter to them.
uint32_t rewrite_source(const struct rewrite *r, uint32_t value);
