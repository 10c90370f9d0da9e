// SPDX-License-Identifier: MIT
// loss: the register at fault is followed back to each join on the path, through copies and spills. Where the
// two states that were joined say different things about it, the fact was lost. It is told, never relied on.
#include "verifier/loss.h"

#define MAX_WALK  512u // instructions between a join and the fault
#define MAX_JOINS 32u

struct search {
    struct engine *e;
    struct finding *f;
    const struct domain_state *s;
    struct domain_state *ways[2]; // the states that were joined
    uint32_t walk[MAX_WALK];      // instructions from the join to the fault
    uint32_t walked;
};

// --- the way from the join to the fault ----------------------------------------------------------

// From the join at `pc`, by the last `count` branches of the path. False when the way cannot be followed.
static bool walk(struct search *w, uint32_t pc, uint32_t count)
{
    const struct program *p = w->e->env.program;
    const struct finding_step *step = w->f->path + (w->f->path_count - count);
    const struct finding_step *end = w->f->path + w->f->path_count;
    for (w->walked = 0; w->walked < MAX_WALK && pc < p->insn_count;) {
        const struct insn *in = &p->insns[pc];
        if (pc == w->f->pc && step == end) {
            return true;
        }
        w->walk[w->walked++] = pc;
        if (insn_is_conditional(in)) {
            if (step == end || step->pc != pc) {
                return false;
            }
            pc = step->taken ? (uint32_t)insn_target(in, pc) : pc + 1;
            step++;
        } else if (insn_is_jump(in)) {
            pc = (uint32_t)insn_target(in, pc);
        } else {
            pc += 1;
        }
    }
    return false;
}

// --- the register at fault -----------------------------------------------------------------------

#define NOWHERE UINT32_MAX // locations are those of state.h

static uint32_t argument_at_fault(const struct search *w)
{
    for (uint32_t r = 1; r <= 5; r++) {
        const struct value *v = &w->s->regs[r];
        bool null = w->f->rule == RULE_POSSIBLY_NULL && v->maybe_null;
        bool size = w->f->rule == RULE_HELPER_SIZE && v->kind == VALUE_SCALAR && !value_is_const(v);
        if (null || size) {
            return r;
        }
    }
    return NOWHERE;
}

static uint32_t location_at_fault(const struct search *w)
{
    const struct insn *in = &w->e->env.program->insns[w->f->pc];
    switch (insn_info(in->id)->form) {
    case FORM_LOAD: return in->src;
    case FORM_STORE_IMM:
    case FORM_STORE_REG:
    case FORM_ATOMIC: return in->dst;
    case FORM_ALU_REG: return w->s->regs[in->src].kind == VALUE_SCALAR ? in->src : in->dst;
    case FORM_CALL: return argument_at_fault(w);
    case FORM_EXIT: return w->f->rule == RULE_EXIT_VALUE ? 0 : NOWHERE;
    default: return NOWHERE;
    }
}

// Where the value of `loc` was before instruction `pc`; NOWHERE: it is made there.
static uint32_t before(const struct search *w, uint32_t loc, uint32_t pc)
{
    const struct insn *in = &w->e->env.program->insns[pc];
    const struct insn_info *info = insn_info(in->id);
    switch (info->form) {
    case FORM_CALL:
    case FORM_CALLX: return loc <= 5 ? NOWHERE : loc;
    case FORM_ALU_REG:
        if (loc != in->dst) {
            return loc;
        }
        return info->sem == SEM_MOV ? in->src : info->sem == SEM_ADD ? in->src : NOWHERE;
    case FORM_ALU_IMM: // a constant changes the value, not where it comes from
        return loc == in->dst && info->sem == SEM_MOV ? NOWHERE : loc;
    case FORM_LOAD:
        if (loc != in->dst) {
            return loc;
        }
        return in->src == 10
                   ? state_loc_cell(w->s->frame_count - 1, (uint32_t)(INSN_STACK_SIZE + in->off) / 4)
                   : NOWHERE;
    case FORM_LDDW:
    case FORM_ALU_UNARY: return loc == in->dst ? NOWHERE : loc;
    case FORM_STORE_REG: {
        uint32_t cell = state_loc_cell(w->s->frame_count - 1, (uint32_t)(INSN_STACK_SIZE + in->off) / 4);
        return in->dst == 10 && loc == cell ? in->src : loc;
    }
    default: return loc;
    }
}

static uint32_t location_at_join(const struct search *w)
{
    uint32_t loc = location_at_fault(w);
    for (uint32_t i = w->walked; i-- > 0 && loc != NOWHERE;) {
        loc = before(w, loc, w->walk[i]);
    }
    return loc;
}

// --- what the two ways say -----------------------------------------------------------------------

static void name_location(uint32_t loc, char *text, size_t size)
{
    if (loc < STATE_LOC_SAVED) {
        str_format(text, size, "r%u", loc);
    } else {
        uint32_t cell = (loc - STATE_LOC_CELLS) % STATE_CELL_COUNT;
        str_format(text, size, "the variable at r10-%u", INSN_STACK_SIZE - 4 * cell);
    }
}

// Two pointers of a kind, or two turns of a loop, lose nothing that could be named.
static bool is_telling(const struct value *one, const struct value *other, bool turns)
{
    if (one->kind != other->kind || one->maybe_null != other->maybe_null) {
        return true;
    }
    return one->kind == VALUE_SCALAR && !turns && !scalar_equal(&one->num, &other->num);
}

static bool value_differs(struct search *w, bool turns)
{
    char name[40], value[2][64];
    uint32_t loc = location_at_join(w);
    if (loc == NOWHERE || loc >= STATE_LOC_END || loc == 10) {
        return false;
    }
    const struct value *one = state_value(w->ways[0], loc), *other = state_value(w->ways[1], loc);
    if (!is_telling(one, other, turns)) {
        return false;
    }
    value_print(one, w->e->env.program, value[0], sizeof(value[0]));
    value_print(other, w->e->env.program, value[1], sizeof(value[1]));
    name_location(loc, name, sizeof(name));
    str_format(w->f->loss.text, sizeof(w->f->loss.text), "%s is %s on one way, %s on the other", name,
               value[0], value[1]);
    return true;
}

static bool packet_differs(struct search *w, bool turns)
{
    int32_t one = w->ways[0]->packet_length, other = w->ways[1]->packet_length;
    if (w->f->rule != RULE_PACKET_BOUNDS || one == other || turns) {
        return false;
    }
    str_format(w->f->loss.text, sizeof(w->f->loss.text),
               "the packet has at least %d bytes on one way, %d on the other", one, other);
    return true;
}

static bool try_join(struct search *w, const struct node *n, uint32_t count)
{
    if (n->other->state == NULL || n->partner->state == NULL) {
        return false;
    }
    packed_unpack(n->other->state, w->ways[0]);
    packed_unpack(n->partner->state, w->ways[1]);
    bool turns = n->other->from >= n->pc || n->partner->from >= n->pc;
    if (!walk(w, n->pc, count) || !(value_differs(w, turns) || packet_differs(w, turns))) {
        return false;
    }
    w->f->loss.pc = n->pc;
    w->f->loss.from[0] = n->other->from;
    w->f->loss.from[1] = n->partner->from;
    return true;
}

void loss_find(struct engine *e, const struct domain_state *s, uint32_t recent, struct finding *f)
{
    struct search *w = arena_alloc(e->arena, sizeof(*w));
    uint32_t count = recent, joins = 0;
    if (w == NULL) {
        return;
    }
    w->e = e;
    w->f = f;
    w->s = s;
    w->ways[0] = arena_alloc(e->arena, sizeof(struct domain_state));
    w->ways[1] = arena_alloc(e->arena, sizeof(struct domain_state));
    if (w->ways[0] == NULL || w->ways[1] == NULL) {
        return; // the finding stands without it
    }
    for (const struct node *n = e->node; n != NULL && count <= f->path_count && joins < MAX_JOINS;
         count += n->step_count, n = n->parent) {
        if (n->other != NULL && n->partner != NULL && joins++ < MAX_JOINS && try_join(w, n, count)) {
            return;
        }
    }
}
