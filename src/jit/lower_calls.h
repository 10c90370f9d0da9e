// SPDX-License-Identifier: MIT
// lower_calls: what lower_calls.c and lower_lookup.c share. Inside the folder only.
#pragma once

#include "jit/ir.h"

// The function while its blocks are split. Values of a block that was split keep its number until the end.
struct lowering {
    struct jit *j;
    uint32_t block;      // at work: what is left of one of the function's blocks
    uint32_t pc;         // of the helper at work
    uint32_t zero;       // in the first block, once it was needed
    uint32_t helpers;    // all, linked by ir_value.slot
    uint32_t old_blocks; // that were there before; those from here on are new
    bool split;          // something was
    bool full;           // the workspace is
};

// --- lower_calls.c -------------------------------------------------------------------------------

// A value at the end of `block`.
uint32_t lower_emit(struct lowering *l, uint32_t block, enum ir_op op, uint8_t width, uint32_t a, uint32_t b,
                    int64_t imm);
uint32_t lower_load(struct lowering *l, uint32_t block, uint8_t width, uint32_t base, size_t offset);
void lower_branch(struct lowering *l, uint32_t block, enum ir_cond cond, uint8_t width, uint32_t a,
                  int64_t imm, bool cold);
void lower_jump(struct lowering *l, uint32_t block);
uint32_t lower_zero(struct lowering *l);
// A new block that `pred` leads to, and `second_pred` if it is not IR_NONE.
uint32_t lower_block(struct lowering *l, uint32_t pred, uint32_t second_pred);
// Cuts the block at work behind `after` (IR_NONE: before its first value); the rest and what it leads to go
// to `rest`, which is at work then.
void lower_split(struct lowering *l, uint32_t after, uint32_t rest);

// --- lower_lookup.c ------------------------------------------------------------------------------

// The map of a look-up, when the program names it; or NULL.
const struct jit_map *lookup_map(const struct jit *j, const struct ir_value *v);
// Finds look-ups whose result is only tested at the end of their block and then used where it is not null:
// the mark of such a value is set.
ebpf_result_t lookup_find_tested(struct lowering *l) MUST_CHECK;
// Blocks that lookup_lower will make for the helper.
uint32_t lookup_blocks(const struct jit *j, const struct ir_value *v);
// Look-up `value` of the block at work, in an array; `before`: the value in front of it, or IR_NONE.
void lookup_lower(struct lowering *l, uint32_t before, uint32_t value, const struct jit_map *map);
