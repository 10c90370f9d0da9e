// SPDX-License-Identifier: MIT
// opt: what the passes opt_*.c share: facts about values, value numbers, places to rewrite at. Inside the
// folder only.
#pragma once

#include "jit/opt_fold.h"

// --- facts (opt_known.c) -------------------------------------------------------------------------

// What is known of a value: bits that can be set, and its unsigned range. Without facts: all ones, 0, all
// ones. Nothing can be such a value when min > max.
struct opt_fact {
    uint64_t may, min, max;
};
#define OPT_TOP ((struct opt_fact){UINT64_MAX, 0, UINT64_MAX})

static inline struct opt_fact opt_exactly(uint64_t value)
{
    return (struct opt_fact){value, value, value};
}
struct opt_fact opt_below(uint64_t max); // 0..max
struct opt_fact opt_join(struct opt_fact a, struct opt_fact b);
struct opt_fact opt_meet(struct opt_fact a, struct opt_fact b);
bool opt_includes(struct opt_fact outer, struct opt_fact inner);
static inline bool opt_is_empty(struct opt_fact f)
{
    return f.min > f.max;
}
// Of the low `width` bits.
struct opt_fact opt_cut(struct opt_fact f, unsigned width);
static inline struct opt_fact opt_low(struct opt_fact f, unsigned width)
{
    return f.max <= fold_mask(width) ? f : opt_cut(f, width);
}
// Signed range of the low `width` bits.
void opt_signed_range(struct opt_fact f, unsigned width, int64_t *least, int64_t *most);
// Fact of what `v` computes from operands a to d with the facts *in[]; v is no PHI. Those that it does not
// have are not looked at.
struct opt_fact opt_transfer(const struct ir_value *v, const struct opt_fact *const in[4]);
// What `value` can be, from its operation and those of its operands alone. For any pass.
struct opt_fact opt_fact_alone(const struct ir *ir, uint32_t value);

// --- conditions (opt_refine.c) -------------------------------------------------------------------

struct opt_condition {
    uint8_t cond, cwidth;
    uint32_t a, b; // values
};
enum opt_truth { OPT_UNKNOWN, OPT_FALSE, OPT_TRUE };
// Whether it holds for all values with these facts.
enum opt_truth opt_decide(unsigned cond, unsigned cwidth, struct opt_fact a, struct opt_fact b);
// *a and *b become what is left of them when it holds.
void opt_assume(unsigned cond, unsigned cwidth, struct opt_fact *a, struct opt_fact *b);
// a cond b is the same as b (result) a.
unsigned opt_swapped(unsigned cond);

// --- facts of a whole function (opt_facts.c) -----------------------------------------------------

struct opt_saved {
    uint32_t value, block; // in whose part of the dominator tree the fact held
    struct opt_fact fact;
};
struct opt {
    struct jit *j;
    struct ir *ir;
    struct opt_fact *facts;          // by value; of others nothing is known
    uint32_t fact_count, fact_limit; // how many there are, and may be when values are made
    uint32_t *tree;                  // blocks in pre-order of the dominator tree
    struct opt_saved *saved;
    uint32_t saved_count, saved_capacity;
    uint32_t (*places)[2]; // by block: place among the predecessors of succ[0] and succ[1]
    uint32_t *table;       // of value numbers
    uint16_t *tags;        // of what stands there: more of its hash
    uint32_t table_mask;
    size_t mark;               // of the workspace
    uint32_t pc;               // of the value that is rewritten
    uint32_t block, prev;      // where the rewriting is: new values go behind `prev`
    struct opt_fact *incoming; // by PHI: what has come along its edges in this round
    unsigned round;            // of finding facts
    uint32_t at;               // position in `tree` of the round's walk
    bool again;                // the round found a reason for another one
    bool whole;                // the round looks at all values
    bool flows;                // the rewriting walk finds the facts of PHIs
    bool changed;              // something that another round may profit from
    bool full;                 // the workspace was
};

// Gets ready for facts. opt_fini gives back all memory that was allocated since.
ebpf_result_t opt_init(struct opt *o, struct jit *j) MUST_CHECK;
void opt_fini(struct opt *o);
// Memory below the facts, which go up if they are there: they stay last, so that there can be more of them.
void *opt_room(struct opt *o, size_t bytes);
// Finds facts that hold for all values wherever they are, and which blocks are reached (block.mark).
ebpf_result_t opt_find_facts(struct opt *o) MUST_CHECK;
// The same, and value numbers, for a walk over `tree` that rewrites and calls opt_enter, opt_update and
// opt_leave: where there are no loops, facts are found on that walk.
ebpf_result_t opt_prepare_walk(struct opt *o) MUST_CHECK;
static inline struct opt_fact opt_fact_of(const struct opt *o, uint32_t value)
{
    return value < o->fact_count ? o->facts[value] : OPT_TOP;
}
// Sets the fact of `value` from its operands as they are known here.
void opt_update(struct opt *o, uint32_t value);
// For a walk over `tree`: facts of conditions hold while the walk is in the part of the tree under the edge.
// Call with each block in turn. False: the block cannot be reached. opt_leave: its values have been
// rewritten.
bool opt_enter(struct opt *o, uint32_t block);
void opt_leave(struct opt *o, uint32_t block);
// Forgets all conditions.
void opt_leave_all(struct opt *o);

// Range of a PHI that counts from what has the fact `start` to the bound of a test that ends its loop; false:
// it does not, or may wrap. (opt_counter.c)
bool opt_counter_range(const struct opt *o, uint32_t phi, struct opt_fact start, struct opt_fact *range);

// --- rewriting -----------------------------------------------------------------------------------

// The dominating value that computes the same as `value`, or IR_NONE, and then this one is found from now on.
// (opt_number.c)
ebpf_result_t opt_init_numbers(struct opt *o) MUST_CHECK;
uint32_t opt_number(struct opt *o, uint32_t value);
// A new value where the rewriting is. IR_NONE: the workspace is full (o->full).
uint32_t opt_make(struct opt *o, enum ir_op op, unsigned width, uint32_t a, uint32_t b, int64_t imm);
uint32_t opt_make_const(struct opt *o, uint64_t value);

// ir_clean, and operations of which only low halves are used become 32 bits wide. (opt_narrow.c)
ebpf_result_t opt_narrow(struct opt *o) MUST_CHECK;
