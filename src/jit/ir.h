// SPDX-License-Identifier: MIT
// ir: the intermediate form: one function in SSA. Values are records, named by number; blocks are lists of
// values that end in one with IR_END. The rules are checked by ir_check after every pass of Debug builds.
// Inside the folder only.
#pragma once

#include "jit/jit.h"

#define IR_NONE 0u // no value, no block

enum ir_op {
#define OP(id, ...) IR_##id,
#include "jit/ir_ops.def"
#undef OP
    IR_OP_COUNT
};

enum ir_op_flags {
    IR_PURE = 1 << 0,
    IR_READ = 1 << 1,
    IR_WRITE = 1 << 2,
    IR_END = 1 << 3,
    IR_ADDR = 1 << 4,
    IR_COMM = 1 << 5,
    IR_IMM_B = 1 << 6,
};

struct ir_op_info {   // 8 bytes: every walk over values looks here
    char operands[5]; // the first letters of a b c d, or "p"
    uint8_t count;    // letters
    uint8_t flags;    // enum ir_op_flags
    bool listed;      // "p"
};
extern const struct ir_op_info ir_op_rows[IR_OP_COUNT];
extern const char *const ir_op_texts[IR_OP_COUNT];
static inline const struct ir_op_info *ir_op_info(unsigned op)
{
    return &ir_op_rows[op];
}

// Conditions of BRANCH and SELECT. cond ^ 1 is the opposite.
enum ir_cond {
    IR_EQ,
    IR_NE,
    IR_ULT,
    IR_UGE,
    IR_ULE,
    IR_UGT,
    IR_SLT,
    IR_SGE,
    IR_SLE,
    IR_SGT,
    IR_SET,   // a & b has a bit
    IR_CLEAR, // it has none
    IR_COND_COUNT
};

enum ir_value_flags {
    IR_IMM = 1 << 0,     // `imm` takes the place of operand b (of STORE: c)
    IR_NONZERO = 1 << 1, // divisor
    IR_STEP = 1 << 2,    // the next value of a loop's counter: best in the counter's register
    IR_COLD = 1 << 3,    // BRANCH: succ[0] is unlikely
};

#define IR_REG_NONE 0xff

struct ir_value {
    uint8_t op;      // enum ir_op
    uint8_t width;   // 32 or 64; memory: bits of the access
    uint8_t cond;    // enum ir_cond
    uint8_t cwidth;  // width of a comparison
    uint8_t flags;   // enum ir_value_flags
    uint8_t scale;   // ADDR: 0-3
    uint8_t reg;     // after allocation: its register, or IR_REG_NONE
    uint8_t mark;    // for the pass that runs
    uint64_t sought; // while ir_clean runs: uses that it has seen
    uint32_t slot;   // after allocation, without register: spill slot + 1; 0: it needs none
    uint32_t uses;   // after ir_count_uses
    uint32_t block, next;
    uint32_t a, b, c, d;
    int32_t disp;
    uint32_t pc; // instruction that it comes from
    int64_t imm;
};

_Static_assert(sizeof(struct ir_value) == 64, "a value's address is one shift away");

struct ir_block {
    uint32_t first, last; // values; the last one has IR_END
    uint32_t succ[2];     // blocks; IR_NONE
    uint32_t *targets;    // of SWITCH, target_count of them; succ is unused then
    uint32_t target_count;
    uint32_t *preds; // pred_count; a block that goes here twice is there twice
    uint32_t pred_count;
    uint32_t pc;    // first instruction
    uint32_t order; // position in ir.order
    uint32_t idom;  // after ir_find_loops
    uint32_t dom_first,
        dom_last;  // pre-order numbers of the dominator tree: a dominates b: a.first <= b.first <= a.last
    uint32_t loop; // innermost loop, index in ir.loops, or IR_NONE
    uint8_t depth; // of loops
    uint8_t mark;
    bool cold;      // unlikely
    bool untidy;    // for ir_repair: it has NOPs or COPYs
    uint32_t extra; // of the pass or the target that works on it
    uint32_t
        edge; // after alloc_layout, of a block with one successor: its place among the predecessors there
};

struct ir_loop {
    uint32_t head, parent; // block, loop
};

// Memory of one translation: a stack from the bottom of the workspace; values grow down from its top, so
// that both can grow until they meet.
struct jit_memory {
    uint8_t *base;
    size_t used, size; // size shrinks as values are made
    size_t peak;       // of both
};

// One function.
struct ir {
    struct jit_memory *memory;
    struct ir_value *top;    // value n is top[-n]
    uint32_t value_count;    // numbers below are in use; 0 is none
    struct ir_block *blocks; // 1..block_count-1
    uint32_t block_count, block_capacity;
    uint32_t *order; // blocks in the order of the layout; reverse post-order until alloc_layout
    uint32_t order_count;
    uint32_t *flow; // after alloc_layout, when acyclic: the same blocks, each before those that it leads to
    struct ir_loop *loops; // 1..
    uint32_t loop_count, loop_capacity;
    uint32_t *pool;     // where operand lists are counted from
    uint32_t entry;     // block
    uint32_t func;      // number of the function
    uint32_t frame_low; // bytes of the program's frame below r10 that are in use; 0: none
    bool acyclic;       // no edge leads back in `order`: ir_find_order saw none
    bool counted;       // uses are right: nothing has changed them since ir_clean or ir_count_uses
    bool tidy;          // so they are, and ir_clean would find nothing to do
    bool whole;         // all values are in blocks: the build made them, and none was taken out
    bool has_calls;     // calls another function
    uint32_t helpers;   // HELPERs that build_function made, the last one first, linked by ir_value.slot
    bool is_entry;
    bool placed;          // allocated: values have registers and slots
    bool divisions_known; // opt_bytes has seen them
    uint32_t divisions; // then: those that there were, linked by ir_value.disp, in the order of their blocks
    uint32_t params;    // bits: PARAMs that have uses, at least
};

// What build_slots said of a function.
enum jit_slots {
    JIT_SLOTS_DONE, // there are none, or all are values
    JIT_SLOTS_OPEN, // an address is not known: simplification may tell
    JIT_SLOTS_LATE, // found after simplification
};

// A translation under way.
struct jit {
    const struct jit_input *input;
    const struct jit_options *options;
    const struct jit_target *target;
    struct jit_memory memory;
    struct ir ir; // the function at work
    struct jit_code *out;
    uint32_t *func_offset;     // by function: where its code starts, for CALL_LOCAL; UINT32_MAX: not yet
    uint8_t *func_inlined;     // by function: all its callers have taken it in: no code of its own
    uint8_t *func_aborts;      // by function: it, or one that it calls, may set jit_run.aborted
    struct build_facts *facts; // by function, of build_program
    uint32_t calls, map_loads; // instructions of the program that call C, or name a map
    uint32_t bad_pc;
    bool crowded;     // alloc_registers found more values at a time than the frame has room for
    uint32_t changes; // that passes have made since the last simplification, and another one may profit from
    uint8_t slots;    // enum jit_slots, of the function
    void *emitter;    // of the target, over all functions
    struct alloc_result *allocation;
};

// --- a translation, step by step: what jit_translate does, and tests (jit.c) -------------------

// Sets up memory for j->input (NULL: one function) and j->options, which are set; the rest of *j is zero.
ebpf_result_t jit_begin(struct jit *j, void *workspace, size_t size) MUST_CHECK;
// An empty j->ir for function `func`. What the last one held is void when memory is rewound to where it
// began.
void jit_begin_function(struct jit *j, uint32_t func);
// Passes [first, end) of enum jit_pass_number, as far as options.passes has them. Debug builds trap when a
// pass leaves the form broken.
ebpf_result_t jit_run_passes(struct jit *j, unsigned first, unsigned end) MUST_CHECK;

// --- memory (ir.c) -------------------------------------------------------------------------------

// Zeroed, 8-byte aligned; NULL: the workspace is full. Sizes are not rounded for `bytes`.
void *jit_alloc(struct jit *j, size_t count, size_t size);
// The same, but not zeroed.
void *jit_room(struct jit *j, size_t count, size_t size);
// What was allocated after `mark` (jit->memory.used then) is free again. Values stay.
void jit_rewind(struct jit *j, size_t mark);
// What was allocated between `mark` and `from` goes. What the function has of blocks and lists was allocated
// from `from` on, where ir.pool is, and moves down. Before there are jump tables.
void ir_move_down(struct jit *j, size_t mark, size_t from);
ebpf_result_t jit_refuse(struct jit *j, uint32_t pc) MUST_CHECK; // EBPF_JIT_COMPILATION_FAILED

// --- values (ir.c) -------------------------------------------------------------------------------

static inline struct ir_value *ir_at(const struct ir *ir, uint32_t value)
{
    return ir->top - value;
}
// The value behind `value` in its block. Blocks and values come mostly in the order in which they were made:
// what is IR_AHEAD values away will be looked at soon, and is far away in functions that no cache holds.
#define IR_AHEAD 32
static inline void ir_prefetch(const struct ir_value *v)
{
    __builtin_prefetch(v - IR_AHEAD);
}
static inline uint32_t ir_next(const struct ir *ir, uint32_t value)
{
    const struct ir_value *v = ir_at(ir, value);
    ir_prefetch(v);
    return v->next;
}
static inline struct ir_block *ir_block_at(const struct ir *ir, uint32_t block)
{
    return &ir->blocks[block];
}
// For walks over the starts or ends of blocks: that of block `at` of the order will be looked at.
static inline void ir_prefetch_first(const struct ir *ir, uint32_t at)
{
    if (at < ir->order_count) {
        __builtin_prefetch(ir_at(ir, ir_block_at(ir, ir->order[at])->first));
    }
}
static inline void ir_prefetch_end(const struct ir *ir, uint32_t at)
{
    if (at < ir->order_count) {
        __builtin_prefetch(ir_at(ir, ir_block_at(ir, ir->order[at])->last));
    }
}
// Operand list of PHI, HELPER, CALL, CALL_LOCAL: v->b of them. The pool is the workspace from ir->pool on, in
// units of 4 bytes.
static inline uint32_t *ir_pool(const struct ir *ir, const struct ir_value *v)
{
    return ir->pool + v->a;
}
// The pool index of memory that jit_alloc gave.
static inline uint32_t ir_pool_index(const struct ir *ir, const uint32_t *list)
{
    return (uint32_t)(list - ir->pool);
}
// Number of operands of `v`, IR_NONE ones included, and where they are stored, one behind the other.
static inline uint32_t ir_operand_count(const struct ir_value *v)
{
    const struct ir_op_info *info = ir_op_info(v->op);
    return info->listed ? v->b : info->count;
}
static inline uint32_t *ir_operands(const struct ir *ir, struct ir_value *v)
{
    return ir_op_info(v->op)->listed ? ir_pool(ir, v)
                                     : (uint32_t *)(void *)((uint8_t *)v + offsetof(struct ir_value, a));
}
static inline uint32_t *ir_operand(const struct ir *ir, struct ir_value *v, uint32_t i)
{
    return ir_operands(ir, v) + i;
}

// A new value that is in no block yet, IR_NONE when the workspace is full. Pointers to other values stay
// valid.
uint32_t ir_new(struct jit *j, enum ir_op op, uint8_t width, uint32_t a, uint32_t b, int64_t imm);
// The same, a copy of `like`.
uint32_t ir_new_like(struct jit *j, const struct ir_value *like);
// The value that was made last, and is in no block yet, goes again.
void ir_drop_last(struct jit *j);
// Puts `value` behind `after` in its block; IR_NONE: first, but behind PARAMs and PHIs when it is none.
void ir_insert_after(struct ir *ir, uint32_t block, uint32_t after, uint32_t value);
// At the end of the block, before the END if there is one.
void ir_append(struct ir *ir, uint32_t block, uint32_t value);
// `value` becomes a copy of `of`: users are redirected by ir_clean.
void ir_become_copy(struct ir *ir, uint32_t value, uint32_t of);
void ir_become_const(struct ir *ir, uint32_t value, int64_t imm);
// The value behind copies.
static inline uint32_t ir_resolve(const struct ir *ir, uint32_t value)
{
    while (ir_at(ir, value)->op == IR_COPY) {
        value = ir_at(ir, value)->a;
    }
    return value;
}
static inline bool ir_is_const(const struct ir *ir, uint32_t value, int64_t *imm)
{
    const struct ir_value *v = ir_at(ir, value);
    if (v->op != IR_CONST) {
        return false;
    }
    *imm = v->imm;
    return true;
}

// --- blocks (ir.c, ir_loops.c) -------------------------------------------------------------------

// IR_NONE: the workspace is full. Pointers to blocks do not survive it.
uint32_t ir_new_block(struct jit *j, uint32_t pc);
// Room for `count` blocks more; false: the workspace is full. Where blocks move, they leave their old room
// behind.
bool ir_reserve_blocks(struct jit *j, uint32_t count) MUST_CHECK;
static inline uint32_t ir_successor_count(const struct ir_block *b)
{
    return (b->succ[0] != IR_NONE) + (b->succ[1] != IR_NONE) +
           b->target_count; // of SWITCH, which has no others
}
static inline uint32_t ir_successor(const struct ir_block *b, uint32_t i)
{
    return b->target_count != 0 ? b->targets[i] : b->succ[i];
}
// To take edges out of `b`, all in one walk over its predecessors: what is at place `from` goes to place
// `to`, in its PHIs too; then the first `count` places are left.
void ir_move_edge(struct ir *ir, struct ir_block *b, uint32_t to, uint32_t from);
void ir_keep_edges(struct ir *ir, struct ir_block *b, uint32_t count);
// Finds blocks that are reached (others leave ir.order, and their edges go), in reverse post-order; sets
// blocks[].order.
ebpf_result_t ir_find_order(struct jit *j) MUST_CHECK;
// The same as ir_find_order when all that happened was that blocks went to the end of their only
// predecessor; they are empty.
void ir_drop_merged(struct ir *ir);
// By block: the places of its edges to succ[0] and succ[1], which are not the same, among the predecessors
// there. Edges stay where they are until ir_find_order takes out those of blocks that are not reached.
ebpf_result_t ir_list_places(struct jit *j, uint32_t (**places)[2]) MUST_CHECK;
// Dominators and loops, over ir.order. Needs ir_find_order. Uses ir_block.extra.
ebpf_result_t ir_find_loops(struct jit *j) MUST_CHECK;
static inline bool ir_dominates(const struct ir *ir, uint32_t a, uint32_t b)
{
    return ir->blocks[a].dom_first <= ir->blocks[b].dom_first &&
           ir->blocks[b].dom_first <= ir->blocks[a].dom_last;
}

// --- whole functions -----------------------------------------------------------------------------

// Forwards copies, folds PHIs of one value, removes what nothing needs; sets uses. (ir_clean.c)
ebpf_result_t ir_clean(struct jit *j) MUST_CHECK;
// The same, and `narrow` sees every value of 64 bits that is left and whose upper half nobody looks at, once,
// in any order. It may make it a narrower one, or an extension of 32 bits a COPY of its operand `a` (true:
// then its users are redirected).
struct ir_narrowing {
    uint64_t ops; // bits by enum ir_op: what `narrow` wants to see
    bool (*narrow)(void *user, uint32_t value);
    void *user;
};
ebpf_result_t ir_clean_narrowing(struct jit *j, const struct ir_narrowing *narrowing) MUST_CHECK;
// For ir_clean_narrowing, lists must have been turned round: `first` of a block leads to its PARAMs and PHIs
// and what became of these, `last` from its last value back to the first one behind them. ir_unseen was
// called for each. ir_turn_list does so for a block of which nothing is known.
void ir_turn_list(struct ir *ir, struct ir_block *b);
static inline void ir_unseen(struct ir_value *v)
{
    v->sought = 0;
    v->mark = 0;
}
void ir_count_uses(struct ir *ir);
// Repairs of a function that was tidy (ir_tidy.c).
struct ir_repair {
    struct ir *ir;
    uint32_t first, last; // places in ir.order of blocks that have NOPs or COPYs
    uint32_t left;        // operands that are COPYs
};
static inline struct ir_repair ir_begin_repair(struct ir *ir)
{
    return (struct ir_repair){.ir = ir, .first = UINT32_MAX};
}
static inline void ir_repair_block(struct ir_repair *r, uint32_t block)
{
    uint32_t place = r->ir->blocks[block].order;
    r->first = place < r->first ? place : r->first;
    r->last = place > r->last ? place : r->last;
    r->ir->blocks[block].untidy = true;
}
// `value` becomes a COPY of `of`, which is none itself and whose uses are to include those of the value.
static inline void ir_repair_copy(struct ir_repair *r, uint32_t value, uint32_t of)
{
    ir_become_copy(r->ir, value, of);
    r->left += ir_at(r->ir, value)->uses;
    ir_repair_block(r, ir_at(r->ir, value)->block);
}
// One use of `value`, which may be a COPY, goes; was it the last, the value becomes a NOP, and what it used
// is released. PHIs that only need each other are not found.
void ir_release(struct ir_repair *r, uint32_t value);
// Takes the NOPs and COPYs out of blocks that ir_repair_block was called for. Uses must be right, those of a
// COPY being those of what it is a copy of, and then the function is tidy again. What a COPY says of its own
// uses is what it had before: no operand may name it that did not then.
void ir_repair(struct ir_repair *r);
// The rules of the form. NULL when they hold, else what is wrong, and the value or block where. Uses
// ir_block.extra. (ir_check.c)
const char *ir_check(const struct jit *j, uint32_t *where);
// Text form, line by line: `put` gets each line without newline. (ir_print.c) For example:
//   func 0 entry b1
//   b1: depth 0
//     v1 = param 0
//     v4 = load32 [v1 + v2 << 2 + 16]
//     v5 = add64 v4, 7
//     branch ult32 v5, v4 -> b2, b3
void ir_print(const struct ir *ir, void (*put)(void *user, const char *line), void *user);
// Makes the function that the text describes, for tests. `j` needs memory. EBPF_INVALID_ARGUMENT.
// (ir_parse.c)
ebpf_result_t ir_parse(struct jit *j, const char *text, uint32_t *bad_line) MUST_CHECK;
// Runs the function, before or after lowering, but not after allocation; for tests. (ir_interp.c)
struct ir_machine {
    uint64_t params[7];
    uint64_t (*call)(void *user, uint32_t op, int64_t imm, const uint64_t *args, uint32_t count);
    void *user;
    uint64_t frame_top;
    uint64_t steps; // that are left
};
ebpf_result_t ir_run(struct jit *j, struct ir_machine *m, uint64_t *result) MUST_CHECK;

// --- passes (jit_passes.def) ---------------------------------------------------------------------

#define PASS(id, name, function, needed) ebpf_result_t function(struct jit *j) MUST_CHECK;
#include "jit/jit_passes.def"
#undef PASS
// What the build needs to know of the whole program, before the first function: func_inlined, func_aborts,
// facts.
ebpf_result_t build_program(struct jit *j) MUST_CHECK;
static inline bool jit_has_pass(const struct jit *j, enum jit_pass_number pass)
{
    return (j->options->passes >> pass & 1) != 0;
}
