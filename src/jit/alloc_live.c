// SPDX-License-Identifier: MIT
// alloc_live: numbers the values of a function; then one walk from the last to the first weighs them, asks
// the target what each operation needs, and at a definition knows all uses: most are in the same block, from
// the others the value is followed up to its definition: where it is live, and which registers are clobbered
// meanwhile.
#include "jit/alloc.h"
#include "jit/ir_text.h"

#define FREQUENCY_COLD   1
#define FREQUENCY_SHIFT  3 // a loop runs about 8 times
#define FREQUENCY_DEPTHS 4
#define WEIGHT_MAX       0x40000000u
#define NODES_A_BLOCK    64 // values live at the start of a block, on average; more only in made-up programs
#define NODES_AT_LEAST   4096
#define NODES_A_CHUNK    64 // at most
#define SCAN_CLOBBERS    64 // that are looked at one by one

bool alloc_is_moved(unsigned op, unsigned operand_op, uint32_t i)
{
    switch (op) {
    case IR_PHI:
    case IR_HELPER:
    case IR_CALL:
    case IR_CALL_LOCAL:
    case IR_RET:
    case IR_TAIL: return true;
    default: return operand_op == IR_FRAME && i == 0 && (ir_op_info(op)->flags & IR_ADDR) != 0;
    }
}

// --- numbers -------------------------------------------------------------------------------------

static uint32_t frequency(const struct ir_block *b)
{
    uint32_t depth = b->depth < FREQUENCY_DEPTHS ? b->depth : FREQUENCY_DEPTHS;
    return b->cold ? FREQUENCY_COLD : (uint32_t)16 << depth * FREQUENCY_SHIFT;
}

// Those of PHIs may have no number yet: there is room for them.
static uint32_t *number_operands(const struct ir *ir, struct ir_value *v, uint32_t *to)
{
    uint32_t count = ir_operand_count(v);
    for (uint32_t i = 0; i < count && v->op != IR_PHI; i++) {
        to[i] = ir_at(ir, *ir_operand(ir, v, i))->slot;
    }
    return to + count;
}

static void set_value(struct alloc_value *value, uint32_t v, uint8_t op)
{
    memset(value, 0, sizeof *value);
    value->value = v;
    value->op = op;
    value->hint = value->result = value->reg = IR_REG_NONE;
}

static void number_values(struct alloc *a)
{
    uint32_t n = 1, *to = a->operands;
    ir_at(a->ir, IR_NONE)->slot = 0;
    set_value(&a->values[0], IR_NONE, IR_NOP);
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(a->ir, a->ir->order[i]);
        struct alloc_block *block = &a->blocks[a->ir->order[i]];
        block->first = n;
        block->frequency = frequency(b);
        for (uint32_t v = b->first; v != IR_NONE; v = ir_next(a->ir, v)) {
            struct ir_value *value = ir_at(a->ir, v);
            set_value(&a->values[n], v, value->op);
            a->values[n].operands = (uint32_t)(to - a->operands);
            value->slot = n++;
            to = number_operands(a->ir, value, to);
        }
        block->end = n;
    }
    set_value(&a->values[n], IR_NONE, IR_NOP);
    a->values[n].operands = (uint32_t)(to - a->operands);
}

// PHIs like their operands to be where they are, on the most frequent edge first.
static void note_phi(struct alloc *a, uint32_t phi, const struct ir_block *b)
{
    const uint32_t *list = ir_pool(a->ir, alloc_ir(a, &a->values[phi]));
    uint32_t *operands = a->operands + a->values[phi].operands;
    for (uint32_t k = 0; k < b->pred_count; k++) {
        operands[k] = ir_at(a->ir, list[k])->slot;
        struct alloc_value *operand = &a->values[operands[k]];
        uint32_t weight = a->blocks[b->preds[k]].frequency;
        if (operand->phi == 0 || weight > operand->phi_weight) {
            operand->phi = phi;
            operand->phi_weight = weight;
        }
    }
}

static void note_phis(struct alloc *a)
{
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        uint32_t n = a->blocks[a->ir->order[i]].first;
        for (; a->values[n].op == IR_PHI; n++) {
            note_phi(a, n, ir_block_at(a->ir, a->ir->order[i]));
        }
    }
}

// --- the walk ------------------------------------------------------------------------------------

// Through one block, from its last value to its first.
struct walk {
    struct alloc *a;
    const struct ir_block *b;
    struct alloc_block *block;
    uint32_t number; // of the block
    bool full;       // there is no memory
};

static bool is_use(const struct alloc_value *operand)
{
    return operand->value != IR_NONE && operand->op != IR_UNDEF;
}

static void add_use(struct walk *w, struct alloc_value *operand, uint32_t user)
{
    struct alloc *a = w->a;
    if (a->uses_left == 0) {
        a->uses = jit_room(a->j, a->chunk, sizeof *a->uses);
        a->uses_left = a->chunk;
        if (a->uses == NULL) {
            a->uses_left = 0;
            w->full = true;
            return;
        }
    }
    *a->uses = (struct alloc_use){user, w->number, operand->uses};
    operand->uses = (uint32_t)((const uint32_t *)a->uses - (const uint32_t *)(const void *)a->j->memory.base);
    a->uses++;
    a->uses_left--;
}

// Upwards the first one in a block is the last one.
static void note_use(struct walk *w, uint32_t n, uint32_t *number)
{
    struct alloc_value *operand = &w->a->values[*number];
    bool local = *number >= w->block->first;
    if (operand->seen != w->number) {
        operand->seen = w->number;
        operand->last = n;
        if (!local) {
            add_use(w, operand, n);
        }
    }
    *number |= operand->last == n ? ALLOC_LAST : 0;
}

// What the PHIs of the only successor take.
static void note_end(struct walk *w)
{
    struct alloc *a = w->a;
    if (ir_successor_count(w->b) != 1) {
        return;
    }
    for (uint32_t n = a->blocks[ir_successor(w->b, 0)].first; a->values[n].op == IR_PHI; n++) {
        struct alloc_value *operand = &a->values[alloc_operand(a, n, w->b->edge)];
        if (is_use(operand)) {
            add_use(w, operand, 0);
        }
    }
}

// --- wishes and needs ----------------------------------------------------------------------------

static void add_weight(struct alloc_value *value, uint32_t weight)
{
    value->weight = min_u32(value->weight + weight, WEIGHT_MAX);
}

static void hint(struct alloc_value *value, uint8_t reg, uint32_t weight)
{
    if (reg != IR_REG_NONE && weight > value->hint_weight) {
        value->hint = reg;
        value->hint_weight = weight;
    }
}

// Registers in which the operands of a call are passed.
static uint8_t argument(const struct jit *j, unsigned op, uint32_t i)
{
    const struct jit_convention *convention = jit_convention(j);
    if (op == IR_CALL_LOCAL) {
        return i < ARRAY_SIZE(convention->local) ? convention->local[i] : IR_REG_NONE;
    }
    return i < ARRAY_SIZE(convention->helper) ? convention->helper[i] : IR_REG_NONE;
}

static bool is_call(unsigned op)
{
    return op == IR_CALL || op == IR_CALL_LOCAL || op == IR_HELPER;
}

// The operand that the result of `user` takes the register of wants what the result wants.
static void note_same(struct alloc_value *operand, const struct alloc_value *user, uint8_t result,
                      uint32_t weight)
{
    hint(operand, user->hint != IR_REG_NONE ? user->hint : result, weight);
    if (operand->phi == 0) {
        operand->phi = user->phi;
        operand->phi_weight = user->phi_weight;
    }
}

static void note_kind(struct alloc_value *operand, unsigned op, uint32_t i, uint32_t weight)
{
    if (!alloc_is_remade(operand->op)) {
        operand->kind = ALLOC_KEPT;
    } else if (alloc_is_moved(op, operand->op, i)) {
        return;
    } else {
        operand->kind = ALLOC_REMADE;
    }
    add_weight(operand, weight);
}

static void note_phi_operands(struct walk *w, uint32_t n)
{
    struct alloc *a = w->a;
    for (uint32_t k = 0; k < w->b->pred_count; k++) {
        struct alloc_value *operand = &a->values[alloc_operand(a, n, k)];
        uint32_t weight = a->blocks[w->b->preds[k]].frequency;
        if (is_use(operand)) {
            hint(operand, a->values[n].hint, weight);
            note_kind(operand, IR_PHI, k, weight);
        }
    }
}

static void note_operand(struct walk *w, uint32_t n, const struct jit_constraint *c, uint32_t i)
{
    struct alloc *a = w->a;
    const struct alloc_value *user = &a->values[n];
    uint32_t *number = &a->operands[user->operands + i], weight = w->block->frequency;
    struct alloc_value *operand = &a->values[*number];
    if (!is_use(operand)) {
        return;
    }
    if (is_call(user->op)) {
        hint(operand, argument(a->j, user->op, i), weight);
    } else if (i < ARRAY_SIZE(c->forbid)) {
        operand->forbid |= c->forbid[i];
        hint(operand, c->operand[i], weight);
        if (c->same == i + 1) {
            note_same(operand, user, c->result, weight);
        }
    }
    note_kind(operand, user->op, i, weight);
    note_use(w, n, number);
}

// --- clobbers ------------------------------------------------------------------------------------

// By those from `first` on and before value `end`; if they are many, as if there were all of their block.
static uint32_t clobbered_by(const struct alloc *a, uint32_t first, uint32_t end, uint32_t all)
{
    uint32_t set = 0, count = 0;
    for (uint32_t n = first; n != 0 && n < end && set != all; n = a->values[n].clobber) {
        set |= a->values[n].own;
        if (++count == SCAN_CLOBBERS) {
            return all;
        }
    }
    return set;
}

static void note_clobbers(struct walk *w, uint32_t n, uint32_t set)
{
    if (set != 0) {
        w->a->values[n].own = set;
        w->a->values[n].clobber = w->block->clobber;
        w->block->clobber = n;
        w->block->clobbered |= set;
    }
}

// --- lives ---------------------------------------------------------------------------------------

// One value on its way up. The blocks that it goes through were walked already, that of its definition from
// its end to there.
struct life {
    struct alloc *a;
    struct alloc_value *value;
    uint32_t number, home; // home: block of its definition
    uint32_t end;          // of its life there
    uint32_t depth;        // of a->stack
};

static bool new_nodes(struct alloc *a)
{
    a->nodes = jit_room(a->j, a->chunk, sizeof *a->nodes);
    a->nodes_left = a->nodes != NULL ? a->chunk : 0;
    return a->nodes != NULL;
}

// The value is live at the start of `block`. False: there is no memory.
static bool enter(struct life *l, uint32_t block)
{
    struct alloc *a = l->a;
    struct alloc_block *b = &a->blocks[block];
    if (b->stamp == l->number || l->value->alone) {
        return true;
    }
    if (a->node_count >= a->node_limit) {
        l->value->alone = true;
        return true;
    }
    b->stamp = l->number;
    if (a->nodes_left == 0 && !new_nodes(a)) {
        return false;
    }
    *a->nodes = (struct alloc_node){l->number, b->live};
    b->live = (uint32_t)(a->nodes - (const struct alloc_node *)(const void *)a->j->memory.base);
    a->nodes++;
    a->nodes_left--;
    a->node_count++;
    l->value->length += b->end - b->first;
    a->stack[l->depth++] = block;
    return true;
}

// The value is live at the end of `block`.
static bool leave(struct life *l, uint32_t block)
{
    const struct alloc_block *b = &l->a->blocks[block];
    l->value->forbid |= b->clobbered;
    if (block == l->home) {
        l->end = b->end;
        return true;
    }
    return enter(l, block);
}

static bool follow_use(struct life *l, const struct alloc_use *use)
{
    const struct alloc_block *b = &l->a->blocks[use->block];
    if (use->user == 0) {
        return leave(l, use->block);
    }
    l->value->forbid |= clobbered_by(l->a, b->clobber, use->user, b->clobbered);
    return enter(l, use->block);
}

static const struct alloc_use *use_at(const struct alloc *a, uint32_t use)
{
    return (const struct alloc_use *)(const void *)((const uint32_t *)(const void *)a->j->memory.base + use);
}

static bool follow_all(struct life *l)
{
    struct alloc *a = l->a;
    for (uint32_t u = l->value->uses; u != 0 && !l->value->alone; u = use_at(a, u)->next) {
        bool memory = follow_use(l, use_at(a, u));
        while (memory && l->depth != 0 && !l->value->alone) {
            const struct ir_block *b = ir_block_at(a->ir, a->stack[--l->depth]);
            for (uint32_t p = 0; p < b->pred_count && memory; p++) {
                memory = leave(l, b->preds[p]);
            }
        }
        if (!memory) {
            return false;
        }
    }
    return true;
}

// The walk is at the definition.
static void note_life(struct walk *w, uint32_t n)
{
    struct alloc_value *value = &w->a->values[n];
    struct life l = {w->a, value, n, w->number, n, 0};
    if (value->kind == ALLOC_ABSENT && (value->uses == 0 || alloc_is_remade(value->op))) {
        return;
    }
    if (value->seen == w->number) {
        value->forbid |= clobbered_by(w->a, w->block->clobber, value->last, w->block->clobbered);
        l.end = value->last;
    }
    if (value->uses != 0 && !follow_all(&l)) {
        w->full = true;
    }
    value->length += l.end - n;
}

// --- the function --------------------------------------------------------------------------------

static void constrain(struct alloc *a, struct alloc_value *value, struct jit_constraint *c)
{
    a->target->constrain(a->j, alloc_ir(a, value), c);
    value->result = c->result;
    value->late = c->late;
    value->same = c->same;
}

static void walk_value(struct walk *w, uint32_t n)
{
    struct alloc_value *value = &w->a->values[n];
    struct jit_constraint c;
    __builtin_prefetch(alloc_ir(w->a, &w->a->values[n > IR_AHEAD / 2 ? n - IR_AHEAD / 2 : 0]));
    note_life(w, n);
    add_weight(value, value->kind == ALLOC_KEPT ? w->block->frequency : 0);
    if (value->op == IR_PHI) {
        note_phi_operands(w, n);
        return;
    }
    if (value->op != IR_PARAM) {
        constrain(w->a, value, &c);
        uint32_t operands = alloc_operand_count(w->a, n);
        for (uint32_t k = 0; k < operands; k++) {
            note_operand(w, n, &c, k);
        }
        note_clobbers(w, n, c.clobbers);
    }
}

// What a value's uses like is known before its own operands are seen.
static ebpf_result_t walk_all(struct alloc *a)
{
    for (uint32_t i = a->ir->order_count; i-- > 0;) {
        uint32_t block = a->ir->order[i];
        struct walk w = {a, ir_block_at(a->ir, block), &a->blocks[block], block, false};
        note_end(&w);
        for (uint32_t n = w.block->end; n-- > w.block->first && !w.full;) {
            walk_value(&w, n);
        }
        if (w.full) {
            return EBPF_NO_MEMORY;
        }
        a->clobbered |= w.block->clobbered;
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t prepare(struct alloc *a, const struct alloc_survey *survey)
{
    a->value_count = survey->values + 1;
    a->values = jit_room(a->j, a->value_count + 1, sizeof *a->values);
    a->operands = jit_room(a->j, survey->operands + 1, sizeof *a->operands);
    a->blocks = jit_alloc(a->j, a->ir->block_count, sizeof *a->blocks);
    a->stack = jit_alloc(a->j, a->ir->block_count, sizeof *a->stack);
    a->loop_registers = jit_alloc(a->j, a->ir->loop_count + 1, sizeof *a->loop_registers);
    a->chunk = min_u32(8 + survey->values / 32, NODES_A_CHUNK);
    a->node_limit = NODES_AT_LEAST + NODES_A_BLOCK * a->ir->order_count;
    bool memory = a->values != NULL && a->operands != NULL && a->blocks != NULL && a->stack != NULL &&
                  a->loop_registers != NULL;
    return memory ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

ebpf_result_t alloc_live(struct alloc *a, const struct alloc_survey *survey)
{
    TRY(prepare(a, survey));
    number_values(a);
    note_phis(a);
    return walk_all(a);
}
