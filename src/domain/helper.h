// SPDX-License-Identifier: MIT
// helper: calls of helpers, from their prototype rows. Inside the folder only.
#pragma once

#include "domain/fault.h"

// Helper `id` may be called by this program with the arguments in r1-r5.
bool helper_check(const struct domain_env *env, const struct domain_state *s, uint32_t id,
                  struct domain_fault *fault) MUST_CHECK;
// What the call leaves: memory that it wrote, the result, nothing in r1-r5.
void helper_apply(const struct domain_env *env, struct domain_state *s, uint32_t id);
