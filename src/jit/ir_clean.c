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
#define LEADING                                                                                              \
    ((uint64_t)1 << IR_PHI | (uint64_t)1 << IR_COPY | (uint64_t)1 << IR_CONST | (uint64_t)1 << IR_NOP |      \
     (uint64_t)1 << IR_UNDEF)
_Static_assert(IR_OP_COUNT <= 64, "sets of operations have 64 bits");
static inline bool is_leading(const struct ir_value *v)
{
    return (LEADING >> v->op & 1) != 0;
}

static inline bool fold_phi(struct ir *ir, uint32_t value, const struct ir_value *phi)
{
    uint32_t only = only_operand(ir, phi, value);
    if (only != IR_NONE) {
        ir_become_copy(ir, value, only);
    }
    return only != IR_NONE;
}

static void note_param(struct ir *ir, const struct ir_value *v)
{
    ir->params |= v->op == IR_PARAM ? (uint32_t)1 << v->imm : 0;
}

// --- upper halves --------------------------------------------------------------------------------

// What an operation of 64 bits, and a narrow one, wants of the upper halves of its operands: bits 0-3 of a to
// d (PHIs and calls: of all in the pool) always, bits 4-7 if its own upper half is wanted. BRANCH, SELECT and
// BSWAP go by more than the width.
#define ODD 0xff
static const struct wish {
    uint8_t wide, narrow;
} wishes[IR_OP_COUNT] = {
    [IR_BRANCH] = {ODD, ODD},       [IR_SELECT] = {ODD, ODD},       [IR_BSWAP] = {ODD, ODD},
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

static unsigned odd_wishes_of(const struct ir_value *v)
{
    switch (v->op) {
    case IR_BRANCH: return v->cwidth == 64 ? 0x03 : 0;
    case IR_SELECT: return (v->cwidth == 64 ? 0x03u : 0) | (v->width == 64 ? 0xc0u : 0);
    default: return v->imm == 64; // BSWAP
    }
}

static inline unsigned wishes_of(const struct ir_value *v)
{
    const struct wish *wish = &wishes[v->op];
    unsigned wanted = v->width == 64 ? wish->wide : wish->narrow;
    return wanted != ODD ? wanted : odd_wishes_of(v);
}

// --- what is needed ------------------------------------------------------------------------------

// A sweep from the last value to the first one finds users before what they use, and unlinks what nothing
// needs. A value is needed when it has uses. Only PHIs of loops use what comes later: where there are loops,
// values that seem dead stay until the end. Marks of values, all but the first for loops:
enum state {
    WANTED = 1, // its upper half is
    MET = 2,    // the sweep has been there: news about it are late
    QUEUED = 4, // in `late`
    TOLD = 8,   // its operands know that they are needed
};

struct cleaner {
    struct ir *ir;
    const struct ir_narrowing *narrowing; // or NULL: upper halves do not matter
    uint32_t *late;                       // a stack of values with late news
    uint32_t late_count;
    uint32_t left; // values that seemed dead and stayed
    bool has_loops;
    bool copies;
};

// Turns the list of each block round, so that the sweep finds it from the last value on. Nothing is known of
// the values; PHIs are folded on the way.
static bool turn_lists(struct ir *ir)
{
    bool folded = false;
    struct ir_value *const top = ir->top;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t before = IR_NONE;
        for (uint32_t n = ir_block_at(ir, ir->order[i])->first, next; n != IR_NONE; n = next) {
            struct ir_value *v = top - n;
            ir_prefetch(v);
            if (v->op == IR_PHI) {
                folded = fold_phi(ir, n, v) || folded;
            }
            next = v->next;
            v->next = before;
            v->mark = 0;
            v->uses = 0;
            before = n;
        }
    }
    return folded;
}

// Folds PHIs once more; what has one operand was folded the first time.
static bool fold_phis(struct ir *ir)
{
    bool folded = false;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        const struct ir_value *v;
        for (uint32_t n = b->pred_count > 1 ? b->last : IR_NONE; n != IR_NONE; n = v->next) {
            v = ir_at(ir, n);
            __builtin_prefetch(v + IR_AHEAD);
            folded = (v->op == IR_PHI && fold_phi(ir, n, v)) || folded;
        }
    }
    return folded;
}

static inline struct ir_value *forward(const struct ir *ir, uint32_t *place)
{
    struct ir_value *v = ir_at(ir, *place);
    if (__builtin_expect(v->op == IR_COPY, 0)) {
        *place = ir_resolve(ir, *place);
        v = ir_at(ir, *place);
    }
    return v;
}

static void note_late(struct cleaner *c, uint32_t value, struct ir_value *v, bool first, unsigned wanted)
{
    bool news = first || (wanted & ~v->mark & WANTED) != 0;
    v->mark |= (uint8_t)(wanted & WANTED);
    if (news && (v->mark & (MET | QUEUED)) == MET) {
        v->mark |= QUEUED;
        c->late[c->late_count++] = value;
    }
}

static void need_late(struct cleaner *c, struct ir_value *v, unsigned wanted)
{
    uint32_t *list = ir_operands(c->ir, v), count = ir_operand_count(v);
    bool listed = ir_op_info(v->op)->listed;
    v->mark |= TOLD;
    for (uint32_t i = 0; i < count; i++) {
        struct ir_value *operand = forward(c->ir, &list[i]);
        if (list[i] != IR_NONE) {
            note_late(c, list[i], operand, operand->uses++ == 0, wanted >> (listed ? 0 : i));
        }
    }
}

// What `v` wants of its operands' upper halves: bits 0-3.
static inline unsigned wanted_by(const struct ir_value *v)
{
    unsigned wanted = wishes_of(v);
    return (v->mark & WANTED) != 0 ? wanted | wanted >> 4 : wanted;
}

// Its operands are needed for long; now somebody wants its upper half.
static void want_late(struct cleaner *c, struct ir_value *v)
{
    const uint32_t *list = ir_operands(c->ir, v);
    uint32_t count = ir_operand_count(v);
    bool listed = ir_op_info(v->op)->listed;
    unsigned wanted = wishes_of(v) >> 4;
    for (uint32_t i = 0; i < count; i++) {
        if ((wanted >> (listed ? 0 : i) & 1) != 0 && list[i] != IR_NONE) {
            note_late(c, list[i], ir_at(c->ir, list[i]), false, WANTED);
        }
    }
}

static void tell_late(struct cleaner *c, struct ir_value *phi, unsigned wanted)
{
    need_late(c, phi, wanted);
    while (c->late_count != 0) {
        struct ir_value *v = ir_at(c->ir, c->late[--c->late_count]);
        v->mark &= (uint8_t)~QUEUED;
        if ((v->mark & TOLD) == 0) {
            need_late(c, v, c->narrowing != NULL ? wanted_by(v) : 0);
        } else if ((v->mark & WANTED) != 0) {
            want_late(c, v);
        }
    }
}

// IR_NONE counts like a value.
static inline void need(struct ir_value *top, uint32_t *place, unsigned wanted)
{
    struct ir_value *v = top - *place;
    if (__builtin_expect(v->op == IR_COPY, 0)) {
        while (v->op == IR_COPY) {
            *place = v->a;
            v = top - v->a;
        }
    }
    v->uses++;
    v->mark |= (uint8_t)(wanted & WANTED);
}

static void need_last_fields(struct ir_value *top, struct ir_value *v, unsigned count, unsigned wanted)
{
    need(top, &v->c, wanted >> 2);
    if (count > 3) {
        need(top, &v->d, wanted >> 3);
    }
}

static void need_listed(const struct ir *ir, const struct ir_value *v, unsigned wanted)
{
    uint32_t *list = ir_pool(ir, v), count = v->b;
    struct ir_value *top = ir->top;
    for (uint32_t i = 0; i < count; i++) {
        need(top, &list[i], wanted);
    }
}

// The operands of a value that the sweep finds needed; it has not been at them, but for those of PHIs.
static inline void need_operands(struct cleaner *c, struct ir_value *top, struct ir_value *v, unsigned wanted)
{
    const struct ir_op_info *info = ir_op_info(v->op);
    if (c->has_loops) {
        v->mark |= MET | TOLD;
        if (v->op == IR_PHI) {
            tell_late(c, v, wanted);
            return;
        }
    }
    if (__builtin_expect(info->listed, 0)) {
        need_listed(c->ir, v, wanted);
        return;
    }
    if (info->count > 0) {
        need(top, &v->a, wanted);
    }
    if (info->count > 1) {
        need(top, &v->b, wanted >> 1);
        if (info->count > 2) {
            need_last_fields(top, v, info->count, wanted);
        }
    }
}

static bool narrow(struct cleaner *c, uint32_t value, const struct ir_value *v)
{
    if (!c->narrowing->narrow(c->narrowing->user, value)) {
        return false;
    }
    ir_at(c->ir, ir_resolve(c->ir, v->a))->uses += v->uses - 1;
    c->copies = true;
    return true;
}

static inline bool may_narrow(const struct cleaner *c, const struct ir_value *v)
{
    return (v->mark & WANTED) == 0 && v->width == 64 && (c->narrowing->ops >> v->op & 1) != 0;
}

static inline bool is_idle(const struct ir_value *v)
{
    return v->uses == 0 && (ir_op_info(v->op)->flags & (IR_WRITE | IR_END)) == 0;
}

// Whether the value stays, as far as that is known.
static inline bool visit(struct cleaner *c, struct ir_value *top, uint32_t value, bool narrowing)
{
    struct ir_value *v = top - value;
    if (is_idle(v)) {
        v->mark |= MET;
        c->left += c->has_loops;
        return c->has_loops;
    }
    need_operands(c, top, v, narrowing ? wanted_by(v) : 0);
    return !narrowing || c->has_loops || !may_narrow(c, v) || !narrow(c, value, v);
}

static inline uint32_t sweep_list(struct cleaner *c, struct ir_value *top, uint32_t last, bool narrowing)
{
    uint32_t first = IR_NONE;
    for (uint32_t n = last, before; n != IR_NONE; n = before) {
        struct ir_value *v = top - n;
        __builtin_prefetch(v + IR_AHEAD);
        before = v->next;
        if (visit(c, top, n, narrowing)) {
            v->next = first;
            first = n;
        }
    }
    return first;
}

static void sweep(struct cleaner *c)
{
    const struct ir *ir = c->ir;
    for (uint32_t i = ir->order_count; i-- > 0;) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        b->first = c->narrowing == NULL ? sweep_list(c, ir->top, b->last, false)
                                        : sweep_list(c, ir->top, b->last, true);
    }
}

// --- what is left --------------------------------------------------------------------------------

static bool keep(struct cleaner *c, uint32_t value)
{
    struct ir_value *v = ir_at(c->ir, value);
    if (is_idle(v)) {
        return false;
    }
    return c->narrowing == NULL || !may_narrow(c, v) || !narrow(c, value, v);
}

// Where there are loops, what is dead is known only now, and what may become narrow.
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
                link = &v->next;
            } else {
                *link = v->next;
            }
        }
    }
}

static void forward_all(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        for (uint32_t n = ir_block_at(ir, ir->order[i])->first; n != IR_NONE; n = ir_next(ir, n)) {
            struct ir_value *v = ir_at(ir, n);
            uint32_t *list = ir_operands(ir, v), count = ir_operand_count(v);
            for (uint32_t k = 0; k < count; k++) {
                (void)forward(ir, &list[k]);
            }
        }
    }
}

static void note_params(struct ir *ir)
{
    ir->params = 0;
    for (uint32_t n = ir_block_at(ir, ir->entry)->first; n != IR_NONE; n = ir_next(ir, n)) {
        const struct ir_value *v = ir_at(ir, n);
        if (v->op != IR_PARAM && !is_leading(v)) {
            return;
        }
        note_param(ir, v);
    }
}

ebpf_result_t ir_clean_narrowing(struct jit *j, const struct ir_narrowing *narrowing)
{
    struct ir *ir = &j->ir;
    size_t mark = j->memory.used;
    struct cleaner c = {.ir = ir, .narrowing = narrowing, .has_loops = !ir->acyclic};
    if (c.has_loops) {
        c.late = jit_room(j, ir->value_count, sizeof(*c.late));
        if (c.late == NULL) {
            return EBPF_NO_MEMORY;
        }
    }
    bool folded = turn_lists(ir);
    for (unsigned round = 1; round < PHI_ROUNDS && folded; round++) {
        folded = fold_phis(ir);
    }
    sweep(&c);
    if (c.left != 0 || (c.has_loops && narrowing != NULL)) {
        unlink_dead(&c);
    }
    if (c.copies) {
        forward_all(ir);
    }
    note_params(ir);
    ir->counted = true;
    ir->whole = false;
    ir->tidy = !folded && !c.copies; // what was narrowed may have left PHIs of one value
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}

ebpf_result_t ir_clean(struct jit *j)
{
    return ir_clean_narrowing(j, NULL);
}

// --- uses ----------------------------------------------------------------------------------------

static inline void count_operands(const struct ir *ir, struct ir_value *top, struct ir_value *v)
{
    const struct ir_op_info *info = ir_op_info(v->op);
    if (__builtin_expect(info->listed, 0)) {
        const uint32_t *list = ir_pool(ir, v);
        for (uint32_t k = 0; k < v->b; k++) {
            (top - list[k])->uses++;
        }
    } else if (info->count > 0) {
        (top - v->a)->uses++;
        if (info->count > 1) {
            (top - v->b)->uses++;
        }
        for (uint32_t k = 2; k < info->count; k++) {
            (top - (&v->a)[k])->uses++;
        }
    }
}

static void count_leading(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t n = ir_block_at(ir, ir->order[i])->first;
        ir_prefetch_first(ir, i + IR_AHEAD / 4);
        for (; n != IR_NONE && is_leading(ir_at(ir, n)); n = ir_next(ir, n)) {
            if (ir_at(ir, n)->op == IR_PHI) {
                count_operands(ir, ir->top, ir_at(ir, n));
            }
        }
    }
}

// Definitions come before their uses, but for those of PHIs.
void ir_count_uses(struct ir *ir)
{
    struct ir_value *const top = ir->top;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_value *v;
        for (uint32_t n = ir_block_at(ir, ir->order[i])->first; n != IR_NONE; n = v->next) {
            v = top - n;
            ir_prefetch(v);
            v->uses = 0;
            if (v->op != IR_PHI) {
                count_operands(ir, top, v);
            }
        }
    }
    count_leading(ir);
    note_params(ir);
    ir->counted = true;
}
