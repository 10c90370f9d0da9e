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
#define BUILD_FRAMES  (BUILD_VAR_MAX - INSN_MAX_FRAMES) // behind all variables: r10 of each depth
_Static_assert(BUILD_SHARED + 4 * INSN_MAX_FRAMES < BUILD_FRAMES,
               "all variables of a function fit into a mask");

// What the build asks of every instruction, by its id (build_live.c).
enum build_trait {
    BUILD_READS_DST = 1 << 0,
    BUILD_READS_SRC = 1 << 1,
    BUILD_WIDE = 1 << 2,    // has two slots
    BUILD_SPECIAL = 1 << 3, // reads or writes more than that
    BUILD_FLOW = 1 << 4,    // may end a block
    BUILD_NOTED = 1 << 5,   // build_program looks at it
    BUILD_WRITES_DST = 1 << 16,
};
extern const uint32_t build_traits[256]; // of a number that is no id nothing is said
_Static_assert(INSN_ID_COUNT <= ARRAY_SIZE(build_traits), "every id has a byte there");
static inline unsigned build_traits_of(const struct insn *in)
{
    return build_traits[(uint8_t)in->id];
}

// Of one function of the program.
struct build_facts {
    uint32_t calls;       // call sites in the program
    uint8_t reads;        // bits 1-5: r1-r5 that its result may depend on
    bool calls_functions; // one at least
    uint8_t tail_calls;   // not counted beyond 255; leaves its frame then: cannot be taken in
    bool needed;          // has code of its own
};

// A function in the stream.
struct build_copy {
    uint32_t func;
    uint32_t pc;           // of its first slot
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
    bool open;    // the walk that finds the order has not left it
    bool repeats; // an edge comes from a block that is not before it in the stream
    uint32_t pred_count;
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
    uint64_t *in, *def; // by block: alive at its start; written there
    uint64_t *mods;     // by loop: written there
    uint32_t *out;      // values at the end of each block: [block * count + variable]
    uint32_t left;      // block that was left last
    uint32_t first_phi; // PHIs of the variables: a list by `a` until they have operands
    uint32_t last_phi;
    uint32_t operand_count;      // of all of them
    uint32_t now[BUILD_VAR_MAX]; // values at this point; of no meaning where a variable is not alive
};

struct build {
    struct jit *j;
    uint32_t func;
    struct build_copy *copies;
    uint32_t copy_count, copy_capacity;
    uint32_t budget;            // slots that functions with several call sites may still take
    struct build_block *blocks; // in the order of the stream; those that are no CODE come last
    uint32_t block_count;
    uint32_t reached_count, branch_count,
        edge_count;       // blocks that are reached, those with two ways, all ways
    uint32_t *left;       // blocks that are reached, in the order in which the walk left them
    bool loops;           // an edge leads back in the order
    uint32_t abort_block; // or BUILD_NONE
    uint32_t turn_count;
    uint64_t *leaders; // bits: slots at which blocks start
    uint32_t leader_count;
    uint32_t *block_at; // by slot: block that starts there
    uint32_t var_count;
    bool writes_frame; // an instruction that is reached writes r10

    // --- while values are made ---
    struct build_vars vars;
    uint32_t *source;         // by IR block: block, or BUILD_NONE
    size_t mark;              // of the workspace, before all that the build needs
    uint32_t block;           // of the IR, under construction
    uint32_t *link, last;     // where its next value's number goes; the last value
    uint32_t copy;            // of the instruction
    uint8_t vars_of[16];      // by register: its variable in that copy
    uint32_t pc;              // of the instruction
    bool full;                // the workspace is: values are IR_NONE from now on
    uint32_t consts[64];      // the last ones that were made
    uint32_t zero, params[7]; // of the first block, once they were needed
    uint32_t top;             // the same, of native_frame
};

// --- the stream (build_inline.c) -----------------------------------------------------------------

// Decides what is taken in, and fills `copies`.
ebpf_result_t build_expand(struct build *b) MUST_CHECK;
// Whether the call at `slot` was taken in: the copy, or BUILD_NONE.
uint32_t build_copy_at(const struct build *b, uint32_t slot);
// The function that starts at `pc`, or func_count.
uint32_t build_func_at(const struct jit *j, int64_t pc);
static inline uint32_t build_pc(const struct build_copy *copy, uint32_t slot)
{
    return copy->pc + (slot - copy->first);
}

// --- blocks (build_blocks.c) ---------------------------------------------------------------------

ebpf_result_t build_find_blocks(struct build *b) MUST_CHECK;

// --- variables (build_live.c) --------------------------------------------------------------------

bool build_writes_frame(const struct insn *in);
// Finds use, def and in, and writes_frame.
void build_find_live(struct build *b);

// --- variables to values (build_vars.c) ---------------------------------------------------------------

// Allocates for at most BUILD_VAR_MAX variables and so many blocks; the caller sets `in` and `def` then.
ebpf_result_t build_vars_init(struct build_vars *vars, struct jit *j, uint32_t count,
                              uint32_t blocks) MUST_CHECK;
// Needs the order and loops.
void build_vars_find_mods(struct build_vars *vars);
// Sets `now` at the start of a block that has predecessors, with PHIs where needed. False: the workspace is
// full.
bool build_vars_join(struct build_vars *vars, uint32_t block) MUST_CHECK;
static inline bool build_vars_enter(struct build_vars *vars, uint32_t block)
{
    const struct ir_block *b = ir_block_at(&vars->j->ir, block);
    bool same = vars->in[block] == 0 || (b->pred_count == 1 && b->preds[0] == vars->left);
    return same || build_vars_join(vars, block);
}
void build_vars_leave(struct build_vars *vars, uint32_t block);
// Completes the PHIs, when all blocks were left: their operands are allocated at once.
ebpf_result_t build_vars_fill(struct build_vars *vars) MUST_CHECK;

// --- uses, behind that (build_settle.c) ----------------------------------------------------------

struct build_settling {
    struct ir *ir;
    const uint32_t *users; // loads and stores that were; what they used has lost the uses
    uint32_t user_count;
    uint32_t first;  // value made since uses were right
    uint32_t copies; // COPYs that were there before, linked by `d`; later all
};
// Needs a function that is acyclic and `whole`, whose uses were right before.
void build_settle(struct build_settling *s);
// Clears the links.
void build_forget_copies(struct build_settling *s);

// --- values (build_ssa.c) ------------------------------------------------------------------------

static inline uint32_t build_var(uint8_t depth, unsigned reg)
{
    if (reg == 10) {
        return BUILD_FRAMES + depth;
    }
    return reg < BUILD_SHARED ? reg : reg + 4u * depth;
}
// Makes a value at the end of the block under construction.
static inline uint32_t build_emit(struct build *b, enum ir_op op, uint8_t width, uint32_t a, uint32_t second,
                                  int64_t imm)
{
    struct ir *ir = &b->j->ir;
    struct jit_memory *m = &b->j->memory;
    if (b->full || m->size - m->used < sizeof(struct ir_value)) {
        b->full = true;
        return IR_NONE;
    }
    m->size -= sizeof(struct ir_value);
    uint32_t value = ir->value_count++;
    struct ir_value *v = ir_at(ir, value);
    v->op = (uint8_t)op;
    v->width = width;
    v->cond = v->cwidth = v->flags = v->scale = 0; // field by field: compilers clear a whole record slowly
    v->reg = IR_REG_NONE;
    v->mark = 0;
    v->slot = v->uses = 0;
    v->block = b->block;
    v->next = IR_NONE;
    v->a = a;
    v->b = second;
    v->c = v->d = IR_NONE;
    v->disp = 0;
    v->pc = b->pc;
    v->imm = imm;
    v->sought = 0;
    *b->link = b->last = value;
    b->link = &v->next;
    return value;
}
// Whether simplification would take `value` where it finds another one like it in the block at work.
static inline bool build_reaches(const struct build *b, const struct ir_value *value)
{
    return value->block == b->block ||
           (jit_has_pass(b->j, JIT_PASS_SIMPLIFY) && ir_dominates(&b->j->ir, value->block, b->block));
}
// Programs repeat their numbers: the last ones are kept at hand.
static inline uint32_t build_const(struct build *b, int64_t imm)
{
    uint32_t *kept = &b->consts[((uint64_t)imm ^ (uint64_t)imm >> 7) % ARRAY_SIZE(b->consts)];
    const struct ir_value *v = ir_at(&b->j->ir, *kept);
    if (v->imm != imm || *kept == IR_NONE || !build_reaches(b, v)) {
        *kept = build_emit(b, IR_CONST, 64, IR_NONE, IR_NONE, imm);
    }
    return *kept;
}
// The run, the frame top (PARAMs) and zero, in the first block.
uint32_t build_run(struct build *b);
uint32_t build_param(struct build *b, unsigned number);
uint32_t build_zero(struct build *b);
// r10, when it is read for the first time.
uint32_t build_frame(struct build *b, unsigned reg);
// Of register r0-r10 at this point.
static inline uint32_t build_read(struct build *b, unsigned reg)
{
    uint32_t value = b->vars.now[b->vars_of[reg]];
    return value != IR_NONE ? value : build_frame(b, reg);
}
static inline void build_write(struct build *b, unsigned reg, uint32_t value)
{
    b->vars.now[b->vars_of[reg]] = value;
}
// Makes blocks, PHIs and values of the function.
ebpf_result_t build_values(struct build *b) MUST_CHECK;

// --- instructions --------------------------------------------------------------------------------

// The instructions of a block, but for its end (build_insn.c).
ebpf_result_t build_code(struct build *b, const struct build_block *block) MUST_CHECK;
// The end of a block: a branch, a return, or the jump to where it goes on (build_insn.c).
void build_end(struct build *b, const struct build_block *block);
// Atomics (build_memory.c).
ebpf_result_t build_atomic(struct build *b, const struct insn *in) MUST_CHECK;
// Calls and packet loads (build_call.c).
ebpf_result_t build_call(struct build *b, const struct insn *in) MUST_CHECK;
bool build_may_abort(const struct jit *j, const struct insn *in, uint32_t pc);
