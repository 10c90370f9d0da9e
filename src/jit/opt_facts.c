// SPDX-License-Identifier: MIT
// opt_facts: facts about all values of a function. A few rounds over the blocks begin with nothing coming
// along back edges and widen what turns out to grow; when that does not settle, a last round assumes nothing
// of the PHIs of loops. Conditions hold in the part of the dominator tree below their edge: the walk puts
// their facts in place of the general ones and takes them back when it leaves.
#include "jit/opt.h"

#define ROUNDS 4 // that begin with hope
#define GROWTH 8 // facts of new values, at a time; a multiple of 16 bytes

// Marks of values.
enum {
    COUNTED = 1, // a PHI whose range the loop's test tells
    MOVED = 2,   // its fact is not what it was in the round before, or is not under some condition
};
// Marks of blocks.
enum { AWAY, REACHED, VISITED };

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
    const struct ir *ir = o->ir;
    o->saved_capacity = 2 * ir->order_count; // two for each block on the way, two for an edge that is left
    o->tree = jit_room(j, ir->order_count, sizeof(*o->tree));
    o->saved = jit_room(j, o->saved_capacity, sizeof(*o->saved));
    o->places = jit_room(j, ir->block_count, sizeof(*o->places));
    bool full = o->tree == NULL || o->saved == NULL || o->places == NULL;
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
    return EBPF_SUCCESS;
}

void opt_fini(struct opt *o)
{
    jit_rewind(o->j, o->mark);
}

// Of the values that there are. An even number: then the next ones come right behind them.
static ebpf_result_t start_facts(struct opt *o)
{
    o->fact_limit = o->ir->value_count;
    o->fact_count = (uint32_t)align_up(o->fact_limit, 2);
    o->facts = jit_room(o->j, o->fact_count, sizeof(*o->facts));
    for (uint32_t v = 0; o->facts != NULL && v < o->fact_count; v++) {
        o->facts[v] = OPT_TOP;
    }
    return o->facts == NULL ? EBPF_NO_MEMORY : EBPF_SUCCESS;
}

void *opt_room(struct opt *o, size_t bytes)
{
    bytes = (size_t)align_up(bytes, 16);
    void *room = jit_room(o->j, bytes, 1);
    if (room != NULL && o->facts != NULL) {
        room = o->facts;
        o->facts = (struct opt_fact *)(void *)((uint8_t *)room + bytes);
        memmove(o->facts, room, o->fact_count * sizeof(*o->facts));
    }
    return room;
}

// Makes room for the fact of a new value.
static bool grow(struct opt *o, uint32_t value)
{
    uint32_t end = (uint32_t)align_up(value + 1, GROWTH);
    if (jit_room(o->j, end - o->fact_count, sizeof(*o->facts)) != o->facts + o->fact_count) {
        o->full = true;
        return false;
    }
    for (; o->fact_count < end; o->fact_count++) {
        o->facts[o->fact_count] = OPT_TOP;
    }
    return true;
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
    if (!number && ((ir_at(o->ir, a_value)->mark | ir_at(o->ir, b_value)->mark) & MOVED) != 0) {
        ir_at(o->ir, a_value)->mark |= MOVED;
        ir_at(o->ir, b_value)->mark |= MOVED;
    }
    if (a_value == b_value && (cond == IR_EQ || cond == IR_NE)) {
        return cond == IR_EQ;
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
    static const struct opt_fact top = OPT_TOP;
    const struct opt_fact *in[4];
    if (v->op == IR_PHI || value >= o->fact_limit || (value >= o->fact_count && !grow(o, value))) {
        return;
    }
    if (v->op == IR_CONST) {
        o->facts[value] = opt_exactly((uint64_t)v->imm);
        return;
    }
    const struct ir_op_info *info = ir_op_info(v->op);
    const uint32_t names[4] = {v->a, v->b, v->c, v->d};
    for (unsigned i = 0; i < info->count && (info->flags & IR_PURE) != 0; i++) { // others are not looked at
        uint32_t operand = ir_resolve(ir, names[i]);
        in[i] = operand < o->fact_count ? &o->facts[operand] : &top;
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

static bool is_same(struct opt_fact a, struct opt_fact b)
{
    return a.may == b.may && a.min == b.min && a.max == b.max;
}

// `moved`: it has done so already.
static void enter_phi(struct opt *o, uint32_t phi, bool head, bool moved)
{
    struct ir_value *v = ir_at(o->ir, phi);
    struct opt_fact counter, old = o->facts[phi];
    bool counted = head && opt_counter_range(o, phi, o->incoming[phi], &counter);
    if (counted) {
        o->facts[phi] = counter;
    } else if (!head || o->round == 0) {
        o->facts[phi] = o->incoming[phi];
    } else if (o->round > ROUNDS) {
        o->facts[phi] = OPT_TOP;
    }
    moved = moved || !is_same(old, o->facts[phi]);
    v->mark = (uint8_t)((counted ? COUNTED : 0) | (moved ? MOVED : 0));
}

// Later rounds look again only at what depends on something that moved; the last one looks at everything.
static void renew(struct opt *o, uint32_t value, bool fresh)
{
    struct ir_value *v = ir_at(o->ir, value);
    const struct ir_op_info *info = ir_op_info(v->op);
    unsigned marks = fresh ? MOVED : 0;
    for (unsigned i = 0; i < info->count && (info->flags & IR_PURE) != 0; i++) {
        marks |= ir_at(o->ir, ir_resolve(o->ir, *ir_operand(o->ir, v, i)))->mark;
    }
    v->mark = 0;
    if ((marks & MOVED) != 0) {
        struct opt_fact old = o->facts[value];
        opt_update(o, value);
        v->mark = fresh || !is_same(old, o->facts[value]) ? MOVED : 0;
    }
}

static void reach(struct opt *o, uint32_t block)
{
    struct ir_block *b = ir_block_at(o->ir, block);
    if (b->mark == AWAY) {
        b->mark = REACHED;
        o->again = o->again || b->dom_first - 1 <= o->at;
    }
}

// What comes along an edge to the PHIs of `to`; place UINT32_MAX: anything.
static void flow(struct opt *o, uint32_t to, uint32_t place)
{
    const struct ir *ir = o->ir;
    reach(o, to);
    for (uint32_t v = ir_block_at(ir, to)->first; v != IR_NONE; v = ir_next(ir, v)) {
        const struct ir_value *phi = ir_at(ir, v);
        if (phi->op != IR_PHI) {
            return;
        }
        struct opt_fact fact = OPT_TOP;
        if (place != UINT32_MAX) {
            fact = opt_fact_of(o, ir_resolve(ir, ir_pool(ir, phi)[place]));
        }
        o->incoming[v] = opt_join(o->incoming[v], fact);
    }
}

static void leave_block(struct opt *o, uint32_t block)
{
    const struct ir_block *b = ir_block_at(o->ir, block);
    const struct ir_value *end = block_end(o, block);
    if (b->target_count != 0) {
        for (uint32_t i = 0; i < b->target_count; i++) {
            flow(o, b->targets[i], UINT32_MAX);
        }
        return;
    }
    for (unsigned i = 0; i < 2 && b->succ[i] != IR_NONE; i++) {
        uint32_t saved = o->saved_count;
        const struct ir_block *to = ir_block_at(o->ir, b->succ[i]);
        if (to->pred_count == 1 && ir_at(o->ir, to->first)->op != IR_PHI) {
            reach(o, b->succ[i]); // whether it can be is looked at there
            continue;
        }
        if (end->op != IR_BRANCH || assume_edge(o, end, i, block)) {
            flow(o, b->succ[i], o->places[block][i]);
        }
        restore(o, saved);
    }
}

static void visit(struct opt *o, uint32_t block)
{
    const struct ir *ir = o->ir;
    struct ir_block *b = ir_block_at(ir, block);
    bool head = is_head(ir, block);
    if (head && o->round > ROUNDS && b->mark == AWAY) {
        b->mark = REACHED;
    }
    if (!opt_enter(o, block)) {
        // A range can become smaller (a counter's, when its bound is known): the way may open again later.
        b->mark = b->mark == VISITED ? REACHED : b->mark;
        return;
    }
    bool fresh = b->mark != VISITED || o->whole;
    b->mark = VISITED;
    for (uint32_t v = b->first; v != IR_NONE; v = ir_next(ir, v)) {
        if (ir_at(ir, v)->op == IR_PHI) {
            enter_phi(o, v, head, fresh || (head && (ir_at(ir, v)->mark & MOVED) != 0));
        } else {
            renew(o, v, fresh);
        }
    }
    leave_block(o, block);
}

static bool is_leading(const struct ir_value *v)
{
    return v->op == IR_PHI || v->op == IR_PARAM;
}

static void forget_incoming(struct opt *o)
{
    const struct ir *ir = o->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t v = ir_block_at(ir, ir->order[i])->first;
        ir_prefetch_first(ir, i + IR_AHEAD / 4);
        for (; is_leading(ir_at(ir, v)); v = ir_next(ir, v)) {
            if (ir_at(ir, v)->op == IR_PHI) {
                o->incoming[v] = (struct opt_fact){0, 1, 0};
            }
        }
    }
}

static void run_round(struct opt *o)
{
    const struct ir *ir = o->ir;
    o->again = false;
    forget_incoming(o);
    for (o->at = 0; o->at < ir->order_count; o->at++) {
        visit(o, o->tree[o->at]);
    }
    opt_leave_all(o);
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
static bool settle(struct opt *o)
{
    const struct ir *ir = o->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        if (!is_head(ir, ir->order[i]) || ir_block_at(ir, ir->order[i])->mark == 0) {
            continue;
        }
        uint32_t v = ir_block_at(ir, ir->order[i])->first;
        for (; is_leading(ir_at(ir, v)); v = ir_next(ir, v)) {
            struct ir_value *phi = ir_at(ir, v);
            bool counted = (phi->mark & COUNTED) != 0;
            phi->mark = counted ? COUNTED : 0;
            if (phi->op == IR_PHI && !counted && !opt_includes(o->facts[v], o->incoming[v])) {
                o->facts[v] = widen(o->facts[v], o->incoming[v], o->round);
                phi->mark = MOVED;
                o->again = true;
            }
        }
    }
    return !o->again;
}

// All assumptions hold: the PHIs cannot have more than what came to them.
static void tighten(struct opt *o)
{
    const struct ir *ir = o->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        const struct ir_block *b = ir_block_at(ir, ir->order[i]);
        for (uint32_t v = b->first; is_leading(ir_at(ir, v)) && b->mark != 0; v = ir_next(ir, v)) {
            const struct ir_value *phi = ir_at(ir, v);
            if (phi->op == IR_PHI && (phi->mark & COUNTED) == 0 && !opt_is_empty(o->incoming[v])) {
                o->facts[v] = o->incoming[v];
            }
        }
    }
}

static void begin(struct opt *o)
{
    for (uint32_t b = 1; b < o->ir->block_count; b++) {
        o->ir->blocks[b].mark = b == o->ir->entry ? REACHED : AWAY;
    }
}

// What has settled must settle without short cuts, too: machine code relies on it.
static bool holds(struct opt *o)
{
    if (o->round == 0 || o->whole) {
        return true; // that round took none
    }
    o->whole = true;
    run_round(o);
    return settle(o);
}

ebpf_result_t opt_find_facts(struct opt *o)
{
    TRY(start_facts(o));
    size_t mark = o->j->memory.used;
    o->incoming = jit_room(o->j, o->ir->value_count, sizeof(*o->incoming));
    if (o->incoming == NULL) {
        return EBPF_NO_MEMORY;
    }
    begin(o);
    for (o->round = 0; o->round < ROUNDS; o->round++) {
        run_round(o);
        if (settle(o) && holds(o)) {
            tighten(o);
            break;
        }
    }
    if (o->round == ROUNDS) {
        o->round = ROUNDS + 1;
        o->whole = true;
        run_round(o);
    }
    jit_rewind(o->j, mark);
    return EBPF_SUCCESS;
}

// --- on the walk that uses them ------------------------------------------------------------------

static ebpf_result_t prepare_facts(struct opt *o)
{
    const struct ir *ir = o->ir;
    for (uint32_t i = 0; i < ir->order_count; i++) {
        if (is_head(ir, ir->order[i])) {
            TRY(opt_find_facts(o));
            return opt_init_numbers(o);
        }
    }
    TRY(opt_init_numbers(o)); // before the facts, which then need not move
    TRY(start_facts(o));
    begin(o);
    o->incoming = o->facts; // all that comes to a PHI has come when the walk is there
    o->flows = true;
    forget_incoming(o);
    return EBPF_SUCCESS;
}

ebpf_result_t opt_prepare_walk(struct opt *o)
{
    TRY(prepare_facts(o));
    o->fact_limit += o->fact_limit / 8 + 64;
    return EBPF_SUCCESS;
}

void opt_leave(struct opt *o, uint32_t block)
{
    if (o->flows) {
        leave_block(o, block);
    }
}
