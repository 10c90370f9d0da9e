// SPDX-License-Identifier: MIT
// ir_text: what printing, parsing and checking have in common: the shapes of operations.
#pragma once

#include "jit/ir.h"

extern const char *const ir_cond_names[IR_COND_COUNT];

static inline bool ir_has_operand(unsigned op, char letter)
{
    for (const char *p = ir_op_info(op)->operands; *p != '\0'; p++) {
        if (*p == letter) {
            return true;
        }
    }
    return false;
}
// Addressed memory, or LEA: written with brackets.
static inline bool ir_is_memory(unsigned op)
{
    const struct ir_op_info *info = ir_op_info(op);
    return (info->flags & IR_ADDR) != 0 || ((info->flags & IR_WRITE) != 0 && info->operands[0] == 'a');
}
static inline bool ir_has_result(unsigned op)
{
    uint8_t flags = ir_op_info(op)->flags;
    bool store = op == IR_STORE || op == IR_STOREBE || (op >= IR_ATOMIC_ADD && op <= IR_ATOMIC_XOR);
    return (flags & IR_END) == 0 && !store && op != IR_NOP;
}
// The width is part of the name.
static inline bool ir_has_width(unsigned op)
{
    switch (op) {
    case IR_NOP:
    case IR_COPY:
    case IR_PARAM:
    case IR_FRAME:
    case IR_CONST:
    case IR_MAP:
    case IR_UNDEF:
    case IR_PHI:
    case IR_MULHU:
    case IR_HELPER:
    case IR_CALL:
    case IR_CALL_LOCAL: return false;
    default: return (ir_op_info(op)->flags & IR_END) == 0;
    }
}
// `imm` is written behind the operands.
static inline bool ir_takes_number(unsigned op)
{
    return op == IR_CONST || op == IR_PARAM || op == IR_MAP || op == IR_SEXT || op == IR_ZEXT ||
           op == IR_BSWAP || op == IR_BITS;
}
