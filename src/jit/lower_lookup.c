// SPDX-License-Identifier: MIT
// lower_lookup: look-ups in arrays in line. Where the program only asks whether there is a value and then
// goes one way or the other, as nearly all do, the test of the key takes the place of the test of the result.
#include "jit/lower_calls.h"

#define CANDIDATE 1 // mark of a look-up whose result is only used where it is known

const struct jit_map *lookup_map(const struct jit *j, const struct ir_value *v)
{
    const struct ir_value *map = ir_at(&j->ir, ir_resolve(&j->ir, ir_pool(&j->ir, v)[0]));
    if (map->op != IR_MAP || map->imm < 0 || map->imm >= (int64_t)j->input->map_count) {
        return NULL;
    }
    return &j->input->maps[map->imm];
}

static bool is_array_lookup(const struct jit *j, const struct ir_value *v)
{
    if (v->op != IR_HELPER || j->input->helpers[v->imm].kind != JIT_HELPER_MAP_LOOKUP) {
        return false;
    }
    const struct jit_map *map = lookup_map(j, v);
    return map != NULL && map->kind != JIT_MAP_OTHER;
}

// --- results that are tested at once -------------------------------------------------------------

static bool uses(const struct ir *ir, struct ir_value *user, uint32_t value)
{
    uint32_t count = ir_operand_count(user);
    for (uint32_t i = 0; i < count; i++) {
        if (*ir_operand(ir, user, i) == value) {
            return true;
        }
    }
    return false;
}

// Successors of the block that ends in the test of a look-up's result.
static uint32_t null_side(const struct ir *ir, uint32_t block)
{
    const struct ir_block *b = ir_block_at(ir, block);
    return b->succ[ir_at(ir, b->last)->cond == IR_EQ ? 0 : 1];
}

static uint32_t value_side(const struct ir *ir, uint32_t block)
{
    const struct ir_block *b = ir_block_at(ir, block);
    return b->succ[ir_at(ir, b->last)->cond == IR_EQ ? 1 : 0];
}

static bool is_null_test(const struct ir *ir, uint32_t block, uint32_t value)
{
    const struct ir_value *end = ir_at(ir, ir_block_at(ir, block)->last);
    int64_t number;
    bool tests = end->op == IR_BRANCH && (end->cond == IR_EQ || end->cond == IR_NE) && end->cwidth == 64 &&
                 end->a == value && (end->flags & IR_IMM) == 0 && ir_is_const(ir, end->b, &number) &&
                 number == 0;
    uint32_t there = tests ? value_side(ir, block) : IR_NONE;
    return tests && there != null_side(ir, block) && ir_block_at(ir, there)->pred_count == 1;
}

static bool is_pure(const struct ir_value *v)
{
    return (ir_op_info(v->op)->flags & IR_PURE) != 0;
}

static bool is_candidate(const struct ir_value *v)
{
    return v->op == IR_HELPER && v->mark == CANDIDATE;
}

// The look-up behind which the block only computes what does not depend on it, and then tests it; or IR_NONE.
static uint32_t tested_lookup(const struct jit *j, uint32_t block)
{
    const struct ir *ir = &j->ir;
    uint32_t candidate = IR_NONE, last = ir_block_at(ir, block)->last;
    for (uint32_t i = ir_block_at(ir, block)->first; i != last; i = ir_next(ir, i)) {
        struct ir_value *v = ir_at(ir, i);
        if (v->op == IR_HELPER) {
            v->mark = 0;
            candidate = is_array_lookup(j, v) ? i : IR_NONE;
        } else if (candidate != IR_NONE && (!is_pure(v) || uses(ir, v, candidate))) {
            candidate = IR_NONE;
        }
    }
    return candidate != IR_NONE && is_null_test(ir, block, candidate) ? candidate : IR_NONE;
}

enum side { SIDE_NULL, SIDE_VALUE, SIDE_TEST, SIDE_UNKNOWN };

// Where operand `i` of `user` is used, as seen from the test of look-up `value`.
static enum side side_of(const struct ir *ir, const struct ir_value *user, uint32_t i, uint32_t value)
{
    uint32_t block = ir_at(ir, value)->block, null = null_side(ir, block), at = user->block;
    if (user->op == IR_PHI) {
        at = ir_block_at(ir, user->block)->preds[i];
        if (at == block) {
            return user->block == null ? SIDE_NULL : SIDE_VALUE;
        }
    }
    if (at == block) {
        return SIDE_TEST;
    }
    if (ir_dominates(ir, value_side(ir, block), at)) {
        return SIDE_VALUE;
    }
    bool single = ir_block_at(ir, null)->pred_count == 1;
    return single && ir_dominates(ir, null, at) ? SIDE_NULL : SIDE_UNKNOWN;
}

static void check_uses(const struct ir *ir, struct ir_value *user)
{
    uint32_t count = ir_operand_count(user);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t operand = *ir_operand(ir, user, i);
        struct ir_value *v = ir_at(ir, operand);
        if (is_candidate(v) && side_of(ir, user, i, operand) == SIDE_UNKNOWN) {
            v->mark = 0;
        }
    }
}

static void replace_nulls(struct lowering *l, struct ir_value *user)
{
    const struct ir *ir = &l->j->ir;
    uint32_t count = ir_operand_count(user);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t *operand = ir_operand(ir, user, i);
        if (is_candidate(ir_at(ir, *operand)) && side_of(ir, user, i, *operand) == SIDE_NULL) {
            *operand = lower_zero(l);
        }
    }
}

static bool mark_candidates(const struct jit *j)
{
    const struct ir *ir = &j->ir;
    bool any = false;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t candidate = tested_lookup(j, ir->order[i]);
        if (candidate != IR_NONE) {
            ir_at(ir, candidate)->mark = CANDIDATE;
            any = true;
        }
    }
    return any;
}

ebpf_result_t lookup_find_tested(struct lowering *l)
{
    struct ir *ir = &l->j->ir;
    if (!mark_candidates(l->j)) {
        return EBPF_SUCCESS;
    }
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < ir->order_count; i++) {
            for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_next(ir, v)) {
                if (round == 0) {
                    check_uses(ir, ir_at(ir, v));
                } else {
                    replace_nulls(l, ir_at(ir, v));
                }
            }
        }
    }
    return l->full ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

// --- in line -------------------------------------------------------------------------------------

static uint32_t scaled(struct lowering *l, uint32_t block, uint32_t index, uint64_t stride)
{
    uint32_t factor = lower_emit(l, block, IR_CONST, 64, IR_NONE, IR_NONE, (int64_t)stride);
    return lower_emit(l, block, IR_MUL, 64, index, factor, 0);
}

// Address of the value at index `key`; `run` is the run.
static uint32_t value_address(struct lowering *l, uint32_t block, uint32_t key, uint32_t run,
                              const struct jit_map *map)
{
    uint32_t address = lower_emit(l, block, IR_CONST, 64, IR_NONE, IR_NONE, (int64_t)map->values);
    if (map->kind == JIT_MAP_PERCPU_ARRAY) {
        uint32_t cpu = lower_load(l, block, 32, run, offsetof(struct jit_run, slot));
        uint32_t part = scaled(l, block, cpu, map->cpu_stride);
        address = lower_emit(l, block, IR_ADD, 64, address, part, 0);
    }
    if (map->max_entries == 1) {
        return address;
    }
    return lower_emit(l, block, IR_ADD, 64, address, scaled(l, block, key, map->stride), 0);
}

// The value in front of `value`: `before`, but for what was put into the block since.
static uint32_t front_of(const struct lowering *l, uint32_t before, uint32_t value)
{
    const struct ir *ir = &l->j->ir;
    uint32_t at = before == IR_NONE ? ir_block_at(ir, l->block)->first : before;
    if (at == value) {
        return IR_NONE;
    }
    while (ir_at(ir, at)->next != value) {
        at = ir_next(ir, at);
    }
    return at;
}

// The test of the key leads to where the result is null, or to a new block that has the value's address.
static void lower_tested(struct lowering *l, uint32_t before, uint32_t value, const struct jit_map *map)
{
    struct ir *ir = &l->j->ir;
    const struct ir_value helper = *ir_at(ir, value);
    uint32_t from = l->block, null = null_side(ir, from), there = value_side(ir, from);
    uint32_t hit = lower_block(l, from, IR_NONE), front = front_of(l, before, value);
    struct ir_block *b = ir_block_at(ir, from);
    *(front == IR_NONE ? &b->first : &ir_at(ir, front)->next) = helper.next;
    uint32_t key = lower_load(l, from, 32, ir_pool(ir, &helper)[1], 0);
    uint32_t limit = lower_emit(l, from, IR_CONST, 64, IR_NONE, IR_NONE, (int32_t)map->max_entries);
    uint32_t address = value_address(l, hit, key, ir_pool(ir, &helper)[helper.b - 1], map);
    if (l->full) {
        return;
    }
    struct ir_value *end = ir_at(ir, b->last);
    end->a = key;
    end->b = limit;
    end->cond = IR_UGE;
    end->cwidth = 32;
    end->flags = IR_COLD;
    b->succ[0] = null;
    b->succ[1] = hit;
    ir_append(ir, hit, value);
    ir_become_copy(ir, value, address);
    lower_jump(l, hit);
    ir_block_at(ir, hit)->succ[0] = there;
    ir_block_at(ir, there)->preds[0] = hit;
}

// The result is a PHI of null and the value's address.
static void lower_joined(struct lowering *l, uint32_t before, uint32_t value, const struct jit_map *map)
{
    struct ir *ir = &l->j->ir;
    const struct ir_value helper = *ir_at(ir, value);
    uint32_t *list = jit_alloc(l->j, 2, sizeof(*list)), zero = lower_zero(l), from = l->block;
    uint32_t hit = lower_block(l, from, IR_NONE), rest = lower_block(l, from, hit);
    if (list == NULL || l->full) {
        l->full = true;
        return;
    }
    lower_split(l, front_of(l, before, value), rest);
    uint32_t key = lower_load(l, from, 32, ir_pool(ir, &helper)[1], 0);
    lower_branch(l, from, IR_UGE, 32, key, (int32_t)map->max_entries, true);
    ir_block_at(ir, from)->succ[0] = rest;
    ir_block_at(ir, from)->succ[1] = hit;
    list[0] = zero;
    list[1] = value_address(l, hit, key, ir_pool(ir, &helper)[helper.b - 1], map);
    lower_jump(l, hit);
    ir_block_at(ir, hit)->succ[0] = rest;
    struct ir_value *phi = ir_at(ir, value);
    phi->op = IR_PHI;
    phi->a = ir_pool_index(ir, list);
    phi->b = 2;
    phi->imm = 0;
}

void lookup_lower(struct lowering *l, uint32_t before, uint32_t value, const struct jit_map *map)
{
    if (is_candidate(ir_at(&l->j->ir, value))) {
        lower_tested(l, before, value, map);
    } else {
        lower_joined(l, before, value, map);
    }
}
