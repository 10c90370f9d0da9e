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

// What may be found where the PARAMs and PHIs of a block are: some of them have become other things.
#define LEADING                                                                                              \
    ((uint64_t)1 << IR_PHI | (uint64_t)1 << IR_COPY | (uint64_t)1 << IR_CONST | (uint64_t)1 << IR_NOP |      \
     (uint64_t)1 << IR_UNDEF | (uint64_t)1 << IR_PARAM)
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

// What a narrow operation, and one of 64 bits, wants of the upper halves of its operands; then the same where
// it compares 64 bits; then all that where its own upper half is wanted. Bits 0-3 stand for a to d (PHIs and
// calls: for all in the pool); bits 4-7 of what is given here only count where its own upper half is wanted.
// BSWAP goes by its number.
#define ODD             0xff
#define HIGH(w)         (uint8_t)((w) | (w) >> 4)
#define ALL(a, b, c, d) {a, b, c, d, HIGH(a), HIGH(b), HIGH(c), HIGH(d)}
#define AS(narrow, all) ALL(narrow, all, narrow, all)
#define ANY(bits)       AS(bits, bits)
#define WIDE(bits)      AS(0, bits)
static const uint8_t wishes[IR_OP_COUNT][8] = {
    [IR_BRANCH] = ALL(0, 0, 0x03, 0x03),
    [IR_SELECT] = ALL(0, 0xc0, 0x03, 0xc3),
    [IR_BSWAP] = ANY(ODD),
    [IR_PHI] = ANY(0x10),
    [IR_ADD] = WIDE(0x30),
    [IR_SUB] = WIDE(0x30),
    [IR_MUL] = WIDE(0x30),
    [IR_AND] = WIDE(0x30),
    [IR_OR] = WIDE(0x30),
    [IR_XOR] = WIDE(0x30),
    [IR_NEG] = WIDE(0x10),
    [IR_SHL] = WIDE(0x10),
    [IR_SHR] = WIDE(0x01),
    [IR_SAR] = WIDE(0x01),
    [IR_ROL] = WIDE(0x01),
    [IR_UDIV] = WIDE(0x03),
    [IR_UMOD] = WIDE(0x03),
    [IR_SDIV] = WIDE(0x03),
    [IR_SMOD] = WIDE(0x03),
    [IR_MULHU] = WIDE(0x03),
    [IR_ANDN] = WIDE(0x03),
    [IR_BITS] = WIDE(0x01),
    [IR_POPCNT] = WIDE(0x01),
    [IR_CLZ] = WIDE(0x01),
    [IR_CTZ] = WIDE(0x01),
    [IR_LEA] = ANY(0x03),
    [IR_LOAD] = ANY(0x03),
    [IR_LOADS] = ANY(0x03),
    [IR_LOADBE] = ANY(0x03),
    [IR_STORE] = AS(0x03, 0x07),
    [IR_STOREBE] = AS(0x03, 0x07),
    [IR_ATOMIC_ADD] = AS(0x01, 0x05),
    [IR_ATOMIC_OR] = AS(0x01, 0x05),
    [IR_ATOMIC_AND] = AS(0x01, 0x05),
    [IR_ATOMIC_XOR] = AS(0x01, 0x05),
    [IR_FETCH_ADD] = AS(0x01, 0x05),
    [IR_FETCH_OR] = AS(0x01, 0x05),
    [IR_FETCH_AND] = AS(0x01, 0x05),
    [IR_FETCH_XOR] = AS(0x01, 0x05),
    [IR_XCHG] = AS(0x01, 0x05),
    [IR_CMPXCHG] = AS(0x01, 0x07),
    [IR_HELPER] = ANY(0x01),
    [IR_CALL] = ANY(0x01),
    [IR_CALL_LOCAL] = ANY(0x01),
    [IR_SWITCH] = ANY(0x01),
    [IR_RET] = ANY(0x01),
    [IR_TAIL] = ANY(0x0f),
};

// Uses that the sweep has seen of a value are the lower half of its `sought`, those of its upper half are the
// upper one.
#define UPPER ((uint64_t)1 << 32)
static inline uint64_t upper_of(unsigned wanted)
{
    return (uint64_t)(wanted & 1) << 32;
}

static inline bool is_wanted(const struct ir_value *v)
{
    return v->sought >= UPPER;
}

// What `v` wants of its operands' upper halves: bits 0-3, when its own is `wanted`, or not.
static inline unsigned wishes_of(const struct ir_value *v, bool wanted)
{
    unsigned bits = wishes[v->op][v->width >> 6 | (v->cwidth >> 5 & 2) | wanted << 2];
    return bits != ODD ? bits : v->imm == 64;
}

static inline unsigned wanted_by(const struct ir_value *v)
{
    return wishes_of(v, is_wanted(v));
}

// --- what is needed ------------------------------------------------------------------------------

// A sweep from the last value to the first one finds users before what they use, and unlinks what nothing
// needs. A value is needed when it has uses. Only PHIs of loops use what comes later: where there are loops,
// values that seem dead stay until the end. Marks of values, for loops:
enum state {
    MET = 2,    // the sweep has been there: news about it are late
    QUEUED = 4, // in `late`
    TOLD = 8,   // its operands know that they are needed
};

struct cleaner {
    struct ir *ir;
    const struct ir_narrowing *narrowing;
    uint64_t ops;   // of it; 0: upper halves do not matter
    uint32_t *late; // a stack of values with late news
    uint32_t late_count;
    uint32_t *users; // of what may become a COPY; NULL: they are not noted
    uint32_t user_count, user_capacity;
    bool has_loops;
    bool copies;
};

void ir_turn_list(struct ir *ir, struct ir_block *b)
{
    struct ir_value *const top = ir->top;
    uint32_t *link = &b->first, before = IR_NONE, n = b->first;
    for (; n != IR_NONE && is_leading(top - n); n = *link) {
        struct ir_value *v = top - n;
        ir_prefetch(v);
        ir_unseen(v);
        link = &v->next;
    }
    *link = IR_NONE;
    for (uint32_t next; n != IR_NONE; n = next) {
        struct ir_value *v = top - n;
        ir_prefetch(v);
        next = v->next;
        v->next = before;
        ir_unseen(v);
        before = n;
    }
}

static void turn_lists(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        ir_turn_list(ir, ir_block_at(ir, ir->order[i]));
    }
}

// Without loops, one round finds all: what PHIs use comes before them.
static bool fold_phis(struct ir *ir)
{
    bool folded = false;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_value *v;
        ir_prefetch_first(ir, i + IR_AHEAD / 4);
        for (uint32_t n = ir_block_at(ir, ir->order[i])->first; n != IR_NONE; n = v->next) {
            v = ir_at(ir, n);
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

#define BIT(op)    ((uint64_t)1 << IR_##op)
#define EXTENSIONS (BIT(ZEXT) | BIT(SEXT))
// Those with lists of operands, and what may have had one.
#define LISTED (BIT(PHI) | BIT(HELPER) | BIT(CALL) | BIT(CALL_LOCAL) | BIT(NOP))

// What narrowing may make a COPY of the extension behind `place` is not known before all its users are.
static struct ir_value *look_behind(struct cleaner *c, uint32_t user, uint32_t *place, uint64_t use)
{
    struct ir_value *v = forward(c->ir, place);
    if (c->users != NULL && use < UPPER && (EXTENSIONS >> v->op & 1) != 0 && v->imm == 32) {
        if (c->user_count == c->user_capacity) {
            c->users = NULL;
        } else {
            c->users[c->user_count++] = user;
        }
    }
    return v;
}

// IR_NONE counts like a value. `mask`: 0 where there is no operand.
static inline void need(struct cleaner *c, struct ir_value *top, uint32_t user, uint32_t *place,
                        uint32_t mask, uint64_t use, bool narrows)
{
    struct ir_value *v = top - (*place & mask);
    uint64_t odd = narrows ? BIT(COPY) | EXTENSIONS : BIT(COPY);
    if (__builtin_expect((odd >> v->op & 1) != 0, 0)) {
        v = look_behind(c, user, place, use);
    }
    v->sought += use;
}

static void need_listed(struct cleaner *c, uint32_t value, struct ir_value *v, unsigned wanted)
{
    uint32_t *list = ir_pool(c->ir, v), count = v->op == IR_NOP ? 0 : v->b;
    for (uint32_t i = 0; i < count; i++) {
        need(c, c->ir->top, value, &list[i], UINT32_MAX, 1 | upper_of(wanted), c->ops != 0);
    }
}

// Few operations have no operands or one: it costs less not to ask. `use`: 1, or 0 for what is dead, which
// wants nothing.
static inline void need_fields(struct cleaner *c, struct ir_value *top, uint32_t value, struct ir_value *v,
                               unsigned wanted, uint64_t use, bool narrows)
{
    unsigned count = ir_op_info(v->op)->count;
    need(c, top, value, &v->a, 0u - (count > 0), use | upper_of(wanted), narrows);
    need(c, top, value, &v->b, 0u - (count > 1), use | upper_of(wanted >> 1), narrows);
    if (count > 2) {
        need(c, top, value, &v->c, UINT32_MAX, use | upper_of(wanted >> 2), narrows);
        if (count > 3) {
            need(c, top, value, &v->d, UINT32_MAX, use | upper_of(wanted >> 3), narrows);
        }
    }
}

static bool narrow(struct cleaner *c, uint32_t value, const struct ir_value *v)
{
    if (!c->narrowing->narrow(c->narrowing->user, value)) {
        return false;
    }
    struct ir_value *of = ir_at(c->ir, ir_resolve(c->ir, v->a));
    of->sought += v->uses - 1;
    of->uses = (uint32_t)of->sought;
    c->copies = true;
    return true;
}

static inline bool may_narrow(const struct cleaner *c, const struct ir_value *v, bool stays)
{
    return (c->ops >> v->op & v->width >> 6 & !is_wanted(v) & stays) != 0;
}

static inline bool has_use(const struct ir_value *v)
{
    return ((uint32_t)v->sought | (ir_op_info(v->op)->flags & (IR_WRITE | IR_END))) != 0;
}

// --- without loops -------------------------------------------------------------------------------

// Whether the value stays: all its users have been seen.
static inline bool visit(struct cleaner *c, struct ir_value *top, uint32_t value, struct ir_value *v,
                         bool narrows)
{
    bool stays = has_use(v);
    unsigned wanted = narrows ? wanted_by(v) & (0u - stays) : 0;
    v->uses = (uint32_t)v->sought;
    if (__builtin_expect((LISTED >> v->op & 1) != 0, 0)) {
        if (stays) {
            need_listed(c, value, v, wanted);
        }
        return stays;
    }
    need_fields(c, top, value, v, wanted, stays, narrows);
    return narrows && may_narrow(c, v, stays) ? !narrow(c, value, v) : stays;
}

static inline uint32_t sweep_list(struct cleaner *c, struct ir_value *top, uint32_t last, bool narrows)
{
    uint32_t first = IR_NONE;
    for (uint32_t n = last, before; n != IR_NONE; n = before) {
        struct ir_value *v = top - n;
        __builtin_prefetch(v + IR_AHEAD);
        before = v->next;
        bool stays = visit(c, top, n, v, narrows);
        v->next = first;
        first ^= (first ^ n) & (0u - stays);
    }
    return first;
}

// What leads the block, in front of `rest`.
static inline void sweep_leading(struct cleaner *c, struct ir_block *b, uint32_t rest, bool narrows)
{
    uint32_t *link = &b->first;
    for (uint32_t n = b->first; n != IR_NONE; n = ir_at(c->ir, n)->next) {
        if (visit(c, c->ir->top, n, ir_at(c->ir, n), narrows)) {
            *link = n;
            link = &ir_at(c->ir, n)->next;
        }
    }
    *link = rest;
}

__attribute__((always_inline)) static inline void sweep_all(struct cleaner *c, bool narrows)
{
    const struct ir *ir = c->ir;
    for (uint32_t i = ir->order_count; i-- > 0;) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        sweep_leading(c, b, sweep_list(c, ir->top, b->last, narrows), narrows);
    }
}

static void sweep(struct cleaner *c)
{
    if (c->ops == 0) {
        sweep_all(c, false);
    } else {
        sweep_all(c, true);
    }
}

// --- with loops ----------------------------------------------------------------------------------

static void note_late(struct cleaner *c, uint32_t value, struct ir_value *v, bool first, unsigned wanted)
{
    bool news = first || ((wanted & 1) != 0 && !is_wanted(v));
    v->sought |= upper_of(wanted);
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
            note_late(c, list[i], operand, (uint32_t)operand->sought++ == 0, wanted >> (listed ? 0 : i));
        }
    }
}

// Its operands are needed for long; now somebody wants its upper half.
static void want_late(struct cleaner *c, struct ir_value *v)
{
    const uint32_t *list = ir_operands(c->ir, v);
    uint32_t count = ir_operand_count(v);
    bool listed = ir_op_info(v->op)->listed;
    unsigned wanted = wishes_of(v, true) & ~wishes_of(v, false);
    for (uint32_t i = 0; i < count; i++) {
        if ((wanted >> (listed ? 0 : i) & 1) != 0 && list[i] != IR_NONE) {
            note_late(c, list[i], ir_at(c->ir, list[i]), false, 1);
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
            need_late(c, v, c->ops != 0 ? wanted_by(v) : 0);
        } else if (is_wanted(v)) {
            want_late(c, v);
        }
    }
}

// PHIs have been at some of the operands, and nothing goes yet.
static void visit_turning(struct cleaner *c, uint32_t value, struct ir_value *v)
{
    v->mark |= MET;
    if (!has_use(v)) {
        return;
    }
    unsigned wanted = c->ops != 0 ? wanted_by(v) : 0;
    v->mark |= TOLD;
    if (v->op == IR_PHI) {
        tell_late(c, v, wanted);
    } else if (ir_op_info(v->op)->listed) {
        need_listed(c, value, v, wanted);
    } else {
        need_fields(c, c->ir->top, value, v, wanted, 1, c->ops != 0);
    }
}

static void sweep_block_turning(struct cleaner *c, struct ir_block *b)
{
    struct ir *ir = c->ir;
    uint32_t first = IR_NONE, *link = &b->first;
    for (uint32_t n = b->last, before; n != IR_NONE; n = before) {
        struct ir_value *v = ir_at(ir, n);
        __builtin_prefetch(v + IR_AHEAD);
        before = v->next;
        visit_turning(c, n, v);
        v->next = first;
        first = n;
    }
    for (; *link != IR_NONE; link = &ir_at(ir, *link)->next) {
        visit_turning(c, *link, ir_at(ir, *link));
    }
    *link = first;
}

static bool keep(struct cleaner *c, uint32_t value)
{
    struct ir_value *v = ir_at(c->ir, value);
    v->uses = (uint32_t)v->sought;
    return has_use(v) && (!may_narrow(c, v, true) || !narrow(c, value, v));
}

// What is dead is known only now, and what may become narrow.
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

static void sweep_turning(struct cleaner *c)
{
    for (uint32_t i = c->ir->order_count; i-- > 0;) {
        sweep_block_turning(c, ir_block_at(c->ir, c->ir->order[i]));
    }
    unlink_dead(c);
}

// --- what is left --------------------------------------------------------------------------------

// Whether it is a PHI of one value then.
static inline bool forward_operands(struct ir *ir, uint32_t value)
{
    struct ir_value *v = ir_at(ir, value);
    uint32_t *list = ir_operands(ir, v), count = ir_operand_count(v);
    for (uint32_t k = 0; k < count; k++) {
        (void)forward(ir, &list[k]);
    }
    return v->op == IR_PHI && only_operand(ir, v, value) != IR_NONE;
}

// Whether PHIs of one value are left.
static bool forward_all(const struct cleaner *c)
{
    struct ir *ir = c->ir;
    bool lone = false;
    for (uint32_t i = 0; i < c->user_count && c->users != NULL; i++) {
        lone = forward_operands(ir, c->users[i]) || lone;
    }
    for (uint32_t i = 0; i < ir->order_count && c->users == NULL; i++) {
        for (uint32_t n = ir_block_at(ir, ir->order[i])->first; n != IR_NONE; n = ir_next(ir, n)) {
            lone = forward_operands(ir, n) || lone;
        }
    }
    return lone;
}

static void note_params(struct ir *ir)
{
    ir->params = 0;
    for (uint32_t n = ir_block_at(ir, ir->entry)->first; n != IR_NONE; n = ir_next(ir, n)) {
        const struct ir_value *v = ir_at(ir, n);
        if (!is_leading(v)) {
            return;
        }
        note_param(ir, v);
    }
}

#define USERS 4 // one value in so many may use what becomes a COPY: where there are more, all are looked at

static ebpf_result_t prepare(struct jit *j, struct cleaner *c)
{
    c->has_loops = !c->ir->acyclic;
    ir_at(c->ir, IR_NONE)->sought = 0;
    if (c->has_loops) {
        c->late = jit_room(j, c->ir->value_count, sizeof(*c->late));
        return c->late == NULL ? EBPF_NO_MEMORY : EBPF_SUCCESS;
    }
    if (c->ops != 0) {
        c->user_capacity = c->ir->value_count / USERS;
        c->users = jit_room(j, c->user_capacity, sizeof(*c->users));
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t clean(struct jit *j, struct cleaner *c)
{
    struct ir *ir = &j->ir;
    size_t mark = j->memory.used;
    TRY(prepare(j, c));
    bool folded = true;
    for (unsigned round = 0; round < PHI_ROUNDS && folded; round++) {
        folded = fold_phis(ir) && c->has_loops;
    }
    if (c->has_loops) {
        sweep_turning(c);
    } else {
        sweep(c);
    }
    bool lone = c->copies && forward_all(c); // what was narrowed left PHIs of one value
    note_params(ir);
    ir->counted = true;
    ir->whole = false;
    ir->tidy = !folded && !lone;
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}

ebpf_result_t ir_clean_narrowing(struct jit *j, const struct ir_narrowing *narrowing)
{
    struct cleaner c = {.ir = &j->ir, .narrowing = narrowing, .ops = narrowing->ops};
    return clean(j, &c);
}

ebpf_result_t ir_clean(struct jit *j)
{
    struct cleaner c = {.ir = &j->ir};
    turn_lists(&j->ir);
    return clean(j, &c);
}

// --- uses ----------------------------------------------------------------------------------------

// IR_NONE counts like a value.
static inline void count_operands(const struct ir *ir, struct ir_value *top, struct ir_value *v)
{
    const struct ir_op_info *info = ir_op_info(v->op);
    if (__builtin_expect(info->listed, 0)) {
        const uint32_t *list = ir_pool(ir, v);
        for (uint32_t k = 0; k < v->b; k++) {
            (top - list[k])->uses++;
        }
        return;
    }
    (top - (v->a & (0u - (info->count > 0))))->uses++;
    (top - (v->b & (0u - (info->count > 1))))->uses++;
    if (info->count > 2) {
        (top - v->c)->uses++;
        (top - (info->count > 3 ? v->d : IR_NONE))->uses++;
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
