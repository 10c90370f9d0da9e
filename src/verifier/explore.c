// SPDX-License-Identifier: MIT
// explore: follows all ways from one stored state to the next points. States that wait are on a stack of
// slots; the top one goes on.
#include "verifier/engine.h"

// --- slots ---------------------------------------------------------------------------------------

static ebpf_result_t make_slot(struct engine *e)
{
    if (e->slots_made == e->slot_capacity) {
        uint32_t capacity = e->slot_capacity == 0 ? 64 : e->slot_capacity * 2;
        struct slot **grown = arena_array(&e->memory, capacity, sizeof(struct slot *));
        if (grown == NULL) {
            return EBPF_NO_MEMORY;
        }
        if (e->slots_made != 0) {
            memcpy(grown, e->slots, e->slots_made * sizeof(struct slot *));
        }
        e->slots = grown;
        e->slot_capacity = capacity;
    }
    struct slot *s = arena_alloc(&e->memory, sizeof(*s));
    struct domain_state *state = arena_alloc(&e->memory, sizeof(*state));
    if (s == NULL || state == NULL) {
        return EBPF_NO_MEMORY;
    }
    s->state = state;
    e->slots[e->slots_made++] = s;
    return EBPF_SUCCESS;
}

ebpf_result_t explore_push(struct engine *e, struct slot **out)
{
    if (e->slot_count == e->slots_made) {
        TRY(make_slot(e));
    }
    struct slot *s = e->slots[e->slot_count++];
    struct domain_state *state = s->state;
    memset(s, 0, sizeof(*s));
    s->state = state;
    if (e->slot_count > 1) {
        s->step_count = e->slots[e->slot_count - 2]->step_count;
    }
    *out = s;
    return EBPF_SUCCESS;
}

static void pop(struct engine *e)
{
    e->slot_count--;
}

// Writes the branch that the slot took into the list of steps, now that it is on top.
static ebpf_result_t note_step(struct engine *e, struct slot *t)
{
    if (t->step_count == e->step_capacity) {
        uint32_t capacity = e->step_capacity == 0 ? 256 : e->step_capacity * 2;
        struct finding_step *grown = arena_array(&e->memory, capacity, sizeof(*grown));
        if (grown == NULL) {
            return EBPF_NO_MEMORY;
        }
        if (e->step_capacity != 0) {
            memcpy(grown, e->steps, e->step_capacity * sizeof(*grown));
        }
        e->steps = grown;
        e->step_capacity = capacity;
    }
    e->steps[t->step_count++] = t->last;
    t->branched = false;
    return EBPF_SUCCESS;
}

// --- edges ---------------------------------------------------------------------------------------

void explore_go(struct engine *e, struct slot *t, uint32_t next)
{
    if (e->cfg.flags[next] != 0) {
        rank_edge(e, t->state, e->block_of[t->pc], e->block_of[next]);
    }
    t->from = t->pc;
    t->pc = next;
}

void explore_fall_through(struct engine *e, struct slot *t, uint32_t next)
{
    if (next >= e->env.program->insn_count || (e->cfg.flags[next] & CFG_FUNCTION) != 0) {
        struct finding *f = path_find(e, RULE_MISSING_EXIT);
        if (f != NULL) {
            str_copy(f->needed, sizeof(f->needed),
                     "an exit or a jump as the last instruction of the function");
            str_copy(f->hint, sizeof(f->hint), "end the function with return on every path");
        }
        return;
    }
    explore_go(e, t, next);
}

static void branch_to(struct engine *e, struct slot *t, bool taken)
{
    const struct insn *in = &e->env.program->insns[t->pc];
    t->last = (struct finding_step){t->pc, taken};
    t->branched = true;
    if (taken) {
        explore_go(e, t, (uint32_t)insn_target(in, t->pc));
    } else {
        explore_fall_through(e, t, t->pc + 1);
    }
}

// --- instructions --------------------------------------------------------------------------------

static void swap_states(struct slot *a, struct slot *b)
{
    struct domain_state *state = a->state;
    a->state = b->state;
    b->state = state;
}

// The top slot, whose block is no point, is stored there nevertheless.
static ebpf_result_t store_top(struct engine *e)
{
    struct slot *t = explore_top(e);
    if (t->branched) {
        TRY(note_step(e, t));
    }
    TRY(engine_arrive(e, t->state, t, t->pc));
    pop(e);
    return EBPF_SUCCESS;
}

// Both outcomes look possible: the new top slot falls through, the one below it jumps.
static ebpf_result_t fork_both(struct engine *e, struct slot *jumps)
{
    struct slot *falls;
    uint32_t pc = jumps->pc;
    TRY(explore_push(e, &falls));
    state_copy(falls->state, jumps->state);
    falls->pc = pc;
    bool through = transfer_branch(&e->env, falls->state, pc, false);
    bool taken = transfer_branch(&e->env, jumps->state, pc, true);
    if (taken) {
        branch_to(e, jumps, true);
    } else {
        swap_states(falls, jumps);
        pop(e);
        falls = jumps;
    }
    if (through) {
        branch_to(e, falls, false);
    } else {
        pop(e);
    }
    return EBPF_SUCCESS;
}

// Too many states wait: the outcome that jumps is stored.
static ebpf_result_t fork_crowded(struct engine *e, struct slot *falls)
{
    struct slot *jumps;
    uint32_t pc = falls->pc;
    TRY(explore_push(e, &jumps));
    state_copy(jumps->state, falls->state);
    jumps->pc = pc;
    if (transfer_branch(&e->env, jumps->state, pc, true)) {
        branch_to(e, jumps, true);
        TRY(store_top(e));
    } else {
        pop(e);
    }
    if (transfer_branch(&e->env, falls->state, pc, false)) {
        branch_to(e, falls, false);
    } else {
        pop(e);
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t step_branch(struct engine *e, struct slot *t)
{
    bool taken = transfer_branch_is_possible(&e->env, t->state, t->pc, true);
    bool through = transfer_branch_is_possible(&e->env, t->state, t->pc, false);
    if (taken && through) {
        return explore_is_crowded(e) ? fork_crowded(e, t) : fork_both(e, t);
    }
    if ((taken || through) && transfer_branch(&e->env, t->state, t->pc, taken)) {
        branch_to(e, t, taken);
    } else {
        pop(e); // no outcome is possible: the path does not exist
    }
    return EBPF_SUCCESS;
}

// What the instruction accesses must be the same on every path: the field is fixed in its machine code.
static bool mark_access(struct engine *e, const struct slot *t)
{
    const struct insn_info *info = insn_info(e->env.program->insns[t->pc].id);
    if (e->replaying ||
        (info->form != FORM_LOAD && info->form != FORM_STORE_IMM && info->form != FORM_STORE_REG)) {
        return true;
    }
    int field = obligation_context_field(&e->env, t->state, t->pc);
    uint32_t mark = field < 0 ? ENGINE_OTHER_MEMORY : (uint32_t)field + 1;
    if (e->marks[t->pc] == ENGINE_NO_MARK) {
        e->marks[t->pc] = mark;
    }
    if (e->marks[t->pc] == mark) {
        return true;
    }
    struct finding *f = path_find(e, RULE_MIXED_CONTEXT_ACCESS);
    if (f != NULL) {
        str_copy(f->needed, sizeof(f->needed),
                 "the same field of the context, or other memory, on every path");
        str_copy(f->known, sizeof(f->known),
                 "another path accesses another field, or memory that is not the context");
        str_copy(f->hint, sizeof(f->hint), "read the context into a local variable before the branch");
    }
    return false;
}

// Flags of the helper that the instruction calls.
static uint32_t called_flags(const struct engine *e, const struct slot *t)
{
    const struct insn_info *info = insn_info(e->env.program->insns[t->pc].id);
    if ((info->form != FORM_CALL && info->form != FORM_CALLX) || info->sem == SEM_CALL_LOCAL) {
        return 0;
    }
    uint32_t id = obligation_called_helper(&e->env, t->state, t->pc);
    return id != HELPER_NONE ? e->env.spec->helpers[id].flags : 0;
}

// A tail call in a function that others call ends the function, with the result of another program.
static ebpf_result_t end_by_tail_call(struct engine *e, const struct slot *t)
{
    struct slot *out;
    TRY(explore_push(e, &out));
    state_copy(out->state, t->state);
    out->pc = out->from = t->pc;
    value_set_unknown(&out->state->regs[0], 8);
    TRY(engine_arrive_exit(e, out->state, out));
    if (!e->failed) {
        pop(e);
    }
    return EBPF_SUCCESS;
}

// An iterator gave an element, which it does a bounded number of times, or NULL, which it may do for ever.
static ebpf_result_t fork_iterator(struct engine *e, struct slot *ends)
{
    struct slot *element;
    const struct value *result = &ends->state->regs[0];
    if (!result->maybe_null) {
        return EBPF_SUCCESS;
    }
    uint32_t id = result->id;
    TRY(explore_push(e, &element));
    state_copy(element->state, ends->state);
    element->pc = ends->pc;
    element->from = ends->from;
    state_refine_null(element->state, id, false);
    rank_platform_event(e, element->state, element->pc);
    explore_fall_through(e, element, element->pc + 1);
    state_refine_null(ends->state, id, true);
    return EBPF_SUCCESS;
}

static ebpf_result_t step_other(struct engine *e, struct slot *t)
{
    uint32_t flags = called_flags(e, t);
    uint8_t form = insn_info(e->env.program->insns[t->pc].id)->form;
    if (form == FORM_CALL || form == FORM_CALLX) {
        TRY(callback_turn(e));
        if (e->failed || t->kind == SLOT_DEAD) {
            return EBPF_SUCCESS;
        }
    }
    transfer_insn(&e->env, t->state, t->pc);
    if ((flags & HELPER_TAIL_CALL) != 0 && e->in->kind != INSTANCE_PROGRAM) {
        TRY(end_by_tail_call(e, t));
    }
    if ((flags & HELPER_ITER_NEXT) != 0) {
        TRY(fork_iterator(e, t));
    }
    if (!e->failed) {
        explore_fall_through(e, t, t->pc + insn_slots(&e->env.program->insns[t->pc]));
    }
    return EBPF_SUCCESS;
}

static ebpf_result_t step_insn(struct engine *e, struct slot *t)
{
    const struct insn *in = &e->env.program->insns[t->pc];
    const struct insn_info *info = insn_info(in->id);
    if (insn_is_conditional(in)) {
        return step_branch(e, t);
    }
    if (insn_is_jump(in)) {
        explore_go(e, t, (uint32_t)insn_target(in, t->pc));
        return EBPF_SUCCESS;
    }
    if (info->sem == SEM_CALL_LOCAL) {
        return summary_call(e);
    }
    if (info->form == FORM_EXIT) {
        TRY(engine_arrive_exit(e, t->state, t));
        if (!e->failed) {
            pop(e);
        }
        return EBPF_SUCCESS;
    }
    return step_other(e, t);
}

static ebpf_result_t step(struct engine *e)
{
    struct slot *t = explore_top(e);
    if (t->branched) {
        TRY(note_step(e, t));
    }
    if (t->kind == SLOT_EXITS) {
        return summary_next_exit(e);
    }
    if (t->kind == SLOT_DEAD) {
        pop(e);
        return EBPF_SUCCESS;
    }
    if (!t->fresh && (e->cfg.flags[t->pc] & CFG_POINT) != 0) {
        TRY(engine_arrive(e, t->state, t, t->pc));
        pop(e);
        return EBPF_SUCCESS;
    }
    t->fresh = false;
    e->report->steps += !e->replaying;
    if (engine_is_exhausted(e)) {
        return EBPF_SUCCESS;
    }
    if (e->replaying && e->options->observe != NULL) {
        e->options->observe(e->options->observe_user, t->pc, t->state);
    }
    if (!obligation_check(&e->env, t->state, t->pc, e->fault)) {
        path_find_fault(e);
        return EBPF_SUCCESS;
    }
    if (!mark_access(e, t)) {
        return EBPF_SUCCESS;
    }
    return step_insn(e, t);
}

ebpf_result_t explore_node(struct engine *e, const struct node *n)
{
    const struct node *outer_node = e->node;
    uint32_t outer_slots = e->slot_base, outer_steps = e->step_base;
    struct slot *t;
    e->slot_base = e->slot_count;
    TRY(explore_push(e, &t));
    e->step_base = t->step_count;
    e->node = n;
    packed_unpack(n->state, t->state);
    t->pc = t->from = n->pc;
    t->fresh = true;
    while (e->slot_count > e->slot_base && !e->failed) {
        TRY(step(e));
    }
    e->slot_base = outer_slots;
    e->step_base = outer_steps;
    e->node = outer_node;
    return EBPF_SUCCESS;
}
