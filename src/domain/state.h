// SPDX-License-Identifier: MIT
// state: everything known at one point of one path: registers, up to 8 stack frames, and facts about the
// packet. One flat record of about 100 KB in the caller's memory; copied and stored in packed form only
// (packed.h).
//
// A state stands for all concrete machine states that satisfy every value in it. Stack bytes whose bit in
// `init` is set hold some number that was written (or a pointer that is not tracked any more, which counts as
// a number).
#pragma once

#include "base/base.h"
#include "domain/value.h"
#include "spec/spec.h"

#define STATE_CELL_COUNT (INSN_STACK_SIZE / 4)
#define STATE_SAVED      4  // r6-r9
#define STATE_MAX_LOOPS  8  // nested loops of one function
#define STATE_MAX_REFS   16 // references held at once
#define STATE_MAX_SUMS   8
#define STATE_MAX_BOUNDS 8
// Turns of one loop that states cover. A loop is accepted only when its counter is known to stay below, and
// an execution that made more turns would have had exactly that many first: so none does.
#define STATE_MAX_TURNS ((int64_t)1 << 33)

// Bytes [from, from + X) of the frame were written, X being the number in `end` (a loop that fills an array:
// the end is then affine in the turn of the loop). Not present: end.kind is VALUE_NOT_INIT.
struct state_span {
    uint32_t from; // byte of the frame, 0..511
    struct value end;
};

struct state_frame {
    uint64_t present[STATE_CELL_COUNT / 64]; // cells that hold a value; an 8-byte one is in its even cell
    uint64_t init[INSN_STACK_SIZE / 64];     // bytes that were written
    uint32_t return_pc;                      // while a callee runs: where it returns to
    uint8_t counting;                        // bit d: loops[d] is present
    struct value saved[STATE_SAVED];         // while a callee runs: r6-r9
    struct value loops[STATE_MAX_LOOPS];     // by nesting depth: turns since the loop was entered (a number)
    struct state_span span;
    struct value cells[STATE_CELL_COUNT];
};

enum state_ref_kind { STATE_REF_RECORD, STATE_REF_OBJECT, STATE_REF_DYNPTR, STATE_REF_ITER, STATE_REF_IRQ };

// Something that has to be released. Sorted by `ref`.
struct state_ref {
    uint32_t ref;
    uint32_t pc;    // where it was acquired, for findings
    uint8_t kind;   // enum state_ref_kind
    uint8_t detail; // by kind
};

// N(left) + N(right) <= max is known (signed, nothing wraps). `sum` is the identity of their sum (modulo
// 2^64), or VALUE_ID_NONE.
struct state_sum {
    uint32_t left, right, sum;
    int64_t max;
    bool exact; // the sum does not wrap; lost by packing
};

// N(low) + delta <= N(high) is known (signed, nothing wraps): the turns of a loop below what every turn
// raises.
struct state_bound {
    uint32_t low, high;
    int64_t delta;
};

struct domain_state {
    struct value regs[INSN_REG_COUNT]; // of the running function; r10 is always the top of the last frame
    struct state_frame frames[INSN_MAX_FRAMES];
    uint32_t frame_count;  // 1..8
    int32_t packet_length; // data + packet_length <= data_end is known
    int32_t meta_length;   // data_meta + meta_length <= data is known
    uint32_t next_id;      // no value has this identity or a greater one, and no `ref`
    struct state_ref refs[STATE_MAX_REFS];
    uint32_t ref_count;
    struct state_sum sums[STATE_MAX_SUMS];
    uint32_t sum_count;
    struct state_bound bounds[STATE_MAX_BOUNDS];
    uint32_t bound_count;
    uint32_t lock_ref; // the spin lock that is held: `ref` of its map value, 0 = none
    uint16_t lock_map; // and its map
    uint8_t rcu_depth, preempt_depth;
    bool packet_changed; // a helper moved the packet since the function was entered
    // Between `r <<= 32` and what may be `r >>= 32`: what r held. Never packed; NOT_INIT: nothing.
    struct value shifted;
    uint8_t shifted_reg, shifted_by;
};

// What a program is verified against. Borrowed; nothing in it changes.
struct domain_env {
    const struct spec_view *spec;
    const struct program *program;
    uint32_t layout;   // of the context; LAYOUT_NONE: r1 = memory, r2 = its length
    bool unprivileged; // addresses must not become visible
    bool callee;       // the callers' frames are hidden: an exit from the only frame returns to them
};
// Derives the environment. The program must satisfy program_check.
void state_make_env(const struct spec_view *spec, const struct program *p, struct domain_env *out);

// The state in which the program is entered.
void state_enter_program(const struct domain_env *env, struct domain_state *s);

// As assignment, but copies only what is present.
void state_copy(struct domain_state *dst, const struct domain_state *src);

static inline uint32_t state_make_id(struct domain_state *s)
{
    return s->next_id++;
}
static inline struct state_frame *state_top(struct domain_state *s)
{
    return &s->frames[s->frame_count - 1];
}

// Locations number the values of a state: registers from 0, saved registers, turn counters, ends of spans,
// stack cells.
#define STATE_LOC_SAVED 16u
#define STATE_LOC_LOOPS (STATE_LOC_SAVED + STATE_SAVED * INSN_MAX_FRAMES)
#define STATE_LOC_SPANS (STATE_LOC_LOOPS + STATE_MAX_LOOPS * INSN_MAX_FRAMES)
#define STATE_LOC_CELLS (STATE_LOC_SPANS + INSN_MAX_FRAMES)
#define STATE_LOC_END   (STATE_LOC_CELLS + STATE_CELL_COUNT * INSN_MAX_FRAMES)
static inline uint32_t state_loc_cell(uint32_t frame, uint32_t cell)
{
    return STATE_LOC_CELLS + frame * STATE_CELL_COUNT + cell;
}
struct value *state_value(struct domain_state *s, uint32_t loc);
// Writes `v` at `loc`, or nothing with NULL; a cell's bytes stay initialised as they are.
void state_put(struct domain_state *s, uint32_t loc, const struct value *v);
// Keeps the bitmaps that say where values are; state_put does it.
void state_set_present(struct domain_state *s, uint32_t loc, bool present);
// First location from `loc` on that holds a value (r10 excepted), or STATE_LOC_END.
uint32_t state_next(const struct domain_state *s, uint32_t loc);
#define STATE_FOR_EACH(loc, s)                                                                               \
    for (uint32_t loc = state_next(s, 0); loc < STATE_LOC_END; loc = state_next(s, loc + 1))

// Intersects every member of class `id` with "N lies in `number`". False when no concrete state is left.
bool state_refine_number(struct domain_state *s, uint32_t id, const struct scalar *number) MUST_CHECK;
// `v`, a copy of a member of some class, lies in `num` (a SCALAR: its number, a pointer: X). Refines the
// whole class; a value without identity is the caller's. False when no concrete state is left.
bool state_refine_value(struct domain_state *s, const struct value *v, const struct scalar *num) MUST_CHECK;
// What the members of class `id` together say about N.
void state_number_of(const struct domain_state *s, uint32_t id, struct scalar *out);
// The pointers of nullness class `id` are null, or are not. A null one that was acquired (VALUE_ACQUIRED)
// holds no reference.
void state_refine_null(struct domain_state *s, uint32_t id, bool null);
// data + N + `range` <= data_end for the packet pointers of class `id` (VALUE_ID_NONE: N = 0).
void state_refine_range(struct domain_state *s, uint32_t id, int64_t range);
// Best known r with data + N + r <= data_end for packet pointer `v` with variable part N.
int64_t state_packet_range(const struct domain_state *s, const struct value *v);
// Forgets all packet pointers and facts: a helper moved the packet.
void state_forget_packet(struct domain_state *s);
// Forgets pointers into frames from `frame` on, in the frames below it.
void state_forget_frame(struct domain_state *s, uint32_t frame);

// --- references ----------------------------------------------------------------------------------

// False when the table is full.
bool state_acquire(struct domain_state *s, uint32_t ref, uint32_t pc, enum state_ref_kind kind,
                   uint8_t detail) MUST_CHECK;
// Removes `ref` from the table and forgets all values that have it. False when it was not held.
bool state_release(struct domain_state *s, uint32_t ref);
// Removes `ref` from the table only.
bool state_drop_ref(struct domain_state *s, uint32_t ref);
// NULL when it is not held.
const struct state_ref *state_find_ref(const struct domain_state *s, uint32_t ref);
// Forgets all values with this `ref`, which is not 0.
void state_forget_ref(struct domain_state *s, uint32_t ref);

// --- relations between numbers -------------------------------------------------------------------

// N(sum) = N(left) + N(right), modulo 2^64. When the table is full, the oldest row goes.
void state_add_sum(struct domain_state *s, uint32_t left, uint32_t right, uint32_t sum);
// Least known upper bound of N(left) + N(right), INT64_MAX: none.
int64_t state_sum_max(const struct domain_state *s, uint32_t left, uint32_t right);
// True when a row of bounds or sums without sum speaks about class `id`.
bool state_has_bounds(const struct domain_state *s, uint32_t id);
// A value that was N(from) + from_delta was moved to N(to): least <= N(to) - (N(from) + from_delta) <= most
// (signed, nothing wraps). Bounds of class `from` hold for `to` accordingly.
void state_carry_bounds(struct domain_state *s, uint32_t from, int64_t from_delta, uint32_t to, int64_t least,
                        int64_t most);

// --- turn counters of loops, by nesting depth in the running function ----------------------------

void state_enter_loop(struct domain_state *s, uint32_t depth);
void state_turn_loop(struct domain_state *s, uint32_t depth);
void state_leave_loop(struct domain_state *s, uint32_t depth);
// Turns that are possible at most; INT64_MAX: no bound is known, or the loop was not entered.
int64_t state_loop_bound(const struct domain_state *s, uint32_t depth);

// Invariants, for asserts and tests.
bool state_is_valid(const struct domain_state *s);
