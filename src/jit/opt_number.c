// SPDX-License-Identifier: MIT
// opt_number: value numbering: a hash table of the operations without side effects that were met on the walk.
// What stands there is used when it dominates. Probes are bounded, so that a full table only forgets.
#include "jit/opt.h"

#define PROBES    8
#define TABLE_MAX 65536u // what fits into a cache: equal values are near each other

ebpf_result_t opt_init_numbers(struct opt *o)
{
    uint32_t size = 64;
    while (size < TABLE_MAX && size < o->ir->value_count + o->ir->value_count / 2) {
        size *= 2;
    }
    o->table = opt_room(o, size * (sizeof(*o->table) + sizeof(*o->tags)));
    if (o->table == NULL) {
        return EBPF_NO_MEMORY;
    }
    memset(o->table, 0, size * sizeof(*o->table));
    o->tags = (uint16_t *)(void *)(o->table + size);
    o->table_mask = size - 1;
    return EBPF_SUCCESS;
}

static uint64_t mix(uint64_t hash, uint64_t part)
{
    hash = (hash ^ part) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

// Few operations have more than two operands and a number.
static uint32_t hash_of(const struct ir_value *v)
{
    uint64_t kind = (uint64_t)v->op << 24 | (uint64_t)v->width << 16 | (uint64_t)v->cond << 8 | v->cwidth;
    uint64_t hash = mix(kind << 32 | v->b, (uint64_t)v->a << 24 ^ (uint64_t)v->imm);
    if ((v->c | v->d | (uint32_t)v->disp) != 0) {
        hash = mix(hash, (uint64_t)v->c << 32 | v->d);
        hash = mix(hash, (uint64_t)(uint32_t)v->disp << 8 | v->scale);
    }
    return (uint32_t)(hash >> 16);
}

static bool is_same(const struct ir_value *a, const struct ir_value *b)
{
    return a->op == b->op && a->width == b->width && a->a == b->a && a->b == b->b && a->imm == b->imm &&
           a->c == b->c && a->d == b->d && a->cond == b->cond && a->cwidth == b->cwidth &&
           a->scale == b->scale && a->disp == b->disp && (a->flags & IR_IMM) == (b->flags & IR_IMM);
}

uint32_t opt_number(struct opt *o, uint32_t value)
{
    const struct ir *ir = o->ir;
    const struct ir_value *v = ir_at(ir, value);
    if ((ir_op_info(v->op)->flags & IR_PURE) == 0 || v->op == IR_COPY || v->op == IR_UNDEF) {
        return IR_NONE;
    }
    uint32_t hash = hash_of(v), at = hash & o->table_mask;
    uint16_t tag =
        (uint16_t)(hash >> 16); // other values than the same are seldom looked at: they are far away
    for (unsigned probe = 0; probe < PROBES; probe++, at = (at + 1) & o->table_mask) {
        uint32_t other = o->table[at];
        if (other == value) {
            return IR_NONE;
        }
        if (other == IR_NONE) {
            break;
        }
        if (o->tags[at] == tag && is_same(ir_at(ir, other), v)) {
            if (ir_dominates(ir, ir_at(ir, other)->block, v->block)) {
                return other;
            }
            break; // that part of the tree is left for good
        }
    }
    o->table[at] = value;
    o->tags[at] = tag;
    return IR_NONE;
}

uint32_t opt_make(struct opt *o, enum ir_op op, unsigned width, uint32_t a, uint32_t b, int64_t imm)
{
    uint32_t value = ir_new(o->j, op, (uint8_t)width, a, b, imm);
    if (value == IR_NONE) {
        o->full = true;
        return IR_NONE;
    }
    struct ir_value *v = ir_at(o->ir, value);
    v->block = o->block;
    v->pc = o->pc;
    uint32_t same = o->table != NULL ? opt_number(o, value) : IR_NONE;
    if (same != IR_NONE) {
        ir_drop_last(o->j);
        return same;
    }
    ir_insert_after(o->ir, o->block, o->prev, value);
    o->prev = value;
    opt_update(o, value);
    return value;
}

uint32_t opt_make_const(struct opt *o, uint64_t value)
{
    return opt_make(o, IR_CONST, 64, IR_NONE, IR_NONE, (int64_t)value);
}
