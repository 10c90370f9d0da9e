// SPDX-License-Identifier: MIT
// interp: what the two files of the interpreter share.
#pragma once

#include "runtime/runtime_int.h"

// A pre-decoded instruction; the array is parallel to the slots, with one sentinel behind. What `off` and
// `imm` are depends on the handler: of jumps, distances in `off` count slots from the next instruction, those
// in `imm` bytes from this operation.
struct interp_op {
    union {
        const void *label; // where the interpreter handles it
        uint64_t value;    // second slot of a 64-bit immediate
    };
    uint8_t dst, src;
    int16_t off;
    int32_t imm;
};
_Static_assert(sizeof(struct interp_op) == 16, "four operations a cache line");

struct interp_code {
    struct interp_op *ops;
    const void **observed; // labels behind the observer's
    uint32_t count;        // without the sentinel
    void (*observe)(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT]);
    void *observe_user;
};

// Handlers of pairs, by the second instruction's id.
struct interp_pair {
    const void *copy;       // behind a copy to its destination
    const void *step;       // behind an addition of a number; a jump's `short_jump` form, where it has one
    const void *short_jump; // a jump with a number that fits in `off`: no pair, only another form of it
};

// Labels of the interpreter (interp.c).
struct interp_labels {
    const void *by_id[INSN_ID_COUNT];
    struct interp_pair pairs[INSN_ID_COUNT];
    const void *raw_call, *tail_call, *end, *observer;
    const void *low_half, *signed_half; // pairs of shifts
};
const struct interp_labels *interp_labels(void);
