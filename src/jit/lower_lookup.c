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
    const uint32_t *operands = ir_operands(ir, user);
    uint32_t count = ir_operand_count(user);
    for (uint32_t i = 0; i < count; i++) {
        if (operands[i] == value) {
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

// One for the value's address; when the result is not tested, one for what comes behind.
uint32_t lookup_blocks(const struct jit *j, const struct ir_value *v)
{
    return !is_array_lookup(j, v) ? 0 : v->mark == CANDIDATE ? 1 : 2;
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

// Behind the look-up the block only computes what does not depend on it, and then tests it.
static bool is_tested(const struct ir *ir, uint32_t value)
{
    uint32_t block = ir_at(ir, value)->block, last = ir_block_at(ir, block)->last;
    for (uint32_t i = ir_at(ir, value)->next; i != last; i = ir_next(ir, i)) {
        struct ir_value *v = ir_at(ir, i);
        if (!is_pure(v) || uses(ir, v, value)) {
            return false;
        }
    }
    return is_null_test(ir, block, value);
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

// Operand `i` of `user`, where the look-up has found nothing.
struct null_use {
    struct null_use *next;
    uint32_t user, i;
};

// Candidates and their uses.
struct candidates {
    struct lowering *l;
    uint32_t first; // IR_NONE: there are none
    uint32_t *set;  // bits by value, once there is one
    struct null_use *uses;
};

static void add_candidate(struct candidates *c, uint32_t value)
{
    if (c->first == IR_NONE) {
        c->first = value;
        c->set = jit_alloc(c->l->j, c->l->j->ir.value_count / 32 + 1, sizeof(*c->set));
        c->l->full = c->set == NULL;
    }
    if (c->set != NULL) {
        c->set[value / 32] |= (uint32_t)1 << value % 32;
        ir_at(&c->l->j->ir, value)->mark = CANDIDATE;
    }
}

static inline uint32_t in_set(const struct candidates *c, uint32_t value)
{
    return c->set[value / 32] >> value % 32 & 1;
}

static void mark_candidates(struct candidates *c)
{
    const struct ir *ir = &c->l->j->ir;
    for (uint32_t value = c->l->helpers; value != IR_NONE; value = ir_at(ir, value)->slot) {
        struct ir_value *v = ir_at(ir, value);
        v->mark = 0;
        if (is_array_lookup(c->l->j, v) && is_tested(ir, value)) {
            add_candidate(c, value);
        }
    }
}

// Use `i` of a candidate: where it is not known on which side it is, it is none.
static void check_use(struct candidates *c, uint32_t user, uint32_t i)
{
    struct ir *ir = &c->l->j->ir;
    struct ir_value *value = ir_at(ir, user);
    uint32_t operand = *ir_operand(ir, value, i);
    enum side side = is_candidate(ir_at(ir, operand)) ? side_of(ir, value, i, operand) : SIDE_TEST;
    if (side == SIDE_UNKNOWN) {
        ir_at(ir, operand)->mark = 0;
    } else if (side == SIDE_NULL) {
        struct null_use *use = jit_room(c->l->j, 1, sizeof(*use));
        c->l->full = c->l->full || use == NULL;
        if (use != NULL) {
            *use = (struct null_use){c->uses, user, i};
            c->uses = use;
        }
    }
}

static bool is_leading(const struct ir_value *v)
{
    return v->op == IR_PHI || v->op == IR_PARAM;
}

static bool lists_candidate(const struct candidates *c, const struct ir_value *v)
{
    const uint32_t *list = ir_pool(&c->l->j->ir, v);
    uint32_t found = 0;
    for (uint32_t k = 0; k < v->b; k++) {
        found |= in_set(c, list[k]);
    }
    return found != 0;
}

// Few do: it costs less to look at a and b than to ask whether they are there.
static inline bool uses_candidate(const struct candidates *c, const struct ir_value *v)
{
    const struct ir_op_info *info = ir_op_info(v->op);
    if (info->listed) {
        return lists_candidate(c, v);
    }
    uint32_t found = in_set(c, v->a & (0u - (info->count > 0))) | in_set(c, v->b & (0u - (info->count > 1)));
    if (info->count > 2) {
        found |= in_set(c, v->c) | in_set(c, info->count > 3 ? v->d : IR_NONE);
    }
    return found != 0;
}

static inline void check_value(struct candidates *c, uint32_t v, struct ir_value *user)
{
    if (__builtin_expect(!uses_candidate(c, user), 1)) {
        return;
    }
    const uint32_t *operands = ir_operands(&c->l->j->ir, user);
    uint32_t count = ir_operand_count(user);
    for (uint32_t k = 0; k < count; k++) {
        if (in_set(c, operands[k]) != 0) {
            check_use(c, v, k);
        }
    }
}

// Users come later than what they use, but for PHIs of loops.
static void check_uses(struct candidates *c)
{
    const struct ir *ir = &c->l->j->ir;
    uint32_t first = ir_block_at(ir, ir_at(ir, c->first)->block)->order;
    for (uint32_t i = 0; i < first; i++) {
        uint32_t v = ir_block_at(ir, ir->order[i])->first;
        for (; is_leading(ir_at(ir, v)); v = ir_next(ir, v)) {
            check_value(c, v, ir_at(ir, v));
        }
    }
    for (uint32_t i = first; i < ir->order_count; i++) {
        for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_next(ir, v)) {
            check_value(c, v, ir_at(ir, v));
        }
    }
}

ebpf_result_t lookup_find_tested(struct lowering *l)
{
    struct ir *ir = &l->j->ir;
    struct candidates c = {.l = l};
    size_t mark = l->j->memory.used;
    mark_candidates(&c);
    if (c.set == NULL) {
        return l->full ? EBPF_NO_MEMORY : EBPF_SUCCESS;
    }
    check_uses(&c);
    for (const struct null_use *use = c.uses; use != NULL; use = use->next) {
        uint32_t *operand = ir_operand(ir, ir_at(ir, use->user), use->i);
        if (is_candidate(ir_at(ir, *operand))) {
            *operand = lower_zero(l);
        }
    }
    jit_rewind(l->j, mark);
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
