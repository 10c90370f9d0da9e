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
#define STATE_SAVED      4 // r6-r9

struct state_frame {
    uint64_t present[STATE_CELL_COUNT / 64]; // cells that hold a value; an 8-byte one is in its even cell
    uint64_t init[INSN_STACK_SIZE / 64];     // bytes that were written
    uint32_t return_pc;                      // while a callee runs: where it returns to
    struct value saved[STATE_SAVED];         // while a callee runs: r6-r9
    struct value cells[STATE_CELL_COUNT];
};

struct domain_state {
    struct value regs[INSN_REG_COUNT]; // of the running function; r10 is always the top of the last frame
    struct state_frame frames[INSN_MAX_FRAMES];
    uint32_t frame_count;  // 1..8
    int32_t packet_length; // data + packet_length <= data_end is known
    int32_t meta_length;   // data_meta + meta_length <= data is known
    uint32_t next_id;      // no value has this identity or a greater one
};

// What a program is verified against. Borrowed; nothing in it changes.
struct domain_env {
    const struct spec_view *spec;
    const struct program *program;
    uint32_t layout; // of the context; LAYOUT_NONE: r1 = memory, r2 = its length
};
// Derives the environment. The program must satisfy program_check.
void state_make_env(const struct spec_view *spec, const struct program *p, struct domain_env *out);

// The state in which the program is entered.
void state_enter_program(const struct domain_env *env, struct domain_state *s);

static inline uint32_t state_make_id(struct domain_state *s)
{
    return s->next_id++;
}
static inline struct state_frame *state_top(struct domain_state *s)
{
    return &s->frames[s->frame_count - 1];
}

// Locations number the values of a state: registers from 0, saved registers, stack cells.
#define STATE_LOC_SAVED 16u
#define STATE_LOC_CELLS (STATE_LOC_SAVED + STATE_SAVED * INSN_MAX_FRAMES)
#define STATE_LOC_END   (STATE_LOC_CELLS + STATE_CELL_COUNT * INSN_MAX_FRAMES)
struct value *state_value(struct domain_state *s, uint32_t loc);
// First location from `loc` on that holds a value (r10 excepted), or STATE_LOC_END.
uint32_t state_next(const struct domain_state *s, uint32_t loc);
#define STATE_FOR_EACH(loc, s)                                                                               \
    for (uint32_t loc = state_next(s, 0); loc < STATE_LOC_END; loc = state_next(s, loc + 1))

// Intersects every member of class `id` with "N lies in `number`". False when no concrete state is left.
bool state_refine_number(struct domain_state *s, uint32_t id, const struct scalar *number) MUST_CHECK;
// The pointers of nullness class `id` are null, or are not.
void state_refine_null(struct domain_state *s, uint32_t id, bool null);
// data + N + `range` <= data_end for the packet pointers of class `id` (VALUE_ID_NONE: N = 0).
void state_refine_range(struct domain_state *s, uint32_t id, int64_t range);
// Best known r with data + N + r <= data_end for packet pointer `v` with variable part N.
int64_t state_packet_range(const struct domain_state *s, const struct value *v);
// Forgets all packet pointers and facts: a helper moved the packet.
void state_forget_packet(struct domain_state *s);
// Forgets pointers into frames from `frame` on, in the frames below it.
void state_forget_frame(struct domain_state *s, uint32_t frame);

// Invariants, for asserts and tests.
bool state_is_valid(const struct domain_state *s);
