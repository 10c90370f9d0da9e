// SPDX-License-Identifier: MIT
// branch: what the outcome of a comparison says. Inside the folder only; the door offers transfer_branch.
#pragma once

#include "domain/state.h"

// Refines `s` with "the conditional jump `in` is `taken`". False when that cannot be.
bool branch_assume(struct domain_state *s, const struct insn *in, bool taken) MUST_CHECK;
// False when the outcome is certain not to happen; true when it may. Changes nothing.
bool branch_is_possible(const struct domain_state *s, const struct insn *in, bool taken);
