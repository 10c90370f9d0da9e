// SPDX-License-Identifier: MIT
// alloc_live: numbers the values of a function, weighs them, asks the target what each operation needs, and
// follows each value from its uses up to its definition: where it is live, and which registers are clobbered
// meanwhile.
#include "jit/alloc.h"
#include "jit/ir_text.h"

#define FREQUENCY_COLD   1
#define FREQUENCY_SHIFT  3 // a loop runs about 8 times
#define FREQUENCY_DEPTHS 4
#define WEIGHT_MAX       0x40000000u
#define NODES_A_BLOCK    64 // values live at the start of a block, on average; more only in made-up programs
#define NODES_AT_LEAST   4096
#define NODES_A_CHUNK    256
#define SCAN_CLOBBERS    64 // values between a definition and a use that are looked at one by one

bool alloc_is_remade(const struct ir_value *v)
{
    return v->op == IR_CONST || v->op == IR_MAP || v->op == IR_FRAME;
}

bool alloc_is_moved(const struct ir_value *v, const struct ir_value *operand, uint32_t i)
{
    switch (v->op) {
    case IR_PHI:
    case IR_HELPER:
    case IR_CALL:
    case IR_CALL_LOCAL:
    case IR_RET:
    case IR_TAIL: return true;
    default: return operand->op == IR_FRAME && i == 0 && (ir_op_info(v->op)->flags & IR_ADDR) != 0;
    }
}

// --- numbers -------------------------------------------------------------------------------------

static uint32_t frequency(const struct ir_block *b)
{
    uint32_t depth = b->depth < FREQUENCY_DEPTHS ? b->depth : FREQUENCY_DEPTHS;
    return b->cold ? FREQUENCY_COLD : (uint32_t)16 << depth * FREQUENCY_SHIFT;
}

static void count(struct alloc *a, uint32_t *operands)
{
    a->value_count = 1;
    *operands = 0;
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        for (uint32_t v = ir_block_at(a->ir, a->ir->order[i])->first; v != IR_NONE;
             v = ir_at(a->ir, v)->next) {
            a->value_count++;
            *operands += ir_operand_count(ir_at(a->ir, v));
        }
    }
}

static void number_values(struct alloc *a)
{
    uint32_t n = 1;
    ir_at(a->ir, IR_NONE)->slot = 0;
    a->values[0].reg = IR_REG_NONE;
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(a->ir, a->ir->order[i]);
        struct alloc_block *block = &a->blocks[a->ir->order[i]];
        block->first = n;
        block->frequency = frequency(b);
        for (uint32_t v = b->first; v != IR_NONE; v = ir_at(a->ir, v)->next) {
            struct alloc_value *value = &a->values[n];
            value->value = v;
            value->op = ir_at(a->ir, v)->op;
            value->hint = value->result = value->reg = IR_REG_NONE;
            ir_at(a->ir, v)->slot = n++;
        }
        block->end = n;
    }
}

static void number_operands(struct alloc *a)
{
    uint32_t *to = a->operands;
    for (uint32_t n = 1; n < a->value_count; n++) {
        struct ir_value *v = alloc_ir(a, &a->values[n]);
        uint32_t operands = ir_operand_count(v);
        a->values[n].operands = (uint32_t)(to - a->operands);
        for (uint32_t i = 0; i < operands; i++) {
            *to++ = ir_at(a->ir, *ir_operand(a->ir, v, i))->slot;
        }
    }
    a->values[a->value_count].operands = (uint32_t)(to - a->operands);
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
static uint8_t argument(const struct jit *j, const struct ir_value *v, uint32_t i)
{
    const struct jit_convention *convention = jit_convention(j);
    if (v->op == IR_CALL_LOCAL) {
        return i < ARRAY_SIZE(convention->local) ? convention->local[i] : IR_REG_NONE;
    }
    return i < ARRAY_SIZE(convention->helper) ? convention->helper[i] : IR_REG_NONE;
}

static bool is_call(const struct ir_value *v)
{
    return v->op == IR_CALL || v->op == IR_CALL_LOCAL || v->op == IR_HELPER;
}

// PHIs like their operands to be where they are, on the most frequent edge first.
static void note_phi(struct alloc *a, uint32_t phi)
{
    const struct ir_block *b = ir_block_at(a->ir, alloc_ir(a, &a->values[phi])->block);
    for (uint32_t k = 0; k < b->pred_count; k++) {
        struct alloc_value *operand = &a->values[alloc_operand(a, phi, k)];
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
            note_phi(a, n);
        }
    }
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

static void note_operand(struct alloc *a, uint32_t n, const struct jit_constraint *c, uint32_t i)
{
    struct alloc_value *user = &a->values[n], *operand = &a->values[alloc_operand(a, n, i)];
    const struct ir_value *v = alloc_ir(a, user);
    if (operand == a->values || operand->op == IR_UNDEF) {
        return;
    }
    uint32_t weight = a->blocks[v->block].frequency;
    if (v->op == IR_PHI) {
        weight = a->blocks[ir_block_at(a->ir, v->block)->preds[i]].frequency;
        hint(operand, user->hint, weight);
    } else if (is_call(v)) {
        hint(operand, argument(a->j, v, i), weight);
    } else if (i < ARRAY_SIZE(c->forbid)) {
        operand->forbid |= c->forbid[i];
        hint(operand, c->operand[i], weight);
        if (c->same == i + 1) {
            note_same(operand, user, c->result, weight);
        }
    }
    operand->uses++;
    if (alloc_is_remade(alloc_ir(a, operand))) {
        weight = alloc_is_moved(v, alloc_ir(a, operand), i) ? 0 : weight;
        operand->kind = weight != 0 ? ALLOC_REMADE : operand->kind;
    } else {
        operand->kind = ALLOC_KEPT;
    }
    add_weight(operand, weight);
}

static void constrain(struct alloc *a, struct alloc_value *value, struct jit_constraint *c)
{
    const struct ir_value *v = alloc_ir(a, value);
    *c = (struct jit_constraint){.result = IR_REG_NONE};
    memset(c->operand, IR_REG_NONE, sizeof c->operand);
    if (v->op != IR_PHI && v->op != IR_PARAM) {
        a->target->constrain(a->j, v, c);
    }
    value->result = c->result;
    value->late = c->late;
    value->same = c->same;
}

// From the last value to the first, so that what a value's uses like is known before its own operands are
// seen.
static void note_needs(struct alloc *a)
{
    for (uint32_t i = a->ir->order_count; i-- > 0;) {
        struct alloc_block *block = &a->blocks[a->ir->order[i]];
        for (uint32_t n = block->end; n-- > block->first;) {
            struct alloc_value *value = &a->values[n];
            struct jit_constraint c;
            constrain(a, value, &c);
            value->own = c.clobbers;
            block->clobbered |= c.clobbers;
            a->clobber_count += c.clobbers != 0;
            add_weight(value, value->kind == ALLOC_KEPT ? block->frequency : 0);
            uint32_t operands = alloc_operand_count(a, n);
            for (uint32_t k = 0; k < operands; k++) {
                note_operand(a, n, &c, k);
            }
        }
        a->clobbered |= block->clobbered;
    }
}

// --- uses and clobbers ---------------------------------------------------------------------------

// Where the uses of each value end in a->uses; returns how many there are.
static uint32_t sum_uses(struct alloc *a)
{
    uint32_t uses = 0;
    for (uint32_t n = 1; n < a->value_count; n++) {
        struct alloc_value *value = &a->values[n];
        uses += value->kind != ALLOC_ABSENT ? value->uses : 0;
        value->uses = uses;
    }
    return uses;
}

// Counts value->uses back to where they start.
static void fill_uses(struct alloc *a)
{
    for (uint32_t n = 1; n < a->value_count; n++) {
        bool phi = a->values[n].op == IR_PHI;
        uint32_t operands = alloc_operand_count(a, n);
        for (uint32_t k = 0; k < operands; k++) {
            struct alloc_value *operand = &a->values[alloc_operand(a, n, k)];
            if (operand->kind != ALLOC_ABSENT) {
                uint32_t block = alloc_ir(a, &a->values[n])->block;
                a->uses[--operand->uses] = phi ? ALLOC_AT_END | ir_block_at(a->ir, block)->preds[k] : n;
            }
        }
    }
}

static void fill_clobbers(struct alloc *a)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->ir->order_count; i++) {
        struct alloc_block *block = &a->blocks[a->ir->order[i]];
        uint32_t first = count, set = 0;
        for (uint32_t n = block->first; n < block->end; n++) {
            if (a->values[n].own != 0) {
                set |= a->values[n].own;
                a->clobbers[count++] = (struct alloc_clobber){a->values[n].own, set, 0};
            }
            a->values[n].clobbers = count;
        }
        block->clobbers_end = count;
        set = 0;
        for (uint32_t k = count; k-- > first;) {
            set |= a->clobbers[k].set;
            a->clobbers[k].after = set;
        }
        block->clobbers_first = first;
    }
}

static uint32_t clobbered_behind(const struct alloc *a, const struct alloc_block *block, uint32_t n)
{
    uint32_t first = a->values[n].clobbers;
    return first < block->clobbers_end ? a->clobbers[first].after : 0;
}

static uint32_t clobbers_before(const struct alloc *a, uint32_t n)
{
    return a->values[n].clobbers - (a->values[n].own != 0);
}

static uint32_t clobbered_before(const struct alloc *a, const struct alloc_block *block, uint32_t n)
{
    uint32_t end = clobbers_before(a, n);
    return end > block->clobbers_first ? a->clobbers[end - 1].before : 0;
}

// Behind definition `from` and before the use by `to`, both in one block.
static uint32_t clobbered_between(const struct alloc *a, uint32_t from, uint32_t to)
{
    uint32_t first = a->values[from].clobbers, end = clobbers_before(a, to), set = 0;
    if (end > first + SCAN_CLOBBERS) {
        return a->clobbers[first].after & a->clobbers[end - 1].before;
    }
    for (uint32_t k = first; k < end; k++) {
        set |= a->clobbers[k].set;
    }
    return set;
}

// --- lives ---------------------------------------------------------------------------------------

// One value on its way up.
struct life {
    struct alloc *a;
    struct alloc_value *value;
    uint32_t number, home; // home: block of its definition
    uint32_t end;          // of its life there
    uint32_t depth;        // of a->stack
};

static bool new_chunk(struct alloc *a)
{
    a->chunk = jit_alloc(a->j, NODES_A_CHUNK, sizeof *a->chunk);
    a->chunk_left = NODES_A_CHUNK;
    return a->chunk != NULL;
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
    if (a->chunk_left == 0 && !new_chunk(a)) {
        return false;
    }
    *a->chunk = (struct alloc_node){l->number, b->live};
    b->live = (uint32_t)(a->chunk - (const struct alloc_node *)(const void *)a->j->memory.base);
    a->chunk++;
    a->chunk_left--;
    a->node_count++;
    l->value->length += b->end - b->first;
    a->stack[l->depth++] = block;
    return true;
}

// The value is live at the end of `block`.
static bool leave(struct life *l, uint32_t block)
{
    const struct alloc_block *b = &l->a->blocks[block];
    if (block == l->home) {
        l->value->forbid |= clobbered_behind(l->a, b, l->number);
        l->end = b->end;
        return true;
    }
    l->value->forbid |= b->clobbered;
    return enter(l, block);
}

static bool follow_use(struct life *l, uint32_t use)
{
    struct alloc *a = l->a;
    if ((use & ALLOC_AT_END) != 0) {
        return leave(l, use & ~ALLOC_AT_END);
    }
    uint32_t block = alloc_ir(a, &a->values[use])->block;
    if (block == l->home) {
        l->value->forbid |= clobbered_between(a, l->number, use);
        l->end = use > l->end ? use : l->end;
        return true;
    }
    l->value->forbid |= clobbered_before(a, &a->blocks[block], use);
    return enter(l, block);
}

static ebpf_result_t follow(struct alloc *a, uint32_t number)
{
    struct alloc_value *value = &a->values[number];
    struct life l = {a, value, number, alloc_ir(a, value)->block, number, 0};
    for (uint32_t u = value->uses; u < value[1].uses && !value->alone; u++) {
        bool memory = follow_use(&l, a->uses[u]);
        while (memory && l.depth != 0 && !value->alone) {
            const struct ir_block *b = ir_block_at(a->ir, a->stack[--l.depth]);
            for (uint32_t p = 0; p < b->pred_count && memory; p++) {
                memory = leave(&l, b->preds[p]);
            }
        }
        if (!memory) {
            return EBPF_NO_MEMORY;
        }
    }
    value->length += l.end - number;
    return EBPF_SUCCESS;
}

static ebpf_result_t prepare(struct alloc *a)
{
    uint32_t operands;
    count(a, &operands);
    a->values = jit_alloc(a->j, a->value_count + 1, sizeof *a->values);
    a->operands = jit_alloc(a->j, operands + 1, sizeof *a->operands);
    a->blocks = jit_alloc(a->j, a->ir->block_count, sizeof *a->blocks);
    a->stack = jit_alloc(a->j, a->ir->block_count, sizeof *a->stack);
    a->loop_registers = jit_alloc(a->j, a->ir->loop_count + 1, sizeof *a->loop_registers);
    a->node_limit = NODES_AT_LEAST + NODES_A_BLOCK * a->ir->order_count;
    bool memory = a->values != NULL && a->operands != NULL && a->blocks != NULL && a->stack != NULL &&
                  a->loop_registers != NULL;
    return memory ? EBPF_SUCCESS : EBPF_NO_MEMORY;
}

ebpf_result_t alloc_live(struct alloc *a)
{
    TRY(prepare(a));
    number_values(a);
    number_operands(a);
    note_phis(a);
    note_needs(a);
    uint32_t uses = sum_uses(a);
    a->uses = jit_alloc(a->j, uses + 1, sizeof *a->uses);
    a->clobbers = jit_alloc(a->j, a->clobber_count + 1, sizeof *a->clobbers);
    if (a->uses == NULL || a->clobbers == NULL) {
        return EBPF_NO_MEMORY;
    }
    fill_clobbers(a);
    fill_uses(a);
    a->values[a->value_count].uses = uses;
    for (uint32_t n = 1; n < a->value_count; n++) {
        if (a->values[n].kind != ALLOC_ABSENT) {
            TRY(follow(a, n));
        }
    }
    return EBPF_SUCCESS;
}
