// SPDX-License-Identifier: MIT
// transfer: what an instruction does to a state. Precondition of every function: obligation_check holds for
// the instruction in that state.
#pragma once

#include "domain/state.h"

// An instruction that goes on to the next one: computation, memory access, helper call.
void transfer_insn(const struct domain_env *env, struct domain_state *s, uint32_t pc);

// A conditional jump with the given outcome. False when the outcome is not possible; the state is then void.
bool transfer_branch(const struct domain_env *env, struct domain_state *s, uint32_t pc,
                     bool taken) MUST_CHECK;
// The same question without changing the state; true when in doubt.
bool transfer_branch_is_possible(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                                 bool taken);
