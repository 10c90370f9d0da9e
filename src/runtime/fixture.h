// SPDX-License-Identifier: MIT
// fixture: what the tests of this folder share: a runtime that checks for leaks when it is closed, small
// programs written as instruction arrays, and a hook that only remembers.
#pragma once

#include "runtime/runtime_int.h"
#include "spec/contexts.h"
#include "tests/test.h"

// An instruction, and the two slots of one with a 64-bit immediate.
#define I(name, d, s, o, i) {.id = INSN_##name, .dst = d, .src = s, .off = o, .imm = i}
#define I2(name, d, i)      I(name, d, 0, 0, i), {0}

struct fixture {
    struct runtime *rt;
    uint64_t live; // allocations before
    char traced[300];
    unsigned trace_count;
};

// With the engine of `fixture_engine`: the translator, if nothing else was said.
extern enum runtime_engine fixture_engine;
// Calls `suite` once with each engine of this build.
void fixture_for_each_engine(void (*suite)(void));
bool fixture_open(struct fixture *f);
// Waits for the epoch, destroys the runtime, and checks that nothing is left.
void fixture_close(struct fixture *f);

struct map *fixture_map(struct fixture *f, uint32_t type, uint32_t key_size, uint32_t value_size,
                        uint32_t entries);

// A program of one function. `marks`: pairs {pc, field}.
struct fixture_program {
    struct program program;
    struct func func;
    struct map_def maps[4];
    uint32_t evidence[4 + 16];
    struct evidence bytes;
};
void fixture_program(struct fixture_program *p, uint32_t type, enum dialect dialect, const struct insn *insns,
                     uint32_t count);
void fixture_program_marks(struct fixture_program *p, const uint32_t *marks, uint32_t mark_count);
ebpf_result_t fixture_load(struct fixture *f, struct fixture_program *p, struct map *const *maps,
                           uint32_t map_count, struct prog **out);
// Loads `insns` as a program that has to load; NULL when it does not.
struct prog *fixture_prog(struct fixture *f, uint32_t type, enum dialect dialect, const struct insn *insns,
                          uint32_t count);
#define FIXTURE_PROG(f, type, dialect, insns) fixture_prog(f, type, dialect, insns, ARRAY_SIZE(insns))

// A hook for any attach type: makes XDP contexts, keeps the link that is attached.
struct fixture_hook {
    struct hook_provider provider;
    struct link *link; // the one attached last
    unsigned attached, detached;
    ebpf_result_t attach_result;
    bool has_context;
    struct xdp_context context;
};
void fixture_hook_init(struct fixture_hook *h, uint32_t attach_type, uint32_t max_links);
