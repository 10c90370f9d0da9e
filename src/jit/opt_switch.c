// SPDX-License-Identifier: MIT
// opt_switch: a tree of comparisons of one value with constants, as compilers make of `switch`, becomes a
// range check and a jump through a table. The tree is followed for every number of the table, so that it does
// not matter how it is built. Not with retpolines: they cost more than the comparisons.
#include "jit/opt.h"

#define MAX_NODES   64
#define MIN_TESTS   6 // for equality: fewer comparisons are as quick
#define MAX_ENTRIES 256
#define SPREAD      4 // entries for each test, at most

struct tree {
    struct jit *j;
    struct ir *ir;
    uint32_t value;
    uint8_t cwidth;
    uint32_t nodes[MAX_NODES], count; // blocks; the first is the root
    uint32_t tests;
    uint64_t low, high;                // of the constants
    bool complete;                     // the value has no other numbers
    uint32_t *targets, entries, other; // other: where numbers outside the table go; IR_NONE: there are none
    // Of all trees. Edges of nodes stay in the lists of predecessors, and new ones come behind them, until
    // all trees are done: each costs the same however many others there are. ir_block.extra: edges that are
    // left; ir_block.edge: room in the lists, 0: they are full.
    uint32_t (*places)[2]; // ir_list_places, when the first tree was found
};

// --- finding it ----------------------------------------------------------------------------------

static const struct ir_value *end_of(const struct ir *ir, uint32_t block)
{
    return ir_at(ir, ir_block_at(ir, block)->last);
}

static bool compares_number(const struct ir *ir, const struct ir_value *v, uint64_t *number)
{
    int64_t imm = v->imm;
    if (v->op != IR_BRANCH || ((v->flags & IR_IMM) == 0 && !ir_is_const(ir, v->b, &imm))) {
        return false;
    }
    *number = (uint64_t)imm & fold_mask(v->cwidth);
    return v->cond != IR_SET && v->cond != IR_CLEAR;
}

// A block that only goes on with the tree.
static bool is_inner(const struct tree *t, uint32_t block)
{
    const struct ir_block *b = ir_block_at(t->ir, block);
    const struct ir_value *end = end_of(t->ir, block);
    uint64_t number;
    if (b->extra != 1 || block == t->ir->entry || !compares_number(t->ir, end, &number) ||
        end->a != t->value || end->cwidth != t->cwidth || b->succ[0] == b->succ[1]) {
        return false;
    }
    for (uint32_t v = b->first; v != b->last; v = ir_next(t->ir, v)) {
        if (ir_at(t->ir, v)->op != IR_CONST) {
            return false;
        }
    }
    return true;
}

static void add_node(struct tree *t, uint32_t block)
{
    const struct ir_value *end = end_of(t->ir, block);
    uint64_t number = 0;
    (void)compares_number(t->ir, end, &number);
    t->low = min_u64(t->low, number);
    t->high = number > t->high ? number : t->high;
    t->tests += end->cond == IR_EQ || end->cond == IR_NE;
    t->nodes[t->count++] = block;
    ir_block_at(t->ir, block)->mark = 1;
}

// Nodes behind each other in the list come from those before.
static void collect(struct tree *t, uint32_t root)
{
    add_node(t, root);
    for (uint32_t n = 0; n < t->count; n++) {
        const struct ir_block *b = ir_block_at(t->ir, t->nodes[n]);
        for (unsigned i = 0; i < 2; i++) {
            if (t->count < MAX_NODES && b->succ[i] != root && is_inner(t, b->succ[i])) {
                add_node(t, b->succ[i]);
            }
        }
    }
}

// Where the tree takes `number`. Inner nodes have one way in, so the walk ends.
static uint32_t follow(const struct tree *t, uint64_t number)
{
    uint32_t block = t->nodes[0];
    do {
        const struct ir_value *end = end_of(t->ir, block);
        uint64_t other = 0;
        (void)compares_number(t->ir, end, &other);
        block =
            ir_block_at(t->ir, block)->succ[fold_condition(end->cond, end->cwidth, number, other) ? 0 : 1];
    } while (ir_block_at(t->ir, block)->mark != 0 && block != t->nodes[0]);
    return block;
}

// All numbers outside the table go to the same block: no comparison changes its mind there but at the change
// of the sign.
static bool find_other(struct tree *t)
{
    t->other = IR_NONE;
    if (t->complete) {
        return true;
    }
    uint64_t mask = fold_mask(t->cwidth), sign = (uint64_t)1 << (t->cwidth - 1);
    const uint64_t samples[] = {t->high + 1, sign - 1, sign, mask, t->low - 1};
    uint32_t count = t->low == 0 ? 4 : 5;
    t->other = follow(t, samples[0]);
    for (uint32_t i = 1; i < count; i++) {
        if (follow(t, samples[i]) != t->other) {
            return false;
        }
    }
    return true;
}

static bool has_phis(const struct ir *ir, uint32_t block)
{
    return ir_at(ir, ir_block_at(ir, block)->first)->op == IR_PHI;
}

// Places of the tree's edges among the predecessors of `leaf`; how many they are.
static uint32_t edges_to(const struct tree *t, uint32_t leaf, uint32_t places[2 * MAX_NODES])
{
    uint32_t count = 0;
    for (uint32_t n = 0; n < t->count; n++) {
        for (unsigned i = 0; i < 2; i++) {
            if (ir_block_at(t->ir, t->nodes[n])->succ[i] == leaf) {
                places[count++] = t->places[t->nodes[n]][i];
            }
        }
    }
    return count;
}

// PHIs of `leaf` get the same from all nodes of the tree.
static bool is_uniform(const struct tree *t, uint32_t leaf)
{
    uint32_t places[2 * MAX_NODES], count = edges_to(t, leaf, places);
    for (uint32_t v = ir_block_at(t->ir, leaf)->first; ir_at(t->ir, v)->op == IR_PHI; v = ir_next(t->ir, v)) {
        const uint32_t *list = ir_pool(t->ir, ir_at(t->ir, v));
        for (uint32_t k = 1; k < count; k++) {
            if (list[places[k]] != list[places[0]]) {
                return false;
            }
        }
    }
    return true;
}

static bool is_leaf(const struct tree *t, uint32_t block)
{
    return ir_block_at(t->ir, block)->mark == 0;
}

// Edge `i` of node `n` is the first one in the list that goes to its leaf.
static bool is_first(const struct tree *t, uint32_t n, unsigned i)
{
    uint32_t leaf = ir_block_at(t->ir, t->nodes[n])->succ[i];
    for (uint32_t k = 0; k < n; k++) {
        const struct ir_block *b = ir_block_at(t->ir, t->nodes[k]);
        if (b->succ[0] == leaf || b->succ[1] == leaf) {
            return false;
        }
    }
    return i == 0 || ir_block_at(t->ir, t->nodes[n])->succ[0] != leaf;
}

// Leaves keep their PHIs, and are not the root.
static bool leaves_are_fit(const struct tree *t)
{
    for (uint32_t n = 0; n < t->count; n++) {
        for (unsigned i = 0; i < 2; i++) {
            uint32_t to = ir_block_at(t->ir, t->nodes[n])->succ[i];
            if (to == t->nodes[0] || (is_leaf(t, to) && is_first(t, n, i) && !is_uniform(t, to))) {
                return false;
            }
        }
    }
    return true;
}

static bool is_dense(struct tree *t)
{
    if (t->low <= 4) {
        t->low = 0; // saves the subtraction
    }
    if (t->tests < MIN_TESTS || t->high > INT32_MAX || t->high - t->low >= MAX_ENTRIES) {
        return false;
    }
    struct opt_fact fact = opt_fact_alone(t->ir, t->value);
    t->complete = t->low == 0 && fact.max < MAX_ENTRIES && fact.max <= 2 * t->high;
    if (t->complete) {
        t->high = fact.max;
    }
    t->entries = (uint32_t)(t->high - t->low) + 1;
    return t->entries <= t->tests * SPREAD;
}

// --- making the table ----------------------------------------------------------------------------

static uint32_t append(struct tree *t, uint32_t block, enum ir_op op, unsigned width, uint32_t a, uint32_t b,
                       int64_t imm)
{
    uint32_t value = ir_new(t->j, op, (uint8_t)width, a, b, imm);
    if (value != IR_NONE) {
        ir_at(t->ir, value)->pc = end_of(t->ir, t->nodes[0])->pc;
        ir_append(t->ir, block, value);
    }
    return value;
}

// The number of the entry, of 64 bits.
static uint32_t make_index(struct tree *t)
{
    uint32_t root = t->nodes[0];
    if (t->low != 0) {
        uint32_t low = append(t, root, IR_CONST, 64, IR_NONE, IR_NONE, -(int64_t)t->low);
        return low == IR_NONE ? IR_NONE : append(t, root, IR_ADD, t->cwidth, t->value, low, 0);
    }
    if (t->cwidth == 64 || opt_fact_alone(t->ir, t->value).max <= UINT32_MAX) {
        return t->value;
    }
    return append(t, root, IR_ZEXT, 64, t->value, IR_NONE, 32);
}

// A block that goes to `to` and nowhere else.
static uint32_t make_step(struct tree *t, uint32_t to)
{
    uint32_t block = ir_new_block(t->j, ir_block_at(t->ir, to)->pc);
    if (block == IR_NONE || append(t, block, IR_JUMP, 64, IR_NONE, IR_NONE, 0) == IR_NONE) {
        return IR_NONE;
    }
    ir_block_at(t->ir, block)->succ[0] = to;
    return block;
}

// Room for `more` predecessors and operands.
static bool grow_lists(const struct tree *t, struct ir_block *b, uint32_t more)
{
    uint32_t needed = b->pred_count + more, room = b->edge == 0 ? needed : 2 * needed;
    uint32_t *preds = jit_room(t->j, room, sizeof(*preds));
    if (preds == NULL) {
        return false;
    }
    memcpy(preds, b->preds, b->pred_count * sizeof(*preds));
    b->preds = preds;
    b->edge = room;
    for (uint32_t v = b->first; ir_at(t->ir, v)->op == IR_PHI; v = ir_next(t->ir, v)) {
        struct ir_value *phi = ir_at(t->ir, v);
        uint32_t *list = jit_room(t->j, room, sizeof(*list));
        if (list == NULL) {
            return false;
        }
        memcpy(list, ir_pool(t->ir, phi), phi->b * sizeof(*list));
        phi->a = ir_pool_index(t->ir, list);
    }
    return true;
}

static void add_pred(const struct tree *t, struct ir_block *b, uint32_t pred, uint32_t like)
{
    for (uint32_t v = b->first; ir_at(t->ir, v)->op == IR_PHI; v = ir_next(t->ir, v)) {
        struct ir_value *phi = ir_at(t->ir, v);
        uint32_t *list = ir_pool(t->ir, phi);
        list[phi->b++] = list[like];
    }
    b->preds[b->pred_count++] = pred;
    b->extra++;
}

// Edges of the tree to `leaf` go, and others come instead.
static ebpf_result_t replace_preds(struct tree *t, uint32_t leaf, uint32_t by, uint32_t times, uint32_t by2)
{
    struct ir_block *b = ir_block_at(t->ir, leaf);
    uint32_t places[2 * MAX_NODES], count = edges_to(t, leaf, places), more = times + (by2 != IR_NONE);
    if (b->pred_count + more > (b->edge == 0 ? b->pred_count : b->edge) && !grow_lists(t, b, more)) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t k = 0; k < count; k++) {
        b->preds[places[k]] = t->nodes[1]; // which is not reached any more, as the root is
    }
    b->extra -= count;
    for (uint32_t k = 0; k < more; k++) {
        add_pred(t, b, k < times ? by : by2, places[0]);
    }
    return EBPF_SUCCESS;
}

static bool has_other_preds(const struct tree *t, uint32_t leaf)
{
    uint32_t places[2 * MAX_NODES];
    return ir_block_at(t->ir, leaf)->extra != edges_to(t, leaf, places);
}

// Entries of the table that lead to `leaf` lead to `step` from now on.
static uint32_t redirect(struct tree *t, uint32_t leaf, uint32_t step)
{
    uint32_t times = 0;
    for (uint32_t i = 0; i < t->entries; i++) {
        if (t->targets[i] == leaf) {
            t->targets[i] = step;
            times++;
        }
    }
    return times;
}

// Edges from the table to a leaf. Those that would be critical go through a block of their own.
static ebpf_result_t connect(struct tree *t, uint32_t leaf, uint32_t table)
{
    uint32_t root = leaf == t->other ? t->nodes[0] : IR_NONE;
    uint32_t times = redirect(t, leaf, leaf);
    if (times == 0 || (root == IR_NONE && !has_phis(t->ir, leaf) && !has_other_preds(t, leaf))) {
        return replace_preds(t, leaf, table, times, root);
    }
    uint32_t step = make_step(t, leaf);
    if (step == IR_NONE) {
        return EBPF_NO_MEMORY;
    }
    (void)redirect(t, leaf, step);
    uint32_t *preds = jit_alloc(t->j, times, sizeof(*preds));
    if (preds == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t k = 0; k < times; k++) {
        preds[k] = table;
    }
    ir_block_at(t->ir, step)->preds = preds;
    ir_block_at(t->ir, step)->pred_count = ir_block_at(t->ir, step)->extra = times;
    return replace_preds(t, leaf, step, 1, root);
}

// Constants of inner nodes may have other uses below them. They go behind `after` in the root; the last one.
static uint32_t dissolve(struct tree *t, uint32_t block, uint32_t after)
{
    struct ir_block *b = ir_block_at(t->ir, block);
    for (uint32_t v = b->first, next; v != b->last; v = next) {
        next = ir_next(t->ir, v);
        ir_insert_after(t->ir, t->nodes[0], after, v);
        after = v;
    }
    b->first = b->last = b->succ[0] = b->succ[1] = IR_NONE;
    b->pred_count = b->extra = 0;
    return after;
}

static ebpf_result_t connect_leaves(struct tree *t, uint32_t table)
{
    for (uint32_t n = 0; n < t->count; n++) {
        for (unsigned i = 0; i < 2; i++) {
            uint32_t leaf = ir_block_at(t->ir, t->nodes[n])->succ[i];
            if (is_leaf(t, leaf) && is_first(t, n, i)) {
                TRY(connect(t, leaf, table));
            }
        }
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t build(struct tree *t)
{
    struct ir *ir = t->ir;
    uint32_t root = t->nodes[0], index = make_index(t), table = ir_new_block(t->j, ir_block_at(ir, root)->pc);
    uint32_t count = append(t, root, IR_CONST, 64, IR_NONE, IR_NONE, t->entries);
    uint32_t *preds = jit_alloc(t->j, 1, sizeof(*preds));
    if (index == IR_NONE || table == IR_NONE || count == IR_NONE || preds == NULL ||
        append(t, table, IR_SWITCH, 64, index, IR_NONE, 0) == IR_NONE) {
        return EBPF_NO_MEMORY;
    }
    TRY(connect_leaves(t, table));
    preds[0] = root;
    struct ir_block *b = ir_block_at(ir, table), *r = ir_block_at(ir, root);
    b->preds = preds;
    b->pred_count = b->extra = 1;
    b->targets = t->targets;
    b->target_count = t->entries;
    r->succ[0] = table;
    r->succ[1] = t->other;
    struct ir_value *end = ir_at(ir, r->last);
    end->op = t->complete ? IR_JUMP : IR_BRANCH;
    end->cond = t->complete ? 0 : IR_ULT;
    end->cwidth = t->complete ? 0 : end->cwidth;
    end->flags = 0;
    end->a = t->complete ? IR_NONE : index;
    end->b = t->complete ? IR_NONE : count;
    uint32_t after = count;
    for (uint32_t n = 1; n < t->count; n++) {
        after = dissolve(t, t->nodes[n], after);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t try_tree(struct tree *t, uint32_t root, bool *changed)
{
    uint64_t number;
    const struct ir_value *end = end_of(t->ir, root);
    if (!compares_number(t->ir, end, &number) ||
        ir_block_at(t->ir, root)->succ[0] == ir_block_at(t->ir, root)->succ[1]) {
        return EBPF_SUCCESS;
    }
    t->value = end->a;
    t->cwidth = end->cwidth;
    t->low = UINT64_MAX;
    t->high = t->count = t->tests = 0;
    collect(t, root);
    bool dense = is_dense(t);
    ebpf_result_t result = dense && t->places == NULL ? ir_list_places(t->j, &t->places) : EBPF_SUCCESS;
    if (dense && result == EBPF_SUCCESS && leaves_are_fit(t) && find_other(t)) {
        t->targets = jit_alloc(t->j, t->entries, sizeof(*t->targets));
        for (uint32_t i = 0; t->targets != NULL && i < t->entries; i++) {
            t->targets[i] = follow(t, t->low + i);
        }
        result = t->targets == NULL ? EBPF_NO_MEMORY : build(t);
        *changed = true;
    }
    for (uint32_t n = 0; n < t->count; n++) {
        ir_block_at(t->ir, t->nodes[n])->mark = 0;
    }
    return result;
}

// There are as many blocks with one way in that test what the block before tests as inner nodes of a tree.
static bool has_trees(const struct ir *ir)
{
    uint32_t count = 0;
    for (uint32_t i = 1; i < ir->order_count && count < MIN_TESTS - 1; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        ir_prefetch_end(ir, i + IR_AHEAD / 4);
        if (b->pred_count == 1) {
            const struct ir_value *end = ir_at(ir, b->last), *above = end_of(ir, b->preds[0]);
            count += end->op == IR_BRANCH && above->op == IR_BRANCH && end->a == above->a;
        }
    }
    return count >= MIN_TESTS - 1;
}

ebpf_result_t opt_switch(struct jit *j)
{
    struct tree t; // most of it is room
    bool changed = false;
    t.j = j;
    t.ir = &j->ir;
    t.places = NULL;
    if (j->options->retpoline || !has_trees(t.ir)) {
        return EBPF_SUCCESS;
    }
    for (uint32_t b = 1; b < j->ir.block_count; b++) {
        ir_block_at(&j->ir, b)->mark = 0;
        ir_block_at(&j->ir, b)->extra = ir_block_at(&j->ir, b)->pred_count;
        ir_block_at(&j->ir, b)->edge = 0;
    }
    uint32_t count = j->ir.order_count;
    size_t mark = j->memory.used;
    for (uint32_t i = 0; i < count; i++) {
        ir_prefetch_end(&j->ir, i + IR_AHEAD / 4);
        if (ir_block_at(&j->ir, j->ir.order[i])->first != IR_NONE) {
            TRY(try_tree(&t, j->ir.order[i], &changed));
        }
    }
    if (!changed) {
        jit_rewind(j, mark);
        return EBPF_SUCCESS;
    }
    TRY(ir_find_order(j)); // takes out the edges of nodes
    TRY(ir_find_loops(j));
    return ir_clean(j);
}
