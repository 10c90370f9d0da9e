// SPDX-License-Identifier: MIT
// opt_select: a short branch that only chooses between two values becomes a conditional move: both sides are
// one or two cheap operations, which are then computed always, and one PHI depends on the way. Divisions are
// not moved: what makes them safe may be the branch.
#include "jit/opt.h"

#define MAX_MOVED 2

// `from` ends in the BRANCH; sides are IR_NONE where an edge goes to `join` directly.
struct diamond {
    uint32_t from, join;
    uint32_t sides[2];
    uint32_t places[2]; // among the predecessors of join
    uint32_t phi;       // the one that depends
};

struct converter {
    struct jit *j;
    struct ir *ir;
    bool tidy;        // the function was
    bool in_loop;     // one of the branches was: what only it needed may go round the loop for nothing now
    uint32_t emptied; // sides that are not reached any more, linked by ir_block.extra
};

static const struct ir_value *end_of(const struct ir *ir, uint32_t block)
{
    return ir_at(ir, ir_block_at(ir, block)->last);
}

static bool is_cheap(const struct ir_value *v)
{
    switch (v->op) {
    case IR_ADD:
    case IR_SUB:
    case IR_AND:
    case IR_OR:
    case IR_XOR:
    case IR_SHL:
    case IR_SHR:
    case IR_SAR:
    case IR_ROL:
    case IR_NEG:
    case IR_SEXT:
    case IR_ZEXT: return true;
    default: return false;
    }
}

// A block with one way in that computes little and jumps.
static bool is_side(const struct ir *ir, uint32_t block, uint32_t *moved)
{
    const struct ir_block *b = ir_block_at(ir, block);
    if (b->pred_count != 1 || end_of(ir, block)->op != IR_JUMP) {
        return false;
    }
    for (uint32_t v = b->first; v != b->last; v = ir_next(ir, v)) {
        const struct ir_value *value = ir_at(ir, v);
        if (value->op != IR_CONST && (!is_cheap(value) || ++*moved > MAX_MOVED)) {
            return false;
        }
    }
    return true;
}

static bool find_shape(const struct ir *ir, uint32_t block, struct diamond *d)
{
    const struct ir_block *b = ir_block_at(ir, block);
    const struct ir_value *end = end_of(ir, block);
    uint32_t moved = 0;
    if (end->op != IR_BRANCH || (end->flags & IR_COLD) != 0 || b->succ[0] == b->succ[1]) {
        return false;
    }
    *d = (struct diamond){.from = block};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t to = b->succ[i];
        d->sides[i] = is_side(ir, to, &moved) ? to : IR_NONE;
    }
    uint32_t first = d->sides[0] != IR_NONE ? ir_block_at(ir, d->sides[0])->succ[0] : b->succ[0];
    uint32_t second = d->sides[1] != IR_NONE ? ir_block_at(ir, d->sides[1])->succ[0] : b->succ[1];
    d->join = first;
    return first == second && first != block && (d->sides[0] != IR_NONE || d->sides[1] != IR_NONE);
}

static void find_places(struct diamond *d, uint32_t (*places)[2])
{
    for (unsigned i = 0; i < 2; i++) {
        d->places[i] = d->sides[i] != IR_NONE ? places[d->sides[i]][0] : places[d->from][i];
    }
}

// One PHI depends on the way, no more.
static bool find_phi(const struct ir *ir, struct diamond *d)
{
    uint32_t count = 0;
    for (uint32_t v = ir_block_at(ir, d->join)->first; ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
        const uint32_t *list = ir_pool(ir, ir_at(ir, v));
        if (list[d->places[0]] != list[d->places[1]]) {
            d->phi = v;
            count++;
        }
    }
    return count == 1;
}

// The link to the END of the block.
static uint32_t *find_end(struct ir *ir, struct ir_block *b)
{
    uint32_t *link = &b->first;
    while (*link != b->last) {
        link = &ir_at(ir, *link)->next;
    }
    return link;
}

// Puts `value` where `link` leads; where the link behind it is.
static uint32_t *put(struct ir *ir, uint32_t *link, uint32_t value, uint32_t block)
{
    struct ir_value *v = ir_at(ir, value);
    v->block = block;
    v->next = *link;
    *link = value;
    return &v->next;
}

static uint32_t *move_side(struct ir *ir, uint32_t side, uint32_t to, uint32_t *link)
{
    struct ir_block *b = ir_block_at(ir, side);
    for (uint32_t v = b->first, next; v != b->last; v = next) {
        next = ir_next(ir, v);
        link = put(ir, link, v, to);
    }
    b->first = b->last;
    return link;
}

// An edge to `join` will go: the PHI that depends on the way has one operand instead of two, the others have
// the same twice.
static void use_once(const struct ir *ir, const struct diamond *d, uint32_t select)
{
    for (uint32_t v = ir_block_at(ir, d->join)->first; ir_at(ir, v)->op == IR_PHI; v = ir_next(ir, v)) {
        uint32_t operand = ir_pool(ir, ir_at(ir, v))[d->places[0]];
        ir_at(ir, operand)->uses -= v != d->phi;
    }
    ir_at(ir, select)->uses = 1;
}

// The PHI becomes the SELECT when it has no other operands, and is the only one of its block: those of one
// value are gone from tidy functions. Otherwise a new value is one of its operands.
static uint32_t make_select(const struct converter *c, const struct diamond *d, unsigned kept)
{
    struct ir *ir = c->ir;
    struct ir_block *join = ir_block_at(ir, d->join);
    struct ir_value *phi = ir_at(ir, d->phi);
    uint32_t *list = ir_pool(ir, phi), first = list[d->places[0]], second = list[d->places[1]];
    bool whole = c->tidy && join->pred_count == 2;
    const struct ir_value *end = end_of(ir, d->from);
    uint32_t select = whole ? d->phi : ir_new(c->j, IR_SELECT, 64, IR_NONE, IR_NONE, 0);
    if (select == IR_NONE) {
        return IR_NONE;
    }
    if (whole) {
        join->first = phi->next;
    } else {
        list[d->places[kept]] = select;
        use_once(ir, d, select);
    }
    struct ir_value *s = ir_at(ir, select);
    s->op = IR_SELECT;
    s->width = 64;
    s->a = end->a;
    s->b = end->b;
    s->c = first;
    s->d = second;
    s->imm = end->imm;
    s->cond = end->cond;
    s->cwidth = end->cwidth;
    s->flags = end->flags & IR_IMM;
    s->pc = end->pc;
    return select;
}

static ebpf_result_t convert(struct converter *c, const struct diamond *d)
{
    struct ir *ir = c->ir;
    struct ir_block *from = ir_block_at(ir, d->from);
    struct ir_value *end = ir_at(ir, from->last);
    uint32_t *link = find_end(ir, from);
    for (unsigned i = 0; i < 2; i++) {
        link = d->sides[i] != IR_NONE ? move_side(ir, d->sides[i], d->from, link) : link;
    }
    // The edge without a block of its own stays, or else the first side.
    bool keeps_direct = d->sides[0] == IR_NONE || d->sides[1] == IR_NONE;
    unsigned kept = keeps_direct && d->sides[1] == IR_NONE ? 1 : 0;
    uint32_t select = make_select(c, d, kept);
    if (select == IR_NONE) {
        return EBPF_NO_MEMORY;
    }
    (void)put(ir, link, select, d->from);
    struct ir_block *side = ir_block_at(ir, d->sides[1 - kept]);
    side->first = side->last = IR_NONE;
    side->pred_count = 0;
    side->extra = c->emptied;
    c->emptied = d->sides[1 - kept];
    ir_block_at(ir, d->join)->mark = 0;
    c->in_loop = c->in_loop || from->loop != IR_NONE;
    from->succ[0] = d->sides[kept] != IR_NONE ? d->sides[kept] : d->join;
    from->succ[1] = IR_NONE;
    end->op = IR_JUMP;
    end->a = end->b = IR_NONE;
    end->cond = end->cwidth = end->flags = 0;
    end->imm = 0;
    return EBPF_SUCCESS;
}

static ebpf_result_t convert_all(struct converter *c)
{
    struct ir *ir = c->ir;
    uint32_t(*places)[2] = NULL;
    for (uint32_t i = ir->order_count; i-- > 0;) { // inner ones first
        struct diamond d;
        ir_prefetch_end(ir, i - IR_AHEAD / 4);
        if (!find_shape(ir, ir->order[i], &d)) {
            continue;
        }
        if (places == NULL) {
            TRY(ir_list_places(c->j, &places));
        }
        find_places(&d, places);
        if (find_phi(ir, &d)) {
            TRY(convert(c, &d));
            bool direct = ir_block_at(ir, d.from)->succ[0] == d.join;
            places[d.from][0] = direct ? d.places[d.sides[0] == IR_NONE ? 0 : 1] : 0;
        }
    }
    return EBPF_SUCCESS;
}

// Takes the edges of emptied sides out of what they went to, each block once.
static void drop_edges(const struct converter *c)
{
    struct ir *ir = c->ir;
    for (uint32_t n = c->emptied, next; n != IR_NONE; n = next) {
        struct ir_block *b = ir_block_at(ir, n), *join = ir_block_at(ir, b->succ[0]);
        uint32_t left = 0;
        for (uint32_t p = 0; p < join->pred_count && join->mark == 0; p++) {
            if (ir_block_at(ir, join->preds[p])->first != IR_NONE) {
                ir_move_edge(ir, join, left++, p);
            }
        }
        if (join->mark == 0) {
            ir_keep_edges(ir, join, left);
            join->mark = 1;
        }
        next = b->extra;
        b->succ[0] = b->extra = IR_NONE;
    }
}

ebpf_result_t opt_select(struct jit *j)
{
    struct converter c = {.j = j, .ir = &j->ir, .tidy = j->ir.tidy};
    size_t mark = j->memory.used;
    TRY(convert_all(&c));
    jit_rewind(j, mark);
    if (c.emptied == IR_NONE) {
        return EBPF_SUCCESS;
    }
    if (!c.tidy) {
        TRY(ir_find_order(j));
        TRY(ir_clean(j));
        TRY(ir_find_loops(j));
        return opt_prune(j);
    }
    drop_edges(&c);
    j->ir.counted = true;
    j->ir.tidy = !c.in_loop;
    return opt_prune_emptied(j, true);
}
