// SPDX-License-Identifier: MIT
// cfg: what the program's control flow looks like before any value is known: where paths meet, which
// functions call which.
#pragma once

#include "spec/spec.h"

enum cfg_flags {
    CFG_POINT = 1 << 0,    // several ways lead here: states are stored and compared
    CFG_FUNCTION = 1 << 1, // a function starts here
    CFG_TARGET = 1 << 2,   // a jump goes here, or a conditional one falls through to here
};

#define CFG_NO_FUNC UINT32_MAX

struct cfg {
    uint8_t *flags;     // enum cfg_flags, for each slot
    uint32_t recursive; // a function that calls itself or is called by one that does; CFG_NO_FUNC: none
};

// EBPF_NO_MEMORY. The program satisfies program_check, so jumps and calls go to instructions.
ebpf_result_t cfg_build(const struct program *p, struct arena *arena, struct cfg *out) MUST_CHECK;
