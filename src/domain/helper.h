// SPDX-License-Identifier: MIT
// helper: calls of helpers and kernel functions, from their prototype rows.
#pragma once

#include "domain/fault.h"

// Helper `id` may be called by the instruction at `pc` with the arguments in r1-r5.
bool helper_check(const struct domain_env *env, const struct domain_state *s, uint32_t id, uint32_t pc,
                  struct domain_fault *fault) MUST_CHECK;
// What the call leaves: memory that it wrote, what it acquired and released, the result, nothing in r1-r5. A
// helper with a callback: after the last turn of the callback.
void helper_apply(const struct domain_env *env, struct domain_state *s, uint32_t id, uint32_t pc);

// The function that a helper calls back.
struct helper_callback {
    uint32_t func;      // index in the program's functions
    uint8_t type;       // enum callback_type
    uint8_t ctx_reg;    // register that holds what is handed through to it; 0: none
    uint8_t map_reg;    // register that holds the map it is called for; 0: none
    uint8_t object_reg; // register of the object whose callback it is (timer, work queue, task); 0: none
};
// False when the helper has no callback. Only after helper_check.
bool helper_find_callback(const struct domain_env *env, const struct domain_state *s, uint32_t id,
                          struct helper_callback *out);
// What must hold at the callback's EXIT: its result. References and locks are compared with the entry's by
// whoever knows that.
bool helper_check_callback_exit(const struct domain_env *env, const struct domain_state *s,
                                enum callback_type type, struct domain_fault *fault) MUST_CHECK;
