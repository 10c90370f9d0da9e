// SPDX-License-Identifier: MIT
// opt_popcount: the usual way to count bits without an instruction for it: pairs, nibbles, bytes, and a
// product that adds the bytes up. Only where the machine can do it in one instruction.
#include "jit/opt_rewrite.h"

struct counting {
    const struct ir *ir;
    unsigned width;
};

static const struct ir_value *def(const struct counting *c, uint32_t value)
{
    return ir_at(c->ir, ir_resolve(c->ir, value));
}

static bool is_number(const struct counting *c, uint32_t value, uint64_t number)
{
    const struct ir_value *v = def(c, value);
    return v->op == IR_CONST && ((uint64_t)v->imm & fold_mask(c->width)) == (number & fold_mask(c->width));
}

// x where `value` is `op` of x and the number.
static bool match(const struct counting *c, uint32_t value, unsigned op, uint64_t number, uint32_t *x)
{
    const struct ir_value *v = def(c, value);
    if (v->op != op || v->width != c->width || (v->flags & IR_IMM) != 0 || !is_number(c, v->b, number)) {
        return false;
    }
    *x = ir_resolve(c->ir, v->a);
    return true;
}

// `value` is x & mask, and `other` is (x >> count) & mask.
static bool match_halves(const struct counting *c, uint32_t value, uint32_t other, uint64_t mask,
                         unsigned count, uint32_t *x)
{
    uint32_t shifted, same;
    return match(c, value, IR_AND, mask, x) && match(c, other, IR_AND, mask, &shifted) &&
           match(c, shifted, IR_SHR, count, &same) && same == *x;
}

// x - ((x >> 1) & 0x5555...)
static bool match_pairs(const struct counting *c, uint32_t value, uint32_t *x)
{
    const struct ir_value *v = def(c, value);
    uint32_t shifted, same;
    if (v->op != IR_SUB || v->width != c->width || !match(c, v->b, IR_AND, 0x5555555555555555, &shifted) ||
        !match(c, shifted, IR_SHR, 1, &same)) {
        return false;
    }
    *x = ir_resolve(c->ir, v->a);
    return same == *x;
}

static bool match_nibbles(const struct counting *c, uint32_t value, uint32_t *pairs)
{
    const struct ir_value *v = def(c, value);
    const uint64_t mask = 0x3333333333333333;
    return v->op == IR_ADD && v->width == c->width &&
           (match_halves(c, v->a, v->b, mask, 2, pairs) || match_halves(c, v->b, v->a, mask, 2, pairs));
}

// (x + (x >> 4)) & 0x0f0f...
static bool match_bytes(const struct counting *c, uint32_t value, uint32_t *nibbles)
{
    uint32_t sum, same;
    if (!match(c, value, IR_AND, 0x0f0f0f0f0f0f0f0f, &sum)) {
        return false;
    }
    const struct ir_value *v = def(c, sum);
    if (v->op != IR_ADD || v->width != c->width) {
        return false;
    }
    *nibbles = ir_resolve(c->ir, v->a);
    if (match(c, v->b, IR_SHR, 4, &same) && same == *nibbles) {
        return true;
    }
    *nibbles = ir_resolve(c->ir, v->b);
    return match(c, v->a, IR_SHR, 4, &same) && same == *nibbles;
}

bool opt_popcount(struct rewrite *r)
{
    struct ir_value *v = r->v;
    struct counting c = {.ir = r->o->ir, .width = v->width};
    uint32_t product, bytes, nibbles, pairs, x;
    const struct jit_options *options = r->o->j->options;
    if (options->arch != JIT_X86_64 || (options->cpu & JIT_CPU_POPCNT) == 0 ||
        !match(&c, r->value, IR_SHR, c.width - 8, &product) ||
        !match(&c, product, IR_MUL, 0x0101010101010101, &bytes) || !match_bytes(&c, bytes, &nibbles) ||
        !match_nibbles(&c, nibbles, &pairs) || !match_pairs(&c, pairs, &x)) {
        return false;
    }
    v->op = IR_POPCNT;
    v->a = x;
    v->b = IR_NONE;
    return true;
}
