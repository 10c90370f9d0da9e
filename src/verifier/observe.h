// SPDX-License-Identifier: MIT
// observe: the other end of verify_options.observe, for tests: does a concrete machine state lie inside an
// abstract one?
#pragma once

#include "base/base.h"

// `state` is what the observe hook was given, `regs` r0-r10 of a running program before the same instruction.
// True when every register that the state calls a number holds one of its numbers, and numbers of one
// identity agree. Registers that hold pointers are compared by nullness and, where a base is known, by
// offset.
struct observe_bases {
    uint64_t context, packet, packet_end, packet_meta; // addresses; 0: not known, not compared
    uint64_t frame_top;                                // r10 of the running frame
};
bool observe_contains(const void *state, const uint64_t regs[11], const struct observe_bases *bases);
// Writes "r0: a number in [0, 3], r1: ..." for messages. Returns the length, as str_format does.
size_t observe_print(const void *state, char *text, size_t size);
