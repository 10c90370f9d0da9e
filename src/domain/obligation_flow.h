// SPDX-License-Identifier: MIT
// obligation_flow: obligations of comparisons, calls and exits. Inside the folder only.
#pragma once

#include "domain/fault.h"

bool flow_check_compare(const struct domain_env *env, const struct domain_state *s, const struct insn *in,
                        struct domain_fault *fault) MUST_CHECK;
bool flow_check_call(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                     struct domain_fault *fault) MUST_CHECK;
bool flow_check_callx(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                      struct domain_fault *fault) MUST_CHECK;
bool flow_check_exit(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                     struct domain_fault *fault) MUST_CHECK;
