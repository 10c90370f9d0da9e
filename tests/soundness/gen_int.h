// SPDX-License-Identifier: MIT
// gen_int: what the parts of the generator share.
#pragma once

#include "tests/soundness/gen.h"

void gen_emit(struct gen *g, unsigned id, unsigned dst, unsigned src, int off, int64_t imm);
bool gen_chance(struct gen *g, uint32_t one_in);
// A random row of isa.def with this form.
unsigned gen_row(struct gen *g, unsigned form);
// Numbers near the limits of all widths, small ones, and any.
int64_t gen_imm(struct gen *g);
void gen_set(struct gen *g, unsigned reg, enum gen_kind kind);
// A register that may be overwritten.
unsigned gen_target(struct gen *g);
// A register other than `other` that holds a number; makes one when there is none.
unsigned gen_number(struct gen *g, unsigned other);
// A register of the kind, or 10 when there is none.
unsigned gen_find(struct gen *g, enum gen_kind kind);
// Bytes 1, 2, 4 or 8 of an access, and the rows for it.
unsigned gen_load_row(struct gen *g, uint32_t *size);
unsigned gen_store_row(struct gen *g, uint32_t *size);
// Offset of an access of `size` bytes in [0, room), seldom one too far.
int gen_offset(struct gen *g, int room, uint32_t size);
// r1-r5 after a call.
void gen_clobber(struct gen *g);
// Nested instructions; at most `count` groups.
void gen_block(struct gen *g, uint32_t count);
// Emits a jump whose target gen_land sets; the state is kept by the caller.
uint32_t gen_jump(struct gen *g, unsigned id, unsigned dst, unsigned src, int64_t imm);
// A branch on random numbers; gen_land sets its target.
uint32_t gen_branch(struct gen *g);
void gen_land(struct gen *g, uint32_t jump);
// What holds on both of two paths.
void gen_join(struct gen_state *a, const struct gen_state *b);

void gen_packet_group(struct gen *g);
void gen_map_group(struct gen *g);
void gen_call_group(struct gen *g);
// A copy of a number that is one on all paths, or not; then a check of the number and use of the copy.
void gen_copy_group(struct gen *g);
