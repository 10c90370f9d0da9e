// SPDX-License-Identifier: MIT
// ir_loops: order of the blocks, dominators and loops of a function. Without recursion; stacks are in the
// workspace. Dominators of graphs with odd loops: the semi-NCA algorithm; L. Georgiadis, R. E. Tarjan, R. F.
// Werneck, "Finding Dominators in Practice".
#include "jit/ir.h"

struct visit {
    uint32_t block, next; // successor that comes next
};

// What `order` says of a block before the walk leaves it. Only the entry, which is left last, can get place
// 0.
#define OPEN   0
#define UNSEEN UINT32_MAX

struct walk {
    uint32_t from;  // ir->order is filled from its end down to here
    uint32_t edges; // of blocks that are reached, less those in the lists of predecessors there
    bool loops;
};

static struct walk walk(struct ir *ir, struct visit *stack)
{
    struct walk w = {.from = ir->block_count - 1};
    struct visit at = {ir->entry, 0};
    struct ir_block *const blocks = ir->blocks, *b = &blocks[ir->entry];
    uint32_t *const order = ir->order;
    uint32_t depth = 0, count = ir_successor_count(b);
    b->order = OPEN;
    for (;;) {
        while (at.next < count) {
            uint32_t to = ir_successor(b, at.next++);
            struct ir_block *next = &blocks[to];
            w.loops = w.loops || next->order == OPEN;
            if (next->order == UNSEEN) {
                stack[depth++] = at;
                at = (struct visit){to, 0};
                b = next;
                b->order = OPEN;
                count = ir_successor_count(b);
            }
        }
        w.edges += count - b->pred_count;
        b->order = --w.from;
        order[w.from] = at.block;
        if (depth == 0) {
            return w;
        }
        at = stack[--depth];
        b = &blocks[at.block];
        count = ir_successor_count(b);
    }
}

// Blocks that are not reached have no edges into those that are.
static void cut(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        uint32_t left = 0;
        for (uint32_t p = 0; p < b->pred_count; p++) {
            if (ir_block_at(ir, b->preds[p])->order != UNSEEN) {
                ir_move_edge(ir, b, left++, p);
            }
        }
        ir_keep_edges(ir, b, left);
    }
}

static void drop_unseen(struct ir *ir, uint32_t from)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        ir->order[i] = ir->order[i + from];
        ir->blocks[ir->order[i]].order = i;
    }
    for (uint32_t n = 1; n < ir->block_count; n++) {
        struct ir_block *b = ir_block_at(ir, n);
        if (b->order == UNSEEN) {
            b->succ[0] = b->succ[1] = IR_NONE;
            b->target_count = b->pred_count = 0;
            b->first = b->last = IR_NONE;
        }
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
    for (uint32_t b = 1; b < ir->block_count; b++) {
        ir->blocks[b].order = UNSEEN;
    }
    struct walk w = walk(ir, stack);
    ir->order_count = ir->block_count - 1 - w.from;
    if (w.from != 0) {
        drop_unseen(ir, w.from);
    }
    if (w.edges != 0) {
        cut(ir);
    }
    ir->acyclic = !w.loops;
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}

// What came before a block that left is at its end now: the walk would go the same way.
void ir_drop_merged(struct ir *ir)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        b->order = b->first != IR_NONE ? count : UNSEEN;
        if (b->first != IR_NONE) {
            ir->order[count++] = ir->order[i];
        }
    }
    ir->order_count = count;
}

// --- dominators where every loop is entered by its head ------------------------------------------

// The tree of dominators grows in the order of the blocks. Meanwhile `dom_first` of a block is its depth in
// the tree, and `extra` is a block far above it, whose depth follows from its own: any block above is reached
// in few steps.
static uint32_t common_above(const struct ir_block *blocks, uint32_t a, uint32_t b)
{
    while (a != b) {
        const struct ir_block *x = &blocks[a], *y = &blocks[b];
        if (x->dom_first == y->dom_first) {
            bool far = x->extra != y->extra;
            a = far ? x->extra : x->idom;
            b = far ? y->extra : y->idom;
        } else if (x->dom_first > y->dom_first) {
            a = blocks[x->extra].dom_first >= y->dom_first ? x->extra : x->idom;
        } else {
            b = blocks[y->extra].dom_first >= x->dom_first ? y->extra : y->idom;
        }
    }
    return a;
}

// Edges back say nothing. IR_NONE when there are no others: the form is broken.
static inline uint32_t find_idom(const struct ir_block *blocks, const struct ir_block *b)
{
    uint32_t idom = IR_NONE;
    if (b->pred_count == 1) {
        return blocks[b->preds[0]].order < b->order ? b->preds[0] : IR_NONE;
    }
    for (uint32_t p = 0; p < b->pred_count; p++) {
        uint32_t pred = b->preds[p];
        if (blocks[pred].order < b->order) {
            idom = idom == IR_NONE ? pred : common_above(blocks, idom, pred);
        }
    }
    return idom;
}

static void grow_tree(struct ir *ir)
{
    struct ir_block *const blocks = ir->blocks, *b = &blocks[ir->entry];
    uint32_t idom = ir->entry;
    blocks[IR_NONE].extra = b->extra = ir->entry;
    b->dom_first = 0;
    b->dom_last = 1;
    b->loop = b->idom = IR_NONE;
    b->depth = 0;
    for (uint32_t i = 1; i < ir->order_count; i++) {
        b = &blocks[ir->order[i]];
        idom = find_idom(blocks, b);
        const struct ir_block *up = &blocks[idom], *far = &blocks[up->extra];
        uint32_t farther = far->extra;
        bool even = up->dom_first - far->dom_first == far->dom_first - blocks[farther].dom_first;
        b->idom = idom;
        b->dom_first = up->dom_first + 1;
        b->extra = idom ^ ((idom ^ farther) & (0u - even)); // neither is likelier
        b->dom_last = 1;                                    // size of the subtree
        b->loop = IR_NONE;
        b->depth = 0;
    }
}

// --- dominators of any graph ---------------------------------------------------------------------

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
    ir->blocks[ir->entry].dom_last = 1;
    for (uint32_t w = 1; w < d->count; w++) {
        uint32_t idom = d->parent[w];
        while (idom > d->semi[w]) {
            idom = d->idom[idom];
        }
        d->idom[w] = idom;
        ir->blocks[d->block[w]].idom = d->block[idom];
        ir->blocks[d->block[w]].dom_last = 1;
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
// in ir->order, so one pass up and one down are enough. dom_last is 1 in each block.
static void number_tree(struct ir *ir)
{
    struct ir_block *const blocks = ir->blocks, *entry = &blocks[ir->entry];
    const uint32_t *const order = ir->order;
    uint32_t count = ir->order_count;
    for (uint32_t i = count; i-- > 1;) {
        const struct ir_block *b = &blocks[order[i]];
        blocks[b->idom].dom_last += b->dom_last;
    }
    entry->dom_first = 1;
    entry->extra = 2; // number of the next child
    for (uint32_t i = 1; i < count; i++) {
        struct ir_block *b = &blocks[order[i]], *up = &blocks[b->idom];
        uint32_t first = up->extra, size = b->dom_last;
        up->extra = first + size;
        b->dom_first = first;
        b->dom_last = first + size - 1;
        b->extra = first + 1;
    }
}

static bool is_back_edge(const struct ir *ir, uint32_t from, uint32_t to)
{
    return ir_dominates(ir, to, from);
}

struct heads {
    uint32_t count, edges; // heads of loops; edges of the whole function
};

// `depth` of heads becomes 1. False: an edge back goes to a block that does not dominate where it begins.
static bool find_heads(struct ir *ir, struct heads *heads)
{
    bool all = true;
    *heads = (struct heads){0};
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        b->depth = 0;
        for (uint32_t p = 0; p < b->pred_count; p++) {
            if (ir_block_at(ir, b->preds[p])->order >= i) {
                bool back = is_back_edge(ir, b->preds[p], ir->order[i]);
                all = all && back;
                b->depth |= back;
            }
        }
        heads->count += b->depth;
        heads->edges += b->pred_count;
    }
    return all;
}

static ebpf_result_t find_dominators(struct jit *j, struct heads *heads)
{
    struct ir *ir = &j->ir;
    grow_tree(ir);
    number_tree(ir);
    *heads = (struct heads){0};
    if (!ir->acyclic && !find_heads(ir, heads)) {
        TRY(find_idoms(j));
        number_tree(ir);
        (void)find_heads(ir, heads);
    }
    return EBPF_SUCCESS;
}

// --- loops ---------------------------------------------------------------------------------------

static uint32_t outermost(const struct ir *ir, uint32_t loop)
{
    while (ir->loops[loop].parent != IR_NONE) {
        loop = ir->loops[loop].parent;
    }
    return loop;
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
    ir->loop_count = 1;
    return EBPF_SUCCESS;
}

ebpf_result_t ir_find_loops(struct jit *j)
{
    struct ir *ir = &j->ir;
    struct heads heads;
    TRY(find_dominators(j, &heads));
    TRY(reserve_loops(j, heads.count + 1));
    if (heads.count == 0) {
        return EBPF_SUCCESS;
    }
    size_t mark = j->memory.used;
    uint32_t *stack = jit_room(j, heads.edges + 1, sizeof(*stack));
    if (stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = ir->order_count; i-- > 0;) { // inner heads come later
        if (ir->blocks[ir->order[i]].depth != 0) {
            find_loop(ir, ir->order[i], stack);
        }
    }
    set_depths(ir);
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}
