// SPDX-License-Identifier: MIT
// alloc_tail: short blocks that loops jump to, such as the step and the test at their ends. Where a block
// goes to one by a jump, the emitter writes it once more instead: with two ways through the body one of them
// has a taken jump less each time round, with a jump table all but one have. Places are given already and the
// same on every way, so that the second copy needs nothing else.
#include "jit/target.h"

// What needs room of its own in the emitter's tables, and what takes so long that a jump does not matter.
static const uint64_t not_copied = OP_BIT(IR_CALL) | OP_BIT(IR_CALL_LOCAL) | OP_BIT(IR_SWITCH) |
                                   OP_BIT(IR_RET) | OP_BIT(IR_TAIL) | OP_BIT(IR_UDIV) | OP_BIT(IR_UMOD) |
                                   OP_BIT(IR_SDIV) | OP_BIT(IR_SMOD) | OP_BIT(IR_FETCH_OR) |
                                   OP_BIT(IR_FETCH_AND) | OP_BIT(IR_FETCH_XOR);
static const uint64_t nothing = OP_BIT(IR_NOP) | OP_BIT(IR_UNDEF) | OP_BIT(IR_PHI);

// Operations; 0: it is better jumped to.
static uint32_t size_of(const struct ir *ir, const struct ir_block *b)
{
    uint32_t size = 0;
    for (uint32_t n = b->first; n != IR_NONE && size <= ALLOC_TAIL_ROOM; n = ir_next(ir, n)) {
        uint64_t bit = OP_BIT(ir_at(ir, n)->op);
        if ((bit & not_copied) != 0) {
            return 0;
        }
        size += (bit & nothing) == 0;
    }
    return size;
}

bool alloc_copies_tail(const struct ir *ir, uint32_t from, uint32_t to, uint32_t *room)
{
    const struct ir_block *source = ir_block_at(ir, from), *b = ir_block_at(ir, to);
    if (b->depth == 0 || b->depth > source->depth || b->cold || source->cold || b->pred_count < 2) {
        return false;
    }
    uint32_t size = size_of(ir, b);
    if (size == 0 || size > *room) {
        return false;
    }
    *room -= size;
    return true;
}
