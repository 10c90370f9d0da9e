// SPDX-License-Identifier: MIT
// obligation: what must hold before an instruction may run, decided from the state alone. Used unchanged by
// the engine, which explores, and by a checker, which only replays.
//
// Programs of the privileged may turn addresses into numbers; for others (env.unprivileged) that is a leak.
#pragma once

#include "domain/state.h"

enum domain_rule {
    DOMAIN_RULE_NONE,
#define RULE(id, ...) DOMAIN_RULE_##id,
#include "domain/rules.def"
#undef RULE
    DOMAIN_RULE_COUNT
};

#define FAULT_TEXT_SIZE 160
// An obligation that is not met, with numbers. Texts are for people.
struct domain_fault {
    uint16_t rule;       // enum domain_rule
    uint32_t related_pc; // where the cause lies (an acquisition); UINT32_MAX: none
    char message[FAULT_TEXT_SIZE];
    char needed[FAULT_TEXT_SIZE];
    char known[FAULT_TEXT_SIZE];
    char hint[FAULT_TEXT_SIZE];
};

// Everything that instruction `pc` needs holds in `s`. Otherwise false, and *fault says what is missing.
bool obligation_check(const struct domain_env *env, const struct domain_state *s, uint32_t pc,
                      struct domain_fault *fault) MUST_CHECK;

// Field of the context that instruction `pc` accesses in `s`, or -1 when it accesses no context. Only after
// obligation_check.
int obligation_context_field(const struct domain_env *env, const struct domain_state *s, uint32_t pc);

// Helper that the call at `pc` calls in `s`; HELPER_NONE when that is not known.
uint32_t obligation_called_helper(const struct domain_env *env, const struct domain_state *s, uint32_t pc);
