// SPDX-License-Identifier: MIT
// fault: filling in a struct domain_fault. Inside the folder only.
#pragma once

#include "domain/obligation.h"

// Starts a fault: rule, and a message from its sentence. Always false, so that callers can return it.
bool fault_set(struct domain_fault *f, enum domain_rule rule);
void fault_message(struct domain_fault *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void fault_needed(struct domain_fault *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void fault_known(struct domain_fault *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void fault_hint(struct domain_fault *f, const char *hint);
// known: "<what> is a packet pointer at offset 14".
void fault_known_value(struct domain_fault *f, const struct domain_env *env, const char *what,
                       const struct value *v);

// "r0" to "r10".
const char *fault_reg_name(unsigned reg);
// No row of the tables has the type of `map`. Always false.
bool fault_unknown_map_type(struct domain_fault *f, const struct map_def *map);
// Register `reg` of `s` was written. Otherwise false with the fault set.
bool fault_check_init(const struct domain_state *s, unsigned reg, struct domain_fault *f) MUST_CHECK;
