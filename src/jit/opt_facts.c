// SPDX-License-Identifier: MIT
// opt_facts: facts about all values of a function. A few rounds over the blocks begin with nothing coming
// along back edges and widen what turns out to grow; when that does not settle, a last round assumes nothing
// of the PHIs of loops. Conditions hold in the part of the dominator tree below their edge: the walk puts
// their facts in place of the general ones and takes them back when it leaves.
#include "jit/opt.h"

#define ROUNDS 4 // that begin with hope

struct finder {
    struct opt *o;
    struct opt_fact *incoming; // by PHI: what has come along its edges in this round
    unsigned round;
    uint32_t at; // position of the walk
    bool changed;
};

// --- places --------------------------------------------------------------------------------------

// Place of each edge among the predecessors. The k-th edge from a block to another is the k-th in both lists.
static void find_places(struct opt *o)
{
    const struct ir *ir = o->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t to = ir->order[i];
        const struct ir_block *b = ir_block_at(ir, to);
        for (uint32_t p = 0; p < b->pred_count; p++) {
            const struct ir_block *from = ir_block_at(ir, b->preds[p]);
            uint32_t *places = o->places[b->preds[p]];
            if (from->target_count != 0) {
                continue;
            }
            bool second = from->succ[0] != to || (from->succ[1] == to && places[0] != UINT32_MAX);
            places[second] = p;
        }
    }
}

static ebpf_result_t allocate(struct opt *o)
{
    struct jit *j = o->j;
    struct ir *ir = o->ir;
    o->fact_count = ir->value_count + ir->value_count / 8 + 64;
    o->saved_capacity = 2 * ir->order_count + 8;
    o->facts = jit_alloc(j, o->fact_count, sizeof(*o->facts));
    o->tree = jit_alloc(j, ir->order_count, sizeof(*o->tree));
    o->saved = jit_alloc(j, o->saved_capacity, sizeof(*o->saved));
    o->places = jit_alloc(j, ir->block_count, sizeof(*o->places));
    bool full = o->facts == NULL || o->tree == NULL || o->saved == NULL || o->places == NULL;
    return full ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

ebpf_result_t opt_init(struct opt *o, struct jit *j)
{
    struct ir *ir = &j->ir;
    *o = (struct opt){.j = j, .ir = ir};
    if (ir->loops == NULL) {
        TRY(ir_find_order(j));
        TRY(ir_find_loops(j));
    }
    o->mark = j->memory.used;
    TRY(allocate(o));
    for (uint32_t i = 0; i < ir->order_count; i++) {
        o->tree[ir_block_at(ir, ir->order[i])->dom_first - 1] = ir->order[i];
    }
    memset(o->places, 0xff, ir->block_count * sizeof(*o->places));
    find_places(o);
    for (uint32_t v = 0; v < o->fact_count; v++) {
        o->facts[v] = OPT_TOP;
    }
    return EBPF_SUCCESS;
}

void opt_fini(struct opt *o)
{
    jit_rewind(o->j, o->mark);
}

// --- conditions of the walk ----------------------------------------------------------------------

static void restore(struct opt *o, uint32_t count)
{
    while (o->saved_count > count) {
        const struct opt_saved *s = &o->saved[--o->saved_count];
        o->facts[s->value] = s->fact;
    }
}

void opt_leave_all(struct opt *o)
{
    restore(o, 0);
}

static void narrow(struct opt *o, uint32_t value, uint32_t block, struct opt_fact fact)
{
    if (value >= o->fact_count || o->saved_count == o->saved_capacity ||
        ir_at(o->ir, value)->op == IR_CONST || opt_includes(fact, o->facts[value])) {
        return;
    }
    o->saved[o->saved_count++] = (struct opt_saved){value, block, o->facts[value]};
    o->facts[value] = fact;
}

// Assumes that `end`, a BRANCH, goes to its successor `edge`. False: it cannot. Two facts at most are saved.
static bool assume_edge(struct opt *o, const struct ir_value *end, unsigned edge, uint32_t block)
{
    uint32_t a_value = ir_resolve(o->ir, end->a);
    bool number = (end->flags & IR_IMM) != 0;
    uint32_t b_value = number ? IR_NONE : ir_resolve(o->ir, end->b);
    struct opt_fact a = opt_fact_of(o, a_value);
    struct opt_fact b = number ? opt_exactly((uint64_t)end->imm) : opt_fact_of(o, b_value);
    unsigned cond = end->cond ^ edge;
    if (opt_decide(cond, end->cwidth, a, b) == OPT_FALSE) {
        return false;
    }
    opt_assume(cond, end->cwidth, &a, &b);
    if (opt_is_empty(a) || opt_is_empty(b)) {
        return false;
    }
    narrow(o, a_value, block, a);
    if (!number && b_value != a_value) {
        narrow(o, b_value, block, b);
    }
    return true;
}

static const struct ir_value *block_end(const struct opt *o, uint32_t block)
{
    return ir_at(o->ir, ir_block_at(o->ir, block)->last);
}

// The only predecessor, ways back to a loop's head left aside: what held there of values that are older than
// the loop holds in all turns. IR_NONE: there are several.
static uint32_t way_in(const struct ir *ir, uint32_t block)
{
    const struct ir_block *b = ir_block_at(ir, block);
    uint32_t found = IR_NONE;
    for (uint32_t p = 0; p < b->pred_count; p++) {
        if (ir_dominates(ir, block, b->preds[p])) {
            continue;
        }
        if (found != IR_NONE) {
            return IR_NONE;
        }
        found = b->preds[p];
    }
    return found;
}

bool opt_enter(struct opt *o, uint32_t block)
{
    const struct ir *ir = o->ir;
    struct ir_block *b = ir_block_at(ir, block);
    while (o->saved_count != 0 && !ir_dominates(ir, o->saved[o->saved_count - 1].block, block)) {
        restore(o, o->saved_count - 1);
    }
    uint32_t from = way_in(ir, block);
    if (from == IR_NONE || block == ir->entry || b->mark == 0) {
        return b->mark != 0;
    }
    const struct ir_block *pred = ir_block_at(ir, from);
    const struct ir_value *end = block_end(o, from);
    if (end->op != IR_BRANCH || pred->succ[0] == pred->succ[1]) {
        return true;
    }
    return assume_edge(o, end, pred->succ[0] == block ? 0 : 1, block);
}

// --- values --------------------------------------------------------------------------------------

void opt_update(struct opt *o, uint32_t value)
{
    const struct ir *ir = o->ir;
    const struct ir_value *v = ir_at(ir, value);
    struct opt_fact in[4] = {OPT_TOP, OPT_TOP, OPT_TOP, OPT_TOP};
    if (value >= o->fact_count || v->op == IR_PHI) {
        return;
    }
    const uint32_t names[4] = {v->a, v->b, v->c, v->d};
    if (ir_op_info(v->op)->operands[0] != 'p') {
        for (unsigned i = 0; i < 4; i++) {
            in[i] = opt_fact_of(o, ir_resolve(ir, names[i]));
        }
    }
    o->facts[value] = opt_transfer(v, in);
}

// --- one round -----------------------------------------------------------------------------------

// A block comes later in the walk than all its predecessors but those along back edges.
static bool is_head(const struct ir *ir, uint32_t block)
{
    const struct ir_block *b = ir_block_at(ir, block);
    for (uint32_t p = 0; p < b->pred_count; p++) {
        if (ir_block_at(ir, b->preds[p])->dom_first >= b->dom_first) {
            return true;
        }
    }
    return false;
}

static void enter_phi(struct finder *f, uint32_t phi, bool head)
{
    struct opt *o = f->o;
    struct ir_value *v = ir_at(o->ir, phi);
    struct opt_fact counter;
    v->mark = head && opt_counter_range(o, phi, f->incoming[phi], &counter);
    if (v->mark != 0) {
        o->facts[phi] = counter;
    } else if (!head) {
        o->facts[phi] = f->incoming[phi];
    } else if (f->round == 0) {
        o->facts[phi] = f->incoming[phi];
    } else if (f->round > ROUNDS) {
        o->facts[phi] = OPT_TOP;
    }
}

static void reach(struct finder *f, uint32_t block)
{
    struct ir_block *b = ir_block_at(f->o->ir, block);
    if (b->mark == 0) {
        b->mark = 1;
        f->changed = f->changed || b->dom_first - 1 <= f->at;
    }
}

// What comes along an edge to the PHIs of `to`; place UINT32_MAX: anything.
static void flow(struct finder *f, uint32_t to, uint32_t place)
{
    const struct ir *ir = f->o->ir;
    reach(f, to);
    for (uint32_t v = ir_block_at(ir, to)->first; v != IR_NONE; v = ir_at(ir, v)->next) {
        const struct ir_value *phi = ir_at(ir, v);
        if (phi->op != IR_PHI) {
            return;
        }
        struct opt_fact fact = OPT_TOP;
        if (place != UINT32_MAX) {
            fact = opt_fact_of(f->o, ir_resolve(ir, ir_pool(ir, phi)[place]));
        }
        f->incoming[v] = opt_join(f->incoming[v], fact);
    }
}

static void leave_block(struct finder *f, uint32_t block)
{
    struct opt *o = f->o;
    const struct ir_block *b = ir_block_at(o->ir, block);
    const struct ir_value *end = block_end(o, block);
    if (b->target_count != 0) {
        for (uint32_t i = 0; i < b->target_count; i++) {
            flow(f, b->targets[i], UINT32_MAX);
        }
        return;
    }
    for (unsigned i = 0; i < 2 && b->succ[i] != IR_NONE; i++) {
        uint32_t saved = o->saved_count;
        if (end->op != IR_BRANCH || assume_edge(o, end, i, block)) {
            flow(f, b->succ[i], o->places[block][i]);
        }
        restore(o, saved);
    }
}

static void visit(struct finder *f, uint32_t block)
{
    struct opt *o = f->o;
    const struct ir *ir = o->ir;
    bool head = is_head(ir, block);
    if (head && f->round > ROUNDS) {
        ir_block_at(ir, block)->mark = 1;
    }
    if (!opt_enter(o, block)) {
        return;
    }
    for (uint32_t v = ir_block_at(ir, block)->first; v != IR_NONE; v = ir_at(ir, v)->next) {
        if (ir_at(ir, v)->op == IR_PHI) {
            enter_phi(f, v, head);
        } else {
            opt_update(o, v);
        }
    }
    leave_block(f, block);
}

static void run_round(struct finder *f)
{
    const struct ir *ir = f->o->ir;
    f->changed = false;
    for (uint32_t v = 0; v < ir->value_count; v++) {
        f->incoming[v] = (struct opt_fact){0, 1, 0};
    }
    for (f->at = 0; f->at < ir->order_count; f->at++) {
        visit(f, f->o->tree[f->at]);
    }
    opt_leave_all(f->o);
}

// --- until it holds ------------------------------------------------------------------------------

// A bound that `value` soon reaches if it goes on growing.
static uint64_t next_bound(uint64_t value, unsigned round)
{
    if (round == 0 && value <= UINT16_MAX) {
        return value <= UINT8_MAX ? UINT8_MAX : UINT16_MAX;
    }
    return round <= 1 && value <= UINT32_MAX ? UINT32_MAX : UINT64_MAX;
}

static struct opt_fact widen(struct opt_fact old, struct opt_fact all, unsigned round)
{
    struct opt_fact out = opt_join(old, all);
    if (opt_is_empty(old)) {
        return out;
    }
    if (out.min < old.min) {
        out.min = 0;
    }
    if (out.max > old.max || (out.may & ~old.may) != 0) {
        uint64_t bound = next_bound(out.max > out.may ? out.max : out.may, round);
        out.may |= bound;
        out.max = out.max > old.max ? bound : out.max;
    }
    return out;
}

// Compares what was assumed of the PHIs with what came. False: another round is needed.
static bool settle(struct finder *f)
{
    struct opt *o = f->o;
    const struct ir *ir = o->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        if (!is_head(ir, ir->order[i]) || ir_block_at(ir, ir->order[i])->mark == 0) {
            continue;
        }
        for (uint32_t v = ir_block_at(ir, ir->order[i])->first; v != IR_NONE; v = ir_at(ir, v)->next) {
            const struct ir_value *phi = ir_at(ir, v);
            if (phi->op == IR_PHI && phi->mark == 0 && !opt_includes(o->facts[v], f->incoming[v])) {
                o->facts[v] = widen(o->facts[v], f->incoming[v], f->round);
                f->changed = true;
            }
        }
    }
    return !f->changed;
}

// All assumptions hold: the PHIs cannot have more than what came to them.
static void tighten(struct finder *f)
{
    const struct ir *ir = f->o->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        for (uint32_t v = b->first; v != IR_NONE && b->mark != 0; v = ir_at(ir, v)->next) {
            const struct ir_value *phi = ir_at(ir, v);
            if (phi->op == IR_PHI && phi->mark == 0 && !opt_is_empty(f->incoming[v])) {
                f->o->facts[v] = f->incoming[v];
            }
        }
    }
}

ebpf_result_t opt_find_facts(struct opt *o)
{
    struct ir *ir = o->ir;
    struct finder f = {.o = o};
    size_t mark = o->j->memory.used;
    f.incoming = jit_alloc(o->j, ir->value_count, sizeof(*f.incoming));
    if (f.incoming == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (uint32_t b = 1; b < ir->block_count; b++) {
        ir->blocks[b].mark = b == ir->entry;
    }
    for (f.round = 0; f.round < ROUNDS; f.round++) {
        run_round(&f);
        if (settle(&f)) {
            tighten(&f);
            break;
        }
    }
    if (f.round == ROUNDS) {
        f.round = ROUNDS + 1;
        run_round(&f);
    }
    jit_rewind(o->j, mark);
    return EBPF_SUCCESS;
}
