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
    struct ir_value *a, *b; // definitions of its operands; of IR_NONE: a NOP
    uint64_t mask;          // of the width
    uint64_t number;        // b, in the width, where it is a constant
    bool has_number;
};
static inline void rewrite_init(struct rewrite *r, struct opt *o, uint32_t value, struct ir_value *v)
{
    struct ir_value *top = o->ir->top, *a = top - v->a, *b = top - v->b;
    uint64_t mask = fold_mask(v->width);
    r->o = o;
    r->value = value;
    r->v = v;
    r->a = a;
    r->b = b;
    r->mask = mask;
    r->has_number = b->op == IR_CONST;
    r->number = (uint64_t)b->imm & mask;
}
// Facts of the low `width` bits of its operands.
static inline struct opt_fact rewrite_fact_a(const struct rewrite *r)
{
    return opt_low(*opt_fact_at(r->o, r->v->a), r->v->width);
}
static inline struct opt_fact rewrite_fact_b(const struct rewrite *r)
{
    return opt_low(opt_fact_of(r->o, r->v->b), r->v->width);
}

// Each simplifies the value once and says whether it changed; where not, `r` still describes it. Operands are
// resolved and numbered, none is an `imm`.
bool opt_algebra(struct rewrite *r);   // opt_algebra.c: ADD to XOR, UDIV to SMOD, NEG, SEXT, ZEXT, BSWAP
bool opt_shifts(struct rewrite *r);    // opt_shifts.c: SHL to ROL
bool opt_rotations(struct rewrite *r); // opt_shifts.c: OR, ADD and XOR of shifts
bool opt_compare(struct rewrite *r);   // opt_compare.c: BRANCH and SELECT
bool opt_popcount(struct rewrite *r);  // opt_popcount.c: SHR

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
static inline bool rewrite_is_number(const struct rewrite *r, uint32_t value, unsigned width,
                                     uint64_t *number)
{
    const struct ir_value *v = ir_at(r->o->ir, value);
    *number = (uint64_t)v->imm & fold_mask(width);
    return v->op == IR_CONST;
}
static inline bool rewrite_is_power(uint64_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}
// What the low 32 bits of `value` are taken from: extensions of 32 bits and more do not matter to them.
static inline uint32_t rewrite_source(const struct rewrite *r, uint32_t value)
{
    const struct ir_value *v = ir_at(r->o->ir, value);
    bool extension = (v->op == IR_ZEXT || v->op == IR_SEXT) && v->imm == 32;
    return extension ? ir_resolve(r->o->ir, v->a) : value;
}
