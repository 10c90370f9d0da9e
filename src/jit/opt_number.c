// SPDX-License-Identifier: MIT
// opt_number: value numbering, and new values.
#include "jit/opt.h"

#define TABLE_MAX 65536u // what fits into a cache: equal values are near each other

ebpf_result_t opt_init_numbers(struct opt *o)
{
    uint32_t size = 16, values = o->ir->value_count;
    while (size < TABLE_MAX && size < (values < 64 ? 2 * values : values)) { // many have no number
        size *= 2;
    }
    o->table = opt_room(o, size * sizeof(*o->table));
    if (o->table == NULL) {
        return EBPF_NO_MEMORY;
    }
    memset(o->table, 0, size * sizeof(*o->table));
    o->table_mask = size - 1;
    o->tag_mask = UINT32_MAX;
    while (~o->tag_mask < values + values / 2 + 64) { // there will be more
        o->tag_mask <<= 1;
    }
    return EBPF_SUCCESS;
}

static inline bool is_same(const struct ir_value *a, const struct ir_value *b)
{
    if (opt_kind_of(a) != opt_kind_of(b) || a->imm != b->imm || a->disp != b->disp || a->scale != b->scale) {
        return false;
    }
    return a->op == IR_CONST ||
           (opt_pair_at(&a->a) == opt_pair_at(&b->a) && opt_pair_at(&a->c) == opt_pair_at(&b->c) &&
            ((a->flags ^ b->flags) & IR_IMM) == 0);
}

enum opt_match opt_match_number(const struct opt *o, uint32_t other, const struct ir_value *v)
{
    const struct ir_value *w = ir_at(o->ir, other);
    if (!is_same(w, v)) {
        return OPT_OTHER;
    }
    bool above = w->block == v->block || ir_dominates(o->ir, w->block, v->block);
    return above ? OPT_SAME : OPT_LEFT;
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
    uint32_t same = opt_find_number(o, value, v);
    if (same != IR_NONE) {
        ir_drop_last(o->j);
        return same;
    }
    ir_unseen(v);
    v->next = o->prev; // lists are turned round
    o->prev = value;
    opt_update(o, value);
    return value;
}

uint32_t opt_make_const(struct opt *o, uint64_t value)
{
    return opt_make(o, IR_CONST, 64, IR_NONE, IR_NONE, (int64_t)value);
}
