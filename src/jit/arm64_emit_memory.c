// SPDX-License-Identifier: MIT
// arm64_emit_memory: loads, stores and address arithmetic. One instruction knows base + displacement or base
// + index << scale; everything else is added up in scratch registers first.
#include "jit/arm64_emit.h"

struct address {
    unsigned base, index, scale;
    bool indexed;
    int64_t disp;
};

// The base register; r10 is the stack pointer and a displacement.
static unsigned use_base(struct arm64_emitter *e, uint32_t value, int64_t *disp)
{
    if (value == IR_NONE) {
        arm64_put_number(e, SCRATCH_A, (uint64_t)*disp);
        *disp = 0;
        return SCRATCH_A;
    }
    if (alloc_location(e->ir, value).place == PLACE_FRAME) {
        *disp += e->program_frame;
        return A64_SP;
    }
    return arm64_use(e, value, SCRATCH_A);
}

// Adds the index, so that a base and a displacement are left.
static void add_index(struct arm64_emitter *e, struct address *at)
{
    arm64_put(e, arm64_add_extended(SCRATCH_A, at->base, at->index, at->scale));
    at->base = SCRATCH_A;
    at->indexed = false;
}

static struct address find_address(struct arm64_emitter *e, const struct ir_value *v)
{
    unsigned bits = v->width;
    struct address at = {.disp = v->disp, .scale = v->scale};
    at.base = use_base(e, v->a, &at.disp);
    if (v->b != IR_NONE && (ir_op_info(v->op)->flags & IR_ADDR) != 0) {
        at.index = arm64_use(e, v->b, SCRATCH_B);
        at.indexed = true;
        if (at.disp != 0 || !arm64_is_scale(bits, at.scale)) {
            add_index(e, &at);
        }
    }
    if (!at.indexed && !arm64_is_offset(bits, at.disp)) {
        arm64_put_number(e, SCRATCH_B, (uint64_t)at.disp);
        at.index = SCRATCH_B;
        at.scale = 0;
        at.indexed = true;
    }
    return at;
}

static void put_access(struct arm64_emitter *e, enum arm64_op op, const struct ir_value *v, unsigned t)
{
    struct address at = find_address(e, v);
    if (at.indexed) {
        arm64_put(e, arm64_memory_index(op, v->width, t, at.base, at.index, at.scale));
    } else {
        arm64_put(e, arm64_memory(op, v->width, t, at.base, at.disp));
    }
}

// d = n with its low `bits` bits in the other order, the rest zero.
static void swap(struct arm64_emitter *e, unsigned bits, unsigned d, unsigned n)
{
    arm64_put(e, bits == 64 ? arm64_one(A64_REV64, 64, d, n) : arm64_one(A64_REV32, 32, d, n));
    if (bits == 16) {
        arm64_put(e, arm64_bitfield(A64_UBFM, 32, d, d, 16, 31));
    }
}

static void load(struct arm64_emitter *e, const struct ir_value *v)
{
    unsigned d = arm64_result(v);
    put_access(e, v->op == IR_LOADS && v->width < 64 ? A64_LDRS : A64_LDR, v, d);
    if (v->op == IR_LOADBE && v->width > 8) {
        swap(e, v->width, d, d);
    }
    arm64_keep(e, v, d);
}

static void store(struct arm64_emitter *e, const struct ir_value *v)
{
    unsigned t = A64_ZR;
    if ((v->flags & IR_IMM) == 0) {
        t = arm64_use_zero(e, v->c, SCRATCH_C);
    } else if (v->imm != 0) {
        t = SCRATCH_C;
        arm64_put_number(e, t, (uint64_t)v->imm);
    }
    if (v->op == IR_STOREBE && v->width > 8) {
        swap(e, v->width, SCRATCH_C, t);
        t = SCRATCH_C;
    }
    put_access(e, A64_STR, v, t);
}

// --- address arithmetic --------------------------------------------------------------------------

static void add_indexed(struct arm64_emitter *e, const struct ir_value *v, unsigned d)
{
    unsigned n = v->a != IR_NONE ? arm64_use_zero(e, v->a, SCRATCH_A) : A64_ZR;
    unsigned m = arm64_use(e, v->b, SCRATCH_B);
    arm64_put(e, arm64_shifted(A64_ADD, v->width, d, n, m, A64_LSL, v->scale));
    if (v->disp != 0) {
        arm64_put_add(e, v->width, d, d, v->disp);
    }
}

static void put_lea(struct arm64_emitter *e, const struct ir_value *v)
{
    unsigned d = arm64_result(v);
    int64_t disp = v->disp;
    if (v->b != IR_NONE) {
        add_indexed(e, v, d);
    } else {
        unsigned n = use_base(e, v->a, &disp);
        arm64_put_add(e, n == A64_SP ? 64 : v->width, d, n, disp);
        if (n == A64_SP && v->width == 32) {
            arm64_put(e, arm64_two(A64_ORR, 32, d, A64_ZR, d));
        }
    }
    arm64_keep(e, v, d);
}

bool arm64_put_memory(struct arm64_emitter *e, const struct ir_value *v)
{
    switch (v->op) {
    case IR_LOAD:
    case IR_LOADS:
    case IR_LOADBE: load(e, v); return true;
    case IR_STORE:
    case IR_STOREBE: store(e, v); return true;
    case IR_LEA: put_lea(e, v); return true;
    default: return false;
    }
}
