// SPDX-License-Identifier: MIT
// lower_calls: helpers become calls of their functions, or what they do in line. Blocks are split on the way;
// what they lead to, and which block values belong to, is set right in one pass at the end.
#include "jit/lower_calls.h"

#define ARGUMENTS 6 // of a C function: r1-r5 and the run

// --- values --------------------------------------------------------------------------------------

static uint32_t new_value(struct lowering *l, enum ir_op op, uint8_t width, uint32_t a, uint32_t b,
                          int64_t imm)
{
    uint32_t value = l->full ? IR_NONE : ir_new(l->j, op, width, a, b, imm);
    l->full = value == IR_NONE;
    return value;
}

uint32_t lower_emit(struct lowering *l, uint32_t block, enum ir_op op, uint8_t width, uint32_t a, uint32_t b,
                    int64_t imm)
{
    uint32_t value = new_value(l, op, width, a, b, imm);
    if (value != IR_NONE) {
        ir_at(&l->j->ir, value)->pc = l->pc;
        ir_append(&l->j->ir, block, value);
    }
    return value;
}

uint32_t lower_load(struct lowering *l, uint32_t block, uint8_t width, uint32_t base, size_t offset)
{
    uint32_t value = lower_emit(l, block, IR_LOAD, width, base, IR_NONE, 0);
    if (value != IR_NONE) {
        ir_at(&l->j->ir, value)->disp = (int32_t)offset;
    }
    return value;
}

void lower_branch(struct lowering *l, uint32_t block, enum ir_cond cond, uint8_t width, uint32_t a,
                  int64_t imm, bool cold)
{
    uint32_t number = lower_emit(l, block, IR_CONST, 64, IR_NONE, IR_NONE, imm);
    uint32_t value = lower_emit(l, block, IR_BRANCH, 64, a, number, 0);
    if (value != IR_NONE) {
        struct ir_value *v = ir_at(&l->j->ir, value);
        v->cond = (uint8_t)cond;
        v->cwidth = width;
        v->flags = cold ? IR_COLD : 0;
    }
}

void lower_jump(struct lowering *l, uint32_t block)
{
    (void)lower_emit(l, block, IR_JUMP, 64, IR_NONE, IR_NONE, 0);
}

static void insert_first(struct lowering *l, uint32_t value)
{
    if (value != IR_NONE) {
        ir_insert_after(&l->j->ir, l->j->ir.entry, IR_NONE, value);
    }
}

uint32_t lower_zero(struct lowering *l)
{
    if (l->zero == IR_NONE) {
        l->zero = new_value(l, IR_CONST, 64, IR_NONE, IR_NONE, 0);
        insert_first(l, l->zero);
    }
    return l->zero;
}

static uint32_t find_param(const struct ir *ir, unsigned number)
{
    for (uint32_t v = ir_block_at(ir, ir->entry)->first; v != IR_NONE; v = ir_next(ir, v)) {
        if (ir_at(ir, v)->op == IR_PARAM && ir_at(ir, v)->imm == number) {
            return v;
        }
        if (ir_at(ir, v)->op != IR_PARAM) {
            break;
        }
    }
    return IR_NONE;
}

static uint32_t param(struct lowering *l, unsigned number)
{
    uint32_t value = find_param(&l->j->ir, number);
    if (value == IR_NONE) {
        value = new_value(l, IR_PARAM, 64, IR_NONE, IR_NONE, number);
        insert_first(l, value);
    }
    return value;
}

// --- blocks --------------------------------------------------------------------------------------

uint32_t lower_block(struct lowering *l, uint32_t pred, uint32_t second_pred)
{
    struct ir *ir = &l->j->ir;
    uint32_t *preds = l->full ? NULL : jit_alloc(l->j, 2, sizeof(*preds));
    uint32_t block = preds == NULL ? IR_NONE : ir_new_block(l->j, l->pc);
    if (block == IR_NONE) {
        l->full = true;
        return IR_NONE;
    }
    preds[0] = pred;
    preds[1] = second_pred;
    ir_block_at(ir, block)->preds = preds;
    ir_block_at(ir, block)->pred_count = 1 + (second_pred != IR_NONE);
    l->split = true;
    return block;
}

void lower_split(struct lowering *l, uint32_t after, uint32_t rest)
{
    struct ir *ir = &l->j->ir;
    struct ir_block *from = ir_block_at(ir, l->block), *to = ir_block_at(ir, rest);
    uint32_t *link = after == IR_NONE ? &from->first : &ir_at(ir, after)->next;
    to->first = *link;
    to->last = from->last;
    to->cold = from->cold;
    *link = IR_NONE;
    from->last = after;
    memcpy(to->succ, from->succ, sizeof(to->succ));
    to->targets = from->targets;
    to->target_count = from->target_count;
    from->succ[0] = from->succ[1] = IR_NONE;
    from->targets = NULL;
    from->target_count = 0;
    l->block = rest;
}

// What lead to a block that was split from there comes from its last part now.
static void follow_splits(struct lowering *l)
{
    struct ir *ir = &l->j->ir;
    for (uint32_t n = 1; n < l->old_blocks; n++) {
        const struct ir_block *b = ir_block_at(ir, n);
        for (uint32_t p = 0; p < b->pred_count; p++) {
            uint32_t tail = b->preds[p] < l->old_blocks ? ir_block_at(ir, b->preds[p])->extra : IR_NONE;
            b->preds[p] = tail != IR_NONE ? tail : b->preds[p];
        }
    }
    for (uint32_t n = l->old_blocks; n < ir->block_count; n++) {
        for (uint32_t v = ir_block_at(ir, n)->first; v != IR_NONE; v = ir_next(ir, v)) {
            ir_at(ir, v)->block = n;
        }
    }
}

// --- calls ---------------------------------------------------------------------------------------

// The helper's operands are its arguments and the run: those of the C function are six, the run being the
// last.
static void become_call(struct lowering *l, uint32_t before, uint32_t value, uint64_t address)
{
    struct ir *ir = &l->j->ir;
    struct ir_value *v = ir_at(ir, value);
    uint32_t *list = jit_alloc(l->j, ARGUMENTS, sizeof(*list));
    bool lacks = v->b < ARGUMENTS;
    uint32_t unused = lacks ? new_value(l, IR_UNDEF, 64, IR_NONE, IR_NONE, 0) : IR_NONE;
    if (list == NULL || (lacks && unused == IR_NONE)) {
        l->full = true;
        return;
    }
    const uint32_t *args = ir_pool(ir, v);
    for (uint32_t i = 0; i + 1 < ARGUMENTS; i++) {
        list[i] = i + 1 < v->b ? args[i] : unused;
    }
    list[ARGUMENTS - 1] = args[v->b - 1];
    if (lacks) {
        ir_insert_after(ir, l->block, before, unused);
    }
    v->op = IR_CALL;
    v->imm = (int64_t)address;
    v->a = ir_pool_index(ir, list);
    v->b = ARGUMENTS;
    ir->has_calls = true;
}

static void become_lookup_call(struct lowering *l, uint32_t value, const struct jit_map *map)
{
    struct ir_value *v = ir_at(&l->j->ir, value);
    v->op = IR_CALL;
    v->imm = (int64_t)map->lookup;
    v->b = 2;
    l->j->ir.has_calls = true;
}

static void become_cpu_id(struct lowering *l, uint32_t value)
{
    struct ir_value *v = ir_at(&l->j->ir, value);
    uint32_t run = ir_pool(&l->j->ir, v)[v->b - 1];
    v->op = IR_LOAD;
    v->width = 32;
    v->a = run;
    v->b = IR_NONE;
    v->imm = 0;
    v->disp = offsetof(struct jit_run, slot);
}

// The helper finds the program; 0 says that its address is in the run. Nothing of this one is needed then.
static void become_tail_call(struct lowering *l, uint32_t before, uint32_t value, uint64_t address)
{
    struct ir *ir = &l->j->ir;
    const struct ir_value helper = *ir_at(ir, value);
    uint32_t context = ir_pool(ir, &helper)[0], run = ir_pool(ir, &helper)[helper.b - 1];
    uint32_t top = param(l, 6);
    become_call(l, before, value, address);
    uint32_t leave = lower_block(l, l->block, IR_NONE), rest = lower_block(l, l->block, IR_NONE);
    if (l->full) {
        return;
    }
    ir_pool(ir, ir_at(ir, value))[3] = top;
    uint32_t from = l->block;
    lower_split(l, value, rest);
    lower_branch(l, from, IR_EQ, 64, value, 0, false);
    ir_block_at(ir, from)->succ[0] = leave;
    ir_block_at(ir, from)->succ[1] = rest;
    uint32_t next = lower_load(l, leave, 64, run, offsetof(struct jit_run, number));
    uint32_t tail = lower_emit(l, leave, IR_TAIL, 64, next, context, 0);
    if (tail != IR_NONE) {
        ir_at(ir, tail)->c = run;
        ir_at(ir, tail)->d = top;
    }
}

static void lower_lookup(struct lowering *l, uint32_t before, uint32_t value, uint64_t address)
{
    const struct jit_map *map = lookup_map(l->j, ir_at(&l->j->ir, value));
    if (map != NULL && map->kind != JIT_MAP_OTHER) {
        lookup_lower(l, before, value, map);
    } else if (map != NULL && map->lookup != 0) {
        become_lookup_call(l, value, map);
    } else {
        become_call(l, before, value, address);
    }
}

static void lower_helper(struct lowering *l, uint32_t before, uint32_t value)
{
    const struct ir_value *v = ir_at(&l->j->ir, value);
    const struct jit_helper *helper = &l->j->input->helpers[v->imm];
    l->pc = v->pc;
    switch (helper->kind) {
    case JIT_HELPER_MAP_LOOKUP: lower_lookup(l, before, value, helper->address); break;
    case JIT_HELPER_CPU_ID: become_cpu_id(l, value); break;
    case JIT_HELPER_TAIL_CALL: become_tail_call(l, before, value, helper->address); break;
    default: become_call(l, before, value, helper->address); break;
    }
}

// The helpers, in the order in which they were made: block by block.
static void list_helpers(struct lowering *l)
{
    const struct ir *ir = &l->j->ir;
    for (uint32_t value = ir->helpers, next; value != IR_NONE; value = next) {
        next = ir_at(ir, value)->slot;
        ir_at(ir, value)->slot = l->helpers;
        l->helpers = value;
    }
}

// What look-ups need; what the layout and tail calls need stays spare.
static bool reserve_blocks(struct lowering *l)
{
    const struct ir *ir = &l->j->ir;
    uint32_t room = 0, spare = ir->block_capacity - l->old_blocks;
    for (uint32_t value = l->helpers; value != IR_NONE; value = ir_at(ir, value)->slot) {
        room += lookup_blocks(l->j, ir_at(ir, value));
    }
    return room <= spare || ir_reserve_blocks(l->j, room + spare);
}

static void lower_all(struct lowering *l)
{
    struct ir *ir = &l->j->ir;
    uint32_t block = IR_NONE, before = IR_NONE, at = IR_NONE;
    for (uint32_t value = l->helpers, next; value != IR_NONE && !l->full; value = next) {
        struct ir_value *v = ir_at(ir, value);
        next = v->slot;
        v->slot = 0;
        if (v->block != block) {
            ir_block_at(ir, block)->extra = l->block; // IR_NONE has it first
            block = l->block = v->block;
            before = IR_NONE;
            at = ir_block_at(ir, block)->first;
        }
        for (; at != value; at = ir_next(ir, at)) {
            before = at;
        }
        uint32_t part = l->block;
        at = v->next;
        lower_helper(l, before, value);
        before = l->block == part ? value : IR_NONE; // else `at` is first in a new block
    }
    ir_block_at(ir, block)->extra = l->block;
}

ebpf_result_t lower_calls(struct jit *j)
{
    struct lowering l = {.j = j, .old_blocks = j->ir.block_count};
    if (j->ir.helpers == IR_NONE) {
        return EBPF_SUCCESS;
    }
    for (uint32_t b = 1; b < l.old_blocks; b++) {
        ir_block_at(&j->ir, b)->extra = IR_NONE; // the block that it ends in, when it has been split
    }
    j->ir.counted = j->ir.tidy = false;
    list_helpers(&l);
    TRY(lookup_find_tested(&l));
    if (!reserve_blocks(&l)) {
        return EBPF_NO_MEMORY;
    }
    lower_all(&l);
    if (l.full) {
        return EBPF_NO_MEMORY;
    }
    if (!l.split) {
        return EBPF_SUCCESS;
    }
    follow_splits(&l);
    TRY(ir_find_order(j));
    return ir_find_loops(j);
}
