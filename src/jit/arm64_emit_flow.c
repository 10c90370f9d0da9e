// SPDX-License-Identifier: MIT
// arm64_emit_flow: comparisons, branches, jump tables.
#include "jit/arm64_emit.h"

// Where execution goes on without a branch.
static uint32_t next_block(const struct arm64_emitter *e)
{
    uint32_t next = e->position + 1;
    return next < e->ir->order_count ? e->ir->order[next] : IR_NONE;
}

// --- conditions ----------------------------------------------------------------------------------

static const uint8_t conditions[IR_COND_COUNT] = {
    [IR_EQ] = A64_EQ,  [IR_NE] = A64_NE,  [IR_ULT] = A64_LO, [IR_UGE] = A64_HS,
    [IR_ULE] = A64_LS, [IR_UGT] = A64_HI, [IR_SLT] = A64_LT, [IR_SGE] = A64_GE,
    [IR_SLE] = A64_LE, [IR_SGT] = A64_GT, [IR_SET] = A64_NE, [IR_CLEAR] = A64_EQ,
};

static int64_t imm_of(const struct ir_value *v)
{
    return v->cwidth == 32 ? (int64_t)(int32_t)v->imm : v->imm;
}

static bool is_bit_test(const struct ir_value *v)
{
    return v->cond == IR_SET || v->cond == IR_CLEAR;
}

// Flags of n against a number; false: it does not fit an instruction.
static bool compare_imm(struct arm64_emitter *e, const struct ir_value *v, unsigned n)
{
    uint32_t field;
    uint64_t imm = (uint64_t)imm_of(v);
    if (is_bit_test(v)) {
        if (!arm64_bitmask(imm, v->cwidth, &field)) {
            return false;
        }
        arm64_put(e, arm64_logic_imm(A64_ANDSI, v->cwidth, A64_ZR, n, field));
    } else if (arm64_imm12(imm, &field)) {
        arm64_put(e, arm64_add_imm(A64_SUBSI, v->cwidth, A64_ZR, n, field));
    } else if (arm64_imm12(0 - imm, &field)) {
        arm64_put(e, arm64_add_imm(A64_ADDSI, v->cwidth, A64_ZR, n, field));
    } else {
        return false;
    }
    return true;
}

enum arm64_cond arm64_put_compare(struct arm64_emitter *e, const struct ir_value *v)
{
    unsigned n = arm64_use(e, v->a, SCRATCH_A), m = SCRATCH_B;
    bool imm = (v->flags & IR_IMM) != 0;
    if (!imm || !compare_imm(e, v, n)) {
        if (imm) {
            arm64_put_number(e, m, (uint64_t)imm_of(v));
        } else {
            m = arm64_use_zero(e, v->b, SCRATCH_B);
        }
        arm64_put(e, arm64_two(is_bit_test(v) ? A64_ANDS : A64_SUBS, v->cwidth, A64_ZR, n, m));
    }
    return (enum arm64_cond)conditions[v->cond];
}

// --- branches ------------------------------------------------------------------------------------

// A conditional jump before it has a target.
struct jump {
    enum arm64_op op;
    unsigned width, t, bit;
};

static void invert(struct jump *jump)
{
    switch (jump->op) {
    case A64_CBZ: jump->op = A64_CBNZ; break;
    case A64_CBNZ: jump->op = A64_CBZ; break;
    case A64_TBZ: jump->op = A64_TBNZ; break;
    case A64_TBNZ: jump->op = A64_TBZ; break;
    default: jump->t ^= 1; break;
    }
}

static bool is_zero_test(const struct ir_value *v)
{
    return (v->cond == IR_EQ || v->cond == IR_NE) && imm_of(v) == 0;
}

// The bit that a branch on one bit looks at.
static bool find_bit(const struct ir_value *v, unsigned *bit)
{
    uint64_t imm = (uint64_t)imm_of(v);
    if (v->cwidth == 32) {
        imm = (uint32_t)imm;
    }
    if (is_bit_test(v) && imm != 0 && (imm & (imm - 1)) == 0) {
        *bit = (unsigned)__builtin_ctzll(imm);
        return true;
    }
    *bit = v->cwidth - 1u;
    return (v->cond == IR_SLT || v->cond == IR_SGE) && imm == 0;
}

static struct jump put_test(struct arm64_emitter *e, const struct ir_value *v)
{
    bool imm = (v->flags & IR_IMM) != 0;
    unsigned bit;
    if (imm && is_zero_test(v)) {
        unsigned t = arm64_use(e, v->a, SCRATCH_A);
        return (struct jump){v->cond == IR_EQ ? A64_CBZ : A64_CBNZ, v->cwidth, t, 0};
    }
    if (imm && e->reach == REACH_BIT && find_bit(v, &bit)) {
        bool set = v->cond == IR_SET || v->cond == IR_SLT;
        return (struct jump){set ? A64_TBNZ : A64_TBZ, 64, arm64_use(e, v->a, SCRATCH_A), bit};
    }
    return (struct jump){A64_BCOND, 64, arm64_put_compare(e, v), 0};
}

static void put_jump(struct arm64_emitter *e, uint32_t to)
{
    arm64_put_fix(e, arm64_branch(A64_B, 64, 0, 0), FIX_BLOCK, to);
}

static void put_conditional(struct arm64_emitter *e, struct jump jump, uint32_t to)
{
    if (e->reach != REACH_FAR) {
        arm64_put_fix(e, arm64_branch(jump.op, jump.width, jump.t, jump.bit), FIX_BLOCK, to);
        return;
    }
    invert(&jump);
    uint32_t over = arm64_branch(jump.op, jump.width, jump.t, jump.bit);
    (void)arm64_set_distance(&over, 8);
    arm64_put(e, over);
    put_jump(e, to);
}

static void branch(struct arm64_emitter *e, const struct ir_value *v)
{
    const struct ir_block *b = ir_block_at(e->ir, v->block);
    uint32_t yes = b->succ[0], no = b->succ[1], next = next_block(e);
    struct jump jump = put_test(e, v);
    if (yes == next) {
        invert(&jump);
        put_conditional(e, jump, no);
        return;
    }
    put_conditional(e, jump, yes);
    if (no != next) {
        put_jump(e, no);
    }
}

// The RET of a block that does nothing else, or NULL.
static struct ir_value *only_return(const struct ir *ir, uint32_t block)
{
    uint32_t v = ir_block_at(ir, block)->first;
    while (v != IR_NONE && ir_at(ir, v)->op == IR_PHI) {
        v = ir_next(ir, v);
    }
    return v != IR_NONE && ir_at(ir, v)->op == IR_RET ? ir_at(ir, v) : NULL;
}

// A short return is written again instead of jumped to.
static ebpf_result_t jump(struct arm64_emitter *e, const struct ir_value *v)
{
    uint32_t to = ir_block_at(e->ir, v->block)->succ[0];
    struct ir_value *end = only_return(e->ir, to);
    if (to == next_block(e)) {
        return EBPF_SUCCESS;
    }
    if (end != NULL && e->saved_count <= 2) {
        return arm64_put_return(e, end);
    }
    if (alloc_copies_tail(e->ir, v->block, to, &e->tail_room)) {
        e->tail = to;
    } else {
        put_jump(e, to);
    }
    return EBPF_SUCCESS;
}

// The table is code: a landing pad and a branch for each target.
static void jump_table(struct arm64_emitter *e, const struct ir_value *v)
{
    const struct ir_block *b = ir_block_at(e->ir, v->block);
    bool landing = !e->j->options->no_landing;
    unsigned n = arm64_use(e, v->a, SCRATCH_B);
    uint32_t adr = arm64_adr(SCRATCH_A);
    (void)arm64_set_distance(&adr, 12);
    arm64_put(e, adr);
    arm64_put(e, arm64_add_extended(SCRATCH_A, SCRATCH_A, n, landing ? 3 : 2));
    arm64_put(e, arm64_jump_register(A64_BR, SCRATCH_A));
    for (uint32_t i = 0; i < b->target_count; i++) {
        if (landing) {
            arm64_put(e, arm64_plain(A64_BTI_J));
        }
        put_jump(e, b->targets[i]);
    }
}

ebpf_result_t arm64_put_flow(struct arm64_emitter *e, const struct ir_value *v)
{
    switch (v->op) {
    case IR_JUMP: return jump(e, v);
    case IR_BRANCH: branch(e, v); return EBPF_SUCCESS;
    default: jump_table(e, v); return EBPF_SUCCESS;
    }
}
