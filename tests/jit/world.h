// SPDX-License-Identifier: MIT
// world: what test programs run in: memory, maps and helpers, small and all in one block of state, so that
// the traces of two runs can be compared byte by byte. One for the process.
#pragma once

#include "jit/jit.h"
#include "tests/jit/reference.h"

enum { WORLD_MEM = 256, WORLD_CPUS = 2, WORLD_HASH_SLOTS = 8, WORLD_VALUE = 24, WORLD_PROGRAMS = 3 };

enum world_map { WORLD_ARRAY_ONE, WORLD_ARRAY, WORLD_ARRAY_ODD, WORLD_PERCPU, WORLD_HASH, WORLD_MAPS };

enum world_helper {
    WORLD_NO_HELPER,
#define HELPER(id, ...) WORLD_##id,
#include "tests/jit/world_helpers.def"
#undef HELPER
    WORLD_HELPERS
};

struct world_hash_slot {
    uint32_t used, key;
    uint8_t value[WORLD_VALUE];
};

// What a run may change.
struct world_state {
    uint8_t mem[WORLD_MEM];
    uint8_t array_one[8];
    uint8_t array[8][16];
    uint8_t array_odd[5][24];
    uint8_t percpu[WORLD_CPUS][4][16];
    struct world_hash_slot hash[WORLD_HASH_SLOTS];
    uint64_t trace;    // of the helpers called and their arguments
    uint64_t sequence; // of NEXT
    uint32_t tail_calls;
    uint32_t reserved;
} __attribute__((aligned(16)));

struct world {
    struct world_state state;
    struct jit_map maps[WORLD_MAPS];
    uint32_t key_sizes[WORLD_MAPS], value_sizes[WORLD_MAPS];
    uint64_t tail_targets[WORLD_PROGRAMS]; // "addresses" that TAIL leaves in jit_run.number
    uint32_t tail_target_count;
    const char *misuse; // a helper was called in a wrong way: the stack's alignment, the run's address
    struct jit_run *run;
    // Whether a helper may read, or write, the bytes; NULL: whatever it is given.
    bool (*allows)(uint64_t address, uint64_t bytes, bool writes);
};
extern struct world world;

// Fills the state at random.
void world_reset(uint64_t seed);
// Maps, helpers and calls by number for code of that convention. The caller adds instructions and functions.
void world_bind(struct jit_input *input, unsigned abi);
// True when the host can call code of that convention.
bool world_has_abi(unsigned abi);
// What programs may touch; returns how many there are (at most 8).
uint32_t world_regions(struct region out[8]);
// A helper by number, without conventions.
uint64_t world_call(uint64_t id, const uint64_t args[5]);
