// SPDX-License-Identifier: MIT
// x86_emit_place: where values are: registers, spill slots, constants made anew; and moves between them.
#include "jit/x86_emit.h"

// CONST, MAP and FRAME come from nothing. 32 bits of a constant are zero-extended.
void x86_make(struct x86_emitter *e, const struct ir_value *v, unsigned width, unsigned reg)
{
    int64_t imm = v->imm;
    switch (v->op) {
    case IR_MAP: imm = (int64_t)e->j->input->maps[v->imm].address; // fallthrough
    case IR_CONST:
        x86_mov_imm(&e->code, reg, width == 64 ? imm : (int64_t)(uint32_t)imm, e->keep_flags);
        break;
    case IR_FRAME: x86_rm(&e->code, X86_LEA, 64, reg, x86_frame(e, 0)); break;
    default: break; // UNDEF: anything
    }
}

void x86_fetch(struct x86_emitter *e, uint32_t value, unsigned width, unsigned reg)
{
    struct jit_location at = alloc_location(e->ir, value);
    switch (at.place) {
    case PLACE_REG:
        if (at.reg != reg) {
            x86_mov(&e->code, width, reg, at.reg);
        }
        break;
    case PLACE_SLOT: x86_load(&e->code, width, reg, x86_slot(e, at.slot)); break;
    default: x86_make(e, ir_at(e->ir, value), width, reg);
    }
}

void x86_finish_elsewhere(struct x86_emitter *e, const struct ir_value *v, unsigned reg)
{
    if (v->reg != IR_REG_NONE) {
        x86_mov(&e->code, 64, v->reg, reg);
    } else if (v->slot != 0) {
        x86_store(&e->code, 64, x86_slot(e, v->slot - 1), reg);
    }
}

// --- moves ---------------------------------------------------------------------------------------

// Slots are there only when something is spilled: then the second scratch register is free.
static void move_to_memory(struct x86_emitter *e, struct x86_mem to, const struct jit_location *from)
{
    const struct ir_value *v = ir_at(e->ir, from->value);
    if (from->place == PLACE_REG) {
        x86_store(&e->code, 64, to, from->reg);
    } else if (from->place == PLACE_SLOT) {
        x86_load(&e->code, 64, X86_SCRATCH2, x86_slot(e, from->slot));
        x86_store(&e->code, 64, to, X86_SCRATCH2);
    } else if (v->op == IR_CONST && x86_fits32(v->imm)) {
        x86_store_imm(&e->code, 64, to, (int32_t)v->imm);
    } else {
        x86_make(e, v, 64, X86_SCRATCH2);
        x86_store(&e->code, 64, to, X86_SCRATCH2);
    }
}

void x86_move(struct x86_emitter *e, const struct jit_move *m)
{
    if (m->from.place == PLACE_NONE || m->to.place == PLACE_NONE) {
        return;
    }
    if (m->to.place == PLACE_SLOT) {
        move_to_memory(e, x86_slot(e, m->to.slot), &m->from);
    } else if (m->from.place == PLACE_REG) {
        if (m->from.reg != m->to.reg) {
            x86_mov(&e->code, 64, m->to.reg, m->from.reg);
        }
    } else if (m->from.place == PLACE_SLOT) {
        x86_load(&e->code, 64, m->to.reg, x86_slot(e, m->from.slot));
    } else {
        x86_make(e, ir_at(e->ir, m->from.value), 64, m->to.reg);
    }
}

// Stack arguments go first: what they read is still where it was, and the scratch register is free.
static void stack_move(struct x86_emitter *e, const struct jit_move *m)
{
    unsigned reg = X86_SCRATCH;
    if (m->from.place == PLACE_REG) {
        reg = m->from.reg;
    } else {
        struct jit_move through = {x86_in_reg(reg), m->from};
        x86_move(e, &through);
    }
    x86_store(&e->code, 64, x86_at(X86_RSP, (int32_t)m->to.slot), reg);
}

void x86_moves(struct x86_emitter *e, const struct jit_move *moves, uint32_t count)
{
    struct jit_move rest[8], ordered[16];
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (moves[i].from.place == PLACE_NONE) {
            continue;
        }
        if (moves[i].to.place == PLACE_STACK_ARG) {
            stack_move(e, &moves[i]);
        } else {
            rest[n++] = moves[i];
        }
    }
    n = alloc_order_moves(rest, n, X86_SCRATCH, ordered);
    for (uint32_t i = 0; i < n; i++) {
        x86_move(e, &ordered[i]);
    }
}

// --- shuffles ------------------------------------------------------------------------------------

// How many moves that are left read a register: four bits for each.
static uint64_t reader(unsigned from)
{
    return from < X86_REG_COUNT ? UINT64_C(1) << 4 * from : 0;
}

static void make_move(struct x86_emitter *e, unsigned to, unsigned from)
{
    if (from < X86_REG_COUNT) {
        x86_mov(&e->code, 64, to, from);
    } else {
        x86_load(&e->code, 64, to, x86_slot(e, from - X86_REG_COUNT));
    }
}

// Makes the moves from `first` on whose destination nobody reads any more, the last one first; those that are
// left are at the end. Returns where they start.
static uint32_t make_free_ones(struct x86_emitter *e, struct x86_shuffle *s, uint32_t first,
                               uint64_t *readers)
{
    uint32_t left = s->count;
    for (uint32_t i = s->count; i-- > first;) {
        unsigned to = s->to[i], from = s->from[i];
        if ((*readers & 15 * reader(to)) == 0) {
            *readers -= reader(from);
            make_move(e, to, from);
        } else {
            left--;
            s->to[left] = (uint8_t)to;
            s->from[left] = (uint16_t)from;
        }
    }
    return left;
}

void x86_shuffle_make(struct x86_emitter *e, struct x86_shuffle *s)
{
    uint64_t readers = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        readers += reader(s->from[i]);
    }
    for (uint32_t first = 0; first < s->count;) {
        uint32_t left = make_free_ones(e, s, first, &readers);
        if (left == first) { // cycles: one of their values waits in the scratch register
            make_move(e, X86_SCRATCH, s->from[left]);
            readers += reader(X86_SCRATCH) - reader(s->from[left]);
            s->from[left] = X86_SCRATCH;
        }
        first = left;
    }
    for (uint32_t i = 0; i < s->made_count; i++) {
        x86_make(e, ir_at(e->ir, s->made[i]), 64, s->made_to[i]);
    }
}
