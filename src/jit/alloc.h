// SPDX-License-Identifier: MIT
// alloc: what the parts of the register allocator share. A value's place is the same all its life: a
// register, a spill slot, or nothing for what is made anew at each use.
//
// Scan over the blocks in an order in which definitions come before what they dominate. Because the form is
// SSA, the values that a new one must not meet are those that live at its definition and have their place
// already; so one look at the free registers is enough, there are no intervals and no holes, and two values
// that are live on different branches share a register.
#pragma once

#include "jit/target.h"

// What is rare stays out of the walks, which need all registers.
#define ALLOC_RARE __attribute__((noinline))

// A value in the order of the scan; number 0 is none. During allocation ir_value.slot is its number here.
// 48 bytes: what is needed at different times shares room.
struct alloc_value {
    _Alignas(8) uint32_t value;
    uint32_t operands; // its first one in alloc.operands; they end where those of the next value start
    uint32_t forbid;   // registers that it may not be in
    uint32_t weight;   // uses and definition by frequency
    uint32_t length;   // about how many values it outlives
    uint32_t phi; // PHI of which it is an operand, or which its register goes to, on the most frequent edge
    union {
        uint32_t seen; // until lives are known: block in which it was seen last, and
        uint32_t own;  // from its definition on: registers that it clobbers
    };
    union {
        uint32_t last; // until the walk is at its definition: alloc_use_by of its last use in the block where
                       // the walk is, or alloc_leaving; more: it was not seen there; and
        uint32_t clobber; // when it clobbers registers: the next one of its block that does
    };
    union {
        uint32_t uses; // in functions with loops: elsewhere and by moves, the first alloc_use, and
        uint32_t slot; // then: from 1 on
    };
    uint8_t reg;
    uint8_t hint;               // register that its uses like, or IR_REG_NONE
    uint8_t result, late, same; // of struct jit_constraint
    uint8_t kind;               // enum alloc_kind
    bool alone;                 // where it lives is not known: no register, a slot of its own
    uint8_t hint_often;         // alloc_block.often where the hint comes from, and
    uint8_t phi_often;          // of the edge to `phi`
    uint8_t op;
};
_Static_assert(sizeof(struct alloc_value) == 48, "of these there are as many as values");

enum alloc_kind {
    ALLOC_ABSENT, // no result, unused, or made anew wherever it is used
    ALLOC_REMADE, // has a register if there is one, otherwise it is made anew
    ALLOC_KEPT,   // register or slot
};

struct alloc_block {
    uint32_t first, end; // numbers of its values
    uint32_t clobbered;  // by all of them
    uint32_t clobber;    // the first one that clobbers something, or 0
    uint32_t live;       // values that are live at its start: the first one in alloc.lives, and until that
    uint32_t live_end; // is known those that it uses and does not make, in alloc.exposed, any number of times
    uint32_t entered;  // the value that was found last to live at its start, or to be made there;
                       // ALLOC_SPILLS: values that are made here may need slots
    uint32_t often;    // alloc_weight of it: how often it runs
};

#define ALLOC_SPILLS UINT32_MAX
// For alloc_value.last: the use by value n, and that it is live at the end of the block that ends before n.
static inline uint32_t alloc_use_by(uint32_t n)
{
    return 2 * n + 1;
}
static inline uint32_t alloc_leaving(uint32_t n)
{
    return 2 * n;
}

// How much there is to allocate for. (alloc_sink.c)
struct alloc_survey {
    uint32_t values, operands, calls;
    uint64_t ops; // bits
};

struct alloc {
    struct jit *j;
    struct ir *ir;
    const struct jit_target *target;
    struct alloc_value *values;
    uint32_t value_count;
    uint32_t *operands;         // numbers of values, 0: none, or UNDEF; ALLOC_LAST: dead after it is read
    struct alloc_block *blocks; // as ir.blocks
    uint32_t *exposed;          // by block: alloc_block.live
    uint32_t exposed_count;
    uint32_t passed;          // operands of PHIs
    uint32_t *lives;          // by block: alloc_block.live
    uint32_t clobbered;       // by any value
    uint32_t *loop_registers; // by loop: registers of the PHIs at its head
    uint32_t spilled;         // how often a value went without a register
    bool alone;               // some of them are
    uint32_t slot_count;
};
#define ALLOC_LAST 0x80000000u

// `x` or 0. Not `yes ? x : 0`, of which the compiler may make a branch that nobody can predict.
static inline uint32_t alloc_if(bool yes, uint32_t x)
{
    return x & (0 - (uint32_t)yes);
}
static inline uint32_t alloc_weight(uint32_t often)
{
    return (uint32_t)1 << (often & 31); // it is 0xff where nothing is wished, and not used then
}
static inline struct ir_value *alloc_ir(const struct alloc *a, const struct alloc_value *value)
{
    return ir_at(a->ir, value->value);
}
// Operand i of value n, as a number of the scan; 0: none.
static inline uint32_t alloc_operand(const struct alloc *a, uint32_t n, uint32_t i)
{
    return a->operands[a->values[n].operands + i] & ~ALLOC_LAST;
}
static inline uint32_t alloc_operand_count(const struct alloc *a, uint32_t n)
{
    return a->values[n + 1].operands - a->values[n].operands;
}
// CONST, MAP, FRAME: nothing is lost when they have no place.
#define ALLOC_REMADE_OPS   (OP_BIT(IR_CONST) | OP_BIT(IR_MAP) | OP_BIT(IR_FRAME))
#define ALLOC_NOT_KEPT_OPS (ALLOC_REMADE_OPS | OP_BIT(IR_UNDEF) | OP_BIT(IR_NOP))
static inline bool alloc_is_remade(unsigned op)
{
    return (ALLOC_REMADE_OPS >> op & 1) != 0;
}
// Operand i of `op` is moved to where it is needed, or is part of an address there: made anew it costs
// nothing more.
#define ALLOC_MOVING_OPS                                                                                     \
    (OP_BIT(IR_PHI) | OP_BIT(IR_HELPER) | OP_BIT(IR_CALL) | OP_BIT(IR_CALL_LOCAL) | OP_BIT(IR_RET) |         \
     OP_BIT(IR_TAIL))
static inline uint64_t alloc_moved_operands(unsigned op, uint32_t i)
{
    bool address = i == 0 && (ir_op_info(op)->flags & IR_ADDR) != 0;
    return (ALLOC_MOVING_OPS >> op & 1) != 0 ? UINT64_MAX : address ? OP_BIT(IR_FRAME) : 0;
}
static inline bool alloc_is_moved(unsigned op, unsigned operand_op, uint32_t i)
{
    return (alloc_moved_operands(op, i) >> operand_op & 1) != 0;
}

// The edge from `b` to `from` goes to `to`. (alloc_layout.c)
void alloc_redirect(struct ir_block *b, uint32_t from, uint32_t to);
// Moves the steps of counters that are still read to the edges of their loops. Needs uses. (alloc_step.c)
void alloc_step(struct ir *ir);
// Makes CONST, MAP and FRAME anew near their uses where they would live over calls. Needs uses.
// *survey: what is there then. (alloc_sink.c)
ebpf_result_t alloc_sink(struct jit *j, struct alloc_survey *survey) MUST_CHECK;
// Numbers the values and finds what they need, what they would like and where they live; clears the blocks'
// marks. (alloc_live.c)
ebpf_result_t alloc_live(struct alloc *a, const struct alloc_survey *survey) MUST_CHECK;
// Finds the values that are live at the starts of blocks: alloc_block.live, live_end; adds to their lengths.
// Without loops, that is with ir.flow; *many: not found, there are too many. (alloc_life.c)
ebpf_result_t alloc_sweep(struct alloc *a, bool *many) MUST_CHECK;
// The same for any function; of too many, values that are left over are `alone`.
ebpf_result_t alloc_follow(struct alloc *a) MUST_CHECK;
// Gives registers out of `registers`, or when not all values get one, out of `spilling`; counts in a->spilled
// who got none. Returns those that were given. (alloc_scan.c)
uint32_t alloc_scan(struct alloc *a, uint32_t registers, uint32_t spilling);
// Gives slots to those. (alloc_slots.c)
ebpf_result_t alloc_slots(struct alloc *a) MUST_CHECK;
// Takes moves out of the loops' last jumps; places are written already. (alloc_hoist.c)
ebpf_result_t alloc_hoist(struct alloc *a) MUST_CHECK;
#define ALLOC_NO_SCRATCH 31 // no target allocates it: to see where a cycle needs a scratch register
bool alloc_same_place(const struct jit_location *a,
                      const struct jit_location *b); // registers and slots (alloc_moves.c)

// Follows every way through the allocated function with the values that places hold: NULL, or what is wrong,
// and *where (value or block). EBPF_NO_MEMORY leaves it unchecked: "" is returned. (alloc_check.c)
const char *alloc_check(struct jit *j, uint32_t *where);
