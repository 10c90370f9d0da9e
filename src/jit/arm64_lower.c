// SPDX-License-Identifier: MIT
// arm64_lower: what A64 has no instruction for becomes other operations, and what one instruction can do
// becomes one operation. The emitter can do with any number and address; here they are brought to forms that
// cost nothing.
#include "jit/arm64_emit.h"
#include "jit/lower_address.h"

#define SHARED 16 // numbers of loops that are kept in mind

struct lowering {
    struct jit *j;
    struct ir *ir;
    uint32_t block, after; // new values go behind `after`
    uint32_t pc;
    bool full;
    uint32_t shared[SHARED]; // CONSTs in the first block
    uint32_t shared_count;
};

// --- new values ----------------------------------------------------------------------------------

static uint32_t insert(struct lowering *l, uint32_t value)
{
    if (value == IR_NONE) {
        l->full = true;
        return IR_NONE;
    }
    ir_at(l->ir, value)->pc = l->pc;
    ir_insert_after(l->ir, l->block, l->after, value);
    l->after = value;
    return value;
}

static uint32_t two(struct lowering *l, enum ir_op op, uint8_t width, uint32_t a, uint32_t b)
{
    return insert(l, ir_new(l->j, op, width, a, b, 0));
}

static uint32_t with_imm(struct lowering *l, enum ir_op op, uint8_t width, uint32_t a, uint64_t imm)
{
    uint32_t value = ir_new(l->j, op, width, a, IR_NONE, (int64_t)imm);
    if (value != IR_NONE) {
        ir_at(l->ir, value)->flags = IR_IMM;
    }
    return insert(l, value);
}

// In loops a number is made in front of them, once for all who need it.
static uint32_t constant(struct lowering *l, int64_t number)
{
    bool loop = ir_block_at(l->ir, l->block)->loop != IR_NONE;
    for (uint32_t i = 0; loop && i < l->shared_count; i++) {
        if (ir_at(l->ir, l->shared[i])->imm == number) {
            return l->shared[i];
        }
    }
    uint32_t value = ir_new(l->j, IR_CONST, 64, IR_NONE, IR_NONE, number);
    if (value == IR_NONE || !loop) {
        return insert(l, value);
    }
    ir_insert_after(l->ir, l->ir->entry, IR_NONE, value);
    if (l->shared_count < SHARED) {
        l->shared[l->shared_count++] = value;
    }
    return value;
}

// --- numbers -------------------------------------------------------------------------------------

static bool is_comparison(const struct ir_value *v)
{
    return v->op == IR_BRANCH || v->op == IR_SELECT;
}

static bool fits_sum(int64_t imm)
{
    uint32_t field;
    return arm64_imm12((uint64_t)imm, &field) || arm64_imm12(0 - (uint64_t)imm, &field);
}

static bool is_shift_op(unsigned op)
{
    return op == IR_SHL || op == IR_SHR || op == IR_SAR || op == IR_ROL;
}

// Whether the operation can have this number in its second operand.
static bool fits(const struct ir_value *v, int64_t imm)
{
    uint32_t field;
    unsigned width = is_comparison(v) ? v->cwidth : v->width;
    bool test = is_comparison(v) && (v->cond == IR_SET || v->cond == IR_CLEAR);
    imm = width == 32 ? (int64_t)(int32_t)imm : imm;
    switch (v->op) {
    case IR_BRANCH:
    case IR_SELECT:
    case IR_ADD:
    case IR_SUB: return test ? arm64_bitmask((uint64_t)imm, width, &field) : fits_sum(imm);
    case IR_AND:
    case IR_OR: return arm64_bitmask((uint64_t)imm, width, &field);
    case IR_XOR: return imm == -1 || arm64_bitmask((uint64_t)imm, width, &field); // -1: MVN
    default: return is_shift_op(v->op);
    }
}

static void exchange(uint32_t *a, uint32_t *b)
{
    uint32_t first = *a;
    *a = *b;
    *b = first;
}

static const uint8_t mirrored[IR_COND_COUNT] = {
    [IR_EQ] = IR_EQ,   [IR_NE] = IR_NE,   [IR_ULT] = IR_UGT, [IR_UGE] = IR_ULE,
    [IR_ULE] = IR_UGE, [IR_UGT] = IR_ULT, [IR_SLT] = IR_SGT, [IR_SGE] = IR_SLE,
    [IR_SLE] = IR_SGE, [IR_SGT] = IR_SLT, [IR_SET] = IR_SET, [IR_CLEAR] = IR_CLEAR,
};

// A number stands second.
static void put_constant_second(const struct ir *ir, struct ir_value *v)
{
    int64_t imm;
    bool swaps = is_comparison(v) || (ir_op_info(v->op)->flags & IR_COMM) != 0;
    if (!swaps || !ir_is_const(ir, ir_resolve(ir, v->a), &imm) ||
        ir_is_const(ir, ir_resolve(ir, v->b), &imm)) {
        return;
    }
    exchange(&v->a, &v->b);
    v->cond = is_comparison(v) ? mirrored[v->cond] : v->cond;
}

static void take_number(struct lowering *l, struct ir_value *v)
{
    int64_t imm;
    if ((v->flags & IR_IMM) != 0 || (ir_op_info(v->op)->flags & IR_IMM_B) == 0) {
        return;
    }
    put_constant_second(l->ir, v);
    if (ir_is_const(l->ir, ir_resolve(l->ir, v->b), &imm) && fits(v, imm)) {
        v->b = IR_NONE;
        v->imm = is_shift_op(v->op) ? imm & (v->width - 1) : imm;
        v->flags |= IR_IMM;
    }
}

static void take_zero(struct lowering *l, struct ir_value *v)
{
    int64_t imm;
    if (v->op == IR_STORE && (v->flags & IR_IMM) == 0 && ir_is_const(l->ir, ir_resolve(l->ir, v->c), &imm) &&
        imm == 0) {
        v->c = IR_NONE;
        v->imm = 0;
        v->flags |= IR_IMM;
    }
}

// r10 is the stack pointer and a number that is not known yet, but small.
static bool is_frame(const struct jit *j, uint32_t value)
{
    return value != IR_NONE && ir_at(&j->ir, value)->op == IR_FRAME;
}

// r10 and a number: the stack pointer and another number.
static void become_frame_address(const struct ir *ir, struct ir_value *v)
{
    v->a = ir_resolve(ir, v->a);
    v->op = IR_LEA;
    v->disp = (int32_t)v->imm;
    v->scale = 0;
    v->imm = 0;
    v->flags &= (uint8_t)~IR_IMM;
}

// A number that does not fit becomes a value, which can stay in a register.
static void free_number(struct lowering *l, struct ir_value *v)
{
    v->mark = 0; // for mark_numbers
    if ((v->flags & IR_IMM) == 0) {
        return;
    }
    if (v->op == IR_ADD && v->width == 64 && is_frame(l->j, ir_resolve(l->ir, v->a)) &&
        v->imm == (int32_t)v->imm) {
        become_frame_address(l->ir, v);
        return;
    }
    bool store = v->op == IR_STORE || v->op == IR_STOREBE;
    if (store ? v->imm == 0 : fits(v, v->imm)) {
        return;
    }
    *(store ? &v->c : &v->b) = constant(l, v->imm);
    v->flags &= (uint8_t)~IR_IMM;
    v->imm = 0;
}

// --- numbers in loops ----------------------------------------------------------------------------

// Numbers that an operation needs in a register are marked; PHIs and calls get theirs by moves.
static void mark_numbers(struct lowering *l, struct ir_value *v)
{
    if (ir_op_info(v->op)->operands[0] == 'p') {
        return;
    }
    for (uint32_t i = 0; i < ir_operand_count(v); i++) {
        ir_at(l->ir, *ir_operand(l->ir, v, i))->mark = 1;
    }
}

static void hoist_number(struct lowering *l, struct ir_value *v)
{
    if (v->op == IR_CONST && v->mark != 0 && ir_block_at(l->ir, l->block)->loop != IR_NONE) {
        uint32_t shared = constant(l, v->imm);
        if (shared != IR_NONE) {
            ir_become_copy(l->ir, (uint32_t)(l->ir->top - v), shared);
        }
    }
}

// --- operations ----------------------------------------------------------------------------------

// Sums of bits in ever larger fields.
static void count_bits(struct lowering *l, struct ir_value *v)
{
    uint8_t width = v->width;
    uint64_t low = width == 64 ? UINT64_MAX : UINT32_MAX;
    uint32_t x = v->a, t = with_imm(l, IR_SHR, width, x, 1);
    x = two(l, IR_SUB, width, x, with_imm(l, IR_AND, width, t, 0x5555555555555555 & low));
    t = with_imm(l, IR_AND, width, with_imm(l, IR_SHR, width, x, 2), 0x3333333333333333 & low);
    x = two(l, IR_ADD, width, with_imm(l, IR_AND, width, x, 0x3333333333333333 & low), t);
    t = two(l, IR_ADD, width, x, with_imm(l, IR_SHR, width, x, 4));
    x = with_imm(l, IR_AND, width, t, 0x0f0f0f0f0f0f0f0f & low);
    uint32_t factor = constant(l, (int64_t)(0x0101010101010101 & low));
    v->op = IR_SHR;
    v->a = two(l, IR_MUL, width, x, factor);
    v->flags = IR_IMM;
    v->imm = width - 8;
}

// The shift count, when `value` is a shift of this kind by a number.
static bool is_shift(const struct ir *ir, uint32_t value, unsigned op, unsigned width, unsigned *count)
{
    const struct ir_value *v = ir_at(ir, value);
    *count = (unsigned)v->imm;
    return v->op == op && v->width == width && (v->flags & IR_IMM) != 0;
}

static void become_bits(struct ir_value *v, uint32_t of, unsigned first, unsigned count)
{
    v->op = IR_BITS;
    v->a = of;
    v->b = IR_NONE;
    v->flags &= (uint8_t)~IR_IMM;
    v->disp = (int32_t)first;
    v->imm = count;
}

// (x >> n) & 0..01..1, (x << m) >> n.
static void find_bits(struct lowering *l, struct ir_value *v)
{
    unsigned inner, width = v->width, outer = (unsigned)v->imm;
    if ((v->flags & IR_IMM) == 0 || (v->op != IR_AND && v->op != IR_SHR)) {
        return;
    }
    uint32_t a = ir_resolve(l->ir, v->a);
    uint64_t mask = width == 32 ? (uint32_t)v->imm : (uint64_t)v->imm;
    if (v->op == IR_AND && mask != 0 && (mask & (mask + 1)) == 0 &&
        is_shift(l->ir, a, IR_SHR, width, &inner)) {
        unsigned count = mask == UINT64_MAX ? 64 : (unsigned)__builtin_ctzll(mask + 1);
        become_bits(v, ir_at(l->ir, a)->a, inner, count < width - inner ? count : width - inner);
    } else if (v->op == IR_SHR && is_shift(l->ir, a, IR_SHL, width, &inner) && inner != 0 && outer >= inner) {
        become_bits(v, ir_at(l->ir, a)->a, outer - inner, width - outer);
    }
}

static bool is_inverse(const struct ir *ir, uint32_t value, unsigned width)
{
    const struct ir_value *v = ir_at(ir, value);
    bool ones = width == 32 ? (uint32_t)v->imm == UINT32_MAX : v->imm == -1;
    return v->op == IR_XOR && v->width == width && (v->flags & IR_IMM) != 0 && ones;
}

// x & ~y.
static void find_and_not(struct lowering *l, struct ir_value *v)
{
    if (v->op != IR_AND || (v->flags & IR_IMM) != 0) {
        return;
    }
    uint32_t a = ir_resolve(l->ir, v->a), b = ir_resolve(l->ir, v->b);
    if (!is_inverse(l->ir, a, v->width)) {
        exchange(&a, &b);
    }
    if (is_inverse(l->ir, a, v->width)) {
        v->op = IR_ANDN;
        v->a = ir_at(l->ir, a)->a;
        v->b = b;
    }
}

// --- shifted operands ----------------------------------------------------------------------------

// Whether operand `value` of `user` can be shifted by the same instruction. (arm64_emit_fuse.c)
static bool can_sink(const struct lowering *l, const struct ir_value *user, uint32_t value)
{
    const struct ir_value *v = ir_at(l->ir, value);
    return is_shift_op(v->op) && (v->flags & IR_IMM) != 0 && v->uses == 1 && v->width == user->width &&
           v->block == user->block && (v->op != IR_ROL || (user->op != IR_ADD && user->op != IR_SUB));
}

// A shift that is needed once moves down to where it is needed: its operand lives on in its place.
static void sink_shift(struct lowering *l, struct ir_value *v)
{
    bool either = v->op == IR_ADD || v->op == IR_AND || v->op == IR_OR || v->op == IR_XOR;
    if ((!either && v->op != IR_SUB && v->op != IR_ANDN) || (v->flags & IR_IMM) != 0 || v->a == v->b) {
        return;
    }
    uint32_t *operand = v->op == IR_ANDN ? &v->a : &v->b;
    if (either && !can_sink(l, v, *operand)) {
        operand = &v->a;
    }
    if (can_sink(l, v, *operand)) {
        *operand = insert(l, ir_new_like(l->j, ir_at(l->ir, *operand))); // the old one has no user left
    }
}

// --- addresses -----------------------------------------------------------------------------------

static bool is_legal(const struct jit *j, const struct ir_value *v)
{
    if (v->a == IR_NONE) {
        return false;
    }
    if (v->op == IR_LEA) {
        return v->b != IR_NONE ? v->disp == 0 : is_frame(j, v->a) || fits_sum(v->disp);
    }
    if ((ir_op_info(v->op)->flags & IR_ADDR) == 0) {
        return v->disp == 0; // atomic
    }
    if (is_frame(j, v->a) || is_frame(j, v->b)) {
        return true; // on the way to a base, when it is the index
    }
    return v->b != IR_NONE ? v->disp == 0 && arm64_is_scale(v->width, v->scale)
                           : arm64_is_offset(v->width, v->disp);
}

// --- the function --------------------------------------------------------------------------------

typedef void (*step_fn)(struct lowering *l, struct ir_value *v);

static ebpf_result_t each_value(struct lowering *l, step_fn step)
{
    for (uint32_t i = 0; i < l->ir->order_count; i++) {
        l->block = l->ir->order[i];
        uint32_t before = IR_NONE;
        for (uint32_t v = ir_block_at(l->ir, l->block)->first; v != IR_NONE; v = ir_next(l->ir, v)) {
            l->after = before;
            l->pc = ir_at(l->ir, v)->pc;
            step(l, ir_at(l->ir, v));
            before = v;
        }
    }
    return l->full ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

static void make_operation(struct lowering *l, struct ir_value *v)
{
    if (v->op == IR_POPCNT) {
        count_bits(l, v);
    }
    take_number(l, v);
    take_zero(l, v);
    find_bits(l, v);
    find_and_not(l, v);
}

static void finish_operation(struct lowering *l, struct ir_value *v)
{
    sink_shift(l, v);
    mark_numbers(l, v);
}

ebpf_result_t arm64_lower(struct jit *j)
{
    struct lowering l = {.j = j, .ir = &j->ir};
    TRY(each_value(&l, make_operation));
    j->ir.counted = j->ir.tidy = false;
    ir_count_uses(&j->ir);
    j->ir.counted = false;
    lower_addresses(j, is_legal);
    TRY(each_value(&l, free_number));
    TRY(each_value(&l, finish_operation));
    return j->ir.loop_count > 1 ? each_value(&l, hoist_number) : EBPF_SUCCESS;
}
