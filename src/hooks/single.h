// SPDX-License-Identifier: MIT
// single: a provider with one attachment point for the whole machine, to be embedded in the hooks that are no
// more than that. Private to the hooks.
#pragma once

#include "hooks/point.h"

struct single {
    struct runtime *rt;
    struct hook_provider provider;
    struct point point;
    uint32_t layout; // of a test run's contexts: enum context_layout
};

// Registers the provider of `attach_type`; `s` must not move afterwards.
ebpf_result_t single_init(struct single *s, struct runtime *rt, const char *name, uint32_t attach_type,
                          uint32_t layout) MUST_CHECK;
void single_fini(struct single *s); // detaches its link
