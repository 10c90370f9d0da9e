// SPDX-License-Identifier: MIT
// arm64_emit_atomic: atomic instructions of ARMv8.1 (LSE), or loops of exclusive accesses. Operations with a
// result are ordered like a full barrier, those without as a release, which is more than BPF's memory model
// asks for.
#include "jit/arm64_emit.h"

struct atomic {
    uint8_t op;    // IR_*
    uint8_t lse;   // A64_*
    uint8_t loop;  // A64_*: new = old op operand; A64_OP_COUNT: new = operand
    bool inverted; // the LSE instruction clears bits
    bool fetch;
};
static const struct atomic atomics[] = {
    {IR_ATOMIC_ADD, A64_LDADDAL, A64_ADD, false, false}, {IR_ATOMIC_OR, A64_LDSETAL, A64_ORR, false, false},
    {IR_ATOMIC_AND, A64_LDCLRAL, A64_AND, true, false},  {IR_ATOMIC_XOR, A64_LDEORAL, A64_EOR, false, false},
    {IR_FETCH_ADD, A64_LDADDAL, A64_ADD, false, true},   {IR_FETCH_OR, A64_LDSETAL, A64_ORR, false, true},
    {IR_FETCH_AND, A64_LDCLRAL, A64_AND, true, true},    {IR_FETCH_XOR, A64_LDEORAL, A64_EOR, false, true},
    {IR_XCHG, A64_SWPAL, A64_OP_COUNT, false, true},
};

static const struct atomic *find_atomic(unsigned op)
{
    for (size_t i = 0; i < ARRAY_SIZE(atomics); i++) {
        if (atomics[i].op == op) {
            return &atomics[i];
        }
    }
    return NULL;
}

// These instructions know no displacement.
static unsigned use_address(struct arm64_emitter *e, const struct ir_value *v)
{
    unsigned base = v->a != IR_NONE ? arm64_use(e, v->a, SCRATCH_A) : SCRATCH_A;
    if (v->a == IR_NONE) {
        arm64_put_number(e, SCRATCH_A, (uint64_t)(int64_t)v->disp);
    } else if (v->disp != 0) {
        arm64_put_add(e, 64, SCRATCH_A, base, v->disp);
        base = SCRATCH_A;
    }
    return base;
}

// A short branch back or forth by so many instructions.
static void put_near(struct arm64_emitter *e, uint32_t word, int instructions)
{
    (void)arm64_set_distance(&word, (int64_t)instructions * 4);
    arm64_put(e, word);
}

static void with_lse(struct arm64_emitter *e, const struct ir_value *v, const struct atomic *f)
{
    unsigned base = use_address(e, v), s = arm64_use_zero(e, v->c, SCRATCH_C);
    unsigned t = !f->fetch ? A64_ZR : v->reg != IR_REG_NONE ? v->reg : SCRATCH_D;
    if (f->inverted) {
        arm64_put(e, arm64_two(A64_ORN, v->width, SCRATCH_C, A64_ZR, s));
        s = SCRATCH_C;
    }
    arm64_put(e, arm64_atomic((enum arm64_op)f->lse, v->width, s, t, base));
    if (f->fetch) {
        arm64_keep(e, v, t);
    }
}

static void with_loop(struct arm64_emitter *e, const struct ir_value *v, const struct atomic *f)
{
    unsigned base = use_address(e, v), s = arm64_use_zero(e, v->c, SCRATCH_C), made = s;
    arm64_put(e, arm64_atomic(A64_LDXR, v->width, 0, SCRATCH_D, base));
    if (f->loop != A64_OP_COUNT) {
        made = SCRATCH_B;
        arm64_put(e, arm64_two((enum arm64_op)f->loop, v->width, made, SCRATCH_D, s));
    }
    arm64_put(e, arm64_atomic(A64_STLXR, v->width, SCRATCH_E, made, base));
    put_near(e, arm64_branch(A64_CBNZ, 32, SCRATCH_E, 0), f->loop != A64_OP_COUNT ? -3 : -2);
    if (f->fetch) {
        arm64_put(e, arm64_plain(A64_DMB_ISH));
        arm64_keep(e, v, SCRATCH_D);
    }
}

static void exchange_lse(struct arm64_emitter *e, const struct ir_value *v)
{
    unsigned base = use_address(e, v), made = arm64_use_zero(e, v->c, SCRATCH_C);
    unsigned expected = arm64_use_zero(e, v->b, SCRATCH_D);
    if (expected != SCRATCH_D) {
        arm64_put(e, arm64_two(A64_ORR, 64, SCRATCH_D, A64_ZR, expected));
    }
    arm64_put(e, arm64_atomic(A64_CASAL, v->width, SCRATCH_D, made, base));
    arm64_keep(e, v, SCRATCH_D);
}

static void exchange_loop(struct arm64_emitter *e, const struct ir_value *v)
{
    unsigned base = use_address(e, v), made = arm64_use_zero(e, v->c, SCRATCH_C);
    unsigned expected = arm64_use_zero(e, v->b, SCRATCH_B);
    arm64_put(e, arm64_atomic(A64_LDXR, v->width, 0, SCRATCH_D, base));
    arm64_put(e, arm64_two(A64_SUBS, v->width, A64_ZR, SCRATCH_D, expected));
    put_near(e, arm64_branch(A64_BCOND, 0, A64_NE, 0), 3);
    arm64_put(e, arm64_atomic(A64_STLXR, v->width, SCRATCH_E, made, base));
    put_near(e, arm64_branch(A64_CBNZ, 32, SCRATCH_E, 0), -4);
    arm64_put(e, arm64_plain(A64_DMB_ISH));
    arm64_keep(e, v, SCRATCH_D);
}

bool arm64_put_atomic(struct arm64_emitter *e, const struct ir_value *v)
{
    bool lse = (e->j->options->cpu & JIT_CPU_LSE) != 0;
    const struct atomic *f = find_atomic(v->op);
    if (v->op == IR_CMPXCHG) {
        if (lse) {
            exchange_lse(e, v);
        } else {
            exchange_loop(e, v);
        }
        return true;
    }
    if (f == NULL) {
        return false;
    }
    if (lse) {
        with_lse(e, v, f);
    } else {
        with_loop(e, v, f);
    }
    return true;
}
