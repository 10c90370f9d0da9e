// SPDX-License-Identifier: MIT
// opt_rewrite: what the rules of opt_simplify share.
#include "jit/opt_rewrite.h"

bool rewrite_copy(struct rewrite *r, uint32_t of)
{
    ir_become_copy(r->o->ir, r->value, of);
    return true;
}

bool rewrite_keep(struct rewrite *r, uint32_t of)
{
    if (opt_fact_at(r->o, of)->max <= r->mask) {
        return rewrite_copy(r, of);
    }
    return rewrite_extend(r, IR_ZEXT, of, 32);
}

bool rewrite_const(struct rewrite *r, uint64_t value)
{
    ir_become_const(r->o->ir, r->value, (int64_t)value);
    return true;
}

bool rewrite_binary(struct rewrite *r, enum ir_op op, uint32_t a, uint32_t b)
{
    r->v->op = (uint8_t)op;
    r->v->a = a;
    r->v->b = b;
    r->v->flags = 0;
    r->v->imm = 0;
    return true;
}

bool rewrite_with(struct rewrite *r, enum ir_op op, uint32_t a, uint64_t number)
{
    uint32_t b = opt_make_const(r->o, fold_sign_extend(number & r->mask, r->v->width));
    return b != IR_NONE && rewrite_binary(r, op, a, b);
}

bool rewrite_extend(struct rewrite *r, enum ir_op op, uint32_t a, unsigned bits)
{
    r->v->op = (uint8_t)op;
    r->v->width = op == IR_ZEXT ? 64 : r->v->width;
    r->v->a = a;
    r->v->b = IR_NONE;
    r->v->imm = bits;
    r->v->flags = 0;
    return true;
}

bool rewrite_to_32(struct rewrite *r)
{
    r->v->width = 32;
    return true;
}
