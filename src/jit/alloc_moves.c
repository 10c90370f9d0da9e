// SPDX-License-Identifier: MIT
// alloc_moves: moves that happen at once, one by one.
#include "jit/alloc.h"

bool alloc_same_place(const struct jit_location *a, const struct jit_location *b)
{
    if (a->place != b->place) {
        return false;
    }
    switch (a->place) {
    case PLACE_REG: return a->reg == b->reg;
    case PLACE_SLOT:
    case PLACE_STACK_ARG: return a->slot == b->slot;
    default: return false;
    }
}

// --- order ---------------------------------------------------------------------------------------

// The moves that are left lie at the end of the buffer while those in order fill it from its start. A cycle
// adds one move and has at least two, so there is room enough.
struct order {
    struct jit_move *out, *left;
    uint32_t out_count, left_count;
    uint32_t readers[32]; // moves that are left and read the register
};

static bool reads(const struct jit_move *m)
{
    return m->from.place == PLACE_REG || m->from.place == PLACE_SLOT;
}

static void count_reader(struct order *o, const struct jit_location *from, uint32_t change)
{
    if (from->place == PLACE_REG) {
        o->readers[from->reg] += change;
    }
}

static bool is_read(const struct order *o, const struct jit_location *place)
{
    if (place->place == PLACE_REG) {
        return o->readers[place->reg] != 0;
    }
    for (uint32_t i = 0; i < o->left_count && place->place == PLACE_SLOT; i++) {
        if (alloc_same_place(&o->left[i].from, place)) {
            return true;
        }
    }
    return false;
}

static void keep(struct order *o, const struct jit_move *move)
{
    *--o->left = *move;
    o->left_count++;
    count_reader(o, &move->from, 1);
}

static void make(struct order *o, uint32_t i)
{
    struct jit_move move = o->left[i];
    count_reader(o, &move.from, UINT32_MAX);
    memmove(o->left + 1, o->left, i * sizeof move);
    o->left++;
    o->left_count--;
    o->out[o->out_count++] = move;
}

// All moves whose destination nobody reads any more.
static void make_free_ones(struct order *o)
{
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < o->left_count;) {
            if (is_read(o, &o->left[i].to)) {
                i++;
            } else {
                make(o, i);
                changed = true;
            }
        }
    }
}

// What is left are cycles: one of their values waits in the scratch register.
static void break_cycle(struct order *o, uint8_t scratch)
{
    struct jit_move *last = &o->left[o->left_count - 1];
    struct jit_location place = {.place = PLACE_REG, .reg = scratch};
    o->out[o->out_count++] = (struct jit_move){.to = place, .from = last->from};
    count_reader(o, &last->from, UINT32_MAX);
    last->from = place;
    count_reader(o, &place, 1);
}

uint32_t alloc_order_moves(const struct jit_move *moves, uint32_t count, uint8_t scratch,
                           struct jit_move *out)
{
    struct order o = {.out = out, .left = out + 2 * (size_t)count};
    for (uint32_t i = 0; i < count; i++) {
        if (reads(&moves[i]) && moves[i].to.place != PLACE_NONE &&
            !alloc_same_place(&moves[i].to, &moves[i].from)) {
            keep(&o, &moves[i]);
        }
    }
    make_free_ones(&o);
    while (o.left_count != 0) {
        break_cycle(&o, scratch);
        make_free_ones(&o);
    }
    for (uint32_t i = 0; i < count; i++) { // what reads nothing can wait, the scratch register is free by now
        if (!reads(&moves[i]) && moves[i].from.place != PLACE_NONE && moves[i].to.place != PLACE_NONE) {
            o.out[o.out_count++] = moves[i];
        }
    }
    return o.out_count;
}

// --- edges ---------------------------------------------------------------------------------------

static uint32_t count_phis(const struct ir *ir, const struct ir_block *b)
{
    uint32_t count = 0;
    for (uint32_t v = b->first; ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
        count++;
    }
    return count;
}

// For the PHIs of the successor; how many there are.
static uint32_t collect(const struct ir *ir, const struct ir_block *b, struct jit_move *moves)
{
    const struct ir_block *to = ir_block_at(ir, ir_successor(b, 0));
    uint32_t count = 0;
    for (uint32_t v = to->first; ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
        uint32_t operand = ir_pool(ir, ir_at(ir, v))[b->edge];
        moves[count] = (struct jit_move){.to = alloc_location(ir, v), .from = alloc_location(ir, operand)};
        count += !alloc_same_place(&moves[count].to, &moves[count].from);
    }
    return count;
}

ebpf_result_t alloc_edge_moves(struct jit *j, uint32_t block, uint8_t scratch, struct jit_move **moves,
                               uint32_t *count)
{
    const struct ir_block *b = ir_block_at(&j->ir, block);
    *count = 0;
    *moves = NULL;
    if (ir_successor_count(b) != 1) {
        return EBPF_SUCCESS;
    }
    uint32_t phis = count_phis(&j->ir, ir_block_at(&j->ir, ir_successor(b, 0)));
    if (phis == 0) {
        return EBPF_SUCCESS;
    }
    struct jit_move *all = jit_room(j, phis, sizeof *all);
    if (all == NULL) {
        return EBPF_NO_MEMORY;
    }
    uint32_t made = collect(&j->ir, b, all);
    *moves = jit_room(j, 2 * (size_t)made, sizeof *all);
    if (*moves == NULL) {
        return EBPF_NO_MEMORY;
    }
    *count = alloc_order_moves(all, made, scratch, *moves);
    return EBPF_SUCCESS;
}
