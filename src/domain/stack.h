// SPDX-License-Identifier: MIT
// stack: the cells of a stack frame. Positions are bytes from the lowest address of the frame, 0..511;
// callers have proved that accesses lie inside.
//
// A cell remembers one 8-byte value at a multiple of 8, or one 4-byte number at a multiple of 4; other bytes
// are only known to be written or not.
#pragma once

#include "domain/state.h"

static inline int32_t stack_position(int64_t off)
{
    return (int32_t)(INSN_STACK_SIZE + off);
}
// All bytes of [at, at + size) were written. Otherwise *missing is the first that was not.
bool stack_is_init(const struct state_frame *f, int32_t at, int32_t size, int32_t *missing);
// The bytes now hold something unknown; which of them are initialised does not change.
void stack_forget(struct state_frame *f, int32_t at, int32_t size);
void stack_mark_init(struct state_frame *f, int32_t at, int32_t size);
// Stores the low `size` bytes of `v` (1, 2, 4 or 8).
void stack_write(struct state_frame *f, int32_t at, uint32_t size, const struct value *v);
// What a load of `size` bytes sees, zero-extended. All of them are initialised.
void stack_read(const struct state_frame *f, int32_t at, uint32_t size, struct value *out);
