// SPDX-License-Identifier: MIT
// arm64_emit_place: numbers, operands and results wherever the allocator put them, and moves between places.
#include "jit/arm64_emit.h"

void arm64_put_number(struct arm64_emitter *e, unsigned reg, uint64_t imm)
{
    uint32_t words[4];
    unsigned count = arm64_move_imm(reg, imm, words);
    for (unsigned i = 0; i < count; i++) {
        arm64_put(e, words[i]);
    }
}

void arm64_put_add(struct arm64_emitter *e, unsigned width, unsigned reg, unsigned n, int64_t imm)
{
    uint32_t field;
    if (arm64_imm12((uint64_t)imm, &field)) {
        arm64_put(e, arm64_add_imm(A64_ADDI, width, reg, n, field));
    } else if (arm64_imm12(0 - (uint64_t)imm, &field)) {
        arm64_put(e, arm64_add_imm(A64_SUBI, width, reg, n, field));
    } else {
        unsigned number = n == SCRATCH_B ? SCRATCH_A : SCRATCH_B;
        arm64_put_number(e, number, (uint64_t)imm);
        arm64_put(e, width == 64 ? arm64_add_extended(reg, n, number, 0)
                                 : arm64_two(A64_ADD, width, reg, n, number));
    }
}

static int64_t slot_offset(uint32_t slot)
{
    return (int64_t)slot * 8;
}

static uint64_t number_of(const struct arm64_emitter *e, uint32_t value)
{
    const struct ir_value *v = ir_at(e->ir, value);
    return v->op == IR_MAP ? e->j->input->maps[v->imm].address : (uint64_t)v->imm;
}

// What is at `from`, in a register: its own or `scratch`.
static unsigned fetch(struct arm64_emitter *e, struct jit_location from, unsigned scratch)
{
    switch (from.place) {
    case PLACE_REG: return from.reg;
    case PLACE_SLOT:
        arm64_put(e, arm64_memory(A64_LDR, 64, scratch, A64_SP, slot_offset(from.slot)));
        return scratch;
    case PLACE_CONST: arm64_put_number(e, scratch, number_of(e, from.value)); return scratch;
    case PLACE_FRAME: arm64_put_add(e, 64, scratch, A64_SP, e->program_frame); return scratch;
    default:
        arm64_put_number(e, scratch, 0);
        return scratch; // undefined: any value will do, but a stable one
    }
}

unsigned arm64_use(struct arm64_emitter *e, uint32_t value, unsigned scratch)
{
    return fetch(e, alloc_location(e->ir, value), scratch);
}

unsigned arm64_use_zero(struct arm64_emitter *e, uint32_t value, unsigned scratch)
{
    struct jit_location from = alloc_location(e->ir, value);
    if (from.place == PLACE_NONE || (from.place == PLACE_CONST && number_of(e, from.value) == 0)) {
        return A64_ZR;
    }
    return fetch(e, from, scratch);
}

unsigned arm64_result(const struct ir_value *v)
{
    return v->reg != IR_REG_NONE ? v->reg : SCRATCH_A;
}

void arm64_keep(struct arm64_emitter *e, const struct ir_value *v, unsigned reg)
{
    if (v->reg != IR_REG_NONE) {
        if (v->reg != reg) {
            arm64_put(e, arm64_two(A64_ORR, 64, v->reg, A64_ZR, reg));
        }
    } else if (v->slot != 0) {
        arm64_put(e, arm64_memory(A64_STR, 64, reg, A64_SP, slot_offset(v->slot - 1)));
    }
}

struct jit_location arm64_in(unsigned reg)
{
    return (struct jit_location){.place = PLACE_REG, .reg = (uint8_t)reg};
}

static void move(struct arm64_emitter *e, struct jit_location to, struct jit_location from)
{
    if (from.place == PLACE_NONE) {
        return;
    }
    unsigned reg = fetch(e, from, to.place == PLACE_REG ? to.reg : SCRATCH_C);
    if (to.place == PLACE_SLOT) {
        arm64_put(e, arm64_memory(A64_STR, 64, reg, A64_SP, slot_offset(to.slot)));
    } else if (to.place == PLACE_REG && reg != to.reg) {
        arm64_put(e, arm64_two(A64_ORR, 64, to.reg, A64_ZR, reg));
    }
}

void arm64_put_moves(struct arm64_emitter *e, const struct jit_move *moves, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        move(e, moves[i].to, moves[i].from);
    }
}

ebpf_result_t arm64_put_parallel(struct arm64_emitter *e, const struct jit_move *moves, uint32_t count)
{
    struct jit_move ordered[2 * 7]; // parameters are 7 at most
    if (count > ARRAY_SIZE(ordered) / 2) {
        return EBPF_JIT_COMPILATION_FAILED;
    }
    uint32_t n = alloc_order_moves(moves, count, SCRATCH_B, ordered);
    arm64_put_moves(e, ordered, n);
    return EBPF_SUCCESS;
}
