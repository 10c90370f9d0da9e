// SPDX-License-Identifier: MIT
// watch: looks over the interpreter's shoulder. Before every instruction the machine must lie inside a state
// that the verifier had there, and what the instruction is about to touch must be memory that the program may
// touch.
#pragma once

#include "domain/domain.h"
#include "runtime/runtime_int.h"
#include "spec/contexts.h"

enum { WATCH_SNAPSHOTS = 3000, WATCH_VALUES = 64, WATCH_MAPS = 8, WATCH_STEPS = 20000, WATCH_INSNS = 1024 };

// A map value that a program has got an address of.
struct watch_value {
    uint64_t address;
    uint32_t map;
};

struct watch {
    const struct program *program;
    struct map *maps[WATCH_MAPS];
    // what the verifier saw, by pc
    struct snapshot {
        struct packed *state;
        uint32_t next; // of the same pc: index + 1, or 0
    } snapshots[WATCH_SNAPSHOTS];
    uint32_t first[WATCH_INSNS]; // by pc: index + 1, or 0
    uint32_t snapshot_count;
    bool too_many;
    int32_t *marks; // by pc: field of the context, or -1; from the evidence
    struct packed_scratch scratch;
    struct domain_state state;
    // the run
    struct run_data *packet; // the current limits
    uint64_t context;        // address; 0: none
    uint64_t top;            // r10 of the first frame
    uint32_t depth, steps;
    uint32_t last;      // pc before, or UINT32_MAX
    uint16_t regs_init; // registers that were written
    uint16_t saved_init[INSN_MAX_FRAMES];
    int pending; // map that the call before looks up, or -1
    uint64_t saved[INSN_MAX_FRAMES][STATE_SAVED];
    bool init[INSN_MAX_FRAMES][INSN_STACK_SIZE];
    struct watch_value values[WATCH_VALUES];
    uint32_t value_count;
    char fault[200]; // what was wrong
    // Told of a fault, before the instruction that is wrong; does not return.
    void (*give_up)(struct watch *w);
    // Enough of this run was seen; does not return.
    void (*leave)(struct watch *w);
};

// For verify_options.observe; `user` is a struct watch.
void watch_verifier(void *user, uint32_t pc, const void *state);
// Takes the marks of `evidence`; false without memory.
bool watch_begin_program(struct watch *w, const struct evidence *evidence);
void watch_end_program(struct watch *w);
void watch_begin_run(struct watch *w, struct run_data *packet, uint64_t context);
// For interp_set_observer; `user` is a struct watch.
void watch_machine(void *user, uint32_t pc, const uint64_t regs[INSN_REG_COUNT]);
