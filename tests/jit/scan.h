// SPDX-License-Identifier: MIT
// scan: disassembles machine code (Capstone) and refuses what a translation must never contain.
#pragma once

#include "jit/jit.h"

struct scan {
    const struct jit_input *input;
    const struct jit_options *options;
    const struct jit_code *code;
    char why[160];          // what is wrong
    uint32_t insns;         // that were looked at
    uint32_t table_entries; // of jump tables that were followed
    bool has_constant;      // a constant of the program is in the code (what blinding is to prevent)
};

// False: s->why tells. Rules: only instructions of a list; the stack pointer changes in prologues, epilogues
// and calls only; what is jumped to from elsewhere begins with a landing pad (unless options.no_landing); no
// indirect branch with options.retpoline; nothing touches arm64's x18.
bool scan_code(struct scan *s);
bool scan_fail(struct scan *s, uint32_t offset, const char *what);
bool scan_x86(struct scan *s, size_t handle); // handle: of Capstone
bool scan_arm64(struct scan *s, size_t handle);
// A number of the program that would be telling: wide enough not to be there by chance.
bool scan_is_secret(const struct scan *s, uint64_t number);
