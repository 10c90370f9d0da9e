// SPDX-License-Identifier: MIT
// gen: random programs that a verifier has reason to accept. The generator keeps a rough idea of what each
// register and stack slot holds, so that most programs are right; now and then it goes one step too far, so
// that limits are tried from both sides.
#pragma once

#include "spec/spec.h"

enum {
    GEN_MAX_INSNS = 512,
    GEN_MAX_FUNCS = 16, // room; generated programs have GEN_FUNCS
    GEN_FUNCS = 3,
    GEN_MAPS = 5,
    GEN_SLOTS = 16,
    GEN_SLOT_TOP = 8 * GEN_SLOTS // bytes of the stack that generated code uses
};
enum gen_map { GEN_ARRAY_ONE, GEN_ARRAY, GEN_HASH, GEN_PERCPU, GEN_READ_ONLY };

enum gen_kind {
    KIND_NONE,
    KIND_NUMBER,
    KIND_CTX,
    KIND_PACKET,
    KIND_END,
    KIND_META,
    KIND_NULLABLE,
    KIND_VALUE,
    KIND_STACK
};

// What the generator believes about a register or a slot.
struct gen_value {
    uint8_t kind; // enum gen_kind
    uint8_t map;  // NULLABLE, VALUE
    uint16_t id;  // NULLABLE: which look-up it came from
    int16_t off;  // STACK: from r10; VALUE: in the value
    int16_t size; // PACKET: bytes that are known to be there
};

struct gen_state {
    struct gen_value regs[10];
    struct gen_value slots[GEN_SLOTS]; // slot i is at r10 - 8 * (i + 1)
};

struct gen {
    uint64_t origin; // what the program was made of
    uint64_t seed;   // of what is random from now on
    struct program program;
    struct insn insns[GEN_MAX_INSNS];
    struct func funcs[GEN_MAX_FUNCS];
    struct map_def maps[GEN_MAPS];
    struct gen_state now;
    struct gen_value args[GEN_FUNCS][3]; // what r1-r3 of a function are
    uint32_t count;                      // slots emitted
    uint32_t func;                       // being generated
    uint32_t depth;                      // of nested blocks
    uint16_t next_id;
    bool failed; // no room left
};

// Makes the program of `seed` in *g.
void gen_program(struct gen *g, uint64_t seed);
// The same over raw memory, in another style (gen_raw.c).
void gen_raw_program(struct gen *g, uint64_t seed);
uint64_t gen_random(struct gen *g);
// A number below `below`, which is at least 1.
uint32_t gen_pick(struct gen *g, uint32_t below);
