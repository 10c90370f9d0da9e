// SPDX-License-Identifier: MIT
// alloc_layout: gives moves of PHIs a block to be in, and puts the blocks into the order of the code: reverse
// post-order in which what falls through comes next, loops in one piece, unlikely blocks at the end.
// Dominators come before what they dominate; the scan for registers relies on that.
#include "jit/alloc.h"

// --- critical edges ------------------------------------------------------------------------------

void alloc_redirect(struct ir_block *b, uint32_t from, uint32_t to)
{
    if (b->target_count == 0) {
        b->succ[b->succ[0] == from ? 0 : 1] = to;
        return;
    }
    uint32_t i = 0;
    while (b->targets[i] != from) {
        i++;
    }
    b->targets[i] = to;
}

// Where `middle` is among the dominators and the loops: it comes between `pred` and `block`. What dominates
// `pred` dominates it too, and it gets the same number; as a dominator nobody asks for it by number.
static void find_surroundings(struct ir *ir, uint32_t middle, uint32_t pred, uint32_t block)
{
    struct ir_block *m = &ir->blocks[middle], *b = &ir->blocks[block];
    bool back = ir_dominates(ir, block, pred), only = b->idom == pred;
    for (uint32_t k = 0; k < b->pred_count && only; k++) {
        only = b->preds[k] == middle || ir_dominates(ir, block, b->preds[k]);
    }
    m->idom = pred;
    m->dom_first = ir->blocks[pred].dom_first;
    m->dom_last = m->dom_first - 1;
    b->idom = only ? middle : b->idom;
    m->loop = b->loop;
    m->depth = b->depth;
    if (b->loop != IR_NONE && ir->loops[b->loop].head == block && !back) {
        m->loop = ir->loops[b->loop].parent;
        m->depth--;
    }
}

// A block of its own for edge `k` into `block`; `preds` is for the list of its predecessors.
static ebpf_result_t split(struct jit *j, uint32_t block, uint32_t k, uint32_t *preds)
{
    struct ir *ir = &j->ir;
    uint32_t pred = ir->blocks[block].preds[k], middle = ir_new_block(j, ir->blocks[block].pc);
    uint32_t jump = ir_new(j, IR_JUMP, 64, IR_NONE, IR_NONE, 0);
    if (middle == IR_NONE || jump == IR_NONE) {
        return EBPF_NO_MEMORY;
    }
    const struct ir_block *target = &ir->blocks[block], *source = &ir->blocks[pred];
    bool unlikely = (ir_at(ir, source->last)->flags & IR_COLD) != 0 && source->succ[0] == block;
    ir_at(ir, jump)->pc = ir_at(ir, source->last)->pc;
    ir_append(ir, middle, jump);
    struct ir_block *b = &ir->blocks[middle];
    preds[0] = pred;
    b->preds = preds;
    b->pred_count = 1;
    b->succ[0] = block;
    b->edge = k;
    b->cold = target->cold || source->cold || unlikely;
    target->preds[k] = middle;
    alloc_redirect(&ir->blocks[pred], block, middle);
    find_surroundings(ir, middle, pred, block);
    return EBPF_SUCCESS;
}

static bool has_phis(const struct ir *ir, const struct ir_block *b)
{
    return b->first != IR_NONE && ir_at(ir, b->first)->op == IR_PHI;
}

// What one look at all edges finds: numbers them, marks the blocks that critical ones lead to.
struct edges {
    uint32_t critical;
    bool tables; // there are jump tables
};

static uint32_t number_edges(struct ir *ir, const struct ir_block *b)
{
    uint32_t several = 0;
    for (uint32_t k = 0; k < b->pred_count; k++) {
        struct ir_block *pred = &ir->blocks[b->preds[k]];
        pred->edge = k;
        several += (pred->succ[1] != IR_NONE) | (pred->target_count > 1);
    }
    return several;
}

static void find_edges(struct ir *ir, struct edges *edges)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = &ir->blocks[ir->order[i]];
        ir_prefetch_first(ir, i + IR_AHEAD / 4);
        uint32_t several = number_edges(ir, b);
        b->mark = several != 0 && has_phis(ir, b);
        b->extra = 0;
        edges->critical += b->mark != 0 ? several : 0;
        edges->tables = edges->tables || b->target_count != 0;
    }
}

static ebpf_result_t split_edges(struct jit *j, uint32_t count)
{
    struct ir *ir = &j->ir;
    uint32_t *preds = jit_room(j, count, sizeof *preds);
    if (preds == NULL || !ir_reserve_blocks(j, count)) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t block = ir->order[i];
        for (uint32_t k = 0; ir->blocks[block].mark != 0 && k < ir->blocks[block].pred_count; k++) {
            if (ir_successor_count(&ir->blocks[ir->blocks[block].preds[k]]) > 1) {
                TRY(split(j, block, k, preds++));
            }
        }
        ir->blocks[block].mark = 0;
    }
    return EBPF_SUCCESS;
}

// --- unlikely blocks -----------------------------------------------------------------------------

static bool edge_is_cold(const struct ir *ir, const struct ir_block *from, uint32_t to)
{
    return from->cold ||
           ((ir_at(ir, from->last)->flags & IR_COLD) != 0 && ir_at(ir, from->last)->op == IR_BRANCH &&
            from->succ[0] == to && from->succ[1] != to);
}

// What only unlikely edges lead to is unlikely. The block has the place `at` in the order, and those before
// it are known.
static bool is_cold(const struct ir *ir, uint32_t block, uint32_t at)
{
    const struct ir_block *b = &ir->blocks[block];
    bool cold = block != ir->entry;
    for (uint32_t k = 0; k < b->pred_count && cold; k++) {
        const struct ir_block *pred = &ir->blocks[b->preds[k]];
        cold = pred->order >= at || edge_is_cold(ir, pred, block);
    }
    return (b->cold && block != ir->entry) || cold;
}

static void spread_cold(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        ir->blocks[ir->order[i]].cold = is_cold(ir, ir->order[i], i);
    }
}

// --- order ---------------------------------------------------------------------------------------

// Where the walk goes i-th: the last one comes first in the order, and so behind the block.
static uint32_t successor(const struct ir_block *b, uint32_t i)
{
    return b->target_count != 0 ? b->targets[b->target_count - 1 - i] : b->succ[i];
}

static uint32_t successor_count(const struct ir_block *b)
{
    uint32_t edges = (b->succ[0] != IR_NONE) + (b->succ[1] != IR_NONE);
    return edges + b->target_count;
}

// Fills `post` from its end with a reverse post-order, and numbers the blocks. ir_block.extra and mark are 0.
static void walk(struct ir *ir, uint32_t count, uint32_t *stack, uint32_t *post)
{
    uint32_t depth = 0, left = count;
    stack[depth++] = ir->entry;
    ir->blocks[ir->entry].mark = 1;
    while (depth != 0) {
        struct ir_block *b = &ir->blocks[stack[depth - 1]];
        if (b->extra == successor_count(b)) {
            post[--left] = stack[--depth];
            b->order = left;
            continue;
        }
        uint32_t next = successor(b, b->extra++);
        if (ir->blocks[next].mark == 0) {
            ir->blocks[next].mark = 1;
            stack[depth++] = next;
        }
    }
}

static void number_blocks(struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        ir->blocks[ir->order[i]].order = i;
    }
}

// ir.order with the blocks that were put into edges, which are the last ones. Without jump tables it is a
// walk of ir_find_order.
static ebpf_result_t insert_blocks(struct jit *j, uint32_t count)
{
    struct ir *ir = &j->ir;
    size_t mark = j->memory.used;
    uint32_t *stack = jit_room(j, ir->block_count, sizeof *stack);
    if (stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    ir->order_count += count;
    walk(ir, ir->order_count, stack, ir->order);
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}

// Blocks and loops inside one loop (0: the function), as a list of items: block numbers, or block_count +
// loop.
struct lists {
    uint32_t *next, *first, *last; // by item, by loop, by loop
};

static void put_item(const struct lists *lists, uint32_t loop, uint32_t item)
{
    lists->next[item] = 0;
    if (lists->first[loop] == 0) {
        lists->first[loop] = item;
    } else {
        lists->next[lists->last[loop]] = item;
    }
    lists->last[loop] = item;
}

static void make_lists(const struct ir *ir, const uint32_t *post, const struct lists *lists)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t loop = ir->blocks[post[i]].loop;
        if (loop != IR_NONE && ir->loops[loop].head == post[i]) {
            put_item(lists, ir->loops[loop].parent, ir->block_count + loop);
        }
        put_item(lists, loop, post[i]);
    }
}

// Writes the blocks that are (not) cold to ir.order.
static uint32_t flatten(struct ir *ir, const struct lists *lists, bool cold, uint32_t count)
{
    uint32_t item = lists->first[0], loop = 0;
    for (;;) {
        if (item == 0) {
            if (loop == 0) {
                return count;
            }
            item = lists->next[ir->block_count + loop];
            loop = ir->loops[loop].parent;
        } else if (item >= ir->block_count) {
            loop = item - ir->block_count;
            item = lists->first[loop];
        } else {
            if (ir->blocks[item].cold == cold) {
                ir->order[count++] = item;
            }
            item = lists->next[item];
        }
    }
}

// `post` becomes the order, loop by loop.
static ebpf_result_t order_loops(struct jit *j, const uint32_t *post)
{
    struct ir *ir = &j->ir;
    uint32_t items = ir->block_count + ir->loop_count + 1;
    struct lists lists = {jit_room(j, items, sizeof(uint32_t)),
                          jit_alloc(j, ir->loop_count + 1, sizeof(uint32_t)),
                          jit_room(j, ir->loop_count + 1, sizeof(uint32_t))};
    if (lists.next == NULL || lists.first == NULL || lists.last == NULL) {
        return EBPF_NO_MEMORY;
    }
    make_lists(ir, post, &lists);
    uint32_t count = flatten(ir, &lists, false, 0);
    flatten(ir, &lists, true, count);
    return EBPF_SUCCESS;
}

// The same for a function without loops, which has the order of the walk, and finds out what is cold. Places
// that blocks have already are before those of blocks that have theirs still to come.
static ebpf_result_t order_blocks(struct jit *j)
{
    struct ir *ir = &j->ir;
    uint32_t *flow = jit_room(j, ir->order_count, sizeof *flow), count = 0;
    size_t mark = j->memory.used;
    uint32_t *cold = jit_room(j, ir->order_count, sizeof *cold);
    if (flow == NULL || cold == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t block = flow[i] = ir->order[i];
        struct ir_block *b = &ir->blocks[block];
        b->cold = is_cold(ir, block, i);
        b->order = b->cold ? b->order : count;
        ir->order[count] = cold[i - count] = block;
        count += !b->cold;
    }
    for (uint32_t i = 0; count < ir->order_count; i++, count++) {
        ir->order[count] = cold[i];
        ir->blocks[cold[i]].order = count;
    }
    ir->flow = ir->acyclic ? flow : NULL; // there may be turns that are no loops
    jit_rewind(j, mark);
    return EBPF_SUCCESS;
}

static ebpf_result_t order(struct jit *j, bool tables)
{
    struct ir *ir = &j->ir;
    size_t mark = j->memory.used;
    uint32_t *post = jit_room(j, ir->order_count, sizeof *post);
    size_t kept = ir->acyclic ? j->memory.used : mark;
    uint32_t *stack = jit_room(j, tables ? ir->order_count : 0, sizeof *stack);
    if (post == NULL || stack == NULL) {
        return EBPF_NO_MEMORY;
    }
    if (tables) {
        for (uint32_t i = 0; i < ir->order_count; i++) {
            ir->blocks[ir->order[i]].mark = 0;
            ir->blocks[ir->order[i]].extra = 0;
        }
        walk(ir, ir->order_count, stack, post);
    } else {
        memcpy(post, ir->order, ir->order_count * sizeof *post);
    }
    TRY(order_loops(j, post));
    number_blocks(ir);
    ir->flow = ir->acyclic ? post : NULL;
    jit_rewind(j, kept);
    return EBPF_SUCCESS;
}

ebpf_result_t alloc_layout(struct jit *j)
{
    struct edges edges = {0};
    find_edges(&j->ir, &edges);
    if (edges.critical != 0) {
        TRY(split_edges(j, edges.critical));
    }
    if (edges.tables) {
        TRY(ir_find_order(j));
        TRY(ir_find_loops(j));
    } else if (edges.critical != 0) {
        TRY(insert_blocks(j, edges.critical));
    }
    if (j->ir.loop_count <= 1 && !edges.tables) {
        return order_blocks(j);
    }
    alloc_step(&j->ir);
    spread_cold(&j->ir);
    return order(j, edges.tables);
}
