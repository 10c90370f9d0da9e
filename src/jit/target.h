// SPDX-License-Identifier: MIT
// target: what the middle knows of a machine: registers, calling conventions, and which registers an
// operation needs or destroys. One table per machine (x86_target.c, arm64_target.c). Inside the folder only.
#pragma once

#include "jit/ir.h"

#define REG_SET(reg) ((uint32_t)1 << (reg))
// The same, and no register for IR_REG_NONE.
static inline uint32_t reg_set_of(uint8_t reg)
{
    return (uint32_t)((uint64_t)1 << (reg & 63));
}
_Static_assert(IR_OP_COUNT <= 64, "operations are bits of sets");
#define OP_BIT(op) ((uint64_t)1 << (op))

// A calling convention. Registers by number; IR_REG_NONE: on the stack.
struct jit_convention {
    uint8_t entry[4];      // r1, r2, run, frame top at the program's entry
    uint8_t helper[6];     // arguments of C functions; on the stack from `helper_stack` on, 8 bytes each
    uint8_t local[7];      // PARAMs of functions that are called by CALL_LOCAL
    uint8_t result;        // of all three
    uint32_t callee_saved; // set
    uint32_t
        call_area; // bytes at the bottom of the frame of a function that calls C (shadow space, arguments)
    uint32_t helper_stack; // offset of the first stack argument in it
};

// What an operation needs beyond "any register". A register that is in no set is free to all.
struct jit_constraint {
    uint32_t clobbers; // destroyed: values that live on behind the operation are not there
    // Sets that operand i may not be in, because the operation writes to them before it reads that operand.
    uint32_t forbid[4];
    uint8_t result;     // where the result comes out most cheaply, or IR_REG_NONE
    uint8_t operand[4]; // where operand i is taken from most cheaply, or IR_REG_NONE
    uint8_t late;       // bits: operands that are read after the result was written: not in its register
    uint8_t same;       // operand + 1 that had best be in the result's register; 0: none
};

struct jit_target {
    const char *name;
    uint8_t register_count;
    const char *const *register_names;
    uint32_t allocatable;          // set; the emitter's scratch registers are not in it
    uint32_t allocatable_spills;   // the same when values are spilled, which needs one more scratch register
    uint32_t preferred;            // registers to be taken first, from the lowest number up; then
    uint32_t preferred_down;       // these, from the highest one down; then the others, up
    bool immediate_moves_are_free; // CONST is made again rather than kept over calls
    // Before the first function: what lasts for the whole translation (jit.emitter).
    ebpf_result_t (*start)(struct jit *j);
    ebpf_result_t (*lower)(struct jit *j);
    // Bits: operations that need nothing, those that need nothing but `same` of 1, and those that do so when
    // they have IR_IMM: `constrain` is asked about the others. PHI is in none.
    uint64_t plain, two_address, two_address_number;
    // Constraints of value `v` (PHIs and PARAMs have none; operands of calls are moved by the emitter, with
    // hints).
    void (*constrain)(const struct jit *j, const struct ir_value *v, struct jit_constraint *out);
    ebpf_result_t (*emit)(struct jit *j);   // one function, from the allocation
    ebpf_result_t (*finish)(struct jit *j); // after the last one: stubs, tables
    void (*link)(struct jit_code *code, uint64_t address);
};
extern const struct jit_target x86_target, arm64_target;
const struct jit_convention *jit_convention(const struct jit *j);
// Which one of `set`, which is not empty, is to be taken first.
static inline uint8_t jit_preferred(const struct jit_target *target, uint32_t set)
{
    uint32_t first = set & target->preferred, down = set & target->preferred_down;
    if (first == 0 && down != 0) {
        return (uint8_t)(31 - __builtin_clz(down));
    }
    return (uint8_t)__builtin_ctz(first != 0 ? first : set);
}

// --- what the allocator hands to the emitter -----------------------------------------------------

// A place that a value can be in.
enum jit_place { PLACE_NONE, PLACE_REG, PLACE_SLOT, PLACE_CONST, PLACE_FRAME, PLACE_STACK_ARG };
struct jit_location {
    uint8_t place; // enum jit_place
    uint8_t reg;
    uint32_t slot;  // spill slot from 0 on, or offset of a stack argument
    uint32_t value; // CONST, MAP and FRAME: the value, to be made anew
};
struct jit_move {
    struct jit_location to, from;
};

struct alloc_result {
    uint32_t used;       // registers that are written
    uint32_t slot_count; // spill slots of 8 bytes
    bool spilled;        // the second scratch register is free for the emitter
    uint64_t ops;        // bits: operations that there are
    uint32_t calls;      // CALL and CALL_LOCAL
};

// Where `value` is. Register, slot, or something that is made again at each use.
static inline struct jit_location alloc_location(const struct ir *ir, uint32_t value)
{
    const struct ir_value *v = ir_at(ir, value);
    if (v->reg != IR_REG_NONE) {
        return (struct jit_location){.place = PLACE_REG, .reg = v->reg};
    }
    if (v->slot != 0) {
        return (struct jit_location){.place = PLACE_SLOT, .slot = v->slot - 1};
    }
    switch (v->op) {
    case IR_CONST:
    case IR_MAP: return (struct jit_location){.place = PLACE_CONST, .value = value};
    case IR_FRAME: return (struct jit_location){.place = PLACE_FRAME, .value = value};
    default: return (struct jit_location){.place = PLACE_NONE};
    }
}
// The moves of the edge from `block`'s end to its only successor (PHIs), in an order in which they can be
// made one by one; `moves` has room for *count. Cycles go through `scratch`.
ebpf_result_t alloc_edge_moves(struct jit *j, uint32_t block, uint8_t scratch, struct jit_move **moves,
                               uint32_t *count) MUST_CHECK;
// Orders `count` moves that happen at once so that they can be made one by one; a cycle goes through the
// scratch register. `out` has room for 2 * count; returns how many there are. Moves to where a value is
// already go.
uint32_t alloc_order_moves(const struct jit_move *moves, uint32_t count, uint8_t scratch,
                           struct jit_move *out);
// A jump from block `from` to `to` is better a copy of `to`, which takes its values out of *room: of
// ALLOC_TAIL_ROOM at the end of a block. A copy that ends in a jump may be followed by the next one.
// (alloc_tail.c)
#define ALLOC_TAIL_ROOM 4
bool alloc_copies_tail(const struct ir *ir, uint32_t from, uint32_t to, uint32_t *room);
