// SPDX-License-Identifier: MIT
// opt_select: a short branch that only chooses between two values becomes a conditional move: both sides are
// one or two cheap operations, which are then computed always, and one PHI depends on the way. Divisions are
// not moved: what makes them safe may be the branch.
#include "jit/ir.h"

#define MAX_MOVED 2

// `from` ends in the BRANCH; sides are IR_NONE where an edge goes to `join` directly.
struct diamond {
    uint32_t from, join;
    uint32_t sides[2];
    uint32_t places[2]; // among the predecessors of join
    uint32_t phi;       // the one that depends
};

static const struct ir_value *end_of(const struct ir *ir, uint32_t block)
{
    return ir_at(ir, ir_block_at(ir, block)->last);
}

static bool is_cheap(const struct ir_value *v)
{
    switch (v->op) {
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROL:
    case IR_NEG:
    case IR_SEXT:
    case IR_ZEXT: return true;
    default: return false;
    }
}

// A block with one way in that computes little and jumps.
static bool is_side(const struct ir *ir, uint32_t block, uint32_t *moved)
{
    const struct ir_block *b = ir_block_at(ir, block);
    if (b->pred_count != 1 || end_of(ir, block)->op != IR_JUMP) {
        return false;
    }
    for (uint32_t v = b->first; v != b->last; v = ir_next(ir, v)) {
        const struct ir_value *value = ir_at(ir, v);
        if (value->op != IR_CONST && (!is_cheap(value) || ++*moved > MAX_MOVED)) {
            return false;
        }
    }
    return true;
}

static bool find_shape(const struct ir *ir, uint32_t block, struct diamond *d)
{
    const struct ir_block *b = ir_block_at(ir, block);
    const struct ir_value *end = end_of(ir, block);
    uint32_t moved = 0;
    if (end->op != IR_BRANCH || (end->flags & IR_COLD) != 0 || b->succ[0] == b->succ[1]) {
        return false;
    }
    *d = (struct diamond){.from = block};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t to = b->succ[i];
        d->sides[i] = is_side(ir, to, &moved) ? to : IR_NONE;
    }
    uint32_t first = d->sides[0] != IR_NONE ? ir_block_at(ir, d->sides[0])->succ[0] : b->succ[0];
    uint32_t second = d->sides[1] != IR_NONE ? ir_block_at(ir, d->sides[1])->succ[0] : b->succ[1];
    d->join = first;
    return first == second && first != block && (d->sides[0] != IR_NONE || d->sides[1] != IR_NONE);
}

static void find_places(struct diamond *d, uint32_t (*places)[2])
{
    for (unsigned i = 0; i < 2; i++) {
        d->places[i] = d->sides[i] != IR_NONE ? places[d->sides[i]][0] : places[d->from][i];
    }
}

// One PHI depends on the way, no more.
static bool find_phi(const struct ir *ir, struct diamond *d)
{
    uint32_t count = 0;
    for (uint32_t v = ir_block_at(ir, d->join)->first; ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
        const uint32_t *list = ir_pool(ir, ir_at(ir, v));
        if (list[d->places[0]] != list[d->places[1]]) {
            d->phi = v;
            count++;
        }
    }
    return count == 1;
}

static void move_side(struct ir *ir, uint32_t side, uint32_t to)
{
    if (side == IR_NONE) {
        return;
    }
    struct ir_block *b = ir_block_at(ir, side);
    for (uint32_t v = b->first, next; v != b->last; v = next) {
        next = ir_next(ir, v);
        ir_append(ir, to, v);
    }
    b->first = b->last;
}

static ebpf_result_t convert(struct jit *j, const struct diamond *d)
{
    struct ir *ir = &j->ir;
    struct ir_block *from = ir_block_at(ir, d->from);
    struct ir_value *end = ir_at(ir, from->last);
    uint32_t *list = ir_pool(ir, ir_at(ir, d->phi));
    move_side(ir, d->sides[0], d->from);
    move_side(ir, d->sides[1], d->from);
    uint32_t select = ir_new(j, IR_SELECT, 64, end->a, end->b, end->imm);
    if (select == IR_NONE) {
        return EBPF_NO_MEMORY;
    }
    struct ir_value *s = ir_at(ir, select);
    s->c = list[d->places[0]];
    s->d = list[d->places[1]];
    s->cond = end->cond;
    s->cwidth = end->cwidth;
    s->flags = end->flags & IR_IMM;
    s->pc = end->pc;
    ir_append(ir, d->from, select);
    // The edge without a block of its own stays, or else the first side.
    bool keeps_direct = d->sides[0] == IR_NONE || d->sides[1] == IR_NONE;
    unsigned kept = keeps_direct && d->sides[1] == IR_NONE ? 1 : 0;
    list[d->places[kept]] = select;
    ir_block_at(ir, d->sides[1 - kept])->pred_count = 0;
    from->succ[0] = d->sides[kept] != IR_NONE ? d->sides[kept] : d->join;
    from->succ[1] = IR_NONE;
    end->op = IR_JUMP;
    end->a = end->b = IR_NONE;
    end->cond = end->cwidth = end->flags = 0;
    end->imm = 0;
    return EBPF_SUCCESS;
}

static ebpf_result_t convert_all(struct jit *j, bool *changed)
{
    struct ir *ir = &j->ir;
    uint32_t(*places)[2] = NULL;
    for (uint32_t i = ir->order_count; i-- > 0;) { // inner ones first
        struct diamond d;
        ir_prefetch_end(ir, i - IR_AHEAD / 4);
        if (!find_shape(ir, ir->order[i], &d)) {
            continue;
        }
        if (places == NULL) {
            TRY(ir_list_places(j, &places));
        }
        find_places(&d, places);
        if (find_phi(ir, &d)) {
            TRY(convert(j, &d));
            bool direct = ir_block_at(ir, d.from)->succ[0] == d.join;
            places[d.from][0] = direct ? d.places[d.sides[0] == IR_NONE ? 0 : 1] : 0;
            *changed = true;
        }
    }
    return EBPF_SUCCESS;
}

ebpf_result_t opt_select(struct jit *j)
{
    bool changed = false;
    size_t mark = j->memory.used;
    TRY(convert_all(j, &changed));
    jit_rewind(j, mark);
    if (!changed) {
        return EBPF_SUCCESS;
    }
    TRY(ir_find_order(j));
    TRY(ir_clean(j));
    TRY(ir_find_loops(j));
    return opt_prune(j);
}
