// SPDX-License-Identifier: MIT
// alloc_scan: one pass over the values in order. A value takes the free register that most of its wishes ask
// for: where its PHI, its operands, the calls that it goes to, its operation have it. When none is free, the
// value whose uses are rarest for the length of its life goes without, all its life.
#include "jit/alloc.h"

#define LOOKED_AT 16 // operands of a PHI that is asked where it will be
#define NOBODY    64 // registers, and room for IR_REG_NONE

struct scan {
    struct alloc *a;
    uint32_t registers; // that may be given
    uint32_t occupied;
    uint32_t given; // so far, in all blocks
    uint32_t block;
    uint32_t weight;         // of it
    uint32_t *of_loop;       // of alloc.loop_registers, for its loop
    uint32_t holder[NOBODY]; // value in each occupied register
};

// --- registers -----------------------------------------------------------------------------------

static inline uint8_t reg_of(const struct scan *s, uint32_t n)
{
    return s->a->values[n].reg;
}

static void start_block(struct scan *s, uint32_t block)
{
    const struct alloc *a = s->a;
    s->block = block;
    s->weight = alloc_weight(a->blocks[block].often);
    s->of_loop = &a->loop_registers[ir_block_at(a->ir, block)->loop];
    uint32_t occupied = 0;
    const struct alloc_value *values = a->values;
    const uint32_t *live = a->lives + a->blocks[block].live, *end = a->lives + a->blocks[block].live_end;
    for (; live != end; live++) {
        uint32_t n = *live;
        uint8_t reg = values[n].reg;
        s->holder[reg % NOBODY] = n;
        occupied |= reg_set_of(reg);
    }
    s->occupied = occupied;
}

// Registers of the operands that are read for the last time, and that the result must not take.
static uint32_t released_late(const struct alloc *a, const struct alloc_value *value)
{
    uint32_t set = 0;
    for (uint32_t late = value->late; late != 0; late &= late - 1) {
        uint32_t number = a->operands[value->operands + (uint32_t)__builtin_ctz(late)];
        set |= (number & ALLOC_LAST) != 0 ? reg_set_of(a->values[number & ~ALLOC_LAST].reg) : 0;
    }
    return set;
}

// --- wishes --------------------------------------------------------------------------------------

struct wishes {
    uint32_t allowed, set; // of registers
    uint32_t weight[32];
};

static inline void wish(struct wishes *w, uint8_t reg, uint32_t weight)
{
    uint32_t bit = reg_set_of(reg) & w->allowed;
    if (bit != 0) {
        w->weight[reg] = (w->set & bit) != 0 ? w->weight[reg] + weight : weight;
        w->set |= bit;
    }
}

// A PHI wants to be where its operands are.
static void wish_operands(const struct scan *s, struct wishes *w, uint32_t phi)
{
    const struct ir_block *b = ir_block_at(s->a->ir, s->block);
    for (uint32_t k = 0; k < b->pred_count; k++) {
        wish(w, reg_of(s, alloc_operand(s->a, phi, k)), alloc_weight(s->a->blocks[b->preds[k]].often));
    }
}

// An operand of a PHI wants to be where that is, or will be because another operand is there. That counts
// more than another wish: a move on an edge often costs a jump too.
ALLOC_RARE static void wish_phi(const struct scan *s, struct wishes *w, const struct alloc_value *value)
{
    uint8_t reg = reg_of(s, value->phi);
    if (reg == IR_REG_NONE) {
        uint32_t count = min_u32(alloc_operand_count(s->a, value->phi), LOOKED_AT);
        for (uint32_t k = 0; k < count && reg == IR_REG_NONE; k++) {
            reg = reg_of(s, alloc_operand(s->a, value->phi, k));
        }
    }
    uint32_t weight = alloc_weight(value->phi_often);
    wish(w, reg, weight + weight / 2);
}

// The result of an operation of two addresses wants to be where an operand dies.
static inline void wish_same(const struct scan *s, struct wishes *w, const struct alloc_value *value)
{
    const struct alloc *a = s->a;
    const uint32_t *number = a->operands + value->operands + value->same - 1;
    if ((*number & ALLOC_LAST) != 0) {
        wish(w, reg_of(s, *number & ~ALLOC_LAST), s->weight);
    }
    bool swaps = (ir_op_info(value->op)->flags & IR_COMM) != 0;
    if (swaps && (number[1] & ALLOC_LAST) != 0) {
        wish(w, reg_of(s, number[1] & ~ALLOC_LAST), s->weight);
    }
}

static uint8_t incoming(const struct jit *j, int64_t param)
{
    const struct jit_convention *convention = jit_convention(j);
    if (!j->ir.is_entry) {
        return convention->local[param];
    }
    static const uint8_t entry[] = {0, 1, UINT8_MAX, UINT8_MAX, UINT8_MAX, 2, 3};
    return entry[param] != UINT8_MAX ? convention->entry[entry[param]] : IR_REG_NONE;
}

// There is a wish.
static inline uint8_t most_wanted(const struct wishes *w)
{
    uint8_t best = (uint8_t)__builtin_ctz(w->set);
    for (uint32_t set = w->set & (w->set - 1); set != 0; set &= set - 1) {
        uint8_t reg = (uint8_t)__builtin_ctz(set);
        best = w->weight[reg] > w->weight[best] ? reg : best;
    }
    return best;
}

static inline void wish_all(const struct scan *s, struct wishes *w, const struct alloc_value *value)
{
    w->set = 0;
    wish(w, value->hint, alloc_weight(value->hint_often));
    wish(w, value->result, s->weight);
    if (value->phi != 0) {
        wish_phi(s, w, value);
    }
    if (value->same != 0) {
        wish_same(s, w, value);
    }
}

// --- choice --------------------------------------------------------------------------------------

// The first one of the target's order; not where the PHIs of the loop come back to, nor where the PHI that
// the value goes to cannot be, if it can be helped.
static inline uint8_t preferred(const struct scan *s, const struct alloc_value *value, uint32_t allowed)
{
    uint32_t avoid = *s->of_loop | s->a->values[value->phi].forbid;
    uint32_t set = (allowed & ~avoid) != 0 ? allowed & ~avoid : allowed;
    return jit_preferred(s->a->target, set);
}

// a is cheaper to do without than b.
static bool is_cheaper(const struct alloc_value *a, const struct alloc_value *b)
{
    return (uint64_t)a->weight * (b->length + 1) < (uint64_t)b->weight * (a->length + 1);
}

ALLOC_RARE static void give_up(struct alloc *a, uint32_t n)
{
    a->values[n].reg = IR_REG_NONE;
    a->spilled++;
    a->alone = a->alone || a->values[n].alone;
    a->blocks[alloc_ir(a, &a->values[n])->block].entered = ALLOC_SPILLS;
}

static inline void settle(struct scan *s, uint32_t n, uint8_t reg)
{
    s->a->values[n].reg = reg;
    s->holder[reg] = n;
    s->occupied |= REG_SET(reg);
    s->given |= REG_SET(reg);
}

// Takes a register from a value that is cheaper than `n`; when there is none, `n` goes without.
ALLOC_RARE static void take_away(struct scan *s, uint32_t n)
{
    struct alloc *a = s->a;
    uint32_t cheapest = n;
    uint8_t from = IR_REG_NONE;
    for (uint32_t set = s->occupied & s->registers & ~a->values[n].forbid; set != 0; set &= set - 1) {
        uint8_t reg = (uint8_t)__builtin_ctz(set);
        if (is_cheaper(&a->values[s->holder[reg]], &a->values[cheapest])) {
            cheapest = s->holder[reg];
            from = reg;
        }
    }
    give_up(a, cheapest);
    if (from != IR_REG_NONE) {
        settle(s, n, from);
    }
}

static inline uint32_t allowed_to(const struct scan *s, const struct alloc_value *value)
{
    return s->registers & ~s->occupied & ~value->forbid;
}

static inline bool has_wishes(const struct alloc_value *value)
{
    _Static_assert(IR_REG_NONE == 0xff, "all bits");
    return (value->phi | value->same | ((value->hint & value->result) ^ IR_REG_NONE)) != 0;
}

ALLOC_RARE static uint8_t choose(const struct scan *s, const struct alloc_value *value, uint32_t allowed)
{
    struct wishes w;
    w.allowed = allowed;
    wish_all(s, &w, value);
    return w.set != 0 ? most_wanted(&w) : preferred(s, value, allowed);
}

static inline void place(struct scan *s, uint32_t n, const struct alloc_value *value)
{
    uint32_t allowed = allowed_to(s, value);
    if (value->alone) {
        give_up(s->a, n);
    } else if (allowed == 0) {
        take_away(s, n);
    } else {
        settle(s, n, has_wishes(value) ? choose(s, value, allowed) : preferred(s, value, allowed));
    }
}

static bool takes_place(const struct alloc_value *value)
{
    return value->kind != ALLOC_ABSENT && value->reg == IR_REG_NONE;
}

static void note_loop(const struct scan *s, const struct alloc_value *value)
{
    const struct ir *ir = s->a->ir;
    if (value->op == IR_PHI && ir->loops[ir_block_at(ir, s->block)->loop].head == s->block) {
        *s->of_loop |= reg_set_of(value->reg);
    }
}

static void place_wished(struct scan *s, uint32_t n, const struct alloc_value *value)
{
    struct wishes w;
    w.allowed = allowed_to(s, value);
    wish_all(s, &w, value);
    if (value->op == IR_PHI) {
        wish_operands(s, &w, n);
    } else {
        wish(&w, incoming(s->a->j, alloc_ir(s->a, value)->imm), s->weight);
    }
    if (w.set != 0) {
        settle(s, n, most_wanted(&w));
        note_loop(s, value);
    }
}

static inline bool leads(const struct alloc_value *value)
{
    return ((OP_BIT(IR_PHI) | OP_BIT(IR_PARAM)) >> value->op & 1) != 0;
}

// PHIs and PARAMs are there all at once: those that have wishes choose first. Returns what comes behind them.
ALLOC_RARE static uint32_t place_leading(struct scan *s, uint32_t first)
{
    const struct alloc_value *values = s->a->values;
    uint32_t end = first;
    for (; leads(&values[end]); end++) {
        if (takes_place(&values[end]) && !values[end].alone) {
            place_wished(s, end, &values[end]);
        }
    }
    for (uint32_t n = first; n < end; n++) {
        if (takes_place(&values[n])) {
            place(s, n, &values[n]);
            note_loop(s, &values[n]);
        }
    }
    return end;
}

// `released`: registers of the operands that are read for the last time.
ALLOC_RARE static void place_late(struct scan *s, uint32_t n, const struct alloc_value *value,
                                  uint32_t released)
{
    uint32_t late = released_late(s->a, value);
    s->occupied &= ~released | late;
    if (value->kind != ALLOC_ABSENT) {
        place(s, n, value);
    }
    s->occupied &= ~late | reg_set_of(value->reg);
}

// The register of an operand that is read for the last time. No branch: nobody can tell which ones are.
static inline uint32_t released_by(const struct alloc_value *values, uint32_t number)
{
    return reg_set_of(values[number & ~ALLOC_LAST].reg) & (0 - (number >> 31));
}

static void scan_block(struct scan *s, uint32_t block)
{
    const struct alloc *a = s->a;
    const struct alloc_value *values = a->values;
    start_block(s, block);
    uint32_t n = a->blocks[block].first, end = a->blocks[block].end;
    if (leads(&values[n])) {
        n = place_leading(s, n);
    }
    const uint32_t *operands = a->operands, *number = operands + values[n].operands;
    for (const struct alloc_value *value = &values[n]; n != end; n++, value++) {
        uint32_t released = 0;
        for (const uint32_t *next = operands + value[1].operands; number != next; number++) {
            released |= released_by(values, *number);
        }
        if (value->late != 0) {
            place_late(s, n, value, released);
            continue;
        }
        s->occupied &= ~released;
        if (value->kind != ALLOC_ABSENT) {
            place(s, n, value);
        }
    }
}

static void begin(struct scan *s, uint32_t registers)
{
    struct alloc *a = s->a;
    s->registers = registers;
    s->given = 0;
    a->spilled = 0;
    memset(a->loop_registers, 0, (a->ir->loop_count + 1) * sizeof *a->loop_registers);
}

static void forget_registers(struct alloc *a, uint32_t end)
{
    for (uint32_t n = 1; n < end; n++) {
        a->values[n].reg = IR_REG_NONE;
    }
}

// When the first value gets none: what was done so far would have been done with the registers of `spilling`
// too, unless one was given that is not among them. False: it has to be done again.
static bool begin_spilling(struct scan *s, uint32_t spilling)
{
    if ((spilling & ~s->registers) != 0 || (s->given & ~spilling) != 0) {
        forget_registers(s->a, s->a->blocks[s->block].end);
        begin(s, spilling);
        return false;
    }
    s->registers = spilling;
    return true;
}

static bool scan_all(struct scan *s, uint32_t spilling)
{
    const struct alloc *a = s->a;
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        scan_block(s, a->ir->order[i]);
        if (a->spilled != 0 && s->registers != spilling && !begin_spilling(s, spilling)) {
            return false;
        }
    }
    return true;
}

uint32_t alloc_scan(struct alloc *a, uint32_t registers, uint32_t spilling)
{
    struct scan s;
    s.a = a;
    begin(&s, registers);
    if (!scan_all(&s, spilling)) {
        scan_all(&s, spilling);
    }
    return s.given;
}
