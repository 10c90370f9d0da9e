// SPDX-License-Identifier: MIT
// cfg: what the program's control flow looks like before any value is known: basic blocks, where ways meet,
// which functions call which and how deeply.
#pragma once

#include "spec/spec.h"

enum cfg_flags {
    CFG_POINT = 1 << 0,    // several ways lead here: states are stored and compared
    CFG_FUNCTION = 1 << 1, // a function starts here
    CFG_TARGET = 1 << 2,   // a jump goes here, or a conditional one falls through to here
    CFG_CALLBACK = 1 << 3, // calls a helper that may call back: turns of the body meet here
};

#define CFG_NONE UINT32_MAX

// Straight-line code: only the last instruction jumps, exits, or calls a function of the program.
struct cfg_block {
    uint32_t start, end; // slots
    uint32_t func;
    uint32_t next[2]; // blocks that control goes to; CFG_NONE: none
};

struct cfg {
    uint8_t *flags;           // enum cfg_flags, for each slot
    struct cfg_block *blocks; // sorted by start
    uint32_t block_count;
    uint32_t *first_block; // of each function; func_count + 1 entries
    uint32_t *height;      // of each function: frames that it and what it calls need at most
    uint32_t recursive;    // a function that calls itself or is called by one that does; CFG_NONE: none
};

// EBPF_NO_MEMORY. The program satisfies program_check, so jumps and calls go to instructions.
ebpf_result_t cfg_build(const struct spec_view *spec, const struct program *p, struct arena *arena,
                        struct cfg *out) MUST_CHECK;
// Block that starts at `pc`, or CFG_NONE.
uint32_t cfg_block_at(const struct cfg *cfg, uint32_t pc);
// Block that holds `pc`.
uint32_t cfg_block_of(const struct cfg *cfg, uint32_t pc);
// Last instruction of a block.
uint32_t cfg_last(const struct program *p, const struct cfg_block *b);
// Function that the instruction calls or whose address it takes; CFG_NONE: none.
uint32_t cfg_callee(const struct program *p, uint32_t pc);
