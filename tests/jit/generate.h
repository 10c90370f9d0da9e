// SPDX-License-Identifier: MIT
// generate: random programs for the test world that a verifier would have reason to accept: every register
// and stack byte is written before it is read, accesses stay inside, loops end, addresses never become data.
#pragma once

#include "tests/jit/world.h"

enum { GENERATE_INSNS = 6000, GENERATE_FUNCS = 5 };

enum generate_kind {
    KIND_NONE,
    KIND_NUMBER,
    KIND_MEM,    // start of the memory + off
    KIND_STACK,  // the function's r10 + off: the numbers' part of its frame
    KIND_BUFFER, // BUFFER_BYTES of a caller's frame
    KIND_VALUE,  // of a map: `size` bytes
};

struct generate_value {
    uint8_t kind; // enum generate_kind
    uint8_t size; // VALUE
    int16_t off;
};

// The frame: NUMBER_SLOTS words of numbers below r10, always written, then SPILL_SLOTS that hold anything.
enum { NUMBER_SLOTS = 8, SPILL_SLOTS = 4, BUFFER_BYTES = 16 };

struct generate_state {
    struct generate_value regs[10];
    struct generate_value spills[SPILL_SLOTS];
};

struct generate_options {
    uint32_t size;        // about so many instructions
    bool raw;             // calls by number only; no maps
    bool calls_by_number; // CALLX
    bool tail_calls;
    bool tail_calls_below; // in functions that are called, too
    bool may_goto;
    bool packets;
};

struct generator {
    uint64_t seed;
    struct generate_options options;
    struct insn insns[GENERATE_INSNS];
    uint32_t count;
    struct func funcs[GENERATE_FUNCS];
    uint32_t func_count;
    uint32_t func;   // that is being made
    uint32_t target; // instructions that this function may have
    struct generate_state now;
    uint16_t locked;    // registers that stay what they are
    uint8_t bounds[10]; // of locked loop counters: the greatest value they have in the body; 0: not known
    uint32_t depth;     // of nested blocks
    uint32_t loops;     // of nested loops
    uint8_t arg_kinds[GENERATE_FUNCS][5]; // what a function's r1-r5 are
    struct {
        uint32_t pc, func;
    } calls[64]; // of functions that do not exist yet
    uint32_t call_count;
};

// Makes a program from the seed: g->insns, funcs.
void generate(struct generator *g, uint64_t seed, const struct generate_options *options);

// --- for generate_*.c ------------------------------------------------------------------------------
uint32_t gen_pick(struct generator *g, uint32_t below);
bool gen_chance(struct generator *g, uint32_t percent);
uint64_t gen_number(struct generator *g); // of the kinds that find mistakes
int32_t gen_small(struct generator *g);   // the same in an instruction's immediate
uint32_t gen_emit(struct generator *g, unsigned id, unsigned dst, unsigned src, int off, int64_t imm);
void gen_lddw(struct generator *g, unsigned id, unsigned dst, uint64_t imm);
bool gen_is_full(const struct generator *g);
// A register with a number, making one where there is none.
unsigned gen_number_reg(struct generator *g);
// A register that may be overwritten; what it held is gone.
unsigned gen_free_reg(struct generator *g);
// The same, but not `other`.
unsigned gen_free_reg_but(struct generator *g, unsigned other);
void gen_set(struct generator *g, unsigned reg, unsigned kind, int off);
// Where `bytes` may be read and written, at a multiple of `align`: register and *off.
unsigned gen_memory(struct generator *g, unsigned bytes, unsigned align, int *off);
void gen_load_number(struct generator *g, unsigned reg);
// A register with a number that may be overwritten.
unsigned gen_number_dst(struct generator *g);
bool gen_can_call(const struct generator *g); // no locked register is lost by calls
void gen_alu(struct generator *g);
void gen_idiom(struct generator *g);
void gen_access(struct generator *g);
void gen_atomic(struct generator *g);
void gen_spill(struct generator *g);
void gen_call(struct generator *g);
void gen_block(struct generator *g, uint32_t statements);
void gen_flow(struct generator *g);
// A conditional jump over numbers, displacement to be set; returns its pc.
uint32_t gen_branch(struct generator *g);
void gen_land(struct generator *g, uint32_t pc); // the jump at `pc` comes here
void gen_tangle(struct generator *g);            // a body whose blocks jump anywhere
void gen_merge(struct generate_state *into, const struct generate_state *other);
// Makes registers and spills what they are in `wanted`.
void gen_restore(struct generator *g, const struct generate_state *wanted);
// Addresses of map values cannot be made again: they are forgotten.
void gen_forget_values(struct generate_state *s);
