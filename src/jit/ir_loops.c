// SPDX-License-Identifier: MIT
// ir_loops: order of the blocks, dominators and loops of a function. Without recursion; stacks are in the
// workspace. Dominators: the semi-NCA algorithm; L. Georgiadis, R. E. Tarjan, R. F. Werneck, "Finding
// Dominators in Practice".
#include "jit/ir.h"

struct visit {
    uint32_t block, next; // successor that comes next
};

static void reset(struct ir *ir)
{
    for (uint32_t b = 1; b < ir->block_count; b++) {
        ir->blocks[b].order = UINT32_MAX;
    }
}

// Puts blocks into ir->order in post-order; `order` of those that were seen is 0 meanwhile.
static uint32_t walk(struct ir *ir, struct visit *stack)
{
    uint32_t depth = 1, count = 0;
    stack[0] = (struct visit){ir->entry, 0};
    ir->blocks[ir->entry].order = 0;
    while (depth != 0) {
        struct visit *v = &stack[depth - 1];
        const struct ir_block *b = ir_block_at(ir, v->block);
        if (v->next == ir_successor_count(b)) {
            ir->order[count++] = v->block;
            depth--;
            continue;
        }
        uint32_t to = ir_successor(b, v->next++);
        if (ir->blocks[to].order == UINT32_MAX) {
            ir->blocks[to].order = 0;
            stack[depth++] = (struct visit){to, 0};
        }
    }
    return count;
}

static void reverse(uint32_t *list, uint32_t count)
{
    for (uint32_t i = 0; i < count / 2; i++) {
        uint32_t swap = list[i];
        list[i] = list[count - 1 - i];
        list[count - 1 - i] = swap;
    }
}

// Blocks that are not reached have no edges into those that are.
static void cut(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        uint32_t left = 0;
        for (uint32_t p = 0; p < b->pred_count; p++) {
            if (ir_block_at(ir, b->preds[p])->order != UINT32_MAX) {
                ir_move_edge(ir, b, left++, p);
            }
        }
        ir_keep_edges(ir, b, left);
    }
    for (uint32_t n = 1; n < ir->block_count; n++) {
        struct ir_block *b = ir_block_at(ir, n);
        if (b->order != UINT32_MAX) {
            continue;
        }
        b->succ[0] = b->succ[1] = IR_NONE;
        b->target_count = b->pred_count = 0;
        b->first = b->last = IR_NONE;
    }
}

ebpf_result_t ir_find_order(struct jit *j)
{
    struct ir *ir = &j->ir;
    size_t mark = j->memory.used;
    struct visit *stack = jit_room(j, ir->block_count, sizeof(*stack));
    if (stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    reset(ir);
    ir->order_count = walk(ir, stack);
    reverse(ir->order, ir->order_count);
    for (uint32_t i = 0; i < ir->order_count; i++) {
        ir->blocks[ir->order[i]].order = i;
    }
    cut(ir);
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}

// --- dominators ----------------------------------------------------------------------------------

// Working state: blocks by their number in a depth-first walk, the entry being 0. Of the forest that grows
// from the last block to the first, `ancestor` is compressed and `label` is the block with the least `semi`
// on the way up.
struct dominators {
    struct ir *ir;
    uint32_t *block, *number; // by number; by block
    uint32_t *parent, *semi, *label, *ancestor, *idom, *path;
    uint32_t count;
};

static void number_walk(struct dominators *d, struct visit *stack)
{
    const struct ir *ir = d->ir;
    uint32_t depth = 1;
    for (uint32_t b = 0; b < ir->block_count; b++) {
        d->number[b] = UINT32_MAX;
    }
    stack[0] = (struct visit){ir->entry, 0};
    d->number[ir->entry] = d->count;
    d->block[d->count++] = ir->entry;
    while (depth != 0) {
        struct visit *v = &stack[depth - 1];
        const struct ir_block *b = ir_block_at(ir, v->block);
        if (v->next == ir_successor_count(b)) {
            depth--;
            continue;
        }
        uint32_t to = ir_successor(b, v->next++);
        if (d->number[to] == UINT32_MAX) {
            d->parent[d->count] = d->number[v->block];
            d->number[to] = d->count;
            d->block[d->count++] = to;
            stack[depth++] = (struct visit){to, 0};
        }
    }
}

// The block with the least semidominator between `v` and the root of its tree, the root left aside.
static uint32_t evaluate(struct dominators *d, uint32_t v)
{
    uint32_t depth = 0;
    if (d->ancestor[v] == UINT32_MAX) {
        return v;
    }
    for (uint32_t u = v; d->ancestor[d->ancestor[u]] != UINT32_MAX; u = d->ancestor[u]) {
        d->path[depth++] = u;
    }
    while (depth != 0) { // from the top down
        uint32_t u = d->path[--depth], above = d->ancestor[u];
        if (d->semi[d->label[above]] < d->semi[d->label[u]]) {
            d->label[u] = d->label[above];
        }
        d->ancestor[u] = d->ancestor[above];
    }
    return d->label[v];
}

static void find_semidominators(struct dominators *d)
{
    for (uint32_t w = 0; w < d->count; w++) {
        d->semi[w] = d->label[w] = w;
        d->ancestor[w] = UINT32_MAX;
    }
    for (uint32_t w = d->count; w-- > 1;) {
        const struct ir_block *b = ir_block_at(d->ir, d->block[w]);
        for (uint32_t p = 0; p < b->pred_count; p++) {
            uint32_t least = d->semi[evaluate(d, d->number[b->preds[p]])];
            d->semi[w] = min_u32(d->semi[w], least);
        }
        d->ancestor[w] = d->parent[w];
    }
}

// The dominator is the nearest block above `parent` in the tree so far that is not below the semidominator.
static void find_nearest(struct dominators *d)
{
    struct ir *ir = d->ir;
    ir->blocks[ir->entry].idom = IR_NONE;
    for (uint32_t w = 1; w < d->count; w++) {
        uint32_t idom = d->parent[w];
        while (idom > d->semi[w]) {
            idom = d->idom[idom];
        }
        d->idom[w] = idom;
        ir->blocks[d->block[w]].idom = d->block[idom];
    }
}

static ebpf_result_t find_idoms(struct jit *j)
{
    struct dominators d = {.ir = &j->ir};
    size_t mark = j->memory.used;
    uint32_t n = j->ir.block_count;
    uint32_t **const arrays[] = {&d.block, &d.number,   &d.parent, &d.semi,
                                 &d.label, &d.ancestor, &d.idom,   &d.path};
    for (unsigned i = 0; i < ARRAY_SIZE(arrays); i++) {
        *arrays[i] = jit_room(j, n, sizeof(uint32_t));
        if (*arrays[i] == NULL) {
            return EBPF_NO_MEMORY;
        }
    }
    struct visit *stack = jit_room(j, n, sizeof(*stack));
    if (stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    number_walk(&d, stack);
    find_semidominators(&d);
    find_nearest(&d);
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}

// Pre-order numbers of the dominator tree from the sizes of its subtrees: children come after their parents
// in ir->order, so one pass up and one down are enough.
static void number_tree(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        ir->blocks[ir->order[i]].dom_last = 1; // size of the subtree
    }
    for (uint32_t i = ir->order_count; i-- > 1;) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        ir->blocks[b->idom].dom_last += b->dom_last;
    }
    struct ir_block *entry = ir_block_at(ir, ir->entry);
    entry->dom_first = 1;
    entry->extra = 2; // number of the next child
    for (uint32_t i = 1; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]), *up = ir_block_at(ir, b->idom);
        b->dom_first = up->extra;
        up->extra += b->dom_last;
        b->extra = b->dom_first + 1;
    }
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        b->dom_last += b->dom_first - 1;
    }
}

// --- loops ---------------------------------------------------------------------------------------

static uint32_t outermost(const struct ir *ir, uint32_t loop)
{
    while (ir->loops[loop].parent != IR_NONE) {
        loop = ir->loops[loop].parent;
    }
    return loop;
}

static bool is_back_edge(const struct ir *ir, uint32_t from, uint32_t to)
{
    return ir_dominates(ir, to, from);
}

// Everything from which a block of the stack is reached without passing the head belongs to the loop.
static void collect(struct ir *ir, uint32_t loop, uint32_t *stack, uint32_t depth)
{
    uint32_t head = ir->loops[loop].head;
    while (depth != 0) {
        uint32_t at = stack[--depth];
        struct ir_block *b = ir_block_at(ir, at);
        if (b->loop == IR_NONE) {
            b->loop = loop;
        } else {
            uint32_t inner = outermost(ir, b->loop);
            if (inner == loop) {
                continue;
            }
            ir->loops[inner].parent = loop;
            at = ir->loops[inner].head;
            b = ir_block_at(ir, at);
        }
        for (uint32_t p = 0; p < b->pred_count && at != head; p++) {
            uint32_t pred = b->preds[p];
            if (ir->blocks[pred].loop == IR_NONE || outermost(ir, ir->blocks[pred].loop) != loop) {
                stack[depth++] = pred;
            }
        }
    }
}

static void find_loop(struct ir *ir, uint32_t head, uint32_t *stack)
{
    struct ir_block *b = ir_block_at(ir, head);
    uint32_t depth = 0;
    for (uint32_t p = 0; p < b->pred_count; p++) {
        if (is_back_edge(ir, b->preds[p], head)) {
            stack[depth++] = b->preds[p];
        }
    }
    if (depth == 0) {
        return;
    }
    uint32_t loop = ir->loop_count++;
    ir->loops[loop] = (struct ir_loop){head, IR_NONE};
    b->loop = loop;
    collect(ir, loop, stack, depth);
}

static void set_depths(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        b->depth = 0;
        for (uint32_t l = b->loop; l != IR_NONE && b->depth < UINT8_MAX; l = ir->loops[l].parent) {
            b->depth++;
        }
    }
}

static uint32_t count_edges(const struct ir *ir)
{
    uint32_t edges = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        edges += ir->blocks[ir->order[i]].pred_count;
    }
    return edges;
}

static uint32_t count_heads(const struct ir *ir)
{
    uint32_t heads = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        for (uint32_t p = 0; p < b->pred_count; p++) {
            if (is_back_edge(ir, b->preds[p], ir->order[i])) {
                heads++;
                break;
            }
        }
    }
    return heads;
}

static ebpf_result_t reserve_loops(struct jit *j, uint32_t count)
{
    struct ir *ir = &j->ir;
    if (count > ir->loop_capacity) {
        ir->loops = jit_room(j, count, sizeof(*ir->loops));
        ir->loop_capacity = count;
    }
    if (ir->loops == NULL) {
        return EBPF_NO_MEMORY;
    }
    ir->loops[IR_NONE] = (struct ir_loop){0};
    return EBPF_SUCCESS;
}

ebpf_result_t ir_find_loops(struct jit *j)
{
    struct ir *ir = &j->ir;
    TRY(find_idoms(j));
    number_tree(ir);
    TRY(reserve_loops(j, count_heads(ir) + 1));
    size_t mark = j->memory.used;
    uint32_t *stack = jit_room(j, count_edges(ir) + 1, sizeof(*stack));
    if (stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    ir->loop_count = 1;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        ir->blocks[ir->order[i]].loop = IR_NONE;
    }
    for (uint32_t i = ir->order_count; i-- > 0;) { // inner heads come later
        find_loop(ir, ir->order[i], stack);
    }
    set_depths(ir);
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}
