// SPDX-License-Identifier: MIT
// reference: the machine that the engines are compared with: slow, without any state but what RFC 9669 names,
// and strict: it refuses what a verified program never does (a register or stack byte that was not written,
// an access outside the known memory, too many steps), so that programs made by chance, or cut down, are
// known to have a meaning before an engine sees them.
#pragma once

#include "jit/jit.h"

struct region {
    uint8_t *start;
    size_t size;
};

struct reference {
    const struct jit_input *input;
    struct jit_run *run;
    uint64_t r1, r2;
    const struct region *regions; // what the program may touch besides its stack
    uint32_t region_count;
    uint32_t limit; // steps
    size_t
        shift; // moves the stack by so many bytes (below 4096, a multiple of 16): its address must not matter
    // TAIL_CALL: gives the input whose program lies at the "address" that the helper left in run->number.
    const struct jit_input *(*program_at)(uint64_t address);
    // Out:
    uint64_t result;
    uint32_t steps;
    uint32_t pc;       // where it ended or failed
    const char *fault; // NULL: it ended
};

// Runs the program. False: r->fault tells why it has no meaning.
bool reference_run(struct reference *r);
// Whether the bytes may be read, or written, by what a running program calls.
bool reference_allows(uint64_t address, uint64_t bytes, bool writes);
