// SPDX-License-Identifier: MIT
// lower_address: sums become parts of addresses, for all targets. Inside the folder only.
#pragma once

#include "jit/ir.h"

// Whether the target can encode ADDR operation `v` (or LEA) with the fields that it has; asked about copies.
typedef bool (*lower_legal_fn)(const struct jit *j, const struct ir_value *v);

// Both go by the uses that values had when they were last counted: wrong numbers cost instructions, not
// correctness.

// Folds sums, shifts and constants into loads and stores, and constants into the displacements of atomics.
// Values that are not needed any more are left for ir_clean.
void lower_addresses(struct jit *j, lower_legal_fn legal);
// Turns sums of sums and of shifted values into LEA where that saves an operation.
void lower_sums(struct jit *j, lower_legal_fn legal);
