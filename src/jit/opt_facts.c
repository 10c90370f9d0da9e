// SPDX-License-Identifier: MIT
// opt_facts: facts about all values of a function. A few rounds over the blocks begin with nothing coming
// along back edges and widen what turns out to grow; when that does not settle, a last round assumes nothing
// of the PHIs of loops. Conditions hold in the part of the dominator tree below their edge: the walk puts
// their facts in place of the general ones and takes them back when it leaves.
#include "jit/opt.h"

#define ROUNDS 4 // that begin with hope
#define GROWTH 8 // facts of new values, at a time; a multiple of 16 bytes

// Mark of a PHI whose range the loop's test tells.
enum { COUNTED = 1 };
// Marks of blocks.
enum { AWAY, REACHED, VISITED };

// --- places --------------------------------------------------------------------------------------

// Whether a way back leads here: a block comes later in the walk than all its predecessors but those.
static inline bool is_head(const struct ir *ir, uint32_t block)
{
    const struct ir_block *b = ir_block_at(ir, block);
    if (b->pred_count == 1 && block != ir->entry) {
        return false; // it would not be reached
    }
    for (uint32_t p = 0; p < b->pred_count; p++) {
        if (ir_block_at(ir, b->preds[p])->dom_first >= b->dom_first) {
            return true;
        }
    }
    return false;
}

// Place of each edge among several predecessors, and whether one of them leads back. The k-th edge from a
// block to another is the k-th in both lists.
static bool find_places(struct opt *o, uint32_t to, const struct ir_block *b)
{
    bool back = false;
    for (uint32_t p = 0; p < b->pred_count; p++) {
        const struct ir_block *from = ir_block_at(o->ir, b->preds[p]);
        uint32_t *places = o->places[b->preds[p]];
        back |= from->dom_first >= b->dom_first;
        if (from->target_count != 0) {
            places[0] = 0; // anything but none
            continue;
        }
        bool second = (from->succ[0] != to) | ((from->succ[1] == to) & (places[0] != UINT32_MAX));
        places[second] = p;
    }
    return back;
}

static ebpf_result_t allocate(struct opt *o)
{
    struct jit *j = o->j;
    const struct ir *ir = o->ir;
    o->saved_capacity = ir->order_count > 1 ? 2 * ir->order_count : 0; // two for each block on the way
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
    memset(o->places, 0xff, ir->block_count * sizeof(*o->places));
    for (uint32_t i = 0; i < ir->order_count; i++) {
        uint32_t block = ir->order[i];
        struct ir_block *b = ir_block_at(ir, block);
        o->tree[b->dom_first - 1] = block;
        b->mark = i == 0 ? REACHED : AWAY;
        if (b->pred_count > 1 || i == 0) {
            o->turns |= find_places(o, block, b);
        }
    }
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
    if (o->facts == NULL) {
        return EBPF_NO_MEMORY;
    }
    o->facts[IR_NONE] = OPT_TOP;
    return EBPF_SUCCESS;
}

void *opt_room(struct opt *o, size_t bytes)
{
    size_t before = o->j->memory.used;
    void *room = jit_room(o->j, bytes, 1);
    if (room != NULL && o->facts != NULL) {
        room = o->facts;
        o->facts = (struct opt_fact *)(void *)((uint8_t *)room + (o->j->memory.used - before));
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

// The fact of `value` is *fact in the part of the tree below `b`.
static inline void narrow(struct opt *o, uint32_t value, const struct ir_block *b,
                          const struct opt_fact *fact)
{
    if (value >= o->fact_count || o->saved_count == o->saved_capacity ||
        ir_at(o->ir, value)->op == IR_CONST) {
        return;
    }
    struct opt_fact *old = &o->facts[value];
    if (fact->min > old->min || fact->max < old->max || (old->may & ~fact->may) != 0) {
        o->saved[o->saved_count++] = (struct opt_saved){value, b->dom_last, *old};
        *old = *fact;
    }
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

// Of a BRANCH that the walk has rewritten: a comparison of a value with a number that it left undecided.
static inline bool is_plain(const struct ir *ir, const struct ir_value *end)
{
    return (end->cond <= IR_UGT) & (ir_at(ir, end->b)->op == IR_CONST) & (end->a != end->b) &
           ((end->flags & IR_IMM) == 0);
}

// What it says where it goes to its successor `edge`, which it does sometimes.
static inline void enter_plain(struct opt *o, const struct ir_block *b, const struct ir_value *end,
                               unsigned edge)
{
    const struct opt_fact *fact = opt_fact_at(o, end->a);
    uint64_t mask = fold_mask(end->cwidth), number = (uint64_t)ir_at(o->ir, end->b)->imm & mask;
    uint64_t min = fact->min, max = fact->max;
    if (max > mask) {
        return; // of its low half alone
    }
    switch (end->cond ^ edge) {
    case IR_EQ: min = max = number; break;
    case IR_NE:
        min += number == min;
        max -= number == max;
        break;
    case IR_ULT: max = min_u64(max, number - 1); break;
    case IR_ULE: max = min_u64(max, number); break;
    case IR_UGT: min = min > number ? min : number + 1; break;
    default: min = min > number ? min : number; break;
    }
    if ((min != fact->min) | (max != fact->max)) {
        struct opt_fact left = opt_within(fact->may, min, max);
        narrow(o, end->a, b, &left);
    }
}

// What the BRANCH of `pred` says where it goes to `block`. False: it does not.
static bool enter_from(struct opt *o, uint32_t block, const struct ir_block *b, const struct ir_block *pred)
{
    if (pred->succ[1] == IR_NONE || pred->succ[0] == pred->succ[1]) {
        return true;
    }
    const struct ir_value *end = ir_at(o->ir, pred->last);
    struct opt_learnt l;
    if (o->flows && is_plain(o->ir, end)) {
        enter_plain(o, b, end, pred->succ[0] != block);
        return true;
    }
    if (!opt_learn(o, end, pred->succ[0] != block, &l)) {
        return false;
    }
    if (l.a != IR_NONE) {
        narrow(o, l.a, b, &l.fact_a);
    }
    if (l.b != IR_NONE && l.b != l.a) {
        narrow(o, l.b, b, &l.fact_b);
    }
    return true;
}

// Where facts flow, blocks with one predecessor look there themselves whether they are reached.
static bool enter_flowing(struct opt *o, uint32_t block, struct ir_block *b)
{
    if (b->pred_count != 1) {
        return b->mark != AWAY;
    }
    const struct ir_value *const top = o->ir->top, *phi;
    const struct ir_block *pred = ir_block_at(o->ir, b->preds[0]);
    if (pred->mark == AWAY || !enter_from(o, block, b, pred)) {
        return false;
    }
    b->mark = REACHED;
    for (uint32_t v = b->first; (phi = top - v)->op == IR_PHI; v = phi->next) { // seldom
        o->facts[v] = opt_fact_of(o, ir_resolve(o->ir, *ir_pool(o->ir, phi)));
    }
    return true;
}

bool opt_enter(struct opt *o, uint32_t block)
{
    const struct ir *ir = o->ir;
    struct ir_block *b = ir_block_at(ir, block);
    while (o->saved_count != 0 && o->saved[o->saved_count - 1].last < b->dom_first) {
        restore(o, o->saved_count - 1);
    }
    if (o->flows) {
        return enter_flowing(o, block, b);
    }
    if (block == ir->entry || b->mark == AWAY) {
        return b->mark != AWAY;
    }
    if (b->pred_count != 1 && !o->turns) {
        return true;
    }
    uint32_t from = b->pred_count == 1 ? b->preds[0] : way_in(ir, block);
    return from == IR_NONE || enter_from(o, block, b, ir_block_at(ir, from));
}

// --- values --------------------------------------------------------------------------------------

void opt_update(struct opt *o, uint32_t value)
{
    const struct ir_value *v = ir_at(o->ir, value);
    if (v->op == IR_PHI || value >= o->fact_limit || (value >= o->fact_count && !grow(o, value))) {
        return;
    }
    if ((ir_op_info(v->op)->flags & IR_PURE) == 0) {
        o->facts[value] = opt_result_fact(v);
        return;
    }
    bool select = v->op == IR_SELECT;
    const struct opt_fact *a = opt_fact_at(o, ir_resolve(o->ir, select ? v->c : v->a));
    const struct opt_fact *b = opt_fact_at(o, ir_resolve(o->ir, select ? v->d : v->b));
    opt_compute(v, a, b, &o->facts[value]);
}

// --- one round -----------------------------------------------------------------------------------

static void enter_phi(struct opt *o, uint32_t phi, bool head)
{
    struct opt_fact counter;
    bool counted = head && opt_counter_range(o, phi, o->incoming[phi], &counter);
    if (counted) {
        o->facts[phi] = counter;
    } else if (!head || o->round == 0) {
        o->facts[phi] = o->incoming[phi];
    } else if (o->round > ROUNDS) {
        o->facts[phi] = OPT_TOP;
    }
    ir_at(o->ir, phi)->mark = counted ? COUNTED : 0;
}

static inline void reach(struct opt *o, struct ir_block *b)
{
    if (b->mark == AWAY) {
        b->mark = REACHED;
        o->again = o->again || b->dom_first - 1 <= o->at;
    }
}

static inline void join(struct opt_fact *to, const struct opt_fact *from)
{
    if (!opt_is_empty(*from)) {
        *to = opt_join(*to, *from);
    }
}

// An edge, and what is learnt on it: when it is asked for on the walk that has just looked whether the
// BRANCH is decided.
struct way {
    const struct ir_value *end; // the BRANCH; NULL: there is none, or it is known
    unsigned edge;
    struct opt_learnt learnt;
};

static bool begin_way(struct opt *o, struct way *w, const struct ir_value *end)
{
    if (!o->flows || (end->flags & IR_IMM) != 0) {
        w->end = NULL;
        return opt_learn(o, end, w->edge, &w->learnt);
    }
    w->end = end;
    w->learnt.a = end->a;
    w->learnt.b = ir_at(o->ir, end->b)->op != IR_CONST ? end->b : IR_NONE;
    return end->a != end->b || (end->cond ^ w->edge) != IR_NE;
}

static const struct opt_fact *fact_along(struct opt *o, struct way *w, uint32_t operand)
{
    static const struct opt_fact empty = {0, 1, 0};
    struct opt_learnt *l = &w->learnt;
    if (operand != l->a && operand != l->b) {
        return opt_fact_at(o, operand);
    }
    if (w->end != NULL && !opt_learn(o, w->end, w->edge, l)) {
        l->fact_a = l->fact_b = empty;
        l->a = w->end->a;
    }
    w->end = NULL;
    return operand == l->a ? &l->fact_a : operand == l->b ? &l->fact_b : opt_fact_at(o, operand);
}

// What comes along a way to the PHIs of `to`, at `place` of their lists. `w` is NULL where nothing is learnt.
static inline void flow(struct opt *o, struct ir_block *to, uint32_t place, struct way *w)
{
    const struct ir_value *const top = o->ir->top, *phi;
    struct opt_fact *const incoming = o->incoming;
    const uint32_t *lists = o->ir->pool + place;
    bool first = o->flows && to->mark == AWAY;
    reach(o, to);
    for (uint32_t v = to->first; (phi = top - v)->op == IR_PHI; v = phi->next) {
        uint32_t operand = lists[phi->a];
        operand = (top - operand)->op == IR_COPY ? (top - operand)->a : operand; // mostly that is all
        while ((top - operand)->op == IR_COPY) {
            operand = (top - operand)->a;
        }
        const struct opt_fact *fact = w != NULL ? fact_along(o, w, operand) : opt_fact_at(o, operand);
        if (first) {
            incoming[v] = *fact;
        } else {
            join(&incoming[v], fact);
        }
    }
}

// Anything comes to the PHIs of `to`.
static void flood(struct opt *o, struct ir_block *to)
{
    const struct ir *ir = o->ir;
    reach(o, to);
    for (uint32_t v = to->first; ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
        o->incoming[v] = OPT_TOP;
    }
}

static bool has_phis(const struct ir *ir, const struct ir_block *b)
{
    return ir_at(ir, b->first)->op == IR_PHI;
}

// What comes along a way that has to be looked at here.
static void go(struct opt *o, const struct ir_block *b, unsigned edge, uint32_t place)
{
    struct ir_block *to = ir_block_at(o->ir, b->succ[edge]);
    if (b->succ[1] == IR_NONE) {
        flow(o, to, place, NULL);
        return;
    }
    struct way w;
    w.end = NULL;
    w.edge = edge;
    w.learnt.a = w.learnt.b = IR_NONE;
    if (begin_way(o, &w, ir_at(o->ir, b->last))) {
        flow(o, to, place, &w);
    }
}

static void leave_edge(struct opt *o, uint32_t block, unsigned edge)
{
    const struct ir_block *b = ir_block_at(o->ir, block);
    struct ir_block *to = ir_block_at(o->ir, b->succ[edge]);
    if ((to->pred_count == 1 || to->mark != AWAY) && !has_phis(o->ir, to)) {
        reach(o, to); // whether it can be is looked at there
    } else {
        go(o, b, edge, to->pred_count == 1 ? 0 : o->places[block][edge]);
    }
}

static void leave_targets(struct opt *o, const struct ir_block *b)
{
    for (uint32_t i = 0; i < b->target_count; i++) {
        flood(o, ir_block_at(o->ir, b->targets[i]));
    }
}

static void leave_block(struct opt *o, uint32_t block)
{
    const struct ir_block *b = ir_block_at(o->ir, block);
    leave_targets(o, b);
    for (unsigned edge = 0; edge < 2; edge++) {
        if (b->succ[edge] != IR_NONE) {
            leave_edge(o, block, edge);
        }
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
    bool fresh = b->mark != VISITED;
    b->mark = VISITED;
    for (uint32_t v = b->first; v != IR_NONE; v = ir_next(ir, v)) {
        const struct ir_value *value = ir_at(ir, v);
        if (value->op == IR_PHI) {
            enter_phi(o, v, head);
        } else if (fresh || ((ir_op_info(value->op)->flags & IR_PURE) != 0 && value->op != IR_CONST)) {
            opt_update(o, v);
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
            bool phi = ir_at(ir, v)->op == IR_PHI;
            o->incoming[v] = phi ? (struct opt_fact){0, 1, 0} : OPT_TOP;
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
            const struct ir_value *phi = ir_at(ir, v);
            bool hoped = phi->op == IR_PHI && (phi->mark & COUNTED) == 0;
            if (hoped && !opt_includes(o->facts[v], o->incoming[v])) {
                o->facts[v] = widen(o->facts[v], o->incoming[v], o->round);
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

// Nothing is known before the first round.
static void forget_all(struct opt *o)
{
    for (uint32_t v = 0; v < o->fact_count; v++) {
        o->facts[v] = OPT_TOP;
    }
}

ebpf_result_t opt_find_facts(struct opt *o)
{
    TRY(start_facts(o));
    forget_all(o);
    size_t mark = o->j->memory.used;
    o->incoming = jit_room(o->j, o->ir->value_count, sizeof(*o->incoming));
    if (o->incoming == NULL) {
        return EBPF_NO_MEMORY;
    }
    for (o->round = 0; o->round < ROUNDS; o->round++) {
        run_round(o);
        if (settle(o)) {
            tighten(o);
            break;
        }
    }
    if (o->round == ROUNDS) {
        o->round = ROUNDS + 1;
        run_round(o);
    }
    jit_rewind(o->j, mark);
    return EBPF_SUCCESS;
}

// --- on the walk that uses them ------------------------------------------------------------------

static ebpf_result_t prepare_facts(struct opt *o)
{
    if (o->turns) {
        TRY(opt_find_facts(o));
        return opt_init_numbers(o);
    }
    TRY(opt_init_numbers(o)); // before the facts, which then need not move
    TRY(start_facts(o));
    o->incoming = o->facts; // all that comes to a PHI has come when the walk is there
    o->flows = true;
    for (uint32_t v = ir_block_at(o->ir, o->ir->entry)->first; is_leading(ir_at(o->ir, v));
         v = ir_next(o->ir, v)) {
        o->facts[v] = OPT_TOP; // of PARAMs
    }
    return EBPF_SUCCESS;
}

ebpf_result_t opt_prepare_walk(struct opt *o)
{
    TRY(prepare_facts(o));
    o->fact_limit += o->fact_limit / 8 + 64;
    return EBPF_SUCCESS;
}

// Only where several ways meet: others look back.
void opt_leave(struct opt *o, uint32_t block)
{
    const uint32_t *places = o->places[block];
    if (!o->flows || opt_pair_at(places) == UINT64_MAX) {
        return;
    }
    const struct ir_block *b = ir_block_at(o->ir, block);
    if (b->target_count != 0) {
        leave_targets(o, b);
        return;
    }
    for (unsigned edge = 0; edge < 2; edge++) {
        struct ir_block *to = ir_block_at(o->ir, b->succ[edge]);
        if (places[edge] != UINT32_MAX && (to->mark == AWAY || has_phis(o->ir, to))) {
            go(o, b, edge, places[edge]);
        }
    }
}
