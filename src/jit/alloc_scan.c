// SPDX-License-Identifier: MIT
// alloc_scan: one pass over the values in order. A value takes the free register that most of its wishes ask
// for: where its PHI, its operands, the calls that it goes to, its operation have it. When none is free, the
// value whose uses are rarest for the length of its life goes without, all its life.
#include "jit/alloc.h"

#define LOOKED_AT 16 // operands of a PHI that is asked where it will be

struct scan {
    struct alloc *a;
    uint32_t registers; // that may be given
    uint32_t occupied;
    uint32_t block;
    uint32_t holder[32]; // value in each occupied register
};

// --- the ends of lives ---------------------------------------------------------------------------

static void live_on(struct alloc *a, uint32_t block, uint32_t list)
{
    for (uint32_t node = list; node != 0; node = alloc_node(a, node)->next) {
        a->values[alloc_node(a, node)->value].last = ALLOC_LIVES_ON | block;
    }
}

static void live_on_in_phis(struct alloc *a, uint32_t block, const struct ir_block *b)
{
    uint32_t to = ir_successor(b, 0);
    for (uint32_t n = a->blocks[to].first; a->values[n].op == IR_PHI; n++) {
        a->values[alloc_operand(a, n, b->edge)].last = ALLOC_LIVES_ON | block;
    }
}

void alloc_find_live(struct alloc *a, uint32_t block)
{
    const struct ir_block *b = ir_block_at(a->ir, block);
    uint32_t count = ir_successor_count(b);
    for (uint32_t i = 0; i < count; i++) {
        live_on(a, block, a->blocks[ir_successor(b, i)].live);
    }
    if (count == 1) {
        live_on_in_phis(a, block, b);
    }
}

// --- registers -----------------------------------------------------------------------------------

static uint8_t reg_of(const struct scan *s, uint32_t n)
{
    return s->a->values[n].reg;
}

static void occupy(struct scan *s, uint32_t n, uint8_t reg)
{
    s->holder[reg] = n;
    s->occupied |= REG_SET(reg);
}

static void start_block(struct scan *s, uint32_t block)
{
    s->block = block;
    s->occupied = 0;
    for (uint32_t node = s->a->blocks[block].live; node != 0; node = alloc_node(s->a, node)->next) {
        uint32_t n = alloc_node(s->a, node)->value;
        if (reg_of(s, n) != IR_REG_NONE) {
            occupy(s, n, reg_of(s, n));
        }
    }
    alloc_find_live(s->a, block);
}

static uint32_t dying(const struct scan *s, uint32_t n, uint32_t i)
{
    uint32_t operand = alloc_operand(s->a, n, i);
    uint8_t reg = reg_of(s, operand);
    return reg != IR_REG_NONE && alloc_dies(s->a, s->block, n, i) && s->holder[reg] == operand ? REG_SET(reg)
                                                                                               : 0;
}

// Registers of the operands that are read for the last time; *late: of those that the result must not take.
static uint32_t released(const struct scan *s, uint32_t n, uint32_t *late)
{
    const struct alloc_value *value = &s->a->values[n];
    uint32_t count = value->op == IR_PHI ? 0 : alloc_operand_count(s->a, n), all = 0;
    *late = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t reg = dying(s, n, i);
        all |= reg;
        *late |= i < 8 && (value->late >> i & 1) != 0 ? reg : 0;
    }
    return all;
}

// --- wishes --------------------------------------------------------------------------------------

struct wishes {
    uint32_t set; // of registers
    uint32_t weight[32];
};

static void wish(struct wishes *w, uint8_t reg, uint32_t weight)
{
    if (reg != IR_REG_NONE) {
        w->weight[reg] = (w->set & REG_SET(reg)) != 0 ? w->weight[reg] + weight : weight;
        w->set |= REG_SET(reg);
    }
}

// A PHI wants to be where its operands are.
static void wish_operands(const struct scan *s, struct wishes *w, uint32_t phi)
{
    const struct ir_block *b = ir_block_at(s->a->ir, s->block);
    for (uint32_t k = 0; k < b->pred_count; k++) {
        wish(w, reg_of(s, alloc_operand(s->a, phi, k)), s->a->blocks[b->preds[k]].frequency);
    }
}

// An operand of a PHI wants to be where that is, or will be because another operand is there. That counts
// more than another wish: a move on an edge often costs a jump too.
static void wish_phi(const struct scan *s, struct wishes *w, const struct alloc_value *value)
{
    uint32_t count = alloc_operand_count(s->a, value->phi);
    uint8_t reg = reg_of(s, value->phi);
    for (uint32_t k = 0; k < count && k < LOOKED_AT && reg == IR_REG_NONE; k++) {
        reg = reg_of(s, alloc_operand(s->a, value->phi, k));
    }
    wish(w, reg, value->phi_weight + value->phi_weight / 2);
}

// The result of an operation of two addresses wants to be where an operand dies.
static void wish_same(const struct scan *s, struct wishes *w, uint32_t n)
{
    const struct alloc_value *value = &s->a->values[n];
    if (value->same == 0) {
        return;
    }
    bool swaps = (ir_op_info(value->op)->flags & IR_COMM) != 0;
    for (uint32_t i = value->same - 1u; i < (swaps ? 2u : value->same); i++) {
        if (dying(s, n, i) != 0) {
            wish(w, reg_of(s, alloc_operand(s->a, n, i)), s->a->blocks[s->block].frequency);
        }
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

static uint8_t most_wanted(const struct wishes *w, uint32_t allowed)
{
    uint8_t best = IR_REG_NONE;
    uint32_t weight = 0;
    for (uint32_t set = w->set & allowed; set != 0; set &= set - 1) {
        uint8_t reg = (uint8_t)__builtin_ctz(set);
        if (w->weight[reg] > weight) {
            weight = w->weight[reg];
            best = reg;
        }
    }
    return best;
}

static uint8_t wished(const struct scan *s, uint32_t n, uint32_t allowed)
{
    const struct alloc_value *value = &s->a->values[n];
    struct wishes w;
    w.set = 0;
    wish(&w, value->hint, value->hint_weight);
    wish(&w, value->result, s->a->blocks[s->block].frequency);
    if (value->phi != 0) {
        wish_phi(s, &w, value);
    }
    wish_same(s, &w, n);
    if (value->op == IR_PHI) {
        wish_operands(s, &w, n);
    } else if (value->op == IR_PARAM) {
        wish(&w, incoming(s->a->j, alloc_ir(s->a, value)->imm), s->a->blocks[s->block].frequency);
    }
    return most_wanted(&w, allowed);
}

// --- choice --------------------------------------------------------------------------------------

// The first one of the target's order; not where the PHIs of the loop come back to, nor where the PHI that
// the value goes to cannot be, if it can be helped.
static uint8_t preferred(const struct scan *s, uint32_t n, uint32_t allowed)
{
    const struct alloc *a = s->a;
    uint32_t avoid = a->loop_registers[ir_block_at(a->ir, s->block)->loop];
    avoid |= a->values[a->values[n].phi].forbid;
    uint32_t set = (allowed & ~avoid) != 0 ? allowed & ~avoid : allowed;
    const uint8_t *reg = a->target->preference;
    while ((set & REG_SET(*reg)) == 0) {
        reg++;
    }
    return *reg;
}

// a is cheaper to do without than b.
static bool is_cheaper(const struct alloc_value *a, const struct alloc_value *b)
{
    return (uint64_t)a->weight * (b->length + 1) < (uint64_t)b->weight * (a->length + 1);
}

static void give_up(struct alloc *a, uint32_t n)
{
    a->values[n].reg = IR_REG_NONE;
    a->spilled++;
}

// Takes a register from a value that is cheaper than `n`; IR_REG_NONE: there is none, `n` goes without.
static uint8_t take_away(struct scan *s, uint32_t n)
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
    return from;
}

static void note_loop(struct scan *s, const struct alloc_value *v)
{
    uint32_t loop = ir_block_at(s->a->ir, s->block)->loop;
    if (v->op == IR_PHI && s->a->ir->loops[loop].head == s->block) {
        s->a->loop_registers[loop] |= REG_SET(v->reg);
    }
}

static void settle(struct scan *s, uint32_t n, uint8_t reg)
{
    if (reg != IR_REG_NONE) {
        s->a->values[n].reg = reg;
        occupy(s, n, reg);
        note_loop(s, &s->a->values[n]);
    }
}

static uint32_t allowed_to(const struct scan *s, uint32_t n)
{
    return s->registers & ~s->occupied & ~s->a->values[n].forbid;
}

static bool takes_place(const struct scan *s, uint32_t n)
{
    return s->a->values[n].kind != ALLOC_ABSENT && s->a->values[n].reg == IR_REG_NONE;
}

static void place(struct scan *s, uint32_t n)
{
    uint32_t allowed = allowed_to(s, n);
    if (s->a->values[n].alone) {
        give_up(s->a, n);
    } else if (allowed == 0) {
        settle(s, n, take_away(s, n));
    } else {
        uint8_t reg = wished(s, n, allowed);
        settle(s, n, reg != IR_REG_NONE ? reg : preferred(s, n, allowed));
    }
}

// PHIs and PARAMs are there all at once: those that have wishes choose first. Returns what comes behind them.
static uint32_t place_leading(struct scan *s, uint32_t first)
{
    uint32_t end = first;
    for (; s->a->values[end].op == IR_PHI || s->a->values[end].op == IR_PARAM; end++) {
        if (takes_place(s, end) && !s->a->values[end].alone) {
            settle(s, end, wished(s, end, allowed_to(s, end)));
        }
    }
    for (uint32_t n = first; n < end; n++) {
        if (takes_place(s, n)) {
            place(s, n);
        }
    }
    return end;
}

static void scan_block(struct scan *s, uint32_t block)
{
    start_block(s, block);
    uint32_t first = place_leading(s, s->a->blocks[block].first);
    for (uint32_t n = first; n < s->a->blocks[block].end; n++) {
        uint32_t late, free = released(s, n, &late);
        s->occupied &= ~free | late;
        if (takes_place(s, n)) {
            place(s, n);
        }
        late &= ~(reg_of(s, n) != IR_REG_NONE ? REG_SET(reg_of(s, n)) : 0);
        s->occupied &= ~late;
    }
}

static void forget_registers(struct alloc *a)
{
    for (uint32_t n = 1; n < a->value_count; n++) {
        a->values[n].reg = IR_REG_NONE;
    }
}

void alloc_scan(struct alloc *a, uint32_t registers)
{
    struct scan s = {.a = a, .registers = registers};
    if (a->spilled != 0) {
        forget_registers(a);
    }
    a->spilled = 0;
    memset(a->loop_registers, 0, (a->ir->loop_count + 1) * sizeof *a->loop_registers);
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        scan_block(&s, a->ir->order[i]);
    }
}
