// SPDX-License-Identifier: MIT
// lower_address: sums become parts of addresses. Each step replaces one operand by what it is made of; a
// number of steps that is fixed bounds the work on one address.
//
// A sum of two values disappears only if all its users take it in; otherwise both its operands would live on
// beside it. So uses as an address are counted first. The next value of a loop's counter is needed anyway.
#include "jit/lower_address.h"
#include "jit/target.h"

#define STEPS 6

// The low half of a sum or shift of 64 bits is that of 32 bits: parts may be wider than what they are part
// of.

// `value` + constant: what is added, and to what.
static bool split_constant(const struct ir *ir, uint32_t value, uint8_t width, uint32_t *base,
                           int64_t *constant)
{
    const struct ir_value *v = ir_at(ir, value);
    if ((v->op != IR_ADD && v->op != IR_SUB) || v->width < width || (v->flags & IR_STEP) != 0) {
        return false;
    }
    *base = ir_resolve(ir, v->a);
    if ((v->flags & IR_IMM) != 0) {
        *constant = v->imm;
    } else if (!ir_is_const(ir, ir_resolve(ir, v->b), constant)) {
        return false;
    }
    if (v->op == IR_SUB) {
        *constant = (int64_t)(0 - (uint64_t)*constant);
    }
    if (width == 32) {
        *constant = (int32_t)*constant; // the upper half is cut off afterwards
    }
    return *constant == (int32_t)*constant;
}

// `value` << 1, 2 or 3.
static bool split_shift(const struct ir *ir, uint32_t value, uint8_t width, uint32_t *base, uint8_t *scale)
{
    const struct ir_value *v = ir_at(ir, value);
    int64_t count = v->imm;
    if (v->op != IR_SHL || v->width < width) {
        return false;
    }
    if ((v->flags & IR_IMM) == 0 && !ir_is_const(ir, ir_resolve(ir, v->b), &count)) {
        return false;
    }
    if (count < 1 || count > 3) {
        return false;
    }
    *base = ir_resolve(ir, v->a);
    *scale = (uint8_t)count;
    return true;
}

// The parts of an address, to go back to.
struct parts {
    uint32_t a, b;
    int32_t disp;
    uint8_t scale;
};

static struct parts parts_of(const struct ir_value *v)
{
    return (struct parts){v->a, v->b, v->disp, v->scale};
}

static void go_back(struct ir_value *v, const struct parts *parts)
{
    v->a = parts->a;
    v->b = parts->b;
    v->disp = parts->disp;
    v->scale = parts->scale;
}

static bool is_plain_sum(const struct ir_value *v, uint8_t width)
{
    return v->op == IR_ADD && v->width >= width && (v->flags & (IR_IMM | IR_STEP)) == 0;
}

static bool add_displacement(struct ir_value *v, int64_t constant)
{
    int64_t sum = v->disp + constant;
    v->disp = (int32_t)sum;
    return sum == (int32_t)sum;
}

// --- steps: each changes parts of `v` and tells whether it applied -------------------------------

static bool take_base_constant(const struct ir *ir, struct ir_value *v)
{
    uint32_t base;
    int64_t constant;
    if (!split_constant(ir, v->a, 64, &base, &constant)) {
        return false;
    }
    v->a = base;
    return add_displacement(v, constant);
}

static bool take_index_constant(const struct ir *ir, struct ir_value *v)
{
    uint32_t base;
    int64_t constant;
    if (v->b == IR_NONE || !split_constant(ir, v->b, 64, &base, &constant)) {
        return false;
    }
    v->b = base;
    return add_displacement(v, (int64_t)((uint64_t)constant << v->scale));
}

static bool take_index_shift(const struct ir *ir, struct ir_value *v)
{
    uint32_t base;
    uint8_t scale;
    if (v->b == IR_NONE || v->scale != 0 || !split_shift(ir, v->b, 64, &base, &scale)) {
        return false;
    }
    v->b = base;
    v->scale = scale;
    return true;
}

static bool take_sum(const struct ir *ir, struct ir_value *v)
{
    const struct ir_value *sum = ir_at(ir, v->a);
    if (v->b != IR_NONE || !is_plain_sum(sum, 64) || (sum->uses > 1 && sum->mark < sum->uses)) {
        return false;
    }
    bool frame_second = ir_at(ir, ir_resolve(ir, sum->b))->op == IR_FRAME;
    v->a = ir_resolve(ir, frame_second ? sum->b : sum->a);
    v->b = ir_resolve(ir, frame_second ? sum->a : sum->b);
    v->scale = 0;
    return true;
}

static bool take_lea(const struct ir *ir, struct ir_value *v)
{
    const struct ir_value *lea = ir_at(ir, v->a);
    if (v->b != IR_NONE || lea->op != IR_LEA || lea->width != 64) {
        return false;
    }
    v->a = lea->a;
    v->b = lea->b;
    v->scale = lea->scale;
    return add_displacement(v, lea->disp);
}

static bool is_in_frame(const struct ir *ir, uint32_t value)
{
    uint32_t base;
    int64_t constant;
    return ir_at(ir, value)->op == IR_FRAME ||
           (split_constant(ir, value, 64, &base, &constant) && ir_at(ir, base)->op == IR_FRAME);
}

// Frames are bases, shifted values are not.
static bool change_places(const struct ir *ir, struct ir_value *v)
{
    uint32_t base;
    uint8_t scale;
    if (v->b == IR_NONE || v->scale != 0 || is_in_frame(ir, v->a)) {
        return false;
    }
    if (!is_in_frame(ir, v->b) &&
        (!split_shift(ir, v->a, 64, &base, &scale) || split_shift(ir, v->b, 64, &base, &scale))) {
        return false;
    }
    uint32_t a = v->a;
    v->a = v->b;
    v->b = a;
    return true;
}

static bool apply(const struct ir *ir, struct ir_value *v, unsigned step)
{
    switch (step) {
    case 0: return take_base_constant(ir, v);
    case 1: return take_sum(ir, v);
    case 2: return take_lea(ir, v);
    case 3: return change_places(ir, v);
    case 4: return take_index_shift(ir, v);
    default: return take_index_constant(ir, v);
    }
}

static bool fold_once(struct jit *j, struct ir_value *v, unsigned step_count, lower_legal_fn legal)
{
    struct parts before = parts_of(v);
    for (unsigned i = 0; i < step_count; i++) {
        if (apply(&j->ir, v, i) && legal(j, v)) {
            return true;
        }
        go_back(v, &before);
    }
    return false;
}

// What an address can take in as its only part, as a base beside an index, and as an index. Most addresses
// have nothing of that.
static bool may_fold(const struct ir *ir, const struct ir_value *v)
{
    const uint64_t alone = OP_BIT(IR_ADD) | OP_BIT(IR_SUB) | OP_BIT(IR_LEA);
    const uint64_t base = OP_BIT(IR_ADD) | OP_BIT(IR_SUB) | OP_BIT(IR_SHL), index = base | OP_BIT(IR_FRAME);
    unsigned op = ir_at(ir, v->a)->op;
    if (v->b == IR_NONE) {
        return (alone >> op & 1) != 0; // not IR_NONE
    }
    return v->a != IR_NONE && ((base >> op & 1) != 0 || (index >> ir_at(ir, v->b)->op & 1) != 0);
}

static void fold(struct jit *j, struct ir_value *v, lower_legal_fn legal)
{
    unsigned count = lower_is_atomic(v->op) ? 1 : 6;
    for (unsigned n = 0; n < STEPS && may_fold(&j->ir, v) && fold_once(j, v, count, legal); n++) {
    }
}

// --- sums of sums --------------------------------------------------------------------------------

static bool used_once(const struct ir *ir, uint32_t value)
{
    return ir_at(ir, value)->uses == 1;
}

// Takes in operand `i` (0: a, 1: b) of the LEA, if nothing else needs it.
static bool take_operand(const struct ir *ir, struct ir_value *v, unsigned i)
{
    uint32_t *operand = i == 0 ? &v->a : &v->b, base;
    int64_t constant;
    if (*operand == IR_NONE || !used_once(ir, *operand)) {
        return false;
    }
    if (i == 1 && v->scale == 0 && split_shift(ir, *operand, v->width, operand, &v->scale)) {
        return true;
    }
    const struct ir_value *o = ir_at(ir, *operand);
    if ((i == 0 || v->scale == 0) && split_constant(ir, *operand, v->width, &base, &constant)) {
        *operand = base;
        return add_displacement(v, constant);
    }
    if (i == 0 && v->b == IR_NONE && o->op == IR_LEA && o->width >= v->width) {
        v->a = o->a;
        v->b = o->b;
        v->scale = o->scale;
        return add_displacement(v, o->disp);
    }
    if (i == 0 && v->b == IR_NONE && is_plain_sum(o, v->width)) {
        v->a = ir_resolve(ir, o->a);
        v->b = ir_resolve(ir, o->b);
        return true;
    }
    return false;
}

static bool take_shifted_base(const struct ir *ir, struct ir_value *v)
{
    uint32_t base;
    uint8_t scale;
    if (v->b == IR_NONE || v->scale != 0 || !used_once(ir, v->a) ||
        !split_shift(ir, v->a, v->width, &base, &scale)) {
        return false;
    }
    v->a = v->b;
    v->b = base;
    v->scale = scale;
    return true;
}

// The sum as an address, nothing taken in yet.
static bool begin_lea(const struct ir *ir, struct ir_value *lea)
{
    lea->op = IR_LEA;
    lea->a = ir_resolve(ir, lea->a);
    lea->scale = 0;
    lea->disp = 0;
    if ((lea->flags & IR_IMM) != 0) {
        lea->b = IR_NONE;
        lea->disp = (int32_t)lea->imm;
    } else {
        lea->b = ir_resolve(ir, lea->b);
    }
    lea->flags = 0;
    return lea->imm == (int32_t)lea->imm || lea->b != IR_NONE;
}

static bool take_any(const struct ir *ir, struct ir_value *lea)
{
    struct parts before = parts_of(lea);
    if (take_operand(ir, lea, 0)) {
        return true;
    }
    go_back(lea, &before);
    if (take_operand(ir, lea, 1)) {
        return true;
    }
    go_back(lea, &before);
    return take_shifted_base(ir, lea);
}

static void make_lea(struct jit *j, struct ir_value *v, lower_legal_fn legal)
{
    const struct ir *ir = &j->ir;
    struct ir_value lea = *v;
    bool taken = false;
    if (!begin_lea(ir, &lea)) {
        return;
    }
    // A place in the frame: as an address it costs no register for the frame.
    if (lea.b == IR_NONE && ir_at(ir, lea.a)->op == IR_FRAME) {
        taken = legal(j, &lea);
    }
    for (unsigned n = 0; n < 3; n++) {
        struct parts before = parts_of(&lea);
        if (!take_any(ir, &lea) || !legal(j, &lea)) {
            go_back(&lea, &before);
            break;
        }
        taken = true;
    }
    if (taken) {
        *v = lea;
        v->imm = 0;
    }
}

// Whether an address can take in the operand, or it is the frame.
static bool may_be_taken(const struct ir *ir, uint32_t operand)
{
    const struct ir_value *o = ir_at(ir, ir_resolve(ir, operand));
    bool part = o->op == IR_ADD || o->op == IR_SUB || o->op == IR_SHL || o->op == IR_LEA;
    return (part && o->uses == 1) || o->op == IR_FRAME;
}

// --- whole functions -----------------------------------------------------------------------------

static void finish(struct jit *j, struct ir_value *v, struct lower_changes *changes, lower_legal_fn legal)
{
    uint32_t a = v->a, b = v->b;
    if (v->op == IR_ADD) {
        make_lea(j, v, legal);
    } else {
        fold(j, v, legal);
    }
    if (changes != NULL) {
        lower_changed(changes, a, v->a);
        lower_changed(changes, b, v->b);
    }
}

void lower_finish(struct jit *j, struct lower_lists *l, struct lower_changes *changes, lower_legal_fn legal)
{
    const struct ir *ir = &j->ir;
    uint32_t next;
    *l->addresses.link = *l->sums.link = IR_NONE;
    for (uint32_t n = l->addresses.first; n != IR_NONE; n = next) {
        struct ir_value *v = ir_at(ir, n);
        next = v->slot;
        v->slot = 0;
        if (may_fold(ir, v)) {
            finish(j, v, changes, legal);
        }
    }
    for (uint32_t n = l->sums.first; n != IR_NONE; n = next) {
        struct ir_value *v = ir_at(ir, n);
        next = v->slot;
        v->slot = 0;
        if (may_be_taken(ir, v->a) || ((v->flags & IR_IMM) == 0 && may_be_taken(ir, v->b))) {
            finish(j, v, changes, legal);
        }
    }
}

void lower_addresses(struct jit *j, lower_legal_fn legal)
{
    const struct ir *ir = &j->ir;
    struct lower_lists lists;
    lower_begin(&lists);
    for (uint32_t i = 0; i < ir->order_count; i++) {
        for (uint32_t n = ir_block_at(ir, ir->order[i])->first; n != IR_NONE; n = ir_next(ir, n)) {
            lower_note(ir, &lists, n);
        }
    }
    lower_finish(j, &lists, NULL, legal);
}
