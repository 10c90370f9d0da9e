// SPDX-License-Identifier: MIT
// build: what the files build_*.c share: a function as a stream of slots (its own instructions, then those of
// the functions that it takes in, each time anew), cut into blocks, with the variables that live in them.
// Inside the folder only.
#pragma once

#include "jit/ir.h"

#define BUILD_NONE UINT32_MAX // no slot, no block, no copy

// Variables: r0-r5 are the same ones everywhere, as calls pass them on; r6-r9 are those of a depth of
// inlining. All of them fit into a mask of 64 bits. r10 is none: it never changes.
#define BUILD_SHARED  6u
#define BUILD_VAR_MAX 64
_Static_assert(BUILD_SHARED + 4 * INSN_MAX_FRAMES < BUILD_VAR_MAX,
               "all variables of a function fit into a mask");

// Of one function of the program.
struct build_facts {
    uint32_t calls;       // call sites in the program
    uint8_t reads;        // bits 1-5: r1-r5 that its result may depend on
    bool calls_functions; // one at least
    bool tail_calls;      // leaves its frame: cannot be taken in
    bool needed;          // has code of its own
};

// A function in the stream.
struct build_copy {
    uint32_t func;
    uint32_t first, end;   // slots of the stream
    uint32_t parent, call; // copy that calls it, and the slot there; BUILD_NONE: the function itself
    uint8_t depth;         // frames above that of the function itself
    bool single;           // no second copy of it is made anywhere
};

enum build_kind {
    BUILD_CODE,
    BUILD_TURN,  // takes one turn of may_goto, which is there
    BUILD_ABORT, // returns 0
};

struct build_block {
    uint8_t kind; // enum build_kind
    bool reached;
    bool has_preds;
    uint32_t copy;         // that it belongs to
    uint32_t first, end;   // slots
    uint32_t succ[2];      // blocks, or BUILD_NONE; a branch goes to [0] when its condition holds
    uint32_t ir;           // its block there
    uint64_t use, def, in; // variables: read before they are written; written; live at its start
};

// Variables on their way to values, over blocks of the IR in reverse post-order.
struct build_vars {
    struct jit *j;
    uint32_t count;
    uint64_t *in, *def;          // by block: alive at its start; written there
    uint64_t *mods;              // by loop: written there
    uint32_t *out;               // values at the end of each block: [block * count + variable]
    uint32_t first_phi;          // PHIs from here on are those of the variables
    uint32_t operand_count;      // of all of them
    uint32_t now[BUILD_VAR_MAX]; // values at this point
};

struct build {
    struct jit *j;
    uint32_t func;
    struct build_copy *copies;
    uint32_t copy_count, copy_capacity;
    uint32_t budget;            // slots that functions with several call sites may still take
    struct build_block *blocks; // in the order of the stream; those that are no CODE come last
    uint32_t block_count;
    uint32_t abort_block; // or BUILD_NONE
    uint32_t turn_count;
    uint32_t *block_at; // by slot: block that starts there, or BUILD_NONE
    uint32_t var_count;

    // --- while values are made ---
    struct build_vars vars;
    uint32_t *source;                                 // by IR block: block, or BUILD_NONE
    size_t mark;                                      // of the workspace, before all that the build needs
    uint32_t block;                                   // of the IR, under construction
    uint32_t copy;                                    // of the instruction
    uint32_t pc;                                      // of the instruction
    bool full;                                        // the workspace is: values are IR_NONE from now on
    bool writes_frame;                                // r10 was to be written to
    uint32_t consts[16];                              // the last ones that were made
    uint32_t zero, params[7], frame[INSN_MAX_FRAMES]; // of the first block, once they were needed
};

// --- the stream (build_inline.c) -----------------------------------------------------------------

// Decides what is taken in, and fills `copies`.
ebpf_result_t build_expand(struct build *b) MUST_CHECK;
// Whether the call at `slot` was taken in: the copy, or BUILD_NONE.
uint32_t build_copy_at(const struct build *b, uint32_t slot);
// The function that starts at `pc`, or func_count.
uint32_t build_func_at(const struct jit *j, int64_t pc);
static inline uint32_t build_pc(const struct build *b, const struct build_copy *copy, uint32_t slot)
{
    return b->j->input->funcs[copy->func].start + (slot - copy->first);
}

// --- blocks (build_blocks.c) ---------------------------------------------------------------------

ebpf_result_t build_find_blocks(struct build *b) MUST_CHECK;

// --- variables (build_live.c) --------------------------------------------------------------------

// Registers r0-r10 that an instruction reads and writes, as bits.
void build_effect(const struct jit *j, uint32_t pc, uint32_t *reads, uint32_t *writes);
// Finds use, def and in.
void build_find_live(struct build *b);

// --- variables to values (build_vars.c) ---------------------------------------------------------------

// Allocates for at most BUILD_VAR_MAX variables and so many blocks; the caller sets `in` and `def` then.
ebpf_result_t build_vars_init(struct build_vars *vars, struct jit *j, uint32_t count,
                              uint32_t blocks) MUST_CHECK;
// Needs the order and loops.
void build_vars_find_mods(struct build_vars *vars);
// Sets `now` at the start of a block that has predecessors, with PHIs where needed. False: the workspace is
// full.
bool build_vars_enter(struct build_vars *vars, uint32_t block) MUST_CHECK;
void build_vars_leave(struct build_vars *vars, uint32_t block);
// Completes the PHIs, when all blocks were left: their operands are allocated at once.
ebpf_result_t build_vars_fill(struct build_vars *vars) MUST_CHECK;

// --- values (build_ssa.c) ------------------------------------------------------------------------

static inline uint32_t build_var(uint8_t depth, unsigned reg)
{
    return reg < BUILD_SHARED ? reg : reg + 4u * depth;
}
// Makes a value at the end of the block under construction.
uint32_t build_emit(struct build *b, enum ir_op op, uint8_t width, uint32_t a, uint32_t second, int64_t imm);
uint32_t build_const(struct build *b, int64_t imm);
// Of register r0-r10 at this point.
uint32_t build_read(struct build *b, unsigned reg);
void build_write(struct build *b, unsigned reg, uint32_t value);
// The run, the frame top (PARAMs) and zero, in the first block.
uint32_t build_run(struct build *b);
uint32_t build_param(struct build *b, unsigned number);
uint32_t build_zero(struct build *b);
// Makes blocks, PHIs and values of the function.
ebpf_result_t build_values(struct build *b) MUST_CHECK;

// --- instructions --------------------------------------------------------------------------------

// One instruction that is not the end of its block (build_insn.c).
ebpf_result_t build_insn(struct build *b, const struct insn *in) MUST_CHECK;
// The end of a block: a branch, a return, or the jump to where it goes on (build_insn.c).
ebpf_result_t build_end(struct build *b, const struct build_block *block) MUST_CHECK;
// Loads, stores, atomics (build_memory.c).
ebpf_result_t build_memory(struct build *b, const struct insn *in) MUST_CHECK;
// Calls and packet loads (build_call.c).
ebpf_result_t build_call(struct build *b, const struct insn *in) MUST_CHECK;
bool build_may_abort(const struct jit *j, uint32_t pc);
