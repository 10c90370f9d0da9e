// SPDX-License-Identifier: MIT
// contain: does a concrete machine state lie inside an abstract one? Registers, saved registers, stack cells
// and initialised bytes of the frames that the state has, identities (one N for a class), relations between
// them, packet facts, references, locks. Turn counters and span ends have no concrete counterpart: there must
// be a number that fits.
#pragma once

#include "domain/domain.h"

struct contain_frame {
    const uint64_t *saved; // r6-r9 while a callee runs
    const uint8_t *bytes;
    const bool *init;
    uint64_t top;
    const uint64_t *args; // r1-r4 when its function was entered; NULL: not known
};

struct contain_view {
    const struct program *program;
    const uint64_t *regs;
    uint16_t regs_init;
    struct contain_frame frames[INSN_MAX_FRAMES];
    uint32_t depth; // of the running frame
    uint64_t context, data, data_end, data_meta;
    // What has to be released; UINT32_MAX: not known.
    uint32_t held;
    uint64_t lock; // address of the value whose lock is held
    uint32_t rcu, preempt;
    // The index-th block that pointer `v`, at address `number`, may point into: its start. False: no more.
    bool (*base)(void *user, const struct value *v, uint64_t number, uint32_t index, uint64_t *base);
    // `v` (MEM of a contract, KERNEL) at `number` is right for all that the user knows.
    bool (*plausible)(void *user, const struct value *v, uint64_t number);
    void *user;
};

enum { CONTAIN_WHY = 120 };
// `why` (CONTAIN_WHY bytes) gets a sentence when the answer is no. `s` is not changed.
bool contain_state(const struct contain_view *view, struct domain_state *s, char *why);
