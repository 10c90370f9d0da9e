// SPDX-License-Identifier: MIT
// lower_address: sums become parts of addresses, for all targets. Inside the folder only.
#pragma once

#include "jit/ir.h"

// Whether the target can encode ADDR operation `v` (or LEA) with the fields that it has; asked about copies.
typedef bool (*lower_legal_fn)(const struct jit *j, const struct ir_value *v);

// Both go by the uses that values had when they were last counted: wrong numbers cost instructions, not
// correctness.

static inline bool lower_is_memory(unsigned op)
{
    return (ir_op_info(op)->flags & IR_ADDR) != 0 && op != IR_LEA;
}
static inline bool lower_is_atomic(unsigned op)
{
    return op >= IR_ATOMIC_ADD && op <= IR_CMPXCHG;
}
// A value's marks: uses as an address of its own. What is used comes before its users, so it is clear by
// then.
static inline void lower_count_address(const struct ir *ir, struct ir_value *v)
{
    v->mark = 0;
    if (lower_is_memory(v->op) && v->a != IR_NONE) {
        v->a = ir_resolve(ir, v->a);
        struct ir_value *a = ir_at(ir, v->a);
        a->mark += v->b == IR_NONE && a->mark < UINT8_MAX;
        v->b = ir_resolve(ir, v->b);
    } else if (lower_is_atomic(v->op)) {
        v->a = ir_resolve(ir, v->a);
    }
}

// Folds sums, shifts and constants into loads and stores, and constants into the displacements of atomics.
// Values that are not needed any more are left for ir_clean.
void lower_addresses(struct jit *j, lower_legal_fn legal);
// The same, when lower_count_address has seen every value, definitions first.
void lower_fold_addresses(struct jit *j, lower_legal_fn legal);
// Turns sums of sums and of shifted values into LEA where that saves an operation.
void lower_sums(struct jit *j, lower_legal_fn legal);
