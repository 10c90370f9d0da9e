// SPDX-License-Identifier: MIT
// sources: where programs come from, besides the generator.
#pragma once

#include "tests/soundness/gen.h"
#include "verifier/case.h"

// Reads every case of tests/verify, folders included. Ends early when `each` returns false. Returns how many
// there were.
unsigned source_each_case(bool (*each)(void *user, const struct vt_case *c), void *user);
// The case as a program that `mutate` takes. It borrows maps and what else the case has.
void source_from_case(const struct vt_case *c, struct gen *out);
