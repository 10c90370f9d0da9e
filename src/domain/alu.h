// SPDX-License-Identifier: MIT
// alu: computations with values. Inside the folder only.
#pragma once

#include "domain/fault.h"

// Operand of an ALU or jump instruction: its source register, or the immediate as a number.
void alu_operand(const struct domain_state *s, const struct insn *in, const struct insn_info *info,
                 struct value *out);
bool alu_check(const struct domain_env *env, const struct domain_state *s, const struct insn *in,
               struct domain_fault *fault) MUST_CHECK;
void alu_apply(struct domain_state *s, const struct insn *in);
