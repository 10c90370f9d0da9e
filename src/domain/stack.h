// SPDX-License-Identifier: MIT
// stack: the cells of a stack frame. Positions are bytes from the lowest address of the frame, 0..511;
// callers have proved that accesses lie inside.
//
// A cell remembers one 8-byte value at a multiple of 8, or one number of 1 to 4 bytes at a multiple of 4;
// other bytes are only known to be written or not. Bytes of a pointer that is overwritten in part count as
// not written: nobody may see a piece of an address.
#pragma once

#include "domain/state.h"

static inline int32_t stack_position(int64_t off)
{
    return (int32_t)(INSN_STACK_SIZE + off);
}
// All bytes of [at, at + size) were written. Otherwise *missing is the first that was not.
bool stack_is_init(const struct state_frame *f, int32_t at, int32_t size, int32_t *missing);
// The bytes now hold something unknown. Which of them are initialised does not change, but for the bytes of
// pointers: whoever knows that they are overwritten marks them.
void stack_forget(struct state_frame *f, int32_t at, int32_t size);
void stack_mark_init(struct state_frame *f, int32_t at, int32_t size);
// Bytes that are initialised from `at` on without a gap.
int32_t stack_init_run(const struct state_frame *f, int32_t at);
// Stores the low `size` bytes of `v` (1, 2, 4 or 8).
void stack_write(struct state_frame *f, int32_t at, uint32_t size, const struct value *v);
// What a load of `size` bytes sees, zero-extended. All of them are initialised.
void stack_read(const struct state_frame *f, int32_t at, uint32_t size, struct value *out);
// The same for a load by the program: what was not known yet becomes a number with an identity in the cell,
// so that what is learnt about the loaded copy holds for the next load.
void stack_load(struct domain_state *s, uint32_t frame, int32_t at, uint32_t size, struct value *out);
// What a load sees that begins at some byte of [first, last].
void stack_read_range(const struct state_frame *f, int32_t first, int32_t last, uint32_t size,
                      struct value *out);
// A store through `ptr` + `off`, whose variable part is not constant: one of several places changes. All of
// them lie in frame `frame`. Where the store continues the frame's span, that grows.
void stack_write_range(struct domain_state *s, uint32_t frame, const struct value *ptr, int32_t off,
                       uint32_t size, const struct value *v);
// Turns a span of certain length into initialised bytes.
void stack_settle_span(struct state_frame *f);
