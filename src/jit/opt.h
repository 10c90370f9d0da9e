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
static inline bool opt_is_empty(struct opt_fact f)
{
    return f.min > f.max;
}
// All bits up to the highest one.
static inline uint64_t opt_smear(uint64_t bits)
{
    return bits == 0 ? 0 : UINT64_MAX >> __builtin_clzll(bits);
}
// What bits and range say together; there is such a number.
static inline struct opt_fact opt_within(uint64_t may, uint64_t min, uint64_t max)
{
    max = min_u64(max, may);
    may = min == max ? min : may & opt_smear(max);
    max = min_u64(max, may);
    return (struct opt_fact){may, min, max};
}
static inline struct opt_fact opt_meet(struct opt_fact a, struct opt_fact b)
{
    uint64_t min = a.min > b.min ? a.min : b.min, max = min_u64(a.max, b.max);
    if (min > max || min > (a.may & b.may)) {
        return (struct opt_fact){0, 1, 0};
    }
    return opt_within(a.may & b.may, min, max);
}
static inline bool opt_includes(struct opt_fact outer, struct opt_fact inner)
{
    return opt_is_empty(inner) ||
           ((inner.may & ~outer.may) == 0 && outer.min <= inner.min && inner.max <= outer.max);
}
static inline struct opt_fact opt_join(struct opt_fact a, struct opt_fact b)
{
    if (opt_is_empty(a) || opt_is_empty(b)) {
        return opt_is_empty(a) ? b : a;
    }
    return (struct opt_fact){a.may | b.may, min_u64(a.min, b.min), a.max > b.max ? a.max : b.max};
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
// The same of a PURE operation, or a LOAD, whose operands have the facts *a and *b; of SELECT those of c and
// d.
void opt_compute(const struct ir_value *v, const struct opt_fact *a, const struct opt_fact *b,
                 struct opt_fact *out);
// Of an operation that is not PURE.
static inline struct opt_fact opt_result_fact(const struct ir_value *v)
{
    bool bits = v->op == IR_LOAD || v->op == IR_LOADBE || (v->op >= IR_FETCH_ADD && v->op <= IR_CMPXCHG);
    uint64_t mask = bits ? fold_mask(v->width) : UINT64_MAX;
    return (struct opt_fact){mask, 0, mask};
}
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
// The same for a comparison with a number. It, and in opt_decide_number the fact, has no bits beyond
// `cwidth`.
enum opt_truth opt_decide_number(unsigned cond, unsigned cwidth, const struct opt_fact *a, uint64_t number);
enum opt_effect { OPT_IMPOSSIBLE, OPT_NOTHING, OPT_LEARNT }; // *left is what is left of *a with OPT_LEARNT
enum opt_effect opt_assume_number(unsigned cond, unsigned cwidth, const struct opt_fact *a, uint64_t number,
                                  struct opt_fact *left);
// a cond b is the same as b (result) a.
unsigned opt_swapped(unsigned cond);

// --- facts of a whole function (opt_facts.c) -----------------------------------------------------

// What is learnt where a BRANCH goes one of its ways: facts of two values, or of one, or none: IR_NONE.
struct opt_learnt {
    uint32_t a, b;
    struct opt_fact fact_a, fact_b;
};
struct opt_saved {
    uint32_t value,
        last; // last block, by dom_first, of the part of the dominator tree where the new one holds
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
    uint32_t (*places)[2]; // by block: place among the predecessors of succ[0] and succ[1] that have several
    uint32_t *table;       // of value numbers: the value below, more of its hash above
    uint32_t table_mask, tag_mask; // tag_mask: which bits are of the hash
    size_t mark;                   // of the workspace
    uint32_t pc;                   // of the value that is rewritten
    uint32_t block, prev;          // where the rewriting is: new values go behind `prev`, turned round
    struct opt_fact *incoming;     // by PHI: what has come along its edges in this round
    unsigned round;                // of finding facts
    uint32_t at;                   // position in `tree` of the round's walk
    bool again;                    // the round found a reason for another one
    bool turns;                    // the function has loops
    bool flows;                    // the rewriting walk finds the facts of PHIs
    uint32_t changes;              // of values: another round may profit from them
    bool full;                     // the workspace was
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
static inline const struct opt_fact *opt_fact_at(const struct opt *o, uint32_t value)
{
    return &o->facts[value < o->fact_count ? value : IR_NONE]; // which says nothing
}
static inline struct opt_fact opt_fact_of(const struct opt *o, uint32_t value)
{
    return *opt_fact_at(o, value);
}
// Sets the fact of `value` from its operands as they are known here.
void opt_update(struct opt *o, uint32_t value);
// What is learnt when `end`, a BRANCH, goes to its successor `edge`. False: it cannot. (opt_refine.c)
bool opt_learn(const struct opt *o, const struct ir_value *end, unsigned edge, struct opt_learnt *l);
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

// Value numbers: a hash table of the operations without side effects that were met on the walk. What stands
// there is used when it dominates. Probes are bounded, so that a full table only forgets. (opt_number.c)
#define OPT_PROBES 8
ebpf_result_t opt_init_numbers(struct opt *o) MUST_CHECK;
// Whether `other`, which stands in the table, computes the same as `v`, and dominates it: if not, that part
// of the tree is left for good.
enum opt_match { OPT_OTHER, OPT_LEFT, OPT_SAME };
enum opt_match opt_match_number(const struct opt *o, uint32_t other, const struct ir_value *v);
_Static_assert(offsetof(struct ir_value, cwidth) == offsetof(struct ir_value, op) + 3 &&
                   offsetof(struct ir_value, b) == offsetof(struct ir_value, a) + 4 &&
                   offsetof(struct ir_value, d) == offsetof(struct ir_value, c) + 4,
               "read at once");
// Operation, width and condition at once: they stand together.
static inline uint32_t opt_kind_of(const struct ir_value *v)
{
    return *(const uint32_t *)(const void *)&v->op;
}
// Neighbours, such as a and b, at once.
static inline uint64_t opt_pair_at(const uint32_t *first)
{
    return *(const uint64_t *)(const void *)first;
}
// `constant`: `v` is a CONST. What a store became keeps its disp, and stays apart from others.
static inline enum opt_match opt_match(const struct opt *o, uint32_t other, const struct ir_value *v,
                                       bool constant)
{
    const struct ir_value *w = ir_at(o->ir, other);
    if (!constant) {
        return opt_match_number(o, other, v);
    }
    if (opt_kind_of(w) != opt_kind_of(v) || w->imm != v->imm || w->disp != v->disp) {
        return OPT_OTHER;
    }
    return w->block == v->block || ir_dominates(o->ir, w->block, v->block) ? OPT_SAME : OPT_LEFT;
}
// The dominating value that computes the same as `value`, which is PURE and neither COPY nor UNDEF, or
// IR_NONE, and then this one is found from now on. Few operations have more than two operands and a number.
// `constant`: it is a CONST.
static inline uint32_t opt_find_like(struct opt *o, uint32_t value, const struct ir_value *v, bool constant)
{
    uint64_t imm = (uint64_t)v->imm ^ (uint64_t)opt_kind_of(v) << 32;
    uint64_t operands = constant ? 0 : opt_pair_at(&v->a) * 0x9e3779b97f4a7c15;
    uint64_t hash = operands + imm * 0xd6e8feb86659fd93;
    uint32_t tag_mask = o->tag_mask, mask = o->table_mask, *table = o->table;
    uint32_t tag = (uint32_t)(hash >> 24) & tag_mask, at = (uint32_t)(hash >> 48) & mask;
    for (unsigned probe = 0; table[at] != 0 && probe < OPT_PROBES; probe++) {
        // Other values than the same are seldom looked at: they are far away.
        if (((table[at] ^ tag) & tag_mask) == 0) {
            uint32_t other = table[at] & ~tag_mask;
            enum opt_match match = opt_match(o, other, v, constant);
            if (match == OPT_SAME) {
                return other;
            }
            if (match == OPT_LEFT) {
                break;
            }
        }
        at = (at + 1) & mask;
    }
    if ((value & tag_mask) == 0) {
        table[at] = tag | value;
    }
    return IR_NONE;
}
static inline uint32_t opt_find_number(struct opt *o, uint32_t value, const struct ir_value *v)
{
    return opt_find_like(o, value, v, false);
}
// A new value where the rewriting is. IR_NONE: the workspace is full (o->full).
uint32_t opt_make(struct opt *o, enum ir_op op, unsigned width, uint32_t a, uint32_t b, int64_t imm);
uint32_t opt_make_const(struct opt *o, uint64_t value);

// ir_clean, and operations of which only low halves are used become 32 bits wide. (opt_narrow.c)
ebpf_result_t opt_narrow(struct opt *o) MUST_CHECK;

// opt_prune, which also takes out blocks that were `emptied`: first is IR_NONE, and nothing leads there.
// (opt_prune.c)
ebpf_result_t opt_prune_emptied(struct jit *j, bool emptied) MUST_CHECK;
