// SPDX-License-Identifier: MIT
// opt_narrow: finds values whose upper halves nobody looks at. Sums, products and the like become 32 bits
// wide, extensions from 32 bits go. Facts about what changed are void afterwards.
#include "jit/opt.h"

// The low half of the result is that of the operation in 32 bits.
static bool is_narrowable(const struct ir *ir, const struct ir_value *v)
{
    int64_t count;
    switch (v->op) {
    case IR_ADD:
    case IR_SUB:
    case IR_MUL:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_NEG: return true;
    case IR_SHL: return ir_is_const(ir, ir_resolve(ir, v->b), &count) && (count & 63) < 32;
    default: return false;
    }
}

#define BIT(op) ((uint64_t)1 << IR_##op)
#define NARROWED                                                                                             \
    (BIT(ADD) | BIT(SUB) | BIT(MUL) | BIT(AND) | BIT(OR) | BIT(XOR) | BIT(NEG) | BIT(SHL) | BIT(ZEXT) |      \
     BIT(SEXT))

static bool narrow(void *user, uint32_t value)
{
    struct opt *o = user;
    struct ir_value *v = ir_at(o->ir, value);
    if (v->width != 64 || (v->flags & IR_IMM) != 0) {
        return false;
    }
    if ((v->op == IR_ZEXT || v->op == IR_SEXT) && v->imm == 32) {
        ir_become_copy(o->ir, value, v->a);
        return true;
    }
    if (is_narrowable(o->ir, v) && opt_fact_of(o, value).max > UINT32_MAX) {
        v->width = 32;
        o->changes++;
    }
    return false;
}

ebpf_result_t opt_narrow(struct opt *o)
{
    const struct ir_narrowing narrowing = {NARROWED, narrow, o};
    return ir_clean_narrowing(o->j, &narrowing);
}
