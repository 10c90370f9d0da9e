// SPDX-License-Identifier: MIT
// alloc_check: what each register and slot holds, followed along all ways through an allocated function until
// nothing changes. It knows nothing of how places were found, nor of lives: an operand must be where it is
// looked for.
#include "jit/alloc.h"

#define REGISTERS   32
#define UNREACHED   UINT32_MAX
#define ROUNDS_MAX  64
#define STATE_BYTES ((size_t)16 << 20) // larger functions are not checked

struct check {
    struct jit *j;
    struct ir *ir;
    uint32_t places;
    uint32_t *states; // by block and place: the value that it holds at the start, IR_NONE: who knows
    uint32_t *now, *edge;
    // Edges into blocks with PHIs from blocks that have other successors: by block the first of its list.
    uint32_t *first;
    struct edge {
        uint32_t to, k, next; // edge: the k-th predecessor of `to`
    } *edges;                 // from 1 on
    const char *wrong;
    uint32_t where;
    bool changed, silent;
};

static void fail(struct check *c, const char *wrong, uint32_t where)
{
    if (c->wrong == NULL && !c->silent) {
        c->wrong = wrong;
        c->where = where;
    }
}

// UINT32_MAX: it is in none.
static uint32_t place_of(const struct jit_location *at)
{
    switch (at->place) {
    case PLACE_REG: return at->reg;
    case PLACE_SLOT: return REGISTERS + at->slot;
    default: return UINT32_MAX;
    }
}

static void check_held(struct check *c, const uint32_t *state, uint32_t operand, uint32_t where)
{
    struct jit_location at = alloc_location(c->ir, operand);
    uint32_t place = place_of(&at);
    if (place != UINT32_MAX && state[place] != operand) {
        fail(c, "an operand is not where it should be", where);
    } else if (at.place == PLACE_NONE && ir_at(c->ir, operand)->op != IR_UNDEF) {
        fail(c, "an operand has no place", where);
    }
}

// --- operations ----------------------------------------------------------------------------------

static void check_operand(struct check *c, uint32_t value, const struct jit_constraint *limits, uint32_t i)
{
    struct ir_value *v = ir_at(c->ir, value);
    uint32_t operand = *ir_operand(c->ir, v, i);
    if (operand == IR_NONE) {
        return;
    }
    check_held(c, c->now, operand, value);
    const struct ir_value *o = ir_at(c->ir, operand);
    if (o->reg == IR_REG_NONE) {
        bool ready = o->op == IR_UNDEF || c->j->allocation->spilled || alloc_is_moved(v->op, o->op, i);
        if (!ready) {
            fail(c, "an operand has no register and nothing is said to be spilled", value);
        }
        return;
    }
    if (i < ARRAY_SIZE(limits->forbid) && (limits->forbid[i] & REG_SET(o->reg)) != 0) {
        fail(c, "an operand is in a register that it may not be in", value);
    }
    if (i < 8 && (limits->late >> i & 1) != 0 && o->reg == v->reg) {
        fail(c, "the result overwrites an operand that is read later", value);
    }
}

static void set_result(struct check *c, uint32_t value)
{
    const struct jit_target *target = c->j->target;
    struct jit_location at = alloc_location(c->ir, value);
    uint32_t place = place_of(&at);
    uint32_t allowed = c->j->allocation->spilled ? target->allocatable_spills : target->allocatable;
    if (at.place == PLACE_REG && (allowed & REG_SET(at.reg)) == 0) {
        fail(c, "a value is in a register that nobody may have", value);
    }
    if (at.place == PLACE_SLOT && (at.slot >= c->j->allocation->slot_count || !c->j->allocation->spilled)) {
        fail(c, "a value is in a slot that does not exist", value);
    }
    if (place < c->places) {
        c->now[place] = value;
    }
}

static void run_value(struct check *c, uint32_t value)
{
    struct ir_value *v = ir_at(c->ir, value);
    if (v->op == IR_PHI) { // the edges have set it
        return;
    }
    struct jit_constraint limits = {.result = IR_REG_NONE};
    memset(limits.operand, IR_REG_NONE, sizeof limits.operand);
    if (v->op != IR_PARAM) {
        c->j->target->constrain(c->j, v, &limits);
    }
    uint32_t count = ir_operand_count(v);
    for (uint32_t i = 0; i < count; i++) {
        check_operand(c, value, &limits, i);
    }
    for (uint32_t set = limits.clobbers; set != 0; set &= set - 1) {
        c->now[__builtin_ctz(set)] = IR_NONE;
    }
    set_result(c, value);
}

// --- edges ---------------------------------------------------------------------------------------

static void make_moves(struct check *c, uint32_t block)
{
    size_t mark = c->j->memory.used;
    struct jit_move *moves;
    uint32_t count;
    if (alloc_edge_moves(c->j, block, ALLOC_NO_SCRATCH, &moves, &count) != EBPF_SUCCESS) {
        fail(c, "", block);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t to = place_of(&moves[i].to), from = place_of(&moves[i].from);
        c->edge[to] = from == UINT32_MAX ? moves[i].from.value : c->edge[from];
    }
    jit_rewind(c->j, mark);
}

// c->edge holds what was there before the edge, with its moves made; PHIs must find operand k in their
// places.
static void set_phis(struct check *c, const struct ir_block *to, uint32_t k, uint32_t from)
{
    for (uint32_t v = to->first; ir_at(c->ir, v)->op == IR_PHI; v = ir_next(c->ir, v)) {
        struct jit_location at = alloc_location(c->ir, v);
        uint32_t place = place_of(&at), operand = ir_pool(c->ir, ir_at(c->ir, v))[k];
        if (place != UINT32_MAX && c->edge[place] != operand && ir_at(c->ir, operand)->op != IR_UNDEF) {
            fail(c, "an operand of a PHI is not in its place behind the edge", from);
        }
    }
    for (uint32_t v = to->first; ir_at(c->ir, v)->op == IR_PHI; v = ir_next(c->ir, v)) {
        set_result(c, v); // on c->now: see run_edge
    }
}

static void join(struct check *c, uint32_t block)
{
    uint32_t *state = c->states + (size_t)block * c->places;
    for (uint32_t p = 0; p < c->places; p++) {
        uint32_t met = state[p] == UNREACHED || state[p] == c->now[p] ? c->now[p] : IR_NONE;
        c->changed = c->changed || met != state[p];
        state[p] = met;
    }
}

static void run_edge(struct check *c, uint32_t block, uint32_t to, uint32_t k, const uint32_t *end)
{
    memcpy(c->edge, end, c->places * sizeof *c->edge);
    make_moves(c, block);
    memcpy(c->now, c->edge, c->places * sizeof *c->now);
    set_phis(c, ir_block_at(c->ir, to), k, block);
    join(c, to);
}

static bool has_phis(const struct ir *ir, uint32_t block)
{
    return ir_at(ir, ir_block_at(ir, block)->first)->op == IR_PHI;
}

// `end`: a copy of what places hold at the block's end.
static void run_edges(struct check *c, uint32_t block, uint32_t *end)
{
    const struct ir_block *b = ir_block_at(c->ir, block);
    uint32_t count = ir_successor_count(b), left = 0;
    memcpy(end, c->now, c->places * sizeof *end);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t to = ir_successor(b, i);
        if (count == 1 || !has_phis(c->ir, to)) {
            run_edge(c, block, to, b->edge, end);
        } else {
            left++;
        }
    }
    for (uint32_t e = c->first[block]; e != 0; e = c->edges[e].next, left--) {
        run_edge(c, block, c->edges[e].to, c->edges[e].k, end);
    }
    if (left != 0) {
        fail(c, "a block is not among the predecessors of its successor", block);
    }
}

static uint32_t count_edges(const struct ir *ir)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        count += ir_block_at(ir, ir->order[i])->pred_count;
    }
    return count;
}

static void list_edges(struct check *c)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < c->ir->order_count; i++) {
        uint32_t to = c->ir->order[i];
        const struct ir_block *b = ir_block_at(c->ir, to);
        for (uint32_t k = 0; k < b->pred_count && has_phis(c->ir, to); k++) {
            uint32_t from = b->preds[k];
            if (ir_successor_count(ir_block_at(c->ir, from)) > 1) {
                c->edges[count] = (struct edge){to, k, c->first[from]};
                c->first[from] = count++;
            }
        }
    }
}

// --- the whole function --------------------------------------------------------------------------

static void run_blocks(struct check *c, uint32_t *end)
{
    for (uint32_t i = 0; i < c->ir->order_count; i++) {
        uint32_t block = c->ir->order[i];
        const uint32_t *state = c->states + (size_t)block * c->places;
        if (state[0] == UNREACHED) {
            continue;
        }
        memcpy(c->now, state, c->places * sizeof *c->now);
        for (uint32_t v = ir_block_at(c->ir, block)->first; v != IR_NONE; v = ir_next(c->ir, v)) {
            run_value(c, v);
        }
        run_edges(c, block, end);
    }
}

static void run(struct check *c, uint32_t *end)
{
    memset(c->states, 0xff, (size_t)c->ir->block_count * c->places * sizeof *c->states);
    memset(c->states + (size_t)c->ir->entry * c->places, 0, c->places * sizeof *c->states);
    c->silent = c->changed = true;
    for (uint32_t round = 0; c->changed && round < ROUNDS_MAX; round++) {
        c->changed = false;
        run_blocks(c, end);
    }
    c->silent = false;
    run_blocks(c, end);
}

const char *alloc_check(struct jit *j, uint32_t *where)
{
    struct check c = {.j = j, .ir = &j->ir, .places = REGISTERS + j->allocation->slot_count};
    size_t mark = j->memory.used, peak = j->memory.peak;
    *where = 0;
    if ((size_t)j->ir.block_count * c.places > STATE_BYTES / sizeof *c.states) {
        return "";
    }
    c.states = jit_alloc(j, (size_t)j->ir.block_count * c.places, sizeof *c.states);
    c.now = jit_alloc(j, c.places, sizeof *c.now);
    c.edge = jit_alloc(j, c.places, sizeof *c.edge);
    c.first = jit_alloc(j, j->ir.block_count, sizeof *c.first);
    c.edges = jit_room(j, count_edges(c.ir) + 1, sizeof *c.edges);
    uint32_t *end = jit_alloc(j, c.places, sizeof *end);
    if (c.states != NULL && c.now != NULL && c.edge != NULL && c.first != NULL && c.edges != NULL &&
        end != NULL) {
        list_edges(&c);
        run(&c, end);
    } else {
        c.wrong = "";
    }
    jit_rewind(j, mark);
    j->memory.peak = peak;
    *where = c.where;
    return c.wrong;
}
