// SPDX-License-Identifier: MIT
// hint: says what to write in the source so that a finding goes away, in the names that the source line uses.
#pragma once

#include "domain/domain.h"
#include "verifier/verifier.h"

// Completes a finding whose rule, pc, related_pc and path are set: replaces `hint` and fills `edits` where
// the text of the source line says enough; otherwise leaves both alone. `s` is the state before the
// instruction, NULL where there is none (findings about loops, or the program as a whole).
void hint_write(const struct domain_env *env, const struct domain_state *s, struct finding *f);
