// SPDX-License-Identifier: MIT
// ir_clean: forwards copies, folds PHIs that have one value, and unlinks what nothing needs.
#include "jit/ir.h"

#define PHI_ROUNDS 10 // of folding; what is left after them only costs moves

// What all operands are but the PHI itself, or IR_NONE.
static uint32_t only_operand(const struct ir *ir, const struct ir_value *phi, uint32_t self)
{
    const uint32_t *list = ir_pool(ir, phi);
    uint32_t only = IR_NONE;
    for (uint32_t i = 0; i < phi->b; i++) {
        uint32_t operand = ir_resolve(ir, list[i]);
        if (operand == self || operand == only) {
            continue;
        }
        if (only != IR_NONE) {
            return IR_NONE;
        }
        only = operand;
    }
    return only;
}

// What may be found where the PHIs of a block are: some of them have become other things.
static bool is_leading(const struct ir_value *v)
{
    return v->op == IR_PHI || v->op == IR_COPY || v->op == IR_CONST || v->op == IR_NOP || v->op == IR_UNDEF;
}

static bool fold_phi(struct ir *ir, uint32_t v)
{
    struct ir_value *value = ir_at(ir, v);
    uint32_t only = value->op == IR_PHI ? only_operand(ir, value, v) : IR_NONE;
    if (only != IR_NONE) {
        ir_become_copy(ir, v, only);
    }
    return only != IR_NONE;
}

static bool fold_phis(struct ir *ir)
{
    bool changed = false;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        ir_prefetch_first(ir, i + IR_AHEAD / 4);
        for (uint32_t v = b->first; v != IR_NONE && is_leading(ir_at(ir, v)); v = ir_next(ir, v)) {
            changed = fold_phi(ir, v) || changed;
        }
    }
    return changed;
}

static bool is_root(const struct ir_value *v)
{
    return (ir_op_info(v->op)->flags & (IR_WRITE | IR_END)) != 0;
}

static void note_param(struct ir *ir, const struct ir_value *v)
{
    ir->params |= v->op == IR_PARAM ? (uint32_t)1 << v->imm : 0;
}

// --- upper halves --------------------------------------------------------------------------------

// What an operation of 64 bits, and a narrower one, wants of the upper halves of its operands: bits 0-3 of a
// to d (0: of all in the pool) always, bits 4-7 if its own upper half is wanted. BRANCH, SELECT and BSWAP go
// by more than the width.
static const struct wish {
    uint8_t wide, narrow;
} wishes[IR_OP_COUNT] = {
    [IR_PHI] = {0x10, 0x10},        [IR_ADD] = {0x30, 0},           [IR_SUB] = {0x30, 0},
    [IR_MUL] = {0x30, 0},           [IR_AND] = {0x30, 0},           [IR_OR] = {0x30, 0},
    [IR_XOR] = {0x30, 0},           [IR_NEG] = {0x10, 0},           [IR_SHL] = {0x10, 0},
    [IR_SHR] = {0x01, 0},           [IR_SAR] = {0x01, 0},           [IR_ROL] = {0x01, 0},
    [IR_UDIV] = {0x03, 0},          [IR_UMOD] = {0x03, 0},          [IR_SDIV] = {0x03, 0},
    [IR_SMOD] = {0x03, 0},          [IR_MULHU] = {0x03, 0},         [IR_ANDN] = {0x03, 0},
    [IR_BITS] = {0x01, 0},          [IR_POPCNT] = {0x01, 0},        [IR_CLZ] = {0x01, 0},
    [IR_CTZ] = {0x01, 0},           [IR_LEA] = {0x03, 0x03},        [IR_LOAD] = {0x03, 0x03},
    [IR_LOADS] = {0x03, 0x03},      [IR_LOADBE] = {0x03, 0x03},     [IR_STORE] = {0x07, 0x03},
    [IR_STOREBE] = {0x07, 0x03},    [IR_ATOMIC_ADD] = {0x05, 0x01}, [IR_ATOMIC_OR] = {0x05, 0x01},
    [IR_ATOMIC_AND] = {0x05, 0x01}, [IR_ATOMIC_XOR] = {0x05, 0x01}, [IR_FETCH_ADD] = {0x05, 0x01},
    [IR_FETCH_OR] = {0x05, 0x01},   [IR_FETCH_AND] = {0x05, 0x01},  [IR_FETCH_XOR] = {0x05, 0x01},
    [IR_XCHG] = {0x05, 0x01},       [IR_CMPXCHG] = {0x07, 0x01},    [IR_HELPER] = {0x01, 0x01},
    [IR_CALL] = {0x01, 0x01},       [IR_CALL_LOCAL] = {0x01, 0x01}, [IR_SWITCH] = {0x01, 0x01},
    [IR_RET] = {0x01, 0x01},        [IR_TAIL] = {0x0f, 0x0f},
};

static unsigned wishes_of(const struct ir_value *v)
{
    switch (v->op) {
    case IR_BSWAP: return v->imm == 64;
    case IR_BRANCH: return v->cwidth == 64 ? 0x03 : 0;
    case IR_SELECT: return (v->cwidth == 64 ? 0x03u : 0) | (v->width == 64 ? 0xc0u : 0);
    default: return v->width == 64 ? wishes[v->op].wide : wishes[v->op].narrow;
    }
}

// --- what is needed ------------------------------------------------------------------------------

// A sweep from the last value to the first one finds most users before what they use. Marks of values:
enum state {
    NEEDED = 1, // by somebody
    WANTED = 2, // its upper half is
    MET = 4,    // the sweep has been there: news about it go to the stack
    QUEUED = 8,
    TOLD = 16, // its operands have been told that they are needed
};

struct cleaner {
    struct ir *ir;
    const struct ir_narrowing *narrowing; // or NULL: upper halves do not matter
    uint32_t *values; // of all blocks in order; what the sweep has left behind is the stack
    uint32_t count, top;
    uint32_t needed;
    bool copies;
};

// Lists the values, of which nothing is known, and folds PHIs on the way.
static bool list_values(struct cleaner *c)
{
    struct ir *ir = c->ir;
    bool folded = false;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        bool leading = true;
        for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_next(ir, v)) {
            struct ir_value *value = ir_at(ir, v);
            leading = leading && is_leading(value);
            folded = (leading && fold_phi(ir, v)) || folded;
            value->mark = 0;
            value->uses = 0;
            c->values[c->count++] = v;
        }
    }
    return folded;
}

static inline void note(struct cleaner *c, uint32_t value, struct ir_value *v, unsigned news)
{
    unsigned mark = v->mark | news;
    if ((v->mark & (MET | QUEUED)) == MET && mark != v->mark) {
        mark |= QUEUED;
        c->values[--c->top] = value;
    }
    v->mark = (uint8_t)mark;
}

static inline void need(struct cleaner *c, uint32_t *place, unsigned news)
{
    uint32_t operand = *place;
    struct ir_value *v = ir_at(c->ir, operand);
    if (operand == IR_NONE) {
        return;
    }
    if (v->op == IR_COPY) {
        *place = operand = ir_resolve(c->ir, operand);
        v = ir_at(c->ir, operand);
    }
    v->uses++;
    note(c, operand, v, news);
}

static void need_listed(struct cleaner *c, const struct ir_value *v, unsigned news)
{
    uint32_t *list = ir_pool(c->ir, v);
    for (uint32_t i = 0; i < v->b; i++) {
        need(c, &list[i], news);
    }
}

static inline void need_operands(struct cleaner *c, struct ir_value *v)
{
    const struct ir_op_info *info = ir_op_info(v->op);
    unsigned wanted = c->narrowing != NULL ? wishes_of(v) : 0;
    wanted = (wanted & 15) | ((v->mark & WANTED) != 0 ? wanted >> 4 : 0);
    v->mark |= TOLD;
    c->needed++;
    if (info->operands[0] == 'p') {
        need_listed(c, v, NEEDED | (wanted & 1) * WANTED);
        return;
    }
    for (unsigned i = 0; i < info->count; i++) {
        unsigned field = (unsigned)(info->operands[i] - 'a');
        need(c, &(&v->a)[field], NEEDED | (wanted >> field & 1) * WANTED);
    }
}

// Its operands are needed for long; now somebody wants its upper half.
static void want_operands(struct cleaner *c, struct ir_value *v)
{
    const char *operands = ir_op_info(v->op)->operands;
    unsigned wanted = wishes_of(v) >> 4;
    uint32_t count = ir_operand_count(v);
    for (uint32_t i = 0; i < count; i++) {
        unsigned field = operands[0] == 'p' ? 0 : (unsigned)(operands[i] - 'a');
        uint32_t operand = *ir_operand(c->ir, v, i);
        if ((wanted >> field & 1) != 0 && operand != IR_NONE) {
            note(c, operand, ir_at(c->ir, operand), WANTED);
        }
    }
}

static void tell_queued(struct cleaner *c)
{
    while (c->top != c->count) {
        struct ir_value *v = ir_at(c->ir, c->values[c->top++]);
        v->mark &= (uint8_t)~QUEUED;
        if ((v->mark & TOLD) == 0) {
            need_operands(c, v);
        } else {
            want_operands(c, v);
        }
    }
}

static void note_params(struct ir *ir)
{
    ir->params = 0;
    for (uint32_t v = ir_block_at(ir, ir->entry)->first; v != IR_NONE; v = ir_next(ir, v)) {
        const struct ir_value *value = ir_at(ir, v);
        if (value->op != IR_PARAM && !is_leading(value)) {
            return;
        }
        if ((value->mark & NEEDED) != 0) {
            note_param(ir, value);
        }
    }
}

// Marks what is needed, forwards its operands, and counts its uses.
static void mark_all(struct cleaner *c)
{
    c->top = c->count;
    for (uint32_t i = c->count; i-- > 0;) {
        struct ir_value *v = ir_at(c->ir, c->values[i]);
        __builtin_prefetch(ir_at(c->ir, c->values[i > IR_AHEAD / 2 ? i - IR_AHEAD / 2 : 0]));
        v->mark |= MET;
        if ((v->mark & NEEDED) != 0 || is_root(v)) {
            v->mark |= NEEDED;
            need_operands(c, v);
            tell_queued(c);
        }
    }
    note_params(c->ir);
}

// --- what is left --------------------------------------------------------------------------------

static void forward(const struct ir *ir, struct ir_value *v)
{
    uint32_t count = ir_operand_count(v);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *place = ir_operand(ir, v, i);
        *place = ir_resolve(ir, *place);
    }
}

// Operands of what comes later are forwarded on the way, those of PHIs in the end.
static bool keep(struct cleaner *c, uint32_t value)
{
    struct ir *ir = c->ir;
    struct ir_value *v = ir_at(ir, value);
    if ((v->mark & NEEDED) == 0) {
        return false;
    }
    if (c->copies && v->op != IR_PHI) {
        forward(ir, v);
    }
    if (c->narrowing == NULL || (v->mark & WANTED) != 0 || !c->narrowing->narrow(c->narrowing->user, value)) {
        return true;
    }
    c->copies = true;
    ir_at(ir, v->a)->uses += v->uses - 1;
    return false;
}

static void unlink_dead(struct cleaner *c)
{
    struct ir *ir = c->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        uint32_t *link = &b->first;
        while (*link != IR_NONE) {
            struct ir_value *v = ir_at(ir, *link);
            ir_prefetch(v);
            if (keep(c, *link)) {
                b->last = *link;
                link = &v->next;
            } else {
                *link = v->next;
            }
        }
    }
    for (uint32_t i = 0; i < ir->order_count && c->copies; i++) {
        uint32_t v = ir_block_at(ir, ir->order[i])->first;
        ir_prefetch_first(ir, i + IR_AHEAD / 4);
        for (; is_leading(ir_at(ir, v)) && v != IR_NONE; v = ir_next(ir, v)) {
            forward(ir, ir_at(ir, v));
        }
    }
}

ebpf_result_t ir_clean_narrowing(struct jit *j, const struct ir_narrowing *narrowing)
{
    struct ir *ir = &j->ir;
    size_t mark = j->memory.used;
    struct cleaner c = {.ir = ir, .narrowing = narrowing};
    c.values = jit_room(j, ir->value_count, sizeof(*c.values));
    if (c.values == NULL) {
        return EBPF_NO_MEMORY;
    }
    bool folded = list_values(&c);
    for (unsigned round = 1; round < PHI_ROUNDS && folded; round++) {
        folded = fold_phis(ir);
    }
    mark_all(&c);
    jit_rewind(j, mark);
    if (c.needed != c.count || narrowing != NULL) {
        unlink_dead(&c);
    }
    return EBPF_SUCCESS;
}

ebpf_result_t ir_clean(struct jit *j)
{
    return ir_clean_narrowing(j, NULL);
}

// --- uses ----------------------------------------------------------------------------------------

static void count_operands(struct ir *ir, struct ir_value *v)
{
    uint32_t count = ir_operand_count(v);
    for (uint32_t k = 0; k < count; k++) {
        ir_at(ir, *ir_operand(ir, v, k))->uses++;
    }
}

// Definitions come before their uses, but for those of PHIs.
void ir_count_uses(struct ir *ir)
{
    ir->params = 0;
    ir_at(ir, IR_NONE)->uses = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        for (uint32_t v = b->first; v != IR_NONE; v = ir_next(ir, v)) {
            struct ir_value *value = ir_at(ir, v);
            value->uses = 0;
            if (value->op != IR_PHI) {
                count_operands(ir, value);
            }
            note_param(ir, value);
        }
    }
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        ir_prefetch_first(ir, i + IR_AHEAD / 4);
        for (uint32_t v = b->first; v != IR_NONE && is_leading(ir_at(ir, v)); v = ir_next(ir, v)) {
            if (ir_at(ir, v)->op == IR_PHI) {
                count_operands(ir, ir_at(ir, v));
            }
        }
    }
}
