// SPDX-License-Identifier: MIT
// opt_prune: branches that are decided leave the graph, with what only they reach: values of dead edges would
// stay alive in PHIs. A branch is decided when simplification says so (it compares a value with itself) or
// when a test of the same operands dominates it. Then blocks that follow each other alone become one.
#include "jit/opt.h"

#define PROBES 4

struct pruner {
    struct jit *j;
    struct ir *ir;
    uint32_t *table; // blocks, by the operands of their BRANCH
    uint32_t mask;
    bool changed;
    bool repairs; // the function was tidy and has no loops: what goes is released at once, without ir_clean
    struct ir_repair repair;
};

// What `extra` of a block says whose BRANCH was decided: which of its places among the predecessors of the
// successor that it has left is kept, when there are two. `edge` of a block: places that will go.
enum { UNDECIDED, KEEP_FIRST, KEEP_SECOND, KEEP_NONE };

// --- decided branches ----------------------------------------------------------------------------

// Successor that a BRANCH always takes; 2: unknown.
static unsigned decided_alone(const struct ir *ir, const struct ir_value *v)
{
    int64_t a, b = v->imm;
    if (v->a == v->b && (v->flags & IR_IMM) == 0 && (v->cond == IR_EQ || v->cond == IR_NE)) {
        return v->cond == IR_EQ ? 0 : 1;
    }
    if (!ir_is_const(ir, v->a, &a) || ((v->flags & IR_IMM) == 0 && !ir_is_const(ir, v->b, &b))) {
        return 2;
    }
    return fold_condition(v->cond, v->cwidth, (uint64_t)a, (uint64_t)b) ? 0 : 1;
}

// The comparison with its operands in a fixed order, and with the condition that its pair has first.
struct test {
    uint32_t a, b;
    int64_t imm;
    uint8_t cond, cwidth;
    bool opposite;
};

static struct test test_of(const struct ir_value *v)
{
    bool number = (v->flags & IR_IMM) != 0;
    struct test t = {v->a, number ? IR_NONE : v->b, number ? v->imm : 0, v->cond, v->cwidth, false};
    if (t.b != IR_NONE && t.b < t.a) {
        t.cond = (uint8_t)opt_swapped(t.cond);
        t.a = v->b;
        t.b = v->a;
    }
    t.opposite = (t.cond & 1) != 0;
    t.cond &= 0xfe;
    return t;
}

// The same for either order of the operands, and for all conditions.
static inline uint32_t key_of(const struct ir_value *v)
{
    bool number = (v->flags & IR_IMM) != 0;
    return v->a + (number ? (uint32_t)v->imm : v->b);
}

static inline uint32_t hash_of(uint32_t key)
{
    return (uint32_t)(key * 0x9e3779b97f4a7c15 >> 32);
}

static bool is_same(const struct test *t, const struct test *u)
{
    return t->a == u->a && t->b == u->b && t->imm == u->imm && t->cond == u->cond && t->cwidth == u->cwidth;
}

// Edge of `above`'s BRANCH by which all ways to `block` go; 2: there is none.
static unsigned edge_to(const struct pruner *p, uint32_t above, uint32_t block)
{
    const struct ir *ir = p->ir;
    const struct ir_block *b = ir_block_at(ir, above);
    for (unsigned i = 0; i < 2 && b->succ[0] != b->succ[1]; i++) {
        const struct ir_block *to = ir_block_at(ir, b->succ[i]);
        if (to->pred_count - (p->changed ? to->edge : 0) == 1 && ir_dominates(ir, b->succ[i], block)) {
            return i;
        }
    }
    return 2;
}

// Looks for the same test in a block above, and leaves this one in the table for those below.
static unsigned decided_above(struct pruner *p, uint32_t block, const struct ir_value *end)
{
    const struct ir *ir = p->ir;
    uint32_t key = key_of(end), at = hash_of(key) & p->mask;
    for (unsigned n = 0; n < PROBES && p->table[at] != IR_NONE; n++, at = (at + 1) & p->mask) {
        const struct ir_value *v = ir_at(ir, ir_block_at(ir, p->table[at])->last);
        if (v->op != IR_BRANCH || key_of(v) != key) {
            continue;
        }
        struct test t = test_of(end), u = test_of(v);
        if (is_same(&t, &u)) {
            unsigned edge = edge_to(p, p->table[at], block);
            if (edge != 2) {
                return edge ^ (unsigned)(t.opposite != u.opposite);
            }
            break;
        }
    }
    p->table[at] = block;
    return 2;
}

// --- the graph -----------------------------------------------------------------------------------

static void take(struct pruner *p, uint32_t block, unsigned taken)
{
    for (uint32_t i = 0; i < p->ir->order_count && !p->changed; i++) { // the first time
        ir_block_at(p->ir, p->ir->order[i])->extra = UNDECIDED;
        ir_block_at(p->ir, p->ir->order[i])->edge = 0;
    }
    struct ir_block *b = ir_block_at(p->ir, block);
    struct ir_value *v = ir_at(p->ir, b->last);
    b->extra = b->succ[0] == b->succ[1] && taken == 1 ? KEEP_SECOND : KEEP_FIRST;
    ir_block_at(p->ir, b->succ[1 - taken])->edge++;
    if (p->repairs) {
        ir_release(&p->repair, v->a);
        ir_release(&p->repair, v->b);
    }
    b->succ[0] = b->succ[taken];
    b->succ[1] = IR_NONE;
    v->op = IR_JUMP;
    v->a = v->b = IR_NONE;
    v->cond = v->cwidth = v->flags = 0;
    v->imm = 0;
    p->changed = true;
}

// Whether the next place of `from` among the predecessors of `block` is kept.
static bool keeps(struct ir_block *from, uint32_t block)
{
    if (from->extra == UNDECIDED) {
        return true;
    }
    if (from->succ[0] != block || from->extra == KEEP_NONE) {
        return false;
    }
    bool kept = from->extra == KEEP_FIRST;
    from->extra = kept ? KEEP_NONE : KEEP_FIRST;
    return kept;
}

// What may be found where the PHIs of a block are.
static bool is_leading(const struct ir_value *v)
{
    return v->op == IR_PHI || v->op == IR_NOP || v->op == IR_COPY || v->op == IR_CONST;
}

// The PHIs of the block lose the operand at `place`.
static void release_place(struct pruner *p, const struct ir_block *b, uint32_t place)
{
    uint32_t n = p->repairs ? b->first : IR_NONE;
    for (; n != IR_NONE && is_leading(ir_at(p->ir, n)); n = ir_next(p->ir, n)) {
        const struct ir_value *v = ir_at(p->ir, n);
        if (v->op == IR_PHI) {
            ir_release(&p->repair, ir_pool(p->ir, v)[place]);
        }
    }
}

static void drop_edges_to(struct pruner *p, uint32_t block)
{
    struct ir_block *b = ir_block_at(p->ir, block);
    uint32_t left = 0;
    for (uint32_t i = 0; i < b->pred_count; i++) {
        if (keeps(ir_block_at(p->ir, b->preds[i]), block)) {
            ir_move_edge(p->ir, b, left++, i);
        } else {
            release_place(p, b, i);
        }
    }
    ir_keep_edges(p->ir, b, left);
    b->edge = 0;
}

// Nothing goes to the block any more: what it used is released, and the edges that it has go.
static void bury(struct pruner *p, struct ir_block *b)
{
    for (uint32_t n = b->first; n != IR_NONE; n = ir_next(p->ir, n)) {
        struct ir_value *v = ir_at(p->ir, n);
        const uint32_t *operands = ir_operands(p->ir, v);
        uint32_t count = ir_operand_count(v);
        v->op = IR_NOP;
        for (uint32_t i = 0; i < count; i++) {
            ir_release(&p->repair, operands[i]);
        }
    }
    for (uint32_t i = 0; i < ir_successor_count(b); i++) {
        ir_block_at(p->ir, ir_successor(b, i))->edge++;
    }
    b->extra = KEEP_NONE;
}

// Without loops, predecessors come first.
static void drop_edges(struct pruner *p)
{
    for (uint32_t i = 0; i < p->ir->order_count; i++) {
        struct ir_block *b = ir_block_at(p->ir, p->ir->order[i]);
        if (b->edge != 0) {
            drop_edges_to(p, p->ir->order[i]);
            if (p->repairs && b->pred_count == 0) {
                bury(p, b);
            }
        }
    }
}

// What all operands of the PHI are, or IR_NONE.
static uint32_t only_operand(const struct ir *ir, const struct ir_value *phi)
{
    const uint32_t *list = ir_pool(ir, phi);
    uint32_t only = ir_resolve(ir, list[0]);
    for (uint32_t i = 1; i < phi->b; i++) {
        if (ir_resolve(ir, list[i]) != only) {
            return IR_NONE;
        }
    }
    return only;
}

// PHIs whose operands are the same now become copies, and so on. They have users: what has none is a NOP.
static void fold_phis(struct pruner *p)
{
    struct ir *ir = p->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t n = ir_block_at(ir, ir->order[i])->first;
        for (; n != IR_NONE && is_leading(ir_at(ir, n)); n = ir_next(ir, n)) {
            const struct ir_value *v = ir_at(ir, n);
            uint32_t only = v->op == IR_PHI ? only_operand(ir, v) : IR_NONE;
            if (only != IR_NONE) {
                ir_at(ir, only)->uses += v->uses - v->b;
                ir_repair_copy(&p->repair, n, only);
            }
        }
    }
}

static ebpf_result_t decide_all(struct pruner *p)
{
    const struct ir *ir = p->ir;
    size_t mark = p->j->memory.used;
    uint32_t size = 16;
    while (size < 2 * ir->order_count) {
        size *= 2;
    }
    p->table = jit_alloc(p->j, size, sizeof(*p->table));
    p->mask = size - 1;
    if (p->table == NULL) {
        return EBPF_NO_MEMORY;
    }
    // Dominators stay what they are while edges go, or become more; blocks come after those that dominate
    // them.
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t block = ir->order[i];
        const struct ir_value *end = ir_at(ir, ir_block_at(ir, block)->last);
        ir_prefetch_end(ir, i + IR_AHEAD / 4);
        unsigned taken = end->op == IR_BRANCH ? decided_alone(ir, end) : 2;
        if (end->op == IR_BRANCH && taken == 2) {
            taken = decided_above(p, block, end);
        }
        if (taken != 2) {
            take(p, block, taken);
        }
    }
    if (p->changed) {
        drop_edges(p);
    }
    jit_rewind(p->j, mark);
    return EBPF_SUCCESS;
}

// --- merging -------------------------------------------------------------------------------------

// Puts `from`, which only `to` goes to, in the place of the JUMP that `link` leads to; where the link to the
// last value is then.
static uint32_t *merge(struct ir *ir, uint32_t to, uint32_t from, uint32_t *link)
{
    struct ir_block *b = ir_block_at(ir, to), *f = ir_block_at(ir, from);
    *link = f->first;
    for (uint32_t v = f->first; v != IR_NONE; v = ir_next(ir, v)) {
        struct ir_value *value = ir_at(ir, v);
        value->block = to;
        if (value->op == IR_PHI) {
            ir_become_copy(ir, v, ir_pool(ir, value)[0]);
            ir->tidy = false;
        }
        link = v != f->last ? &value->next : link;
    }
    b->untidy = b->untidy || f->untidy;
    f->extra = to;
    b->last = f->last;
    b->succ[0] = f->succ[0];
    b->succ[1] = f->succ[1];
    b->targets = f->targets;
    b->target_count = f->target_count;
    for (uint32_t i = 0; i < ir_successor_count(f); i++) {
        ir_block_at(ir, ir_successor(f, i))->edge = 1; // replace_preds
    }
    f->first = f->last = IR_NONE;
    f->succ[0] = f->succ[1] = IR_NONE;
    f->target_count = f->pred_count = 0;
    return link;
}

// The only successor of `block`, when nobody else goes there; or IR_NONE.
static uint32_t tail_of(const struct ir *ir, uint32_t block)
{
    const struct ir_block *b = ir_block_at(ir, block);
    uint32_t next = b->succ[0];
    bool alone = b->succ[1] == IR_NONE && next != IR_NONE && next != block && b->target_count == 0;
    return alone && ir_block_at(ir, next)->pred_count == 1 ? next : IR_NONE;
}

static bool merge_all(struct ir *ir)
{
    bool merged = false;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t block = ir->order[i], next = tail_of(ir, block);
        if (next == IR_NONE) {
            continue;
        }
        uint32_t *link = &ir_block_at(ir, block)->first;
        while (*link != ir_block_at(ir, block)->last) {
            link = &ir_at(ir, *link)->next;
        }
        for (; next != IR_NONE; next = tail_of(ir, block)) {
            link = merge(ir, block, next, link);
        }
        merged = true;
    }
    return merged;
}

// The block that has what `block` had: `extra` of those that are empty says where it went.
static uint32_t whole(const struct ir *ir, uint32_t block)
{
    while (block != IR_NONE && ir_block_at(ir, block)->first == IR_NONE) {
        block = ir_block_at(ir, block)->extra;
    }
    return block;
}

// By number in the tree of dominators: how many blocks up to there are empty.
static uint32_t *count_empty(struct jit *j)
{
    const struct ir *ir = &j->ir;
    uint32_t *empty = jit_alloc(j, ir->block_count + 1, sizeof(*empty));
    for (uint32_t i = 0; empty != NULL && i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        empty[b->dom_first] = b->first == IR_NONE;
    }
    for (uint32_t n = 1; empty != NULL && n <= ir->block_count; n++) {
        empty[n] += empty[n - 1];
    }
    return empty;
}

static ebpf_result_t drop_from_tree(struct jit *j)
{
    struct ir *ir = &j->ir;
    size_t mark = j->memory.used;
    const uint32_t *empty = count_empty(j);
    for (uint32_t i = 0; empty != NULL && i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        b->idom = whole(ir, b->idom);
        b->dom_first -= empty[b->dom_first];
        b->dom_last -= empty[b->dom_last];
    }
    jit_rewind(j, mark);
    return empty == NULL ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

// Predecessors that are empty went into others: where merge left word in `edge`, and where nobody set it yet.
static void replace_preds(const struct ir *ir)
{
    for (uint32_t i = 0; i < ir->order_count; i++) {
        struct ir_block *b = ir_block_at(ir, ir->order[i]);
        for (uint32_t p = 0; p < b->pred_count && b->edge != 0; p++) {
            b->preds[p] = whole(ir, b->preds[p]);
        }
        b->edge = 0;
    }
}

static ebpf_result_t reorder(struct pruner *p)
{
    TRY(ir_find_order(p->j));
    p->j->changes++;
    if (p->repairs) {
        fold_phis(p);
    } else {
        p->ir->tidy = false;
    }
    return EBPF_SUCCESS;
}

ebpf_result_t opt_prune_emptied(struct jit *j, bool emptied)
{
    struct pruner p = {.j = j, .ir = &j->ir, .repair = ir_begin_repair(&j->ir)};
    p.repairs = j->ir.tidy && j->ir.acyclic && !emptied;
    if (!emptied || !jit_has_pass(j, JIT_PASS_PRUNE)) { // else what is decided is gone by now
        TRY(decide_all(&p));
    }
    if (p.changed) {
        TRY(reorder(&p));
    }
    if (merge_all(&j->ir)) {
        replace_preds(&j->ir);
        emptied = true;
    }
    // The order without the empty blocks is what a new walk would find, and loops are the same: these blocks
    // had one way in and out, or were on one of two ways between the same blocks.
    if (emptied && !p.changed) {
        TRY(drop_from_tree(j));
    }
    if (emptied) {
        ir_drop_merged(&j->ir);
    }
    if (p.changed && p.repairs) {
        p.repair.first = 0; // the order is another one
        p.repair.last = UINT32_MAX;
        ir_repair(&p.repair);
    } else if ((emptied || p.changed) && !j->ir.tidy) {
        TRY(ir_clean(j));
    }
    return p.changed ? ir_find_loops(j) : EBPF_SUCCESS;
}

ebpf_result_t opt_prune(struct jit *j)
{
    return opt_prune_emptied(j, false);
}
