// SPDX-License-Identifier: MIT
// x86_lower: towards what x86-64 encodes: immediates of 32 bits, addresses, instructions that the CPU may
// lack. Users come behind what they use, so one walk in block order sees operands lowered already.
#include "jit/lower_address.h"
#include "jit/target.h"
#include "jit/x86_encode.h"

ebpf_result_t x86_lower(struct jit *j);

struct lowering {
    struct jit *j;
    struct ir *ir;
    uint32_t block, previous, at; // the value at work and the one before it
    uint32_t copied;              // operands further on that are COPYs
    bool full;
    struct lower_lists lists;
    struct lower_changes changes;
};

// --- new values in front of the one at work ------------------------------------------------------

static uint32_t insert(struct lowering *l, enum ir_op op, uint8_t width, uint32_t a, uint32_t b, int64_t imm)
{
    uint32_t n = ir_new(l->j, op, width, a, b, imm);
    if (n == IR_NONE) {
        l->full = true;
        return l->at;
    }
    ir_at(l->ir, n)->pc = ir_at(l->ir, l->at)->pc;
    ir_insert_after(l->ir, l->block, l->previous, n);
    lower_note(l->ir, &l->lists, n);
    lower_changed(&l->changes, IR_NONE, a);
    lower_changed(&l->changes, IR_NONE, b);
    l->previous = n;
    return n;
}

static uint32_t insert_const(struct lowering *l, int64_t imm)
{
    return insert(l, IR_CONST, 64, IR_NONE, IR_NONE, imm);
}

// With an immediate of 32 bits.
static uint32_t insert_imm(struct lowering *l, enum ir_op op, uint8_t width, uint32_t a, int64_t imm)
{
    uint32_t n = insert(l, op, width, a, IR_NONE, imm);
    ir_at(l->ir, n)->flags |= IR_IMM;
    return n;
}

static bool has(const struct lowering *l, enum jit_cpu feature)
{
    return (l->j->options->cpu & feature) != 0;
}

// --- immediates ----------------------------------------------------------------------------------

// The number that operand b is, as the operation of `width` sees it.
static bool number_of(const struct lowering *l, const struct ir_value *v, uint8_t width, int64_t *number)
{
    if ((v->flags & IR_IMM) != 0) {
        *number = v->imm;
    } else if (v->b == IR_NONE || !ir_is_const(l->ir, v->b, number)) {
        return false;
    }
    if (width == 32) {
        *number = (int32_t)*number;
    }
    return true;
}

static void set_imm(struct ir_value *v, int64_t imm)
{
    v->flags |= IR_IMM;
    v->b = IR_NONE;
    v->imm = imm;
}

// A number that no instruction can hold goes to a register.
static void use_register(struct lowering *l, struct ir_value *v)
{
    if ((v->flags & IR_IMM) != 0) {
        v->b = insert_const(l, v->imm);
        v->flags &= (uint8_t)~IR_IMM;
        v->imm = 0;
    }
}

static void take_imm(struct lowering *l, struct ir_value *v, uint8_t width)
{
    int64_t number;
    if (!number_of(l, v, width, &number)) {
        return;
    }
    if (x86_fits32(number)) {
        set_imm(v, number);
    } else {
        use_register(l, v);
    }
}

static void number_last(struct lowering *l, struct ir_value *v)
{
    int64_t number;
    bool swap =
        (v->flags & IR_IMM) == 0 && ir_is_const(l->ir, v->a, &number) && !ir_is_const(l->ir, v->b, &number);
    if (swap) {
        uint32_t a = v->a;
        v->a = v->b;
        v->b = a;
    }
}

// --- arithmetic ----------------------------------------------------------------------------------

static void become_extension(struct ir_value *v, int64_t bits)
{
    v->op = IR_ZEXT;
    v->width = 64;
    v->flags &= (uint8_t)~IR_IMM;
    v->b = IR_NONE;
    v->imm = bits;
}

// (x ^ -1) & y, and the other way round.
static bool become_andn(struct lowering *l, struct ir_value *v)
{
    for (unsigned i = 0; i < 2 && has(l, JIT_CPU_BMI1); i++) {
        const struct ir_value *x = ir_at(l->ir, i == 0 ? v->a : v->b);
        bool inverted = x->op == IR_XOR && (x->flags & IR_IMM) != 0 && x->imm == -1 && x->uses == 1;
        if (inverted && (x->width == v->width || v->width == 32)) {
            uint32_t other = i == 0 ? v->b : v->a;
            v->op = IR_ANDN;
            v->a = x->a;
            v->b = other;
            return true;
        }
    }
    return false;
}

// A mask without sign clears the upper half: 32 bits do, and masks of 8, 16 and 32 bits have instructions.
static void set_mask(struct ir_value *v, uint64_t mask)
{
    if (mask == 0xff || mask == 0xffff || mask == UINT32_MAX) {
        become_extension(v, mask == 0xff ? 8 : mask == 0xffff ? 16 : 32);
    } else {
        v->width = 32;
        set_imm(v, (int32_t)mask);
    }
}

// (x << k) & mask is (x & mask >> k) << k, whose shift an address can take in.
static bool mask_before_shift(struct lowering *l, struct ir_value *v, uint64_t mask)
{
    struct ir_value *shift = ir_at(l->ir, v->a);
    bool small = shift->op == IR_SHL && (shift->flags & IR_IMM) != 0 && shift->imm >= 1 && shift->imm <= 3;
    if (!small || shift->uses != 1 || mask > UINT32_MAX) {
        return false;
    }
    int64_t count = shift->imm;
    shift->op = IR_AND;
    set_mask(shift, mask >> count);
    v->op = IR_SHL;
    v->width = 64;
    set_imm(v, count);
    return true;
}

static void lower_and(struct lowering *l, struct ir_value *v)
{
    int64_t number;
    number_last(l, v);
    if (!number_of(l, v, 64, &number)) {
        become_andn(l, v);
        return;
    }
    uint64_t mask = v->width == 32 ? (uint32_t)number : (uint64_t)number;
    if (mask_before_shift(l, v, mask)) {
        return;
    }
    if (mask <= UINT32_MAX) {
        set_mask(v, mask);
    } else {
        take_imm(l, v, v->width);
    }
}

// Bits that may be set in the result of `v`, looking at it alone.
static uint64_t own_bits(struct lowering *l, const struct ir_value *v)
{
    int64_t number;
    uint64_t all = v->width == 32 ? UINT32_MAX : UINT64_MAX;
    switch (v->op) {
    case IR_AND: return number_of(l, v, 64, &number) ? (uint64_t)number & all : all;
    case IR_SHR: return (v->flags & IR_IMM) != 0 ? all >> v->imm : all;
    case IR_ZEXT: return (UINT64_C(1) << v->imm) - 1;
    case IR_LOAD: return v->width == 64 ? UINT64_MAX : (UINT64_C(1) << v->width) - 1;
    case IR_ADD:
    case IR_SUB:
    case IR_MUL:
    case IR_OR:
    case IR_XOR:
    case IR_SHL: return all;
    default: return UINT64_MAX;
    }
}

static uint64_t possible_bits(struct lowering *l, uint32_t value)
{
    const struct ir_value *v = ir_at(l->ir, value);
    if (v->op == IR_SHL && (v->flags & IR_IMM) != 0) {
        uint64_t shifted = own_bits(l, ir_at(l->ir, v->a)) << v->imm;
        return v->width == 32 ? (uint32_t)shifted : shifted;
    }
    if (v->op == IR_SHR && (v->flags & IR_IMM) != 0 && v->width == 64) {
        return own_bits(l, ir_at(l->ir, v->a)) >> v->imm;
    }
    return own_bits(l, v);
}

static bool is_small_shift(const struct ir_value *v)
{
    return v->op == IR_SHL && v->uses == 1 && (v->flags & IR_IMM) != 0 && v->imm >= 1 && v->imm <= 3;
}

// Without a common bit OR and XOR are sums, and a sum takes in a shift.
static void lower_or(struct lowering *l, struct ir_value *v)
{
    number_last(l, v);
    take_imm(l, v, v->width);
    if ((v->flags & IR_IMM) != 0 ||
        (!is_small_shift(ir_at(l->ir, v->a)) && !is_small_shift(ir_at(l->ir, v->b)))) {
        return;
    }
    if ((possible_bits(l, v->a) & possible_bits(l, v->b)) == 0) {
        v->op = IR_ADD;
    }
}

static void lower_add(struct lowering *l, struct ir_value *v)
{
    number_last(l, v);
    take_imm(l, v, v->width);
}

static void lower_sub(struct lowering *l, struct ir_value *v)
{
    int64_t number;
    if (number_of(l, v, v->width, &number) && x86_fits32(number) && number != INT32_MIN) {
        v->op = IR_ADD;
        set_imm(v, -number);
    } else {
        take_imm(l, v, v->width);
    }
}

static void lower_mul(struct lowering *l, struct ir_value *v)
{
    number_last(l, v);
    take_imm(l, v, v->width);
    if ((v->flags & IR_IMM) == 0) {
        return;
    }
    if (v->imm > 0 && (v->imm & (v->imm - 1)) == 0) {
        v->op = IR_SHL;
        v->imm = __builtin_ctzll((uint64_t)v->imm);
    } else if (v->imm == 3 || v->imm == 5 || v->imm == 9) {
        v->op = IR_LEA;
        v->flags &= (uint8_t)~(IR_IMM | IR_STEP);
        v->b = v->a;
        v->scale = v->imm == 3 ? 1 : v->imm == 5 ? 2 : 3;
        v->disp = 0;
        v->imm = 0;
    }
}

static void lower_shift(struct lowering *l, struct ir_value *v)
{
    int64_t number;
    if (number_of(l, v, v->width, &number)) {
        set_imm(v, number & (v->width - 1));
    }
}

static void lower_andn(struct lowering *l, struct ir_value *v)
{
    if (!has(l, JIT_CPU_BMI1)) {
        v->a = insert_imm(l, IR_XOR, v->width, v->a, -1);
        v->op = IR_AND;
    }
}

// Sums of neighbours, of pairs, of fours; then a product adds the eight bytes up.
static void lower_popcnt(struct lowering *l, struct ir_value *v)
{
    if (has(l, JIT_CPU_POPCNT)) {
        return;
    }
    uint32_t fives = insert_const(l, 0x5555555555555555), threes = insert_const(l, 0x3333333333333333);
    uint32_t nibbles = insert_const(l, 0x0f0f0f0f0f0f0f0f), ones = insert_const(l, 0x0101010101010101);
    uint32_t x = v->a;
    if (v->width == 32) {
        x = insert(l, IR_ZEXT, 64, x, IR_NONE, 32);
    }
    uint32_t t = insert(l, IR_AND, 64, insert_imm(l, IR_SHR, 64, x, 1), fives, 0);
    x = insert(l, IR_SUB, 64, x, t, 0);
    t = insert(l, IR_AND, 64, insert_imm(l, IR_SHR, 64, x, 2), threes, 0);
    x = insert(l, IR_ADD, 64, insert(l, IR_AND, 64, x, threes, 0), t, 0);
    x = insert(l, IR_ADD, 64, x, insert_imm(l, IR_SHR, 64, x, 4), 0);
    x = insert(l, IR_MUL, 64, insert(l, IR_AND, 64, x, nibbles, 0), ones, 0);
    v->op = IR_SHR;
    v->width = 64;
    v->a = x;
    set_imm(v, 56);
}

// --- comparisons ---------------------------------------------------------------------------------

static uint8_t mirrored(uint8_t cond)
{
    static const uint8_t conds[IR_COND_COUNT] = {
        [IR_EQ] = IR_EQ,   [IR_NE] = IR_NE,   [IR_ULT] = IR_UGT, [IR_UGE] = IR_ULE,
        [IR_ULE] = IR_UGE, [IR_UGT] = IR_ULT, [IR_SLT] = IR_SGT, [IR_SGE] = IR_SLE,
        [IR_SLE] = IR_SGE, [IR_SGT] = IR_SLT, [IR_SET] = IR_SET, [IR_CLEAR] = IR_CLEAR,
    };
    return conds[cond];
}

// Comparisons with 0 have the shortest form.
static void compare_with_zero(struct ir_value *v)
{
    bool one = (v->cond == IR_ULT || v->cond == IR_UGE) && v->imm == 1;
    bool zero = (v->cond == IR_ULE || v->cond == IR_UGT) && v->imm == 0;
    if (one || zero) {
        v->cond = v->cond == IR_ULT || v->cond == IR_ULE ? IR_EQ : IR_NE;
        v->imm = 0;
    }
}

static void lower_comparison(struct lowering *l, struct ir_value *v)
{
    int64_t number;
    uint32_t a = v->a;
    number_last(l, v);
    if (v->a != a) {
        v->cond = mirrored(v->cond);
    }
    bool test = v->cond == IR_SET || v->cond == IR_CLEAR;
    if (test && number_of(l, v, 64, &number) && (uint64_t)number <= UINT32_MAX) {
        v->cwidth = 32; // no bit of the upper half is asked for
    }
    take_imm(l, v, v->cwidth);
    if ((v->flags & IR_IMM) != 0 && !test) {
        compare_with_zero(v);
    }
}

// --- memory --------------------------------------------------------------------------------------

static void lower_store(struct lowering *l, struct ir_value *v)
{
    int64_t number = v->imm;
    if ((v->flags & IR_IMM) != 0) {
        if (v->width == 64 && !x86_fits32(number)) {
            v->c = insert_const(l, number);
            v->flags &= (uint8_t)~IR_IMM;
        }
        return;
    }
    struct ir_value *c = ir_at(l->ir, v->c);
    if (ir_is_const(l->ir, v->c, &number) && (v->width < 64 || x86_fits32(number))) {
        v->flags |= IR_IMM;
        v->c = IR_NONE;
        v->imm = (int32_t)number;
    } else if (c->op == IR_BSWAP && c->imm == v->width && c->uses == 1 && has(l, JIT_CPU_MOVBE)) {
        v->op = IR_STOREBE;
        v->c = c->a;
    }
}

static void lower_storebe(struct lowering *l, struct ir_value *v)
{
    if (!has(l, JIT_CPU_MOVBE) && v->width > 8) {
        v->c = insert(l, IR_BSWAP, 64, v->c, IR_NONE, v->width);
        v->op = IR_STORE;
    }
}

// The load does it, when nothing else sees what it loads.
static void join_load(struct lowering *l, uint32_t n, unsigned op)
{
    struct ir_value *v = ir_at(l->ir, n), *load = ir_at(l->ir, v->a);
    if (load->op == IR_LOAD && load->uses == 1 && load->width == v->imm &&
        load->width > (op == IR_LOADBE ? 8 : 0)) {
        load->op = (uint8_t)op;
        load->uses = v->uses; // its users are redirected
        l->copied += v->uses;
        v->uses = 0;
        ir_become_copy(l->ir, n, v->a);
        ir_block_at(l->ir, l->block)->mark = 1;
    }
}

// Nobody wants the old value: an operation without one does.
static void lower_fetch(struct ir_value *v)
{
    if (v->uses == 0) {
        v->op = (uint8_t)(v->op - IR_FETCH_ADD + IR_ATOMIC_ADD);
    }
}

// Addresses that are numbers need a register: exchanges use both that the emitter has.
static void lower_exchange_address(struct lowering *l, struct ir_value *v)
{
    unsigned op = ir_at(l->ir, v->a)->op;
    if (op == IR_CONST || op == IR_MAP) {
        v->a = insert(l, IR_LEA, 64, v->a, IR_NONE, 0);
    }
}

// --- the function --------------------------------------------------------------------------------

static void resolve_operands(struct lowering *l, struct ir_value *v)
{
    uint32_t count = ir_operand_count(v), *operands = ir_operands(l->ir, v);
    for (uint32_t i = 0; i < count; i++) {
        if (ir_at(l->ir, operands[i])->op == IR_COPY) {
            operands[i] = ir_resolve(l->ir, operands[i]);
            l->copied--;
        }
    }
}

// What lower_value looks at.
static bool is_lowered(unsigned op)
{
    const uint64_t ops = OP_BIT(IR_COPY) | OP_BIT(IR_ADD) | OP_BIT(IR_SUB) | OP_BIT(IR_MUL) | OP_BIT(IR_AND) |
                         OP_BIT(IR_OR) | OP_BIT(IR_XOR) | OP_BIT(IR_SHL) | OP_BIT(IR_SHR) | OP_BIT(IR_SAR) |
                         OP_BIT(IR_ROL) | OP_BIT(IR_ANDN) | OP_BIT(IR_POPCNT) | OP_BIT(IR_BRANCH) |
                         OP_BIT(IR_SELECT) | OP_BIT(IR_BSWAP) | OP_BIT(IR_SEXT) | OP_BIT(IR_STORE) |
                         OP_BIT(IR_STOREBE) | OP_BIT(IR_FETCH_ADD) | OP_BIT(IR_FETCH_OR) |
                         OP_BIT(IR_FETCH_AND) | OP_BIT(IR_FETCH_XOR) | OP_BIT(IR_XCHG) | OP_BIT(IR_CMPXCHG);
    return (ops >> op & 1) != 0;
}

static void lower_value(struct lowering *l, uint32_t n)
{
    struct ir_value *v = ir_at(l->ir, n);
    switch (v->op) {
    case IR_COPY: l->copied += v->uses; break;
    case IR_AND: lower_and(l, v); break;
    case IR_ADD: lower_add(l, v); break;
    case IR_OR:
    case IR_XOR: lower_or(l, v); break;
    case IR_SUB: lower_sub(l, v); break;
    case IR_MUL: lower_mul(l, v); break;
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROL: lower_shift(l, v); break;
    case IR_ANDN: lower_andn(l, v); break;
    case IR_POPCNT: lower_popcnt(l, v); break;
    case IR_BRANCH:
    case IR_SELECT: lower_comparison(l, v); break;
    case IR_BSWAP: join_load(l, n, IR_LOADBE); break;
    case IR_SEXT:
        if (v->width == 64) {
            join_load(l, n, IR_LOADS);
        }
        break;
    case IR_STORE: lower_store(l, v); break;
    case IR_STOREBE: lower_storebe(l, v); break;
    case IR_FETCH_ADD:
    case IR_FETCH_OR:
    case IR_FETCH_AND:
    case IR_FETCH_XOR: lower_fetch(v); // fallthrough
    case IR_XCHG:
    case IR_CMPXCHG: lower_exchange_address(l, v); break;
    default: break;
    }
}

// A scaled index has 32 bits of displacement at most, frames are never indexes.
static bool legal(const struct jit *j, const struct ir_value *v)
{
    const int32_t limit = 1 << 30;
    bool frame_index = v->b != IR_NONE && ir_operand_count(v) > 1 && v->op != IR_CMPXCHG &&
                       ir_at(&j->ir, v->b)->op == IR_FRAME;
    return v->disp >= -limit && v->disp <= limit && !frame_index;
}

static void lower_block(struct lowering *l)
{
    ir_block_at(l->ir, l->block)->mark = 0;
    l->previous = IR_NONE;
    for (uint32_t n = ir_block_at(l->ir, l->block)->first; n != IR_NONE && !l->full; n = ir_next(l->ir, n)) {
        struct ir_value *v = ir_at(l->ir, n);
        l->at = n;
        if (l->copied != 0) {
            resolve_operands(l, v);
        }
        if (is_lowered(v->op)) {
            uint32_t a = v->a, b = v->b, c = v->c;
            lower_value(l, n);
            lower_changed(&l->changes, a, v->a);
            lower_changed(&l->changes, b, v->b);
            lower_changed(&l->changes, c, v->c);
        }
        lower_note(l->ir, &l->lists, n);
        l->previous = n;
    }
}

ebpf_result_t x86_lower(struct jit *j)
{
    struct lowering l = {.j = j, .ir = &j->ir};
    if (!l.ir->counted) {
        ir_count_uses(l.ir);
    }
    lower_begin(&l.lists);
    lower_begin_changes(&l.changes, j);
    for (uint32_t i = 0; i < l.ir->order_count && !l.full; i++) {
        l.block = l.ir->order[i];
        lower_block(&l);
    }
    lower_finish(j, &l.lists, &l.changes, legal);
    lower_settle(&l.changes, l.copied != 0);
    return l.full ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}
